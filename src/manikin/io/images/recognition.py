"""Which format of images a path holds, by the names in it and the first bytes of a few files. Decodes nothing, imports no package for it.

A folder of tables with a picture in it is no folder of images: tables other than labels.csv decide.
"""

from __future__ import annotations

import os
from pathlib import Path

from manikin.io.images.files import LABELS, PICTURES, ending

NIFTI = (".nii", ".nii.gz")
DICOM = (".dcm", ".dicom", ".ima")
ARRAYS = (".npz", ".npy")
TABLES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".pq")
MAX_NAMES = 2_000  # files of a folder that are looked at
MAX_OPENED = 20  # of those without an ending that says anything
DICOM_MARK = b"DICM"  # behind a preamble of 128 bytes (DICOM PS3.10, section 7.1)


def format_of(path: Path) -> str | None:
    """The format of images that a file or folder holds: "images", "npz", "dicom", "nifti"; None where it holds none.

    A file that is not there is known by its ending alone, so that it can be written.
    """
    if not path.is_dir():
        return _of_file(path)
    counts = {"dicom": 0, "nifti": 0, "images": 0}
    n_opened = 0
    for i, (name, is_top) in enumerate(_names(path)):
        if i >= MAX_NAMES:
            break
        end = ending(name)
        if is_top and end in TABLES and name != LABELS:
            return None
        kind = _by_ending(name)
        if kind is None and end not in (".csv", ".toml", ".json", ".txt", ".md") and n_opened < MAX_OPENED:
            n_opened += 1
            kind = "dicom" if is_dicom(path / name) else None
        if kind in counts:
            counts[kind] += 1
    best = max(counts, key=lambda kind: counts[kind])
    return best if counts[best] else None


def _of_file(path: Path) -> str | None:
    kind = _by_ending(path.name)
    if kind is None and path.is_file() and is_dicom(path):
        return "dicom"
    return kind


def _by_ending(name: str) -> str | None:
    end = ending(name)
    if end in PICTURES:
        return "images"
    if end in DICOM or name.upper() == "DICOMDIR" or name.upper().endswith("/DICOMDIR"):
        return "dicom"
    if end in NIFTI:
        return "nifti"
    return "npz" if end in ARRAYS else None


def _names(folder: Path) -> list[tuple[str, bool]]:
    """Names inside a folder, at most a little more than `MAX_NAMES`, and whether each lies at its top; those at the top first."""
    out: list[tuple[str, bool]] = []
    for here, folders, files in os.walk(folder):
        under = Path(here).relative_to(folder)
        folders.sort()
        out += [((under / name).as_posix(), under == Path(".")) for name in sorted(files) if not name.startswith(".")]
        if len(out) > MAX_NAMES:
            break
    return out


def is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark; a pipe, which would wait for ever, has none."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == DICOM_MARK
    except OSError:
        return False
