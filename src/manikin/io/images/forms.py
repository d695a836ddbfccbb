"""What images have in common, from what each of them is: channels, size, range of values, spacing. Knows no files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from manikin.data.errors import SchemaError
from manikin.data.schema import Column, ImageForm
from manikin.io.images.sources import Pixels


@dataclass(frozen=True)
class Facts:
    """What one image is.

    Attributes
    ----------
    shape : (channels, *size). is_grey : whether its channels are the same. lowest, highest : of its values that are numbers.
    spacing : mm along each axis of its size; None where its file does not say. modality : in DICOM's words.
    """

    shape: tuple[int, ...]
    is_grey: bool
    is_whole: bool
    lowest: float
    highest: float
    spacing: tuple[float, ...] | None = None
    modality: str | None = None


def facts_of(pixels: Pixels, spacing: tuple[float, ...] | None = None, modality: str | None = None) -> Facts:
    """The facts of an image (channels, *size)."""
    is_grey = len(pixels) == 1 or all(np.array_equal(pixels[0], other) for other in pixels[1:])
    is_whole = pixels.dtype.kind in "iub" or bool(np.isfinite(pixels).all() and (pixels == np.rint(pixels)).all())
    lowest, highest = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
    return Facts(tuple(pixels.shape), is_grey, is_whole, lowest, highest, spacing, modality)


def form_of(facts: Sequence[Facts]) -> ImageForm:
    """What images have in common; the range of values is rounded outwards, so that it shows no patient's brightest pixel."""
    if not facts:
        return ImageForm()
    sizes = {one.shape[1:] for one in facts}
    size = next(iter(sizes)) if len(sizes) == 1 else None
    is_whole = all(one.is_whole for one in facts)
    lowest, highest = value_range(min(one.lowest for one in facts), max(one.highest for one in facts), is_whole=is_whole)
    modalities = {one.modality for one in facts}
    return ImageForm(
        channels=1 if all(one.is_grey for one in facts) else max(one.shape[0] for one in facts),
        size=size,
        lowest=lowest,
        highest=highest,
        is_whole=is_whole,
        spacing=_common_spacing(facts) if size is not None else None,
        modality=next(iter(modalities)) if len(modalities) == 1 else None,
    )


def value_range(lowest: float, highest: float, *, is_whole: bool) -> tuple[float, float]:
    """The range that values of an image lie in, rounded outwards: whole numbers to powers of two (0 to 255 at least), others to two digits.

    >>> value_range(3, 3900, is_whole=True), value_range(-1000, 1800, is_whole=True), value_range(0.1, 0.9, is_whole=False)
    ((0.0, 4095.0), (-1024.0, 2047.0), (0.0, 1.0))
    """
    if is_whole:
        top = max(highest, 255.0) if lowest >= 0 else max(highest, 0.0)
        return 0.0 if lowest >= 0 else -float(_power(-lowest)), float(_power(top + 1) - 1)
    if lowest >= 0 and highest <= 1:
        return 0.0, 1.0
    span = highest - lowest
    step = 10.0 ** (math.floor(math.log10(span)) - 1) if span > 0 else 1.0
    low, high = math.floor(lowest / step) * step, math.ceil(highest / step) * step
    if not low < high:
        high = low + max(step, abs(low) * 1e-6)
    return float(f"{low:.12g}"), float(f"{high:.12g}")


def _power(value: float) -> int:
    return 1 << max(math.ceil(value) - 1, 0).bit_length()


def _common_spacing(facts: Sequence[Facts]) -> tuple[float, ...] | None:
    known = [one.spacing for one in facts]
    first = known[0]
    if first is None or any(one is None or len(one) != len(first) or not np.allclose(one, first, rtol=1e-3) for one in known):
        return None
    return first


def as_declared(column: Column, found: ImageForm, where: str) -> Column:
    """An image column as its schema says; what the schema leaves open is filled with what was found.

    Raises
    ------
    SchemaError : the schema names a size that the images do not have.
    """
    said = column.image
    if said is None:
        return replace(column, image=found)
    if said.size is not None and said.size != found.size:
        has = "of different sizes" if found.size is None else "x".join(map(str, found.size))
        raise SchemaError(
            f"{where}, column {column.name!r}: the schema says that images are {'x'.join(map(str, said.size))} pixels; these are {has}. "
            "Correct `size`, or take it out where images may differ."
        )
    return column
