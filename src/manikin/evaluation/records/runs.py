"""Runs of events that two patients share verbatim: the longest that each has in common with anybody of a crowd. Knows no attack.

An event is its table, levels and numbers as they are; its time is not looked at, so that a shifted calendar hides nothing. Windows are
compared by 64-bit hashes made by doubling (Karp, Miller & Rosenberg 1972, doi:10.1145/800152.804905): a window of any length is the
pair of the two windows of a power of two that cover it. A chance collision among a hundred million windows is less likely than one in a
thousand.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.evaluation.prepared import mixed
from manikin.evaluation.records.history import History

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
LENGTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 128, 256, 512, 1024, 2048, 4096)


def longest_runs(sides: Sequence[History], crowd: History) -> list[Ints]:
    """The length of the longest run that each patient shares with anybody of the crowd, rounded down to one of LENGTHS, 0 where none.

    Only places where a shorter window was shared are looked at again, on both sides, so that the work falls quickly with the length
    unless passages are copied.

    Returns
    -------
    For each of the sides int64 (n_patients,).
    """
    best = [np.zeros(side.n_patients, dtype=np.int64) for side in sides]
    mine, theirs = [_Windows(side) for side in sides], _Windows(crowd)
    for length in LENGTHS:
        wanted = [windows.hashed(length) for windows in mine]
        found = theirs.hashed(length)
        shared = _among(found, np.concatenate(wanted))
        if not shared.any():
            break
        theirs.keep(shared)
        known = found[shared]
        for windows, hashes, longest in zip(mine, wanted, best, strict=True):
            windows.keep(_among(hashes, known))
            longest[windows.patient[windows.places]] = length
    return best


def _among(hashes: Hashes, known: Hashes) -> npt.NDArray[np.bool_]:
    """Which of the hashes are among known ones; pandas' hash table takes an eighth of the time of a search among sorted ones."""
    return np.asarray(pd.Series(hashes).isin(known))


class _Windows:
    """The windows of one side that may still be shared: where they begin, and the hashes of all windows of a power of two."""

    def __init__(self, side: History) -> None:
        self.patient = side.patient
        self.power = 1
        self.powers: Hashes = side.content
        self.places: Ints = np.arange(len(side), dtype=np.int64)

    def hashed(self, length: int) -> Hashes:
        """The hashes of the windows of this length that begin at a place that is left and end within the patient; lengths ascend."""
        while self.power * 2 <= length:
            self.powers = mixed(self.powers * np.uint64(3) + mixed(np.roll(self.powers, -self.power)))
            self.power *= 2
        places = self.places[self.places + length <= len(self.patient)]
        self.places = places[self.patient[places] == self.patient[places + length - 1]]
        first = self.powers[self.places]
        if length == self.power:
            return first
        return mixed(first * np.uint64(3) + mixed(self.powers[self.places + length - self.power]))

    def keep(self, shared: npt.NDArray[np.bool_]) -> None:
        """Leaves the places whose window was shared."""
        self.places = self.places[shared]
