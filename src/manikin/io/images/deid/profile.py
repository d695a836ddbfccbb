"""Which action each attribute gets: DICOM PS3.15 Annex E, Table E.1-1, with options, and by its VR where the table does not name it.

An attribute that the table leaves a choice for (X/Z, X/D, X/Z/D …) keeps its place: emptied, or given a dummy, so that the file stays valid
whichever type it is of. What the table does not name is kept only where its VR cannot hold a name or a free text: of short texts those of a
list of technique and codes stay, of the patient's group (0010) nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

from manikin.clinical.citation import Citation

CITATION = Citation(
    "DICOM Standards Committee",
    "DICOM PS3.15 Annex E, Table E.1-1: Application Level Confidentiality Profile Attributes",
    2023,
    "https://dicom.nema.org/medical/dicom/current/output/chtml/part15/chapter_E.html",
)
BASIC = ("113100", "Basic Application Confidentiality Profile")
KEEP = {  # option -> its column in the table, its code and meaning (PS3.16, CID 7050), and what it does in words
    "uids": ("uids", "113110", "Retain UIDs Option", "UIDs stay as they are"),
    "dates": (
        "dates",
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
        "dates are shifted, a patient's all alike",
    ),
    "descriptors": ("descriptors", "113105", "Clean Descriptors Option", "of descriptions only words of anatomy and technique stay"),
    "device": ("device", "113109", "Retain Device Identity Option", "what names the device stays"),
    "institution": ("institution", "113112", "Retain Institution Identity Option", "what names the institution stays"),
    "patient": ("patient", "113108", "Retain Patient Characteristics Option", "age, sex, size, weight and the like stay"),
    "private": ("private", "113111", "Retain Safe Private Option", "private elements of a list of safe ones stay"),
}
TEXT_VRS = ("LT", "ST", "UT", "UC", "UR", "UN")  # of attributes that the table does not name: removed
SHORT_VRS = ("LO", "SH", "AE")  # likewise, but for those of `TECHNIQUE`
PATIENT_GROUP = "0010"
DATE_VRS = ("DA", "DT", "TM")
ALWAYS_KEPT = ("00080005", "00080016", "0008001C", "00080060", "00020010", "00020002", "00020012", "00120062", "00120063", "00120064")


# Short texts that the table does not name and that say how an image was made, or that other attributes refer to
_TECHNIQUE = """
00080070 Manufacturer                    00081090 ManufacturerModelName                 00181020 SoftwareVersions
00181016 SecondaryCaptureDeviceManufacturer                                             00181018 SecondaryCaptureDeviceManufacturerModelName
00181019 SecondaryCaptureDeviceSoftwareVersions                                         00180024 SequenceName
00189005 PulseSequenceName               00180085 ImagedNucleus                         00181250 ReceiveCoilName
00181251 TransmitCoilName                00181061 TriggerSourceOrType                   00181064 CardiacFramingType
00180031 Radiopharmaceutical             00181040 ContrastBolusRoute                    00181070 RadiopharmaceuticalRoute
00181085 PVCRejection                    00181160 FilterType                            00181161 TypeOfFilters
00181180 CollimatorGridName              001811B1 DoseModeName                          00181210 ConvolutionKernel
00189320 ImageFilter                     00181260 PlateType                             00181261 PhosphorType
00181401 AcquisitionDeviceProcessingCode 00185000 OutputPower                           00185010 TransducerData
00185020 ProcessingFunction              00209056 StackID                               00281054 RescaleType
00281055 WindowCenterWidthExplanation    00283004 ModalityLUTType                       00480106 OpticalPathIdentifier
00541101 AttenuationCorrectionMethod     00541103 ReconstructionMethod                  00541105 ScatterCorrectionMethod
00080100 CodeValue                       00080102 CodingSchemeDesignator                00080103 CodingSchemeVersion
00080104 CodeMeaning
"""
TECHNIQUE = dict(zip(_TECHNIQUE.split()[::2], _TECHNIQUE.split()[1::2], strict=True))  # tag -> keyword


class Action(StrEnum):
    """What becomes of an attribute's value (the letters of Table E.1-1a)."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    UID = "U"
    CLEAN = "C"
    KEEP = "K"

    @property
    def word(self) -> str:
        """In words."""
        return WORDS[self]


