"""Adapter of our own generators of linked patients, through the package's own reader and writer; metered as the peers are.

    python records_manikin_run.py --model NAME --train FOLDER --out FOLDER --cost cost.json --judge judge.json --patients N --seed S

Reading the folder (its schema.toml where it has one, what is found in it otherwise) counts as fitting; writing counts as nothing, as with
the peers. `event_transformer+epochs=20` sets a hyperparameter, `markov+epsilon=1` a privacy budget, `event_transformer+public=true`
declares the columns of codes that judge.json names, and those that `inspect` finds to be listed by a dictionary, public code books.
`markov+min_patients=5` sets how many patients must hold what is released. `halo+epsilon=1+declared=true` says that the columns which
judge.json names hold codes: under a budget a kind counts only where a person declared it; the codes are bought all the same. Torch and
the model's file are imported before the meter starts, as the peers import theirs.
Decimals are the package's own: nothing is rounded here.
"""

from __future__ import annotations

import importlib
import json
import resource
import shutil
import sys
from dataclasses import replace
from importlib import metadata

# ruff: noqa: I001
import records_adapter as shared  # first: it holds the thread pools
import adapter
import psutil
import torch

import manikin as mk
from manikin.data.rare_values import code_books
from manikin.data.schema import Kind, Schema, Source
from manikin.io import linked

torch.set_num_threads(1)
LATE = ("manikin.io.linked.reading", "manikin.codecs.records.codec", "manikin.codecs.records.event_codec", "scipy.stats", "pyarrow.csv")


def declared(data: mk.Dataset, columns: set[tuple[str, str]]) -> mk.Dataset:
    """The data set whose columns of codes are declared to be that."""
    tables = []
    for table in data.schema.tables:
        for column in table:
            if (table.name, column.name) in columns:
                table = table.replace_column(replace(column, kind=Kind.CODE, source=replace(column.source, kind=Source.DECLARED)))
        tables.append(table)
    return replace(data, schema=Schema(tuple(tables)))


def main() -> None:
    """Fits with the seed, samples with the next one, writes through manikin's own writer."""
    job = shared.parse("generators of linked patients of manikin", ["event_transformer"])
    for module in LATE:
        importlib.import_module(module)
    name = job.model.split("+")[0]
    settings = {key: json.loads(value) for key, value in job.options.items()}
    epsilon, is_public, is_declared = settings.pop("epsilon", None), settings.pop("public", False), settings.pop("declared", False)
    fewest = settings.pop("min_patients", None)
    paid = {} if epsilon is None else {"ledger": mk.ledger(epsilon=epsilon)}
    model = mk.synthesizer(name, **settings)
    cost = shared.Cost(after_imports_mb=psutil.Process().memory_info().rss / 2**20)
    with adapter.timed(cost, "fit_cpu_s"):
        data = linked.read(job.train)
        if is_public:
            books = {f"{table}.{column}" for table, column, _ in code_books(data)}
            books |= {f"{event['table']}.{event['code']}" for event in job.facts["events"] if "code" in event}
            data = mk.declare_public(data, sorted(books))
        if fewest is not None:
            data = replace(data, schema=Schema(tuple(replace(table, min_patients=fewest) for table in data.schema.tables)))
        if is_declared:
            data = declared(data, {(event["table"], event["code"]) for event in job.facts["events"] if "code" in event})
        model.fit(data, seed=job.seed, **paid)
    print(f"{job.model}: fit {cost.fit_cpu_s:.1f} CPU s", file=sys.stderr, flush=True)
    with adapter.timed(cost, "sample_cpu_s"):
        made = model.sample(job.patients, seed=job.seed + 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shutil.rmtree(job.out, ignore_errors=True)
    linked.write(made, job.out, like=job.train)
    (job.out / "schema.toml").unlink(missing_ok=True)
    record = {
        "model": job.model,
        "seed": job.seed,
        "rows": {table: len(rows) for table, rows in made.tables.items()},
        "patients": job.patients,
        "fit_cpu_s": round(cost.fit_cpu_s, 2),
        "sample_cpu_s": round(cost.sample_cpu_s, 2),
        "peak_mb": round(peak, 1),
        "after_imports_mb": round(cost.after_imports_mb, 1),
        "budget_minutes": job.budget_minutes,
        "versions": {"manikin": metadata.version("manikin"), "torch": torch.__version__, "pandas": metadata.version("pandas")},
        "notes": [f"{key} {value}" for key, value in job.options.items()],
    }
    job.cost.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
