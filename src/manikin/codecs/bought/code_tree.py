"""Codes of a system with a public hierarchy, bought as a tree of counts: blocks, categories, then whatever is frequent enough to split.

Every histogram counts all rows, each at the deepest cell that is open for it, so nothing is learned twice: what a cell was counted before
and what its parts add up to is one estimate (constrained inference: Hay, Rastogi, Miklau & Suciu 2010, arXiv 0904.0942). The cells are made
of the system's notation, which is public, so no threshold guards them: a code is counted whether anybody holds it or not. Within a
block that stands clear of the noise counts are brought to at least 0 under the block's own total; what is hardly there is left
out, and its rows count for the block's other codes. Opens no seal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from manikin.clinical.codes import CodeSystem, code_system, public_children, public_groups, spellings
from manikin.codecs.bought.cells import cell_texts, level_texts
from manikin.codecs.bought.forms import is_listed
from manikin.codecs.bought.histograms import CLEAR
from manikin.codecs.bought.numbers import CLEAR_WORD
from manikin.codecs.bought.reading import WORDS
from manikin.codecs.levels import RARE
from manikin.data.dataset import Dataset
from manikin.data.schema import EMPTY, Column, MissingCode
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset

Floats = npt.NDArray[np.float64]

BLOCKS, CATEGORIES = 0.12, 0.4  # share of a column's precision for the first two histograms; each further one has half of what is left
SPELLING = 0.02  # share for how codes are spelled
MOST_ROUNDS = 6
N_SPELLINGS = 3
_ALIKE = (1 << N_SPELLINGS) - 1  # a text that agrees with every spelling
PARTS = 5.0  # a code is split if it has so many rows, in standard deviations of the histogram that counts the parts
LIKELY = 1.5  # standard deviations above 0 from which on a part is kept for the next histogram
LEAST = 0.5  # standard deviations that a code of a block has at least in the end
_WORD = "\x1f"  # before a word for "no value", so that no code is named alike
OTHER = "\x1fother texts"  # neither a code nor such a word


@dataclass
class _Cell:
    """An open cell: a block or code with what is below it, but for what is below its parts once it was split."""

    rows: float = 0.0
    variance: float = np.inf

    def add(self, rows: float, variance: float) -> None:
        """One more noisy count of the same rows."""
        weight = 1.0 if np.isinf(self.variance) else self.variance / (self.variance + variance)
        self.rows = weight * rows + (1 - weight) * self.rows
        self.variance = 1 / (1 / self.variance + 1 / variance)


@dataclass(frozen=True)
class Tree:
    """What was bought of a column of codes: missing codes, and rows with their variance of codes and of blocks."""

    missing: tuple[MissingCode, ...]
    rows: dict[str, float]
    variance: dict[str, float]
    blocks: dict[str, float]


@dataclass
class _Growing:
    """The tree while it is bought.

    Attributes
    ----------
    cells : the open cells. tops : chapters, or whatever has nothing above it. blocks : what is split first.
    book : the declared codes, None for all that the notation knows.
    totals : of a block or code that was split, its own count before. parts : of the same, what it was split into.
    """

    system: CodeSystem
    children: Callable[[str], Iterable[str]]
    alone: int
    cells: dict[str, _Cell]
    tops: tuple[str, ...]
    blocks: tuple[str, ...]
    book: frozenset[str] | None
    totals: dict[str, _Cell] = field(default_factory=dict)
    parts: dict[str, list[str]] = field(default_factory=dict)

    def place(self, text: str) -> str:
        """The open cell of a text: its own, or the nearest above it."""
        if _WORD + text in self.cells:
            return _WORD + text
        if text in self.cells:
            return text
        if not self.system.is_code(text):
            return OTHER
        return next((up for up in self.system.ancestors(text) if up in self.cells), OTHER)

    def split(self, names: Iterable[str]) -> bool:
        """Opens the parts of some cells; whether there was any."""
        before = len(self.cells)
        for name in list(names):
            parts = [part for part in self.children(name) if part not in self.cells]
            if parts:
                self.totals[name], self.cells[name] = self.cells[name], _Cell()
                self.parts[name] = parts
                self.cells |= {part: _Cell() for part in parts}
        return len(self.cells) > before

    def frequent(self, noise: float) -> list[str]:
        """Codes that were not split yet and of which parts may stand above the next histogram's noise."""
        return [
            name
            for name, own in self.cells.items()
            if name not in self.parts
            and self.system.is_code(name)
            and own.rows - self.alone > max(CLEAR * own.variance**0.5, PARTS * noise)
        ]

    def prune(self) -> None:
        """Closes parts in which hardly anybody was found, those of blocks apart: their rows count for the code above from now on."""
        for name, parts in self.parts.items():
            if name in (*self.tops, *self.blocks) and not self.system.is_code(name):
                continue
            faint = [part for part in parts if part not in self.parts and not self.is_clear(part, LIKELY)]
            own = self.cells[name]
            for part in faint:
                closed = self.cells.pop(part)
                own.rows, own.variance = own.rows + closed.rows, own.variance + closed.variance
            self.parts[name] = [part for part in parts if part in self.cells]

    def settled(self, n_rows: tuple[float, float]) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
        """Rows and variance of codes, and rows of blocks that have no code to come back as; all rows of the table are in them.

        Parameters
        ----------
        n_rows : the rows of the table that hold a code, and the variance of that.
        """
        sums = [self._sum(top) for top in self.tops]
        counts, weights = (np.array(own) for own in zip(*sums, strict=True))
        whole = _Cell(*n_rows)
        whole.add(float(counts.sum()), float(weights.sum()))
        rows, variance, blocks = dict[str, float](), dict[str, float](), dict[str, float]()
        for top, total in zip(self.tops, onto(counts, weights, max(whole.rows, 0.0)).tolist(), strict=True):
            held = self._held(top, total) if total > 0 else {}
            rows |= {name: n for name, n in held.items() if self._is_level(name)}
            blocks |= {name: n for name, n in held.items() if not self._is_level(name)}
            variance |= {name: self.cells[name].variance for name in held}
        return rows, variance, blocks

    def _held(self, name: str, total: float) -> dict[str, float]:
        """A total spread over what comes back: the codes at and below a name that are likely to be held, or the name itself."""
        found = self._shared(name, total)
        levels = {one: n for one, n in found.items() if n > 0 and self._is_level(one)}
        held = {one: n for one, n in levels.items() if n >= LEAST * self.cells[one].variance ** 0.5} or levels
        if not held:
            return {name: total}
        scale = total / sum(held.values())
        return {one: n * scale for one, n in held.items()}

    def is_clear(self, name: str, least: float = CLEAR) -> bool:
        """Whether an open cell stands clear of the noise without any one patient."""
        own = self.cells[name]
        return own.rows > self.alone + least * own.variance**0.5

    def _is_level(self, name: str) -> bool:
        return self.system.is_code(name) if self.book is None else name in self.book

    def _sum(self, name: str) -> tuple[float, float]:
        """The best estimate of all rows at and below a name, and its variance: its own count with the sum of its parts."""
        own = self.cells[name]
        if name not in self.parts:
            return own.rows, own.variance
        below = [self._sum(part) for part in self.parts[name]]
        both = _Cell(own.rows + sum(n for n, _ in below), own.variance + sum(v for _, v in below))
        both.add(self.totals[name].rows, self.totals[name].variance)
        return both.rows, both.variance

    def _shared(self, name: str, total: float) -> dict[str, float]:
        """A total spread over a cell and its parts, in agreement with what was counted of these and with nothing below 0."""
        parts = self.parts.get(name, [])
        if not parts:
            return {name: total}
        below = [self._sum(part) for part in parts]
        counts = np.array([self.cells[name].rows, *(n for n, _ in below)])
        weights = np.array([self.cells[name].variance, *(v for _, v in below)])
        own, *rest = onto(counts, weights, total).tolist()
        out = {name: own}
        for part, n in zip(parts, rest, strict=True):
            if n > 0:
                out |= self._held(part, n) if part in self.blocks else self._shared(part, n)
        return out


