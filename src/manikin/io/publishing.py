"""Folders that appear when they are whole: built beside their place under a hidden name, then renamed. Knows no format."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from manikin.data.errors import DataError

FILE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".nii", ".gz")  # that no folder of images is called by


def beside(folder: Path) -> Path:
    """A hidden name beside a folder's place, under which it is built."""
    whole = Path(os.path.abspath(folder))
    return whole.with_name(f".{whole.name}.{secrets.token_hex(4)}.part")


def refuse_taken(folder: Path, is_ours: Callable[[Path], bool], what: str, *, force: bool) -> None:
    """Refuses a place that is taken, or that cannot be written to; what is replaced holds files of ours and nothing else.

    Parameters
    ----------
    is_ours : whether a file of the folder may be replaced. what : what is written, in words.

    Raises
    ------
    DataError : no parent folder, a file or a link, a folder that is not empty and `force` is not set or a file in it is not ours.
    """
    if not Path(os.path.abspath(folder)).parent.is_dir():
        raise DataError(f"There is no folder {folder.parent}. Make it first, or choose another.")
    refuse_replacing(folder, is_ours, what, force=force)


def refuse_replacing(folder: Path, is_ours: Callable[[Path], bool], what: str, *, force: bool) -> None:
    """As `refuse_taken`, where folders above are made when it comes to writing.

    Raises
    ------
    DataError : a file or a link, a folder that is not empty and `force` is not set or a file in it is not ours.
    """
    if folder.suffix.lower() in FILE_ENDINGS:
        raise DataError(f"{what[0].upper()}{what[1:]} are written as a folder; {folder.name} is called like a file. Take its ending away.")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DataError(f"{folder} is a file or a link; {what} need a folder. Choose another name.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not force:
        raise DataError(f"{folder} exists already. Choose another name, or replace it with --force.")
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or is_ours(path)):
            raise DataError(f"{folder} holds {path.name}, which is none of these {what}; it is not replaced. Choose another name.")


def publish(built: Path, folder: Path) -> None:
    """Renames the finished folder into its place; what stood there goes when that is done."""
    old = None
    if folder.exists():
        old = built.with_name(f"{built.name}.old")
        os.rename(folder, old)
    try:
        os.rename(built, folder)
    except OSError:
        if old is not None:
            os.rename(old, folder)
        raise
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
