"""Answers of the mechanisms, kept on the disk beside a ledger, so that a job that was killed is given them again instead of buying anew.

An answer is as private as what is released: it has its noise, and it is paid for. A generator whose questions hang on earlier answers
alone (the conformance tests show it of each) asks the same ones again, and gets the same answers, up to where it was killed. Knows no
mechanism: answers are whole numbers, lists of arrays, or values with counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from manikin.data.errors import BudgetError
from manikin.privacy.ledger import Ledger, Spend

FILE = "answers.jsonl"
F = TypeVar("F", bound=Callable[..., Any])


class AnswersKept:
    """The answers to a ledger's questions in their order, a line each, on the disk before anybody sees them.

    While there are old ones, the ledger stands as it stood when they were given: `ahead` holds what was spent beyond. It is never given
    back: the ledger's file names it all the time, and after the last old answer it counts again.
    """

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file, self.ledger = folder / FILE, ledger
        self.old = _lines(self.file)
        if self.old:
            ledger.ahead, ledger.spends = ledger.spends, []
            ledger.n_patients = None  # as it was; the first answer is their number
        else:
            self.file.write_bytes(b"")

    def again(self, name: str, purpose: str) -> tuple[Any, ...]:
        """The next old answer, in a tuple; an empty one where there is none left.

        Raises
        ------
        BudgetError : it was given to another question.
        """
        if not self.old:
            return ()
        own, *self.old = self.old
        spends = self.ledger.ahead[: own["n_spends"]]
        if own["name"] != name or own["purpose"] != purpose or len(spends) != own["n_spends"]:
            raise BudgetError("The answers that an interrupted run was given are not those to this one's questions. Begin a new run.")
        self.ledger.spends += spends
        self.ledger.ahead = self.ledger.ahead[own["n_spends"] :]
        if not self.old:
            self.ledger.catch_up()  # an answer that was drawn and not kept stays spent
        return (_decoded(own["answer"]),)

    def keep(self, name: str, purpose: str, answer: Any, spends: list[Spend]) -> None:
        """Writes down an answer; on return it is on the disk."""
        line = {"name": name, "purpose": purpose, "n_spends": len(spends), "answer": _encoded(answer)}
        with self.file.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def answered_once(mechanism: F) -> F:
    """A mechanism that gives its ledger's kept answer where there is one, and keeps those that it draws."""
    takes = signature(mechanism)

    @wraps(mechanism)
    def asked(*args: Any, **named: Any) -> Any:
        """The kept answer, or a new one that is kept before anybody sees it."""
        given = takes.bind(*args, **named).arguments
        ledger: Ledger = given["ledger"]
        kept: AnswersKept | None = ledger.answers
        if kept is None:
            return mechanism(*args, **named)
        purpose = str(given.get("purpose", ""))
        found = kept.again(mechanism.__name__, purpose)
        if found:
            return found[0]
        before = len(ledger.spends)
        answer = mechanism(*args, **named)
        kept.keep(mechanism.__name__, purpose, answer, ledger.spends[before:])
        return answer

    return asked  # type: ignore[return-value]


def _lines(file: Path) -> list[dict[str, Any]]:
    """The whole lines of the file; one that was cut off by a kill was never seen by anybody, and is taken away."""
    if not file.is_file():
        return []
    whole, _, cut = file.read_bytes().rpartition(b"\n")
    if cut:
        file.write_bytes(whole + b"\n" * bool(whole))
    return [json.loads(line) for line in whole.splitlines()]


def _encoded(answer: Any) -> Any:
    if isinstance(answer, list):
        return {"tables": [own.tolist() for own in answer]}
    if isinstance(answer, tuple):
        return {"values": list(answer[0].items()), "threshold": answer[1]}
    return {"number": int(answer)}


def _decoded(kept: dict[str, Any]) -> Any:
    if "tables" in kept:
        return [np.array(own, dtype=np.float64) for own in kept["tables"]]
    if "values" in kept:
        return {text: float(n) for text, n in kept["values"]}, float(kept["threshold"])
    return int(kept["number"])
