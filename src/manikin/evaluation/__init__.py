"""The registry of metrics: known without importing any of them. A new metric is one function, one line here, one test."""

from __future__ import annotations

from manikin.data.registry import Registry
from manikin.evaluation.base import MetricEntry, Section

_HERE = "manikin.evaluation"

METRICS: Registry[MetricEntry] = Registry(
    "metric",
    {
        "column_shapes": MetricEntry(
            f"{_HERE}.shapes:column_shapes", "each column's distribution: 1 - KS for numbers, 1 - TV for levels", section=Section.FIDELITY
        ),
        "missingness": MetricEntry(
            f"{_HERE}.shapes:missingness", "which cells are missing, and which are missing together", section=Section.FIDELITY
        ),
        "c2st": MetricEntry(
            f"{_HERE}.detection:c2st",
            "how well boosted trees tell synthetic from holdout rows (AUC)",
            section=Section.FIDELITY,
            is_slow=True,
        ),
    },
    group="manikin.metrics",
)
