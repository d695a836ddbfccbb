"""The registry of shifts: each begins with none, keeps its range, and reads wishes with strengths."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from manikin.data.errors import ParameterError
from manikin.simulation.imaging.shifts import SHIFTS, chosen, usual

GREY = np.random.default_rng(0).random((1, 20, 16)) * 0.8 + 0.1
COLOUR = np.random.default_rng(0).random((3, 20, 16)) * 0.8 + 0.1


@pytest.mark.parametrize("name", sorted(SHIFTS))
def test_a_shift_begins_with_none_and_then_changes_the_picture(name: str) -> None:
    shift = SHIFTS[name]
    picture = COLOUR if shift.channels == 3 else GREY
    assert shift.shifted(picture, shift.strengths[0], 0, 0) is picture
    assert all(shift.lowest <= strength <= shift.highest for strength in shift.strengths)
    away = [np.abs(shift.shifted(picture, strength, 0, 0) - picture).mean() for strength in shift.strengths]
    assert away[-1] > max(away[1] * 0.9, 0.003)
    assert all(later >= 0.85 * earlier for earlier, later in pairwise(away))
    again = shift.shifted(picture, shift.strengths[-1], 0, 0)
    assert np.array_equal(again, shift.shifted(picture, shift.strengths[-1], 0, 0))
    assert shift.told(shift.strengths[0]) == "as given"
    assert shift.unit in shift.told(shift.strengths[1])


def test_usual_shifts_suit_the_images() -> None:
    assert "warmer" in usual(3, None)
    assert "warmer" not in usual(1, None)
    assert {"bias_field", "patient_motion"} <= set(usual(1, "MR"))
    assert "dose" not in usual(1, "MR")
    assert "dose" in usual(1, "DX")
    assert "bias_field" not in usual(1, "DX")
    assert {"photons", "cooler"} <= set(usual(3, "OP"))
    assert [shift.name for shift in chosen((), 1, "CT")] == list(usual(1, "CT"))


def test_wishes_are_read() -> None:
    (blur, turned) = chosen(["blur=4,0,1", "rotation"], 1, None)
    assert blur.strengths == (0, 1, 4)
    assert turned is SHIFTS["rotation"]
    (darker,) = chosen(["darker=-2,-1"], 1, None)
    assert darker.strengths == (0, -1, -2)
    for wish, words in (
        ("fog", "There is no shift 'fog'"),
        ("blur=a", "numbers with commas"),
        ("blur=-1", "from 0 to 50 px"),
        ("blur=0", "1 to 12 strengths"),
        ("blur=nan", "from 0 to 50 px"),
        ("warmer", "colour images"),
    ):
        with pytest.raises(ParameterError, match=words):
            chosen([wish], 1, None)
    with pytest.raises(ParameterError, match="grey images"):
        chosen(["dose"], 3, None)
