"""Adapter of mostlyai-engine's sequential TabularARGN: patients by the flat model, their rows by the sequential one in their context.

    python records_mostly_run.py --model argn --train FOLDER --out FOLDER --cost cost.json --judge judge.json --patients N --seed S

This is how its multi-table generator works, too (a child table is generated in the context of its parent). The time is given to it as a
datetime with its relative encoding (intervals since the row before), which it recommends for sequences; everything else is its default:
value protection, early stopping, at most 100 epochs. `argn+window=200` sets max_sequence_window (100). --budget-minutes is its
max_training_time for the rows, in wall minutes; with `+clock=cpu` the engine is given a clock that counts the CPU seconds of this process,
so that a busy machine does not shorten its training. Rare codes come as the text _RARE_, as it writes them by default.
"""

from __future__ import annotations

# ruff: noqa: I001
import records_adapter as shared  # first: it holds the thread pools
import time

import pandas as pd
import torch
from mostlyai.engine import TabularARGN, init_logging

torch.set_num_threads(1)
ORIGIN = pd.Timestamp("2000-01-01")
STEP = pd.Timedelta(1, unit="D")  # one unit of time: the engine drops the clock where every sequence starts at midnight, as all do here
RELATIVE = "TABULAR_DATETIME_RELATIVE"


def as_datetime(times: pd.Series) -> pd.Series:
    """Numbers (minutes, hours, days) as days from one origin; text as it is read."""
    return ORIGIN + times * STEP if pd.api.types.is_numeric_dtype(times) else pd.to_datetime(times)


class Argn:
    """A flat model of patients and a sequential one of their rows."""

    def __init__(self, job: shared.Job) -> None:
        self.job, self.layout = job, shared.sequences(job.facts)

    def fit(self, tables: shared.Tables, cost: shared.Cost) -> Argn:
        layout, job = self.layout, self.job
        rows = tables[layout.rows]
        self.is_number = pd.api.types.is_numeric_dtype(rows[layout.time])
        self.columns = list(rows)
        statics = tables[layout.statics] if layout.statics else rows[[layout.key]].drop_duplicates()
        features = [name for name in statics if name != layout.key]
        self.patients = None
        if features:
            kinds = {name: "TABULAR_CATEGORICAL" for name in layout.categories if name in features}
            self.patients = TabularARGN(random_state=job.seed, device="cpu", tgt_encoding_types=kinds).fit(statics[features])
        limit = {} if job.budget_minutes is None else {"max_training_time": job.budget_minutes}
        window = {"max_sequence_window": int(job.options["window"])} if "window" in job.options else {}
        minutes = "CPU" if job.options.get("clock") == "cpu" else "wall"
        cost.notes.extend(f"{name} {value} {minutes} minutes" for name, value in limit.items())
        cost.notes.extend(f"{name} {value}" for name, value in window.items())
        kinds = {layout.time: RELATIVE} | {name: "TABULAR_CATEGORICAL" for name in layout.categories if name in rows}
        context = statics.assign(**{layout.key: statics[layout.key].astype(str)})
        self.rows = TabularARGN(
            random_state=job.seed,
            device="cpu",
            verbose=1,
            tgt_context_key=layout.key,
            tgt_encoding_types=kinds,
            ctx_data=context,
            ctx_primary_key=layout.key,
            **limit,
            **window,
        ).fit(rows.assign(**{layout.key: rows[layout.key].astype(str), layout.time: as_datetime(rows[layout.time])}))
        return self

    def sample(self, cost: shared.Cost) -> shared.Tables:
        layout, n = self.layout, self.job.patients
        keys = pd.Series([f"new{number}" for number in range(n)], name=layout.key)
        statics = keys.to_frame() if self.patients is None else self.patients.sample(n).assign(**{layout.key: keys})
        made = self.rows.sample(n_samples=n, ctx_data=statics)
        if self.is_number:
            made[layout.time] = (pd.to_datetime(made[layout.time]) - ORIGIN) / STEP
        marked = int((made.astype(str) == "_RARE_").to_numpy().sum())
        if marked:
            cost.notes.append(f"{marked} cells hold the text _RARE_")
        out = {layout.rows: made[self.columns]} | ({layout.statics: statics} if layout.statics else {})
        return shared.with_new_keys(out, self.job.facts, keys)


def main() -> None:
    """Fits and samples as the command line says."""
    init_logging()
    job = shared.parse("sequential TabularARGN of mostlyai-engine", ["argn"])
    if job.options.get("clock") == "cpu":
        begun = time.time() - time.process_time()
        time.time = lambda: begun + time.process_time()
    model = Argn(job)
    shared.run(job, model.fit, lambda _, cost: model.sample(cost), ["mostlyai-engine", "torch", "pandas"])


if __name__ == "__main__":
    main()
