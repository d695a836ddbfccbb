"""The sections of a learning curve's page. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.report.blocks import Block, Bullets, Chapter, Figure, Grid, Table, Text, Tone
from manikin.report.study_figures import size_curve

SHOWN = {
    "c2st": ("C2ST AUC", "How well a classifier tells generated from held-out real rows; 0.5 is best, lower is better.", 0.5),
    "excess": (
        "Excess TSTR",
        (
            "What a model learns from the rows, from guessing (0) to all real rows of the pool (1); higher is better. The line 'real' "
            "shows what the same few patients teach without a generator."
        ),
        1.0,
    ),
}
METHOD = (
    "Each repeat holds 20 % of the patients out; generators learn from nested samples of the others, the first n of one random order.",
    "Every generator draws as many rows as the whole pool has (10,000 at most), whatever it learned from, and all are judged alike.",
    (
        "Intervals hold the noise of one measurement and that between repeats. 'Stays within the interval of the largest size' says that a "
        "difference is not visible with so many test patients, not that there is none."
    ),
)


def curve_chapters(document: Mapping[str, Any]) -> tuple[Chapter, ...]:
    """In short, the curves, and how they were measured."""
    n = document["design"]["repeats"]
    about = f"{n} repeat{'' if n == 1 else 's'}, target {document['question']['target']}"
    lead = f"Generators learn from ever more real patients; {about}."
    texts = tuple(sentence["text"] for sentence in document["sentences"])
    return (
        Chapter("short", "In short", (Text(lead, Tone.LEAD), Bullets(texts))),
        Chapter("curves", "Curves", _curves(document)),
        Chapter("design", "How it was measured", (Bullets(METHOD),)),
    )


def _curves(document: Mapping[str, Any]) -> tuple[Block, ...]:
    drawn, tables = [], []
    for figure, (title, caption, mark) in SHOWN.items():
        own = [line for line in document["curves"] if line["figure"] == figure]
        series = [(line["name"], [point for point in line["points"] if point["mean"] is not None]) for line in own]
        series = [(name, points) for name, points in series if points]
        if not series:
            continue
        said = "; ".join(f"{name} {_spoken(points)}" for name, points in series)
        drawn.append(
            Figure(size_curve(series, axis=title, mark=mark), caption, f"{title} by number of patients: {said}.", title)
        )
        tables.append(_table(title, own))
    return (Grid(tuple(drawn), has_legend=False), *tables)


def _table(title: str, curves: Sequence[Mapping[str, Any]]) -> Table:
    sizes = [point["size"] for point in curves[0]["points"]]
    rows = tuple(
        (f"{size:,}", *(_cell(next(p for p in curve["points"] if p["size"] == size)) for curve in curves)) for size in sizes
    )
    return Table(("Patients", *(curve["name"] for curve in curves)), rows, f"{title} with 95 % intervals", (0,))


def _spoken(points: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{point['mean']:.3f} with {point['size']:,}" for point in points)


def _cell(point: Mapping[str, Any]) -> str:
    if point["mean"] is None:
        return "failed"
    interval = point["interval"]
    return f"{point['mean']:.3f}" + ("" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]")
