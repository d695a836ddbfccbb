"""Sections on likeness: figures, worst columns and pairs first, every column's overlay, missing cells, relations, maps of all rows.

Knows the metrics' details and the views by their keys; measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manikin.evaluation.base import Results, Section
from manikin.report import figures
from manikin.report.blocks import Beside, Block, Figure, Fold, Grid, Heading, Table, Text, Tone
from manikin.report.dials import dials
from manikin.report.event_times import of_time
from manikin.report.fidelity import further
from manikin.report.images_wording import IMAGES
from manikin.report.records_wording import RECORDS
from manikin.report.wording import number, whole

N_WORST = 10
N_OPEN = 12  # overlays shown at once; the others are folded
N_BARS = 8
N_HEAT = 30
N_MISSING = 25
OTHER = "(other)"  # how the views call the levels that they do not name
Rows = Sequence[Mapping[str, Any]]


def likeness(results: Results) -> tuple[Block, ...]:
    """The figures of likeness, then the worst columns and the worst pairs."""
    blocks: list[Block] = [*dials(results, Section.FIDELITY, leave_out=(*of_time(results), *RECORDS, *IMAGES))]
    columns = worst_columns(results)
    if columns:
        shown = columns[:N_WORST]
        blocks += [
            Heading("Worst columns first"),
            Text(
                "Score 1 is the same shape. The gap is what the column loses against unseen real rows; where it is 0 or less, "
                "the synthetic column is as good as real rows are.",
                Tone.NOTE,
            ),
            Table(
                ("Column", "Kind", "Measure", "Score", "Reference", "Gap"),
                tuple(_column_row(row) for row in shown),
                f"The {len(shown)} columns with the largest gap, of {len(columns)}",
                numeric=(3, 4, 5),
            ),
        ]
        if len(columns) > N_WORST:
            rest = tuple(_column_row(row) for row in columns[N_WORST:])
            table = Table(
                ("Column", "Kind", "Measure", "Score", "Reference", "Gap"), rest, "The other columns", numeric=(3, 4, 5)
            )
            blocks.append(Fold(f"The other {len(rest)} columns", (table,)))
    pairs = worst_pairs(results)[:N_WORST]
    if pairs:
        blocks += [
            Heading("Worst pairs of columns first"),
            Text(
                "The association runs from 0 (none) to 1 (one column settles the other). A pair whose association falls is a relation that "
                "the synthetic table has weakened; one that rises is a relation it has invented.",
                Tone.NOTE,
            ),
            Table(
                ("Pair", "Score", "Reference", "Gap", "Association, real", "Association, synthetic"),
                tuple(_pair_row(row) for row in pairs),
                f"The {len(pairs)} pairs with the largest gap",
                numeric=(1, 2, 3, 4, 5),
            ),
        ]
    return (*blocks, *further(results))


def worst_columns(results: Results) -> list[Mapping[str, Any]]:
    """Rows of the shape metric, the largest gap to the reference first."""
    rows = _details(results, "column_shapes", "columns")
    return sorted(
        (row for row in rows if row.get("score") is not None), key=lambda row: (-shape_gap(row), str(row.get("column")))
    )


def worst_pairs(results: Results) -> list[Mapping[str, Any]]:
    """Rows of the pair metric, the largest gap to the reference first."""
    rows = _details(results, "pair_trends", "pairs")
    return sorted(
        (row for row in rows if row.get("score") is not None), key=lambda row: (-shape_gap(row), str(row.get("columns")))
    )


def overlays(results: Results) -> tuple[Block, ...]:
    """Every column's shape, real and synthetic on one another, the worst first."""
    views = [view for view in results.views.get("columns") or () if _is_drawable(view)]
    if not views:
        return ()
    rank = {row["column"]: i for i, row in enumerate(worst_columns(results))}
    scores = {row["column"]: row for row in worst_columns(results)}
    views.sort(key=lambda view: rank.get(view["column"], len(rank)))
    drawn = tuple(_overlay(view, scores.get(view["column"])) for view in views)
    blocks: list[Block] = [
        Text(
            "Each picture shows which share of the rows falls where. Where the orange line follows the blue area, the column is alike. "
            "The worst columns come first. Missing cells are left out here; they have their own section."
        ),
        Grid(drawn[:N_OPEN]),
    ]
    if len(drawn) > N_OPEN:
        blocks.append(Fold(f"The other {len(drawn) - N_OPEN} columns", (Grid(drawn[N_OPEN:]),)))
    return (*blocks, *_numbers(results))


