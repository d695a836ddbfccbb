"""Adapter of sdv's generators of sequences and of linked tables: par (default) and hma, on their defaults.

    python records_sdv_run.py --model par --train FOLDER --out FOLDER --cost cost.json --judge judge.json --patients N --seed S

`par` takes one table: the static table's columns become context columns of every row. `hma` takes all tables with their keys.
`par+epochs=8` caps the epochs (128 by default), for tables on which they do not end. Metadata are declared, not guessed: numbers
numerical, codes and categories categorical.
"""

from __future__ import annotations

import warnings

# ruff: noqa: I001
import records_adapter as shared  # first: it holds the thread pools
import numpy as np
import pandas as pd
import torch
from sdv.metadata import Metadata
from sdv.multi_table import HMASynthesizer
from sdv.sequential import PARSynthesizer

torch.set_num_threads(1)
warnings.filterwarnings("ignore")
MODELS = {"par": PARSynthesizer, "hma": HMASynthesizer}


def described(table: pd.DataFrame, categories: tuple[str, ...], keys: tuple[str, ...]) -> dict:
    """sdv's description of a table's columns."""
    kinds = {}
    for name, values in table.items():
        is_number = pd.api.types.is_numeric_dtype(values) and name not in categories
        kinds[name] = {"sdtype": "id" if name in keys else "numerical" if is_number else "categorical"}
    return kinds


class Par:
    """One table of sequences with context columns."""

    def __init__(self, job: shared.Job) -> None:
        self.job, self.layout = job, shared.sequences(job.facts)

    def fit(self, tables: shared.Tables, cost: shared.Cost) -> Par:
        layout = self.layout
        rows, statics = tables[layout.rows], tables[layout.statics] if layout.statics else None
        table = rows if statics is None else rows.merge(statics, on=layout.key, how="inner")
        self.context = [] if statics is None else [name for name in statics if name != layout.key]
        self.columns = {layout.rows: list(rows)} | ({} if statics is None else {layout.statics: list(statics)})
        for name in table.columns:
            if table[name].isna().all():
                raise SystemExit(f"column {name} holds nothing")
        columns = described(table, layout.categories, (layout.key,))
        description = {"columns": columns, "sequence_key": layout.key, "sequence_index": layout.time}
        metadata = Metadata.load_from_dict({"tables": {"table": description}})
        options = {name: int(value) for name, value in self.job.options.items()}
        cost.notes.extend(f"{name} {value}" for name, value in options.items())
        self.model = PARSynthesizer(metadata, context_columns=self.context, cuda=False, verbose=True, **options)
        self.model.fit({"table": table})
        return self

    def sample(self, cost: shared.Cost) -> shared.Tables:
        layout = self.layout
        made = self.model.sample_sequences(self.job.patients)
        made = made["table"] if isinstance(made, dict) else made
        keys = pd.Series(made[layout.key].unique())
        if len(keys) < self.job.patients:
            cost.notes.append(f"{len(keys)} patients came where {self.job.patients} were asked for")
        out = {layout.rows: made[self.columns[layout.rows]]}
        if layout.statics:
            out[layout.statics] = made.drop_duplicates(layout.key)[self.columns[layout.statics]]
        return shared.with_new_keys(out, self.job.facts, keys)


class Hma:
    """All tables with their keys."""

    def __init__(self, job: shared.Job) -> None:
        self.job = job

    def fit(self, tables: shared.Tables, _: shared.Cost) -> Hma:
        facts = self.job.facts
        codes = tuple(event["code"] for event in facts["events"] if "code" in event)
        keys = {name: key[0] for name, key in facts["keys"].items()}
        linked = {(link["table"], link["columns"][0]) for link in facts["links"]}
        descriptions = {}
        for name, table in tables.items():
            ids = tuple(column for column in table if keys.get(name) == column or (name, column) in linked)
            descriptions[name] = {"columns": described(table, (*facts["patients"]["categories"], *codes), ids)}
            if name in keys:
                descriptions[name]["primary_key"] = keys[name]
        relations = [
            {
                "parent_table_name": link["to"],
                "child_table_name": link["table"],
                "parent_primary_key": link["references"][0],
                "child_foreign_key": link["columns"][0],
            }
            for link in facts["links"]
        ]
        self.model = HMASynthesizer(Metadata.load_from_dict({"tables": descriptions, "relationships": relations}), verbose=True)
        self.n_patients = len(tables[facts["patients"]["table"]])
        self.model.fit(tables)
        return self

    def sample(self, _: shared.Cost) -> shared.Tables:
        facts = self.job.facts
        made = self.model.sample(scale=self.job.patients / self.n_patients)
        if len(facts["events"]) > 1:
            return made
        return shared.with_new_keys(made, facts, made[facts["patients"]["table"]][facts["patients"]["key"]])


def main() -> None:
    """Fits and samples as the command line says."""
    job = shared.parse("sequences and linked tables of sdv", list(MODELS))
    np.random.seed(job.seed)  # noqa: NPY002  (sdv's and its parts' seed)
    torch.manual_seed(job.seed)
    kind = {"par": Par, "hma": Hma}[job.model.split("+")[0]]
    model = kind(job)
    shared.run(job, model.fit, lambda _, cost: model.sample(cost), ["sdv", "deepecho", "torch", "pandas"])


if __name__ == "__main__":
    main()
