"""DICOM: the real files of pydicom, series as volumes, synthetic files that say so, and files that cannot be used."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from image_folders import pictures, pixels_of

import manikin as mk
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import DataError, InputError
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, Role, Storage, TableSchema
from manikin.io.formats import format_of
from manikin.io.images.dicom import look, read, write
from manikin.io.images.dicom.modules import lacks
from manikin.io.images.recognition import is_dicom

pydicom = pytest.importorskip("pydicom")
FILES = Path(pydicom.__file__).parent / "data" / "test_files"  # those that the package ships; none is fetched


def image_of(name: str) -> Any:
    return read(FILES / name).table.images["file"].image(0)


def test_a_computed_tomogram_is_in_hounsfield_units() -> None:
    data = mk.read(FILES / "CT_small.dcm")
    raw = pydicom.dcmread(FILES / "CT_small.dcm")
    pixels = data.table.images["file"].image(0)
    assert (pixels[0] == raw.pixel_array.astype(int) * int(raw.RescaleSlope) + int(raw.RescaleIntercept)).all()
    form = data.columns["file"].image
    assert form is not None
    assert (form.size, form.lowest, form.highest, form.spacing, form.modality) == ((128, 128), -1024, 2047, (0.661468, 0.661468), "CT")


def test_attributes_are_columns_and_names_are_not() -> None:
    data = read(FILES / "MR_small.dcm")
    assert data.columns["PatientID"].roles == (Role.PATIENT_KEY,)
    assert Role.QUASI_IDENTIFIER in data.columns["PatientSex"].roles
    assert data.table.frame["Modality"].tolist() == ["MR"]
    raw = pydicom.dcmread(FILES / "MR_small.dcm")
    cells = " ".join(str(cell) for cell in data.table.frame.iloc[0])
    assert str(raw.PatientName) not in cells
    assert raw.StudyDate not in cells


@pytest.mark.parametrize(
    ("name", "other", "tolerance"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm", 0),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm", 0),
        ("MR_small_bigendian.dcm", "MR_small.dcm", 0),
        ("MR_small_implicit.dcm", "MR_small.dcm", 0),
        ("MR_small_padded.dcm", "MR_small.dcm", 0),
        ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm", 0),
        ("rtdose_rle_1frame.dcm", "rtdose_1frame.dcm", 0),
    ],
)
def test_ways_of_packing_give_the_same_pixels(name: str, other: str, tolerance: float) -> None:
    assert np.abs(image_of(name).astype(float) - image_of(other)).max() <= tolerance


def test_colour_palettes_and_frames() -> None:
    assert image_of("examples_rgb_color.dcm").shape == (3, 240, 320)
    palette = read(FILES / "examples_palette.dcm")
    assert palette.table.images["file"].image(0).shape[0] == 3
    assert any("palette of 16 bits" in note for note in palette.columns.notes)
    frames = read(FILES / "rtdose.dcm")
    assert frames.table.frame["file"].tolist() == [f"rtdose.dcm#{i}" for i in range(1, 16)]
    volume = read(FILES / "rtdose.dcm", as_volumes=True)
    assert volume.table.images["file"].image(0).shape == (1, 15, 10, 10)
    assert (volume.table.images["file"].image(0)[:, 3] == frames.table.images["file"].image(3)).all()


def test_everything_that_pydicom_ships_is_read_or_told(tmp_path: Path) -> None:
    for path in sorted(FILES.glob("*.dcm")):
        if path.stat().st_size < 60_000 and "ybr" not in path.name and not path.name.startswith("SC_rgb_dcmtk"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = look(tmp_path)
    assert format_of(tmp_path) == "dicom"
    reasons = {one.file: one.reason for one in found.skipped}
    for name, reason in {
        "liver_1frame.dcm": "segmentation",
        "MR_truncated.dcm": "declares 8,192 bytes of pixels and holds 8,130",
        "badVR.dcm": "number of frames",
        "rtplan.dcm": "holds no image (RTPLAN)",
        "no_meta.dcm": "lacks the mark DICM",
    }.items():
        assert reason in reasons[name]
    assert len(found.data) > 30
    assert any("MONOCHROME1" not in note for note in found.data.columns.notes)


def edited(name: str, target: Path, **elements: Any) -> Path:
    """A copy of a file with other elements."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(FILES / name)
        for keyword, value in elements.items():
            if keyword == "PixelPaddingValue":
                data.add_new(keyword, "SS" if data.PixelRepresentation else "US", value)
            else:
                setattr(data, keyword, value)
        data.save_as(target)
    return target


