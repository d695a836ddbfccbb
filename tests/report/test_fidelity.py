from __future__ import annotations

from typing import Any

from manikin.evaluation.base import Direction, Results, Section
from manikin.report.blocks import Figure, Heading, Table, walk
from manikin.report.fidelity import further, implausible

from .made import metric

FIDELITY, LOWER = Section.FIDELITY, Direction.LOWER


def only(name: str, details: dict[str, Any], value: float | None = 0.1) -> Results:
    return Results((metric(name, FIDELITY, LOWER, value, details=details),))


def test_correlations_are_drawn_beside_one_another() -> None:
    pair = {"columns": ["age", "weight"], "measure": "Spearman", "train": 0.6, "holdout": 0.58, "synthetic": -0.1}
    blocks = walk(further(only("correlations", {"pairs": [pair, {"columns": ["a", "b"], "train": None}]})))
    figure = next(block for block in blocks if isinstance(block, Figure))
    assert "age × weight, 0.600 real and −0.100 synthetic" in figure.alt
    table = next(block for block in blocks if isinstance(block, Table))
    assert table.rows == (("age × weight", "Spearman", "0.600", "0.580", "−0.100"),)


def test_numbers_and_triples_are_listed() -> None:
    numbers = only("wasserstein", {"columns": [{"column": "age", "distance": 0.2, "reference": 0.1}]})
    triples = only("three_way", {"triples": [{"columns": ["a", "b", "c"], "score": 0.5, "reference": None}]})
    listed = [block for results in (numbers, triples) for block in walk(further(results)) if isinstance(block, Table)]
    assert [table.rows[0] for table in listed] == [("age", "0.200", "0.100"), ("a × b × c", "0.500", "–")]


def test_impossible_values_are_counted_with_the_source_of_their_range() -> None:
    span = {"minimum": 20, "maximum": 300, "unit": "1/min", "citation": "X 2020"}
    row = {"column": "pulse", **span, "train": 1, "holdout": 0, "synthetic": 7}
    blocks = walk(implausible(only("plausibility", {"columns": [row]})))
    table = next(block for block in blocks if isinstance(block, Table))
    assert table.rows == (("pulse", "20 to 300 1/min", "1", "0", "7", "X 2020"),)


def test_what_is_absent_or_could_not_be_measured_is_not_drawn() -> None:
    assert further(Results(())) == ()
    assert further(only("correlations", {"pairs": [{"train": 1, "synthetic": 1}]}, value=None)) == ()
    assert not any(isinstance(block, Heading) for block in implausible(only("plausibility", {})))
