"""What `evaluate` costs: CPU seconds per metric and peak memory, on a table with a synthetic twin whose columns are shuffled.

    python benchmarks/evaluate_cost.py FOLDER [--rows N]      FOLDER holds train.csv, test.csv and target.txt

Columns and roles are inferred as `manikin evaluate` does; the twin has no dependence, which costs the same to judge.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.results_file import write_results
from manikin.evaluation.suite import evaluate
from manikin.workflow.judge import shared_columns
from manikin.workflow.sources import read_alike


def read(folder: Path, rows: int | None) -> tuple[Dataset, Dataset]:
    """Train and holdout rows by the schema that `manikin evaluate` would infer, roles included."""
    train, (test,) = read_alike(folder / "train.csv", [folder / "test.csv"])
    if rows is None:
        return train, test
    return train.take(np.arange(min(rows, len(train)))), test.take(np.arange(min(rows, len(test))))


def twin(data: Dataset, rng: np.random.Generator) -> Dataset:
    frame, marks = {}, {}
    for name in data.columns.names:
        order = rng.permutation(len(data))
        frame[name] = data.table.frame[name].iloc[order].reset_index(drop=True)
        marks[name] = data.table.mark(name)[order]
    return data.with_table(Table(pd.DataFrame(frame), marks))


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, help="at most this many train and this many holdout rows")
    given = parser.parse_args()
    train, test = read(given.folder, given.rows)
    target = (given.folder / "target.txt").read_text().strip()
    made = twin(train, np.random.default_rng(0))
    data = EvaluationData(train, test, (made,), shared_columns(train, test, (made,)), target)
    before, start = memory_mb(), time.process_time()
    times: list[tuple[str, float]] = []
    results = evaluate(data, seed=0, progress=lambda name, *_: times.append((name, time.process_time())))
    measured = {figure.name: figure for figure in results.figures}
    for (name, began), (_, ended) in pairwise(times):
        metric = measured.get(name)
        figures = metric and f"{metric.value!s:>10} {metric.interval!s:>22} reference {metric.reference!s:>9} n {metric.n}"
        print(f"{name:16s} {ended - began:7.1f} s  {figures or ''}")
    with TemporaryDirectory() as folder:
        print(f"results.json: {write_results(results, Path(folder) / 'results.json').stat().st_size / 1e6:.2f} MB")
    print(
        f"{len(train)} train, {len(test)} holdout, {len(train)} synthetic rows x {len(train.columns.columns)} columns: "
        f"{time.process_time() - start:.1f} CPU s, peak {memory_mb():.0f} MB ({before:.0f} MB before)"
    )


if __name__ == "__main__":
    main()
