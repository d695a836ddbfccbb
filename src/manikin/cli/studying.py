"""Commands that run a study over many splits: augmentation, learning-curve, tradeoff."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, say_table, watching

if TYPE_CHECKING:
    from manikin.workflow.study.record import Studied

study = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Studies over many splits of patients: what added rows do for a model, how many patients a generator needs, what privacy costs.",
    epilog="Example: manikin study augmentation patients.csv --target died --groups sex -o study",
)

NeededTarget = Annotated[
    str, typer.Option("--target", metavar="COL", help="The column that a model predicts; TABLE.COL in linked tables.", show_default=False)
]
Positive = Annotated[
    list[str] | None,
    typer.Option(
        "--positive",
        metavar="LEVEL",
        help="The level that counts as positive, may be repeated; '>0' for numbers. The rarer of two levels by default.",
    ),
]
Synthesizers = Annotated[
    str | None,
    typer.Option(
        "--synthesizers",
        metavar="NAMES",
        help="Generators, separated by commas; forest,autoregressive by default, of linked tables markov,event_transformer.",
    ),
]
MaxRows = Annotated[
    int | None,
    typer.Option(
        "--max-rows", "--max-patients", metavar="N", help="At most so many rows, whole patients at random; of linked tables patients."
    ),
]
PerFit = Annotated[
    str | None, typer.Option("--time-budget", metavar="TIME", help="For each learning of a generator in steps: 90s, 10m.")
]


@study.command("augmentation")
def augmentation(
    data: opt.Data,
    target: NeededTarget,
    out: opt.OutFolder,
    positive: Positive = None,
    groups: Annotated[
        list[str] | None, typer.Option("--groups", metavar="COL", help="Measure this column's groups apart; may be repeated.")
    ] = None,
    balance: Annotated[
        list[str] | None,
        typer.Option("--balance", metavar="COL", help="Raise the rarer class within these groups; may be repeated."),
    ] = None,
    synthesizers: Synthesizers = None,
    learner: Annotated[str, typer.Option("--learner", metavar="NAMES", help="booster, logistic or both.")] = "booster,logistic",
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", metavar="ARM", help="Leave out weighted, oversampled, smote or alone; may be repeated."),
    ] = None,
    splits: Annotated[
        int, typer.Option("--splits", metavar="N", help="Random splits into train, tuning and test patients.")
    ] = 5,
    max_rows: MaxRows = None,
    schema: opt.SchemaFile = None,
    time_budget: PerFit = None,
    max_steps: opt.MaxSteps = None,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Does adding generated rows help a model, and whom? Against weights, resampling and SMOTE, on real test patients.

    Example:

        manikin study augmentation patients.csv --target died --groups sex --splits 10 -o study
    """
    from manikin.workflow.study.augmentation import AugmentationOptions, study_augmentation
    from manikin.workflow.wishes import parse_duration

    options = AugmentationOptions(
        target=target,
        positive=tuple(positive or ()),
        groups=tuple(groups or ()),
        balance=tuple(balance or ()),
        synthesizers=_names_or_none(synthesizers),
        learners=_names(learner),
        skip=tuple(skip or ()),
        splits=splits,
        max_rows=max_rows,
        time_budget_seconds=None if time_budget is None else parse_duration(time_budget),
        max_steps=max_steps,
        seed=seed,
    )
    with watching(as_json=as_json) as watcher:
        done = study_augmentation(data, out=out, options=options, schema=schema, force=force, watcher=watcher)
    if as_json:
        say_json({"out": done.out, "files": done.files, **_part(done.document, "headline", "sentences", "results", "notices")})
        return
    _say_augmentation(done)
    _say_files(done.files)


@study.command("learning-curve")
def learning_curve(
    data: opt.Data,
    target: NeededTarget,
    out: opt.OutFolder,
    synthesizers: Synthesizers = None,
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="N,N,…", help="Numbers of patients to learn from.")
    ] = "100,200,500,1000,2000,5000",
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", help="Times with another holdout.")] = 3,
    max_rows: MaxRows = None,
    schema: opt.SchemaFile = None,
    time_budget: PerFit = None,
    max_steps: opt.MaxSteps = None,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """How many real patients does each generator need? C2ST and excess TSTR by the number it learned from.

    Example:

        manikin study learning-curve patients.csv --target died --synthesizers forest --sizes 50,100 -o curve
    """
    from manikin.workflow.study.learning_curve import CurveOptions, study_learning_curve
    from manikin.workflow.wishes import parse_duration

    wrong = [text for text in _names(sizes) if not text.isdecimal()]
    if wrong:
        raise typer.BadParameter("--sizes are whole numbers separated by commas, for example 100,200,500")
    options = CurveOptions(
        target=target,
        synthesizers=_names_or_none(synthesizers),
        sizes=tuple(int(text) for text in _names(sizes)),
        repeats=repeats,
        max_rows=max_rows,
        time_budget_seconds=None if time_budget is None else parse_duration(time_budget),
        max_steps=max_steps,
        seed=seed,
    )
    with watching(as_json=as_json) as watcher:
        done = study_learning_curve(data, out=out, options=options, schema=schema, force=force, watcher=watcher)
    if as_json:
        say_json({"out": done.out, "files": done.files, **_part(done.document, "sentences", "curves", "notices")})
        return
    curves = done.document["curves"]
    rows = [
        (f"{size:,}", *("–" if line["points"][i]["mean"] is None else f"{line['points'][i]['mean']:.3f}" for line in curves))
        for i, size in enumerate(done.document["design"]["sizes"])
    ]
    say_table(("patients", *(f"{line['name']} {line['figure']}" for line in curves)), rows)
    say("")
    for sentence in done.document["sentences"]:
        say(f"* {sentence['text']}")
    _say_files(done.files)


