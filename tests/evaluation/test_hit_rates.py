"""Hit rates at 1 % false alarms: nobody is measured whom the threshold or the choice has seen, and the interval covers."""

from __future__ import annotations

import numpy as np
import pytest

from manikin.evaluation.attacks.hit_rates import FALSE_POSITIVES, Roll, single, strongest, threshold_limits
from manikin.evaluation.intervals import clopper_pearson


def normal_roll(seed: int, n: int = 400, m: int = 400, leak: float = 0.0) -> Roll:
    """Five attacks that share most of their noise; a share of members gives itself away to the second of them."""
    rng = np.random.default_rng(seed)
    made = []
    for size in (n, m):
        own, shared = rng.normal(size=(5, size)), rng.normal(size=size)
        made.append(0.6 * own + 0.8 * shared)
    made[0][1, rng.random(n) < leak] += 8
    return Roll.deal(*({f"attack {i}": side[i] for i in range(5)} for side in made), seed)


def test_the_strongest_of_five_names_one_in_a_hundred_where_nothing_leaks():
    made = [strongest(normal_roll(seed)) for seed in range(120)]
    rates = [hit.rate() for hit in made]
    assert np.mean([rate.value for rate in rates]) == pytest.approx(0.01, abs=0.0015)
    assert np.mean([hit.control().value for hit in made]) == pytest.approx(0.01, abs=0.0015)
    assert np.mean([rate.interval[0] <= 0.01 <= rate.interval[1] for rate in rates]) >= 0.93


def test_the_largest_of_five_hit_rates_would_be_beyond_its_interval_far_more_often():
    """What was done before: the best of five at one threshold, Clopper-Pearson's interval widened for five. It forgets the threshold."""
    covered = []
    for seed in range(120):
        roll = normal_roll(seed)
        half = roll.stranger_parts < 5
        thresholds = np.sort(roll.strangers[:, half], axis=1)[:, -max(1, int(0.01 * (half.sum() + 1)))]
        hits = int((roll.members > thresholds[:, None]).sum(axis=1).max())
        low, high = clopper_pearson(hits, 400, alpha=0.01)
        covered.append(low <= 0.01 <= high)
    assert np.mean(covered) < 0.88


def test_a_leak_is_found_by_the_attack_that_sees_it():
    hit = strongest(normal_roll(0, leak=0.1))
    assert hit.strongest == "attack 1"
    assert hit.rate().interval[0] > 0.05
    assert hit.control().value < 0.03
    assert single(normal_roll(0, leak=0.1), "attack 0").rate().value < 0.05


def test_ties_are_broken_by_chance_and_never_by_membership():
    flat = {"flat": np.zeros(500)}
    rates = [strongest(Roll.deal(flat, flat, seed)).rate().value for seed in range(40)]
    assert np.mean(rates) == pytest.approx(0.01, abs=0.003)


def test_strangers_are_judged_by_thresholds_that_they_did_not_set():
    roll = normal_roll(1, n=60, m=200)
    before = single(roll, "attack 2")
    part = roll.stranger_parts == 0
    strangers = roll.strangers.copy()
    strangers[:, part] = strangers.max() + 1 + np.arange(part.sum())
    moved = Roll(
        roll.names, roll.members, strangers, roll.member_parts, roll.stranger_parts, roll.member_luck, roll.stranger_luck
    )
    after = single(moved, "attack 2")
    own = roll.member_parts == 0
    assert (before.members[:, own] == after.members[:, own]).all()
    assert after.strangers[0, part].all()


@pytest.mark.parametrize("n", [199, 200])
def test_an_odd_number_of_people_is_measured_whole(n):
    """TAPAS asks whether pairs are left over by `n // 2`, which is true of every n above one; here nobody is dropped or counted twice."""
    hit = strongest(normal_roll(3, n=n, m=n + 1))
    assert hit.rate().n == n
    assert hit.control().n == n + 1


def test_threshold_limits_are_the_confidence_interval_of_a_quantile():
    low, high = threshold_limits(999, FALSE_POSITIVES)
    rng = np.random.default_rng(0)
    exceeded = np.sort(rng.random((4000, 999)), axis=1)[:, ::-1]
    strict, loose = (1 - exceeded[:, max(1, round(end * 10)) - 1] for end in (low, high))
    assert np.mean(strict > FALSE_POSITIVES) < 0.04
    assert np.mean(loose < FALSE_POSITIVES) < 0.04
    assert low < 1 < high
    assert threshold_limits(20, FALSE_POSITIVES)[1] > 5
