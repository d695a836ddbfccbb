"""The command that puts two folders of images side by side: pair."""

from __future__ import annotations

from typing import Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json


def pair(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A folder of images: what is given later.", show_default=False)],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="A folder beside it: what is made of them later.", show_default=False)
    ],
    volumes: Annotated[bool, typer.Option("--volumes", help="A DICOM series is one volume, not so many slices.")] = False,
    keep_unpaired: Annotated[
        bool, typer.Option("--keep-unpaired", help="Images without a partner get rows of their own, not a refusal.")
    ] = False,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Put the images of two folders side by side, such as MR and CT of the same slices, so that a model can learn to translate.

    Partners have the same file name, or in DICOM the same patient and slice. A labels.csv in the folder that holds both names them, a
    pair in each row; read it before you learn from it. No image is copied or changed.

    Example:

        manikin pair scans/mr scans/ct

        manikin fit scans --synthesizer pix2pix -o model
    """
    from manikin.workflow.pairing import pair as run
    from manikin.workflow.pairing import place_of

    found = run(source, target, as_volumes=volumes, keep_unpaired=keep_unpaired, force=force)
    if as_json:
        alone = len(found.rows) - found.n_paired
        say_json(
            {"out": place_of(found), "columns": list(found.columns), "pairs": found.n_paired, "unpaired": alone, "by": found.by}
        )
        return
    rest = len(found.rows) - found.n_paired
    more = f", and {rest:,} image{'s' * (rest > 1)} without a partner" if rest else ""
    say(f"{found.n_paired:,} pairs of {found.columns[0]} and {found.columns[1]}{more}, found by {found.by}: {place_of(found)}")
    say(f"Look through it, then: manikin fit {found.root} --synthesizer {'cyclegan' if rest else 'pix2pix'} -o model")
