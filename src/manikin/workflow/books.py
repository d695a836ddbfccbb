"""Budget files for people: begun, and shown with what is spent by which release and what is left. Knows no ledger of a single run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manikin.data.errors import ParameterError
from manikin.privacy.accountant import cost, epsilon, gaussian_epsilon, precision, total_precision
from manikin.privacy.events import Event, Gaussian, SampledGaussian, Threshold, from_json
from manikin.privacy.ledger import PLANNED, Book, make_book, read_book

LEAST = 1e-3  # below this epsilon nothing useful is left


@dataclass(frozen=True)
class Shown:
    """A budget file: its whole, what is spent together, what is left in words.

    `releases` are (name, folder, begun, spends, epsilon by itself).
    """

    data: str
    epsilon: float
    delta: float
    spent: float
    releases: tuple[tuple[str, str, str, int, float], ...]
    most_next: float

    @property
    def left(self) -> str:
        """What is left, in words. Epsilons of several releases do not add up: together they cost less than their sum."""
        if self.most_next < LEAST:
            return "Nothing is left: reuse a release that is made, which costs nothing."
        return f"Left: one more release of epsilon up to about {self.most_next:.2g} at the same delta, or several smaller ones."

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        releases = [
            {"release": name, "out": out, "begun": begun, "spends": n, "epsilon": own} for name, out, begun, n, own in self.releases
        ]
        return {**vars(self), "releases": releases, "left": self.left}


def new_book(path: str | Path, *, epsilon: float, delta: float, data: str = "") -> Book:
    """Begins a budget file.

    Raises
    ------
    ParameterError : the file exists, its folder does not, or a number is outside its domain.
    """
    place = Path(path)
    if not place.absolute().parent.is_dir():
        raise ParameterError(f"The folder of {place} does not exist. Make it, or choose another file.")
    return make_book(place, epsilon=epsilon, delta=delta, data=data)


def shown_book(path: str | Path) -> Shown:
    """What is spent of a budget file and what is left.

    Raises
    ------
    ParameterError : there is none, or it is damaged.
    """
    book = read_book(Path(path))
    releases = []
    for name, entry in book.releases.items():
        own = events_of(entry)
        by_itself = cost(own, book.delta).epsilon if own else 0.0
        releases.append((name, str(entry.get("out", "")), str(entry.get("begun", "")), len(own), by_itself))
    spent = epsilon(book.events(), book.delta)
    return Shown(book.data, book.epsilon, book.delta, spent, tuple(releases), _most_next(book))


def events_of(entry: dict[str, Any]) -> list[Event]:
    """The events of one release of a budget file."""
    return [from_json(spend["event"]) for spend in entry["spends"]]


def _most_next(book: Book) -> float:
    """About the largest epsilon that one more release may have, at the same delta; 0 where nothing is left."""
    spent, low, high = book.events(), 0.0, book.epsilon
    if not any(isinstance(event, SampledGaussian) for event in spent):  # then precisions add up, which is quicker
        delta = 0.9 * book.delta - sum(event.delta for event in spent if isinstance(event, Threshold))
        if delta <= 0:
            return 0.0
        left = total_precision(PLANNED * book.epsilon, delta) - sum(map(precision, spent))
        return gaussian_epsilon(left**0.5, 0.9 * book.delta) if left > 0 else 0.0
    for _ in range(12):
        middle = (low + high) / 2
        planned = Gaussian(float(total_precision(PLANNED * middle, 0.9 * book.delta) ** -0.5))
        low, high = (middle, high) if epsilon([*spent, planned], book.delta) <= book.epsilon else (low, middle)
    return low
