"""Small sets of linked tables that every generator of patients must cope with or refuse: visits, events alone, a nasty one, a grid."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Dataset
from manikin.data.rules import OrderRule
from manikin.data.schema import Column, ForeignKey, Form, Kind, Role, Schema, Storage, TableSchema

DAY = np.timedelta64(1, "D")
START = np.datetime64("2019-01-01T00:00:00")
RARE_CODE = "zzz-rare"


def built(tables: list[tuple[TableSchema, dict[str, Any]]]) -> Dataset:
    """A data set from cell texts."""
    texts = {schema.name: pd.DataFrame(cells, columns=schema.names, dtype=object) for schema, cells in tables}
    parsed = {schema.name: parse_table(texts[schema.name], schema, where=schema.name) for schema, _ in tables}
    return Dataset(parsed, Schema(tuple(schema for schema, _ in tables)))


def identifier(name: str, *roles: Role) -> Column:
    return Column(name, Kind.IDENTIFIER, Storage.INTEGER, roles=roles)


def moments(times: np.ndarray) -> list[str]:
    """Times as texts to the minute, empty where there is none."""
    return ["" if np.isnat(time) else str(time.astype("datetime64[m]")).replace("T", " ") for time in times]


BY_MINUTE = Column("at", Kind.DATETIME, Storage.TIMESTAMP, time_format="%Y-%m-%d %H:%M")
BY_DAY = Column("day", Kind.COUNT, Storage.INTEGER, decimals=0, roles=(Role.TIME,))


def values_by_code(name: str, time: Column = BY_MINUTE) -> TableSchema:
    """The schema of a table of events, by the minute or as `time` says: a code, and a number whose scale is the code's."""
    return TableSchema(
        name,
        (
            identifier("patient", Role.PATIENT_KEY),
            time,
            Column("code", Kind.CODE),
            Column("value", Kind.CONTINUOUS, Storage.REAL, decimals=1, by="code"),
        ),
        form=Form.EVENTS,
        start=time.name,
    )


def once(name: str, column: Column) -> TableSchema:
    """The schema of a static table with one column beside the patient."""
    return TableSchema(name, (identifier("patient", Role.PATIENT_KEY), column), form=Form.STATIC, primary_key=("patient",))


@cache
def visits() -> Dataset:
    """Patients, their stays and the diagnoses of each stay, which name it by a key of two columns; one stay ends before none begins."""
    rng = np.random.default_rng(3)
    n = 90
    sick = rng.random(n) < 0.4
    stays = 1 + rng.poisson(np.where(sick, 1.5, 0.4))
    owner = np.repeat(np.arange(n), stays)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(stays) - stays, stays) + 1
    begin = START + (rng.integers(0, 900, n)[owner] + 40 * number) * DAY + rng.integers(0, 1440, len(owner)) * np.timedelta64(1, "m")
    end = begin + (rng.exponential(4, len(owner)) * 1440).astype(int) * np.timedelta64(1, "m")
    n_codes = 1 + rng.poisson(1.5, len(owner))
    stay = np.repeat(np.arange(len(owner)), n_codes)
    position = np.arange(len(stay)) - np.repeat(np.cumsum(n_codes) - n_codes, n_codes) + 1
    codes = np.where(sick[owner[stay]], rng.choice(["I50.1", "I10", "N18.3"], len(stay)), rng.choice(["J45.0", "I10"], len(stay)))
    codes = codes.astype(object)
    codes[:2] = RARE_CODE
    time = Column("admitted", Kind.DATETIME, Storage.TIMESTAMP, time_format="%Y-%m-%d %H:%M")
    return built(
        [
            (
                TableSchema(
                    "patients",
                    (
                        identifier("patient", Role.PATIENT_KEY),
                        Column("sex", Kind.CATEGORICAL, levels=("f", "m")),
                        Column("born", Kind.DATE, roles=(Role.BIRTH,), time_format="%Y-%m-%d"),
                        Column("name", Kind.TEXT, roles=(Role.DIRECT_IDENTIFIER,)),
                        Column("weight", Kind.CONTINUOUS, Storage.REAL, decimals=1, unit="kg"),
                    ),
                    form=Form.STATIC,
                    primary_key=("patient",),
                ),
                {
                    "patient": [str(7001 + 3 * i) for i in range(n)],
                    "sex": rng.choice(["f", "m"], n),
                    "born": [str(day) for day in np.datetime64("1950-01-01") + rng.integers(0, 12_000, n)],
                    "name": [f"Patient Number{i}" for i in range(n)],
                    "weight": ["" if i % 9 == 0 else f"{w:.1f}" for i, w in enumerate(rng.normal(75, 12, n))],
                },
            ),
            (
                TableSchema(
                    "stays",
                    (
                        identifier("patient", Role.PATIENT_KEY),
                        Column("number", Kind.COUNT, Storage.INTEGER, decimals=0, minimum=1.0),
                        time,
                        Column("discharged", Kind.DATETIME, Storage.TIMESTAMP, time_format="%Y-%m-%d %H:%M"),
                        Column("ward", Kind.CATEGORICAL, levels=("icu", "ward")),
                    ),
                    rules=(OrderRule(("admitted", "discharged"), confirmed=True),),
                    form=Form.INTERVALS,
                    primary_key=("patient", "number"),
                    foreign_keys=(ForeignKey(("patient",), "patients", ("patient",)),),
                    start="admitted",
                    end="discharged",
                ),
                {
                    "patient": [str(7001 + 3 * i) for i in owner],
                    "number": number.astype(str),
                    "admitted": moments(begin),
                    "discharged": moments(end),
                    "ward": rng.choice(["icu", "ward"], len(owner), p=[0.3, 0.7]),
                },
            ),
            (
                TableSchema(
                    "diagnoses",
                    (
                        identifier("row"),
                        identifier("patient", Role.PATIENT_KEY),
                        Column("stay", Kind.COUNT, Storage.INTEGER, decimals=0, minimum=1.0),
                        Column("position", Kind.COUNT, Storage.INTEGER, decimals=0, minimum=1.0),
                        Column("code", Kind.CODE, code_system="ICD-10"),
                    ),
                    form=Form.EVENTS,
                    primary_key=("row",),
                    foreign_keys=(ForeignKey(("patient", "stay"), "stays", ("patient", "number")),),
                ),
                {
                    "row": [str(100_000 + i) for i in range(len(stay))],
                    "patient": [str(7001 + 3 * i) for i in owner[stay]],
                    "stay": number[stay].astype(str),
                    "position": position.astype(str),
                    "code": codes,
                },
            ),
        ]
    )


