"""Tables as arrays and back, cell by cell, without pickle: for reference tables, and for generators that declare that they keep rows.

A number is float64, a time int64 microseconds (NaT as the lowest), a category int32 codes beside its levels, a text UTF-8 bytes beside
the length of each (-1 where there is none).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Table
from manikin.data.errors import ModelFolderError
from manikin.data.schema import Column, TableSchema

Arrays = dict[str, npt.NDArray[Any]]


def table_arrays(table: Table, schema: TableSchema, *, prefix: str = "") -> Arrays:
    """All cells of a table and which missing code each is, by names that begin with `prefix`."""
    out: Arrays = {}
    for j, column in enumerate(schema):
        cells, name = table.frame[column.name], f"{prefix}{j}"
        if isinstance(cells.dtype, pd.CategoricalDtype):
            out[f"{name}.codes"] = cells.cat.codes.to_numpy(dtype=np.int32)
            out |= _texts(cells.cat.categories.to_numpy(dtype=object), f"{name}.levels")
        elif column.kind.is_time:
            out[f"{name}.times"] = cells.to_numpy(dtype="datetime64[us]").view(np.int64)
        elif cells.dtype == object:
            out |= _texts(cells.to_numpy(), f"{name}.texts")
        else:
            out[f"{name}.numbers"] = cells.to_numpy(dtype=np.float64)
        if column.name in table.marks:
            out[f"{name}.marks"] = table.marks[column.name]
    return out


def table_from_arrays(arrays: Arrays, schema: TableSchema, *, prefix: str = "") -> Table:
    """The table back.

    Raises
    ------
    ModelFolderError : an array is missing or does not fit the others.
    """
    columns = {column.name: _cells(arrays, column, f"{prefix}{j}") for j, column in enumerate(schema)}
    marks = {c.name: arrays[name] for j, c in enumerate(schema) if (name := f"{prefix}{j}.marks") in arrays}
    n_rows = {len(cells) for cells in (*columns.values(), *marks.values())}
    if len(n_rows) > 1:
        raise ModelFolderError(f"The kept columns of table {schema.name!r} are not of one length. Save the model again.")
    for column in schema:
        mark = marks.get(column.name)
        if mark is not None and (mark.dtype != np.int8 or (mark < 0).any() or (mark > len(column.missing)).any()):
            raise ModelFolderError(f"The marks of column {column.name!r} name a missing code that there is not. Save the model again.")
    return Table(pd.DataFrame(columns), marks)


def _cells(arrays: Arrays, column: Column, name: str) -> Any:
    if f"{name}.codes" in arrays:
        levels: Any = pd.Index(_read(arrays, f"{name}.levels"), dtype=object)
        return pd.Categorical.from_codes(arrays[f"{name}.codes"], categories=levels)
    if f"{name}.times" in arrays:
        return arrays[f"{name}.times"].astype(np.int64).view("datetime64[us]")
    if f"{name}.numbers" in arrays:
        return arrays[f"{name}.numbers"].astype(np.float64)
    if f"{name}.texts.lengths" in arrays:
        return pd.Series(_read(arrays, f"{name}.texts"), dtype=object)
    raise ModelFolderError(f"The model does not hold the kept column {column.name!r}. Save the model again.")


def _texts(texts: npt.NDArray[np.object_], name: str) -> Arrays:
    encoded = [b"" if text is None or text != text else str(text).encode("utf-8", "surrogatepass") for text in texts]
    lengths = [-1 if text is None or text != text else len(own) for text, own in zip(texts, encoded, strict=True)]
    joined = np.frombuffer(b"".join(encoded), dtype=np.uint8).copy()
    return {f"{name}.bytes": joined, f"{name}.lengths": np.array(lengths, dtype=np.int64)}


def _read(arrays: Arrays, name: str) -> npt.NDArray[np.object_]:
    content, lengths = arrays[f"{name}.bytes"].tobytes(), arrays[f"{name}.lengths"]
    ends = np.cumsum(np.maximum(lengths, 0))
    if lengths.ndim != 1 or (lengths < -1).any() or (int(ends[-1]) if len(ends) else 0) != len(content):
        raise ModelFolderError("The kept texts are not as long as their lengths say. Save the model again.")
    starts = ends - np.maximum(lengths, 0)
    out = np.empty(len(lengths), dtype=object)
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        out[i] = None if lengths[i] < 0 else content[start:end].decode("utf-8", "surrogatepass")
    return out
