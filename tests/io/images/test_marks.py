"""What a file says of itself: a synthetic image says so in every format, one of a patient does not, nor does a damaged file."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, TableSchema
from manikin.io.images.marks import says_synthetic
from manikin.io.images.provenance import Origin
from manikin.release.labels import read_mark

NEEDED = {"png": "PIL", "npz": "numpy", "dicom": "pydicom", "nifti": "nibabel"}


def films() -> Dataset:
    pixels = np.arange(2 * 64, dtype=np.uint8).reshape(2, 1, 8, 8)
    frame = pd.DataFrame({"file": pd.Series(["a", "b"], dtype=object), "age": [61.0, 50.0]})
    form = ImageForm(1, (8, 8), 0.0, 255.0, modality="CR")
    columns = (Column("file", Kind.IMAGE, image=form), Column("age", Kind.CONTINUOUS))
    return flat(Table(frame, images={"file": Images.of_array(pixels)}), TableSchema("films", columns))


def written(kind: str, folder: Path, origin: Origin) -> list[Path]:
    """The images' files as one format writes them."""
    pytest.importorskip(NEEDED[kind])
    from manikin.io.images import arrays, dicom, nifti, pictures

    module = {"png": pictures, "npz": arrays, "dicom": dicom, "nifti": nifti}[kind]
    target = folder / ("films.npz" if kind == "npz" else "films")
    module.write(films(), target, origin=origin)
    return [target] if kind == "npz" else sorted(path for path in target.rglob("*") if path.is_file() and path.suffix != ".csv")


@pytest.mark.parametrize("kind", list(NEEDED))
@pytest.mark.parametrize("origin", list(Origin))
def test_only_what_shows_no_patient_is_labelled_synthetic(kind: str, origin: Origin, tmp_path: Path) -> None:
    files = written(kind, tmp_path, origin)
    assert files
    assert {read_mark(file).is_synthetic for file in files} == {origin is Origin.SYNTHETIC}


def test_a_translated_image_is_no_synthetic_one_after_deidentification_either(tmp_path: Path) -> None:
    from manikin.io.images.deid import deidentify
    from manikin.io.images.deid.secret import Secret

    written("dicom", tmp_path, Origin.TRANSLATED)
    deidentify(tmp_path / "films", tmp_path / "out", Secret(b"k" * 32))
    files = sorted((tmp_path / "out").rglob("*.dcm"))
    assert files
    assert not any(read_mark(file).is_synthetic for file in files)


def test_a_file_that_is_damaged_does_not_say_so(tmp_path: Path) -> None:
    volume = bytearray(gzip.compress(bytes(range(256)) * 8))
    volume[10:40] = b"\xff" * 30
    (tmp_path / "a.nii.gz").write_bytes(volume)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("images.npy", b"0")
    content = bytearray(packed.getvalue())
    content[content.find(b"PK\x01\x02") + 6] = 99  # the version that is needed to read it
    (tmp_path / "a.npz").write_bytes(content)
    assert not says_synthetic(tmp_path / "a.nii.gz")
    assert not says_synthetic(tmp_path / "a.npz")
