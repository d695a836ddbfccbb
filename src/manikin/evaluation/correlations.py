"""Do numbers move together, and with levels, as in the real data? Correlation and covariance matrices of numbers, correlation ratios.

Knows nothing of tables of levels: `dependence` and `pairs` count these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured, rounded
from manikin.evaluation.intervals import N_GROUPS, replicate_interval, with_replicates
from manikin.evaluation.pairs import judged_columns, width_note
from manikin.evaluation.prepared import Feature, Prepared, Sample
from manikin.evaluation.shapes import Grouped, grouped

Floats = npt.NDArray[np.float64]
MAX_ROWS = 20_000
MAX_LEVELS = 30  # levels told apart of a column that stands with a number; the others count as one
MIN_ROWS = 20  # train rows that hold both values, for a pair to be looked at
N_LISTED = 30
TINY = 1e-12
CORRELATIONS = Definition("correlations", "Correlations (mean difference)", Section.FIDELITY, Direction.LOWER)


@dataclass(frozen=True)
class Moments:
    """Sums over rows in which both columns of a pair hold a value, (N_REPLICATES + 1, n_numbers, n_numbers) each.

    Attributes
    ----------
    n, total, square, product : number of rows, Σ xᵢ, Σ xᵢ² and Σ xᵢxⱼ over the rows in which i and j are both there.
    """

    n: Floats
    total: Floats
    square: Floats
    product: Floats

    def covariances(self) -> Floats:
        """Covariance of each pair; NaN where fewer than three rows hold both."""
        n = np.where(self.n < 3, np.nan, self.n)
        return np.asarray((self.product - self.total * np.swapaxes(self.total, 1, 2) / n) / n)

    def correlations(self) -> Floats:
        """Correlation of each pair in [-1, 1]; NaN where one of the two is constant or fewer than three rows hold both."""
        n = np.where(self.n < 3, np.nan, self.n)
        variance = self.square / n - (self.total / n) ** 2
        variance = np.where(variance < TINY, np.nan, variance)
        return np.asarray(np.clip(self.covariances() / np.sqrt(variance * np.swapaxes(variance, 1, 2)), -1, 1))


@measured(CORRELATIONS, min_rows=3)
def correlations(data: Prepared, *, seed: int) -> MetricResult:
    """Mean absolute difference between train and synthetic over the pairs that hold a number or date; 0 is best, 2 the largest.

    Two numbers: Spearman's rank correlation, in [-1, 1]. A number and a column of levels: the correlation ratio of the number's ranks,
    η = √(SS between levels / SS in all), corrected for the number of levels as ε² is (Kelley 1935, doi:10.1073/pnas.21.9.554), in
    [0, 1]. Ranks, so that no extreme settles a figure; each pair over the rows that hold both values. What cannot be correlated in the
    release, since it is constant there, counts as 0. Pairs of levels are `pair_trends`' matter. Details hold the two means apart,
    Pearson's, and the covariance matrix of numbers in train's standard deviations: ‖C - C_train‖ / ‖C_train‖ (Frobenius). The
    reference is the holdout's, at equal n.
    """
    names = set(judged_columns(data, seed))
    numbers = [feature for feature in data.numbers if feature.name in names]
    discrete = [feature for feature in data.features if not feature.is_number and feature.name in names]
    if not numbers or len(numbers) + len(discrete) < 2:
        raise UndefinedMetricError("there is no pair of columns with a number or date; pair_trends has the pairs of levels")
    sides = dict(zip(("train", "holdout", "synthetic"), grouped(data, cap=MAX_ROWS, seed=seed), strict=True))
    ranked = {side: np.column_stack([_ranks(rows.sample, f) for f in numbers]) for side, rows in sides.items()}
    of_numbers = {side: _moments(ranked[side], rows.groups) for side, rows in sides.items()}
    found = [_number_pairs(of_numbers, numbers), *(_ratios(sides, ranked, numbers, feature, data) for feature in discrete)]
    pairs = [pair for part in found for pair in part]
    if not pairs:
        raise UndefinedMetricError("no two columns vary together in enough train rows")
    gaps = {side: np.abs([pair.values[side] - pair.values["train"] for pair in pairs]) for side in ("holdout", "synthetic")}
    value, reference = gaps["synthetic"].mean(axis=0), gaps["holdout"].mean(axis=0)
    return CORRELATIONS.result(
        float(value[0]),
        interval=replicate_interval(value, low=0.0, high=2.0),
        n=len(sides["synthetic"].sample),
        reference=float(reference[0]),
        reference_interval=replicate_interval(reference, low=0.0, high=2.0),
        details={
            "n_pairs": len(pairs),
            **_by_measure(pairs, gaps),
            **_plain(sides, numbers),
            "pairs": _listed(pairs, gaps),
        },
        note=width_note(data),
    )


@dataclass(frozen=True)
class Association:
    """One pair with its association on each side, (N_REPLICATES + 1,)."""

    columns: tuple[str, str]
    measure: str
    values: dict[str, Floats]


def _ranks(sample: Sample, feature: Feature) -> Floats:
    """Mid-ranks of the cells with a value, centred and scaled to -½ … ½; NaN where missing."""
    from scipy.stats import rankdata

    values = sample.values[feature.name]
    is_present = ~np.isnan(values)
    out = np.full(len(values), np.nan)
    if is_present.any():
        out[is_present] = (rankdata(values[is_present]) - 0.5) / is_present.sum() - 0.5
    return out


def _moments(X: Floats, groups: npt.NDArray[np.int64]) -> Moments:
    """Pairwise sums of X (n_rows, n_numbers), NaN where missing."""
    is_present = (~np.isnan(X)).astype(float)
    filled = np.nan_to_num(X)
    parts: list[list[Floats]] = [[], [], [], []]
    for group in range(N_GROUPS):
        rows = groups == group
        M, Z = is_present[rows], filled[rows]
        for part, sums in zip(parts, (M.T @ M, Z.T @ M, (Z**2).T @ M, Z.T @ Z), strict=True):
            part.append(sums)
    p = X.shape[1]
    n, total, square, product = (with_replicates(np.reshape(part, (N_GROUPS, p * p))).reshape(-1, p, p) for part in parts)
    return Moments(n, total, square, product)


def _number_pairs(moments: dict[str, Moments], numbers: Sequence[Feature]) -> list[Association]:
    """Spearman's correlation of every two numbers that are correlated at all in train."""
    matrices = {side: part.correlations() for side, part in moments.items()}
    made = []
    for i, j in combinations(range(len(numbers)), 2):
        if moments["train"].n[0, i, j] < MIN_ROWS or np.isnan(matrices["train"][0, i, j]):
            continue
        values = {side: np.nan_to_num(matrix[:, i, j]) for side, matrix in matrices.items()}
        made.append(Association((numbers[i].name, numbers[j].name), "Spearman", values))
    return made