WORDS = {
    Action.REMOVE: "removed",
    Action.EMPTY: "emptied",
    Action.DUMMY: "replaced by a dummy",
    Action.UID: "replaced by a new UID",
    Action.CLEAN: "cleaned",
    Action.KEEP: "kept",
}
CHOICES = {"X/Z": "Z", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U*": "U"}


@dataclass(frozen=True)
class Line:
    """A line of the table: the basic action, and by column what its options say."""

    keyword: str
    basic: str
    options: dict[str, str]


@cache
def table() -> dict[str, Line]:
    """The table by tag, eight hexadecimal digits; "50xxxxxx" and "60xx3000" stand for repeating groups."""
    text = files("manikin.clinical").joinpath("tables/ps315_annex_e.csv").read_text(encoding="utf-8")
    return {
        row["tag"]: Line(row["keyword"], row["basic"], {key: row[key] for key in row if key not in ("tag", "keyword", "basic")})
        for row in csv.DictReader(text.splitlines())
    }


def action_of(tag: str, vr: str, keep: Collection[str], *, is_known: bool = True) -> Action:
    """The action on a public attribute.

    Parameters
    ----------
    tag : eight hexadecimal digits, upper case. vr : its value representation. keep : names of options (`KEEP`).
    is_known : whether the dictionary of DICOM knows it.
    """
    line = table().get(tag) or table().get(_repeating(tag))
    if line is not None:
        said = [line.options[KEEP[name][0]] for name in KEEP if name in keep and line.options.get(KEEP[name][0])]
        if "K" in said:
            return Action.KEEP
        return Action.CLEAN if "C" in said else Action(CHOICES.get(line.basic, line.basic))
    if tag in ALWAYS_KEPT:
        return Action.KEEP
    if tag.startswith(PATIENT_GROUP):
        return Action.REMOVE
    if vr in SHORT_VRS:
        return Action.KEEP if tag in TECHNIQUE else Action.REMOVE
    return _by_vr(vr, keep, is_known=is_known)


def _by_vr(vr: str, keep: Collection[str], *, is_known: bool) -> Action:
    """The action on an attribute that the table does not name."""
    if not is_known or vr in TEXT_VRS:
        return Action.REMOVE
    if vr == "PN":
        return Action.EMPTY
    if vr == "UI":
        return Action.KEEP if "uids" in keep else Action.UID
    if vr in DATE_VRS:
        return Action.CLEAN if "dates" in keep else Action.EMPTY
    return Action.KEEP


def _repeating(tag: str) -> str:
    if tag.startswith("50"):
        return "50xxxxxx"
    return f"60xx{tag[4:]}" if tag.startswith("60") else tag


# Private elements that Table E.3.10-1 lists as safe, those of diffusion and of dose alone: (creator, group, last byte of the element)
SAFE_PRIVATE = frozenset(
    {
        ("Philips PET Private Group", 0x7053, 0x00),
        ("Philips PET Private Group", 0x7053, 0x09),
        ("Philips Imaging DD 001", 0x2001, 0x03),
        ("Philips Imaging DD 001", 0x2001, 0x04),
        ("SIEMENS MR HEADER", 0x0019, 0x0C),
        ("SIEMENS MR HEADER", 0x0019, 0x0D),
        ("SIEMENS MR HEADER", 0x0019, 0x0E),
        ("SIEMENS MR HEADER", 0x0019, 0x27),
        ("GEMS_ACQU_01", 0x0019, 0x23),
        ("GEMS_ACQU_01", 0x0019, 0x27),
        ("GEMS_PARM_01", 0x0043, 0x27),
        ("ELSCINT1", 0x00E1, 0x21),
    }
)

# Words that may stay in a description: anatomy, sides, planes, techniques. Everything else, numbers included, goes.
_WORDS = """
abdomen abdominal angio angiography ankle aorta apical arm axial bilateral bladder bone brain breast calcaneus cardiac carotid cc
cerebral cervical chest clavicle colon contrast coronal cranial ct diffusion diaphragm dwi echo elbow epi extremity face fat femur
fetal fibula finger flair flash foot forearm frontal fse gallbladder gradient hand head heart hip humerus inversion ir kidney
kidneys knee lateral left leg lesion liver localizer lower lumbar lung lungs mammogram mammography mandible mediolateral mlo mr
mra mri neck oblique obstetric orbit orbits ovary pa pancreas pelvis perfusion pet phase plain portal post pre projection prone
prostate proton radius recovery renal rib ribs right sagittal scan scout series shoulder sinus skull spectral spin spine spleen
sternum stir study supine t1 t1w t2 t2w thigh thoracic thorax thyroid tibia tissue toe tof ultrasound upper uterus vascular venous
view whole with without wrist x-ray xray and of the for in
"""
WORDS_THAT_STAY = frozenset(_WORDS.split())
