"""Images and their labels as arrays, and back: pixels in [-1, 1] at the size that a model learns, attributes as tokens. Knows no model.

Encoded images are kept in 8 or 16 bits and become float32 when a batch asks for them. Whole-numbered images of at most 65,536 levels that
are learned at their own size come back as they were; others are resized (2-D by area, volumes linearly) and rounded to 65,536 levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.base import Layout, Tokens
from manikin.codecs.table import TableCodec, is_key, new_keys
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import BudgetError, DataError, FitError, ModelFolderError
from manikin.data.images import LUMA, Images
from manikin.data.schema import Column, ImageForm, Schema, TableSchema
from manikin.data.schema_text import column_from_json, column_to_json

Pixels = npt.NDArray[np.float32]
MOST_STEPS = 65_535
NAME = "synthetic-{:06d}.png"
MOST_PIXELS = 1 << 26  # of one image, far more than any model learns


@dataclass(frozen=True)
class ImageField:
    """One column of images as a model sees it.

    Attributes
    ----------
    column : the column's name. form : what is released: the learned size, and the spacing that goes with it.
    padded : the size with what was added behind each axis so that it is a multiple of what networks halve, (height, width) or with depth.
    n_steps : between the lowest and the highest value that are told apart.
    """

    column: str
    form: ImageForm
    padded: tuple[int, ...]
    n_steps: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, *padded) of what a network sees."""
        return (self.form.channels, *self.padded)

    def pixels(self, stored: npt.NDArray[Any]) -> Pixels:
        """Stored steps in [-1, 1], float32 of the same shape."""
        return stored.astype(np.float32) * np.float32(2 / self.n_steps) - np.float32(1)


@dataclass(frozen=True)
class EncodedImages:
    """Images and attributes of a data set.

    Attributes
    ----------
    stored : by column uint8 or uint16 (n, channels, *padded), 0 at the lowest value and `n_steps` at the highest.
    present : by column bool (n,), whether the row has an image; what `stored` has for one that has none is undefined.
    tokens : attributes, int32 (n, n_fields). records : the patient of each row, int64 (n,).
    """

    fields: Mapping[str, ImageField]
    stored: Mapping[str, npt.NDArray[Any]]
    present: Mapping[str, npt.NDArray[np.bool_]]
    tokens: Tokens
    records: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)

    def pixels(self, column: str, rows: npt.NDArray[Any]) -> Pixels:
        """Images of these rows in [-1, 1], float32 (n, channels, *padded)."""
        return self.fields[column].pixels(self.stored[column][rows])


