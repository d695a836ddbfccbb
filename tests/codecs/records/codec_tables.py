"""Small linked data sets for the tests of the records codec, made from cell texts, and what must hold of every decoded one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Dataset
from manikin.data.links import parent_rows
from manikin.data.schema import Column, ForeignKey, Form, Kind, Role, Schema, Source, Sources, Storage, TableSchema

PUBLIC = Sources(levels=Source.DECLARED)


def key(name: str, *, patient: bool = False) -> Column:
    return Column(name, Kind.IDENTIFIER, Storage.INTEGER, roles=(Role.PATIENT_KEY,) if patient else ())


def number(name: str, **facts: Any) -> Column:
    return Column(name, Kind.COUNT, Storage.INTEGER, decimals=0, **facts)


def link(columns: str, table: str, references: str | None = None) -> ForeignKey:
    return ForeignKey(tuple(columns.split("+")), table, tuple((references or columns).split("+")))


def linked(schema: Sequence[TableSchema], texts: Mapping[str, Mapping[str, Sequence[str]]]) -> Dataset:
    """A data set from cell texts by table and column."""
    tables = {}
    for table in schema:
        frame = pd.DataFrame({name: list(texts[table.name][name]) for name in table.names}, dtype=object)
        tables[table.name] = parse_table(frame, table, where=table.name)
    return Dataset(tables, Schema(tuple(schema)))


def hospital(n_patients: int = 40, *, seed: int = 0, k: int = 1, longest: int = 4) -> Dataset:
    """Patients with dates of birth and death, stays that start and end, tests within or without a stay, diagnoses without a time."""
    rng = np.random.default_rng(seed)
    schema = (
        TableSchema(
            "patients",
            (
                key("pid", patient=True),
                Column("sex", Kind.CATEGORICAL),
                Column("born", Kind.DATE, roles=(Role.BIRTH,)),
                Column("died", Kind.DATE, roles=(Role.DEATH,)),
            ),
            min_patients=k,
            form=Form.STATIC,
            primary_key=("pid",),
        ),
        TableSchema(
            "stays",
            (
                key("pid", patient=True),
                key("sid"),
                Column("admitted", Kind.DATETIME),
                Column("discharged", Kind.DATETIME),
                Column("ward", Kind.CATEGORICAL),
            ),
            min_patients=k,
            form=Form.INTERVALS,
            primary_key=("sid",),
            foreign_keys=(link("pid", "patients"),),
            start="admitted",
            end="discharged",
        ),
        TableSchema(
            "labs",
            (
                key("pid", patient=True),
                key("sid"),
                Column("at", Kind.DATETIME),
                Column("test", Kind.CODE),
                Column("value", Kind.CONTINUOUS, Storage.REAL, decimals=1, by="test"),
            ),
            min_patients=k,
            form=Form.EVENTS,
            foreign_keys=(link("sid", "stays"),),
            start="at",
        ),
        TableSchema(
            "diagnoses",
            (key("sid"), number("seq"), Column("icd", Kind.CODE)),
            min_patients=k,
            form=Form.EVENTS,
            primary_key=("sid", "seq"),
            foreign_keys=(link("sid", "stays"),),
        ),
    )
    texts: dict[str, dict[str, list[str]]] = {t.name: {name: [] for name in t.names} for t in schema}

    def add(table: str, *cells: str) -> None:
        for name, cell in zip(texts[table], cells, strict=True):
            texts[table][name].append(cell)

    stay = 500
    for i in range(n_patients):
        pid = str(71 + i)
        first = np.datetime64("2140-03-01") + int(rng.integers(4)) * 30
        dead = i % 3 == 0
        now = first.astype("datetime64[m]") + 60 * int(rng.integers(24))
        own: list[tuple[str, np.datetime64, np.datetime64]] = []
        for _ in range(int(rng.integers(longest + 1)) if i else longest):
            ends = now + 60 * int(rng.integers(1, 4))
            stay += 1
            add("stays", pid, str(stay), _text(now), _text(ends), str(rng.choice(["icu", "ward"])))
            own.append((str(stay), now, ends))
            for seq in range(int(rng.integers(3))):
                add("diagnoses", str(stay), str(seq + 1), str(rng.choice(["250", "401", "428"])))
            for _ in range(int(rng.integers(4))):
                at = now + 30 * int(rng.integers(1, 3))
                test = str(rng.choice(["na", "k", "blood"]))
                value = {"na": str(float(rng.integers(130, 140))), "k": f"{rng.integers(30, 50) / 10}", "blood": ""}[test]
                add("labs", pid, str(stay) if rng.random() < 0.8 else "", _text(at), test, value)
            now = ends + 60 * 24 * int(rng.integers(1, 4))
        died = str(now.astype("datetime64[D]") + 2) if dead else ""
        add("patients", pid, str(rng.choice(["f", "m"])), str(first - 365 * int(rng.integers(40, 60))), died)
    return linked(schema, texts)


def _text(time: np.datetime64) -> str:
    return str(time).replace("T", " ") + ":00"


def table_texts(data: Dataset, name: str) -> pd.DataFrame:
    return texts_of(data.tables[name], data.schema[name])


def check_keys(data: Dataset, *, against: Dataset | None = None) -> None:
    """Primary keys are unique, and each cell of a foreign key names a row of the same patient."""
    owners = data.owners
    for table in data.schema.of_patients:
        frame = data.tables[table.name].frame
        if table.primary_key:
            assert not frame.duplicated(list(table.primary_key)).any(), table.name
        for number_, foreign in enumerate(table.foreign_keys):
            rows = parent_rows(data, table, number_)
            filled = frame[list(foreign.columns)].notna().all(axis=1).to_numpy()
            assert (rows[filled] >= 0).all(), (table.name, foreign)
            if foreign.table in owners:
                found = rows >= 0
                assert (owners[foreign.table][rows[found]] == owners[table.name][found]).all()
        for column in table:
            if against is not None and column.kind is Kind.IDENTIFIER:
                assert not set(frame[column.name].dropna()) & set(against.tables[table.name].frame[column.name].dropna())


def random_records(codec: RecordsCodec, records: Records, seed: int) -> Records:
    """Records whose every token is drawn by itself among those that may be generated: nothing in them hangs together."""
    rng = np.random.default_rng(seed)
    layout, static, tokens = codec.layout, records.static.copy(), records.tokens.copy()
    for j in range(len(layout.static.fields)):
        static[:, j] = rng.choice(np.flatnonzero(codec.emitted(-1, j)), size=len(static))
    for i, table in enumerate(layout.tables):
        rows = np.flatnonzero(records.table == i)
        for j in range(len(table.layout.fields)):
            tokens[rows, j] = rng.choice(np.flatnonzero(codec.emitted(i, j)), size=len(rows))
    times = codec.times(records.starts, records.table, tokens)
    return Records(static, records.starts, records.table, tokens, times)


def drawn_by_masks(codec: RecordsCodec, static: np.ndarray, seed: int, *, most: int = 30) -> Records:
    """Records drawn at random among what the masks leave, as a sampler without any model would."""
    rng, masks, tables = np.random.default_rng(seed), codec.masks(), codec.layout.tables
    progress, going = masks.begin(static), np.arange(len(static))
    events: list[list[tuple[int, np.ndarray]]] = [[] for _ in static]
    for _ in range(most):
        chosen = _one_of(masks.tables(progress)[going], rng, last=0.1)
        for i, table in enumerate(tables):
            rows = going[chosen == i]
            tokens = np.zeros((len(rows), codec.layout.width), dtype=np.int32)
            for j in range(len(table.layout.fields) if len(rows) else 0):
                left = masks.field(progress, rows, i, j, tokens)
                tokens[:, j] = _one_of(np.tile(codec.emitted(i, j), (len(rows), 1)) if left is None else left, rng)
            if len(rows):
                masks.advance(progress, rows, i, tokens)
            for row, own in zip(rows, tokens, strict=True):
                events[row].append((i, own))
        going = going[chosen < len(tables)]
    starts = np.concatenate([[0], np.cumsum([len(own) for own in events])]).astype(np.int64)
    table_of = np.array([i for own in events for i, _ in own], dtype=np.int16)
    tokens = np.array([row for own in events for _, row in own], dtype=np.int32).reshape(len(table_of), codec.layout.width)
    return Records(static, starts, table_of, tokens, codec.times(starts, table_of, tokens))


def _one_of(allowed: np.ndarray, rng: np.random.Generator, last: float = 1.0) -> np.ndarray:
    assert allowed.any(axis=1).all()
    weights = rng.random(allowed.shape) * allowed
    weights[:, -1] *= last
    return np.argmax(weights, axis=1)


def static_at_random(codec: RecordsCodec, n: int, seed: int) -> np.ndarray:
    """Static tokens drawn at random among what the masks leave."""
    rng, fields = np.random.default_rng(seed), codec.layout.static.fields
    tokens, given = np.zeros((n, len(fields)), dtype=np.int32), np.zeros(len(fields), dtype=bool)
    for j in range(len(fields)):
        left = codec.masks().static_field(j, tokens, given)
        tokens[:, j] = _one_of(np.tile(codec.emitted(-1, j), (n, 1)) if left is None else left, rng)
        given[j] = True
    return tokens
