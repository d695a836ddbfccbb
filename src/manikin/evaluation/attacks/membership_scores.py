"""How near the release comes to a person, and how near to be expected: the scores by which a membership attack names people.

Knows no threshold: `hit_rates` sets it. All scores rise with the likelihood of membership.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.evaluation.features import Embedding, Points
from manikin.evaluation.neighbours import nearest
from manikin.evaluation.prepared import Sample

Floats = npt.NDArray[np.float64]
N_NEIGHBOURS = 20
K_DENSITY = 5
WINDOW = 0.025  # half the width, in quantiles, of the window in which numbers count as the same
CHUNK_CELLS = 4_000_000
TINY = 1e-6  # keeps the logarithm of a copy's distance finite, and far above all others
SCORES: Mapping[str, str] = {
    "nearest": "distance to the nearest released row",
    "density_ratio_1": "that distance against the one to the nearest other real row",
    "density_ratio_5": "the same with the fifth nearest rows",
    "local_likelihood": "released rows against real rows in the person's own neighbourhood",
    "rare_values": "nearest rows by a distance that weighs each column by how rare the person's value is",
}


@dataclass(frozen=True)
class Near:
    """What lies around targets on one side.

    Attributes
    ----------
    distances : float32 (n_targets, k), the nearest rows' distances, nearest first.
    rare : float64 (n_targets,), the least distance among these rows with columns weighed by rarity.
    n_points : how many rows there were.
    """

    distances: npt.NDArray[np.float32]
    rare: Floats
    n_points: int


@dataclass(frozen=True)
class Crowd:
    """Targets as points, and the weight of each dimension for each target, float32 (n_targets, n_dimensions) both."""

    points: Points
    weights: Points


def crowd(fitted: Embedding, targets: Sample, known: Sample) -> Crowd:
    """Targets with their weights: the information -log2 of the share of known real rows that have a target's value, per column.

    A number's share is that of the rows within 2.5 % of them on either side, or of the value itself where it is a spike.
    """
    points, others = fitted.points(targets), fitted.points(known)
    weights = np.empty_like(points)
    start = 0
    for feature, kept in zip(fitted.features, fitted.kept, strict=True):
        width = 2 if feature.is_number else len(kept) + 2
        span = slice(start, start + width)
        mine, theirs = points[:, span], others[:, span]
        if feature.is_number:
            shares = _number_shares(mine, theirs)
        else:
            shares = (theirs > 0).mean(axis=0)[np.argmax(mine, axis=1)]
        weights[:, span] = -np.log2(np.clip(shares, 1 / (len(known) + 1), 0.99))[:, None]
        start += width
    return Crowd(points, weights)


def around(targets: Crowd, points: Points) -> Near:
    """The nearest rows of each target among `points`."""
    distances, positions = nearest(targets.points, points, N_NEIGHBOURS)
    rare = np.empty(len(distances))
    step = max(1, CHUNK_CELLS // max(1, positions.shape[1] * points.shape[1]))
    for start in range(0, len(rare), step):
        rows = slice(start, start + step)
        gaps = (targets.points[rows, None, :] - points[positions[rows]]) ** 2
        rare[rows] = np.sqrt(np.einsum("tkd,td->tk", gaps, targets.weights[rows]).min(axis=1))
    return Near(distances, rare, len(points))


def together(first: Near, second: Near) -> Near:
    """The nearest rows among two sets of points that were searched apart."""
    both = np.sort(np.hstack([first.distances, second.distances]), axis=1)[:, :N_NEIGHBOURS]
    return Near(both, np.minimum(first.rare, second.rare), first.n_points + second.n_points)


def scores(release: Near, known: Near) -> dict[str, Floats]:
    """Every score of every target, (n_targets,) each; `known` are real rows of the population that the attacker holds.

    Density ratios after DOMIAS (van Breugel et al. 2023, arXiv 2302.12580): log d_k(known) - log d_k(release). The local likelihood is
    the logarithm of a Gaussian kernel's sum over the 20 nearest released rows per row, less that over known rows; its width is the
    distance to the target's fifth nearest known row, so that people in thin places have wide neighbourhoods.
    """
    log_release, log_known = (np.log(side.distances.astype(float) + TINY) for side in (release, known))
    k = min(K_DENSITY, log_release.shape[1], log_known.shape[1]) - 1
    width = known.distances[:, k].astype(float) + TINY
    return {
        "nearest": -log_release[:, 0],
        "density_ratio_1": log_known[:, 0] - log_release[:, 0],
        "density_ratio_5": log_known[:, k] - log_release[:, k],
        "local_likelihood": _log_kernel(release, width) - _log_kernel(known, width),
        "rare_values": np.log(known.rare + TINY) - np.log(release.rare + TINY),
    }


def _log_kernel(side: Near, width: Floats) -> Floats:
    from scipy.special import logsumexp

    exponents = -0.5 * (side.distances / width[:, None]) ** 2
    return np.asarray(logsumexp(exponents, axis=1)) - np.log(side.n_points)


def _number_shares(mine: Points, theirs: Points) -> Floats:
    """Share of known rows whose number lies within the window around each target's, or that miss it as the target does."""
    is_missing, present = mine[:, 1] > 0, np.sort(theirs[theirs[:, 1] == 0, 0])
    within = np.searchsorted(present, mine[:, 0] + WINDOW, "right") - np.searchsorted(present, mine[:, 0] - WINDOW, "left")
    return np.asarray(np.where(is_missing, (theirs[:, 1] > 0).mean(), within / len(theirs)))
