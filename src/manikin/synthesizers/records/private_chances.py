"""Chances of tokens bought under a privacy ledger: a tree of pairs, each chosen by what it says, then counted. Knows no table.

For every field at most one other token is chosen that it follows: by the exponential mechanism, among those of which the pair's table lies
farthest from what independence says, less what noise would add (as AIM chooses, McKenna et al. 2022, arXiv 2201.12677; a tree of such pairs
is PrivBayes with one parent, Zhang et al. 2017, doi:10.1145/3134428). Tokens are put into groups so coarse that the table stands above its
noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Field
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed
from manikin.synthesizers.records.chances import NONE, Chances
from manikin.synthesizers.tables.graphical.estimation import distribution
from manikin.synthesizers.tables.graphical.groups import groups_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
COARSENESS = 0.06  # a field has about sqrt(COARSENESS * rows / noise) groups
CHOICE = 0.1  # of a round's precision, for choosing the pair
THERE = 0.05  # of all precision, for how many rows have a row of the kind before them
SCALE = 1_000_000  # what chances are written as, so that nothing is blended with them
LEAST = 1e-4  # of a chance that is kept


@dataclass(frozen=True)
class Known:
    """A column of tokens: its field, and its tokens' shares as bought, float64 (n_tokens,), adding up to 1."""

    field: Field
    shares: Floats


@dataclass(frozen=True)
class Follow:
    """That field `child` may follow a token: which column of the rows holds it, and the caller's number of it."""

    child: int
    column: int
    number: int


def shares_of(counts: npt.NDArray[Any], emitted: npt.NDArray[np.bool_], n_rows: float) -> Floats:
    """The nearest shares to noisy counts that add up to no more than there are rows, 0 for tokens that may not be generated."""
    counts = np.where(emitted, np.maximum(counts.astype(np.float64), 0.0), 0.0)
    if not counts.any():
        return np.asarray(emitted / max(emitted.sum(), 1))
    return distribution(counts, min(n_rows, float(counts.sum())), least=0.0)


def bought_chances(
    rows: Sealed,
    columns: Sequence[Known],
    n_children: int,
    follows: Sequence[Follow],
    ledger: Ledger,
    *,
    n_rows: float,
    precision: float,
    names: Sequence[str],
    by: str,
) -> list[Chances]:
    """The chances of the first `n_children` columns, each by itself or given one other token.

    Parameters
    ----------
    rows : int64 (n_rows, n_columns) behind a seal, -1 where there is no token. columns : what is known of each.
    follows : what may follow what; a child's candidates must be drawn before it. n_rows : as bought. precision : mu^2 for all of it.
    names : of the children, for the ledger.
    """
    follows = [one for one in follows if columns[one.child].field.n_tokens > 1 and columns[one.column].field.n_tokens > 1]
    out = [_alone(own.shares) for own in columns[:n_children]]
    if not follows or not precision > 0:
        return out
    rounds = len({one.child for one in follows})
    each = (1 - THERE) * precision / rounds
    noise = mechanisms.noise_of(ledger, (1 - CHOICE) * each)
    n_groups = float(np.sqrt(COARSENESS * max(n_rows, 1.0) / noise))
    groups = [groups_of(own.field, np.rint(own.shares * n_rows).astype(np.int64), n_groups) for own in columns]
    sizes = [int(group.max()) + 1 for group in groups]
    there = _rows_there(rows, follows, n_children, n_rows, ledger, THERE * precision, names, by)
    expected = [_expected(one, columns, groups, sizes, there[one.column]) for one in follows]
    tables = rows.summary(lambda own: np.concatenate([_table(own, one, groups, sizes) for one in follows]))
    edges = np.concatenate([[0], np.cumsum([len(table) for table in expected])])
    left = list(range(len(follows)))
    for _ in range(rounds):
        open_, words = list(left), f"which token each of {len(names)} fields follows"
        penalty = [float(np.sqrt(2 / np.pi)) * noise * len(expected[i]) for i in open_]

        def scores(own: Floats, open_: list[int] = open_, penalty: list[float] = penalty) -> Floats:
            """How far each pair's table lies from independence, less what its noise would add; 0 for taking none."""
            far = [np.abs(own[edges[i] : edges[i + 1]] - expected[i]).sum() for i in open_]
            return np.append(np.array(far) - np.array(penalty), 0.0)

        chosen = mechanisms.chosen(
            tables, scores, ledger, sensitivity=float(ledger.rows_per_patient), precision=CHOICE * each, purpose=words, columns=names, by=by
        )
        if chosen == len(open_):
            break
        one = follows[open_[chosen]]
        answer = mechanisms.noisy_counts(
            rows.map(lambda own, one=one: _cells(own, one, groups, sizes)),  # type: ignore[misc]
            [sizes[one.column] * sizes[one.child]],
            ledger,
            precision=(1 - CHOICE) * each,
            purpose="tokens that follow a token",
            columns=(names[one.child],),
            by=by,
        )[0]
        out[one.child] = _given(one, answer, noise, columns, groups, sizes, there[one.column])
        left = [i for i in left if follows[i].child != one.child]
        if not left:
            break
    return out


