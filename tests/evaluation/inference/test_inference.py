"""The metric: a fresh release agrees as the reference does, a planted failure does not, and hard tables are told and not raised."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.simulated import SCHEMA, evidence, reordered, shuffled_columns, simulate, table
from manikin.data.dataset import Dataset, Table
from manikin.data.schema import Column, Kind, Role, Storage, TableSchema
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.inference.agreement import interval_overlap
from manikin.evaluation.inference.metric import inference

FOLLOWED = TableSchema(
    "followed",
    (
        Column("age", Kind.COUNT, Storage.INTEGER, decimals=0, roles=(Role.QUASI_IDENTIFIER,)),
        Column("arm", Kind.CATEGORICAL),
        Column("days", Kind.DURATION, Storage.REAL, decimals=1, roles=(Role.TIME,)),
        Column("dead", Kind.BOOLEAN, levels=("no", "yes"), roles=(Role.EVENT, Role.TARGET)),
    ),
)


def followed(n: int, seed: int) -> Dataset:
    """Patients whose hazard hangs on age and arm."""
    rng = np.random.default_rng(seed)
    age, arm = rng.integers(40, 90, n), rng.choice(["control", "treated"], n)
    days = rng.exponential(1000 * np.exp(-0.05 * (age - 65) + 0.7 * (arm == "treated")))
    columns = {"age": age.astype(str), "arm": arm, "days": np.char.mod("%.1f", np.minimum(days, 1500) + 0.1)}
    return table({**columns, "dead": np.where(days < 1500, "yes", "no")}, FOLLOWED)


def with_column(data: Dataset, name: str, values: object) -> Dataset:
    """The data set with one column's typed cells exchanged."""
    return data.with_table(Table(data.table.frame.assign(**{name: values}), data.table.marks))


def shuffled(data: Dataset, name: str) -> Dataset:
    """The data set with one column in random order."""
    frame = data.table.frame
    order = np.random.default_rng(0).permutation(len(data))
    return with_column(data, name, frame[name].iloc[order].reset_index(drop=True))


def coefficients(result) -> dict[str, dict]:
    return {row["term"]: row for analysis in result.details["analyses"] for row in analysis["coefficients"]}


def test_overlap_of_intervals_by_hand():
    first, others = (np.zeros(4), np.full(4, 4.0)), (np.array([0.0, 2, 4, 6]), np.array([4.0, 6, 8, 10]))
    assert interval_overlap(first, others).tolist() == [1.0, 0.5, 0.0, -0.5]
    assert interval_overlap((np.zeros(1), np.full(1, 4.0)), (np.ones(1), np.full(1, 2.0)))[0] == pytest.approx((1 / 4 + 1) / 2)


def test_a_fresh_release_agrees_as_the_reference_does(good):
    result = inference(good, seed=0)
    assert result.value == pytest.approx(result.reference, abs=0.2)
    low, high = result.interval
    assert low < result.value < high <= 1
    assert result.n == len(coefficients(result)) == 6
    assert result.details["same_sign"] >= 0.5
    assert result.details["covered"] >= 0.8
    [analysis] = result.details["analyses"]
    assert (analysis["model"], analysis["outcome"], analysis["is_default"]) == ("logistic", "died = yes", True)
    assert coefficients(result)["age"]["same_conclusion"] is True


def test_a_shuffled_outcome_is_caught(parts):
    train, holdout = parts
    result = inference(evidence(train, holdout, shuffled(simulate(1000, 2), "died")), seed=0)
    age = coefficients(result)["age"]
    assert age["overlap"] < -1
    assert age["same_significance"] is age["same_conclusion"] is age["covered"] is False
    assert result.details["worst_coefficient"].startswith("age in died ~ ")
    assert result.value < result.reference - 0.3
    flipped = simulate(1000, 2)
    codes = flipped.table.frame["died"]
    flipped = with_column(flipped, "died", codes.map({"no": "yes", "yes": "no"}).astype(codes.dtype))
    turned = coefficients(inference(evidence(train, holdout, flipped), seed=0))["age"]
    assert (turned["same_sign"], turned["same_significance"], turned["same_conclusion"]) == (False, True, False)


def test_time_and_event_give_a_cox_model_that_recovers_the_hazard():
    data = evidence(followed(1500, 1), followed(500, 2), followed(1500, 3), "dead")
    result = inference(replace(data, analyses=("Surv(days, dead) ~ age + arm",)), seed=0)
    rows = coefficients(result)
    assert rows["age"]["real"] == pytest.approx(0.05, abs=0.01)
    assert rows["arm[treated]"]["real"] == pytest.approx(-0.7, abs=0.25)
    assert result.details["same_conclusion"] == 1
    chosen = inference(data, seed=0)
    assert [a["formula"] for a in chosen.details["analyses"]] == ["Surv(days, dead) ~ age + arm"]
    assert coefficients(chosen)["age"]["real"] == pytest.approx(0.05 * data.train.table.frame["age"].std(), rel=0.25)
    lost = inference(evidence(data.train, data.holdout, shuffled_columns(data.train, 1), "dead"), seed=0)
    assert lost.value < 0.3