@dataclass
class ImageCodec:
    """Fitted to a data set of images.

    Parameters
    ----------
    size : the size to learn at, one number for all axes or one for each; None takes the images' own, which they must share.
    multiple : every axis is padded to a multiple of it, by repeating the edge.
    """

    size: int | tuple[int, ...] | None = None
    multiple: int = 1
    schema_: TableSchema = field(init=False, repr=False)
    native_: str = field(init=False, repr=False, default="pandas")
    fields_: dict[str, ImageField] = field(init=False, repr=False)
    attributes_: TableCodec | None = field(init=False, repr=False, default=None)

    def fit(self, data: Dataset, *, ledger: Any | None = None) -> ImageCodec:
        """Learns sizes and the attributes' vocabularies.

        Raises
        ------
        BudgetError : a ledger is given. FitError : no column of images, none of them present, or sizes that differ and none is asked for.
        """
        if ledger is not None:
            raise BudgetError("Images cannot be learned under a privacy ledger yet. Leave --epsilon out.")
        if not data.columns.images:
            raise FitError("The data have no column of images. Give a folder of images, or correct the kinds in the schema.")
        self.schema_, self.native_ = data.columns, data.native
        self.fields_ = {column.name: self._field(data, column) for column in data.columns.images}
        attributes = [column.name for column in data.columns.learned]
        self.attributes_ = TableCodec().fit(attributes_of(data)) if attributes else None
        return self

    def _field(self, data: Dataset, column: Column) -> ImageField:
        images = data.table.images.get(column.name)
        if images is None or not images.present.any():
            raise FitError(f"Column {column.name!r} has no image. Bring images, or leave the column out.")
        own = column.image or ImageForm()
        size = own.size
        if self.size is not None:
            n_axes = images.image(int(np.flatnonzero(images.present)[0])).ndim - 1
            size = (self.size,) * n_axes if isinstance(self.size, int) else tuple(self.size)
            if len(size) != n_axes or min(size) < 1:
                raise FitError(f"size has {len(size)} numbers, and images of {column.name!r} have {n_axes} axes. Give {n_axes}.")
        if size is None:
            raise FitError(f"The images of column {column.name!r} differ in size. Say at which they are learned: --set size=64.")
        spacing = own.spacing
        if spacing is not None and own.size is not None:
            spacing = tuple(mm * before / after for mm, before, after in zip(spacing, own.size, size, strict=True))
        padded = tuple(-(-length // self.multiple) * self.multiple for length in size)
        if np.prod(padded) * own.channels > MOST_PIXELS:
            raise FitError(f"Images of {' x '.join(map(str, size))} are larger than any model here learns. Give --set size=64.")
        span = own.highest - own.lowest
        n_steps = int(span) if own.is_whole and span <= MOST_STEPS else MOST_STEPS
        return ImageField(column.name, replace(own, size=size, spacing=spacing), padded, n_steps)

    @property
    def layout(self) -> Layout:
        """The encoded attributes, none where there are none."""
        return Layout(()) if self.attributes_ is None else self.attributes_.layout

    def encode(self, data: Dataset) -> EncodedImages:
        """Images and attributes of a data set with these columns.

        Raises
        ------
        DataError : an image cannot be read, or has other channels than were learned.
        """
        tokens = np.zeros((len(data.table), 0), dtype=np.int32)
        if self.attributes_ is not None:
            tokens = self.attributes_.encode(attributes_of(data))
        stored, present = {}, {}
        for name, one in self.fields_.items():
            stored[name], present[name] = self._stored(one, data.table.images[name])
        return EncodedImages(self.fields_, stored, present, tokens, data.records)

    def encode_images(self, column: str, images: Images) -> Pixels:
        """Images of one column in [-1, 1], float32 (n, channels, *padded); 0 where a row has none."""
        own = self.fields_[column]
        stored, present = self._stored(own, images)
        pixels = own.pixels(stored)
        pixels[~present] = 0.0
        return pixels

    def _stored(self, own: ImageField, images: Images) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        size, form = own.form.size or (), own.form
        out = np.zeros((len(images), *own.shape), dtype=np.uint8 if own.n_steps <= 255 else np.uint16)
        widths = [(0, 0), *((0, more - length) for length, more in zip(size, own.padded, strict=True))]
        for row in np.flatnonzero(images.present).tolist():
            image = with_channels(images.image(row), form.channels, where=f"The image of row {row + 1} of column {own.column!r}")
            values = resized(image, size)
            finite = np.nan_to_num(values, nan=form.lowest, posinf=form.highest, neginf=form.lowest)
            steps = np.rint((finite - form.lowest) * (own.n_steps / (form.highest - form.lowest)))
            out[row] = np.pad(np.clip(steps, 0, own.n_steps), widths, mode="edge")
        return out, images.present

    def decode(self, pixels: Mapping[str, npt.NDArray[Any]], attributes: Dataset | None, *, first: int = 1) -> Dataset:
        """A data set in the schema of the release.

        Parameters
        ----------
        pixels : by column (n, channels, *padded) in [-1, 1], beyond which values are cut. attributes : the other columns of these rows,
            made by a generator of tables; None where nothing else was learned.
        first : the number in the first image's name, and from which keys made anew count.
        """
        n = len(next(iter(pixels.values())))
        frame = {} if attributes is None else {name: attributes.table.frame[name] for name in attributes.table.frame}
        frame |= {column.name: new_keys(column, first, n) for column in self.schema_ if is_key(column)}
        images = {}
        for name, own in self.fields_.items():
            images[name] = Images.of_array(self._values(own, pixels[name]))
            suffix = "" if len(self.fields_) == 1 else f"{name}-"
            frame[name] = pd.Series([suffix + NAME.format(first + i) for i in range(n)], dtype=object)
        columns = tuple(
            replace(column, image=self.fields_[column.name].form)
            if column.name in self.fields_
            else (attributes.columns[column.name] if attributes is not None and column.name in attributes.columns else column)
            for column in self.schema_.columns
            if column.name in frame
        )
        schema = replace(self.schema_, columns=columns, rules=() if attributes is None else attributes.columns.rules)
        marks = {} if attributes is None else dict(attributes.table.marks)
        table = Table(pd.DataFrame({column.name: frame[column.name] for column in columns}), marks, images)
        return Dataset({schema.name: table}, Schema((schema,)), self.native_)

    def _values(self, own: ImageField, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        size, form = own.form.size or (), own.form
        inside = pixels[(slice(None), slice(None), *(slice(0, length) for length in size))]
        steps = np.rint((np.clip(np.nan_to_num(inside), -1.0, 1.0) + 1.0) * (own.n_steps / 2))
        values = steps * ((form.highest - form.lowest) / own.n_steps) + form.lowest
        if not form.is_whole:
            return values.astype(np.float32)
        whole = np.rint(values)
        for dtype in (np.uint8, np.uint16, np.int16, np.int32):
            if np.iinfo(dtype).min <= form.lowest and form.highest <= np.iinfo(dtype).max:
                return whole.astype(dtype)
        return whole.astype(np.float32)

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted, as JSON-able values and arrays."""
        from manikin.data.schema_text import table_to_json

        values: dict[str, Any] = {
            "size": list(self.size) if isinstance(self.size, tuple) else self.size,
            "multiple": self.multiple,
            "native": self.native_,
            "schema": table_to_json(self.schema_),
            "fields": [
                {
                    "column": column_to_json(replace(self.schema_[own.column], image=own.form)),
                    "padded": list(own.padded),
                    "n_steps": own.n_steps,
                }
                for own in self.fields_.values()
            ],
        }
        arrays: dict[str, npt.NDArray[Any]] = {}
        if self.attributes_ is not None:
            values["attributes"], arrays = self.attributes_.state()
        return values, arrays

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> ImageCodec:
        """The fitted codec back.

        Raises
        ------
        ModelFolderError : the state contradicts itself.
        """
        from manikin.data.schema_text import table_from_json

        size = values["size"]
        made = cls(size=tuple(map(int, size)) if isinstance(size, list) else size, multiple=int(values["multiple"]))
        made.schema_, made.native_, made.fields_ = table_from_json(values["schema"]), str(values["native"]), {}
        for own in values["fields"]:
            column = column_from_json(own["column"])
            padded, n_steps = tuple(map(int, own["padded"])), int(own["n_steps"])
            form = column.image
            fits = form is not None and form.size is not None and len(padded) == len(form.size)
            if not fits or form is None or form.size is None or column.name not in made.schema_ or not 1 <= n_steps <= MOST_STEPS:
                raise ModelFolderError(f"Column {column.name[:60]!r} of the model folder is no column of images. Save the model again.")
            if any(not a <= b < a + max(made.multiple, 1) for a, b in zip(form.size, padded, strict=True)):
                raise ModelFolderError(f"The sizes of column {column.name[:60]!r} contradict each other. Save the model again.")
            if np.prod(padded) * form.channels > MOST_PIXELS:
                raise ModelFolderError(f"The images of column {column.name[:60]!r} are larger than any model's. Save the model again.")
            made.fields_[column.name] = ImageField(column.name, form, padded, n_steps)
        if not made.fields_:
            raise ModelFolderError("The model folder has no column of images. Save the model again.")
        if (values.get("attributes") is not None) != bool(made.schema_.learned):
            raise ModelFolderError("The attributes of the model folder do not fit its schema. Save the model again.")
        made.attributes_ = TableCodec.from_state(values["attributes"], arrays) if made.schema_.learned else None
        return made


def attributes_of(data: Dataset) -> Dataset:
    """The data set without its images."""
    images = {column.name for column in data.columns.images}
    return data.only([name for name in data.columns.names if name not in images])


def with_channels(image: npt.NDArray[Any], channels: int, *, where: str = "An image") -> npt.NDArray[Any]:
    """Grey as colour, or colour as grey by the luminance weights of ITU-R BT.601; (channels, *size).

    Raises
    ------
    DataError : neither fits.
    """
    if len(image) == channels:
        return image
    if len(image) == 1:
        return np.repeat(image, channels, axis=0)
    if len(image) == 3 and channels == 1:
        return np.tensordot(LUMA, image.astype(np.float64), axes=1)[None]
    raise DataError(f"{where} has {len(image)} channels, where {channels} are learned. Bring images of one kind.")


def resized(image: npt.NDArray[Any], size: tuple[int, ...]) -> npt.NDArray[Any]:
    """An image at another size, (channels, *size); unchanged where it has that size already."""
    if image.shape[1:] == tuple(size):
        return image
    if image.ndim == 3:
        from PIL import Image

        height, width = size
        larger = height > image.shape[1] or width > image.shape[2]
        how = Image.Resampling.BILINEAR if larger else Image.Resampling.BOX
        planes = [Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32)).resize((width, height), how) for plane in image]
        return np.stack([np.asarray(plane) for plane in planes])
    from scipy.ndimage import zoom

    factors = [after / before for before, after in zip(image.shape[1:], size, strict=True)]
    return np.stack([zoom(volume.astype(np.float32), factors, order=1, grid_mode=True, mode="nearest") for volume in image])
