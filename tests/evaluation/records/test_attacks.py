from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.records.made import evidence, patients, with_table
from manikin.data.dataset import Dataset, Table, concat
from manikin.evaluation.records.copies import trajectory_copies
from manikin.evaluation.records.linked import prepare_linked
from manikin.evaluation.records.membership import trajectory_membership
from manikin.evaluation.records.runs import LENGTHS, longest_runs
from manikin.evaluation.suite import evaluate


def rekeyed(data: Dataset, *, noise: float = 0.0) -> Dataset:
    """The same patients under other keys, later by a year, with this share of their values moved."""
    rng = np.random.default_rng(0)
    tables = {}
    for name, table in data.tables.items():
        frame = table.frame.copy()
        for key in ("patient", "admission"):
            if key in frame:
                frame[key] = ("x" + frame[key]).astype(object)
        for column in ("admitted", "discharged", "taken"):
            if column in frame:
                frame[column] += np.timedelta64(365, "D")
        if "value" in frame:
            moved = rng.random(len(frame)) < noise
            frame["value"] = np.where(moved, frame["value"] + 0.01, frame["value"])
        tables[name] = Table(frame)
    return Dataset(tables, data.schema)


def test_fresh_patients_are_neither_recognised_nor_copied(good):
    found = trajectory_membership(good, seed=0)
    assert found.interval[0] <= 0.02
    assert abs(found.details["auc"] - 0.5) < 0.12
    copied = trajectory_copies(good, seed=0)
    assert copied.interval[0] <= 0 <= copied.interval[1]
    assert copied.details["synthetic"]["longest"] <= 2 * copied.details["holdout"]["longest"]


def test_a_release_of_train_patients_is_found_out_whatever_their_keys_and_calendar(good):
    leak = evidence(good.train, good.holdout, rekeyed(good.train))
    for attack in (trajectory_membership, trajectory_copies):
        result = attack(leak, seed=0)
        assert result.value > 0.95, attack.__name__
        assert result.control.value < 0.1
    summary = evaluate(leak, seed=0, metrics=["key_integrity"], attacks=["membership"], with_views=False)
    assert summary["membership"].value > 0.9
    assert summary["key_integrity"].details["n_reused"] == 0


def with_rare_codes(data: Dataset, codes: np.ndarray) -> Dataset:
    """Each patient's first admission has one more diagnosis."""
    stays = data.tables["admissions"].frame.drop_duplicates("patient")
    mine = pd.Series(codes[: len(data)], index=data.tables["patients"].frame["patient"])
    more = pd.DataFrame({"admission": stays["admission"], "icd": stays["patient"].map(mine).astype(object)})
    rows = pd.concat([data.tables["diagnoses"].frame.astype({"icd": object}), more], ignore_index=True)
    return with_table(data, "diagnoses", rows.assign(icd=pd.Categorical(rows["icd"])))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rare_codes_of_train_tell_who_was_in_it_and_those_of_a_public_list_do_not(good, seed):
    rng = np.random.default_rng(seed)
    listed = np.array([f"Q{i}" for i in range(2000)])
    train, holdout = (with_rare_codes(part, rng.choice(listed, len(part))) for part in (good.train, good.holdout))
    had = train.tables["diagnoses"].frame["icd"].astype(str)
    areas = {}
    for name, source in (("train", had[had.str.startswith("Q")].to_numpy()), ("list", listed)):
        made = with_rare_codes(patients(150, 10 + seed), rng.choice(source, 150))
        found = trajectory_membership(evidence(train, holdout, made), seed=seed)
        areas[name] = found.details["attacks"]["rare_codes"]["auc"]
        assert abs(found.details["attacks"]["overlap"]["auc"] - 0.5) < 0.2, "no synthetic patient is anybody"
        if name == "train":
            assert found.details["strongest"] == "rare_codes"
            assert found.details["auc_interval"][0] > 0.6
    assert areas["train"] > 0.72
    assert abs(areas["list"] - 0.5) < 0.1


def test_a_planted_leak_of_a_tenth_is_found(good):
    few = rekeyed(good.train.subset(np.arange(18)))
    mixed = concat([patients(150, 2), few])
    copied = trajectory_copies(evidence(good.train, good.holdout, mixed), seed=0)
    assert 0.05 < copied.value < 0.2
    assert copied.interval[0] > 0.02
    found = trajectory_membership(evidence(good.train, good.holdout, mixed), seed=0)
    assert found.value > 0.04


def test_moved_values_break_passages_and_do_not_hide_who_it_is(good):
    leak = evidence(good.train, good.holdout, rekeyed(good.train, noise=0.2))
    assert trajectory_membership(leak, seed=0).value > 0.9


def test_the_longest_run_is_the_one_found_by_looking(good):
    data = prepare_linked(good)
    one, crowd = data.fake, data.real
    (found,) = longest_runs([one], crowd)
    texts = [[tuple(crowd.content[a:b])] for a, b in zip(crowd.starts[:-1], crowd.starts[1:], strict=True)]
    for patient in (0, 17, 80, 149):
        mine = tuple(one.content[one.starts[patient] : one.starts[patient + 1]])
        longest = max((length for length in range(1, len(mine) + 1) if _occurs(mine, texts, length)), default=0)
        assert found[patient] == max((length for length in (0, *LENGTHS) if length <= longest), default=0)


def _occurs(mine, crowd, length):
    windows = {mine[i : i + length] for i in range(len(mine) - length + 1)}
    return any(text[i : i + length] in windows for (text,) in crowd for i in range(len(text) - length + 1))


@pytest.mark.parametrize("attack", [trajectory_membership, trajectory_copies])
def test_too_few_patients_are_not_attacked(attack):
    result = attack(evidence(patients(8, 1), patients(8, 2), patients(8, 3)), seed=0)
    assert result.value is None
    assert "at least 20" in result.note
