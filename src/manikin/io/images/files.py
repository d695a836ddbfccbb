"""The files of a folder of images, each looked at before it is trusted, and those that are passed over. Opens none.

A file that cannot be used never spoils the others: it is passed over with its reason, and told.
"""

from __future__ import annotations

import logging
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from manikin.data.errors import DataError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dib")
LABELS = "labels.csv"
SCHEMA_FILE = "schema.toml"
OWN = (LABELS, SCHEMA_FILE)
SHOWN = 5  # files that a sentence names
MAX_DEPTH = 32  # of folders in folders


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what packages say of foreign files by warnings and loggers: what matters is told in the notes."""
    loggers = [logging.getLogger(name) for name in ("nibabel.global", "PIL", "pydicom")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class Unreadable(Exception):  # noqa: N818 - said of a file
    """A file cannot be used; the text goes on from its name: "is damaged or cut short"."""


@dataclass(frozen=True)
class Skipped:
    """A file that was passed over, and why, in words that go on from its name."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} {self.reason}"


def walk(folder: Path) -> tuple[list[str], list[Skipped]]:
    """The regular files of a folder and of those in it, as relative paths with "/", sorted; hidden ones are left out.

    Links to folders are not followed, and a file that lies outside of the folder is passed over.

    Raises
    ------
    DataError : there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}. Check the path.")
    root = folder.resolve()
    found: list[str] = []
    skipped: list[Skipped] = []
    for name in _names(folder, "", 0, skipped):
        reason = stray(root, folder / name)
        if reason is None:
            found.append(name)
        else:
            skipped.append(Skipped(name, reason))
    return sorted(found), skipped


def _names(folder: Path, under: str, depth: int, skipped: list[Skipped]) -> Iterator[str]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        skipped.append(Skipped(under or folder.name, f"cannot be opened ({error.strerror})"))
        return
    for entry in entries:
        name = f"{under}{entry.name}"
        if entry.name.startswith(".") or entry.name == "Thumbs.db":
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth < MAX_DEPTH:
                yield from _names(folder / entry.name, f"{name}/", depth + 1, skipped)
            else:
                skipped.append(Skipped(name, "lies too deep in folders"))
        elif entry.is_dir():
            skipped.append(Skipped(name, "is a link to a folder, which is not followed"))
        else:
            yield name


def stray(root: Path, path: Path) -> str | None:
    """Why a path is no regular file inside a folder (resolved); None where it is one."""
    try:
        real = path.resolve(strict=True)
        mode = real.stat().st_mode
    except (OSError, ValueError, RuntimeError):
        return "is not there"
    if not real.is_relative_to(root):
        return "lies outside of the folder"
    return None if stat.S_ISREG(mode) else "is no regular file"


def safe_name(cell: str) -> str | None:
    """A cell of labels.csv as a relative path with "/" that stays in its folder; None where it does not.

    >>> safe_name("normal\\\\1.png"), safe_name("../1.png"), safe_name("/etc/passwd")
    ('normal/1.png', None, None)
    """
    text = cell.strip().replace("\\", "/")
    path = PurePosixPath(text)
    if not text or "\0" in text or path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0]:
        return None
    return path.as_posix() if path.parts else None


def ending(name: str) -> str:
    """The lower-case ending of a file's name; of a packed one both: ".nii.gz"."""
    path = PurePosixPath(name.lower())
    return "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix


def told(skipped: Sequence[Skipped], n_files: int) -> tuple[str, ...]:
    """What was passed over as a sentence for the schema; none where nothing was."""
    if not skipped:
        return ()
    shown = "; ".join(str(one) for one in skipped[:SHOWN]) + ("; …" if len(skipped) > SHOWN else "")
    return (f"{len(skipped):,} of {n_files + len(skipped):,} files were passed over: {shown}.",)


def refuse_skipped(skipped: Sequence[Skipped], where: Path) -> None:
    """Refuses a folder of which files were passed over, for those who asked for all or none.

    Raises
    ------
    DataError : the message names the first files, each with its reason.
    """
    if skipped:
        shown = "; ".join(str(one) for one in skipped[:SHOWN]) + ("; …" if len(skipped) > SHOWN else "")
        raise DataError(f"{len(skipped):,} files in {where} cannot be used: {shown}. Mend or remove them, or read without `strict`.")


def refuse_none(skipped: Sequence[Skipped], where: Path, what: str) -> DataError:
    """The refusal of a place where no image is left."""
    if not skipped:
        return DataError(f"{where} holds no {what}. Check the path.")
    others = f" (and {len(skipped) - 1} more)" if len(skipped) > 1 else ""
    return DataError(f"{where} holds no {what} that can be used: {skipped[0]}{others}. Mend the files, or check the path.")
