"""Conventional anonymisation as a yardstick: k-anonymity by generalisation and suppression (Mondrian). Knows no model; it coarsens.

Papers promise that synthetic data beat it, so it must be there to be beaten: it goes through the same codec, evaluation and attacks.
Its rows are those of real people with blurred quasi-identifiers and everything else as it was, so it is never a release of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy.typing as npt

from manikin.codecs.base import Field, Tokens
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, Table, concat
from manikin.data.errors import FitError, ModelFolderError, parameter_error
from manikin.data.schema import Role
from manikin.data.seeds import generator
from manikin.synthesizers.base import Arrays, Conditions, State, np
from manikin.synthesizers.blocks import check_request, in_batches, redrawn, refuse_conditions, refuse_ledger, require_fitted

SUPPRESSED = -1
Rows = npt.NDArray[np.int64]
Records = npt.NDArray[np.int64]


@dataclass(kw_only=True)
class KAnonymity:
    """Every combination of quasi-identifiers is shared by at least `k` patients (Samarati & Sweeney 1998; Sweeney 2002).

    Mondrian (LeFevre, DeWitt & Ramakrishnan 2006, doi:10.1109/ICDE.2006.101): the patients are parted at the median of the
    quasi-identifier that spreads most, again and again, as long as both parts keep k patients. Within a part the quasi-identifiers take
    one value: the middle one of an ordered column, the commonest level of another. The parts that lost most are suppressed. Where the
    schema names no quasi-identifier, every column counts as one.

    Parameters
    ----------
    k : patients who share each combination, in [2, inf).
    suppression : most patients that are left out, as a share, in [0, 0.5].

    >>> KAnonymity(k=5)
    KAnonymity(k=5, suppression=0.05)
    """

    k: int = 11
    suppression: float = 0.05
    codec_: TableCodec = field(init=False, repr=False)
    rows_: Any = field(init=False, repr=False)
    part_: Any = field(init=False, repr=False)
    shared_: Any = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:  # noqa: ARG002 (the protocol's)
        """Keeps the rows as tokens, with the part that each belongs to; `seed` changes nothing.

        Raises
        ------
        BudgetError : a ledger is given.
        FitError : there are fewer than k patients.
        """
        refuse_ledger("k_anonymity", ledger)
        self._check()
        if data.n_records < self.k:
            raise FitError(
                f"There are {data.n_records} patients, fewer than the k = {self.k} who must share each combination. Bring more."
            )
        self.codec_ = TableCodec().fit(data)
        tokens, records = self.codec_.encode(data), data.records
        names = blurred_columns(self.codec_)
        asked = [j for j, one in enumerate(self.codec_.layout.fields) if one.column in names]
        places = np.column_stack([self._places(j, tokens[:, j]) for j in asked])
        parts = self._kept(parted(places, records, self.k), places, records)
        self.rows_, self.part_ = tokens, np.full(len(tokens), SUPPRESSED, dtype=np.int32)
        for i, rows in enumerate(parts):
            self.part_[rows] = i
        self.shared_ = np.stack([self._shared(tokens[rows], asked) for rows in parts]).astype(np.int32)
        return self

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` of the blurred rows in random order; after the last one they come again.

        Raises
        ------
        ParameterError : conditions are given; the rows are what they are.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The rows of `sample` in batches."""
        require_fitted(self, "codec_")
        refuse_conditions("k_anonymity", "blurs", conditions)
        check_request("KAnonymity", n, batch_size, None)
        order = generator(seed, "k_anonymity", "order").permutation(np.flatnonzero(self.part_ != SUPPRESSED))
        blurred = self.codec_.decode(self.shared_, generator(seed, "k_anonymity", "shared"))
        names = blurred_columns(self.codec_)

        def draw(number: int, start: int, stop: int) -> Dataset:
            """The rows of one block: what is sensitive as it was, what identifies as the part shares it."""
            rng = generator(seed, "k_anonymity", number)
            chosen = order[np.arange(start, stop) % len(order)]
            tokens = redrawn(self.codec_, self.rows_[chosen], rng)
            made = self.codec_.decode(tokens, rng, first_key=start + 1)
            return _with_columns(made, blurred.take(self.part_[chosen].astype(np.int64)), names)

        return in_batches(draw, n, batch_size=batch_size)

    def _check(self) -> None:
        if isinstance(self.k, bool) or not isinstance(self.k, int) or self.k < 2:
            raise parameter_error("k", "k_anonymity", "an int in [2, inf)", self.k)
        if not isinstance(self.suppression, int | float) or not 0 <= self.suppression <= 0.5:
            raise parameter_error("suppression", "k_anonymity", "a number in [0, 0.5]", self.suppression)

    def _places(self, j: int, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        """Where each cell stands in [0, 1]: by rank among the column's tokens; unordered levels by their frequency, commonest first."""
        known: Field = self.codec_.layout.fields[j]
        counts = np.bincount(tokens, minlength=known.n_tokens)
        order = np.arange(known.n_tokens) if known.is_ordered else np.argsort(-counts, kind="stable")
        middle = np.empty(known.n_tokens)
        middle[order] = np.cumsum(counts[order]) - counts[order] / 2
        return np.asarray(middle[tokens] / len(tokens))

    def _kept(self, parts: list[Rows], places: npt.NDArray[np.float64], records: Records) -> list[Rows]:
        """All parts but those that were blurred most, as long as at most the share `suppression` of the patients is lost."""
        spread = [float(np.ptp(places[rows], axis=0).max()) for rows in parts]
        budget, dropped = int(self.suppression * (int(records.max()) + 1)), set[int]()
        for i in sorted(range(len(parts)), key=lambda i: -spread[i]):
            n_patients = len(np.unique(records[parts[i]]))
            if spread[i] <= 0.5 or n_patients > budget or len(dropped) == len(parts) - 1:
                break
            budget -= n_patients
            dropped.add(i)
        return [rows for i, rows in enumerate(parts) if i not in dropped]

    def _shared(self, tokens: Tokens, asked: list[int]) -> npt.NDArray[np.int32]:
        """One row of tokens for a part: the middle or commonest of its quasi-identifiers that may be released, any token elsewhere."""
        row = tokens[0].copy()
        for j in range(tokens.shape[1]):
            allowed = np.flatnonzero(self.codec_.emitted(j))
            held = tokens[:, j][np.isin(tokens[:, j], allowed)] if j in asked else allowed[:1]
            if not len(held):
                held = allowed
            is_ordered = self.codec_.layout.fields[j].is_ordered
            row[j] = np.sort(held)[(len(held) - 1) // 2] if is_ordered else np.bincount(held).argmax()
        return row

    def state(self) -> State:
        """Everything fitted, the rows among it."""
        values, arrays = self.codec_.state()
        own = {"rows": self.rows_, "part": self.part_, "shared": self.shared_}
        return {"codec": values}, {f"codec.{name}": array for name, array in arrays.items()} | own

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back."""
        own = {name.removeprefix("codec."): array for name, array in arrays.items() if name.startswith("codec.")}
        self.codec_ = TableCodec.from_state(values["codec"], own)
        sizes = np.array(self.codec_.layout.sizes)
        for name in ("rows", "shared"):
            array = arrays[name]
            is_fit = array.dtype == np.int32 and array.ndim == 2 and len(array) > 0 and array.shape[1] == len(sizes)
            if not is_fit or (array < 0).any() or (array >= sizes).any():
                raise ModelFolderError(f"The array {name!r} does not fit the model's columns. Save the model again.")
        part, n_parts = arrays["part"], len(arrays["shared"])
        is_fit = part.dtype == np.int32 and part.shape == (len(arrays["rows"]),)
        if not is_fit or (part < SUPPRESSED).any() or (part >= n_parts).any() or (part == SUPPRESSED).all():
            raise ModelFolderError("The array 'part' does not fit the model's rows. Save the model again.")
        self.rows_, self.shared_, self.part_ = arrays["rows"], arrays["shared"], part
        return self


def blurred_columns(codec: TableCodec) -> list[str]:
    """The schema's quasi-identifiers that are learned; every learned column where it names none, which is the strictest reading."""
    named = [c.name for c in codec.schema_.learned if c.has_role(Role.QUASI_IDENTIFIER)]
    return named or [c.name for c in codec.schema_.learned]


def parted(places: npt.NDArray[np.float64], records: Records, k: int) -> list[Rows]:
    """Mondrian's parts, each with at least `k` patients, as row numbers.

    Parameters
    ----------
    places : (n_rows, n_quasi_identifiers), where each cell stands in [0, 1]; equal cells stand at one place.
    records : (n_rows,), the patient of each row. A patient whose rows fall on both sides counts on both.
    """
    waiting, made = [np.arange(len(places), dtype=np.int64)], []
    while waiting:
        rows = waiting.pop()
        cut = _cut(places[rows], records[rows], k)
        if cut is None:
            made.append(rows)
        else:
            waiting += [rows[~cut], rows[cut]]
    return made


def _cut(places: npt.NDArray[np.float64], records: Records, k: int) -> npt.NDArray[np.bool_] | None:
    """Which rows go to the lower side: the column that spreads most is cut at its median where both sides keep k patients."""
    if len(np.unique(records)) < 2 * k:
        return None
    for j in np.argsort(-np.ptp(places, axis=0), kind="stable"):
        values = places[:, j]
        median = np.sort(values)[(len(values) - 1) // 2]
        for lower in (values <= median, values < median):
            sides = [len(np.unique(records[lower])), len(np.unique(records[~lower]))]
            if min(sides) >= k:
                return np.asarray(lower)
    return None


def _with_columns(made: Dataset, other: Dataset, names: list[str]) -> Dataset:
    """The first table with some columns of the second, row by row."""
    frame, marks = made.table.frame.copy(), dict(made.table.marks)
    for name in names:
        frame[name] = other.table.frame[name].array
        marks.pop(name, None)
        if name in other.table.marks:
            marks[name] = other.table.marks[name]
    return made.with_table(Table(frame, marks))
