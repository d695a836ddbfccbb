"""What a receiver checks who has only the folder and the public key: signature, every hash, no file more or less, the date. Knows no table.

A folder is hostile until it is checked: no link is followed, no name of the statement is used as a path before it was found in the folder,
sizes are compared before bytes are read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manikin.data.errors import GateError, ParameterError
from manikin.release.manifest import hash_file
from manikin.release.signing import Statement, fingerprint, opened

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ENVELOPE = "release.dsse.json"
MAX_ENVELOPE_BYTES = 64 << 20
MAX_FILES = 100_000


@dataclass(frozen=True)
class Received:
    """A release that was found whole and signed: its files, the key's fingerprint, and what was signed about it."""

    files: tuple[str, ...]
    key: str
    predicate: Mapping[str, Any]


def verify(folder: Path, key: Ed25519PublicKey, *, today: date | None = None) -> Received:
    """Checks a release folder.

    Raises
    ------
    ParameterError : there is no such folder.
    GateError : it is not what was signed, or has expired; the message names the file.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ParameterError(f"There is no release folder at {folder}. Give the folder that holds {ENVELOPE}.")
    found = _files(folder)
    if ENVELOPE not in found:
        raise GateError(f"{folder} has no {ENVELOPE}, so nothing in it is signed. Fetch the release again from its publisher.")
    if found[ENVELOPE] > MAX_ENVELOPE_BYTES:
        raise GateError(f"{ENVELOPE} is far larger than a signature. Trust nothing in this folder.")
    statement = opened((folder / ENVELOPE).read_bytes(), key, ENVELOPE)
    _compare(folder, found, statement)
    _check_date(statement, today or date.today())
    return Received(tuple(sorted(found)), fingerprint(key), statement.predicate)


def _files(folder: Path) -> dict[str, int]:
    """Names and sizes of all files below a folder; whatever is neither a plain file nor a plain folder is refused."""
    found: dict[str, int] = {}
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        with os.scandir(place) as listing:
            entries = list(islice(listing, MAX_FILES + 1))
        for entry in entries:
            mode = entry.stat(follow_symlinks=False).st_mode
            name = Path(entry.path).relative_to(folder).as_posix()
            if stat.S_ISDIR(mode):
                waiting.append(Path(entry.path))
            elif stat.S_ISREG(mode):
                found[name] = entry.stat(follow_symlinks=False).st_size
            else:
                raise GateError(f"{name!r} is a link or a device and no plain file. Trust nothing in this folder.")
            if len(found) + len(waiting) > MAX_FILES:
                raise GateError(f"{folder} holds more than {MAX_FILES:,} files, more than any release. Trust nothing in this folder.")
    return found


def _compare(folder: Path, found: Mapping[str, int], statement: Statement) -> None:
    signed = {subject.name: subject for subject in statement.subject}
    if len(signed) < len(statement.subject):
        raise GateError("The signed statement names a file twice. Trust nothing in this folder.")
    outside = [name for name in signed if not _is_inside(name)]
    if outside:
        raise GateError("The signed statement names a file outside the folder. Trust nothing in this folder.")
    for name in sorted(set(signed) - set(found)):
        raise GateError(f"{name!r} is missing. Fetch the release again from its publisher.")
    for name in sorted(set(found) - set(signed) - {ENVELOPE}):
        raise GateError(f"{name!r} is not part of the release: somebody has added it. Remove it, or fetch the release again.")
    for name, subject in sorted(signed.items()):
        if subject.annotations.get("bytes") != found[name] or hash_file(folder / name).sha256 != subject.digest.get("sha256"):
            raise GateError(f"{name!r} was changed after it was signed. Fetch the release again from its publisher.")


def _is_inside(name: str) -> bool:
    """Whether a name is a plain relative path: no root, no drive, no way up, no other slash."""
    parts = name.split("/")
    return bool(name) and "\\" not in name and ":" not in name and "\0" not in name and not {"", ".", ".."} & set(parts)


def _check_date(statement: Statement, today: date) -> None:
    try:
        last = date.fromisoformat(str(statement.predicate.get("expires")))
    except ValueError:
        raise GateError("The signed statement does not say until when the release may be used.") from None
    if today > last:
        raise GateError(f"The release expired on {last.isoformat()}: it may no longer be used. Ask its publisher for a new one.")
