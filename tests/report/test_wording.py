from __future__ import annotations

import doctest

import pytest

from manikin.evaluation import METRICS as MEASURED
from manikin.evaluation.base import Direction
from manikin.report import blocks, render, sections, wording
from manikin.report.wording import DIRECTIONS, GLOSSARY, METRICS, listed, number, span


def test_every_registered_metric_is_told_in_plain_words() -> None:
    assert set(MEASURED) <= set(METRICS)


def test_every_direction_has_an_arrow_and_words() -> None:
    assert set(DIRECTIONS) == set(Direction)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.00042, "0.04 %"), (0.9996, "99.96 %"), (1.0, "100 %"), (0.0, "0 %"), (0.0666, "6.7 %")]
)
def test_a_small_rate_is_never_rounded_to_none(value: float, shown: str) -> None:
    assert number(value, "percent") == shown


def test_an_interval_names_its_unit_once() -> None:
    assert span((0.01, 0.024), "percent") == "1.0 to 2.4 %"


def test_a_list_of_names_ends() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"


def test_no_text_promises_what_no_test_can_show() -> None:
    told = " ".join([*(plain.meaning for plain in METRICS.values()), *(text for pair in GLOSSARY for text in pair)]).lower()
    assert "anonym" not in told
    assert "guarantees" not in told


@pytest.mark.parametrize("module", [blocks, render, sections, wording])
def test_the_examples_in_docstrings_hold(module: object) -> None:
    outcome = doctest.testmod(module)  # type: ignore[arg-type]
    assert outcome.attempted > 0
    assert outcome.failed == 0
