"""What the fields of a row never show together: a unit that its code does not have, a rate without its unit. Learned as masks.

Two fields of a row are looked at as tokens, a number only as there or missing (and by which code). A pair of tokens that fewer than k
patients hold, k being how many it takes to be shown, is barred where chance would have given it to k: with at most `MOST_ROWS` rows of each
patient who holds the one counted and a share p of rows that hold the other, so few have a probability below `CHANCE`. So a pair that one
patient holds is treated as one that nobody does, and no mask tells her from nobody. A token that (nearly) always comes with one other is
barred from the rest, if chance would not explain that either, as the label of a code. Tokens that fewer than k hold bar nothing. Knows no
schema and no keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import gammainccinv

from manikin.codecs.base import Allowed, Tokens
from manikin.codecs.levels import count_holders

CHANCE = 1e-4
MOST_ROWS = 4  # of one patient that count as evidence: what a patient has once, she has again
ALWAYS = 0.995  # of a token's rows that hold one other for it to stand for always
LEAST_BARRED = 0.01  # of the rows that unrelated fields would make, from which a pair of fields is worth a mask
MOST_PAIRS = 5  # fields before it that bar tokens of one field
MOST_CELLS = 4_000_000  # of a table of two fields
SCREENED = 40_000  # rows on which pairs are looked at first


@dataclass(frozen=True)
class Together:
    """Which tokens of a field go with those of a field before it.

    Attributes
    ----------
    first, second : the fields, in drawing order, first < second. allowed : bool (n_tokens of first, n_tokens of second).
    """

    first: int
    second: int
    allowed: Allowed


def find_together(
    tokens: Tokens, groups: Sequence[npt.NDArray[np.int64]], owner: npt.NDArray[np.int64], *, min_patients: Sequence[int]
) -> tuple[Together, ...]:
    """The masks of a table of events.

    Parameters
    ----------
    tokens : int32 (n_rows, n_fields), in drawing order. owner : int64 (n_rows,), the patient of each row.
    groups : by field, int64 (n_tokens,), the group that each token counts as, from 0: itself, or all that are numbers; -1 for tokens that
        bar nothing and are barred by nothing. Fields without a token are passed over.
    min_patients : by field, how many patients must hold what is shown of it; of two fields the larger counts.
    """
    n_rows = len(tokens)
    if n_rows < 2 or not groups:
        return ()
    chosen = np.arange(n_rows)
    if n_rows > SCREENED:
        chosen = np.sort(np.random.default_rng(0).choice(n_rows, SCREENED, replace=False))
    sizes = [int(group.max(initial=-1)) + 1 for group in groups]
    fields = [j for j, size in enumerate(sizes) if size > 1]
    held = {j: groups[j][tokens[:, j]] for j in fields}
    found: list[tuple[float, Together]] = []
    for first, second in combinations(fields, 2):
        if sizes[first] * sizes[second] > MOST_CELLS:
            continue
        one, two, k = held[first], held[second], max(min_patients[first], min_patients[second])
        allowed, barred = _allowed(one[chosen], two[chosen], owner[chosen], sizes[first], sizes[second], k)
        if barred >= LEAST_BARRED and len(chosen) < n_rows:
            allowed, barred = _allowed(one, two, owner, sizes[first], sizes[second], k)
        if barred >= LEAST_BARRED:
            open_ = np.pad(allowed, ((0, 1), (0, 1)), constant_values=True)  # tokens without a group are met by every other
            found.append((barred, Together(first, second, open_[groups[first]][:, groups[second]])))
    found.sort(key=lambda pair: -pair[0])
    out: list[Together] = []
    for _, pair in found:
        if sum(other.second == pair.second for other in out) < MOST_PAIRS:
            out.append(pair)
    return tuple(sorted(out, key=lambda pair: (pair.second, pair.first)))


def _allowed(
    one: npt.NDArray[np.int64], two: npt.NDArray[np.int64], owner: npt.NDArray[np.int64], n_one: int, n_two: int, k: int
) -> tuple[Allowed, float]:
    """Which pairs are open, bool (n_one, n_two), and the share of rows that hold none of them if the fields had nothing to do with each
    other."""
    there = (one >= 0) & (two >= 0)
    one, two, owner = one[there], two[there], owner[there]
    rows = np.bincount(one * n_two + two, minlength=n_one * n_two).reshape(n_one, n_two)
    n = max(len(one), 1)
    share_one, share_two = rows.sum(axis=1) / n, rows.sum(axis=0) / n
    weight_one, known_one = _evidence(one, owner, n_one, k)
    weight_two, known_two = _evidence(two, owner, n_two, k)
    is_rare = count_holders(one * n_two + two, owner, n_one * n_two).reshape(n_one, n_two) < k
    never = _too_few(weight_one, share_two, k) | _too_few(weight_two, share_one, k).T
    rows_one, rows_two = (weight @ np.arange(1, MOST_ROWS + 1) for weight in (weight_one, weight_two))
    with np.errstate(divide="ignore", invalid="ignore"):
        allowed = ~(is_rare & never & known_one[:, None] & known_two[None])
        allowed &= _always(rows, share_two, rows_one, known_one)
        allowed &= _always(rows.T, share_one, rows_two, known_two).T
    return allowed, float((~allowed * share_one[:, None] * share_two[None]).sum())


def _always(
    rows: npt.NDArray[np.int64], share: npt.NDArray[np.float64], weight: npt.NDArray[np.float64], known: Allowed
) -> Allowed:
    """Bars whatever a token of the first field is not with, where it is always with one of the second, bool (n_one, n_two)."""
    total, best = rows.sum(axis=1), rows.argmax(axis=1)
    most = rows.max(axis=1, initial=0)
    is_bound = known & (most >= ALWAYS * total) & (np.log(share[best]) * weight < np.log(CHANCE))
    return ~is_bound[:, None] | (np.arange(rows.shape[1])[None] == best[:, None])


def _too_few(weight: npt.NDArray[np.float64], share: npt.NDArray[np.float64], k: int) -> Allowed:
    """Whether fewer than k holders of a pair are too few for chance, bool (n_tokens, n_others).

    Parameters
    ----------
    weight : as `_evidence` gives it. share : of the rows that hold each other token, float64 (n_others,).
    """
    misses = [(1 - share) ** (m + 1) for m in range(MOST_ROWS)]  # of a patient with m + 1 rows
    if k == 1:
        rows = weight @ np.arange(1, MOST_ROWS + 1)
        return np.asarray(rows[:, None] * np.log(np.maximum(misses[0], 1e-300))[None] < np.log(CHANCE))
    expected = sum(weight[:, m, None] * (1 - miss)[None] for m, miss in enumerate(misses))
    return np.asarray(expected > gammainccinv(k, CHANCE))  # a Poisson number with this mean is at least k but for CHANCE


def _evidence(
    held: npt.NDArray[np.int64], owner: npt.NDArray[np.int64], n: int, k: int
) -> tuple[npt.NDArray[np.float64], Allowed]:
    """How many patients have each token in 1, 2, … `MOST_ROWS` or more rows, float64 (n, MOST_ROWS); which at least k hold, bool (n,)."""
    n_owners = int(owner.max(initial=0)) + 1
    pairs, counts = np.unique(held * n_owners + owner, return_counts=True)
    place = pairs // n_owners * MOST_ROWS + np.minimum(counts, MOST_ROWS) - 1
    weight = np.bincount(place, minlength=n * MOST_ROWS).reshape(n, MOST_ROWS).astype(np.float64)
    return weight, weight.sum(axis=1) >= k


def allowed_by(pairs: Sequence[Together], field: int, tokens: Tokens) -> Iterator[Allowed]:
    """What the fields before it leave of a field, bool (n_rows, n_tokens) for each pair that ends in it."""
    for pair in pairs:
        if pair.second == field:
            yield pair.allowed[tokens[:, pair.first]]