def _alone(shares: Floats) -> Chances:
    empty = np.zeros(0, dtype=np.int64)
    return Chances(shares * SCALE, NONE, np.zeros(1, dtype=np.int64), empty, empty)


def _rows_there(
    rows: Sealed,
    follows: Sequence[Follow],
    n_children: int,
    n_rows: float,
    ledger: Ledger,
    precision: float,
    names: Sequence[str],
    by: str,
) -> Mapping[int, float]:
    """How many rows have a token in each column that may be followed: all in those of the row itself, bought of the others."""
    others = sorted({one.column for one in follows if one.column >= n_children})
    out = dict.fromkeys((one.column for one in follows), n_rows)
    if others:
        answers = mechanisms.noisy_counts(
            rows.map(lambda own: np.where(own[:, others] < 0, mechanisms.NOWHERE, 0)),
            [1] * len(others),
            ledger,
            precision=precision,
            purpose="rows that have a row of their kind before them",
            columns=names,
            by=by,
        )
        out |= {column: float(np.clip(answer[0], 1.0, n_rows)) for column, answer in zip(others, answers, strict=True)}
    return out


def _expected(one: Follow, columns: Sequence[Known], groups: Sequence[Ints], sizes: Sequence[int], n_rows: float) -> Floats:
    first, second = (np.bincount(groups[j], weights=columns[j].shares, minlength=sizes[j]) for j in (one.column, one.child))
    return np.asarray(n_rows * np.outer(first, second).ravel(), dtype=np.float64)


def _cells(own: Ints, one: Follow, groups: Sequence[Ints], sizes: Sequence[int]) -> Ints:
    """The cell of each row in the table of a pair."""
    parent, child = own[:, one.column], own[:, one.child]
    cells = groups[one.column][np.maximum(parent, 0)] * sizes[one.child] + groups[one.child][np.maximum(child, 0)]
    return np.where((parent < 0) | (child < 0), mechanisms.NOWHERE, cells)


def _table(own: Ints, one: Follow, groups: Sequence[Ints], sizes: Sequence[int]) -> Floats:
    cells = _cells(own, one, groups, sizes)
    return np.bincount(cells[cells >= 0], minlength=sizes[one.column] * sizes[one.child]).astype(float)


def _given(
    one: Follow, answer: Floats, noise: float, columns: Sequence[Known], groups: Sequence[Ints], sizes: Sequence[int], n_rows: float
) -> Chances:
    """Chances of the child's tokens behind each of the parent's: those of its group, pulled to the child's own as noise covers them."""
    parent, child = groups[one.column], groups[one.child]
    shares = columns[one.child].shares
    of_group = np.bincount(child, weights=shares, minlength=sizes[one.child])
    counts = distribution(answer, n_rows, least=0.0).reshape(sizes[one.column], sizes[one.child]) * n_rows
    blended = (counts + noise * of_group) / (counts.sum(axis=1, keepdims=True) + noise)
    within = shares / np.maximum(of_group, 1e-12)[child]
    by_parent = blended[:, child] * within  # (n_parent_groups, n_child_tokens)
    by_parent = np.where(by_parent < LEAST * by_parent.max(axis=1, keepdims=True), 0.0, by_parent)
    whole = np.rint(SCALE * by_parent / np.maximum(by_parent.sum(axis=1, keepdims=True), 1e-12)).astype(np.int64)[parent]
    at, tokens = np.nonzero(whole)
    starts = np.searchsorted(at, np.arange(len(parent) + 1)).astype(np.int64)
    return Chances(shares * SCALE, one.number, starts, tokens.astype(np.int64), whole[at, tokens])


def given_rows(rows: Floats, number: int) -> Chances:
    """Chances from rows that are known already, at least 0: of each token behind each of the parent's, (n_parent_tokens, n_tokens)."""
    total = rows.sum(axis=1, keepdims=True)
    whole = np.rint(SCALE * rows / np.maximum(total, 1e-12)).astype(np.int64)
    at, tokens = np.nonzero(whole)
    starts = np.searchsorted(at, np.arange(len(rows) + 1)).astype(np.int64)
    shares = rows.sum(axis=0) if rows.any() else np.ones(rows.shape[1])
    return Chances(SCALE * shares / shares.sum(), number, starts, tokens.astype(np.int64), whole[at, tokens])
