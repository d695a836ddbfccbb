"""Which codes a patient will have at all, drawn together before her rows: what a chain of one step cannot know. From counts; knows no rows.

A tree over codes (Chow and Liu 1968, doi:10.1109/TIT.1968.1054142): whether a patient has a code follows from whether she has one other,
the spanning tree being that of the greatest mutual information, and from how many rows of its table she has; a logistic regression each.
Codes that fewer than eleven patients have are not in it: how many of them she has is drawn, and which comes as the chain says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csgraph, csr_matrix
from scipy.special import expit

from manikin.data.errors import ModelFolderError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NONE = -1
FEWEST = 11  # patients who have a code
MOST_ITEMS, MOST_PATIENTS = 2_000, 5_000  # codes in the tree, patients by whom it is counted
RIDGE = 0.5  # of what a code follows from, as an inverse variance
ROUNDS, MOST_STEP = 25, 2.0  # of Newton's method
AT_ONCE = 2_000_000  # cells in memory
STEEPEST = 50.0  # coefficient, as a model may say
LEAST_SCALE = 0.1  # deviation of the logarithm of rows
MOST_LOG, LEAST_SPREAD = 10.0, 1e-3  # of how many codes that are not in the tree


@dataclass(frozen=True)
class CodeSets:
    """A tree over codes; a parent stands before those that follow from it.

    Attributes
    ----------
    tables, tokens, parents : int64 (n_items,), the table and the code of each, and the item that it follows from, -1 for none.
    slopes : float64 (n_items, 3), log odds at the beginning, for having the parent, and for each deviation of the logarithm of rows.
    scale : float64 (n_tables, 2), mean and deviation of the logarithm of rows of those who have any.
    others : float64 (n_tables, 3), of codes that are not in the tree: the logarithm of how many a patient has, at the mean and for each
        deviation, and how far that spreads, as the squared coefficient of variation of what a Poisson distribution leaves open.
    """

    tables: Ints
    tokens: Ints
    parents: Ints
    slopes: Floats
    scale: Floats
    others: Floats

    def draw(self, n_rows: Ints, rng: np.random.Generator) -> Bools:
        """Which items patients have, bool (n, n_items), from how many rows of each table they are to have, int64 (n, n_tables)."""
        size, out = self._size(n_rows), np.zeros((len(n_rows), len(self.tables)), dtype=bool)
        for k, (table, parent) in enumerate(zip(self.tables.tolist(), self.parents.tolist(), strict=True)):
            start, with_parent, with_rows = self.slopes[k]
            odds = start + with_rows * size[:, table] + (with_parent * out[:, parent] if parent >= 0 else 0.0)
            out[:, k] = (rng.random(len(out)) < expit(odds)) & (n_rows[:, table] > 0)
        return out

    def draw_others(self, n_rows: Ints, rng: np.random.Generator) -> Ints:
        """How many codes beside those in the tree patients have, int64 (n, n_tables): negative binomial; `n_rows` as for `draw`."""
        mean = np.exp(np.clip(self.others[:, 0] + self.others[:, 1] * self._size(n_rows), -MOST_LOG, MOST_LOG))
        spread = np.maximum(self.others[:, 2], LEAST_SPREAD)
        drawn = rng.poisson(mean * rng.gamma(1 / spread, spread, mean.shape))
        return np.where(n_rows > 0, np.minimum(drawn, n_rows), 0).astype(np.int64)

    def open(self, table: int, n_codes: int, has: Bools) -> Bools | None:
        """Which codes of a table patients may have, bool (n, n_codes); None where none is in the tree."""
        own = self.tables == table
        if not own.any():
            return None
        out = np.ones((len(has), n_codes), dtype=bool)
        out[:, self.tokens[own]] = has[:, own]
        return out

    def in_tree(self, table: int, n_codes: int) -> Bools:
        """Which codes of a table are in the tree, bool (n_codes,)."""
        return np.isin(np.arange(n_codes), self.tokens[self.tables == table])

    def held(self, has: Mapping[int, csr_matrix]) -> Bools:
        """Which items patients have, bool (n_patients, n_items); `has` as for `count_sets`."""
        n = next((own.shape[0] for own in has.values()), 0)
        out = np.zeros((n, len(self.tables)), dtype=bool)
        for table, own in has.items():
            out[:, self.tables == table] = own[:, self.tokens[self.tables == table]].astype(bool).toarray()
        return out

    def _size(self, n_rows: Ints) -> Floats:
        return np.asarray(np.clip((np.log1p(n_rows) - self.scale[:, 0]) / self.scale[:, 1], -4, 4))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Everything, as arrays."""
        return {
            "tables": self.tables,
            "tokens": self.tokens,
            "parents": self.parents,
            "slopes": self.slopes,
            "scale": self.scale,
            "others": self.others,
        }

    @classmethod
    def from_state(cls, arrays: Mapping[str, npt.NDArray[Any]], sizes: list[int]) -> CodeSets:
        """As saved; `sizes` says how many codes each table has, 0 for none.

        Raises
        ------
        ModelFolderError : the arrays contradict each other.
        """
        own = cls(*(arrays[name] for name in ("tables", "tokens", "parents", "slopes", "scale", "others")))
        n, n_tables = len(own.tables), len(sizes)
        is_fit = own.tables.shape == own.tokens.shape == own.parents.shape == (n,) and n <= MOST_ITEMS
        is_fit = is_fit and own.slopes.shape == (n, 3) and own.scale.shape == (n_tables, 2) and own.others.shape == (n_tables, 3)
        is_fit = is_fit and all(part.dtype == np.int64 for part in (own.tables, own.tokens, own.parents))
        is_fit = is_fit and all(bool((np.abs(part) <= STEEPEST).all()) for part in (own.slopes, own.scale, own.others))
        is_fit = is_fit and bool((own.scale[:, 1] >= LEAST_SCALE).all() and (own.others[:, 2] >= 0).all())
        is_fit = is_fit and bool((own.parents >= NONE).all() and (own.parents < np.arange(n)).all())
        is_fit = is_fit and bool(((own.tables >= 0) & (own.tables < n_tables)).all())
        if not is_fit or not bool(((own.tokens >= 0) & (own.tokens < np.array(sizes)[own.tables])).all()):
            raise ModelFolderError("The sets of codes of a model do not fit its tables. Save the model again.")
        return own


