from __future__ import annotations

from dataclasses import replace

from manikin.evaluation.base import Results
from manikin.report.blocks import Dial, Figure, Fold, Heading, Table, Text, walk
from manikin.report.effects import inference

from .test_safety import changed


def test_without_a_regression_there_is_no_chapter() -> None:
    assert inference(Results(())) == ()


def test_each_regression_has_its_formula_its_drawing_and_all_its_coefficients(results: Results) -> None:
    blocks = walk(inference(results))
    assert [block.name for block in blocks if isinstance(block, Dial)] == ["inference"]
    assert [block.text for block in blocks if isinstance(block, Heading)] == ["Logistic: died = 1", "Cox: died"]
    table = [block for block in blocks if isinstance(block, Table)][-1]
    assert table.rows[0] == ("age", "0.200 (0.100 to 0.300)", "0.150 (−0.050 to 0.350)", "0.700", "no")
    assert len(table.rows) == 2
    figure = next(block for block in blocks if isinstance(block, Figure))
    assert "odds ratio" in figure.svg
    assert "age, 0.700" in figure.alt


def test_a_regression_that_could_not_be_fitted_says_why(results: Results) -> None:
    assert "it did not converge" in [block.text for block in walk(inference(results)) if isinstance(block, Text)]


def test_a_coefficient_that_the_rows_do_not_settle_is_not_drawn(results: Results) -> None:
    figure = next(block for block in walk(inference(results)) if isinstance(block, Figure))
    assert "ward[B]" in figure.svg
    only = changed(results, "inference", details={"analyses": [{"model": "linear", "coefficients": [{"term": "x", "overlap": None}]}]})
    assert any(isinstance(block, Figure) for block in walk(inference(only)))


def test_many_regressions_are_folded(results: Results) -> None:
    details = results["inference"].details
    many = changed(results, "inference", details={**details, "analyses": [details["analyses"][1]] * 5})
    assert any(isinstance(block, Fold) and block.summary == "2 more regressions" for block in inference(many))


def test_a_regression_that_was_not_measured_keeps_its_note(results: Results) -> None:
    bare = replace(results["inference"], value=None, interval=None, details={}, note="Not computed: no target.")
    dials = [block for block in walk(inference(Results((bare,)))) if isinstance(block, Dial)]
    assert [dial.note for dial in dials] == ["Not computed: no target."]


def test_beside_the_drawing_stands_what_agrees_least_first(results: Results) -> None:
    tables = [block for block in walk(inference(results)) if isinstance(block, Table)]
    assert ("Term", "Overlap", "Same conclusion") in [table.head for table in tables]
