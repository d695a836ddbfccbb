"""How far two analyses agree, coefficient by coefficient. Knows no table and no model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.evaluation.inference.combining import Combined

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Z = 1.959964
N_DRAWS = 400


@dataclass(frozen=True)
class Agreement:
    """Per coefficient, (n,): overlap of intervals, (q̄ − real) / real standard error; do sign, significance and conclusion agree.

    A coefficient that the synthetic tables do not give (`is_missing`) has overlap 0, no difference, and agrees in nothing.
    """

    overlap: Floats
    difference: Floats
    same_sign: Flags
    same_significance: Flags
    same_conclusion: Flags
    is_covered: Flags
    is_missing: Flags


def interval_overlap(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> Floats:
    """Mean of the shares of two intervals that their common part takes (Karr et al. 2006, doi:10.1198/000313006X124640).

    With intervals (l, u) and the common part from L = max of the lows to U = min of the highs: ½ ((U − L)/(u₁ − l₁) + (U − L)/(u₂ − l₂)).
    1 when they are the same, 0 when they touch, negative by how far they lie apart; of two equally wide ones 1 − |difference| / width.
    """
    common = np.minimum(first[1], second[1]) - np.maximum(first[0], second[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((common / (first[1] - first[0]) + common / (second[1] - second[0])) / 2)


def agreement(real: Floats, error: Floats, made: Combined) -> Agreement:
    """Compares estimates and standard errors of the real analysis with the combined synthetic one, all (n,).

    The conclusion is the same when both are significant at 5 % with the same sign, or neither is significant.
    """
    is_missing = ~(np.isfinite(made.estimate) & np.isfinite(made.standard_error) & (made.standard_error > 0))
    overlap = interval_overlap((real - Z * error, real + Z * error), made.interval)
    same_sign = np.sign(real) == np.sign(made.estimate)
    is_sure, looks_sure = np.abs(real) > Z * error, made.p_value < 0.05
    covered = (made.interval[0] <= real) & (real <= made.interval[1])
    known = ~is_missing
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.where(known, (made.estimate - real) / error, np.nan)
    return Agreement(
        overlap=np.where(known, overlap, 0.0),
        difference=difference,
        same_sign=same_sign & known,
        same_significance=(is_sure == looks_sure) & known,
        same_conclusion=(is_sure == looks_sure) & (same_sign | ~is_sure) & known,
        is_covered=covered & known,
        is_missing=is_missing,
    )


def overlap_draws(real: Floats, covariance: Floats, made: Combined, spread: Floats, rng: np.random.Generator) -> Floats:
    """Sums over coefficients of the overlap under N_DRAWS draws of the noise of both analyses, (N_DRAWS,).

    The difference of the two vectors of estimates is drawn anew around what was seen, from a normal law whose covariance is the sum of the
    two analyses' (sandwiches over patients where patients have several rows): a parametric bootstrap that needs no further fit.

    Parameters
    ----------
    covariance, spread : of the real estimates and of q̄, (n, n); NaN rows of `spread` are coefficients that are missing.
    """
    known = np.flatnonzero(np.isfinite(made.estimate) & np.isfinite(np.diag(spread)) & (made.standard_error > 0))
    if not len(known):
        return np.zeros(N_DRAWS)
    values, vectors = np.linalg.eigh((covariance + spread)[np.ix_(known, known)])
    noise = rng.normal(size=(N_DRAWS, len(known))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    half = Z * np.sqrt(np.diag(covariance)[known])
    low, high = made.interval[0][known] + noise, made.interval[1][known] + noise
    return np.asarray(interval_overlap((real[known] - half, real[known] + half), (low, high)).sum(axis=1))
