"""Adapter of arfpy's adversarial random forest, on its defaults.

    python arfpy_run.py --train train.csv --out synthetic.csv --rows N --seed S --cost cost.json

arfpy takes no missing values. Missing numbers are filled with the median and missing categories become a level of
their own; afterwards that level is emptied again, and numbers are emptied at random at the rate seen in train, so
that the rate is right and its dependence on other columns is lost. arfpy does not round; the adapter does. The cost
file says all three.
"""

from __future__ import annotations

import warnings

import adapter  # first: it holds the thread pools
import numpy as np
import pandas as pd
from arfpy import arf

warnings.filterwarnings("ignore", module="arfpy|pandas|sklearn|scipy", append=False)
MISSING = "(missing)"


def filled(train: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """The table without missing values, and the missing rate of each number that had some."""
    numbers = train.select_dtypes("number").columns
    rates = train[numbers].isna().mean()
    whole = train.copy()
    whole[numbers] = whole[numbers].astype(float).fillna(whole[numbers].median())
    others = train.columns.difference(numbers)
    whole[others] = whole[others].fillna(MISSING).astype(str)
    return whole, rates[rates > 0].to_dict()


def emptied(synthetic: pd.DataFrame, rates: dict[str, float], seed: int) -> pd.DataFrame:
    """Restores missing cells: the filler level always, numbers at random at their rate in train."""
    generator = np.random.default_rng(seed)
    restored = synthetic.astype(object).mask(synthetic == MISSING)
    for column, rate in rates.items():
        restored.loc[generator.random(len(restored)) < rate, column] = np.nan
    return restored


def main() -> None:
    """Fits and samples as the command line says."""
    job = adapter.parse("adversarial random forest of arfpy", ["arf"])
    rates: dict[str, float] = {}

    def fit(train: pd.DataFrame, cost: adapter.Cost) -> arf.arf:
        whole, found = filled(train)
        rates.update(found)
        if train.isna().to_numpy().any():
            cost.notes.append("no missing values in arfpy: filled, and restored at train's rate by the adapter")
        np.random.seed(job.seed)  # noqa: NPY002  (arfpy's only seed)
        model = arf.arf(x=whole, verbose=False)
        model.forde()
        return model

    def sample(model: arf.arf, _: adapter.Cost) -> pd.DataFrame:
        return emptied(model.forge(n=job.rows), rates, job.seed)

    adapter.run(job, fit, sample, ["arfpy", "scikit-learn", "numpy", "pandas"])


if __name__ == "__main__":
    main()
