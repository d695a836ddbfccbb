"""What gives a release away: the columns and pairs by which the judges of the classifier two-sample test know synthetic rows.

Explains the very boosters that `c2st` measured, on the rows that each has not seen. Knows nothing of how it is told to a reader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.attribution import Unseen, drops, shapley, win_rates
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Definition, Interval, measured
from manikin.evaluation.detection import MIN_ROWS, N_FOLDS, Jury, juries
from manikin.evaluation.prepared import Feature, Prepared

Floats = npt.NDArray[np.float64]
Part = Callable[[Unseen, int, np.random.Generator], Floats]  # (rows, repeats, randomness) -> (n_parts, n_repeats)
N_TOP = 8  # columns whose relations are looked at
N_SHOWN = 30
MIN_REPEATS, MAX_REPEATS = 2, 4
# Rows that boosters score, for each part of the work: what bounds the cost, at some 15 microseconds a row.
DROP_BUDGET, ALONE_BUDGET, REFERENCE_BUDGET, PAIR_BUDGET, SHAPLEY_BUDGET = 80_000, 130_000, 80_000, 160_000, 80_000
N_PATHS = 4
LEAST_LINK = 0.01
DECIMALS = range(-2, 5)
GIVEAWAY = Definition("giveaway", "Known by one cell (worst column)", Section.FIDELITY, Direction.LOWER)


@dataclass(frozen=True)
class Folded:
    """What was measured fold by fold, (n_folds, n_parts), with the means over folds and their intervals.

    Attributes
    ----------
    area : mean AUC of the rows looked at, nothing permuted.
    n_rows : rows looked at in all folds.
    """

    folds: Floats
    area: float = 0.5
    n_rows: int = 0

    @property
    def means(self) -> Floats:
        """Mean over folds, (n_parts,)."""
        return np.asarray(self.folds.mean(axis=0))

    def interval(self, i: int) -> Interval:
        """95 % interval of one part: t over folds, widened since these share training rows (Nadeau & Bengio 2003)."""
        from scipy.special import stdtrit

        half = float(stdtrit(N_FOLDS - 1, 0.975) * self.folds[:, i].std(ddof=1) * (1 / N_FOLDS + 1 / (N_FOLDS - 1)) ** 0.5)
        return float(self.means[i]) - half, float(self.means[i]) + half


@measured(GIVEAWAY, min_rows=MIN_ROWS)
def giveaway(data: Prepared, *, seed: int) -> MetricResult:
    """How often the judges of `c2st` point at a synthetic cell of the worst column, put into a real row; 0.5 is guessing, 1 worst.

    Into real rows that a judge has not seen the cells of one column are put from synthetic rows, and from other real rows; the figure
    is the share of rows in which the judge finds the synthetic one more suspicious (ties half). Details give, of every column:

    - `alone`, that figure: what the column's own spread tells, whatever other columns tell too;
    - `separation`, its part of the gap between the mean log-odds of synthetic and of real rows by Shapley values (Štrumbelj & Kononenko
      2014, doi:10.1007/s10115-013-0679-x), relations included; columns are ranked by it. The mean over rows is the global form of Covert
      et al. 2020 (SAGE, arXiv 2004.00668) with a loss that is linear in the log-odds instead of cross-entropy, so that the columns add
      up to the gap exactly;
    - `drop`, the held-out AUC lost when it is permuted (Breiman 2001, doi:10.1023/A:1010933404324). Where many columns give the release
      away every single drop is near 0, which is why nothing is ranked by it.

    And of every pair of the eight first columns: `together`, the figure with both cells from one row, and `link`, what of it is lost
    when the two cells come from two rows: what their relation gives away. The reference is the largest `alone` of the judges of one
    half of train against the other; a largest value too, it carries the same luck. Intervals are over folds and repeats.
    """
    main, other = juries(data, seed)
    names = [feature.name for feature in data.features]
    singles = [(i,) for i in range(len(names))]
    with one_thread():
        lost = _over_folds(main, _permuted(singles), len(names), DROP_BUDGET, seed, "drop")
        alone = _over_folds(main, _exchanged(singles), len(names), ALONE_BUDGET, seed, "alone")
        explained = _separation(main, lost, SHAPLEY_BUDGET, seed)
        fresh = fresh_gap = None
        if other is not None:
            fresh = _over_folds(other, _exchanged(singles), len(names), REFERENCE_BUDGET, seed, "reference")
            fresh_gap = _separation(other, None, SHAPLEY_BUDGET // 2, seed)
        top = [int(i) for i in np.argsort(-explained.parts.means, kind="stable")[:N_TOP]]
        pairs = list(combinations(sorted(top), 2))
        linked = _linked(main, pairs, names, seed) if pairs else []
    noise = 0.0 if fresh_gap is None else max(0.0, float(fresh_gap.parts.means.max()))
    rows = [_row(i, names[i], lost, alone, fresh, explained, noise) for i in range(len(names))]
    for i in top:
        rows[i]["spacing"] = _spacing(data, data.features[i])
    rows.sort(key=lambda row: (-row["separation"], row["column"]))
    worst = int(np.argmax(alone.means))
    luckiest = None if fresh is None else int(np.argmax(fresh.means))
    return GIVEAWAY.result(
        float(alone.means[worst]),
        interval=_cut(alone.interval(worst)),
        n=alone.n_rows,
        reference=None if fresh is None or luckiest is None else float(fresh.means[luckiest]),
        reference_interval=None if fresh is None or luckiest is None else _cut(fresh.interval(luckiest)),
        details={
            "worst_column": names[worst],
            "auc": lost.area,
            "log_odds_gap": explained.gap,
            "n_columns": len(names),
            "columns": rows[:N_SHOWN],
            "pairs": linked,
        },
    )


@dataclass(frozen=True)
class Explained:
    """Shapley values: what each column adds to the gap between the mean log-odds of both classes, fold by fold; and that gap."""

    parts: Folded
    gap: float


def _permuted(coalitions: Sequence[Sequence[int]]) -> Part:
    return lambda rows, n_repeats, rng: drops(rows, coalitions, n_repeats=n_repeats, rng=rng)


def _exchanged(coalitions: Sequence[Sequence[int]], *, is_apart: bool = False) -> Part:
    return lambda rows, n_repeats, rng: win_rates(rows, coalitions, n_repeats=n_repeats, rng=rng, is_apart=is_apart)


def _over_folds(jury: Jury, part: Part, n_moves: int, budget: int, seed: int, purpose: str) -> Folded:
    """A part of the work on each fold's unseen rows, as many of them and as often as the budget of scored rows allows."""
    per_fold = budget // (N_FOLDS * n_moves)
    smallest = min(int((jury.folds == fold).sum()) for fold in range(N_FOLDS))
    n_repeats = int(np.clip(per_fold // smallest, MIN_REPEATS, MAX_REPEATS))
    n_kept = max(40, per_fold // n_repeats)
    means, areas, n_rows = [], [], 0
    for fold in range(N_FOLDS):
        rng = generator(seed, "giveaway", purpose, fold)
        rows = _unseen(jury, fold, n_kept, rng)
        means.append(part(rows, n_repeats, rng).mean(axis=1))
        areas.append(rows.area(rows.score(rows.X)))
        n_rows += len(rows.X)
    return Folded(np.asarray(means), float(np.mean(areas)), n_rows)


def _unseen(jury: Jury, fold: int, n_kept: int, rng: np.random.Generator) -> Unseen:
    """At most about `n_kept` rows of a fold, as many of each class."""
    is_test = jury.folds == fold
    sides = [np.flatnonzero(is_test & side) for side in (jury.is_positive, ~jury.is_positive)]
    chosen = np.concatenate([np.sort(rng.permutation(side)[: max(2, n_kept // 2)]) for side in sides])
    return Unseen(jury.boosters[fold].scores, jury.X[chosen], jury.is_positive[chosen], _spans(jury))


def _spans(jury: Jury) -> tuple[tuple[int, ...], ...]:
    """The matrix columns of each feature: its own, and that of its missing codes."""
    coded = {name: len(jury.inputs.features) + i for i, name in enumerate(jury.inputs.coded)}
    return tuple((i, coded[f.name]) if f.name in coded else (i,) for i, f in enumerate(jury.inputs.features))


def _separation(jury: Jury, lost: Folded | None, budget: int, seed: int) -> Explained:
    """Shapley values of unseen rows, positive ones less negative ones. Columns whose permutation moves no rank are taken as one part."""
    spans = _spans(jury)
    moving = [i for i in range(len(spans)) if lost is None or np.abs(lost.folds[:, i]).max() > 0]
    rest = [column for i, span in enumerate(spans) if i not in moving for column in span]
    shown = [*(spans[i] for i in moving), *([tuple(rest)] if rest else [])]
    n_kept = max(20, budget // (N_FOLDS * N_PATHS * (len(shown) + 1)))
    made, gaps = np.zeros((N_FOLDS, len(spans))), []
    for fold in range(N_FOLDS):
        rng = generator(seed, "giveaway", "shapley", fold)
        rows, background = _unseen(jury, fold, n_kept, rng), _unseen(jury, fold, 1_000, rng)
        values, _ = shapley(rows.score, rows.X, background.X, shown, n_paths=N_PATHS, rng=rng)
        apart = values[rows.is_positive].mean(axis=0) - values[~rows.is_positive].mean(axis=0)
        made[fold, moving] = apart[: len(moving)]
        gaps.append(float(apart.sum()))
    return Explained(Folded(made), float(np.mean(gaps)))


def _linked(jury: Jury, pairs: Sequence[tuple[int, int]], names: Sequence[str], seed: int) -> list[dict[str, Any]]:
    """What each pair tells together, and what of it is lost when its two cells come from two rows."""
    together, apart = (
        _over_folds(jury, _exchanged(pairs, is_apart=way), len(pairs), PAIR_BUDGET // 2, seed, f"pairs {way}")
        for way in (False, True)
    )
    link = Folded(together.folds - apart.folds)
    made = [
        {
            "columns": [names[i] for i in pair],
            "together": float(together.means[place]),
            "link": float(link.means[place]),
            "link_interval": link.interval(place),
            "stands_out": bool(link.interval(place)[0] > LEAST_LINK),
        }
        for place, pair in enumerate(pairs)
    ]
    return sorted(made, key=lambda row: (-row["link"], row["columns"]))


def _row(
    i: int, name: str, lost: Folded, alone: Folded, fresh: Folded | None, explained: Explained, noise: float
) -> dict[str, Any]:
    return {
        "column": name,
        "separation": float(explained.parts.means[i]),
        "separation_interval": explained.parts.interval(i),
        "alone": float(alone.means[i]),
        "alone_interval": _cut(alone.interval(i)),
        "alone_reference": None if fresh is None else float(fresh.means[i]),
        "drop": float(lost.means[i]),
        "drop_interval": lost.interval(i),
        "stands_out": bool(explained.parts.interval(i)[0] > noise),
    }


def _cut(interval: Interval) -> Interval:
    return max(0.0, interval[0]), min(1.0, interval[1])


def _spacing(data: Prepared, feature: Feature) -> dict[str, Any] | None:
    """How a number's values are spaced: steps, heaps, values known from train; shares of cells, never a value. None for levels."""
    if not feature.is_number:
        return None
    sides = {"train": data.real, "holdout": data.held, "synthetic": data.fake}
    values = {side: sample.values[feature.name] for side, sample in sides.items()}
    values = {side: column[~np.isnan(column)] for side, column in values.items()}
    if min(len(column) for column in values.values()) == 0:
        return None
    known, counts = np.unique(values["train"], return_counts=True)
    steps = [{side: _multiples(column, d) for side, column in values.items()} for d in DECIMALS]
    widest = int(np.argmax([abs(step["train"] - step["synthetic"]) for step in steps]))
    return {
        "step": 10.0 ** -DECIMALS[widest],
        "on_step": steps[widest],
        "known": {side: float(np.isin(values[side], known).mean()) for side in ("holdout", "synthetic")},
        "commonest": {side: float((column == known[counts.argmax()]).mean()) for side, column in values.items()},
    }


def _multiples(values: Floats, decimals: int) -> float:
    """Share of values that are multiples of 10 to the -decimals."""
    scaled = values * 10.0**decimals
    return float((np.abs(scaled - np.round(scaled)) <= 1e-6 * np.maximum(1.0, np.abs(scaled))).mean())
