"""The command that takes what identifies out of DICOM files: deidentify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from manikin.cli import options as opt
from manikin.cli.console import say, say_json

SHOWN = 5


def deidentify(
    source: Annotated[Path, typer.Argument(metavar="DICOM", help="A folder of DICOM files, or one file.", show_default=False)],
    out: opt.OutFolder,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="FILE", help="A secret that you keep: the same one gives the same pseudonyms, UIDs and dates. Made if absent."
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep", metavar="WHAT", help="uids, dates (shifted), descriptors (cleaned), device, institution, patient, private; repeated."
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse all if a file cannot be used, instead of passing it over.")] = False,
    force: opt.Force = False,
    as_json: opt.Json = False,
) -> None:
    """De-identify DICOM images: headers by PS3.15 Annex E, text in pixels and faces flagged, leftovers looked for.

    Example:

        manikin deidentify scans -o shared --key study.key --keep dates --keep patient
    """
    from manikin.workflow.deidentification import deidentify_folder

    done = deidentify_folder(source, out, key=key, keep=keep or (), force=force, strict=strict)
    if as_json:
        say_json(
            {
                "out": done.out,
                "files": done.n_files,
                "patients": done.n_patients,
                "flagged": done.n_flagged,
                "skipped": list(done.skipped),
                "words": list(done.words),
            }
        )
        return
    for line in done.words:
        say(line)
    for line in done.skipped[:SHOWN]:
        say(f"  {line}")
    if len(done.skipped) > SHOWN:
        say(f"  … and {len(done.skipped) - SHOWN:,} more (--json lists them)")
    say(f"\n{done.out}")
    if key is not None:
        say(f"Keep {key} secret, apart from these files: it links them to the originals.")
