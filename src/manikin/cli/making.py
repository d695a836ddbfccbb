"""Commands that make something: demo, synthesize, fit, sample, complete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, watching
from manikin.cli.evidence import evidence, say_evidence

if TYPE_CHECKING:
    from manikin.workflow.options import Options
    from manikin.workflow.synthesize import Outcome


def demo(
    out: opt.OutFolder = Path("manikin-demo"),
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """The main job on a real breast cancer table that comes with Manikin.

    Example:

        manikin demo -o manikin-demo
    """
    from manikin.workflow.demo import INTRODUCTION
    from manikin.workflow.demo import demo as run

    if not as_json:
        say(INTRODUCTION + f"\nIt writes to {out} and takes one or two minutes.\n")
    with watching(as_json=as_json) as watcher:
        outcome = run(out=out, seed=seed, force=force, watcher=watcher)
    _say_outcome(outcome, as_json)


def synthesize(
    data: opt.Data,
    schema: opt.SchemaFile = None,
    synthesizer: opt.Synthesizer = "auto",
    settings: opt.Set = None,
    rows: opt.Rows = None,
    target: opt.Target = None,
    time: opt.Time = None,
    event: opt.Event = None,
    public: opt.Public = None,
    epsilon: opt.Epsilon = None,
    delta: opt.Delta = None,
    rows_per_patient: opt.RowsPerPatient = 1,
    budget: opt.Budget = None,
    time_budget: opt.TimeBudget = None,
    max_steps: opt.MaxSteps = None,
    seed: opt.Seed = 0,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="NAME", help="Of what is made: csv, parquet, of images images, npz, …; csv by default, or as they came."
        ),
    ] = None,
    holdout: opt.Holdout = None,
    shadow_models: opt.ShadowModels = 0,
    audit_canaries: opt.AuditCanaries = 0,
    sets: Annotated[
        int, typer.Option("--sets", metavar="M", help="Synthetic tables, drawn independently; for regressions on all of them.")
    ] = 1,
    analysis: opt.Analysis = None,
    replay: Annotated[
        Path | None,
        typer.Option("--replay", metavar="MANIFEST", help="Make the run of this manifest.json again, byte for byte."),
    ] = None,
    out: opt.OutFolder = Path("manikin-run"),
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """A patient table in, a synthetic table with its evidence out; linked tables and images likewise, as they came.

    The generator sees a part of the patients; the others are held out for judging. The run folder is internal: it shows real rows.

    Example:

        manikin synthesize patients.csv --target died --time-budget 10m -o run

        manikin synthesize patients.csv --epsilon 1 -o private

        manikin synthesize ward/ --patients 500 -o run

        manikin synthesize xrays/ --target label --time-budget 10m -o run
    """
    from manikin.workflow.synthesize import synthesize as run

    options = _options(synthesizer, rows, target, epsilon, delta, time_budget, max_steps, seed, file_format, public, settings)
    options = replace(
        options,
        time=time,
        event=event,
        sets=sets,
        holdout=holdout,
        shadow_models=shadow_models,
        audit_canaries=audit_canaries,
        analyses=tuple(analysis or ()),
        rows_per_patient=rows_per_patient,
        budget=budget,
    )
    with watching(as_json=as_json) as watcher:
        outcome = run(data, out=out, schema=schema, options=options, replay=replay, force=force, watcher=watcher)
    _say_outcome(outcome, as_json)


def fit(
    data: opt.Data,
    out: opt.OutModel,
    schema: opt.SchemaFile = None,
    synthesizer: opt.Synthesizer = "auto",
    settings: opt.Set = None,
    target: opt.Target = None,
    public: opt.Public = None,
    epsilon: opt.Epsilon = None,
    delta: opt.Delta = None,
    rows_per_patient: opt.RowsPerPatient = 1,
    budget: opt.Budget = None,
    time_budget: opt.TimeBudget = None,
    max_steps: opt.MaxSteps = None,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Learn from a whole table and save the model, to sample from later.

    Nothing is held out and nothing is judged; use `synthesize` for that.

    Example:

        manikin fit patients.csv --synthesizer forest -o model

        manikin fit patients.csv --synthesizer fairgan --set protected=sex --set fairness=0.5 -o model
    """
    from manikin.workflow.models import fit_model

    options = _options(synthesizer, None, target, epsilon, delta, time_budget, max_steps, seed, None, public, settings)
    options = replace(options, rows_per_patient=rows_per_patient, budget=budget)
    with watching(as_json=as_json) as watcher:
        fitted = fit_model(data, out=out, schema=schema, options=options, force=force, watcher=watcher)
    if as_json:
        choice = fitted.choice.model_dump(mode="json")
        key = "patients_bought" if fitted.is_private else fitted.unit
        say_json({"out": fitted.out, key: fitted.n_rows, "synthesizer": choice, "notices": list(fitted.notices)})
    else:
        unit = "patients (about, as bought)" if fitted.is_private else fitted.unit
        say(f"Learned from {fitted.n_rows:,} {unit} with {fitted.choice.name}. The model: {fitted.out}")
        if fitted.is_private:
            say(f"What it may draw is covered by its privacy budget, as often as you like. What was spent: manikin audit {fitted.out}")