def onto(counts: Floats, variance: Floats, total: float) -> Floats:
    """The nearest numbers to noisy counts that are at least 0 and add up to a total, each distance in its standard deviations.

    They are max(count - variance * t, 0) for the one t that gives the total.

    >>> onto(np.array([5.0, -1.0, 2.0]), np.ones(3), 6.0)
    array([4.5, 0. , 1.5])
    """
    edges = counts / variance  # the t at which each becomes 0
    order = np.argsort(-edges)
    c, v = np.cumsum(counts[order]), np.cumsum(variance[order])
    t = (c - total) / v
    n = max(int(np.count_nonzero(edges[order] > t)), 1)
    return np.asarray(np.maximum(counts - variance * t[n - 1], 0.0))


def buy_code_tree(
    private: PrivateDataset, column: Column, ledger: Ledger, *, precision: float, delta: float, n_rows: tuple[float, float], by: str
) -> Tree:
    """Buys a column of codes.

    Parameters
    ----------
    n_rows : estimated rows of the table, and the variance of that.
    delta : of the list of texts that are no codes of the system, which is bought where many rows hold one.
    """
    growing, words = _start(column, ledger.rows_per_patient)
    left, others, of_others = precision, dict[str, float](), 0.0

    def count(share: float) -> None:
        """One histogram of all open cells."""
        nonlocal left
        left -= share
        _count(private, column, growing, ledger, precision=share, by=by)

    written = _buy_spelling(private, column, ledger, precision=SPELLING * precision, by=by) if growing.book is None else 0
    left -= SPELLING * precision * (growing.book is None)
    count(BLOCKS * precision)
    growing.split(growing.blocks)
    count(CATEGORIES * precision)
    if growing.is_clear(OTHER):
        left, of_others = left / 2, left / 2
        others = _others(private, column, growing, ledger, precision=of_others, delta=delta, by=by)
    for _ in range(MOST_ROUNDS):
        if not growing.split(growing.frequent(mechanisms.noise_of(ledger, left / 2))):
            break
        count(left / 2)
        growing.prune()
    count(left)
    growing.prune()
    missing = list(column.missing)
    cells = {code.value: growing.cells[_WORD + code.value] for code in missing}
    for word in words:
        if word not in cells and growing.is_clear(_WORD + word, CLEAR if word == "" else CLEAR_WORD):
            missing.append(MissingCode(word) if word else EMPTY)
            cells[word] = growing.cells[_WORD + word]
    cells |= {text: _Cell(n, mechanisms.noise_of(ledger, of_others) ** 2) for text, n in others.items()}
    if growing.is_clear(OTHER):
        rest = growing.cells[OTHER].rows - sum(others.values())
        cells |= {RARE: _Cell(rest, growing.cells[OTHER].variance)} if rest > 0 else {}
    coded = (n_rows[0] - sum(own.rows for own in cells.values()), n_rows[1] + sum(own.variance for own in cells.values()))
    rows, variance, blocks = growing.settled(coded)
    as_written = {name: spellings(name)[written] for name in rows}
    if written and len(set(as_written.values())) == len(rows):
        rows, variance = ({as_written.get(name, name): n for name, n in one.items()} for one in (rows, variance))
    variance |= {text: own.variance for text, own in cells.items()}
    rows |= {text: max(own.rows, 0.0) for text, own in cells.items() if text != RARE}
    blocks |= {text: own.rows for text, own in cells.items() if text == RARE}
    return Tree(tuple(missing), rows, variance, blocks)


