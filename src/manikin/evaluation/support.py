"""Do synthetic rows lie where real rows lie, and everywhere they lie? Precision, recall and coverage on the shared embedding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Definition, measured
from manikin.evaluation.features import Points, embedding
from manikin.evaluation.intervals import N_GROUPS, replicate_interval, subsets
from manikin.evaluation.neighbours import counts_within, nearest
from manikin.evaluation.prepared import Prepared

Floats = npt.NDArray[np.float64]
Distances = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
MAX_POINTS = 5_000
MIN_ROWS = 12
K = 5  # neighbours that make a real point's ball, as Naeem et al. use
N_WITHIN = 48  # neighbours kept, so that a quarter of the rows still holds K of them
N_ACROSS = 24
LEVELS = np.linspace(0, 1, 31)[1:-1]
PRECISION = Definition("alpha_precision", "Alpha-precision", Section.FIDELITY, Direction.REFERENCE)
RECALL = Definition("beta_recall", "Beta-recall", Section.DIVERSITY, Direction.REFERENCE)
COVERAGE = Definition("coverage", "Coverage", Section.DIVERSITY, Direction.REFERENCE)


@dataclass(frozen=True)
class Geometry:
    """Distances between n train rows and n other rows, with the group of every row.

    Attributes
    ----------
    real_centre : distance of each train row to the mean of the train rows, (n,).
    other_centre, other_to_real_centre : distance of each other row to the mean of its own side and of the train rows, (n,).
    within, within_at : distance and position of the train rows nearest to each train row, nearest first, (n, N_WITHIN).
    across, across_at : distance and position of the other side's rows nearest to each train row, (n, N_ACROSS).
    density : mean number of K-neighbour balls of train rows that an other row lies in, over K.
    """

    real_groups: Rows
    other_groups: Rows
    real_centre: Floats
    other_centre: Floats
    other_to_real_centre: Floats
    within: Distances
    within_at: Rows
    across: Distances
    across_at: Rows
    density: float

    def __len__(self) -> int:
        return len(self.real_groups)


@dataclass(frozen=True)
class Part:
    """All rows of a geometry, or those of some groups: neighbours are looked for among these alone."""

    of: Geometry
    is_real: npt.NDArray[np.bool_]
    is_other: npt.NDArray[np.bool_]

    @cached_property
    def rows(self) -> Rows:
        """The train rows of the part."""
        return np.flatnonzero(self.is_real)

    def radii(self, k: int) -> Distances:
        """Distance of each train row to its k-th nearest one, (n_rows,)."""
        return _kth(self.of.within[self.rows], self.is_real[self.of.within_at[self.rows]], k)[0]

    @property
    def closest(self) -> tuple[Distances, Rows]:
        """Distance and position of each train row's nearest row of the other side, (n_rows,) each."""
        near = self.of.across_at[self.rows]
        distance, column = _kth(self.of.across[self.rows], self.is_other[near], 1)
        return distance, near[np.arange(len(near)), column]


def _kth(distances: Distances, counts: npt.NDArray[np.bool_], k: int) -> tuple[Distances, Rows]:
    """The k-th neighbour that counts, and its column; the last one known where there are fewer."""
    so_far = np.cumsum(counts, axis=1, dtype=np.int16)
    column = np.where(so_far[:, -1] >= k, (so_far >= k).argmax(axis=1), distances.shape[1] - 1)
    return distances[np.arange(len(distances)), column], column


def geometries(data: Prepared, *, seed: int) -> dict[str, Geometry]:
    """Train rows against synthetic rows, and against holdout rows, at equal n; computed once."""
    key = ("geometries", seed)
    if key not in data.memory:
        n = min(data.equal_n(MAX_POINTS), len(data.real))
        real = data.real.draw(n, seed, "support", "train")
        X = embedding(data).points(real)
        groups = real.groups(N_GROUPS, seed, "support", "train", "groups")
        made = {}
        with one_thread():
            within = nearest(X, X, N_WITHIN, itself=np.arange(n))
            for side, sample in (("synthetic", data.fake), ("holdout", data.held)):
                other = sample.draw(n, seed, "support", side)
                own = other.groups(N_GROUPS, seed, "support", side, "groups")
                made[side] = _geometry(X, embedding(data).points(other), within, groups, own)
        data.memory[key] = made
    found: dict[str, Geometry] = data.memory[key]
    return found


