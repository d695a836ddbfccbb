"""Adapter of mostlyai-engine's TabularARGN, on its defaults: early stopping and value protection included.

    python mostly_run.py --train train.csv --out synthetic.csv --rows N --seed S --cost cost.json [--budget-minutes M]

Model `argn` writes the text _RARE_ where the peer does by default (levels it protects); `argn-rare-sampled` asks it
to draw another level instead, which is its documented alternative (--also FOLDER writes that one too, from the same
fit). --budget-minutes is the peer's max_training_time, in wall minutes.
"""

from __future__ import annotations

import adapter  # first: it holds the thread pools
import pandas as pd
import torch
from mostlyai.engine import TabularARGN
from mostlyai.engine.domain import RareCategoryReplacementMethod

torch.set_num_threads(1)
# the enum, not its text: the engine takes any text and does nothing when it does not know it
RARE = {"argn": RareCategoryReplacementMethod.constant, "argn-rare-sampled": RareCategoryReplacementMethod.sample}


def main() -> None:
    """Fits and samples as the command line says."""
    job = adapter.parse("TabularARGN of mostlyai-engine", list(RARE))
    limit = {} if job.budget_minutes is None else {"max_training_time": job.budget_minutes}

    def fit(train: pd.DataFrame, cost: adapter.Cost) -> TabularARGN:
        if limit:
            cost.notes.append(f"max_training_time {job.budget_minutes} wall minutes")
        return TabularARGN(random_state=job.seed, device="cpu", **limit).fit(train)

    def sample(model: TabularARGN, cost: adapter.Cost) -> pd.DataFrame:
        return drawn(model, cost, RARE[job.model])

    def second(model: TabularARGN, cost: adapter.Cost) -> pd.DataFrame:
        return drawn(model, cost, RareCategoryReplacementMethod.sample)

    def drawn(model: TabularARGN, cost: adapter.Cost, rare: RareCategoryReplacementMethod) -> pd.DataFrame:
        synthetic = model.sample(job.rows, rare_category_replacement_method=rare)
        marked = int((synthetic.astype(str) == "_RARE_").to_numpy().sum())
        if marked:
            cost.notes.append(f"{marked} cells hold the text _RARE_")
        return synthetic

    adapter.run(job, fit, sample, ["mostlyai-engine", "torch", "numpy", "pandas"], second)


if __name__ == "__main__":
    main()
