"""Augmentation from file to file: the table, and beside it a record of what it is and how it came about. Knows no generator.

Both files appear whole or not at all, the record first, so that no augmented table stands without its record. Rows are written as they
are drawn, so that the memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.data.schema import Schema
from manikin.evaluation.base import MetricResult
from manikin.release.manifest import FileHash, hash_file, hash_folder, platform_words, versions
from manikin.workflow import images
from manikin.workflow.augmentation import LEAKS, Account, Wishes
from manikin.workflow.augmented_rows import SYNTHETIC, handwriting
from manikin.workflow.augmented_worth import Worth, as_json, test_images
from manikin.workflow.augmenting import begun
from manikin.workflow.linked_sources import is_linked_source
from manikin.workflow.models import open_model
from manikin.workflow.options import Options
from manikin.workflow.output import check_free, check_not_read, is_resumable, whole_file, work_folder, write_json
from manikin.workflow.places import Place, hash_place, image_format, name_of, place_of
from manikin.workflow.sources import SUFFIX, check_suffix, read, read_flat, read_schema, schema_hash
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.threads import threads_in_use

FORMAT = "manikin-augmented"
FORMAT_VERSION = 1
RECORD = ".augmented.json"
INTERNAL = "This record counts real patients by class and group: keep it in the house, whatever the table's mode."
_PARQUET = (".parquet", ".pq")


@dataclass(frozen=True)
class Written:
    """An augmented table as files: the table, its record, an account of what is in them, and what made images add where it was asked."""

    out: Path
    record: Path
    made: Account
    added: MetricResult | None = None


def augment_file(
    data: str | Path,
    *,
    out: str | Path,
    wishes: Wishes | None = None,
    options: Options | None = None,
    schema: Schema | str | Path | None = None,
    model: str | Path | None = None,
    file_format: str | None = None,
    test: str | Path | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Written:
    """Writes an augmented table to a .csv or .parquet file, images to a folder of pictures, and the record to OUT.augmented.json.

    Cells of real rows are those of the file, letter for letter, from one delimited file to another.

    Parameters
    ----------
    file_format : "csv" or "parquet", for an `out` that has no ending; otherwise it must agree with it.
    model : a saved model to use instead of learning one.
    test : real images that were set aside: what the made ones add to recognising the label on them is measured and told.

    Raises
    ------
    InputError : the data, the schema, the model or an option cannot be used. Nothing is written.
    JobError : the generator could not learn, or broke what was asked of it. Nothing is written.
    """
    source, asked, limits = Path(data), wishes or Wishes(), options or Options()
    if is_linked_source(place_of(data), schema):
        stages = Stages(watcher or Silent())
        return _augment_linked(place_of(data), Path(out), asked, limits, schema, model, file_format, test, stages, force=force)
    path = _folder(Path(out), file_format) if image_format(source) is not None else _named(Path(out), file_format)
    record = path.with_name(path.name + RECORD)
    asked.check()
    limits.check("augment")
    check_not_read(path, [source, schema, model, test])
    for place in (record,) if image_format(source) is not None else (path, record):
        if place.is_dir():
            raise ParameterError(f"{place} is a folder; a file is needed here. Name a file in it.")
        check_free(place, force=force, inputs=[source, schema, model, test])
    if image_format(source) is not None:
        from manikin.io.images.picture_writing import refuse_place

        refuse_place(path, force=force)
    stages = Stages(watcher or Silent())
    with stages.stage("read", f"Reading {source.name}"):
        known = read_schema(schema) if isinstance(schema, str | Path) else schema
        has_images = image_format(source) is not None
        patients = images.to_augment(source, known) if has_images else read_flat(place_of(data), "`manikin augment`", schema=known)
        if has_images:
            _check_pictures(patients, source)
        aside = None if test is None else test_images(test, patients)
        fitted = None if model is None else open_model(model)
        hashes = (hash_place(source, patients)[0], *_model_files(model))
    job = {
        "command": "augment",
        "data": hashes[0].sha256,
        "schema": schema_hash(patients.schema),
        "wishes": _wishes_to_json(asked),
        "options": limits.to_json(),
        "model": [file.sha256 for file in hashes[1:]],
    }
    if is_resumable(path, job):
        stages.note(f"An interrupted run of this job was found beside {path.name}; going on from there.")
    with work_folder(path, job=job) as folder:
        made, pieces = begun(patients, asked, limits, model=fitted, folder=folder, stages=stages)
        if not has_images and _is_delimited(source) and _is_delimited(path):
            kept = [name for name in patients.columns.names if name not in made.replaced]
            pieces = _as_in(source, patients, pieces, kept if made.mode != "full" else ())
        worth = None if aside is None else Worth(patients, aside, made.mark, limits.seed, asked.target)
        if worth is not None:
            pieces = worth.watched(pieces)
        document = {
            **_document(made, asked, limits),
            "inputs": [file.model_dump(mode="json") for file in hashes],
            "schema_sha256": job["schema"],
        }
        if not has_images:
            _write(pieces, document, path, record, force=force)
            return Written(path, record, made)
        added = _write_images(pieces, document, path, record, worth, stages, force=force)
    return Written(path, record, made, added)


def _augment_linked(
    source: Place,
    path: Path,
    asked: Wishes,
    limits: Options,
    schema: Schema | str | Path | None,
    model: str | Path | None,
    file_format: str | None,
    test: str | Path | None,
    stages: Stages,
    *,
    force: bool,
) -> Written:
    """Linked patients, to a folder of tables."""
    from manikin.workflow.augmented_patients import augment_patients, write_patients, writer_of

    if test is not None:
        raise ParameterError("--test measures what made images add; these are linked tables. Leave it out.")
    record = path.with_name(path.name + RECORD)
    asked.check()
    limits.check("augment")
    check_not_read(path, [source, schema, model])
    check_free(record, force=force, inputs=[source, schema, model])
    with stages.stage("read", f"Reading {name_of(source)}"):
        data = read(source, schema=schema)
        fitted = None if model is None else open_model(model)
        hashes = (hash_place(source, data)[0], *_model_files(model))
    writer = writer_of(data, source, path, asked.mark, file_format, force=force)
    told = {"data": hashes[0].sha256, "schema": schema_hash(data.schema), "model": [file.sha256 for file in hashes[1:]]}
    job = {"command": "augment", **told, "wishes": _wishes_to_json(asked), "options": limits.to_json()}
    with work_folder(path, job=job) as folder:
        made, pieces = augment_patients(data, asked, limits, model=fitted, folder=folder, stages=stages)
        document = _document(made, asked, limits)
        document |= {"inputs": [file.model_dump(mode="json") for file in hashes], "schema_sha256": told["schema"]}
        write_patients(pieces, writer, document, record, force=force)
    return Written(path, record, made)


def _named(path: Path, file_format: str | None) -> Path:
    """The file's name with the ending of its format."""
    if file_format is not None:
        if file_format not in SUFFIX:
            raise ParameterError(f"--format is one of {', '.join(SUFFIX)}. Got {file_format!r} instead.")
        if not path.suffix:
            return path.with_name(path.name + SUFFIX[file_format])
        if (path.suffix.lower() in _PARQUET) != (file_format == "parquet"):
            raise ParameterError(
                f"{path.name} does not end as --format {file_format} does. Leave --format out, or change the ending."
            )
    check_suffix(path)
    return path


