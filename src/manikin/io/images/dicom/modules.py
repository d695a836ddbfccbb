"""What the modules of DICOM PS3.3 ask of an image: which attributes must be there (type 1 with a value, type 2 perhaps without one).

Written from PS3.3 2024e, tables C.7-1 to C.12-1 as named beside each; conditional attributes (1C, 2C) are listed where what is written
here meets their condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Asked = Mapping[str, str]  # keyword -> "1" or "2"

PATIENT: Asked = {"PatientName": "2", "PatientID": "2", "PatientBirthDate": "2", "PatientSex": "2"}  # C.7-1
STUDY: Asked = {  # C.7-3
    "StudyInstanceUID": "1",
    "StudyDate": "2",
    "StudyTime": "2",
    "ReferringPhysicianName": "2",
    "StudyID": "2",
    "AccessionNumber": "2",
}
SERIES: Asked = {"Modality": "1", "SeriesInstanceUID": "1", "SeriesNumber": "2"}  # C.7-5a
EQUIPMENT: Asked = {"Manufacturer": "2"}  # C.7-8
FRAME_OF_REFERENCE: Asked = {"FrameOfReferenceUID": "1", "PositionReferenceIndicator": "2"}  # C.7-6
IMAGE: Asked = {"InstanceNumber": "2"}  # C.7-9
PLANE: Asked = {"PixelSpacing": "1", "ImageOrientationPatient": "1", "ImagePositionPatient": "1", "SliceThickness": "2"}  # C.7-10
PIXEL: Asked = {  # C.7-11a
    "SamplesPerPixel": "1",
    "PhotometricInterpretation": "1",
    "Rows": "1",
    "Columns": "1",
    "BitsAllocated": "1",
    "BitsStored": "1",
    "HighBit": "1",
    "PixelRepresentation": "1",
    "PixelData": "1",
}
SOP: Asked = {"SOPClassUID": "1", "SOPInstanceUID": "1"}  # C.12-1
COMMON: Asked = {**PATIENT, **STUDY, **SERIES, **EQUIPMENT, **IMAGE, **PIXEL, **SOP}

CT: Asked = {  # C.8-3, and Patient Position of C.7-5a
    **FRAME_OF_REFERENCE,
    **PLANE,
    "PatientPosition": "2",
    "ImageType": "1",
    "RescaleIntercept": "1",
    "RescaleSlope": "1",
    "KVP": "2",
    "AcquisitionNumber": "2",
}
MR: Asked = {  # C.8-4
    **FRAME_OF_REFERENCE,
    **PLANE,
    "PatientPosition": "2",
    "ImageType": "1",
    "ScanningSequence": "1",
    "SequenceVariant": "1",
    "ScanOptions": "2",
    "MRAcquisitionType": "2",
    "RepetitionTime": "2",
    "EchoTime": "2",
    "EchoTrainLength": "2",
    "InversionTime": "2",
}
CR: Asked = {"BodyPartExamined": "2", "ViewPosition": "2", "PatientOrientation": "2"}  # C.8-1
DX: Asked = {  # C.8-68 to C.8-71, C.7.6.14
    "PresentationIntentType": "1",
    "PatientOrientation": "1",
    "ImageType": "1",
    "PixelIntensityRelationship": "1",
    "PixelIntensityRelationshipSign": "1",
    "RescaleIntercept": "1",
    "RescaleSlope": "1",
    "RescaleType": "1",
    "PresentationLUTShape": "1",
    "LossyImageCompression": "1",
    "BurnedInAnnotation": "1",
    "WindowCenter": "1",
    "WindowWidth": "1",
    "ImageLaterality": "1",
    "AnatomicRegionSequence": "2",
    "ImagerPixelSpacing": "1",
    "DetectorType": "2",
    "AcquisitionContextSequence": "2",
}
US: Asked = {"ImageType": "2", "PatientOrientation": "2"}  # C.8-18
SC: Asked = {"ConversionType": "1", "PatientOrientation": "2"}  # C.8-24

SOP_CLASSES = {  # PS3.4, table B.5-1
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "SC": "1.2.840.10008.5.1.4.1.1.7",
}
OWN_MODULES: Mapping[str, Asked] = {"CT": CT, "MR": MR, "CR": CR, "DX": DX, "US": US, "SC": SC}


def lacks(data: Any) -> tuple[str, ...]:
    """What an image lacks of the modules of its SOP class, in words; of those common to all, where the class is not listed here."""
    sop = str(data.get("SOPClassUID", ""))
    own = next((OWN_MODULES[word] for word, uid in SOP_CLASSES.items() if uid == sop), {})
    out = []
    for keyword, kind in {**COMMON, **own}.items():
        if keyword not in data:
            out.append(f"{keyword} (type {kind}) is absent")
        elif kind == "1" and data.data_element(keyword).is_empty:
            out.append(f"{keyword} (type 1) is empty")
    return tuple(out)
