"""The command `explain`: what drives a saved generator."""

from __future__ import annotations

from typing import Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, say_table, watching

N_SHOWN = 8


def explain(
    model: opt.Model,
    out: opt.OutFolder,
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="COL", help="Hold this column at its values; may be repeated.")
    ] = None,
    rows: Annotated[int, typer.Option("-n", "--rows", metavar="N", help="Rows under each value.")] = 500,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """What drives a generator: hold one column after another at its values, and see which other columns move.

    Example:

        manikin explain model --by age --by sex -o explanation
    """
    from manikin.workflow.explanation import explain as run

    with watching(as_json=as_json) as watcher:
        done = run(model, by=by or None, rows=rows, seed=seed, out=out, force=force, watcher=watcher)
    if as_json:
        say_json({"out": done.out, "files": dict(done.files), **done.document, "notices": list(done.notices)})
        return
    ranked = sorted((row for row in done.document.get("sensitivity", ()) if row["is_sure"]), key=lambda row: -row["excess"])
    lines = [(row["condition"], row["output"], f"{row['effect']:.3f}", f"{row['null']:.3f}") for row in ranked[:N_SHOWN]]
    if lines:
        say_table(("held", "moved", "effect", "by chance"), lines)
    elif "sensitivity" in done.document:
        say("No column moves another beyond chance.")
    for strip in done.document.get("traversal", {}).get("dimensions", ()):
        moved = ", ".join(one["column"] for one in strip["columns"])
        say(f"  latent dimension {strip['dimension']}: moves {moved}")
    for purpose, path in done.files.items():
        say(f"  {purpose:<10} {path}")
