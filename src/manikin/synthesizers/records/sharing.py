"""How the rows of a patient are shared among what they lie within, as laboratory values among her stays. From counts; knows no records.

Dirichlet-multinomial: the shares of a patient's stays follow a Dirichlet distribution about their lengths, or about equal ones where these
tell more, whose concentration is found by the method of moments (Mosimann 1962, doi:10.1093/biomet/49.1-2.65, section 3), so that rows
pile up in few stays as often as they do in real records. It is drawn stay by stay, as sticks are broken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import ModelFolderError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
FEWEST = 11  # patients with several stays, from whom a table is counted
EVEN = 2.0  # concentration for each stay where there are fewer, none of which is empty
LEAST, MOST, ROUNDS = 0.01, 1000.0, 40
RARELY = 0.05  # of stays that are empty, below which none is


@dataclass(frozen=True)
class Sharing:
    """Of one table.

    Attributes
    ----------
    concentration : of the Dirichlet distribution, for each stay. length : mean of stays, in ticks, 0 where shares do not go with lengths.
    is_full : whether each stay has a row where there are enough.
    """

    concentration: float = EVEN
    length: float = 0.0
    is_full: bool = True

    def draw(self, rows: Ints, others: Ints, lengths: Floats, rng: np.random.Generator) -> Ints:
        """Rows that fall to stays that begin, int64 (n,); all of them where no other stay is to come.

        Parameters
        ----------
        rows, others : int64 (n,), rows and further stays to come. lengths : float64 (n,), of the stays, in ticks, inf where not known.
        """
        weight = np.ones(len(rows))
        if self.length:
            weight = np.clip(np.where(np.isfinite(lengths), lengths, self.length) / self.length, LEAST, MOST)
        part = rng.beta(self.concentration * weight, self.concentration * np.maximum(others, 1))
        out = rng.binomial(rows, np.where(others == 0, 1.0, part))
        if self.is_full:
            out = np.where(rows > others, np.clip(out, 1, np.maximum(rows - others, 1)), out)
        return out.astype(np.int64)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, as arrays."""
        return {"sharing": np.array([self.concentration, self.length, float(self.is_full)])}

    @classmethod
    def from_state(cls, arrays: dict[str, npt.NDArray[Any]]) -> Sharing:
        """As saved.

        Raises
        ------
        ModelFolderError : it is none.
        """
        own = arrays["sharing"]
        is_fit = own.shape == (3,) and bool(np.isfinite(own).all())
        if not is_fit or not LEAST <= own[0] <= MOST or (own[1] < 1 and own[1] != 0) or own[2] not in (0, 1):
            raise ModelFolderError("How a model shares rows among stays is not to be read. Save the model again.")
        return cls(float(own[0]), float(own[1]), bool(own[2]))


