"""The chapter on time to an event: survival curves of real and synthetic patients, hazard ratios, and what a survival model learns.

Knows the details of `time_to_event` and the view `survival` by key; measures nothing, and draws nothing of what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from manikin.evaluation.base import Results
from manikin.report.blocks import Beside, Block, Dials, Figure, Fold, Grid, Heading, Table, Text
from manikin.report.curves import Curve, survival
from manikin.report.dials import dial, found
from manikin.report.forest import Line, Mark, forest
from manikin.report.wording import number, whole

TIME = ("time_to_event", "survival_utility")
N_CURVES = 3
N_RATIOS = 20
Rows = Sequence[Mapping[str, Any]]


def time_to_event(results: Results) -> tuple[Block, ...]:
    """Survival curves of real and synthetic patients, hazard ratios, and what a survival model learns."""
    chosen = [metric for name in of_time(results) if (metric := found(results, name)) is not None]
    view = results.views.get("survival") or {}
    curves = [one for one in view.get("curves") or () if isinstance(one, Mapping) and _is_drawable(one)]
    if not curves and not chosen:
        return ()
    blocks: list[Block] = [Dials(tuple(dial(metric) for metric in chosen))] if chosen else []
    if curves:
        figures = tuple(_curve(one, view) for one in curves)
        text = (
            f"Share of patients without the event (“{view.get('event', '')}”) by time (“{view.get('time', '')}”), estimated after Kaplan "
            "and Meier, so that patients who were lost to follow-up count as long as they were seen."
        )
        blocks += [Heading("Survival curves"), Text(text), Grid(figures[:N_CURVES], has_legend=True)]
        if figures[N_CURVES:]:
            blocks.append(Fold(f"{len(figures) - N_CURVES} more groups", (Grid(figures[N_CURVES:]),)))
    metric = found(results, "time_to_event")
    hazards: Rows = (metric.details.get("hazard_ratios") or ()) if metric is not None else ()
    if hazards:
        drawing = Grid((_hazards(hazards),), has_legend=False)
        blocks += [Heading("Hazard ratios, one column at a time"), Beside((drawing, _hazard_table(hazards)))]
    return tuple(blocks)


def of_time(results: Results) -> tuple[str, ...]:
    """The figures that stand in this chapter: those that were measured; the others keep their place with a note elsewhere."""
    return tuple(name for name in TIME if (metric := found(results, name)) is not None and metric.value is not None)


def _is_drawable(one: Mapping[str, Any]) -> bool:
    sides = [one.get(side) for side in ("train", "synthetic")]
    return bool(one.get("times")) and all(isinstance(side, Mapping) and side.get("survival") for side in sides)


def _curve(one: Mapping[str, Any], view: Mapping[str, Any]) -> Figure:
    times, sides = one["times"], {side: one[side] for side in ("train", "synthetic")}
    last = {side: part["survival"][-1] for side, part in sides.items()}
    sizes: Mapping[str, Any] = one.get("n") or {}
    words = (("train", "real rows,"), ("synthetic", "synthetic."))
    counted = "".join(f" {whole(sizes[side])} {word}" for side, word in words if sizes.get(side))
    return Figure(
        survival(
            times,
            Curve(sides["train"]["survival"], sides["train"].get("low"), sides["train"].get("high")),
            Curve(sides["synthetic"]["survival"], sides["synthetic"].get("low"), sides["synthetic"].get("high")),
            axis=str(view.get("time", "time")),
        ),
        f"Blue: real, orange dashed: synthetic, each with its 95 % band. Where the bands part, survival differs.{counted}",
        f"Survival of {one.get('group', 'everybody')}: at the end {number(last['train'], 'percent')} of real and "
        f"{number(last['synthetic'], 'percent')} of synthetic patients are without the event.",
        str(one.get("group", "everybody")).capitalize() if one.get("group") == "everybody" else str(one.get("group", "")),
    )


def _hazards(rows: Rows) -> Figure:
    lines = []
    for row in rows[:N_RATIOS]:
        marks = [Mark(exp(row["train"]), kind="real")] if row.get("train") is not None else []
        marks += [Mark(exp(row["synthetic"]))] if row.get("synthetic") is not None else []
        lines.append(Line(_term(row), tuple(marks)))
    worst = max(rows, key=lambda row: abs(row.get("difference") or 0.0))
    return Figure(
        forest(tuple(lines), axis="hazard ratio", mark=1.0, is_log=True),
        "Blue dots: real rows. Orange rings: synthetic rows. To the right of the dashed line the event comes sooner, to the left later; "
        "ring and dot should lie together, and on the same side. Numbers: per standard deviation.",
        f"Hazard ratios of {len(lines)} terms. The largest difference: {_term(worst)}, "
        f"{exp(worst.get('train') or 0.0):.2f} real and {exp(worst.get('synthetic') or 0.0):.2f} synthetic.",
        "Real and synthetic hazard ratios",
    )


def _hazard_table(rows: Rows) -> Table:
    cells = tuple(
        (
            _term(row),
            *("–" if row.get(side) is None else f"{exp(row[side]):.2f}" for side in ("train", "synthetic")),
            _times(row.get("difference_interval")),
        )
        for row in rows
    )
    caption = "Hazard ratios, and the 95 % interval of synthetic over real: they surely differ where it does not hold 1"
    return Table(("Term", "Real", "Synthetic", "Over real"), cells[:N_RATIOS], caption, numeric=(1, 2, 3))


def _term(row: Mapping[str, Any]) -> str:
    """A number's column, or a level of a column against the commonest."""
    term = str(row.get("term", ""))
    level = "" if term.startswith("per ") else term.removesuffix(" against the commonest")
    return f"{row.get('column', '')}: {level}" if level else str(row.get("column", ""))


def _times(interval: Any) -> str:
    return f"{exp(interval[0]):.2f} to {exp(interval[1]):.2f}" if interval and None not in interval else "–"
