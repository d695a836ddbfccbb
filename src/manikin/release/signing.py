"""Signatures: an Ed25519 key pair, a DSSE envelope, and the in-toto statement inside it. Knows no table and no policy.

DSSE signs the length-prefixed payload type and payload (https://github.com/secure-systems-lab/dsse); the payload is an in-toto statement v1
whose subjects are the files of a release with their SHA-256 (https://github.com/in-toto/attestation).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from manikin.data.errors import GateError, ParameterError
from manikin.release.manifest import FileHash

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:manikin:release:v1"
MAX_KEY_BYTES = 1 << 14


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Subject(_Part):
    """A signed file: its name, its SHA-256 and its size."""

    name: str
    digest: dict[str, str]
    annotations: dict[str, Any] = {}


class Statement(_Part):
    """What is signed."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[Subject, ...]
    predicate_type: Literal["urn:manikin:release:v1"] = Field(alias="predicateType")
    predicate: dict[str, Any]


class Signature(_Part):
    """A signature and a hint at its key."""

    sig: str
    keyid: str = ""


class Envelope(_Part):
    """DSSE."""

    payload: str
    payload_type: Literal["application/vnd.in-toto+json"] = Field(alias="payloadType")
    signatures: tuple[Signature, ...]


def make_keys(private: Path, public: Path, passphrase: str | None) -> str:
    """Writes a new key pair, PEM; the private one can be read by its owner only. Returns the public key's fingerprint.

    Raises
    ------
    ParameterError : one of the files exists, or their folder is not there.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    sealed = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, sealed)
    for path in (private, public):
        if os.path.lexists(path):
            raise ParameterError(f"{path} exists already, and a key is never overwritten. Choose another name.")
        if not path.absolute().parent.is_dir():
            raise ParameterError(f"There is no folder {path.parent}. Make it first, or choose another.")
    for path, content, mode in ((private, secret, 0o600), (public, public_pem(key.public_key()), 0o644)):
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
    return fingerprint(key.public_key())


def read_private_key(path: Path, passphrase: str | None) -> Ed25519PrivateKey:
    """A private key.

    Raises
    ------
    ParameterError : no Ed25519 key in PEM, or the passphrase does not open it.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _key_bytes(path)
    try:
        key = load_pem_private_key(data, passphrase.encode() if passphrase and is_sealed(data) else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if is_sealed(data):
            raise ParameterError(f"{path} is sealed, and the passphrase does not open it. Set MANIKIN_KEY_PASSPHRASE.") from None
        what = "is no private key but a public one" if b"PUBLIC KEY" in data else "is no private key in PEM"
        raise ParameterError(f"{path} {what}. Give the private key that `manikin keygen` wrote.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ParameterError(f"{path} is a key of another kind than Ed25519. Make one with `manikin keygen`.")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """A public key.

    Raises
    ------
    ParameterError : no Ed25519 public key in PEM.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_key_bytes(path))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ParameterError(f"{path} is no public Ed25519 key in PEM. Ask the publisher for the .pub file of `manikin keygen`.")
    return key


def is_sealed(pem: bytes) -> bool:
    """Whether a private key needs a passphrase."""
    return b"ENCRYPTED" in pem


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The public key in PEM."""
    from cryptography.hazmat.primitives import serialization as form

    return key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo), in hex: what two people compare on the telephone."""
    from cryptography.hazmat.primitives import serialization as form

    return hashlib.sha256(key.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def sign(files: Sequence[FileHash], predicate: Mapping[str, Any], key: Ed25519PrivateKey) -> str:
    """The DSSE envelope over all files, as JSON text."""
    subjects = [{"name": f.name, "digest": {"sha256": f.sha256}, "annotations": {"bytes": f.n_bytes}} for f in files]
    statement = {"_type": STATEMENT_TYPE, "subject": subjects, "predicateType": PREDICATE_TYPE, "predicate": dict(predicate)}
    payload = json.dumps(statement, ensure_ascii=False, sort_keys=True).encode()
    signature = key.sign(_authenticated(payload))
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": fingerprint(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(envelope, indent=2) + "\n"


def opened(envelope: bytes, key: Ed25519PublicKey, where: str) -> Statement:
    """The statement of an envelope that this key has signed.

    Raises
    ------
    GateError : no envelope, or one that the key has not signed.
    """
    from cryptography.exceptions import InvalidSignature

    try:
        parsed = Envelope.model_validate_json(envelope)
        payload = base64.b64decode(parsed.payload, validate=True)
        signatures = [base64.b64decode(signature.sig, validate=True) for signature in parsed.signatures]
    except (ValidationError, ValueError):
        raise GateError(f"{where} is no signature that can be read. Fetch the release again from its publisher.") from None
    for signature in signatures:
        try:
            key.verify(signature, _authenticated(payload))
        except InvalidSignature:
            continue
        try:
            return Statement.model_validate_json(payload)
        except ValidationError:
            raise GateError(f"{where} is signed, but what it says is no release of Manikin.") from None
    raise GateError(f"{where} was not signed with this key, or was changed since. Trust nothing in this folder.")


def _authenticated(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _key_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_BYTES + 1)
    except OSError:
        raise ParameterError(f"There is no key at {path} that can be read. Make one with `manikin keygen`.") from None
    if len(data) > MAX_KEY_BYTES:
        raise ParameterError(f"{path} is too large for a key. Name a file that `manikin keygen` wrote.")
    return data
