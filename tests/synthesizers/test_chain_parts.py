"""Parts of the chain over linked patients: repeats of codes, outlines of records, rows shared among stays, the pace they are drawn at."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from manikin.data.errors import ModelFolderError
from manikin.synthesizers.records.chain_history import (
    contexts_of,
    moments_of,
    n_contexts,
    numbers_before,
    run_class,
    runs_before,
)
from manikin.synthesizers.records.chances import NONE, counted
from manikin.synthesizers.records.code_sets import CodeSets, count_sets
from manikin.synthesizers.records.outline import MORE, MOST_ROWS, Outline, RowGroups, count_outline, group_rows
from manikin.synthesizers.records.pace import MOST_WAITS, Pace, Stays, urge
from manikin.synthesizers.records.repeats import EARLIER, NEW, NOW, Repeats, Seen, bucket, count_repeats, previous
from manikin.synthesizers.records.sharing import Portions, Sharing, count_sharing
from manikin.synthesizers.records.ties import Ties, count_ties, places_of

N_CODES = 60


def habits(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patients of 20 moments who keep to three codes of their own out of many, in any order: patients, codes, moments."""
    rng = np.random.default_rng(seed)
    own = np.stack([rng.choice(N_CODES, 3, replace=False) for _ in range(n)])
    codes = own[np.arange(n)[:, None], rng.integers(0, 3, (n, 20))].ravel()
    return np.repeat(np.arange(n), 20), codes, np.arange(n * 20)


@pytest.mark.parametrize("seed", [0, 1])
def test_patients_keep_to_their_own_codes_where_a_chain_would_wander(seed: int) -> None:
    patients, codes, moments = habits(seed)
    everything = np.ones(N_CODES, dtype=bool)
    chain = counted(codes, everything, {}, patients)
    rng = np.random.default_rng(seed)
    proposed = chain.draw(np.full(len(codes), NONE), None, rng)
    has = {0: csr_matrix((np.ones(len(codes)), (patients, codes)), shape=(300, N_CODES))}
    sets = count_sets(has, np.full((300, 1), 20))
    repeats = count_repeats(patients, codes, proposed, moments, everything, {}, sets.in_tree(0, N_CODES))
    repeats = Repeats.from_state(repeats.state(), N_CODES)
    n = 500
    seen, drawn = Seen(n, N_CODES), np.zeros((n, 20), dtype=np.int64)
    rows, none, planned = np.arange(n), np.full(n, NONE), sets.draw(np.full((n, 1), 20), rng)
    others = sets.draw_others(np.full((n, 1), 20), rng)[:, 0]
    seen.plan(sets.open(0, N_CODES, planned), sets.in_tree(0, N_CODES), everything, others, np.full(n, 20))
    for step in range(20):
        seen.at(rows, np.full(n, step))
        drawn[:, step] = repeats.draw(seen, rows, chain, (none, none), None, rng)
        seen.add(rows, drawn[:, step])
    different = np.array([len(set(row)) for row in drawn])
    assert 2.5 < different.mean() < 4.0, "three codes each; the chain alone would make seventeen"
    share = np.bincount(drawn.ravel(), minlength=N_CODES) / drawn.size
    error = share - np.bincount(codes, minlength=N_CODES) / len(codes)
    assert np.sqrt((error**2).mean()) < 0.01, "a code of three is drawn for a twentieth of the patients"


def test_kinds_are_told_by_what_was_before_and_masks_hold() -> None:
    seen, rows = Seen(2, 4), np.array([0, 1])
    seen.at(rows, np.array([0, 0]))
    seen.add(rows, np.array([2, 3]))
    assert seen.kind_of(rows, np.array([2, 2])).tolist() == [NOW, NEW]
    seen.at(rows, np.array([1, 0]))
    assert seen.kind_of(rows, np.array([2, 3])).tolist() == [EARLIER, NOW]
    patients, codes, moments = habits(3, 40)
    everything = np.ones(N_CODES, dtype=bool)
    chain = counted(codes, everything, {}, patients)
    repeats = count_repeats(patients, codes, codes, moments, everything, {}, ~everything)
    allowed = np.zeros((2, N_CODES), dtype=bool)
    allowed[:, 7] = True
    big = Seen(2, N_CODES)
    drawn = repeats.draw(big, rows, chain, (np.full(2, NONE), np.full(2, NONE)), allowed, np.random.default_rng(0))
    assert drawn.tolist() == [7, 7]
    with pytest.raises(ModelFolderError, match="Save the model again"):
        Repeats.from_state(repeats.state() | {"kinds": np.full_like(repeats.kinds, np.nan)}, N_CODES)


