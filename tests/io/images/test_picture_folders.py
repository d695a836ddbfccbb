"""Folders of PNG, JPEG, TIFF and BMP with labels.csv, or with a folder for each class."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from image_folders import pictures, pixels_of

import manikin as mk
from manikin.data.errors import DataError, InputError, SchemaError
from manikin.data.schema import Kind
from manikin.io.formats import FORMATS, format_of
from manikin.io.images.pictures import PictureWriter, look, read, write
from manikin.io.images.provenance import Origin
from manikin.io.schema_file import write_schema

Image = pytest.importorskip("PIL.Image")
GREY = np.arange(30, dtype=np.uint8).reshape(5, 6)
COLOUR = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)


def save(path: Path, pixels: Any, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (pixels if hasattr(pixels, "save") else Image.fromarray(pixels)).save(path, **how)
    return path


def folder_of(tmp_path: Path, labels: str, **files: Any) -> Path:
    for name, pixels in files.items():
        save(tmp_path / f"{name}.png", pixels)
    (tmp_path / "labels.csv").write_text(labels)
    return tmp_path


def test_labels_beside_images(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "age,file,finding\n61,a.png,pneumonia\n47,b.png,normal\n,a2.png,normal\n", a=GREY, b=GREY + 9, a2=GREY)
    data = mk.read(folder)
    assert data.modality == "images"
    assert data.columns.names == ["age", "file", "finding"]
    form = data.columns["file"].image
    assert form is not None
    assert (form.channels, form.size, form.lowest, form.highest, form.is_whole) == (1, (5, 6), 0, 255, True)
    assert np.isnan(data.table.frame["age"][2])
    assert (data.table.images["file"].image(1)[0] == GREY + 9).all()
    assert data.columns["finding"].levels == ("normal", "pneumonia")


def test_a_folder_for_each_class_and_for_each_split(tmp_path: Path) -> None:
    for name in ("normal/1", "normal/2", "sick/1"):
        save(tmp_path / "plain" / f"{name}.png", GREY)
        save(tmp_path / "split" / "train" / f"{name}.png", GREY)
        save(tmp_path / "split" / "Test" / f"{name}.jpg", GREY)
    plain = read(tmp_path / "plain")
    assert plain.table.frame["label"].tolist() == ["normal", "normal", "sick"]
    split = read(tmp_path / "split")
    assert split.table.frame["split"].value_counts().to_dict() == {"train": 3, "test": 3}
    assert split.columns.names == ["file", "split", "label"]
    save(tmp_path / "bare" / "x.bmp", GREY)
    assert read(tmp_path / "bare").columns.names == ["file"]
    assert len(read(tmp_path / "bare" / "x.bmp")) == 1


def test_pairs_of_which_one_may_be_absent(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "source,target,site\na.png,b.png,1\n,b.png,2\na.png,,1\n,,2\n", a=GREY, b=COLOUR)
    data = read(folder)
    assert [column.name for column in data.columns.images] == ["source", "target"]
    assert [data.columns[name].image.channels for name in ("source", "target")] == [1, 3]  # type: ignore[union-attr]
    assert data.table.images["source"].present.tolist() == [True, False, True]
    assert data.table.frame["target"].isna().tolist() == [False, False, True]
    assert "Row 5 of labels.csv names no file" in " ".join(data.columns.notes)
    back = read(write(data, tmp_path / "again"))
    assert [None if one is None else one.tolist() for one in pixels_of(back, "target")] == [
        None if one is None else one.tolist() for one in pixels_of(data, "target")
    ]
    (folder / "labels.csv").write_text("a,b,c\na.png,b.png,a.png\n")
    with pytest.raises(DataError, match="3 columns of images"):
        read(folder)


def test_kinds_of_pixels(tmp_path: Path) -> None:
    deep = (GREY.astype(np.uint16) * 100) + 7
    palette = Image.fromarray(COLOUR).convert("P")
    alpha = Image.fromarray(np.dstack([COLOUR, np.full((5, 6), 3, np.uint8)]))
    turned = Image.Exif()
    turned[0x0112] = 6
    expected = {
        "deep.png": (deep, {}, deep[None]),
        "deep.tiff": (deep, {"compression": "tiff_lzw"}, deep[None]),
        "real.tiff": (GREY.astype(np.float32) / 7 - 1, {}, (GREY.astype(np.float32) / 7 - 1)[None]),
        "bits.png": (Image.fromarray(GREY > 7).convert("1"), {}, ((GREY > 7) * 255)[None]),
        "palette.png": (palette, {}, np.moveaxis(np.asarray(palette.convert("RGB")), -1, 0)),
        "alpha.png": (alpha, {}, np.moveaxis(COLOUR, -1, 0)),
        "turned.png": (GREY, {"exif": turned}, np.rot90(GREY, -1)[None]),
        "cmyk.tiff": (Image.fromarray(COLOUR).convert("CMYK"), {}, np.moveaxis(COLOUR, -1, 0)),
    }
    notes = {"alpha.png": "alpha", "turned.png": "orientation"}
    for name, (pixels, how, truth) in expected.items():
        save(tmp_path / name, pixels, **how)
        data = read(tmp_path / name)
        assert (data.table.images["file"].image(0) == truth).all(), name
        assert notes.get(name, "") in " ".join(data.columns.notes)
    mixed = read(tmp_path)
    form = mixed.columns["file"].image
    assert form is not None
    assert (form.channels, form.size) == (3, None)
    assert {image.shape[0] for image in pixels_of(mixed)} == {3}


def test_colours_that_are_grey_are_read_as_grey_unless_the_schema_says_colour(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.stack([GREY] * 3, axis=-1))
    data = read(tmp_path)
    assert data.table.images["file"].image(0).shape == (1, 5, 6)
    colour = data.columns["file"].image
    write_schema(data.schema, tmp_path / "schema.toml")
    text = (tmp_path / "schema.toml").read_text().replace("channels = 1", "channels = 3")
    (tmp_path / "schema.toml").write_text(text)
    assert read(tmp_path).table.images["file"].image(0).shape == (3, 5, 6)
    (tmp_path / "schema.toml").write_text(text.replace("5, 6", "5, 7").replace("5,\n", "6,\n"))
    assert colour is not None
    with pytest.raises(SchemaError, match="pixels; these are 5x6"):
        read(tmp_path)


def bomb() -> bytes:
    """A PNG that declares 60,000 x 60,000 pixels."""
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, format="PNG")
    head = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    raw = buffer.getvalue()
    return raw[:12] + head + zlib.crc32(head).to_bytes(4, "big") + raw[33:]


def test_files_that_cannot_be_used_are_told_and_spoil_nothing(tmp_path: Path) -> None:
    outside = save(tmp_path / "outside" / "secret.png", GREY)
    folder = tmp_path / "films"
    save(folder / "good.png", GREY)
    save(folder / "unnamed.png", GREY)
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:50])
    (folder / "text.png").write_text("no image")
    (folder / "bomb.png").write_bytes(bomb())
    (folder / "readme.md").write_text("hello")
    (folder / "link.png").symlink_to(outside)
    os.mkfifo(folder / "pipe.png")
    Image.fromarray(GREY).save(folder / "pages.tiff", save_all=True, append_images=[Image.fromarray(GREY)])
    names = ["good", "cut", "text", "bomb", "link", "pipe", "absent", "good", "../outside/secret"]
    (folder / "labels.csv").write_text("file,label\n" + "".join(f"{name}.png,x\n" for name in names) + "/etc/passwd,x\npages.tiff,x\n")
    found = look(folder)
    assert found.data.table.frame["file"].tolist() == ["good.png"]
    reasons = {one.file: one.reason for one in found.skipped}
    for name, reason in {
        "cut.png": "damaged or cut short",
        "text.png": "is no PNG",
        "bomb.png": "more than",
        "link.png": "outside of the folder",
        "pipe.png": "no regular file",
        "absent.png": "is not there (row 8",
        "good.png": "a second time (row 9",
        "Row 10 of labels.csv": "no path inside the folder",
        "Row 11 of labels.csv": "no path inside",
        "unnamed.png": "is not named in labels.csv",
        "pages.tiff": "2 pages",
    }.items():
        assert reason in reasons[name], name
    assert not any("passwd" in str(one) for one in found.skipped)
    assert any("files were passed over" in note for note in found.data.columns.notes)
    assert any("readme.md" in note for note in found.data.columns.notes), found.data.columns.notes
    with pytest.raises(DataError, match="cannot be used"):
        read(folder, strict=True)
    (folder / "labels.csv").write_text("file,label\ncut.png,x\n")
    with pytest.raises(DataError, match=r"cut\.png is damaged or cut short"):
        read(folder)


def test_which_folders_are_images(tmp_path: Path) -> None:
    for name in ("films", "tables", "both"):
        save(tmp_path / name / "sub" / "a.png", GREY)
    (tmp_path / "films" / "labels.csv").write_text("file\nsub/a.png\n")
    (tmp_path / "tables" / "patients.csv").write_text("id\n1\n")
    (tmp_path / "both" / "labels.csv").write_text("file\nsub/a.png\n")
    (tmp_path / "both" / "stays.csv").write_text("id\n1\n")
    (tmp_path / "empty").mkdir()
    assert [format_of(tmp_path / name) for name in ("films", "tables", "both", "empty")] == ["images", "folder", "folder", "folder"]
    assert format_of("new.npz") == "npz"
    assert {name for name, entry in FORMATS.items() if entry.modality == "images"} >= {"images", "npz"}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read_back(tmp_path: Path, data: Any) -> None:
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.int16, np.float32]))
    channels = data.draw(st.sampled_from([1, 3] if dtype is np.uint8 else [1]))
    shape = (data.draw(st.integers(1, 3)), channels, data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5)))
    of = hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False, allow_subnormal=False)
    pixels = data.draw(hnp.arrays(dtype, shape, elements=of))
    given_data = pictures(pixels, label=["x"] * len(pixels))
    back = read(write(given_data, tmp_path / "out", force=True), schema=given_data.schema)
    for one, truth in zip(pixels_of(back), pixels, strict=True):
        assert (one == truth).all()
    assert back.table.frame["label"].tolist() == ["x"] * len(pixels)


def test_files_say_that_they_are_synthetic(tmp_path: Path) -> None:
    films = pictures(np.stack([GREY[None], GREY[None]]), label=["a", "b"])
    with PictureWriter(tmp_path / "out", films.schema, how="drawn by a test") as writer:
        for i in range(2):
            writer.append(films.take(np.array([i])))
    files = sorted((tmp_path / "out").rglob("*.png"))
    assert [file.name for file in files] == ["0.png", "1.png"]
    with Image.open(files[0]) as image:
        assert image.text["Description"].startswith("SYNTHETIC")
        assert image.text["Software"].startswith("manikin ")
        assert image.text["Comment"] == "drawn by a test"
    assert (tmp_path / "out" / "labels.csv").read_text().splitlines() == ["file,label", "case/0.png,a", "case/1.png,b"]
    with pytest.raises(DataError, match="exists already"):
        write(films, tmp_path / "out")
    (tmp_path / "out" / "notes.docx").write_text("mine")
    with pytest.raises(DataError, match="none of these images"):
        write(films, tmp_path / "out", force=True)
    real = write(films, tmp_path / "real", origin=Origin.REWRITTEN)
    with Image.open(real / "case" / "0.png") as image:
        assert "Description" not in image.text


def test_names_are_never_used_twice_nor_leave_the_folder(tmp_path: Path) -> None:
    films = pictures(np.stack([GREY[None]] * 6), label=["x"] * 6)
    films.table.frame["file"] = ["a.png", "A.jpg", "../../up.png", "a.png/b.png", None, ".hidden"]
    names = read(write(films, tmp_path / "out")).table.frame["file"].tolist()
    assert len({name.casefold() for name in names}) == 6
    assert names[0] == "a.png"
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    ("pixels", "what"),
    [
        (np.zeros((1, 1, 2, 2, 2)), "no pictures"),
        (np.full((1, 1, 2, 2), np.nan), "without a number"),
        (np.zeros((1, 2, 2, 2)), "1 or 3 channels"),
        (np.full((1, 3, 2, 2), 300.0) + np.arange(3)[:, None, None], "no picture format"),
    ],
)
def test_what_no_picture_holds_is_refused(tmp_path: Path, pixels: Any, what: str) -> None:
    films = pictures(np.nan_to_num(pixels), label=["x"])
    films.table.images["file"].source.pixels[:] = pixels  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=what):
        write(films, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_damaged_bytes_give_nothing_but_refusals(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    big = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
    for kind in ("png", "jpeg", "tiff", "bmp"):
        raw = save(tmp_path / kind / f"a.{kind}", big).read_bytes()
        for _ in range(25):
            damaged = bytearray(raw[: rng.integers(1, len(raw) + 1)])
            for place in rng.integers(0, len(damaged), rng.integers(0, 6)):
                damaged[place] = rng.integers(256)
            (tmp_path / kind / f"a.{kind}").write_bytes(bytes(damaged))
            try:
                assert len(read(tmp_path / kind)) == 1
            except InputError:
                continue


def test_the_image_column_is_no_attribute(tmp_path: Path) -> None:
    save(tmp_path / "a.png", GREY)
    data = read(tmp_path)
    assert data.columns["file"].kind is Kind.IMAGE
    assert not data.columns.learned


def test_the_format_to_write_is_chosen_by_name_place_or_ending(tmp_path: Path) -> None:
    films = pictures(np.stack([GREY[None]] * 2), label=["a", "b"])
    assert format_of(_written(films, tmp_path / "a")) == "images"
    assert format_of(_written(films, tmp_path / "b", like="dicom")) == "dicom"
    assert format_of(_written(films, tmp_path / "c", like=tmp_path / "b")) == "dicom"
    assert format_of(_written(films, tmp_path / "d", like="nifti")) == "nifti"
    assert format_of(_written(films, tmp_path / "e.npz", like=tmp_path / "a")) == "npz"
    for name in ("a", "b", "c", "d", "e.npz"):
        assert [one.tolist() for one in pixels_of(mk.read(tmp_path / name))] == [GREY[None].tolist()] * 2
    with pytest.raises(DataError, match="called like a file"):
        mk.write(films, tmp_path / "x.nii.gz")


def _written(films: Any, target: Path, **how: Any) -> Path:
    mk.write(films, target, **how)
    return target
