"""Augmentation of linked patients: real patients with all their rows, and made ones of a rare class, in one folder. Knows no generator.

Classes are levels of static columns: what a patient has once. The folder and the record beside it appear whole or not at all; made
patients are written as they are drawn, so that the memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table, concat, flat
from manikin.data.errors import FitError, ParameterError
from manikin.data.new_keys import families, released_schema
from manikin.data.schema import Column, Form, Kind, Role, Schema, Storage, TableSchema
from manikin.data.seeds import derive, generator
from manikin.io.formats import FOLDER
from manikin.io.linked.writing import FolderWriter
from manikin.release.manifest import Choice, hash_folder
from manikin.synthesizers.storage import name_of as name_of_model
from manikin.workflow import proportions
from manikin.workflow.augmentation import Account, Augmented, Wishes
from manikin.workflow.augmented_balance import account_of, cells_to_make, check_generator
from manikin.workflow.augmented_rows import ORIGINS, REAL, SYNTHETIC, check_mark
from manikin.workflow.auto import check_enough
from manikin.workflow.decide import decide, learn
from manikin.workflow.learn import (
    hyperparameters_of,
    training_of,
)
from manikin.workflow.leaving import released_only
from manikin.workflow.linked import column_named, target_of
from manikin.workflow.linked_given import learned_schema
from manikin.workflow.options import Options
from manikin.workflow.output import whole_file, write_json
from manikin.workflow.places import Place, stored_as
from manikin.workflow.proportions import Cells, Ints
from manikin.workflow.sources import SUFFIX
from manikin.workflow.stages import Stages

BATCH = 4096


def writer_of(data: Dataset, source: Place, path: Path, mark: str, file_format: str | None, *, force: bool) -> FolderWriter:
    """What writes the folder: refuses a place that it cannot write to, before anything is learned.

    Raises
    ------
    ParameterError : the format is none of a folder. DataError : the folder is taken, or holds what is no table of these.
    """
    if path.suffix.lower() in (".csv", ".parquet", ".tsv", ".gz"):
        raise ParameterError(f"{path.name} names a file, and augmented patients are a folder of tables. Name a folder.")
    if file_format is not None and file_format not in SUFFIX:
        raise ParameterError(f"--format is one of {', '.join(SUFFIX)}. Got {file_format!r} instead.")
    kept = stored_as(source)
    like = SUFFIX[file_format] if file_format is not None else kept.like if kept.format == FOLDER else None
    for table in data.schema.of_patients:
        check_mark(mark, table)
    return FolderWriter(path, _marked(released_only(data, data.schema), REAL, mark).schema, like=like, force=force)


def augmented_patients(data: Dataset, wishes: Wishes, options: Options, *, model: Any | None, folder: Path, stages: Stages) -> Augmented:
    """Makes the patients that `wishes` ask for, in memory; see `augment_patients`."""
    for table in data.schema.of_patients:
        check_mark(wishes.mark, table)
    account, pieces = augment_patients(data, wishes, options, model=model, folder=folder, stages=stages)
    nobody = _marked(released_only(data, data.schema).subset(np.empty(0, dtype=np.int64)), REAL, wishes.mark)
    whole = concat(list(pieces) or [nobody])
    return Augmented(data=whole, **{one.name: getattr(account, one.name) for one in fields(account)})


def augment_patients(
    data: Dataset, wishes: Wishes, options: Options, *, model: Any | None, folder: Path, stages: Stages
) -> tuple[Account, Iterator[Dataset]]:
    """What is made and the pieces of it, the real patients first where they stay.

    Parameters
    ----------
    folder : a place for what an interrupted run needs to go on.

    Raises
    ------
    InputError : a column, a proportion, the generator or the model cannot be used. FitError : the generator broke what was asked of it.
    """
    if wishes.mode == "partial":
        raise ParameterError("--mode partial makes columns of one table anew, and these are linked tables. Choose --mode hybrid or full.")
    check_generator(options.synthesizer, model, data)
    if model is not None:
        _check_model(model, data)
    keeps_real, target = wishes.mode == "hybrid", wishes.target or target_of(data.schema)
    target = None if target is None else _static(target, data.schema, "--target")
    balance = [_static(one, data.schema, "--balance") for one in wishes.balance]
    full = list(dict.fromkeys([*([] if target is None else [target]), *balance]))
    classes = classes_of(data, full)
    shorts = [name.partition(".")[2] for name in full]
    called = {short: name for short, name in zip(shorts, full, strict=True) if shorts.count(short) == 1}
    cells, to_make = cells_to_make(classes, target, balance, wishes, stages, called=called)
    real, n_made, choice = released_only(data, data.schema), int(to_make.sum()), None
    _tell_lost(data, real, stages)
    pieces: Iterator[Dataset] = iter([real] if keeps_real else [])
    if n_made:
        fitted, choice = _generator(data, options, model, folder, stages)
        pieces = chain(pieces, _made(data, classes, cells, to_make, fitted, choice.name, options.seed, stages))
    else:
        stages.note("The wanted proportions hold already: nothing was made.")
    account = account_of(data, wishes, cells, to_make, choice, stages, unit="patients")
    marked = (_marked(piece, REAL if piece is real else SYNTHETIC, wishes.mark) for piece in pieces)
    return account, marked


def write_patients(pieces: Iterator[Dataset], writer: FolderWriter, document: dict[str, Any], record: Path, *, force: bool) -> None:
    """Writes the folder and its record, whole or not at all."""
    with whole_file(record, force=force) as beside:
        with writer:
            for piece in pieces:
                writer.append(piece)
        document["outputs"] = [file.model_dump(mode="json") for file in hash_folder(writer.folder)]
        write_json(beside, document)


def classes_of(data: Dataset, names: list[str]) -> Dataset:
    """Static columns ("table.column") as one flat row a patient; a patient without a row in the table has no value."""
    columns, frame, fewest = [], {}, []
    for name in dict.fromkeys(names):
        table, column = column_named(name, data.schema, "--target")
        cells = data.tables[table.name].frame[column.name]
        codes = np.full(len(data), -1, dtype=np.int64)
        codes[data.owners[table.name]] = cells.cat.codes if isinstance(cells.dtype, pd.CategoricalDtype) else -1
        frame[name] = pd.Categorical.from_codes(codes, categories=cells.cat.categories)
        columns.append(replace(column, name=name, roles=()))
        fewest.append(table.min_patients)
    schema = TableSchema("patients", tuple(columns), min_patients=max(fewest, default=TableSchema("patients", ()).min_patients))
    return flat(Table(pd.DataFrame(frame, index=pd.RangeIndex(len(data)))), schema, data.native)


def _static(name: str, schema: Schema, option: str) -> str:
    """The full name of a column that a patient has once and that has levels."""
    table, column = column_named(name, schema, option)
    if table.form is not Form.STATIC:
        raise ParameterError(
            f"{option} names {name!r}, which changes from row to row of table {table.name!r}. Name what a patient has once: "
            f"{', '.join(_static_names(schema)) or 'there is no such column'}."
        )
    if not column.kind.is_discrete or column.has_role(Role.PATIENT_KEY):
        raise ParameterError(f"{option} names {name!r}, which has no classes. Name one of {', '.join(_static_names(schema))}.")
    return f"{table.name}.{column.name}"


def _static_names(schema: Schema) -> list[str]:
    static = [table for table in schema.of_patients if table.form is Form.STATIC]
    return [f"{table.name}.{column.name}" for table in static for column in table.learned if column.kind.is_discrete]


def _check_model(model: Any, data: Dataset) -> None:
    ours, theirs = (
        {(table.name, column.name) for table in released_schema(schema).of_patients for column in table}
        for schema in (data.schema, learned_schema(model))
    )
    if ours != theirs:
        table, column = sorted(ours ^ theirs)[0]
        who = "The model did not learn" if (table, column) in ours else "The data do not have"
        raise ParameterError(f"{who} column {column!r} of table {table!r}. Fit the model on these tables, or leave --model out.")


def _generator(data: Dataset, options: Options, model: Any | None, folder: Path, stages: Stages) -> tuple[Any, Choice]:
    """The fitted model and what it is: the one given, or one that learns from all patients."""
    if model is not None:
        choice = Choice(
            name=name_of_model(model), asked="model", hyperparameters=hyperparameters_of(model), training=training_of(model)
        )
        return model, choice
    check_enough(data, stages)
    return learn(folder, data, decide(folder, data, options, stages), options.seed, stages)


def _made(
    data: Dataset, classes: Dataset, cells: Cells, to_make: Ints, model: Any, name: str, seed: int, stages: Stages
) -> Iterator[Dataset]:
    """Made patients in mixed order, each of the class that was asked for, with keys that no real one has."""
    n = int(to_make.sum())
    order = np.concatenate(list(proportions.mixed(to_make, generator(seed, "augment", "order"), block=BATCH)))
    wanted = classes.only(list(cells.names)).take(cells.first[order])
    places = [family.places[0] for family in families(released_schema(data.schema))]
    known, done = {place: _keys(data, place) for place in places}, 0
    with stages.stage("sample", f"Making {n:,} patients"):
        own = derive(seed, "augment", "patients") % 2**31
        for batch in model.sample_batches(n, seed=own, conditions=wanted, batch_size=BATCH):
            asked = wanted.take(np.arange(done, done + len(batch)))
            found = classes_of(batch, list(cells.names))
            for column in cells.names:
                if (found.table.frame[column].astype(object) != asked.table.frame[column].astype(object)).any():
                    raise FitError(f"The synthesizer {name!r} did not keep to {column!r} as asked. Choose another.")
            for table, column in places:
                if not known[table, column].isdisjoint(_keys(batch, (table, column))):
                    raise FitError(
                        f"The model's patients have keys of real ones (column {column!r} of table {table!r}). Fit the model on these "
                        "tables, or leave --model out."
                    )
            yield batch
            done += len(batch)
            stages.watcher.advance(min(done / n, 1.0))


def _keys(data: Dataset, place: tuple[str, str]) -> set[str]:
    """The keys of a column as texts."""
    return {str(key).removesuffix(".0") for key in data.tables[place[0]].frame[place[1]].dropna().unique()}


def _marked(data: Dataset, origin: str, mark: str) -> Dataset:
    """Every table of patients with one column more, the last: whether its rows are "real" or "synthetic"."""
    tables, schemas = {}, []
    column = Column(mark, Kind.CATEGORICAL, Storage.TEXT, levels=ORIGINS, missing=())
    for table in data.schema.tables:
        own = data.tables[table.name]
        if table.form is not Form.REFERENCE:
            cells = pd.Categorical([origin], categories=list(ORIGINS)).repeat(len(own))
            own, table = Table(own.frame.assign(**{mark: cells}), own.marks), replace(table, columns=(*table.columns, column))
        tables[table.name] = own
        schemas.append(table)
    return Dataset(tables, Schema(tuple(schemas)), data.native)


def _tell_lost(data: Dataset, real: Dataset, stages: Stages) -> None:
    lost = [f"{t.name}.{c}" for t in data.schema.tables if t.name in real.tables for c in t.names if c not in real.schema[t.name]]
    lost += [table.name for table in data.schema.tables if table.name not in real.tables]
    if lost:
        stages.note(f"Left out, of real patients too, since no generator makes them: {', '.join(lost)}.")
