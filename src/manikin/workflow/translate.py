"""Translates images with a saved model: from place to place with a record beside, or from Dataset to Dataset. Knows no model by name.

The images appear whole or not at all, and OUT.translated.json beside them says what they are and how they came about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.dataset import Dataset, concat
from manikin.data.errors import DataError, parameter_error
from manikin.data.schema import ImageForm
from manikin.evaluation.images.paired import Differences
from manikin.io.images.provenance import Origin, program_version
from manikin.release.manifest import hash_folder, platform_words, versions
from manikin.synthesizers.storage import name_of as name_of_model
from manikin.workflow.draw_images import storage_for
from manikin.workflow.models import model_folder, open_model
from manikin.workflow.output import check_free, check_not_read, whole_file, write_json
from manikin.workflow.places import hash_place, image_format, name_of, read_images, storage_of, writing
from manikin.workflow.sources import read
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.threads import threads_in_use
from manikin.workflow.translation import Allowed, Way, check_fits, translated, way_of

FORMAT = "manikin-translation"
RECORD = ".translated.json"
SHOWS_PATIENTS = "Translated images show the people whose images were given: treat them like those."
NOT_MEASURED = (
    "What a translated image shows was not measured: lesions may be lost, or invented (arXiv 1805.08841). Nothing may be diagnosed from it."
)


@dataclass(frozen=True)
class Translated:
    """A place of translated images, and its record.

    Attributes
    ----------
    way : `mr to ct`. compared : mean absolute difference, PSNR and SSIM to the true targets where the data had them; empty otherwise.
    """

    out: Path
    record: Path
    n: int
    way: str
    compared: Mapping[str, float]
    notices: tuple[str, ...]


def translate(
    model: Any, images: Any, *, to: str | None = None, resize: bool = False, clip: bool = False, seed: int = 0
) -> Dataset:
    """Images made of given ones by a model that learned to, beside the given rows' other columns.

    Parameters
    ----------
    model : a fitted `pix2pix` or `cyclegan`, or the folder of a saved one.
    images : a Dataset, or a place that `read` takes; rows without an image to translate are left out.
    to : the column that is made, for a model that goes both ways; what the data lack is made where that says it.
    resize, clip : whether images of another size are brought to the model's, and values beyond its range are cut, instead of refused.

    Returns
    -------
    A Dataset with one column of images: called as the target, or "file" where the given one is.

    Raises
    ------
    ParameterError : the model does not translate, or not that way. DataError : an image does not fit the model; the message names it.
    """
    fitted = open_model(model) if isinstance(model, str | Path) else model
    data = read(images)
    where = "The data set" if isinstance(images, Dataset) else name_of(images)
    way = way_of(fitted, data, to, where)
    data, _ = _with_sources(data, way, where)
    check_fits(data, way, fitted.forms[way.source], Allowed(resize, clip), where)
    return concat(list(translated(fitted, data, way, seed=seed)))


def translate_files(
    model: str | Path,
    images: str | Path,
    *,
    out: str | Path,
    to: str | None = None,
    resize: bool = False,
    clip: bool = False,
    file_format: str | None = None,
    seed: int = 0,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Translated:
    """Writes translated images to a folder or file of the kind that came in, and OUT.translated.json beside it.

    Parameters
    ----------
    to, resize, clip : as `translate`. file_format : another kind than the one that came in, one that writes images.

    Raises
    ------
    InputError : the model, an image, the way or the place cannot be used. Nothing is written.
    """
    path = Path(out)
    record = path.with_name(path.name + RECORD)
    if seed < 0:
        raise parameter_error("seed", "translate", "a whole number, 0 or above", seed)
    if image_format(images) is None:
        raise DataError(f"{name_of(images)} holds no images. Give a folder of images, an .npz file, DICOM or NIfTI.")
    storage = storage_for(path, storage_of(images), file_format)
    _check_place(path, record, force=force, inputs=[images, model])
    stages = Stages(watcher or Silent())
    with stages.stage("load", "Loading the model and the images"):
        fitted = open_model(model)
        data = read_images(images)
        for note in data.columns.notes:
            stages.warn(note)
        way = way_of(fitted, data, to, name_of(images))
        hashes = hash_place(images, data)
        data, n_without = _with_sources(data, way, name_of(images))
        if n_without:
            stages.note(f"{n_without:,} row{'s' * (n_without > 1)} without an image in {way.given!r} left out.")
        for said in check_fits(data, way, fitted.forms[way.source], Allowed(resize, clip), name_of(images)):
            stages.warn(said)
    stages.warn(SHOWS_PATIENTS)
    stages.warn(NOT_MEASURED)
    name = name_of_model(fitted)
    how = f"Translated from {way.words} by the model {name!r}; {NOT_MEASURED}"
    differences = _differences(data, way, fitted.forms[way.target])
    done = 0
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    with whole_file(record, force=force) as record_beside:
        with stages.stage("translate", f"Translating {len(data):,} images from {way.words}"), ExitStack() as held:
            pieces = translated(fitted, data, way, seed=seed)
            first = next(pieces)
            writer = held.enter_context(writing(path, first.schema, storage=storage, force=force, how=how, origin=Origin.TRANSLATED))
            for piece in chain([first], pieces):
                writer.append(piece)
                _compare(differences, data, way, piece, done)
                done += len(piece)
                stages.watcher.advance(done / len(data), f"{done:,} images")
        compared = {} if differences is None or not len(differences) else {"n": len(differences), **differences.means()}
        document = {
            "format": FORMAT,
            "made_by": f"manikin {program_version()}",
            "synthesizer": name,
            "from": way.source,
            "to": way.target,
            "column": way.out,
            "images": done,
            "resize": resize,
            "clip": clip,
            "seed": seed,
            "compared": compared,
            "notices": list(stages.notices),
            "model": [one.model_dump(mode="json") for one in hash_folder(model_folder(model), leave_out=("files.json",))],
            "inputs": [one.model_dump(mode="json") for one in hashes],
            "outputs": [one.model_dump(mode="json") for one in hash_place(path, data)],
            "versions": versions(),
            "platform": platform_words(),
            "threads": threads_in_use(),
        }
        write_json(record_beside, document)
    return Translated(path, record, done, way.words, compared, tuple(stages.notices))


def _check_place(path: Path, record: Path, *, force: bool, inputs: list[Any]) -> None:
    """Refuses a place that is taken; a folder of images is ours to replace where its record lies beside it."""
    is_ours = force and path.is_dir() and not path.is_symlink() and _is_record(record)
    if is_ours:
        check_not_read(path, inputs)
    else:
        check_free(path, force=force, inputs=inputs)
    check_free(record, force=force, inputs=inputs)


def _is_record(record: Path) -> bool:
    try:
        document = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("format") == FORMAT


def _with_sources(data: Dataset, way: Way, where: str) -> tuple[Dataset, int]:
    """The rows with an image to translate, and how many have none."""
    present = data.table.images[way.given].present
    if not present.any():
        raise DataError(f"{where} has no image in the column {way.given!r}, so there is nothing to translate.")
    return (data, 0) if present.all() else (data.take(np.flatnonzero(present)), int((~present).sum()))


def _differences(data: Dataset, way: Way, made: ImageForm) -> Differences | None:
    """What gathers differences from the true targets; None where there are none of the made images' kind."""
    if way.truth is None:
        return None
    form = data.columns[way.truth].image
    if form is None or form.size != made.size or form.channels != made.channels:
        return None
    return Differences(made.highest - made.lowest)


def _compare(differences: Differences | None, data: Dataset, way: Way, piece: Dataset, start: int) -> None:
    if differences is None or way.truth is None:
        return
    truth = data.table.images[way.truth]
    rows = np.flatnonzero(truth.present[start : start + len(piece)])
    if len(rows):
        differences.add(piece.table.images[way.out].array(rows), truth.array(rows + start))