@study.command("tradeoff")
def tradeoff(
    data: opt.Data,
    out: opt.OutFolder,
    epsilons: Annotated[
        str, typer.Option("--epsilons", metavar="E,E,…", help="Privacy budgets; inf is the generator without one.")
    ] = "0.1,0.5,1,3,10,inf",
    synthesizers: Annotated[
        str | None,
        typer.Option(
            "--synthesizers",
            metavar="NAMES",
            help="Generators, separated by commas, NAME@inf for one that cannot keep a budget; aim,autoregressive by default, of linked "
            "tables markov,event_transformer.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="How often, each with another holdout.")] = 3,
    delta: opt.Delta = None,
    rows_per_patient: opt.RowsPerPatient = 1,
    target: opt.Target = None,
    max_rows: MaxRows = None,
    schema: opt.SchemaFile = None,
    time_budget: PerFit = None,
    max_steps: opt.MaxSteps = None,
    seed: opt.Seed = 0,
    extend: Annotated[
        bool, typer.Option("--extend", help="Take up the finished study in --out, with more seeds, epsilons or generators.")
    ] = False,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """What does privacy cost? Fidelity, utility and attacks at each epsilon. No ledger covers the study itself: keep its figures inside.

    Example:

        manikin study tradeoff patients.csv --target died --epsilons 1,10,inf --synthesizers aim -o tradeoff
    """
    from manikin.workflow.study.along_epsilon import TradeoffOptions, study_tradeoff
    from manikin.workflow.wishes import parse_duration

    options = TradeoffOptions(
        target=target,
        epsilons=_epsilons(epsilons),
        synthesizers=_names_or_none(synthesizers),
        seeds=seeds,
        delta=delta,
        rows_per_patient=rows_per_patient,
        max_rows=max_rows,
        time_budget_seconds=None if time_budget is None else parse_duration(time_budget),
        max_steps=max_steps,
        seed=seed,
    )
    with watching(as_json=as_json) as watcher:
        done = study_tradeoff(data, out=out, options=options, schema=schema, force=force, extend=extend, watcher=watcher)
    if as_json:
        parts = _part(done.document, "unprotected", "advice", "power", "points", "notices")
        say_json({"out": done.out, "files": done.files, **parts})
        return
    _say_tradeoff(done)
    _say_files(done.files)


def _say_tradeoff(done: Studied) -> None:
    shown = {"column_shapes": "one-way", "dependence": "dependence", "c2st": "C2ST", "excess": "excess", "membership": "attack"}
    points = {(line["synthesizer"], line["epsilon"], line["figure"]): line for line in done.document["points"]}
    rows = []
    for name, epsilon in dict.fromkeys((name, epsilon) for name, epsilon, _ in points):
        medians = [points[name, epsilon, figure]["median"] for figure in shown]
        most = points[name, epsilon, "membership"].get("ceiling")
        bound = "–" if most is None else "no bound" if epsilon == "inf" else f"{most:.3f}"
        rows.append([name, f"{float(epsilon):g}", *("–" if value is None else f"{value:.3f}" for value in medians), bound])
    say_table(("generator", "epsilon", *shown.values(), "at most"), rows)
    for use in done.document["advice"]:
        say(f"\n{use['title']}: {use['headline']}")
        for line in use["lines"]:
            say(f"* {line['text']}")
    say(f"\n{done.document['power']}\n\n{done.document['unprotected']}")


def _epsilons(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(one) for one in _names(text))
    except ValueError:
        raise typer.BadParameter("--epsilons are numbers above 0 separated by commas, for example 0.5,1,3,inf") from None


def _say_augmentation(done: Studied) -> None:
    document = done.document
    titles = {arm["key"]: arm["title"] for arm in document["arms"]}
    shown = ("auroc", "auprc", "recall", "precision", "calibration_error")
    for learner, name in document["learners"].items():
        own = {(line["arm"], line["measure"]): line["mean"] for line in document["results"] if line["learner"] == learner}
        rows = [[titles[arm], *(f"{own[arm, measure]:.3f}" for measure in shown)] for arm in titles]
        say(f"{name}:")
        say_table(("learned from", *(document["measures"][measure]["title"] for measure in shown)), rows)
        say("")
    say(document["headline"])
    for text in done.decided:
        say(f"* {text}")
    say(f"The page has the sentence of {'every other' if done.decided else 'each'} comparison, with its intervals.")


def _say_files(files: dict[str, Path]) -> None:
    say("\nThis folder is internal: its figures were made from real patients and are not protected.")
    for purpose, path in files.items():
        say(f"  {purpose:<10} {path}")


def _part(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: document[key] for key in keys}


def _names_or_none(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else _names(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
