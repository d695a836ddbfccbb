"""The section "What gives it away": the columns and pairs by which a classifier knows synthetic rows, and in plain words how.

Knows the details of `giveaway` and of the likeness metrics by their keys; measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.evaluation.base import MetricResult, Results
from manikin.report import figures
from manikin.report.blocks import Beside, Block, Bullets, Figure, Fold, Grid, Heading, Table, Text, Tone
from manikin.report.dials import found
from manikin.report.resemblance import OTHER
from manikin.report.wording import listed, number, span

N_COLUMNS = 8
N_PAIRS = 6
LEAST_LINK = 0.05  # a relation worth less than this is not told beside a plainer reason
LEAST_GAP = 0.02  # a difference of shares smaller than this explains nothing by itself
Rows = Sequence[Mapping[str, Any]]
Reason = tuple[float, str]


def giveaway(results: Results) -> tuple[Block, ...]:
    """Bars of the worst columns, a sentence on each, and the pairs."""
    metric = found(results, "giveaway")
    if metric is None:
        return ()
    columns: Rows = metric.details.get("columns") or ()
    if metric.value is None or not columns:
        return (Text(metric.note, Tone.NOTE),) if metric.note else ()
    leading = [row for row in columns if row.get("stands_out")][:N_COLUMNS]
    blocks: list[Block] = [Text(_summary(results, leading), Tone.LEAD)]
    if leading:
        blocks += [Heading("How they tell"), Bullets(_sentences(leading, results))]
    blocks += [
        Heading("What the classifier goes by"),
        Beside((Grid((_figure(columns[:N_COLUMNS]),), has_legend=False), _columns(metric, columns))),
    ]
    pairs: Rows = [row for row in metric.details.get("pairs") or () if row.get("link") is not None]
    if pairs:
        telling = [row for row in pairs if row.get("stands_out")]
        blocks += [Heading("Relations that tell"), Text(_of_pairs(telling)), _pairs((telling or pairs)[:N_PAIRS])]
    if len(columns) > N_COLUMNS:
        blocks.append(Fold(f"{len(columns) - N_COLUMNS} further columns", (_columns(metric, columns, N_COLUMNS),)))
    return tuple(blocks)


def how(row: Mapping[str, Any], results: Results) -> str:
    """One plain sentence on how a column gives the release away, from what was measured of it: the largest difference found."""
    name = str(row["column"])
    relation, link = _relation(name, results)
    tells_alone = (row.get("alone_interval") or (0.0, 1.0))[0] > 0.5
    reasons = [*_missing(name, results), *_spacing(row.get("spacing")), *_shape(name, results)]
    size, text = max(reasons, default=(0.0, ""))
    if relation and (not tells_alone or size < LEAST_GAP):
        return f"“{name}”: {relation}."
    if size >= LEAST_GAP:
        return f"“{name}”: {text}{f'; also, {relation}' if link >= LEAST_LINK else ''}."
    if tells_alone:
        return f"“{name}”: many small differences of its values add up; none of them is large."
    return f"“{name}”: it is told by how it goes with several other columns, not by its own values."


def _sentences(leading: Rows, results: Results) -> tuple[str, ...]:
    """One for each column; two columns that tell by their relation with one another alone share theirs."""
    made: list[str] = []
    for row in leading:
        text = how(row, results)
        twin = next(
            (other for other in made if text.startswith(f"“{row['column']}”: it does not go with {other.partition(':')[0]} ")),
            None,
        )
        if twin is None or f"not go with “{row['column']}”" not in twin:
            made.append(text)
    return tuple(made)


def _summary(results: Results, leading: Rows) -> str:
    c2st = found(results, "c2st")
    area = None if c2st is None else c2st.value
    heard = "" if area is None else f" It points at the synthetic row {100 * area:.0f} times in 100; guessing gives 50."
    if not leading:
        return (
            f"No column stands out: the classifier goes by none of them more than it does between two sets of real rows.{heard}"
        )
    names = listed([f"“{row['column']}”" for row in leading], most=4)
    return f"The classifier that tells synthetic from real rows goes by {names}.{heard} What it goes by is what to mend first."


def _figure(columns: Rows) -> Figure:
    lines = [
        figures.Interval(str(row["column"]), row["alone"], *(row.get("alone_interval") or (None, None))) for row in columns
    ]
    worst = max(columns, key=lambda row: row["alone"])
    return Figure(
        figures.intervals(lines, axis="synthetic cell found, of 1", mark=0.5),
        "Into real rows one cell of the column is put, from a synthetic and from another real row: how often the classifier finds the "
        "synthetic one more suspicious, with 95 % intervals. At the dashed line it guesses: what is there tells by relations, if at all.",
        f"How often one cell of a column is found to be synthetic. Most often of {worst['column']}: {number(worst['alone'])}.",
        "One cell alone",
    )


def _columns(metric: MetricResult, columns: Rows, begin: int = 0) -> Table:
    gap = metric.details.get("log_odds_gap") or 0.0
    shown = columns[begin:] if begin else columns[:N_COLUMNS]
    rows = tuple(
        (
            str(row["column"]),
            "–" if gap <= 0 else number(max(0.0, row["separation"]) / gap, "percent"),
            number(row["alone"]),
            "–" if row.get("alone_reference") is None else number(row["alone_reference"]),
            f"{row['drop']:.3f}".replace("-", "−"),
        )
        for row in shown
    )
    return Table(
        ("Column", "Part", "One cell", "Reference", "AUC lost"),
        rows,
        "Part of the gap between real and synthetic scores (Shapley values, relations counted); found by one cell; AUC lost without it",
        numeric=(1, 2, 3, 4),
    )


def _of_pairs(telling: Rows) -> str:
    if not telling:
        return "No relation between two of these columns gives the release away for sure."
    named = listed([" with ".join(f"“{name}”" for name in row["columns"]) for row in telling], most=3)
    return f"Cells that are unsuspicious one by one, and suspicious side by side: {named}."


def _pairs(pairs: Rows) -> Table:
    rows = tuple(
        (
            " × ".join(str(name) for name in row["columns"]),
            number(row["together"]),
            f"{row['link']:.3f}".replace("-", "−"),
            span(tuple(row["link_interval"])).replace("-", "−"),
        )
        for row in pairs
    )
    return Table(
        ("Pair", "Both cells from one row", "Of it by their relation", "95 % interval"),
        rows,
        "How often two cells of one synthetic row are found, and what of it is lost when they come from two rows",
        numeric=(1, 2, 3),
    )


def _relation(name: str, results: Results) -> tuple[str, float]:
    """The strongest link of a column that stands out, with the pair's association where it is known; and what it is worth."""
    metric = found(results, "giveaway")
    pairs: Rows = (metric.details.get("pairs") or ()) if metric is not None else ()
    linked = next((row for row in pairs if row.get("stands_out") and name in row["columns"]), None)
    if linked is None:
        return "", 0.0
    other = next(column for column in linked["columns"] if column != name)
    trends = found(results, "pair_trends")
    known: Rows = (trends.details.get("pairs") or ()) if trends is not None else ()
    pair = next((row for row in known if set(row["columns"]) == {name, other}), None)
    text = f"it does not go with “{other}” as in real rows"
    if pair is not None and pair.get("association_train") is not None and pair.get("association_synthetic") is not None:
        text += f" (association {pair['association_train']:.2f} real, {pair['association_synthetic']:.2f} synthetic)"
    return text, float(linked["link"])


