"""The filmstrip of images in the report: pictures in order, hostile records passed over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from manikin.evaluation.base import Results
from manikin.report.blocks import Filmstrip, walk
from manikin.report.picture_strips import MOST_FRAMES, picture_moments, picture_strips
from manikin.report.render import render_html
from manikin.report.training_view import training_blocks
from manikin.training.pictures import frame_png


def film(n: int) -> list[dict[str, Any]]:
    return [{"step": 10 * i, "pictures": {"file": frame_png(np.full((2, 1, 3, 3), i, np.uint8))}} for i in range(n)]


def test_pictures_stand_in_order_with_their_steps() -> None:
    strips = [block for block in walk(training_blocks({"film": film(20)})) if isinstance(block, Filmstrip)]
    assert [strip.title for strip in strips] == ["file"]
    assert len(strips[0].frames) == MOST_FRAMES
    assert (strips[0].frames[0].text, strips[0].frames[-1].text) == ("step 0", "step 190")
    html = render_html(Results((), run={"training": {"film": film(3)}}))
    assert html.count('<img src="data:image/png;base64,iVBOR') == 3


@pytest.mark.parametrize(
    "text", ['iVBORw0KGgoAAAA" onload="x', "https://somewhere.example/x.png", 7, None, "iVBORw0KGgo" + "A" * 500_000, "PHN2Zz4="]
)
def test_what_is_no_small_png_is_passed_over(text: Any) -> None:
    assert picture_moments({"film": [{"step": 1, "pictures": {"file": text}}]}) == {}
    assert picture_strips({"film": [{"step": 1, "pictures": {"file": text}}, {"step": "x", "pictures": 3}, 5]}) == []


@pytest.mark.parametrize("training", [{}, {"film": None}, {"film": 3}, {"film": [{"step": 1, "bins": {"a": [1.0]}}]}])
def test_without_pictures_there_is_no_strip(training: Any) -> None:
    assert picture_strips(training) == []
