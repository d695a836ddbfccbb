"""What every adapter of a generator of linked patients shares: command line, folders of tables, cost. Knows no synthesizer.

Run inside the peer's own environment; import it before anything heavy (it holds the thread pools at one thread). The CSV files are read
before the meter starts and written after it stops: what is metered is fitting and sampling.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import adapter  # first: it holds the thread pools
import pandas as pd
import psutil

Cost = adapter.Cost
Tables = dict[str, pd.DataFrame]
FIRST_KEY = 900_000_001  # no key of any of the tables


@dataclass(frozen=True)
class Job:
    """One fit and one sample: folders, number of patients, seed, the peer's own limit."""

    train: Path
    out: Path
    cost: Path
    judge: Path
    patients: int
    seed: int
    budget_minutes: float | None
    model: str

    @property
    def facts(self) -> dict:
        """What judge.json says of the tables: patients, codes, values, keys."""
        return json.loads(self.judge.read_text())

    @property
    def options(self) -> dict[str, str]:
        """`name+epochs=8+window=50`: what stands behind the model's name."""
        return dict(part.split("=", 1) for part in self.model.split("+")[1:])


@dataclass(frozen=True)
class Sequences:
    """One static table and one table of rows in time, keyed to it: what sequential peers take."""

    statics: str | None
    rows: str
    key: str
    time: str
    categories: tuple[str, ...]


def parse(description: str, models: Sequence[str]) -> Job:
    """The command line that all adapters share; the first of `models` is the default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--train", type=Path, required=True, help="folder of CSV tables to learn from")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--cost", type=Path, required=True, help="cost.json to write")
    parser.add_argument("--judge", type=Path, required=True, help="judge.json of the tables")
    parser.add_argument("--patients", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget-minutes", type=float, default=None, help="the peer's own limit, where it has one")
    parser.add_argument("--model", default=models[0], help=f"one of {', '.join(models)}, with +option=value behind it")
    return Job(**vars(parser.parse_args()))


def read(folder: Path, facts: Mapping) -> Tables:
    """The tables of a folder; codes and categories are text, other cells what pandas makes of them."""
    text = {event["code"]: str for event in facts["events"] if "code" in event} | dict.fromkeys(facts["patients"]["categories"], str)
    return {
        path.stem: pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=text, low_memory=False)
        for path in sorted(folder.glob("*.csv"))
    }


def sequences(facts: Mapping) -> Sequences:
    """The one static and the one sequence table of a folder; refused where there are more."""
    (event,) = facts["events"]
    categories = [*facts["patients"]["categories"], *([event["code"]] if "code" in event else [])]
    return Sequences(facts["patients"]["table"], event["table"], event["key"], event["time"], tuple(categories))


def with_new_keys(tables: Tables, facts: Mapping, keys: pd.Series) -> Tables:
    """The same tables with patients numbered anew, as keys of the files they stand for; rows of nobody stay, unnumbered."""
    numbers = {key: number for number, key in enumerate(keys, start=FIRST_KEY)}
    named = {event["table"]: event["key"] for event in facts["events"]}
    if facts["patients"]["table"]:
        named |= {facts["patients"]["table"]: facts["patients"]["key"]}
    return {name: table.assign(**{named[name]: table[named[name]].map(numbers).astype("Int64")}) for name, table in tables.items()}


def like_train(name: str, table: pd.DataFrame, train: Path) -> tuple[pd.DataFrame, list[str]]:
    """A table with train's columns, order and decimals; where a peer wrote text among numbers, the column is left to the judge."""
    numeric = adapter.read(train / f"{name}.csv").select_dtypes("number").columns
    spoiled = [column for column in numeric if column in table and not _are_numbers(table[column])]
    numbers = table.assign(**dict.fromkeys(spoiled, float("nan")))
    try:
        rounded, changed = adapter.rounded_like(numbers, train / f"{name}.csv")
    except (ValueError, TypeError, KeyError) as error:
        return table, [f"{name} as the peer wrote it: {error}"[:200]]
    return rounded.assign(**{column: table[column] for column in spoiled}), changed + [f"{name}.{column} holds text" for column in spoiled]


def _are_numbers(cells: pd.Series) -> bool:
    """Whether all that a column holds can be read as numbers."""
    return bool(pd.to_numeric(cells, errors="coerce").notna().eq(cells.notna()).all())


def finish(job: Job, cost: Cost, tables: Tables, packages: Sequence[str]) -> None:
    """Writes the folder, then cost.json: a job is done when both exist."""
    partial = job.out.with_name(job.out.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, table in tables.items():
        table, changed = like_train(name, table, job.train)
        if changed:
            cost.notes.append(f"rounded by the adapter to the decimals of train: {', '.join(changed)}")
        table.to_csv(partial / f"{name}.csv", index=False)
    shutil.rmtree(job.out, ignore_errors=True)
    partial.rename(job.out)
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    record = {
        "model": job.model,
        "seed": job.seed,
        "rows": {name: len(table) for name, table in tables.items()},
        "patients": job.patients,
        "fit_cpu_s": round(cost.fit_cpu_s, 2),
        "sample_cpu_s": round(cost.sample_cpu_s, 2),
        "peak_mb": round(max(peaks), 1),
        "after_imports_mb": round(cost.after_imports_mb, 1),
        "budget_minutes": job.budget_minutes,
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in packages},
        "notes": cost.notes,
    }
    job.cost.write_text(json.dumps(record, indent=2) + "\n")


def run(
    job: Job,
    fit: Callable[[Tables, Cost], object],
    sample: Callable[[object, Cost], Tables],
    packages: Sequence[str],
) -> None:
    """Fits, samples and meters. The model's package must have been imported before."""
    tables = read(job.train, job.facts)
    cost = Cost(after_imports_mb=psutil.Process().memory_info().rss / 2**20)
    with adapter.timed(cost, "fit_cpu_s"):
        model = fit(tables, cost)
    print(f"{job.model}: fit {cost.fit_cpu_s:.1f} CPU s", file=sys.stderr, flush=True)
    with adapter.timed(cost, "sample_cpu_s"):
        made = sample(model, cost)
    finish(job, cost, made, packages)
    print(f"{job.model}: sample {cost.sample_cpu_s:.1f} CPU s", file=sys.stderr, flush=True)
