from __future__ import annotations

import numpy as np

from evaluation.records.made import evidence, patients, shuffled, with_table
from manikin.data.dataset import split
from manikin.evaluation.records.linked import prepare_linked
from manikin.evaluation.records.prevalence import code_pairs, code_prevalence, code_sequences


def test_shares_are_those_counted_by_hand(good):
    result = code_prevalence(good, seed=0)
    rows = {row["code"]: row for row in result.details["codes"]}
    frame, owner = good.train.tables["diagnoses"].frame, good.train.owners["diagnoses"]
    has = frame["icd"] == "N18"
    assert rows["N18"]["records_train"] == round(len(np.unique(owner[has])) / good.train.n_records, 6)
    n_stays = len(good.train.tables["admissions"])
    assert rows["N18"]["visits_train"] == round(frame["admission"][has].nunique() / n_stays, 6)
    assert result.details["n_codes"] == 12


def test_fresh_patients_score_like_the_reference(good):
    for metric in (code_prevalence, code_pairs, code_sequences):
        result = metric(good, seed=0)
        assert result.value > 0.93
        assert abs(result.value - result.reference) < 0.05
        assert result.interval[0] <= result.value <= result.interval[1]


def test_codes_shuffled_over_patients_lose_what_they_have_beyond_chance():
    train, holdout = split(patients(900, 1), holdout=0.5, seed=0)
    good, bad = evidence(train, holdout, patients(450, 2)), evidence(train, holdout, shuffled(patients(450, 2), "diagnoses", ["icd"], 3))
    alike, lost = code_pairs(good, seed=0), code_pairs(bad, seed=0)
    assert lost.details["beyond"] < alike.details["beyond"] - 0.05
    assert lost.value < alike.value
    assert code_prevalence(bad, seed=0).value > 0.97


def test_a_code_that_is_gone_and_one_that_is_new_count(good):
    fake = good.synthetic[0]
    frame = fake.tables["diagnoses"].frame.copy()
    frame["icd"] = frame["icd"].cat.rename_categories({"I10": "Z99"})
    changed = code_prevalence(evidence(good.train, good.holdout, with_table(fake, "diagnoses", frame)), seed=0)
    assert changed.details["n_codes"] == 13
    assert changed.value < 0.8


def test_patients_without_any_row_and_tables_without_rows(good):
    fake = good.synthetic[0]
    bare = fake
    for name in ("admissions", "labs", "diagnoses"):
        bare = with_table(bare, name, fake.tables[name].frame.iloc[:0])
    result = code_prevalence(evidence(good.train, good.holdout, bare), seed=0)
    assert result.value < 0.1
    assert "fewer than 30" in code_sequences(evidence(good.train, good.holdout, bare), seed=0).note
    assert prepare_linked(evidence(good.train, good.holdout, bare)).fake.n_patients == 150
