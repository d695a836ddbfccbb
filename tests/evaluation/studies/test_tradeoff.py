from __future__ import annotations

from math import e, inf

import pytest

from manikin.evaluation.studies.tradeoff import breaks_ceiling, ceiling, summary


@pytest.mark.parametrize(
    ("epsilon", "delta", "most"), [(1.0, 1e-5, e * 0.01 + 1e-5), (0.1, 0.0, 0.011052), (10.0, 1e-5, 1.0), (inf, 0.0, 1.0), (1e6, 0, 1.0)]
)
def test_the_ceiling_is_that_of_one_patient(epsilon: float, delta: float, most: float) -> None:
    assert ceiling(epsilon, delta) == pytest.approx(most, abs=1e-6)


def test_seeds_are_summed_up_by_their_median_range_and_an_interval_that_holds_both_kinds_of_noise() -> None:
    found = [{"value": value, "interval": [value - 0.01, value + 0.02]} for value in (0.5, 0.6, 0.9)]
    made = summary("excess", [*found, {"value": None, "interval": None}])
    assert (made["n"], made["median"], made["low"], made["high"]) == (3, 0.6, 0.5, 0.9)
    between = 1.96**2 * 0.0433333 / 3
    assert made["interval"][0] == pytest.approx(0.6 - (0.01**2 + between) ** 0.5, abs=1e-4)
    assert made["interval"][1] == pytest.approx(0.6 + (0.02**2 + between) ** 0.5, abs=1e-4)


def test_one_seed_keeps_its_own_interval_and_shares_stay_shares() -> None:
    one = summary("membership", [{"value": 0.0, "interval": [0.0, 0.012]}])
    assert one["interval"] == [0.0, 0.012]
    assert summary("membership", [{"value": value, "interval": [0.0, 1.0]} for value in (0.0, 1.0)])["interval"] == [0.0, 1.0]
    assert summary("c2st", [])["median"] is None


def test_a_ceiling_is_broken_when_every_seed_says_so() -> None:
    high, low = {"value": 0.2, "interval": [0.1, 0.3]}, {"value": 0.02, "interval": [0.005, 0.04]}
    assert breaks_ceiling([high, high], [0.03, 0.03])
    assert not breaks_ceiling([high, low], [0.03, 0.03])
    assert not breaks_ceiling([{"value": None, "interval": None}], [0.03])
