"""Lines of DICOM PS3.15 Table E.1-1 entered a second time: the table of the package must say the same."""

from __future__ import annotations

import pytest

from manikin.io.images.deid.profile import KEEP, table

# tag, name in the standard as a keyword, basic profile, and the options that change it (K keep, C clean)
SAMPLE = """
00080050 AccessionNumber Z
00100010 PatientName Z
00100020 PatientID Z
00100030 PatientBirthDate Z
00100040 PatientSex Z patient=K
00101010 PatientAge X patient=K
00101030 PatientWeight X patient=K
00102160 EthnicGroup X patient=K
00102110 Allergies X patient=C descriptors=C
00101040 PatientAddress X
00102154 PatientTelephoneNumbers X
00101000 OtherPatientIDs X
00080080 InstitutionName X/Z/D institution=K
00080081 InstitutionAddress X institution=K
00080090 ReferringPhysicianName Z
00081050 PerformingPhysicianName X
00081070 OperatorsName X/Z/D
00081010 StationName X/Z/D device=K
00181000 DeviceSerialNumber X/Z/D device=K
00181002 DeviceUID U uids=K device=K
00080018 SOPInstanceUID U uids=K
0020000D StudyInstanceUID U uids=K
0020000E SeriesInstanceUID U uids=K
00200052 FrameOfReferenceUID U uids=K
00081155 ReferencedSOPInstanceUID U uids=K
00081140 ReferencedImageSequence X/Z/U* uids=K
00080020 StudyDate Z dates=C
00080021 SeriesDate X/D dates=C
00080022 AcquisitionDate X/Z dates=C
00080023 ContentDate Z/D dates=C
0008002A AcquisitionDateTime X/Z/D dates=C
00080201 TimezoneOffsetFromUTC X dates=C
00081030 StudyDescription X descriptors=C
0008103E SeriesDescription X descriptors=C
00181030 ProtocolName X/D descriptors=C
00204000 ImageComments X descriptors=C
00104000 PatientComments X descriptors=C
00200010 StudyID Z
00321032 RequestingPhysician X
00400275 RequestAttributesSequence X descriptors=C
0040A730 ContentSequence D structured=C
0040A123 PersonName D
00700001 GraphicAnnotationSequence D graphics=C
00880200 IconImageSequence X
60xx3000 OverlayData X graphics=C
50xxxxxx CurveData X graphics=C
04000561 OriginalAttributesSequence X
FFFCFFFC DataSetTrailingPadding X
"""


@pytest.mark.parametrize("line", SAMPLE.strip().splitlines())
def test_a_line(line: str) -> None:
    tag, keyword, basic, *options = line.split()
    found = table()[tag]
    assert (found.keyword, found.basic) == (keyword, basic)
    assert {key: said for key, said in found.options.items() if said} == dict(option.split("=") for option in options)


def test_codes_of_options() -> None:
    """PS3.16, CID 7050."""
    codes = {
        "descriptors": "113105",
        "dates": "113107",
        "patient": "113108",
        "device": "113109",
        "uids": "113110",
        "private": "113111",
        "institution": "113112",
    }
    assert {name: said[1] for name, said in KEEP.items()} == codes
    assert len(table()) == 459
