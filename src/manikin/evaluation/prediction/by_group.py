"""What a model does for each group of patients, and what one model adds to the gaps of another. Knows no metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.groups import Group
from manikin.evaluation.intervals import placements
from manikin.evaluation.prediction import scores
from manikin.evaluation.prediction.comparison import percentiles
from manikin.evaluation.prediction.scores import Answers
from manikin.evaluation.prediction.task import Task
from manikin.evaluation.prepared import Sample

Floats = npt.NDArray[np.float64]
MIN_ROWS, MIN_CASES = 50, 20  # test rows of a group, and of its second most frequent class


@dataclass(frozen=True)
class Measured:
    """The groups that hold enough test rows, with the positions of these, and how many do not."""

    groups: tuple[Group, ...]
    rows: tuple[npt.NDArray[np.int64], ...]
    n_cases: tuple[int | None, ...]
    n_small: int
    n_few_cases: int


def measurable(task: Task, held: Sample, named: Sequence[Group]) -> Measured:
    """Which of these groups can be measured: not made by the target, 50 rows, 20 of the second most frequent class."""
    found: list[tuple[Group, npt.NDArray[np.int64], int | None]] = []
    n_small = n_few = 0
    truth = task.truth(held)
    for group in named:
        if task.target.name in group.columns:
            continue
        rows = np.flatnonzero(group.holds(held))
        if len(rows) < MIN_ROWS or len(np.unique(truth[rows])) < 2:
            n_small += 1
            continue
        cases = int(np.sort(np.bincount(truth[rows]))[-2]) if task.n_classes else None
        if cases is not None and cases < MIN_CASES:
            n_few += 1
            continue
        found.append((group, rows, cases))
    groups, rows_of, n_cases = (tuple(column) for column in zip(*found, strict=True)) if found else ((), (), ())
    return Measured(groups, rows_of, n_cases, n_small, n_few)


def headline_name(task: Task) -> str:
    """The measure by which groups are compared: AUROC, or of numbers the RMSE over the standard deviation of all test rows."""
    return "auroc" if task.n_classes else "rmse_by_sd"


def figures(task: Task, given: Answers, weights: Floats, spread: float) -> dict[str, Floats]:
    """What a model does for these rows, under every row of weights, (n_draws,) each.

    Of two classes: auroc, accuracy, recall, false_alarm_rate, selection_rate (share flagged) and overprediction (mean probability less
    the share of cases: calibration in the large). Of more: auroc, accuracy. Of numbers: rmse_by_sd, r2, rmse, mae, overprediction.
    """
    total = weights.sum(axis=1)
    if task.n_classes == 0:
        made = scores.scores(task, given, weights)
        bias = weights @ (given.predicted[:, 0] - given.truth.astype(float)) / np.maximum(total, 1e-300)
        return {"rmse_by_sd": made["rmse"] / spread, **made, "overprediction": bias}
    made = {"auroc": areas(task, given, weights)}
    is_hit = given.truth == given.decided
    if task.n_classes > 2:
        return made | {"accuracy": _share(weights @ is_hit, total)}
    is_case, is_flagged = given.truth == 1, given.decided == 1
    columns = [is_hit, is_case, is_flagged, is_case & is_flagged, given.predicted[:, 1]]
    hit, cases, flagged, found, expected = (weights @ np.column_stack(columns).astype(float)).T
    return made | {
        "accuracy": _share(hit, total),
        "recall": _share(found, cases),
        "false_alarm_rate": _share(flagged - found, total - cases),
        "selection_rate": _share(flagged, total),
        "overprediction": _share(expected - cases, total),
    }


def headline(task: Task, given: Answers, weights: Floats, spread: float) -> Floats:
    """The measure by which groups are compared, alone, (n_draws,)."""
    if task.n_classes:
        return areas(task, given, weights)
    return scores.scores(task, given, weights)["rmse"] / spread


def areas(task: Task, given: Answers, weights: Floats) -> Floats:
    """AUROC under every row of weights to first order, (n_draws,): that of the first row of ones, moved by DeLong's placements.

    A bootstrap draw that weighs row i by w_i moves the area by the sum of (w_i - 1) (V_i - A) / n over cases and over the others, V_i
    being the share of the other class that row i is ranked rightly against (DeLong et al. 1988, doi:10.2307/2531595). Groups are many
    and ranking every draw anew is dear; the standard error is the same.
    """
    found, moved = [], []
    for c in scores.classes_of(task, given.truth):
        is_case, told = given.truth == c, given.predicted[:, c]
        pull = np.zeros(len(told))
        v10, v01 = placements(told[is_case], told[~is_case])
        found.append(float(v10.mean()))
        pull[is_case], pull[~is_case] = (v10 - v10.mean()) / len(v10), (v01 - v01.mean()) / len(v01)
        moved.append(pull)
    if not found:
        return np.full(len(weights), np.nan)
    return np.asarray(np.mean(found) + (weights - 1) @ np.mean(moved, axis=0))


def _share(above: Floats, below: Floats) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))


def spreads(
    task: Task, of: Measured, first: Sequence[Mapping[str, Floats]], second: Sequence[Mapping[str, Floats]], widened: float
) -> list[dict[str, Any]]:
    """Best less worst group, by each column and each two columns that make at least two groups.

    `demographic_parity` is the difference of selection rates, `equalized_odds` the larger of those of recall and of the false-alarm
    rate (Hardt et al. 2016, arXiv 1610.02413; as in fairlearn). Each with the first model, with the second, and the paired difference;
    a range of noisy figures is too large, with both models: only their difference tells. `widened` stretches the intervals.
    """
    by: dict[tuple[str, ...], list[int]] = {}
    for i, group in enumerate(of.groups):
        by.setdefault(group.columns, []).append(i)
    made = []
    for columns, places in by.items():
        if len(places) < 2:
            continue
        ranges = [_ranges(task, [side[i] for i in places]) for side in (first, second)]
        row: dict[str, Any] = {"by": list(columns), "n_groups": len(places)}
        for name in ranges[0]:
            one, two = ranges[0][name], ranges[1][name]
            moved = one - two
            interval = percentiles(moved[0] + widened * (moved - moved[0]), is_centred=True)
            row[name] = {"tstr": one[0], "trtr": two[0], "added": one[0] - two[0], "added_interval": interval}
        made.append(row)
    return made


def _ranges(task: Task, parts: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    ranges = {name: np.ptp(np.asarray([part[name] for part in parts]), axis=0) for name in parts[0]}
    made = {name: ranges[name] for name in (headline_name(task), "accuracy") if name in ranges}
    if task.n_classes == 2:
        made["equalized_odds"] = np.maximum(ranges["recall"], ranges["false_alarm_rate"])
        made["demographic_parity"] = ranges["selection_rate"]
    return made
