"""What was spent, on what, by whom, on which columns, for which unit: written down before the noise is drawn. Draws no noise, sees no data.

A spend that the budget does not allow is refused, and nothing is drawn. Every spend is on the disk before its noise exists, so a killed run
has spent what it may have shown; there is no way to take a spend back.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import ceil, log
from pathlib import Path
from typing import Any

from manikin.data.errors import BudgetError, ParameterError, parameter_error
from manikin.privacy.accountant import Cost, cost, delta_left, epsilon, is_within, merge, precision, total_precision
from manikin.privacy.events import Event, SampledGaussian, Threshold, from_json, to_json

FORMAT = "manikin-ledger"
VERSION = 1
RELATION = "add or remove one patient with all rows of hers that count"
PLANNED = 0.999  # share of epsilon that is planned with, so that rounding in the accountant never refuses the last spend
COUNT_SHARE = 0.01  # share of epsilon that the number of patients may cost
FEWER = 0.01  # chance that there are fewer patients than `fewest_patients`
ROUNDING = 1e-6
MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Spend:
    """One line of a ledger.

    Attributes
    ----------
    event : what was done. purpose : for what, in words. columns : whose cells it looked at. by : the codec or synthesizer that asked.
    """

    event: Event
    purpose: str
    columns: tuple[str, ...] = ()
    by: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"event": to_json(self.event), "purpose": self.purpose, "columns": list(self.columns), "by": self.by}


@dataclass(kw_only=True)
class Ledger:
    """A budget and what was spent of it.

    Parameters
    ----------
    epsilon : the most that may be spent, above 0. delta : likewise, in (0, 1); None until the number of patients is bought, below whose
        inverse it is then set (see `set_delta`).
    rows_per_patient : rows of a patient that count at most; the others are left out, at random, before anything is looked at.
    file : where the ledger is kept, rewritten and synchronised at every spend; None keeps it in memory.
    release : names the release in a budget file that several share; made up when empty.

    Examples
    --------
    >>> from manikin.privacy.events import Gaussian
    >>> ledger = Ledger(epsilon=1.0, delta=1e-6)
    >>> ledger.spend(Gaussian(10.0), purpose="counts", columns=("sex",), by="example")
    >>> round(ledger.cost().epsilon, 2)
    0.36
    """

    epsilon: float
    delta: float | None = None
    rows_per_patient: int = 1
    file: Path | None = None
    release: str = ""
    public: dict[str, Any] = field(
        default_factory=dict
    )  # what was taken as public: columns, facts declared; for whoever reads the ledger
    n_patients: int | None = field(init=False, default=None)  # as bought
    spends: list[Spend] = field(init=False, default_factory=list)
    books: list[Book] = field(init=False, repr=False, default_factory=list)
    answers: Any = field(init=False, repr=False, compare=False, default=None)  # `answers_kept.AnswersKept`, in a job that may be resumed
    ahead: list[Spend] = field(init=False, repr=False, compare=False, default_factory=list)  # spent, and asked again by a resumed job
    _allowed: tuple[Event, ...] = field(init=False, repr=False, compare=False, default=())  # at the dearest that was found to fit

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < float("inf"):
            raise parameter_error("epsilon", "Ledger", "a number above 0", self.epsilon)
        if self.delta is not None and not 0 < self.delta < 1:
            raise parameter_error("delta", "Ledger", "a number in (0, 1)", self.delta)
        if type(self.rows_per_patient) is not int or self.rows_per_patient < 1:
            raise parameter_error("rows_per_patient", "Ledger", "an int in [1, inf)", self.rows_per_patient)
        self.release = self.release or secrets.token_hex(8)

    @property
    def events(self) -> list[Event]:
        """Everything that was done so far."""
        return [spend.event for spend in self.spends]

    @property
    def is_begun(self) -> bool:
        """Whether anything was spent."""
        return bool(self.spends)

    def cost(self) -> Cost:
        """What was spent so far, by both accountants."""
        return cost(self.events, self._delta())

    @property
    def precision(self) -> float:
        """mu^2 of the whole budget: what Gaussian events may add up to, after what is set aside for thresholds."""
        return total_precision(PLANNED * self.epsilon, 0.9 * self._delta())

    @property
    def threshold_delta(self) -> float:
        """The delta that is set aside for lists of values that are found in the data: a tenth."""
        return 0.1 * self._delta()

    @property
    def precision_left(self) -> float:
        """mu^2 that is not spent yet, at least 0.

        Raises
        ------
        BudgetError : a Poisson sample was spent; precisions do not say what is left beside one.
        """
        if any(isinstance(event, SampledGaussian) for event in self.events):
            raise BudgetError("Gaussian events cannot be planned once DP-SGD has begun. Buy them before.")
        return max(0.0, self.precision - sum(map(precision, self.events)))

    def set_delta(self, n_patients: int, *, at_most: int | None = None) -> None:
        """Takes down the number of patients that was bought; sets delta, where none was given, to a power of ten up to 1 / (10 n).

        Parameters
        ----------
        at_most : n, as large as it may be for the noise in the bought number; the bought number itself when None.
        """
        self.n_patients = n_patients
        if self.delta is None:
            delta = 0.1
            while delta > 1 / (10 * max(n_patients if at_most is None else at_most, 1)):
                delta /= 10
            self.delta = float(f"{delta:.0e}")
        self._write()

    @property
    def fewest_patients(self) -> int:
        """How many patients there are at least, but for one time in a hundred, by the number that was bought; no less than half of it.

        What a delta of one over their number is refused by: the bought number itself lies above it half of the time.
        """
        n = self.n_patients or 1
        return max(n - ceil(log(1 / (2 * FEWER)) / (COUNT_SHARE * self.epsilon)), (n + 1) // 2)

    def check(self, *events: Event) -> None:
        """Refuses events that the budget does not allow beside what is spent; spends nothing.

        Raises
        ------
        BudgetError : names what is left.
        """
        if not self._allows(events):
            raise BudgetError(
                f"The privacy budget of epsilon {self.epsilon:g} does not allow this step. Nothing was drawn; give a larger --epsilon."
            )
        for book in self.books:
            book.check(self.release, [*self.events, *events])

    def spend(self, event: Event, *, purpose: str, columns: Sequence[str] = (), by: str = "") -> None:
        """Writes an event down; on return it is on the disk, and its noise may be drawn.

        Raises
        ------
        BudgetError : the budget does not allow it.
        """
        self.catch_up()
        self.check(event)
        self.spends.append(Spend(event, purpose, tuple(columns), by))
        self._write()
        for book in self.books:
            book.write(self)

    def catch_up(self) -> None:
        """Ends a resumed job's walk through what was spent before: all of it counts from here on."""
        self.spends, self.ahead = [*self.spends, *self.ahead], []

    def _allows(self, events: Sequence[Event]) -> bool:
        every = [*self.events, *events]
        if self.delta is None:  # only the number of patients is bought before there is a delta, for pure epsilon
            return sum(precision(event) for event in every) <= total_precision(self.epsilon, 1e-12)
        if sum(event.delta for event in every if isinstance(event, Threshold)) > self.threshold_delta * (1 + ROUNDING):
            return False
        is_sampled = any(isinstance(event, SampledGaussian) for event in every)
        if not is_sampled and sum(map(precision, every)) <= self.precision:
            return True
        delta_left(every, self.delta)
        if is_within(every, self._allowed):
            return True
        fits = epsilon(every, self.delta) <= self.epsilon
        self._allowed = merge(every) if fits else self._allowed
        return fits

    def _delta(self) -> float:
        if self.delta is None:
            raise BudgetError("The ledger has no delta yet: buy the number of patients first, or give one.")
        return self.delta

    def to_json(self, *, is_added_up: bool = True) -> dict[str, Any]:
        """The ledger as JSON values, with what it adds up to."""
        total: dict[str, Any] = {}
        if is_added_up and self.delta is not None:
            total = {key: value for key, value in asdict(self.cost()).items() if key != "delta"}
            total["n_spends"] = len(self.spends)  # so that one that is added later, however small, is seen
        return {
            "format": FORMAT,
            "version": VERSION,
            "release": self.release,
            "unit": "patient",
            "neighbours": RELATION,
            "rows_per_patient": self.rows_per_patient,
            "budget": {"epsilon": self.epsilon, "delta": self.delta},
            "spent": total,
            "n_patients_bought": self.n_patients,
            "public": self.public,
            "spends": [spend.to_json() for spend in (*self.spends, *self.ahead)],
        }

    def _write(self) -> None:
        if self.file is not None:
            write_durably(self.file, self.to_json(is_added_up=False))  # `close` adds it up, once

    def close(self) -> None:
        """Writes the finished ledger with what it adds up to."""
        self.catch_up()
        if self.file is not None:
            write_durably(self.file, self.to_json())


