"""Hard edges of linked tables: nothing, one of everything, no time, ties, long records, keys of several columns, circles, centuries."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from codec_tables import check_keys, drawn_by_masks, hospital, key, link, linked, number, static_at_random, table_texts

from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.plan import MOST_BACK
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import SchemaError
from manikin.data.rules import ImpliedRule, OrderRule, RangeRule, UniqueRule
from manikin.data.schema import Column, Form, Kind, Role, Schema, Storage, TableSchema

RNG = np.random.default_rng
PATIENT = key("pid", patient=True)


def events(name: str, *columns: Column, k: int = 1, **facts: object) -> TableSchema:
    facts.setdefault("form", Form.EVENTS)
    return TableSchema(name, (PATIENT, *columns), min_patients=k, **facts)  # type: ignore[arg-type]


def round_trip(data: Dataset) -> tuple[RecordsCodec, Dataset]:
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    made = codec.decode(records, RNG(0))
    check_keys(made)
    assert (codec.encode(made).tokens == records.tokens).all()
    return codec, made


def same(made: Dataset, data: Dataset, name: str, *keys: str) -> None:
    assert table_texts(made, name).drop(columns=["pid", *keys]).equals(table_texts(data, name).drop(columns=["pid", *keys]))


def test_patients_without_events_and_with_one_and_tables_without_rows() -> None:
    data = hospital(12, seed=4, longest=1)
    nobody = {**data.tables, "labs": data.tables["labs"].take(np.zeros(0, dtype=np.int64))}
    codec, made = round_trip(Dataset(nobody, data.schema))
    assert [table.name for table in codec.layout.tables] == ["stays", "diagnoses"] or not len(data.tables["diagnoses"])
    assert len(made.tables["labs"]) == 0
    assert list(made.tables["labs"].frame) == list(data.tables["labs"].frame)
    same(made, data, "stays", "sid")
    records = codec.encode(data)  # rows of a table that was empty in training are left out
    assert records.n_events == codec.encode(made).n_events


def test_nobody_has_any_event() -> None:
    data = hospital(12, seed=4)
    none = np.zeros(0, dtype=np.int64)
    empty = {name: table if name == "patients" else table.take(none) for name, table in data.tables.items()}
    codec, made = round_trip(Dataset(empty, data.schema))
    assert codec.layout.tables == ()
    assert codec.layout.width == 0
    same(made, data, "patients")
    assert len(codec.decode(drawn_by_masks(codec, static_at_random(codec, 5, 0), 0), RNG(0))) == 5


def test_a_start_without_a_time_lies_at_its_parents_or_at_the_row_before() -> None:
    data = hospital(30, seed=6)
    frame, marks = data.tables["labs"].frame.copy(), dict(data.tables["labs"].marks)
    lost = np.arange(len(frame)) % 3 == 1
    frame.loc[lost, "at"] = np.datetime64("NaT")
    tables = {**data.tables, "labs": Table(frame, {**marks, "at": lost.astype(np.int8)})}
    codec, made = round_trip(Dataset(tables, data.schema))
    assert made.tables["labs"].frame["at"].isna().sum() == lost.sum()
    records = codec.fit_encode(Dataset(tables, data.schema))
    assert (np.diff(records.times)[np.setdiff1d(np.arange(records.n_events - 1), records.starts[1:-1] - 1)] >= 0).all()


def test_nothing_has_a_time() -> None:
    schema = (
        TableSchema(
            "people", (PATIENT, Column("sex", Kind.CATEGORICAL)), form=Form.STATIC, primary_key=("pid",), min_patients=1
        ),
        events("allergies", Column("to", Kind.CATEGORICAL)),
    )
    told = [(p, word) for p in range(25) for word in ("nuts", "dust")[: p % 3]]
    texts = {
        "people": {"pid": [str(p) for p in range(25)], "sex": ["f", "m"] * 12 + ["f"]},
        "allergies": {"pid": [str(p) for p, _ in told], "to": [word for _, word in told]},
    }
    codec, made = round_trip(linked(schema, texts))
    assert codec.layout.static.names == ["sex"]
    assert codec.layout.tables[0].layout.names == ["(time)", "to"]
    same(made, linked(schema, texts), "allergies")


def test_columns_without_any_value_and_tables_of_keys_alone() -> None:
    schema = (
        events(
            "visits",
            key("vid"),
            number("day"),
            Column("note", Kind.CATEGORICAL),
            number("score"),
            start="day",
            primary_key=("vid",),
        ),
        events("bills", key("vid"), foreign_keys=(link("vid", "visits"),)),
    )
    visits = [(p, 10 * p + j, 3 * j) for p in range(25) for j in range(1 + p % 2)]
    texts = {
        "visits": {
            "pid": [str(p) for p, _, _ in visits],
            "vid": [str(v) for _, v, _ in visits],
            "day": [str(day) for _, _, day in visits],
            "note": [""] * len(visits),
            "score": [""] * len(visits),
        },
        "bills": {"pid": [str(p) for p, _, _ in visits], "vid": [str(v) for _, v, _ in visits]},
    }
    data = linked(schema, texts)
    codec, made = round_trip(data)
    assert codec.layout.tables[1].layout.names == ["(time)", "vid"]
    same(made, data, "visits", "vid")
    assert len(made.tables["bills"]) == len(visits)
    assert made.tables["visits"].frame["note"].isna().all()


def test_one_table_of_numbers_in_time_with_what_never_changes() -> None:
    rows = [(p, 30 + p % 7, "ab"[p % 2], 7 * j, p + j) for p in range(60) for j in range(1 + p % 4)]
    schema = (
        events(
            "visits", number("age"), Column("arm", Kind.CATEGORICAL), number("day", unit="day"), number("score"), start="day"
        ),
    )
    texts = {"visits": {name: [str(row[i]) for row in rows] for i, name in enumerate(("pid", "age", "arm", "day", "score"))}}
    data = linked(schema, texts)
    codec, made = round_trip(data)
    assert codec.layout.static.names == ["(anchor)", "age", "arm"]
    assert codec.layout.tables[0].layout.names == ["day", "score"]
    same(made, data, "visits")
    tokens, given = codec.encode_conditions({"arm": "a"}, 2)
    assert given.tolist() == [False, False, True]
    del tokens


def test_a_grid_of_hours_stays_one() -> None:
    rows = [(p, hour, (p * hour) % 9) for p in range(30) for hour in range(2 + p % 6)]
    duration = Column("time", Kind.DURATION, Storage.REAL, unit="hour", decimals=1)
    schema = (events("vitals", duration, number("rate"), form=Form.GRID, start="time", k=5),)
    data = linked(schema, {"vitals": {name: [str(row[i]) for row in rows] for i, name in enumerate(("pid", "time", "rate"))}})
    codec = RecordsCodec().fit(data)
    assert codec.plan_.clock.days_per_tick == 1 / 24
    made = codec.decode(drawn_by_masks(codec, static_at_random(codec, 20, 1), 2), RNG(0)).tables["vitals"].frame
    steps = made.groupby("pid")["time"].diff().dropna()
    assert codec.plan_.events[0].is_distinct
    assert set(steps) == {1.0}


def test_frequent_gaps_beside_rare_ones_may_be_drawn_where_they_stand() -> None:
    """Visits after 3, 7 or 14 days; fifteen patients come after 1 to 6: what lies below 3 days goes with it and is no gap of nothing."""
    rng = RNG(0)
    rows = []
    for patient in range(300):
        usual = [1, 2] if patient < 8 else [4, 5, 6] if patient < 15 else [3, 7, 14]
        days = np.cumsum(np.r_[0, rng.choice(usual, rng.integers(1, 5))])
        rows += [(patient, day, round(float(rng.normal()), 1)) for day in days]
    schema = (events("visits", number("day", unit="day"), number("score"), start="day", k=11),)
    data = linked(schema, {"visits": {name: [str(row[i]) for row in rows] for i, name in enumerate(("pid", "day", "score"))}})
    codec = RecordsCodec()
    record = codec.fit_encode(data)
    assert codec.plan_.events[0].is_distinct
    masks = codec.masks()
    progress = masks.begin(record.static)
    for step in range(int(record.lengths.max())):
        patients = np.flatnonzero(record.lengths > step)
        own = record.tokens[record.starts[patients] + step]
        allowed = masks.field(progress, patients, 0, 0, own)
        assert allowed is None or allowed[np.arange(len(patients)), own[:, 0]].all()
        masks.advance(progress, patients, 0, own)


def test_ties_stand_parents_first_and_in_file_order() -> None:
    data = hospital(20, seed=8)
    frame = data.tables["labs"].frame.copy()
    admitted = data.tables["stays"].frame.set_index("sid")["admitted"]
    frame["at"] = frame["sid"].map(admitted).fillna(frame["at"]).astype("datetime64[us]")
    tied = Dataset({**data.tables, "labs": replace(data.tables["labs"], frame=frame)}, data.schema)
    made = round_trip(tied)[1]
    assert made.tables["labs"].frame["sid"].notna().sum() == frame["sid"].notna().sum()
    same(made, Dataset(made.tables, made.schema), "labs")


def test_children_before_their_parents_keep_their_own_time() -> None:
    data = hospital(40, seed=9)
    frame = data.tables["labs"].frame.copy()
    early = frame["sid"].notna().to_numpy() & (np.arange(len(frame)) % 2 == 0)
    frame.loc[early, "at"] = frame.loc[early, "at"] - pd.Timedelta(days=2)
    moved = Dataset({**data.tables, "labs": replace(data.tables["labs"], frame=frame)}, data.schema)
    codec, made = round_trip(moved)
    assert codec.plan_.event("labs").has_before
    assert codec.layout.tables[codec.plan_.place("labs")].layout.names[:3] == ["at", "at: before", "sid"]
    assert sorted(table_texts(made, "labs")["at"]) == sorted(table_texts(moved, "labs")["at"])


def test_dates_without_hours_beside_times_lie_on_their_own_grid() -> None:
    schema = (
        events("stays", key("sid"), Column("in", Kind.DATETIME), start="in", primary_key=("sid",)),
        events(
            "drugs",
            key("sid"),
            Column("on", Kind.DATE),
            Column("until", Kind.DATE),
            start="on",
            end="until",
            foreign_keys=(link("sid", "stays"),),
        ),
    )
    rng = RNG(1)
    stays = [
        (p, 10 * p + j, f"2101-0{1 + j}-0{1 + p % 9} {rng.integers(24):02d}:15:00") for p in range(25) for j in range(1 + p % 3)
    ]
    drugs = [(p, s, t[:10], t[:8] + "28") for p, s, t in stays for _ in range(int(rng.integers(3)))]
    texts = {
        "stays": {name: [str(row[i]) for row in stays] for i, name in enumerate(("pid", "sid", "in"))},
        "drugs": {name: [str(row[i]) for row in drugs] for i, name in enumerate(("pid", "sid", "on", "until"))},
    }
    data = linked(schema, texts)
    codec, made = round_trip(data)
    assert not codec.plan_.event("drugs").has_before  # a day is not before an hour of its own
    same(made, data, "drugs", "sid")
    same(made, data, "stays", "sid")


def test_keys_of_several_columns_several_links_and_links_within_a_table() -> None:
    schema = (
        TableSchema("people", (PATIENT,), form=Form.STATIC, primary_key=("pid",), min_patients=1),
        events(
            "visits", number("no"), number("day"), start="day", primary_key=("pid", "no"), foreign_keys=(link("pid", "people"),)
        ),
        events(
            "orders",
            key("oid"),
            number("no"),
            key("replaces"),
            number("day"),
            start="day",
            primary_key=("oid",),
            foreign_keys=(link("pid+no", "visits"), link("replaces", "orders", "oid")),
        ),
        events(
            "doses",
            key("oid"),
            number("no"),
            number("given"),
            foreign_keys=(link("oid", "orders"), link("pid+no", "visits")),
        ),
    )
    visits = [(p, j + 1, 10 * j) for p in range(30) for j in range(1 + p % 3)]
    orders = [(p, 1000 + 10 * p + no, no, 1000 + 10 * p + no - 1 if no > 1 else "", day + 1) for p, no, day in visits]
    doses = [(p, o, no, i) for p, o, no, _, _ in orders for i in range(int(o) % 3)]
    columns = {
        "visits": ("pid", "no", "day"),
        "orders": ("pid", "oid", "no", "replaces", "day"),
        "doses": ("pid", "oid", "no", "given"),
    }
    texts = {"people": {"pid": [str(p) for p in range(30)]}}
    for name, rows in (("visits", visits), ("orders", orders), ("doses", doses)):
        texts[name] = {column: [str(row[i]) for row in rows] for i, column in enumerate(columns[name])}
    data = linked(schema, texts)
    codec, made = round_trip(data)
    assert codec.plan_.event("visits").counters == ("no",)
    assert [link.name for link in codec.plan_.event("doses").links] == ["oid", "pid+no"]
    same(made, data, "visits")
    for name in ("orders", "doses"):
        same(made, data, name, *({"oid", "replaces"} & set(columns[name])))
    drawn = codec.decode(drawn_by_masks(codec, static_at_random(codec, 30, 1), 2), RNG(0))
    check_keys(drawn)
    assert codec.plan_.event("doses").links[1].via == 0  # a dose's visit is that of its order
    joined = drawn.tables["doses"].frame.merge(drawn.tables["orders"].frame, on="oid", suffixes=("", "_of_order"))
    assert len(joined) > 20
    assert (joined["no"] == joined["no_of_order"]).all()


def test_a_circle_of_references_within_a_table_is_cut() -> None:
    schema = (
        events(
            "orders",
            key("oid"),
            key("other"),
            number("day"),
            start="day",
            primary_key=("oid",),
            foreign_keys=(link("other", "orders", "oid"),),
        ),
    )
    rows = [(p, 10 * p + j, 10 * p + 1 - j, j) for p in range(25) for j in range(2)]
    texts = {"orders": {name: [str(row[i]) for row in rows] for i, name in enumerate(("pid", "oid", "other", "day"))}}
    codec = RecordsCodec()
    data = linked(schema, texts)
    made = codec.decode(codec.fit_encode(data), RNG(0))
    check_keys(made)
    assert made.tables["orders"].frame["other"].notna().sum() == 25


def test_dates_of_several_centuries_and_ages_that_were_moved_back() -> None:
    schema = (
        TableSchema("people", (PATIENT, Column("born", Kind.DATE)), form=Form.STATIC, primary_key=("pid",), min_patients=5),
        events("visits", Column("at", Kind.DATETIME), start="at", k=5),
    )
    years = [1820 + 30 * (p % 15) for p in range(90)]
    old = [p % 30 == 0 for p in range(90)]
    texts = {
        "people": {
            "pid": [str(p) for p in range(90)],
            "born": [f"{y - (300 if o else 40 + y % 7):04d}-05-01" for y, o in zip(years, old, strict=True)],
        },
        "visits": {"pid": [str(p) for p in range(90)], "at": [f"{y}-05-01 1{y % 10}:00:00" for y in years]},
    }
    codec = RecordsCodec()
    data = linked(schema, texts)
    made = codec.decode(codec.fit_encode(data), RNG(0))
    born, at = made.tables["people"].frame["born"], made.tables["visits"].frame["at"]
    age = (at - born).dt.days / 365.25
    assert (age[old].round() == 300).all()  # three patients: fewer than five, but that they are older than 89 is public
    assert age[~np.array(old)].between(39, 48).all()


def test_a_patient_with_fifty_thousand_events_beside_short_ones() -> None:
    n, rng = 50_000, RNG(0)
    patient = np.concatenate([np.zeros(n, dtype=np.int64), np.repeat(np.arange(1, 40), 3)])
    hours = np.concatenate([np.sort(rng.integers(0, 400_000, n)), np.tile([0, 5, 9], 39)])
    schema = Schema(
        (
            events("vitals", Column("at", Kind.DATETIME), Column("what", Kind.CODE), start="at", k=5),
            events("days", Column("on", Kind.DATE), start="on", k=5),
        )
    )
    at = np.datetime64("2100-01-01", "us") + hours.astype("timedelta64[h]")
    pid = pd.Series(patient.astype(str), dtype=object)
    vitals = pd.DataFrame({"pid": pid, "at": at, "what": pd.Categorical(rng.choice(["hr", "bp"], len(at)))})
    days = pd.DataFrame(
        {"pid": pid[::50].reset_index(drop=True), "on": at[::50].astype("datetime64[D]").astype("datetime64[us]")}
    )
    data = Dataset({"vitals": Table(vitals), "days": Table(days)}, schema)
    began = time.process_time()
    codec = RecordsCodec()
    records = codec.fit_encode(data)
    made = codec.decode(records, RNG(0))
    assert time.process_time() - began < 10
    assert records.lengths.max() == n + 1000
    assert len(made.tables["vitals"]) == len(vitals)
    assert (made.tables["vitals"].frame.groupby("pid", sort=False)["at"].diff().dropna() >= pd.Timedelta(0)).all()


def test_more_parents_than_a_link_counts() -> None:
    schema = (
        events("orders", key("oid"), number("day"), start="day", primary_key=("oid",)),
        events("bills", key("oid"), number("day"), start="day", foreign_keys=(link("oid", "orders"),)),
    )
    orders = [(p, 1000 * p + j, j) for p in range(1, 25) for j in range(60)]
    bills = [(p, 1000 * p + (j * 7) % 60, 100 + j) for p in range(1, 25) for j in range(20)]
    texts = {
        "orders": {name: [str(row[i]) for row in orders] for i, name in enumerate(("pid", "oid", "day"))},
        "bills": {name: [str(row[i]) for row in bills] for i, name in enumerate(("pid", "oid", "day"))},
    }
    codec = RecordsCodec()
    data = linked(schema, texts)
    records = codec.fit_encode(data)
    made = codec.decode(records, RNG(0))
    check_keys(made)
    place = codec.plan_.place("bills")
    last = records.tokens[records.table == place, codec.events_[place].field("oid")].max()
    assert codec.events_[place].flat.fields_[1].levels[last - 1] == str(MOST_BACK)  # type: ignore[union-attr]
    assert made.tables["bills"].frame["oid"].nunique() > 24 * 20 * 0.5


def test_confirmed_rules_hold_in_what_is_drawn_at_random() -> None:
    data = hospital(60, seed=11)
    rules = (
        OrderRule(("admitted", "discharged"), confirmed=True, strict=True),
        ImpliedRule(("ward", "discharged"), confirmed=True, when=("icu",), then=("2140-01-01",)),
    )
    stays = replace(data.schema["stays"], rules=rules[:1])
    labs = replace(data.schema["labs"], rules=(RangeRule(("value",), confirmed=True, minimum=3.5, maximum=138),))
    tables = tuple({"stays": stays, "labs": labs}.get(t.name, t) for t in data.schema.tables)
    codec = RecordsCodec().fit(Dataset(data.tables, Schema(tables)))
    made = codec.decode(drawn_by_masks(codec, static_at_random(codec, 40, 1), 2), RNG(0))
    frame = made.tables["stays"].frame
    assert (frame["discharged"].isna() | (frame["discharged"] > frame["admitted"])).all()
    assert made.tables["labs"].frame["value"].dropna().between(3.5, 138).all()
    bad = tuple(replace(stays, rules=rules) if t.name == "stays" else t for t in data.schema.tables)
    with pytest.raises(SchemaError, match=r"implied rule of ward, discharged of table 'stays' names times"):
        RecordsCodec().fit(Dataset(data.tables, Schema(bad)))


def test_roles_of_the_hospital_are_as_told() -> None:
    assert hospital(5).schema["patients"]["died"].has_role(Role.DEATH)


def test_what_is_unique_stays_unique() -> None:
    days = [(p, f"2101-01-{1 + 3 * j:02d}", "abc"[(p + j) % 3]) for p in range(60) for j in range(1 + p % 7)]
    rule = UniqueRule(("pid", "word"), confirmed=True)
    own = events("days", Column("on", Kind.DATE), start="on", primary_key=("pid", "on"), k=20)
    words = events("words", Column("word", Kind.CATEGORICAL), rules=(rule,))
    told = sorted({(p, word) for p, _, word in days})
    texts = {
        "days": {"pid": [str(p) for p, _, _ in days], "on": [day for _, day, _ in days]},
        "words": {"pid": [str(p) for p, _ in told], "word": [word for _, word in told]},
    }
    codec = RecordsCodec().fit(linked((own, words), texts))
    made = codec.decode(drawn_by_masks(codec, static_at_random(codec, 40, 1), 2), RNG(0))
    check_keys(made)
    assert len(made.tables["days"]) > 100
    assert not made.tables["words"].frame.duplicated().any()
    assert len(made.tables["words"]) > 40
