"""The section on the privacy budget: what is guaranteed to each patient, what it was spent on, what any attacker reaches at most.

Reads the run's own record, in which the ledger's claim stands; recomputes nothing (`manikin audit` does).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manikin.evaluation.base import Results
from manikin.report.blocks import Banner, Block, Bullets, Facts, Figure, Grid, Heading, Table, Text, Tone
from manikin.report.budget_figures import power, shares

NOT_COVERED = (
    "This page, the results and every figure in them: they were made from real rows and are internal.",
    "Names, order and roles of columns, which of them are left out, and facts that a person declared public.",
    "Rows that the model completes from real rows: the given cells are in them.",
    "Other releases of the same patients, unless they spend from one budget file.",
    "How long the run took, and the low-order bits of floating-point noise.",
    "Families and others who share a fate: for k people together epsilon is k times as large.",
)


def budget(results: Results) -> tuple[Block, ...]:
    """Nothing for a run without a budget."""
    told = results.run.get("privacy_budget")
    if not isinstance(told, Mapping) or not isinstance(told.get("epsilon"), int | float):
        return ()
    epsilon, delta = float(told["epsilon"]), float(told.get("delta") or 0.0)
    odds, posterior = _number(told.get("odds")), _number(told.get("posterior"))
    return (
        Text(
            f"Whether a patient's rows were learned from or not, the synthetic table and the model come out almost alike: nobody's odds "
            f"that she is in the data grow more than {odds:.3g}-fold by looking at them (epsilon {epsilon:g}), but for a chance of "
            f"{delta:.2g} (delta). Who held it for a toss-up is at most {100 * posterior:.0f} % sure afterwards. That holds against "
            "everybody, whatever else he knows, and however often the model is drawn from.",
            Tone.LEAD,
        ),
        Facts(_facts(told)),
        *_figures(told),
        *_spent_on(told),
        Heading("Not covered"),
        Bullets(NOT_COVERED),
        Banner(
            "A budget waives no attack",
            "It bounds what can be learned about one patient beyond what the others teach. Attacks are made all the same: a fault in "
            "the program would show there and in no ledger.",
            Tone.NOTE,
        ),
    )


def _facts(told: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    spent = _mapping(told.get("spent"))
    rows = told.get("rows_per_patient")
    keyless = "; no patient key is known, so each row counts as a patient" if told.get("has_patient_key") is False else ""
    return (
        ("Epsilon and delta", f"{_number(told.get('epsilon')):g} and {_number(told.get('delta')):.2g}, for each patient"),
        ("Neighbours", f"{told.get('neighbours', '')}; at most {rows} of her rows count{keyless}"),
        ("Patients", f"about {int(_number(told.get('n_patients'))):,}, as bought with noise"),
        (
            "Spent, by two accountants",
            f"epsilon {_number(spent.get('epsilon')):.4g} (privacy loss), {_number(spent.get('epsilon_rdp')):.4g} (Rényi orders)",
        ),
        ("To check it", "manikin audit, on the folder of this page: it recomputes both from ledger.json"),
    )


def _figures(told: Mapping[str, Any]) -> tuple[Block, ...]:
    lines = [line for line in told.get("purposes") or () if isinstance(line, Mapping)]
    curve = [point for point in told.get("curve") or () if isinstance(point, Mapping)]
    drawn: list[Figure] = []
    if len(curve) > 1:
        at = {round(_number(point.get("false_alarms")), 4): point for point in told.get("at") or () if isinstance(point, Mapping)}
        one = _number(_mapping(at.get(0.01)).get("by_spends"))
        points = [point for point in curve if _number(point.get("false_alarms")) > 0]
        drawn.append(
            Figure(
                power(
                    [_number(point.get("false_alarms")) for point in points],
                    [_number(point.get("by_spends")) for point in points],
                    [_number(point.get("by_budget")) for point in points],
                ),
                "Across: outsiders that an attacker wrongly accuses of being in the data. Up: patients that he then finds at most. Dashed: "
                "guessing. Orange: the most by everything that was spent; dotted: what epsilon and delta alone allow. Grey line at the "
                "top: no protection. Both axes are logarithmic.",
                f"At 1 % of outsiders wrongly accused at most {100 * one:.2g} % of patients are found; without a budget up to 100 %.",
                "What any attacker reaches at most",
            )
        )
    if lines:
        names = [str(line.get("purpose", "")) for line in lines]
        parts = [_number(line.get("share")) for line in lines]
        said = ", ".join(f"{name} {100 * part:.1f} %" for name, part in zip(names, parts, strict=True))
        drawn.append(
            Figure(
                shares(names, parts),
                "Shares of what was spent, in the currency in which noise adds up (the square of mu). Lists of values that are found are "
                "paid for from delta. The table below has every line in full.",
                f"Shares of the budget: {said}.",
                "What the budget was spent on",
            )
        )
    return (Grid(tuple(drawn), has_legend=False),) if drawn else ()


def _spent_on(told: Mapping[str, Any]) -> tuple[Block, ...]:
    lines = [line for line in told.get("purposes") or () if isinstance(line, Mapping)]
    rows = tuple(
        (
            str(line.get("purpose", "")),
            str(line.get("by", "")) or "the house",
            f"{int(_number(line.get('n_events'))):,}",
            f"{int(_number(line.get('n_columns'))):,}",
            f"{100 * _number(line.get('share')):.1f} %",
        )
        for line in lines
    )
    return (Table(("Purpose", "Asked by", "Answers", "Columns", "Share"), rows, "What was bought", (2, 3, 4)),) if rows else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
