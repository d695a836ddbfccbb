"""Linked patients from a saved model, written piece by piece, so that memory does not grow with their number. Knows no format by name."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from manikin.data.errors import ParameterError
from manikin.data.schema import Schema
from manikin.io.formats import FOLDER, FORMATS
from manikin.workflow.linked import column_named
from manikin.workflow.linked_sizes import sizes
from manikin.workflow.models import Drawn, model_folder, open_model
from manikin.workflow.output import check_not_read
from manikin.workflow.places import Place, Storage, kept_storage, linked_format, place_of, writing
from manikin.workflow.sources import SUFFIX
from manikin.workflow.stages import Stages

BATCH_PATIENTS = 256


def draw_linked(
    model: str | Path,
    *,
    n: int,
    out: Place,
    conditions: Mapping[str, Any] | None,
    seed: int,
    force: bool,
    stages: Stages,
    file_format: str | None = None,
) -> Drawn:
    """Writes `n` patients to a folder or database, whole or not at all, stored as the tables that the model learned were.

    Parameters
    ----------
    conditions : column, or table.column -> value that every patient holds.
    file_format : csv or parquet for tables in such files, or a format of linked records that has files.

    Raises
    ------
    InputError : the model, a condition or the place cannot be used. Nothing is written.
    """
    target = place_of(out)
    storage = storage_for(target, kept_storage(model_folder(model)), file_format)
    if isinstance(target, Path):
        check_not_read(target, [model])
    with stages.stage("load", "Loading the model"):
        fitted = open_model(model)
        check_conditions(conditions or {}, fitted)
    rows: dict[str, int] = {}
    done = 0
    with stages.stage("sample", f"Making {n:,} patients"), ExitStack() as held:
        batches = iter(fitted.sample_batches(n, seed=seed, conditions=conditions or None, batch_size=BATCH_PATIENTS))
        first = next(batches)
        writer = held.enter_context(writing(target, first.schema, storage=storage, force=force))
        for batch in chain([first], batches):
            writer.append(batch)
            done += len(batch)
            for name, size in sizes(batch).items():
                rows[name] = rows.get(name, 0) + size
            stages.watcher.advance(min(done / n, 1.0), f"{done:,} patients, {sum(rows.values()):,} rows")
    return Drawn(target, done, rows)


def storage_for(target: Place, kept: Storage, file_format: str | None = None) -> Storage:
    """How to store at a place: as the model's tables were, unless the place or what is asked for is of another format.

    Raises
    ------
    ParameterError : the place is a file, or the format is none of linked tables in files.
    """
    if file_format is not None and (file_format not in file_formats() or not isinstance(target, Path)):
        where = "" if isinstance(target, Path) else " in a database"
        raise ParameterError(f"--format {file_format} is no format of linked tables{where}. Choose one of {', '.join(file_formats())}.")
    if isinstance(target, Path):
        if target.suffix.lower() in (".csv", ".parquet"):
            raise ParameterError(f"{target} is the name of a file, and linked tables need a folder. Leave the ending out.")
        if file_format is not None:
            return Storage(FOLDER, SUFFIX[file_format]) if file_format in SUFFIX else Storage(file_format)
        return kept if kept.is_local else Storage(FOLDER)
    name = linked_format(target)
    assert name is not None
    return kept if kept.format == name else Storage(name)


def file_formats() -> list[str]:
    """What linked tables may be written as beside their own form."""
    return [*SUFFIX, *(name for name, known in FORMATS.items() if known.modality == "records" and name not in (FOLDER, "sql"))]


def check_conditions(conditions: Mapping[str, Any], model: Any) -> None:
    """Refuses conditions on columns that there are not.

    Raises
    ------
    ParameterError : names the column and those that are spelled like it.
    """
    schema = getattr(model, "schema_", None)
    if isinstance(schema, Schema):
        for name in conditions:
            column_named(name, schema, "--where")

