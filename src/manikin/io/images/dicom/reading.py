"""Files of DICOM as rows: an image each, or a volume for each series, with attributes of their headers as columns."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from manikin.io.images.dicom.items import Item, images_of, volumes_of, without_gaps
from manikin.io.images.dicom.kept import KeptFile
from manikin.io.images.dicom.pairs import paired
from manikin.io.images.dicom.pixels import frame_of
from manikin.io.images.files import LABELS, OWN, Skipped, Unreadable, ending, refuse_none, refuse_skipped, walk
from manikin.io.images.gathering import Decoded, Look, gathered
from manikin.io.images.labels import FILE, UNNAMED, Rows, rows_of
from manikin.io.images.pictures import schema_in
from manikin.io.images.recognition import DICOM, is_dicom
from manikin.io.images.sources import Pixels

NOT_DICOM = (".csv", ".toml", ".json", ".txt", ".md", ".pdf", ".xml", ".html")


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
    named = dict.fromkeys(cell for name in rows.columns for cell in rows.texts[name] if cell)
    headers, bad = headers_of(folder, [*named, *unnamed])
    if as_volumes is None:
        as_volumes = _wants_volumes(known) or _names_series(headers, extra)
    if len(rows.columns) > 1:
        texts, by_name, odd = paired(headers, rows, as_volumes=as_volumes, schema=known)
        others = [one for one in rows.skipped if not (as_volumes and one.reason == UNNAMED)]
        skipped: tuple[Skipped, ...] = (*bad, *odd, *others)
        return _gathered(place, folder, Rows(texts, rows.columns, skipped, rows.notes), by_name, known, strict=strict)
    if as_volumes:
        items, lost = _labelled(volumes_of(headers), rows, extra)
        skipped = (*bad, *lost, *(one for one in rows.skipped if one.reason != UNNAMED))
    else:
        items = images_of([header for header in headers if header.file not in extra])
        skipped = (*bad, *rows.skipped)
    texts = _texts(items, rows, known) if items else rows.texts.iloc[:0]
    whole = Rows(texts, rows.columns, skipped, rows.notes)
    return _gathered(place, folder, whole, {item.name: item for item in items}, known, strict=strict)


def _gathered(place: Path, folder: Path, rows: Rows, items: Mapping[str, Item], known: TableSchema | None, *, strict: bool) -> Look:
    """The data set of rows whose image columns name items."""
    if strict:
        refuse_skipped(rows.skipped, place)
    if not len(rows.texts):
        raise refuse_none(rows.skipped, place, "DICOM image")
    kept = KeptFile()
    return gathered(
        rows, place, lambda name: _decoded(folder, items[name], kept), schema=known, strict=strict, what="DICOM image", known=KNOWN
    )


def _rows(folder: Path, schema: TableSchema | None) -> Rows:
    """The DICOM files of a folder, with the cells of labels.csv where it has one."""
    names, skipped = walk(folder)
    if LABELS in names:
        return rows_of(folder, lambda name: ending(name) in DICOM or (ending(name) not in NOT_DICOM and is_dicom(folder / name)), schema)
    files = _no_others(names)
    taken = {*files, *OWN}
    others = [name for name in names if name not in taken]
    notes = (f"{len(others):,} files are no images and were not read: {', '.join(others[:5])}.",) if others else ()
    return Rows(pd.DataFrame({FILE: files}, dtype=object), (FILE,), tuple(skipped), notes)


def files_in(folder: Path) -> list[str]:
    """The files of a folder that may be DICOM images, whatever its labels.csv says."""
    return _no_others(walk(folder)[0])


def _no_others(names: Sequence[str]) -> list[str]:
    return [name for name in names if name not in OWN and ending(name) not in NOT_DICOM and not name.upper().endswith("DICOMDIR")]


def headers_of(folder: Path, files: Sequence[str]) -> tuple[list[Header], list[Skipped]]:
    """The headers of files, and those that have none that can be read."""
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
    (column,) = rows.columns
    order = {file: row for row, file in enumerate(rows.texts[column])}
    kept, lost = [], []
    for item in items:
        named = min((order[file] for file, _ in item.frames if file in order), default=None)
        if named is None:
            lost.append(Skipped(item.name, f"belongs to no row of {LABELS}"))
        else:
            kept.append((named, replace(item, name=rows.texts[column][named])))
    return [item for _, item in sorted(kept, key=lambda pair: pair[0])], lost


def _texts(items: Sequence[Item], rows: Rows, schema: TableSchema | None) -> pd.DataFrame:
    """The cells of each item: those of labels.csv, then the attributes that any file has and labels.csv does not.

    Those that a given schema does not name are left out, and so are all of synthetic files with a labels.csv: it has the columns that the
    real table had.
    """
    (column,) = rows.columns
    labels = {file: row for row, file in enumerate(rows.texts[column])}
    at = [min(labels[file] for file, _ in item.frames if file in labels) for item in items]
    texts = rows.texts.iloc[at].reset_index(drop=True)
    texts[column] = pd.Series([item.name for item in items], dtype=object)
    present = [key for key in (PATIENT, AGE, *TEXTS, *NUMBERS) if any(key in item.header.attributes for item in items)]
    if len(texts.columns) > 1 and all(item.header.is_synthetic for item in items):
        present = []
    for keyword in present:
        if keyword not in texts and (schema is None or keyword in schema):
            cells = [item.header.attributes.get(keyword, "") for item in items]
            texts[keyword] = pd.Series(without_gaps(cells) if keyword == PATIENT else cells, dtype=object)
    return texts


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
