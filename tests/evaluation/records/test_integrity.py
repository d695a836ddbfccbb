from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from evaluation.records.made import SCHEMA, evidence, patients, with_table
from manikin.data.dataset import Dataset
from manikin.data.schema import ForeignKey, Schema
from manikin.evaluation.records.integrity import chronology, key_integrity


def test_a_sound_release_has_sound_keys_and_times(good):
    keys, times = key_integrity(good, seed=0), chronology(good, seed=0)
    assert (keys.value, keys.reference) == (1, 1)
    assert (times.value, times.reference) == (0, 0)
    assert {rule["rule"] for rule in times.details["rules"]} == {
        "ends after it starts",
        "not before birth",
        "starts no earlier than its admissions",
    }


def test_real_keys_that_come_back_are_counted_and_not_named(good):
    result = key_integrity(evidence(good.train, good.holdout, good.train), seed=0)
    assert result.details["n_reused"] == 2 * good.train.n_records + len(good.train.tables["admissions"])
    assert result.value < 1
    assert "p1-" not in str(result)


def test_keys_that_count_the_rows_are_nobodys(good):
    def counted(data: Dataset) -> Dataset:
        """The data with patients called 1, 2, 3, …"""
        place = {key: str(i + 1) for i, key in enumerate(data.tables["patients"].frame["patient"])}
        for name in ("patients", "admissions"):
            frame = data.tables[name].frame.copy()
            frame["patient"] = frame["patient"].map(place)
            data = with_table(data, name, frame)
        return data

    result = key_integrity(evidence(counted(good.train), counted(good.holdout), counted(good.synthetic[0])), seed=0)
    assert result.details["n_reused"] == 0


def test_lost_parents_repeated_keys_and_rows_of_nobody_are_counted(good):
    fake = good.synthetic[0]
    stays = fake.tables["admissions"].frame.copy()
    stays.loc[0, "admission"] = stays.loc[1, "admission"]
    labs = fake.tables["labs"].frame.copy()
    labs.loc[:9, "admission"] = "nowhere"
    result = key_integrity(evidence(good.train, good.holdout, with_table(with_table(fake, "admissions", stays), "labs", labs)), seed=0)
    assert result.details["n_repeated"] == 1
    assert result.details["n_unresolved"] >= 10
    assert result.value < result.reference


def test_rows_before_birth_outside_the_stay_and_ends_before_starts(good):
    fake = good.synthetic[0]
    stays = fake.tables["admissions"].frame.copy()
    first = stays.groupby("patient").head(1).index[:5]
    stays.loc[first, "discharged"] = stays.loc[first, "admitted"] - pd.Timedelta(days=1)
    people = fake.tables["patients"].frame.copy()
    people.loc[:2, "born"] = people["born"].max() + pd.Timedelta(days=40_000)
    result = chronology(evidence(good.train, good.holdout, with_table(with_table(fake, "admissions", stays), "patients", people)), seed=0)
    found = {(rule["table"], rule["rule"]): rule["synthetic"] for rule in result.details["rules"]}
    assert found["admissions", "ends after it starts"] == 5
    of_three = fake.tables["admissions"].frame["patient"].isin(people["patient"][:3]).sum()
    assert found["admissions", "not before birth"] == of_three
    assert result.value > 0
    assert result.reference == 0


def test_a_rule_that_train_breaks_is_none(good):
    def late(data: Dataset) -> Dataset:
        """Half of the values are taken before their admission."""
        labs = data.tables["labs"].frame.copy()
        labs.loc[labs.index % 2 == 0, "taken"] -= pd.Timedelta(days=30)
        return with_table(data, "labs", labs)

    result = chronology(evidence(late(good.train), late(good.holdout), late(good.synthetic[0])), seed=0)
    assert "starts no earlier than its admissions" not in {rule["rule"] for rule in result.details["rules"]}
    assert result.value == 0


def test_without_keys_and_times_it_is_said_why():
    """One table of events, no keys but the patient's, no times."""
    table = replace(SCHEMA["diagnoses"], foreign_keys=())
    table = replace(table, columns=(SCHEMA["admissions"]["patient"], *table.columns[1:]))
    schema = Schema((table,))

    def made(seed: int) -> Dataset:
        """The diagnoses of some patients as their only table."""
        data = patients(20, seed)
        owner = data.owners["diagnoses"]
        frame = data.tables["diagnoses"].frame.assign(patient=np.char.add(f"{seed}-", owner.astype(str)).astype(object))
        return Dataset({"diagnoses": type(data.tables["labs"])(frame[["patient", "icd"]])}, schema)

    data = replace(evidence(made(1), made(2), made(3), target=None), schema=schema)
    assert "no rule of time" in chronology(data, seed=0).note
    assert key_integrity(data, seed=0).value == 1
    assert ForeignKey(("admission",), "admissions", ("admission",)) in SCHEMA["labs"].foreign_keys
