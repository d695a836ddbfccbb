"""Images translated from place to place: marked, with a record, refused by their file where they do not fit; nothing is overwritten."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import DataError, ParameterError
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, Role, TableSchema
from manikin.io.images.provenance import Origin
from manikin.synthesizers.storage import save
from manikin.workflow.models import fit_model
from manikin.workflow.options import Options
from manikin.workflow.translate import RECORD, translate_files

picture = pytest.importorskip("PIL.Image")
SIDE, N = 8, 40
SMALL: dict[str, Any] = {"width": 8, "critic_width": 8, "max_steps": 3}


def pairs(n: int = N, *, columns: tuple[str, ...] = ("mr", "ct"), highest: float = 255.0, form: dict[str, Any] | None = None) -> Dataset:
    """Noise, and its negative; patients with two rows each."""
    rng = np.random.default_rng(3)
    first = rng.integers(0, int(highest) + 1, (n, 1, SIDE, SIDE)).astype(np.uint16)
    arrays = {"mr": first, "file": first, "ct": (int(highest) - first).astype(np.uint16)}
    frame: dict[str, Any] = {name: pd.Series([f"{name}/{i:03d}.png" for i in range(n)], dtype=object) for name in columns}
    described = [Column(name, Kind.IMAGE, image=ImageForm(1, (SIDE, SIDE), 0.0, highest, **(form or {}))) for name in columns]
    frame["PatientID"] = pd.Series([f"p{i // 2}" for i in range(n)], dtype=object)
    frame["finding"] = pd.Series(pd.Categorical(np.where(np.arange(n) % 3, "none", "nodule")))
    described += [
        Column("PatientID", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,)),
        Column("finding", Kind.CATEGORICAL, levels=("nodule", "none")),
    ]
    images = {name: Images.of_array(arrays[name]) for name in columns}
    return flat(Table(pd.DataFrame(frame), images=images), TableSchema("scans", tuple(described)))


@pytest.fixture(scope="module")
def one_way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "pix2pix"
    save(mk.synthesizer("pix2pix", **SMALL).fit(pairs(), seed=0), folder)
    return folder


@pytest.fixture(scope="module")
def two_way(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "cyclegan"
    save(mk.synthesizer("cyclegan", **SMALL, blocks=1).fit(pairs(), seed=0), folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mk.write(pairs(), tmp_path / "scans")
    return tmp_path / "scans"


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_is_translated_marked_and_compared(one_way: Path, folder: Path, tmp_path: Path) -> None:
    done = translate_files(one_way, folder, out=tmp_path / "ct")
    assert (done.n, done.way, done.record) == (N, "mr to ct", tmp_path / f"ct{RECORD}")
    rows, given = rows_of(tmp_path / "ct"), rows_of(folder)
    assert list(rows[0]) == ["ct", "PatientID", "finding"]
    assert [row["ct"] for row in rows] == [row["mr"].replace("mr/", "ct/") for row in given]
    assert [row["finding"] for row in rows] == [row["finding"] for row in given]
    texts = picture.open(tmp_path / "ct" / rows[0]["ct"]).text
    assert texts["Description"].startswith("TRANSLATED image")
    assert "mr to ct" in texts["Comment"]
    assert "no patient" not in texts["Description"]
    record = json.loads(done.record.read_text())
    assert record["compared"]["n"] == N
    assert record["compared"]["mae"] == pytest.approx(done.compared["mae"])
    made, truth = mk.read(tmp_path / "ct"), mk.read(folder)
    off = np.abs(made.table.images["ct"].array() - truth.table.images["ct"].array()).mean()
    assert record["compared"]["mae"] == pytest.approx(off, rel=1e-5)
    assert {one["name"] for one in record["model"]} == {"config.json", "weights.safetensors"}
    assert any("invented" in notice for notice in record["notices"])
    assert any("show the people" in notice for notice in record["notices"])
    with pytest.raises(ParameterError, match="exists already"):
        translate_files(one_way, folder, out=tmp_path / "ct")
    again = translate_files(one_way, folder, out=tmp_path / "ct", force=True)
    assert json.loads(again.record.read_text())["outputs"] == record["outputs"]


def test_real_images_are_never_replaced(one_way: Path, folder: Path, tmp_path: Path) -> None:
    mk.write(pairs(4), tmp_path / "others")
    before = sorted(path.name for path in (tmp_path / "others").rglob("*"))
    with pytest.raises(ParameterError, match="was not written by Manikin"):
        translate_files(one_way, folder, out=tmp_path / "others", force=True)
    with pytest.raises(ParameterError, match="this command reads"):
        translate_files(one_way, folder, out=folder, force=True)
    assert sorted(path.name for path in (tmp_path / "others").rglob("*")) == before
    assert not list(tmp_path.glob("*" + RECORD))


def test_python_and_files_agree(one_way: Path, folder: Path, tmp_path: Path) -> None:
    made = mk.translate(mk.load(one_way), mk.read(folder))
    assert made.columns.names == ["ct", "PatientID", "finding"]
    translate_files(one_way, folder, out=tmp_path / "ct.npz")
    with np.load(tmp_path / "ct.npz") as arrays:
        assert np.array_equal(arrays["ct"], made.table.images["ct"].array()[:, 0])
    only = mk.translate(one_way, pairs(3, columns=("file",)))
    assert only.columns.names == ["file", "PatientID", "finding"]
    assert only.table.frame["file"].tolist() == ["file/000.png", "file/001.png", "file/002.png"]


def test_the_way_is_said_or_asked_for(one_way: Path, two_way: Path) -> None:
    both = mk.load(two_way)
    assert mk.translate(both, pairs(3, columns=("ct",))).columns.names[0] == "mr"
    assert mk.translate(both, pairs(3, columns=("file",)), to="mr").columns.images[0].image == both.forms["mr"]
    with pytest.raises(ParameterError, match="--to ct or --to mr"):
        mk.translate(both, pairs(3, columns=("file",)))
    with pytest.raises(ParameterError, match="Name one of the two"):
        mk.translate(both, pairs(3), to="pet")
    with pytest.raises(ParameterError, match="not the other way round"):
        mk.translate(one_way, pairs(3), to="mr")
    with pytest.raises(DataError, match=r"images of 'ct', which is what the model makes of 'mr'.*cyclegan"):
        mk.translate(one_way, pairs(3, columns=("ct",)))
    with pytest.raises(ParameterError, match="does not translate"):
        mk.translate(mk.synthesizer("image_pca").fit(pairs(columns=("file",)), seed=0), pairs(3))


def test_what_does_not_fit_is_refused_by_its_file(one_way: Path, tmp_path: Path) -> None:
    model = mk.load(one_way)
    large = tmp_path / "large"
    large.mkdir()
    for i in range(3):
        size = (SIDE, SIDE + (i == 2))
        picture.fromarray(np.full(size, 9, dtype=np.uint8)).save(large / f"{i}.png")
    with pytest.raises(DataError, match=r"2\.png is not of 8 x 8 pixels.*--resize"):
        mk.translate(model, large)
    assert mk.translate(model, large, resize=True).table.images["file"].array().shape == (3, 1, SIDE, SIDE)
    colour = tmp_path / "colour"
    colour.mkdir()
    for i in range(2):
        picture.fromarray(np.full((SIDE, SIDE, 3), (9, 9, 9 + i), dtype=np.uint8)).save(colour / f"{i}.png")
    with pytest.raises(DataError, match=r"\.png is in colour, and the model translates images that are grey"):
        mk.translate(model, colour)
    with pytest.raises(DataError, match=r"mr/\d+\.png has values outside of .* whole numbers from 0 to 255 .*--clip"):
        mk.translate(model, pairs(3, highest=4095.0))
    assert mk.translate(model, pairs(3, highest=4095.0), clip=True).table.images["ct"].array().max() <= 255
    deep = flat(
        Table(pd.DataFrame({"file": ["a.nii.gz"]}, dtype=object), images={"file": Images.of_array(np.zeros((1, 1, 4, SIDE, SIDE)))}),
        TableSchema("deep", (Column("file", Kind.IMAGE, image=ImageForm(1, (4, SIDE, SIDE))),)),
    )
    with pytest.raises(DataError, match=r"a\.nii\.gz is a volume, and the model translates single slices"):
        mk.translate(model, deep)
    with pytest.raises(DataError, match="holds no images"):
        translate_files(one_way, Path(__file__), out=tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_rows_without_a_source_are_left_out_and_told(one_way: Path, folder: Path, tmp_path: Path) -> None:
    rows = rows_of(folder)
    rows[4]["mr"] = ""
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    done = translate_files(one_way, folder, out=tmp_path / "ct")
    assert done.n == N - 1
    assert any("1 row without an image in 'mr'" in notice for notice in done.notices)


def test_pairs_are_learned_from_a_folder(folder: Path, tmp_path: Path) -> None:
    options = Options(synthesizer="pix2pix", hyperparameters={"width": 8, "critic_width": 8}, max_steps=2)
    fit_model(folder, out=tmp_path / "model", options=options)
    assert translate_files(tmp_path / "model", folder, out=tmp_path / "ct").n == N


def test_dicom_says_that_it_was_translated(tmp_path: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    from manikin.io.images import dicom

    model = mk.synthesizer("pix2pix", **SMALL).fit(
        _of_modalities(pairs(highest=4095.0), {"mr": "MR", "ct": "CT"}), seed=0
    )
    save(model, tmp_path / "model")
    given = _of_modalities(pairs(6, columns=("file",), highest=4095.0, form={"spacing": (0.5, 0.7)}), {"file": "MR"})
    dicom.write(given, tmp_path / "mr", origin=Origin.REWRITTEN)
    done = translate_files(tmp_path / "model", tmp_path / "mr", out=tmp_path / "ct")
    one = pydicom.dcmread(next(iter((tmp_path / "ct").rglob("*.dcm"))))
    assert (one.Modality, one.SyntheticData, one.SeriesDescription, str(one.PatientName)) == ("CT", "YES", "TRANSLATED", "TRANSLATED^")
    assert one.PatientID.startswith("p")
    assert [float(side) for side in one.PixelSpacing] == [0.5, 0.7]
    assert "mr to ct" in one.DerivationDescription
    assert "shows no patient" not in str(one)
    again = mk.read(tmp_path / "ct")
    assert len(again) == done.n == 6
    assert "EchoTime" not in again.columns
    with pytest.raises(DataError, match="holds images of the modality CT; the model translates MR"):
        translate_files(tmp_path / "model", tmp_path / "ct", out=tmp_path / "again")


def _of_modalities(data: Dataset, words: dict[str, str]) -> Dataset:
    from dataclasses import replace

    schema = data.columns
    for name, word in words.items():
        column = schema[name]
        assert column.image is not None
        schema = schema.replace_column(replace(column, image=replace(column.image, modality=word)))
    return flat(data.table, schema)


def test_nifti_keeps_its_kind(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    from manikin.io.images import nifti

    save(mk.synthesizer("pix2pix", **SMALL).fit(pairs(), seed=0), tmp_path / "model")
    nifti.write(pairs(6, columns=("file",), form={"spacing": (0.5, 0.7)}), tmp_path / "mr", origin=Origin.REWRITTEN)
    translate_files(tmp_path / "model", tmp_path / "mr", out=tmp_path / "ct")
    one = nibabel.load(next(iter((tmp_path / "ct").rglob("*.nii.gz"))))
    assert b"TRANSLATED" in one.header["descrip"].tobytes()
    assert one.header.get_zooms()[:2] == pytest.approx((0.7, 0.5))
