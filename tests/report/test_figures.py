from __future__ import annotations

import re
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest

from manikin.report import figures

SHARES = [0.2, 0.5, 0.3]
DRAWINGS: dict[str, Callable[[], str]] = {
    "histogram": lambda: figures.histogram([0, 1, 2, 3], SHARES, SHARES[::-1]),
    "dates": lambda: figures.histogram(
        [0, 1, 2, 3], SHARES, SHARES, ticks=["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]
    ),
    "bars": lambda: figures.bars(["a", "b", "c"], SHARES, SHARES[::-1]),
    "pairs_of_shares": lambda: figures.pairs_of_shares(["a", "b", "c"], SHARES, SHARES[::-1]),
    "intervals": lambda: figures.intervals(
        [figures.Interval("booster", 0.7, 0.6, 0.8), figures.Interval("linear", 0.6)], axis="AUROC"
    ),
    "heatmap": lambda: figures.heatmap([[1, 0.2], [0.2, np.nan]], ["a", "b"]),
    "difference": lambda: figures.heatmap([[0, -0.2], [-0.2, 0]], ["a", "b"], is_difference=True),
    "cloud": lambda: figures.cloud([[0, 1], [1, 0]], [[0, 0], [1, 1]], names=("x", "y")),
    "curve": lambda: figures.curve([0, 10, 20], [None, 2.0, 1.5], [3.0, None, 1.8]),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_stands_inside_a_page(name: str) -> None:
    svg = DRAWINGS[name]()
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>")
    assert "http" not in svg
    assert "<style" not in svg
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)) == set() or all(
        target in ids for pair in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg) for target in pair if target
    )


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_numbers_give_the_same_bytes_whatever_the_users_settings(name: str) -> None:
    first = DRAWINGS[name]()
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert DRAWINGS[name]() == first
        assert mpl.rcParams["font.size"] == 30


def test_real_and_synthetic_rows_always_have_their_own_colour() -> None:
    for name in ("histogram", "bars", "pairs_of_shares"):
        svg = DRAWINGS[name]()
        assert f"var(--real,{figures.REAL})" in svg
        assert f"var(--synthetic,{figures.SYNTHETIC})" in svg


def test_a_hostile_label_stays_a_text() -> None:
    svg = figures.bars(["<script>alert(1)</script>", "$\\frac{1}{2}$ & \x00\n\"'", "患者"], SHARES, SHARES)
    assert "<script" not in svg
    assert "&lt;script" in svg
    assert "\x00" not in svg
    assert "患者" in svg


def test_a_long_label_keeps_its_beginning_and_its_end() -> None:
    svg = figures.bars(["discharge_disposition_of_the_patient_id"], [1.0], [1.0])
    assert "discharge_disp…ient_id" in svg


def test_a_text_has_no_font_of_its_own() -> None:
    svg = DRAWINGS["bars"]()
    assert "font-family" not in svg
    assert "<text" in svg


@pytest.mark.parametrize("edges", [[5.0, 5.0], [0.0, 1e-12], [-1e12, 1e12]])
def test_a_column_of_one_value_or_of_a_vast_range_is_drawn(edges: list[float]) -> None:
    assert "<path" in figures.histogram(edges, [1.0], [1.0])


def test_a_heat_map_without_differences_or_numbers_is_drawn() -> None:
    assert "<image" in figures.heatmap(np.zeros((3, 3)), ["a", "b", "c"], is_difference=True)
    assert "<image" in figures.heatmap(np.full((2, 2), np.nan), ["a", "b"], is_difference=True)
