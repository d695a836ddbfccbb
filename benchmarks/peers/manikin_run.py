"""Adapter of our own synthesizers, through the public Python interface; metered as the peers are.

    python manikin_run.py --model autoregressive --train train.csv --out synthetic.csv --rows N --seed S --cost cost.json

The model's file, and what it would import while it learns (`LATE`), are imported before the meter starts, as the peers' packages import
what they need; reading the CSV counts as fitting, making a pandas frame as sampling. A name that ends in `+public-codes` declares the code
books of code columns (ICD-9) public, as a steward would in schema.toml; otherwise codes held by fewer than 11 rows are backed off, which
is the default. `+target` names the target, as `--target` does; `+epochs=100` sets a hyperparameter. `+epsilon=1` fits under a privacy
ledger with that epsilon and a delta of 0.9/n (the private peers' adapters have 1/n), kept on the disk beside the synthetic file as
ledger.json; all that is learned is paid from it, and reading the CSV, whose schema is not believed under a ledger, counts as fitting.
`+public-levels` declares the kinds and the levels of all columns of levels public, which is what dpmm's adapter is given, too.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import adapter  # first: it holds the thread pools
import pandas as pd

import manikin as mk
from manikin.data.schema import Kind, Schema, Source
from manikin.privacy.ledger import Ledger
from manikin.workflow.sources import with_target

LATE = ("manikin.io.tabular", "manikin.workflow.sources", "pyarrow.csv", "scipy.special", "scipy.stats", "sklearn.mixture")
LATE_PRIVATE = ("manikin.privacy.mechanisms", "dp_accounting.pld.privacy_loss_distribution", "dp_accounting.rdp")


def with_public_codes(schema: Schema) -> Schema:
    """The schema with the levels of its code columns declared public."""
    table = schema.only
    for column in table:
        if column.kind is Kind.CODE:
            table = table.replace_column(replace(column, source=replace(column.source, levels=Source.DECLARED)))
    return Schema((table,))


def with_public_levels(schema: Schema) -> Schema:
    """The schema with every list of levels declared public, and that its column is one of levels."""
    table = schema.only
    for column in table:
        if column.levels:
            source = replace(column.source, kind=Source.DECLARED, levels=Source.DECLARED)
            table = table.replace_column(replace(column, source=source))
    return Schema((table,))


def opened_ledger(epsilon: float, n_rows: int, path: Path) -> Ledger:
    """A ledger of its own, delta 0.9/n: a delta that is not below one over the number of patients as bought with noise is refused."""
    path.unlink(missing_ok=True)
    return Ledger(epsilon=epsilon, delta=0.9 / n_rows, file=path)


def main() -> None:
    """Fits with the seed, samples with the next one, writes through manikin's own writer."""
    job = adapter.parse("synthesizers of manikin", ["autoregressive"])
    name, *variants = job.model.split("+")
    chosen = dict(variant.split("=", 1) for variant in variants if "=" in variant)
    epsilon = float(chosen.pop("epsilon", 0))
    for module in (*LATE, *LATE_PRIVATE * bool(epsilon)):
        importlib.import_module(module)
    synthesizer, read = mk.synthesizer(name, **{key: json.loads(value) for key, value in chosen.items()}), mk.read

    def fit(train: pd.DataFrame, cost: adapter.Cost) -> object:
        if job.budget_minutes is not None:
            cost.notes.append("the budget is not passed on")
        data = read(str(job.train))
        cost.notes.extend(f"{key} {value}" for key, value in chosen.items())
        if "public-codes" in variants:
            cost.notes.append("code books declared public")
            data = read(str(job.train), schema=with_public_codes(data.schema))
        if "public-levels" in variants:
            cost.notes.append("lists of levels declared public, from the data")
            data = read(str(job.train), schema=with_public_levels(data.schema))
        if "target" in variants:
            cost.notes.append("the target is named")
            data = with_target(data, job.train.with_name("target.txt").read_text().strip())
        if not epsilon:
            return synthesizer.fit(data, seed=job.seed)
        with_ledger: Any = synthesizer
        ledger = opened_ledger(epsilon, len(train), job.out.with_name("ledger.json"))
        model = with_ledger.fit(data, seed=job.seed, ledger=ledger)
        ledger.close()
        cost.notes.append(f"epsilon {epsilon:g} in all, delta 0.9/n")
        return model

    def sample(model: object, _: adapter.Cost) -> pd.DataFrame:
        return model.sample(job.rows, seed=job.seed + 1).to_pandas()

    adapter.run(job, fit, sample, ["manikin", "torch", "numpy", "pandas", "scikit-learn"])


if __name__ == "__main__":
    main()
