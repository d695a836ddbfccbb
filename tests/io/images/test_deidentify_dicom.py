"""De-identification: the profile on headers and sequences, keys, leftovers, text in pixels, faces, and the folder that comes out."""

from __future__ import annotations

import csv
import errno
import json
import stat
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from manikin.cli.app import app
from manikin.data.errors import DataError, ParameterError
from manikin.io.images.deid import deidentify
from manikin.io.images.deid.header import deidentify_header, leftovers
from manikin.io.images.deid.looks import faces, looks_written, texts
from manikin.io.images.deid.profile import KEEP, TECHNIQUE, Action, action_of, table
from manikin.io.images.deid.secret import Secret, secret_of
from manikin.io.images.dicom import read

pydicom = pytest.importorskip("pydicom")
FILES = Path(pydicom.__file__).parent / "data" / "test_files"
SECRET = Secret(b"0123456789abcdef")


def patient(**elements: Any) -> Any:
    """An MR slice of a made-up patient, with identifiers in plain, nested, private and free places."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(FILES / "MR_small.dcm")
    data.PatientName, data.PatientID, data.PatientBirthDate = "Weatherwax^Esmerelda", "MRN-778899", "19480317"
    data.PatientAddress, data.AccessionNumber, data.ReferringPhysicianName = "1 Bad Ass Lane", "ACC12345", "Ogg^Gytha"
    data.StudyDate, data.AcquisitionDateTime, data.StudyTime = "20240301", "20240302101500", "101500"
    data.StudyDescription = "MR BRAIN for Weatherwax, born 1948"
    data.PatientAge = "093Y"
    inner = pydicom.Dataset()
    inner.PersonName, inner.InstitutionName, inner.ReferencedSOPInstanceUID = "Garlick^Magrat", "Lancre General", "1.2.3.4"
    inner.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    outer = pydicom.Dataset()
    outer.ScheduledStepAttributesSequence = [deepcopy(inner)]
    data.ReferencedImageSequence = [inner]
    data.ContributingEquipmentSequence = [outer]
    block = data.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x50, "LO", "Weatherwax private")
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    return data


def done(keep: tuple[str, ...] = (), **elements: Any) -> Any:
    data = patient(**elements)
    deidentify_header(data, SECRET, keep)
    return data


def text_of(data: Any) -> str:
    data.PixelData = b""
    return f"{data.file_meta}\n{data}"


def test_nothing_of_the_patient_is_left() -> None:
    data = done()
    said = text_of(data)
    for secret in ("Weatherwax", "Esmerelda", "778899", "1948", "Bad Ass", "ACC12345", "Ogg", "Garlick", "Lancre", "20240", "093Y"):
        assert secret not in said, secret
    assert data.PatientID == data.PatientName == SECRET.patient("MRN-778899")
    assert data.PatientIdentityRemoved == "YES"
    assert data.LongitudinalTemporalInformationModified == "REMOVED"
    assert [item.CodeValue for item in data.DeidentificationMethodCodeSequence] == ["113100"]
    assert data.ReferencedImageSequence[0].ReferencedSOPInstanceUID == SECRET.uid("1.2.3.4")
    assert data.ReferencedImageSequence[0].ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
    assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID
    assert not [element for element in data.iterall() if element.tag.is_private]
    assert data.EchoTime  # what is no identifier stays


def test_options_keep_what_they_say_and_no_more() -> None:
    data = done(("dates", "patient", "descriptors", "uids", "private"))
    assert data.PatientAge == "090Y"
    assert data.PatientSex == "F"
    assert data.StudyDescription == "mr brain for"
    assert data.SOPInstanceUID == patient().SOPInstanceUID
    days = SECRET.days("MRN-778899")
    assert -3650 <= days <= -30
    shift = np.datetime64("2024-03-01") + days
    assert data.StudyDate == str(shift).replace("-", "")
    assert data.AcquisitionDateTime == str(shift + 1).replace("-", "") + "101500"
    assert data.PatientBirthDate is None or data.PatientBirthDate == ""
    private = [element for element in data if element.tag.is_private]
    assert [element.value for element in private] == ["SIEMENS MR HEADER", 1000]
    assert data.LongitudinalTemporalInformationModified == "MODIFIED"
    kept = ("dates", "patient", "descriptors", "uids", "private")
    assert {item.CodeValue for item in data.DeidentificationMethodCodeSequence} == {"113100", *(KEEP[name][1] for name in kept)}
    said = text_of(data)
    for secret in ("Weatherwax", "778899", "ACC12345", "Garlick"):
        assert secret not in said


def test_the_same_key_gives_the_same_names_and_another_key_others() -> None:
    first, second = done(SOPInstanceUID="1.2.9"), done(SOPInstanceUID="1.2.10", StudyDate="20240311")
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID
    other = patient()
    deidentify_header(other, Secret(b"another key of 16"), ())
    assert other.PatientID != first.PatientID
    assert other.StudyInstanceUID != first.StudyInstanceUID
    assert first.StudyInstanceUID.startswith("2.25.")
    assert len(first.StudyInstanceUID) <= 64


@pytest.mark.parametrize(
    ("tag", "vr", "keep", "action"),
    [
        ("00081195", "UI", (), "U"),
        ("00099999", "UI", (), "X"),
        ("00189999", "PN", (), "Z"),
        ("00189999", "UT", (), "X"),
        ("00189999", "DA", (), "Z"),
        ("00189999", "DA", ("dates",), "C"),
        ("00189999", "DS", (), "K"),
        ("50AA0010", "OW", (), "X"),
        ("60023000", "OW", (), "X"),
        ("60020010", "US", (), "K"),
        ("00080018", "UI", ("uids",), "K"),
        ("00100033", "LO", ("patient", "dates"), "X"),
        ("00100034", "LO", (), "X"),
        ("00101022", "DS", ("patient",), "X"),
        ("00189999", "LO", (), "X"),
        ("60020022", "LO", (), "X"),
        ("00082120", "SH", ("descriptors",), "X"),
        ("00080054", "AE", (), "X"),
        ("00080070", "LO", (), "K"),
        ("00180024", "SH", (), "K"),
        ("00181210", "SH", (), "K"),
        ("00080104", "LO", (), "K"),
        ("00189999", "CS", (), "K"),
    ],
)
def test_what_the_table_does_not_name_goes_by_its_kind(tag: str, vr: str, keep: tuple[str, ...], action: str) -> None:
    assert action_of(tag, vr, keep, is_known=tag != "00099999") is Action(action)


def test_the_technique_that_stays_is_what_the_table_does_not_name() -> None:
    assert {tag: pydicom.datadict.keyword_for_tag(int(tag, 16)) for tag in TECHNIQUE} == TECHNIQUE
    assert {pydicom.datadict.dictionary_VR(int(tag, 16)) for tag in TECHNIQUE} <= {"LO", "SH", "AE"}
    assert not set(TECHNIQUE) & set(table())


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_what_stands_behind_a_date_or_in_place_of_a_time_or_age_goes() -> None:
    data = patient(PatientBirthDateInAlternativeCalendar="Showa 23", PatientDeathDateInAlternativeCalendar="Reiwa 5", StageName="Smith")
    odd = ((0x00080020, "DA", "20240301Smith"), (0x0008002A, "DT", "20240302101500.5+0100"), (0x00080030, "TM", "at ten, Smith"))
    for tag, vr, text in odd:
        del data[tag]
        data.add_new(tag, vr, text)
    data.SeriesTime, data.PatientAge = "101500.25", "95Y"
    inner = pydicom.Dataset()
    inner.PatientAge = "101Y"
    other = pydicom.Dataset()
    other.PatientAge = "044Y"
    data.ReferencedImageSequence = [inner, other]
    deidentify_header(data, SECRET, ("dates", "patient", "uids"))
    assert "PatientBirthDateInAlternativeCalendar" not in data
    assert "PatientDeathDateInAlternativeCalendar" not in data
    assert "StageName" not in data
    assert (data.StudyDate, data.StudyTime, data.SeriesTime) == ("19000101", "000000", "101500.25")
    assert data.AcquisitionDateTime.endswith("101500.5+0100")
    assert [data.PatientAge, *(item.PatientAge for item in data.ReferencedImageSequence)] == ["090Y", "090Y", "044Y"]


def test_a_file_that_fails_late_leaves_nothing_and_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "scans"
    source.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patient(BodyPartExamined="CHEST").save_as(source / "a.dcm")
        patient(BodyPartExamined="CHEST", PatientID="other", SOPInstanceUID="1.2.9").save_as(source / "b.dcm")
    seen: list[Any] = []

    def failing(data: Any, originals: Any) -> list[str]:
        seen.append(data)
        if len(seen) == 2:
            raise ValueError
        return leftovers(data, originals)

    with monkeypatch.context() as patched:
        patched.setattr("manikin.io.images.deid.folder.leftovers", failing)
        found = deidentify(source, tmp_path / "out", SECRET)
    assert (found.n_files, [one.file for one in found.skipped]) == (1, ["b.dcm"])
    written = sorted(path.relative_to(tmp_path / "out").parts[0] for path in (tmp_path / "out").rglob("*.dcm"))
    assert written == ["files"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"files", "changes.csv", "flagged.csv", "README.txt"}

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DataError, match="No space left"):
        deidentify(source, tmp_path / "full", SECRET)
    assert {path.name for path in tmp_path.iterdir()} == {"scans", "out"}


def test_values_that_were_taken_out_are_looked_for() -> None:
    data = patient(ImageComments="")
    data.add_new(0x00181200, "DA", "20240301")
    data.SequenceName = "weatherwax"
    made = deidentify_header(data, SECRET, ())
    assert leftovers(data, made.originals) == ["SequenceName"]


def drawn(where: tuple[int, int], text: str, ground: Any) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(ground)
    ImageDraw.Draw(image).text(where, text, fill=255, font=ImageFont.load_default(16))
    return np.asarray(image)[None]


def test_text_in_pixels_is_noticed_and_anatomy_is_not() -> None:
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 40, (200, 300), dtype=np.uint8)
    assert looks_written(drawn((10, 10), "WEATHERWAX E 1948", dark))
    assert not looks_written(dark[None])
    assert not looks_written(np.zeros((1, 30, 30)))
    for name in ("MR_small.dcm", "CT_small.dcm"):
        assert not looks_written(pydicom.dcmread(FILES / name).pixel_array[None]), name
    assert looks_written(np.moveaxis(pydicom.dcmread(FILES / "examples_rgb_color.dcm").pixel_array, -1, 0))
    plain = patient()
    plain.BurnedInAnnotation = "YES"
    assert "header says" in texts(plain, dark[None])[0]
    plain.BurnedInAnnotation, plain.Modality = "", "US"
    assert "often have text" in texts(plain, dark[None])[0]
    plain.BurnedInAnnotation = "NO"
    assert texts(plain, dark[None]) == []
    assert "could not be looked at" in texts(plain, None)[0]


def test_the_detector_on_all_that_pydicom_ships() -> None:
    data = read(FILES).table
    names, images = data.frame["file"].tolist(), data.images["file"]
    found = {name for i, name in enumerate(names) if ("#" not in name or name.endswith("#1")) and looks_written(images.image(i))}
    assert found == {"examples_jpeg2k.dcm", "examples_palette.dcm", "examples_rgb_color.dcm"}  # and not GDCMJ2K_TextGBR.dcm, which has text


def test_heads_and_photographs_are_flagged() -> None:
    assert faces(patient(BodyPartExamined="HEAD"))
    assert not faces(patient(BodyPartExamined="CHEST"))
    assert faces(patient(Modality="XC"))
    assert faces(patient(BodyPartExamined="", PixelSpacing=[3.75, 3.75]))
    assert not faces(patient(BodyPartExamined="", PixelSpacing=[6.0, 6.0]))


def test_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "scans"
    source.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patient(BodyPartExamined="CHEST").save_as(source / "weatherwax1.dcm")
        patient(BodyPartExamined="CHEST", SOPInstanceUID="1.2.9").save_as(source / "weatherwax2.dcm")
        patient(BodyPartExamined="HEAD", SOPInstanceUID="1.2.10").save_as(source / "weatherwax3.dcm")
        patient(BodyPartExamined="CHEST", SequenceName="weatherwax").save_as(source / "weatherwax4.dcm")
    (source / "torn.dcm").write_bytes((source / "weatherwax1.dcm").read_bytes()[:3000])
    (source / "notes.txt").write_text("Weatherwax")
    (source / "words.bin").write_text("Weatherwax")
    out = tmp_path / "out"
    key = tmp_path / "study.key"
    result = CliRunner().invoke(app, ["deidentify", str(source), "-o", str(out), "--key", str(key), "--keep", "dates", "--json"])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["files"], said["patients"], said["flagged"], len(said["skipped"])) == (4, 1, 2, 2)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    written = sorted(path for path in out.rglob("*.dcm"))
    assert [path.relative_to(out).parts[0] for path in written] == ["files", "files", "flagged", "flagged"]
    for path in out.rglob("*"):
        assert "weatherwax" not in path.name.lower()
        if path.is_file() and path.parts[-4] != "flagged":
            assert b"eatherwax" not in path.read_bytes().lower()
    with (out / "flagged.csv").open() as file:
        reasons = [row["reason"] for row in csv.DictReader(file)]
    assert any("slices of the head" in reason for reason in reasons)
    assert any("stands in SequenceName" in reason for reason in reasons)
    with (out / "changes.csv").open() as file:
        changes = {(row["attribute"], row["what"]): int(row["files"]) for row in csv.DictReader(file)}
    assert changes["PatientAddress", "removed"] == 4
    assert changes["StudyDate", "cleaned"] == 4
    assert changes["EchoTime", "kept"] == 4
    assert "must be looked at by a person" in (out / "README.txt").read_text()
    again = deidentify(source, tmp_path / "again", secret_of(key), keep=("dates",))
    assert again.patients == {path.relative_to(out).parts[1] for path in written}
    before = pydicom.dcmread(source / "weatherwax1.dcm").pixel_array
    assert (pydicom.dcmread(written[0]).pixel_array == before).all()
    with pytest.raises(DataError, match="exists already"):
        deidentify(source, out, secret_of(key))
    with pytest.raises(DataError, match="cannot be used"):
        deidentify(source, tmp_path / "strict", secret_of(key), strict=True)
    with pytest.raises(DataError, match="lies inside"):
        deidentify(source, source / "out", secret_of(key))
    with pytest.raises(ParameterError, match="nothing called 'names'"):
        deidentify(source, tmp_path / "x", secret_of(key), keep=("names",))
    key.write_text("short")
    with pytest.raises(ParameterError, match="shorter than 16"):
        secret_of(key)


def test_all_that_pydicom_ships_goes_through(tmp_path: Path) -> None:
    source = tmp_path / "all"
    source.mkdir()
    for path in FILES.glob("*.dcm"):
        if path.stat().st_size < 40_000:
            (source / path.name).write_bytes(path.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = deidentify(source, tmp_path / "out", SECRET)
    assert found.n_files > 40
    assert not [one for one in found.skipped if "could not be de-identified" in one.reason], found.skipped
