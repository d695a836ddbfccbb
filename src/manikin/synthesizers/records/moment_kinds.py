"""What kind of moment rows belong to: which codes come together at one time, as a panel of blood gases or an evening's drugs.

A chain over the codes of one moment, which stand in no order, does not know what it began with. So moments of a table are told apart by
their codes alone, by a mixture of multinomials (Rigouste, Cappé and Yvon 2007, doi:10.1016/j.ipm.2006.11.001), found by EM; which kind
comes next, when a moment ends and which codes it has follow from the kind. Knows no table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from sklearn.preprocessing import normalize

from manikin.codecs.levels import count_holders
from manikin.data.errors import ModelFolderError
from manikin.synthesizers.records.chances import NONE, Chances, whole_patients

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
MOST_KINDS, MOMENTS = 128, 400  # kinds, and moments for each at the least
LEAST_ROWS = 2.0  # of a moment in the mean
MOST_ROWS = 500_000  # by which kinds are found
FEWEST = 6  # patients who have moments of a kind; others are of no kind
ROUNDS, PULL = 25, 2.0  # of EM; rows that the shares of all codes stand for beside those of a kind
EDGE, FEW = 0.01, 5.0  # rows of a code that nobody has; rows that the shares of all codes stand for where a kind begins as one moment
AT_ONCE = 20_000  # moments whose kinds are in memory
NO_KIND = 0
STEADY, MOST_TIMES = 3.0, 1e4  # rows that stand for what is expected anyway; what odds are multiplied by at the most
OF_ROWS, LEAST_SUITED = 3, 1e-9  # rows of a moment that must be of codes that a patient has; how well one suits her at the least


@dataclass(frozen=True)
class MomentKinds:
    """The kinds of moments of a table: `NO_KIND`, those that were found, and last the first moment of each patient, which stands apart.

    Attributes
    ----------
    of_next : the kind of a moment that begins, not a patient's first.
    ends_at : whether the next row lies behind the moment (1) or in it (0).
    after : float64 (n_states,), by how much the row before, by its table and code, makes the odds of that greater or smaller.
    usual : float64 (n_kinds,), how well kinds suit patients in the mean over rows, so that each kind is as frequent as it is.
    """

    of_next: Chances
    ends_at: Chances
    after: Floats
    usual: Floats

    def __len__(self) -> int:
        return len(self.of_next.shares)

    def draw(self, given: Ints, is_first: Bools, suits: Floats, rng: np.random.Generator) -> Ints:
        """The kinds of moments that begin, int64 (n_moments,).

        Parameters
        ----------
        given : int64 (n_moments,), what `of_next` goes by. is_first : bool (n_moments,), whether they are a patient's first of the table.
        suits : float64 (n_moments, n_kinds), how well each kind suits the patient, as `suiting` says.
        """
        weights = self.of_next.weights(given) * suits / self.usual
        edges = np.cumsum(weights, axis=1)
        drawn = (edges <= (rng.random(len(given)) * edges[:, -1])[:, None]).sum(axis=1)
        return np.where(is_first, len(self) - 1, np.minimum(drawn, len(self) - 1)).astype(np.int64)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, as arrays."""
        out = {f"next/{name}": array for name, array in self.of_next.state().items()}
        return out | {f"end/{name}": array for name, array in self.ends_at.state().items()} | {"after": self.after, "usual": self.usual}

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> MomentKinds:
        """The kinds as saved.

        Raises
        ------
        ModelFolderError : the arrays contradict each other.
        """
        parts = [
            {n.removeprefix(part): array for n, array in arrays.items() if n.startswith(part)} for part in ("next/", "end/")
        ]
        n_kinds = len(parts[0]["shares"])
        own = cls(Chances.from_state(parts[0], n_kinds), Chances.from_state(parts[1], 2), arrays["after"], arrays["usual"])
        is_fit = own.usual.shape == (n_kinds,) and own.usual.dtype == own.after.dtype == np.float64
        is_fit = is_fit and bool(((own.after >= 1 / MOST_TIMES) & (own.after <= MOST_TIMES)).all())
        is_fit = is_fit and bool(((own.usual >= LEAST_SUITED) & (own.usual <= 1)).all())
        if not is_fit or not 2 < n_kinds <= MOST_KINDS + 2 or not own.of_next.shares.any() or not own.ends_at.shares.any():
            raise ModelFolderError("The kinds of moments of a model do not fit its tables. Save the model again.")
        return own


def ends_of(ends_at: Chances) -> Floats:
    """How likely a moment is over, by what `MomentKinds.ends_at` goes by, the last of nothing; float64 (n_given + 1,)."""
    weights = ends_at.weights(np.append(np.arange(len(ends_at.starts) - 1), NONE))
    return np.asarray(weights[:, 1] / np.maximum(weights.sum(axis=1), 1e-300))