def _ratios(
    sides: dict[str, Grouped], ranked: dict[str, Floats], numbers: Sequence[Feature], discrete: Feature, data: Prepared
) -> list[Association]:
    """The correlation ratio of every number by the levels of one column."""
    codes = data.real.values[discrete.name]
    frequency = np.bincount(codes[codes >= 0], minlength=len(discrete.levels or ()))
    kept = np.argsort(-frequency, kind="stable")[:MAX_LEVELS]
    place = np.full(len(frequency) + 1, len(kept), dtype=np.int64)
    place[kept] = np.arange(len(kept))
    found = {}
    for side, rows in sides.items():
        is_present = rows.sample.marks[discrete.name] == 0
        level = place[rows.sample.values[discrete.name][is_present]]
        found[side] = _ratio(ranked[side][is_present], level, rows.groups[is_present], len(kept) + 1)
    made = []
    for i, number in enumerate(numbers):
        ratio, n = found["train"][0][:, i], found["train"][1][i]
        if n >= MIN_ROWS and not np.isnan(ratio[0]):
            values = {side: np.nan_to_num(part[0][:, i]) for side, part in found.items()}
            made.append(Association((number.name, discrete.name), "correlation ratio", values))
    return made


def _ratio(X: Floats, levels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], n_levels: int) -> tuple[Floats, Floats]:
    """Corrected correlation ratio of each number, (N_REPLICATES + 1, n_numbers), and on how many rows it rests, (n_numbers,)."""
    from scipy.sparse import csr_matrix

    n_cells, p = N_GROUPS * n_levels, X.shape[1]
    which = csr_matrix((np.ones(len(X)), (groups * n_levels + levels, np.arange(len(X)))), shape=(n_cells, len(X)))
    filled = np.nan_to_num(X)
    sums = [np.asarray(which @ part) for part in ((~np.isnan(X)).astype(float), filled, filled**2)]
    n, total, square = (with_replicates(part.reshape(N_GROUPS, n_levels * p)).reshape(-1, n_levels, p) for part in sums)
    n_rows, n_used = n.sum(axis=1), (n > 0).sum(axis=1)
    centre = total.sum(axis=1) ** 2 / np.maximum(n_rows, 1)
    between = (total**2 / np.maximum(n, 1)).sum(axis=1) - centre
    in_all = square.sum(axis=1) - centre
    is_free = (in_all > TINY) & (n_used > 1) & (n_rows > n_used)
    share = np.divide(between, in_all, out=np.zeros_like(between), where=is_free)
    corrected = 1 - (1 - share) * (n_rows - 1) / np.maximum(n_rows - n_used, 1)
    return np.where(is_free, np.sqrt(np.clip(corrected, 0, 1)), np.nan), n_rows[0]


