"""Our regressions against lifelines, scikit-learn and closed forms; and what has no estimate is said."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from manikin.evaluation.inference.models import Outcome, _RiskSets, fit


@pytest.fixture(scope="module")
def rossi() -> tuple[pd.DataFrame, np.ndarray, Outcome]:
    from lifelines.datasets import load_rossi

    data = load_rossi()
    X = data.drop(columns=["week", "arrest"])
    return data, (X / X.std(ddof=0)).to_numpy(float), Outcome(data["week"].to_numpy(float), data["arrest"].to_numpy(bool))


def cox_of_lifelines(data: pd.DataFrame, **named: str) -> tuple[np.ndarray, np.ndarray]:
    from lifelines import CoxPHFitter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CoxPHFitter().fit(data, "week", "arrest", **named)
    scale = data[list(model.params_.index)].std(ddof=0).to_numpy()
    return model.params_.to_numpy() * scale, model.standard_errors_.to_numpy() * scale


def test_cox_is_lifelines(rossi):
    data, X, outcome = rossi
    made = fit("cox", X, outcome)
    estimates, errors = cox_of_lifelines(data)
    np.testing.assert_allclose(made.estimates, estimates, atol=1e-6)
    np.testing.assert_allclose(made.errors, errors, atol=1e-6)
    assert (made.n_rows, made.n_units, made.n_events) == (432, 432, 114)


def test_clustered_cox_is_lifelines_without_ties(rossi):
    data, X, _ = rossi
    untied = data.assign(week=data["week"] + np.random.default_rng(0).random(len(data)) / 100, key=np.arange(len(data)) // 3)
    made = fit("cox", X, Outcome(untied["week"].to_numpy(), untied["arrest"].to_numpy(bool)), untied["key"].to_numpy())
    errors = cox_of_lifelines(untied, cluster_col="key")[1]
    np.testing.assert_allclose(made.errors, errors * np.sqrt(144 / 143), rtol=1e-5)


def test_scores_of_tied_deaths_foretell_what_leaving_a_patient_out_does(rossi):
    _, X, outcome = rossi
    X = X - X.mean(axis=0)
    made = fit("cox", X, outcome)
    scores = _RiskSets(X, outcome.y, outcome.event).scores(made.estimates)
    np.testing.assert_allclose(scores.sum(axis=0), 0, atol=1e-4)
    others = [np.delete(np.arange(432), i) for i in range(20)]
    moved = np.array([made.estimates - fit("cox", X[rows], outcome.take(rows)).estimates for rows in others])
    assert np.corrcoef((scores @ made.covariance)[:20].ravel(), moved.ravel())[0, 1] > 0.99


def test_logistic_is_scikit_learn_and_a_table_of_two_by_two():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = (rng.random(400) < 1 / (1 + np.exp(-X[:, 0]))).astype(float)
    made = fit("logistic", X, Outcome(y))
    slow = LogisticRegression(C=1e10, tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(made.estimates, slow.coef_[0], atol=1e-5)
    x = np.repeat([0.0, 0, 1, 1], [30, 20, 10, 40])
    y = np.repeat([0.0, 1, 0, 1], [30, 20, 10, 40])
    table = fit("logistic", x[:, None], Outcome(y))
    assert table.estimates[0] == pytest.approx(np.log(30 * 40 / (20 * 10)))
    assert table.errors[0] == pytest.approx(np.sqrt(1 / 30 + 1 / 20 + 1 / 10 + 1 / 40))


def test_linear_is_scipy():
    from scipy.stats import linregress

    rng = np.random.default_rng(0)
    x = rng.normal(size=50)
    y = 2 * x + rng.normal(size=50)
    made, slow = fit("linear", x[:, None], Outcome(y)), linregress(x, y)
    assert (made.estimates[0], made.errors[0]) == pytest.approx((slow.slope, slow.stderr))


@pytest.mark.parametrize("kind", ["linear", "logistic", "cox"])
def test_rows_of_one_patient_do_not_count_as_many(kind):
    """Every patient four times: naive errors halve, clustered ones stay."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 1))
    p = 1 / (1 + np.exp(-x[:, 0]))
    outcome = {
        "linear": Outcome(x[:, 0] + rng.normal(size=300)),
        "logistic": Outcome((rng.random(300) < p).astype(float)),
        "cox": Outcome(rng.exponential(1 / np.exp(x[:, 0])), rng.random(300) < 0.7),
    }[kind]
    patients = np.tile(np.arange(300), 4)
    single, naive = fit(kind, x, outcome), fit(kind, x[patients], outcome.take(patients))
    clustered = fit(kind, x[patients], outcome.take(patients), patients)
    assert naive.errors[0] == pytest.approx(single.errors[0] / 2, rel=0.05)
    assert clustered.errors[0] == pytest.approx(single.errors[0], rel=0.15)
    assert clustered.n_units == 300


@pytest.mark.parametrize("kind", ["logistic", "cox"])
def test_separation_has_no_estimate_and_harms_no_other_term(kind):
    rng = np.random.default_rng(2)
    n = 600
    x, group = rng.normal(size=n), np.arange(n) < 60
    died = (rng.random(n) < 1 / (1 + np.exp(-x))) & ~group
    outcome = Outcome(died.astype(float)) if kind == "logistic" else Outcome(rng.exponential(1, n), died)
    made = fit(kind, np.column_stack([x, group]), outcome)
    assert made.why == ("", "separated")
    assert np.isnan(made.estimates[1])
    assert 0 < made.errors[0] < 0.3


def test_constant_and_collinear_columns_are_named():
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    X = np.column_stack([np.full(200, 3.3), x, 2 * x + 1, rng.normal(size=200)])
    made = fit("linear", X, Outcome(x + rng.normal(size=200)))
    assert made.why == ("constant", "", "collinear", "")
    assert made.is_known.tolist() == [False, True, False, True]


@pytest.mark.parametrize("kind", ["linear", "logistic", "cox"])
def test_too_few_rows_and_flat_outcomes_give_nothing(kind):
    X, y = np.random.default_rng(0).normal(size=(40, 2)), np.ones(40)
    flat = Outcome(y, np.zeros(40, dtype=bool)) if kind == "cox" else Outcome(y)
    assert not fit(kind, X, flat).is_known.any()
    assert not fit(kind, X[:3], flat.take(np.arange(3))).is_known.any()
    assert not fit(kind, X[:0], flat.take(np.arange(0))).is_known.any()
