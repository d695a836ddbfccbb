"""Figures of a whole test of readers whose truth is known."""

from __future__ import annotations

import json
from math import sqrt

import numpy as np
import pytest

from manikin.evaluation.intervals import auc, delong, wilson
from manikin.evaluation.readers.crossed import area, pooled, share
from manikin.evaluation.readers.equivalence import Verdict, half_width, images_needed, verdict
from manikin.evaluation.readers.readings import Readings, readings
from manikin.evaluation.readers.summary import summarise


def made(n_readers: int = 4, n: int = 80, *, skill: float = 0.5, seed: int = 0, repeats: int = 20) -> Readings:
    """Readers who are right with this chance, on the same images, with repeats that repeat the answer."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) < n // 2
    rows: list[tuple[str, int, bool, bool, float, bool]] = []
    for r in range(n_readers):
        called = np.where(rng.random(n) < skill, truth, ~truth)
        sure = rng.integers(1, 6, n)
        rows += [(f"r{r}", i, truth[i], called[i], sure[i], False) for i in range(n)]
        rows += [(f"r{r}", i, truth[i], called[i], sure[i], True) for i in range(repeats)]
    columns = list(zip(*rows, strict=True))
    return readings(
        columns[0],
        columns[1],
        columns[2],
        columns[3],
        confidence=columns[4],
        seconds=np.linspace(1, 9, len(rows)),
        label=["a" if image % 2 else "b" for image in columns[1]],
        is_repeat=columns[5],
    )


def test_readers_who_guess_are_found_to_guess() -> None:
    found = summarise(made(8, 200, repeats=30), roles={f"r{i}": "resident" if i < 4 else "other" for i in range(8)})
    assert found["verdict"] == Verdict.EQUIVALENT
    assert found["n"] == {"readings": 1600, "repeats": 240, "images": 200, "readers": 8, "left_out": []}
    assert abs(found["pooled"]["accuracy"]["value"] - 0.5) < 0.05
    assert abs(found["pooled"]["auc"]["value"] - 0.5) < 0.06
    assert abs(found["all"]["value"]) < 0.05
    assert all(one["value"] == 1 for one in found["within"])
    assert len(found["between"]) == 28
    assert [one["role"] for one in found["roles"]] == ["other", "resident"]
    assert [one["label"] for one in found["labels"]] == ["a", "b"]
    json.dumps(found, allow_nan=False)


def test_readers_who_see_it_are_found_to_see_it() -> None:
    found = summarise(made(4, 80, skill=0.85))
    assert found["verdict"] == Verdict.TOLD
    for name in ("accuracy", "sensitivity", "specificity", "auc"):
        low, high = found["pooled"][name]["interval"]
        assert 0.5 < low < found["pooled"][name]["value"] < high <= 1
    assert found["all"]["value"] > 0.3
    assert summarise(made(4, 80, skill=0.1))["verdict"] == Verdict.MISLED


def test_one_reader_has_the_interval_of_wilson() -> None:
    one = made(1, 60, repeats=10)
    found = summarise(one)
    hits = int(one.first().is_right.sum())
    assert found["pooled"]["accuracy"]["interval"] == pytest.approx(wilson(hits, 60), abs=1e-6)
    assert found["readers"][0]["accuracy"] == found["pooled"]["accuracy"]
    assert found["verdict"] == Verdict.OPEN, "sixty readings of one reader prove nothing about ten points"


def test_more_readings_of_the_same_images_are_no_more_images() -> None:
    once = made(1, 60, repeats=0)
    copies = [once.of("r0") for _ in range(6)]
    parts = [share(one.is_right, one.is_synthetic, one.image) for one in copies]
    alike = pooled(parts)
    assert alike is not None
    assert alike.interval[1] - alike.interval[0] == pytest.approx(2 * 1.96 * sqrt(parts[0].variance))
    assert alike.shared == pytest.approx(1)


def test_the_area_is_that_of_delong() -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(size=50).round(1)
    positive = rng.random(50) < 0.4
    one = area(scores, positive, np.arange(50))
    value, variance = delong(scores[positive], scores[~positive])
    assert one.value == pytest.approx(auc(scores[positive], scores[~positive]))
    assert (one.value, one.variance) == pytest.approx((value, variance))


def test_few_readings_and_none() -> None:
    empty = summarise(readings([], [], [], []))
    assert empty["verdict"] == Verdict.OPEN
    assert empty["pooled"]["accuracy"] is None
    few = made(2, 6, repeats=0)
    found = summarise(few)
    assert found["n"]["left_out"] == ["r0", "r1"]
    assert found["pooled"]["accuracy"] is None
    assert found["readers"][0]["accuracy"]["n"] == 6
    only_real = few.where(~few.is_synthetic)
    assert summarise(only_real)["readers"][0]["sensitivity"] is None


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((0.41, 0.59), Verdict.EQUIVALENT),
        ((0.51, 0.59), Verdict.SLIGHT),
        ((0.41, 0.49), Verdict.SLIGHT),
        ((0.51, 0.7), Verdict.TOLD),
        ((0.3, 0.49), Verdict.MISLED),
        ((0.39, 0.61), Verdict.OPEN),
        ((0.35, 0.55), Verdict.OPEN),
    ],
)
def test_the_verdict_needs_the_whole_interval(interval: tuple[float, float], expected: Verdict) -> None:
    assert verdict(interval) == expected


def test_how_many_images_a_margin_needs() -> None:
    assert images_needed(1) == 264  # (1.960 + 1.282)^2 / 4 / 0.1^2 = 262.7, the usual formula of an equivalence test of a proportion
    assert images_needed(2) is None
    assert images_needed(10, margin=0.1) < images_needed(5, margin=0.1) < images_needed(4, margin=0.1)
    assert images_needed(5, margin=0.05, reader_sd=0.0) > images_needed(5, margin=0.1, reader_sd=0.0)
    assert half_width(264, 1) == pytest.approx(1.96 * sqrt(0.25 / 264), abs=1e-4)
