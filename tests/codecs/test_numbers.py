"""Numbers and times: protected, spiky, on their own grid, and back to the same tokens."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.codecs.number_cells import Grid
from manikin.codecs.numbers import NumberCodec, fit_numbers, round_significant, to_units
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Source, Sources, Storage

K = 11


def fitted(
    values: list[float] | np.ndarray, *, k: int = K, max_tokens: int = 150, patients: np.ndarray | None = None, **facts: object
) -> NumberCodec:
    series = pd.Series(np.asarray(values, dtype=float))
    column = Column("x", Kind.CONTINUOUS, Storage.REAL, **facts)  # type: ignore[arg-type]
    who = np.arange(len(series)) if patients is None else patients
    return fit_numbers(series, series.notna().to_numpy(), who, column, min_patients=k, max_tokens=max_tokens)


def redrawn(codec: NumberCodec, values: np.ndarray, seed: int = 0) -> np.ndarray:
    return codec.decode(codec.encode(values), np.random.default_rng(seed))


numbers = st.lists(st.integers(-500, 500), min_size=1, max_size=300).map(lambda xs: np.array(xs) / 10)


@settings(max_examples=80, deadline=None)
@given(values=numbers, k=st.sampled_from([1, 2, 5, 11]), max_tokens=st.sampled_from([5, 20, 150]))
def test_drawn_values_go_back_to_their_token(values: np.ndarray, k: int, max_tokens: int) -> None:
    codec = fitted(values, k=k, max_tokens=max_tokens, decimals=1)
    low, high = codec.token_bounds()
    tokens = codec.encode(values)
    drawn = codec.decode(tokens, np.random.default_rng(0))
    inside = tokens - codec.n_missing
    assert (drawn >= low[inside] - 1e-9).all()
    assert (drawn <= high[inside] + 1e-9).all()
    assert codec.n_tokens - codec.n_missing <= max(max_tokens, 2) + 2
    assert np.allclose(drawn, np.round(drawn, 1))


@st.composite
def shared(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Values of which many patients share one and some in between are rare, and whose they are; patients have one row or several."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(30, 600))
    values = np.round(rng.gamma(2, draw(st.sampled_from([3, 8, 20, 60])), n)) / 10 * draw(st.sampled_from([1, 1, -1]))
    return values, np.arange(n) if draw(st.booleans()) else rng.integers(0, n // 3, n)


def held_by(tokens: np.ndarray, patients: np.ndarray) -> list[int]:
    return [len(np.unique(patients[tokens == token])) for token in np.unique(tokens)]


@settings(max_examples=150, deadline=None)
@given(rows=shared(), k=st.sampled_from([2, 5, 11]))
def test_a_token_is_a_place_on_the_scale_and_holds_one_spike_at_most(rows: tuple[np.ndarray, np.ndarray], k: int) -> None:
    values, patients = rows
    codec = fitted(values, decimals=1, max_tokens=10_000, k=k, patients=patients)
    if len(np.unique(patients)) < 2 * k:
        return  # one coarse interval
    assert (np.diff(codec.encode(np.sort(values))) >= 0).all(), "larger numbers have no smaller token"
    low, high = codec.token_bounds()
    held = (low[:, None] <= codec.spikes) & (codec.spikes <= high[:, None])
    assert held.sum(axis=1).max(initial=0) <= 1
    assert (low[1:] > high[:-1]).all()


@settings(max_examples=150, deadline=None)
@given(
    rows=shared(),
    k=st.sampled_from([2, 5, 11]),
    max_tokens=st.sampled_from([5, 20, 150]),
    significant=st.sampled_from([None, 1, 2]),
    exact=st.booleans(),
)
def test_every_token_is_held_by_k_patients_and_no_row_is_lost(
    rows: tuple[np.ndarray, np.ndarray], k: int, max_tokens: int, significant: int | None, exact: bool
) -> None:
    values, patients = rows
    if significant:
        values = np.sign(values) * round_significant(np.abs(values), significant, 0.1)
    column = Column("x", Kind.CONTINUOUS, Storage.REAL, decimals=1, significant=significant)
    present = np.ones(len(values), dtype=bool)
    codec = fit_numbers(pd.Series(values), present, patients, column, min_patients=k, max_tokens=max_tokens, exact=exact)
    assert codec.count.sum() == len(values)
    assert codec.count.min() >= 0
    alone = np.setdiff1d(codec.low[codec.low == codec.high], codec.spikes)
    grid = Grid(0.1, significant)
    assert np.isin(grid.before(alone), codec.spikes).all(), "the one point between two spikes"
    assert np.isin(grid.after(alone), codec.spikes).all()
    if len(np.unique(patients)) >= 2 * k:
        assert min(held_by(codec.encode(values), patients)) >= k
        assert codec.token_counts().min() >= k
    if exact and len(codec.low) <= max_tokens:
        assert codec.is_spike().sum() == len(codec.spikes)


def test_both_ends_of_a_column_are_no_longer_one_token() -> None:
    rng = np.random.default_rng(0)
    young, old = rng.integers(29, 36, 14), rng.integers(70, 78, 14)
    age = np.r_[rng.integers(40, 66, 600), young, old].astype(float)
    codec = fitted(age, decimals=0)
    made = redrawn(codec, age)
    assert np.corrcoef(made, age)[0, 1] > 0.99
    assert (np.abs(made - age) > 10).mean() < 0.005
    assert (made < 40).mean() == pytest.approx((age < 40).mean(), abs=0.015)
    assert np.quantile(made, [0.02, 0.5, 0.98]) == pytest.approx(np.quantile(age, [0.02, 0.5, 0.98]), abs=2)


def test_what_lies_between_spikes_says_nothing_of_who_lies_where() -> None:
    """The cells are the same whichever gap the few are in, and wherever in the outermost gaps the outermost of them lie."""
    heaps = np.repeat([10.0, 20.0, 30.0, 40.0, 50.0], 100)
    few = ([12, 48, *[21] * 6, *[33] * 6], [17, 41, *[27] * 6, *[33] * 6], [11, 11, 49, *[21, 28, 33, 34, 36] * 2, 45])
    cells = [fitted(np.r_[heaps, np.array(one, dtype=float)], decimals=0) for one in few]
    for other in cells[1:]:
        assert np.array_equal(cells[0].low, other.low)
        assert np.array_equal(cells[0].high, other.high)
        assert np.array_equal(cells[0].count, other.count)
        assert np.array_equal(cells[0].token, other.token)


def test_where_intervals_begin_and_end_between_spikes_is_nobodys_number() -> None:
    heaps = np.repeat([0.0, 100.0, 200.0, 300.0], 100)
    rng = np.random.default_rng(1)
    between = np.r_[[13.7, 81.3, 113.7, 181.3, 213.7, 281.3], np.round(rng.uniform(20, 80, 11), 1), np.round(rng.uniform(120, 180, 11), 1)]
    codec = fitted(np.r_[heaps, between, np.round(rng.uniform(220, 280, 11), 1)], decimals=1)
    assert (codec.low < codec.high).sum() == 3
    assert not set(between) & {*codec.low, *codec.high}
    lone = fitted(np.concatenate([heaps, between, 290.0 + np.arange(11) / 10, [333.3], np.repeat(400.0, 100)]), decimals=1)
    assert 333.3 not in {*lone.low, *lone.high}


def test_a_heavy_value_keeps_its_token_to_itself_where_a_lighter_one_is_beside_it() -> None:
    hours = np.r_[np.full(1200, 40.0), [36, 36, 37, 37, 37, 37], [41, 41, 41, 42, 42, 42], np.repeat([30.0, 35.0, 45.0, 50.0], 200)]
    codec = fitted(hours, decimals=0)
    low, high = codec.token_bounds()
    own = int(codec.encode(np.array([40.0]))[0]) - codec.n_missing
    assert low[own] == high[own] == 40
    assert codec.is_spike()[own]
    beside = fitted(np.r_[hours[hours >= 40], np.repeat([40.5, 41.5], 8)], decimals=1)  # nothing lies below
    assert beside.is_spike()[0], "a few beside a heavy value do not hide it"


def test_a_point_between_two_neighbours_is_drawn_as_often_as_it_is_there() -> None:
    values = np.r_[np.repeat(np.arange(0, 60, 2.0), 40), np.repeat(np.arange(1, 60, 2.0), 5)]
    codec = fitted(values, decimals=0)
    drawn = np.concatenate([redrawn(codec, values, seed) for seed in range(20)])
    assert (drawn % 2 == 1).mean() == pytest.approx((values % 2 == 1).mean(), rel=0.03)


@pytest.mark.parametrize("significant", [1, 2, 3])
def test_a_grid_counts_its_points_over_powers_of_ten(significant: int) -> None:
    grid = Grid(0.1, significant)
    every = np.arange(-30_000, 30_001) / 10
    points = np.unique(np.sign(every) * round_significant(np.abs(every), significant, 0.1))
    points = points[np.abs(points) <= 2000]
    assert np.allclose(grid.after(points[:-1]), points[1:])
    assert np.allclose(grid.before(points[1:]), points[:-1])
    assert (grid.n_points(points[:-7], points[7:]) == 8).all()


def test_rare_numbers_across_a_power_of_ten_are_drawn() -> None:
    heaps = np.repeat([20.0, 30.0, 40.0, 95.0, 110.0, 120.0, 130.0], 100)
    values = np.r_[heaps, [96, 97, 98, 99, 100] * 2, [50, 60, 70]]
    drawn = np.concatenate([redrawn(fitted(values, decimals=0, significant=2), values, seed) for seed in range(20)])
    assert 5 < ((drawn > 95) & (drawn < 110)).sum() < 200  # of 13 rows in two gaps of 5 and 54 points


def test_few_patients_more_rows_go_to_what_lies_nearest() -> None:
    values = np.r_[np.repeat([10.0, 20.0], 50), np.full(500, 13.0), np.linspace(30, 40, 41)]
    patients = np.r_[np.arange(100), np.full(500, 100), 101 + np.arange(41)]
    codec = fitted(values, decimals=2, patients=patients)
    assert codec.count[codec.low == 10.0].sum() == 550
    assert codec.count.sum() == len(values)


@settings(max_examples=50, deadline=None)
@given(values=numbers)
def test_with_public_levels_values_come_back_as_they_are(values: np.ndarray) -> None:
    codec = fitted(values, k=1, max_tokens=10_000, decimals=1)
    assert np.allclose(redrawn(codec, values), values)


def test_extremes_of_few_patients_are_never_drawn_and_leave_no_heap() -> None:
    rng = np.random.default_rng(0)
    values = np.round(np.r_[rng.normal(50, 10, 2000), [500.0, 700.0, 900.0], [-300.0]], 1)
    codec = fitted(values, decimals=1)
    drawn = redrawn(codec, np.repeat(values, 20))
    ordered = np.sort(values)
    assert drawn.max() <= ordered[-K]
    assert drawn.min() >= ordered[K - 1]
    top = np.sort(np.unique(drawn, return_counts=True)[1])[-1]
    assert top < 20 * 60  # no value became a heap of its own


def test_a_declared_range_is_used_whole() -> None:
    values = np.r_[np.arange(100.0), 1000.0]
    declared = fitted(values, decimals=0, minimum=0, maximum=1000, source=Sources(range=Source.DECLARED))
    assert declared.high.max() == 1000.0
    assert fitted(values, decimals=0).high.max() < 100


def test_one_patient_with_many_rows_counts_once() -> None:
    values = np.r_[np.full(500, 7.0), np.arange(100.0, 400.0)]
    one = np.r_[np.zeros(500, dtype=int), np.arange(1, 301)]
    codec = fitted(values, decimals=0, patients=one)
    assert 7.0 not in codec.spikes
    assert 7.0 in fitted(values, decimals=0).spikes


def test_spikes_come_back_with_their_weight_and_their_neighbours_do_not_borrow_it() -> None:
    rng = np.random.default_rng(1)
    values = np.r_[np.zeros(6000), np.round(rng.gamma(2, 20, 4000), 1)]
    drawn = redrawn(fitted(values, decimals=1), values)
    assert (drawn == 0).mean() == pytest.approx((values == 0).mean(), abs=0.005)


def test_heaped_readings_keep_their_heaps() -> None:
    rng = np.random.default_rng(2)
    pressure = np.r_[rng.choice([110, 120, 130, 140], 3000), rng.integers(100, 160, 1000)].astype(float)
    drawn = redrawn(fitted(pressure, decimals=0), pressure)
    for value in (110, 120, 130, 140, 125):
        assert (drawn == value).mean() == pytest.approx((pressure == value).mean(), abs=0.01)


def test_many_distinct_values_share_tokens_of_about_equal_weight() -> None:
    rng = np.random.default_rng(3)
    values = np.r_[np.round(rng.lognormal(3, 1, 20_000), 2), np.full(4000, 50.0)]
    codec = fitted(values, decimals=2, max_tokens=100)
    counts = codec.token_counts()
    assert len(counts) <= 102
    assert counts.max() <= 4100
    assert np.median(counts) == pytest.approx(200, rel=0.3)
    quantiles = np.linspace(0.01, 0.99, 50)
    assert np.allclose(np.quantile(redrawn(codec, values), quantiles), np.quantile(values, quantiles), rtol=0.03)


def test_significant_digits_are_kept() -> None:
    rng = np.random.default_rng(4)
    values = round_significant(rng.lognormal(0, 2, 3000), 3, 1e-4)
    drawn = redrawn(fitted(values, decimals=4, significant=3), values)
    assert np.allclose(drawn, round_significant(drawn, 3, 1e-4))


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.0, 5.0], [1.0, 2.0], list(range(9)), [0.0], [-3.0], [1234567.0]])
def test_columns_that_too_few_patients_fill_are_drawn_from_a_coarse_interval(values: list[float]) -> None:
    codec = fitted(values, decimals=0)
    drawn = redrawn(codec, np.repeat(values, 200))
    assert len(set(drawn)) > 1
    assert np.allclose(drawn, np.round(drawn))
    assert np.abs(drawn - np.median(values)).max() <= max(10, 2 * abs(values[0]))
    assert codec.encode(np.array([-1e9, 1e9])).max() < codec.n_tokens


def test_a_dose_that_eleven_of_a_few_patients_have_stays_a_heap() -> None:
    usual, rare = np.full(60, 20.0), np.array([19.6, 12.4, 7.5])
    drawn = redrawn(fitted(np.r_[usual, rare], decimals=1), np.tile(np.r_[usual, rare], 20))
    assert set(drawn) == {20.0}, "three patients' doses go to the heap beside them"
    owners = np.r_[np.arange(12), np.arange(3), np.arange(6, 18)]  # 18 patients, 12 of them with the usual dose
    values = np.r_[np.full(12, 2.0), [5.5, 7.25, 9.0], np.linspace(30, 41, 12)]
    codec = fit_numbers(
        pd.Series(values), np.ones(len(values), dtype=bool), owners, Column("x", Kind.CONTINUOUS, Storage.REAL, decimals=2), min_patients=11
    )
    assert codec.spikes.tolist() == [2.0]
    assert codec.count.sum() == len(values)
    made = codec.decode(codec.encode(np.tile(values, 200)), np.random.default_rng(0))
    assert (made == 2.0).mean() == pytest.approx(15 / 27, abs=0.02), "the three low ones lie nearer to the heap than to the rest"
    assert np.isin(made, values[values != 2.0]).mean() < 0.02, "the rest is drawn from one coarse interval"


@pytest.mark.parametrize("n", [12, 15, 21, 22, 30, 300])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_single_patients_number_becomes_a_heap(n: int, seed: int) -> None:
    values = np.round(np.random.default_rng(seed).normal(5, 1, n), 6)
    drawn = redrawn(fitted(values, decimals=6), np.resize(values, 5000))
    assert np.unique(drawn, return_counts=True)[1].max() < 25
    assert np.isin(drawn, values).mean() < 0.01


def test_a_rare_value_between_heaps_has_no_cell_of_its_own() -> None:
    values = np.r_[np.full(100, 100.5), np.full(97, 110.5), np.full(3, 120.5), np.full(100, 130.5)]
    drawn = redrawn(fitted(values, decimals=1), np.tile(values, 20))
    assert 120.5 not in drawn


def test_one_patient_with_many_visits_is_one_patient() -> None:
    rng = np.random.default_rng(3)
    values = np.r_[np.round(rng.normal(5, 1, 300), 2), np.round(rng.uniform(900, 950, 20), 2)]
    who = np.r_[np.arange(300), np.full(20, 999)]
    drawn = redrawn(fitted(values, decimals=2, patients=who), np.tile(values, 20))
    assert drawn.max() < 20


def test_an_all_missing_column_has_missing_tokens_only() -> None:
    codec = fitted([np.nan, np.nan], decimals=0, missing=(EMPTY, MissingCode("-1")))
    assert codec.n_tokens == 2


def test_dates_lie_on_days_and_times_on_minutes() -> None:
    rng = np.random.default_rng(5)
    days = pd.Series(np.datetime64("2019-01-01", "us") + rng.integers(0, 900, 500) * np.timedelta64(86_400_000_000, "us"))
    minutes = pd.Series(np.datetime64("2019-01-01", "us") + rng.integers(0, 900_000, 500) * np.timedelta64(60_000_000, "us"))
    for series, kind, unit in ((days, Kind.DATE, 86_400_000_000), (minutes, Kind.DATETIME, 60_000_000)):
        column = Column("t", kind, Storage.TIMESTAMP)
        codec = fit_numbers(series, series.notna().to_numpy(), np.arange(500), column, min_patients=K)
        assert codec.unit == unit
        drawn = codec.decode(codec.encode(to_units(series, unit)), np.random.default_rng(0))
        assert np.allclose(drawn, np.round(drawn))


def test_dates_of_any_century_are_fitted() -> None:
    days = pd.Series(np.array(["0950-03-01"] * 30 + ["2019-05-02"] * 30 + ["9999-12-31"] * 30, dtype="datetime64[us]"))
    column = Column("t", Kind.DATE, Storage.TIMESTAMP, minimum="0950-03-01", maximum="9999-12-31")
    codec = fit_numbers(days, days.notna().to_numpy(), np.arange(90), column, min_patients=K)
    assert len(codec.spikes) == 3


def test_state_round_trip() -> None:
    rng = np.random.default_rng(6)
    values = np.round(rng.normal(0, 1, 500), 2)
    codec = fitted(values, decimals=2)
    again = NumberCodec.from_state(*codec.state())
    assert (redrawn(codec, values) == redrawn(again, values)).all()


def test_a_heavy_tail_has_a_cell_of_its_own_that_is_nobodys_number() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.integers(0, 10, 300), [100, 170, 230, 310, 480, 500, 720, 950, 1300, 2130, 5000]]).astype(float)
    patients = np.concatenate([np.arange(300) % 60, np.arange(11)])
    column = Column("gap", Kind.DURATION, Storage.INTEGER, decimals=0)
    present = np.ones(len(values), dtype=bool)
    folded, own = (
        fit_numbers(pd.Series(values), present, patients, column, min_patients=11, by_scale=by_scale) for by_scale in (False, True)
    )
    assert folded.high.max() < 101
    assert own.high.max() >= 900
    assert not set(own.high[own.high > 100]) & set(values)
    assert own.count.sum() == len(values)
    drawn = own.decode(own.encode(values) + 0, rng)
    assert (drawn > 150).sum() >= 10
    assert (drawn[:300] <= 100).all()
