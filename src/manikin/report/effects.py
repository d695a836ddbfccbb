"""The chapter on effect sizes: the same regression on real and on synthetic rows, coefficient by coefficient.

Knows the details of `inference` by key; measures nothing, and draws nothing of what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any

from manikin.evaluation.base import MetricResult, Results
from manikin.report.blocks import Beside, Block, Dials, Figure, Fold, Grid, Heading, Table, Text, Tone
from manikin.report.dials import dial, found
from manikin.report.forest import Line, Mark, forest
from manikin.report.wording import number, span, whole

N_ANALYSES = 3  # drawn at once; the others are folded
N_COEFFICIENTS = 24
RATIOS = {"cox": "hazard ratio", "logistic": "odds ratio"}
Rows = Sequence[Mapping[str, Any]]


def inference(results: Results) -> tuple[Block, ...]:
    """The same regression on real and on synthetic rows, coefficient by coefficient."""
    metric = found(results, "inference")
    if metric is None:
        return ()
    blocks: list[Block] = [
        Text(
            "An analyst fits one regression to the real table and the same to the synthetic one. Do the effects have the same sign and "
            "size, and would the same conclusions be drawn? Intervals from synthetic rows are wider: they count that the rows were made."
        ),
        Dials((dial(metric),)),
    ]
    shares = _agreement(metric)
    if shares is not None:
        blocks = [blocks[0], Beside((blocks[1], shares))]
    analyses = [one for one in metric.details.get("analyses") or () if isinstance(one, Mapping)]
    drawn = [_analysis(one) for one in analyses]
    for parts in drawn[:N_ANALYSES]:
        blocks += parts
    if drawn[N_ANALYSES:]:
        blocks.append(Fold(f"{len(drawn) - N_ANALYSES} more regressions", tuple(block for parts in drawn[N_ANALYSES:] for block in parts)))
    return tuple(blocks)


def _agreement(metric: MetricResult) -> Table | None:
    named = (
        ("same_sign", "the same sign"),
        ("same_significance", "significant in both or in neither"),
        ("same_conclusion", "the same conclusion (sign and significance)"),
        ("covered", "real estimate inside the synthetic interval"),
    )
    rows = tuple(
        (text, _percent(metric.details.get(key)), _percent(metric.details.get(f"{key}_reference")))
        for key, text in named
        if metric.details.get(key) is not None
    )
    head = ("Coefficients with", "Synthetic", "Unseen real rows")
    return Table(head, rows, "Share of the coefficients that agree with those of the real table", (1, 2)) if rows else None


def _analysis(one: Mapping[str, Any]) -> list[Block]:
    """One regression: its formula, the forest plot, every coefficient folded."""
    rows: Rows = [row for row in one.get("coefficients") or () if isinstance(row, Mapping)]
    heading = Heading(f"{str(one.get('model', 'regression')).capitalize()}: {one.get('outcome') or one.get('formula', '')}")
    formula = Text(f"{one.get('formula', '')}{_sizes(one)}", Tone.NOTE)
    if one.get("why") or not rows:
        return [heading, formula, Text(str(one.get("why") or "No coefficient could be compared."), Tone.NOTE)]
    shown = sorted(rows, key=lambda row: row["overlap"] if row.get("overlap") is not None else -9.0)[:N_COEFFICIENTS]
    lines = tuple(line for row in rows if row in shown and (line := _line(row, str(one.get("model")))).marks)
    ratio = RATIOS.get(str(one.get("model")))
    worst = shown[0]
    figure = Figure(
        forest(lines, axis=f"{ratio or 'coefficient'} (95 % intervals)", mark=1.0 if ratio else 0.0, is_log=bool(ratio)),
        "Each line is one coefficient: the blue dot from real rows, the orange ring from synthetic ones. Left and right of the dashed "
        f"line ({'1: no effect' if ratio else '0: no effect'}) the effect has opposite signs; where one interval crosses it and the other "
        "does not, the conclusion changes.",
        f"{len(lines)} coefficients from real and synthetic rows. The least overlap: {worst.get('term')}, {_score(worst.get('overlap'))}.",
        "Real and synthetic effects",
    )
    table = Table(
        ("Term", "Real", "Synthetic", "Overlap", "Same conclusion"),
        tuple(_coefficient(row) for row in rows),
        f"Coefficients with 95 % intervals{', on the scale of the model (logarithms of ratios)' if ratio else ''}",
        numeric=(1, 2, 3),
    )
    agreed = Table(
        ("Term", "Overlap", "Same conclusion"),
        tuple((str(row.get("term", "")), _score(row.get("overlap")), _same(row)) for row in shown),
        "The least overlap of the two intervals first; 1 is the same interval, below 0 they lie apart",
        numeric=(1,),
    )
    return [heading, formula, Beside((Grid((figure,), has_legend=False), agreed)), Fold(f"All {len(rows)} coefficients", (table,))]


def _sizes(one: Mapping[str, Any]) -> str:
    rows, events = one.get("n_rows"), one.get("n_events")
    if not isinstance(rows, Mapping) or not isinstance(rows.get("train"), int):
        return ""
    had = f", {whole(events['train'])} with the event" if isinstance(events, Mapping) and isinstance(events.get("train"), int) else ""
    return f": {whole(rows['train'])} real rows{had}."


def _line(row: Mapping[str, Any], model: str) -> Line:
    change = exp if model in RATIOS else float
    marks = []
    for side, kind in (("real", "real"), ("synthetic", "release")):
        value, interval = row.get(side), row.get(f"{side}_interval")
        if value is None or not interval or max(abs(value), *map(abs, interval)) > 50:  # not estimable: separated levels
            continue
        marks.append(Mark(change(value), change(interval[0]), change(interval[1]), "real" if kind == "real" else "release"))
    return Line(str(row.get("term", "")), tuple(marks))


def _coefficient(row: Mapping[str, Any]) -> tuple[str, ...]:
    told = []
    for side in ("real", "synthetic"):
        interval = row.get(f"{side}_interval")
        told.append("–" if row.get(side) is None else f"{number(row[side])}{f' ({span(tuple(interval))})' if interval else ''}")
    return str(row.get("term", "")), *told, _score(row.get("overlap")), _same(row)


def _same(row: Mapping[str, Any]) -> str:
    return {True: "yes", False: "no"}.get(row.get("same_conclusion", None), "–")


def _score(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else "–"


def _percent(value: Any) -> str:
    return number(value, "percent") if isinstance(value, int | float) else "–"
