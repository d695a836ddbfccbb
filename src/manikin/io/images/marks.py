"""Does a file of an image say, inside itself, that it is synthetic? Looks at headers and texts, and decodes no pixel."""

from __future__ import annotations

import gzip
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from manikin.io.images.files import PICTURES, ending, quiet
from manikin.io.images.provenance import SYNTHETIC, Origin
from manikin.io.images.recognition import DICOM, NIFTI

MAX_COMMENT = 1 << 16
NIFTI_HEADER = 540  # bytes of the longer of its two headers (NIfTI-2)
NIFTI_TEXT = {348: slice(148, 228), 540: slice(240, 320)}  # where `descrip` lies in each
IMAGE_DESCRIPTION = 270  # tag of a TIFF


def is_known(name: str) -> bool:
    """Whether files of this name have a place where it can be said."""
    return _reader(name) is not None


def says_synthetic(path: Path) -> bool:
    """Whether the file says so; a file that cannot be read does not.

    Raises
    ------
    MissingExtraError : the package that reads its header is not installed.
    """
    read = _reader(path.name)
    return read is not None and read(path)


def _reader(name: str) -> Callable[[Path], bool] | None:
    end = ending(name)
    return next((read for endings, read in READERS.items() if end in endings), None)


def _picture(path: Path) -> bool:
    from manikin.io.images.pillow import pillow

    image_module = pillow()
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with image_module.open(path) as image:
                texts = [image.info.get("Description")]
                texts += [getattr(image, "tag_v2", {}).get(IMAGE_DESCRIPTION)]
                return SYNTHETIC in texts
        except Exception:  # foreign bytes: pillow raises whatever a damaged file leads it to
            return False


def _arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return SYNTHETIC.encode() in archive.comment[:MAX_COMMENT]
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile):  # NotImplementedError among them: a zip of another version
        return False


def _nifti(path: Path) -> bool:
    try:
        with path.open("rb") as packed, gzip.GzipFile(fileobj=packed) if path.name.lower().endswith(".gz") else packed as file:
            header = file.read(NIFTI_HEADER)
    except (OSError, EOFError, ValueError, zlib.error):
        return False
    size = next((size for size in NIFTI_TEXT if header[:4] in (size.to_bytes(4, "little"), size.to_bytes(4, "big"))), None)
    return size is not None and header[NIFTI_TEXT[size]].startswith(b"SYNTHETIC")


def _dicom(path: Path) -> bool:
    """Synthetic Data (0008,001C) is YES of a translated image too: what it shows was not measured, but it shows somebody."""
    from manikin.io.images.dicom.files import dicom

    package = dicom()
    with quiet():
        try:
            said = package.dcmread(path, stop_before_pixels=True, specific_tags=["SyntheticData", "SeriesDescription"])
            return bool(said.get("SyntheticData") == "YES" and said.get("SeriesDescription") != Origin.TRANSLATED.upper())
        except Exception:  # foreign bytes: pydicom raises whatever a damaged file leads it to
            return False


READERS: Mapping[tuple[str, ...], Callable[[Path], bool]] = {
    PICTURES: _picture,
    (".npz",): _arrays,
    NIFTI: _nifti,
    DICOM: _dicom,
}
