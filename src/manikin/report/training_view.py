"""How a generator learned, as blocks: what happened, what the monitors said, the signals over steps, and the filmstrip of its output.

Reads the run's record of training (`Training.to_json` of the loop, with "bins of train"); every key is optional, and names that are not
known are drawn under themselves. Measures nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from manikin.report import figures
from manikin.report.blocks import Banner, Block, Facts, Figure, Filmstrip, Frame, Grid, Heading, Text, Tone
from manikin.report.picture_strips import picture_strips
from manikin.report.training_figures import Line, Look, course, frame
from manikin.training.signals import HELD_OUT, Signal, order_of, signal_of, value_text

MOST_FRAMES, MOST_FIELDS = 8, 6
LOOKS: tuple[Look, ...] = ("first", "second", "third", "fourth")
Points = tuple[list[float], list[float]]
_CAPTIONS = {
    "accuracy real+accuracy synthetic": "Share of the rows of either kind that the critic recognises. At 50 % it can "
    "only guess: samples look real to it, or it has not learned to look yet. Near 100 % on both it wins too easily, and the "
    "generator learns little from it.",
    "duplicates+duplicates of train": signal_of("duplicates").meaning + " The blue line is the patients' own share.",
}


def training_blocks(training: Mapping[str, Any]) -> tuple[Block, ...]:
    """The part of the page on learning; empty where nothing was recorded of it."""
    if not training:
        return ()
    facts = tuple(
        (str(key).replace("_", " ").capitalize(), _plain(value))
        for key, value in training.items()
        if isinstance(value, str | int | float | bool) and value != ""
    )
    blocks: list[Block] = [Heading("How it learned"), *_story(training)]
    blocks += [Banner("A monitor warned.", text) for text in _texts(training.get("warnings"))]
    signals = _signals(training)
    if signals and not _texts(training.get("warnings")):
        blocks.append(Text("The monitors of training saw nothing to warn of.", Tone.NOTE))
    drawn = [*_curve(training, signals), *_multiples(signals, _number(training.get("best_step")))]
    if drawn:
        blocks.append(Grid(tuple(drawn), has_legend=False))
    blocks += filmstrip(training)
    blocks += picture_strips(training)
    blocks.append(Facts(facts))
    return tuple(blocks)


def _story(training: Mapping[str, Any]) -> list[Block]:
    """What happened, in a sentence or two."""
    steps, planned, kept = (_number(training.get(key)) for key in ("steps", "planned_steps", "best_step"))
    if steps is None:
        return []
    text = f"The generator learned for {steps:,.0f}" + (f" of {planned:,.0f} planned steps" if planned else " steps")
    why = str(training.get("stopped_because") or "")
    text += {
        "": ".",
        "plan done": "; the plan was done.",
        "no better on held-out rows": "; it stopped because it did no better any more on real rows kept from it.",
        "time budget": "; the time that it was given was up.",
        "stop asked by replay": "; the run that is replayed stopped there.",
    }.get(why, f"; it was stopped: {why}.")
    if kept is not None:
        text += (
            f" What is used are its weights of step {kept:,.0f}, the best on those rows"
            if kept != steps
            else " Its last weights are used"
        )
        distance = dict(zip(*_signals(training).get("drift", ([], [])), strict=True)).get(kept)
        text += "." if distance is None else f": a sample lay {distance:.3f} from them (0 is alike, 1 has nothing in common)."
    return [Text(text)]


def _curve(training: Mapping[str, Any], signals: Mapping[str, Points]) -> list[Figure]:
    """Training and validation loss; where the run was chosen by distance instead, the phases' losses stand alone."""
    curve = [point for point in training.get("curve") or () if isinstance(point, list | tuple) and len(point) > 1]
    losses = [name for name in order_of(list(signals)) if name.startswith("loss: ")]
    if "drift" in signals and losses and not {HELD_OUT, "bound"} & signals.keys():
        return _drawn(losses, signals, None, "Losses")
    if len(curve) < 2:
        return []
    steps, train, validation = zip(*((p[0], p[1], p[2] if len(p) > 2 else None) for p in curve), strict=True)
    last = next((value for value in reversed(validation) if value is not None), None)
    return [
        Figure(
            figures.curve(steps, train, validation),
            "How the loss fell while the generator learned. Validation rows are part of the training rows, kept from the gradient; when "
            "their line rises while the other falls, the generator begins to learn rows by heart, which is when it stops.",
            f"Training curve over {steps[-1]} steps"
            + (f"; the last validation loss is {last:.3g}." if last is not None else "."),
            "Training curve",
        )
    ]


