"""The command `augment`: rows for a rare class or group, or records with some columns made anew, each row marked for what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, say_table, watching

if TYPE_CHECKING:
    from manikin.workflow.augmentation import Account
    from manikin.workflow.augmented_file import Written

MOST_CELLS = 24  # printed; all are in the record

Balance = Annotated[
    list[str] | None,
    typer.Option("--balance", metavar="COL", help="Groups to balance together with the target's classes; may be repeated."),
]
To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="equal|PROPORTIONS",
        help="equal: every class (in every group) as large as the largest. Or shares that add up to 1: yes=0.4,no=0.6 of the target, "
        "or COL:LEVEL=P, repeated.  [default: equal]",
    ),
]
ModeName = Annotated[str, typer.Option("--mode", metavar="hybrid|full|partial", help="What the table holds; see above.")]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="COL",
        help="Partial mode: make this column anew; may be repeated. The schema's sensitive columns by default.",
    ),
]
Rows = Annotated[
    int | None,
    typer.Option(
        "--rows",
        metavar="N",
        help="hybrid: real and synthetic rows together; the fewest that keep every real row by default. full: synthetic rows; as many "
        "as DATA has by default.",
    ),
]
ModelFolder = Annotated[
    Path | None, typer.Option("--model", metavar="MODEL", help="A saved model of this table, in place of learning one.")
]
Mark = Annotated[
    str,
    typer.Option(
        "--mark", metavar="NAME", help="The column that says where a row comes from; take it out before a model learns."
    ),
]
Format = Annotated[
    str | None, typer.Option("--format", metavar="csv|parquet", help="The format; by the ending of FILE when not given.")
]


def augment(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A CSV or Parquet file, a folder of images, or linked tables.", show_default=False)
    ],
    out: opt.OutFile,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="COL", help="The column whose classes are balanced; the schema's target by default."),
    ] = None,
    balance: Balance = None,
    to: To = None,
    mode: ModeName = "hybrid",
    replace: Replace = None,
    rows: Rows = None,
    synthesizer: opt.Synthesizer = "auto",
    settings: opt.Set = None,
    model: ModelFolder = None,
    schema: opt.SchemaFile = None,
    mark: Mark = "row_origin",
    time_budget: opt.TimeBudget = None,
    max_steps: opt.MaxSteps = None,
    seed: opt.Seed = 0,
    test: Annotated[
        str | None,
        typer.Option(
            "--test", metavar="IMAGES", help="Real images set aside: tells what the made ones add to recognising the label (AUC)."
        ),
    ] = None,
    file_format: Format = None,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """More rows of a rare class or group, every row marked real or synthetic.

    --mode hybrid: the real rows unchanged, and synthetic rows for the rare class or group. It protects nobody: not for release.

    --mode full: only synthetic rows, in the wanted proportions. No row is a patient's record; measure it before it leaves the house.

    --mode partial: the real records, with only the --replace columns made anew given the rest. It hides what those columns held and
    nothing else: not for release.

    Split before you augment, and give DATA the train part only. FILE.augmented.json records what was made, from what and how.

    Example:

        manikin augment train.csv --target died --balance sex -o augmented.csv

        manikin augment train.csv --target died --to yes=0.4,no=0.6 --mode full -o synthetic.csv

        manikin augment ward/ --target patients.died -o augmented

        manikin augment films/ --target label --to pneumonia=0.5,normal=0.5 -o augmented

        manikin augment train.csv --mode partial --replace hiv --replace income -o masked.csv
    """
    from manikin.workflow.augmentation import Wishes
    from manikin.workflow.augmented_file import augment_file
    from manikin.workflow.options import Options
    from manikin.workflow.wishes import parse_duration, parse_settings

    wishes = Wishes(
        target=target,
        balance=tuple(balance or ()),
        to="equal" if not to else to[0] if len(to) == 1 else to,
        mode=mode,
        rows=rows,
        replace=tuple(replace or ()),
        mark=mark,
    )
    options = Options(
        synthesizer=synthesizer,
        time_budget_seconds=None if time_budget is None else parse_duration(time_budget),
        max_steps=max_steps,
        seed=seed,
        hyperparameters=parse_settings(settings or ()) or None,
    )
    with watching(as_json=as_json) as watcher:
        written = augment_file(
            data,
            out=out,
            wishes=wishes,
            options=options,
            schema=schema,
            model=model,
            file_format=file_format,
            test=test,
            force=force,
            watcher=watcher,
        )
    if as_json:
        from manikin.workflow.augmented_worth import as_json as added

        more = {} if test is None else {"added": added(written.added)}
        say_json({"out": written.out, "record": written.record, **written.made.facts(), **more})
    else:
        _say(written)


def _say(written: Written) -> None:
    from manikin.workflow.augmentation import LEAKS

    made = written.made
    by = "" if made.choice is None else f" by {made.choice.name}"
    if made.mode == "partial":
        say(f"partial: {made.rows['partial']:,} real records with {', '.join(made.replaced)} made anew{by}.")
    else:
        noun = made.unit if made.unit != "rows" or not written.out.is_dir() else "images"
        real = f"{made.rows['real']:,} real {noun} and " if made.mode == "hybrid" else ""
        say(f"{made.mode}: {real}{made.rows['synthetic']:,} synthetic {noun}{by}.\n")
        _say_cells(made)
    if written.added is not None:
        from manikin.workflow.augmented_worth import in_words

        say("")
        for line in in_words(written.added):
            say(line)
    say(f"\n{made.statement}")
    say(f"{LEAKS}\n")
    what = "tables" if made.unit == "patients" else "images" if written.out.is_dir() else "table "
    say(f"  {what}  {written.out} (column {made.mark!r} marks every row)")
    say(f"  record  {written.record}")


def _say_cells(made: Account) -> None:
    names = list(made.counts[0].cell)
    total = sum(count.real + count.synthetic for count in made.counts)
    rows = [
        (
            *(count.cell[name] for name in names),
            f"{count.given:,}",
            f"{count.real:,}",
            f"{count.synthetic:,}",
            f"{(count.real + count.synthetic) / total:.1%}",
        )
        for count in made.counts[:MOST_CELLS]
    ]
    say_table((*names, "given", "real", "synthetic", "share"), rows)
    if len(made.counts) > MOST_CELLS:
        say(f"… and {len(made.counts) - MOST_CELLS} more in the record")