def test_several_tables_are_pooled_by_the_rule(good):
    sets = tuple(simulate(1000, 10 + i) for i in range(3))
    analyses = ("pressure ~ age + sex",)
    fully = inference(EvaluationData(good.train, good.holdout, sets, SCHEMA, "died", analyses=analyses), seed=0)
    partly = inference(EvaluationData(good.train, good.holdout, sets, SCHEMA, "died", analyses=analyses, partial=True), seed=0)
    alone = [inference(replace(good, synthetic=(one,), analyses=analyses), seed=0) for one in sets]
    age = coefficients(fully)["age"]
    singles = [coefficients(one)["age"] for one in alone]
    assert age["synthetic"] == pytest.approx(np.mean([row["synthetic"] for row in singles]), abs=1e-5)
    within = np.mean([row["naive_se"] ** 2 for row in singles])
    n = len(good.train)
    assert age["synthetic_se"] == pytest.approx(np.sqrt(within * (1000 / n + 1 / 3)), rel=1e-3)
    assert singles[0]["synthetic_se"] == pytest.approx(singles[0]["naive_se"] * np.sqrt(1000 / n + 1), rel=1e-3)
    between = np.var([row["synthetic"] for row in singles], ddof=1)
    assert coefficients(partly)["age"]["synthetic_se"] == pytest.approx(np.sqrt(within + between / 3), rel=1e-3)
    assert (fully.details["rule"], partly.details["rule"], fully.details["n_releases"]) == ("fully", "partially", 3)


def test_rows_of_one_patient_are_one_draw():
    schema = replace(SCHEMA, columns=(Column("patient", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)), *SCHEMA.columns))

    def visits(n: int, seed: int, copies: int) -> Dataset:
        people = simulate(n, seed)
        rows = np.tile(np.arange(n), copies)
        frame = people.table.take(rows).frame
        frame.insert(0, "patient", [f"p{i}" for i in rows])
        marks = {name: mark[rows] for name, mark in people.table.marks.items()}
        return Dataset({schema.name: Table(frame, marks)}, people.with_table(Table(frame, marks)).schema.__class__((schema,)))

    def judged(copies: int):
        sides = [visits(n, seed, copies) for n, seed in ((600, 1), (300, 2), (600, 3))]
        data = EvaluationData(sides[0], sides[1], (sides[2],), SCHEMA, "died", analyses=("died ~ age + sex",))
        return coefficients(inference(data, seed=0))["age"]

    once, often = judged(1), judged(4)
    assert often["real"] == pytest.approx(once["real"], abs=1e-4)
    assert often["real_se"] == pytest.approx(once["real_se"], rel=0.2)
    assert often["synthetic_se"] == pytest.approx(once["synthetic_se"], rel=0.2)


def test_the_order_of_rows_changes_nothing(good):
    asked = replace(good, analyses=("died ~ age * sex + log(pressure)", "pressure ~ ward"))
    again = replace(reordered(asked, 5), analyses=asked.analyses)
    assert inference(asked, seed=0) == inference(again, seed=0)


def test_a_synthetic_table_without_an_outcome_counts_nothing(good):
    constant = with_column(good.synthetic[0], "died", pd.Categorical(["no"] * 1000, categories=["no", "yes"]))
    result = inference(replace(good, synthetic=(constant,)), seed=0)
    assert result.value == 0
    assert result.details["n_missing"] == result.n
    assert result.details["same_sign"] == result.details["covered"] == 0
    assert "does not give 6 of the coefficients" in result.note


def test_collinear_constant_and_separating_terms_are_dropped_and_said(good):
    def more(data: Dataset) -> Dataset:
        schema = replace(
            data.columns,
            columns=(
                *data.columns.columns,
                Column("months", Kind.CONTINUOUS, Storage.REAL),
                Column("one", Kind.CONTINUOUS, Storage.REAL),
                Column("coffin", Kind.CATEGORICAL),
            ),
        )
        frame = data.table.frame
        coffin = np.where((frame["died"] == "yes") & (np.arange(len(frame)) % 2 == 0), "oak", "none")
        frame = frame.assign(months=12.0 * frame["age"], one=1.0, coffin=pd.Categorical(coffin))
        return Dataset({schema.name: Table(frame, data.table.marks)}, data.schema.__class__((schema,)))

    sides = [more(side) for side in (good.train, good.holdout, good.synthetic[0])]
    data = EvaluationData(sides[0], sides[1], (sides[2],), sides[0].columns, "died", analyses=("died ~ age + months + one + coffin + sex",))
    result = inference(data, seed=0)
    [analysis] = result.details["analyses"]
    assert {entry["term"]: entry["reason"] for entry in analysis["left_out"]} == {
        "months": "is determined by the terms before it",
        "one": "has one value in the train data",
        "coffin[oak]": "separates the outcome perfectly in the train data",
    }
    assert set(coefficients(result)) == {"age", "sex[M]"}
    assert result.value > 0.4


