"""C2ST: can boosted trees tell synthetic rows from holdout rows? Knows nothing of targets or privacy.

Lopez-Paz & Oquab, Revisiting classifier two-sample tests (arXiv 1610.06545), scored by AUC: 0.5 is the best.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from judging.tables import Tables, booster_arrays

N_TREES = 150
N_FOLDS = 5
N_DRAWS = 5


def auc_within_folds(first: np.ndarray, second: np.ndarray, is_category: np.ndarray, seed: int) -> float:
    """Mean over five folds of the AUC of the held-out fold, ranks taken within the fold."""
    x = np.concatenate([first, second])
    y = np.repeat([0, 1], [len(first), len(second)])
    aucs = []
    for fit, held_out in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(x, y):
        booster = HistGradientBoostingClassifier(
            max_iter=N_TREES, early_stopping=False, categorical_features=is_category, random_state=seed
        ).fit(x[fit], y[fit])
        aucs.append(roc_auc_score(y[held_out], booster.predict_proba(x[held_out])[:, 1]))
    return float(np.mean(aucs))


def c2st(tables: Tables, real: pd.DataFrame, other: pd.DataFrame, n_draws: int = N_DRAWS, seed: int = 0) -> dict:
    """AUC of `other` against `real`, balanced, averaged over draws while there are more rows than one draw takes.

    Draws are disjoint as long as the rows last; then the rows are shuffled anew.
    """
    n = min(len(real), len(other))
    (x_real, x_other), is_category = booster_arrays(tables, [real, other], [real, other])
    generator = np.random.default_rng(seed)
    draws = n_draws if max(len(real), len(other)) > n else 1
    order = np.concatenate([generator.permutation(len(other)) for _ in range(draws)])
    n_disjoint = len(other) // n
    aucs = []
    for draw in range(draws):
        turn, part = divmod(draw, n_disjoint)
        start = turn * len(other) + part * n
        chosen_real = generator.permutation(len(real))[:n]
        aucs.append(auc_within_folds(x_real[chosen_real], x_other[order[start : start + n]], is_category, seed + draw))
    return {
        "auc": float(np.mean(aucs)),
        "deviation": float(np.std(aucs)),
        "n": n,
        "draws": [round(auc, 4) for auc in aucs],
    }


def c2st_of_halves(tables: Tables, n_draws: int, seed: int = 0) -> dict:
    """The reference: train half against train half, with no more rows a side than the holdout has."""
    generator = np.random.default_rng([7, seed])
    n = min(len(tables.test), len(tables.train) // 2)
    aucs = []
    for _ in range(n_draws):
        order = generator.permutation(len(tables.train))
        one, two = tables.train.iloc[order[:n]], tables.train.iloc[order[n : 2 * n]]
        aucs.append(c2st(tables, one, two, 1, seed)["auc"])
    return {
        "auc": float(np.mean(aucs)),
        "deviation": float(np.std(aucs)),
        "n": n,
        "draws": [round(auc, 4) for auc in aucs],
    }