def times_after(states: Ints, is_end: Bools, expected: Floats, n_states: int) -> Floats:
    """By how much odds that are to be expected must be multiplied behind each state, so that roughly as many moments end there as did:
    float64 (n_states,), 1 where nothing is known. Less is made up for where what is to be expected varies behind one state.

    Parameters
    ----------
    states : int64 (n_rows,), below n_states. is_end : bool (n_rows,). expected : float64 (n_rows,), how likely an end was.
    """
    ends, meant, all_ = (np.bincount(states, weights=own, minlength=n_states) for own in (is_end, expected, np.ones(len(states))))
    out = (ends + STEADY) / (meant + STEADY) * (all_ - meant + STEADY) / (all_ - ends + STEADY)
    return np.asarray(np.clip(out, 1 / MOST_TIMES, MOST_TIMES))


def suiting(has: Bools, codes: Chances, n_kinds: int) -> Floats:
    """How well kinds suit patients, float64 (n_patients, n_kinds) in [`LEAST_SUITED`, 1]: how likely `OF_ROWS` rows of a moment are all of
    codes that the patient has.

    Parameters
    ----------
    has : bool (n_patients, n_codes). codes : the chances of a code given the kind.
    """
    shares = codes.weights(np.arange(n_kinds))
    part = has @ (shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)).T
    return np.asarray(np.clip(part**OF_ROWS, LEAST_SUITED, 1.0))


def kinds_of(moments: Ints, codes: Ints, patients: Ints, n_codes: int, rng: np.random.Generator) -> Ints:
    """The kind of the moment of each row, int64 (n_rows,), as `MomentKinds` numbers them; all `NO_KIND` where none are found.

    None are where moments are few, or hold fewer than two rows in the mean, or where fewer than two kinds have moments of enough patients.

    Parameters
    ----------
    moments, codes, patients : int64 (n_rows,), patient by patient; the moment of each row, its code and whose it is.
    """
    none = np.zeros(len(codes), dtype=np.int64)
    found, place = np.unique(moments, return_inverse=True)
    if len(codes) < LEAST_ROWS * len(found):
        return none
    some = np.zeros(len(found), dtype=bool)
    some[place[whole_patients(patients, MOST_ROWS)]] = True
    is_first = np.isin(found, moments[np.unique(patients, return_index=True)[1]])
    some &= ~is_first
    n_kinds = min(MOST_KINDS, int(some.sum()) // MOMENTS)
    if n_kinds < 2:
        return none
    cells = csr_matrix((np.ones(len(codes)), (place, codes)), shape=(len(found), n_codes))
    chances, share = _mixture(cells[np.flatnonzero(some)], n_kinds, rng)
    out = np.concatenate([_parts(own, chances, share).argmax(axis=1) for own in _some_at_once(cells)])[place].astype(np.int64)
    inner = ~is_first[place]
    kept = count_holders(out[inner], patients[inner], n_kinds) >= FEWEST
    if kept.sum() < 2:
        return none
    return np.where(inner, np.where(kept[out], np.cumsum(kept)[out], NO_KIND), kept.sum() + 1)


def _mixture(cells: csr_matrix, n_kinds: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The chances of the codes of each kind, float64 (n_kinds, n_codes), and the kinds' shares, of moments, float64 (n_kinds,)."""
    usual = np.asarray(cells.sum(axis=0)).ravel() + EDGE
    usual /= usual.sum()
    chances = cells[_unlike(cells, n_kinds, rng)].toarray() + FEW * usual
    chances /= chances.sum(axis=1, keepdims=True)
    share = np.full(n_kinds, 1 / n_kinds)
    for _ in range(ROUNDS):
        moments, rows = np.ones(n_kinds), np.tile(PULL * usual, (n_kinds, 1))
        for own in _some_at_once(cells):
            part = _parts(own, chances, share)
            moments += part.sum(axis=0)
            rows += np.asarray(own.T @ part).T
        share, chances = moments / moments.sum(), rows / rows.sum(axis=1, keepdims=True)
    return chances, share


def _unlike(cells: csr_matrix, n: int, rng: np.random.Generator) -> Ints:
    """Moments to begin with, int64 (n,), each the likelier the less it is like those chosen before it (Arthur and Vassilvitskii 2007,
    k-means++, of the angle between moments)."""
    whole = normalize(cells)
    out, far = [int(rng.integers(cells.shape[0]))], np.full(cells.shape[0], 2.0)
    while len(out) < n:
        far = np.minimum(far, np.maximum(1 - (whole @ whole[out[-1]].T).toarray().ravel(), 0.0))
        edges = np.cumsum(far + EDGE / len(far))
        out.append(int(np.searchsorted(edges, rng.random() * edges[-1])))
    return np.array(out)


def _some_at_once(cells: csr_matrix) -> Iterator[csr_matrix]:
    return (cells[at : at + AT_ONCE] for at in range(0, cells.shape[0], AT_ONCE))


def _parts(cells: csr_matrix, chances: Floats, share: Floats) -> Floats:
    """How likely each moment is of each kind, float64 (n_moments, n_kinds)."""
    out = cells @ np.log(chances).T + np.log(share)
    out -= out.max(axis=1, keepdims=True)
    np.exp(out, out=out)
    return np.asarray(out / out.sum(axis=1, keepdims=True))
