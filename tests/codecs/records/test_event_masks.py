"""Rules across a patient while she is drawn: parents, children one to one, death, what she has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from codec_tables import check_keys, drawn_by_masks, hospital, key, link, linked, number, static_at_random

from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Form, Kind, Role, Schema, TableSchema


@pytest.mark.parametrize("k", [1, 5])
def test_whatever_the_masks_leave_decodes_without_losing_a_row(k: int) -> None:
    data = hospital(40, seed=1, k=k)
    codec = RecordsCodec().fit(data)
    records = drawn_by_masks(codec, static_at_random(codec, 50, 3), 4)
    assert records.n_events > 200
    made = codec.decode(records, np.random.default_rng(0))
    assert sum(len(made.tables[name]) for name in ("stays", "labs", "diagnoses")) == records.n_events
    check_keys(made, against=data)
    after = codec.masks().after(records)
    ends = records.starts[1:][records.lengths > 0] - 1
    assert np.allclose(after.days(codec.plan_.clock)[records.lengths > 0], records.times[ends])
    assert (after.n_rows.sum(axis=1) == records.lengths).all()
    values = made.tables["labs"].frame
    assert codec.plan_.event("labs").links[0].is_within
    ends = made.tables["stays"].frame.set_index("sid")["discharged"]
    inside = values[values["sid"].notna()]
    assert len(inside) > 50
    assert (inside["at"] <= inside["sid"].map(ends)).all()
    assert values.loc[values["test"] == "blood", "value"].isna().all()
    assert values.loc[values["test"] == "na", "value"].between(130, 139).all()
    assert values.loc[values["test"] == "k", "value"].between(3, 5).all()


def test_nothing_happens_behind_a_death() -> None:
    data = hospital(40, seed=2)
    codec = RecordsCodec().fit(data)
    assert codec.plan_.bound == "died"
    made = codec.decode(drawn_by_masks(codec, static_at_random(codec, 60, 5), 6), np.random.default_rng(1))
    died = made.tables["patients"].frame.set_index("pid")["died"].dropna()
    assert len(died) > 10
    for name, column in (("stays", "admitted"), ("labs", "at")):
        frame = made.tables[name].frame
        dead = frame[frame["pid"].isin(died.index)]
        assert len(dead)
        assert (dead[column].dt.normalize() <= dead["pid"].map(died)).all()


def test_rows_that_lie_behind_deaths_in_real_data_may_do_so() -> None:
    data = hospital(40, seed=2)
    frame = data.tables["patients"].frame.copy()
    first = data.tables["labs"].frame.groupby("pid")["at"].min().dt.normalize()
    frame["died"] = pd.to_datetime(frame["died"].where(frame["died"].isna(), frame["pid"].map(first))).astype("datetime64[us]")
    marks = {"died": frame["died"].isna().to_numpy().astype(np.int8)}
    moved = {**data.tables, "patients": replace(data.tables["patients"], frame=frame, marks=marks)}
    codec = RecordsCodec().fit(Dataset(moved, data.schema))
    assert codec.plan_.event("labs").outlives


def reports(n_patients: int = 30) -> Dataset:
    """Orders, and reports of them: one at most for each."""
    patient = key("pid", patient=True)
    schema = (
        TableSchema(
            "orders",
            (patient, key("oid"), number("day", unit="day")),
            form=Form.EVENTS,
            primary_key=("oid",),
            start="day",
            min_patients=1,
        ),
        TableSchema(
            "reports",
            (patient, key("oid"), number("day"), Column("result", Kind.CATEGORICAL)),
            form=Form.EVENTS,
            foreign_keys=(link("oid", "orders"),),
            start="day",
            min_patients=1,
        ),
    )
    rng = np.random.default_rng(0)
    orders = [(p, 100 * p + j, 3 * j) for p in range(n_patients) for j in range(1 + p % 4)]
    told = [(p, o, day + int(rng.integers(3)), str(rng.choice(["+", "-"]))) for p, o, day in orders if rng.random() < 0.7]
    texts = {
        "orders": {name: [str(row[i]) for row in orders] for i, name in enumerate(("pid", "oid", "day"))},
        "reports": {name: [str(row[i]) for row in told] for i, name in enumerate(("pid", "oid", "day", "result"))},
    }
    return linked(schema, texts)


def test_a_parent_with_one_child_at_most_gets_no_second_one() -> None:
    data = reports()
    codec = RecordsCodec().fit(data)
    own = codec.plan_.event("reports").links[0]
    assert own.is_unique
    assert not own.has_none
    records = drawn_by_masks(codec, static_at_random(codec, 40, 1), 2)
    made = codec.decode(records, np.random.default_rng(0))
    assert len(made.tables["reports"]) == (records.table == codec.plan_.place("reports")).sum() > 50
    assert not made.tables["reports"].frame["oid"].duplicated().any()
    check_keys(made)


def test_a_table_of_one_row_a_patient_at_most_gets_no_second_one() -> None:
    patient = key("pid", patient=True)
    schema = tuple(
        TableSchema(name, (patient, number("day")), form=Form.EVENTS, start="day", min_patients=1) for name in ("visits", "periods")
    )
    visits = [(p, 7 * j) for p in range(30) for j in range(1 + p % 3)]
    texts = {
        "visits": {"pid": [str(p) for p, _ in visits], "day": [str(day) for _, day in visits]},
        "periods": {"pid": [str(p) for p in range(25)], "day": ["0"] * 25},
    }
    codec = RecordsCodec().fit(linked(schema, texts))
    records = drawn_by_masks(codec, static_at_random(codec, 30, 1), 2, most=8)
    made = codec.decode(records, np.random.default_rng(0))
    assert 10 < len(made.tables["periods"]) == (records.table == codec.plan_.place("periods")).sum()
    assert not made.tables["periods"].frame["pid"].duplicated().any()
    assert made.tables["visits"].frame["pid"].duplicated().any()


def test_the_end_of_follow_up_bounds_a_clock_of_numbers() -> None:
    patient = key("pid", patient=True)
    schema = (
        TableSchema(
            "people", (patient, number("followed", roles=(Role.TIME,))), form=Form.STATIC, primary_key=("pid",), min_patients=1
        ),
        TableSchema("visits", (patient, number("day")), form=Form.EVENTS, start="day", min_patients=1),
    )
    visits = [(p, 7 * j + 20) for p in range(30) for j in range(1 + p % 5)]
    texts = {
        "people": {"pid": [str(p) for p in range(30)], "followed": [str(7 * (p % 5) + 25) for p in range(30)]},
        "visits": {"pid": [str(p) for p, _ in visits], "day": [str(day) for _, day in visits]},
    }
    codec = RecordsCodec().fit(linked(schema, texts))
    assert codec.plan_.bound == "followed"
    made = codec.decode(drawn_by_masks(codec, static_at_random(codec, 60, 7), 8), np.random.default_rng(0))
    frame = made.tables["visits"].frame
    ends = made.tables["people"].frame.set_index("pid")["followed"]
    assert (frame["day"] <= frame["pid"].map(ends)).all()


def test_a_patient_who_has_no_rows_of_a_table_gets_none() -> None:
    data = hospital(60, seed=3)
    patient = data.schema["stays"]["pid"]
    seen = data.tables["stays"].frame[["pid", "admitted"]].iloc[::2]
    site = np.where(seen["pid"].astype(int) % 2 == 0, "north", "south")
    visits = TableSchema(
        "visits",
        (patient, Column("on", Kind.DATETIME), Column("site", Kind.CATEGORICAL)),
        form=Form.EVENTS,
        start="on",
        min_patients=1,
    )
    twice = pd.concat([seen, seen])
    own = linked(
        (visits,), {"visits": {"pid": list(twice["pid"]), "on": twice["admitted"].astype(str).tolist(), "site": [*site, *site]}}
    )
    both = Dataset({**data.tables, "visits": own.tables["visits"]}, Schema((*data.schema.tables, visits)))
    codec = RecordsCodec().fit(both)
    assert codec.plan_.event("visits").moved == ("site",)
    static = static_at_random(codec, 50, 9)
    made = codec.decode(drawn_by_masks(codec, static, 1), np.random.default_rng(0))
    names = codec.layout.static.names
    has = static[:, names.index("visits: has rows")] == 1
    assert 0 < has.sum() < 50
    patients = made.tables["patients"].frame["pid"]
    assert set(made.tables["visits"].frame["pid"]) <= set(patients[has])
    assert made.tables["visits"].frame.groupby("pid")["site"].nunique().max() == 1
    assert made.tables["visits"].frame["site"].notna().all()