def _geometry(X: Points, Y: Points, within: tuple[Distances, Rows], real_groups: Rows, other_groups: Rows) -> Geometry:
    across, across_at = nearest(X, Y, N_ACROSS)
    inside = counts_within(Y, X, within[0][:, min(K, within[0].shape[1]) - 1])
    return Geometry(
        real_groups=real_groups,
        other_groups=other_groups,
        real_centre=_to_centre(X, X),
        other_centre=_to_centre(Y, Y),
        other_to_real_centre=_to_centre(Y, X),
        within=within[0],
        within_at=within[1],
        across=across,
        across_at=across_at,
        density=float(inside.mean() / K),
    )


def _to_centre(points: npt.NDArray[np.float32], around: npt.NDArray[np.float32]) -> Floats:
    return np.asarray(np.sqrt(((points - around.mean(axis=0)) ** 2).sum(axis=1)), dtype=float)


Figure = Callable[[Part], float]


def _replicates(geometry: Geometry, figure: Figure) -> Floats:
    """A figure on all rows, then on the rows of each replicate, (N_REPLICATES + 1,)."""
    everything = Part(geometry, np.ones(len(geometry), dtype=bool), np.ones(len(geometry), dtype=bool))
    values = [figure(everything)]
    for kept in subsets():
        part = Part(geometry, kept[geometry.real_groups], kept[geometry.other_groups])
        values.append(figure(part) if part.is_real.any() and part.is_other.any() else values[0])
    return np.array(values)


def _score(definition: Definition, data: Prepared, seed: int, figure: Figure, **details: Any) -> MetricResult:
    made = geometries(data, seed=seed)
    value, reference = _replicates(made["synthetic"], figure), _replicates(made["holdout"], figure)
    return definition.result(
        float(value[0]),
        interval=replicate_interval(value, low=0.0, high=1.0),
        n=len(made["synthetic"]),
        reference=float(reference[0]),
        reference_interval=replicate_interval(reference, low=0.0, high=1.0),
        details=details,
    )


@measured(PRECISION, min_rows=MIN_ROWS)
def alpha_precision(data: Prepared, *, seed: int) -> MetricResult:
    """Are synthetic rows typical where real rows are? In [0, 1]; best is the reference (the holdout in their place).

    P_α is the share of synthetic rows within the ball around the mean of train that holds a share α of train; the figure is
    1 - Σ |P_α - α| / Σ α over 29 levels (Alaa et al. 2022, arXiv 2102.08921; on the plain embedding of `features`, no one-class network).
    """
    return _score(PRECISION, data, seed, _alpha_precision)


def _alpha_precision(part: Part) -> float:
    radii = np.quantile(part.of.real_centre[part.is_real], LEVELS)
    distances = np.sort(part.of.other_to_real_centre[part.is_other])
    share = np.searchsorted(distances, radii, side="right") / len(distances)
    return float(1 - np.abs(share - LEVELS).sum() / LEVELS.sum())


@measured(RECALL, min_rows=MIN_ROWS)
def beta_recall(data: Prepared, *, seed: int) -> MetricResult:
    """Do synthetic rows reach all the real ones? In [0, 1]; best is the reference, not 1: above it the release sits on train rows.

    R_β is the share of train rows whose nearest synthetic row is at least as near as their nearest other train row and is among the share
    β of these nearest synthetic rows that lies closest to the centre of the synthetic rows; the figure is 1 - Σ |R_β - β| / Σ β, about
    0.5 for fresh real rows (Alaa et al. 2022, arXiv 2102.08921). As in its authors' code the balls hold shares of the *nearest* synthetic
    rows: with balls that hold shares of all of them, many dimensions draw the nearest rows to the centre and losses cancel out.
    """
    return _score(RECALL, data, seed, _beta_recall)


def _beta_recall(part: Part) -> float:
    distance, position = part.closest
    is_near, depth = distance <= part.radii(1), part.of.other_centre[position]
    share = (is_near & (depth <= np.quantile(depth, LEVELS)[:, None])).mean(axis=1)
    return float(1 - np.abs(share - LEVELS).sum() / LEVELS.sum())


@measured(COVERAGE, min_rows=MIN_ROWS)
def coverage(data: Prepared, *, seed: int) -> MetricResult:
    """Share of train rows whose 5-nearest-neighbour ball holds a synthetic row; in [0, 1], best is the reference.

    Naeem et al. 2020 (arXiv 2002.09797). Details give density, the mean number of such balls that a synthetic row lies in, over 5:
    about 1 for real rows, more where synthetic rows crowd in dense places.
    """
    made = geometries(data, seed=seed)
    return _score(
        COVERAGE, data, seed, _coverage, density=made["synthetic"].density, density_reference=made["holdout"].density, k=K
    )


def _coverage(part: Part) -> float:
    return float((part.closest[0] <= part.radii(K)).mean())
