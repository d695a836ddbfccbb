"""Reads each image of some rows once, passes over those that cannot be read, and puts images and cells into a data set. Knows no format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.images import NONE, ArraySource, Images, ImageSource
from manikin.data.schema import EMPTY, Column, Kind, Schema, TableSchema
from manikin.io.frames import profiles_of_texts
from manikin.io.images.files import Skipped, Unreadable, refuse_none, refuse_skipped, told
from manikin.io.images.forms import Facts, as_declared, facts_of, form_of
from manikin.io.images.labels import Rows
from manikin.io.images.sources import Channelled, LazySource, Pixels
from manikin.io.inference import infer_from_profiles
from manikin.io.tabular import refuse_strangers
from manikin.io.typed import table_of

Known = Mapping[str, Callable[[Column], Column]]  # what is known of columns by their names


@dataclass(frozen=True)
class Look:
    """What was read, and the files that were passed over, each with its reason."""

    data: Dataset
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class Decoded:
    """One image as it was read: its pixels (channels, *size), what was left out of it, and what its file says of it."""

    pixels: Pixels
    remarks: tuple[str, ...] = ()
    spacing: tuple[float, ...] | None = None
    modality: str | None = None


def gathered(
    rows: Rows,
    where: Path,
    decode: Callable[[str], Decoded],
    *,
    schema: TableSchema | None,
    strict: bool,
    what: str = "image",
    known: Known | None = None,
) -> Look:
    """The data set of rows, each of whose images is read once.

    Parameters
    ----------
    decode : the image of a cell of the rows' image columns; raises Unreadable.
    strict : whether a file that cannot be used is an error. what : an image of the format in words.
    known : as `assembled` takes it.

    Raises
    ------
    DataError : no image is left, or a file was passed over and `strict` is set; a cell does not fit the schema.
    SchemaError : the schema does not fit.
    """
    files = list(dict.fromkeys(cell for name in rows.columns for cell in rows.texts[name] if cell))
    facts, remarks, source, bad = _read_once(files, decode, where)
    skipped = (*bad, *rows.skipped)
    if strict:
        refuse_skipped(skipped, where)
    if not facts:
        raise refuse_none(skipped, where, what)
    bad_files = {one.file for one in bad}
    lost = rows.texts[list(rows.columns)].isin(bad_files).any(axis=1).to_numpy()
    texts = rows.texts[~lost].reset_index(drop=True)
    if not len(texts):
        raise refuse_none(skipped, where, what)
    notes = (*rows.notes, *told(skipped, len(files) - len(bad)), *_remarks(remarks))
    places = {source.items[i]: i for i in range(len(source))}
    parts = {name: _column(name, texts[name], source, places, facts) for name in rows.columns}
    data = assembled(name_of(where), texts, parts, schema=schema, notes=notes, where=str(where), known=known)
    return Look(data, skipped)


def _read_once(
    files: Sequence[str], decode: Callable[[str], Decoded], where: Path
) -> tuple[list[Facts], Counter[str], LazySource[str], list[Skipped]]:
    """The facts of each image that can be read, what was left out of how many, and the source that holds them."""
    source: LazySource[str] = LazySource([], lambda file: decode(file).pixels, lambda file: str(where / file if where.is_dir() else where))
    facts: list[Facts] = []
    remarks: Counter[str] = Counter()
    bad: list[Skipped] = []
    for file in files:
        try:
            one = decode(file)
        except Unreadable as error:
            bad.append(Skipped(file, str(error)))
            continue
        remarks.update(one.remarks)
        facts.append(facts_of(one.pixels, one.spacing, one.modality))
        source.items.append(file)
        source.keep(len(source.items) - 1, one.pixels)
    return facts, remarks, source, bad


def _remarks(remarks: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{n:,} {'images have' if n > 1 else 'image has'} {remark}." for remark, n in sorted(remarks.items()))


@dataclass(frozen=True)
class ImageCells:
    """One column of images: what its cells are called, the images themselves, and what they have in common."""

    images: Images
    column: Column


def _column(name: str, cells: pd.Series, source: ImageSource, places: Mapping[str, int], facts: Sequence[Facts]) -> ImageCells:
    at = np.array([places[cell] if cell else NONE for cell in cells], dtype=np.int64)
    form = form_of([facts[i] for i in np.unique(at[at != NONE])])
    missing = (EMPTY,) if (at == NONE).any() else ()
    return ImageCells(Images(source, at), Column(name, Kind.IMAGE, image=form, missing=missing))


def name_of(where: Path) -> str:
    """The name of the table that a folder or file holds."""
    return where.resolve().name.split(".")[0] or "images"


def assembled(
    name: str,
    texts: pd.DataFrame,
    images: Mapping[str, ImageCells],
    *,
    schema: TableSchema | None = None,
    notes: tuple[str, ...] = (),
    where: str = "The images",
    known: Known | None = None,
) -> Dataset:
    """The data set of cell texts and columns of images.

    Parameters
    ----------
    texts : all columns in their order, those of images with the names of the images, "" where a row has none.
    known : what a format knows of columns that it names itself, by name; it is left alone where a schema is given.

    Raises
    ------
    DataError, SchemaError : a cell or a column does not fit the schema.
    """
    others = [str(column) for column in texts.columns if column not in images]
    profiles = profiles_of_texts(texts[others])
    if schema is None:
        described = _inferred(name, profiles, notes, known or {})
        columns = {column.name: column for column in described} | {key: part.column for key, part in images.items()}
        whole = replace(described, columns=tuple(columns[str(column)] for column in texts.columns))
    else:
        refuse_strangers([str(column) for column in texts.columns], schema, where)
        whole = schema
        for key, part in images.items():
            found = replace(schema[key], missing=schema[key].missing or part.column.missing)
            whole = whole.replace_column(as_declared(found, part.column.image or form_of([]), where))
        described = whole.only(others)
    rest = table_of(profiles, described, where) if others else Table(pd.DataFrame(index=pd.RangeIndex(len(texts))))
    frame = {column.name: _cells(column, texts, images, rest) for column in whole}
    marks = dict(rest.marks) | {key: _mark(part) for key, part in images.items() if not part.images.present.all()}
    pictures = {key: _as_form(part.images, whole[key]) for key, part in images.items()}
    return Dataset({whole.name: Table(pd.DataFrame(frame), marks, pictures)}, Schema((whole,)))


def _inferred(name: str, profiles: list[Any], notes: tuple[str, ...], known: Known) -> TableSchema:
    if not profiles:
        return TableSchema(name, (), notes=notes)
    found = infer_from_profiles(profiles, name, notes)[0].only
    columns = tuple(known[column.name](column) if column.name in known else column for column in found)
    return replace(found, columns=columns)


def _cells(column: Column, texts: pd.DataFrame, images: Mapping[str, ImageCells], rest: Table) -> Any:
    if column.name not in images:
        return rest.frame[column.name]
    cells = texts[column.name].to_numpy(dtype=object).copy()
    cells[~images[column.name].images.present] = None
    return pd.Series(cells, dtype=object)


def _mark(part: ImageCells) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    return (~part.images.present).astype(np.int8)


def _as_form(images: Images, column: Column) -> Images:
    channels = 1 if column.image is None else column.image.channels
    if isinstance(images.source, ArraySource) and images.source.pixels.shape[1] == channels:
        return images
    return Images(Channelled(images.source, channels), images.places)
