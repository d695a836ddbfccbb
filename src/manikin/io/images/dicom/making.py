"""One synthetic slice as a DICOM data set that says that it is synthetic and whose it is not. Knows no folder.

Nothing of a patient is in it but the attributes that its row of the table holds; UIDs are made from the content (2.25 and a UUID).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manikin.data.errors import DataError
from manikin.data.schema import ImageForm
from manikin.io.images.dicom.files import dicom
from manikin.io.images.dicom.headers import AGE, NUMBERS, TEXTS
from manikin.io.images.dicom.modules import SOP_CLASSES
from manikin.io.images.provenance import Origin, program_version
from manikin.io.images.sources import Pixels

NAMES = {Origin.SYNTHETIC: "SYNTH^", Origin.TRANSLATED: "TRANSLATED^", Origin.REWRITTEN: "SYNTH^"}
METHODS = {
    Origin.SYNTHETIC: "Synthetic: made by a program, shows no patient",
    Origin.TRANSLATED: "Translated by a program; written without the original header",
    Origin.REWRITTEN: "Written anew without the original header",
}
MANUFACTURER = "Manikin"
SYNTHETIC_IMAGE = "SYN"  # a defined term of Conversion Type (0008,0064)
RESEARCH_MODE = "RM"  # a defined term of Scanning Sequence (0018,0020)
THIRD_WORD = {"CT": "AXIAL", "MR": "OTHER"}  # of the image type
DEEP = ("CT", "MR")  # always 16 bits allocated (C.8.2.1, C.8.3.1)


@dataclass(frozen=True)
class Place:
    """Where a slice belongs.

    Attributes
    ----------
    seed : what the UIDs of a patient's study are made from. number : of the slice in its series, from 1. n : slices in it.
    frame : of reference; images that show the same pixel by pixel have one.
    """

    seed: str
    series: int
    number: int = 1
    n: int = 1
    spacing: tuple[float, ...] | None = None
    frame: int = 1


@dataclass(frozen=True)
class Stored:
    """How values lie in stored pixels: value = slope x stored + intercept, of so many bits."""

    slope: float
    intercept: float
    bits: int
    is_identity: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_identity", self.slope == 1 and self.intercept == 0)


def uid(*parts: str) -> str:
    """A UID from texts: 2.25 and the whole number of a UUID (DICOM PS3.5, B.2); the same texts give the same UID."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def storage_of(form: ImageForm) -> Stored:
    """How values of a column's range are stored: as they are where they can be, shifted where some are negative, in 65,536 steps else."""
    if form.is_whole and form.highest - form.lowest <= 65_535:
        low = 0.0 if form.lowest >= 0 and form.highest <= 65_535 else form.lowest
        bits = max(int(form.highest - low).bit_length(), 8)
        return Stored(1.0, low, bits)
    return Stored((form.highest - form.lowest) / 65_535, form.lowest, 16)


def slice_of(pixels: Pixels, form: ImageForm, place: Place, cells: Mapping[str, str], *, how: str, origin: Origin) -> Any:
    """A slice (1 or 3, rows, columns) as a data set with its file's head.

    Raises
    ------
    DataError : a value outside of the range of the column's form.
    """
    pydicom = dicom()
    word = form.modality if form.modality in SOP_CLASSES and not (len(pixels) == 3 and form.modality != "US") else "SC"
    data = pydicom.Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID = SOP_CLASSES[word]
    data.SOPInstanceUID = uid(place.seed, "instance", str(place.series), str(place.number))
    data.StudyInstanceUID = uid(place.seed, "study")
    data.SeriesInstanceUID = uid(place.seed, "series", str(place.series))
    data.Modality = form.modality or "OT"
    data.SeriesNumber, data.InstanceNumber = place.series, place.number
    _set_patient(data, cells, origin)
    _set_own(data, word, form, place)
    _set_attributes(data, cells)
    if origin is not Origin.REWRITTEN:
        data.SyntheticData = "YES"
        data.SeriesDescription = origin.upper()
    if how:
        data.DerivationDescription = how[:1024]
    _set_pixels(pydicom, data, pixels, form, word)
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return data


def _set_patient(data: Any, cells: Mapping[str, str], origin: Origin) -> None:
    """No patient, or none that is told: a name that says so, her key in the table, and empty everything else that must be there."""
    data.PatientName = NAMES[origin]
    data.PatientID = cells.get("PatientID", "")[:64].replace("\\", "/")
    for keyword in (
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "ReferringPhysicianName",
        "StudyID",
        "AccessionNumber",
    ):
        setattr(data, keyword, "")
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = METHODS[origin]
    data.Manufacturer = MANUFACTURER
    data.ManufacturerModelName = "manikin"
    data.SoftwareVersions = program_version()
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.BurnedInAnnotation = "NO"


