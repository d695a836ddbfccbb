"""Sections on what the table can be used for and whom it could expose: utility, variety and privacy, rules and rare values.

Knows the metrics' details by their keys; measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.evaluation.base import MetricResult, Results, Section
from manikin.report import figures
from manikin.report.blocks import Beside, Block, Dials, Figure, Fold, Heading, Table, Text
from manikin.report.dials import dial, dials, found
from manikin.report.event_times import of_time
from manikin.report.fidelity import implausible
from manikin.report.wording import number, whole

RARE = ("rare_levels", "rare_values")
N_OPEN_ROWS = 12
_HEADS = {
    "n_levels": "Levels",
    "n_kept": "Found in synthetic rows",
    "n_rare_lost": "Rare ones missing",
    "n_rows": "Synthetic rows",
    "beyond_extremes": "Synthetic rows",
}
_RARE: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    (
        "rare_levels",
        ("column", "n_levels", "n_kept", "n_rare_lost"),
        "Rare levels by column",
        "Levels of each column, and how many of the rare ones the synthetic rows lack",
    ),
    (
        "rare_values",
        ("column", "n_levels", "n_rows"),
        "Columns with values that must not appear",
        "Counts only: levels that too few patients hold, the rows that hold them",
    ),
    (
        "rare_values",
        ("column", "beyond_extremes"),
        "Numbers and dates beyond what enough patients reach",
        "A count, no finding: tails are drawn from groups of patients, dates of linked patients from a drawn start; copies have them too",
    ),
)


def utility(results: Results) -> tuple[Block, ...]:
    """Dials of utility and the interval plot of learning from synthetic against learning from real rows."""
    blocks: list[Block] = [*dials(results, Section.UTILITY, leave_out=("inference", *of_time(results)))]
    if not blocks:
        return ()
    text = Text(
        "The test of use: a model learns from synthetic rows only and is then asked about real patients that nobody has seen. It is "
        "compared with the same model having learned from real rows."
    )
    metric = found(results, "tstr")
    drawing = learners(metric) if metric is not None else ()
    if metric is not None and drawing:
        told = "; ".join(f"{row.label} {number(row.value)}" for row in drawing)
        axis = str(metric.details.get("measure", "AUROC")).replace("R2", "R²")
        figure = Figure(
            figures.intervals(drawing, axis=f"{axis} on real rows (95 % intervals)", mark=0.5 if axis == "AUROC" else None),
            "Filled blue: learned from real rows. Orange ring: learned from synthetic rows. The closer the ring to the dot, the more of "
            "the signal is kept; overlapping intervals mean that the rows are too few to tell them apart. The dashed line is guessing.",
            f"{axis} of each learner: {told}.",
            "Learning from synthetic against learning from real rows",
        )
        blocks = [Beside((*blocks, figure))]
    return (text, *blocks)


def learners(metric: MetricResult) -> tuple[figures.Interval, ...]:
    """One line per learner and training table, real above synthetic."""
    rows: list[figures.Interval] = []
    for name, part in (metric.details.get("learners") or {}).items():
        for side, is_synthetic in (("trtr", False), ("tstr", True)):
            value = part.get(side)
            if value is None:
                continue
            low, high = part.get(f"{side}_interval") or (None, None)
            trained = "synthetic" if is_synthetic else "real"
            rows.append(figures.Interval(f"{name}, {trained}", float(value), low, high, is_synthetic))
    return tuple(rows)


def privacy(results: Results) -> tuple[Block, ...]:
    """Variety of the synthetic patients, and whether they are copies; attacks have a chapter of their own."""
    played = [attack.name for attack in results.attacks]
    variety = dials(results, Section.DIVERSITY, leave_out=RARE)
    nearness = dials(results, Section.PRIVACY, leave_out=(*RARE, *played))
    blocks: list[Block] = []
    if variety:
        blocks += [
            Heading("Variety: are all kinds of patients there?"),
            Text(
                "Two faults pull in opposite directions: making only typical patients (low recall and coverage), and making patients that "
                "cannot exist (low precision). Read each figure against the mark of its reference."
            ),
            *variety,
        ]
    if nearness:
        blocks += [
            Heading("New patients, or copies?"),
            Text(
                "Here the direction turns: too near to the training rows is bad. The reference says what unseen real rows would show, "
                "since some rows are alike by chance. Distances are a warning light and no proof: they miss leaks that attacks find."
            ),
            *nearness,
        ]
    return tuple(blocks)


def validity(results: Results) -> tuple[Block, ...]:
    """Rules, and the fate of rare values."""
    chosen = sorted(
        (m for m in results.metrics if m.section is Section.VALIDITY or m.name in RARE), key=lambda m: m.value is None
    )
    blocks: list[Block] = [Dials(tuple(dial(m) for m in chosen))] if chosen else []
    if "rule_violations" in results:
        rows = _rows(results["rule_violations"], "rules")
        if rows:
            blocks += [
                Heading("Rules of the table"),
                Table(
                    ("Rule", "Confirmed", "Training rows", "Unseen real rows", "Synthetic rows"),
                    tuple(_rule(row) for row in rows),
                    "How many rows break each rule; a confirmed rule must hold in every synthetic row",
                    numeric=(2, 3, 4),
                ),
            ]
    blocks += implausible(results)
    for name, keys, title, caption in _RARE:
        metric = found(results, name)
        rows = _rows(metric, "columns") if metric is not None else ()
        rows = [row for row in rows if name == "rare_levels" or row.get(keys[-1])]
        if rows:
            table = _generic([{key: row[key] for key in row if key in keys} for row in rows], caption)
            blocks += [Heading(title), table if len(rows) <= N_OPEN_ROWS else Fold(f"{len(rows)} columns", (table,))]
    return tuple(blocks)


def _rule(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(row.get("rule", "")),
        {True: "yes", False: "no"}.get(row.get("confirmed", None), "–"),
        *(_cell(row.get(side)) for side in ("train", "holdout", "synthetic")),
    )


def _generic(rows: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """A table of plain rows with their keys as heads."""
    keys = list(rows[0])
    numeric = tuple(i for i, key in enumerate(keys) if isinstance(rows[0][key], int | float))
    cells = tuple(tuple(_cell(row.get(key)) for key in keys) for row in rows)
    return Table(tuple(_HEADS.get(key, key.replace("_", " ").capitalize()) for key in keys), cells, caption, numeric)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.3f}"
    return whole(value) if isinstance(value, int | float) else str(value)


def _rows(metric: MetricResult, key: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = metric.details.get(key) or ()
    return found
