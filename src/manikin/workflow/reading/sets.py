"""Folders of images with labels, and images brought to one form, so that nothing but what they show tells them apart. Knows no reader.

What would give a set away without a look: the file's name, its size on disk, colours of one set only, width and height, bit depth. All are
made alike: the same number of pixels (those of the smaller set; larger images are cut to the same shape and scaled down), grey unless both
sets have colours, 8 bits, and PNG without compression, whose length depends on the number of pixels alone.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import DataError, MissingExtraError

ENDINGS = (".png", ".jpg", ".jpeg")
LABELS = "labels.csv"
FILE = "file"  # the column of labels.csv that names images
MOST_PIXELS = 64_000_000  # of one image, told before it is decoded
MOST_SIDE = 1024  # that a page shows
MOST_LEVELS = 12  # of a column that is taken for a label
MOST_FILES = 1_000_000
MOST_BYTES = 1 << 28
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageSet:
    """A folder of images: their files, and the label of each, empty where there is none."""

    folder: Path
    files: tuple[str, ...]
    labels: tuple[str, ...]
    column: str = ""

    def __len__(self) -> int:
        return len(self.files)


def image_set(folder: str | Path, *, label: str | None = None) -> ImageSet:
    """The images of a folder (and of the folders in it), with a column of its labels.csv where there is one.

    Parameters
    ----------
    label : the column; without it "label", or else the first column of 2 to 12 different values.

    Raises
    ------
    DataError : no folder, no image, a labels.csv that names what is not there, no such column.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"There is no folder {root}. Give a folder of PNG or JPEG images.")
    found = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
    if not found:
        raise DataError(f"{root} holds no PNG or JPEG image. Give a folder of such images.")
    if len(found) > MOST_FILES:
        raise DataError(f"{root} holds more than {MOST_FILES:,} images. Give a part of them.")
    table = root / LABELS
    if not table.is_file():
        if label is not None:
            raise DataError(f"{root} has no {LABELS}, so that there is no column {label!r}. Leave --label out, or add the file.")
        return ImageSet(root, tuple(found), ("",) * len(found))
    rows, names = _table(table)
    column = _column(rows, names, label, table)
    if column is None:
        return ImageSet(root, tuple(found), ("",) * len(found))
    of = {row[FILE]: (row[column] or "").strip() for row in rows}
    known = [name for name in found if name in of]
    if not known:
        raise DataError(f"None of the images in {root} is named in the column {FILE!r} of {table}. Write the files' names there.")
    return ImageSet(root, tuple(known), tuple(of[name] for name in known), column)


def read_image(path: Path) -> npt.NDArray[Any]:
    """The pixels of a PNG or JPEG, (height, width) or (height, width, 3), as the file holds them: 8 or 16 bits; transparency is dropped.

    Raises
    ------
    DataError : it is no image, is cut off, or has more than 64 million pixels.
    """
    Image = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise DataError(f"{path} has more than {MOST_PIXELS:,} pixels. Give a smaller image.")
                mode = {"L": "L", "1": "L", "LA": "L", "I;16": "I;16", "I": "I", "F": "F"}.get(image.mode, "RGB")
                pixels = np.asarray(image.convert(mode) if image.mode != mode else image)
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, Image.DecompressionBombError):
        raise DataError(f"{path} cannot be read as a PNG or JPEG image. Take it out, or restore it.") from None
    if pixels.ndim == 3 and (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all():
        return pixels[..., 0]  # grey, written as colour
    return pixels


def write_alike(groups: Sequence[Sequence[Path]], places: Sequence[Sequence[int]], folder: Path) -> list[str]:
    """Writes images of several sets in one form, as `folder/NUMBER.png`, all files of one length.

    Parameters
    ----------
    groups : the files of each set. places : the number that each of them gets.

    Returns
    -------
    list of str : what was changed, for people who know the sets; a sentence each.

    Raises
    ------
    DataError : an image that cannot be read.
    """
    sets = [[read_image(path) for path in files] for files in groups]
    notices = []
    has_colour = [any(one.ndim == 3 for one in images) for images in sets]
    if any(has_colour) and not all(has_colour):
        notices.append("Only one of the sets has colours, which would give it away: all images are shown in grey.")
    if all(all(one.dtype == np.uint8 for one in images) for images in sets):
        scaled = sets
    else:
        scaled = [[_to_bytes(one) for one in images] for images in sets]
        notices.append("Images of more than 8 bits are among them: each image is shown between its own 0.5 and 99.5 % quantiles.")
    shapes = [{one.shape[:2] for one in images} for images in scaled]
    size = _common_size(shapes)
    if len(set().union(*shapes)) > 1 or max(max(shape) for part in shapes for shape in part) > MOST_SIDE:
        notices.append(f"Images differ in size: all are cut to one shape and scaled to {size[1]} x {size[0]} pixels.")
    folder.mkdir(parents=True, exist_ok=True)
    for images, numbers in zip(scaled, places, strict=True):
        for one, number in zip(images, numbers, strict=True):
            made = _sized(_grey(one) if not all(has_colour) else one, size)
            if all(has_colour) and made.ndim == 2:
                made = np.repeat(made[..., None], 3, axis=2)
            (folder / f"{number:06d}.png").write_bytes(encoded(made))
    return notices


def encoded(pixels: Pixels) -> bytes:
    """A PNG that holds pixels and nothing else, without compression: its length tells the number of pixels only."""
    buffer = io.BytesIO()
    _pillow().fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def _table(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path} is too large for a table of labels.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or ())
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error):
        raise DataError(f"{path} cannot be read as CSV in UTF-8. Write it again.") from None
    if FILE not in names:
        raise DataError(f"{path} has no column {FILE!r}, which names the images. Name it so.")
    return rows, names


def _column(rows: Sequence[dict[str, str]], names: Sequence[str], label: str | None, path: Path) -> str | None:
    if label is not None:
        if label not in names or label == FILE:
            raise DataError(f"{path} has no column {label!r}. It has {', '.join(name for name in names if name != FILE)}.")
        return label
    order = sorted((name for name in names if name != FILE), key=lambda name: name.lower() != "label")
    return next((name for name in order if 2 <= len({row[name] for row in rows}) <= MOST_LEVELS), None)


def _common_size(shapes: Sequence[set[tuple[int, int]]]) -> tuple[int, int]:
    """(height, width) of the form: of each set the smallest, of these the smaller one, at most 1,024 pixels a side."""
    height = min(shape[0] for part in shapes for shape in part)
    width = min(shape[1] for part in shapes for shape in part)
    factor = min(1.0, MOST_SIDE / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _sized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Cut to the shape around the middle, then scaled with an antialiasing filter."""
    if pixels.shape[:2] == size:
        return pixels
    Image = _pillow()
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
    return np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("Reading images needs an extra: pip install 'manikin[images]'.") from None
    return Image
