from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from evaluation.records.made import SCHEMA, evidence, patients, reordered, with_table
from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, Form, Kind, Role, Schema, Storage, TableSchema
from manikin.evaluation.records.linked import prepare_linked
from manikin.evaluation.records.summary import MAX_COLUMNS, PATIENT, per_patient, planned
from manikin.evaluation.suite import evaluate


def test_a_row_says_what_happened_to_the_patient(good):
    train = good.train
    row = per_patient(train, train).table.frame.iloc[7]
    stays = train.tables["admissions"].frame
    stays = stays[stays["patient"] == train.tables["patients"].frame["patient"][7]].sort_values("admitted")
    labs = train.tables["labs"].frame[train.tables["labs"].frame["admission"].isin(stays["admission"])].sort_values("taken")
    sodium = labs[labs["test"] == "sodium"]
    assert row["admissions: rows"] == len(stays)
    assert row["labs: rows"] == len(labs)
    assert row["sodium, count"] == len(sodium)
    assert row["sodium, max"] == sodium["value"].max()
    assert row["sodium, first"] == sodium["value"].iloc[0]
    assert np.isclose(row["sodium, mean"], sodium["value"].mean())
    first = min(stays["admitted"].min(), labs["taken"].min())
    assert row["first event"] == first
    assert np.isclose(row["sodium, first time"], (sodium["taken"].iloc[0] - first) / pd.Timedelta(days=1))
    born = train.tables["patients"].frame["born"][7]
    assert row["age at first event"] == round((first.normalize() - born) / pd.Timedelta(days=365.25), 1)


def test_columns_are_train_s_and_keys_say_whose_row_it_is(good):
    plan = planned(good.train, SCHEMA.of_patients)
    other = per_patient(patients(5, 9), plan, side="holdout")
    assert list(other.table.frame[PATIENT]) == [f"holdout {i}" for i in range(5)]
    assert other.columns == plan.schema
    assert plan.column_of("died") == plan.column_of("patients.died") == "died"
    assert plan.column_of("nothing") is None


def test_the_order_of_rows_does_not_matter(good):
    first, second = (per_patient(data, good.train).table.frame for data in (good.train, reordered(good.train, 3)))
    columns = [name for name in first if name != PATIENT]
    for a, b in ((first, second),):
        left, right = (frame[columns].astype(object).map(str).sort_values(columns).to_numpy() for frame in (a, b))
        assert (left == right).all()


def test_a_wide_vocabulary_is_cut_to_what_most_patients_have():
    train = patients(60, 1)
    labs = train.tables["labs"].frame.copy()
    rng = np.random.default_rng(0)
    labs["test"] = pd.Categorical([f"t{i}" for i in rng.integers(0, 40, len(labs))])
    plan = planned(with_table(train, "labs", labs), SCHEMA.of_patients)
    assert len(plan.schema.columns) <= MAX_COLUMNS + 1
    rare = labs.copy()
    rare["test"] = pd.Categorical(np.where(np.arange(len(rare)) < 3, "of few", "common"))
    named = planned(with_table(train, "labs", rare), SCHEMA.of_patients).schema.names
    assert not any("of few" in name for name in named)


def test_patients_without_rows_and_empty_tables(good):
    bare = patients(6, 4)
    for name in ("admissions", "labs", "diagnoses"):
        bare = with_table(bare, name, bare.tables[name].frame.iloc[:0])
    frame = per_patient(bare, good.train).table.frame
    assert len(frame) == 6
    assert (frame["labs: rows"] == 0).all()
    assert frame["sodium, mean"].isna().all()
    assert frame["first event"].isna().all()


DEATHS = Schema(
    (
        TableSchema(
            "people",
            (
                Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
                Column("death", Kind.DATE, Storage.TIMESTAMP, roles=(Role.DEATH,)),
            ),
            form=Form.STATIC,
            primary_key=("id",),
        ),
        TableSchema(
            "visits",
            (
                Column("id", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
                Column("day", Kind.DATE, Storage.TIMESTAMP),
                Column("sex", Kind.CATEGORICAL),
                Column("weight", Kind.CONTINUOUS, Storage.REAL, decimals=1),
            ),
            form=Form.EVENTS,
            start="day",
        ),
    )
)


def followed(n: int, seed: int) -> Dataset:
    """Patients with three visits ten days apart, of whom every second dies; sex is written on every row."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"{seed}-{i}" for i in range(n)], dtype=object)
    first = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D")
    death = (first + pd.to_timedelta(30 + rng.integers(0, 100, n), unit="D")).to_series().where(np.arange(n) % 2 == 0).to_numpy()
    people = pd.DataFrame({"id": ids, "death": death.astype("datetime64[us]")})
    who = np.repeat(np.arange(n), 3)
    days = first[who] + pd.to_timedelta(np.tile([0, 10, 20], n), unit="D")
    visits = pd.DataFrame(
        {
            "id": ids[who],
            "day": days.astype("datetime64[us]"),
            "sex": pd.Categorical(np.where(who % 3 == 0, "F", "M")),
            "weight": np.round(rng.normal(70, 9, len(who)), 1),
        }
    )
    return Dataset({"people": Table(people), "visits": Table(visits)}, DEATHS)


def test_follow_up_to_death_and_columns_that_never_change():
    train = followed(40, 1)
    made = per_patient(train, train)
    frame, roles = made.table.frame, {role: made.columns.with_role(role)[0].name for role in (Role.TIME, Role.EVENT)}
    assert (frame[roles[Role.EVENT]] == np.where(np.arange(40) % 2 == 0, "yes", "no")).all()
    assert (frame[roles[Role.TIME]][1::2] == 20).all()
    assert (frame[roles[Role.TIME]][::2] >= 30).all()
    assert list(frame["sex"]) == ["F" if i % 3 == 0 else "M" for i in range(40)]
    data = replace(evidence(train, followed(40, 2), followed(40, 3), target=None), schema=DEATHS)
    result = evaluate(data, seed=0, metrics=["time_to_event"], attacks=[], with_views=False)["time_to_event"]
    assert result.value is not None
    assert prepare_linked(data).patients.target is None