def _numbers(results: Results) -> tuple[Block, ...]:
    """Mean, spread and quantiles of every number, real above synthetic."""
    heads = ("mean", "sd", "q05", "q25", "median", "q75", "q95")
    rows = []
    for view in results.views.get("summary") or ():
        for side, words in (("train", "real"), ("synthetic", "synthetic")):
            part = view.get(side) or {}
            rows.append((f"{view['column']}, {words}", *(_number(part.get(head)) for head in heads)))
    if not rows:
        return ()
    table = Table(
        ("Column", "Mean", "SD", "5 %", "25 %", "Median", "75 %", "95 %"),
        tuple(rows),
        "Mean, standard deviation and quantiles of the cells that hold a value (spread of dates in days)",
        numeric=tuple(range(1, 8)),
    )
    return (Fold("Means and quantiles of all numbers and dates", (table,)),)


def _number(value: Any) -> str:
    if isinstance(value, int | float):
        return f"{value:,.4g}" if abs(value) < 10_000 else whole(value)
    return "–" if value is None else str(value)


def missing(results: Results) -> tuple[Block, ...]:
    """Shares of missing cells per column, the largest gap first."""
    rows = [row for row in _details(results, "missingness", "columns") if row.get("synthetic") is not None]
    if not rows:
        note = results["missingness"].note if "missingness" in results else ""
        return (Text(note, Tone.NOTE),) if note else ()
    shown = rows[:N_MISSING]
    worst = shown[0]
    names = [str(row["column"]) for row in shown]
    drawing = figures.pairs_of_shares(names, [row["train"] for row in shown], [row["synthetic"] for row in shown])
    figure = Figure(
        svg=drawing,
        title="Share of cells without a value",
        caption="Filled dots are real, rings are synthetic; the longer the line between them, the further apart. "
        f"The {len(shown)} columns with the largest gap of {len(rows)} that have missing cells.",
        alt=f"Missing cells by column. The largest gap is in {worst['column']}: {number(worst['train'], 'percent')} of the real cells and "
        f"{number(worst['synthetic'], 'percent')} of the synthetic ones are missing.",
    )
    table = Table(
        ("Column", "Real", "Unseen real", "Synthetic", "Gap"),
        tuple(
            (str(row["column"]), *(_percent(row.get(key)) for key in ("train", "holdout", "synthetic", "gap"))) for row in rows
        ),
        "Share of missing cells in every column that has some",
        numeric=(1, 2, 3, 4),
    )
    text = Text(
        "A value that is not there tells something too: a test that was not ordered, a question not asked. So it is learned as well."
    )
    if len(rows) <= N_MISSING:
        return text, Beside((Grid((figure,)), table))
    return text, Grid((figure,)), Fold(f"All {len(rows)} columns with missing cells", (table,))


def relations(results: Results) -> tuple[Block, ...]:
    """Heat maps of association: real, synthetic, difference."""
    view = results.views.get("associations") or {}
    names = [str(name) for name in view.get("columns") or ()]
    if len(names) < 2:
        return ()
    real, made = (np.array(view[side], dtype=float) for side in ("train", "synthetic"))
    gap = made - real
    keep = np.arange(len(names))
    chosen = ""
    if len(names) > N_HEAT:
        keep = np.sort(np.argsort(-np.nansum(np.abs(gap), axis=0), kind="stable")[:N_HEAT])
        chosen = f" Shown are the {N_HEAT} of {len(names)} columns whose relations differ most."
    names = [names[i] for i in keep]
    real, made, gap = (matrix[np.ix_(keep, keep)] for matrix in (real, made, gap))
    largest = _largest(gap, names)
    alike = "Dark means that two columns hang together closely, light that they do not."
    drawn = (
        Figure(figures.heatmap(real, names), alike, f"Associations of {len(names)} columns in the real rows.", "Real rows"),
        Figure(
            figures.heatmap(made, names),
            alike,
            f"Associations of {len(names)} columns in the synthetic rows.",
            "Synthetic rows",
        ),
        Figure(
            figures.heatmap(gap, names, is_difference=True),
            "Blue: the synthetic table has weakened the relation. Orange: it has strengthened or invented it. Pale: alike.",
            f"Difference of the associations. {largest}",
            "Synthetic minus real",
        ),
    )
    text = Text(
        "How closely each pair of columns hangs together (bias-corrected Cramér's V, numbers in ten bins: 0 is not at all, at 1 one "
        f"settles the other). The first two maps should look alike and the third should be pale. {largest}{chosen}"
    )
    return text, Grid(drawn, has_legend=False)


