"""Rows that are given in part: kept columns (partially synthetic records) and imputation, through a model that conditions exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset, Marks, Table
from manikin.data.errors import DataError, ParameterError
from manikin.data.schema import Column, TableSchema
from manikin.data.seeds import derive
from manikin.workflow.budget import is_private
from manikin.workflow.models import modality_of, open_model, schema_of
from manikin.workflow.output import check_free, whole_file
from manikin.workflow.places import Place, image_format, linked_format, name_of, place_of
from manikin.workflow.sources import check_suffix, read_flat, read_like
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.wishes import check_columns

WHOLE_ROUNDS = 5  # a drawn row counts only when all its holes are filled: exact draws given what is known
PART_ROUNDS = 15  # after that, cells that were filled are kept and the rest is drawn given them
NOT_A_HOLE = "not applicable"  # a missing code of this meaning is knowledge, not a hole


KEPT = "Real cells are kept in {names}: {these} partially synthetic {what}, not {fully}."
NOT_COVERED = "The model's privacy budget does not cover {this}: it holds cells of the {what} that were given."


@dataclass(frozen=True)
class Completed:
    """A file of completed rows: how many, how many cells were filled, and how many stayed empty; `unit` is "patients" of linked tables."""

    out: Place
    n_rows: int
    n_filled: int
    n_left: int
    notices: tuple[str, ...]
    unit: str = "rows"


def complete(
    model: str | Path,
    data: str | Path,
    *,
    out: str | Path,
    keep: Sequence[str] | None = None,
    seed: int = 0,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Completed:
    """Writes the rows of `data` with their kept cells and all others drawn by the model; of linked patients a folder or database.

    Parameters
    ----------
    keep : columns that are kept; None imputes: what is there stays, what is missing is drawn. Of linked patients what they have once.

    Raises
    ------
    InputError : the model, the data or a column cannot be used. Nothing is written.
    """
    from manikin.io import tabular

    stages = Stages(watcher or Silent())
    if modality_of(model) == "records":
        return _of_patients(model, data, out, keep, seed, stages, force=force)
    path = Path(out)
    check_suffix(path)
    check_free(path, force=force, inputs=[data, model])
    with stages.stage("load", "Loading the model and the data"):
        if linked_format(data) is not None:
            raise ParameterError(
                f"The model in {model} learned no linked tables, and {name_of(data)} holds such. Give one table of them as a file, or a "
                "model that learned them."
            )
        fitted = open_model(model)
        check_flat_model(fitted)
        known = schema_of(fitted)
        if image_format(data) is not None:
            raise ParameterError(f"`manikin complete` takes one flat table, and {name_of(data)} holds images. Give their labels.csv alone.")
        rows = read_flat(Path(data), "`manikin complete`") if known is None else read_like(Path(data), known)
    with stages.stage("complete", f"Completing {len(rows):,} rows"):
        made = completed(fitted, rows, keep=keep, seed=seed, watcher=stages.watcher)
    learned = _learned_names(fitted, rows.columns)
    n_before, n_after = _count_holes(rows, learned), _count_holes(made, learned)
    if keep is None:
        stages.warn("The completed table holds real patients' cells: treat it like the data it was made from.")
        if n_after:
            stages.warn(f"{n_after:,} cells stayed empty: the model knows no value for them.")
    else:
        stages.warn(KEPT.format(names=", ".join(dict.fromkeys(keep)), these="this is a", what="table", fully="a fully synthetic one"))
    if is_private(model):
        stages.warn(NOT_COVERED.format(this="this table", what="rows"))
    with whole_file(path, force=force) as beside:
        tabular.write(made, beside)
    return Completed(path, len(made), n_before - n_after if keep is None else 0, n_after, tuple(stages.notices))


def _of_patients(
    model: str | Path, data: str | Path, out: str | Path, keep: Sequence[str] | None, seed: int, stages: Stages, *, force: bool
) -> Completed:
    """Linked patients, of whom what they have once is kept."""
    from manikin.workflow.completion_linked import complete_linked

    place, n = complete_linked(model, place_of(data), out=place_of(out), keep=keep, seed=seed, force=force, stages=stages)
    stages.warn(KEPT.format(names=", ".join(dict.fromkeys(keep or ())), these="these are", what="patients", fully="fully synthetic ones"))
    if is_private(model):
        stages.warn(NOT_COVERED.format(this="these tables", what="patients"))
    return Completed(place, n, 0, 0, tuple(stages.notices), "patients")


def check_flat_model(model: Any) -> None:
    """Refuses a model of images.

    Raises
    ------
    ParameterError : with the way out.
    """
    known = schema_of(model)
    if known is not None and known.images:
        raise ParameterError("This model learned images, and complete takes a model of one flat table. Sample it with --where instead.")


def completed(
    model: Any, data: Dataset, *, keep: Sequence[str] | None, seed: int, watcher: Watcher | None = None
) -> Dataset:
    """`len(data)` rows; see `complete`.

    Raises
    ------
    ParameterError : a column is unknown, an identifier, or the model cannot condition.
    """
    new_holes = _unknown_holes(model, data)
    if keep is None:
        if hasattr(model, "impute") and not new_holes:
            return _put_back(data, model.impute(data, seed=seed), _learned_names(model, data.columns))
        return _impute(model, data, seed, watcher or Silent())
    names = check_columns(dict.fromkeys(keep), data.columns, "--keep")
    _check_learned(names, model, data.columns)
    for name in names:
        if name in new_holes:
            raise DataError(
                f"Column {name!r} has empty cells and had none in the table that the model learned from, so they cannot be kept. "
                "Fill them, or impute instead of keeping columns."
            )
    made: Dataset = model.sample(len(data), seed=seed, conditions=data.only(names))
    return made


def _unknown_holes(model: Any, data: Dataset) -> list[str]:
    """The columns that hold a missing code which the model never saw."""
    known = schema_of(model)
    if known is None:
        return []
    return [n for n in data.table.marks if n in known and data.table.marks[n].max(initial=0) > len(known[n].missing)]


def _check_learned(names: Sequence[str], model: Any, table: TableSchema) -> None:
    for name in names:
        if name not in _learned_names(model, table):
            raise ParameterError(f"--keep names {name!r}, which the model did not learn (an identifier, a key or free text).")


def _learned_names(model: Any, table: TableSchema) -> set[str]:
    return {column.name for column in (schema_of(model) or table).learned}


def _put_back(data: Dataset, filled: Dataset, names: set[str]) -> Dataset:
    """The rows of `data` with the named columns of `filled`; what the model did not learn stays as it was."""
    frame, marks = data.table.frame.copy(), dict(data.table.marks)
    for name in names.intersection(data.columns.names):
        frame[name] = filled.table.frame[name]
        marks.pop(name, None)
        if name in filled.table.marks:
            marks[name] = filled.table.marks[name]
    return data.with_table(Table(frame, marks))


def _impute(model: Any, data: Dataset, seed: int, watcher: Watcher) -> Dataset:
    """Fills the holes pattern by pattern: rows that lack the same columns are drawn together, given what they have."""
    learned = _learned_names(model, data.columns)
    columns = [column for column in data.columns if column.name in learned]
    for turn in range(WHOLE_ROUNDS + PART_ROUNDS):
        holes = holes_of(data.table, columns)
        if not holes.any():
            break
        watcher.advance(turn / (WHOLE_ROUNDS + PART_ROUNDS), f"{int(holes.sum()):,} cells to fill")
        patterns, group = np.unique(holes, axis=0, return_inverse=True)
        filled = data.table
        for i, pattern in enumerate(patterns):
            if not pattern.any():
                continue
            rows = np.flatnonzero(group.ravel() == i)
            given = [column.name for column, is_hole in zip(columns, pattern, strict=True) if not is_hole]
            wanted = [column for column, is_hole in zip(columns, pattern, strict=True) if is_hole]
            conditions = data.take(rows).only(given) if given else None
            drawn = model.sample(len(rows), seed=derive(seed, "impute", turn, i) % 2**31, conditions=conditions)
            filled = _fill(filled, rows, drawn.table, wanted, whole=turn < WHOLE_ROUNDS)
        data = data.with_table(filled)
    return data


def holes_of(table: Table, columns: Sequence[Column]) -> npt.NDArray[np.bool_]:
    """Which cells are holes, bool (n_rows, n_columns): missing, and not because there is nothing to tell."""
    holes = np.zeros((len(table), len(columns)), dtype=bool)
    for j, column in enumerate(columns):
        mark = table.mark(column.name)
        for i, code in enumerate(column.missing, start=1):
            if code.meaning != NOT_A_HOLE:
                holes[:, j] |= mark == i
    return holes


def _fill(table: Table, rows: npt.NDArray[Any], drawn: Table, wanted: Sequence[Column], *, whole: bool) -> Table:
    """The table with drawn cells put into its holes; whole rows only, or whatever was drawn."""
    empty = holes_of(drawn, wanted)
    complete_rows = np.flatnonzero(~empty.any(axis=1))
    good = ~empty
    if whole:
        good = np.zeros_like(empty)
        good[complete_rows] = True
    frame, marks = table.frame.copy(), dict(table.marks)
    for j, column in enumerate(wanted):
        take: npt.NDArray[np.bool_] = good[:, j]
        frame[column.name] = _with_cells(frame[column.name], rows[take], drawn.frame[column.name][take])
        mark: Marks = marks[column.name].copy()
        mark[rows[take]] = drawn.mark(column.name)[take]
        marks[column.name] = mark
    return Table(frame, marks)


def _with_cells(series: pd.Series, rows: npt.NDArray[Any], cells: pd.Series) -> pd.Series:
    if isinstance(series.dtype, pd.CategoricalDtype):
        values = series.to_numpy(dtype=object).copy()
        values[rows] = cells.to_numpy(dtype=object)
        levels = list(series.cat.categories)
        new = [level for level in cells.cat.categories if level not in set(levels)]
        return pd.Series(pd.Categorical(values, categories=levels + new), index=series.index)
    values = series.to_numpy(copy=True)
    values[rows] = cells.to_numpy()
    return pd.Series(values, index=series.index)


def _count_holes(data: Dataset, names: set[str]) -> int:
    return int(holes_of(data.table, [column for column in data.columns if column.name in names]).sum())
