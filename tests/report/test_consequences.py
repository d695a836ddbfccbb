from __future__ import annotations

from dataclasses import replace

from manikin.evaluation.base import Results
from manikin.report.blocks import Dial, Figure, Heading, Table, walk
from manikin.report.consequences import learners, privacy, utility, validity


def test_each_learner_is_shown_with_real_above_synthetic(results: Results) -> None:
    drawn = learners(results["tstr"])
    assert [row.label for row in drawn] == ["booster, real", "booster, synthetic", "linear, real", "linear, synthetic"]
    assert [row.is_synthetic for row in drawn] == [False, True, False, True]
    assert (drawn[1].low, drawn[1].high) == (0.65, 0.77)


def test_the_utility_figure_tells_its_numbers_in_words(results: Results) -> None:
    figure = next(block for block in walk(utility(results)) if isinstance(block, Figure))
    assert "booster, synthetic 0.710" in figure.alt


def test_without_utility_metrics_there_is_no_chapter() -> None:
    assert utility(Results(())) == ()
    assert privacy(Results(())) == ()
    assert validity(Results(())) == ()


def test_rules_are_counted_in_real_and_synthetic_rows(results: Results) -> None:
    table = next(block for block in walk(validity(results)) if isinstance(block, Table))
    assert table.rows == (("column_00 <= column_01", "yes", "0", "0", "0"),)


def test_rare_values_stand_with_the_rules_and_not_twice(results: Results) -> None:
    there = [block.name for block in walk(validity(results)) if isinstance(block, Dial)]
    assert there == ["rule_violations", "rare_values"]
    assert "rare_values" not in [block.name for block in walk(privacy(results)) if isinstance(block, Dial)]


def test_columns_with_rare_values_are_counted_and_never_named_by_value(results: Results) -> None:
    columns = [{"column": "ward", "n_levels": 2, "n_rows": 5, "beyond_extremes": 0}]
    changed = tuple(
        replace(m, value=2.0, details={"columns": columns}) if m.name == "rare_values" else m for m in results.metrics
    )
    blocks = walk(validity(replace(results, metrics=changed)))
    assert any(isinstance(block, Heading) and "must not appear" in block.text for block in blocks)
    table = [block for block in blocks if isinstance(block, Table)][-1]
    assert table.rows == (("ward", "2", "5"),)


def test_numbers_beyond_are_no_values_that_must_not_appear(results: Results) -> None:
    columns = [{"table": "stays", "column": "stays.los", "n_levels": 0, "n_rows": 0, "beyond_extremes": 14}]
    changed = tuple(replace(m, details={"columns": columns}) if m.name == "rare_values" else m for m in results.metrics)
    blocks = walk(validity(replace(results, metrics=changed)))
    assert not any(isinstance(block, Heading) and "must not appear" in block.text for block in blocks)
    table = [block for block in blocks if isinstance(block, Table)][-1]
    assert table.head == ("Column", "Synthetic rows")
    assert table.rows == (("stays.los", "14"),)
