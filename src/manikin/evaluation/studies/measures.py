"""What is measured of a downstream model, over all test rows and group by group (fairlearn's MetricFrame). Knows no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
MIN_ROWS, MIN_OF_EACH = 30, 5  # a group with fewer test rows, positives or negatives is not measured
N_BINS = 10


@dataclass(frozen=True)
class Measure:
    """A figure's title and its better direction (REFERENCE: the closer to 0 the better)."""

    title: str
    direction: Direction
    is_of_group: bool = True


MEASURES: dict[str, Measure] = {
    "auroc": Measure("AUROC", Direction.HIGHER),
    "auprc": Measure("AUPRC", Direction.HIGHER),
    "recall": Measure("Recall", Direction.HIGHER),
    "precision": Measure("Precision", Direction.HIGHER),
    "f1": Measure("F1", Direction.HIGHER),
    "brier": Measure("Brier score", Direction.LOWER),
    "calibration_error": Measure("Calibration error", Direction.LOWER),
    "overprediction": Measure("Overprediction", Direction.REFERENCE),
    "brier_recalibrated": Measure("Brier score, recalibrated", Direction.LOWER, is_of_group=False),
}
GAP = "equalized_odds_gap"  # followed by " by COLUMN"


def gap_name(column: str) -> str:
    """How the equalised-odds gap between a column's groups is called."""
    return f"{GAP} by {column}"


def measure_of(name: str) -> Measure:
    """Title and direction of a figure by name, gaps between groups included."""
    if name in MEASURES:
        return MEASURES[name]
    return Measure(f"Equalised-odds gap{name.removeprefix(GAP)}", Direction.LOWER, is_of_group=False)


def threshold(truth: Flags, scores: Floats) -> float:
    """The score from which a row is flagged: the largest Youden index (recall + specificity - 1) on these rows."""
    from sklearn.metrics import roc_curve

    if truth.all() or not truth.any():
        return 0.5
    false, true, cuts = roc_curve(truth, scores, drop_intermediate=False)
    best = int(np.argmax((true - false)[1:])) + 1  # the first point flags nobody
    return float(cuts[best])


def recalibrated(truth: Flags, scores: Floats, others: Floats) -> Floats:
    """Others' probabilities after Platt's logistic map of the log-odds (Platt 1999), learned on the first rows."""
    from sklearn.linear_model import LogisticRegression

    if truth.all() or not truth.any():
        return others
    model = LogisticRegression(C=1e6).fit(_log_odds(scores)[:, None], truth.astype(int))
    return np.asarray(model.predict_proba(_log_odds(others)[:, None])[:, 1])


def measured(truth: Flags, scores: Floats, flagged: Flags, mapped: Floats) -> dict[str, float]:
    """All figures but the gaps, over all rows; both classes must occur.

    Parameters
    ----------
    scores, mapped : probabilities as given and after recalibration, (n_rows,); flagged : those at or above the threshold.
    """
    made = {name: float(figure(truth, scores)) for name, figure in _OF_SCORES.items()}
    made |= {name: float(figure(truth, flagged)) for name, figure in _OF_FLAGS.items()}
    made["brier_recalibrated"] = float(_brier(truth, mapped))
    return made


def by_group(truth: Flags, scores: Floats, flagged: Flags, labels: npt.NDArray[Any]) -> tuple[dict[str, Any], float | None]:
    """Figures of each group and the equalised-odds gap between the groups that have enough rows.

    Returns
    -------
    groups : label -> {"n", "n_positive", "figures"}; figures are None below 30 rows, 5 positives or 5 negatives.
    gap : the larger of the largest differences of recall and of false-alarm rate (fairlearn's equalized_odds_difference; Hardt et al.
        2016, arXiv 1610.02413), in [0, 1]; None with fewer than two such groups.
    """
    from fairlearn.metrics import MetricFrame, equalized_odds_difference

    found: dict[str, Any] = {}
    for label in sorted(set(labels)):
        inside = labels == label
        found[str(label)] = {"n": int(inside.sum()), "n_positive": int(truth[inside].sum()), "figures": None}
    enough = [label for label, group in found.items() if _is_enough(group)]
    if not enough:
        return found, None
    kept = np.isin(labels.astype(str), enough)
    y, group = truth[kept].astype(int), labels[kept].astype(str)
    frames = [
        MetricFrame(metrics=figures, y_true=y, y_pred=given[kept], sensitive_features=group)
        for figures, given in ((_OF_SCORES, scores), (_OF_FLAGS, flagged.astype(int)))
    ]
    for label in enough:
        found[label]["figures"] = {name: float(value) for frame in frames for name, value in frame.by_group.loc[label].items()}
    if len(enough) < 2:
        return found, None
    return found, float(equalized_odds_difference(y, flagged[kept].astype(int), sensitive_features=group))


def _is_enough(group: Mapping[str, Any]) -> bool:
    n, positive = group["n"], group["n_positive"]
    return bool(n >= MIN_ROWS and positive >= MIN_OF_EACH and n - positive >= MIN_OF_EACH)


def _log_odds(scores: Floats) -> Floats:
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)))


def _auroc(truth: Any, scores: Any) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, scores))


def _auprc(truth: Any, scores: Any) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, scores))


def _brier(truth: Any, scores: Any) -> float:
    return float(np.mean((np.asarray(scores) - np.asarray(truth)) ** 2))


def _calibration_error(truth: Any, scores: Any) -> float:
    """Mean |mean score - share of positives| over ten bins of equally many rows, by their size (ECE; Naeini et al. 2015)."""
    order = np.argsort(np.asarray(scores), kind="stable")
    y, p = np.asarray(truth, dtype=float)[order], np.asarray(scores, dtype=float)[order]
    bins = [part for part in np.array_split(np.arange(len(y)), N_BINS) if len(part)]
    return float(sum(abs(p[part].mean() - y[part].mean()) * len(part) for part in bins) / len(y))


def _overprediction(truth: Any, scores: Any) -> float:
    """Mean score less the share of positives (calibration in the large)."""
    return float(np.mean(scores) - np.mean(truth))


def _recall(truth: Any, flagged: Any) -> float:
    y, hit = np.asarray(truth, dtype=bool), np.asarray(flagged, dtype=bool)
    return float((y & hit).sum() / max(y.sum(), 1))


def _precision(truth: Any, flagged: Any) -> float:
    y, hit = np.asarray(truth, dtype=bool), np.asarray(flagged, dtype=bool)
    return float((y & hit).sum() / max(hit.sum(), 1))


def _f1(truth: Any, flagged: Any) -> float:
    y, hit = np.asarray(truth, dtype=bool), np.asarray(flagged, dtype=bool)
    return float(2 * (y & hit).sum() / max(y.sum() + hit.sum(), 1))


Figure = Callable[[Any, Any], float]
_OF_SCORES: dict[str, Figure] = {
    "auroc": _auroc,
    "auprc": _auprc,
    "brier": _brier,
    "calibration_error": _calibration_error,
    "overprediction": _overprediction,
}
_OF_FLAGS: dict[str, Figure] = {"recall": _recall, "precision": _precision, "f1": _f1}