def test_white_to_black_is_turned_round_and_padding_is_no_tissue(tmp_path: Path) -> None:
    plain = image_of("MR_small.dcm")
    bits = pydicom.dcmread(FILES / "MR_small.dcm")
    low = 0 if bits.PixelRepresentation == 0 else -(2 ** (bits.BitsStored - 1))
    high = low + 2**bits.BitsStored - 1
    turned = read(edited("MR_small.dcm", tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1"))
    assert (turned.table.images["file"].image(0) == low + high - plain.astype(int)).all()
    assert any("MONOCHROME1" in note for note in turned.columns.notes)
    highest = int(plain.max())
    padded = read(edited("MR_small.dcm", tmp_path / "b.dcm", PixelPaddingValue=highest))
    assert padded.table.images["file"].image(0).max() < highest


def test_frames_of_an_enhanced_image_have_their_own_slopes(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(FILES / "CT_small.dcm")
        raw = data.pixel_array
        data.NumberOfFrames, data.PixelData = 2, data.PixelData * 2
        del data.RescaleSlope, data.RescaleIntercept
        items = []
        for intercept in ("-1024", "-1000"):
            values, item = pydicom.Dataset(), pydicom.Dataset()
            values.RescaleSlope, values.RescaleIntercept = "1", intercept
            item.PixelValueTransformationSequence = [values]
            items.append(item)
        data.PerFrameFunctionalGroupsSequence = items
        data.save_as(tmp_path / "a.dcm")
    images = read(tmp_path / "a.dcm").table.images["file"]
    assert (images.image(0)[0] == raw.astype(int) - 1024).all()
    assert (images.image(1)[0] == raw.astype(int) - 1000).all()


def test_slices_of_a_series_are_a_volume_in_their_order_in_space(tmp_path: Path) -> None:
    for number, height in enumerate((10.0, 5.0, 0.0, 15.0)):
        edited("CT_small.dcm", tmp_path / f"{number}.dcm", ImagePositionPatient=[0, 0, height], RescaleIntercept=str(int(height)))
    data = read(tmp_path, as_volumes=True)
    volume = data.table.images["file"].image(0)
    assert volume.shape == (1, 4, 128, 128)
    assert np.diff(volume[0, :, 0, 0]).tolist() == [5, 5, 5]
    form = data.columns["file"].image
    assert form is not None
    assert form.spacing == (5, 0.661468, 0.661468)
    assert len(read(tmp_path)) == 4
    again = read(write(data, tmp_path / "out", force=True))
    assert (again.table.images["file"].image(0) == volume).all()
    assert again.columns["file"].image == form
    edited("CT_small.dcm", tmp_path / "9.dcm", ImagePositionPatient=[0, 0, 40])
    assert any("uneven" in note for note in read(tmp_path, as_volumes=True).columns.notes)


def films(form: ImageForm, pixels: Any, **more: list[str]) -> Dataset:
    columns = (
        Column("file", Kind.IMAGE, image=form, missing=()),
        Column("PatientID", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,), missing=()),
        Column("PatientSex", Kind.CATEGORICAL, missing=()),
        Column("PatientAge", Kind.CONTINUOUS, Storage.INTEGER, decimals=0, missing=()),
        Column("finding", Kind.CATEGORICAL, missing=()),
    )
    n = len(pixels)
    frame = {"file": [None] * n, "PatientID": [f"S{i // 2}" for i in range(n)], "PatientSex": pd.Categorical(["F"] * n)}
    frame |= {"PatientAge": np.full(n, 61.0), "finding": pd.Categorical(more.get("finding", ["none"] * n))}
    return flat(Table(pd.DataFrame(frame), images={"file": Images.of_array(np.asarray(pixels))}), TableSchema("films", columns))


@pytest.mark.parametrize("modality", ["CT", "MR", "CR", "DX", "US", "OP", None])
def test_synthetic_files_say_so_and_have_what_their_modules_ask_for(tmp_path: Path, modality: str | None) -> None:
    form = ImageForm(size=(4, 6), lowest=-1024 if modality == "CT" else 0, highest=3071 if modality == "CT" else 255, modality=modality)
    pixels = np.arange(3 * 24).reshape(3, 1, 4, 6) + form.lowest
    data = films(form, pixels)
    out = write(data, tmp_path / "out", how="drawn by a test")
    one = pydicom.dcmread(out / "images" / "000001.dcm")
    assert lacks(one) == ()
    assert one.SyntheticData == "YES"
    assert str(one.PatientName) == "SYNTH^"
    assert one.PatientIdentityRemoved == "YES"
    assert list(one.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert one.SOPInstanceUID.startswith("2.25.")
    assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
    assert one.DerivationDescription == "drawn by a test"
    names = {"CT": "CT", "MR": "MR", "CR": "Computed Radiography", "DX": "Digital X-Ray", "US": "Ultrasound"}
    assert one.SOPClassUID.name.startswith(names.get(str(modality), "Secondary Capture"))
    assert one.PatientAge == "061Y"
    studies = [pydicom.dcmread(out / "images" / f"00000{i}.dcm").StudyInstanceUID for i in (1, 2, 3)]
    assert studies[0] == studies[1] != studies[2]
    back = read(out)
    assert back.table.frame["finding"].tolist() == ["none"] * 3
    assert all((one == truth).all() for one, truth in zip(pixels_of(back), pixels, strict=True))
    first = (out / "images" / "000002.dcm").read_bytes()
    assert first == (write(data, tmp_path / "again", how="drawn by a test") / "images" / "000002.dcm").read_bytes()
    with pytest.raises(DataError, match="exists already"):
        write(data, out)


def test_values_outside_of_their_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Row 1, column 'file': values outside"):
        write(films(ImageForm(size=(1, 1)), np.full((1, 1, 1, 1), 300)), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@settings(max_examples=5, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read_back(tmp_path: Path, data: Any) -> None:
    low, high = data.draw(st.sampled_from([(0, 255), (0, 4095), (0, 65_535), (-1024, 3071), (-32_768, 32_767)]))
    channels = data.draw(st.sampled_from([1, 3] if high == 255 else [1]))
    shape = (data.draw(st.integers(1, 2)), channels, data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)))
    rng = np.random.default_rng(data.draw(st.integers(0, 100)))
    pixels = rng.integers(low, high + 1, shape)
    modality = data.draw(st.sampled_from(["CT", "MR", "CR", None]))
    form = ImageForm(channels=channels, size=shape[2:], lowest=low, highest=high, modality=modality)
    given_data = films(form, pixels)
    assert not [name for name in ("Modality", "Manufacturer") if name in read(write(given_data, tmp_path / "o", force=True)).columns]
    back = read(write(given_data, tmp_path / "out", force=True), schema=given_data.schema)
    assert all((one == truth).all() for one, truth in zip(pixels_of(back), pixels, strict=True))


def test_damaged_bytes_give_nothing_but_refusals(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    for name in ("MR_small_implicit.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_rle_2frame.dcm", "nested_priv_SQ.dcm", "image_dfl.dcm"):
        raw = (FILES / name).read_bytes()
        for _ in range(20):
            damaged = bytearray(raw[: rng.integers(1, len(raw) + 1)])
            for place in rng.integers(0, min(len(damaged), 2_000), rng.integers(0, 8)):
                damaged[place] = rng.integers(256)
            (tmp_path / "a.dcm").write_bytes(bytes(damaged))
            try:
                read(tmp_path / "a.dcm")
            except InputError:
                continue


def test_declared_sizes_are_checked_before_decoding(tmp_path: Path) -> None:
    for name, keyword in (("MR_small.dcm", "Rows"), ("MR_small_jp2klossless.dcm", "Rows"), ("MR_small_RLE.dcm", "Rows")):
        edited(name, tmp_path / "a.dcm", **{keyword: 65_535, "Columns": 65_535})
        with pytest.raises(DataError, match=r"declares|another size"):
            read(tmp_path / "a.dcm")
    edited("SC_rgb_rle_2frame.dcm", tmp_path / "b.dcm", NumberOfFrames=2_000_000)
    with pytest.raises(DataError, match="number of frames"):
        read(tmp_path / "b.dcm")


def deflated(target: Path, *, preamble: bytes = b"", length: int | None = None, command: bool = False) -> Path:
    """A deflated file that unpacks to 200,000 bytes, with a small stream in its head, where a wrong group length leads."""

    def packed(raw: bytes) -> bytes:
        stream = zlib.compressobj(wbits=-15)
        return stream.compress(raw) + stream.flush()

    def element(group: int, number: int, vr: bytes, raw: bytes) -> bytes:
        raw += b"\0" * (len(raw) % 2)
        size = struct.pack("<HI", 0, len(raw)) if vr == b"OB" else struct.pack("<H", len(raw))
        return struct.pack("<HH", group, number) + vr + size + raw

    syntax = element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1.99")
    head = syntax + element(2, 0x102, b"OB", packed(b"small"))
    group = element(2, 0, b"UL", struct.pack("<I", len(head) if length is None else len(syntax) + length))
    other = struct.pack("<HHIH", 0, 0x100, 2, 1) if command else b""
    bomb = packed(element(0x10, 0x4000, b"OB", bytes(200_000)))
    target.write_bytes(preamble.ljust(128, b"\0") + b"DICM" + group + head + other + bomb)
    return target


@pytest.mark.parametrize("how", [{}, {"length": 12}, {"preamble": b"DICM" + b"\0" * 8 + struct.pack("<I", 300)}, {"command": True}])
def test_a_deflated_file_is_weighed_where_pydicom_unpacks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]) -> None:
    monkeypatch.setattr("manikin.io.images.dicom.files.MAX_INFLATED_BYTES", 100_000)
    path = deflated(tmp_path / "a.dcm", **how)
    assert len(pydicom.dcmread(path)[0x00104000].value) == 200_000
    with pytest.raises(DataError, match="would unpack to more"):
        read(path)


def test_a_modality_is_told_only_where_it_is_one(tmp_path: Path) -> None:
    data = pydicom.dcmread(FILES / "MR_small.dcm")
    del data.Rows, data.Columns
    for modality, said in (("SR", "SR"), ("Weatherwax", "modality unknown")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data.Modality = modality
            data.save_as(tmp_path / "a.dcm")
        with pytest.raises(DataError, match=rf"no image \({said}\)"):
            read(tmp_path / "a.dcm")


def test_a_pipe_is_no_dicom_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        os.write(pipe, bytes(128) + b"DICM")  # so that who reads it need not wait
        assert not is_dicom(tmp_path / "pipe")
    finally:
        os.close(pipe)


def test_a_table_without_dicom_is_not_written(tmp_path: Path) -> None:
    pairs = pictures(np.zeros((1, 1, 2, 2), dtype=np.uint8), label=["x"])
    assert len(read(write(pairs, tmp_path / "out"))) == 1
