"""The main job on a real clinical table that a dependency carries in its wheel, so that it works without a network or data of one's own."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from manikin.data.schema import Role, Schema, TableSchema
from manikin.workflow.options import Options
from manikin.workflow.stages import Watcher
from manikin.workflow.synthesize import Outcome, synthesize

FOLDER = "manikin-demo"
INTRODUCTION = """\
The main job on a real table: 686 women with node-positive breast cancer, of the German Breast Cancer Study Group's trial 2
(Schumacher et al. 1994, doi:10.1200/JCO.1994.12.10.2086; the table comes with the package lifelines).
It reads the table, infers a schema, sets a fifth of the women aside, learns from the others, makes as many synthetic women,
and measures how like the real ones they are, how useful, and how private."""
_ROLES = {"time": (Role.TIME,), "cens": (Role.EVENT, Role.TARGET)}


def demo(*, out: str | Path = FOLDER, seed: int = 0, force: bool = False, watcher: Watcher | None = None) -> Outcome:
    """Runs `synthesize` on the breast cancer table; see INTRODUCTION. Writes the run folder `out`."""
    with tempfile.TemporaryDirectory(prefix="manikin-") as folder:
        table = Path(folder) / "gbsg2.csv"
        write_table(table)
        return synthesize(table, out=out, schema=_schema(table), options=Options(seed=seed), force=force, watcher=watcher)


def write_table(path: Path) -> None:
    """Writes the breast cancer table as CSV, as lifelines carries it."""
    from lifelines.datasets import load_gbsg2

    load_gbsg2().to_csv(path, index=False)


def _schema(table: Path) -> Schema:
    """The inferred schema with the roles that the study's description gives: follow-up in days and whether the cancer came back."""
    from manikin.workflow.sources import infer

    schema: TableSchema = infer(table).only
    for name, roles in _ROLES.items():
        if name in schema:
            schema = schema.replace_column(replace(schema[name], roles=roles))
    return Schema((schema,))
