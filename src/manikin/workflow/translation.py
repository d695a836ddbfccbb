"""Given images translated by a model that learned to: which way, what fits the model, and the rows that come of it. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import DataError, ParameterError
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, TableSchema
from manikin.synthesizers import SYNTHESIZERS
from manikin.synthesizers.storage import name_of as name_of_model
from manikin.workflow.models import schema_of

BATCH_IMAGES = 256
FILE = "file"  # what a column of single images is called in every format


@dataclass(frozen=True)
class Way:
    """Which way images are translated.

    Attributes
    ----------
    source, target : columns of the model. given : the column of the data that holds the sources. out : what the made column is called.
    truth : the column of the data that holds the true targets, if it does.
    """

    source: str
    target: str
    given: str
    out: str
    truth: str | None = None

    @property
    def words(self) -> str:
        """`mr to ct`."""
        return f"{self.source} to {self.target}"


@dataclass(frozen=True)
class Allowed:
    """What is done to images that do not fit the model, instead of refusing them: brought to its size, values cut to its range."""

    resize: bool = False
    clip: bool = False


def check_translator(model: Any) -> str:
    """The name of a model that translates.

    Raises
    ------
    ParameterError : it does not.
    """
    name = name_of_model(model)
    if name in SYNTHESIZERS and SYNTHESIZERS[name].pairs:
        return name
    able = ", ".join(one for one, entry in SYNTHESIZERS.items() if entry.pairs)
    raise ParameterError(f"The model is of the synthesizer {name!r}, which does not translate images. Those that do: {able}.")


def way_of(model: Any, data: Dataset, to: str | None, where: str = "The data set") -> Way:
    """Which of the data's columns is translated into what.

    Raises
    ------
    DataError : the data hold no images, or none that the model translates. ParameterError : `to` is wrong, or is needed and not given.
    """
    name = check_translator(model)
    if data.modality != "images":
        raise DataError(f"{where} holds no images. Give a folder of images, an .npz file, DICOM or NIfTI.")
    first, second = model.forms
    both = model.is_two_way
    here = [column.name for column in data.columns.images]
    if to is not None and to not in (first, second):
        raise ParameterError(f"The model translates between {first!r} and {second!r}; --to names {to!r}. Name one of the two.")
    if to == first and not both:
        raise ParameterError(f"The model makes {second!r} of {first!r}, not the other way round. Fit 'cyclegan', which goes both ways.")
    if to is None:
        to = second
        if both:
            known = [column for column in here if column in (first, second)]
            if len(known) != 1:
                raise ParameterError(f"The model {name!r} goes both ways: say which with --to {second} or --to {first}.")
            to = second if known[0] == first else first
    source = first if to == second else second
    given = source if source in here else here[0] if len(here) == 1 and here[0] != to else None
    if given is None and here == [to]:
        more = "Give images of the other kind." if both else "Fit 'cyclegan', which goes both ways."
        raise DataError(f"{where} holds images of {to!r}, which is what the model makes of {source!r}. {more}")
    if given is None:
        has = " and ".join(map(repr, here))
        raise DataError(f"{where} has the columns of images {has}, and the model translates {source!r}. Rename one.")
    out = FILE if given == FILE else to
    if out in data.columns and data.columns[out].kind is not Kind.IMAGE:
        raise DataError(f"{where} has a column {out!r} without images, which is what the translated images are called. Rename it.")
    return Way(source, to, given, out, to if to in here and to != given else None)


def check_fits(data: Dataset, way: Way, learned: ImageForm, allowed: Allowed, where: str = "The data set") -> list[str]:
    """What is done to images that do not fit, in sentences.

    Raises
    ------
    DataError : an image has another size, other channels, another modality or other values than the model learned; names its file.
    """
    given = _Given(data, way, where)
    _check_modality(given, learned)
    if given.form.channels != learned.channels:
        file, _ = given.first(lambda image: len(image) != learned.channels)
        is_, wanted = _colour(given.form.channels), _colour(learned.channels)
        raise DataError(f"{file or where} is {is_}, and the model translates images that are {wanted}. Bring images of one kind.")
    said = _check_size(given, learned.size or (), allowed) if given.form.size != learned.size else []
    return said + _check_values(given, learned, allowed)


@dataclass(frozen=True)
class _Given:
    """Images that are to be translated."""

    data: Dataset
    way: Way
    where: str

    @property
    def form(self) -> ImageForm:
        return self.data.columns[self.way.given].image or ImageForm()

    def first(self, test: Callable[[npt.NDArray[Any]], bool]) -> tuple[str, int]:
        """What the first image is called that a test says yes to ("" where there is none), and how many there are."""
        images = self.data.table.images[self.way.given]
        hits = [row for row in np.flatnonzero(images.present).tolist() if test(images.image(row))]
        return (self.called(hits[0]), len(hits)) if hits else ("", 0)

    def called(self, row: int) -> str:
        """The file of a row."""
        cell = self.data.table.frame[self.way.given].iloc[row]
        return cell if isinstance(cell, str) and cell else f"The image of row {row + 1} of {self.where}"


def _colour(channels: int) -> str:
    return {1: "grey", 3: "in colour"}.get(channels, f"of {channels} channels")


def _check_modality(given: _Given, learned: ImageForm) -> None:
    """Refuses images of another modality, where both say theirs; of mixed ones names the first that does not fit."""
    wanted = learned.modality
    if wanted is None:
        return
    if given.form.modality not in (None, wanted):
        raise DataError(f"{given.where} holds images of the modality {given.form.modality}; the model translates {wanted}. Bring those.")
    if "Modality" not in given.data.columns:
        return
    for row, cell in enumerate(given.data.table.frame["Modality"].tolist()):
        if isinstance(cell, str) and cell and cell != wanted:
            raise DataError(f"{given.called(row)} is of the modality {cell}; the model translates {wanted}. Leave it out.")


def _check_size(given: _Given, wanted: tuple[int, ...], allowed: Allowed) -> list[str]:
    file, n = given.first(lambda image: image.ndim != len(wanted) + 1)
    if n:
        is_, only = ("a volume", "single slices") if len(wanted) == 2 else ("a single slice", "volumes")
        raise DataError(f"{file} is {is_}, and the model translates {only}. Bring images of {len(wanted)} axes.")
    file, n = given.first(lambda image: image.shape[1:] != wanted)
    if not n:
        return []
    size = f"{' x '.join(map(str, wanted))} {'pixels' if len(wanted) == 2 else 'voxels'}"
    if not allowed.resize:
        raise DataError(f"{file} is not of {size}, the size that the model translates ({n:,} such). Bring it to that, or pass --resize.")
    return [f"{n:,} images of another size were brought to {size}."]


def _check_values(given: _Given, learned: ImageForm, allowed: Allowed) -> list[str]:
    low, high, form = learned.lowest, learned.highest, given.form
    words = f"{'whole numbers' if learned.is_whole else 'values'} from {low:g} to {high:g}"
    if learned.is_whole and not form.is_whole:
        file, n = given.first(lambda image: bool((np.nan_to_num(image) != np.rint(np.nan_to_num(image))).any()))
        if n:
            raise DataError(f"{file} holds fractions, and the model learned {words}. Bring images in that range.")
    if form.lowest >= low and form.highest <= high:
        return []
    file, n = given.first(lambda image: bool(np.nanmin(image) < low or np.nanmax(image) > high))
    if not n:
        return []
    if not allowed.clip:
        raise DataError(f"{file} has values outside of what the model learned, {words} ({n:,} such). Bring them there, or pass --clip.")
    return [f"{n:,} images had values outside of {words}; they were cut."]


def translated(model: Any, data: Dataset, way: Way, *, seed: int) -> Iterator[Dataset]:
    """The rows of `data` with a translated image each, in pieces: its other columns, and one column of images.

    Rows must have an image in `way.given`. Nothing that tells how the given image was taken goes over to the made one.
    """
    given = _as_source(data, way, model)
    kept = _kept_columns(data)
    start = 0
    for made in model.sample_batches(len(data), seed=seed, conditions=given, batch_size=BATCH_IMAGES):
        rows = np.arange(start, start + len(made))
        start += len(made)
        yield _joined(data.take(rows), made, way, kept, data.columns[way.given].image)


def _as_source(data: Dataset, way: Way, model: Any) -> Dataset:
    """The sources alone, as a data set in the model's words."""
    schema = schema_of(model)
    column = Column(way.source, Kind.IMAGE, image=data.columns[way.given].image)
    frame = pd.DataFrame({way.source: data.table.frame[way.given].to_numpy(dtype=object)})
    name = data.columns.name if schema is None else schema.name
    return flat(Table(frame, images={way.source: data.table.images[way.given]}), TableSchema(name, (column,)))


