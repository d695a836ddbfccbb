"""One measure of SDMetrics, metered: sdmetrics_measure.py NAME TRAIN HOLDOUT SYNTHETIC TARGET LIMIT."""

from __future__ import annotations

import sys
import warnings

import pandas as pd
from metered import meter, read
from sdmetrics.reports.single_table._properties import ColumnPairTrends, ColumnShapes
from sdmetrics.single_column import MissingValueSimilarity
from sdmetrics.single_table import (
    BinaryAdaBoostClassifier,
    DCROverfittingProtection,
    DisclosureProtectionEstimate,
    LogisticDetection,
    NewRowSynthesis,
)

warnings.filterwarnings("ignore")
train, holdout, synthetic = read(sys.argv[2:5])
target = sys.argv[5]
metadata = {
    "columns": {
        name: {"sdtype": "numerical" if pd.api.types.is_numeric_dtype(train[name]) else "categorical"} for name in train.columns
    }
}
numbers = [name for name, one in metadata["columns"].items() if one["sdtype"] == "numerical"]
known = [name for name in train.columns if name != target][:6]  # cap looks keys up: with more of them no row is found


def disclosure() -> object:
    return DisclosureProtectionEstimate.compute(
        train, synthetic, known, [target], continuous_column_names=[n for n in numbers if n in [*known, target]] or None, verbose=False
    )


meter(
    {
        "column_shapes": lambda: ColumnShapes().get_score(train, synthetic, metadata),
        "column_pair_trends": lambda: ColumnPairTrends().get_score(train, synthetic, metadata),
        "missing_value_similarity": lambda: [MissingValueSimilarity.compute(train[n], synthetic[n]) for n in train.columns][:3],
        "new_row_synthesis": lambda: NewRowSynthesis.compute(train, synthetic, metadata),
        "logistic_detection": lambda: LogisticDetection.compute(train, synthetic, metadata),
        "dcr_overfitting_protection": lambda: DCROverfittingProtection.compute(train, synthetic, holdout, metadata, None),
        "disclosure_protection": disclosure,
        "binary_adaboost": lambda: BinaryAdaBoostClassifier.compute(holdout, synthetic, metadata, target=target),
    }
)
