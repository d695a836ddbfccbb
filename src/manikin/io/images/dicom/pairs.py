"""Rows of labels.csv that name two DICOM images each, such as MR and CT of one slice: what they are called, and what is odd about a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from manikin.data.schema import TableSchema
from manikin.io.images.dicom.headers import PATIENT, QUASI, Header
from manikin.io.images.dicom.items import Item, images_of, volumes_of, without_gaps
from manikin.io.images.files import LABELS, Skipped
from manikin.io.images.labels import ROW_1, Rows

OF_PATIENT = (PATIENT, *QUASI)  # attributes that both images of a row have in common


def paired(
    headers: Sequence[Header], rows: Rows, *, as_volumes: bool, schema: TableSchema | None
) -> tuple[pd.DataFrame, dict[str, Item], list[Skipped]]:
    """The rows with the names of their images, each image by its name, and the files that belong to no row that can be used.

    A row becomes one for each frame where both files have as many. Attributes of the patient stand beside the images where a file has
    them and labels.csv does not; what tells how one of the two was taken does not. Rows whose files are of two patients are passed over,
    unless labels.csv has a column PatientID, which then counts.

    Parameters
    ----------
    as_volumes : whether a cell stands for the whole series of its file.
    """
    items = _items(headers, as_volumes=as_volumes)
    columns = list(rows.columns)
    places: list[int] = []
    cells: list[tuple[str, ...]] = []
    kept: dict[str, Item] = {}
    found: list[dict[str, str]] = []
    skipped: list[Skipped] = []
    for row, named in enumerate(rows.texts[columns].itertuples(index=False, name=None)):
        files = [cell for cell in named if cell]
        if any(file not in items for file in files):
            continue  # it is told with the file that cannot be read
        reason = _odd([items[file] for file in files], is_told=PATIENT in rows.texts)
        if reason:
            skipped.append(Skipped(" and ".join(files), f"{reason} (row {row + ROW_1} of {LABELS})"))
            continue
        for frame in range(len(items[files[0]])):
            own = {file: items[file][frame] for file in files}
            if as_volumes:
                own = {file: replace(item, name=file) for file, item in own.items()}
            kept |= {item.name: item for item in own.values()}
            places.append(row)
            cells.append(tuple(own[cell].name if cell else "" for cell in named))
            found.append(_said([item.header for item in own.values()]))
    texts = rows.texts.iloc[places].reset_index(drop=True)
    for at, name in enumerate(columns):
        texts[name] = pd.Series([one[at] for one in cells], dtype=object)
    if not all(item.header.is_synthetic for item in kept.values()):
        for keyword in OF_PATIENT:
            if keyword not in texts and (schema is None or keyword in schema) and any(keyword in one for one in found):
                said = [one.get(keyword, "") for one in found]
                texts[keyword] = pd.Series(without_gaps(said) if keyword == PATIENT else said, dtype=object)
    return texts, kept, skipped + (_left(headers, kept) if as_volumes else [])


def _items(headers: Sequence[Header], *, as_volumes: bool) -> dict[str, list[Item]]:
    """By file: its images, one for each frame, or the one volume that it belongs to."""
    if as_volumes:
        return {file: [item] for item in volumes_of(headers) for file, _ in item.frames}
    found: dict[str, list[Item]] = {}
    for item in images_of(headers):
        found.setdefault(item.header.file, []).append(item)
    return found


def _odd(sides: Sequence[Sequence[Item]], *, is_told: bool) -> str:
    """Why two files make no pair; empty where they do."""
    if len({len(side) for side in sides}) > 1:
        return f"have {len(sides[0])} and {len(sides[1])} frames"
    patients = {side[0].header.attributes.get(PATIENT, "") for side in sides} - {""}
    return "are of two patients" if len(patients) > 1 and not is_told else ""


def _said(headers: Sequence[Header]) -> dict[str, str]:
    """What the first header that says it says of the patient."""
    return {keyword: text for one in reversed(headers) for keyword in OF_PATIENT if (text := one.attributes.get(keyword, ""))}


def _left(headers: Sequence[Header], kept: dict[str, Item]) -> list[Skipped]:
    """Volumes that no row names."""
    used = {file for item in kept.values() for file, _ in item.frames}
    volumes = [item for item in volumes_of(headers) if not {file for file, _ in item.frames} & used]
    return [Skipped(item.name, f"belongs to no row of {LABELS}") for item in volumes]
