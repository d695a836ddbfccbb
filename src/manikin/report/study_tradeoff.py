"""The sections of a trade-off study's page: where to start, curves along epsilon, all figures. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log
from pathlib import Path
from typing import Any

from manikin.report.blocks import Banner, Block, Bullets, Chapter, Figure, Fold, Grid, Heading, Table, Text, Tone
from manikin.report.tradeoff_figures import epsilon_curve, side_by_side

REAL, FLOOR = "real", "independent"
SHOWN = {
    "column_shapes": "How alike single columns are; 1 is best.",
    "dependence": "What is kept of the 50 strongest dependences; 0 nothing, 1 as much as fresh real patients show. Above 1 lies copying.",
    "c2st": "How well a classifier tells generated from held-out real rows; 0.5 is best, lower is better.",
    "excess": "What a model learns from the rows, from guessing (0) to as many real rows (1); higher is better.",
    "membership": (
        "Members that the strongest of five attacks names at 1 % false alarms; lower is better. The dashed line is the most that any "
        "attack can reach under the budget, the grey one is guessing. What lies below 0.1 % is drawn there."
    ),
    "cpu_seconds": "CPU seconds to learn and to draw as many rows as were learned from.",
}
AT_A_GLANCE = {
    "column_shapes": "One-way",
    "dependence": "Dependence",
    "c2st": "C2ST",
    "excess": "Excess",
    "loss": "Loss",
    "membership": "Attack",
    "cpu_seconds": "CPU s",
}
METHOD = (
    (
        "Each seed holds a fifth of the patients out; no patient is on two sides. All generators and budgets of a seed learn from the same "
        "patients, draw as many rows as there are train rows, and are measured against the same holdout."
    ),
    (
        "Each fit has a fresh ledger of its own epsilon and delta; inf is the same generator without a ledger. Nothing that was fitted or "
        "drawn is kept."
    ),
    (
        "Figures are medians over seeds. Intervals hold the noise of one measurement (for utility a bootstrap over the holdout's "
        "patients, for the attack Clopper-Pearson's, widened by the noise of its threshold) and the differences between seeds; they are "
        "not divided by the number of seeds, which share patients."
    ),
    (
        "The ceiling is min(1, e^epsilon × 1 % + delta) (Kairouz et al. 2015, arXiv 1311.0776). That an attack stays far below it does not "
        "mean that a larger epsilon would do no harm: another attack may do better, and the ceiling holds for all of them."
    ),
    (
        "Where to start is the smallest epsilon from which on every larger budget that was tried keeps the limits too. Surely means with "
        "the unfavourable end of the interval, as the release gate judges. These words follow from the figures by rule."
    ),
)
OF_PATIENTS = (
    "Figures look at a summary of each patient and not at her history, and so does the attack. `manikin synthesize` attacks whole "
    "histories, of one release."
)


def tradeoff_chapters(document: Mapping[str, Any]) -> tuple[Chapter, ...]:
    """Where to start, the curves, all figures, and how they were measured."""
    method = (*METHOD, OF_PATIENTS) if document["data"].get("unit") == "patients" else METHOD
    return (
        Chapter("start", "For this use, start here", _start(document)),
        Chapter("curves", "Along epsilon", _curves(document)),
        Chapter("figures", "All figures", _tables(document)),
        Chapter("design", "How it was measured", (Bullets(method),)),
    )


def render_picture(document: Mapping[str, Any], path: Path) -> None:
    """Writes the curves as one SVG picture that stands alone."""
    drawn = _drawn(document)
    if drawn:
        path.write_text(side_by_side([(figure.title, figure.svg) for figure in drawn]), encoding="utf-8")


def _start(document: Mapping[str, Any]) -> tuple[Block, ...]:
    blocks: list[Block] = [Banner("No ledger covers this page: do not publish it", document["unprotected"])]
    blocks.append(_where(document["advice"]))
    for use in document["advice"]:
        blocks += [
            Heading(use["title"]),
            Text(use["headline"], Tone.LEAD),
            Text(f"Asked for: {use['rule']}.", Tone.NOTE),
            Bullets(tuple(line["text"] for line in use["lines"])),
        ]
    return (*blocks, Text(document["power"], Tone.NOTE))


def _where(advice: Sequence[Mapping[str, Any]]) -> Table:
    """Where to start in a word: a row per generator, a column per use."""
    words: dict[str, list[str]] = {}
    for use in advice:
        for line in use["lines"]:
            epsilon = line["epsilon"]
            word = "nowhere" if epsilon is None else "without a budget only" if epsilon == "inf" else f"{epsilon:g}"
            words.setdefault(line["synthesizer"], []).append(word if line["surely"] or epsilon is None else f"{word}, not surely")
    rows = tuple((name, *own) for name, own in words.items())
    return Table(("Generator", *(use["title"] for use in advice)), rows, "The epsilon to start at, by use")


def _curves(document: Mapping[str, Any]) -> tuple[Block, ...]:
    has_floor = any(point["synthesizer"] == FLOOR for point in document["points"])
    note = "Lines are medians over seeds, bands 95 % intervals. The blue line is what the train rows themselves score"
    grey = (
        ", the grey one columns drawn one by one ('independent') under the same epsilon: what a generator must beat to be worth its trouble"
    )
    note = f"{note}{grey if has_floor else ''}."
    return (Text(note), Grid(tuple(_drawn(document)), has_legend=False))


def _drawn(document: Mapping[str, Any]) -> list[Figure]:
    """One drawing for each figure that is shown and that was measured."""
    drawn = []
    for figure, caption in SHOWN.items():
        points = [point for point in document["points"] if point["figure"] == figure and point["median"] is not None]
        series = [(name, own) for name, own in _by_name(points).items() if name != REAL]
        if not series:
            continue
        real = next((point["median"] for point in points if point["synthesizer"] == REAL), None)
        is_attack = figure == "membership"
        title = _title(document, figure)
        svg = epsilon_curve(
            series,
            floor=FLOOR,
            real=real,
            ceiling=_ceiling(points) if is_attack else (),
            guess=0.01 if is_attack else None,
            scale="share" if is_attack else "log" if figure == "cpu_seconds" else "",
        )
        said = "; ".join(f"{name} {', '.join(f'{_plain(p, figure)} at {_at(p)}' for p in own)}" for name, own in series)
        end = "" if real is None else f"; the train rows themselves {_shown(real, figure)}"
        drawn.append(Figure(svg, caption, f"{title} by epsilon: {said}{end}.", title))
    return drawn


def _tables(document: Mapping[str, Any]) -> tuple[Block, ...]:
    points = {(p["synthesizer"], p["epsilon"], p["figure"]): p for p in document["points"]}
    keys = list(dict.fromkeys((p["synthesizer"], p["epsilon"]) for p in document["points"]))
    head = ("Generator", "Epsilon", *AT_A_GLANCE.values(), "At most")
    rows = []
    for name, epsilon in keys:
        own = [points[name, epsilon, figure] for figure in AT_A_GLANCE]
        most = "no bound" if epsilon == "inf" else _shown(points[name, epsilon, "membership"].get("ceiling"), "membership")
        is_failed = not any(point["n"] for point in own)
        cells = ["failed" if is_failed else _plain(p, p["figure"]) for p in own]
        rows.append((name, _epsilon(epsilon), *cells, most))
    numeric = tuple(range(1, len(head)))
    caption = "Medians over seeds; 'At most' is what any attack on membership can reach under the budget"
    blocks: list[Block] = [Table(head, tuple(rows), caption, numeric)]
    for figure, known in document["figures"].items():
        lines = [points[name, epsilon, figure] for name, epsilon in keys]
        if not any(line["n"] for line in lines):
            continue
        better = {"higher": ", higher is better", "lower": ", lower is better"}.get(known["better"], "")
        body = tuple(_row(line, figure) for line in lines)
        columns = ("Generator", "Epsilon", "Median", "95 % interval", "Range over seeds", "Seeds")
        title = f"{_title(document, figure)}{better}"
        blocks.append(Fold(title, (Table(columns, body, title, (1, 2, 5)),)))
    return tuple(blocks)


def _row(line: Mapping[str, Any], figure: str) -> tuple[str, ...]:
    name, epsilon = line["synthesizer"], _epsilon(line["epsilon"])
    if line["median"] is None:
        return (name, epsilon, "–", "–", "–", str(line["n"]))
    span = f"{_shown(line['low'], figure)} to {_shown(line['high'], figure)}"
    low, high = line["interval"]
    interval = f"[{_shown(low, figure)}, {_shown(high, figure)}]" if figure != "cpu_seconds" else "–"
    return (name, epsilon, _shown(line["median"], figure), interval, span, str(line["n"]))


def _by_name(points: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    made: dict[str, list[Mapping[str, Any]]] = {}
    for point in points:
        made.setdefault(point["synthesizer"], []).append(point)
    return made


def _ceiling(points: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """The curve min(1, e^epsilon × 1 % + delta) between the epsilons that were tried, by the largest delta of theirs."""
    found = {float(p["epsilon"]): p["ceiling"] for p in points if p["epsilon"] != "inf"}
    if not found:
        return []
    delta = max(0.0, *(most - 0.01 * exp(epsilon) for epsilon, most in found.items() if most < 1), 0.0)
    low, high = log(min(found)), log(max(found))
    along = [exp(low + (high - low) * step / 60) for step in range(61)]
    return [(epsilon, min(1.0, 0.01 * exp(min(epsilon, 100.0)) + delta)) for epsilon in along]


def _title(document: Mapping[str, Any], figure: str) -> str:
    title = str(document["figures"][figure]["title"])
    measure = document["question"]["measure"]
    return f"{title} ({measure})" if figure == "loss" and measure else title


def _plain(point: Mapping[str, Any], figure: str) -> str:
    return _shown(point["median"], figure)


def _shown(value: float | None, figure: str) -> str:
    if value is None:
        return "–"
    if figure in ("membership", "control"):
        return f"{100 * value:.1f} %"
    return f"{value:,.1f}" if figure == "cpu_seconds" else f"{round(value, 3) + 0.0:.3f}"  # never -0.000


def _at(point: Mapping[str, Any]) -> str:
    return "inf" if point["epsilon"] == "inf" else f"epsilon {float(point['epsilon']):g}"


def _epsilon(epsilon: float | str) -> str:
    return f"{float(epsilon):g}"
