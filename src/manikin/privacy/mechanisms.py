"""The mechanisms that answer queries on private rows, each with its noise, its sensitivity and its line in the ledger. Knows no model.

Together with `dpsgd` the only place that draws privacy noise. Noise comes from a generator keyed by the operating system for each answer,
so that no published seed can replay it and one answer's noise says nothing about another's; it is a counter through a block function
(Philox), of which no way back to the key is known, but no cipher that anybody vouches for. Counts are released as whole numbers:
double-precision noise is added and rounded, which takes away the low-order bits that attacks on floating-point noise read (Mironov 2012,
doi:10.1145/2382196.2382264); this is not a proof about floating-point arithmetic, and is nowhere called certified.

A patient with more rows than `ledger.rows_per_patient` is cut down to that number, at random, before anything is looked at (`seal`), so a
count changes by no more than that number, in all cells of one table together, when a patient is added or removed.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import ceil, log
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import BudgetError, parameter_error
from manikin.data.schema import Role
from manikin.privacy.accountant import exponential_epsilon
from manikin.privacy.answers_kept import answered_once
from manikin.privacy.events import Exponential, Gaussian, Laplace, Threshold
from manikin.privacy.ledger import COUNT_SHARE, Ledger
from manikin.privacy.sealed import (
    EVENTS,
    EVERYBODY,
    PrivateDataset,
    PrivateRecords,
    Sealed,
    SealedSummary,
    opened,
    opened_data,
    opened_summary,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
NOWHERE = -1  # the cell of a row that counts in none
MISCOUNTED = 1e-6  # chance that there are more patients than delta is made for


def private_generator() -> np.random.Generator:
    """A generator that no seed of the user's can replay: key and counter, 384 bits, from the operating system."""
    return np.random.Generator(np.random.Philox(key=secrets.randbits(128), counter=secrets.randbits(256)))


def seal(data: Dataset | PrivateDataset, ledger: Ledger) -> PrivateDataset:
    """The data set behind a seal, each patient cut down to the rows that count, chosen at random and by herself alone. A row without a
    patient key counts as a patient of its own: all of them as one patient, a further one would take the others' places.

    The number of patients is bought when it has not been, for a hundredth of epsilon, since rates and denominators rest on it. Delta, where
    none was given, is set by the most that they can be for this noise, so that it lies below 1 / (10 n) but for one time in a million.

    Raises
    ------
    BudgetError : rows that were sealed for another ledger, with more rows of a patient than this one's noise is made for; or a delta above
        one over the number of patients, under which whole records may leak, so that no audit would pass. The number was bought with noise,
        so this is asked of the fewest that they can be (`Ledger.fewest_patients`).
    """
    if isinstance(data, PrivateDataset):
        if data.rows_per_patient > ledger.rows_per_patient:
            raise BudgetError(
                f"These rows were sealed with up to {data.rows_per_patient} rows of a patient, and the ledger's noise is made for "
                f"{ledger.rows_per_patient}. Seal the data set anew."
            )
        private = data
    else:
        data = _each_with_a_key(data)
        kept = data.take(np.sort(_bounded(data.records, ledger.rows_per_patient, private_generator())))
        private = PrivateDataset(kept, rows_per_patient=ledger.rows_per_patient)
    _buy_number(private, ledger)
    return private