def _missing(name: str, results: Results) -> list[Reason]:
    metric = found(results, "missingness")
    rows: Rows = (metric.details.get("columns") or ()) if metric is not None else ()
    row = next((row for row in rows if row["column"] == name), None)
    if row is None:
        return []
    real, made = row["train"], row["synthetic"]
    size = max(0.0, row["gap"] - row.get("reference_gap", 0.0))
    return [(size, f"{_share(real)} of its real cells are missing, and {_share(made)} of the synthetic ones")]


def _spacing(spacing: Mapping[str, Any] | None) -> list[Reason]:
    """Steps, known values and heaps of a number."""
    if not spacing:
        return []
    step, known, heap = spacing["on_step"], spacing["known"], spacing["commonest"]
    on_step = f"{_share(step['train'])} of its real values {_steps(spacing['step'])}, and {_share(step['synthetic'])}"
    seen = f"{_share(known['holdout'])} of unseen real values occur in the training rows too, and {_share(known['synthetic'])}"
    heaped = (
        f"its most frequent real value stands in {_share(heap['train'])} of the real cells, and in {_share(heap['synthetic'])}"
    )
    return [
        (abs(step["train"] - step["synthetic"]), f"{on_step} of the synthetic ones"),
        # A step that tells as much is the plainer word.
        (0.99 * abs(known["holdout"] - known["synthetic"]), f"{seen} of the synthetic ones"),
        (abs(heap["train"] - heap["synthetic"]), f"{heaped} of the synthetic ones"),
    ]


def _steps(step: float) -> str:
    if step > 1:
        return f"are multiples of {step:g}"
    decimals = f"{step:.10f}".rstrip("0").partition(".")[2]
    return f"have at most {len(decimals)} decimal{'s' if len(decimals) > 1 else ''}" if decimals else "are whole numbers"


def _shape(name: str, results: Results) -> list[Reason]:
    """The level whose share is furthest off, or the value up to which most is too much or too little."""
    view = next((view for view in results.views.get("columns") or () if view["column"] == name), None)
    if view is None or not view.get("train") or not view.get("synthetic"):
        return []
    real, made = list(view["train"]), list(view["synthetic"])
    if "levels" in view:
        gaps = [abs(a - b) if level != OTHER else 0.0 for level, a, b in zip(view["levels"], real, made, strict=True)]
        at = max(range(len(gaps)), key=gaps.__getitem__)
        many = "too many" if made[at] > real[at] else "too few"
        text = f"{many} rows hold “{view['levels'][at]}” ({_share(real[at])} real, {_share(made[at])} synthetic)"
        return [(gaps[at], text)]
    below = [(sum(real[: i + 1]), sum(made[: i + 1])) for i in range(len(real))]
    at = max(range(len(below)), key=lambda i: abs(below[i][0] - below[i][1]))
    ticks = view.get("ticks")
    end = ticks[at + 1] if ticks else f"{view['edges'][at + 1]:.4g}"
    share = [_share(part) for part in below[at]]
    return [
        (
            abs(below[at][0] - below[at][1]),
            f"values up to {end} make up {share[0]} of the real and {share[1]} of the synthetic rows",
        )
    ]


def _share(value: float) -> str:
    return number(value, "percent")
