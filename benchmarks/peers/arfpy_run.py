"""Adapter of arfpy's adversarial random forest, on its defaults.

    python arfpy_run.py --train train.csv --out synthetic.csv --rows N --seed S --cost cost.json

arfpy takes no missing values: `missing_cells.py` fills them and empties them again. arfpy does not round; the adapter
does. The cost file says both.
"""

from __future__ import annotations

import warnings

import adapter  # first: it holds the thread pools
import missing_cells
import numpy as np
import pandas as pd
from arfpy import arf

warnings.filterwarnings("ignore", module="arfpy|pandas|sklearn|scipy", append=False)


def main() -> None:
    """Fits and samples as the command line says."""
    job = adapter.parse("adversarial random forest of arfpy", ["arf"])
    rates: dict[str, float] = {}

    def fit(train: pd.DataFrame, cost: adapter.Cost) -> arf.arf:
        whole, found = missing_cells.filled(train)
        rates.update(found)
        if train.isna().to_numpy().any():
            cost.notes.append(missing_cells.NOTE.format("arfpy"))
        np.random.seed(job.seed)  # noqa: NPY002  (arfpy's only seed)
        model = arf.arf(x=whole, verbose=False)
        model.forde()
        return model

    def sample(model: arf.arf, _: adapter.Cost) -> pd.DataFrame:
        return missing_cells.emptied(model.forge(n=job.rows), rates, job.seed)

    adapter.run(job, fit, sample, ["arfpy", "scikit-learn", "numpy", "pandas"])


if __name__ == "__main__":
    main()
