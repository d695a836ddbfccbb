"""Images and labels in .npz and .npy files, MedMNIST's layout among them."""

from __future__ import annotations

import os
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from image_folders import pictures, pixels_of

import manikin as mk
from manikin.data.errors import DataError, InputError
from manikin.data.images import ArraySource
from manikin.io.images.arrays import read, write
from manikin.io.images.npz import open_npy, open_npz

SHARED = Path(os.environ.get("MANIKIN_SHARED_DATA", "../shared/data"))
FILMS = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6)


def test_arrays_of_one_length(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=FILMS, sex=["f", "m", "f", "f"], age=[61.5, np.nan, 40, 7], labels=np.eye(4, 2, dtype=int))
    data = mk.read(tmp_path / "a.npz")
    assert data.columns.names == ["file", "sex", "age", "label_0", "label_1"]
    assert (data.table.images["file"].array()[:, 0] == FILMS).all()
    assert np.isnan(data.table.frame["age"][1])
    assert data.table.frame["file"].tolist()[0] == "00000"


def test_splits_of_medmnist_are_a_column_and_come_back(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "a.npz",
        **{f"{part}_images": FILMS[:n] for part, n in (("train", 4), ("val", 1), ("test", 2))},
        **{f"{part}_labels": np.arange(n)[:, None] for part, n in (("train", 4), ("val", 1), ("test", 2))},
    )
    data = read(tmp_path / "a.npz")
    assert data.table.frame["split"].tolist() == ["train"] * 4 + ["val"] + ["test"] * 2
    assert data.table.frame["file"][4] == "val/00000"
    write(data, tmp_path / "b.npz", like=tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as before, np.load(tmp_path / "b.npz") as after:
        assert set(before) == set(after)
        assert all((before[name] == after[name]).all() and before[name].dtype == after[name].dtype for name in before)


@pytest.mark.skipif(not (SHARED / "pneumoniamnist").is_dir(), reason="the shared data are not here")
def test_pneumoniamnist() -> None:
    data = read(SHARED / "pneumoniamnist" / "pneumoniamnist_28.npz")
    assert data.table.frame.groupby("split", observed=True).size().to_dict() == {"test": 624, "train": 4708, "val": 524}
    form = data.columns["file"].image
    assert form is not None
    assert (form.channels, form.size, form.highest) == (1, (28, 28), 255)
    inside = (data.table.frame["split"] == "test").to_numpy()
    assert (data.table.frame["label"][inside] == "1").sum() == 390


@pytest.mark.parametrize(
    ("shape", "channels", "size"),
    [
        ((2, 5, 6, 3), 3, (5, 6)),
        ((2, 5, 6, 1), 1, (5, 6)),
        ((2, 3, 5, 6), 3, (5, 6)),
        ((2, 5, 6, 4), 3, (5, 6)),
        ((2, 4, 5, 6), 1, (4, 5, 6)),
        ((2, 4, 5, 6, 3), 3, (4, 5, 6)),
        ((2, 1, 1), 1, (1, 1)),
    ],
)
def test_axes(tmp_path: Path, shape: tuple[int, ...], channels: int, size: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.arange(np.prod(shape)).reshape(shape).astype(np.uint16))
    data = read(tmp_path / "a.npy")
    form = data.columns["file"].image
    assert form is not None
    assert (form.channels, form.size) == (channels, size)
    assert data.table.images["file"].image(1).shape == (channels, *size)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read_back(tmp_path: Path, data: Any) -> None:
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.int16, np.float32]))
    size = data.draw(st.sampled_from([(1, 1), (5, 6), (4, 5, 6)]))
    channels = data.draw(st.sampled_from([1, 3]))
    of = hnp.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False, allow_subnormal=False)
    pixels = data.draw(hnp.arrays(dtype, (data.draw(st.integers(1, 3)), channels, *size), elements=of))
    films = pictures(pixels, site=["a,b"] * len(pixels))
    write(films, tmp_path / "b.npz", force=True)
    back = read(tmp_path / "b.npz", schema=films.schema)
    assert all((one == truth).all() for one, truth in zip(pixels_of(back), pixels, strict=True))
    assert back.table.frame["site"].tolist() == ["a,b"] * len(pixels)


def test_large_arrays_without_packing_stay_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manikin.io.images.npz.FREE_BYTES", 0)
    np.savez(tmp_path / "a.npz", images=FILMS)
    data = read(tmp_path / "a.npz")
    source = data.table.images["file"].source
    assert isinstance(source, ArraySource)
    assert isinstance(source.pixels, np.memmap)
    assert (data.table.images["file"].array()[:, 0] == FILMS).all()
    np.savez_compressed(tmp_path / "bomb.npz", images=np.zeros((300, 500, 500), dtype=np.uint8))
    with pytest.raises(DataError, match="'images' would take"):
        read(tmp_path / "bomb.npz")


