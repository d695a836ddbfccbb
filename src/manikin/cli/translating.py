"""The command that makes one image of another: translate."""

from __future__ import annotations

from typing import Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json, watching


def translate(
    model: opt.Model,
    images: Annotated[
        str,
        typer.Argument(metavar="IMAGES", help="A folder of images, an .npz file, DICOM or NIfTI.", show_default=False),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="OUT", help="A folder, or an .npz file, of the kind that came in.", show_default=False)
    ],
    to: Annotated[
        str | None, typer.Option("--to", metavar="COL", help="What to make, where the model goes both ways and the images do not say it.")
    ] = None,
    resize: Annotated[bool, typer.Option("--resize", help="Bring images of another size to the model's, not refuse them.")] = False,
    clip: Annotated[bool, typer.Option("--clip", help="Cut values beyond what the model learned, not refuse them.")] = False,
    file_format: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="images (PNG), npz, dicom, nifti; as the images came by default.")
    ] = None,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """Images made of given ones, such as CT of MR or sharp of blurred, by a model that learned it from pairs or from two heaps.

    Lesions may be lost or invented; nothing may be diagnosed from a translated image.

    Example:

        manikin fit pairs/ --synthesizer pix2pix -o model

        manikin translate model mr/ -o ct/

        manikin translate two-way-model ct/ --to mr -o mr-again/
    """
    from manikin.workflow.translate import translate_files as run

    with watching(as_json=as_json) as watcher:
        done = run(
            model, images, out=out, to=to, resize=resize, clip=clip, file_format=file_format, seed=seed, force=force, watcher=watcher
        )
    if as_json:
        say_json(
            {
                "out": done.out,
                "record": done.record,
                "images": done.n,
                "way": done.way,
                "compared": dict(done.compared),
                "notices": list(done.notices),
            }
        )
        return
    say(f"{done.n:,} images translated from {done.way}: {done.out}")
    if done.compared:
        found = done.compared
        say(
            f"Beside the {found['n']:,} true ones: mean absolute difference {found['mae']:.4g}, PSNR {found['psnr']:.1f} dB, "
            f"SSIM {found['ssim']:.3f}. These do not see lesions."
        )
    say(f"How they were made: {done.record}")
