"""Do synthetic rows lie where real rows lie, and everywhere they lie? Precision, recall and coverage on the shared embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Definition, measured
from manikin.evaluation.features import embedding
from manikin.evaluation.intervals import N_GROUPS, jackknife
from manikin.evaluation.neighbours import counts_within, nearest
from manikin.evaluation.prepared import Prepared

Floats = npt.NDArray[np.float64]
MAX_POINTS = 5_000
MIN_ROWS = 12
K = 5  # neighbours that make a real point's ball, as Naeem et al. use
SPARE = 8  # further neighbours kept, so that leaving a group out still leaves K
LEVELS = np.linspace(0, 1, 31)[1:-1]
PRECISION = Definition("alpha_precision", "Alpha-precision", Section.FIDELITY, Direction.REFERENCE)
RECALL = Definition("beta_recall", "Beta-recall", Section.DIVERSITY, Direction.REFERENCE)
COVERAGE = Definition("coverage", "Coverage", Section.DIVERSITY, Direction.REFERENCE)


@dataclass(frozen=True)
class Geometry:
    """Distances between n train rows and n other rows, with the jackknife group of every row.

    Attributes
    ----------
    real_centre, other_centre : distance of each row to the mean of its own side's rows (of the train rows, for `real_to`), (n,).
    other_to_real_centre : distance of each other row to the mean of the train rows, (n,).
    within : distances from a train row to other train rows, nearest first, (n, K + SPARE); `within_groups` their groups.
    across : distances from a train row to the other side, nearest first, (n, SPARE); `across_at` their positions.
    """

    real_groups: npt.NDArray[np.int64]
    other_groups: npt.NDArray[np.int64]
    real_centre: Floats
    other_centre: Floats
    other_to_real_centre: Floats
    within: npt.NDArray[np.float32]
    within_groups: npt.NDArray[np.int64]
    across: npt.NDArray[np.float32]
    across_at: npt.NDArray[np.int64]
    density: float

    def __len__(self) -> int:
        return len(self.real_groups)

    def radii(self, group: int) -> npt.NDArray[np.float32]:
        """Distance of each train row to its K-th nearest one outside the group (group -1: all count), (n,)."""
        return _kth_outside(self.within, self.within_groups, group, K)[0]

    def closest(self, group: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Distance and position of each train row's nearest row of the other side outside the group, (n,) each."""
        distance, column = _kth_outside(self.across, self.other_groups[self.across_at], group, 1)
        return distance, self.across_at[np.arange(len(self)), column]


def _kth_outside(
    distances: npt.NDArray[np.float32], groups: npt.NDArray[np.int64], group: int, k: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """The k-th neighbour that is not in the group; the last one known where there are fewer."""
    enough = np.cumsum(groups != group, axis=1) >= k
    column = np.where(enough[:, -1], enough.argmax(axis=1), distances.shape[1] - 1)
    return distances[np.arange(len(distances)), column], column


def geometries(data: Prepared, *, seed: int) -> dict[str, Geometry]:
    """Train rows against synthetic rows, and against holdout rows, at equal n; computed once."""
    key = ("geometries", seed)
    if key not in data.memory:
        n = min(data.equal_n(MAX_POINTS), len(data.real))
        with one_thread():
            data.memory[key] = {side: _geometry(data, side, n, seed) for side in ("synthetic", "holdout")}
    made: dict[str, Geometry] = data.memory[key]
    return made


def _geometry(data: Prepared, side: str, n: int, seed: int) -> Geometry:
    real = data.real.draw(n, seed, "support", "train")
    other = (data.fake if side == "synthetic" else data.held).draw(n, seed, "support", side)
    X, Y = embedding(data).points(real), embedding(data).points(other)
    real_groups = real.groups(N_GROUPS, seed, "support", "train", "groups")
    within, within_at = nearest(X, X, K + SPARE, itself=np.arange(n))
    across, across_at = nearest(X, Y, SPARE)
    inside = counts_within(Y, X, within[:, min(K, within.shape[1]) - 1])
    return Geometry(
        real_groups=real_groups,
        other_groups=other.groups(N_GROUPS, seed, "support", side, "groups"),
        real_centre=_to_centre(X, X),
        other_centre=_to_centre(Y, Y),
        other_to_real_centre=_to_centre(Y, X),
        within=within,
        within_groups=real_groups[within_at],
        across=across,
        across_at=across_at,
        density=float(inside.mean() / K),
    )


def _to_centre(points: npt.NDArray[np.float32], around: npt.NDArray[np.float32]) -> Floats:
    return np.asarray(np.sqrt(((points - around.mean(axis=0)) ** 2).sum(axis=1)), dtype=float)


def _over_groups(geometry: Geometry, figure: Any) -> Floats:
    """A figure on all rows, then without each group, (N_GROUPS + 1,)."""
    return np.array([figure(geometry, group) for group in range(-1, N_GROUPS)])


def _score(definition: Definition, data: Prepared, seed: int, figure: Any, **details: Any) -> MetricResult:
    made = geometries(data, seed=seed)
    value, reference = _over_groups(made["synthetic"], figure), _over_groups(made["holdout"], figure)
    return definition.result(
        float(value[0]),
        interval=jackknife(value, low=0.0, high=1.0),
        n=len(made["synthetic"]),
        reference=float(reference[0]),
        reference_interval=jackknife(reference, low=0.0, high=1.0),
        details=details,
    )


@measured(PRECISION, min_rows=MIN_ROWS)
def alpha_precision(data: Prepared, *, seed: int) -> MetricResult:
    """Are synthetic rows typical where real rows are? In [0, 1]; best is the reference (the holdout in their place).

    P_α is the share of synthetic rows within the ball around the mean of train that holds a share α of train; the figure is
    1 - Σ |P_α - α| / Σ α over 29 levels (Alaa et al. 2022, arXiv 2102.08921; on the plain embedding of `features`, no one-class network).
    """
    return _score(PRECISION, data, seed, _alpha_precision)


def _alpha_precision(geometry: Geometry, group: int) -> float:
    radii = np.quantile(geometry.real_centre[geometry.real_groups != group], LEVELS)
    distances = np.sort(geometry.other_to_real_centre[geometry.other_groups != group])
    share = np.searchsorted(distances, radii, side="right") / len(distances)
    return float(1 - np.abs(share - LEVELS).sum() / LEVELS.sum())


@measured(RECALL, min_rows=MIN_ROWS)
def beta_recall(data: Prepared, *, seed: int) -> MetricResult:
    """Do synthetic rows reach all the real ones? In [0, 1]; best is the reference, not 1: above it the release sits on train rows.

    R_β is the share of train rows whose nearest synthetic row is nearer than their 5th nearest train row and lies within the ball that
    holds a share β of the synthetic rows; the figure is 1 - Σ |R_β - β| / Σ β (Alaa et al. 2022, arXiv 2102.08921).
    """
    return _score(RECALL, data, seed, _beta_recall)


def _beta_recall(geometry: Geometry, group: int) -> float:
    kept = geometry.real_groups != group
    distance, position = geometry.closest(group)
    is_near = (distance <= geometry.radii(group))[kept]
    depth = geometry.other_centre[position[kept]]
    radii = np.quantile(geometry.other_centre[geometry.other_groups != group], LEVELS)
    share = (is_near & (depth <= radii[:, None])).mean(axis=1)
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


def _coverage(geometry: Geometry, group: int) -> float:
    kept = geometry.real_groups != group
    return float((geometry.closest(group)[0] <= geometry.radii(group))[kept].mean())