def _by_measure(pairs: Sequence[Association], gaps: dict[str, Floats]) -> dict[str, float | None]:
    made: dict[str, float | None] = {}
    for name, measure in (("number_number", "Spearman"), ("number_level", "correlation ratio")):
        chosen = [i for i, pair in enumerate(pairs) if pair.measure == measure]
        for key, side in ((name, "synthetic"), (f"{name}_reference", "holdout")):
            made[key] = float(gaps[side][chosen, 0].mean()) if chosen else None
    return made


def _plain(sides: dict[str, Grouped], numbers: Sequence[Feature]) -> dict[str, float | None]:
    """Pearson's correlations and the covariance matrix, of values in train's standard deviations; None with one number."""
    raw = {side: np.column_stack([rows.sample.values[f.name] for f in numbers]) for side, rows in sides.items()}
    names = ("pearson", "pearson_reference", "covariance", "covariance_reference")
    is_judged = np.array([np.nanstd(column) > 0 if (~np.isnan(column)).sum() > 2 else False for column in raw["train"].T])
    if is_judged.sum() < 2:
        return dict.fromkeys(names)
    centre, scale = np.nanmean(raw["train"][:, is_judged], axis=0), np.nanstd(raw["train"][:, is_judged], axis=0)
    one = {side: _moments((X[:, is_judged] - centre) / scale, sides[side].groups) for side, X in raw.items()}
    pearson = {side: part.correlations()[0] for side, part in one.items()}
    covariance = {side: np.nan_to_num(part.covariances()[0]) for side, part in one.items()}
    above = np.triu_indices(int(is_judged.sum()), 1)
    known = ~np.isnan(pearson["train"][above]) & (one["train"].n[0][above] >= MIN_ROWS)
    size = float(np.linalg.norm(covariance["train"]))
    made: dict[str, float | None] = {}
    for suffix, side in (("", "synthetic"), ("_reference", "holdout")):
        gap = np.abs(np.nan_to_num(pearson[side][above]) - pearson["train"][above])[known]
        made[f"pearson{suffix}"] = float(gap.mean()) if len(gap) else None
        made[f"covariance{suffix}"] = float(np.linalg.norm(covariance[side] - covariance["train"])) / size if size else None
    return made


def _listed(pairs: Sequence[Association], gaps: dict[str, Floats]) -> list[dict[str, Any]]:
    """The pairs that lose most against the reference."""
    excess = gaps["synthetic"][:, 0] - gaps["holdout"][:, 0]
    order = sorted(range(len(pairs)), key=lambda i: (-excess[i], pairs[i].columns))[:N_LISTED]
    sides = ("train", "holdout", "synthetic")
    return [
        {
            "columns": list(pairs[i].columns),
            "measure": pairs[i].measure,
            **{side: rounded(float(pairs[i].values[side][0])) for side in sides},
        }
        for i in order
    ]
