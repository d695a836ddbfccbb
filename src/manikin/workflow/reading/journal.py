"""Lines of JSON that are on the disk before they are acknowledged, only ever appended. Knows nothing of what they say."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manikin.data.errors import DataError, InputError


class Journal:
    """An append-only file of JSON lines, held by one process.

    A line that a crash cut off is the last one; it was never acknowledged, and is taken away when the file is opened again.

    Parameters
    ----------
    path : the file; made where there is none.

    Raises
    ------
    InputError : another process has it open. DataError : a line in the middle cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _lock(handle, path)
            self.lines = _read(handle, path)
            _sync_folder(path.parent)
        except BaseException:
            os.close(handle)
            raise
        self._handle: int | None = handle

    def append(self, line: Mapping[str, Any]) -> None:
        """Writes a line and waits until the disk has it."""
        handle = self._handle
        if handle is None:
            raise InputError(f"{self.path} is closed. Open it again.")
        data = (json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n").encode()
        end = os.fstat(handle).st_size
        try:
            if os.write(handle, data) != len(data):
                raise OSError("a part only")
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, end)  # no half line before the next one
            raise
        self.lines.append(dict(line))

    def close(self) -> None:
        """Lets others open it; may be called again."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a journal, also while another process writes it; none where there is no file.

    Raises
    ------
    DataError : a line in the middle cannot be read.
    """
    if not path.is_file():
        return []
    return _parsed(path.read_bytes(), path)[0]


def _read(handle: int, path: Path) -> list[dict[str, Any]]:
    data = b""
    os.lseek(handle, 0, os.SEEK_SET)
    while chunk := os.read(handle, 1 << 20):
        data += chunk
    lines, whole = _parsed(data, path)
    if whole < len(data):
        os.ftruncate(handle, whole)
        os.fsync(handle)
    return lines


def _parsed(data: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines, and how many bytes of whole lines there are."""
    whole = data.rfind(b"\n") + 1
    lines = []
    for number, text in enumerate(data[:whole].splitlines(), start=1):
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict):
            raise DataError(f"{path} is damaged: line {number} is no JSON of Manikin. Take the line out, or restore the file.")
        lines.append(line)
    return lines, whole


def _lock(handle: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows has no such lock; answers are single appended lines there as well
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise InputError(f"{path.parent} is open in another process. Use its page, or stop it first.") from None


def _sync_folder(folder: Path) -> None:
    """Makes sure that the file's name is on the disk, too."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
