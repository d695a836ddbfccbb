from __future__ import annotations

from dataclasses import replace

from manikin.evaluation.base import Results
from manikin.report.blocks import Dial, Figure, walk
from manikin.report.event_times import time_to_event

from .test_safety import changed


def test_curves_and_hazard_ratios_are_drawn_with_their_figures_in_words(results: Results) -> None:
    figures = [block for block in walk(time_to_event(results)) if isinstance(block, Figure)]
    assert [figure.title for figure in figures] == ["Everybody", "Real and synthetic hazard ratios"]
    assert "50.0 % of real and 50.0 % of synthetic" in figures[0].alt
    assert "1.22 real and 1.11 synthetic" in figures[1].alt


def test_a_table_without_times_has_no_chapter(results: Results) -> None:
    assert time_to_event(Results(())) == ()
    bare = changed(replace(results, views={}), "time_to_event", value=None, details={})
    assert time_to_event(bare) == ()


def test_a_view_with_holes_draws_what_is_there(results: Results) -> None:
    odd = replace(results, views={"survival": {"curves": [{"times": [1]}, {"times": [0, 1], "train": {"survival": [1, 0.5]}}]}})
    blocks = walk(time_to_event(odd))
    assert [block.name for block in blocks if isinstance(block, Dial)] == ["time_to_event"]
