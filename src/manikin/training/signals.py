"""What the signals of a training run mean, in words for terminals and reports. Knows names and numbers; no torch, no page, no model.

The names are those of `training.monitors`, of the objectives, and the loop's own "loss: PHASE" and "gradient: PHASE". A name that is not
known is shown under itself, so that a new objective needs nothing here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

HELD_OUT = "held-out loss"  # the loop's validation loss, where no signal of the objective says the same
Unit = Literal["share", "distance", "nats", ""]
Direction = Literal["higher", "lower", "reference", "none"]


@dataclass(frozen=True)
class Signal:
    """How a signal is read.

    Attributes
    ----------
    title : a plain name of at most 26 characters. brief : its meaning in at most 32 characters.
    meaning : one or two sentences for someone who is no statistician.
    unit : "share" is 0 … 1 and written in percent; "distance" is 0 … 1; "nats" is information per row; "" has none.
    better : which way is good; "reference" is towards `reference`, "none" says nothing by itself.
    reference : the value to read it against; `beside` names the signal that is that value, such as the patients' own.
    is_log : spans powers of ten, so that a drawing wants such an axis.
    """

    name: str
    title: str
    brief: str
    meaning: str
    unit: Unit = ""
    better: Direction = "none"
    reference: float | None = None
    beside: str = ""
    is_log: bool = False


_KNOWN = (
    Signal(
        "accuracy real",
        "critic right on real rows",
        "50 % would be a draw",
        "Share of real rows that the critic takes for real. At 50 % it can only guess; near 100 % on both kinds it wins too easily, "
        "and the generator learns little from it.",
        unit="share",
        better="reference",
        reference=0.5,
    ),
    Signal(
        "accuracy synthetic",
        "critic right on synthetic",
        "50 % would be a draw",
        "Share of synthetic rows that the critic takes for synthetic. At 50 % it can only guess.",
        unit="share",
        better="reference",
        reference=0.5,
    ),
    Signal(
        "augmented",
        "pictures shown changed",
        "0 while the critic is unsure",
        "The chance of each change (moved, turned, brightened) of the pictures that the critic is shown. It rises while the critic is "
        "right on more than 80 % of real pictures, as it is once it knows few pictures by heart, and falls back to 0 else.",
        unit="share",
    ),
    Signal(
        "wasserstein",
        "gap in the critic's scores",
        "0 if it sees no difference",
        "The critic's mean score of real rows less that of synthetic ones (a Wasserstein estimate). It has no unit: only its course "
        "counts. It rises while the critic learns and should then fall or stay level.",
        better="lower",
        reference=0.0,
    ),
    Signal(
        "drift",
        "distance from held-out",
        "0 is alike",
        "How far single columns and pairs of columns of a sample lie from real rows that the network does not learn from: 0 is alike, "
        "1 has nothing in common.",
        unit="distance",
        better="lower",
    ),
    Signal(
        "coverage",
        "common levels covered",
        "of those that patients hold",
        "Share of the levels and ranges that at least 1 % of patients hold and that occur in a sample too. A fall means that the "
        "generator forgets kinds of patients (mode collapse).",
        unit="share",
        better="higher",
        reference=1.0,
    ),
    Signal(
        "duplicates",
        "repeated rows",
        "as many as among patients",
        "Share of a sample's rows that repeat an earlier one, numbers in a few ranges. Far more than among patients means that the "
        "generator makes the same row again and again (mode collapse).",
        unit="share",
        better="reference",
        beside="duplicates of train",
    ),
    Signal(
        "duplicates of train",
        "repeated rows of patients",
        "what is usual",
        "Share of as many real rows that repeat an earlier one: what is usual in this table.",
        unit="share",
    ),
    Signal(
        "bound",
        "likelihood of held-out",
        "higher is better",
        "How likely the network finds rows that it does not learn from (a lower bound of their log-likelihood). It should rise; "
        "when it falls again, the network begins to learn rows by heart.",
        unit="nats",
        better="higher",
    ),
    Signal(
        "divergence",
        "used by hidden numbers",
        "0 means that they are unused",
        "How much the hidden numbers tell of a row. At 0 the network ignores them, and all rows come from one average patient.",
        unit="nats",
    ),
    Signal(
        HELD_OUT,
        "loss on held-out rows",
        "lower is better",
        "The loss on rows that the network does not learn from. It should fall; when it rises again, the network begins to learn rows "
        "by heart, and training stops.",
        better="lower",
    ),
)
_GRADIENT = Signal(
    "gradient",
    "gradient",
    "steady is good",
    "The size of the change that a step asks for. It should stay within a few powers of ten: an explosion means that training "
    "diverges, a fall to nothing that it stands still.",
    is_log=True,
)
_LOSS = Signal(
    "loss",
    "loss",
    "should fall, then level",
    "What the gradient steps lower: how wrong the network is on the rows it learns from.",
)
_GAME = replace(
    _LOSS,
    brief="no level of its own",
    meaning="In a game of two networks a loss says only who is ahead, since each is measured by the other: it need not fall.",
)
_PLAYERS = ("critic", "generator")
KNOWN: Mapping[str, Signal] = {signal.name: signal for signal in _KNOWN}


def signal_of(name: str) -> Signal:
    """How the signal of this name is read; a plain entry for one that is not known.

    >>> signal_of("gradient: critic").title, signal_of("accuracy real").reference
    ('gradient, critic', 0.5)
    """
    if name in KNOWN:
        return KNOWN[name]
    kind, _, phase = name.partition(": ")
    if kind == "gradient" and phase:
        return replace(_GRADIENT, name=name, title=f"gradient, {phase}")
    if kind == "loss" and phase:
        return replace(_GAME if phase in _PLAYERS else _LOSS, name=name, title=f"loss, {phase}")
    return Signal(name, name, "", "A figure that this model tells of itself.")


def order_of(names: Sequence[str]) -> list[str]:
    """Names in the order to show them: what is known, then other figures, gradients, losses; none twice."""
    known = [name for name in KNOWN if name in names]
    rest = [name for name in dict.fromkeys(names) if name not in KNOWN and name != "step"]
    return known + sorted(rest, key=lambda name: (name.startswith("loss: "), name.startswith("gradient: ")))


def value_text(name: str, value: float) -> str:
    """`54 %`, `0.158`, `3.2e+05`: at most seven characters; a number that is none is a dash.

    >>> value_text("coverage", 0.996), value_text("drift", 0.1579), value_text("gradient: critic", 12345.6)
    ('100 %', '0.158', '1.2e+04')
    """
    if not math.isfinite(value):
        return "–"
    unit = signal_of(name).unit
    if unit == "share":
        return f"{value:.0%}".replace("%", " %")
    if unit == "distance":
        return f"{value:.3f}"
    return f"{value:.1e}" if value and not 1e-3 <= abs(value) < 1e4 else f"{value:.3g}" if abs(value) < 1e3 else f"{value:.0f}"


def against(name: str, history: Sequence[float], now: Mapping[str, float]) -> str:
    """What the present value is to be read against, in a few characters: the best so far, the patients' own, the reference.

    Parameters
    ----------
    history : the signal's values so far, the present one last. now : all signals at this moment.
    """
    signal = signal_of(name)
    if signal.beside:
        return f"patients {value_text(signal.beside, now[signal.beside])}" if signal.beside in now else ""
    if name == "accuracy real" or name == "accuracy synthetic":
        return "draw: 50 %"
    if signal.reference is None and signal.better in ("lower", "higher") and history:
        best = min(history) if signal.better == "lower" else max(history)
        return f"best {value_text(name, best)}"
    return ""


def line(signals: Mapping[str, float], best_distance: float | None = None) -> str:
    """One line for a log: the distance from held-out rows and the critic's accuracy; empty where a model tells neither.

    >>> line({"drift": 0.16, "accuracy real": 0.54, "accuracy synthetic": 0.5}, 0.15)
    'distance from held-out rows 0.160 (best 0.150), critic right on 54 % of real and 50 % of synthetic rows'
    """
    parts = []
    if "drift" in signals:
        best = "" if best_distance is None else f" (best {value_text('drift', best_distance)})"
        parts.append(f"distance from held-out rows {value_text('drift', signals['drift'])}{best}")
    if "accuracy real" in signals and "accuracy synthetic" in signals:
        real, made = (value_text(name, signals[name]) for name in ("accuracy real", "accuracy synthetic"))
        parts.append(f"critic right on {real} of real and {made} of synthetic rows")
    return ", ".join(parts)
