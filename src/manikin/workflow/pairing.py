"""Puts the images of two folders side by side, as rows of a labels.csv that a translator learns from and a person can read."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from manikin.data.errors import DataError, ParameterError
from manikin.io.images.files import LABELS, SHOWN
from manikin.io.images.pairing import Pairs, pairs_of
from manikin.workflow.output import check_free, whole_file


def pair(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    as_volumes: bool = False,
    keep_unpaired: bool = False,
    force: bool = False,
) -> Pairs:
    """Writes labels.csv into the folder that holds both folders: a row for each pair, its columns called as the folders.

    `read` of that folder then gives pairs, from which `pix2pix` and `cyclegan` learn. Nothing is copied or moved.

    Parameters
    ----------
    source, target : folders of pictures, DICOM or NIfTI, one beside the other. Partners are found as `manikin.io.images.pairing` says.
    as_volumes : whether a DICOM series is one image. keep_unpaired : whether images without a partner get rows of their own (`cyclegan`
        learns from them) instead of being refused. force : whether a labels.csv that is there is replaced.

    Raises
    ------
    DataError : nothing fits together; images lack their partner and `keep_unpaired` is not set; DICOM partners differ in size.
    ParameterError : a labels.csv is there and `force` is not set.
    """
    found = pairs_of(source, target, as_volumes=as_volumes)
    alone = [(a, b) for a, b in found.rows if not (a and b)]
    if alone and not keep_unpaired:
        n = [sum(bool(row[side]) for row in found.rows) for side in (0, 1)]
        shown = ", ".join(a or b for a, b in alone[:SHOWN]) + (", …" if len(alone) > SHOWN else "")
        raise DataError(
            f"{found.columns[0]} has {n[0]:,} images and {found.columns[1]} {n[1]:,}; by {found.by} {found.n_paired:,} are pairs, and "
            f"{len(alone):,} {'lack' if len(alone) > 1 else 'lacks'} a partner: {shown}. Add partners, or keep such images in rows of "
            "their own with --keep-unpaired."
        )
    path = found.root / LABELS
    if path.exists() and not force:
        raise ParameterError(f"{path} exists already. Read it: --force puts these pairs in its place, whoever wrote it.")
    check_free(path, force=force)
    with whole_file(path, force=force) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(found.columns)
        writer.writerows(found.rows)
    return found


def place_of(pairs: Pairs) -> Path:
    """The labels.csv of pairs."""
    return pairs.root / LABELS
