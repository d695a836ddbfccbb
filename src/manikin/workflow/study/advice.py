"""For this use, start here: sentences that follow from the points of a trade-off study by rule. Knows no generator and no page.

The limits are those of the release policy `open`, read from it, so that advice and gate cannot drift apart; that of one-way tables is ours.
A limit is kept *surely* where the unfavourable end of the 95 % interval keeps it, as the gate judges.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import inf, isinf
from typing import Any

from manikin.release.policy import load_policy
from manikin.synthesizers import SYNTHESIZERS

SHAPES_LOST = 0.05  # of one-way tables, against fresh real patients: our convention
REFERENCES = ("real", "independent")
Point = Mapping[str, Any]  # a line of `points_of`
Figures = Mapping[str, Point]  # the figures of one generator at one epsilon
Line = Mapping[float, Figures]  # one generator along epsilon


@dataclass(frozen=True)
class Need:
    """What a use asks of one figure: `excess` tells by how much a value misses it, 0 or below where it is kept."""

    figure: str
    excess: Callable[[Point, float], float]
    worst: int  # the unfavourable end of an interval: 0 the lower, 1 the upper
    words: Callable[[Point, str | None], str]

    def missed(self, figures: Figures, *, surely: bool) -> float:
        """By how much the median, or the unfavourable end, misses; infinite where there is no figure."""
        point = figures.get(self.figure)
        if point is None or point["median"] is None:
            return inf
        return self.excess(point, point["interval"][self.worst] if surely else point["median"])


@dataclass(frozen=True)
class Use:
    """What a release is for: its needs, and the largest epsilon that may be used for it."""

    key: str
    title: str
    rule: str
    needs: tuple[Need, ...]
    most_epsilon: float = inf


@cache
def limits_of() -> dict[str, float]:
    """The limits that advice goes by."""
    checks = {check.name: check for check in load_policy("open").checks}
    taken = {name: checks[name].at_most for name in ("epsilon", "membership", "utility")}
    return {name: float(value) for name, value in taken.items() if value is not None} | {"shapes": SHAPES_LOST}


def uses() -> tuple[Use, ...]:
    """The three uses, from the least to the most demanding."""
    limits = limits_of()
    shapes = Need(
        "column_shapes", lambda point, value: (point["reference"] or 1.0) - value - limits["shapes"], 0, _shapes_words
    )
    loss = Need("loss", lambda _, value: value - limits["utility"], 1, _loss_words)
    attack = Need("membership", lambda _, value: value - limits["membership"], 1, _attack_words)
    return (
        Use(
            "teaching",
            "Teaching and software testing",
            f"each column by itself looks real: one-way tables score at most {limits['shapes']:g} less than fresh real patients do",
            (shapes,),
        ),
        Use(
            "development",
            "Developing models",
            f"a model that learns from it loses at most {limits['utility']:g} (AUROC, or R² of a number) against real rows",
            (loss,),
        ),
        Use(
            "open",
            "Sharing openly",
            f"epsilon is at most {limits['epsilon']:g}, the attack names at most {percent(limits['membership'])} of the members and a "
            f"model loses at most {limits['utility']:g}, three of the checks of the policy 'open'",
            (loss, attack),
            limits["epsilon"],
        ),
    )


def advise(points: Sequence[Point], measure: str | None, *, broken: Collection[str] = ()) -> list[dict[str, Any]]:
    """Per use a rule, where to start, and a sentence for each generator with the epsilon to start at, None where none will do.

    Parameters
    ----------
    broken : generators that an attack showed not to keep their budget; they are advised for nothing.
    """
    lines = _lines(points)
    made = []
    for use in uses():
        told = []
        for name, line in lines.items():
            if name in REFERENCES:
                continue
            if name in broken or not SYNTHESIZERS[name].releasable:
                why = "do not use it, an attack went beyond what its budget allows" if name in broken else "its rows are never released"
                told.append({"synthesizer": name} | _nowhere(f"{name}: {why}."))
                continue
            told.append({"synthesizer": name, **_start(name, use, line, lines.get("independent", {}), measure)})
        made.append({"use": use.key, "title": use.title, "rule": use.rule, "headline": _headline(use, told, lines), "lines": told})
    return made


def _lines(points: Sequence[Point]) -> dict[str, dict[float, dict[str, Point]]]:
    lines: dict[str, dict[float, dict[str, Point]]] = {}
    for point in points:
        lines.setdefault(point["synthesizer"], {}).setdefault(float(point["epsilon"]), {})[point["figure"]] = point
    return lines


def start_at(use: Use, line: Line, *, surely: bool) -> float | None:
    """The smallest epsilon from which on all larger budgets that were tried and that the use allows keep its needs; None where none does.

    From which *on*, since the smallest of several would often be one that kept them by luck. Epsilons without figures are passed over.
    Learning without a budget counts only where no budget will do: a generator need not be better without one.
    """
    found = None
    for epsilon in sorted((e for e in line if e <= use.most_epsilon and not isinf(e)), reverse=True):
        missed = _missed(use, line[epsilon], surely=surely)
        if isinf(missed):
            continue
        if missed > 0:
            break
        found = epsilon
    if found is None and isinf(use.most_epsilon) and inf in line and _missed(use, line[inf], surely=surely) <= 0:
        return inf
    return found


def _missed(use: Use, figures: Figures, *, surely: bool) -> float:
    """By how much the need that is kept worst is missed; infinite where a figure is not there."""
    return max(need.missed(figures, surely=surely) for need in use.needs)


def _nowhere(text: str) -> dict[str, Any]:
    return {"epsilon": None, "surely": False, "text": text}


def _start(name: str, use: Use, line: Line, floor: Line, measure: str | None) -> dict[str, Any]:
    """Where to start with one generator for one use, and the sentence."""
    allowed = [epsilon for epsilon in line if epsilon <= use.most_epsilon]
    if not allowed:
        return _nowhere(f"{name}: no epsilon of {use.most_epsilon:g} or less was tried, and the use allows no larger one.")
    if all(isinf(_missed(use, line[epsilon], surely=False)) for epsilon in allowed):
        has_failed = all(point["n"] == 0 for epsilon in allowed for point in line[epsilon].values())
        why = "it failed at every epsilon that the use allows" if has_failed else "what this use needs was not measured"
        return _nowhere(f"{name}: {why}.")
    sure, likely = (start_at(use, line, surely=surely) for surely in (True, False))
    at = likely if sure is None or (isinf(sure) and likely is not None and not isinf(likely)) else sure
    if at is None:
        return _nowhere(f"{name}: {_unreached(use, line, allowed, measure)}")
    begin = _begin(at, is_sure=at == sure, has_tried=min(allowed) < inf)
    if at == sure and likely is not None and likely < at:
        begin += f" (on the median from {_at(likely)} on)"
    there = _words(use, line[at], measure, without="membership")
    told = [f"{name}: {begin}. There {there}.", *_beside(use, line, at, floor), _attack(line[at], at)]
    return {"epsilon": "inf" if isinf(at) else at, "surely": at == sure, "text": " ".join(filter(None, told))}


def _unreached(use: Use, line: Line, allowed: Sequence[float], measure: str | None) -> str:
    """What is said where no epsilon will do: uneven figures, no budget tried, or by how much the nearest misses."""
    kept = [epsilon for epsilon in sorted(allowed) if _missed(use, line[epsilon], surely=False) <= 0]
    near = min(allowed, key=lambda epsilon: (_missed(use, line[epsilon], surely=False), epsilon))
    words = _words(use, line[kept[0] if kept else near], measure)
    if kept:
        return f"{_at(kept[0])} reaches it, but not every larger one does: run more seeds. There {words}."
    if isinf(min(allowed)):
        return f"tried without a budget only, where it does not reach it: {words}."
    which = "tried" if isinf(use.most_epsilon) else f"of {use.most_epsilon:g} or less"
    where = "without a budget" if isinf(near) else f"at {_at(near)}"
    return f"no epsilon {which} reaches it. It comes nearest {where}: {words}."


def _begin(at: float, *, is_sure: bool, has_tried: bool) -> str:
    """The first words: where to start, or that only learning without a budget will do; `has_tried` is whether any budget was tried."""
    if not isinf(at):
        return f"start at {_at(at)}{'' if is_sure else ', where the median reaches it while the interval leaves it open'}"
    median = "" if is_sure else " on the median"
    if not has_tried:
        return f"tried without a budget only, which reaches it{median} and guarantees nothing"
    return f"no epsilon tried reaches it, only learning without a budget does{median}, which guarantees nothing"


def _headline(use: Use, told: Sequence[Mapping[str, Any]], lines: Mapping[str, Line]) -> str:
    """The generator that needs the least epsilon; of several the one whose median is farthest inside the first need."""
    private = [one for one in told if one["epsilon"] not in (None, "inf")]
    sure = [one for one in private if one["surely"]] or private

    def rank(one: Mapping[str, Any]) -> tuple[float, float]:
        """Least epsilon first, then the larger margin."""
        return one["epsilon"], use.needs[0].missed(lines[one["synthesizer"]][one["epsilon"]], surely=False)

    if not sure:
        return "Nothing that was tried reaches it under a budget."
    best = min(sure, key=rank)
    surely = "" if best["surely"] else ", which reaches it on the median, not surely"
    return f"Start with {best['synthesizer']} at epsilon {best['epsilon']:g}{surely}."


def _beside(use: Use, line: Line, at: float, floor: Line) -> list[str]:
    """How it stands to its twin without a budget, and to columns drawn one by one under the same budget."""
    need, said = use.needs[0], []
    here, twin, other = (side.get(need.figure) for side in (line[at], line.get(inf, {}), floor.get(at, {})))
    if here and twin and twin["median"] is not None and not isinf(at):
        low, high = twin["interval"]
        is_better = here["median"] > high if need.worst == 0 else here["median"] < low
        how = "within the interval of" if low <= here["median"] <= high else "better than" if is_better else "worse than"
        said.append(f"It is {how} its twin without a budget ({_with_interval(twin)}).")
    if here and other and other["median"] is not None:
        reach = here["interval"][need.worst]
        is_better = other["median"] < reach if need.worst == 0 else other["median"] > reach
        if not is_better:
            said.append(f"Columns drawn one by one at the same epsilon do as well ({other['median']:.3f}), as far as can be seen.")
    return said


def _words(use: Use, figures: Figures, measure: str | None, *, without: str = "") -> str:
    """The figures that the use asks for, those that are there."""
    there = [(need, figures[need.figure]) for need in use.needs if need.figure in figures and need.figure != without]
    return ", and ".join(need.words(point, measure) for need, point in there if point["median"] is not None)


def _shapes_words(point: Point, _: str | None) -> str:
    fresh = "" if point["reference"] is None else f" where fresh real patients score {point['reference']:.3f}"
    return f"one-way tables score {_with_interval(point)}{fresh}"


def _loss_words(point: Point, measure: str | None) -> str:
    return f"a model loses {_with_interval(point)} {measure or ''}".rstrip()


def _attack_words(point: Point, _: str | None) -> str:
    low, high = point["interval"]
    interval = f"[{percent(low)}, {percent(high)}]"
    return f"the membership attack names {percent(point['median'])} {interval} of the members at 1 % false alarms"


def _attack(figures: Figures, at: float) -> str:
    """What the attack found, and what the budget allows any attack."""
    point = figures.get("membership")
    if point is None or point["median"] is None:
        return ""
    bound = f"epsilon {at:g} allows no attack more than {percent(point['ceiling'])}"
    if isinf(at) or point["ceiling"] >= 1:
        bound = "nothing bounds another one" if isinf(at) else f"epsilon {at:g} is too large to bound another one at 1 % false alarms"
    words = _attack_words(point, None)
    return f"{words[0].upper()}{words[1:]}; {bound}."


def percent(share: float) -> str:
    """A share as a percentage with one decimal.

    >>> percent(0.0272)
    '2.7 %'
    """
    return f"{100 * share:.1f} %"


def _with_interval(point: Point) -> str:
    middle, low, high = (round(value, 3) + 0.0 for value in (point["median"], *point["interval"]))  # never -0.000
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def _at(epsilon: float) -> str:
    return f"epsilon {epsilon:g}"
