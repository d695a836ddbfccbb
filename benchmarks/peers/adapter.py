"""What every adapter shares: command line, cost meter, the number format of the data. Knows no synthesizer.

An adapter is run inside its peer's own environment, so this file needs nothing but pandas and psutil. Import it
before anything heavy: it holds the thread pools at one thread, because CPU seconds of several spinning threads say
nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
for variable in THREAD_VARIABLES:
    os.environ[variable] = "1"

import pandas as pd  # noqa: E402  (after the thread pools are held)
import psutil  # noqa: E402


@dataclass(frozen=True)
class Job:
    """One fit and one sample: files, number of rows, seed, limit."""

    train: Path
    out: Path
    cost: Path
    rows: int
    seed: int
    budget_minutes: float | None
    model: str
    also: Path | None = None


@dataclass
class Cost:
    """What a job took, filled while it runs and written as cost.json."""

    fit_cpu_s: float = 0.0
    sample_cpu_s: float = 0.0
    after_imports_mb: float = 0.0
    notes: list[str] = field(default_factory=list)


def parse(description: str, models: Sequence[str], arguments: Sequence[str] | None = None) -> Job:
    """The command line that all adapters share; the first of `models` is the default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--train", type=Path, required=True, help="CSV to learn from; an empty field is a missing value")
    parser.add_argument("--out", type=Path, required=True, help="synthetic CSV to write")
    parser.add_argument("--cost", type=Path, required=True, help="cost.json to write")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget-minutes", type=float, default=None, help="the peer's own limit, where it has one")
    parser.add_argument("--model", default=models[0], help=f"one of {', '.join(models)}")
    parser.add_argument("--also", type=Path, help="folder for a second way of sampling from the same fit, where there is one")
    return Job(**vars(parser.parse_args(arguments)))


def read(path: Path) -> pd.DataFrame:
    """A table in which only the empty field is missing: the text None is a category."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)


def cpu_seconds() -> float:
    """User and system seconds of this process, of children that have ended and of children still alive."""
    ended = sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )
    return ended + sum(_child_seconds(child) for child in psutil.Process().children(recursive=True))


def _child_seconds(child: psutil.Process) -> float:
    """CPU seconds of one living child, 0 for one that ended meanwhile."""
    try:
        times = child.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


@contextmanager
def timed(cost: Cost, name: str) -> Iterator[None]:
    """Adds the CPU seconds of the block to the field `name` of `cost`."""
    start = cpu_seconds()
    yield
    setattr(cost, name, getattr(cost, name) + cpu_seconds() - start)


def decimals(text: pd.Series) -> int:
    """Most decimals that any number of a column is written with; trailing zeros do not count (61.0 has none)."""
    parts = text.dropna().str.extract(r"^-?\d*\.(\d+)$")[0].dropna().str.rstrip("0")
    return int(parts.str.len().max()) if len(parts) else 0


def rounded_like(synthetic: pd.DataFrame, train: Path) -> tuple[pd.DataFrame, list[str]]:
    """The synthetic rows with train's columns, order and decimals, and the names of columns that had to be rounded."""
    text = pd.read_csv(train, dtype=str, keep_default_na=False, na_values=[""])
    numeric = read(train).select_dtypes("number").columns
    synthetic = synthetic[list(text.columns)].copy()
    changed = []
    for column in numeric:
        before = pd.to_numeric(synthetic[column]).astype(float)
        places = decimals(text[column])
        after = before.round(places)
        if ((after - before).abs() > 1e-9).any():
            changed.append(column)
        synthetic[column] = after.astype("Int64") if places == 0 else after
    return synthetic, changed


def finish(job: Job, cost: Cost, synthetic: pd.DataFrame, packages: Sequence[str]) -> None:
    """Writes the synthetic CSV, then cost.json: a job is done when both exist."""
    synthetic, changed = rounded_like(synthetic, job.train)
    if changed:
        cost.notes.append(f"rounded by the adapter to the decimals of train: {', '.join(changed)}")
    if len(synthetic) != job.rows:
        cost.notes.append(f"{len(synthetic)} rows came where {job.rows} were asked for")
    partial = job.out.with_suffix(".part")
    synthetic.to_csv(partial, index=False)
    partial.rename(job.out)
    record = {
        "model": job.model,
        "seed": job.seed,
        "rows": len(synthetic),
        "fit_cpu_s": round(cost.fit_cpu_s, 2),
        "sample_cpu_s": round(cost.sample_cpu_s, 3),
        "rows_per_cpu_s": round(len(synthetic) / max(cost.sample_cpu_s, 0.001)),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "after_imports_mb": round(cost.after_imports_mb, 1),
        "budget_minutes": job.budget_minutes,
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in packages},
        "notes": cost.notes,
    }
    job.cost.write_text(json.dumps(record, indent=2) + "\n")


def run(
    job: Job,
    fit: Callable[[pd.DataFrame, Cost], object],
    sample: Callable[[object, Cost], pd.DataFrame],
    packages: Sequence[str],
    second: Callable[[object, Cost], pd.DataFrame] | None = None,
) -> None:
    """Fits, samples and meters. The model's package must have been imported before. `second` is what --also asks for."""
    cost = Cost(after_imports_mb=psutil.Process().memory_info().rss / 2**20)
    train = read(job.train)
    with timed(cost, "fit_cpu_s"):
        model = fit(train, cost)
    with timed(cost, "sample_cpu_s"):
        synthetic = sample(model, cost)
    finish(job, cost, synthetic, packages)
    if job.also is not None and second is not None:
        job.also.mkdir(parents=True, exist_ok=True)
        cost = replace(cost, sample_cpu_s=0.0, notes=["drawn from the same fit as the other way of sampling"])
        with timed(cost, "sample_cpu_s"):
            synthetic = second(model, cost)
        finish(replace(job, out=job.also / "synthetic.csv", cost=job.also / "cost.json"), cost, synthetic, packages)
    print(f"{job.model}: fit {cost.fit_cpu_s:.1f} CPU s, sample {cost.sample_cpu_s:.2f} CPU s", file=sys.stderr)
