"""The pixels of a DICOM frame in the values that mean something: Hounsfield units, grey from black to white, colour. Knows no files."""

from __future__ import annotations

from typing import Any

import numpy as np

from manikin.io.images.dicom.files import dicom, distrusted, value
from manikin.io.images.files import Unreadable
from manikin.io.images.sources import Pixels

PADDED = "pixels of padding, which are set to the image's lowest value"
INVERTED = "grey from white to black (MONOCHROME1), which is turned round"
PALETTE = "a palette, which is read as colour"
DEEP_PALETTE = "a palette of 16 bits, of which 8 are read"
OVERLAID = "overlays, which are not drawn"
COMPRESSED = "is packed in a way that no decoder here reads"


def frame_of(data: Any, frame: int) -> tuple[Pixels, tuple[str, ...]]:
    """One frame, (1 or 3, rows, columns), and what was done to it in words that go on from "images have".

    Grey values are rescaled by slope and intercept (or their lookup table), as whole numbers where these are; the window of a viewer
    (VOI) is not applied, since it throws values away.

    Raises
    ------
    Unreadable : the pixels cannot be decoded.
    """
    pydicom = dicom()
    photometric = str(value(data, "PhotometricInterpretation", str, "MONOCHROME2")).upper()
    remarks: list[str] = []
    syntax = data.file_meta.TransferSyntaxUID
    with distrusted(f"{COMPRESSED} ({syntax.name})" if syntax.is_encapsulated else "is damaged or cut short"):
        raw = np.asarray(pydicom.pixels.pixel_array(data, index=frame))
        if photometric == "PALETTE COLOR":
            return _palette(pydicom, raw, data)
        if raw.ndim == 3:
            return np.ascontiguousarray(np.moveaxis(raw, -1, 0)), ()
        if raw.ndim != 2:
            raise Unreadable("has pixels that are no image")
        values = _rescaled(pydicom, raw, data, frame)
        padding = _padding(raw, data)
        if photometric == "MONOCHROME1":
            ends = _rescaled(pydicom, np.array([_stored_ends(data)], dtype=raw.dtype), data, frame)
            values = (ends.astype(np.float64).sum() - values).astype(_whole_type(values, ends))
            remarks.append(INVERTED)
        if padding.any():
            inside = values[~padding]
            values = np.where(padding, inside.min() if inside.size else values.min(), values)
            remarks.append(PADDED)
        if any(element.tag.group & 0xFF01 == 0x6000 and element.tag.elem == 0x3000 for element in data.group_dataset(0x6000)):
            remarks.append(OVERLAID)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Unreadable("has pixels without a number")
    return np.ascontiguousarray(values[None]), tuple(remarks)


def _palette(pydicom: Any, raw: Pixels, data: Any) -> tuple[Pixels, tuple[str, ...]]:
    colour = np.asarray(pydicom.pixels.apply_color_lut(raw, data))[..., :3]
    remark = PALETTE
    if colour.dtype != np.uint8:
        colour, remark = (colour >> 8).astype(np.uint8), DEEP_PALETTE
    return np.ascontiguousarray(np.moveaxis(colour, -1, 0)), (remark,)


def _rescaled(pydicom: Any, raw: Pixels, data: Any, frame: int) -> Pixels:
    """Stored values as the modality means them: int32 where slope and intercept are whole (int16, uint8 … without them), else float32."""
    source = _rescaling(data, frame)
    if source is None:
        return raw
    if "ModalityLUTSequence" in source:
        return np.asarray(pydicom.pixels.apply_rescale(raw, source))
    slope, intercept = value(source, "RescaleSlope", float, 1.0) or 1.0, value(source, "RescaleIntercept", float, 0.0) or 0.0
    if not np.isfinite([slope, intercept]).all():
        raise Unreadable("has a rescale slope or intercept that is no number")
    if slope == 1 and intercept == 0:
        return raw
    if float(slope).is_integer() and float(intercept).is_integer() and abs(slope) < 2**15 and abs(intercept) < 2**30:
        whole = raw.astype(np.int64) * int(slope) + int(intercept)
        return whole.astype(np.int32) if np.abs(whole).max(initial=0) < 2**31 else whole
    return (raw.astype(np.float64) * slope + intercept).astype(np.float32)


def _rescaling(data: Any, frame: int) -> Any | None:
    """Where slope and intercept stand: in the data set, or in the functional groups of the frame or of all frames."""
    if "ModalityLUTSequence" in data or "RescaleSlope" in data:
        return data
    for groups, place in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        try:
            return data[groups][place].PixelValueTransformationSequence[0]
        except (AttributeError, IndexError, KeyError, TypeError):
            continue
    return None


def _stored_ends(data: Any) -> tuple[int, int]:
    """The lowest and highest value that the stored bits can hold."""
    bits = value(data, "BitsStored", int, value(data, "BitsAllocated", int, 8)) or 8
    if value(data, "PixelRepresentation", int, 0) == 1:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def _whole_type(values: Pixels, ends: Pixels) -> Any:
    return values.dtype if values.dtype.kind == "f" or ends.min() >= 0 else np.int32


def _padding(raw: Pixels, data: Any) -> Any:
    """Which pixels are padding: those of PixelPaddingValue, or between it and PixelPaddingRangeLimit, in stored values."""
    edge = value(data, "PixelPaddingValue", int)
    if edge is None:
        return np.zeros(raw.shape, dtype=bool)
    other = value(data, "PixelPaddingRangeLimit", int, edge)
    other = edge if other is None else other
    return (raw >= min(edge, other)) & (raw <= max(edge, other))
