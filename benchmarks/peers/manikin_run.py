"""Adapter of our own synthesizers, through the public Python interface; metered as the peers are.

    python manikin_run.py --model autoregressive --train train.csv --out synthetic.csv --rows N --seed S --cost cost.json

The model's file is imported before the meter starts, as the peers' packages are; reading the CSV counts as fitting.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import adapter  # first: it holds the thread pools
import pandas as pd

import manikin as mk


def main() -> None:
    """Fits with the seed, samples with the next one, writes through manikin's own writer."""
    job = adapter.parse("synthesizers of manikin", ["autoregressive"])
    synthesizer, read, write = mk.synthesizer(job.model), mk.read, mk.write

    def fit(_: pd.DataFrame, cost: adapter.Cost) -> object:
        if job.budget_minutes is not None:
            cost.notes.append("the budget is not passed on")
        return synthesizer.fit(read(str(job.train)), seed=job.seed)

    def sample(model: object, _: adapter.Cost) -> pd.DataFrame:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "synthetic.csv"
            write(model.sample(job.rows, seed=job.seed + 1), str(path))
            return adapter.read(path)

    adapter.run(job, fit, sample, ["manikin", "torch", "numpy", "pandas", "scikit-learn"])


if __name__ == "__main__":
    main()
