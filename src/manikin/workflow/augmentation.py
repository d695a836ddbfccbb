"""What augmentation is asked for and what comes of it: modes with their statements, wishes, and the augmented table. Knows no job.

Every mode says in a plain sentence what it protects and what not; that sentence goes wherever the table is spoken of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError, parameter_error
from manikin.evaluation.base import MetricResult
from manikin.release.manifest import Choice
from manikin.workflow.augmented_rows import DEFAULT_MARK
from manikin.workflow.proportions import MOST_ROWS
from manikin.workflow.wanted_shares import To, is_equal


@dataclass(frozen=True)
class Mode:
    """One way to augment: what the table holds, and in a plain sentence what that protects and what not."""

    contains: str
    statement: str
    holds_patients: bool


MODES: dict[str, Mode] = {
    "hybrid": Mode(
        "the real rows unchanged, and rows made for the rare class or group",
        "The real rows stand in it unchanged, so it protects nobody: it is not for release, treat it like the data it was made from.",
        holds_patients=True,
    ),
    "full": Mode(
        "only made rows, in the wanted proportions",
        "No row is a patient's record, but the rows were learned from patients and nothing here says how close they come: measure the "
        "table (manikin evaluate) before it leaves the house.",
        holds_patients=False,
    ),
    "partial": Mode(
        "the real records, with only the replaced columns made anew given the rest",
        "It hides what the replaced columns truly held, and nothing else: the other columns are real and can point at a person, so it is "
        "not for release.",
        holds_patients=True,
    ),
}


def statement_of(mode: str, modality: str) -> str:
    """What a mode protects and what not, of a table or of images."""
    said = MODES[mode].statement
    if modality == "records":
        return said.replace("No row is a patient's record, but the rows", "No patient is a real one, but they").replace("rows", "patients")
    return said.replace("rows", "images").replace("row ", "image ") if modality == "images" else said


LEAKS = (
    "Give it the train part of an experiment only: test rows that the generator has seen, or that are split off after augmenting, "
    "flatter every model."
)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What to make; see `manikin augment --help`.

    Attributes
    ----------
    to : "equal", or proportions as `workflow.wanted_shares.parse_to` takes them.
    rows : hybrid: rows of all balanced cells together, real and made; full: rows made.
    replace : partial mode: the columns made anew; the schema's sensitive ones when empty.
    mark : the name of the column that says where a row comes from.
    """

    target: str | None = None
    balance: tuple[str, ...] = ()
    to: To = "equal"
    mode: str = "hybrid"
    rows: int | None = None
    replace: tuple[str, ...] = ()
    mark: str = DEFAULT_MARK

    def check(self) -> None:
        """Refuses what is outside its domain, or means nothing in the mode.

        Raises
        ------
        ParameterError : names the option and the way out.
        """
        if self.mode not in MODES:
            raise parameter_error("mode", "augment", f"one of {', '.join(MODES)}", self.mode)
        lists: tuple[Any, ...] = (self.balance, self.replace)  # a text is a sequence of texts too
        if any(isinstance(names, str) for names in lists):
            raise ParameterError("The 'balance' and 'replace' parameters of augment must be lists of column names.")
        if self.rows is not None and not 1 <= self.rows <= MOST_ROWS:
            raise parameter_error("rows", "augment", f"a whole number from 1 to {MOST_ROWS:,}", self.rows)
        if self.replace and self.mode != "partial":
            raise ParameterError(
                "--replace belongs to --mode partial: the other modes change no real row. Leave it out, or give that mode."
            )
        if self.mode == "partial" and (self.balance or self.rows is not None or not is_equal(self.to)):
            raise ParameterError(
                "--mode partial keeps every real record and adds none, so --balance, --to and --rows mean nothing in it. "
                "Leave them out, or choose --mode hybrid."
            )


@dataclass(frozen=True)
class CellCount:
    """The rows of one class or group: the real rows given, and the real and the made ones of the augmented table."""

    cell: dict[str, str]
    given: int
    real: int
    synthetic: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """What an augmented table is and how it came about: everything but its rows.

    Attributes
    ----------
    mark : the name of the column that says where a row comes from.
    counts : the cells that were balanced; none in partial mode.
    n_small_cells : cells with too few patients: nothing was made for them.
    n_without : rows that lack a value in one of the balanced columns.
    statement : what the table protects and what not.
    choice : the generator; None when there was nothing to make.
    unit : what is counted: "rows" of a table, or "patients" of linked tables.
    """

    mode: str
    statement: str
    mark: str
    rows: dict[str, int]
    counts: tuple[CellCount, ...] = ()
    n_small_cells: int = 0
    n_without: int = 0
    replaced: tuple[str, ...] = ()
    choice: Choice | None = None
    notices: tuple[str, ...] = ()
    unit: str = "rows"

    def facts(self) -> dict[str, Any]:
        """Everything but the rows, as JSON values."""
        return {
            "mode": self.mode,
            "contains": MODES[self.mode].contains,
            "statement": self.statement,
            "holds_real_patients": MODES[self.mode].holds_patients,
            "mark": self.mark,
            "unit": self.unit,
            "rows": self.rows,
            "cells": [asdict(count) for count in self.counts],
            "n_small_cells": self.n_small_cells,
            "n_rows_without_a_cell": self.n_without,
            "replaced": list(self.replaced),
            "synthesizer": None if self.choice is None else self.choice.model_dump(mode="json"),
            "notices": list(self.notices),
        }


@dataclass(frozen=True, kw_only=True)
class Augmented(Account):
    """An augmented table with its account.

    Attributes
    ----------
    data : the rows, in the columns of the table given and one more, `mark`; `to_native()` gives a frame of the user's kind.
    added : what made images add to recognising the label on images that were set aside, where that was asked.
    """

    data: Dataset
    added: MetricResult | None = None

    def to_native(self) -> Any:
        """The table as the kind of frame the user brought (pandas, polars or pyarrow)."""
        return self.data.to_native()


def names_of(wish: Sequence[str] | None) -> tuple[str, ...]:
    """Column names as a tuple; a single text is left to `Wishes.check`, which refuses it."""
    return wish if isinstance(wish, str) else tuple(wish or ())  # type: ignore[return-value]
