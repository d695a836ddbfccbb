"""Exact copies and a nearest-neighbour membership attack. One attack: passing it proves nothing, failing it does."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import beta
from sklearn.metrics import roc_auc_score

from judging.fidelity import distances
from judging.tables import Tables, embedding

MOST_CANDIDATES = 2_000
MOST_SYNTHETIC = 16_000
FALSE_POSITIVE_RATE = 0.01


def copies(tables: Tables, frame: pd.DataFrame) -> dict:
    """Share and number of rows that are a row of train, all cells equal."""
    train = set(pd.util.hash_pandas_object(tables.train, index=False))
    found = pd.util.hash_pandas_object(frame[tables.train.columns], index=False).isin(train)
    return {"share": float(found.mean()), "n": int(found.sum())}


def membership(tables: Tables, frame: pd.DataFrame, seed: int = 0) -> dict:
    """Attack: a candidate close to a synthetic row is called a member. Candidates: as many train rows as holdout rows.

    AUC 0.5 is the best. TPR at 1 % FPR comes with its Clopper-Pearson interval, the threshold being taken as known.
    """
    generator = np.random.default_rng(seed)
    n = min(len(tables.train), len(tables.test), MOST_CANDIDATES)
    sides = [side.iloc[generator.permutation(len(side))[:n]] for side in (tables.train, tables.test)]
    made = frame.iloc[generator.permutation(len(frame))[:MOST_SYNTHETIC]]
    members, strangers, points = embedding(tables, [*sides, made])
    scores = [-distances(side, points).min(1) for side in (members, strangers)]
    threshold = np.quantile(scores[1], 1 - FALSE_POSITIVE_RATE, method="higher")
    hits = int((scores[0] > threshold).sum())
    return {
        "auc": float(roc_auc_score(np.repeat([1, 0], n), np.concatenate(scores))),
        "tpr_at_1_percent_fpr": hits / n,
        "tpr_interval": [float(bound) for bound in clopper_pearson(hits, n)],
        "n": n,
    }


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Exact binomial interval (doi:10.1093/biomet/26.4.404)."""
    tail = (1 - level) / 2
    low = beta.ppf(tail, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(1 - tail, hits + 1, n - hits) if hits < n else 1.0
    return low, high
