"""Does the release repeat itself? Rows that equal another row of the same table. Knows nothing of train rows' copies (see `closeness`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, measured
from manikin.evaluation.intervals import mean_interval
from manikin.evaluation.prepared import Prepared, Sample

DUPLICATES = Definition("duplicates", "Rows that repeat another row", Section.DIVERSITY, Direction.LOWER)
Flags = npt.NDArray[np.bool_]


@measured(DUPLICATES)
def duplicates(data: Prepared, *, seed: int) -> MetricResult:
    """Share of synthetic rows that equal another synthetic row in every judged cell; in [0, 1], to be read against its reference.

    The reference is the same share among as many holdout rows: a coarse table has true duplicates, and nobody is accused of them. Only
    repetition beyond it is the generator's. The share grows with the number of rows, so that all are compared at the smaller side's n;
    `details.whole_release` has the share among all synthetic rows. Rows of one patient, and equal rows, count as one draw.
    """
    n = data.equal_n(max(len(data.held), len(data.fake)))
    sides = {
        "synthetic": data.fake.draw(n, seed, "duplicates", "synthetic"),
        "holdout": data.held.draw(n, seed, "duplicates", "holdout"),
        "train": data.real.draw(n, seed, "duplicates", "train"),
    }
    repeated = {side: repeats(sample) for side, sample in sides.items()}
    intervals = {side: _interval(sides[side], repeated[side]) for side in ("synthetic", "holdout")}
    value, reference = (float(repeated[side].mean()) for side in ("synthetic", "holdout"))
    return DUPLICATES.result(
        value,
        interval=intervals["synthetic"],
        n=n,
        reference=reference,
        reference_interval=intervals["holdout"],
        details={
            "excess": value - reference,
            "train": float(repeated["train"].mean()),
            "whole_release": float(repeats(data.fake).mean()),
            "distinct_share": _distinct(sides["synthetic"]),
            "distinct_share_reference": _distinct(sides["holdout"]),
        },
    )


def repeats(sample: Sample) -> Flags:
    """Which rows equal another row of the sample, bool (n_rows,)."""
    _, which, counts = np.unique(sample.hashes, return_inverse=True, return_counts=True)
    return np.asarray(counts[which.reshape(-1)] > 1)


def _distinct(sample: Sample) -> float:
    return len(np.unique(sample.hashes)) / len(sample)


def _interval(sample: Sample, is_repeated: Flags) -> tuple[float, float]:
    """Normal, rows that equal each other (and rows of one patient) as one draw."""
    _, which = np.unique(sample.hashes, return_inverse=True)
    return mean_interval(is_repeated, which.reshape(-1), *([sample.records] if sample.has_patients else []))
