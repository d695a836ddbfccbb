"""Writes MEDS: the rows of subjects and events together, in the standard's order and types, with metadata made from them alone."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, flat
from manikin.data.errors import DataError
from manikin.io.arrow import to_arrow
from manikin.io.meds.form import (
    ABOUT_FILE,
    CODE,
    CODES_FILE,
    EVENTS,
    SPLIT,
    SPLITS_FILE,
    SUBJECT,
    SUBJECTS,
    SUFFIXES,
    TIME,
    VERSION,
    files_of,
    recognises,
    schema_of,
    standard_type,
)
from manikin.io.whole import whole_folder

GROUP_ROWS = 65_536


def write(
    data: Dataset, target: str | os.PathLike[str], *, like: str | os.PathLike[str] | None = None, force: bool = False
) -> Path:
    """Writes MEDS data, whole or not at all: a single file where the target ends in .parquet, else a folder with data and metadata.

    Parameters
    ----------
    like : a MEDS source whose column types, shards by split, and descriptions of codes are repeated.
    force : whether what is there may be replaced, if it is MEDS data.

    Raises
    ------
    DataError : the data are no subjects and events, a key is no whole number, a code is empty, or the target is taken.
    """
    path = Path(target)
    like = None if like is not None and str(like).startswith(".") and not Path(like).exists() else like  # a suffix: there is one only
    types = None if like is None else schema_of(files_of(like).shards[0])
    rows = _rows(data, types, nulls_last=like is not None and _ends_with_statics(files_of(like).shards[0]))
    if path.suffix.lower() in SUFFIXES:
        _write_file(rows, path, force=force)
        return path
    with whole_folder(path, force=force, is_ours=_is_ours) as beside:
        _write_shards(rows, data, beside, like)
        (beside / "metadata").mkdir()
        _write_metadata(rows, data, beside / "metadata", None if like is None else files_of(like).metadata)
    return path


def _is_ours(path: Path) -> bool:
    return path.is_dir() and path.name in ("data", "metadata")


def _rows(data: Dataset, types: Any, *, nulls_last: bool) -> Any:
    """All rows as one Arrow table, subject by subject, by time."""
    import pyarrow as pa

    if {table.name for table in data.schema.tables} != {SUBJECTS, EVENTS} or CODE not in data.schema[EVENTS]:
        what = f"MEDS has the tables {SUBJECTS!r} and {EVENTS!r}, the latter with {CODE!r}"
        raise DataError(f"{what}; these data have others. Use another format.")
    known, events = data.schema[EVENTS], data.tables[EVENTS]
    timed = to_arrow(flat(events, _alone(known)))
    fixed = _static_rows(data, timed.schema)
    whole = pa.concat_tables([fixed, timed])
    order = _order(data, whole, len(fixed), nulls_last=nulls_last)
    whole = whole.take(pa.array(order)).combine_chunks()
    if whole[CODE].null_count:
        raise DataError(f"Column {CODE!r} of {EVENTS!r} has empty cells, which MEDS does not allow. Take these rows out.")
    fields = []
    for field in whole.schema:
        kind = types.field(field.name).type if types is not None and field.name in types.names else standard_type(field.name)
        fields.append(field if kind is None else pa.field(field.name, kind))
    try:
        return whole.cast(pa.schema(fields), safe=False)  # a number of 64 bits becomes one of 32, as the standard has it
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        what = f"{SUBJECT!r} must be a whole number of 64 bits"
        raise DataError(f"The data do not fit the types of MEDS: {what}. Number the subjects.") from None


def _alone(known: Any) -> Any:
    return replace(known, form=None, primary_key=(), foreign_keys=(), start=None, end=None)


def _static_rows(data: Dataset, schema: Any) -> Any:
    """The rows that the columns of the subjects stand for."""
    import pyarrow as pa

    table, known = data.tables[SUBJECTS], data.schema[SUBJECTS]
    keys = to_arrow(flat(table.only([SUBJECT]), _alone(known.only([SUBJECT]))))[SUBJECT]
    parts = []
    for column in known:
        if column.name in (SUBJECT, SPLIT):
            continue
        cells = table.frame[column.name]
        rows = np.flatnonzero(cells.notna().to_numpy())
        if column.kind.is_time:
            codes = pa.array([column.name] * len(rows), pa.string())
            times = pa.array(cells.to_numpy(dtype="datetime64[us]")[rows], pa.timestamp("us"))
        else:
            codes = pa.array([str(code) for code in cells.iloc[rows]], pa.string())
            times = pa.nulls(len(rows), pa.timestamp("us"))
        made = {SUBJECT: keys.take(pa.array(rows)), TIME: times, CODE: codes}
        parts.append(pa.table([made.get(f.name, pa.nulls(len(rows), f.type)) for f in schema], names=schema.names).cast(schema))
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _order(data: Dataset, whole: Any, n_fixed: int, *, nulls_last: bool) -> Any:
    """Positions of the rows by subject (in the order of the subjects), then time; birth before and death behind what has the same time."""
    keys = pd.Index(data.tables[SUBJECTS].frame[SUBJECT].astype(object))
    subjects = keys.get_indexer(pd.Index(whole[SUBJECT].to_pandas().astype(str)))
    if (subjects < 0).any():
        raise DataError(f"A row of {EVENTS!r} names a subject that is not in {SUBJECTS!r}. Add the subject, or take its events out.")
    times = whole[TIME].to_numpy().astype("datetime64[us]")
    moments = np.where(np.isnat(times), np.iinfo(np.int64).max if nulls_last else np.iinfo(np.int64).min, times.astype(np.int64))
    tie = np.zeros(len(times), dtype=np.int64)
    is_death = np.asarray(whole[CODE].slice(0, n_fixed).to_pandas() == "MEDS_DEATH", dtype=bool)
    tie[:n_fixed] = np.where(is_death, 1, -1)
    return np.lexsort((tie, moments, subjects))


def _ends_with_statics(path: Path) -> bool:
    """Whether a file has the rows without a time behind the others of their subject."""
    import pyarrow.parquet as pq

    frame = pq.read_table(path, columns=[SUBJECT, TIME]).to_pandas()
    is_static = frame[TIME].isna().to_numpy()
    if not is_static.any():
        return False
    of = frame[SUBJECT].to_numpy()
    first = of[np.flatnonzero(is_static)[0]]
    return not bool(is_static[np.flatnonzero(of == first)[0]])


def _write_file(rows: Any, path: Path, *, force: bool) -> None:
    import pyarrow.parquet as pq

    if path.exists() and not (force and path.is_file()):
        raise DataError(f"{path} exists already. Choose another name, or overwrite it with --force.")
    if path.exists() and not recognises(path):
        raise DataError(f"{path} holds no MEDS data, so it is not replaced. Choose another name.")
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {path.parent}. Make it first, or choose another.")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        pq.write_table(rows, beside, compression="zstd", row_group_size=GROUP_ROWS)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _write_shards(rows: Any, data: Dataset, folder: Path, like: str | os.PathLike[str] | None) -> None:
    """One file of all subjects, or one for each split where the source had them so."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "data").mkdir()
    subjects = data.tables[SUBJECTS].frame
    has_folders = like is not None and any(path.parent.name != "data" for path in files_of(like).shards)
    if SPLIT not in subjects or not has_folders:
        pq.write_table(rows, folder / "data" / "0.parquet", compression="zstd", row_group_size=GROUP_ROWS)
        return
    of = dict(zip(subjects[SUBJECT].astype(str), subjects[SPLIT].astype(object).where(subjects[SPLIT].notna(), "0"), strict=True))
    split = rows[SUBJECT].to_pandas().astype(str).map(of).to_numpy()
    for name in dict.fromkeys(of.values()):
        place = folder / "data" / _safe(str(name))
        place.mkdir()
        part = rows.take(pa.array(np.flatnonzero(split == name)))
        pq.write_table(part, place / "0.parquet", compression="zstd", row_group_size=GROUP_ROWS)


