"""Adapter of sdv's generators of sequences and of linked tables: par (default) and hma, on their defaults.

    python records_sdv_run.py --model par --train FOLDER --out FOLDER --cost cost.json --judge judge.json --patients N --seed S

`par` takes one table: the static table's columns become context columns of every row.
`par+epochs=8` caps the epochs (128 by default), for tables on which they do not end. Metadata are declared, not guessed: numbers
numerical, codes and categories categorical.

`hma` takes what records_linked.py makes of many tables (see there for what it is helped with: dates as days, dictionaries and row numbers
set aside, keys that follow from others copied), with all keys that are left. `hma+context=patient` puts every table straight under the
patient, since it is made for a parent and her children, and draws other keys at random within the patient.
"""

from __future__ import annotations

import warnings

# ruff: noqa: I001
import records_adapter as shared  # first: it holds the thread pools
import records_linked as linked
import numpy as np
import pandas as pd
import torch
from sdv.errors import SynthesizerInputError
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
        self.job, self.deep = job, job.options.get("context") != "patient"

    def relations(self) -> list[linked.Link]:
        """The links that it learns."""
        places = self.linked.places.values()
        return [link for place in places for link in (place.context, *(place.loose if self.deep else ())) if link]

    def fit(self, tables: shared.Tables, _: shared.Cost) -> Hma:
        """Fits what is left of the tables."""
        facts = self.job.facts
        self.linked = linked.Linked(tables, facts, deep=self.deep)
        given = self.linked.given()
        if not self.deep:
            loose = {name: [link.column for link in place.loose] for name, place in self.linked.places.items()}
            given = {name: table.drop(columns=loose[name]) for name, table in given.items()}
        codes = tuple(event["code"] for event in facts["events"] if "code" in event)
        named = {(link.table, link.column) for link in self.relations()}
        descriptions = {}
        for name, table in given.items():
            primary = self.linked.primary(name)
            ids = tuple(column for column in table if column == primary or (name, column) in named)
            descriptions[name] = {"columns": described(table, (*facts["patients"]["categories"], *codes), ids)}
            if primary in table:
                descriptions[name]["primary_key"] = primary
        relations = [
            {
                "parent_table_name": link.parent,
                "child_table_name": link.table,
                "parent_primary_key": link.key,
                "child_foreign_key": link.column,
            }
            for link in self.relations()
        ]
        metadata = Metadata.load_from_dict({"tables": descriptions, "relationships": relations})
        try:
            self.model = HMASynthesizer(metadata, verbose=True)
        except SynthesizerInputError as error:  # its last lines are of something else
            raise SystemExit(f"{len(given)} tables: {str(error).splitlines()[0]}") from error
        self.model.fit(given)
        return self

    def sample(self, _: shared.Cost) -> shared.Tables:
        """As many patients as asked for."""
        made = self.model.sample(self.job.patients, main_table_name=self.linked.root)
        if not self.deep:
            self.linked.drawn_within(made, self.job.seed)
        return self.linked.back(made, self.job.seed + 1)


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
