"""Words follow from figures: curves made by hand, and what must be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isinf
from typing import Any

import pytest

from manikin.evaluation.studies.tradeoff import ceiling
from manikin.workflow.study.advice import advise, limits_of

EPSILONS = (0.5, 1.0, 3.0, inf)
Values = Sequence[float | None]


def curve(
    name: str, *, loss: Values, shapes: Values = (0.97,) * 4, attack: Values = (0.01,) * 4, half: float = 0.01
) -> list[dict[str, Any]]:
    """Points of one generator at EPSILONS; None is a fit that failed."""
    points = []
    for i, epsilon in enumerate(EPSILONS):
        for figure, values in (("loss", loss), ("column_shapes", shapes), ("membership", attack)):
            middle = values[i]
            point: dict[str, Any] = {"synthesizer": name, "epsilon": "inf" if isinf(epsilon) else epsilon, "figure": figure}
            point |= {"median": middle, "n": 0 if middle is None else 3, "reference": 0.98 if figure == "column_shapes" else None}
            point["interval"] = None if middle is None else [middle - half, middle + half]
            if figure == "membership":
                point["ceiling"] = ceiling(epsilon, 1e-5)
            points.append(point)
    return points


def told(points: list[dict[str, Any]], use: str, name: str = "forest", **kwargs: Any) -> dict[str, Any]:
    (found,) = [one for one in advise(points, "AUROC", **kwargs) if one["use"] == use]
    (line,) = [line for line in found["lines"] if line["synthesizer"] == name]
    return line | {"headline": found["headline"]}


def test_limits_are_those_of_the_policy() -> None:
    assert limits_of() == {"epsilon": 1.0, "membership": 0.027, "utility": 0.05, "shapes": 0.05}


def test_the_smallest_epsilon_whose_unfavourable_end_keeps_the_limit_is_named() -> None:
    line = told(curve("forest", loss=(0.20, 0.06, 0.03, 0.02)), "development")
    assert (line["epsilon"], line["surely"]) == (3.0, True)
    assert line["text"].startswith("forest: start at epsilon 3. There a model loses 0.030 [0.020, 0.040] AUROC.")
    assert "It is within the interval of its twin without a budget (0.020 [0.010, 0.030])" in line["text"]
    assert "epsilon 3 allows no attack more than 20.1 %" in line["text"]
    assert line["headline"] == "Start with forest at epsilon 3."


def test_an_epsilon_that_keeps_the_limit_by_luck_while_a_larger_one_does_not_is_none() -> None:
    line = told(curve("forest", loss=(0.01, 0.09, 0.03, 0.02)), "development")
    assert line["epsilon"] == 3.0


def test_what_the_median_reaches_before_is_said_beside() -> None:
    text = told(curve("forest", loss=(0.2, 0.045, 0.03, 0.02)), "development")["text"]
    assert text.startswith("forest: start at epsilon 3 (on the median from epsilon 1 on). There")
    assert "It is worse than its twin" in told(curve("forest", loss=(0.2, 0.1, 0.035, 0.0)), "development")["text"]


def test_a_twin_that_is_worse_without_a_budget_takes_nothing_from_the_budgets() -> None:
    line = told(curve("forest", loss=(0.20, 0.03, 0.03, 0.09)), "development")
    assert (line["epsilon"], line["surely"]) == (1.0, True)
    assert "It is better than its twin without a budget (0.090" in line["text"]
    line = told(curve("forest", loss=(0.2, 0.2, 0.045, 0.01)), "development")  # likely at 3, sure without
    assert (line["epsilon"], line["surely"]) == (3.0, False)


def test_an_epsilon_that_reaches_it_while_a_larger_budget_does_not_is_told_and_not_advised() -> None:
    line = told(curve("forest", loss=(0.2, 0.03, 0.09, 0.09)), "development")
    assert line["epsilon"] is None
    assert "epsilon 1 reaches it, but not every larger one does: run more seeds. There a model loses 0.030" in line["text"]


def test_a_median_that_keeps_it_while_the_interval_does_not_is_not_called_sure() -> None:
    line = told(curve("forest", loss=(0.2, 0.2, 0.045, 0.045)), "development")
    assert (line["epsilon"], line["surely"]) == (3.0, False)
    assert "the median reaches it while the interval leaves it open" in line["text"]
    assert line["headline"].endswith("which reaches it on the median, not surely.")


def test_where_no_epsilon_reaches_it_that_is_said_with_the_nearest() -> None:
    line = told(curve("forest", loss=(0.3, 0.2, 0.1, 0.12)), "development")
    assert line["epsilon"] is None
    assert line["text"] == "forest: no epsilon tried reaches it. It comes nearest at epsilon 3: a model loses 0.100 [0.090, 0.110] AUROC."
    assert line["headline"] == "Nothing that was tried reaches it under a budget."


def test_what_only_the_twin_without_a_budget_reaches_guarantees_nothing() -> None:
    line = told(curve("forest", loss=(0.3, 0.2, 0.1, 0.01)), "development")
    assert line["epsilon"] == "inf"
    assert "only learning without a budget does, which guarantees nothing" in line["text"]
    assert "nothing bounds another one" in line["text"]
    assert line["headline"] == "Nothing that was tried reaches it under a budget."


def test_sharing_openly_takes_epsilon_1_or_less_and_an_attack_within_the_policy() -> None:
    good = curve("forest", loss=(0.2, 0.02, 0.02, 0.02))
    assert told(good, "open")["epsilon"] == 1.0
    found = told(curve("forest", loss=(0.2, 0.02, 0.02, 0.02), attack=(0.01, 0.03, 0.03, 0.03)), "open")
    assert found["epsilon"] is None
    assert "names 3.0 % [2.0 %, 4.0 %]" in found["text"]
    large = [point for point in good if float(point["epsilon"]) > 1]
    assert told(large, "open")["text"] == "forest: no epsilon of 1 or less was tried, and the use allows no larger one."


def test_teaching_asks_for_columns_alone_beside_fresh_patients() -> None:
    line = told(curve("forest", loss=(0.4,) * 4, shapes=(0.90, 0.95, 0.96, 0.97)), "teaching")
    assert line["epsilon"] == 1.0
    assert "one-way tables score 0.950 [0.940, 0.960] where fresh real patients score 0.980" in line["text"]


def test_what_independent_columns_do_as_well_is_said() -> None:
    points = curve("forest", loss=(0.03,) * 4) + curve("independent", loss=(0.035, 0.035, 0.3, 0.3))
    assert "Columns drawn one by one at the same epsilon do as well (0.035)" in told(points, "development")["text"]
    points = curve("forest", loss=(0.03,) * 4) + curve("independent", loss=(0.3,) * 4)
    assert "one by one" not in told(points, "development")["text"]


def test_of_several_the_one_that_needs_least_epsilon_leads_and_a_broken_one_never() -> None:
    points = curve("forest", loss=(0.2, 0.02, 0.02, 0.02)) + curve("copula", loss=(0.02,) * 4)
    assert told(points, "development")["headline"] == "Start with copula at epsilon 0.5."
    found = told(points, "development", "copula", broken=["copula"])
    assert found["text"] == "copula: do not use it, an attack went beyond what its budget allows."
    assert found["headline"] == "Start with forest at epsilon 1."


def test_fits_that_failed_are_passed_over_and_told_of() -> None:
    line = told(curve("forest", loss=(0.2, 0.02, 0.02, None)), "development")
    assert line["epsilon"] == 1.0
    none: Values = (None, None, 0.02, 0.02)
    assert "it failed at every epsilon" in told(curve("forest", loss=none, shapes=none, attack=none), "open")["text"]


@pytest.mark.parametrize("use", ["teaching", "development", "open"])
def test_rows_that_are_never_released_are_advised_for_nothing(use: str) -> None:
    assert told(curve("resample", loss=(0.0,) * 4), use, "resample")["text"] == "resample: its rows are never released."


def test_without_a_target_what_needs_one_is_not_measured() -> None:
    points = curve("forest", loss=(None,) * 4)
    assert "was not measured" in told(points, "development")["text"]
    assert told(points, "teaching")["epsilon"] == 0.5


def test_a_generator_that_was_tried_without_a_budget_only_is_told_so() -> None:
    alone = [point for point in curve("forest", loss=(0.01,) * 4) if point["epsilon"] == "inf"]
    text = told(alone, "development")["text"]
    assert text.startswith("forest: tried without a budget only, which reaches it and guarantees nothing. There a model loses 0.010")
    alone = [point for point in curve("forest", loss=(0.2,) * 4) if point["epsilon"] == "inf"]
    text = told(alone, "development")["text"]
    assert text == "forest: tried without a budget only, where it does not reach it: a model loses 0.200 [0.190, 0.210] AUROC."
