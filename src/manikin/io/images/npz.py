"""The members of an .npz archive as arrays, none of them trusted: headers first, sizes checked, nothing unpickled. Knows no images.

A member that was stored without packing is memory-mapped; a packed one is held in memory, up to a bound.
"""

from __future__ import annotations

import io
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import DataError

Array = npt.NDArray[Any]
MAX_BYTES = 4 << 30  # of one packed array in memory
MAX_EXPANSION = 200  # packed images shrink 2 to 50 times; a "bomb" 1,000 times
FREE_BYTES = 256 << 20  # below this a high ratio harms nobody
MAX_MEMBERS = 1_000
MAX_HEADER_BYTES = 10_000  # numpy's own bound, which it checks once it has read the header
LENGTHS = {(1, 0): "<H", (2, 0): "<I"}  # of a header, by its version
NO_HEADER = (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, EOFError, LookupError, AttributeError, OverflowError)
NO_PICKLE = "holds Python objects, which are never opened since they can run code. Save plain arrays of numbers or texts."


@dataclass
class Held:
    """What the arrays of one archive that are held in memory take, and what they take in the file of so many bytes."""

    file_bytes: int
    n_bytes: int = 0
    packed: int = 0

    def is_bomb(self, n_bytes: int, packed: int) -> bool:
        """Counts one more array, and says whether all are more than their bytes in the file can account for."""
        self.n_bytes, self.packed = self.n_bytes + n_bytes, self.packed + packed
        return self.n_bytes > FREE_BYTES and self.n_bytes > MAX_EXPANSION * max(min(self.packed, self.file_bytes), 1)


@dataclass(frozen=True)
class Member:
    """What the header of an array says."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    header_bytes: int

    @property
    def n_bytes(self) -> int:
        """Size of the array that is declared."""
        return math.prod(self.shape) * self.dtype.itemsize


def open_npy(path: Path) -> Array:
    """The array of an .npy file, memory-mapped.

    Raises
    ------
    DataError : it is no such file, cut short, or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            member = _header(file, path.name, path)
            size = path.stat().st_size
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Check its path and permissions.") from None
    if size < member.header_bytes + member.n_bytes:
        raise DataError(f"{path} is cut short: it declares {member.n_bytes:,} bytes of array. Copy it again.")
    return _mapped(path, member.header_bytes, member)


def open_npz(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file by name.

    Raises
    ------
    DataError : it is no such file, damaged, encrypted, beyond the bounds, or holds Python objects; the message names the array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise DataError(f"{path} holds {len(infos):,} arrays; more than {MAX_MEMBERS:,} are not read.")
            names = [info.filename for info in infos]
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise DataError(f"{path} holds two arrays called {_key(twice)!r}. Save it again.")
            held = Held(path.stat().st_size)
            return {_key(info.filename): _array(archive, info, path, held) for info in infos if info.filename.endswith(".npy")}
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or 'damaged'}. Check its path and permissions.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError, UnicodeError, MemoryError):
        raise DataError(f"{path} is damaged, encrypted or no .npz archive. Save it again with numpy.savez_compressed.") from None


def _key(filename: str) -> str:
    return filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, held: Held) -> Array:
    with archive.open(info) as file:
        member = _header(file, _key(info.filename), path)
        if member.n_bytes + member.header_bytes != info.file_size:
            raise DataError(f"{path}, array {member.name!r} is cut short, or longer than it declares. Save it again.")
        if info.compress_type == zipfile.ZIP_STORED and member.n_bytes > FREE_BYTES // 8:
            return _mapped(path, _data_start(path, info) + member.header_bytes, member)
        too_packed = member.n_bytes > FREE_BYTES and member.n_bytes > MAX_EXPANSION * max(info.compress_size, 1)
        if held.is_bomb(member.n_bytes, info.compress_size) or too_packed or member.n_bytes > MAX_BYTES:
            raise DataError(
                f"{path}, array {member.name!r} would take {member.n_bytes / 2**30:.1f} GiB of memory, "
                f"{held.n_bytes / 2**30:.1f} GiB with those before it. "
                "Save it without packing (numpy.savez), from which it is read piece by piece."
            )
        data = file.read(member.n_bytes)
        if len(data) != member.n_bytes:
            raise DataError(f"{path}, array {member.name!r} is cut short. Save it again.")
        _drain(file)
    flat = np.frombuffer(data, dtype=member.dtype)
    return flat.reshape(member.shape, order="F" if member.is_fortran else "C")


def _drain(file: IO[bytes]) -> None:
    """Reads to the member's end, where zipfile checks its sum."""
    while file.read(1 << 20):
        pass


def _header(file: IO[bytes], name: str, path: Path) -> Member:
    """The header of an array, read without the array; numpy checks that it is a literal."""
    form = np.lib.format
    try:
        version = form.read_magic(file)
        read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
        length = file.read(struct.calcsize(LENGTHS[version]))
        (n_bytes,) = struct.unpack(LENGTHS[version], length)
        if n_bytes > MAX_HEADER_BYTES:
            raise ValueError
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, is_fortran, dtype = read(io.BytesIO(length + file.read(n_bytes)))
    except (*NO_HEADER, struct.error, tokenize.TokenError, zlib.error, zipfile.BadZipFile):  # it is parsed as a literal
        raise DataError(f"{path}, array {name!r} is no array of numpy, or it is damaged. Save it again.") from None
    if dtype.hasobject:
        raise DataError(f"{path}, array {name!r} {NO_PICKLE}")
    if dtype.fields is not None or dtype.itemsize == 0 or any(side < 0 for side in shape):
        raise DataError(f"{path}, array {name!r} holds records, which are not read. Save an array for each.")
    return Member(name, tuple(int(side) for side in shape), dtype, bool(is_fortran), file.tell())


def _data_start(path: Path, info: zipfile.ZipInfo) -> int:
    """Where a member's bytes start in the file: behind its local header (APPNOTE 4.3.7)."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        local = file.read(30)
    if len(local) < 30 or local[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile
    return info.header_offset + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")


def _mapped(path: Path, start: int, member: Member) -> Array:
    if 0 in member.shape:
        return np.empty(member.shape, dtype=member.dtype)
    order: Any = "F" if member.is_fortran else "C"
    try:
        return np.memmap(path, dtype=member.dtype, mode="r", offset=start, shape=member.shape, order=order)
    except (ValueError, OSError):
        raise DataError(f"{path}, array {member.name!r} is cut short. Save it again.") from None
