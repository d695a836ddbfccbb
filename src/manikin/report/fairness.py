"""The chapter on fairness: which group a model serves worse when it learns from synthetic instead of real rows, and by how much.

Knows the details of `subgroup_gap` by key; measures nothing, and draws nothing of what is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.evaluation.base import MetricResult, Results, Section
from manikin.report.blocks import Beside, Block, Figure, Fold, Table, Text
from manikin.report.dials import dials, found
from manikin.report.forest import Line, Mark, forest
from manikin.report.wording import number, span, whole

N_GROUPS = 15
N_LISTED = 40
Rows = Sequence[Mapping[str, Any]]


def fairness(results: Results) -> tuple[Block, ...]:
    """By how much a model that learned from synthetic rows falls behind in each group, beyond what it does with real rows."""
    blocks: list[Block] = [*dials(results, Section.FAIRNESS)]
    if not blocks:
        return ()
    text = Text(
        "A model may serve the whole well and one group badly. Here is what each group loses beyond everybody's loss when the model learns "
        "from synthetic instead of real rows; a group that is hard to predict with real rows too does not count. Intervals count how many "
        "groups were looked at."
    )
    metric = found(results, "subgroup_gap")
    rows: Rows = [row for row in (metric.details.get("groups") or ()) if row.get("added") is not None] if metric is not None else ()
    if metric is not None and rows:
        blocks = [Beside((*blocks, _gaps(metric, rows[:N_GROUPS])))]
        blocks += _spreads(metric)
        told = f"All {len(rows)} groups" if len(rows) <= N_LISTED else f"The {N_LISTED} most surely worse of {len(rows)} groups"
        blocks.append(Fold(told, (_group_table(metric, rows[:N_LISTED]),)))
    return (text, *blocks)


def _gaps(metric: MetricResult, rows: Rows) -> Figure:
    lines = tuple(Line(str(row.get("group", "")), (Mark(row["added"], *_pair(row.get("added_interval"))),)) for row in rows)
    worst = rows[0]
    return Figure(
        forest(lines, axis=f"{_measure(metric)} lost beyond everybody's loss", mark=0.0),
        "Each line is one group of patients with its 95 % interval. On the dashed line the release adds nothing; to the right of it the "
        "group is served worse than with real rows. Surely worse is a group whose whole line lies to the right.",
        f"Loss added by group. Most surely worse: {worst.get('group')}, {_added(worst)}.",
        "What the release adds to each group's gap",
    )


def _spreads(metric: MetricResult) -> list[Block]:
    """Gaps between the best and the worst served group, by fairness measure, with real and with synthetic rows."""
    made = metric.details.get("gaps")
    if not isinstance(made, Mapping):
        return []
    titles = {
        "auroc": "AUROC",
        "rmse_by_sd": "error (RMSE over SD)",
        "accuracy": "accuracy",
        "equalized_odds": "equalised odds (error rates)",
        "demographic_parity": "demographic parity (share predicted positive)",
    }
    rows = tuple(
        (
            title,
            _score(one.get("trtr")),
            _score(one.get("tstr")),
            _added(one),
        )
        for key, title in titles.items()
        if isinstance(one := made.get(key), Mapping)
    )
    if not rows:
        return []
    caption = "Largest difference between two groups: of a model that learned from real rows, from synthetic rows, and what is added"
    return [Table(("Gap in", "Real", "Synthetic", "Added (95 % interval)"), rows, caption, numeric=(1, 2, 3))]


def _group_table(metric: MetricResult, rows: Rows) -> Table:
    key = str(metric.details.get("measure", "auroc"))
    cells = tuple(
        (
            str(row.get("group", "")),
            whole(row["n"]) if isinstance(row.get("n"), int) else "–",
            _score((row.get("trtr") or {}).get(key)),
            _score((row.get("tstr") or {}).get(key)),
            number(row["added"]),
            span(tuple(row["added_interval"])) if row.get("added_interval") else "–",
        )
        for row in rows
    )
    caption = f"{_measure(metric)} on unseen real rows by group, most surely worse first"
    return Table(("Group", "Rows", "Real", "Synthetic", "Added", "95 % interval"), cells, caption, numeric=(1, 2, 3, 4, 5))


def _measure(metric: MetricResult) -> str:
    return {"auroc": "AUROC", "rmse_by_sd": "Accuracy (RMSE over SD)"}.get(str(metric.details.get("measure", "auroc")), "Score")


def _added(row: Mapping[str, Any]) -> str:
    interval = row.get("added_interval")
    return f"{_score(row.get('added'))}{f' ({span(tuple(interval))})' if interval else ''}"


def _pair(interval: Any) -> tuple[float | None, float | None]:
    return (interval[0], interval[1]) if interval else (None, None)


def _score(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else "–"