def read_ledger(path: Path, *, file: Path | None = None) -> Ledger:
    """A ledger from its file, whose sums are not believed but made again.

    Parameters
    ----------
    file : where further spends are written; nowhere when None.

    Raises
    ------
    ParameterError : there is none, or it is damaged.
    """
    document = read_document(path, FORMAT, VERSION)
    try:
        budget = document["budget"]
        ledger = Ledger(
            epsilon=budget["epsilon"],
            delta=budget["delta"],
            rows_per_patient=document["rows_per_patient"],
            file=file,
            release=str(document["release"]),
            public=dict(document["public"]),
        )
        n_patients = document["n_patients_bought"]
        if n_patients is not None and (type(n_patients) is not int or n_patients < 1):
            raise ValueError
        ledger.n_patients = n_patients
        ledger.spends = [spend_from_json(one) for one in document["spends"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ParameterError(
            f"{path} is no ledger that can be read: {type(error).__name__}. Take it from the run's folder."
        ) from None
    return ledger


def spend_from_json(values: Any) -> Spend:
    """The spend that `Spend.to_json` wrote."""
    return Spend(from_json(values["event"]), str(values["purpose"]), tuple(map(str, values["columns"])), str(values["by"]))


def read_document(path: Path, form: str, version: int) -> dict[str, Any]:
    """A JSON document of this package, of bounded size.

    Raises
    ------
    ParameterError : there is none, it is too large, or it is of another kind or version.
    """
    document, is_large = None, False
    try:
        is_large = path.stat().st_size > MOST_BYTES
        document = None if is_large else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ParameterError(f"{path} cannot be read as a {form}. Check the path.") from None
    if is_large:
        raise ParameterError(f"{path} is larger than any {form}. Check the path.")
    if not isinstance(document, dict) or document.get("format") != form or document.get("version") != version:
        raise ParameterError(f"{path} is no {form} of version {version}.")
    return document


def write_durably(path: Path, document: dict[str, Any]) -> None:
    """Writes a JSON document, whole or not at all; on return it survives a power cut."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


BOOK = "manikin-budget"


@dataclass(kw_only=True)
class Book:
    """A budget that several releases of the same patients share, kept in a file; use `open_book`.

    Parameters
    ----------
    epsilon, delta : of all releases together. data : what names the patients, for people.
    """

    path: Path
    epsilon: float
    delta: float
    data: str = ""
    releases: dict[str, dict[str, Any]] = field(default_factory=dict)
    out: str = ""  # the folder that the run at work makes, for people
    _allowed: tuple[Event, ...] = field(init=False, repr=False, compare=False, default=())

    def events(self, *, without: str = "") -> list[Event]:
        """Everything that was done for all releases, or for all but one."""
        kept = (entry for name, entry in self.releases.items() if name != without)
        return [from_json(spend["event"]) for entry in kept for spend in entry["spends"]]

    def cost(self) -> Cost:
        """What all releases cost together."""
        return cost(self.events(), self.delta)

    def check(self, release: str, events: Sequence[Event]) -> None:
        """Refuses what the shared budget does not allow.

        Raises
        ------
        BudgetError : names what is left of it; or the release's name stands there for something else, which would be forgotten.
        """
        old = self.releases.get(release, {"spends": []})["spends"]
        if [to_json(event) for event in events[: len(old)]] != [spend["event"] for spend in old]:
            raise BudgetError(
                f"The budget file {self.path.name} holds other spends of a release {release!r}. Give this one another name, or go on "
                "from its own ledger."
            )
        every = [*self.events(without=release), *events]
        if is_within(every, self._allowed):
            return
        if epsilon(every, self.delta) > self.epsilon:
            spent = epsilon(self.events(without=release), self.delta)
            raise BudgetError(
                f"The budget file {self.path.name} allows epsilon {self.epsilon:g} in all, of which other releases spent {spent:.3g}: this "
                "one does not fit. Give a smaller --epsilon, or reuse a release that is made."
            )
        self._allowed = merge(every)

    def write(self, ledger: Ledger) -> None:
        """Takes a ledger's spends down."""
        entry = self.releases.setdefault(
            ledger.release, {"begun": datetime.now(UTC).isoformat(timespec="seconds"), "spends": []}
        )
        if self.out:
            entry["out"] = self.out
        entry["spends"] = [spend.to_json() for spend in ledger.spends]
        write_durably(self.path, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "format": BOOK,
            "version": VERSION,
            "unit": "patient",
            "neighbours": RELATION,
            "data": self.data,
            "budget": {"epsilon": self.epsilon, "delta": self.delta},
            "releases": self.releases,
        }


def make_book(path: Path, *, epsilon: float, delta: float, data: str = "") -> Book:
    """A new budget file.

    Raises
    ------
    ParameterError : the file exists, or a number is outside its domain.
    """
    Ledger(epsilon=epsilon, delta=delta)
    path = path.resolve()
    if path.exists():
        raise ParameterError(f"{path} exists already; a budget is not begun anew. Choose another file.")
    book = Book(path=path, epsilon=epsilon, delta=delta, data=data)
    write_durably(book.path, book.to_json())
    return book


def read_book(path: Path) -> Book:
    """A budget file.

    Raises
    ------
    ParameterError : there is none, or it is damaged.
    """
    path = path.resolve()  # behind a link there would be two files, each with half of the spends
    document = read_document(path, BOOK, VERSION)
    try:
        budget = document["budget"]
        Ledger(epsilon=budget["epsilon"], delta=budget["delta"])
        book = Book(
            path=path,
            epsilon=budget["epsilon"],
            delta=budget["delta"],
            data=str(document["data"]),
            releases=document["releases"],
        )
        book.events()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ParameterError(f"{path} is no budget file that can be read: {type(error).__name__}.") from None
    return book


@contextmanager
def open_book(path: Path, ledger: Ledger, *, out: str = "") -> Iterator[Book]:
    """Holds a budget file for one run, whose every spend it takes down and may refuse.

    Parameters
    ----------
    out : name of the folder that the run makes, for people who read the budget file; it stands in no ledger.

    Raises
    ------
    BudgetError : another run holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: no lock; two runs at a time would overwrite each other's spends
        raise BudgetError(
            "Budget files need a system that can lock files. Run one release at a time with --epsilon instead."
        ) from None
    path = read_book(path).path
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BudgetError(f"Another run spends from {path.name} right now. Wait for it.") from None
        book = read_book(path)
        book.out = out
        ledger.books.append(book)
        try:
            yield book
        finally:
            ledger.books.remove(book)
    finally:
        os.close(lock)
