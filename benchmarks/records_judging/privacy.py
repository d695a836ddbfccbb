"""A nearest-patient membership attack. One attack of many: failing it proves a leak, passing it proves nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
from judging.privacy import FALSE_POSITIVE_RATE, clopper_pearson
from sklearn.metrics import roc_auc_score

MOST_CANDIDATES, MOST_MADE = 1_000, 8_000
BLOCK = 200


def embedding(frame: pd.DataFrame, train: pd.DataFrame, is_category: np.ndarray) -> np.ndarray:
    """Ranks within train for numbers (0.5 and a flag where missing), 0/1 for levels: every feature weighs alike."""
    columns = []
    for place, name in enumerate(train.columns):
        cells, real = frame[name].to_numpy(float), train[name].to_numpy(float)
        if is_category[place]:
            columns += [(cells == level) / np.sqrt(2) for level in np.unique(real[~np.isnan(real)])]
            continue
        sorted_real = np.sort(real[~np.isnan(real)])
        low, high = (np.searchsorted(sorted_real, cells, side) for side in ("left", "right"))
        missing = np.isnan(cells)
        columns.append(np.where(missing, 0.5, (low + high) / 2 / max(len(sorted_real), 1)))
        if np.isnan(real).any():
            columns.append(missing / 2)
    return np.column_stack(columns)


def nearest(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Distance of each row of `first` to the nearest of `second`."""
    squares = (second**2).sum(1)
    out = [
        (part**2).sum(1) + (squares - 2 * part @ second.T).min(1)
        for part in (first[start : start + BLOCK] for start in range(0, len(first), BLOCK))
    ]
    return np.sqrt(np.maximum(np.concatenate(out), 0.0))


def membership(train: pd.DataFrame, held_out: pd.DataFrame, made: pd.DataFrame, is_category: np.ndarray, seed: int = 0) -> dict:
    """A patient near a made one is called a member. AUC 0.5 is the best; TPR at 1 % FPR with its exact binomial interval."""
    generator = np.random.default_rng(seed)
    n = min(len(train), len(held_out), MOST_CANDIDATES)
    points = embedding(made.iloc[generator.permutation(len(made))[:MOST_MADE]], train, is_category)
    scores = [
        -nearest(embedding(side.iloc[generator.permutation(len(side))[:n]], train, is_category), points) for side in (train, held_out)
    ]
    threshold = np.quantile(scores[1], 1 - FALSE_POSITIVE_RATE, method="higher")
    hits = int((scores[0] > threshold).sum())
    return {
        "auc": float(roc_auc_score(np.repeat([1, 0], n), np.concatenate(scores))),
        "tpr_at_1_percent_fpr": hits / n,
        "tpr_interval": [float(bound) for bound in clopper_pearson(hits, n)],
        "copies": float((-scores[0] < 1e-6).mean()),
        "n": n,
    }