def sample(
    model: opt.Model,
    n: Annotated[
        int,
        typer.Option(
            "-n", "--rows", "--patients", "--images", metavar="N", help="How many rows, patients or images.", show_default=False
        ),
    ],
    out: opt.OutPlace,
    file_format: Annotated[
        str | None, typer.Option(
            "--format",
            metavar="NAME",
            help="Of images: images (PNG), npz, …; of linked tables: csv, parquet, fhir, …; as those that were learned by default.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="COL=VALUE", help="Every row or patient holds this; may be repeated.")
    ] = None,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Synthetic rows, patients with all their tables, or images, from a saved model, as many as you like, in constant memory.

    Example:

        manikin sample model -n 1000 --where sex=F -o women.csv

        manikin sample ward-model --patients 1000 -o ward-again/

        manikin sample ward-model --patients 1000000 --format parquet -o ward-large/

        manikin sample xray-model -n 1000 --where label=pneumonia -o made/
    """
    from manikin.workflow.models import draw
    from manikin.workflow.places import shown
    from manikin.workflow.wishes import parse_where

    conditions = parse_where(where or ())
    with watching(as_json=as_json) as watcher:
        drawn = draw(model, n=n, out=out, conditions=conditions, seed=seed, file_format=file_format, force=force, watcher=watcher)
    if as_json:
        sizes = {"patients": drawn.n_rows, "tables": dict(drawn.tables)} if drawn.tables else {drawn.unit: drawn.n_rows}
        say_json({"out": shown(drawn.out), **sizes})
    elif drawn.tables:
        say(f"{drawn.n_rows:,} synthetic patients, {sum(drawn.tables.values()):,} rows in {len(drawn.tables)} tables: {shown(drawn.out)}")
    else:
        say(f"{drawn.n_rows:,} synthetic {drawn.unit}: {drawn.out}")


def complete(
    model: opt.Model,
    data: opt.Data,
    out: opt.OutPlace,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="COL", help="Keep this column (TABLE.COL), make the others anew; may be repeated.")
    ] = None,
    impute: Annotated[bool, typer.Option("--impute", help="Keep what is there, fill only missing cells.")] = False,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Rows given in part: keep some columns of real records, or fill their missing cells; of linked patients keep what they have once.

    Example:

        manikin complete model patients.csv --keep age --keep sex -o partly.csv

        manikin complete model patients.csv --impute -o filled.csv
    """
    from manikin.data.errors import ParameterError
    from manikin.workflow.completion import complete as run

    if bool(keep) == impute:
        raise ParameterError("Give either --keep COL (once or more) or --impute, and not both.")
    with watching(as_json=as_json) as watcher:
        done = run(model, data, out=out, keep=keep or None, seed=seed, force=force, watcher=watcher)
    if as_json:
        counts = {"filled": done.n_filled, "left": done.n_left}
        say_json({"out": done.out, done.unit: done.n_rows, **(counts if done.unit == "rows" else {}), "notices": list(done.notices)})
    else:
        filled = f", {done.n_filled:,} cells filled" if impute else ""
        say(f"{done.n_rows:,} {done.unit} completed{filled}: {done.out}")


def _options(
    synthesizer: str,
    rows: int | None,
    target: str | None,
    epsilon: float | None,
    delta: float | None,
    time_budget: str | None,
    max_steps: int | None,
    seed: int,
    file_format: str | None,
    public: list[str] | None,
    settings: list[str] | None,
) -> Options:
    from manikin.workflow.options import Options
    from manikin.workflow.wishes import parse_duration, parse_settings

    return Options(
        synthesizer=synthesizer,
        rows=rows,
        target=target,
        epsilon=epsilon,
        delta=delta,
        time_budget_seconds=None if time_budget is None else parse_duration(time_budget),
        max_steps=max_steps,
        seed=seed,
        format=file_format,
        public=tuple(public or ()),
        hyperparameters=parse_settings(settings or ()) or None,
    )


def _say_outcome(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        document: dict[str, Any] = {
            "out": outcome.out,
            "files": outcome.files,
            "synthesizer": outcome.choice.model_dump(mode="json"),
            outcome.unit: outcome.rows,
            **({"tables": outcome.tables} if outcome.tables else {}),
            **evidence(outcome.results),
            "notices": list(outcome.notices),
        }
        say_json(document)
        return
    n_sets = sum(part.startswith("synthetic") for part in outcome.rows)
    times = f", {n_sets} times," if n_sets > 1 else ""
    unit = outcome.unit
    n_rows = sum(table.get("synthetic", 0) for table in outcome.tables.values())
    linked = f" with {n_rows:,} rows in {len(outcome.tables)} tables" if outcome.tables else ""
    say(f"{outcome.rows['synthetic']:,} synthetic {unit}{linked}{times} by {outcome.choice.name}.\n")
    say_evidence(outcome.results)
    budget = outcome.results.run.get("privacy_budget")
    if budget:
        say(
            f"\nEach patient has epsilon {budget['epsilon']:g} and delta {budget['delta']:.2g}: the synthetic rows and the model are "
            f"covered, the report and the results are not.\nRecompute it: manikin audit {outcome.out}"
        )
    what = "images" if unit == "images" else "rows"
    say(f"\nThis folder is internal: the report and the results show real {what}.")
    for purpose, path in outcome.files.items():
        say(f"  {purpose:<10} {path}")
