"""The options that commands share: one wording, one letter, one meaning everywhere. Knows no command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A CSV (plain or gzip) or Parquet file; of linked tables a folder, or a database's URL; of images a folder or .npz.",
        show_default=False,
    ),
]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model folder, or a run folder that holds one.", show_default=False)
]
OutFolder = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write.")]
OutFile = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help="The .csv or .parquet file to write.", show_default=False)
]
OutPlace = Annotated[
    str,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="The .csv or .parquet file to write; of linked tables a folder or URL, of images a folder or .npz.",
        show_default=False,
    ),
]
OutModel = Annotated[Path, typer.Option("--out", "-o", metavar="MODEL", help="The model folder to write.", show_default=False)]
SchemaFile = Annotated[
    Path | None, typer.Option("--schema", metavar="FILE", help="A schema.toml; inferred from the data when not given.")
]
Synthesizer = Annotated[
    str, typer.Option("--synthesizer", metavar="NAME", help="auto, or a name from `manikin list synthesizers`.")
]
Rows = Annotated[
    int | None,
    typer.Option(
        "--rows", "--patients", "--images", metavar="N", help="Synthetic rows, patients or images; as many as were learned from by default."
    ),
]
Target = Annotated[
    str | None, typer.Option("--target", metavar="COL", help="The column that a model would predict; TABLE.COL in linked tables.")
]
Time = Annotated[str | None, typer.Option("--time", metavar="COL", help="The column of follow-up time; goes with --event.")]
Event = Annotated[
    str | None, typer.Option("--event", metavar="COL", help="The column that says whether the event was seen; goes with --time.")
]
Public = Annotated[
    list[str] | None,
    typer.Option(
        "--public",
        metavar="COL",
        help="The list of this column's values is public knowledge, such as a code book: release rare ones too; may be repeated.",
    ),
]
Analysis = Annotated[
    list[str] | None,
    typer.Option(
        "--analysis",
        metavar="FORMULA",
        help="A regression to run on real and synthetic rows, such as 'died ~ age + log(creatinine)'; may be repeated.",
    ),
]
Epsilon = Annotated[
    float | None,
    typer.Option("--epsilon", metavar="E", help="Privacy budget of each patient; refused unless the synthesizer can keep it."),
]
Delta = Annotated[
    float | None,
    typer.Option("--delta", metavar="D", help="Its failure probability; below 1 / (10 patients) by default, told when known."),
]
RowsPerPatient = Annotated[
    int, typer.Option("--rows-per-patient", metavar="K", help="Under --epsilon, rows of one patient that count at most.")
]
Budget = Annotated[
    Path | None,
    typer.Option(
        "--budget", metavar="FILE", help="Spend from this budget file too, which releases of the same patients share (`manikin budget`)."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A hyperparameter of the named synthesizer (see its page), such as epochs=100; may be repeated.",
    ),
]
Holdout = Annotated[
    str | None,
    typer.Option(
        "--holdout",
        metavar="COL=VALUE",
        help="Hold these rows out for judging, such as split=test of an official split; a fifth of the patients by default.",
    ),
]
ShadowModels = Annotated[
    int,
    typer.Option(
        "--shadow-models",
        metavar="N",
        help="Attack the most exposed patients by learning the generator N times anew (16 to 64 tell most); 0 leaves that out.",
    ),
]
AuditCanaries = Annotated[
    int,
    typer.Option(
        "--audit-canaries",
        metavar="N",
        help="Audit the privacy budget with N made-up patients (500 tell much), by learning twice more; 0 leaves that out.",
    ),
]
TimeBudget = Annotated[
    str | None,
    typer.Option("--time-budget", metavar="TIME", help="For learning: 90s, 10m, 1h30m. Models without steps ignore it."),
]
MaxSteps = Annotated[int | None, typer.Option("--max-steps", metavar="N", help="Most learning steps.")]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="S", help="The same seed gives the same bytes; not under --epsilon, whose noise has no seed."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what Manikin wrote at --out before.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")]