@cache
def events() -> Dataset:
    """One table of measurements alone: who, when, what, and a number whose scale is that of what was measured."""
    rng = np.random.default_rng(4)
    n = 70
    lengths = 2 + rng.poisson(6, n)
    owner = np.repeat(np.arange(n), lengths)
    minutes = rng.exponential(300, len(owner)).astype(int)
    times = START + rng.integers(0, 500, n)[owner] * DAY + minutes * np.timedelta64(1, "m")
    what = rng.choice(["HR", "Temp", "GCS"], len(owner))
    value = np.select(
        [what == "HR", what == "Temp"], [rng.normal(85, 12, len(owner)).round(), rng.normal(37, 0.6, len(owner)).round(1)], 15.0
    )
    return built(
        [
            (
                TableSchema(
                    "vitals",
                    (
                        Column("stay", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
                        Column("at", Kind.DATETIME, Storage.TIMESTAMP, time_format="%Y-%m-%d %H:%M"),
                        Column("what", Kind.CODE, levels=("GCS", "HR", "Temp")),
                        Column("value", Kind.CONTINUOUS, Storage.REAL, decimals=1, by="what"),
                    ),
                    form=Form.EVENTS,
                    start="at",
                ),
                {
                    "stay": [f"s-{i:03d}" for i in owner],
                    "at": moments(times),
                    "what": what,
                    "value": ["" if rng.random() < 0.05 else str(one) for one in value],
                },
            )
        ]
    )


@cache
def nasty() -> Dataset:
    """Patients without an event and with one, columns without a value, 3,000 codes, times that are not there, lost references."""
    rng = np.random.default_rng(5)
    n = 60
    lengths = np.where(np.arange(n) < 12, 0, np.where(np.arange(n) < 24, 1, rng.integers(2, 30, n)))
    owner = np.repeat(np.arange(n), lengths)
    n_events = len(owner)
    times = START + rng.integers(0, 2_000, n_events) * DAY
    times[rng.random(n_events) < 0.1] = np.datetime64("NaT")
    order_of = ["" if rng.random() < 0.3 else str(rng.integers(0, n)) for _ in range(n_events)]  # mostly somebody else's
    return built(
        [
            (
                TableSchema(
                    "Größen, \"d'\"",
                    (Column("code", Kind.CODE), Column("what it is", Kind.TEXT)),
                    form=Form.REFERENCE,
                    primary_key=("code",),
                ),
                {"code": [f"c{i}" for i in range(3_000)], "what it is": [f"text, {i}" for i in range(3_000)]},
            ),
            (
                TableSchema(
                    "people",
                    (
                        Column("id", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
                        Column("nothing", Kind.CONTINUOUS, Storage.REAL, decimals=1),
                        Column("constant", Kind.CATEGORICAL, levels=("x",)),
                        Column("died", Kind.DATE, roles=(Role.DEATH,), time_format="%Y-%m-%d"),
                    ),
                    form=Form.STATIC,
                    primary_key=("id",),
                ),
                {
                    "id": [f"p'{i}" for i in range(n)],
                    "nothing": [""] * n,
                    "constant": ["x"] * n,
                    "died": ["2026-01-01" if i % 7 == 0 else "" for i in range(n)],
                },
            ),
            (
                TableSchema(
                    "orders",
                    (
                        Column("order", Kind.IDENTIFIER, Storage.INTEGER),
                        Column("id", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
                    ),
                    form=Form.EVENTS,
                    primary_key=("order",),
                    foreign_keys=(ForeignKey(("id",), "people", ("id",)),),
                ),
                {"order": [str(i) for i in range(n)], "id": [f"p'{i}" for i in range(n)]},
            ),
            (
                TableSchema(
                    "results",
                    (
                        Column("id", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,)),
                        Column("order", Kind.IDENTIFIER, Storage.INTEGER),
                        Column("before", Kind.IDENTIFIER, Storage.INTEGER),
                        Column("when", Kind.DATETIME, Storage.TIMESTAMP, time_format="%Y-%m-%d %H:%M"),
                        Column("code", Kind.CODE),
                        Column("nothing at all", Kind.CATEGORICAL, levels=()),
                        Column("huge", Kind.CONTINUOUS, Storage.INTEGER, decimals=0, by="code"),
                        Column("note", Kind.TEXT),
                    ),
                    form=Form.EVENTS,
                    foreign_keys=(
                        ForeignKey(("id",), "people", ("id",)),
                        ForeignKey(("order",), "orders", ("order",)),
                        ForeignKey(("before",), "orders", ("order",)),
                        ForeignKey(("code",), "Größen, \"d'\"", ("code",)),
                    ),
                    start="when",
                ),
                {
                    "id": [f"p'{i}" for i in owner],
                    "order": [str(i) for i in owner],
                    "before": order_of,
                    "when": moments(times),
                    "code": [f"c{i}" for i in rng.integers(0, 3_000, n_events)],
                    "nothing at all": [""] * n_events,
                    "huge": [str(int(value)) for value in rng.integers(10**14, 10**15, n_events)],
                    "note": [f"seen by Dr Number{i}" for i in range(n_events)],
                },
            ),
        ]
    )


@cache
def grid() -> Dataset:
    """Patients with hourly measurements of different length, a column each, most cells of which nobody measured."""
    rng = np.random.default_rng(6)
    n = 83
    lengths = rng.integers(4, 15, n)
    owner = np.repeat(np.arange(n), lengths)
    hour = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    heart = rng.normal(85, 12, n)[owner] + rng.normal(0, 4, len(owner))
    lactate = rng.exponential(1.5, len(owner))
    return built(
        [
            (
                TableSchema(
                    "patients",
                    (identifier("patient", Role.PATIENT_KEY), Column("sex", Kind.CATEGORICAL, levels=("f", "m"))),
                    form=Form.STATIC,
                    primary_key=("patient",),
                ),
                {"patient": [str(900 + i) for i in range(n)], "sex": rng.choice(["f", "m"], n)},
            ),
            (
                TableSchema(
                    "hourly",
                    (
                        identifier("patient", Role.PATIENT_KEY),
                        Column("hour", Kind.COUNT, Storage.INTEGER, decimals=0, minimum=0.0),
                        Column("heart_rate", Kind.COUNT, Storage.INTEGER, decimals=0),
                        Column("lactate", Kind.CONTINUOUS, Storage.REAL, decimals=1),
                        Column("rhythm", Kind.CATEGORICAL, levels=("af", "sinus")),
                    ),
                    form=Form.GRID,
                    primary_key=("patient", "hour"),
                    foreign_keys=(ForeignKey(("patient",), "patients", ("patient",)),),
                    start="hour",
                ),
                {
                    "patient": [str(900 + i) for i in owner],
                    "hour": hour.astype(str),
                    "heart_rate": ["" if rng.random() < 0.2 else str(int(h)) for h in heart],
                    "lactate": ["" if rng.random() < 0.8 else f"{x:.1f}" for x in lactate],
                    "rhythm": rng.choice(["af", "sinus"], len(owner)),
                },
            ),
        ]
    )


LINKED = {"visits": visits, "events": events, "nasty": nasty, "grid": grid}


def linked_bytes(data: Dataset) -> bytes:
    """The cells of all tables as files would hold them."""
    parts = [texts_of(data.tables[table.name], table).to_csv(index=False, lineterminator="\n").encode() for table in data.schema.tables]
    return b"\n".join(parts)


def cells(data: Dataset, table: str) -> pd.DataFrame:
    """Cell texts of one table, object columns."""
    return texts_of(data.tables[table], data.schema[table])
