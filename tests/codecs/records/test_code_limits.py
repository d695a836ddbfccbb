"""No code that a patient's sex or age excludes is left while she is drawn; where neither is known, or no system, all are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from codec_tables import PUBLIC, drawn_by_masks, key, link, linked, static_at_random

from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Form, Kind, Role, TableSchema
from manikin.synthesizers import synthesizer

CODES = ["O80", "C61", "Z38.0", "I10"]


def maternity(n: int = 90, *, system: str | None = "ICD-10-CM", sex: str = "sex", before: str = "") -> Dataset:
    """Women and men of 20 days, 20 and 75 years; each code stands with everybody alike, so that only masks can keep them apart."""
    rng = np.random.default_rng(0)
    born = np.datetime64("2140-01-01") - np.tile([20, 7_300, 27_400], n)[:n]
    owner = np.repeat(np.arange(n), 6)
    day = np.datetime64("2140-01-10") + np.tile(np.arange(6), n)
    schema = (
        TableSchema(
            "people",
            (
                key("pid", patient=True),
                Column(sex, Kind.CATEGORICAL, levels=("f", "m"), source=PUBLIC),
                Column("born", Kind.DATE, roles=(Role.BIRTH,)),
            ),
            min_patients=1,
            form=Form.STATIC,
            primary_key=("pid",),
        ),
        TableSchema(
            "diagnoses",
            (key("pid", patient=True), Column("day", Kind.DATE), Column("icd", Kind.CODE, code_system=system)),
            min_patients=1,
            form=Form.EVENTS,
            foreign_keys=(link("pid", "people"),),
            start="day",
        ),
    )
    people = {"pid": 100 + np.arange(n), sex: rng.choice(["f", "m"], n), "born": born}
    rows = {"pid": 100 + owner, "day": day, "icd": [before + code for code in rng.choice(CODES, len(owner))]}
    tables = {"people": people, "diagnoses": rows}
    return linked(schema, {name: {one: [str(cell) for cell in cells] for one, cells in own.items()} for name, own in tables.items()})


def held(made: Dataset, sex: str = "sex") -> pd.DataFrame:
    """Each diagnosis with its patient's sex and age in years."""
    people, rows, owner = made.tables["people"].frame, made.tables["diagnoses"].frame, made.owners["diagnoses"]
    age = (rows["day"].to_numpy() - people["born"].to_numpy()[owner]) / np.timedelta64(1, "D") / 365.25
    code = rows["icd"].astype(str).str.rpartition("//")[2].to_numpy()
    return pd.DataFrame({"code": code, "sex": people[sex].astype(str).to_numpy()[owner], "age": age})


def broken(rows: pd.DataFrame) -> pd.Series:
    is_old = (rows["code"] == "O80") & ~rows["age"].between(9, 65)
    return is_old | ((rows["code"] == "O80") & (rows["sex"] == "m")) | ((rows["code"] == "C61") & (rows["sex"] == "f")) | (
        (rows["code"] == "Z38.0") & (rows["age"] >= 1)
    )


@pytest.mark.parametrize(("system", "before"), [("ICD-10-CM", ""), ("MEDS", "DIAGNOSIS//ICD//10//")])
def test_masks_leave_no_code_that_sex_or_age_excludes(system: str, before: str) -> None:
    data = maternity(system=system, before=before)
    assert broken(held(data)).mean() > 0.4
    codec = RecordsCodec().fit(data)
    records = drawn_by_masks(codec, static_at_random(codec, 200, 1), 2)
    rows = held(codec.decode(records, np.random.default_rng(0)))
    assert len(rows) > 300
    assert not broken(rows).any()
    left = {code: rows[rows["code"] == code] for code in CODES}
    assert all(len(one) > 10 for one in left.values()), "who may have a code still has it"
    assert left["I10"]["age"].max() > 60 > 1 > left["I10"]["age"].min()


def test_nothing_is_bound_without_a_system_or_a_sex_that_is_known() -> None:
    for system in (None, "ATC"):
        assert not RecordsCodec().fit(maternity(system=system)).masks().limits.are_any
    codec = RecordsCodec().fit(maternity(sex="arm"))
    assert codec.masks().limits.sex_field == -1
    rows = held(codec.decode(drawn_by_masks(codec, static_at_random(codec, 200, 1), 2), np.random.default_rng(0)), "arm")
    assert ((rows["code"] == "C61") & (rows["sex"] == "f")).any(), "an arm of a trial is no sex"
    assert not ((rows["code"] == "Z38.0") & (rows["age"] >= 1)).any(), "the age is still known"


def test_an_age_in_years_counts_where_there_is_no_date_of_birth() -> None:
    data = maternity()
    people = data.schema["people"]
    age = np.tile([0, 20, 75], 30)[: len(data)]
    columns = (*people.columns[:2], Column("age", Kind.COUNT, people["pid"].storage, decimals=0, unit="a"))
    frame = data.tables["people"].frame.drop(columns="born").assign(age=age.astype(float))
    told = replace(data.schema, tables=(replace(people, columns=columns), *data.schema.tables[1:]))
    codec = RecordsCodec().fit(Dataset(dict(data.tables) | {"people": replace(data.tables["people"], frame=frame)}, told))
    made = codec.decode(drawn_by_masks(codec, static_at_random(codec, 200, 1), 2), np.random.default_rng(0))
    rows = made.tables["diagnoses"].frame["icd"].astype(str).to_numpy()
    ages = made.tables["people"].frame["age"].to_numpy()[made.owners["diagnoses"]]
    assert set(ages[rows == "Z38.0"]) == {0}
    assert set(ages[rows == "O80"]) == {20}


@pytest.mark.parametrize("name", ["markov", "halo", pytest.param("event_transformer", marks=pytest.mark.verify)])
def test_generators_make_no_such_patients(name: str) -> None:
    settings = {} if name == "markov" else {"max_steps": 5}
    made = synthesizer(name, **settings).fit(maternity(), seed=0).sample(150, seed=1)
    rows = held(made)
    assert len(rows) > 200
    assert not broken(rows).any()
