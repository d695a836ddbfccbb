"""Who reads which image next, and what was answered. Knows no network and no truth: it never holds what an image is.

An image is known to a reader's browser by a token that is made for this reader and this place in her order alone, so that the same image
shown twice has two names. Answers are on the disk before they are acknowledged, and a reader goes on where she was.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from manikin.data.errors import InputError, ParameterError
from manikin.workflow.reading.form import Form, Person, details
from manikin.workflow.reading.journal import Journal

ANSWERS, SECRET, IMAGES = "answers.jsonl", "secret", "images"
MOST_READERS = 200
LONGEST_SECONDS = 24 * 3600.0
Order = Callable[[str], Sequence[int]]


class NotFoundError(InputError):
    """There is no such reader or image."""


@dataclass
class _Reader:
    """What is known of a reader: her order and how far she is; `last` is the answer at the place before `done`."""

    person: Person
    order: tuple[int, ...]
    done: int = 0
    last: dict[str, Any] = field(default_factory=dict)


class Room:
    """The state of a reading in a folder.

    Parameters
    ----------
    folder : with `images/NUMBER.png`; the journal and the secret are made in it.
    form : what is asked. order : the images that a reader sees, by number, in her order; the same each time for the same name.
    """

    def __init__(self, folder: Path, form: Form, order: Order) -> None:
        self.folder, self.form, self._order = folder, form, order
        self._key = _secret(folder / SECRET)
        self._readers: dict[str, _Reader] = {}
        self._tokens: dict[str, int] = {}
        self._lock = threading.Lock()
        self._journal = Journal(folder / ANSWERS)
        try:
            for line in self._journal.lines:
                self._replay(line)
        except BaseException:
            self._journal.close()
            raise

    @property
    def access(self) -> str:
        """What the address of the page holds, so that nobody else on this computer can open it; the same after a restart."""
        return self._sign("access", "page")[:22]

    def close(self) -> None:
        """Closes the journal."""
        self._journal.close()

    def progress(self) -> dict[str, tuple[int, int]]:
        """For each reader how many are read, of how many."""
        with self._lock:
            return {name: (one.done, len(one.order)) for name, one in self._readers.items()}

    def join(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Takes in a reader, or the same reader again; gives her key and where she is.

        Raises
        ------
        ParameterError : a name, role or number that cannot be; a name that somebody with another role has; too many readers.
        """
        person = Person.of(given)
        with self._lock:
            known = self._readers.get(person.name)
            if known is None:
                if len(self._readers) >= MOST_READERS:
                    raise ParameterError("There are too many readers already.")
                line = {"event": "reader", "reader": person.name, "role": person.role, "years": person.years, "at": _now()}
                self._journal.append(line)
                self._replay(line)
            elif known.person.role != person.role:
                raise ParameterError("Somebody with another role has this pseudonym. Choose another one, or the role that you gave before.")
            return {"reader": self._sign("reader", person.name), **self._state(self._readers[person.name])}

    def state(self, key: str) -> dict[str, Any]:
        """Where a reader is: `position`, `total`, and `image`, the token of what she reads now; no image when all are read.

        Raises
        ------
        NotFoundError : the key is nobody's.
        """
        with self._lock:
            return self._state(self._known(key))

    def answer(self, key: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Stores a decision on the image that the reader reads now, or changes that on the one before, until she has gone on.

        Parameters
        ----------
        given : `position`, `answer` (one of the form's) and `seconds`.

        Raises
        ------
        ParameterError : another place than where she is, or no answer of the form.
        """
        answer, seconds = given.get("answer"), given.get("seconds")
        if answer not in self.form.values:
            raise ParameterError("The answer must be one of the choices.")
        if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
            raise ParameterError("The time must be a number of seconds.")
        known = None if seconds is None or not 0 <= seconds <= LONGEST_SECONDS else round(float(seconds), 3)
        with self._lock:
            reader = self._known(key)
            position = self._position(reader, given)
            line = {
                "event": "answer",
                "reader": reader.person.name,
                "position": position,
                "image": reader.order[position],
                "answer": answer,
                "seconds": known,
                "at": _now(),
            }
            self._journal.append(line)
            self._replay(line)
            return {"stored": True}

    def detail(self, key: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Stores confidence, reasons and comment on the decision just made, and goes on to the next image.

        Raises
        ------
        ParameterError : nothing was decided, or a value that cannot be.
        """
        told = details(self.form, given)
        with self._lock:
            reader = self._known(key)
            if given.get("position") != reader.done - 1 or not reader.last:
                raise ParameterError("Decide first.")
            line = {"event": "detail", "reader": reader.person.name, "position": reader.done - 1, **told}
            if told:
                self._journal.append(line)
            self._replay(line)
            return self._state(reader)

    def image(self, token: str) -> bytes:
        """The image of a token, as PNG.

        Raises
        ------
        NotFoundError : there is no such token.
        """
        with self._lock:
            number = self._tokens.get(token)
        if number is None:
            raise NotFoundError("There is no such image.")
        return (self.folder / IMAGES / f"{number:06d}.png").read_bytes()

    def _state(self, reader: _Reader) -> dict[str, Any]:
        state: dict[str, Any] = {"position": reader.done, "total": len(reader.order), "image": None}
        if reader.done < len(reader.order):
            token = self._sign("image", reader.person.name, str(reader.done))[:24]
            self._tokens[token] = reader.order[reader.done]
            state["image"] = token
        return state

    def _known(self, key: str) -> _Reader:
        for name, reader in self._readers.items():
            if hmac.compare_digest(self._sign("reader", name).encode(), key.encode("utf-8", "surrogatepass")):
                return reader
        raise NotFoundError("This reader is not known. Open the page anew.")

    def _position(self, reader: _Reader, given: Mapping[str, Any]) -> int:
        position = given.get("position")
        changes = position == reader.done - 1 and bool(reader.last)
        if isinstance(position, bool) or not (changes or (position == reader.done and reader.done < len(reader.order))):
            raise ParameterError("This is not the image that you read now. Open the page anew.")
        return reader.done - 1 if changes else reader.done

    def _replay(self, line: Mapping[str, Any]) -> None:
        """Follows one line of the journal."""
        name = str(line.get("reader"))
        if line.get("event") == "reader":
            self._readers[name] = _Reader(Person(name, str(line.get("role")), line.get("years")), tuple(self._order(name)))
        reader = self._readers.get(name)
        if reader is None:
            raise InputError(f"{self._journal.path} holds an answer of a reader who never came in. Restore the file.")
        if line.get("event") == "answer":
            reader.done, reader.last = int(line["position"]) + 1, dict(line)
        elif line.get("event") == "detail":
            reader.last = {}

    def _sign(self, *parts: str) -> str:
        return hmac.new(self._key, json.dumps(parts).encode(), "sha256").hexdigest()


def _secret(path: Path) -> bytes:
    """The key of the tokens, made once; only the owner may read it."""
    if not path.is_file():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    key = path.read_text(encoding="ascii").strip()
    if len(key) < 32:
        raise InputError(f"{path} is damaged. Delete it: the page then has a new address.")
    return key.encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
