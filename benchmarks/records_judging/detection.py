"""C2ST on whole patients: can trees tell made patients from held-out ones? Knows no target.

Lopez-Paz & Oquab, Revisiting classifier two-sample tests (arXiv 1610.06545), scored by AUC of five folds: 0.5 is the best. Boosted trees,
and a random forest below 100 patients a side, where boosting has too few to split.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from judging.detection import N_FOLDS, auc_within_folds
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

MOST_DRAWS = 5
ENOUGH = 400  # patients a side, from which two draws are enough
FEW = 100  # patients a side, below which a forest is used
N_TREES = 300


def told_apart(first: np.ndarray, second: np.ndarray, is_category: np.ndarray, seed: int) -> float:
    """Mean AUC over five folds."""
    few = np.minimum(np.isfinite(first).sum(0), np.isfinite(second).sum(0)) < N_FOLDS  # a fold may see none, which cannot be binned
    missing = np.isnan(np.concatenate([first[:, few], second[:, few]]))  # whether there is a value still counts
    first, second = (np.column_stack([side[:, ~few], part]) for side, part in zip((first, second), np.split(missing, 2), strict=True))
    is_category = np.concatenate([is_category[~few], np.zeros(int(few.sum()), bool)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if len(first) >= FEW:
            return auc_within_folds(first, second, is_category, seed)
        x, y = np.concatenate([first, second]), np.repeat([0, 1], [len(first), len(second)])
        aucs = []
        for fit, held_out in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(x, y):
            forest = RandomForestClassifier(N_TREES, random_state=seed).fit(x[fit], y[fit])
            aucs.append(roc_auc_score(y[held_out], forest.predict_proba(x[held_out])[:, 1]))
        return float(np.mean(aucs))


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
        aucs.append(told_apart(*sides, is_category, seed + draw))
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
        aucs.append(told_apart(*sides, is_category, seed + draw))
    return {"auc": float(np.mean(aucs)), "draws": aucs, "n": n}
