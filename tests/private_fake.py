"""A tiny private synthesizer for tests of the house around it: noisy histograms over bins that are taken as public."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.data.schema_text import table_from_json, table_to_json
from manikin.data.seeds import generator
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.synthesizers import SYNTHESIZERS, SynthesizerEntry
from manikin.workflow.sources import infer

BINS = 10
LEVELS = {"sex": ("F", "M"), "ward": ("medicine", "surgery")}
ENTRY = SynthesizerEntry("private_fake:Histogram", "noisy histograms, for tests", private=True, conditions=True)


@dataclass(kw_only=True)
class Histogram:
    """Columns by themselves: whole numbers 0 … 99 in tens, or the levels that LEVELS calls public knowledge."""

    after: ClassVar[Any] = None  # called after the count was bought and before the histograms are, to stop a run there
    schema_: TableSchema = field(init=False, repr=False)
    counts_: list[Any] = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Ledger | None = None) -> Self:
        assert ledger is not None
        private = mechanisms.seal(data, ledger)
        if type(self).after is not None:
            type(self).after()
        columns = [known(column.name) for column in private.columns.learned]
        self.schema_ = TableSchema("table", tuple(columns))
        share = ledger.precision_left / len(columns)
        self.counts_ = []
        for column in columns:
            cells = private.map(lambda rows, column=column: cells_of(rows, column))
            size = len(column.levels) if column.levels is not None else BINS
            counts = mechanisms.noisy_counts(
                cells, [size], ledger, precision=share, purpose=f"counts of {column.name}", columns=[column.name], by="fake"
            )
            self.counts_.append(np.maximum(counts[0], 0) + 1)
        return self

    def sample_batches(self, n: int, *, seed: int, conditions: Any = None, batch_size: int = 65_536) -> Iterator[Dataset]:
        for start in range(0, n, batch_size):
            yield self._drawn(min(batch_size, n - start), seed + start, conditions)

    def sample(self, n: int, *, seed: int, conditions: Any = None) -> Dataset:
        return self._drawn(n, seed, conditions)

    def _drawn(self, n: int, seed: int, conditions: Any) -> Dataset:
        rng, out = generator(seed, "fake"), {}
        for column, counts in zip(self.schema_, self.counts_, strict=True):
            drawn = rng.choice(len(counts), size=n, p=counts / counts.sum())
            if column.levels is not None:
                out[column.name] = pd.Categorical.from_codes(drawn, list(column.levels))
            else:
                out[column.name] = 10.0 * drawn + rng.integers(0, 10, n)
            if isinstance(conditions, Dataset) and column.name in conditions.columns:
                out[column.name] = conditions.table.frame[column.name].to_numpy()
        return flat(Table(pd.DataFrame(out)), self.schema_)

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"schema": table_to_json(self.schema_)}, {f"c{i}": counts for i, counts in enumerate(self.counts_)}

    def restore(self, values: dict[str, Any], arrays: dict[str, Any]) -> Self:
        self.schema_ = table_from_json(values["schema"])
        self.counts_ = [arrays[f"c{i}"] for i in range(len(arrays))]
        return self


def known(name: str) -> Column:
    if name in LEVELS:
        return Column(name, Kind.CATEGORICAL, levels=LEVELS[name])
    return Column(name, Kind.COUNT, Storage.INTEGER, minimum=0, maximum=99, decimals=0)


def cells_of(rows: Dataset, column: Column) -> Any:
    texts = column_texts(rows.table, rows.columns[column.name])
    if column.levels is not None:
        places = {level: i for i, level in enumerate(column.levels)}
        return np.array([places.get(text, mechanisms.NOWHERE) for text in texts])
    return np.array([int(float(text)) // 10 for text in texts])


def patients(n: int = 4000, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 95, n),
            "score": rng.integers(0, 100, n),
            "sex": rng.choice(["F", "M"], n),
            "ward": rng.choice(["surgery", "medicine"], n),
        }
    )


def register(monkeypatch: Any) -> None:
    """Adds the fake to the registry for one test."""
    monkeypatch.setattr(SYNTHESIZERS, "_all", {**SYNTHESIZERS, "fake": ENTRY})


def with_schema(job: Callable[..., Any]) -> Callable[..., Any]:
    """A job of the workflow that is given the inferred schema where a test gives none: a budget is refused without one."""

    def run(data: Path, **named: Any) -> Any:
        if "replay" not in named:
            named.setdefault("schema", infer(data))
        return job(data, **named)

    return run
