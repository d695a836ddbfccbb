"""C2ST on whole patients: can boosted trees tell made patients from held-out ones? Knows no target.

Lopez-Paz & Oquab, Revisiting classifier two-sample tests (arXiv 1610.06545), scored by AUC of five folds: 0.5 is the best.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from judging.detection import auc_within_folds

MOST_DRAWS = 5
ENOUGH = 400  # patients a side, from which two draws are enough


def c2st(real: pd.DataFrame, other: pd.DataFrame, is_category: np.ndarray, seed: int = 0) -> dict:
    """AUC of `other` against `real`, balanced, averaged over draws of patients from the larger side."""
    n = min(len(real), len(other))
    if n < 10:
        return {"auc": float("nan"), "draws": [], "n": n}
    draws = 1 if len(real) == len(other) else 2 if n >= ENOUGH else MOST_DRAWS
    generator = np.random.default_rng(seed)
    aucs = []
    for draw in range(draws):
        sides = [side.iloc[generator.permutation(len(side))[:n]].to_numpy(float) for side in (real, other)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an all-missing feature has no bins
            aucs.append(auc_within_folds(*sides, is_category, seed + draw))
    return {"auc": float(np.mean(aucs)), "draws": aucs, "n": n}


def c2st_of_halves(train: pd.DataFrame, n: int, is_category: np.ndarray, seed: int = 0) -> dict:
    """What real patients score: disjoint parts of train, of the holdout's size where train has twice as many."""
    n = min(n, len(train) // 2)
    draws = 2 if n >= ENOUGH else MOST_DRAWS
    generator = np.random.default_rng(seed)
    aucs = []
    for draw in range(draws):
        order = generator.permutation(len(train))
        sides = [train.iloc[order[part * n : (part + 1) * n]].to_numpy(float) for part in range(2)]
        aucs.append(auc_within_folds(*sides, is_category, seed + draw))
    return {"auc": float(np.mean(aucs)), "draws": aucs, "n": n}
