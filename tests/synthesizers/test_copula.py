"""The copula: its normal draws are right, coarse cells do not blunt correlations, conditions equal rejection, margins and rules hold."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from manikin.codecs.base import Field
from manikin.data.dataset import Dataset, split
from manikin.data.errors import FitError, ModelFolderError, ParameterError
from manikin.data.rules import ImpliedRule, OrderRule, Rule
from manikin.data.schema import Kind
from manikin.io.tabular import read
from manikin.synthesizers import synthesizer
from manikin.synthesizers.tables import latent_normal, nested_cuts
from manikin.synthesizers.tables.copula import Copula
from manikin.synthesizers.tables.nested_cuts import FieldCuts, field_cuts


@pytest.mark.parametrize(
    ("mean", "low", "high"), [(0.0, -1.0, 0.5), (2.0, -np.inf, 0.0), (-1.0, 2.0, np.inf), (0.0, 6.0, 6.5), (5.0, 0.0, 1.0)]
)
def test_truncated_draws_have_the_moments_of_the_truncated_normal(mean: float, low: float, high: float) -> None:
    drawn = latent_normal.truncated(mean, 1.5, low, high, np.random.default_rng(0).random(100_000))
    assert drawn.min() >= low
    assert drawn.max() <= high
    expected = stats.truncnorm((low - mean) / 1.5, (high - mean) / 1.5, mean, 1.5)
    assert drawn.mean() == pytest.approx(expected.mean(), abs=4 * expected.std() / np.sqrt(100_000))
    assert drawn.std() == pytest.approx(expected.std(), rel=0.02)


def test_truncated_draws_stay_finite_where_there_is_no_mass() -> None:
    low, high = np.array([60.0, -np.inf, -70.0, 3.0]), np.array([np.inf, -50.0, -60.0, 3.0])
    drawn = latent_normal.truncated(0.0, 1.0, low, high, np.full(4, 0.5))
    assert np.isfinite(drawn).all()
    assert (drawn >= low).all()
    assert (drawn <= high).all()


def test_gibbs_finds_the_moments_of_a_quadrant() -> None:
    rho, n = 0.8, 40_000
    bounds = (np.zeros((2, n)), np.full((2, n), np.inf))
    z = latent_normal.draw_within(bounds, np.array([[1, rho], [rho, 1]]), np.random.default_rng(0), n_sweeps=20)
    share = 0.25 + np.arcsin(rho) / (2 * np.pi)
    assert z.mean() == pytest.approx((1 + rho) / (2 * np.sqrt(2 * np.pi)) / share, abs=0.01)  # Rosenbaum 1961
    np.testing.assert_allclose(z.mean(axis=1)[0], z.mean(axis=1)[1], atol=0.02)


def levels_field(n_tokens: int, n_missing: int = 0, *, is_ordered: bool = False) -> Field:
    nothing = np.full(n_tokens, np.nan, dtype=np.float32)
    return Field("x", "x", Kind.CATEGORICAL, n_tokens, n_missing, is_ordered, nothing, nothing)


FIELDS = {
    "ordered": (levels_field(7, is_ordered=True), 8),
    "ordered with codes": (levels_field(9, 3, is_ordered=True), 8),
    "levels": (levels_field(7), 8),
    "many levels, few latent numbers": (levels_field(40), 4),
    "levels on one line": (levels_field(12), 1),
}


def made(case: str) -> tuple[FieldCuts, np.ndarray[Any, Any]]:
    f, most = FIELDS[case]
    rng = np.random.default_rng(1)
    counts = rng.integers(20, 400, f.n_tokens)
    counts[f.n_tokens // 2] = 0
    return field_cuts(f, counts, rng.standard_normal((f.n_tokens, 5)), max_latents=most), counts


@pytest.mark.parametrize("case", FIELDS)
def test_every_token_comes_back_from_its_intervals(case: str) -> None:
    one, counts = made(case)
    assert len(one.cuts) <= FIELDS[case][1]
    low, high = one.bounds()
    for token in np.flatnonzero(counts):
        z = latent_normal.truncated(
            0.0, 1.0, low[:, token, None], high[:, token, None], np.random.default_rng(0).random((len(low), 50))
        )
        assert set(one.tokens(z).tolist()) == {token}
    unseen = counts == 0
    assert np.isinf(low[:, unseen]).all(), "of a token that never is, nothing is known"


@pytest.mark.parametrize("case", FIELDS)
def test_cuts_give_the_shares_of_the_field_whatever_the_correlation(case: str) -> None:
    one, counts = made(case)
    d = len(one.cuts)
    correlation = np.full((d, d), 0.6) + 0.4 * np.eye(d)
    z = np.linalg.cholesky(correlation) @ np.random.default_rng(2).standard_normal((d, 200_000))
    moved = one.calibrated(z[:, :100_000])
    shares = np.bincount(moved.tokens(z[:, 100_000:]), minlength=len(counts)) / 100_000
    np.testing.assert_allclose(shares, counts / counts.sum(), atol=0.006)


def test_saved_cuts_come_back_and_broken_ones_are_refused() -> None:
    fields = [made(case)[0] for case in FIELDS] + [FieldCuts((), 3, 1)]
    arrays = nested_cuts.state_of(fields)
    sizes = [one.n_tokens for one in fields]
    back = nested_cuts.from_state(arrays, sizes)
    for one, again in zip(fields, back, strict=True):
        np.testing.assert_array_equal(one.bounds(), again.bounds())
    backwards = arrays["cuts"].copy()
    backwards[:6] = backwards[:6][::-1]
    circle = arrays["after"].copy()
    circle[0] = -1
    for broken in ({"cuts": backwards}, {"after": circle}, {"latents": arrays["latents"][1:]}, {"start": arrays["start"] + 50}):
        with pytest.raises(ModelFolderError):
            nested_cuts.from_state(arrays | broken, sizes)


def test_coarse_cells_do_not_blunt_the_correlation() -> None:
    rng = np.random.default_rng(3)
    true = np.array([[1, 0.7, -0.5], [0.7, 1, -0.3], [-0.5, -0.3, 1]])
    z = np.linalg.cholesky(true) @ rng.standard_normal((3, 4_000))
    frame = pd.DataFrame(
        {
            "ill": np.where(z[0] > 1.2, "yes", "no"),
            "visits": np.digitize(z[1], [-0.3, 0.4, 1.1]),
            "age": (50 + 9 * z[2]).round(1),
        }
    )
    blunt = np.corrcoef(frame["ill"] == "yes", frame["visits"])[0, 1]
    model = Copula().fit(read(frame), seed=0)
    assert abs(blunt) < 0.5
    np.testing.assert_allclose(np.abs(model.correlation_), np.abs(true), atol=0.06)  # which level is which end is no matter


def wards(n: int = 3_000) -> Dataset:
    """Levels on a circle: no line orders them; a lab value that is missing for a reason; two correlated numbers."""
    rng = np.random.default_rng(4)
    z = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], n)
    angle = np.arctan2(z[:, 0] + 0.2 * rng.standard_normal(n), z[:, 1] - z[:, 0])
    ward = np.array(["a", "b", "c", "d", "e", "f"])[((angle + np.pi) / (2 * np.pi) * 6).astype(int) % 6]
    lab = np.round(5 + z[:, 1] + rng.standard_normal(n), 1).astype(object)
    lab[(z[:, 0] + rng.standard_normal(n)) < -0.5] = None
    return read(
        pd.DataFrame(
            {
                "ward": ward,
                "age": (50 + 10 * z[:, 0]).round(),
                "dose": (20 + 5 * z[:, 1]).round(1),
                "lab": lab,
                "grade": np.digitize(z[:, 0] + z[:, 1], [-2, -0.5, 0.5, 2]),
            }
        ),
        name="wards",
    )


@pytest.fixture(scope="module")
def fitted() -> Any:
    return synthesizer("copula").fit(wards(), seed=0)


def test_margins_missing_cells_included_are_those_of_the_patients(fitted: Any) -> None:
    real, sample = wards().to_pandas(), fitted.sample(20_000, seed=1).to_pandas()
    assert sample["lab"].isna().mean() == pytest.approx(real["lab"].isna().mean(), abs=0.015)
    for column in ("age", "dose", "lab"):
        assert stats.ks_2samp(real[column].dropna().astype(float), sample[column].dropna().astype(float)).statistic < 0.035, (
            column
        )
    shares = sample["ward"].value_counts(normalize=True).sub(real["ward"].value_counts(normalize=True), fill_value=0)
    assert shares.abs().max() < 0.015


def test_several_latent_numbers_keep_what_one_line_cannot(fitted: Any) -> None:
    real = wards().to_pandas().groupby("ward")[["age", "dose"]].mean()

    def error(model: Any) -> float:
        made = model.sample(20_000, seed=1).to_pandas().groupby("ward")[["age", "dose"]].mean()
        return float(((made - real) / real.std()).abs().to_numpy().mean())

    assert error(fitted) < 0.6 * error(synthesizer("copula", max_latents=1).fit(wards(), seed=0))


@pytest.mark.parametrize("conditions", [{"ward": "b"}, {"grade": 4}, {"ward": "e", "lab": None}])
def test_conditional_rows_are_those_that_rejection_would_leave(fitted: Any, conditions: dict[str, Any]) -> None:
    free = fitted.sample(80_000, seed=5).to_pandas()
    match = np.logical_and.reduce([free[c].isna() if v is None else free[c] == v for c, v in conditions.items()])
    kept, drawn = free[match], fitted.sample(6_000, seed=6, conditions=conditions).to_pandas()
    assert len(kept) > 500
    for column in set(free) - set(conditions) - {"ward"}:
        a, b = (frame[column].dropna().astype(float) for frame in (kept, drawn))
        assert stats.ks_2samp(a, b).pvalue > 1e-4, column
    if "ward" not in conditions:
        table = pd.concat([kept["ward"].value_counts(), drawn["ward"].value_counts()], axis=1).fillna(0)
        assert stats.chi2_contingency(table).pvalue > 1e-4


def with_rules(data: Dataset, *rules: Rule) -> Dataset:
    return replace(data, schema=replace(data.schema, tables=(replace(data.columns, rules=rules),)))


def test_confirmed_rules_hold_and_also_around_given_cells() -> None:
    rng = np.random.default_rng(5)
    sex = rng.choice(["f", "m"], 800)
    first = rng.integers(20, 60, 800)
    frame = pd.DataFrame(
        {
            "sex": sex,
            "pregnant": np.where(sex == "m", "no", rng.choice(["yes", "no"], 800)),
            "first": first,
            "last": first + rng.integers(0, 30, 800),
        }
    )
    rules = (
        ImpliedRule(("sex", "pregnant"), confirmed=True, when=("m",), then=("no",)),
        OrderRule(("first", "last"), confirmed=True),
    )
    model = synthesizer("copula").fit(with_rules(read(frame), *rules), seed=0)
    for conditions in (None, {"pregnant": "yes"}, {"last": 40}):
        made = model.sample(2_000, seed=1, conditions=conditions).to_pandas()
        assert not ((made["sex"] == "m") & (made["pregnant"] == "yes")).any()
        assert (made["first"] <= made["last"]).all()
    assert stats.spearmanr(frame["first"], frame["last"])[0] == pytest.approx(
        stats.spearmanr(*model.sample(4_000, seed=2).to_pandas()[["first", "last"]].to_numpy().T)[0], abs=0.06
    )


def test_real_trial_keeps_its_correlations() -> None:
    from lifelines.datasets import load_gbsg2

    train, holdout = split(read(load_gbsg2()), holdout=0.3, seed=0)
    numbers = ["age", "tsize", "pnodes", "progrec", "estrec", "time"]
    made, real = (
        part.to_pandas()[numbers].corr("spearman").to_numpy()
        for part in (synthesizer("copula").fit(train, seed=0).sample(4_000, seed=1), train)
    )
    assert np.abs(made - real).max() < 0.08
    assert np.abs(made - holdout.to_pandas()[numbers].corr("spearman").to_numpy()).mean() < 0.06


@pytest.mark.parametrize(
    ("name", "value"), [("max_latents", 0), ("n_sweeps", 0), ("max_rows", 1), ("max_tokens", 1), ("prior_rows", 0.0)]
)
def test_hyperparameters_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ParameterError, match=f"'{name}' parameter of Copula"):
        Copula(**{name: value}).fit(wards(50), seed=0)  # type: ignore[arg-type]


def test_a_foreign_correlation_is_refused(fitted: Any) -> None:
    values, arrays = fitted.state()
    broken = arrays["correlation"].copy()
    broken[0, 1] += 0.5
    for wrong in (broken, arrays["correlation"][1:, 1:], arrays["correlation"] * np.nan):
        with pytest.raises(ModelFolderError, match="correlation"):
            Copula().restore(values, arrays | {"correlation": wrong})


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("latents", lambda a: a[1:], "one number for each"),
        ("latents", lambda a: -a, "one number for each"),
        ("latents", lambda a: a + 1, "'fields.intervals'"),
        ("latents", lambda a: a.astype(float), "'fields.latents' is missing, or no row of type int64"),
        ("start", lambda a: a + 10**6, "none of its field's"),
        ("start", lambda a: a[1:], "one number for each"),
        ("intervals", lambda a: a * 0 + 1, "'fields.intervals'"),
        ("intervals", lambda a: a + (1 << 62), "as long as"),
        ("after", lambda a: a + 10**6, "leads nowhere"),
        ("after", lambda a: a * 0 - 1, "leads nowhere"),
        ("after", lambda a: a.astype(float), "'fields.after'"),
        ("after", lambda a: a[None], "'fields.after'"),
        ("shares", lambda a: a[1:], "as long as"),
        ("cuts", lambda a: -a, "do not increase"),
        ("cuts", lambda a: a * np.nan, "do not increase"),
        ("cuts", lambda a: a[1:], "as long as"),
    ],
)
def test_latent_numbers_that_contradict_the_columns_are_refused_by_name(fitted: Any, name: str, change: Any, why: str) -> None:
    values, arrays = fitted.state()
    with pytest.raises(ModelFolderError, match=why):
        Copula().restore(values, arrays | {f"fields.{name}": change(arrays[f"fields.{name}"])})
    assert len(Copula().restore(values, arrays).sample(3, seed=0)) == 3


def test_latent_numbers_and_tokens_are_bounded_together_before_memory_is_taken() -> None:
    n, n_tokens = 20_000, 1 << 20  # a megabyte of arrays that would ask for 300 GB of ends
    arrays = {
        "latents": np.array([n]),
        "start": np.array([0]),
        "intervals": np.full(n, 2),
        "after": np.stack([np.zeros(n, np.int64), -2 - np.arange(n) % (n - 1)], axis=1).ravel(),
        "shares": np.full(2 * n, 0.5),
        "cuts": np.zeros(n),
    }
    tracemalloc.start()
    with pytest.raises(ModelFolderError, match="latent numbers times tokens are more than 16,777,216"):
        nested_cuts.from_state(arrays, [n_tokens])
    assert tracemalloc.get_traced_memory()[1] < 3_000_000
    tracemalloc.stop()


def test_what_could_not_be_loaded_is_not_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    data = wards(300)
    model = Copula().fit(data, seed=0)
    size = nested_cuts.n_bounds([len(one.cuts) for one in model.fields_], model.codec_.layout.sizes)
    monkeypatch.setattr(nested_cuts, "MOST_BOUNDS", size)
    assert len(Copula().restore(*model.state()).sample(3, seed=0)) == 3
    monkeypatch.setattr(nested_cuts, "MOST_BOUNDS", size - 1)
    with pytest.raises(FitError, match=r"'copula' would need .* latent numbers .* max_latents"):
        Copula().fit(data, seed=0)
    with pytest.raises(ModelFolderError, match="latent numbers times tokens"):
        Copula().restore(*model.state())


def test_a_matrix_that_the_quick_routine_fails_on_is_taken_apart_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from manikin.synthesizers.tables import nested_cuts

    matrix = np.random.default_rng(0).normal(size=(30, 5))
    sizes, axes = nested_cuts._svd(matrix)

    def fails(*_: object, **__: object) -> None:
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", fails)
    other_sizes, other_axes = nested_cuts._svd(matrix)
    np.testing.assert_allclose(other_sizes, sizes)
    np.testing.assert_allclose(np.abs(other_axes), np.abs(axes))
