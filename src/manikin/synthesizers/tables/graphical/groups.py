"""Coarser values of columns, so that a table of two of them stands above its noise. Knows noisy counts, no data.

Ordered columns are cut into runs of tokens, unordered ones keep their frequent tokens and put the others together; codes that are rare by
themselves are put together with those of their category, block or chapter. What is lost is the dependence within a group; the frequencies
within it are kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Field

Ints = npt.NDArray[np.int64]

FEWEST = 2  # groups that a column with several tokens keeps, whatever the noise


def groups_of(field: Field, counts: Ints, n_groups: float) -> Ints:
    """The group of each token, int64 (n_tokens,), numbered from 0 without a gap.

    Parameters
    ----------
    counts : (n_tokens,), noisy rows per token. n_groups : about how many groups rows of equal number would make; at least 1.
    """
    weight = np.maximum(counts, 0).astype(float)
    least = weight.sum() / max(n_groups, FEWEST)
    if field.n_tokens <= FEWEST or not least > 0:
        return np.arange(field.n_tokens)
    missing = np.arange(field.n_missing)
    present = np.arange(field.n_missing, field.n_tokens)
    made = _frequent(missing, weight, least / 4)
    if field.coarser:
        made += _climbing(present, weight, least / 4, field.coarser)
    else:
        made += _runs(present, weight, least) if field.is_ordered else _frequent(present, weight, least / 4)
    out = np.empty(field.n_tokens, dtype=np.int64)
    for number, tokens in enumerate(made):
        out[list(tokens)] = number
    return out


def _runs(tokens: Ints, weight: npt.NDArray[np.float64], least: float) -> list[Sequence[int]]:
    """Runs of neighbouring tokens of about `least` rows each; a token with so many rows is a run by itself."""
    out: list[list[int]] = []
    held = np.inf
    for token in tokens.tolist():
        own = weight[token]
        if held + own / 2 > least or (own >= least and held > least / 4):
            out.append([])
            held = 0.0
        out[-1].append(token)
        held += own
    if len(out) > 1 and held < least / 4:
        last = out.pop()
        out[-1] += last
    return list(out)


def _frequent(tokens: Ints, weight: npt.NDArray[np.float64], least: float) -> list[Sequence[int]]:
    """Tokens with at least so many rows by themselves; all others together."""
    alone = [[token] for token in tokens.tolist() if weight[token] >= least]
    others = [token for token in tokens.tolist() if weight[token] < least]
    return [*alone, *([others] if others else [])]


def _climbing(tokens: Ints, weight: npt.NDArray[np.float64], least: float, coarser: Sequence[Ints]) -> list[Sequence[int]]:
    """Tokens with at least so many rows by themselves; others with those of their group at the nearest level that holds so many, and what
    is left together.
    """
    out: list[Sequence[int]] = [[token] for token in tokens.tolist() if weight[token] >= least]
    left = [token for token in tokens.tolist() if weight[token] < least]
    for level in coarser:
        members: dict[int, list[int]] = {}
        for token in left:
            members.setdefault(int(level[token]), []).append(token)
        whole = [own for own in members.values() if weight[own].sum() >= least]
        out += whole
        left = [token for token in left if not any(token in own for own in whole)]
    return [*out, *([left] if left else [])]
