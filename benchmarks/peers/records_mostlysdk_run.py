"""Adapter of the multi-table generator of mostlyai's SDK, in its local mode: each table a sequence in the context of its parent.

    python records_mostlysdk_run.py --model tables --train FOLDER --out FOLDER --cost cost.json --judge judge.json --patients N --seed S

The SDK is handed what records_linked.py makes (see there for what it is helped with): one context a table, the parent nearest to it of
those that every row names; what the parent stands under comes with it. Other keys are non-context relations of the SDK, which it fills
with networks of its own that match children and parents, whoever's the parents are. Text and the codes of judge.json are declared
categorical, dates in tables of sequences relative (intervals since the row before), which it recommends there, but for dates that many
rows lack (of death), on which that fails. Everything else is its default: value protection, early stopping, at most 100 epochs, windows
of 100 rows. Rare codes come as the text _RARE_; `tables+rare=sample` draws a frequent one in their place, `+protect=false` keeps all
values, as lists of codes that are declared public do in ours.

--budget-minutes is shared out among the tables, by the square root of their cells, as max_training_time; the engine's clock counts the
CPU seconds of this process, so that a busy machine does not shorten its training. The networks that match keys have no such limit.

Its reports are switched off, and their package stood in for by an empty module. Training and generation run in this process, by the
functions that the SDK's own command line calls in a child process; the few records that it draws for a preview after training are left out.
"""

from __future__ import annotations

# ruff: noqa: I001
import records_adapter as shared  # first: it holds the thread pools
import records_linked as linked
import math
import shutil
import sys
import tempfile
import time
import types
from pathlib import Path

import pandas as pd
import torch

QA = types.ModuleType("mostlyai.qa")  # reports, which are switched off
QA.__version__ = "0"
sys.modules["mostlyai.qa"] = QA

import mostlyai  # noqa: E402

mostlyai.qa = QA

from mostlyai.sdk import MostlyAI  # noqa: E402
from mostlyai.sdk._local.execution import jobs  # noqa: E402

torch.set_num_threads(1)
jobs._probe_random_samples = lambda **_: None
ORIGIN = pd.Timestamp("2000-01-01")
RELATIVE, CATEGORY = "TABULAR_DATETIME_RELATIVE", "TABULAR_CATEGORICAL"
MOSTLY_KNOWN = 0.9  # share of rows, below which intervals since the row before are not there to be learned (it fails where none is)


class Multi:
    """One generator of all tables."""

    def __init__(self, job: shared.Job) -> None:
        self.job = job
        self.home = Path(tempfile.mkdtemp(prefix="mostlysdk-"))
        self.client = MostlyAI(local=True, local_dir=str(self.home), quiet=True)

    def table(self, name: str, table: pd.DataFrame, minutes: float | None) -> dict:
        """The SDK's description of one table."""
        job, place = self.job, self.linked.places[name]
        codes = {event["code"] for event in job.facts["events"] if "code" in event} | set(job.facts["patients"]["categories"])
        keys = {self.linked.primary(name): "AUTO"}
        foreign = [{"column": link.column, "referenced_table": link.parent, "is_context": False} for link in place.loose]
        if place.context:
            foreign.append({"column": place.context.column, "referenced_table": place.context.parent, "is_context": True})
        keys |= {told["column"]: "AUTO" for told in foreign}
        kinds, table = {}, table.copy()
        for column in table:
            if column in keys:
                table[column] = table[column].astype("string")  # keys of two types are two keys to it
            elif column in place.dates or (column == place.time and place.context):
                table[column] = ORIGIN + pd.to_timedelta(table[column].astype(float), unit="D")
                kinds[column] = RELATIVE if place.context and table[column].notna().mean() > MOSTLY_KNOWN else "TABULAR_DATETIME"
            elif column in codes or not pd.api.types.is_numeric_dtype(table[column]):
                kinds[column] = CATEGORY
        options = job.options
        model = {"enable_model_report": False, "value_protection": options.get("protect") != "false"}
        model |= {"rare_category_replacement_method": "SAMPLE"} if options.get("rare") == "sample" else {}
        model |= {"max_training_time": minutes} if minutes is not None else {}
        columns = [{"name": column, "model_encoding_type": kinds.get(column, "AUTO")} for column in table]
        told = {"name": name, "data": table, "columns": columns, "foreign_keys": foreign or None, "tabular_model_configuration": model}
        return told | ({"primary_key": self.linked.primary(name)} if self.linked.primary(name) else {})

    def fit(self, tables: shared.Tables, cost: shared.Cost) -> Multi:
        """Configures through the client, trains with the function behind it."""
        job = self.job
        self.linked = linked.Linked(tables, job.facts)
        given = self.linked.given()
        weights = {name: math.sqrt(table.size) for name, table in given.items()}
        share = (job.budget_minutes or 0) / sum(weights.values())
        told = [self.table(name, table, share * weights[name] if job.budget_minutes else None) for name, table in given.items()]
        config = {"name": "records", "tables": told, "random_state": job.seed}
        self.generator = self.client.train(config=config, start=False, progress_bar=False)
        if job.budget_minutes:
            cost.notes.append(f"{job.budget_minutes} CPU minutes of training shared among {len(told)} tables")
        jobs.execute_training_job(self.generator.id, self.home)
        return self

    def sample(self, cost: shared.Cost) -> shared.Tables:
        """Generates in the same way; days are numbers again."""
        root = self.job.facts["patients"]["table"]
        generator = self.client.generators.get(self.generator.id)
        config = {"tables": [{"name": root, "configuration": {"sample_size": self.job.patients}}], "random_state": self.job.seed}
        made = self.client.generate(generator, config=config, start=False, progress_bar=False)
        jobs.execute_generation_job(made.id, self.home)
        tables = {path.name: pd.read_parquet(path) for path in self.delivered(made.id)}
        marked = sum(int((table.astype(str) == "_RARE_").to_numpy().sum()) for table in tables.values())
        if marked:
            cost.notes.append(f"{marked} cells hold the text _RARE_")
        for name, place in self.linked.places.items():
            for column in {*place.dates, *([place.time] if place.time and place.context else [])}:
                tables[name][column] = (pd.to_datetime(tables[name][column], errors="coerce") - ORIGIN) / pd.Timedelta(1, unit="D")
        return self.linked.back(tables, self.job.seed + 1)

    def delivered(self, made: str) -> list[Path]:
        """The folders of the tables in the archive that it delivers."""
        (archive,) = (self.home / "synthetic-datasets" / made / "ZIP").glob("*parquet*.zip")
        shutil.unpack_archive(archive, self.home / "made")
        return sorted(path for path in (self.home / "made").iterdir() if path.is_dir())


def main() -> None:
    """Fits and samples as the command line says."""
    job = shared.parse("multi-table generator of mostlyai's SDK", ["tables"])
    model = Multi(job)
    begun = time.time() - time.process_time()
    time.time = lambda: begun + time.process_time()
    try:
        shared.run(job, model.fit, lambda _, cost: model.sample(cost), ["mostlyai", "mostlyai-engine", "torch", "pandas"])
    finally:
        shutil.rmtree(model.home, ignore_errors=True)


if __name__ == "__main__":
    main()