def seal_records(data: Dataset | PrivateRecords, ledger: Ledger) -> PrivateRecords:
    """Linked tables behind a seal: of each patient no more rows of each table, and of all tables together, than the ledger's noise is
    made for. Which ones is drawn for each row by a hash of its patient's key and its place among her rows, under a secret key.

    The number of patients is bought when it has not been, as by `seal`.

    Raises
    ------
    BudgetError : a table does not name its patient by itself (through another table, one patient's key might decide whose row another's
        is); rows that were sealed with more of a patient; or a delta above one over the number of patients.
    """
    if isinstance(data, PrivateRecords):
        if data.rows_per_patient > ledger.rows_per_patient:
            raise BudgetError(f"These tables were sealed with up to {data.rows_per_patient} rows of a patient. Seal the data set anew.")
        private = data
    else:
        for table in data.schema.of_patients:
            if not table.with_role(Role.PATIENT_KEY):
                raise BudgetError(
                    f"Table {table.name!r} names its patients through another table only. Under a privacy budget each table of patients "
                    "needs a column with the role patient_key: add it to the table."
                )
        secret = private_generator().bytes(16)
        keys = _keys_of_patients(data, secret)
        owners = {table.name: data.owners[table.name] for table in data.schema.of_patients}
        owners |= {EVENTS: np.concatenate(list(owners.values())) if owners else np.empty(0, dtype=np.int64)}
        kept = {name: _chosen_rows(owner, keys, ledger.rows_per_patient) for name, owner in owners.items()}
        kept[EVERYBODY] = np.ones(data.n_records, dtype=bool)
        private = PrivateRecords(data, kept, rows_per_patient=ledger.rows_per_patient)
    _buy_number(private, ledger)
    return private


def _keys_of_patients(data: Dataset, secret: bytes) -> npt.NDArray[np.uint64]:
    """A secret number for each patient that hangs on her own key alone, uint64 (n_patients,)."""
    out = np.zeros(data.n_records, dtype=np.uint64)
    for table in data.schema.of_patients:
        owner = data.owners[table.name]
        patients, first = np.unique(owner, return_index=True)
        texts = column_texts(data.tables[table.name].take(first), table.with_role(Role.PATIENT_KEY)[0])
        digests = [blake2b(str(text).encode("utf-8", "surrogatepass"), key=secret, digest_size=8).digest() for text in texts]
        out[patients] = np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.uint64)
    return out


