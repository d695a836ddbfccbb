"""A generator of linked patients that needs no learning: it repeats a patient's last rows a day later, and finds odd numbers surprising."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, Table
from manikin.data.new_keys import families, renewed
from manikin.data.schema import Role
from manikin.data.schema_text import schema_from_json, schema_to_json
from manikin.synthesizers import SYNTHESIZERS, SynthesizerEntry
from manikin.synthesizers.base import Likelihood

ENTRY = SynthesizerEntry("records_fake:Repeats", "repeats what was", modality="records", continues=True, scores=True)
DAY = np.timedelta64(1, "D")


def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts it into the registry as "repeats"."""
    monkeypatch.setattr(SYNTHESIZERS, "_all", {**SYNTHESIZERS, "repeats": ENTRY})


@dataclass(kw_only=True)
class Repeats:
    """It keeps the schema alone."""

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:
        self.schema_ = data.schema
        return self

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"schema": schema_to_json(self.schema_)}, {"nothing": np.zeros(1)}

    def restore(self, values: dict[str, Any], arrays: dict[str, Any]) -> Self:
        self.schema_ = schema_from_json(values["schema"])
        return self

    def continue_(
        self,
        data: Dataset,
        *,
        until: np.ndarray,
        draws: int,
        seed: int,
        set: Mapping[str, Any] | None = None,  # noqa: A002 (the protocol's)
    ) -> Iterator[Dataset]:
        rng = np.random.default_rng(seed)
        for _ in range(draws):
            tables = dict(data.tables)
            for table in data.schema.of_patients:
                if table.start is None or not table[table.start].kind.is_time or table.with_role(Role.BIRTH):
                    continue
                frame, owner = tables[table.name].frame, data.owners[table.name]
                last = np.flatnonzero(~pd.Series(owner).duplicated(keep="last").to_numpy())
                last = last[until[owner[last]] > 0]
                more = frame.iloc[last].assign(**{table.start: frame[table.start].iloc[last] + DAY})
                for column in table:
                    if column.kind.is_number and column.decimals:
                        more[column.name] = (more[column.name] + rng.normal(0, 1, len(more))).round(column.decimals)
                    if set and column.name in set:
                        more[column.name] = pd.Categorical([set[column.name]] * len(more), categories=more[column.name].cat.categories)
                joined = pd.concat([frame, more], ignore_index=True)
                for name in frame.select_dtypes("category"):
                    joined[name] = joined[name].astype(frame[name].dtype)
                marks = {name: np.concatenate([mark, mark[last]]) for name, mark in tables[table.name].marks.items()}
                tables[table.name] = Table(joined, marks)
            yield renewed(replace(data, tables=tables), families(data.schema))[0]

    def log_likelihood(self, data: Dataset) -> Likelihood:
        parts = {"labs": ("kind", "gap", "value")}
        value = data.tables["labs"].frame["value"].to_numpy(dtype=float)
        nats = np.column_stack([np.full(len(value), -0.5), np.full(len(value), -1.0), -np.abs(np.nan_to_num(value)) / 100])
        n = len(data)
        return Likelihood(np.full(n, -2.0), np.full(n, -0.1), parts, {"labs": nats})
