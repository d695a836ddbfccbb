"""Flags on pixels and kinds of images: text that was burned in, and faces. A flag asks a person to look; none of them is proof.

The detector of text looks for rows of small, bright, alike shapes on a dark ground, as scanners write names: it misses handwriting and text
on bright tissue or of colours as bright as their ground, and may take a ruler for a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.io.images.dicom.files import value

TEXT_MODALITIES = ("US", "IVUS", "ES", "XC", "SC", "OT", "GM", "OP", "OPT", "XA", "RF", "DOC", "ECG", "BDUS")  # screens and captures
PHOTOGRAPHS = ("XC", "GM", "DMS", "OP")
HEADS = ("HEAD", "SKULL", "FACE", "BRAIN", "ORBIT", "SINUS", "PARANASALSINUS", "NECK", "HEADNECK", "JAW", "MAXILLA", "MANDIBLE", "EAR")
CAPTURES = (  # roots of SOP classes (PS3.4, table B.5-1): Secondary Capture, Ultrasound, Ultrasound Multi-frame
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.3",
)
SECTIONAL = ("CT", "MR", "PT", "NM")
HEAD_FIELD_MM = (160.0, 300.0)  # field of view of a head: larger ones are of trunks, smaller of joints
MIN_SHAPES = 5  # alike shapes in a row that are a word
GLYPH_HEIGHT = (6, 60)  # pixels
INK = (0.9, 0.75)  # of the range of grey: letters that are sharp, and those that were smoothed
SPECK = 3  # pixels of a shape that is noise
SPECKS_PER_SHAPE = 4
MAX_GAP = 2.0  # between letters, in heights
Mask = npt.NDArray[np.bool_]


def texts(data: Any, pixels: npt.NDArray[Any] | None) -> list[str]:
    """Why text may be burned in, in words; empty where nothing was found.

    Parameters
    ----------
    pixels : (channels, rows, columns) of one frame; None where it could not be decoded.
    """
    said = (value(data, "BurnedInAnnotation", str, "") or "").upper()
    modality = value(data, "Modality", str, "") or ""
    sop = str(value(data, "SOPClassUID", str, "") or "")
    is_capture = modality in TEXT_MODALITIES or sop.startswith(CAPTURES)
    if said == "YES":
        return ["its header says that text is burned in"]
    if pixels is None:
        return ["its pixels could not be looked at"]
    if looks_written(pixels):
        return ["its pixels look as if text were burned in"]
    if is_capture and said != "NO":
        kind = modality or "secondary capture"
        return [f"images of its kind ({kind}) often have text burned in, and its header does not say that it has none"]
    return []


def faces(data: Any) -> list[str]:
    """Why a face may be seen or rebuilt, in words; empty where nothing was found."""
    modality = value(data, "Modality", str, "") or ""
    part = (value(data, "BodyPartExamined", str, "") or "").upper().replace(" ", "").replace("_", "")
    if modality in PHOTOGRAPHS:
        return ["it is a photograph"]
    if modality not in SECTIONAL:
        return []
    if part in HEADS:
        return [f"a face can be rebuilt from slices of the head ({modality})"]
    spacing = value(data, "PixelSpacing", lambda raw: [float(side) for side in raw])
    rows, columns = value(data, "Rows", int, 0) or 0, value(data, "Columns", int, 0) or 0
    if not part and spacing and len(spacing) == 2:
        sides = (spacing[0] * rows, spacing[1] * columns)
        if all(HEAD_FIELD_MM[0] <= side <= HEAD_FIELD_MM[1] for side in sides):
            return [f"its header names no part of the body, and its field of view ({sides[0]:.0f} x {sides[1]:.0f} mm) is that of a head"]
    return []


def looks_written(pixels: npt.NDArray[Any]) -> bool:
    """Whether an image (channels, rows, columns) holds a row of shapes that look like letters, bright on dark or dark on bright."""
    grey = pixels.astype(np.float32).mean(axis=0)
    low, high = float(grey.min()), float(grey.max())
    if high <= low or min(grey.shape) < GLYPH_HEIGHT[0]:
        return False
    scaled = (grey - low) / (high - low)
    is_light = float((scaled > 0.9).mean()) > 0.5
    return any(_has_words(scaled <= 1 - level if is_light else scaled >= level) for level in INK)


def _has_words(ink: Mask) -> bool:
    """Whether shapes of ink stand in a row like letters: of like heights, on one line, close together."""
    from scipy import ndimage

    if not ink.any() or ink.mean() > 0.3:
        return False
    labels, n = ndimage.label(ink, structure=np.ones((3, 3)))
    if n < MIN_SHAPES:
        return False
    boxes = ndimage.find_objects(labels)
    areas = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    glyphs = []
    for box, area in zip(boxes, areas, strict=True):
        height, width = box[0].stop - box[0].start, box[1].stop - box[1].start
        is_sized = GLYPH_HEIGHT[0] <= height <= GLYPH_HEIGHT[1] and 1 <= width <= 1.5 * height
        if (is_sized and 0.12 <= area / (height * width) <= 0.95) or (is_sized and width <= 3):
            glyphs.append((box[0].stop, box[1].start, box[1].stop, height))
    if int((areas <= SPECK).sum()) > SPECKS_PER_SHAPE * len(glyphs):
        return False  # noise
    return _longest_row(sorted(glyphs, key=lambda glyph: glyph[1])) >= MIN_SHAPES


def _longest_row(glyphs: list[tuple[int, int, int, int]]) -> int:
    """The most shapes (bottom, left, right, height), from left to right, that follow one another on one line."""
    length = [1] * len(glyphs)
    for i, (bottom, left, _, height) in enumerate(glyphs):
        for j in range(i - 1, max(i - 40, -1), -1):
            before_bottom, _, before_right, before_height = glyphs[j]
            alike = abs(bottom - before_bottom) <= max(2, 0.2 * height) and 0.6 <= height / before_height <= 1.67
            if alike and -2 <= left - before_right <= MAX_GAP * height:
                length[i] = max(length[i], length[j] + 1)
    return max(length, default=0)
