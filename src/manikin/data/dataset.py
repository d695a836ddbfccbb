"""Tables keyed to patients, as typed columns beside the codes of their missing cells. Knows nothing of files.

Inside, a number is float64, a time datetime64[us], a discrete level a pandas category of strings, text an object; a cell without a
value is NaN/NaT/None, and `marks` says which of the column's missing codes it holds, so that "?" and "not applicable" stay apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.errors import DataError
from manikin.data.images import Images, joined
from manikin.data.schema import Form, Role, Schema, TableSchema
from manikin.data.seeds import generator

Marks = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """One table's cells.

    Attributes
    ----------
    frame : typed columns (n_rows, n_columns), named and ordered as in the schema, index 0 … n_rows - 1.
    marks : for each column with missing cells, int8 (n_rows,): 0 where there is a value, i where the cell holds the column's
        i-th missing code (counted from 1). A column without missing cells has no entry.
    images : the images of each column of images, whose cells in `frame` are their names.
    """

    frame: pd.DataFrame
    marks: Mapping[str, Marks] = field(default_factory=dict)
    images: Mapping[str, Images] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def mark(self, name: str) -> Marks:
        """Which missing code each cell of a column holds, 0 where there is a value, int8 (n_rows,)."""
        found = self.marks.get(name)
        return np.zeros(len(self.frame), dtype=np.int8) if found is None else found

    def take(self, rows: npt.NDArray[Any]) -> Table:
        """The table of these rows (positions or a boolean mask), in this order."""
        positions = np.flatnonzero(rows) if rows.dtype == bool else rows
        frame = self.frame.iloc[positions].reset_index(drop=True)
        images = {name: one.take(positions) for name, one in self.images.items()}
        return Table(frame, {name: mark[positions] for name, mark in self.marks.items()}, images)

    def only(self, names: Sequence[str]) -> Table:
        """The table of some of its columns."""
        marks = {name: self.marks[name] for name in names if name in self.marks}
        return Table(self.frame[list(names)], marks, {name: self.images[name] for name in names if name in self.images})


@dataclass(frozen=True)
class Dataset:
    """One or several tables of the same patients, with their schema.

    A *record* is one patient with all her rows: the unit of splitting and of privacy. Without a patient key each row is a record.
    `native` names the kind of frame the user brought ("pandas", "polars", "pyarrow"), in which `to_native` gives it back.
    """

    tables: Mapping[str, Table]
    schema: Schema
    native: str = "pandas"

    def __len__(self) -> int:
        """Rows of a flat data set, patients of linked ones."""
        return self.n_records if self.is_linked else len(self.table)

    @property
    def is_linked(self) -> bool:
        """Whether it holds linked or longitudinal tables, and not one flat table."""
        return self.schema.is_linked

    @property
    def modality(self) -> str:
        """What it holds: "records" of linked tables, "images" with their labels, or a flat "table"."""
        return self.schema.modality

    @property
    def table(self) -> Table:
        """The one table of a flat data set."""
        return self.tables[self.schema.only.name]

    @property
    def columns(self) -> TableSchema:
        """The schema of the one table of a flat data set."""
        return self.schema.only

    @cached_property
    def records(self) -> npt.NDArray[np.int64]:
        """The record each row of the flat table belongs to, int64 (n_rows,), numbered 0 … n_records - 1 in order of appearance."""
        keys = self.columns.with_role(Role.PATIENT_KEY)
        if not keys:
            return np.arange(len(self.table), dtype=np.int64)
        codes, _ = pd.factorize(self.table.frame[keys[0].name], use_na_sentinel=False)
        return codes.astype(np.int64)

    @cached_property
    def owners(self) -> Mapping[str, npt.NDArray[np.int64]]:
        """The record that each row of each table of patients belongs to, int64 (n_rows,) by table; `data.links` says how it is found."""
        from manikin.data.links import owners

        return owners(self)

    @cached_property
    def n_records(self) -> int:
        """Number of patients (of rows, where there is no patient key)."""
        if self.is_linked:
            return max((int(owner.max()) + 1 for owner in self.owners.values() if len(owner)), default=0)
        return int(self.records.max()) + 1 if len(self.table) else 0

    def take(self, rows: npt.NDArray[Any]) -> Dataset:
        """The flat data set of these rows."""
        return self.with_table(self.table.take(rows))

    def subset(self, records: npt.NDArray[np.int64]) -> Dataset:
        """All rows of these records, in file order; tables of nobody stay whole."""
        if not self.is_linked:
            return self.take(np.flatnonzero(np.isin(self.records, records)))
        chosen = np.zeros(self.n_records, dtype=bool)
        chosen[records] = True
        kept = {name: self.tables[name].take(np.flatnonzero(chosen[owner])) for name, owner in self.owners.items()}
        return Dataset({name: kept.get(name, table) for name, table in self.tables.items()}, self.schema, self.native)

    def only(self, names: Sequence[str]) -> Dataset:
        """The flat data set of some of its columns, in schema order."""
        schema = self.columns.only(names)
        return Dataset({schema.name: self.table.only(schema.names)}, Schema((schema,)), self.native)

    def with_table(self, table: Table) -> Dataset:
        """A flat data set with the same schema and other rows."""
        return Dataset({self.columns.name: table}, self.schema, self.native)

    def to_pandas(self) -> pd.DataFrame:
        """The flat table in plain dtypes: whole numbers as integers, times as times, everything else as it came."""
        from manikin.data.cells import to_plain

        return to_plain(self.table, self.columns)

    def to_native(self) -> Any:
        """The flat table as the kind of frame the user brought (pandas, polars or pyarrow)."""
        frame = self.to_pandas()
        if self.native == "pandas":
            return frame
        import narwhals as nw

        arrow = nw.from_native(frame, eager_only=True).to_arrow()
        backend: Any = self.native
        return arrow if self.native == "pyarrow" else nw.from_arrow(arrow, backend=backend).to_native()

    def _repr_html_(self) -> str:
        from manikin.data.display import dataset_html

        return dataset_html(self)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {len(t)} rows x {t.frame.shape[1]} columns" for name, t in self.tables.items())
        return f"Dataset({sizes})"


def flat(table: Table, schema: TableSchema, native: str = "pandas") -> Dataset:
    """A data set of one table."""
    return Dataset({schema.name: table}, Schema((schema,)), native)


def concat(parts: Sequence[Dataset]) -> Dataset:
    """The rows of several data sets of one schema, one after the other; tables of nobody are taken from the first.

    Keys must differ between parts, as those do that a generator makes in pieces.
    """
    if not parts:
        raise DataError("There is nothing to put together: no data set was given.")
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    of_nobody = {table.name for table in first.schema.tables if table.form is Form.REFERENCE}
    tables = {
        name: table if name in of_nobody else _stacked([part.tables[name] for part in parts])
        for name, table in first.tables.items()
    }
    return Dataset(tables, first.schema, first.native)


def _stacked(parts: Sequence[Table]) -> Table:
    """The rows of several tables with the same columns."""
    names = list(parts[0].frame.columns)
    columns: dict[str, Any] = {}
    for name in names:
        series = [part.frame[name] for part in parts]
        if isinstance(series[0].dtype, pd.CategoricalDtype):
            columns[name] = pd.api.types.union_categoricals([s.array for s in series], ignore_order=True)
        else:
            columns[name] = pd.concat(series, ignore_index=True)
    marked = {name for part in parts for name in part.marks}
    marks = {name: np.concatenate([part.mark(name) for part in parts]) for name in names if name in marked}
    images = {name: joined([part.images[name] for part in parts]) for name in parts[0].images}
    return Table(pd.DataFrame(columns), marks, images)


def split(data: Dataset, *, holdout: float = 0.2, seed: int = 0, each_by_itself: bool = False) -> tuple[Dataset, Dataset]:
    """Splits by patient into train and holdout: no patient has rows on both sides.

    Parameters
    ----------
    holdout : share of the patients held out, in (0, 1).
    each_by_itself : whether a patient's side depends on herself and the seed alone, as it must under a privacy ledger. A shuffle of all
        patients deals everybody anew when one patient is added, so that the guarantee for the part that was learned from says nothing
        about the file. Here a keyed hash of her key (of the row's own cells, where there is no patient key) is read as a number in
        [0, 1), and she is held out if it lies below `holdout`: adding or removing one patient moves nobody, nor does the order of rows.
        The share is then met on average only, and rows that are alike in every cell lie on one side. What a cell is, a number or a
        text, must not matter: "1" and 1.0 are hashed alike.

    Raises
    ------
    DataError : with fewer than two patients, or where a patient's own side leaves nobody on one of the two.
    """
    if each_by_itself:
        held = held_out_by_itself(data, holdout=holdout, seed=seed)
        if data.is_linked:
            return data.subset(np.flatnonzero(~held)), data.subset(np.flatnonzero(held))
        return data.take(~held), data.take(held)
    if data.n_records < 2:
        raise DataError(f"A split needs at least 2 patients; there is {data.n_records}. Bring more rows.")
    order = generator(seed, "split").permutation(data.n_records)
    n_train = min(max(round((1 - holdout) * data.n_records), 1), data.n_records - 1)
    chosen = np.zeros(data.n_records, dtype=bool)
    chosen[order[:n_train]] = True
    if data.is_linked:
        return data.subset(np.flatnonzero(chosen)), data.subset(np.flatnonzero(~chosen))
    inside = chosen[data.records]
    return data.take(inside), data.take(~inside)


def held_out_by_itself(data: Dataset, *, holdout: float = 0.2, seed: int = 0) -> npt.NDArray[np.bool_]:
    """The rows that `split(data, each_by_itself=True)` holds out, bool (n_rows,); of linked tables the patients, bool (n_patients,).

    Raises
    ------
    DataError : nobody is left on one of the two sides.
    """
    held = (_uniform_of_keys(data, seed) if data.is_linked else _uniform_of_patients(data, seed)) < holdout
    if held.all() or not held.any():
        raise DataError("A split of so few patients leaves nobody on one side. Bring more patients, or choose another --seed.")
    return held


def _uniform_of_patients(data: Dataset, seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each row that depends on its patient and the seed alone, float64 (n_rows,)."""
    from manikin.data.cells import column_texts

    keys = data.columns.with_role(Role.PATIENT_KEY)
    digests = []
    for column in keys[:1] or data.columns:
        codes, values = pd.factorize(column_texts(data.table, column), use_na_sentinel=False)
        digests.append(np.array([_digest(_canonical(value)) for value in values], dtype=np.uint64)[codes])
    cells = np.column_stack(digests)
    key = str(seed).encode()[:64]
    numbers = [int.from_bytes(blake2b(row.tobytes(), key=key, digest_size=8).digest(), "big") for row in cells]
    return np.array(numbers, dtype=np.uint64).astype(np.float64) / 2.0**64


def _uniform_of_keys(data: Dataset, seed: int) -> npt.NDArray[np.float64]:
    """The same for each patient of linked tables, by her key, float64 (n_patients,)."""
    from manikin.data.cells import column_texts

    out, key = np.ones(data.n_records), str(seed).encode()[:64]
    for table in data.schema.of_patients:
        keys = table.with_role(Role.PATIENT_KEY)
        patients, first = np.unique(data.owners[table.name], return_index=True)
        if keys and len(patients):
            texts = column_texts(data.tables[table.name].take(first), keys[0])
            digests = [blake2b(_canonical(text).encode("utf-8", "surrogatepass"), key=key, digest_size=8).digest() for text in texts]
            out[patients] = [int.from_bytes(digest, "big") / 2.0**64 for digest in digests]
    return out


def _canonical(value: object) -> str:
    """A cell's text, the same for all ways to write one number."""
    text = str(value)
    try:
        return repr(float(text))
    except ValueError:
        return text


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def batches(n_rows: int, size: int) -> Iterator[slice]:
    """Slices that cover 0 … n_rows in steps of `size`."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))
