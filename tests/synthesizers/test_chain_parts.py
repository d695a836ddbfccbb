"""Parts of the chain over linked patients: repeats of codes, outlines of records, and the pace at which they are drawn."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from manikin.data.errors import ModelFolderError
from manikin.synthesizers.records.chain_history import moments_of, run_class, runs_before
from manikin.synthesizers.records.chances import NONE, counted
from manikin.synthesizers.records.outline import MORE, MOST_ROWS, Outline, RowGroups, count_outline, group_rows
from manikin.synthesizers.records.pace import Pace
from manikin.synthesizers.records.repeats import EARLIER, NEW, NOW, Repeats, Seen, bucket, count_repeats, previous

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
    repeats = count_repeats(patients, codes, proposed, moments, everything, {})
    repeats = Repeats.from_state(repeats.state(), N_CODES)
    n = 200
    seen, drawn = Seen(n, N_CODES), np.zeros((n, 20), dtype=np.int64)
    rows, none = np.arange(n), np.full(n, NONE)
    for step in range(20):
        seen.at(rows, np.full(n, step))
        drawn[:, step] = repeats.draw(seen, rows, chain, (none, none), None, rng)
        seen.add(rows, drawn[:, step])
    different = np.array([len(set(row)) for row in drawn])
    assert 2.5 < different.mean() < 4.0, "three codes each; the chain alone would make seventeen"
    share = np.bincount(drawn.ravel(), minlength=N_CODES) / drawn.size
    assert np.abs(share - np.bincount(codes, minlength=N_CODES) / len(codes)).max() < 0.02


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
    repeats = count_repeats(patients, codes, codes, moments, everything, {})
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
    drawn = groups.draw(np.repeat(tokens, 20), rng)
    assert (drawn == 0).mean() == pytest.approx((rows == 0).mean())
    assert drawn.max() <= groups.most <= 2 * np.sort(rows)[-11], "the longest records are told by their mean alone"
    for q in (0.4, 0.5, 0.7, 0.85):
        assert np.quantile(drawn, q) == pytest.approx(np.quantile(rows, q), rel=0.15, abs=1)
    few = group_rows(np.array([0] * 50 + [3, 900, 4]))
    assert few.draw(few.tokens(np.array([0, 900])), rng).tolist() == [0, 1], "three patients' rows are not told"
    single = group_rows(np.array([1] * 70 + [2, 2, 5]))
    assert single.most == 1 + MORE
    nobody = group_rows(np.zeros(5, dtype=np.int64))
    assert nobody.draw(np.zeros(3, dtype=np.int64), rng).tolist() == [0, 0, 0]


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
    repeats = count_repeats(patients, codes, proposed, np.arange(len(codes)), np.ones(N_CODES, dtype=bool), {})
    last = int(bucket(np.array([19]))[0])
    assert np.ptp(repeats.kinds[..., last + 1 :, :], axis=3).max() == 0, "buckets that one patient reaches are all alike"
    assert np.ptp(repeats.kinds[..., : last + 1, :], axis=3).max() > 0


def test_how_many_rows_one_patient_has_beside_those_of_others_is_not_kept() -> None:
    tokens, patients = np.repeat([0, 1, 2], [50, 7, 3]), np.r_[np.arange(50), np.full(10, 3)]
    parents = {1: (np.repeat([0, 1], [40, 20]), 2)}
    assert counted(tokens, np.ones(3, dtype=bool), parents, patients).lost.tolist() == [0, 0, 0], "ten rows of one patient"
    two = np.r_[patients[:57], np.full(3, 4)]
    assert counted(tokens, np.ones(3, dtype=bool), parents, two).lost.tolist() == [0, 10, 0]
    own = counted(tokens, np.ones(3, dtype=bool), {}, patients)
    before = np.where(patients == 3, tokens, NONE)
    assert own.excess_of_same(tokens, {}, before, patients) == 0.0, "she alone repeats"
    assert own.excess_of_same(tokens, {}, before, np.arange(60)) > 0.5


def test_records_as_long_as_any_are_loaded_again_and_a_forger_s_are_not() -> None:
    spans = np.linspace(1e7, 3e7, 50)
    outline = count_outline(spans, np.full((50, 1), MOST_ROWS + 5))
    again = Outline.from_state(outline.state(), 1)
    assert again.groups[0].low.max() > 1e8, "the hours of a clock that counts seconds, taken for days"
    assert again.most == outline.most == MOST_ROWS
    with pytest.raises(ModelFolderError, match="Save the model again"):
        Outline.from_state(outline.state() | {"1/high": outline.groups[1].high + 10**7}, 1)


def test_a_record_that_runs_ahead_is_held_back_and_one_whose_rows_must_hurry_hurries() -> None:
    pace = Pace(np.array([100, 100, 0]), np.array([10, 10, 10]), 1 / 24)
    everybody = np.arange(3)
    pace.add(everybody, np.array([5, 5, 5]))
    assert pace.outruns(everybody, np.array([20, 90, 6])).tolist() == [False, True, True]
    assert pace.haste(everybody[:2], np.array([55, 55]), np.array([50.0, 5.0])).tolist() == [1.0, 8.0]


def test_moments_and_runs_are_counted_within_a_patient() -> None:
    starts, times = np.array([0, 3, 3, 6]), np.array([0.0, 0.0, 1.0, 1.0, 1.0, 2.0])
    moments = moments_of(starts, times)
    assert moments.tolist() == [1, 1, 2, 3, 3, 4]
    assert runs_before(starts, moments).tolist() == [0, 1, 2, 0, 1, 2]
    assert run_class(np.array([0, 1, 2, 3, 4, 5, 9, 99])).tolist() == [0, 0, 1, 2, 2, 3, 4, 5]
    assert previous(np.array([5, 6, 5, 15])).tolist() == [NONE, NONE, 0, NONE]


def test_the_chain_needs_no_torch() -> None:
    code = "import sys, manikin.synthesizers.records.markov; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}).returncode == 0
