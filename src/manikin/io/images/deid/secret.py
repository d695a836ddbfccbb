"""What is made from originals with a key that the user keeps: pseudonyms, UIDs and days. The same key gives the same ones.

Each is the keyed hash (HMAC-SHA-256, RFC 2104) of the original: two files of one patient stay one patient's, and nobody who lacks the key
can try out originals.
"""

from __future__ import annotations

import hmac
import os
import secrets
import uuid
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from manikin.data.errors import DataError, ParameterError

MIN_BYTES = 16
MAX_DAYS = 3650  # that dates are shifted back by
MIN_DAYS = 30


@dataclass(frozen=True)
class Secret:
    """A key, and what is made with it."""

    key: bytes

    def _hash(self, what: str, text: str) -> bytes:
        return hmac.new(self.key, f"{what}\0{text}".encode("utf-8", "surrogatepass"), sha256).digest()

    def patient(self, patient: str) -> str:
        """The pseudonym of a patient."""
        return f"P{self._hash('patient', patient).hex()[:12].upper()}"

    def uid(self, uid: str) -> str:
        """The UID that stands for another: 2.25 and the whole number of a UUID (PS3.5, B.2)."""
        return f"2.25.{uuid.UUID(bytes=self._hash('uid', uid)[:16], version=4).int}"

    def days(self, patient: str) -> int:
        """How many days a patient's dates are shifted by, always back: -3650 to -30."""
        number = int.from_bytes(self._hash("days", patient)[:8], "big")
        return -(MIN_DAYS + number % (MAX_DAYS - MIN_DAYS + 1))


def secret_of(path: Path | None) -> Secret:
    """The key in a file, which is made (readable by its owner alone) where it is not there; without a file one that is thrown away.

    Raises
    ------
    DataError : the file cannot be read or made. ParameterError : its key is shorter than 16 bytes.
    """
    if path is None:
        return Secret(secrets.token_bytes(32))
    if not path.exists():
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32) + "\n")
        except OSError as error:
            raise DataError(f"The key {path} cannot be made: {error.strerror}. Choose another place.") from None
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise DataError(f"The key {path} cannot be read: {error.strerror}. Check its permissions.") from None
    if len(key) < MIN_BYTES:
        raise ParameterError(f"The key in {path} is shorter than {MIN_BYTES} bytes. Name a file that does not exist, and one is made.")
    return Secret(key)