def _set_own(data: Any, word: str, form: ImageForm, place: Place) -> None:
    """What the modules of the SOP class ask for (`modules.py`)."""
    spacing = [float(f"{side:.10g}") for side in (place.spacing or form.spacing or (1.0, 1.0))]
    if word in DEEP:
        data.ImageType = ["DERIVED", "SECONDARY", THIRD_WORD[word]]
        data.FrameOfReferenceUID = uid(place.seed, "frame", str(place.frame))
        data.PositionReferenceIndicator = data.PatientPosition = ""
        step = spacing[0] if len(spacing) == 3 else 1.0
        data.PixelSpacing = spacing[-2:]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [0, 0, float(f"{(place.number - 1) * step:.10g}")]
        data.SliceThickness = step if len(spacing) == 3 else None
    else:
        data.PatientOrientation = ["L", "F"] if word == "DX" else ""
        if place.spacing or form.spacing:
            data.ImagerPixelSpacing = spacing[-2:]
        if place.n > 1 and len(spacing) == 3:
            data.SpacingBetweenSlices = spacing[0]
    if word == "CT":
        data.KVP = data.AcquisitionNumber = None
        data.RescaleType = "HU"
    elif word == "MR":
        data.ScanningSequence, data.SequenceVariant = RESEARCH_MODE, "NONE"
        for keyword in ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength", "InversionTime"):
            setattr(data, keyword, None)
    elif word == "CR":
        data.BodyPartExamined = data.ViewPosition = ""
    elif word == "DX":
        data.PresentationIntentType = "FOR PRESENTATION"
        data.PixelIntensityRelationship, data.PixelIntensityRelationshipSign = "LOG", -1
        data.RescaleType, data.PresentationLUTShape, data.LossyImageCompression = "US", "IDENTITY", "00"
        data.ImageLaterality, data.DetectorType = "U", None
        data.AnatomicRegionSequence, data.AcquisitionContextSequence = [], []
        data.ImagerPixelSpacing = spacing[-2:]
        data.WindowCenter, data.WindowWidth = (form.highest + form.lowest + 1) / 2, form.highest - form.lowest + 1
    elif word == "SC":
        data.ConversionType = SYNTHETIC_IMAGE


def _set_attributes(data: Any, cells: Mapping[str, str]) -> None:
    """The attributes that the row of the table holds."""
    for keyword in TEXTS:
        text = cells.get(keyword, "")
        if text and keyword not in ("Modality", "Manufacturer", "ManufacturerModelName"):
            setattr(data, keyword, text.split("+") if keyword == "ScanningSequence" else text)
    for keyword in NUMBERS:
        if cells.get(keyword) and not (keyword == "SliceThickness" and data.get(keyword)):
            setattr(data, keyword, float(f"{float(cells[keyword]):.10g}"))
    if cells.get(AGE):
        years = float(cells[AGE])
        data.PatientAge = f"{round(years):03d}Y" if years >= 2 else f"{round(years * 12):03d}M"


def _set_pixels(pydicom: Any, data: Any, pixels: Pixels, form: ImageForm, word: str) -> None:
    stored = storage_of(form)
    values = np.asarray(pixels, dtype=np.float64)
    if not np.isfinite(values).all() or (values.size and (values.min() < form.lowest - 0.5 or values.max() > form.highest + 0.5)):
        raise DataError("values outside of the range in the schema, or none. Correct `lowest` and `highest` in the schema")
    bits = max(stored.bits, 12) if word in DEEP else stored.bits
    whole = np.rint((values - stored.intercept) / stored.slope).clip(0, (1 << bits) - 1)
    dtype = np.uint16 if word in DEEP or bits > 8 else np.uint8
    if len(pixels) == 3 and dtype is np.uint16:
        raise DataError("colours beyond 0 to 255, which are not written here as DICOM. Write .npz")
    array = whole.astype(dtype)
    photometric = "MONOCHROME2" if len(pixels) == 1 else "RGB"
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.set_pixel_data(
        np.ascontiguousarray(array[0] if len(array) == 1 else np.moveaxis(array, 0, -1)), photometric, bits, generate_instance_uid=False
    )
    if word in ("CT", "DX") or not stored.is_identity:
        data.RescaleSlope, data.RescaleIntercept = f"{stored.slope:.10g}"[:16], f"{stored.intercept:.10g}"[:16]
        if "RescaleType" not in data:
            data.RescaleType = "US"
