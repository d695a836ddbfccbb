"""One learner from synthetic against the same from real rows: every score, the paired gap, the excess. Knows no model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.definition import Interval
from manikin.evaluation.prediction.scores import scores
from manikin.evaluation.prediction.task import Task
from manikin.evaluation.prediction.trained import Pair

Floats = npt.NDArray[np.float64]
LEAST_ROOM = 0.01  # what real rows must score above guessing for a share of it to be told
BIASED = ("calibration_error",)  # a mean of absolute values: every bootstrap sample of it lies higher


def compared(task: Task, pair: Pair, weights: Floats) -> dict[str, Any]:
    """One learner's figures: the headline measure with its excess, and all measures.

    Parameters
    ----------
    weights : (n_draws, n_held), ones first. The same draw weighs both models' answers, so that the gap is paired.
    """
    synthetic, real = scores(task, pair.tstr, weights), scores(task, pair.trtr, weights)
    own = scores(task, pair.tsts, np.ones((1, len(pair.tsts.truth))))
    made = _headline(task, synthetic[task.headline], real[task.headline])
    made["tsts"] = float(own[task.headline][0])
    if task.n_classes == 0:
        made |= {"tstr_rmse": float(synthetic["rmse"][0]), "trtr_rmse": float(real["rmse"][0])}
    made["n_train"] = [pair.synthetic.n_train, pair.real.n_train]
    made["measures"] = {
        name: {
            "tstr": float(synthetic[name][0]),
            "trtr": float(real[name][0]),
            "tsts": float(own[name][0]),
            "gap": float(synthetic[name][0] - real[name][0]),
            "gap_interval": percentiles(synthetic[name] - real[name], is_centred=name in BIASED),
        }
        for name in synthetic
    }
    return made


def _headline(task: Task, synthetic: Floats, real: Floats) -> dict[str, Any]:
    room = real - task.floor
    made: dict[str, Any] = {
        "tstr": float(synthetic[0]),
        "tstr_interval": percentiles(synthetic),
        "trtr": float(real[0]),
        "trtr_interval": percentiles(real),
        "gap": float(synthetic[0] - real[0]),
        "gap_interval": percentiles(synthetic - real),
        "excess": None,
        "excess_interval": None,
    }
    if room[0] > LEAST_ROOM:
        made["excess"] = float((synthetic[0] - task.floor) / room[0])
        if room.min() > LEAST_ROOM:
            made["excess_interval"] = percentiles((synthetic - task.floor) / room)
    return made


def percentiles(draws: Floats, *, is_centred: bool = False) -> Interval | None:
    """The 95 % percentile interval of all draws but the first, which is the figure itself; None where half are undefined.

    `is_centred` moves the draws so that their mean is the figure.
    """
    known = draws[1:][~np.isnan(draws[1:])]
    if np.isnan(draws[0]) or 2 * len(known) < len(draws):
        return None
    low, high = np.quantile(known, [0.025, 0.975]) - (known.mean() - draws[0] if is_centred else 0.0)
    return float(low), float(high)