def _safe(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\\" in name:
        raise DataError("A split's name cannot be the name of a folder. Rename it, or write without `like`.")
    return name


def _write_metadata(rows: Any, data: Dataset, folder: Path, like: Path | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    codes = sorted(str(code) for code in rows[CODE].unique().to_pylist())
    described = _descriptions(like)
    fields = pa.schema([(CODE, pa.string()), ("description", pa.string()), ("parent_codes", pa.list_(pa.string()))])
    found = [described.get(code, (None, None)) for code in codes]
    columns = [codes, [description for description, _ in found], [parents for _, parents in found]]
    pq.write_table(pa.table(columns, schema=fields), folder / CODES_FILE)
    subjects = data.tables[SUBJECTS].frame
    if SPLIT in subjects:
        told = subjects[subjects[SPLIT].notna()]
        keys, names = pa.array(told[SUBJECT].astype(np.int64), pa.int64()), pa.array(told[SPLIT].astype(object), pa.string())
        of = pa.table([keys, names], names=[SUBJECT, SPLIT])
        pq.write_table(of, folder / SPLITS_FILE)
    about = {"meds_version": VERSION, "etl_name": "manikin", "etl_version": _version()}
    (folder / ABOUT_FILE).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _descriptions(metadata: Path | None) -> dict[str, tuple[str | None, list[str] | None]]:
    """What a source's metadata say of codes: description and parents."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = None if metadata is None else metadata / CODES_FILE
    if path is None or not path.is_file():
        return {}
    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError, ValueError):
        raise DataError(f"{path} is not a Parquet file, or it is damaged. Write it again, or take it away.") from None
    return {row[CODE]: (row.get("description"), row.get("parent_codes")) for row in rows if row.get(CODE) is not None}


def _version() -> str:
    try:
        return version("manikin")
    except PackageNotFoundError:
        return "unknown"
