"""Files of DICOM as rows: an image each, or a volume for each series, with attributes of their headers as columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.schema import Kind, Schema, TableSchema
from manikin.io.images.dicom.files import (
    MAX_DECODED_BYTES,
    dicom,
    distrusted,
    frame_bytes,
)
from manikin.io.images.dicom.headers import AGE, KNOWN, NUMBERS, PATIENT, TEXTS, Header, header_of
from manikin.io.images.dicom.kept import KeptFile
from manikin.io.images.dicom.pixels import frame_of
from manikin.io.images.files import LABELS, OWN, Skipped, Unreadable, ending, refuse_none, refuse_skipped, walk
from manikin.io.images.gathering import Decoded, Look, gathered
from manikin.io.images.labels import FILE, UNNAMED, Rows, rows_of
from manikin.io.images.pictures import schema_in
from manikin.io.images.recognition import DICOM, is_dicom
from manikin.io.images.sources import Pixels

NOT_DICOM = (".csv", ".toml", ".json", ".txt", ".md", ".pdf", ".xml", ".html")
UNEVEN = "slices at uneven distances"
UNPLACED = "slices without a place, taken in the order of their numbers"
EVEN = 0.02  # relative difference of distances between slices that is even


@dataclass(frozen=True)
class Item:
    """One image or volume: the frames that make it, (file, frame), and where they lie."""

    name: str
    frames: tuple[tuple[str, int], ...]
    header: Header
    is_volume: bool = False
    step: float | None = None
    remarks: tuple[str, ...] = ()


def read(
    source: str | os.PathLike[str], *, schema: Schema | None = None, strict: bool = False, as_volumes: bool | None = None
) -> Dataset:
    """The images of DICOM files, or the volumes of their series.

    Parameters
    ----------
    source : a folder of files in any depth, or one file. Where it has a labels.csv (`file` and columns), its files are read.
    schema : of one table; a schema.toml in the folder is taken where there is none; inferred without either.
    strict : whether a file that cannot be used is an error; otherwise it is passed over and told in the table's notes.
    as_volumes : whether slices of one series are one volume, sorted by their place along the normal of their plane; a row for each
        slice or frame otherwise. None: as the schema's `size` says, and images without one.

    Raises
    ------
    DataError : no image is left; the message names the file. SchemaError : the schema does not fit.
    MissingExtraError : pydicom is not installed.
    """
    return look(source, schema=schema, strict=strict, as_volumes=as_volumes).data


def look(
    source: str | os.PathLike[str], *, schema: Schema | None = None, strict: bool = False, as_volumes: bool | None = None
) -> Look:
    """What `read` gives, and each file that was passed over with its reason."""
    dicom()
    place = Path(source)
    folder = place.parent if place.is_file() else place
    if place.is_file():
        rows = Rows(pd.DataFrame({FILE: [place.name]}, dtype=object), (FILE,))
    else:
        schema = schema if schema is not None else schema_in(place)
        rows = _rows(place, None if schema is None else schema.only)
    known = None if schema is None else schema.only
    unnamed = [one.file for one in rows.skipped if one.reason == UNNAMED]
    extra = set(unnamed)
    headers, bad = _headers(folder, [*rows.texts[FILE], *unnamed])
    if as_volumes is None:
        as_volumes = _wants_volumes(known) or _names_series(headers, extra)
    if as_volumes:
        items, lost = _labelled(_volumes(headers), rows, extra)
        skipped = (*bad, *lost, *(one for one in rows.skipped if one.reason != UNNAMED))
    else:
        items = _images([header for header in headers if header.file not in extra])
        skipped = (*bad, *rows.skipped)
    if strict:
        refuse_skipped(skipped, place)
    if not items:
        raise refuse_none(skipped, place, "DICOM image")
    texts = _texts(items, rows, known)
    by_name, kept = {item.name: item for item in items}, KeptFile()
    whole = Rows(texts, (FILE,), skipped, rows.notes)
    return gathered(
        whole, place, lambda name: _decoded(folder, by_name[name], kept), schema=known, strict=strict, what="DICOM image", known=KNOWN
    )


def _rows(folder: Path, schema: TableSchema | None) -> Rows:
    """The DICOM files of a folder, with the cells of labels.csv where it has one."""
    names, skipped = walk(folder)
    if LABELS in names:
        return rows_of(folder, lambda name: ending(name) in DICOM or (ending(name) not in NOT_DICOM and is_dicom(folder / name)), schema)
    files = [name for name in names if name not in OWN and ending(name) not in NOT_DICOM and not name.upper().endswith("DICOMDIR")]
    taken = {*files, *OWN}
    others = [name for name in names if name not in taken]
    notes = (f"{len(others):,} files are no images and were not read: {', '.join(others[:5])}.",) if others else ()
    return Rows(pd.DataFrame({FILE: files}, dtype=object), (FILE,), tuple(skipped), notes)


def _headers(folder: Path, files: Sequence[str]) -> tuple[list[Header], list[Skipped]]:
    found, bad = [], []
    for file in files:
        try:
            found.append(header_of(folder, file))
        except Unreadable as error:
            bad.append(Skipped(file, str(error)))
    return found, bad


def _wants_volumes(schema: TableSchema | None) -> bool:
    if schema is None:
        return False
    sizes = [column.image.size for column in schema if column.kind is Kind.IMAGE and column.image is not None]
    return any(size is not None and len(size) == 3 for size in sizes)


def _names_series(headers: Sequence[Header], unnamed: set[str]) -> bool:
    """Whether labels.csv names one file of each series alone, as it does for volumes."""
    named = [header.series for header in headers if header.file not in unnamed]
    left = {header.series for header in headers if header.file in unnamed}
    return bool(left) and len(named) == len(set(named)) and left <= set(named)


def _labelled(items: list[Item], rows: Rows, unnamed: set[str]) -> tuple[list[Item], list[Skipped]]:
    """The volumes of which labels.csv names a file, called by it and in its order, and the others."""
    if not unnamed:
        return items, []
    order = {file: row for row, file in enumerate(rows.texts[FILE])}
    kept, lost = [], []
    for item in items:
        named = min((order[file] for file, _ in item.frames if file in order), default=None)
        if named is None:
            lost.append(Skipped(item.name, f"belongs to no row of {LABELS}"))
        else:
            kept.append((named, replace(item, name=rows.texts[FILE][named])))
    return [item for _, item in sorted(kept, key=lambda pair: pair[0])], lost


def _images(headers: Sequence[Header]) -> list[Item]:
    """An item for each frame; a frame of several is called by its file and number, counted from 1."""
    items = []
    for header in headers:
        for frame in range(header.n_frames):
            name = header.file if header.n_frames == 1 else f"{header.file}#{frame + 1}"
            items.append(Item(name, ((header.file, frame),), header))
    return items


def _volumes(headers: Sequence[Header]) -> list[Item]:
    """An item for each series and kind of slice (size, orientation), called by its first file; and for each file of several frames."""
    items = [
        Item(header.file, tuple((header.file, frame) for frame in range(header.n_frames)), header, is_volume=True, step=header.slice_step)
        for header in headers
        if header.n_frames > 1
    ]
    groups: dict[tuple[object, ...], list[Header]] = {}
    for header in headers:
        if header.n_frames == 1:
            groups.setdefault((header.series, header.attributes.get(PATIENT), *header.like), []).append(header)
    for group in groups.values():
        ordered, step, remarks = _ordered(group)
        items.append(Item(ordered[0].file, tuple((one.file, 0) for one in ordered), ordered[0], is_volume=True, step=step, remarks=remarks))
    return sorted(items, key=lambda item: item.name)


def _ordered(group: list[Header]) -> tuple[list[Header], float | None, tuple[str, ...]]:
    """The slices of a volume in their order in space, mm between them, and what is odd about them."""
    if any(one.position is None for one in group):
        return sorted(group, key=lambda one: (one.number, one.file)), group[0].slice_step, (UNPLACED,) if len(group) > 1 else ()
    ordered = sorted(group, key=lambda one: (one.position, one.number, one.file))
    steps = np.diff([one.position for one in ordered])
    if not len(steps):
        return ordered, group[0].slice_step, ()
    step = float(np.median(steps))
    is_even = step > 0 and bool((np.abs(steps - step) <= EVEN * step + 1e-3).all())
    return ordered, round(step, 6) if step > 0 else None, () if is_even else (UNEVEN,)


def _texts(items: Sequence[Item], rows: Rows, schema: TableSchema | None) -> pd.DataFrame:
    """The cells of each item: those of labels.csv, then the attributes that any file has and labels.csv does not.

    Those that a given schema does not name are left out, and so are all of synthetic files with a labels.csv: it has the columns that the
    real table had.
    """
    labels = {file: row for row, file in enumerate(rows.texts[FILE])}
    at = [min(labels[file] for file, _ in item.frames if file in labels) for item in items]
    texts = rows.texts.iloc[at].reset_index(drop=True)
    texts[FILE] = pd.Series([item.name for item in items], dtype=object)
    present = [key for key in (PATIENT, AGE, *TEXTS, *NUMBERS) if any(key in item.header.attributes for item in items)]
    if len(texts.columns) > 1 and all(item.header.is_synthetic for item in items):
        present = []
    for keyword in present:
        if keyword not in texts and (schema is None or keyword in schema):
            cells = [item.header.attributes.get(keyword, "") for item in items]
            texts[keyword] = pd.Series(_without_gaps(cells) if keyword == PATIENT else cells, dtype=object)
    return texts


def _without_gaps(patients: list[str]) -> list[str]:
    """Patient keys, each image without one being a patient of her own."""
    return [patient or f"unknown {i + 1}" for i, patient in enumerate(patients)]


@distrusted()
def _decoded(folder: Path, item: Item, kept: KeptFile) -> Decoded:
    """The pixels of an item, from files one of which is kept open for the next item.

    Raises
    ------
    Unreadable : a file of it cannot be decoded; a volume is whole or not at all.
    """
    slices: list[Pixels] = []
    remarks, data, last = list(item.remarks), None, ""
    for file, frame in item.frames:
        if file != last:
            data, last = kept.opened(folder / file), file
            if frame_bytes(data) * len(item.frames) > MAX_DECODED_BYTES:
                raise Unreadable(f"belongs to a volume of more than {MAX_DECODED_BYTES >> 30} GiB")
        pixels, found = frame_of(data, frame)
        if slices and slices[0].shape != pixels.shape:
            raise Unreadable("belongs to a volume whose slices differ in size")
        slices.append(pixels)
        remarks += [remark for remark in found if remark not in remarks]
    spacing: tuple[float, ...] | None = item.header.spacing
    if not item.is_volume:
        return Decoded(slices[0], tuple(remarks), spacing, item.header.modality)
    dtype = np.result_type(*slices)
    whole = np.stack([one.astype(dtype, copy=False) for one in slices], axis=1)
    spacing = None if spacing is None or item.step is None else (item.step, *spacing)
    return Decoded(whole, tuple(remarks), spacing, item.header.modality)
