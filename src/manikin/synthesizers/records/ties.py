"""How a number follows the patient's last one of the same code: it is the same again, or near it. From counts; knows no table.

A chain by a Gaussian copula: the number's own chances (what the rest of the row says) stay what they are, and where within them it lies
goes with where the last one would lie within them, normal scores of both having one correlation for each code (Joe 1997, Multivariate
Models and Dependence Concepts, section 8.1, doi:10.1201/9780367803896).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from manikin.codecs.levels import count_holders
from manikin.data.errors import ModelFolderError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
PULL = 30.0  # rows that what all codes show stands for beside what one does
FEWEST = 2  # patients who must show it
MOST = 0.98  # of a correlation
FIRST, ROUNDS = 0.1, 12  # share of copies to begin with
ENDS = 1e-4  # how near to 0 and 1 a place may lie


@dataclass(frozen=True)
class Ties:
    """By context of the code: `same`, how often a number is the last one beyond chance, in [0, 1]; `rho`, the correlation of others."""

    same: Floats
    rho: Floats

    def draw(self, contexts: Ints, before: Ints, weights: Floats, rng: np.random.Generator) -> Ints:
        """Tokens of numbers, int64 (n_rows,).

        Parameters
        ----------
        contexts : int64 (n_rows,). before : int64 (n_rows,), the tokens of the last numbers.
        weights : float64 (n_rows, n_tokens), what the numbers' own chances are, not scaled; 0 for what may not be, never all of a row.
        """
        edges, each = _edges(weights), np.arange(len(before))
        low, high = edges[each, before], edges[each, before + 1]
        place = ndtri(np.clip(low + rng.random(len(before)) * (high - low), ENDS, 1 - ENDS))
        rho = self.rho[contexts]
        place = ndtr(rho * place + np.sqrt(1 - rho**2) * rng.standard_normal(len(before)))
        drawn = np.minimum((edges[:, 1:] <= place[:, None]).sum(axis=1), weights.shape[1] - 1)
        again = (rng.random(len(before)) < self.same[contexts]) & (high > low)
        return np.where(again, before, drawn).astype(np.int64)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, as arrays."""
        return {"same": self.same, "rho": self.rho}

    @classmethod
    def from_state(cls, arrays: dict[str, npt.NDArray[Any]], n_contexts: int) -> Ties:
        """The ties as saved.

        Raises
        ------
        ModelFolderError : they are none.
        """
        own = cls(arrays["same"], arrays["rho"])
        is_fit = own.same.shape == own.rho.shape == (n_contexts,)
        if not is_fit or not bool(((own.same >= 0) & (own.same <= 1) & (np.abs(own.rho) <= MOST)).all()):
            raise ModelFolderError("The ties between numbers of a model do not fit its columns. Save the model again.")
        return own


def places_of(tokens: Ints, weights: Floats) -> Floats:
    """Where the chance of each row's token begins and ends, float64 (n_rows, 2) in [0, 1]; weights float64 (n_rows, n_tokens)."""
    edges, each = _edges(weights), np.arange(len(tokens))
    return np.stack([edges[each, tokens], edges[each, tokens + 1]], axis=1)


def count_ties(before: Floats, places: Floats, is_same: npt.NDArray[np.bool_], contexts: Ints, patients: Ints, n_contexts: int) -> Ties:
    """From rows of numbers that have a last one: copies and others told apart by EM. One patient alone shows nothing.

    Parameters
    ----------
    before, places : float64 (n_rows, 2), where the last number and the row's own lie within the row's chances, as `places_of` says.
    is_same : bool (n_rows,), whether they are one. contexts, patients : int64 (n_rows,).
    """
    is_shown = count_holders(contexts, patients, n_contexts) >= FEWEST
    told = np.flatnonzero(is_shown[contexts])
    if not len(told):
        return Ties(np.zeros(n_contexts), np.zeros(n_contexts))
    before, places, is_same, contexts = before[told], places[told], is_same[told], contexts[told]
    low, high = ndtri(np.clip(places.T, ENDS, 1 - ENDS))
    last, this = (ndtri(np.clip(own.mean(axis=1), ENDS, 1 - ENDS)) for own in (before, places))

    def by_context(value: Floats) -> Floats:
        """The sum of each context and, behind them, that of all."""
        return np.append(np.bincount(contexts, weights=value, minlength=n_contexts), value.sum())

    def pulled(over: Floats, under: Floats) -> Floats:
        """The ratio of each context, drawn towards that of all."""
        over, under = by_context(over), by_context(under)
        scale = PULL * under[-1] / len(told)
        return np.asarray((over[:-1] + scale * over[-1] / max(under[-1], 1e-9)) / np.maximum(under[:-1] + scale, 1e-9))

    one = np.ones(len(told))
    spread = np.sqrt(pulled(last**2, one) * pulled(this**2, one))[contexts]
    same, rho = np.full(n_contexts, FIRST), np.clip(pulled(this * last, spread), -MOST, MOST)  # copies are what cannot just be near
    for _ in range(ROUNDS):
        far = np.sqrt(1 - rho[contexts] ** 2)
        anyway = ndtr((high - rho[contexts] * last) / far) - ndtr((low - rho[contexts] * last) / far)
        copies = np.where(is_same, same[contexts] / np.maximum(same[contexts] + (1 - same[contexts]) * anyway, 1e-12), 0.0)
        same = np.clip(pulled(copies, one), 0.0, 1.0)
        rho = np.clip(pulled((1 - copies) * this * last, (1 - copies) * spread), -MOST, MOST)
    return Ties(same, rho)


def _edges(weights: Floats) -> Floats:
    """Where the chance of each token begins, and the end, float64 (n_rows, n_tokens + 1)."""
    edges = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights, axis=1)], axis=1)
    return edges / np.maximum(edges[:, -1:], 1e-300)
