"""Pairs of DICOM images: MR and CT of simulated heads, written here as a scanner would, put side by side, learned from, and written."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import manikin as mk
from manikin.data.errors import DataError, ParameterError
from manikin.data.schema import Role
from manikin.io.images.dicom import look, read, write
from manikin.io.images.dicom.modules import SOP_CLASSES, lacks
from manikin.simulation.imaging.simulators import MR_CT
from manikin.synthesizers.storage import save
from manikin.workflow.translate import translate_files

pydicom = pytest.importorskip("pydicom")
SIDE, PATIENTS, SLICES = 32, 3, 2
WAYS = {"mr": "MR", "ct": "CT"}


def slice_file(pixels: Any, kind: str, patient: str, number: int, *, at: float | None = None) -> Any:
    """A slice as a scanner writes it: HU with an intercept, a place in mm, a patient."""
    data = pydicom.Dataset()
    data.SOPClassUID, data.SOPInstanceUID = SOP_CLASSES[WAYS[kind]], pydicom.uid.generate_uid(entropy_srcs=[kind, patient, str(number)])
    data.SeriesInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[kind, patient])
    data.PatientID, data.PatientName, data.PatientSex, data.PatientAge = patient, "Real^Name", "F", "044Y"
    data.Modality, data.Manufacturer, data.InstanceNumber = WAYS[kind], "Scanner", number
    data.PixelSpacing, data.ImageOrientationPatient = [2.0, 2.0], [1, 0, 0, 0, 1, 0]
    if at is not None:
        data.ImagePositionPatient = [0, 0, at]
    low = -1024 if kind == "ct" else 0
    stored = np.rint(np.asarray(pixels, dtype=float).squeeze() - low).clip(0, 4095).astype(np.uint16)
    data.RescaleSlope, data.RescaleIntercept = 1, low
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.set_pixel_data(stored, "MONOCHROME2", 12, generate_instance_uid=False)
    return data


@pytest.fixture(scope="module")
def heads() -> list[dict[str, Any]]:
    made = [MR_CT.image(SIDE, 0, i, kind="mr-ct").images for i in range(PATIENTS * SLICES)]
    return [{"mr": 1000 * one["mr"], "ct": 2000 * one["ct"] - 1000} for one in made]


@pytest.fixture
def scans(tmp_path: Path, heads: list[dict[str, Any]]) -> Path:
    """mr/ and ct/, whose files have different names and numbers; slices of a patient lie at the same places."""
    folder = tmp_path / "scans"
    for i, head in enumerate(heads):
        patient, number = divmod(i, SLICES)
        for kind in WAYS:
            name, n = (f"p{patient}/{number}.dcm", number + 1) if kind == "mr" else (f"IM{90 - i}.dcm", SLICES - number)
            path = folder / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            slice_file(head[kind], kind, f"P{patient}", n, at=3.0 * number).save_as(path, enforce_file_format=True)
    return folder


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_slices_of_a_patient_at_one_place_are_pairs(scans: Path, heads: list[dict[str, Any]]) -> None:
    found = mk.pair(scans / "mr", scans / "ct")
    assert (found.columns, found.by, found.n_paired) == (("mr", "ct"), "patient and place of the slice", len(heads))
    data = mk.read(scans)
    assert data.columns.names == ["mr", "ct", "PatientID", "PatientSex", "PatientAge"]  # and nothing of one scanner
    assert data.columns["PatientID"].roles == (Role.PATIENT_KEY,)
    assert [data.columns[kind].image.modality for kind in WAYS] == ["MR", "CT"]
    by_file = {row["mr"]: row["ct"] for row in rows_of(scans)}
    assert by_file["mr/p1/0.dcm"] == f"ct/IM{90 - SLICES}.dcm"
    for i, head in enumerate(heads):
        row = data.table.frame["mr"].tolist().index(f"mr/p{i // SLICES}/{i % SLICES}.dcm")
        assert np.abs(data.table.images["ct"].image(row) - np.rint(head["ct"])).max() <= 1
    with pytest.raises(ParameterError, match="exists already"):
        mk.pair(scans / "mr", scans / "ct")


def test_pairs_are_learned_and_translated_to_dicom_without_a_patient(scans: Path, tmp_path: Path) -> None:
    mk.pair(scans / "mr", scans / "ct")
    model = mk.synthesizer("pix2pix", width=8, critic_width=8, max_steps=2).fit(mk.read(scans), seed=0)
    save(model, tmp_path / "model")
    done = translate_files(tmp_path / "model", scans, out=tmp_path / "out")
    assert done.compared["n"] == PATIENTS * SLICES
    one = pydicom.dcmread(tmp_path / "out" / rows_of(tmp_path / "out")[0]["ct"])
    assert (one.Modality, one.SyntheticData, one.SeriesDescription, lacks(one)) == ("CT", "YES", "TRANSLATED", ())
    write(model.sample(3, seed=1), tmp_path / "made")
    again = read(tmp_path / "made")
    assert [column.name for column in again.columns.images] == ["mr", "ct"]
    for row in rows_of(tmp_path / "made"):
        both = [pydicom.dcmread(tmp_path / "made" / row[kind]) for kind in WAYS]
        assert [str(one.SOPClassUID) for one in both] == [SOP_CLASSES[word] for word in WAYS.values()]
        assert both[0].FrameOfReferenceUID == both[1].FrameOfReferenceUID
        assert both[0].StudyInstanceUID == both[1].StudyInstanceUID
        assert both[0].SeriesInstanceUID != both[1].SeriesInstanceUID
        for one in both:
            assert (one.SyntheticData, lacks(one), one.PatientIdentityRemoved) == ("YES", (), "YES")
            assert (str(one.PatientName), one.PatientSex, one.StudyDate) == ("SYNTH^", "", "")
            assert one.PatientID not in {f"P{i}" for i in range(PATIENTS)}


def test_series_are_pairs_of_volumes(scans: Path) -> None:
    found = mk.pair(scans / "mr", scans / "ct", as_volumes=True)
    assert (found.by, found.n_paired) == ("patient", PATIENTS)
    data = mk.read(scans)
    assert len(data) == PATIENTS
    assert [data.columns[kind].image.size for kind in WAYS] == [(SLICES, SIDE, SIDE)] * 2
    slices = read(scans, as_volumes=False)
    assert len(slices) == PATIENTS  # the first slice of each, as labels.csv names it
    first = data.table.images["mr"].image(0)[:, 0]
    assert (first == slices.table.images["mr"].image(0)).all()


def test_a_missing_partner_is_named_or_kept(scans: Path) -> None:
    gone = scans / "ct" / "IM90.dcm"
    gone.unlink()
    with pytest.raises(DataError, match=r"mr has 6 images and ct 5; .* 5 are pairs, and 1 lacks a partner: mr/p0/0.dcm\. .*--keep"):
        mk.pair(scans / "mr", scans / "ct")
    assert not (scans / "labels.csv").exists()
    found = mk.pair(scans / "mr", scans / "ct", keep_unpaired=True)
    assert (len(found.rows), found.n_paired) == (6, 5)
    data = mk.read(scans)
    assert data.table.images["ct"].present.sum() == 5
    with pytest.raises(DataError, match="two folders, neither inside the other"):
        mk.pair(scans, scans / "ct")
    (scans / "ct" / "IM89.dcm").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"1 files in .*ct cannot be used: IM89.dcm"):
        mk.pair(scans / "mr", scans / "ct", force=True)


def test_what_is_no_pair_is_refused(scans: Path) -> None:
    wide = np.zeros((SIDE, 2 * SIDE))
    slice_file(wide, "ct", "P1", 1, at=0.0).save_as(scans / "ct" / "IM88.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"is 32 x 32 and its partner .*IM88.dcm is 32 x 64 \(1 such\)"):
        mk.pair(scans / "mr", scans / "ct")
    # by hand: the third row names two patients, the fourth a file that is not there
    lines = ["mr,ct", "mr/p0/0.dcm,ct/IM90.dcm", "mr/p0/1.dcm,", "mr/p2/0.dcm,ct/IM90.dcm", "mr/p2/1.dcm,ct/none.dcm"]
    (scans / "labels.csv").write_text("\n".join(lines) + "\n")
    found = look(scans)
    assert found.data.table.frame["ct"].tolist() == ["ct/IM90.dcm", None]
    told = [str(one) for one in found.skipped]
    assert "mr/p2/0.dcm and ct/IM90.dcm are of two patients (row 4 of labels.csv)" in told
    assert "ct/none.dcm is not there (row 5 of labels.csv)" in told
    assert not any("P0" in text for text in told)
    (scans / "labels.csv").write_text("mr,ct,PatientID\nmr/p2/0.dcm,ct/IM90.dcm,new\n")
    assert read(scans).table.frame["PatientID"].tolist() == ["new"]  # a person says that they are one


def test_folders_of_nifti_are_put_side_by_side_by_name(tmp_path: Path, heads: list[dict[str, Any]]) -> None:
    nibabel = pytest.importorskip("nibabel")
    for kind in WAYS:
        (tmp_path / kind).mkdir()
        for i, head in enumerate(heads[:3]):
            volume = np.asarray(head[kind], dtype=np.int16).reshape(SIDE, SIDE, 1)
            nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / kind / f"v{i}.nii{'.gz' if kind == 'ct' else ''}")
    found = mk.pair(tmp_path / "mr", tmp_path / "ct")
    assert (found.by, found.rows[0]) == ("file name", ("mr/v0.nii", "ct/v0.nii.gz"))
    assert [column.name for column in mk.read(tmp_path).columns.images] == ["mr", "ct"]
    for i in range(3):
        (tmp_path / "ct" / f"v{i}.nii.gz").rename(tmp_path / "ct" / f"w{i}.nii.gz")
    with pytest.raises(DataError, match=r"No image of .* by file name"):
        mk.pair(tmp_path / "mr", tmp_path / "ct", force=True)