def test_many_small_arrays_are_no_way_around_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manikin.io.images.npz.FREE_BYTES", 1_000_000)
    empty: dict[str, Any] = {f"a{i}": np.zeros((4, 200_000), dtype=np.uint8) for i in range(3)}
    np.savez_compressed(tmp_path / "a.npz", images=FILMS, a0=empty["a0"])
    assert len(open_npz(tmp_path / "a.npz")) == 2
    np.savez_compressed(tmp_path / "a.npz", images=FILMS, **empty)
    with pytest.raises(DataError, match="'a1' would take"):
        open_npz(tmp_path / "a.npz")


def test_a_long_header_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x02\x00" + (50 << 20).to_bytes(4, "little") + b" " * (50 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="no array of numpy"):
            open_npy(tmp_path / "a.npy")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    long = np.zeros(3, dtype=np.uint8)
    with (tmp_path / "b.npy").open("wb") as file:
        np.lib.format.write_array(file, long, version=(2, 0))
    assert (open_npy(tmp_path / "b.npy") == long).all()


ODD = ("()", "{}", "[()]", "'O'", "'<f99'", "('<f8', -1)", "[('a', 1, 2, 3)]", "'V99999999999'", "'é'", "(" * 200)


@pytest.mark.parametrize("descr", ODD)
def test_odd_headers_are_refused(tmp_path: Path, descr: str) -> None:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (3,)}}".encode("latin1")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(24))
    with pytest.raises(DataError):
        open_npy(tmp_path / "a.npy")


def test_what_stands_behind_an_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FILMS)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", (tmp_path / "a.npy").read_bytes() + bytes(1_000))
    with pytest.raises(DataError, match="longer than it declares"):
        open_npz(tmp_path / "a.npz")


def test_what_is_refused(tmp_path: Path) -> None:
    def refused(match: str, name: str = "a.npz", **arrays: Any) -> None:
        if arrays:
            np.savez(tmp_path / name, **arrays)
        with pytest.raises(DataError, match=match):
            read(tmp_path / name)

    refused("Python objects", images=np.array([{}, {}], dtype=object))
    refused("Python objects", images=FILMS, notes=np.array([{}] * 4, dtype=object))
    refused("has 3 rows beside 4 images", images=FILMS, age=np.arange(3))
    refused("no array of images", ages=np.arange(3))
    refused("3 arrays of images", a=FILMS, b=FILMS, c=FILMS)
    refused("holds no numbers", images=np.full((2, 2, 2), "x"))
    refused("without a number", images=np.full((2, 2, 2), np.nan))
    refused("no rows", images=np.zeros((0, 2, 2)))
    refused("no array 'val_images'", train_images=FILMS, val_labels=np.arange(2))
    (tmp_path / "a.npz").write_text("no archive")
    refused("damaged, encrypted or no")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': 1}    ")
    refused("no array of numpy")
    np.save(tmp_path / "a.npy", FILMS)
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-1])
    refused("cut short", "a.npy")
    refused("cannot be read", "absent.npz")


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    films = pictures(FILMS[:, None], site=["x"] * 4)
    with pytest.raises(DataError, match="no ending of arrays"):
        write(films, tmp_path / "a.csv")
    gap = films.take(np.arange(4))
    gap.table.images["file"].places[2] = -1
    with pytest.raises(DataError, match="Row 3, column 'file' has no image"):
        write(gap, tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())
    write(films, tmp_path / "a.npz")
    with pytest.raises(DataError, match="exists already"):
        write(films, tmp_path / "a.npz")
    first = (tmp_path / "a.npz").read_bytes()
    assert first == write(films, tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "b.npz") as archive:
        assert b"SYNTHETIC" in archive.comment
    write(films, tmp_path / "a.npy")
    assert (np.load(tmp_path / "a.npy") == FILMS).all()


def test_damaged_bytes_give_nothing_but_refusals(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    np.savez_compressed(tmp_path / "a.npz", images=FILMS, age=np.arange(4))
    np.save(tmp_path / "a.npy", FILMS)
    for name in ("a.npz", "a.npy"):
        raw = (tmp_path / name).read_bytes()
        for _ in range(60):
            damaged = bytearray(raw[: rng.integers(1, len(raw) + 1)])
            for place in rng.integers(0, len(damaged), rng.integers(0, 6)):
                damaged[place] = rng.integers(256)
            (tmp_path / name).write_bytes(bytes(damaged))
            try:
                read(tmp_path / name)
            except InputError:
                continue
