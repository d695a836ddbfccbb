"""The command `compare`: releases of one table side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, say_table


def compare(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR…", help="Run folders that synthesize or evaluate wrote.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write the page and the figures here.")] = None,
    fidelity: Annotated[
        str | None, typer.Option("--fidelity", metavar="NAME", help="The figure of likeness or use, such as c2st or tstr.")
    ] = None,
    privacy: Annotated[
        str | None, typer.Option("--privacy", metavar="NAME", help="The figure of privacy, such as membership or linkability.")
    ] = None,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Releases of one table side by side: likeness against privacy, with intervals and the Pareto front.

    Example:

        manikin compare forest copula k11 -o comparison
    """
    from manikin.workflow.compare import compare as run

    done = run(folders, fidelity=fidelity, privacy=privacy, out=out, force=force)
    if as_json:
        say_json({"out": out, "files": done.files, **done.document})
        return
    for trade in done.trade_offs:
        rows = [
            (
                "on the front" if point.is_on_front else "surely beaten" if point.beaten_by else "",
                f"{point.fidelity.value:.3f}",
                f"{point.privacy.value:.3f}",
                point.name,
            )
            for point in trade.points
        ]
        say_table(("", trade.fidelity, trade.privacy, "release"), rows)
        say("")
    for text in done.sentences:
        say(text)
    for purpose, path in done.files.items():
        say(f"  {purpose:<10} {path}")
