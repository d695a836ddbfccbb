"""What `evaluate` costs: CPU seconds per metric and peak memory, on a table with a synthetic twin whose columns are shuffled.

    python benchmarks/evaluate_cost.py FOLDER [--rows N]      FOLDER holds train.csv, test.csv and target.txt

A column is a number when all its cells are, and it has more than ten levels; the twin has no dependence, which costs the same to judge.
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

from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.results_file import write_results
from manikin.evaluation.suite import evaluate

MIN_LEVELS_OF_A_NUMBER = 11


def read(folder: Path, rows: int | None) -> tuple[Dataset, Dataset]:
    parts = [pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False, nrows=rows) for name in ("train", "test")]
    both = pd.concat(parts, ignore_index=True)
    schema = TableSchema("table", tuple(column(both[name]) for name in both.columns))
    train, test = (flat(parse_table(part.astype(object), schema), schema) for part in parts)
    return train, test


def column(texts: pd.Series) -> Column:
    present = texts[texts != ""]
    numbers = pd.to_numeric(present, errors="coerce")
    if numbers.notna().all() and present.nunique() >= MIN_LEVELS_OF_A_NUMBER:
        return Column(str(texts.name), Kind.CONTINUOUS, Storage.REAL)
    return Column(str(texts.name), Kind.CATEGORICAL)


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
    data = EvaluationData(train, test, (twin(train, np.random.default_rng(0)),), train.columns, target)
    before, start = memory_mb(), time.process_time()
    times: list[tuple[str, float]] = []
    results = evaluate(data, seed=0, progress=lambda name, *_: times.append((name, time.process_time())))
    measured = {metric.name: metric for metric in results.metrics}
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
