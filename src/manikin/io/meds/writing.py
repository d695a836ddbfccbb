"""Writes MEDS: the rows of subjects and events together, in the standard's order and types, with metadata made from them alone."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, flat
from manikin.data.errors import DataError
from manikin.data.schema import Schema
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
    with MedsWriter(target, data.schema, like=like, force=force) as writer:
        writer.append(data)
    return Path(target)


class MedsWriter:
    """Writes MEDS data in pieces of subjects, in the memory of one piece; the folder or file appears when the last one is in, and not at
    all after an error. Of all pieces it remembers which codes there were, and the split of each subject.

    Examples
    --------
    >>> with MedsWriter("synthetic", schema, like="cohort") as writer:  # doctest: +SKIP
    ...     for batch in model.sample_batches(1_000_000, seed=0):
    ...         writer.append(batch)
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        schema: Schema,
        *,
        like: str | os.PathLike[str] | None = None,
        force: bool = False,
    ) -> None:
        self.target, self.schema, self._force = Path(target), schema, force
        self._like = None if like is not None and str(like).startswith(".") and not Path(like).exists() else like  # a suffix: there is one
        self._is_file = self.target.suffix.lower() in SUFFIXES
        self._types: Any = None
        self._nulls_last = self._has_folders = False
        if self._like is not None:
            found = files_of(self._like)
            self._types, self._nulls_last = schema_of(found.shards[0]), _ends_with_statics(found.shards[0])
            self._has_folders = any(path.parent.name != "data" for path in found.shards)
        self._place, self._shards = ExitStack(), ExitStack()
        self._writers: dict[str, Any] = {}
        self._codes: set[str] = set()
        self._splits: list[pd.DataFrame] = []
        self._beside = Path()

    def __enter__(self) -> Self:
        if self._is_file:
            self._beside = self._place.enter_context(_whole_file(self.target, force=self._force))
            return self
        self._beside = self._place.enter_context(whole_folder(self.target, force=self._force, is_ours=_is_ours))
        (self._beside / "data").mkdir()
        return self

    def append(self, data: Dataset) -> None:
        """Adds the subjects of a piece, whom no earlier piece has.

        Raises
        ------
        DataError : the data are no subjects and events, a key is no whole number, a code is empty, or the columns are not those of the
            first piece.
        """
        rows = _rows(data, self._types, nulls_last=self._nulls_last)
        self._codes |= {str(code) for code in rows[CODE].unique().to_pylist()}
        subjects = data.tables[SUBJECTS].frame
        if SPLIT in subjects:
            self._splits.append(subjects.loc[subjects[SPLIT].notna(), [SUBJECT, SPLIT]].astype(object))
        if SPLIT not in subjects or not self._has_folders or self._is_file:
            self._write(rows, "")
            return
        import pyarrow as pa

        of = dict(zip(subjects[SUBJECT].astype(str), subjects[SPLIT].astype(object).where(subjects[SPLIT].notna(), "0"), strict=True))
        split = rows[SUBJECT].to_pandas().astype(str).map(of).to_numpy()
        for name in dict.fromkeys(of.values()):
            self._write(rows.take(pa.array(np.flatnonzero(split == name))), _safe(str(name)))

    def _write(self, rows: Any, shard: str) -> None:
        import pyarrow.parquet as pq

        if shard not in self._writers:
            folder = self._beside / "data" / shard
            folder.mkdir(exist_ok=True) if not self._is_file else None
            path = self._beside if self._is_file else folder / "0.parquet"
            self._writers[shard] = self._shards.enter_context(pq.ParquetWriter(path, rows.schema, compression="zstd"))
        writer = self._writers[shard]
        if rows.schema != writer.schema:
            if rows.schema.names != writer.schema.names:
                raise DataError(f"Subjects with other columns cannot be added to {self.target}. Give every piece the same schema.")
            rows = rows.cast(writer.schema)
        writer.write_table(rows, row_group_size=GROUP_ROWS)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._shards.__exit__(kind, error, trace)
            if kind is None and not self._is_file:
                (self._beside / "metadata").mkdir()
                metadata = None if self._like is None else files_of(self._like).metadata
                splits = pd.concat(self._splits, ignore_index=True) if self._splits else None
                _write_metadata(sorted(self._codes), splits, self._beside / "metadata", metadata)
        except BaseException as late:
            self._place.__exit__(type(late), late, late.__traceback__)
            raise
        self._place.__exit__(kind, error, trace)


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


@contextmanager
def _whole_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Gives a path beside a file, which takes its name when all went well."""
    if path.exists() and not (force and path.is_file()):
        raise DataError(f"{path} exists already. Choose another name, or overwrite it with --force.")
    if path.exists() and not recognises(path):
        raise DataError(f"{path} holds no MEDS data, so it is not replaced. Choose another name.")
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {path.parent}. Make it first, or choose another.")
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _safe(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\\" in name:
        raise DataError("A split's name cannot be the name of a folder. Rename it, or write without `like`.")
    return name


def _write_metadata(codes: list[str], splits: pd.DataFrame | None, folder: Path, like: Path | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    described = _descriptions(like)
    fields = pa.schema([(CODE, pa.string()), ("description", pa.string()), ("parent_codes", pa.list_(pa.string()))])
    found = [described.get(code, (None, None)) for code in codes]
    columns = [codes, [description for description, _ in found], [parents for _, parents in found]]
    pq.write_table(pa.table(columns, schema=fields), folder / CODES_FILE)
    if splits is not None:
        keys, names = pa.array(splits[SUBJECT].astype(np.int64), pa.int64()), pa.array(splits[SPLIT], pa.string())
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
