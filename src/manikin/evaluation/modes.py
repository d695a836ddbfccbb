"""Has the release collapsed onto a few kinds of patient? How evenly it fills clusters that were learned on train. Knows no single row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import derive
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured, rounded
from manikin.evaluation.features import Points, embedding
from manikin.evaluation.intervals import N_GROUPS, replicate_interval, with_replicates
from manikin.evaluation.neighbours import nearest
from manikin.evaluation.prepared import Prepared, Sample

Floats = npt.NDArray[np.float64]
MAX_FIT = 5_000
MAX_ROWS = 20_000
MAX_MODES = 50
ROWS_PER_MODE = 20
MIN_ROWS = 2 * ROWS_PER_MODE
N_LISTED = 10
MODE_COLLAPSE = Definition("mode_collapse", "Variety kept (no mode collapse)", Section.DIVERSITY, Direction.HIGHER)


@measured(MODE_COLLAPSE, min_rows=MIN_ROWS)
def mode_collapse(data: Prepared, *, seed: int) -> MetricResult:
    """The share of the real variety that the release effectively fills, exp(-KL(q ‖ p)); in [0, 1], 1 is best.

    p and q are the shares of train and of synthetic rows in 50 clusters (one for 20 train rows at most) that k-means found in train
    on the shared embedding, KL(q ‖ p) = Σ q log(q/p). A release that is as it should be in some clusters and never enters the others
    scores exactly the share of train rows in those it enters; one that heaps up on one cluster scores little. It is the effective number
    of clusters (the exponential of the entropy, as in the Vendi score, arXiv 2210.02410) with clusters weighed by their real size;
    `details` has the plain effective numbers too. The reference is the holdout's at equal n. Rows may be varied and wrong: c2st tells.
    """
    n = data.equal_n(MAX_ROWS)
    sides = {
        "train": data.real.draw(MAX_ROWS, seed, "modes", "train"),
        "holdout": data.held.draw(n, seed, "modes", "holdout"),
        "synthetic": data.fake.draw(n, seed, "modes", "synthetic"),
    }
    points = {side: embedding(data).points(sample) for side, sample in sides.items()}
    with one_thread():
        centres = _centres(points["train"], seed)
        modes = {side: nearest(part, centres, 1)[1][:, 0] for side, part in points.items()}
    shares = {side: _shares(sides[side], modes[side], len(centres), seed, side) for side in sides}
    value, reference = (_divergence(shares[side], shares["train"]) for side in ("synthetic", "holdout"))
    return MODE_COLLAPSE.result(
        float(np.exp(-value[0])),
        interval=_interval(value),
        n=n,
        reference=float(np.exp(-reference[0])),
        reference_interval=_interval(reference),
        details={
            "n_modes": len(centres),
            "effective_modes": _effective(shares["synthetic"][0]),
            "effective_modes_reference": _effective(shares["holdout"][0]),
            "effective_modes_train": _effective(shares["train"][0]),
            "empty_modes": int((shares["synthetic"][0] == 0).sum()),
            "empty_modes_reference": int((shares["holdout"][0] == 0).sum()),
            "modes": _listed(shares, data.schema.min_patients / len(sides["train"])),
        },
    )


def _centres(points: Points, seed: int) -> Points:
    """Centres of k-means on a part of the train rows; clusters that no train row is nearest to do not occur."""
    from sklearn.cluster import KMeans

    step = max(1, len(points) // MAX_FIT)
    drawn = points[::step][:MAX_FIT]
    n_distinct = len(np.unique(drawn, axis=0))
    n_modes = min(MAX_MODES, len(drawn) // ROWS_PER_MODE, n_distinct)
    if n_modes < 2:
        raise UndefinedMetricError("all train rows are alike")
    state = derive(seed, "modes", "k-means") % 2**32
    found = KMeans(n_modes, n_init=1, max_iter=30, random_state=state).fit(drawn).cluster_centers_.astype(np.float32)
    used = np.unique(nearest(points, found, 1)[1][:, 0])
    if len(used) < 2:
        raise UndefinedMetricError("all train rows are alike")
    return np.asarray(found[used])


def _shares(sample: Sample, modes: npt.NDArray[np.int64], n_modes: int, seed: int, side: str) -> Floats:
    """Share of rows in each cluster, (N_REPLICATES + 1, n_modes): on all rows, then on each replicate."""
    groups = sample.groups(N_GROUPS, seed, "modes", side, "groups")
    counts = np.bincount(groups * n_modes + modes, minlength=N_GROUPS * n_modes).reshape(N_GROUPS, n_modes)
    totals = with_replicates(counts)
    return np.asarray(totals / np.maximum(totals.sum(axis=1, keepdims=True), 1))


def _divergence(q: Floats, p: Floats) -> Floats:
    """KL(q ‖ p), (N_REPLICATES + 1,). A cluster that a replicate of train misses has the share it has in all of train."""
    known = np.where(p > 0, p, p[:1])
    terms = np.where(q > 0, q * np.log(np.where(q > 0, q, 1.0) / known), 0.0)
    return np.asarray(np.maximum(terms.sum(axis=1), 0.0))


def _interval(divergence: Floats) -> tuple[float, float]:
    """95 % interval of exp(-KL), taken on √KL, which grows linearly where KL is flat."""
    low, high = replicate_interval(np.sqrt(divergence), low=0.0)
    return float(np.exp(-(high**2))), float(np.exp(-(low**2)))


def _effective(shares: Floats) -> float:
    """exp of the entropy: how many equally filled clusters are as varied."""
    held = shares[shares > 0]
    return float(np.exp(-(held * np.log(held)).sum()))


def _listed(shares: dict[str, Floats], least: float) -> list[dict[str, Any]]:
    """The clusters that are most over- and under-filled: numbered, never described, none of fewer train rows than the threshold."""
    excess = shares["synthetic"][0] - shares["train"][0]
    order = [i for i in np.argsort(-np.abs(excess), kind="stable") if shares["train"][0][i] >= least][:N_LISTED]
    return [{"mode": int(i), **{side: rounded(float(part[0][i])) for side, part in shares.items()}} for i in order]