def _start(column: Column, alone: int) -> tuple[_Growing, tuple[str, ...]]:
    """The first cells: blocks and chapters, and the words for "no value"."""
    name = str(column.code_system)
    system, (blocks, *wider) = code_system(name), public_groups(name)
    words = tuple(dict.fromkeys([*(code.value for code in column.missing), *WORDS]))
    above = {block: next((up for up in system.ancestors(block) if up != block), block) for block in blocks}
    tops = tuple(dict.fromkeys([*(group for level in wider for group in level), *(up for up in above.values())]))
    blocks = tuple(dict.fromkeys([*blocks, *(top for top in tops if top not in above.values())]))
    book = frozenset(column.levels or ()) if is_listed(column) else None
    below = partial(public_children, name) if book is None else _below(book, system, tops).get
    if book is not None:  # what holds no declared code is no cell
        holds = {up for code in book for up in (code, *system.ancestors(code))}
        tops, blocks = (tuple(name for name in names if name in holds) for names in (tops, blocks))
    cells = {name: _Cell() for name in (*tops, *blocks, *(_WORD + word for word in words), OTHER)}
    growing = _Growing(system, lambda node: below(node) or (), alone, cells, tops, blocks, book)
    for block, up in above.items():
        if up != block and block in cells:
            growing.parts.setdefault(up, []).append(block)
            growing.totals[up] = _Cell()
    return growing, words


