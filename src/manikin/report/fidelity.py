"""Further pictures of likeness: correlations that are lost, numbers farthest off, triples of columns, values that no person can have.

Knows the details of `correlations`, `wasserstein`, `three_way` and `plausibility` by key; measures nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.evaluation.base import Results
from manikin.report.blocks import Beside, Block, Figure, Fold, Grid, Heading, Table
from manikin.report.dials import found
from manikin.report.forest import Line, Mark, forest
from manikin.report.wording import number, whole

N_DRAWN = 10
N_LISTED = 20
Rows = Sequence[Mapping[str, Any]]


def further(results: Results) -> tuple[Block, ...]:
    """What follows the worst columns and pairs: correlations, numbers, triples."""
    blocks: list[Block] = []
    pairs = [row for row in _rows(results, "correlations", "pairs") if row.get("train") is not None and row.get("synthetic") is not None]
    if pairs:
        drawing = Grid((_correlations(pairs[:N_DRAWN]),), has_legend=False)
        blocks += [Heading("Correlations that lose most"), Beside((drawing, _pairs(pairs[:N_DRAWN])))]
    numbers, triples = _rows(results, "wasserstein", "columns"), _rows(results, "three_way", "triples")
    if numbers:
        blocks.append(Fold(f"Numbers and dates farthest from real ones ({len(numbers)})", (_numbers(numbers),)))
    if triples:
        blocks.append(Fold("Triples of columns that lose most", (_triples(triples),)))
    return tuple(blocks)


def implausible(results: Results) -> tuple[Block, ...]:
    """Values that no living person can have, counted by column."""
    rows = _rows(results, "plausibility", "columns")
    if not rows:
        return ()
    cells = tuple(
        (
            str(row.get("column", "")),
            f"{_plain(row.get('minimum'))} to {_plain(row.get('maximum'))} {row.get('unit') or ''}".strip(),
            *(_count(row.get(side)) for side in ("train", "holdout", "synthetic")),
            str(row.get("citation") or ""),
        )
        for row in rows
    )
    head = ("Column", "Possible", "Training rows", "Unseen real rows", "Synthetic rows", "Source of the range")
    table = Table(head, cells, "Rows with a value outside what a living person can have", numeric=(2, 3, 4))
    return Heading("Impossible values"), table


def _correlations(pairs: Rows) -> Figure:
    lines = tuple(Line(_names(row), (Mark(row["train"], kind="real"), Mark(row["synthetic"]))) for row in pairs)
    worst = pairs[0]
    return Figure(
        forest(lines, axis="correlation", mark=0.0),
        "Blue dots: real rows. Orange rings: synthetic rows. Ring and dot should lie together; a ring nearer to the dashed line is a "
        "relation that was weakened, one on its other side a relation that was turned around.",
        f"Correlations of {len(lines)} pairs. First: {_names(worst)}, {number(worst['train'])} real and "
        f"{number(worst['synthetic'])} synthetic.",
        "Real and synthetic correlations",
    )


def _pairs(pairs: Rows) -> Table:
    sides = ("train", "holdout", "synthetic")
    rows = tuple((_names(row), str(row.get("measure", "")), *(_score(row.get(side)) for side in sides)) for row in pairs)
    caption = "Spearman's correlation of two numbers, correlation ratio of a number with a category"
    return Table(("Pair", "Measure", "Real", "Unseen real", "Synthetic"), rows, caption, numeric=(2, 3, 4))


def _numbers(rows: Rows) -> Table:
    cells = tuple((str(row.get("column", "")), _score(row.get("distance")), _score(row.get("reference"))) for row in rows[:N_LISTED])
    caption = "How far values must be moved on average; 1 is the width of the middle half of the real values"
    return Table(("Column", "Distance", "Unseen real rows"), cells, caption, numeric=(1, 2))


def _triples(rows: Rows) -> Table:
    cells = tuple((_names(row), _score(row.get("score")), _score(row.get("reference"))) for row in rows[:N_LISTED])
    return Table(("Triple", "Score", "Unseen real rows"), cells, "Agreement of three columns at once; 1 is the same", numeric=(1, 2))


def _rows(results: Results, name: str, key: str) -> Rows:
    metric = found(results, name)
    listed = metric.details.get(key) if metric is not None and metric.value is not None else None
    return [row for row in listed or () if isinstance(row, Mapping)]


def _names(row: Mapping[str, Any]) -> str:
    return " × ".join(str(name) for name in row.get("columns") or ())


def _score(value: Any) -> str:
    return number(value) if isinstance(value, int | float) else "–"


def _count(value: Any) -> str:
    return whole(value) if isinstance(value, int | float) else "–"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "–"
