"""Missing cells for peers that take none: filled before the fit, emptied again afterwards.

Missing numbers are filled with the median and missing categories become a level of their own; afterwards that level
is emptied again, and numbers are emptied at random at the rate seen in train, so that the rate is right and its
dependence on other columns is lost. An adapter that uses this says so in its cost file (`NOTE`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

MISSING = "(missing)"
NOTE = "no missing values in {}: filled, and restored at train's rate by the adapter"


def filled(train: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """The table without missing values, and the missing rate of each number that had some."""
    numbers = train.select_dtypes("number").columns
    rates = train[numbers].isna().mean()
    whole = train.copy()
    whole[numbers] = whole[numbers].astype(float).fillna(whole[numbers].median())
    others = train.columns.difference(numbers)
    whole[others] = whole[others].astype(object).where(whole[others].notna(), MISSING).astype(str)
    return whole, rates[rates > 0].to_dict()


def emptied(synthetic: pd.DataFrame, rates: dict[str, float], seed: int) -> pd.DataFrame:
    """Restores missing cells: the filler level always, numbers at random at their rate in train."""
    generator = np.random.default_rng(seed)
    restored = synthetic.astype(object).mask(synthetic == MISSING)
    for column, rate in rates.items():
        restored.loc[generator.random(len(restored)) < rate, column] = np.nan
    return restored
