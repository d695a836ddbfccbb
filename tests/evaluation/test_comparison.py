"""Who is on the front, who is surely beaten, and what cannot be compared."""

from __future__ import annotations

import pytest

from manikin.data.errors import ParameterError
from manikin.evaluation.base import AttackResult, Direction, MetricResult, Results, Section
from manikin.evaluation.comparison import possible_pairs, trade_off


def release(likeness: float, hits: float, *, wide: float = 0.01, direction: Direction = Direction.LOWER) -> Results:
    first = MetricResult(
        "c2st", "C2ST", Section.FIDELITY, direction, likeness, (likeness - wide, likeness + wide), 100, reference=0.5
    )
    second = AttackResult("membership", "Membership", Section.PRIVACY, Direction.LOWER, hits, (hits - wide, hits + wide), 100)
    return Results((first,), attacks=(second,))


def test_the_front_and_who_is_surely_beaten():
    made = trade_off(
        {"like": release(0.55, 0.2), "safe": release(0.8, 0.01), "poor": release(0.85, 0.3), "near": release(0.56, 0.205)},
        "c2st",
        "membership",
    )
    points = {point.name: point for point in made.points}
    assert [name for name, point in points.items() if point.is_on_front] == ["like", "safe"]
    assert points["poor"].beaten_by == ("like", "safe", "near")
    assert points["near"].beaten_by == (), "within the intervals nothing is sure"


def test_higher_is_better_where_the_figure_says_so():
    made = trade_off(
        {
            "high": release(0.9, 0.1, direction=Direction.HIGHER),
            "low": release(0.5, 0.2, direction=Direction.HIGHER),
        },
        "c2st",
        "membership",
    )
    assert [point.is_on_front for point in made.points] == [True, False]
    assert made.points[1].beaten_by == ("high",)


def test_near_the_reference_is_better_on_both_sides_of_it():
    made = trade_off(
        {
            "at": release(0.5, 0.1, direction=Direction.REFERENCE),
            "below": release(0.2, 0.2, direction=Direction.REFERENCE),
            "above": release(0.8, 0.2, direction=Direction.REFERENCE),
        },
        "c2st",
        "membership",
    )
    assert [point.is_on_front for point in made.points] == [True, False, False]
    assert made.points[0].fidelity.badness[0] == 0.0


def test_two_alike_releases_are_both_on_the_front():
    made = trade_off({"a": release(0.5, 0.1), "b": release(0.5, 0.1)}, "c2st", "membership")
    assert [point.is_on_front for point in made.points] == [True, True]


def test_a_release_without_the_figure_is_left_out_and_none_is_refused():
    bare = Results((), attacks=release(0.5, 0.1).attacks)
    made = trade_off({"a": release(0.5, 0.1), "bare": bare}, "c2st", "membership")
    assert [point.name for point in made.points] == ["a"]
    assert possible_pairs({"bare": bare}) == []
    with pytest.raises(ParameterError, match="'c2st' and 'nonsense'"):
        trade_off({"a": release(0.5, 0.1)}, "c2st", "nonsense")
