"""One DICOM file, opened with distrust: what it declares is held against its size before anything is decoded. Knows no table.

Whatever pydicom and its decoders make of foreign bytes, nothing but `Unreadable` comes out.
"""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from manikin.data.errors import MissingExtraError
from manikin.io.images.dicom.encapsulated import refuse_other_size
from manikin.io.images.files import Unreadable, quiet

T = TypeVar("T")
MARK = b"DICM"
DEFLATED = "1.2.840.10008.1.2.1.99"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
DIRECTORY = "1.2.840.10008.1.3.10"
MAX_FILE_BYTES = 4 << 30
MAX_INFLATED_BYTES = 1 << 30
MAX_DECODED_BYTES = 1 << 30  # of all frames of a file that is not compressed, of one frame else
MAX_FRAMES = 20_000
MAX_SIDE = 65_535
MAX_EXPANSION = 2_000  # of compressed pixels: JPEG 2000 and RLE of an empty image reach several hundred


def dicom() -> Any:
    """The package pydicom.

    Raises
    ------
    MissingExtraError : it is not installed.
    """
    try:
        import pydicom
        import pydicom.encaps
        import pydicom.pixels
    except ModuleNotFoundError as error:
        raise MissingExtraError("DICOM needs the package 'pydicom'. Install it with: pip install 'manikin[images]'") from error
    return pydicom


@contextmanager
def distrusted(what: str = "is damaged or cut short") -> Iterator[None]:
    """Turns whatever a foreign file leads pydicom and its decoders to into Unreadable, and keeps their warnings back."""
    with quiet():
        try:
            yield
        except (Unreadable, MissingExtraError):
            raise
        except FileNotFoundError:
            raise Unreadable("is not there") from None
        except PermissionError:
            raise Unreadable("cannot be opened: no permission") from None
        except Exception:  # foreign bytes: any parser may raise anything
            raise Unreadable(what) from None


def opened(path: Path, *, with_pixels: bool = True) -> Any:
    """The data set of a file.

    Raises
    ------
    Unreadable : it is no DICOM file, damaged, or a directory of files (DICOMDIR).
    """
    pydicom = dicom()
    with distrusted():
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(132)
        if head[128:132] != MARK:
            raise Unreadable("is no DICOM file (it lacks the mark DICM)")
        if size > MAX_FILE_BYTES:
            raise Unreadable(f"is larger than {MAX_FILE_BYTES >> 30} GiB")
        meta = pydicom.filereader.read_file_meta_info(path)
        syntax = str(meta.get("TransferSyntaxUID", ""))
        if str(meta.get("MediaStorageSOPClassUID", "")) == DIRECTORY:
            raise Unreadable("is a directory of files (DICOMDIR), which is not needed: the files themselves are read")
        if syntax == DEFLATED:
            _refuse_inflated(path)
        data = pydicom.dcmread(path, stop_before_pixels=not with_pixels)
        if not len(data):
            raise Unreadable("holds nothing behind its head")
        return data


def _refuse_inflated(path: Path) -> None:
    """Refuses a deflated file that grows beyond the bound; it is inflated in pieces that are thrown away.

    Where the packed part starts is found by the two private functions by which pydicom finds it, in its order: it heeds neither the group
    length that a file declares nor a mark elsewhere, and what is weighed here must be what it unpacks.
    """
    reader = dicom().filereader
    with path.open("rb") as file:
        file.seek(132)
        reader._read_file_meta_info(file)
        reader._read_command_set_elements(file)
        rest = file.read()
    stream, total = zlib.decompressobj(wbits=-15), 0
    while rest and not stream.eof:
        total += len(stream.decompress(rest, 16 << 20))
        rest = stream.unconsumed_tail
        if total > MAX_INFLATED_BYTES:
            raise Unreadable(f"would unpack to more than {MAX_INFLATED_BYTES >> 30} GiB")


def value(data: Any, keyword: str, of: Callable[[Any], T], default: T | None = None) -> T | None:
    """An element as a type; the default where it is absent, empty or not of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = data.get(keyword)
            return default if found is None or found == "" else of(found)
    except Exception:  # a wrong VR or value: pydicom converts on access
        return default


def refuse_no_image(data: Any) -> None:
    """Refuses a file without pixels, by its header."""
    sop = str(value(data, "SOPClassUID", str, ""))
    if sop == SEGMENTATION:
        raise Unreadable("is a segmentation of other images")
    rows, columns = value(data, "Rows", int), value(data, "Columns", int)
    if rows is None and columns is None:
        modality = value(data, "Modality", str) or ""
        raise Unreadable(f"holds no image ({modality if re.fullmatch('[A-Z]{2,16}', modality) else 'modality unknown'})")
    if not rows or not columns or not 0 < rows <= MAX_SIDE or not 0 < columns <= MAX_SIDE:
        raise Unreadable("does not say how many rows and columns its image has")
    if value(data, "SamplesPerPixel", int, 1) not in (1, 3):
        raise Unreadable("has neither 1 nor 3 samples a pixel")
    if value(data, "BitsAllocated", int) not in (1, 8, 16, 32):
        raise Unreadable("does not say how many bits a pixel has (8, 16 or 32)")
    if not 1 <= n_frames(data) <= MAX_FRAMES:
        raise Unreadable(f"declares a number of frames that is not 1 to {MAX_FRAMES:,}")


def n_frames(data: Any) -> int:
    """The number of frames that a header declares; 0 where it cannot be read."""
    found = value(data, "NumberOfFrames", int, 0) if "NumberOfFrames" in data else 1
    return found or 0


def refuse_bomb(data: Any, path: Path) -> None:
    """Refuses pixels that are not there, or that would take more memory than the file can account for."""
    element = data.get("PixelData", None)
    if element is None:
        raise Unreadable("holds no pixels")
    if not isinstance(element, bytes | bytearray):
        raise Unreadable("holds its pixels in a wrong way (VR)")
    frame = frame_bytes(data)
    frames = n_frames(data)
    is_packed = bool(data.file_meta.TransferSyntaxUID.is_encapsulated)
    if not is_packed:
        bits = value(data, "BitsAllocated", int, 8) or 8
        needed = frame * frames if bits >= 8 else frame * frames // 8
        if str(value(data, "PhotometricInterpretation", str, "")).startswith("YBR_FULL_422"):
            needed = needed * 2 // 3
        if len(element) < needed:
            raise Unreadable(f"declares {needed:,} bytes of pixels and holds {len(element):,}")
        if needed > MAX_DECODED_BYTES:
            raise Unreadable(f"declares more than {MAX_DECODED_BYTES >> 30} GiB of pixels")
        return
    size = max(path.stat().st_size, 1)
    if frame > MAX_DECODED_BYTES or (frame * frames > 64 << 20 and frame * frames > MAX_EXPANSION * size):
        raise Unreadable(f"declares {frame * frames:,} bytes of pixels in a file of {size:,}")
    refuse_other_size(data, bytes(element), frames, (value(data, "Columns", int), value(data, "Rows", int)))


def frame_bytes(data: Any) -> int:
    """Bytes of one frame as its header declares it."""
    bits = max(value(data, "BitsAllocated", int, 8) or 8, 8)
    sides = (value(data, "Rows", int, 0) or 0) * (value(data, "Columns", int, 0) or 0)
    return sides * (value(data, "SamplesPerPixel", int, 1) or 1) * bits // 8
