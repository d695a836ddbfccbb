"""Excess TSTR: what is left of a model's lead over guessing when it learns from synthetic rows. Knows no privacy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

from judging.tables import MOST_LEVELS, Tables, booster_arrays

N_TREES = 150
LEARNING_RATE = 0.06  # slower than the default: 150 trees of it do not overfit 500 rows
N_RESAMPLES = 300


def labels(tables: Tables, frame: pd.DataFrame) -> np.ndarray:
    """1 where the target has its rarer level."""
    return (frame[tables.target] == tables.positive).to_numpy().astype(int)


def booster_scores(tables: Tables, learn: pd.DataFrame) -> np.ndarray:
    """Scores of the utility holdout by boosted trees learned from `learn`."""
    (x, x_holdout), is_category = booster_arrays(tables, [learn, tables.utility_holdout], [learn], leave_out=[tables.target])
    model = HistGradientBoostingClassifier(
        max_iter=N_TREES,
        learning_rate=LEARNING_RATE,
        early_stopping=False,
        categorical_features=is_category,
        random_state=0,
    )
    return model.fit(x, labels(tables, learn)).predict_proba(x_holdout)[:, 1]


def linear_design(tables: Tables, learn: pd.DataFrame) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Standardised numbers with missing flags, and one-hot levels, for `learn` and the utility holdout."""
    sides = [learn, tables.utility_holdout]
    numbers = list(tables.numbers)
    mean, deviation = learn[numbers].mean().fillna(0.0), learn[numbers].std().replace(0.0, 1.0).fillna(1.0)
    categories = [column for column in tables.categories if column != tables.target]
    encoder = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_LEVELS, dtype=np.float32)
    encoder.fit(learn[categories].fillna("(missing)"))
    made = []
    for side in sides:
        standard = ((side[numbers] - mean) / deviation).clip(-10, 10).fillna(0.0)
        dense = np.column_stack([standard, side[numbers].isna()]).astype(np.float32)
        made.append(sparse.hstack([sparse.csr_matrix(dense), encoder.transform(side[categories].fillna("(missing)"))]).tocsr())
    return made[0], made[1]


def logistic_scores(tables: Tables, learn: pd.DataFrame) -> np.ndarray:
    """Scores of the utility holdout by logistic regression (L2, C = 0.1) learned from `learn`."""
    x, x_holdout = linear_design(tables, learn)
    model = LogisticRegression(C=0.1, max_iter=300).fit(x, labels(tables, learn))
    return model.decision_function(x_holdout)


class Resampler:
    """AUROC of one score on many bootstrap resamples of the same rows, by sorting once and weighting afterwards."""

    def __init__(self, y: np.ndarray, n_resamples: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.y = y
        self.weights = np.ones((n_resamples + 1, len(y)), dtype=np.float32)  # row 0 is the sample itself
        for row in range(1, n_resamples + 1):
            self.weights[row] = np.bincount(generator.integers(0, len(y), len(y)), minlength=len(y))

    def aurocs(self, scores: np.ndarray) -> np.ndarray:
        """AUROC for each resample, shape (n_resamples + 1,); ties count half."""
        order = np.argsort(scores, kind="stable")
        y, sorted_scores = self.y[order], scores[order]
        starts = np.flatnonzero(np.r_[True, np.diff(sorted_scores) != 0])
        result = np.empty(len(self.weights))
        for row, weights in enumerate(self.weights):
            weights = weights[order].astype(float)
            positive = np.add.reduceat(weights * y, starts)
            negative = np.add.reduceat(weights * (1 - y), starts)
            below = np.cumsum(negative) - negative / 2
            result[row] = (positive * below).sum() / max(positive.sum() * negative.sum(), 1e-12)
        return result


SCORERS = {"booster": booster_scores, "logistic": logistic_scores}


def trained_on_real(tables: Tables, seed: int = 0) -> dict[str, list[float]]:
    """AUROC of models learned from train, on the utility holdout and its resamples. Synthetic rows play no part."""
    resampler = Resampler(labels(tables, tables.utility_holdout), N_RESAMPLES, seed)
    return {
        name: [float(auroc) for auroc in resampler.aurocs(scorer(tables, tables.train))] for name, scorer in SCORERS.items()
    }


def excess(tables: Tables, learn: pd.DataFrame, real: dict[str, list[float]], seed: int = 0) -> dict:
    """(AUROC of TSTR - 0.5) / (AUROC of TRTR - 0.5) for both learners, with a bootstrap interval over holdout rows.

    `learn` is cut to train's number of rows; rows without a target are left out. `real` is `trained_on_real` at the
    same seed, whose resamples are the same rows, so the interval is a paired one. It holds the holdout's chance only:
    that of the synthetic draw is seen between seeds.
    """
    learn = learn.iloc[np.random.default_rng(seed).permutation(len(learn))[: len(tables.train)]]
    learn = learn[learn[tables.target].notna()]
    y = labels(tables, tables.utility_holdout)
    resampler = Resampler(y, N_RESAMPLES, seed)
    result: dict = {"n_holdout": len(y), "n_positive": int(y.sum())}
    for name, scorer in SCORERS.items():
        trtr = np.array(real[name])
        if 0 < labels(tables, learn).sum() < len(learn):
            tstr = resampler.aurocs(scorer(tables, learn))
        else:
            tstr = np.full_like(trtr, 0.5)  # one class only: nothing to learn
        ratio = (tstr - 0.5) / (trtr - 0.5)
        low, high = np.quantile(ratio[1:], [0.025, 0.975])
        result[name] = {
            "value": float(ratio[0]),
            "interval": [float(low), float(high)],
            "tstr": float(tstr[0]),
            "trtr": float(trtr[0]),
        }
    return result