def _multiples(signals: Mapping[str, Points], kept: float | None) -> list[Figure]:
    """One drawing per question; signals that answer the same one share it."""
    names = order_of(list(signals))
    gradients = [name for name in names if name.startswith("gradient: ")]
    groups = (
        (["accuracy real", "accuracy synthetic"], "Can the critic tell them apart?"),
        (["wasserstein"], "Gap in the critic's scores"),
        (["drift"], "Distance from held-out rows"),
        (["coverage"], "Common levels that occur"),
        (["duplicates", "duplicates of train"], "Repeated rows"),
        (gradients, "Size of the steps asked for"),
    )
    drawn: list[Figure] = []
    for group, title in groups:
        drawn += _drawn([name for name in group if name in signals], signals, kept if group == ["drift"] else None, title)
    told = {name for group, _ in groups for name in group}
    for name in names:
        if name not in told and not name.startswith("loss: "):
            drawn += _drawn([name], signals, kept if name == "bound" else None, signal_of(name).title.capitalize())
    return drawn


def _drawn(names: Sequence[str], signals: Mapping[str, Points], kept: float | None, title: str) -> list[Figure]:
    if not names or max(len(signals[name][0]) for name in names) < 2:
        return []
    lead = signal_of(names[0])
    lines = [Line(_line_name(name, names), *signals[name], look=_look(name, i)) for i, name in enumerate(names)]
    mark = {"accuracy real": (0.5, "a draw, 50 %"), "wasserstein": (0.0, "no difference")}.get(lead.name)
    is_log = lead.is_log and any(value > 0 for name in names for value in signals[name][1])
    unit = "share" if lead.unit == "share" else "log" if is_log else "number"
    axis = {"distance": "distance", "nats": "nats per row"}.get(lead.unit, "")
    svg = course(lines, axis=axis, unit=unit, mark=mark, kept=kept)  # type: ignore[arg-type]
    caption = _CAPTIONS.get("+".join(names), lead.meaning)
    if kept is not None:
        is_choice = lead.name == "bound" or "bound" not in signals
        caption += (
            " The best weights are kept; the upright line marks them."
            if is_choice
            else " The upright line marks the kept step."
        )
    alt = " ".join(_told(name, signals[name]) for name in names)
    return [Figure(svg, caption, alt, title)]


def _line_name(name: str, names: Sequence[str]) -> str:
    if name.startswith("accuracy "):
        return f"right on {name.removeprefix('accuracy ')} rows"
    known = {"duplicates": "samples", "duplicates of train": "patients"}
    return known.get(name, name.partition(": ")[2] or signal_of(name).title) if len(names) > 1 else signal_of(name).title


def _look(name: str, i: int) -> Look:
    fixed: dict[str, Look] = {
        "accuracy real": "real",
        "accuracy synthetic": "synthetic",
        "coverage": "sample",
        "duplicates": "synthetic",
        "duplicates of train": "real",
        "drift": "sample",
    }
    return fixed.get(name, LOOKS[i % len(LOOKS)])


def _told(name: str, points: Points) -> str:
    """A signal's course in words: first, last and the best or the extremes."""
    signal: Signal = signal_of(name)
    steps, values = points
    first, last = value_text(name, values[0]), value_text(name, values[-1])
    text = f"{signal.title.capitalize()}: {first} at step {steps[0]:,.0f}, {last} at step {steps[-1]:,.0f}"
    if signal.better in ("lower", "higher"):
        best = min(values) if signal.better == "lower" else max(values)
        text += f", best {value_text(name, best)} at step {steps[values.index(best)]:,.0f}"
    elif len(values) > 2:
        text += f", between {value_text(name, min(values))} and {value_text(name, max(values))}"
    return text + "."


