"""NIfTI: the real volumes of nibabel, orientation and spacing, time, round trips, and files that cannot be used."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from image_folders import pictures, pixels_of

import manikin as mk
from manikin.data.errors import DataError, InputError
from manikin.io.formats import format_of
from manikin.io.images.nifti import look, read, write

nib = pytest.importorskip("nibabel")
FILES = Path(nib.__file__).parent / "tests" / "data"  # those that the package ships


def save(path: Path, voxels: Any, affine: Any = None, **header: Any) -> Path:
    image = nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


def test_real_volumes_lie_as_radiologists_look_at_them() -> None:
    data = mk.read(FILES / "anatomical.nii")
    volume = data.table.images["file"].image(0)
    form = data.columns["file"].image
    assert form is not None
    assert (form.size, form.spacing, form.is_whole) == ((25, 41, 33), (2, 2, 2), True)
    image = nib.as_closest_canonical(nib.load(FILES / "anatomical.nii"))
    assert (volume[0, 3, 40 - 5, 32 - 7] == image.dataobj[7, 5, 3]).all()


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
def test_every_orientation_gives_one_volume(tmp_path: Path, codes: str) -> None:
    voxels = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    image = nib.Nifti1Image(voxels, np.diag([3.0, 2.0, 1.0, 1.0]))
    turned = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes))
    nib.save(image.as_reoriented(turned), tmp_path / "a.nii")
    data = read(tmp_path / "a.nii")
    form = data.columns["file"].image
    assert form is not None
    assert form.spacing == (1, 2, 3)
    assert (data.table.images["file"].image(0)[0] == voxels[::-1, ::-1].transpose(2, 1, 0)).all()


def test_time_is_dropped_or_split_and_said(tmp_path: Path) -> None:
    first = read(FILES / "example4d.nii.gz")
    assert any("first volume is read" in note for note in first.columns.notes)
    split = read(FILES / "functional.nii", split_time=True)
    assert split.table.frame["file"].tolist() == [f"functional.nii#{i}" for i in range(1, 21)]
    alone = read(FILES / "functional.nii")
    assert (alone.table.images["file"].image(0) == split.table.images["file"].image(0)).all()
    assert not (split.table.images["file"].image(1) == split.table.images["file"].image(0)).all()


def test_a_folder_with_labels_and_pairs(tmp_path: Path) -> None:
    voxels = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7
    for name in ("mr1.nii.gz", "ct1.nii"):
        save(tmp_path / name, voxels)
    (tmp_path / "labels.csv").write_text("mr,ct,age\nmr1.nii.gz,ct1.nii,61\nmr1.nii.gz,,47\n")
    data = mk.read(tmp_path)
    assert format_of(tmp_path) == "nifti"
    assert [column.name for column in data.columns.images] == ["mr", "ct"]
    assert data.table.images["ct"].present.tolist() == [True, False]
    back = read(write(data, tmp_path / "out"))
    assert (back.table.images["mr"].image(1) == data.table.images["mr"].image(1)).all()


def test_voxels_without_a_number_are_nought_and_told(tmp_path: Path) -> None:
    voxels = np.ones((2, 2, 2), dtype=np.float32)
    voxels[0, 0, 0] = np.nan
    data = read(save(tmp_path / "a.nii", voxels))
    assert data.table.images["file"].image(0).sum() == 7
    assert any("NaN" in note for note in data.columns.notes)


@settings(max_examples=10, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_is_written_is_read_back(tmp_path: Path, data: Any) -> None:
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16, np.int16, np.float32]))
    size = data.draw(st.sampled_from([(1, 1), (3, 2), (4, 3, 2), (1, 3, 2)]))
    channels = data.draw(st.sampled_from([1, 3] if dtype is np.uint8 else [1]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    pixels = (rng.normal(0, 60, (2, channels, *size)) if dtype is np.float32 else rng.integers(0, 200, (2, channels, *size))).astype(dtype)
    films = pictures(pixels, site=["a"] * 2)
    back = read(write(films, tmp_path / "out", force=True), schema=films.schema)
    assert all((one == truth).all() for one, truth in zip(pixels_of(back), pixels, strict=True))


def test_written_headers_say_what_they_are(tmp_path: Path) -> None:
    films = pictures(np.zeros((1, 1, 2, 3, 4), dtype=np.uint8), site=["a"])
    one = nib.load(write(films, tmp_path / "out") / "case" / "0.nii.gz")
    assert bytes(one.header["descrip"].item()).startswith(b"SYNTHETIC")
    assert (int(one.header["qform_code"]), int(one.header["sform_code"])) == (1, 1)
    assert one.header.get_xyzt_units()[0] == "mm"
    assert nib.aff2axcodes(one.affine) == ("R", "A", "S")


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    good = save(tmp_path / "good.nii", np.ones((2, 2, 2), dtype=np.uint8))
    (tmp_path / "cut.nii").write_bytes(good.read_bytes()[:-3])
    (tmp_path / "text.nii").write_text("hello")
    (tmp_path / "torn.nii.gz").write_bytes(gzip.compress(good.read_bytes())[:60])
    save(tmp_path / "odd.nii", np.ones((2, 2, 2, 2, 3), dtype=np.uint8))
    save(tmp_path / "waves.nii", np.ones((2, 2, 2), dtype=np.complex64))
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(_declared(good.read_bytes(), 700)))
    (tmp_path / "huge.nii.gz").write_bytes(gzip.compress(_declared(good.read_bytes(), 32_000)))
    found = look(tmp_path)
    assert found.data.table.frame["file"].tolist() == ["good.nii"]
    reasons = {one.file: one.reason for one in found.skipped}
    for name, reason in {
        "cut.nii": "declares 8 bytes of voxels and holds 5",
        "text.nii": "no NIfTI",
        "torn.nii.gz": "damaged",
        "odd.nii": "no volume",
        "waves.nii": "no numbers",
        "bomb.nii.gz": "in a file of",
        "huge.nii.gz": "more than",
    }.items():
        assert reason in reasons[name], (name, reasons[name])
    with pytest.raises(DataError, match="cannot be used"):
        read(tmp_path, strict=True)


def _declared(raw: bytes, side: int) -> bytes:
    """A file that declares a cube of so many voxels a side."""
    return raw[:42] + side.to_bytes(2, "little") * 3 + raw[48:]


def test_damaged_bytes_give_nothing_but_refusals(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    for name in ("standard.nii.gz", "functional.nii", "example_nifti2.nii.gz"):
        raw = (FILES / name).read_bytes()
        target = tmp_path / f"a{'.nii.gz' if name.endswith('gz') else '.nii'}"
        for _ in range(20):
            damaged = bytearray(raw[: rng.integers(len(raw) // 2, len(raw) + 1)])
            for place in rng.integers(0, min(len(damaged), 400), rng.integers(0, 6)):
                damaged[place] = rng.integers(256)
            target.write_bytes(bytes(damaged))
            try:
                read(target)
            except InputError:
                continue
