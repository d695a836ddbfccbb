"""Images from a saved model, written piece by piece, so that memory does not grow with their number. Knows no format by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from manikin.data.errors import ParameterError
from manikin.data.schema import TableSchema
from manikin.io.formats import FORMATS
from manikin.io.images.files import OWN
from manikin.io.images.marks import is_known, says_synthetic
from manikin.workflow.models import Drawn, model_folder, open_model, schema_of
from manikin.workflow.options import check_format
from manikin.workflow.output import check_free
from manikin.workflow.places import Storage, image_format, kept_storage, writing
from manikin.workflow.stages import Stages
from manikin.workflow.wishes import check_columns

BATCH_IMAGES = 256
PLAIN = "images"  # what is written where the model was learned from no files


def draw_images(
    model: str | Path,
    *,
    n: int,
    out: Path,
    conditions: Mapping[str, Any] | None,
    seed: int,
    file_format: str | None,
    force: bool,
    stages: Stages,
) -> Drawn:
    """Writes `n` images with their labels, whole or not at all: a folder of pictures with labels.csv, .npz, or another format of images.

    Raises
    ------
    InputError : the model, a condition or the place cannot be used. Nothing is written.
    """
    storage = storage_for(out, kept_storage(model_folder(model)), file_format)
    check_free(out, force=force, inputs=[model], is_ours=holds_synthetic)
    with stages.stage("load", "Loading the model"):
        fitted = open_model(model)
        known = schema_of(fitted)
        if known is not None:
            check_columns(conditions or (), attributes_in(known), "--where")
    done = 0
    with stages.stage("sample", f"Making {n:,} images"), ExitStack() as held:
        batches = iter(fitted.sample_batches(n, seed=seed, conditions=conditions or None, batch_size=BATCH_IMAGES))
        first = next(batches)
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        writer = held.enter_context(writing(out, first.schema, storage=storage, force=force))
        for batch in chain([first], batches):
            writer.append(batch)
            done += len(batch)
            stages.watcher.advance(min(done / n, 1.0), f"{done:,} images")
    return Drawn(out, done, unit="images")


def holds_synthetic(folder: Path) -> bool:
    """Whether a folder holds images whose headers say that they are synthetic, their labels, and nothing else."""
    paths = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    pictures = [path for path in paths if path.name not in OWN]
    return bool(pictures) and not any(path.is_symlink() for path in paths) and all(is_known(p.name) and says_synthetic(p) for p in pictures)


def attributes_in(schema: TableSchema) -> TableSchema:
    """The columns that images can be conditioned on."""
    return schema.only([column.name for column in schema.learned])


def storage_for(out: Path, kept: Storage, file_format: str | None) -> Storage:
    """How to store images at a place: as asked, else as its ending says, else as those that were learned from.

    Raises
    ------
    ParameterError : the ending is that of a table, or of another format than the one asked for.
    """
    check_format(file_format, "images")
    by_ending = image_format(out) if out.suffix and not out.is_dir() else None
    if by_ending is not None and not FORMATS[by_ending].in_one_file:
        by_ending = None
    if out.suffix.lower() in (".csv", ".parquet"):
        raise ParameterError(f"{out} is the name of a table, and the model makes images. Name a folder, or a file that ends in .npz.")
    asked = file_format or by_ending
    if asked is not None:
        if FORMATS[asked].in_one_file and not out.name.lower().endswith(FORMATS[asked].endings):
            raise ParameterError(f"{out} must end in {' or '.join(FORMATS[asked].endings)} to hold the format {asked}. Rename it.")
        if by_ending is not None and asked != by_ending:
            raise ParameterError(f"{out} ends like the format {by_ending}, and --format says {asked}. Choose one of them.")
        return Storage(asked)
    known = kept if FORMATS[kept.format].modality == "images" else Storage(PLAIN)
    if FORMATS[known.format].in_one_file:
        return Storage(PLAIN)  # the place has no such ending, so a folder is meant
    return known
