"""The DICOM file that was opened last, kept for its next frame: frames read in order open and unpack each file once. Decodes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manikin.io.images.dicom.encapsulated import index_frames
from manikin.io.images.dicom.files import n_frames, opened, refuse_bomb, refuse_no_image

MOST_BYTES = 1 << 30  # of a file that is kept; a larger one is opened for each of its frames


class KeptFile:
    """One file at a time, known by its path, size and time of change; only those of several frames stay."""

    def __init__(self, *, max_bytes: int = MOST_BYTES) -> None:
        self._max_bytes = max_bytes
        self._known: tuple[Path, int, int] | None = None
        self._data: Any = None

    def opened(self, path: Path) -> Any:
        """The data set of a file that may be decoded.

        Raises
        ------
        Unreadable : it is damaged, holds no image, or would take more memory than it can account for.
        """
        try:
            status = path.stat()
            known = path, status.st_size, status.st_mtime_ns
        except OSError:
            known = None  # opening it says why
        if known is not None and known == self._known:
            return self._data
        self._known = self._data = None  # before the next one is in memory
        data = opened(path)
        refuse_no_image(data)
        refuse_bomb(data, path)
        frames = n_frames(data)
        if known is not None and frames > 1 and known[1] <= self._max_bytes:
            index_frames(data, frames)
            self._known, self._data = known, data
        return data
