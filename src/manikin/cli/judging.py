"""Commands that judge and list: evaluate, list."""

from __future__ import annotations

from typing import Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, watching
from manikin.cli.evidence import evidence, say_evidence

MARKS = {  # what else an entry's line says
    ("conditions", True): "conditional",
    ("some_conditions", True): "conditional on some columns",
    ("private", True): "private",
    ("releasable", False): "never released",
    ("modality", "records"): "linked patients",
    ("modality", "images"): "images",
    ("volumes", True): "and volumes",
    ("pairs", True): "from one to the other",
    ("continues", True): "continues",
    ("scores", True): "scores",
    ("linked", "patients"): "tables; of linked patients one row each",
    ("linked", "tables"): "tables; of linked patients table by table",
    ("labels", True): "and labels of images",
}
REGISTRIES = ("synthesizers", "metrics", "attacks", "formats", "simulators", "measures")


def evaluate(
    train: Annotated[
        str, typer.Option("--train", metavar="A", help="Real rows that the generator saw: a file, or linked tables.", show_default=False)
    ],
    holdout: Annotated[str, typer.Option("--holdout", metavar="B", help="Real rows that it did not see.", show_default=False)],
    synthetic: Annotated[
        list[str],
        typer.Option(
            "--synthetic", metavar="C", help="The rows that it made; repeated for several tables of it.", show_default=False
        ),
    ],
    out: opt.OutFolder,
    schema: opt.SchemaFile = None,
    target: opt.Target = None,
    time: opt.Time = None,
    event: opt.Event = None,
    analysis: opt.Analysis = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="The synthetic rows keep some cells of real patients (partially synthetic).")
    ] = False,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Judge a synthetic table that any tool made, against the real rows it was made from.

    Example:

        manikin evaluate --train train.csv --holdout holdout.csv --synthetic synthetic.csv -o evidence

        manikin evaluate --train a.csv --holdout b.csv --synthetic c1.csv --synthetic c2.csv --analysis "died ~ age + sex" -o evidence
    """
    from manikin.workflow.judge import judge

    with watching(as_json=as_json) as watcher:
        judged = judge(
            train,
            holdout,
            synthetic,
            out=out,
            schema=schema,
            target=target,
            time=time,
            event=event,
            analyses=analysis or (),
            partial=partial,
            seed=seed,
            force=force,
            watcher=watcher,
        )
    if as_json:
        say_json({"out": judged.out, "files": judged.files, **evidence(judged.results), "notices": list(judged.notices)})
        return
    say_evidence(judged.results)
    say("\nThis folder is internal: the report and the results show real rows.")
    for purpose, path in judged.files.items():
        say(f"  {purpose:<10} {path}")


def list_registry(
    what: Annotated[
        str | None,
        typer.Argument(metavar="[" + "|".join(REGISTRIES) + "]", help="All but the measures when not given.", show_default=False),
    ] = None,
    as_json: opt.Json = False,
) -> None:
    """What is there: synthesizers, metrics, attacks, formats, simulators, and the measures that a policy may name.

    Example:

        manikin list synthesizers
    """
    from manikin.data.errors import ParameterError
    from manikin.workflow.look import listed
    from manikin.workflow.wishes import candidates

    if what is not None and what not in REGISTRIES:
        raise ParameterError(f"There is no list of {what!r}. {candidates(what, REGISTRIES)}")
    found = {name: listed(name) for name in REGISTRIES if what == name or (what is None and name != "measures")}
    if as_json:
        say_json(found)
        return
    for i, (name, entries) in enumerate(found.items()):
        if i:
            say("")
        say(f"{name}:")
        if not entries:
            say("  none yet")
        width = max((len(entry["name"]) for entry in entries), default=0)
        for entry in entries:
            words = [word for (key, value), word in MARKS.items() if entry.get(key) == value]
            marks = ", ".join([*words, *entry.get("modalities", ())])
            say(f"  {entry['name']:<{width}}  {entry['summary']}{f' [{marks}]' if marks else ''}")