class Portions:
    """The rows that patients on their way are still to have, as they fall to stays.

    Parameters
    ----------
    planned : int64 (n, n_tables), rows of each table; changed.
    sharing : of each table. holders : by table, the one whose rows its own come with; what is not there is not shared.

    Attributes
    ----------
    share, whole : int64 (n, n_tables), rows that are left for the last such row, and all that fell to it. length : float64, its ticks.
    """

    def __init__(self, planned: Ints, sharing: Sequence[Sharing], holders: Mapping[int, int]) -> None:
        self.planned, self.sharing, self.holders, self._held = planned, sharing, holders, list(holders)
        self.share, self.whole = np.zeros(planned.shape, dtype=np.int64), np.zeros(planned.shape, dtype=np.int64)
        self.length, self.is_last = np.full(planned.shape, np.inf), np.zeros(len(planned), dtype=bool)

    def allowed(self, patients: Ints, open_: Bools) -> Bools:
        """Which tables may come, bool (n_patients, n_tables), of those that are open; what is left comes where no other stay will."""
        out = open_ & (self.planned[patients] > 0)
        may, shared = out.copy(), self.share[patients][:, self._held] > 0
        may[:, self._held] &= shared
        lost = ~np.any(may, axis=1)
        self.is_last[patients[lost]] = True
        self.share[patients[lost]] = self.planned[patients[lost]]
        may[lost] = out[lost]
        return may

    def close(self, patients: Ints, table: int) -> None:
        """The time for rows of a table is up: they are left for other stays, if any are to come."""
        self.share[patients, table] = 0
        others = self.planned[patients, self.holders[table]] if table in self.holders else np.zeros(len(patients), dtype=np.int64)
        self.planned[patients[(others == 0) | self.is_last[patients]], table] = 0

    def drawn(self, patients: Ints, table: int, lengths: Floats, rng: np.random.Generator) -> None:
        """Takes note of rows of a table, with how long they are, and shares out those that come with them."""
        self.planned[patients, table] -= 1
        self.share[patients, table] -= 1
        for child in (child for child, parent in self.holders.items() if parent == table):
            falls = self.sharing[child].draw(self.planned[patients, child], self.planned[patients, table], lengths, rng)
            self.whole[patients, child] = self.share[patients, child] = falls
            self.length[patients, child] = lengths

    def to_come(self, patients: Ints, table: int) -> Floats:
        """Rows of a table that an open row of these patients is to hold, or else the next one, float64 (n_patients,)."""
        others = self.planned[patients, self.holders[table]]
        next_ = np.where(others > 0, self.planned[patients, table] / np.maximum(others, 1), 0.0)
        return np.where(self.share[patients, table] > 0, self.share[patients, table], next_)

    def lead(self, patients: Ints, table: int, time: Floats) -> Floats:
        """How much more of the rows of a stay have come than of its time has gone by, in [-1, 1], 0 where that is not known, (n_patients,).

        Parameters
        ----------
        time : float64 (n_patients,), ticks that are left of it.
        """
        rows, length = self.whole[patients, table], self.length[patients, table]
        known = np.isfinite(length) & (rows > 0)
        gone = 1 - np.clip(np.where(known, time, 0.0) / np.where(known, np.maximum(length, 1), 1.0), 0, 1)
        done = np.clip(1 - self.share[patients, table] / np.maximum(rows, 1), 0, 1)
        return np.where(known, done - gone, 0.0)


def count_sharing(rows: Ints, patients: Ints, lengths: Floats) -> Sharing:
    """From stays: their rows, and whose they are, int64 (n,) each; how long they are, float64 (n,), in ticks, inf where nobody knows."""
    _, who = np.unique(patients, return_inverse=True)
    n_stays, n_rows = np.bincount(who), np.bincount(who, weights=rows)
    is_told = (n_stays > 1) & (n_rows > 1)
    if is_told.sum() < FEWEST:
        return Sharing()
    chosen = is_told[who]
    who, rows, lengths = who[chosen], rows[chosen], lengths[chosen]
    known = np.isfinite(lengths)
    mean = float(lengths[known].mean()) if len(np.unique(who[known])) >= FEWEST else 0.0
    equal = 1.0 / n_stays[who]
    by_length = _scaled(np.clip(np.where(known, lengths, mean) / mean, LEAST, MOST), who) if mean >= 1 else equal
    is_longer = bool((rows / n_rows[who] * np.log(by_length / equal)).sum() > 0)
    weights = by_length if is_longer else equal
    pairs = np.bincount(who, weights=rows * (rows - 1.0), minlength=len(n_rows))[is_told] / (n_rows * (n_rows - 1))[is_told]
    even = np.bincount(who, weights=weights**2, minlength=len(n_rows))[is_told]
    low, high = np.log(LEAST), np.log(MOST)
    for _ in range(ROUNDS):  # two rows of a patient lie in one stay the less often the higher the concentration is
        middle = (low + high) / 2
        whole = np.exp(middle) * n_stays[is_told]
        is_more = ((whole * even + 1) / (whole + 1)).sum() > pairs.sum()
        low, high = (middle, high) if is_more else (low, middle)
    enough = (n_rows >= n_stays)[who]
    is_full = bool(enough.any() and (rows[enough] == 0).mean() < RARELY)
    return Sharing(float(np.clip(np.exp(low), LEAST, MOST)), mean if is_longer else 0.0, is_full)


def _scaled(weights: Floats, who: Ints) -> Floats:
    """Weights that add up to 1 for each."""
    return np.asarray(weights / np.bincount(who, weights=weights)[who])
