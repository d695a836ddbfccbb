"""Frames of pandas, polars and pyarrow, and Parquet files, as profiles. Knows no kinds.

Native types are kept as a column's storage and are given back so; no number makes a detour through text.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.errors import DataError
from manikin.data.schema import Storage
from manikin.io.delimited import check_names
from manikin.io.profiles import EXACT, Profile, profile_texts, profile_typed


def read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet file as a pandas frame with nullable integers and booleans.

    Raises
    ------
    DataError : the file is not Parquet, or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return arrow_to_pandas(pq.ParquetFile(path).read(), str(path))
    except FileNotFoundError:
        raise DataError(f"There is no file {path}. Check the path.") from None
    except (pa.ArrowException, OSError, ValueError):
        raise DataError(
            f"{path} is not a Parquet file, or it is damaged. Write it again, or give it the suffix of its format."
        ) from None


def to_pandas(frame: Any) -> tuple[pd.DataFrame, str]:
    """A frame of pandas, polars or pyarrow as pandas, and which of them it was.

    Raises
    ------
    DataError : it is no frame.
    """
    if isinstance(frame, pd.DataFrame):
        return frame, "pandas"
    import narwhals as nw

    try:
        wrapped = nw.from_native(frame, eager_only=True)
    except TypeError:
        raise DataError(
            f"A {type(frame).__name__} is neither a path nor a data frame of pandas, polars or pyarrow. "
            "Collect a lazy frame, or turn it into one of these."
        ) from None
    native = str(wrapped.implementation).lower()
    return arrow_to_pandas(wrapped.to_arrow(), "The frame"), native


def arrow_to_pandas(table: Any, where: str) -> pd.DataFrame:
    """An Arrow table as pandas: integers and booleans nullable, dates as times, dictionaries as plain texts."""
    import pyarrow as pa

    check_names(tuple(table.column_names), where, may_be_numbers=True)
    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get, date_as_object=False, ignore_metadata=True)
    return frame


def profiles_of_texts(texts: pd.DataFrame) -> list[Profile]:
    """Profiles of columns of texts."""
    return [profile_texts(str(name), texts[name]) for name in texts.columns]


def profiles_of_frame(frame: pd.DataFrame, where: str = "The frame", *, may_be_empty: bool = False) -> list[Profile]:
    """Profiles of a pandas frame, each column by its own type.

    Raises
    ------
    DataError : no rows, no columns, names that are double, or a column whose cells are no single values.
    """
    names = tuple(str(name) for name in frame.columns)
    if not names:
        raise DataError(f"{where} has no columns. Give a table of patients.")
    check_names(names, where, may_be_numbers=True)
    if len(frame) == 0 and not may_be_empty:
        raise DataError(f"{where} has {len(names)} columns and no rows. Give a table with at least one row.")
    return [_profile(name, frame.iloc[:, i], where) for i, name in enumerate(names)]


def _profile(name: str, series: pd.Series, where: str) -> Profile:
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype if series.notna().all() else object)
    if series.dtype == object:
        series = _settle_objects(series)
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return profile_typed(name, _with_none(series), Storage.BOOLEAN)
    if pd.api.types.is_integer_dtype(dtype):
        if series.notna().any() and max(abs(int(series.max())), abs(int(series.min()))) >= EXACT:
            return profile_texts(name, series.astype(object).map(lambda cell: "" if pd.isna(cell) else str(int(cell))))
        return profile_typed(name, series.to_numpy(dtype=float, na_value=np.nan), Storage.INTEGER)
    if pd.api.types.is_float_dtype(dtype):
        values = series.to_numpy(dtype=float, na_value=np.nan)
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0]) + 1
            raise DataError(
                f"{where}, column {name!r}, row {row} of the data is infinite. Replace it, or leave the cell empty."
            )
        return profile_typed(name, _shortest(values, dtype), Storage.REAL)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        if getattr(dtype, "tz", None) is not None:
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return profile_typed(name, series.to_numpy(dtype="datetime64[us]"), Storage.TIMESTAMP)
    if pd.api.types.is_timedelta64_dtype(dtype):
        return replace(profile_typed(name, series.dt.total_seconds().to_numpy(dtype=float), Storage.REAL), unit="s")
    return profile_texts(name, _texts(series, name, where))


def _shortest(values: np.ndarray[Any, Any], dtype: Any) -> np.ndarray[Any, Any]:
    """float32 0.1 means 0.1, not 0.10000000149: the shortest decimal that the narrow type stands for."""
    if getattr(dtype, "itemsize", 8) >= 8 or "64" in str(dtype).lower():
        return values
    unique, inverse = np.unique(values.astype(np.float32), return_inverse=True)
    return np.array([float(str(value)) for value in unique], dtype=float)[inverse]


def _settle_objects(series: pd.Series) -> pd.Series:
    """Object columns of one plain type become that type; mixed ones stay as they are."""
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred == "integer":
        try:
            return series.astype("Int64")
        except OverflowError:  # longer than 64 bits: as texts, exact
            return series
    if inferred == "boolean":
        return series.astype("boolean")
    if inferred in ("floating", "mixed-integer-float", "decimal"):
        return pd.to_numeric(series).astype(float)
    if inferred in ("date", "datetime", "datetime64"):
        times = pd.to_datetime(series, errors="coerce")
        return times if times.notna().sum() == series.notna().sum() else _far_times(series)
    if inferred in ("timedelta", "timedelta64"):
        return pd.to_timedelta(series)
    return series


def _far_times(series: pd.Series) -> pd.Series:
    """Dates outside the years 1677 to 2262 as times of a coarser unit; as they are where they have a zone."""
    cells = series.where(series.notna(), None).to_numpy(dtype=object)
    if any(getattr(cell, "tzinfo", None) is not None for cell in cells):
        return series
    try:
        return pd.Series(np.array([np.datetime64("NaT", "us") if c is None else np.datetime64(c, "us") for c in cells]), index=series.index)
    except (ValueError, TypeError):
        return series


def _with_none(series: pd.Series) -> np.ndarray[Any, Any]:
    cells = series.astype(object).to_numpy()
    cells[pd.isna(cells)] = None
    return np.asarray(cells, dtype=object)


def _texts(series: pd.Series, name: str, where: str) -> pd.Series:
    cells = series.astype(object)
    gaps = cells.isna().to_numpy() if cells.ndim == 1 else np.zeros(len(cells), dtype=bool)
    kinds = {type(cell) for cell in cells[~gaps]}
    if kinds & {list, dict, set, tuple, np.ndarray}:
        raise DataError(f"{where}, column {name!r} holds lists or records, not single values. Put one value in each cell.")
    if kinds - {str}:
        cells = cells.map(lambda cell: cell if isinstance(cell, str) else str(cell))
    cells = cells.where(~pd.Series(gaps, index=cells.index), "")
    for text in pd.unique(cells):
        if not _is_unicode(text):
            raise DataError(
                f"{where}, column {name!r} holds half of a character (a lone surrogate), which no file can hold. "
                "Read the source again in its right encoding."
            )
    return cells


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
