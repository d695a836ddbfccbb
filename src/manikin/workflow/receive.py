"""What people do with keys and released folders: make keys, check what arrived, ask a file whether it is synthetic. Knows no table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from manikin.data.errors import ParameterError
from manikin.release.labels import Marked, read_mark
from manikin.release.receiver import Received
from manikin.release.receiver import verify as check
from manikin.release.signing import is_sealed, make_keys, read_public_key

PUBLIC_ENDING = ".pub"


@dataclass(frozen=True)
class KeyPair:
    """Where a new key pair was written, and the fingerprint by which people know it."""

    private: Path
    public: Path
    fingerprint: str


def keygen(path: str | Path, *, passphrase: str | None = None) -> KeyPair:
    """Writes a private Ed25519 key (its owner alone may read it) and the public one beside it, ending in .pub; never overwrites.

    Raises
    ------
    ParameterError : one of the files exists, or their folder is not there, or no file is named.
    """
    private = Path(path)
    if not private.name:
        raise ParameterError(f"{path} is a folder. Name the key's file in it.")
    public = private.with_name(private.name + PUBLIC_ENDING)
    return KeyPair(private, public, make_keys(private, public, passphrase))


def needs_passphrase(path: str | Path) -> bool:
    """Whether a private key is sealed; a file that cannot be read needs none, it is refused when it is used."""
    try:
        with Path(path).open("rb") as file:
            return is_sealed(file.read(1 << 14))
    except OSError:
        return False


def verify(folder: str | Path, *, key: str | Path, today: date | None = None) -> Received:
    """Checks a release with nothing but the folder and the publisher's public key.

    Raises
    ------
    ParameterError : there is no such folder or key, or the key lies in the folder itself.
    GateError : a file was changed, is missing or was added, the signature is not of this key, or the release has expired.
    """
    if Path(key).resolve().is_relative_to(Path(folder).resolve()):
        raise ParameterError(
            f"{key} came with the release: whoever changes the folder can change it too. Take the public key from the publisher himself."
        )
    return check(Path(folder), read_public_key(Path(key)), today=today)


def label(path: str | Path) -> Marked:
    """Whether a CSV (with its CSVW description), a Parquet file or a release folder says that it is synthetic."""
    return read_mark(Path(path))
