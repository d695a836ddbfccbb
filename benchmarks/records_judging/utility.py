"""TSTR: predict the held-out patients' outcome with what was learned from made ones, beside what was learned from train.

What is known only after the fact (the length of the stay, the survival, scores of the whole stay) is left out on all sides.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from judging.utility import Resampler
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from records_judging import features

N_RESAMPLES = 500
N_TREES, LEARNING_RATE = 150, 0.05


def booster_scores(learn: pd.DataFrame, y: np.ndarray, held_out: pd.DataFrame, is_category: np.ndarray) -> np.ndarray:
    """Scores of the held-out patients by boosted trees."""
    seen = learn.notna().any().to_numpy()  # a column that nobody has a value in cannot be binned
    model = HistGradientBoostingClassifier(
        max_iter=N_TREES, learning_rate=LEARNING_RATE, early_stopping=False, categorical_features=is_category[seen], random_state=0
    )
    model.fit(learn.loc[:, seen].to_numpy(float), y)
    return model.predict_proba(held_out.loc[:, seen].to_numpy(float))[:, 1]


def logistic_scores(learn: pd.DataFrame, y: np.ndarray, held_out: pd.DataFrame, is_category: np.ndarray) -> np.ndarray:
    """Scores of the held-out patients by logistic regression (L2, C = 0.01: there are hundreds of features)."""
    one_hot = [pd.get_dummies(frame, columns=list(frame.columns[is_category]), dtype=float) for frame in (learn, held_out)]
    design, holdout = one_hot[0], one_hot[1].reindex(columns=one_hot[0].columns, fill_value=0.0)
    model = LogisticRegression(C=0.01, max_iter=500).fit(features.dense(design, design), y)
    return model.decision_function(features.dense(holdout, design))


SCORERS = {"booster": booster_scores, "logistic": logistic_scores}


def trained(
    learn: pd.DataFrame, y: np.ndarray, held_out: pd.DataFrame, truth: np.ndarray, is_category: np.ndarray
) -> dict[str, np.ndarray]:
    """AUROC of both learners on the held-out patients and on resamples of them (row 0 is the sample itself)."""
    resampler = Resampler(truth, N_RESAMPLES, 0)
    if len(y) < 10 or not 1 < y.sum() < len(y) - 1:
        return {name: np.full(N_RESAMPLES + 1, 0.5) for name in SCORERS}  # one class only: nothing to learn
    return {name: resampler.aurocs(scorer(learn, y, held_out, is_category)) for name, scorer in SCORERS.items()}


def excess(made: dict[str, np.ndarray], real: dict[str, np.ndarray]) -> dict:
    """(AUROC of TSTR - 0.5) / (AUROC of TRTR - 0.5) for both learners, with a paired bootstrap interval over held-out patients."""
    out = {}
    for name in SCORERS:
        ratio = (made[name] - 0.5) / (real[name] - 0.5)
        low, high = np.quantile(ratio[1:], [0.025, 0.975])
        out[name] = {
            "value": float(ratio[0]),
            "interval": [float(low), float(high)],
            "tstr": float(made[name][0]),
            "trtr": float(real[name][0]),
        }
    return out
