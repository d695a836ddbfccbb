"""Models as files: fit one on a whole table, draw from one to a file in constant memory. Knows no model by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError, parameter_error
from manikin.data.schema import Schema, TableSchema
from manikin.release.facts import LEDGER
from manikin.release.manifest import Choice
from manikin.synthesizers import SYNTHESIZERS
from manikin.workflow import auto, images
from manikin.workflow.budget import check_budget, seal_model, spending
from manikin.workflow.decide import STATE, decide, learn
from manikin.workflow.learn import check_modality
from manikin.workflow.linked import check_options, check_private, n_learned
from manikin.workflow.linked_sizes import size_words
from manikin.workflow.options import Options
from manikin.workflow.output import CHECKPOINT, check_free, clear, is_resumable, read_json, whole_file, whole_folder
from manikin.workflow.places import Place, hash_place, image_format, keep_storage, name_of, place_of, storage_of
from manikin.workflow.sources import (
    as_wished,
    check_suffix,
    empty_notice,
    fallback_notice,
    read,
    read_each_by_itself,
    read_schema,
    schema_hash,
)
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.wishes import check_columns

BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Fitted:
    """A saved model: where, which generator, and what the user was told.

    `n_rows` is the number of rows learned from; of a private model the number of patients as bought.
    """

    out: Path
    choice: Choice
    n_rows: int
    notices: tuple[str, ...]
    is_private: bool = False
    unit: str = "rows"


@dataclass(frozen=True)
class Drawn:
    """A file of synthetic rows, images, or linked tables: then `n_rows` counts patients and `tables` the rows of each table."""

    out: Place
    n_rows: int
    tables: Mapping[str, int] = field(default_factory=dict)
    unit: str = "rows"


def fit_model(
    data: str | Path,
    *,
    out: str | Path,
    schema: Schema | str | Path | None = None,
    options: Options | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Fitted:
    """Learns from all of `data` (a table, linked tables, or images) and saves the model folder `out`; nothing is held out.

    Raises
    ------
    InputError : the data, the schema or an option cannot be used. Nothing is written.
    """
    folder, source, wishes = Path(out), place_of(data), options or Options()
    wishes.check("fit")
    if image_format(source) is not None:
        images.check_options(wishes)
    if wishes.epsilon is not None:
        check_private(source)
    check_budget(wishes, has_schema=schema is not None)
    check_free(folder, force=force, inputs=[source, schema])
    stages = Stages(watcher or Silent())
    with stages.stage("read", f"Reading {name_of(source)}"):
        known = read_schema(schema) if isinstance(schema, str | Path) else schema
        patients = read(source, schema=known)
        if patients.is_linked:
            check_options(wishes)
        check_modality(wishes.synthesizer, patients, name_of(source))
        patients = as_wished(patients, **wishes.of_columns)
        if patients.modality == "images":
            patients = images.prepared(patients, wishes, stages)
    has_images = patients.modality == "images"
    for notice in _notices(patients, has_images) if wishes.epsilon is None else ():  # no figure of private rows
        stages.note(notice)
    if has_images:
        images.check_enough(patients, stages)
    elif wishes.epsilon is None:
        auto.check_enough(patients, stages)
    job = {
        "command": "fit",
        "data": hash_place(source, patients)[0].sha256,
        "schema": schema_hash(patients.schema),
        "options": wishes.to_json(),
    }
    if is_resumable(folder, job):
        stages.note(f"An interrupted run of this job was found beside {folder.name}; going on from there.")
    with whole_folder(folder, force=force, job=job) as partial:
        with spending(partial, wishes, patients.schema, stages) as ledger:
            decision = decide(partial, patients, wishes, stages)
            clear(partial, keep=(STATE, CHECKPOINT, LEDGER))
            like = patients.schema if patients.is_linked else patients.columns
            rows = patients if ledger is None else read_each_by_itself(source if patients.is_linked else Path(source), like)
            model, choice = learn(partial, rows, decision, wishes.seed, stages, ledger=ledger)
        if ledger is not None:
            auto.check_number(ledger.n_patients or 1, n_learned(patients.schema), stages, is_bought=True)
        save_into(model, partial)
        keep_storage(storage_of(source) if patients.is_linked or has_images else None, partial)
        if ledger is not None:
            seal_model(ledger, partial)
    n_rows = len(patients) if ledger is None else ledger.n_patients or 1
    unit = "patients" if patients.is_linked else "images" if has_images else "rows"
    return Fitted(folder, choice, n_rows, tuple(stages.notices), is_private=ledger is not None, unit=unit)


def _notices(patients: Dataset, has_images: bool) -> list[str]:
    """How much there is, or, of a flat table, what of it few patients have."""
    if has_images:
        return [images.size_words(patients)]
    if patients.is_linked:
        return [size_words(patients)]
    return [notice for notice in (fallback_notice(patients), empty_notice(patients)) if notice]


def save_into(model: Any, partial: Path) -> None:
    """Saves a model into the folder under construction and takes the scaffolding away."""
    from manikin.synthesizers.storage import save

    inner = partial / "model"
    save(model, inner, force=True)
    for path in inner.iterdir():
        path.replace(partial / path.name)
    inner.rmdir()
    clear(partial, keep=("config.json", "weights.safetensors", LEDGER))


def open_model(folder: str | Path) -> Any:
    """The model of a model folder, or of the run folder that holds one.

    Raises
    ------
    ModelFolderError : it is none, or it was damaged or changed.
    """
    from manikin.synthesizers.storage import load

    return load(model_folder(folder))


def model_folder(folder: str | Path) -> Path:
    """The folder that holds the model itself."""
    path = Path(folder)
    inside = path / "model"
    return inside if not (path / "config.json").exists() and inside.is_dir() else path


def modality_of(folder: str | Path) -> str:
    """What the generator of a model folder learned: "table", "records" of linked patients, or "images"; "table" where it does not say."""
    config = read_json(model_folder(folder) / "config.json")
    name = config.get("synthesizer") if isinstance(config, dict) else None
    return SYNTHESIZERS[name].modality if isinstance(name, str) and name in SYNTHESIZERS else "table"


def schema_of(model: Any) -> TableSchema | None:
    """The schema that a model learned by; None when it does not tell."""
    for owner in (model, getattr(model, "codec_", None)):
        schema = getattr(owner, "schema_", None)
        if isinstance(schema, TableSchema):
            return schema
    return None


def draw(
    model: str | Path,
    *,
    n: int,
    out: str | Path,
    conditions: Mapping[str, Any] | None = None,
    seed: int = 0,
    file_format: str | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Drawn:
    """Writes `n` synthetic rows to a .csv or .parquet file, batch by batch, so that memory does not grow with `n`.

    A model of linked patients writes `n` patients to a folder, or to the database of a URL, as the tables that it learned were stored.

    Parameters
    ----------
    conditions : column -> value that every row, or patient, holds.
    file_format : of images or linked tables, one that writes them; by default what the ending of `out` says, else what was learned from.

    Raises
    ------
    InputError : the model, a condition or the file's name cannot be used. Nothing is written.
    """
    from manikin.io.tabular import TableWriter

    if n < 1:
        raise parameter_error("n", "sample", "a whole number above 0", n)
    stages = Stages(watcher or Silent())
    if modality_of(model) == "records":
        from manikin.workflow.draw_linked import draw_linked

        return draw_linked(
            model, n=n, out=out, conditions=conditions, seed=seed, force=force, stages=stages, file_format=file_format
        )
    path = Path(out)
    if modality_of(model) == "images":
        from manikin.workflow.draw_images import draw_images

        return draw_images(
            model, n=n, out=path, conditions=conditions, seed=seed, file_format=file_format, force=force, stages=stages
        )
    if file_format is not None:
        raise ParameterError("--format is of images and linked tables; the ending of --out says the format of a table. Leave --format out.")
    check_suffix(path)
    check_free(path, force=force, inputs=[model])
    with stages.stage("load", "Loading the model"):
        fitted = open_model(model)
        known = schema_of(fitted)
        if known is not None:
            check_columns(conditions or (), known.only([column.name for column in known.learned]), "--where")
    n_pieces = math.ceil(n / BATCH_ROWS)
    with stages.stage("sample", f"Making {n:,} rows"), whole_file(path, force=force) as beside:
        batches = iter(fitted.sample_batches(n, seed=seed, conditions=conditions or None, batch_size=BATCH_ROWS))
        first = next(batches)
        with TableWriter(beside, first.schema) as writer:
            for i, batch in enumerate(chain([first], batches), start=1):
                writer.append(batch)
                stages.watcher.advance(min(i / n_pieces, 1.0), f"{writer.n_rows:,} rows")
            written = writer.n_rows
    return Drawn(path, written)
