"""Adapter of sdv's single-table synthesizers, on their defaults: copula (default), ctgan, tvae.

    python sdv_run.py --model copula --train train.csv --out synthetic.csv --rows N --seed S --cost cost.json

The metadata are declared, not guessed: numbers numerical, everything else categorical (guessing takes diagnosis codes
for names and replaces them). sdv starts every sampling from one built-in seed, so that all seeds would give the same
copula rows; the seed is set through its own, private, method. `ctgan+epochs=4` caps the epochs, for tables on which 300 take hours.
"""

from __future__ import annotations

import warnings

import adapter  # first: it holds the thread pools
import numpy as np
import pandas as pd
import torch
from sdv.metadata import Metadata
from sdv.single_table import CTGANSynthesizer, GaussianCopulaSynthesizer, TVAESynthesizer

torch.set_num_threads(1)
warnings.filterwarnings("ignore", module="sdv|rdt|copulas|ctgan")
MODELS = {"copula": GaussianCopulaSynthesizer, "ctgan": CTGANSynthesizer, "tvae": TVAESynthesizer}
TABLE = "table"


def declared(train: pd.DataFrame) -> Metadata:
    """sdv's description of the table: numbers numerical, everything else categorical, no key."""
    columns = {
        name: {"sdtype": "numerical" if pd.api.types.is_numeric_dtype(values) else "categorical"}
        for name, values in train.items()
    }
    return Metadata.load_from_dict({"tables": {TABLE: {"columns": columns}}})


def main() -> None:
    """Fits and samples as the command line says."""
    job = adapter.parse("single-table synthesizers of sdv", list(MODELS))

    def fit(train: pd.DataFrame, cost: adapter.Cost) -> object:
        if job.budget_minutes is not None:
            cost.notes.append("sdv has no limit of its own: the budget is held by whoever started this")
        np.random.seed(job.seed)  # noqa: NPY002  (sdv's and its parts' seed)
        torch.manual_seed(job.seed)
        name, _, epochs = job.model.partition("+epochs=")
        if epochs:
            cost.notes.append(f"{epochs} epochs")
        model = MODELS[name](declared(train), **({"epochs": int(epochs)} if epochs else {}))
        model.fit({TABLE: train})
        return model

    def sample(model: object, _: adapter.Cost) -> pd.DataFrame:
        model._set_random_state(job.seed)
        return model.sample(job.rows)[TABLE]

    adapter.run(job, fit, sample, ["sdv", "ctgan", "copulas", "torch", "numpy", "pandas"])


if __name__ == "__main__":
    main()
