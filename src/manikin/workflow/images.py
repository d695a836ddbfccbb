"""What the jobs ask of images where a table has one answer: which options do not go, who is held out, how few are too few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, ParameterError
from manikin.data.images import NONE
from manikin.data.schema import Column, Kind, Role, Schema, TableSchema
from manikin.workflow.options import Options
from manikin.workflow.stages import Stages

TABLES_ONLY = {  # options that mean nothing for images (yet), and what to do instead
    "time": "Leave it out.",
    "event": "Leave it out.",
    "analyses": "Run the regression on labels.csv alone, with `manikin evaluate`.",
    "epsilon": "Leave it out: no generator of images keeps a privacy budget yet.",
    "audit_canaries": "Leave it out.",
    "shadow_models": "Leave it out: to learn a generator of images many times over takes too long.",
}
NAMES = {"analyses": "--analysis", "audit_canaries": "--audit-canaries", "shadow_models": "--shadow-models"}
SPLIT, PARTS = "split", {"train", "val", "valid", "validation", "test"}
FEWEST = 20  # patients and images below which nothing is learned, as of tables
HONEST = 500  # images below which a network learns them by heart rather than what they have in common


def check_options(options: Options) -> None:
    """Refuses what does not go with images.

    Raises
    ------
    ParameterError : names the option and the way out.
    """
    for name, way_out in TABLES_ONLY.items():
        if getattr(options, name) not in (None, (), 0):
            raise ParameterError(f"{NAMES.get(name, f'--{name}')} does not go with images yet. {way_out}")


def check_enough(train: Dataset, stages: Stages, *, has_holdout: bool = False) -> None:
    """Refuses fewer than 20 images or patients to learn from; below 500 images warns (docs/decisions/0002).

    Raises
    ------
    DataError : too few.
    """
    n_images, n_patients = len(train), train.n_records
    n = min(n_images, n_patients)
    if n < FEWEST:
        unit = "images" if n_images == n_patients else "patients with images"
        raise DataError(
            f"There are {n} {unit} to learn from{' after the holdout is set aside' if has_holdout else ''}; fewer than {FEWEST} are not "
            "learned from, since every image would either be noise or point at one of them. Bring more."
        )
    if n_images < HONEST:
        stages.warn(
            f"INSUFFICIENT DATA: {n_images} images are too few to learn from honestly (at least {HONEST} are wanted): made images may be "
            "noise, or close to single real ones. Do not rely on them, and look at the nearest real image of each before anyone else does."
        )


def without_split(data: Dataset, stages: Stages | None = None, *, is_used: bool = False) -> Dataset:
    """The data set without its official split, a column `split` that says train, val or test: bookkeeping, and nothing of a patient."""
    if not has_split(data):
        return data
    if stages is not None and not is_used:
        stages.note("Column 'split' is not learned. To hold out the official test images instead of drawn ones: --holdout split=test")
    return data.only([name for name in data.columns.names if name != SPLIT])


def prepared(data: Dataset, options: Options, stages: Stages) -> Dataset:
    """The rows with an image, the official split taken out unless it decides who is held out; says what the reader had to say.

    Raises
    ------
    ParameterError : the option of a column names one that there is not.
    """
    for note in data.columns.notes:
        stages.warn(note)
    usable = with_images_only(data)
    if len(usable) < len(data):
        stages.note(f"{len(data) - len(usable):,} rows without an image are left out.")
    uses = options.holdout is not None and options.holdout.partition("=")[0] == SPLIT
    return usable if uses else without_split(usable, stages)


def has_split(data: Dataset) -> bool:
    """Whether images bring an official split."""
    if data.modality != "images" or SPLIT not in data.columns or not data.columns[SPLIT].kind.is_discrete:
        return False
    values = data.table.frame[SPLIT].dropna().astype(str).str.lower().unique()
    return set(values) <= PARTS and len(values) > 1


def held_out_where(data: Dataset, asked: str) -> tuple[Dataset, Dataset]:
    """Train and holdout by a column: held out are the rows that hold a value, "split=test". The column is then left out of both.

    Raises
    ------
    ParameterError : there is no such column or value, nothing is left to learn from, or a patient has rows on both sides.
    """
    from manikin.data.cells import column_texts
    from manikin.workflow.wishes import candidates, check_columns

    name, equals, value = asked.partition("=")
    if not equals or not name:
        raise ParameterError(f"--holdout is written COL=VALUE, for example --holdout split=test. Got {asked!r} instead.")
    table = data.columns
    check_columns([name], table, "--holdout")
    cells = np.asarray(column_texts(data.table, table[name]), dtype=object)
    held = cells == value
    if not held.any():
        known = [str(level) for level in table[name].levels or ()]
        way_out = candidates(value, known) if known else "Look at the column."
        raise ParameterError(f"No row holds the value that --holdout names of {name!r}. {way_out}")
    if held.all():
        raise ParameterError(f"All rows hold the value that --holdout names of {name!r}, so nothing is left to learn from. Name another.")
    torn = set(data.records[held]) & set(data.records[~held])
    if torn:
        raise ParameterError(
            f"{len(torn)} patients have rows on both sides of --holdout {asked}. Hold out whole patients, or leave the option out."
        )
    kept = data.only([other for other in table.names if other != name])
    return kept.take(np.flatnonzero(~held)), kept.take(np.flatnonzero(held))


def with_images_only(data: Dataset) -> Dataset:
    """The rows that have an image; all of them where there are two columns of images, one of which may be missing."""
    names = [column.name for column in data.columns.images]
    has_one = np.any([data.table.images[name].places != NONE for name in names], axis=0)
    return data if has_one.all() else data.take(np.flatnonzero(has_one))


def size_words(data: Dataset) -> str:
    """`5,856 images of 28 x 28 pixels, 1 attribute`."""
    form = data.columns.images[0].image
    size = "of different sizes" if form is None or form.size is None else "of " + " x ".join(map(str, form.size))
    pixels = "" if form is None or form.size is None else (" pixels" if len(form.size) == 2 else " voxels")
    colour = "" if form is None or form.channels == 1 else f", {form.channels} channels"
    n = len([column for column in data.columns.learned if column.kind is not Kind.IMAGE])
    return f"{len(data):,} images {size}{pixels}{colour}, {n} attribute{'s' * (n != 1)}"


def label_of(data: Dataset) -> str | None:
    """The column that images are judged by where nobody named a target: `label`, or the only attribute of levels."""
    if data.columns.with_role(Role.TARGET):
        return data.columns.with_role(Role.TARGET)[0].name
    of_levels = [column.name for column in data.columns.learned if column.kind.is_discrete]
    if "label" in of_levels:
        return "label"
    return of_levels[0] if len(of_levels) == 1 else None


def read_images_alike(first: Any, others: Sequence[Any], *, schema: Schema | str | Path | None = None) -> tuple[Dataset, list[Dataset]]:
    """Images of several places by one schema: that of the first, or the given one.

    Raises
    ------
    DataError : a place holds no images, or other columns of images; a cell does not fit.
    """
    from manikin.workflow.sources import read

    real = without_split(read(first, schema=schema))
    return real, [alike(other, real.columns) for other in others]


def alike(source: Any, like: TableSchema) -> Dataset:
    """Images read by the schema of others.

    Raises
    ------
    DataError : the place holds no images, or other columns of images; a cell does not fit.
    """
    from manikin.workflow.sources import read

    return _like(without_split(read(source)), like, source)


def to_augment(source: Any, schema: Schema | str | Path | None = None) -> Dataset:
    """Images with their labels, all of them learned from; an official split is left out.

    Raises
    ------
    DataError, SchemaError : they cannot be read.
    """
    from manikin.workflow.sources import read

    return with_images_only(without_split(read(source, schema=schema)))


def _like(data: Dataset, like: TableSchema, where: Any) -> Dataset:
    from manikin.workflow.places import name_of
    from manikin.workflow.sources import read_like

    called = "The data set" if isinstance(where, Dataset) else name_of(where)
    absent = [column.name for column in like.images if column.name not in data.columns or data.columns[column.name].kind is not Kind.IMAGE]
    if data.modality != "images" or absent:
        which = f" in a column {absent[0]!r}" if absent else ""
        raise DataError(f"{called} has no images{which}, as the train part has. Bring the same kind of images for all parts.")
    made = read_like(data, like)
    columns = tuple(_of_form(column, like[column.name]) if column.name in like else column for column in made.columns)
    table = replace(made.columns, columns=columns)
    return Dataset({table.name: made.table}, Schema((table,)), made.native)


def _of_form(column: Column, known: Column) -> Column:
    """A column of images in the range of values of the train part's, at its own size."""
    if column.image is None or known.image is None:
        return column
    return replace(column, image=replace(known.image, size=column.image.size, channels=column.image.channels, spacing=column.image.spacing))
