from __future__ import annotations

import pytest

from manikin.evaluation.base import Direction, Results, Section
from manikin.report.dials import dial, dials

from .made import metric


def test_a_dial_tells_value_interval_reference_n_and_direction() -> None:
    made = dial(metric("c2st", Section.FIDELITY, Direction.LOWER, 0.58, interval=(0.54, 0.62), n=1100, reference=0.51))
    assert (made.value, made.interval, made.reference, made.n) == ("0.580", "0.540 to 0.620", "0.510", "1,100 rows")
    assert made.arrow == "↓"
    assert "lower" in made.direction


def test_the_reference_is_told_with_its_own_interval() -> None:
    made = dial(metric("c2st", Section.FIDELITY, Direction.LOWER, 0.58, reference=0.51, reference_interval=(0.46, 0.55)))
    assert made.reference == "0.510 (0.460 to 0.550)"


def test_a_metric_without_a_figure_keeps_its_place_and_its_reason() -> None:
    made = dial(metric("tstr", Section.UTILITY, Direction.REFERENCE, None, note="Not computed: no target column is named."))
    assert made.value == "Not measured"
    assert made.at is None
    assert made.note == "Not computed: no target column is named."


def test_those_without_a_figure_stand_last() -> None:
    results = Results(
        (
            metric("dependence", Section.FIDELITY, Direction.HIGHER, None, note="Not computed."),
            metric("c2st", Section.FIDELITY, Direction.LOWER, 0.5),
        )
    )
    (block,) = dials(results, Section.FIDELITY)
    assert [made.name for made in block.dials] == ["c2st", "dependence"]
    assert dials(results, Section.PRIVACY) == ()


@pytest.mark.parametrize("value", [-3.0, 0.0, 0.3, 1.0, 1.4, 250.0])
@pytest.mark.parametrize("name", ["dependence", "copies", "rare_values", "c2st", "a_metric_of_a_third_party"])
def test_every_figure_lies_on_its_scale(name: str, value: float) -> None:
    made = dial(
        metric(name, Section.FIDELITY, Direction.HIGHER, value, interval=(value - 0.5, value + 0.5), reference=value + 0.4)
    )
    assert made.at is not None
    assert made.span is not None
    assert made.reference_at is not None
    assert 0 <= made.span[0] < made.at < made.reference_at < made.span[1] <= 100


def test_a_scale_that_does_not_begin_at_nothing_says_where_it_begins() -> None:
    near = dial(metric("column_shapes", Section.FIDELITY, Direction.HIGHER, 0.97, interval=(0.96, 0.98)))
    far = dial(metric("column_shapes", Section.FIDELITY, Direction.HIGHER, 0.3, interval=(0.2, 0.4)))
    assert near.low == "0.9"
    assert far.low == "nothing in common"


def test_a_rate_of_leaks_always_begins_at_none() -> None:
    made = dial(metric("membership", Section.PRIVACY, Direction.REFERENCE, 0.96, interval=(0.95, 0.97)))
    assert made.low == "none"
    assert made.high == "100 %"


def test_a_figure_below_its_scale_gives_it_a_round_end_with_a_number() -> None:
    below = dial(metric("reconstruction", Section.PRIVACY, Direction.LOWER, 0.0, interval=(-0.077, 0.037), n=100, reference=0.0))
    assert below.low == "−10 %"
    assert below.span is not None
    assert below.span[0] > 0