def _chosen_rows(owner: Ints, keys: npt.NDArray[np.uint64], most: int) -> npt.NDArray[np.bool_]:
    """Which rows count, bool (n_rows,): of each patient the `most` with the least numbers, which her key and the row's place give."""
    order = np.argsort(owner, kind="stable")
    held = owner[order]
    begins = np.flatnonzero(np.diff(held, prepend=-1))
    place = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
    mixed = _mixed(keys[held] + (place.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    by_number = np.lexsort([mixed, held])
    out = np.zeros(len(owner), dtype=bool)
    out[order[by_number[place < most]]] = True
    return out


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Each number scattered over all of 64 bits: the finaliser of SplitMix64 (Steele et al. 2014, doi:10.1145/2660193.2660195)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _buy_number(private: PrivateDataset | PrivateRecords, ledger: Ledger) -> None:
    """Buys the number of patients where that has not been done, and refuses a delta that is too large for so many."""
    if ledger.n_patients is None:
        epsilon = COUNT_SHARE * ledger.epsilon
        n = count(private, ledger, epsilon=epsilon)
        ledger.set_delta(n, at_most=n + ceil(log(1 / (2 * MISCOUNTED)) / epsilon))
    if ledger.delta is not None and ledger.n_patients is not None and ledger.delta * ledger.fewest_patients >= 1:
        raise BudgetError(
            f"Delta {ledger.delta:.2g} is above one over the number of patients (about {ledger.n_patients:,}, as bought with noise): "
            "whole records could leak within it. Give a smaller --delta, or none."
        )


@answered_once
def count(data: PrivateDataset | PrivateRecords, ledger: Ledger, *, epsilon: float, by: str = "") -> int:
    """The number of patients with Laplace noise of scale 1 / epsilon (Dwork et al. 2006, doi:10.1007/11681878_14), at least 1."""
    ledger.spend(Laplace(1 / epsilon), purpose="number of patients", by=by)
    noise = private_generator().laplace(scale=1 / epsilon)
    return max(1, round(opened_data(data).n_records + noise))


@answered_once
def noisy_counts(
    cells: Sealed,
    sizes: Sequence[int],
    ledger: Ledger,
    *,
    precision: float,
    purpose: str,
    columns: Sequence[str] = (),
    by: str = "",
) -> list[Floats]:
    """How many rows lie in each cell of one or several tables, with Gaussian noise, rounded; entries may be negative.

    All tables are bought together as one Gaussian event of `precision`: each alone has precision / n_tables, and noise of standard
    deviation rows_per_patient * sqrt(n_tables / precision).

    Parameters
    ----------
    cells : ints (n_rows,) for one table or (n_rows, n_tables): the cell of each row, or NOWHERE. sizes : number of cells of each table.
    precision : mu^2 of the event, above 0.

    Returns
    -------
    float64 (sizes[t],) for each table t.

    Raises
    ------
    BudgetError : the ledger does not allow it; nothing is drawn.
    """
    noise = noise_of(ledger, precision, n_tables=len(sizes))
    ledger.spend(Gaussian(float(precision**-0.5)), purpose=purpose, columns=columns, by=by)
    rows = opened(cells)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.shape[1] != len(sizes):
        raise parameter_error("cells", "noisy_counts", f"of {len(sizes)} tables", rows.shape[1])
    rng, out = private_generator(), []
    for t, size in enumerate(sizes):
        own = rows[:, t]
        inside = own[(own >= 0) & (own < size)]
        out.append(np.rint(np.bincount(inside, minlength=size) + rng.normal(scale=noise, size=size)))
    return out


def noise_of(ledger: Ledger, precision: float, *, n_tables: int = 1) -> float:
    """The standard deviation of `noisy_counts` at a precision, in rows."""
    if not precision > 0:
        raise parameter_error("precision", "noisy_counts", "a number above 0", precision)
    return ledger.rows_per_patient * float(np.sqrt(n_tables / precision))


@answered_once
def discovered(
    texts: Sealed,
    ledger: Ledger,
    *,
    precision: float,
    delta: float,
    purpose: str,
    columns: Sequence[str] = (),
    by: str = "",
    per_row: int = 1,
) -> tuple[dict[str, float], float]:
    """The values that many patients hold, with their noisy counts: domain discovery by a threshold.

    Every value that occurs is counted with Gaussian noise and kept if the noisy count exceeds the threshold, so that all values that one
    patient alone brings in survive with a probability of at most `delta` together (Korolova et al. 2009, doi:10.1145/1526709.1526733;
    Wilson et al., arXiv 1909.01917): with K rows a patient and C values a row, noise is made for an L2 sensitivity of K * sqrt(C), and
    threshold = K + noise * quantile(1 - delta / (K * C)), and a little more, so that what is compared may be the rounded count.

    Parameters
    ----------
    texts : objects (n_rows,): strings, tuples of strings, or None where the row counts in none.
    per_row : C, the most different values of a row that count, drawn at random by row where it has more.

    Returns
    -------
    noisy count by value, in descending order, and the threshold that they exceed.
    """
    if type(per_row) is not int or per_row < 1:
        raise parameter_error("per_row", "discovered", "an int in [1, inf)", per_row)
    ledger.spend(Threshold(delta), purpose=f"{purpose}: values found", columns=columns, by=by)
    ledger.spend(Gaussian(float(precision**-0.5)), purpose=purpose, columns=columns, by=by)
    noise, k = noise_of(ledger, precision) * float(np.sqrt(per_row)), ledger.rows_per_patient
    held = Counter(_values(opened(texts).tolist(), per_row, private_generator()))
    values = sorted(held)
    counts = np.array([held[value] for value in values], dtype=float)
    noisy = np.rint(counts + private_generator().normal(scale=noise, size=len(counts)))
    threshold = ceil(k + noise * float(-ndtri(delta / (k * per_row))) + 0.5) - 0.5  # no rounding lifts a count over it
    kept = [(value, float(number)) for value, number in zip(values, noisy, strict=True) if number > threshold]
    return dict(sorted(kept, key=lambda one: (-one[1], one[0]))), threshold


def _values(rows: Sequence[Any], per_row: int, rng: np.random.Generator) -> list[str]:
    """All values of all rows, of each row at most so many different ones."""
    out: list[str] = []
    for row in rows:
        if isinstance(row, str):
            out.append(str(row))
        elif row is not None:
            own = sorted(set(row))
            out += own if len(own) <= per_row else [own[i] for i in rng.choice(len(own), per_row, replace=False)]
    return out


@answered_once
def chosen(
    rows: Sealed | SealedSummary,
    scores: Callable[[Any], Floats],
    ledger: Ledger,
    *,
    sensitivity: float,
    precision: float,
    purpose: str,
    columns: Sequence[str] = (),
    by: str = "",
) -> int:
    """The exponential mechanism: one of several public candidates, those with high private scores more likely.

    Parameters
    ----------
    rows : what scores are worked out from, rows or a summary of them.
    scores : what was opened -> float64 (n_candidates,). sensitivity : the most that one score changes when one patient is added or removed,
        counted for the rows that she may have (multiply by `ledger.rows_per_patient` where a score counts rows).
    precision : mu^2 that the choice costs.

    Returns
    -------
    the position of the chosen candidate.
    """
    epsilon = exponential_epsilon(precision)
    ledger.spend(Exponential(epsilon), purpose=purpose, columns=columns, by=by)
    own = scores(opened_summary(rows) if isinstance(rows, SealedSummary) else opened(rows))
    return int(np.argmax(epsilon * own / (2 * sensitivity) + private_generator().gumbel(size=len(own))))


def noisy_votes(
    votes: npt.NDArray[Any], ledger: Ledger, *, noise: float, purpose: str, columns: Sequence[str] = (), by: str = ""
) -> Floats:
    """How many teachers vote yes on each question, with Gaussian noise (Papernot et al., arXiv 1802.08908); may lie outside 0 … n_teachers.

    Every patient must belong to one teacher alone, whatever patients there are beside her: then she changes one vote of each question, and
    the answers to n questions are n Gaussian events of noise multiplier `noise`.

    Parameters
    ----------
    votes : bool (n_questions, n_teachers). noise : standard deviation, in votes.
    """
    n_questions = votes.shape[0]
    ledger.spend(Gaussian(noise / float(np.sqrt(n_questions))), purpose=purpose, columns=columns, by=by)
    return votes.sum(axis=1) + private_generator().normal(scale=noise, size=n_questions)


def assigned(data: PrivateDataset, n_groups: int) -> Sealed:
    """The group 0 … n_groups - 1 of each row, drawn for each patient by herself and kept secret: what PATE's teachers are told apart by.

    One patient more changes nobody else's group; a group by position or by running number would move everybody after her.
    """
    own = opened_data(data)
    return Sealed(private_generator().integers(n_groups, size=own.n_records)[own.records])


def _each_with_a_key(data: Dataset) -> Dataset:
    """The data set in which every row without a patient key has one of its own."""
    keys = data.columns.with_role(Role.PATIENT_KEY)
    if not keys:
        return data
    name = keys[0].name
    own = data.table.frame[name].to_numpy(dtype=object).copy()
    lost = data.table.frame[name].isna().to_numpy() | (own == "")
    own[lost] = [f"\x1f{i}" for i in range(int(lost.sum()))]  # a unit separator begins no key
    marks = {column: mark for column, mark in data.table.marks.items() if column != name}
    return data.with_table(Table(data.table.frame.assign(**{name: own}), marks)) if lost.any() else data


def _bounded(patients: Ints, most: int, rng: np.random.Generator) -> Ints:
    """Positions of at most `most` rows of each patient, chosen at random within each patient."""
    shuffled = rng.permutation(len(patients))
    order = shuffled[np.argsort(patients[shuffled], kind="stable")]
    held = patients[order]
    starts = np.flatnonzero(np.diff(held, prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    return order[place < most]
