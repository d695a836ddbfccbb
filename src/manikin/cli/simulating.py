"""Commands of simulation: simulate images."""

from __future__ import annotations

from typing import Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, watching

simulate = typer.Typer(
    help="Images with known truth from physical models; no patient is involved.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


@simulate.command()
def images(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="ct, xray, mr, ultrasound, pet, fundus, dermoscopy, mr-ct, mr-ct-pelvis.", show_default=False
        ),
    ],
    out: opt.OutFolder,
    n: Annotated[int, typer.Option("-n", metavar="N", help="How many images, of mr-ct pairs.")] = 100,
    size: Annotated[int, typer.Option("--size", metavar="PX", help="Pixels along each edge, 16 to 1,024.")] = 128,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME", help="Draw evenly from these labels; may be repeated. All of the kind's without it."),
    ] = None,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """A folder of simulated images with labels.csv, boxes and masks of lesions; every file says that it is simulated.

    Example:

        manikin simulate images xray -n 200 --size 128 -o chests

        manikin simulate images dermoscopy -n 50 --label melanoma -o skin
    """
    from manikin.workflow.simulation import simulate_images

    with watching(as_json=as_json) as watcher:
        done = simulate_images(kind, n, out, size=size, seed=seed, labels=label or (), force=force, watcher=watcher)
    if as_json:
        say_json({"out": done.out, "files": done.files, "images": done.n, "labels": done.labels})
        return
    say(f"{done.n:,} simulated images: " + ", ".join(f"{count:,} {name}" for name, count in done.labels.items()) + ".")
    for purpose, path in done.files.items():
        say(f"  {purpose:<8} {path}")