def count_sets(has: Mapping[int, csr_matrix], n_rows: Ints) -> CodeSets:
    """From which codes patients have.

    Parameters
    ----------
    has : by table, (n_patients, n_codes), not 0 where a patient has a code. n_rows : int64 (n_patients, n_tables), of each table.
    """
    step = max(1, -(-len(n_rows) // MOST_PATIENTS))
    n_rows = n_rows[::step]
    matrices = {table: csr_matrix(own[::step].astype(bool).astype(np.int64)) for table, own in has.items()}
    tables, tokens, holders = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for i, own in matrices.items():
        held = np.bincount(own.indices, minlength=own.shape[1])
        found = np.flatnonzero(held >= FEWEST)
        tables, tokens, holders = [*tables, np.full(len(found), i)], [*tokens, found], [*holders, held[found]]
    table, token, n_holders = (np.concatenate(own).astype(np.int64) for own in (tables, tokens, holders))
    most: Ints = np.sort(np.argsort(-n_holders, kind="stable")[:MOST_ITEMS])
    table, token = table[most], token[most]
    cells = np.zeros((len(n_rows), len(table)), dtype=bool)
    for i, own in matrices.items():
        cells[:, table == i] = own[:, token[table == i]].toarray() > 0
    order, parents = _tree(cells)
    table, token, cells = table[order], token[order], cells[:, order]
    scale = np.array([_scale(np.log1p(_without_the_greatest(own[own > 0]))) for own in n_rows.T]).reshape(-1, 2)
    size = np.clip((np.log1p(n_rows) - scale[:, 0]) / scale[:, 1], -4, 4)
    slopes, at_once = np.zeros((len(table), 3)), max(1, AT_ONCE // max(len(n_rows), 1))
    for at in range(0, len(table), at_once):
        some = slice(at, at + at_once)
        given = cells[:, parents[some]] & (parents[some] >= 0)
        is_told = (n_rows[:, table[some]] > 0) & ~_are_alone(cells[:, some], given)
        slopes[some] = _slopes(cells[:, some].T, given.T, size[:, table[some]].T, is_told.T)
    others = np.zeros((n_rows.shape[1], 3))
    for i, own in matrices.items():
        there, is_rare = n_rows[:, i] > 0, ~np.isin(np.arange(own.shape[1]), token[table == i])
        others[i] = _counts(np.diff(csr_matrix(own[there][:, is_rare]).indptr).astype(np.int64), size[there, i])
    return CodeSets(table, token, parents, slopes, scale, others)


def _scale(logs: Floats) -> tuple[float, float]:
    """Mean and deviation, 0 and 1 of those of too few patients."""
    return (float(logs.mean()), max(float(logs.std()), LEAST_SCALE)) if len(logs) >= FEWEST else (0.0, 1.0)


def _without_the_greatest(counts: Ints) -> Ints:
    """The counts, the greatest one as if it were the second, which one patient alone would show."""
    return np.minimum(counts, np.sort(counts)[-2]) if len(counts) > 1 else counts


def _counts(counts: Ints, size: Floats) -> Floats:
    """Logarithm of the mean of counts, its slope, and what they spread beyond Poisson's, float64 (3,): a regression by Newton's method."""
    if (counts > 0).sum() < FEWEST:
        return np.array([-MOST_LOG, 0.0, 0.0])
    counts = _without_the_greatest(counts)
    x, out = np.stack([np.ones(len(size)), size], axis=1), np.array([np.log(float(counts.mean())), 0.0])
    for _ in range(ROUNDS):
        mean = np.exp(np.clip(x @ out, -MOST_LOG, MOST_LOG))
        slope = x.T @ (counts - mean) - np.array([0.0, RIDGE * out[1]])
        out = out + np.clip(np.linalg.solve((x.T * mean) @ x + np.diag([1e-2, RIDGE]), slope), -MOST_STEP, MOST_STEP)
    mean = np.exp(np.clip(x @ out, -MOST_LOG, MOST_LOG))
    spread = float((np.square(counts - mean) - mean).sum() / np.square(mean).sum())
    return np.clip([*out, max(spread, 0.0)], -STEEPEST, STEEPEST)


def _tree(cells: Bools) -> tuple[Ints, Ints]:
    """The items, parents first, and the place of each one's parent in that order, NONE for none; cells bool (n_patients, n_items).

    Two are tied where their mutual information is worth a parameter (Schwarz 1978, doi:10.1214/aos/1176344136).
    """
    n, n_items = cells.shape
    if not n_items:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    both = cells.T.astype(np.float32) @ cells.astype(np.float32)
    held = np.diag(both).astype(float)
    information = np.zeros((n_items, n_items))
    for joint, first, second in (
        (both, held, held),
        (held[:, None] - both, held, n - held),
        (held[None, :] - both, n - held, held),
        (n - held[:, None] - held[None, :] + both, n - held, n - held),
    ):
        chance = first[:, None] * second[None, :] / n
        information += np.where(joint > 0, joint / n * np.log(np.maximum(joint, 1e-9) / np.maximum(chance, 1e-9)), 0.0)
    information[information < np.log(n) / (2 * n)] = 0.0
    np.fill_diagonal(information, 0.0)
    tree = csgraph.minimum_spanning_tree(csr_matrix(-information))
    total = information.sum(axis=1)
    _, part = csgraph.connected_components(tree, directed=False)
    out, behind = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for own in range(int(part.max(initial=-1)) + 1):
        members = np.flatnonzero(part == own)
        root = members[np.argmax(total[members])]
        order, before = csgraph.breadth_first_order(tree, root, directed=False)
        out, behind = np.concatenate([out, order]), np.concatenate([behind, np.where(order == root, NONE, before[order])])
    place = np.zeros(n_items, dtype=np.int64)
    place[out] = np.arange(n_items)
    return out.astype(np.int64), np.where(behind >= 0, place[behind], NONE).astype(np.int64)


def _are_alone(has: Bools, given: Bools) -> Bools:
    """Which patients alone have, or have not, an item and its parent as they do; all are (n_patients, n_items)."""
    kind = 2 * given + has
    out = np.zeros(has.shape, dtype=bool)
    for one in range(4):
        is_one = kind == one
        out |= is_one & (is_one.sum(axis=0) == 1)
    return out


def _slopes(has: Bools, given: Bools, size: Floats, is_told: Bools) -> Floats:
    """Logistic regressions, float64 (n_items, 3), by Newton's method; all are (n_items, n_patients)."""
    x = np.stack([np.ones(has.shape), given, size], axis=-1)
    out = np.zeros((len(has), 3))
    share = (has & is_told).sum(axis=1) / np.maximum(is_told.sum(axis=1), 1)
    out[:, 0] = np.log((share + 0.01) / (1.01 - share))
    ridge = np.array([1e-2, RIDGE, RIDGE])
    for _ in range(ROUNDS):
        p = expit(np.einsum("ijk,ik->ij", x, out))
        slope = np.einsum("ij,ijk->ik", (has - p) * is_told, x) - ridge * out
        curve = np.einsum("ij,ijk,ijl->ikl", p * (1 - p) * is_told, x, x) + np.diag(ridge)
        step = np.clip(np.linalg.solve(curve, slope[..., None])[..., 0], -MOST_STEP, MOST_STEP)
        out += step
        if np.abs(step).max(initial=0.0) < 1e-6:
            break
    return np.clip(out, -STEEPEST, STEEPEST)
