"""Classes of patients by how many rows of a table they have: public, fine for few rows and coarse for many. Knows no patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
CLEAR, ALONE = 4.0, 1.0  # standard deviations, and patients, beyond which patients are believed to be there
LENGTHS = np.array([0, 1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145])
"""The fewest rows of each class; the last one ends below `MOST_ROWS`."""
N_LENGTHS = len(LENGTHS)
MOST_ROWS = 8_192  # of one table and patient, in what is made


def length_class(rows: Ints) -> Ints:
    """The class of numbers of rows among `LENGTHS`."""
    return np.searchsorted(LENGTHS, rows, side="right") - 1


def length_shares(counts: Floats, noise: float, n_patients: float) -> Floats:
    """Shares of classes from noisy counts of patients, float64 (N_LENGTHS,).

    A few patients by chance in a class of thousands of rows would outweigh everybody's: the last class is the one from which on patients
    together stand clear of the noise, and it holds all who lie beyond.
    """
    beyond = np.cumsum(counts[::-1])[::-1]
    least = ALONE + CLEAR * noise * np.sqrt(np.arange(len(counts), 0, -1))
    clear = np.flatnonzero(beyond > least)
    last = int(clear[-1]) if len(clear) else 0
    kept = np.zeros(len(counts))
    kept[:last], kept[last] = np.maximum(counts[:last], 0.0), max(float(beyond[last]), 1.0)
    surplus = _surplus(kept, n_patients)
    kept = np.maximum(kept - surplus, 0.0)
    return np.asarray(kept / kept.sum())


def _surplus(counts: Floats, total: float) -> float:
    """What is taken off each count so that those that are left add up to no more than the total."""
    falling = np.sort(counts)[::-1]
    over = (np.cumsum(falling) - total) / np.arange(1, len(counts) + 1)
    return max(0.0, float(over[np.flatnonzero(falling > over)[-1]]))


def drawn_lengths(classes: Ints, rng: np.random.Generator) -> Ints:
    """Numbers of rows within their classes, int64, each number of a class alike."""
    low = LENGTHS[classes]
    high = np.append(LENGTHS[1:], MOST_ROWS)[classes]
    return np.asarray(low + (rng.random(classes.shape) * (high - low)).astype(np.int64))


def most_rows(shares: npt.NDArray[np.float64]) -> int:
    """The most rows that classes with these shares may draw."""
    there = np.flatnonzero(shares > 0)
    return int(np.append(LENGTHS[1:], MOST_ROWS)[there[-1]] - 1) if len(there) else 0