def test_levels_that_too_few_hold_have_no_name(good):
    frame = good.train.table.frame
    ward = frame["ward"].astype(object).copy()
    ward.iloc[:5] = "leprosy"
    train = with_column(good.train, "ward", ward.astype("category"))
    result = inference(replace(good, train=train, analyses=("died ~ age + ward",)), seed=0)
    assert "leprosy" not in str(result)
    assert any(term.startswith("ward[") for term in coefficients(result))


def test_a_target_of_many_levels_is_its_commonest_against_the_rest(good):
    result = inference(replace(good, target="ward"), seed=0)
    assert result.details["analyses"][0]["outcome"] == "ward = surgery against all others"


def test_what_cannot_be_computed_is_a_note(good):
    assert "no target column" in inference(replace(good, target=None), seed=0).note
    without = replace(good, synthetic=(good.synthetic[0].only(["age", "died"]),), analyses=("died ~ sex", "died ~ age"))
    result = inference(without, seed=0)
    assert result.value is not None
    assert "not all tables hold 'sex'" in result.note
    assert [bool(a["coefficients"]) for a in result.details["analyses"]] == [True, False]
    flat = good.train.take(np.flatnonzero((good.train.table.frame["died"] == "no").to_numpy()))
    assert "single value in the train data" in inference(replace(good, train=flat), seed=0).note


def hard_follow_up() -> dict[str, dict[str, object]]:
    """Columns that make a Cox model impossible, or odd."""
    n = 300
    return {
        "no event at all": {"dead": pd.Categorical(["no"] * n, categories=["no", "yes"])},
        "no time": {"days": np.full(n, np.nan)},
        "times of 0 and below": {"days": -np.arange(n, dtype=float)},
        "one time for all": {"days": np.full(n, 7.0)},
        "every covariate constant": {"age": np.full(n, 50.0), "arm": pd.Categorical(["control"] * n)},
        "infinite and huge numbers": {"age": np.where(np.arange(n) % 7 == 0, np.inf, 1e300)},
        "one patient in each arm": {"arm": pd.Categorical([f"arm {i}" for i in range(n)])},
        "missing nearly everywhere": {"age": np.where(np.arange(n) < 8, 50.0 + np.arange(n), np.nan)},
    }


@pytest.mark.parametrize("side", ["train", "holdout", "synthetic"])
@pytest.mark.parametrize("case", list(hard_follow_up()))
def test_hard_follow_up_gives_figures_or_a_note(case, side):
    sides = {"train": followed(300, 1), "holdout": followed(300, 2), "synthetic": followed(300, 3)}
    for name, values in hard_follow_up()[case].items():
        sides[side] = with_column(sides[side], name, values)
    result = inference(evidence(*sides.values(), "dead"), seed=0)
    if result.value is None:
        assert result.note.startswith("Not computed: ")
        assert side == "train"
    else:
        assert -1000 < result.value <= 1
    assert "nan" not in str(result.details).replace("nance", "")


def test_competing_events_and_numbers_of_two_values_are_told():
    data = followed(400, 1)
    status = pd.Categorical(np.where(data.table.frame["dead"] == "no", "0", np.where(np.arange(400) % 3, "1", "2")))
    schema = data.columns.replace_column(Column("dead", Kind.CATEGORICAL, levels=("0", "1", "2"), roles=(Role.EVENT,)))
    coded = Dataset({schema.name: Table(data.table.frame.assign(dead=status), data.table.marks)}, data.schema.__class__((schema,)))
    result = inference(EvaluationData(coded, coded, (coded,), schema), seed=0)
    assert result.details["analyses"][0]["outcome"] == "dead = 1 or 2"
    assert result.value > 0.8
    flags = Column("dead", Kind.COUNT, Storage.INTEGER, decimals=0)
    schema = data.columns.replace_column(flags)
    frame = data.table.frame.assign(dead=(status != "0").astype(float))
    numbered = Dataset({schema.name: Table(frame, data.table.marks)}, data.schema.__class__((schema,)))
    asked = EvaluationData(numbered, numbered, (numbered,), schema, analyses=("dead ~ age", "Surv(days, dead) ~ age"))
    told = [(a["model"], a["outcome"]) for a in inference(asked, seed=0).details["analyses"]]
    assert told == [("logistic", "dead = 1"), ("cox", "dead = 1")]