def _is_delimited(path: Path) -> bool:
    return path.suffix.lower() not in _PARQUET


def _as_in(source: Path, real: Dataset, pieces: Iterator[Dataset], kept: Collection[str]) -> Iterator[Dataset]:
    """The pieces as `source` writes its cells; those of `kept` columns are its own in the first piece."""
    hand = handwriting(source, real)
    yield hand.write(next(pieces), kept=kept)
    yield from map(hand.write, pieces)


def _write(pieces: Iterator[Dataset], document: dict[str, Any], path: Path, record: Path, *, force: bool) -> None:
    from manikin.io.tabular import TableWriter

    with whole_file(path, force=force) as beside:
        first = next(pieces)
        with TableWriter(beside, first.schema) as writer:
            for piece in chain([first], pieces):
                writer.append(piece)
        document["outputs"] = [hash_file(beside, name=path.name).model_dump(mode="json")]
        with whole_file(record, force=force) as record_beside:
            write_json(record_beside, document)


def _write_images(
    pieces: Iterator[Dataset], document: dict[str, Any], path: Path, record: Path, worth: Worth | None, stages: Stages, *, force: bool
) -> MetricResult | None:
    """A folder of pictures with labels.csv; each made one says in its file that it shows no patient, the real ones do not.

    Gives what the made ones add, where that was asked.
    """
    from manikin.io.images.picture_writing import PictureWriter
    from manikin.io.images.provenance import Origin

    mark = document["mark"]
    with whole_file(record, force=force) as record_beside:
        first = next(pieces)
        with PictureWriter(path, first.schema, force=force, origin=Origin.REWRITTEN) as writer:
            for piece in chain([first], pieces):
                is_made = bool((piece.table.frame[mark] == SYNTHETIC).all())
                writer.append(piece, origin=Origin.SYNTHETIC if is_made else Origin.REWRITTEN)
        document["outputs"] = [file.model_dump(mode="json") for file in hash_folder(path)]
        added = None
        if worth is not None:
            with stages.stage("judge", "Learning with and without the made images"):
                added = worth.told()
            document["added"] = as_json(added)
        write_json(record_beside, document)
    return added


