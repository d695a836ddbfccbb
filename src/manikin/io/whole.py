"""A folder of tables that appears whole or not at all: filled beside its place, renamed at the end. Knows no format.

What is there is replaced only when that is asked for, and only when nothing else than tables of the same format lies in it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from manikin.data.errors import DataError


@contextmanager
def whole_folder(target: str | os.PathLike[str], *, force: bool, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Gives an empty folder to fill, which takes the name of `target` when all went well and goes otherwise.

    Parameters
    ----------
    force : whether a folder that is there may be replaced.
    is_ours : whether an entry of that folder is one that this format writes; a folder with any other is never replaced.

    Raises
    ------
    DataError : the target is taken, is a file, or its parent is not there.
    """
    path = Path(os.path.abspath(target))
    check_place(path, force=force, is_ours=is_ours)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    beside.mkdir()
    try:
        yield beside
        old = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old") if path.exists() else None
        if old is not None:
            os.rename(path, old)
        try:
            os.rename(beside, path)
        except OSError:
            if old is not None:
                os.rename(old, path)
            raise
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_place(path: Path, *, force: bool, is_ours: Callable[[Path], bool]) -> None:
    """Refuses a target that is taken, or that is not ours to replace.

    Raises
    ------
    DataError : with the reason.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise DataError(f"{path} is a file or a link; the tables need a folder of their own. Choose another name.")
    if not path.parent.is_dir():
        raise DataError(f"There is no folder {path.parent}. Make it first, or choose another.")
    entries = sorted(path.iterdir()) if path.is_dir() else []
    if entries and not force:
        raise DataError(f"{path} exists already. Choose another name, or replace it with --force.")
    strangers = [entry.name for entry in entries if not is_ours(entry)]
    if strangers:
        raise DataError(f"{path} also holds {strangers[0]!r}, which is none of its tables, so it is not replaced. Choose another name.")
