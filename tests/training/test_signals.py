"""Every signal that an objective gives is told in plain words."""

from __future__ import annotations

import subprocess
import sys

import pytest

from manikin.training.objectives import adversarial, variational
from manikin.training.signals import HELD_OUT, KNOWN, against, line, order_of, signal_of, value_text

GIVEN = sorted({*adversarial.SIGNALS, *variational.SIGNALS, HELD_OUT} - {"look"})  # the number of the look is for monitors only
OF_THE_LOOP = [f"{kind}: {phase}" for kind in ("loss", "gradient") for phase in ("critic", "generator", "bound", "denoising")]


@pytest.mark.parametrize("name", GIVEN)
def test_every_signal_of_the_objectives_has_words_of_its_own(name: str) -> None:
    assert name in KNOWN
    signal = signal_of(name)
    assert signal.title != name or name == "coverage"
    assert signal.meaning.endswith(".")
    assert len(signal.meaning) > 40


@pytest.mark.parametrize("name", [*GIVEN, *OF_THE_LOOP])
def test_words_fit_a_terminal(name: str) -> None:
    signal = signal_of(name)
    assert 0 < len(signal.title) <= 26
    assert 0 < len(signal.brief) <= 32


def test_the_loops_own_signals_name_their_phase() -> None:
    assert signal_of("gradient: group critic").title == "gradient, group critic"
    assert signal_of("gradient: critic").is_log
    assert "need not fall" in signal_of("loss: critic").meaning
    assert "wrong" in signal_of("loss: denoising").meaning


def test_an_unknown_signal_is_shown_under_its_name() -> None:
    assert signal_of("curiosity").title == "curiosity"
    assert order_of(["step", "loss: a", "curiosity", "drift", "gradient: a"]) == [
        "drift",
        "curiosity",
        "gradient: a",
        "loss: a",
    ]


def test_values_are_short_and_never_crash() -> None:
    for value in (0.0, 1e-12, 0.5, -3.25, 123.456, 9999.4, 1e30, -1e-9, float("nan"), float("inf")):
        for name in ("drift", "gradient: critic", "wasserstein"):
            assert len(value_text(name, value)) <= 8 or name == "drift"
    assert value_text("accuracy real", 0.544) == "54 %"
    assert value_text("bound", float("nan")) == "–"


def test_a_value_is_told_with_what_it_is_read_against() -> None:
    now = {"duplicates": 0.2, "duplicates of train": 0.03, "drift": 0.2}
    assert against("duplicates", [0.2], now) == "patients 3 %"
    assert against("duplicates", [0.2], {"duplicates": 0.2}) == ""
    assert against("drift", [0.3, 0.157, 0.2], now) == "best 0.157"
    assert against("bound", [-9.0, -7.0, -8.0], now) == "best -7"
    assert against("accuracy real", [0.5], now) == "draw: 50 %"


def test_a_log_line_needs_nothing() -> None:
    assert line({}) == ""
    assert line({"loss: a": 1.0}) == ""
    assert line({"drift": 0.2}) == "distance from held-out rows 0.200"


def test_the_words_need_no_torch() -> None:
    code = "import sys, manikin.training.signals; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
