"""Commands on given patients of linked tables: continue, anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, say_table, watching

N_SHOWN = 10
Records = Annotated[
    str, typer.Argument(metavar="RECORDS", help="Linked tables of the patients: a folder, or a database's URL.", show_default=False)
]
ModelOption = Annotated[
    Path, typer.Option("--model", metavar="MODEL", help="A model folder, or a run folder that holds one.", show_default=False)
]


def continue_patients(
    records: Records,
    model: ModelOption,
    until: Annotated[
        str, typer.Option("--until", metavar="T", help="48h, 30d since the first event, +30d since the last; or a date", show_default=False)
    ],
    out: opt.OutFolder,
    draws: Annotated[int, typer.Option("--draws", metavar="M", help="How many times each patient is continued.")] = 50,
    held: Annotated[
        list[str] | None, typer.Option("--set", metavar="COL=VALUE", help="Holds in what is drawn; may be repeated.")
    ] = None,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Given patients continued many times, with bands: what may come, as the model learned it from others.

    Example:

        manikin continue ward/ --model model --until +7d --draws 100 -o twins

        manikin continue ward/ --model model --until 48h --set died=no -o twins
    """
    from manikin.workflow.continuation import continue_patients as run
    from manikin.workflow.wishes import parse_set

    wanted = parse_set(held or ())
    with watching(as_json=as_json) as watcher:
        done = run(records, model, until=until, draws=draws, set=wanted, out=out, seed=seed, force=force, watcher=watcher)
    if as_json:
        counts = {"patients": done.n_patients, "draws": done.draws, "drawn_rows": dict(done.tables)}
        say_json({"out": done.out, "files": done.files, **counts, "notices": list(done.notices)})
        return
    rows = sum(done.tables.values())
    say(f"{done.n_patients:,} patients, each continued {done.draws:,} times; {rows:,.1f} rows drawn in one draw.")
    for purpose, path in done.files.items():
        say(f"  {purpose:<10} {path}")


def anomalies(
    records: Records,
    out: opt.OutFile,
    model: Annotated[
        Path | None, typer.Option("--model", metavar="MODEL", help="By likelihood: a model folder, or a run folder that holds one.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="RECORDS", help="By a variational autoencoder of these patients' summaries: a folder, a URL."),
    ] = None,
    share: Annotated[
        float, typer.Option("--share", metavar="P", help="Most of patients like the reference that are flagged.")
    ] = 0.05,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Which of given patients are surprising: to a model, by their events, or beside reference patients; ranks, no value.

    Example:

        manikin anomalies ward/ --model model -o surprising.csv

        manikin anomalies new/ --reference ward/ --share 0.01 -o unlike.csv
    """
    from manikin.workflow.anomalies import anomalies as run

    with watching(as_json=as_json) as watcher:
        done = run(records, model, reference=reference, share=share, seed=seed, out=out, force=force, watcher=watcher)
    shown = done.table.head(N_SHOWN)
    if as_json:
        flagged = {"flagged": int(done.table["flagged"].sum())} if reference is not None else {}
        say_json({"out": done.out, "patients": done.n_patients, **flagged, "notices": list(done.notices)})
        return
    if reference is not None:
        cells = zip(*(shown[name] for name in ("rank", "patient", "nats", "p", "flagged", "part_1")), strict=True)
        told = [(str(r), str(who), f"{nats:.1f}", f"{p:.3g}", "flagged" if is_one else "", part) for r, who, nats, p, is_one, part in cells]
        say_table(("rank", "patient", "nats", "p", "", "most unlike"), told)
        say(f"\n{int(done.table['flagged'].sum()):,} of {done.n_patients:,} patients flagged, the most unlike first: {done.out}")
        return
    rows = [
        (str(rank), str(patient), f"{n:,}", f"{nats:.3f}", f"{table} row {row}: {by}" if table else "")
        for rank, patient, n, nats, table, row, by in zip(
            *(shown[name] for name in ("rank", "patient", "events", "per_event", "event_1_table", "event_1_row", "event_1_by")), strict=True
        )
    ]
    say_table(("rank", "patient", "events", "nats per event", "most surprising"), rows)
    say(f"\n{done.n_patients:,} patients, the most surprising first: {done.out}")
