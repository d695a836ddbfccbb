"""Packed frames of a DICOM file: where each lies, and the size that its codestream declares, which decoders believe. Decodes nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from manikin.io.images.files import Unreadable

J2K = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")  # baseline to lossless
SIZED = {*J2K, *JPEG_LS, *JPEG}
STARTS_OF_FRAME = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # of JPEG (ISO 10918-1, table B.1) and JPEG-LS (ISO 14495-1, C.2.2)
ALONE = {0x01, *range(0xD0, 0xDA)}  # markers without a length (ISO 10918-1, B.1.1.3)


def refuse_other_size(data: Any, pixels: bytes, frames: int, size: tuple[int | None, int | None]) -> None:
    """Refuses a codestream that declares other (columns, rows) than the header: its decoder would believe it, and make room for them."""
    syntax = str(data.file_meta.TransferSyntaxUID)
    if syntax not in SIZED:
        return
    from pydicom.encaps import generate_frames

    declared = _j2k_size if syntax in J2K else _jpeg_size
    for frame in generate_frames(pixels, number_of_frames=frames):
        if declared(frame) != size:
            raise Unreadable("has pixels of another size than its header says")


def _j2k_size(frame: bytes) -> tuple[int, int]:
    """Columns and rows of a JPEG 2000 codestream (ISO 15444-1, A.5.1)."""
    at = frame.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(frame) < at + 24:
        raise Unreadable("is cut short")
    wide, high, left, top = struct.unpack(">4I", frame[at + 8 : at + 24])
    return wide - left, high - top


def _jpeg_size(frame: bytes) -> tuple[int, int]:
    """Columns and rows of a JPEG or JPEG-LS codestream; a second declaration is refused, whichever its decoder takes."""
    found = [frame[at + 5 : at + 10] for marker, at in _segments(frame) if marker in STARTS_OF_FRAME]
    if len(found) != 1 or len(found[0]) < 5:
        raise Unreadable("is cut short")
    high, wide, samples = struct.unpack(">2HB", found[0])
    if samples not in (1, 3):
        raise Unreadable("has neither 1 nor 3 samples a pixel")
    return wide, high


def _segments(frame: bytes) -> Iterator[tuple[int, int]]:
    """Markers behind the start of a JPEG image and where each lies, up to the first scan (ISO 10918-1, B.1.1)."""
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # filled up
            at += 1
            continue
        if marker in ALONE:  # behind it decoders read what would be passed over here as a segment
            raise Unreadable("is damaged: a marker stands where none may be")
        yield marker, at
        if marker == 0xDA:
            return
        at += 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]


def index_frames(data: Any, frames: int) -> None:
    """Notes where each packed frame lies, so that finding one does not walk through all before it.

    Only where the file has no table of its own and each frame is one piece; any other is found as it was.
    """
    syntax = data.file_meta.TransferSyntaxUID
    if frames < 2 or not syntax.is_encapsulated or "ExtendedOffsetTable" in data:
        return
    from pydicom.encaps import parse_fragments

    pixels = bytes(data.PixelData)
    first = 8 + struct.unpack("<L", pixels[4:8])[0]  # behind the basic offset table, whose item comes first
    if first > 8:
        return
    n_found, offsets = parse_fragments(pixels[first:])
    if n_found == frames:
        lengths = [struct.unpack("<L", pixels[first + at + 4 : first + at + 8])[0] for at in offsets]
        data.ExtendedOffsetTable = struct.pack(f"<{frames}Q", *offsets)
        data.ExtendedOffsetTableLengths = struct.pack(f"<{frames}Q", *lengths)