def _below(book: Iterable[str], system: CodeSystem, tops: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For every block and code of a declared list, and what stands between, what is directly below it."""
    found: dict[str, dict[str, None]] = {}
    for code in sorted(book):
        path = [code, *system.ancestors(code)]
        for low, high in pairwise(path):
            if low in tops and low != code:
                break
            found.setdefault(high, {})[low] = None
    return {high: tuple(low) for high, low in found.items()}


def _count(private: PrivateDataset, column: Column, growing: _Growing, ledger: Ledger, *, precision: float, by: str) -> None:
    """Counts all rows once, each in the deepest open cell that holds it, and adds the answer to what is known."""
    names = list(growing.cells)
    at = {name: i for i, name in enumerate(names)}

    def places(data: Dataset) -> npt.NDArray[np.int64]:
        """The cell of each row."""
        own, codes = np.unique(level_texts(data, column).astype(str), return_inverse=True)
        return np.array([at[growing.place(text)] for text in own.tolist()], dtype=np.int64)[codes].reshape(-1)

    (answer,) = mechanisms.noisy_counts(
        private.map(places),
        [len(names)],
        ledger,
        precision=precision,
        purpose="codes by block, category and below",
        columns=(column.name,),
        by=by,
    )
    noise = mechanisms.noise_of(ledger, precision)
    for name, rows in zip(names, answer.tolist(), strict=True):
        growing.cells[name].add(rows, noise**2)


def _buy_spelling(private: PrivateDataset, column: Column, ledger: Ledger, *, precision: float, by: str) -> int:
    """Which of the spellings of a code the column is written in: as published, unless another one is likely to hold more rows."""
    system = code_system(str(column.code_system))

    def kinds(data: Dataset) -> npt.NDArray[np.int64]:
        """For each row which spellings its text agrees with, as bits; nowhere where it agrees with all or is no code."""
        own = cell_texts(data, column.name)
        bits = [_agrees(text.strip(), system) for text in own.distinct]
        return np.array(bits, dtype=np.int64)[own.codes]

    (rows,) = mechanisms.noisy_counts(
        private.map(kinds),
        [_ALIKE],
        ledger,
        precision=precision,
        purpose="how codes are spelled",
        columns=(column.name,),
        by=by,
    )
    more = [sum(rows[bits] * ((bits >> i & 1) - (bits & 1)) for bits in range(_ALIKE)) for i in range(N_SPELLINGS)]
    n_cells = 2 ** (N_SPELLINGS - 1)  # that differ between two spellings
    least = ledger.rows_per_patient + LIKELY * mechanisms.noise_of(ledger, precision) * n_cells**0.5
    return int(np.argmax(more)) if max(more) > least else 0


def _agrees(text: str, system: CodeSystem) -> int:
    if not system.is_code(text):
        return mechanisms.NOWHERE
    bits = sum(1 << i for i, spelled in enumerate(spellings(system.normalise(text))) if spelled == text.upper())
    return mechanisms.NOWHERE if bits == _ALIKE else bits


def _others(
    private: PrivateDataset, column: Column, growing: _Growing, ledger: Ledger, *, precision: float, delta: float, by: str
) -> dict[str, float]:
    """Texts that are no codes of the system and that many patients hold."""

    def texts(data: Dataset) -> npt.NDArray[np.object_]:
        """The text of each row that counts as none of the cells."""
        own = level_texts(data, column)
        is_other = {text: growing.place(text) == OTHER for text in set(own.tolist())}
        return np.array([text if is_other[text] else None for text in own.tolist()], dtype=object)

    found, _ = mechanisms.discovered(
        private.map(texts), ledger, precision=precision, delta=delta, purpose="texts that are no codes", columns=(column.name,), by=by
    )
    return found
