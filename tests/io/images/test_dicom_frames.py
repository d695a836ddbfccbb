"""DICOM files of many frames, each opened once for frames that are read in order, and JPEG-LS, whose size must be the header's."""

from __future__ import annotations

import os
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from manikin.data.errors import DataError, InputError
from manikin.io.images.dicom import kept as keeping
from manikin.io.images.dicom import look, read
from manikin.io.images.dicom.encapsulated import index_frames
from manikin.io.images.dicom.kept import KeptFile

pydicom = pytest.importorskip("pydicom")
FILES = Path(pydicom.__file__).parent / "data" / "test_files"
N = 24


def film(target: Path, *, packed: bool, n: int = N) -> Any:
    """A file of n frames, and what they are, (n, rows, columns)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(FILES / "MR_small.dcm")
        pixels = np.random.default_rng(n).integers(0, 2000, (n, 16, 12)).astype(np.int16)
        data.Rows, data.Columns, data.NumberOfFrames, data.PixelData = 16, 12, n, pixels.tobytes()
        if packed:
            data.compress(pydicom.uid.RLELossless)
            frames = list(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=n))
            data.PixelData = pydicom.encaps.encapsulate(frames, has_bot=False)
        data.save_as(target)
    return pixels


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened for their pixels."""
    names: list[str] = []
    real = keeping.opened

    def counted(path: Path) -> Any:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(keeping, "opened", counted)
    return names


@pytest.mark.parametrize("packed", [False, True])
def test_frames_read_in_order_open_their_file_once(packed: bool, tmp_path: Path, opened: list[str]) -> None:
    first, second = film(tmp_path / "a.dcm", packed=packed), film(tmp_path / "b.dcm", packed=packed, n=5)
    images = read(tmp_path).table.images["file"]
    assert len(images) == N + 5
    assert opened == ["a.dcm", "b.dcm"]
    getattr(images.source, "source", images.source)._kept.clear()
    assert np.array_equal(np.stack([images.image(i)[0] for i in range(N)]), first)
    assert np.array_equal(np.stack([images.image(N + i)[0] for i in range(5)]), second)
    assert opened == ["a.dcm", "b.dcm"] * 2


def test_packed_frames_are_found_without_walking_through_those_before(tmp_path: Path) -> None:
    pixels = film(tmp_path / "a.dcm", packed=True)
    data = KeptFile().opened(tmp_path / "a.dcm")
    assert len(data.ExtendedOffsetTable) == 8 * N
    for i in (N - 1, 0, 7):
        assert np.array_equal(pydicom.pixels.pixel_array(data, index=i), pixels[i])


def test_a_table_that_a_file_has_and_frames_in_several_pieces_are_left_alone() -> None:
    data = pydicom.dcmread(FILES / "SC_rgb_rle_2frame.dcm")
    has_table = struct.unpack("<L", data.PixelData[4:8])[0] > 0
    index_frames(data, 2)
    assert ("ExtendedOffsetTable" in data) != has_table
    frames = list(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=2))
    data.PixelData = pydicom.encaps.encapsulate(frames, fragments_per_frame=2, has_bot=False)
    data.pop("ExtendedOffsetTable", None)
    index_frames(data, 2)
    assert "ExtendedOffsetTable" not in data


def test_a_kept_file_that_was_changed_is_opened_again_and_a_large_one_is_not_kept(tmp_path: Path, opened: list[str]) -> None:
    path, kept = tmp_path / "a.dcm", KeptFile()
    film(path, packed=False)
    assert kept.opened(path) is kept.opened(path)
    os.utime(path, ns=(1, 1))
    kept.opened(path)
    assert len(opened) == 2
    small = KeptFile(max_bytes=1000)
    assert small.opened(path) is not small.opened(path)
    single = FILES / "MR_small.dcm"
    assert kept.opened(single) is not kept.opened(single), "a file of one frame is needed once"


JLS = {
    "MR_small_jpeg_ls_lossless.dcm": (1, 64, 64),
    "JPEGLSNearLossless_16.dcm": (1, 50, 10),
    "SC_rgb_jls_lossy_sample.dcm": (3, 100, 100),
    "SC_rgb_jls_lossy_line.dcm": (3, 100, 100),
}


@pytest.mark.parametrize("name", JLS)
def test_jpeg_ls_is_read(name: str) -> None:
    pytest.importorskip("jpeg_ls")
    image = read(FILES / name).table.images["file"].image(0)
    assert image.shape == JLS[name]
    if "lossless" in name:
        assert np.array_equal(image, read(FILES / "MR_small.dcm").table.images["file"].image(0))


@pytest.mark.parametrize("harm", ["size", "samples", "twice", "cut", "hidden"])
def test_jpeg_ls_that_declares_another_size_is_never_decoded(harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pydicom.dcmread(FILES / "MR_small_jpeg_ls_lossless.dcm")
    frame = bytearray(next(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1)))
    at = frame.index(b"\xff\xf7")
    if harm == "size":
        frame[at + 5 : at + 9] = struct.pack(">2H", 65535, 65535)
    elif harm == "samples":
        frame[at + 9] = 255
    elif harm == "twice":
        frame[at:at] = frame[at : at + 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]]
    elif harm == "hidden":  # behind a marker without a length, where the next marker looks like the length of a segment
        huge = bytes(frame[at : at + 5]) + struct.pack(">2H", 65535, 65535) + bytes(frame[at + 9 :])
        frame[2:2] = b"\xff\x01" + huge.ljust(0xFFF7, b"\0")
    else:
        del frame[at + 6 :]
    data.PixelData = pydicom.encaps.encapsulate([bytes(frame)])
    data.save_as(tmp_path / "a.dcm")

    decoded: list[Any] = []  # what a decoder raises would be a refusal too
    monkeypatch.setattr(pydicom.pixels, "pixel_array", lambda data, **_: decoded.append(data))
    with pytest.raises((DataError, InputError)):
        look(tmp_path / "a.dcm")
    assert not decoded


@pytest.mark.parametrize(("name", "process"), [("MR_small.dcm", "JPEGLosslessProcess14_1"), ("CT_small.dcm", "JPEGLosslessProcess14")])
def test_jpeg_lossless_is_read_to_the_pixel_where_its_extra_is_installed(name: str, process: str, tmp_path: Path) -> None:
    gdcm = pytest.importorskip("gdcm")
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(FILES / name))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, process)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(tmp_path / name))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    assert pydicom.dcmread(tmp_path / name).file_meta.TransferSyntaxUID in ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
    data = pydicom.dcmread(tmp_path / name)
    frame = bytearray(next(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1)))
    at = frame.index(b"\xff\xc3")
    frame[at + 5 : at + 9] = struct.pack(">2H", 65535, 65535)
    data.PixelData = pydicom.encaps.encapsulate([bytes(frame)])
    data.save_as(tmp_path / "huge.dcm")
    with pytest.raises((DataError, InputError), match="another size than its header says"):
        look(tmp_path / "huge.dcm")
    packed, plain = (read(folder / name).table.images["file"].image(0) for folder in (tmp_path, FILES))
    assert (packed == plain).all()