def filmstrip(training: Mapping[str, Any]) -> list[Block]:
    """The fields whose output moved most, at the moments of the film; nothing where there are fewer than two."""
    film = [one for one in training.get("film") or () if isinstance(one, Mapping) and isinstance(one.get("bins"), Mapping)]
    moments = _thinned([one for one in film if one["bins"]])
    if len(moments) < 2:
        return []
    train = training.get("bins of train")
    train = train if isinstance(train, Mapping) else {}
    fields = [
        name for name in moments[0]["bins"] if all(_same(one["bins"].get(name), moments[0]["bins"][name]) for one in moments)
    ]
    moved = {name: max(_distance(one["bins"][name], moments[0]["bins"][name]) for one in moments) for name in fields}
    fields = sorted(fields, key=lambda name: -moved[name])[:MOST_FIELDS]
    if not fields:
        return []
    kept = _number(training.get("best_step"))
    marked = _nearest([float(one["step"]) for one in moments], kept)
    is_exact = marked is not None and moments[marked]["step"] == kept
    words = (
        ""
        if marked is None
        else " The framed moment is the one kept."
        if is_exact
        else " The framed moment is the nearest to the one kept."
    )
    few = f"the {len(fields)} columns whose output moved most" if len(fields) < len(moments[0]["bins"]) else "every column"
    known = " over those of the real training rows (blue)" if any(name in train for name in fields) else ""
    blocks: list[Block] = [
        Heading("The output taking shape", 4),
        Text(
            f"Samples of the network in training (orange outline){known}, from the first look on: {few}. Each bar is a group "
            "of values, missing cells first; where orange follows blue, the column is learned." + words,
            Tone.NOTE,
        ),
    ]
    return [*blocks, *(_strip(name, moments, train.get(name), marked, is_exact=is_exact) for name in fields)]


def _strip(name: str, moments: Sequence[Mapping[str, Any]], train: Any, marked: int | None, *, is_exact: bool) -> Filmstrip:
    shares = [one["bins"][name] for one in moments]
    real = list(train) if _same(train, shares[0]) else []
    most = max((share for row in [*shares, real] for share in row), default=1.0)
    frames = tuple(
        Frame(
            frame(row, real, most=most),
            f"step {one['step']:,}" + ((", kept" if is_exact else ", nearest") if i == marked else ""),
            is_marked=i == marked,
        )
        for i, (one, row) in enumerate(zip(moments, shares, strict=True))
    )
    if real:
        far = [f"{_distance(row, real):.0%} at step {one['step']:,}" for one, row in zip(moments, shares, strict=True)]
        alt = f"rows that would have to change their group to match the training rows: {', '.join(far)}."
    else:
        start, end = (f"step {moments[i]['step']:,}" for i in (0, -1))
        alt = f"{_distance(shares[0], shares[-1]):.0%} of rows changed their group from {start} to {end}."
    return Filmstrip(name, frames, alt.replace("%", " %"))


def _thinned(moments: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """At most `MOST_FRAMES`, first and last among them."""
    if len(moments) <= MOST_FRAMES:
        return moments
    return [moments[round(k * (len(moments) - 1) / (MOST_FRAMES - 1))] for k in range(MOST_FRAMES)]


def _nearest(steps: Sequence[float], kept: float | None) -> int | None:
    return None if kept is None else min(range(len(steps)), key=lambda i: abs(steps[i] - kept))


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Total variation distance, 0 … 1."""
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) / 2


def _same(shares: Any, other: Sequence[float]) -> bool:
    return isinstance(shares, list | tuple) and len(shares) == len(other)


def _signals(training: Mapping[str, Any]) -> dict[str, Points]:
    """Steps and values by name, as far as they are numbers."""
    found: dict[str, Points] = {}
    for entry in training.get("signals") or ():
        step = _number(entry.get("step")) if isinstance(entry, Mapping) else None
        if step is None:
            continue
        for name, value in entry.items():
            if name != "step" and _number(value) is not None:
                steps, values = found.setdefault(str(name), ([], []))
                steps.append(step)
                values.append(float(value))
    return found


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


def _plain(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
