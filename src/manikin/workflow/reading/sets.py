"""Images with labels, and images brought to one form, so that nothing but what they show tells them apart. Knows no reader.

What would give a set away without a look: the file's name, its size on disk, colours of one set only, width and height, bit depth. All are
made alike: the same number of pixels (those of the smaller set; larger images are cut to the same shape and scaled down), grey unless both
sets have colours, 8 bits, and PNG without compression, whose length depends on the number of pixels alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError
from manikin.data.images import LUMA, Images
from manikin.data.schema import ImageForm
from manikin.io.images.pillow import pillow
from manikin.workflow.places import image_format, read_images

MOST_SIDE = 1024  # that a page shows
MOST_LEVELS = 12  # of a column that is taken for a label
BYTES = (0.0, 255.0)
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageSet:
    """Images of one place, read when they are asked for: their names, the label of each (empty where it has none), whose they are."""

    place: Path
    images: Images
    form: ImageForm
    files: tuple[str, ...]
    labels: tuple[str, ...]
    column: str
    patients: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.files)

    @property
    def has_bytes(self) -> bool:
        """Whether its values are those of 8 bits."""
        return self.form.is_whole and (self.form.lowest, self.form.highest) == BYTES


def image_set(place: str | Path, *, label: str | None = None) -> ImageSet:
    """The images at a place, of any format of images, with a column of their labels.

    Parameters
    ----------
    label : the column; without it "label", or else the first column of levels that has 2 to 12; none where there is no such column.

    Raises
    ------
    DataError : no image, several columns of images, no such column.
    """
    root = Path(place)
    if not root.exists():
        raise DataError(f"There is nothing at {root}. Give a folder of images.")
    if image_format(root) is None:
        raise DataError(f"{root} holds no images. Give a folder of images, such as PNG; see `manikin list formats`.")
    return set_of(read_images(root), root, label=label)


def set_of(data: Dataset, place: Path, *, label: str | None = None) -> ImageSet:
    """The images of a data set that was read from a place; see `image_set`."""
    pictures = [column for column in data.columns.columns if column.image is not None]
    if len(pictures) != 1 or pictures[0].image is None:
        raise DataError(f"{place} has {len(pictures)} columns of images, and readers see one. Give a folder with one of them.")
    images = data.table.images[pictures[0].name]
    rows = np.flatnonzero(images.present)
    columns = [column for column in data.columns.learned if column.image is None]  # no key and no identifier
    cells = {one.name: _texts(data.table.frame[one.name].iloc[rows]) for one in columns}
    column = _label_of(cells, [one.name for one in columns if one.kind.is_discrete], label, place)
    files = tuple(str(cell) for cell in data.table.frame[pictures[0].name].iloc[rows])
    return ImageSet(place, images.take(rows), pictures[0].image, files, cells.get(column, ("",) * len(rows)), column, data.records[rows])


def write_alike(sets: Sequence[ImageSet], rows: Sequence[Sequence[int]], places: Sequence[Sequence[int]], folder: Path) -> list[str]:
    """Writes images of several sets in one form, as `folder/NUMBER.png`, all files of one length.

    Parameters
    ----------
    rows : the images of each set. places : the number that each of them gets.

    Returns
    -------
    list of str : what was changed, for people who know the sets; a sentence each.
    """
    notices = []
    has_bytes = all(one.has_bytes for one in sets)
    shown = [[_picture(one.images.image(i), has_bytes=has_bytes) for i in chosen] for one, chosen in zip(sets, rows, strict=True)]
    if any(one.form.size is not None and len(one.form.size) == 3 for one in sets):
        notices.append("Volumes are shown by their middle slice.")
    if not has_bytes:
        notices.append("Images of more than 8 bits are among them: each image is shown between its own 0.5 and 99.5 % quantiles.")
    has_colour = [any(one.ndim == 3 for one in images) for images in shown]
    if any(has_colour) and not all(has_colour):
        notices.append("Only one of the sets has colours, which would give it away: all images are shown in grey.")
    shapes = [{one.shape[:2] for one in images} for images in shown]
    size = _common_size(shapes)
    if len(set().union(*shapes)) > 1 or max(max(shape) for part in shapes for shape in part) > MOST_SIDE:
        notices.append(f"Images differ in size: all are cut to one shape and scaled to {size[1]} x {size[0]} pixels.")
    folder.mkdir(parents=True, exist_ok=True)
    for images, numbers in zip(shown, places, strict=True):
        for one, number in zip(images, numbers, strict=True):
            made = _sized(one if all(has_colour) else _grey(one), size)
            if all(has_colour) and made.ndim == 2:
                made = np.repeat(made[..., None], 3, axis=2)
            (folder / f"{number:06d}.png").write_bytes(encoded(made))
    return notices


def stacked(sets: Sequence[ImageSet], *, most: int) -> list[Pixels]:
    """All images of several sets in one form and size in memory, as a classifier takes them.

    Parameters
    ----------
    most : pixels along a side, at most.

    Returns
    -------
    list of uint8 (n, channels, height, width) : one array per set; one channel unless all sets have colours.
    """
    has_bytes = all(one.has_bytes for one in sets)
    shown = [[_picture(one.images.image(i), has_bytes=has_bytes) for i in range(len(one))] for one in sets]
    in_colour = all(any(one.ndim == 3 for one in images) for images in shown)
    size = _common_size([{one.shape[:2] for one in images} for images in shown], most)
    made = []
    for images in shown:
        array = np.empty((len(images), 3 if in_colour else 1, *size), dtype=np.uint8)
        for i, one in enumerate(images):
            pixels = _sized(one if in_colour else _grey(one), size)
            array[i] = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels
        made.append(array)
    return made


def encoded(pixels: Pixels) -> bytes:
    """A PNG that holds pixels and nothing else, without compression: its length tells the number of pixels only."""
    buffer = io.BytesIO()
    pillow().fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def _texts(cells: Any) -> tuple[str, ...]:
    """Cells as texts, empty where they are missing."""
    return tuple("" if missing else str(cell) for cell, missing in zip(cells, cells.isna(), strict=True))


def _label_of(cells: dict[str, tuple[str, ...]], discrete: Sequence[str], label: str | None, place: Path) -> str:
    if label is not None:
        if label not in cells:
            raise DataError(f"{place} has no column {label!r} of labels. It has {', '.join(cells) or 'none'}.")
        return label
    order = [*(name for name in cells if name.lower() == "label"), *discrete]
    return next((name for name in order if 2 <= len(set(cells[name])) <= MOST_LEVELS), "")


def _picture(image: npt.NDArray[Any], *, has_bytes: bool) -> Pixels:
    """(channels, *size) in any values to (height, width) or (height, width, 3) in 8 bits; grey that is written as colour is grey."""
    if image.ndim == 4:
        image = image[:, image.shape[1] // 2]
    channels = image[:3] if image.shape[0] >= 3 else image[:1]
    pixels = channels[0] if len(channels) == 1 or (channels == channels[:1]).all() else np.moveaxis(channels, 0, -1)
    return np.asarray(pixels, dtype=np.uint8) if has_bytes else _to_bytes(pixels)


def _common_size(shapes: Sequence[set[tuple[int, int]]], most: int = MOST_SIDE) -> tuple[int, int]:
    """(height, width) of the form: the smallest of all images', at most so many pixels a side."""
    height = min(shape[0] for part in shapes for shape in part)
    width = min(shape[1] for part in shapes for shape in part)
    factor = min(1.0, most / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _sized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Cut to the shape around the middle, then scaled with an antialiasing filter."""
    if pixels.shape[:2] == size:
        return pixels
    Image = pillow()
    height, width = pixels.shape[:2]
    scale = min(height / size[0], width / size[1])
    h, w = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - h) // 2, (width - w) // 2
    cut = np.ascontiguousarray(pixels[top : top + h, left : left + w])
    return np.asarray(Image.fromarray(cut).resize((size[1], size[0]), Image.Resampling.LANCZOS))


def _to_bytes(pixels: npt.NDArray[Any]) -> Pixels:
    """Between its own 0.5 and 99.5 % quantiles; what is not finite is black, a constant image mid-grey."""
    values = np.nan_to_num(pixels.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = np.quantile(values, [0.005, 0.995])
    if high <= low:
        return np.full(values.shape, 128, dtype=np.uint8)
    return np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def _grey(pixels: Pixels) -> Pixels:
    """Luma of ITU-R BT.601; what is grey stays as it is."""
    if pixels.ndim == 2:
        return pixels
    return np.rint(pixels @ LUMA).astype(np.uint8)