def _check_pictures(data: Dataset, source: Path) -> None:
    """Refuses images that no picture holds before anything is learned: by their columns' form, and by the first image of each."""
    from manikin.data.schema import ImageForm
    from manikin.io.images.picture_writing import storable

    for column in data.columns.images:
        form, images = column.image or ImageForm(), data.table.images[column.name]
        first = next((images.image(row) for row in range(len(images)) if images.present[row]), None)
        if len(form.size or ()) == 3 or (first is not None and first.ndim == 4):
            raise ParameterError(
                f"{source.name} holds volumes in the column {column.name!r}, and augmented images are a folder of pictures. "
                "Bring slices as pictures."
            )
        if first is not None:
            storable(first, form, f"{source.name}, column {column.name!r}")


def _folder(path: Path, file_format: str | None) -> Path:
    """The folder that augmented images are written to, as pictures."""
    if file_format not in (None, "images"):
        raise ParameterError(f"Augmented images are written as a folder of pictures, each with its mark. Leave --format {file_format} out.")
    if path.suffix.lower() in (".csv", ".parquet", ".npz", ".npy"):
        raise ParameterError(f"{path.name} names a file, and augmented images are a folder of pictures with labels.csv. Name a folder.")
    return path


def _document(made: Account, wishes: Wishes, options: Options) -> dict[str, Any]:
    found = versions()
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "made_by": f"manikin {found.get('manikin', '')}",
        **made.facts(),
        "internal": INTERNAL,
        "leakage": LEAKS,
        "wishes": _wishes_to_json(wishes),
        "seed": options.seed,
        "limits": {"time_budget_seconds": options.time_budget_seconds, "max_steps": options.max_steps},
        "versions": found,
        "platform": platform_words(),
        "threads": threads_in_use(),
    }


def _wishes_to_json(wishes: Wishes) -> dict[str, Any]:
    to: Any = wishes.to
    return {
        "target": wishes.target,
        "balance": list(wishes.balance),
        "to": to if isinstance(to, str | dict) else list(to),
        "mode": wishes.mode,
        "rows": wishes.rows,
        "replace": list(wishes.replace),
        "mark": wishes.mark,
    }


def _model_files(model: str | Path | None) -> tuple[FileHash, ...]:
    """The hashes of a saved model, of the folder itself or inside a run folder."""
    if model is None:
        return ()
    inside = Path(model) / "model"
    return hash_folder(inside if inside.is_dir() else Path(model))
