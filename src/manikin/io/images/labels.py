"""Which images a folder holds, with the cells of labels.csv or the names of its folders beside them. Opens no image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from manikin.data.errors import DataError
from manikin.data.schema import Kind, TableSchema
from manikin.io.delimited import read_texts
from manikin.io.images.files import LABELS, OWN, SHOWN, Skipped, ending, safe_name, stray, walk

FILE = "file"
LABEL = "label"
SPLIT = "split"
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test", "testing": "test"}
MAX_IMAGE_COLUMNS = 2
UNNAMED = f"is not named in {LABELS}"
ROW_1 = 2  # of a spreadsheet: the header is row 1


@dataclass(frozen=True)
class Rows:
    """The rows of a folder of images.

    Attributes
    ----------
    texts : cell texts; those of `columns` are relative paths inside the folder, empty where a row has no image.
    columns : the columns of images. skipped : files and rows passed over. notes : how the folder was read.
    """

    texts: pd.DataFrame
    columns: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def rows_of(folder: Path, is_image: Callable[[str], bool], schema: TableSchema | None = None) -> Rows:
    """The rows of a folder, by its labels.csv where it has one, else by the names of its folders.

    Parameters
    ----------
    is_image : whether a file's name is that of an image of the format.
    schema : says which columns of labels.csv hold images; without it they are `file`, and those whose cells end as images do.

    Raises
    ------
    DataError : there is no such folder, or its labels.csv cannot be used.
    """
    names, skipped = walk(folder)
    if LABELS in names:
        return _labelled(folder, names, skipped, is_image, schema)
    others = [name for name in names if not is_image(name) and name not in OWN]
    images = [name for name in names if is_image(name)]
    return Rows(by_folder(images), (FILE,), tuple(skipped), _strangers(others))


def of_files(names: Sequence[str]) -> Rows:
    """Rows of single files."""
    return Rows(pd.DataFrame({FILE: list(names)}, dtype=object), (FILE,))


def by_folder(names: Sequence[str]) -> pd.DataFrame:
    """Rows of files whose folders say their label, below folders that say their split (train, val, test) where they are so called."""
    parts = [PurePosixPath(name).parts[:-1] for name in names]
    columns: dict[str, list[str]] = {FILE: list(names)}
    if parts and all(part and part[0].lower() in SPLITS for part in parts):
        columns[SPLIT] = [SPLITS[part[0].lower()] for part in parts]
        parts = [part[1:] for part in parts]
    if len({part[:1] for part in parts}) > 1:
        columns[LABEL] = [part[0] if part else "" for part in parts]
    return pd.DataFrame(columns, dtype=object)


def _labelled(
    folder: Path, names: list[str], skipped: list[Skipped], is_image: Callable[[str], bool], schema: TableSchema | None
) -> Rows:
    where = folder / LABELS
    texts, notes = read_texts(where)
    columns = image_columns(texts, is_image, schema, where)
    root = folder.resolve()
    known = set(names)
    keep: list[int] = []
    cleaned: dict[str, list[str]] = {name: [] for name in columns}
    seen: set[tuple[str, ...]] = set()
    for row, given in enumerate(texts[list(columns)].itertuples(index=False, name=None)):
        cells = tuple("" if not cell.strip() else safe_name(cell) for cell in given)
        problem = _problem(row, given, cells, root, known, seen)
        if problem is not None:
            skipped.append(problem)
            continue
        keep.append(row)
        seen.add(tuple(str(cell) for cell in cells))
        for name, cell in zip(columns, cells, strict=True):
            cleaned[name].append(str(cell))
    kept = texts.iloc[keep].reset_index(drop=True)
    for name, found in cleaned.items():
        kept[name] = pd.Series(found, dtype=object)
    named = {cell for found in cleaned.values() for cell in found} | {one.file for one in skipped}
    unnamed = [name for name in names if is_image(name) and name not in named]
    skipped += [Skipped(name, UNNAMED) for name in unnamed]
    others = [name for name in names if not is_image(name) and name not in OWN and name not in named]
    return Rows(kept, columns, tuple(skipped), (*notes, *_strangers(others)))


def _problem(
    row: int, given: tuple[str, ...], cells: tuple[str | None, ...], root: Path, known: set[str], seen: set[tuple[str, ...]]
) -> Skipped | None:
    """Why a row of labels.csv is passed over."""
    here = f"(row {row + ROW_1} of {LABELS})"
    if not any(cell.strip() for cell in given):
        return Skipped(f"Row {row + ROW_1} of {LABELS}", "names no file")
    for cell in cells:
        if cell is None:  # whatever stands there is not quoted: it may be no path at all
            return Skipped(f"Row {row + ROW_1} of {LABELS}", "names no path inside the folder")
        if cell and cell not in known:
            reason = stray(root, root / cell) or "is hidden, or behind a link to a folder"
            return Skipped(cell, f"{reason} {here}")
    if cells in seen:
        return Skipped(" and ".join(cell for cell in cells if cell), f"is named a second time {here}")
    return None


def image_columns(
    texts: pd.DataFrame, is_image: Callable[[str], bool], schema: TableSchema | None, where: Path
) -> tuple[str, ...]:
    """The columns of labels.csv that name images.

    Raises
    ------
    DataError : none does, or more than two.
    """
    if schema is not None:
        found = [column.name for column in schema if column.kind is Kind.IMAGE and column.name in texts.columns]
    else:
        found = [str(name) for name in texts.columns if _names_images(str(name), texts[name], is_image)]
    if not found:
        raise DataError(f"{where} has no column that names images. Call it {FILE!r}, with a path inside the folder in each cell.")
    if len(found) > MAX_IMAGE_COLUMNS:
        raise DataError(
            f"{where} has {len(found)} columns of images: {', '.join(map(repr, found))}. "
            "One or two can be read: say which are by their kind in a schema, and call the others text."
        )
    return tuple(found)


def _names_images(name: str, cells: pd.Series, is_image: Callable[[str], bool]) -> bool:
    present = [cell for cell in cells if cell.strip()]
    return name.strip().lower() == FILE or (bool(present) and all(is_image(cell.strip()) for cell in present))


def _strangers(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return (f"{len(names):,} files are no images and were not read: {shown}.",)


def has_ending(*endings: str) -> Callable[[str], bool]:
    """Whether a name ends in one of these."""
    return lambda name: ending(name) in endings
