"""Whether confidence is right: of answers that are 80 % sure, 80 % should be so. Knows no classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.intervals import wilson

N_BINS = 10


def reliability(confidence: npt.ArrayLike, is_right: npt.ArrayLike, *, n_bins: int = N_BINS) -> dict[str, Any]:
    """Confidence against the share of right answers, in bins of equally many answers, and the expected calibration error.

    ECE = sum over bins of n_b / n |mean confidence - share right| (Guo et al. 2017, arXiv 1706.04599); in [0, 1], 0 is best. Bins hold
    equally many answers, as most are sure and bins of equal width would be empty. Chance alone makes it greater than 0;
    `calibration_by_chance` is what it would be on average if confidence were right.

    Parameters
    ----------
    confidence : (n,) in [0, 1]. is_right : (n,) bool.

    Returns
    -------
    dict : `calibration_error`, `calibration_by_chance`, `bins`, each with n, confidence, right and its Wilson interval.
    """
    sure, right = np.asarray(confidence, dtype=float), np.asarray(is_right, dtype=bool)
    n = len(sure)
    if not n:
        return {"calibration_error": None, "calibration_by_chance": None, "bins": []}
    parts = [part for part in np.array_split(np.argsort(sure, kind="stable"), min(n_bins, max(1, n // 10))) if len(part)]
    bins = [
        {
            "n": len(part),
            "confidence": float(sure[part].mean()),
            "right": float(right[part].mean()),
            "interval": wilson(int(right[part].sum()), len(part)),
        }
        for part in parts
    ]
    error = sum(len(part) / n * abs(sure[part].mean() - right[part].mean()) for part in parts)
    spread = sum(len(part) / n * np.sqrt(2 / np.pi * (sure[part] * (1 - sure[part])).sum()) / len(part) for part in parts)
    return {"calibration_error": float(error), "calibration_by_chance": float(spread), "bins": bins}