@pytest.mark.parametrize("seed", [0, 1])
def test_rows_of_a_table_keep_their_shape_and_nobody_is_told(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.where(rng.random(400) < 0.3, 0, np.ceil(rng.lognormal(3, 1, 400))).astype(np.int64)
    groups = group_rows(rows)
    tokens = groups.tokens(rows)
    assert np.bincount(tokens).min() >= 11
    drawn = groups.draw(np.repeat(tokens, 20), rng.random(20 * len(tokens)))
    assert (drawn == 0).mean() == pytest.approx((rows == 0).mean())
    assert drawn.mean() == pytest.approx(rows.mean(), rel=0.1), "nothing of the tail is lost"
    assert drawn.max() <= groups.most
    more = np.where(rows == rows.max(), 50_000, rows)
    assert group_rows(more).excess == groups.excess, "the longest records are told by a mean that the longest one is not in"
    for q in (0.4, 0.5, 0.7, 0.85):
        assert np.quantile(drawn, q) == pytest.approx(np.quantile(rows, q), rel=0.15, abs=1)
    few = group_rows(np.array([0] * 50 + [3, 900, 4]))
    assert few.draw(few.tokens(np.array([0, 900])), rng.random(2)).tolist() == [0, 1], "three patients' rows are not told"
    single = group_rows(np.array([1] * 70 + [2, 2, 5]))
    assert single.most == 1 + MORE
    nobody = group_rows(np.zeros(5, dtype=np.int64))
    assert nobody.draw(np.zeros(3, dtype=np.int64), rng.random(3)).tolist() == [0, 0, 0]


def test_outlines_tie_tables_to_each_other_and_survive_saving() -> None:
    rng = np.random.default_rng(0)
    stay = rng.lognormal(1, 1, 500)
    rows = np.stack([rng.poisson(5 * stay), rng.poisson(2 * stay), rng.poisson(3, 500)], axis=1)
    outline = count_outline(stay, rows)
    outline = Outline.from_state(outline.state(), 3)
    numbers, groups = outline.draw(3000, rng)
    assert numbers.shape == groups.shape == (3000, 4)
    made = np.corrcoef(np.log1p(numbers[:, 1]), np.log1p(numbers[:, 2]))[0, 1]
    assert made > 0.6, f"the first two tables follow the stay: {made}"
    assert abs(np.corrcoef(numbers[:, 0], numbers[:, 3])[0, 1]) < 0.1
    broken = outline.state() | {"1/low": np.array([0, 5, 5])}
    with pytest.raises(ModelFolderError, match="Save the model again"):
        Outline.from_state(broken, 3)
    with pytest.raises(ModelFolderError, match="Save the model again"):
        RowGroups.from_state(outline.groups[1].state() | {"excess": np.array([np.nan])})


def test_the_longest_record_alone_leaves_nothing_in_the_last_buckets() -> None:
    patients, codes, _ = habits(4, 40)
    more = 3000
    patients, codes = np.r_[patients, np.full(more, 40)], np.r_[codes, np.arange(more) % N_CODES]
    proposed = np.random.default_rng(0).permutation(codes)
    everything = np.ones(N_CODES, dtype=bool)
    repeats = count_repeats(patients, codes, proposed, np.arange(len(codes)), everything, {}, ~everything)
    last = int(bucket(np.array([19]))[0])
    assert np.ptp(repeats.kinds[..., last + 1 :, :], axis=3).max() == 0, "buckets that one patient reaches are all alike"
    assert np.ptp(repeats.kinds[..., : last + 1, :], axis=3).max() > 0


def test_how_many_rows_one_patient_has_beside_those_of_others_is_not_kept() -> None:
    tokens, patients = np.repeat([0, 3, 1, 2], [40, 40, 7, 3]), np.r_[np.arange(80), np.full(10, 3)]
    parents = {1: (np.repeat([0, 1], [40, 50]), 2)}
    everything = np.ones(4, dtype=bool)
    one = counted(tokens, everything, parents, patients)
    assert (one.parent, one.lost.tolist()) == (1, [0, 0, 0]), "ten rows of one patient"
    two = np.r_[patients[:87], np.full(3, 4)]
    more, parents = np.r_[tokens, [1, 1, 2]], {1: (np.r_[parents[1][0], np.zeros(3, dtype=np.int64)], 2)}
    lost = counted(more, everything, parents, np.r_[two, [5, 5, 6]])
    assert (lost.lost.tolist(), lost.spare.tolist()) == ([3, 10, 0], [0, 9, 4, 0])
    drawn = lost.draw(np.ones(20_000, dtype=np.int64), None, np.random.default_rng(0))
    assert (drawn == 1).mean() + (drawn == 2).mean() == pytest.approx(10 / 51, abs=0.02), "what is rare stays as frequent"
    own = counted(tokens, everything, {}, patients)
    before = np.where(patients == 3, tokens, NONE)
    assert own.excess_of_same(tokens, {}, before, patients) == 0.0, "she alone repeats"
    assert own.excess_of_same(tokens, {}, before, np.arange(90)) > 0.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_parent_is_what_tells_other_patients_not_what_tells_each_from_the_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(60), 20)
    habit, cause = rng.integers(0, 30, 60)[patients], rng.integers(0, 3, 1200)
    tokens = np.where(rng.random(1200) < 0.5, cause, habit % 5)
    parents = {1: (patients, 60), 2: (cause, 3), 3: (rng.integers(0, 40, 1200), 40)}
    assert counted(tokens, np.ones(5, dtype=bool), parents, patients).parent == 2, "who she is says most, and nothing of others"
    assert counted(tokens, np.ones(5, dtype=bool), {3: parents[3]}, patients).parent == NONE
    weights = counted(tokens, np.ones(5, dtype=bool), parents, patients).weights(np.array([0, 1, NONE]))
    chances, many = counted(tokens, np.ones(5, dtype=bool), parents, patients), np.tile(np.array([0, 1, NONE, 10**6]), 500)
    kept = chances.weights(many)  # so many are worked out once for each of the parent's tokens
    np.testing.assert_array_equal(kept[:4], np.concatenate([chances.weights(many[i : i + 1]) for i in range(4)]))
    kept *= 0.0
    assert chances.weights(many).any(), "what a caller does with them is his own"
    nats = counted(tokens, np.ones(5, dtype=bool), parents, patients).nats(np.tile(np.arange(5), 3), np.repeat([0, 1, NONE], 5))
    assert weights / weights.sum(axis=1, keepdims=True) == pytest.approx(np.exp(nats).reshape(3, 5), rel=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_numbers_follow_the_last_one_of_their_code_and_keep_their_own_chances(seed: int) -> None:
    rng, n, steps = np.random.default_rng(seed), 400, 15
    level = rng.standard_normal((steps, n))
    for step in range(1, steps):  # a correlation of 0.8 from step to step
        level[step] = 0.8 * level[step - 1] + 0.6 * level[step]
    tokens = np.searchsorted([-1.0, 0.0, 0.5, 1.5], level.T.ravel()) + 1
    tokens[rng.random(n * steps) < 0.3] = 0  # missing
    patients = np.repeat(np.arange(n), steps)
    before = numbers_before(np.zeros(n * steps, dtype=np.int64), patients, tokens, 1)
    rows = np.flatnonzero((before > 0) & (tokens > 0))
    weights = np.tile(np.bincount(tokens, minlength=6) * (np.arange(6) > 0.0), (len(rows), 1)).astype(float)
    places = [places_of(own[rows], weights) for own in (before, tokens)]
    is_same, one = tokens[rows] == before[rows], np.zeros(len(rows), dtype=np.int64)
    ties = count_ties(*places, is_same, one, patients[rows], 2)
    ties = Ties.from_state(ties.state(), 2)
    drawn = ties.draw(np.zeros(len(rows), dtype=np.int64), before[rows], weights, rng)
    real, made = (np.corrcoef(before[rows], own)[0, 1] for own in (tokens[rows], drawn))
    assert made == pytest.approx(real, abs=0.06)
    assert real > 0.5
    share = np.bincount(drawn, minlength=6) / len(drawn)
    assert np.abs(share - np.bincount(tokens[rows], minlength=6) / len(rows)).max() < 0.03
    alone = count_ties(*places, is_same, one, one, 2)
    assert not alone.rho.any(), "one patient shows nothing"
    assert not alone.same.any(), "one patient shows nothing"
    closed = np.zeros((1, 6))
    closed[0, 2] = 1.0
    assert ties.draw(np.zeros(1, dtype=np.int64), np.array([5]), closed, rng).tolist() == [2], "a mask holds"
    with pytest.raises(ModelFolderError, match="Save the model again"):
        Ties.from_state({"same": ties.same, "rho": ties.rho + 1.0}, 2)


def test_a_context_that_nobody_shows_is_drawn_as_its_chances_say() -> None:
    tokens, patients = np.repeat([0, 1, 2], [60, 60, 4]), np.r_[np.arange(120), np.arange(4)]
    given = np.r_[np.arange(120) // 60, [0, 0, 1, 1]]
    own = counted(tokens, np.array([True, True, True, False]), {7: (given, 3)}, patients)
    drawn = own.draw(np.full(5_000, 2), None, np.random.default_rng(0))
    weights = own.weights(np.array([2]))[0]
    assert np.bincount(drawn, minlength=4) / 5_000 == pytest.approx(weights / weights.sum(), abs=0.03)
    assert weights[3] == 0, "what is never emitted"


def test_one_patient_with_a_table_of_her_own_is_not_in_the_outline() -> None:
    rng = np.random.default_rng(0)
    rows = np.stack([rng.integers(1, 200, 200), np.arange(200) == 7], axis=1).astype(np.int64)
    mixing = count_outline(rng.lognormal(1, 1, 200), rows).mixing
    assert not mixing[2, :2].any(), "her rank among all would stand there"


def test_rare_codes_share_what_they_say_with_those_beside_them() -> None:
    codes = np.repeat([0, 1, 2, 3, 4, 5], [20, 1, 2, 4, 30, 1])
    contexts = contexts_of(np.array([0, 1, 2, 3, 4, -1]), codes, np.arange(len(codes)))
    assert contexts[1] == contexts[2] == contexts[3], "1, 2 and 4 patients"
    assert len({contexts[0], contexts[1], contexts[4], contexts[5]}) == 4
    assert n_contexts(contexts) == 4
    first = contexts_of(np.arange(3), np.repeat([0, 1, 2], [1, 2, 5]), np.arange(8))
    assert first.tolist() == [0, 0, 0], "the first one in order is no exception"


def test_records_as_long_as_any_are_loaded_again_and_a_forger_s_are_not() -> None:
    spans = np.linspace(1e7, 3e7, 50)
    outline = count_outline(spans, np.full((50, 1), MOST_ROWS + 5))
    again = Outline.from_state(outline.state(), 1)
    assert again.groups[0].low.max() > 1e8, "the hours of a clock that counts seconds, taken for days"
    assert again.most == outline.most == MOST_ROWS
    with pytest.raises(ModelFolderError, match="Save the model again"):
        Outline.from_state(outline.state() | {"1/high": outline.groups[1].high + 10**7}, 1)


def test_a_record_that_runs_ahead_is_held_back_and_one_whose_rows_must_hurry_hurries() -> None:
    pace = Pace(np.array([100, 100, 0]), np.full((3, 1), 10), 1 / 24, is_late=False)
    everybody = np.arange(3)
    pace.add(everybody, 0, np.array([5, 5, 5]))
    assert pace.outruns(everybody, np.array([20, 90, 6])).tolist() == [False, True, True]
    assert pace.haste(everybody[:2], np.array([55, 55]), np.array([50.0, 5.0])).tolist() == [1.0, 8.0]


def test_a_record_that_begins_with_a_birth_counts_from_what_comes_next() -> None:
    pace, one = Pace(np.array([100]), np.full((1, 1), 10), 1 / 24, is_late=True), np.zeros(1, dtype=np.int64)
    pace.add(one, 0, np.array([0]))
    assert not pace.outruns(one, np.array([500_000]))[0], "nobody knows yet when it begins"
    pace.add(one, 0, np.array([500_000]))
    assert pace.outruns(one, np.array([500_090]))[0]


def test_rows_within_a_stay_leave_time_for_each_other_and_others_wait_until_they_are_due() -> None:
    pace, both = Pace(np.array([900, 900]), np.full((2, 2), 50), 1 / 24, is_late=False), np.arange(2)
    pace.add(both, 1, np.array([0, 0]))
    stays = Stays(2)
    stays.add(0, np.array([48.0, 0.0]), np.array([15.0, 15.0]))
    assert stays.longest_gap().tolist() == [12.0, np.inf], "four times what is left for each; the second patient has no stay"
    everything = np.ones((2, 2), dtype=bool)
    assert pace.hold(both, np.zeros(2, dtype=np.int64), stays, everything).tolist() == [[1, 1], [1, 1]]
    pace.wait(np.array([0]), 1, np.array([24]))
    assert pace.hold(both, np.zeros(2, dtype=np.int64), stays, everything)[0].tolist() == [1, 0], "not before the day after"
    assert pace.hold(both, np.array([13, 0]), stays, everything)[0].tolist() == [1, 8]
    only = np.array([[False, True], [True, True]])
    assert pace.hold(both, np.zeros(2, dtype=np.int64), stays, only)[0].tolist() == [1, 1], "when nothing else is left it comes"
    assert np.isinf(pace.most[0])


def test_rows_of_a_stay_do_not_run_ahead_of_it_unless_nothing_else_can_come() -> None:
    portions, three = Portions(np.tile([1, 100], (3, 1)), (Sharing(), Sharing()), {1: 0}), np.arange(3)
    assert portions.allowed(three, np.array([[True, False]] * 3))[:, 0].all()
    portions.drawn(three, 0, np.array([10.0, 10.0, np.inf]), np.random.default_rng(0))
    for _ in range(40):
        portions.drawn(three, 1, np.full(3, np.inf), np.random.default_rng(0))
    leads = portions.lead(three, 1, np.array([9.5, 4.0, np.inf]))
    np.testing.assert_allclose(leads, [0.35, -0.2, 0.0])
    assert (urge(leads)[:2] > 1).tolist() == [False, True]
    pace, both = Pace(np.array([900, 900]), np.full((2, 2), 50), 1 / 24, is_late=False), np.arange(2)
    pace.add(both, 1, np.array([0, 0]))
    allowed, closed = np.array([[True, True], [True, False]]), np.array([[True, False], [True, False]])
    assert pace.hold(both, np.zeros(2, dtype=np.int64), Stays(2), allowed, closed).tolist() == [[0, 1], [1, 1]]


def test_what_waits_for_midnight_is_not_skipped_and_nothing_waits_for_ever() -> None:
    pace, both, now = Pace(np.array([900, 900]), np.full((2, 2), 50), 1 / 24, is_late=False), np.arange(2), np.zeros(2, dtype=np.int64)
    pace.wait(both, 1, np.array([24, 24]))
    stays, everything = Stays(2), np.ones((2, 2), dtype=bool)
    ahead = np.array([[False, False], [False, True]])
    pace.hold(both, now, stays, everything, ahead)
    assert pace.longest_gap(both, 0, now).tolist() == [23, np.inf], "what is ahead of its stay holds nobody up"
    assert np.isinf(pace.longest_gap(both, 1, now)).all()
    assert pace.is_due(both, 1, now).all()
    assert pace.can_wait(both, 0).all()
    for _ in range(MOST_WAITS):
        pace.wait(both, 0, np.array([30, 30]))
    assert not pace.can_wait(both, 0).any()
    pace.add(both, 1, np.array([24, 24]))
    assert pace.can_wait(both, 0).all()
    assert not pace.is_due(both, 1, now).any()


def test_moments_and_runs_are_counted_within_a_patient() -> None:
    starts, times = np.array([0, 3, 3, 6]), np.array([0.0, 0.0, 1.0, 1.0, 1.0, 2.0])
    moments = moments_of(starts, times)
    assert moments.tolist() == [1, 1, 2, 3, 3, 4]
    assert runs_before(starts, moments).tolist() == [0, 1, 2, 0, 1, 2]
    assert run_class(np.array([0, 1, 2, 3, 4, 5, 9, 99])).tolist() == [0, 0, 1, 2, 2, 3, 4, 5]
    assert previous(np.array([5, 6, 5, 15])).tolist() == [NONE, NONE, 0, NONE]


def stays(n: int, concentration: float, *, by_length: bool, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Rows, patients and lengths of two to five stays each, rows shared by a Dirichlet distribution."""
    rows, who, lengths = [], [], []
    for i, k in enumerate(rng.integers(2, 6, n)):
        length = rng.gamma(2, 50, k)
        weights = length / length.sum() if by_length else np.full(k, 1 / k)
        rows += rng.multinomial(rng.integers(10, 40), rng.dirichlet(concentration * k * weights)).tolist()
        who += [i] * k
        lengths += length.tolist()
    return np.array(rows), np.array(who), np.array(lengths)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("concentration", "by_length"), [(0.3, False), (2.0, False), (2.0, True), (5.0, True)])
def test_rows_are_shared_among_stays_as_evenly_as_they_were(seed: int, concentration: float, by_length: bool) -> None:
    rng = np.random.default_rng(seed)
    own = count_sharing(*stays(600, concentration, by_length=by_length, rng=rng))
    assert own.concentration == pytest.approx(concentration, rel=0.35)
    assert (own.length > 0) == by_length
    left, drawn, length = np.full(4000, 20), [], rng.gamma(2, 50, (3, 4000))
    for k in range(3):
        drawn.append(own.draw(left, np.full(4000, 2 - k), length[k], rng))
        left = left - drawn[-1]
    assert not left.any(), "the last stay takes what is left"
    shares, even = np.array(drawn) / 20, length / length.sum(axis=0)
    if by_length:  # how long those to come are is not known yet, so that the last one, which takes what is left, has rather more
        np.testing.assert_allclose(shares.mean(axis=1), 1 / 3, rtol=0.2)
        assert np.corrcoef(shares[:2].ravel(), even[:2].ravel())[0, 1] > 0.4
    else:
        np.testing.assert_allclose(shares.mean(axis=1), 1 / 3, rtol=0.08)
        pairs = np.mean(np.square(drawn) - drawn) * 3 / (20 * 19)
        assert pairs == pytest.approx((concentration + 1) / (3 * concentration + 1), rel=0.05)


def panels(n: int, rng: np.random.Generator) -> tuple[dict[int, csr_matrix], np.ndarray]:
    """Who has which codes of two tables: of the first, two panels of six that come together, and rare codes, more in long records; of the
    second, three that those with the first panel have.
    """
    n_rows = np.stack([rng.integers(20, 200, n), rng.integers(1, 30, n)], axis=1)
    panel = rng.random((n, 2)) < [0.4, 0.7]
    first = np.concatenate([np.repeat(panel, 6, axis=1), rng.random((n, 200)) < n_rows[:, :1] / 8000], axis=1)
    second = (rng.random((n, 3)) < 0.9) & panel[:, :1]
    return {0: csr_matrix(first.astype(float)), 1: csr_matrix(second.astype(float))}, n_rows


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_codes_that_come_together_do_so_and_long_records_have_more_of_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    has, n_rows = panels(120, rng)
    sets = CodeSets.from_state(count_sets(has, n_rows).state(), [212, 3])
    assert sets.in_tree(0, 212).sum() == 12, "no code that few patients have"
    assert sets.in_tree(1, 3).all()
    many = n_rows[rng.integers(0, 120, 4000)]
    many[:100, 1] = 0
    drawn, others = sets.draw(many, rng), sets.draw_others(many, rng)
    assert not drawn[:100, sets.tables == 1].any(), "whoever has no rows of a table has none of its codes"
    one, real = (np.ones((len(own), 212), dtype=bool) if own is None else own for own in (sets.open(0, 212, drawn), has[0].toarray() > 0))
    np.testing.assert_allclose(one[:, :12].mean(axis=0), real[:, :12].mean(axis=0), atol=0.08)
    for k in (0, 6):
        assert np.corrcoef(one[:, k : k + 6].T).min() > 0.7
    assert abs(np.corrcoef(one[:, 0], one[:, 6])[0, 1]) < 0.35
    other = sets.open(1, 3, drawn)
    assert other is not None
    assert other[100:][one[100:, 0]].mean() > 0.75, "codes of another table follow"
    assert other[100:][~one[100:, 0]].mean() < 0.1
    assert one[:, 12:].all(), "what is not in the tree is open to everybody"
    is_long = many[:, 0] > 110
    counts = np.asarray(has[0][:, 12:].sum(axis=1)).ravel()
    for which, own in ((is_long, n_rows[:, 0] > 110), (~is_long, n_rows[:, 0] <= 110)):
        assert others[which, 0].mean() == pytest.approx(counts[own].mean(), rel=0.25)
    assert others[:, 0].var() > 1.1 * others[:, 0].mean()


def test_sets_of_codes_of_hardly_anybody_are_empty_and_a_forger_s_are_refused() -> None:
    rng = np.random.default_rng(0)
    has, n_rows = panels(120, rng)
    few = count_sets({table: own[:10] for table, own in has.items()}, n_rows[:10])
    assert len(few.tables) == 0
    assert few.open(0, 212, few.draw(n_rows, rng)) is None
    assert len(count_sets({}, np.zeros((0, 2), dtype=np.int64)).tables) == 0
    state = count_sets(has, n_rows).state()
    for name, value in (("parents", 14), ("tokens", 212), ("tables", 2), ("slopes", np.nan), ("scale", 0), ("others", -1)):
        with pytest.raises(ModelFolderError, match="Save the model again"):
            CodeSets.from_state(state | {name: np.full_like(state[name], value)}, [212, 3])


def test_how_many_rows_and_rare_codes_one_patient_has_is_not_in_the_sets() -> None:
    rng = np.random.default_rng(0)
    has, n_rows = panels(120, rng)
    first, told = has[0].toarray(), []
    first[:, 12:] = 0
    for n in (3, 90):
        own, rows = first.copy(), n_rows.copy()
        own[0, 12 : 12 + n] = 1  # nobody else has rare codes
        rows[0, 0] = 500 + 10 * n
        rows[1:, 1], rows[0, 1] = 0, n  # nor rows of the second table
        told.append(count_sets({0: csr_matrix(own), 1: csr_matrix(has[1].toarray()[:, :2])}, rows).state())
    for name in ("scale", "others"):
        np.testing.assert_array_equal(told[0][name], told[1][name])
    pair = np.zeros((120, 2))
    pair[:40, 0], pair[40:90, 1] = 1, 1
    alone = pair.copy()
    alone[0, 1] = 1
    apart, one = (count_sets({0: csr_matrix(own)}, n_rows[:, :1]).slopes[1, 1] for own in (pair, alone))
    assert abs(apart - one) < 0.1, "one patient who alone has both says nothing"


@pytest.mark.parametrize("allowed", [None, [True, True, False, False]])
def test_who_is_to_have_no_code_that_may_be_drawn_has_one_of_those_that_may(allowed: list[bool] | None) -> None:
    seen, rows = Seen(3, 4), np.arange(3)
    emitted = np.array([True, True, True, False])
    open_ = np.array([[False, False, False, True], [True, False, False, True], [False, False, True, True]])
    seen.plan(open_, emitted, emitted, np.zeros(3, dtype=np.int64), np.full(3, 4))
    own = seen.may(rows, None if allowed is None else np.tile(allowed, (3, 1)))
    assert own is not None
    assert not own[:, 3].any()
    assert own.any(axis=1).all()
    assert own[1].tolist() == [True, False, False, False]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_codes_that_are_planned_find_a_row_and_others_none(seed: int) -> None:
    patients, codes, moments = habits(seed)
    everything, rng = np.ones(N_CODES, dtype=bool), np.random.default_rng(seed)
    chain = counted(codes, everything, {}, patients)
    proposed = chain.draw(np.full(len(codes), NONE), None, rng)
    repeats = count_repeats(patients, codes, proposed, moments, everything, {}, everything)
    n, most = 300, 8
    rows, none, open_ = np.arange(n), np.full(n, NONE), np.zeros((n, N_CODES), dtype=bool)
    for i in rows:  # far more of them than patients of these rows have
        open_[i, rng.choice(N_CODES, min(most, N_CODES), replace=False)] = True
    seen = Seen(n, N_CODES)
    seen.plan(open_, everything, everything, np.zeros(n, dtype=np.int64), np.full(n, 12))
    for step in range(12):
        seen.at(rows, np.full(n, step))
        drawn = repeats.draw(seen, rows, chain, (none, none), None, rng)
        assert open_[rows, drawn].all()
        seen.add(rows, drawn)
    assert (seen.when > 0).sum() == open_.sum()


@pytest.mark.parametrize("usual", [0.2, 0.05])
def test_moments_come_as_often_as_the_rows_of_each_let_expect_whatever_the_chain_says(usual: float) -> None:
    everybody, rng = np.arange(200), np.random.default_rng(0)
    nothing = np.zeros(200, dtype=np.int64)
    pace = Pace(nothing, np.ones((200, 1), dtype=np.int64), 1.0, [(np.array([0.1]), np.array([usual]))], is_late=False)
    came = []
    for _ in range(1500):
        came.append(pace.begins(everybody, 0, nothing, 1.0, rng))
        pace.follow(everybody, 0, nothing, came[-1])
    assert np.mean(came) == pytest.approx(usual, rel=0.25)


def test_moments_count_when_they_came_not_when_they_were_meant_to() -> None:
    """A gap that would outrun the outline is drawn again, and a row may wait: what was decided is not what comes."""
    everybody, rng = np.arange(200), np.random.default_rng(0)
    nothing = np.zeros(200, dtype=np.int64)
    pace = Pace(nothing, np.ones((200, 1), dtype=np.int64), 1.0, [(np.array([0.1]), np.array([0.2]))], is_late=False)
    came = []
    for _ in range(1500):
        came.append(pace.begins(everybody, 0, nothing, 1.0, rng) & (rng.random(200) < 0.5))
        pace.follow(everybody, 0, nothing, came[-1])
    assert np.mean(came) > 0.125, "half of 0.2 where what was decided counts"


def test_what_a_stay_leaves_falls_to_the_next_one_and_is_lost_only_when_none_will_come() -> None:
    rng, one = np.random.default_rng(0), np.zeros(1, dtype=np.int64)
    portions = Portions(np.array([[2, 10]]), (Sharing(), Sharing()), {1: 0})
    portions.drawn(one, 0, np.array([np.inf]), rng)
    assert 1 <= portions.share[0, 1] <= 9
    assert portions.to_come(one, 1)[0] == portions.share[0, 1]
    portions.close(one, 1)
    assert portions.allowed(one, np.array([[True, True]])).tolist() == [[True, False]], "only another stay"
    portions.drawn(one, 0, np.array([np.inf]), rng)
    assert portions.share[0, 1] == 10, "none is lost"
    portions.close(one, 1)
    assert not portions.allowed(one, np.array([[True, True]])).any()
    waits = Portions(np.array([[1, 10]]), (Sharing(), Sharing()), {1: 0})
    assert waits.allowed(one, np.array([[False, True]])).tolist() == [[False, True]], "no stay can come, so that they come without one"
    waits.close(one, 1)
    assert not waits.allowed(one, np.array([[False, True]])).any()


def test_few_patients_tell_nothing_of_how_rows_are_shared_and_no_stay_is_empty_where_none_is() -> None:
    rng = np.random.default_rng(0)
    rows, who, lengths = stays(10, 0.1, by_length=True, rng=rng)
    assert count_sharing(rows, who, lengths) == Sharing()
    assert count_sharing(rows[:0], who[:0], lengths[:0]) == Sharing()
    rows, who, lengths = stays(50, 0.3, by_length=False, rng=rng)
    assert not count_sharing(rows, who, lengths).is_full
    own = count_sharing(rows + 1, who, np.full(len(rows), np.inf))
    assert own.is_full
    assert own.length == 0
    first = own.draw(np.full(500, 3), np.full(500, 2), np.full(500, np.inf), rng)
    assert (first == 1).all(), "each of three stays has one of three rows"
    assert own.draw(np.zeros(5, dtype=np.int64), np.zeros(5, dtype=np.int64), np.full(5, np.inf), rng).tolist() == [0] * 5
    assert Sharing.from_state(own.state()) == own
    for bad in ([np.nan, 0, 0], [0.0, 0, 0], [2.0, -1, 0], [2.0, 0, 0.5], [2.0]):
        with pytest.raises(ModelFolderError, match="Save the model again"):
            Sharing.from_state({"sharing": np.array(bad)})


def test_the_chain_needs_no_torch() -> None:
    code = "import sys, manikin.synthesizers.records.markov; sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}).returncode == 0
    )