def _kept_columns(data: Dataset) -> list[str]:
    from manikin.io.images.dicom.headers import OF_SCAN

    return [column.name for column in data.columns if column.kind is not Kind.IMAGE and column.name not in OF_SCAN]


def _joined(data: Dataset, made: Dataset, way: Way, kept: list[str], given: ImageForm | None) -> Dataset:
    """The kept columns of given rows beside their made images."""
    form = _geometry(made.columns[way.target].image or ImageForm(), given)
    column = Column(way.out, Kind.IMAGE, image=form)
    columns: list[Column] = []
    for one in data.columns:
        if one.name == way.given:
            columns.append(column)
        elif one.name in kept:
            columns.append(one)
    names = _file_names(data.table.frame[way.given].to_numpy(dtype=object), way)
    frame = {one.name: names if one is column else data.table.frame[one.name] for one in columns}
    marks = {name: mark for name, mark in data.table.marks.items() if name in kept}
    images = {way.out: made.table.images[way.target]}
    schema = TableSchema(data.columns.name, tuple(columns))
    return flat(Table(pd.DataFrame(frame).reset_index(drop=True), marks, images), schema, data.native)


def _geometry(made: ImageForm, given: ImageForm | None) -> ImageForm:
    """The made images' form, with the spacing of the images that they were made of."""
    if given is None or given.spacing is None or given.size is None or made.size is None or len(given.size) != len(made.size):
        return replace(made, spacing=None)
    scaled = tuple(mm * before / after for mm, before, after in zip(given.spacing, given.size, made.size, strict=True))
    return replace(made, spacing=scaled)


def _file_names(cells: npt.NDArray[Any], way: Way) -> pd.Series:
    """Names of the given images; a folder that is called by the source is called by the target."""
    out = []
    for cell in cells.tolist():
        text = cell if isinstance(cell, str) else ""
        head, slash, rest = text.partition("/")
        out.append(f"{way.target}/{rest}" if slash and head == way.source else text)
    return pd.Series(out, dtype=object)


def truths(data: Dataset, way: Way) -> Images | None:
    """The true targets beside the sources, if there are any."""
    return None if way.truth is None else data.table.images[way.truth]
