"""Several releases of one table side by side: who is better on two figures at once, and of whom that is sure. Knows no page and no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from manikin.data.errors import ParameterError
from manikin.evaluation.base import Direction, MetricResult, Results

DEFAULT_PAIRS = (
    ("c2st", "membership"),
    ("tstr", "membership"),
    ("c2st", "attribute_inference"),
    ("c2st", "trajectory_membership"),
    ("image_c2st", "image_membership"),
    ("image_tstr", "image_membership"),
    ("image_c2st", "image_copies"),
)


@dataclass(frozen=True)
class Axis:
    """One figure of one release; `badness` grows as the figure gets worse, whatever its direction, with its interval's ends.

    Attributes
    ----------
    value, interval : as measured.
    badness : (low, value, high). For a figure that is best at its reference it is the distance from it.
    """

    value: float
    interval: tuple[float, float]
    badness: tuple[float, float, float]


@dataclass(frozen=True)
class Point:
    """One release on two figures.

    Attributes
    ----------
    is_on_front : no other release is at least as good on both figures and better on one (Pareto), by the measured values.
    beaten_by : releases that are better on both figures even at the unfavourable ends of their intervals: surely better.
    """

    name: str
    fidelity: Axis
    privacy: Axis
    is_on_front: bool
    beaten_by: tuple[str, ...]


@dataclass(frozen=True)
class TradeOff:
    """All releases that hold both figures, in the order given."""

    fidelity: str
    privacy: str
    titles: tuple[str, str]
    directions: tuple[Direction, Direction]
    points: tuple[Point, ...]


def trade_off(candidates: Mapping[str, Results], fidelity: str, privacy: str) -> TradeOff:
    """Fidelity against privacy, with the Pareto front.

    Parameters
    ----------
    candidates : results by the release's name.
    fidelity, privacy : names of figures, of either registry.

    Raises
    ------
    ParameterError : no release holds both figures.
    """
    known = {name: pair for name, one in candidates.items() if (pair := _both(one, fidelity, privacy)) is not None}
    if not known:
        raise ParameterError(
            f"No release was measured by both {fidelity!r} and {privacy!r}. "
            "See `manikin list metrics` and `manikin list attacks`, and evaluate the releases again."
        )
    axes = {name: (_axis(first), _axis(second)) for name, (first, second) in known.items()}
    points = tuple(
        Point(name, *own, not _is_dominated(own, name, axes), _surely_better(own, name, axes)) for name, own in axes.items()
    )
    first, second = next(iter(known.values()))
    return TradeOff(fidelity, privacy, (first.title, second.title), (first.direction, second.direction), points)


def possible_pairs(candidates: Mapping[str, Results]) -> list[tuple[str, str]]:
    """The usual pairs of figures that at least one release holds."""
    return [pair for pair in DEFAULT_PAIRS if any(_both(results, *pair) for results in candidates.values())]


def _both(results: Results, first: str, second: str) -> tuple[MetricResult, MetricResult] | None:
    """Both figures, None where one was not measured."""
    if first not in results or second not in results:
        return None
    pair = results[first], results[second]
    return None if pair[0].value is None or pair[1].value is None else pair


def _axis(figure: MetricResult) -> Axis:
    value = float(figure.value or 0.0)
    low, high = figure.interval or (value, value)
    if figure.direction is Direction.HIGHER:
        return Axis(value, (low, high), (-high, -value, -low))
    if figure.direction is Direction.LOWER or figure.reference is None:
        return Axis(value, (low, high), (low, value, high))
    centre = figure.reference
    far = sorted((abs(low - centre), abs(high - centre)))
    nearest = 0.0 if low <= centre <= high else far[0]
    return Axis(value, (low, high), (nearest, abs(value - centre), far[1]))


Axes = tuple[Axis, Axis]


def _is_dominated(own: Axes, name: str, axes: Mapping[str, Axes]) -> bool:
    """Whether another release is at least as good on both figures and better on one."""
    mine = [axis.badness[1] for axis in own]
    for other, pair in axes.items():
        theirs = [axis.badness[1] for axis in pair]
        if other != name and all(a <= b for a, b in zip(theirs, mine, strict=True)) and theirs != mine:
            return True
    return False


def _surely_better(own: Axes, name: str, axes: Mapping[str, Axes]) -> tuple[str, ...]:
    """The releases whose worst ends are better than this one's best ends, on both figures."""
    return tuple(
        other
        for other, pair in axes.items()
        if other != name and all(theirs.badness[2] < mine.badness[0] for theirs, mine in zip(pair, own, strict=True))
    )
