"""The section "Who is represented": every group's share among real and synthetic patients, and how alike its rows are.

Knows the details of `representation` and the other metrics' subgroups; measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.evaluation.base import Results
from manikin.report import figures
from manikin.report.blocks import Banner, Block, Bullets, Figure, Fold, Grid, Table, Text, Tone
from manikin.report.dials import found
from manikin.report.wording import listed, number, whole

N_OPEN = 12
N_DRAWN = 20
LEAST_GAP = 0.03  # of shape score or AUC: a group that is worse than the whole by less is not named
Rows = Sequence[Mapping[str, Any]]


def representation(results: Results) -> tuple[Block, ...]:
    """A plain statement, the shares of single traits as a drawing, and a table of groups, the shortest first."""
    metric = found(results, "representation")
    if metric is None:
        return ()
    groups: Rows = metric.details.get("groups") or ()
    if metric.value is None or not groups:
        return (Text(f"{metric.note} Mark them in schema.toml to see who is represented.", Tone.NOTE),) if metric.note else ()
    short = [row for row in groups if row.get("is_short")]
    by = listed([f"“{name}”" for name in metric.details.get("by") or ()], most=6)
    asked = f"{whole(len(groups))} groups by {by} and by two of them at once were looked at, each held by enough patients to be named."
    blocks: list[Block] = []
    if short:
        several = "groups have" if len(short) > 1 else "group has"
        blocks.append(
            Banner(
                f"{len(short)} {several} less than their share." if len(short) > 1 else "One group has less than its share.",
                _worst(short[0]),
            )
        )
        blocks.append(Text(f"{asked} Whoever studies such a group should not do so on this table alone."))
    else:
        blocks.append(Text(f"No group of patients is surely short of its share. {asked}"))
    weak = _weak(results, groups)
    if weak:
        blocks.append(Bullets(weak))
    singles = [row for row in groups if len(row.get("columns") or ()) == 1]
    open_rows, rest = groups[:N_OPEN], groups[N_OPEN:]
    table = _table(results, open_rows, f"The {len(open_rows)} groups that may be shortest of their share, of {len(groups)}")
    blocks += [Grid(_figures(singles), has_legend=False), table] if singles else [table]
    if rest:
        blocks.append(Fold(f"The other {len(rest)} groups", (_table(results, rest, "The other groups"),)))
    return tuple(blocks)


def _worst(row: Mapping[str, Any]) -> str:
    low, high = row["ratio_synthetic_interval"]
    if not row["synthetic"]:
        return f"“{row['group']}” makes up {number(row['train'], 'percent')} of the real patients and is not there at all."
    return (
        f"“{row['group']}” makes up {number(row['train'], 'percent')} of the real and {number(row['synthetic'], 'percent')} of the "
        f"synthetic patients: {row['ratio_synthetic']:.2f} of its share (95 % interval {low:.2f} to {high:.2f})."
    )


def _weak(results: Results, groups: Rows) -> tuple[str, ...]:
    """The group whose columns, and the one whose predictions, are worse than they are overall; told only where it is so."""
    told = []
    shaped = [row for row in groups if row.get("shapes") is not None and row.get("shapes_reference") is not None]
    if shaped:
        worst = max(shaped, key=lambda row: row["shapes_reference"] - row["shapes"])
        if worst["shapes_reference"] - worst["shapes"] >= LEAST_GAP:
            told.append(
                f"Rows are least alike within “{worst['group']}”: its columns agree to {number(worst['shapes'], 'percent')}, those of "
                f"unseen real rows of the group to {number(worst['shapes_reference'], 'percent')}."
            )
    tstr = found(results, "tstr")
    rows: Rows = (tstr.details.get("groups") or ()) if tstr is not None else ()
    if tstr is not None and rows:
        worst = max(rows, key=lambda row: row["trtr"] - row["tstr"])
        if worst["trtr"] - worst["tstr"] >= LEAST_GAP:
            told.append(
                f"A model learned from synthetic rows loses most for “{worst['group']}”: {number(worst['tstr'])} instead of "
                f"{number(worst['trtr'])} ({tstr.details.get('measure', '')}; {whole(worst['n'])} real rows, so read it as a hint)."
            )
    return tuple(told)


def _figures(singles: Rows) -> tuple[Figure, ...]:
    """Single traits in one drawing, or in two side by side where they are many."""
    shown = sorted(singles[:N_DRAWN], key=lambda row: (str(row["columns"]), row["ratio_synthetic"]))
    half = (len(shown) + 1) // 2 if len(shown) > N_DRAWN // 2 else len(shown)
    return tuple(_figure(part) for part in (shown[:half], shown[half:]) if part)


def _figure(shown: Rows) -> Figure:
    lines = [figures.Interval(str(row["group"]), row["ratio_synthetic"], *row["ratio_synthetic_interval"]) for row in shown]
    least = min(shown, key=lambda row: row["ratio_synthetic"])
    return Figure(
        figures.intervals(lines, axis="synthetic share over real share", mark=1.0),
        "How much of its share among real patients a group has among the synthetic ones, with 95 % intervals. At the dashed line it has "
        "its full share; left of it, less.",
        f"Shares of groups. {least['group']}: {number(least['train'], 'percent')} real, {number(least['synthetic'], 'percent')} synthetic.",
        "Groups by a single trait",
    )


def _table(results: Results, groups: Rows, caption: str) -> Table:
    c2st = found(results, "c2st")
    told_apart = c2st.subgroups if c2st is not None else {}
    rows = []
    for row in groups:
        low, high = row["ratio_synthetic_interval"]
        alike = "–" if row.get("shapes") is None else f"{number(row['shapes'])} ({number(row['shapes_reference'])})"
        area = told_apart.get(row["group"])
        rows.append(
            (
                f"{row['group']}{' ▼ short' if row.get('is_short') else ''}",
                *(number(row[side], "percent") for side in ("train", "holdout", "synthetic")),
                f"{row['ratio_synthetic']:.2f} ({low:.2f}–{high:.2f})",
                alike,
                "–" if area is None else number(area),
            )
        )
    return Table(
        ("Group", "Real", "Unseen real", "Synthetic", "Of its share", "Columns alike", "C2ST"),
        tuple(rows),
        f"{caption}. Columns alike: mean shape score within the group, in brackets that of unseen real rows; C2ST: AUC within it",
        numeric=(1, 2, 3, 4, 5, 6),
    )
