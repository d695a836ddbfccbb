"""What a DICOM header says that belongs into a table: attributes of interest with their roles, place and spacing of the slice. No names.

Attributes are called by their DICOM keywords; dates, names, free texts and UIDs are not among them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.schema import Column, Kind, Role
from manikin.io.images.dicom.files import distrusted, n_frames, opened, refuse_no_image, value

PATIENT = "PatientID"
AGE = "PatientAge"
TEXTS = (  # keywords whose values are levels
    "PatientSex",
    "Modality",
    "BodyPartExamined",
    "ViewPosition",
    "ImageLaterality",
    "Laterality",
    "PatientPosition",
    "Manufacturer",
    "ManufacturerModelName",
    "ScanningSequence",
    "MRAcquisitionType",
    "ConvolutionKernel",
)
NUMBERS = (
    "PatientSize",
    "PatientWeight",
    "SliceThickness",
    "KVP",
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "FlipAngle",
)
OF_SCAN = (  # keywords that tell how an image was taken, and not of whom
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "ScanningSequence",
    "MRAcquisitionType",
    "ConvolutionKernel",
    "KVP",
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "FlipAngle",
)
QUASI = ("PatientSex", AGE, "PatientSize", "PatientWeight")
YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
MAX_TEXT = 64  # characters of a short or long string (DICOM PS3.5, section 6.2)


@dataclass(frozen=True)
class Header:
    """One file's header.

    Attributes
    ----------
    attributes : cell texts by keyword. series : the series it belongs to. n_frames : images in it.
    position : mm of the slice along the normal of its plane; None where it is unknown. number : its InstanceNumber.
    is_synthetic : whether it says that it is.
    like : what slices of one volume share: size, orientation, samples. spacing : mm between rows and between columns.
    """

    file: str
    attributes: dict[str, str]
    series: str
    n_frames: int
    position: float | None
    number: int
    like: tuple[Any, ...]
    spacing: tuple[float, float] | None
    modality: str | None
    slice_step: float | None = None
    is_synthetic: bool = False


@distrusted("has a header that cannot be read")
def header_of(folder: Path, file: str) -> Header:
    """The header of a file.

    Raises
    ------
    Unreadable : it is no DICOM image.
    """
    data = opened(folder / file, with_pixels=False)
    refuse_no_image(data)
    attributes = {keyword: text for keyword in TEXTS if (text := _text(data, keyword))}
    attributes |= {keyword: text for keyword in NUMBERS if (text := _number(data, keyword))}
    patient = value(data, PATIENT, str)
    if patient and patient.strip():
        attributes[PATIENT] = patient.strip()
    age = age_years(value(data, AGE, str, "") or "")
    if age:
        attributes[AGE] = age
    orientation = _floats(data, "ImageOrientationPatient", 6)
    like = (value(data, "Rows", int), value(data, "Columns", int), value(data, "SamplesPerPixel", int, 1), _rounded(orientation))
    modality = attributes.get("Modality")
    return Header(
        file,
        attributes,
        value(data, "SeriesInstanceUID", str, file) or file,
        n_frames(data),
        _position(data, orientation),
        value(data, "InstanceNumber", int, 0) or 0,
        like,
        _spacing(data),
        modality,
        _step(data),
        value(data, "SyntheticData", str) == "YES",
    )


def _text(data: Any, keyword: str) -> str:
    """A short value of one line; those of several are put together with "+"."""
    found = value(data, keyword, lambda raw: raw if isinstance(raw, str) else "+".join(str(part) for part in raw), "") or ""
    clean = re.sub(r"[\x00-\x1f\x7f]", " ", found).strip()
    return clean if len(clean) <= MAX_TEXT else ""


def _number(data: Any, keyword: str) -> str:
    found = value(data, keyword, float)
    return "" if found is None or not np.isfinite(found) else f"{found:.12g}"


def age_years(text: str) -> str:
    """A DICOM age string in years; "" where it is none.

    >>> age_years("061Y"), age_years("018M"), age_years("old")
    ('61', '1.5', '')
    """
    found = re.fullmatch(r"\s*(\d{1,3})([DWMY])\s*", text)
    if found is None:
        return ""
    return f"{round(int(found[1]) * YEARS[found[2]], 2):g}"


def _floats(data: Any, keyword: str, n: int) -> tuple[float, ...] | None:
    found = value(data, keyword, lambda raw: tuple(float(part) for part in raw))
    if found is None:
        found = _from_groups(data, keyword)
    return found if found is not None and len(found) == n and all(np.isfinite(found)) else None


def _from_groups(data: Any, keyword: str) -> tuple[float, ...] | None:
    """A value of the shared functional groups of an enhanced multi-frame image."""
    within = {"ImageOrientationPatient": "PlaneOrientationSequence", "PixelSpacing": "PixelMeasuresSequence"}.get(keyword)
    try:
        item = data.SharedFunctionalGroupsSequence[0][within][0]
        return tuple(float(part) for part in item[keyword].value)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def _rounded(orientation: tuple[float, ...] | None) -> tuple[float, ...] | None:
    return None if orientation is None else tuple(round(part, 3) for part in orientation)


def _position(data: Any, orientation: tuple[float, ...] | None) -> float | None:
    at = _floats(data, "ImagePositionPatient", 3)
    if at is None or orientation is None:
        return None
    return float(np.dot(np.cross(orientation[:3], orientation[3:]), at))


def _spacing(data: Any) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        found = _floats(data, keyword, 2)
        if found is not None and min(found) > 0:
            return found[0], found[1]
    return None


def _step(data: Any) -> float | None:
    """mm between the frames of a multi-frame file."""
    found = value(data, "SpacingBetweenSlices", float) or value(data, "SliceThickness", float)
    if found is None:
        try:
            found = float(data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness)
        except (AttributeError, IndexError, TypeError, ValueError):
            return None
    return found if np.isfinite(found) and found > 0 else None


def _as_patient(column: Column) -> Column:
    note = "Says which images are the same patient's; made anew in a release."
    return Column(column.name, Kind.IDENTIFIER, column.storage, roles=(Role.PATIENT_KEY,), missing=column.missing, notes=(note,))


def _as_quasi(column: Column) -> Column:
    roles = column.roles if Role.QUASI_IDENTIFIER in column.roles else (*column.roles, Role.QUASI_IDENTIFIER)
    return replace(column, roles=roles, unit="a" if column.name == AGE else column.unit)


def _as_level(column: Column) -> Column:
    """A device's model is no name of rows, however many there are."""
    return replace(column, kind=Kind.CATEGORICAL) if column.kind in (Kind.IDENTIFIER, Kind.TEXT) else column


KNOWN: dict[str, Callable[[Column], Column]] = {
    **dict.fromkeys(TEXTS, _as_level),
    **dict.fromkeys(QUASI, _as_quasi),
    PATIENT: _as_patient,
}
