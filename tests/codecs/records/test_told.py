"""Columns that other cells say, fields that never go together, one death, one stay at a time: kept in whatever a model draws."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from codec_tables import check_keys, drawn_by_masks, key, link, linked, number, static_at_random, table_texts

from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.together import find_together
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import ModelFolderError
from manikin.data.rules import ImpliedRule, OrderRule
from manikin.data.schema import EMPTY, Column, Form, Kind, Role, Schema, Storage, TableSchema
from manikin.io.linked import write

HOUR = 3600
UNITS = {"saline": "ml", "heparin": "units", "insulin": "units", "water": "ml", "rest": ""}


def stamp(seconds: int) -> str:
    return str(np.datetime64("2140-01-01T00:00:00") + np.timedelta64(seconds, "s")).replace("T", " ")


def transferred(n_patients: int = 60, seed: int = 0) -> Dataset:
    """Patients with admissions one after the other, their moves between wards, numbered diagnoses, and drugs with their units."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[list[str]]] = {table.name: [] for table in tables_of_a_ward()}
    for i in range(n_patients):
        now, died, n_stays = 86_400 * int(rng.integers(2000)), "", int(rng.integers(1, 4))
        for j in range(n_stays):
            own, first = [str(i), str(1000 + 10 * i + j)], now + int(rng.integers(1, 86_400))
            wards = ["", *(str(ward) for ward in rng.choice(["icu", "east", "west"], int(rng.integers(1, 4)))), ""]
            times = first + np.cumsum(np.concatenate([[0], rng.integers(HOUR, 80 * HOUR, len(wards) - 2)]))
            last, is_dead = int(times[-1]), j == n_stays - 1 and i % 3 == 0
            died = stamp(last)[:10] if is_dead else died
            fate = [stamp(last), "dead"] if is_dead else ["", "home"]
            rows["admissions"].append([*own, stamp(first), stamp(last), *fate, f"{(last - first) / 86_400:.2f}"])
            for m, at in enumerate(times.tolist()):
                what = "admit" if m == 0 else "discharge" if at == last else "transfer"
                rows["moves"].append([*own, what, wards[m], wards[m + 1], stamp(at), "" if at == last else stamp(int(times[m + 1]))])
            for seq in range(int(rng.integers(1, 5))):
                rows["diagnoses"].append([*own, str(seq + 1), str(rng.choice(["250", "401", "428"])), stamp(last)])
            for _ in range(int(rng.integers(2, 8))):
                drug, at = str(rng.choice(list(UNITS))), first + int(rng.integers(0, (last - first) // HOUR)) * HOUR
                at = at // HOUR * HOUR + HOUR if rng.random() < 0.9 else at + 61
                dose = str(rng.integers(1, 9)) if UNITS[drug] else ""
                rows["drugs"].append([*own, stamp(min(at, last)), drug, UNITS[drug], dose])
            now = last + 86_400 * int(rng.integers(1, 300))
        rows["patients"].append([str(i), str(rng.choice(["f", "m"])), died])
    cells = {t.name: zip(t.names, zip(*rows[t.name], strict=True), strict=True) for t in tables_of_a_ward()}
    return linked(tables_of_a_ward(), {name: {column: list(texts) for column, texts in own} for name, own in cells.items()})


def tables_of_a_ward() -> tuple[TableSchema, ...]:
    level, time, pid, hadm = Column("", Kind.CATEGORICAL), Column("", Kind.DATETIME), key("pid", patient=True), key("hadm")
    patient, admission = link("pid", "patients"), link("hadm", "admissions")
    admissions = (
        *(replace(time, name=name) for name in ("admitted", "discharged")),
        replace(time, name="death", roles=(Role.DEATH,)),
        replace(level, name="outcome"),
        Column("los", Kind.CONTINUOUS, Storage.REAL, decimals=2),
    )
    moves = (
        replace(level, name="what", missing=()),
        *(replace(level, name=name) for name in ("before", "ward")),
        *(replace(time, name=name) for name in ("into", "out")),
    )
    diagnoses = (replace(number("seq"), missing=()), Column("icd", Kind.CODE), replace(time, name="coded"))
    drugs = (replace(time, name="at"), *(replace(level, name=name) for name in ("drug", "unit")), number("dose"))
    died = Column("died", Kind.DATE, roles=(Role.DEATH,))
    own = TableSchema("patients", (pid, replace(level, name="sex"), died), min_patients=1, form=Form.STATIC, primary_key=("pid",))
    events = TableSchema("", (pid, hadm), min_patients=1, form=Form.EVENTS, foreign_keys=(patient, admission))
    stays = replace(events, form=Form.INTERVALS)
    return (
        own,
        replace(stays, name="admissions", columns=(pid, hadm, *admissions), primary_key=("hadm",), foreign_keys=(patient,),
                start="admitted", end="discharged"),
        replace(stays, name="moves", columns=(pid, hadm, *moves), start="into", end="out"),
        replace(events, name="diagnoses", columns=(pid, hadm, *diagnoses)),
        replace(events, name="drugs", columns=(pid, hadm, *drugs), start="at"),
    )


@pytest.fixture(scope="module")
def data() -> Dataset:
    return transferred()


@pytest.fixture(scope="module")
def codec(data: Dataset) -> RecordsCodec:
    return RecordsCodec().fit(data)


@pytest.fixture(scope="module")
def made(codec: RecordsCodec) -> Dataset:
    """Patients of a model that has learned nothing: all that holds in them, masks and decoding keep."""
    return codec.decode(drawn_by_masks(codec, static_at_random(codec, 80, 1), 2, most=60), np.random.default_rng(3))


def test_what_is_found(codec: RecordsCodec) -> None:
    told = {f"{own.name}.{one.column}": (one.kind, *one.of) for own in codec.plan_.events for one in own.told}
    assert told == {
        "admissions.los": ("span", "admitted", "discharged"),
        "moves.what": ("place",),
        "moves.before": ("before", "ward"),
        "moves.out": ("after", "into"),
        "moves.ward": ("but_last",),
        "diagnoses.seq": ("number",),
        "diagnoses.coded": ("parent", "discharged"),
    }
    admissions = codec.plan_.event("admissions")
    assert (admissions.is_disjoint, admissions.is_final, codec.plan_.deaths) == (True, True, ("died",))
    drugs = codec.plan_.event("drugs")
    assert drugs.coarse == HOUR * 1_000_000
    assert 0.8 < drugs.on_coarse < 1
    fields = [field.name for field in codec.layout.tables[codec.plan_.place("moves")].layout.fields]
    assert fields == ["into", "hadm", "ward"]


def test_it_holds_whatever_is_drawn(made: Dataset) -> None:
    check_keys(made)
    moves = table_texts(made, "moves")
    moves["last"] = ~moves.duplicated("hadm", keep="last")
    moves["first"] = ~moves.duplicated("hadm")
    assert moves["into"].groupby(moves["hadm"]).apply(lambda own: own.is_monotonic_increasing).all()
    assert (moves["before"] == moves.groupby("hadm")["ward"].shift().fillna("")).all()
    assert (moves["out"] == moves.groupby("hadm")["into"].shift(-1).fillna("")).all()
    both = moves["first"] & moves["last"]
    assert set(moves["what"][moves["first"] & ~both]) == {"admit"}
    assert set(moves["what"][moves["last"] & ~both]) == {"discharge"}
    assert set(moves["what"][~moves["first"] & ~moves["last"]]) == {"transfer"}
    has_ward = (moves["ward"] != "").groupby(moves["hadm"]).transform("any")
    assert ((moves["ward"] == "") == (moves["last"] & ~both))[has_ward].all()
    assert has_ward.mean() > 0.8
    seq = table_texts(made, "diagnoses")
    assert (seq["seq"].astype(int) == seq.groupby("hadm").cumcount() + 1).all()
    stays = table_texts(made, "admissions")
    days = (pd.to_datetime(stays["discharged"]) - pd.to_datetime(stays["admitted"])).dt.total_seconds() / 86_400
    assert np.allclose(days, stays["los"].astype(float), atol=0.00501)
    coded = seq.merge(stays, on="hadm")
    assert (coded["coded"] == coded["discharged"]).all()


def test_lives_are_whole(made: Dataset) -> None:
    stays = table_texts(made, "admissions")
    assert stays["pid"].duplicated().any()
    assert ((stays["outcome"] == "dead") == (stays["death"] != "")).all()
    order = stays.sort_values(["pid", "admitted"])
    later = order.groupby("pid")["admitted"].shift(-1)
    assert (order["discharged"] <= later.fillna("9")).all()
    assert later[order["death"] != ""].isna().all()
    dead = stays[stays["death"] != ""].merge(table_texts(made, "patients"), on="pid")
    assert len(dead)
    assert (dead["death"].str[:10] == dead["died"]).all()
    rows = table_texts(made, "drugs")
    assert (rows["unit"] == rows["drug"].map(UNITS)).all()
    assert ((rows["dose"] == "") == (rows["unit"] == "")).all()
    inside = rows.merge(stays, on="hadm")
    assert ((inside["at"] >= inside["admitted"]) & (inside["at"] <= inside["discharged"])).all()
    assert (rows["at"].groupby(rows["pid"]).shift().fillna("") <= rows["at"]).all()
    on_hour = rows["at"].str[14:] == "00:00"
    assert on_hour.mean() > 0.7


def test_it_is_kept_with_the_model(codec: RecordsCodec, data: Dataset) -> None:
    values, arrays = codec.state()
    again = RecordsCodec.from_state(json.loads(json.dumps(values)), arrays)
    assert again.plan_ == codec.plan_
    records = codec.encode(data)
    one, other = (own.decode(records, np.random.default_rng(0)) for own in (codec, again))
    assert all(table_texts(one, name).equals(table_texts(other, name)) for name in one.tables)
    drugs = again.events_[again.plan_.place("drugs")]
    tokens = records.tokens[records.table == again.plan_.place("drugs")]
    for field in range(drugs.n_fields):
        allowed = drugs.allowed(field, tokens)
        assert allowed is None or allowed[np.arange(len(tokens)), tokens[:, field]].all()


@pytest.mark.parametrize(
    ("where", "value"),
    [("kind", "spell"), ("of", ["nothing"]), ("link", 7), ("unit", 0), ("how", "ceil"), ("says", ["a"]), ("first", 9)],
)
def test_a_forged_one_is_refused(codec: RecordsCodec, where: str, value: object) -> None:
    values, arrays = codec.state()
    forged = json.loads(json.dumps(values))
    own = next(own for own in forged["plan"]["events"] if own["name"] == "admissions")
    own["told"][0][where] = value
    with pytest.raises(ModelFolderError, match="contradicts itself"):
        RecordsCodec.from_state(forged, arrays)


@pytest.mark.parametrize("damage", ["size", "fields", "lost", "more"])
def test_forged_masks_are_refused(codec: RecordsCodec, damage: str) -> None:
    values, arrays = codec.state()
    forged, place = json.loads(json.dumps(values)), codec.plan_.place("drugs")
    name = f"together{place}.0"
    if damage == "size":
        arrays[name] = np.append(arrays[name], np.uint8(0))
    elif damage == "fields":
        forged["events"][place]["together"][0] = [3, 3]
    elif damage == "lost":
        del arrays[name]
    else:
        arrays[f"together{place}.99"] = arrays[name]
    with pytest.raises(ModelFolderError):
        RecordsCodec.from_state(forged, arrays)


def test_rows_of_known_patients_come_back_as_they_were(codec: RecordsCodec, data: Dataset) -> None:
    odd = data.tables["admissions"].frame.assign(los=data.tables["admissions"].frame["los"] + 1)  # not what the times say
    tables = {**data.tables, "admissions": replace(data.tables["admissions"], frame=odd)}
    given = Dataset(tables, data.schema)
    back = codec.decode(codec.encode(given), np.random.default_rng(0), known=given)
    for name, own in (("admissions", ["admitted", "discharged", "death", "los"]), ("moves", ["what", "before", "ward", "out"])):
        theirs, mine = (table_texts(one, name)[own].to_numpy().tolist() for one in (given, back))
        assert sorted(theirs) == sorted(mine)
    assert table_texts(back, "patients")["died"].tolist() == table_texts(given, "patients")["died"].tolist()


def test_columns_that_a_confirmed_rule_binds_are_drawn_but_for_orders_that_hold_anyway(data: Dataset) -> None:
    rules = (OrderRule(("into", "out"), confirmed=True), ImpliedRule(("what", "before"), confirmed=True, when=("admit",), then=("",)))
    tables = tuple(replace(table, rules=rules) if table.name == "moves" else table for table in data.schema.tables)
    codec = RecordsCodec().fit(Dataset(data.tables, Schema(tables)))
    assert {one.column for one in codec.plan_.event("moves").told} == {"out", "ward"}
    made = codec.decode(drawn_by_masks(codec, static_at_random(codec, 40, 1), 2, most=40), np.random.default_rng(3))
    moves = table_texts(made, "moves")
    assert (moves["out"] == moves.groupby("hadm")["into"].shift(-1).fillna("")).all()
    assert (moves["into"] <= moves["out"].replace("", "9")).all()
    assert set(moves["before"][moves["what"] == "admit"]) == {""}


def test_what_chance_explains_is_left_open() -> None:
    rng = np.random.default_rng(0)
    n, owner = 8000, np.arange(8000) // 4
    one, two = rng.integers(0, 3, n), rng.integers(0, 40, n)
    groups = [np.array([-1]), np.arange(3), np.arange(40)]
    tokens = np.stack([np.zeros(n), one, two], axis=1).astype(np.int32)
    assert find_together(tokens, groups, owner, min_patients=[5] * 3) == ()
    two[(one == 0) & (two < 20)] = 25  # a third of the rows never has these
    tokens = np.stack([np.zeros(n), one, two], axis=1).astype(np.int32)
    (pair,) = find_together(tokens, groups, owner, min_patients=[5] * 3)
    assert (pair.first, pair.second) == (1, 2)
    assert not pair.allowed[0, :20].any()
    assert pair.allowed[1:].all()
    assert pair.allowed[0, 20:].all()
    few = find_together(tokens, groups, owner // 800, min_patients=[5] * 3)
    assert few == () or all(pair.allowed.all() for pair in few)  # three patients tell nothing


def test_columns_of_which_nothing_may_be_shown_can_be_written_everywhere(tmp_path: Path) -> None:
    """A ward that no eleven patients share comes out empty, in a Parquet folder and in a database as in a CSV folder."""
    data = transferred(30)
    tables = tuple(replace(table, min_patients=11) for table in data.schema.tables)
    drugs = tables[-1].replace_column(replace(tables[-1]["unit"], missing=()))
    rows = data.tables["drugs"]
    wards = rows.frame.assign(unit=pd.Categorical([f"ward {i % 90}" for i in range(len(rows.frame))]))
    marks = {name: mark for name, mark in rows.marks.items() if name != "unit"}
    whole = Dataset({**data.tables, "drugs": Table(wards, marks)}, Schema((*tables[:-1], drugs)))
    codec = RecordsCodec()
    made = codec.decode(codec.fit_encode(whole), np.random.default_rng(0))
    assert made.schema["drugs"]["unit"].missing == (EMPTY,)
    folder = write(made, tmp_path / "made", like=".parquet")
    assert pd.read_parquet(folder / "drugs.parquet")["unit"].isna().all()
