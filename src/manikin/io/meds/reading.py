"""Reads MEDS: events in time as one table, and what never changes in a subject as another. Knows no models."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import categories
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import (
    EMPTY,
    Column,
    ForeignKey,
    Form,
    Kind,
    Role,
    Schema,
    Source,
    Sources,
    Storage,
    TableSchema,
)
from manikin.io.frames import arrow_to_pandas, profiles_of_frame
from manikin.io.kinds import describe
from manikin.io.meds.form import (
    BIRTH,
    CODE,
    DEATH,
    EVENTS,
    NUMBER,
    PLAIN_NUMBER,
    SPLIT,
    SPLITS_FILE,
    SUBJECT,
    SUBJECTS,
    TIME,
    files_of,
)
from manikin.io.meds.statics import Statics, statics_like, statics_of
from manikin.io.profiles import profile_texts
from manikin.io.typed import table_of

DECLARED = Sources(kind=Source.DECLARED)
CODE_SYSTEM = "MEDS"


@dataclass(frozen=True)
class Rows:
    """The rows of a source, subject by subject in order of time, those without a time first; `notes` say what had to be done for it."""

    frame: pd.DataFrame
    notes: tuple[str, ...]


def read(source: str | os.PathLike[str], *, schema: Schema | None = None) -> Dataset:
    """The linked data set of a MEDS folder, or of one Parquet file of events.

    Parameters
    ----------
    schema : of a data set that was read before; this one is read alike.

    Raises
    ------
    DataError : no such data, a column is absent, or a row has no subject or no code.
    SchemaError : the schema does not fit.

    Notes
    -----
    Two tables: `subjects`, with birth, death and every kind of code that a subject has at most once and without a time (as one column
    named by the code's first part), and `events`, everything else. Of metadata the splits are read (column `split`), the codes are
    not: they list what real patients have, and are made again when data are written.
    """
    files = files_of(source)
    rows = _rows(files.shards, str(source))
    where = str(source)
    if schema is None:
        statics = statics_of(rows.frame)
        return _with_splits(_dataset(rows, statics, where), files.metadata)
    data = _by_schema(rows, schema, where)
    return _with_splits(data, files.metadata, known=schema)


def _rows(shards: tuple[Path, ...], where: str) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        tables = [_plain(pq.ParquetFile(path).read()) for path in shards]
        whole = tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowException, OSError, ValueError):
        raise DataError(f"{where} cannot be read: a file of it is no Parquet, is damaged, or has other columns. Write it again.") from None
    absent = [name for name in (SUBJECT, TIME, CODE) if name not in whole.column_names]
    if absent:
        raise DataError(f"{where} has no column {absent[0]!r}, which MEDS data have. Rename the column that holds it.")
    frame = arrow_to_pandas(whole, where)
    if not pd.api.types.is_integer_dtype(frame[SUBJECT].dtype):
        raise DataError(f"{where}, column {SUBJECT!r} holds no whole numbers, as MEDS asks for. Number the subjects.")
    if not pd.api.types.is_datetime64_any_dtype(frame[TIME].dtype) and frame[TIME].notna().any():
        raise DataError(f"{where}, column {TIME!r} holds no times. Write them as timestamps.")
    for name in (SUBJECT, CODE):
        lost = np.flatnonzero(frame[name].isna().to_numpy())
        if len(lost):
            raise DataError(f"{where}, column {name!r}, row {lost[0] + 1}: the cell is empty ({len(lost):,} are). Take such rows out.")
    return _in_order(frame, [len(table) for table in tables])


def _plain(table: Any) -> Any:
    """The table with its dictionaries of texts unpacked where shards may have others."""
    import pyarrow as pa

    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) and field.name != CODE else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _in_order(frame: pd.DataFrame, sizes: list[int]) -> Rows:
    """The rows by subject in order of appearance, then by time; what stood otherwise is said."""
    notes: tuple[str, ...] = ()
    subjects = pd.factorize(frame[SUBJECT])[0]
    shard = np.repeat(np.arange(len(sizes)), sizes)
    firsts = pd.Series(shard).groupby(subjects).agg(["min", "max"])
    if (firsts["min"] != firsts["max"]).any():
        notes += (f"{int((firsts['min'] != firsts['max']).sum()):,} subjects stand in more than one file, which MEDS forbids.",)
    times = frame[TIME].to_numpy(dtype="datetime64[us]")
    is_static = np.isnat(times)
    order = np.lexsort((np.where(is_static, np.iinfo(np.int64).min, times.astype(np.int64)), subjects))
    timed, sorted_timed = np.flatnonzero(~is_static), order[~is_static[order]]
    if (timed != sorted_timed).any():
        notes += ("The rows were not in order of subject and time, as MEDS asks for; they were put in order.",)
    return Rows(frame.iloc[order].reset_index(drop=True), notes)


def _dataset(rows: Rows, statics: Statics, where: str, *, known: TableSchema | None = None) -> Dataset:
    frame = rows.frame
    names = list(dict.fromkeys(frame[SUBJECT].tolist()))
    keys = pd.Series([str(name) for name in names], dtype=object)
    subjects = _subjects(statics, keys)
    events = frame[~statics.taken].reset_index(drop=True)
    columns = {SUBJECT: _keys(events[SUBJECT], names, keys), TIME: events[TIME].to_numpy(dtype="datetime64[us]")}
    described, table = _described(events, where, known)
    typed = pd.DataFrame({**columns, **{name: table.frame[name] for name in described}}, index=pd.RangeIndex(len(events)))
    has_gaps = bool(typed[TIME].isna().any())
    time = _time_column(TIME, typed[TIME], has_gaps=has_gaps)
    marks = dict(table.marks)
    if has_gaps:
        marks[TIME] = typed[TIME].isna().to_numpy().astype(np.int8)
    key = Column(SUBJECT, Kind.IDENTIFIER, Storage.INTEGER, (Role.PATIENT_KEY,), missing=(), source=DECLARED)
    notes = rows.notes
    if has_gaps:
        notes += (f"{int(typed[TIME].isna().sum()):,} events have no time and are no columns of {SUBJECTS!r}, since some recur.",)
    schema = TableSchema(
        EVENTS,
        tuple({SUBJECT: key, TIME: time}.get(name) or described[name] for name in frame.columns),
        notes=notes,
        form=Form.EVENTS,
        foreign_keys=(ForeignKey((SUBJECT,), SUBJECTS, (SUBJECT,)),),
        start=TIME,
    )
    made = Table(typed[schema.names], marks)
    return Dataset({SUBJECTS: subjects[0], EVENTS: made}, Schema((subjects[1], schema)))


def _keys(cells: pd.Series, names: list[int], keys: pd.Series) -> npt.NDArray[np.object_]:
    """The subjects' numbers as texts, each made once."""
    places = pd.Index(names).get_indexer(pd.Index(cells))
    return keys.to_numpy(dtype=object)[places]


def _described(events: pd.DataFrame, where: str, known: TableSchema | None) -> tuple[dict[str, Column], Table]:
    """The columns beside subject and time: the code, the numbers that it measures, and what else a site adds."""
    others = events.drop(columns=[SUBJECT, TIME])
    if not len(events):
        profiles = [profile_texts(name, pd.Series([], dtype=object)) for name in others.columns]
    else:
        profiles = profiles_of_frame(others, where)
    columns = {}
    for profile in profiles:
        if known is not None:
            columns[profile.name] = known[profile.name]
        elif profile.name == CODE:
            columns[CODE] = Column(CODE, Kind.CODE, code_system=CODE_SYSTEM, missing=(), source=DECLARED)
        elif profile.name in (NUMBER, PLAIN_NUMBER):
            columns[profile.name] = _number(profile)
        else:
            columns[profile.name] = describe(profile) if len(events) else Column(profile.name, Kind.CATEGORICAL, missing=())
    table = table_of(profiles, TableSchema(EVENTS, tuple(columns.values())), where) if profiles else Table(pd.DataFrame())
    return columns, table


def _number(profile: Any) -> Column:
    from manikin.io import resolution

    values = np.unique(profile.numbers[~np.isnan(profile.numbers)])
    missing = (EMPTY,) if profile.n_present < profile.n_rows or not len(values) else ()
    if not len(values):
        return Column(profile.name, Kind.CATEGORICAL, Storage.REAL, levels=(), missing=missing, source=DECLARED)
    return Column(
        profile.name,
        Kind.CONTINUOUS,
        Storage.REAL,
        minimum=float(values[0]),
        maximum=float(values[-1]),
        decimals=resolution.decimals_of(values),
        by=CODE,
        missing=missing,
        source=DECLARED,
    )


def _time_column(name: str, times: Any, *, has_gaps: bool, roles: tuple[Role, ...] = ()) -> Column:
    cells = np.asarray(times, dtype="datetime64[us]")
    present = cells[~np.isnat(cells)]
    has_clock = bool((present != present.astype("datetime64[D]")).any())
    return Column(
        name,
        Kind.DATETIME if has_clock else Kind.DATE,
        Storage.TIMESTAMP,
        roles,
        minimum=str(present.min()) if len(present) else None,
        maximum=str(present.max()) if len(present) else None,
        missing=(EMPTY,) if has_gaps else (),
        source=DECLARED,
    )


def _subjects(statics: Statics, keys: pd.Series) -> tuple[Table, TableSchema]:
    key = Column(SUBJECT, Kind.IDENTIFIER, Storage.INTEGER, (Role.PATIENT_KEY,), missing=(), source=DECLARED)
    columns, cells, marks = [key], {SUBJECT: keys}, {}
    for name, values in statics.columns.items():
        gaps = values.isna().to_numpy()
        missing = (EMPTY,) if gaps.any() else ()
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            roles = {BIRTH: (Role.BIRTH, Role.QUASI_IDENTIFIER), DEATH: (Role.DEATH,)}.get(name, ())
            columns.append(_time_column(name, values, has_gaps=bool(gaps.any()), roles=roles))
            cells[name] = values.astype("datetime64[us]")
        else:
            levels = sorted(values.dropna().unique())
            columns.append(Column(name, Kind.CATEGORICAL, levels=tuple(levels), missing=missing))
            cells[name] = pd.Series(pd.Categorical(values, categories=levels))
        if gaps.any():
            marks[name] = gaps.astype(np.int8)
    schema = TableSchema(SUBJECTS, tuple(columns), form=Form.STATIC, primary_key=(SUBJECT,))
    return Table(pd.DataFrame(cells, index=pd.RangeIndex(len(keys))), marks), schema


def _with_splits(data: Dataset, metadata: Path | None, *, known: Schema | None = None) -> Dataset:
    """The data set whose subjects know their split, where the metadata tell it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = None if metadata is None else metadata / SPLITS_FILE
    is_asked = known is None or SPLIT in known[SUBJECTS]
    if path is None or not path.is_file() or not is_asked:
        if known is not None and SPLIT in known[SUBJECTS]:
            raise SchemaError(f"The schema names {SPLIT!r} of {SUBJECTS!r}, and the source has no metadata/{SPLITS_FILE}. Add it.")
        return data
    try:
        splits = pq.read_table(path, columns=[SUBJECT, SPLIT]).to_pandas()
    except (pa.ArrowException, OSError, ValueError, KeyError):
        raise DataError(f"{path} is no Parquet of {SUBJECT!r} and {SPLIT!r}. Write it again, or take it away.") from None
    table, schema = data.tables[SUBJECTS], data.schema[SUBJECTS]
    of = dict(zip(splits[SUBJECT].astype(str), splits[SPLIT], strict=True))
    values = table.frame[SUBJECT].map(of)
    gaps = values.isna().to_numpy()
    levels = sorted(values.dropna().unique())
    if known is not None:
        column = known[SUBJECTS][SPLIT]
        levels = [*(column.levels or ()), *(level for level in levels if level not in (column.levels or ()))]
    else:
        column = Column(SPLIT, Kind.CATEGORICAL, levels=tuple(levels), missing=(EMPTY,) if gaps.any() else ())
        schema = replace(schema, columns=(*schema.columns, column))
    frame = table.frame.assign(**{SPLIT: pd.Categorical(values, categories=levels)})[schema.names]
    marks = {**table.marks, **({SPLIT: gaps.astype(np.int8)} if gaps.any() else {})}
    return Dataset({**data.tables, SUBJECTS: Table(frame, marks)}, Schema((schema, data.schema[EVENTS])))


def _by_schema(rows: Rows, schema: Schema, where: str) -> Dataset:
    """The same columns as the schema has; what it makes a column of the subjects must be one here."""
    if {table.name for table in schema.tables} != {SUBJECTS, EVENTS}:
        raise SchemaError(f"The schema is not one of MEDS data, which have the tables {SUBJECTS!r} and {EVENTS!r}.")
    mine, theirs = set(rows.frame.columns), set(schema[EVENTS].names)
    if mine != theirs:
        odd = sorted(mine ^ theirs)[0]
        has, lacks = ("The schema", where) if odd in theirs else (where, "the schema")
        raise SchemaError(f"{has} has a column {odd!r} of {EVENTS!r}, which {lacks} does not have. Correct one of the two.")
    found = _dataset(rows, statics_like(rows.frame, schema[SUBJECTS], where), where, known=schema[EVENTS])
    for known in schema.tables:
        for name in found.tables[known.name].marks:
            if not known[name].missing:
                what = f"column {name!r} of {known.name!r} has empty cells, and the schema knows none"
                raise DataError(f'{where}: {what}. Add "" to `missing`.')
    subjects, known = found.tables[SUBJECTS], schema[SUBJECTS]
    frame = subjects.frame.assign(
        **{
            column.name: categories(subjects.frame[column.name].astype(object).to_numpy(), column)
            for column in known
            if column.kind.is_discrete and column.name != SPLIT
        }
    )
    order = [name for name in known.names if name in frame]
    return Dataset({SUBJECTS: Table(frame[order], subjects.marks), EVENTS: found.tables[EVENTS]}, schema)