def maps(results: Results) -> tuple[Block, ...]:
    """Rows of both tables on flat maps: PCA and t-SNE."""
    told = {
        "pca": (
            "PCA",
            "The two directions along which the rows differ most. Both colours should fill the same region with the same density.",
        ),
        "tsne": (
            "t-SNE",
            "Alike rows lie near each other; distances between far groups mean nothing. A group of one colour is in one table only.",
        ),
    }
    drawn = []
    for key, (title, caption) in told.items():
        view = results.views.get(key) or {}
        real, made = view.get("train") or (), view.get("synthetic") or ()
        if len(real) == 0 or len(made) == 0:
            continue
        shares: Sequence[float] = view.get("explained") or ()
        names = ("first direction", "second direction") if key == "pca" else ("", "")
        if len(shares) == 2:
            names = (f"first direction ({number(shares[0], 'percent')})", f"second direction ({number(shares[1], 'percent')})")
        drawn.append(
            Figure(
                figures.cloud(real, made, names=names),
                f"{caption} {whole(len(real))} real rows as dots, {whole(len(made))} synthetic ones as crosses.",
                f"{title} map of {len(real)} real and {len(made)} synthetic rows as points.",
                title,
            )
        )
    if not drawn:
        return ()
    text = Text(
        "Every point is one row, real or synthetic, all columns taken together. Points of real rows are personal data: this is one "
        "reason why the page is internal."
    )
    return text, Grid(tuple(drawn))


def _overlay(view: Mapping[str, Any], row: Mapping[str, Any] | None) -> Figure:
    name, real, made = str(view["column"]), view["train"], view["synthetic"]
    score = ""
    if row is not None:
        score = f"Score {number(row['score'])}"
        score += f", unseen real rows {number(row['reference'])}. " if row.get("reference") is not None else ". "
    if "edges" in view:
        drawing = figures.histogram(view["edges"], real, made, ticks=[str(t) for t in view.get("ticks") or ()])
        how = "Blue area real, orange line synthetic."
    else:
        levels, real, made, rest = _fewer([str(level) for level in view["levels"]], list(real), list(made))
        drawing = figures.bars(levels, real, made)
        how = f"Blue bars real, orange frames synthetic{rest}."
    return Figure(drawing, f"{score}{how}", f"Shares of {name} in real and synthetic rows. {score}".strip(), name)


def _fewer(levels: list[str], real: list[float], made: list[float]) -> tuple[list[str], list[float], list[float], str]:
    """The most frequent levels in the view's order, the others as one bar; with the words that say so."""
    if len(levels) <= N_BARS + 1:
        return levels, real, made, ""
    order = sorted(range(len(levels)), key=lambda i: (levels[i] == OTHER, -(real[i] + made[i]), i))
    kept = sorted(order[:N_BARS])
    rest = order[N_BARS:]
    return (
        [*(levels[i] for i in kept), "(all others)"],
        [*(real[i] for i in kept), sum(real[i] for i in rest)],
        [*(made[i] for i in kept), sum(made[i] for i in rest)],
        "; the less frequent levels are taken together",
    )


def _is_drawable(view: Mapping[str, Any]) -> bool:
    return bool(view.get("train")) and bool(view.get("synthetic")) and ("edges" in view or "levels" in view)


def _details(results: Results, metric: str, key: str) -> Rows:
    found: Rows = (results[metric].details.get(key) or ()) if metric in results else ()
    return found


def shape_gap(row: Mapping[str, Any]) -> float:
    """What a column or pair loses against unseen real rows; 0 or less where it is as good as they are."""
    reference = row.get("reference")
    return float((1.0 if reference is None else reference) - row["score"])


def _column_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        str(row["column"]),
        str(row.get("kind", "")),
        str(row.get("measure", "")).replace("-", " − "),
        number(row["score"]),
        _score(row.get("reference")),
        f"{shape_gap(row):+.3f}".replace("-", "−"),
    )


def _pair_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        " × ".join(str(name) for name in row["columns"]),
        number(row["score"]),
        _score(row.get("reference")),
        f"{shape_gap(row):+.3f}".replace("-", "−"),
        _score(row.get("association_train")),
        _score(row.get("association_synthetic")),
    )


def _largest(gap: Any, names: list[str]) -> str:
    above = np.abs(np.nan_to_num(gap)) * np.triu(np.ones_like(gap), 1)
    i, j = divmod(int(above.argmax()), len(names))
    sign = "weaker" if gap[i, j] < 0 else "stronger"
    return f"The largest difference: {names[i]} and {names[j]}, {sign} by {abs(float(np.nan_to_num(gap[i, j]))):.2f}."


def _score(value: float | None) -> str:
    return "–" if value is None else number(value)


def _percent(value: float | None) -> str:
    return "–" if value is None else number(value, "percent")
