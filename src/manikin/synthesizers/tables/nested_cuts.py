"""Tokens as cuts of latent normal numbers, and back. Knows neither patients nor how the latent numbers hang together.

An ordered field is one latent number, cut where its tokens end. Missing codes and unordered levels are no places on a line: a cut of one
latent number parts present from missing, or one kind of levels from another, and each side may have a latent number of its own (nested
dichotomies). A latent number says nothing of a token that lies on another branch; there it is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Field
from manikin.data.errors import ModelFolderError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FEWEST_ROWS_OF_A_BRANCH = 40  # a cut that tells apart fewer rows is not worth a latent number of its own
FEWEST_REACHED = 50
MOST_BOUNDS = (
    1 << 24
)  # latent numbers times tokens, over all fields: where each begins and ends takes 16 bytes while rows are drawn
LINE = 0.06  # levels whose differences lie on one axis, but for this share, stand on one line


@dataclass(frozen=True)
class Cut:
    """One latent number of a field.

    Attributes
    ----------
    after : int64 (n_intervals,), what each interval leads to: a token (0 and up), or the field's latent number -1 - after.
    shares : float64 (n_intervals,), how the rows that come here spread over the intervals; positive, they sum to 1.
    cuts : float64 (n_intervals - 1,), where the intervals end, increasing.
    """

    after: Ints
    shares: Floats
    cuts: Floats


@dataclass(frozen=True)
class FieldCuts:
    """The latent numbers of one field, those nearer the root first; `start` is the field's only token where it has none."""

    cuts: tuple[Cut, ...]
    n_tokens: int
    start: int = 0

    def bounds(self) -> tuple[Floats, Floats]:
        """Between which ends each latent number of each token lies, float64 (n_latents, n_tokens) each; without ends where it is free."""
        low, high = np.full((2, len(self.cuts), self.n_tokens), np.inf)
        low = -low
        for token in range(self.n_tokens):
            for k, interval in self._path(token):
                ends = np.concatenate([[-np.inf], self.cuts[k].cuts, [np.inf]])
                low[k, token], high[k, token] = ends[interval], ends[interval + 1]
        return low, high

    def _path(self, token: int) -> list[tuple[int, int]]:
        """The (latent number, interval) pairs from the root to a token; none for a token that never is."""
        found: list[tuple[int, int]] = []
        wanted = token
        for k in reversed(range(len(self.cuts))):
            places = np.flatnonzero(self.cuts[k].after == wanted)
            if len(places):
                found.append((k, int(places[0])))
                wanted = -1 - k
        return found

    def tokens(self, z: npt.NDArray[Any]) -> Ints:
        """The token of each row of latent numbers (n_latents, n_rows), int64 (n_rows,)."""
        if not self.cuts:
            return np.full(z.shape[1], self.start, dtype=np.int64)
        state = np.full(z.shape[1], -1, dtype=np.int64)
        for k, cut in enumerate(self.cuts):
            here = np.flatnonzero(state == -1 - k)
            state[here] = cut.after[np.searchsorted(cut.cuts, z[k, here], side="right")]
        return state

    def calibrated(self, z: npt.NDArray[Any]) -> FieldCuts:
        """The same field with its cuts moved so that a sample of latent numbers (n_latents, n_rows) has the field's own shares."""
        state = np.full(z.shape[1], -1, dtype=np.int64)
        made: list[Cut] = []
        for k, cut in enumerate(self.cuts):
            here = np.flatnonzero(state == -1 - k)
            if k and len(here) >= FEWEST_REACHED:
                ends = np.quantile(z[k, here], np.clip(np.cumsum(cut.shares[:-1]), 0, 1))
                cut = replace(cut, cuts=np.maximum.accumulate(ends).astype(float))
            made.append(cut)
            state[here] = cut.after[np.searchsorted(cut.cuts, z[k, here], side="right")]
        return replace(self, cuts=tuple(made))


def field_cuts(f: Field, counts: Ints, profiles: Floats, *, max_latents: int) -> FieldCuts:
    """The latent numbers of a field.

    Parameters
    ----------
    counts : int64 (n_tokens,), rows per token; a token without rows is never drawn.
    profiles : float64 (n_tokens, n_features), what the other columns of a token's rows are like; orders unordered levels.
    max_latents : most latent numbers of an unordered field; what is left undivided stands on one line, by its leading axis.
    """
    seen = np.flatnonzero(counts > 0)
    if len(seen) < 2:
        return FieldCuts((), f.n_tokens, int(seen[0]) if len(seen) else 0)
    present = seen[seen >= f.n_missing]
    if not f.is_ordered or not len(present):
        return _numbered(_levels(seen, counts, profiles, max_latents), counts, f.n_tokens)
    inner: _Node = present.tolist() if len(present) > 1 else int(present[0])
    missing = seen[seen < f.n_missing]
    if not len(missing):
        return _numbered(inner, counts, f.n_tokens)
    absent: _Node = missing.tolist() if len(missing) > 1 else int(missing[0])
    return _numbered([inner, absent], counts, f.n_tokens)


_Node = Any  # a token, or a list of nodes in the order of a latent number


def _levels(tokens: Ints, counts: Ints, profiles: Floats, max_latents: int) -> _Node:
    """Unordered levels: parted where they differ most, the widest group first, until the latent numbers are spent."""
    root = _Group.of(tokens, counts, profiles)
    open_groups, n_latents = [root], 1
    while open_groups and n_latents < max_latents:
        best = max(open_groups, key=lambda group: group.rest)
        open_groups.remove(best)
        if best.rest <= 0:
            break
        children = best.parts(counts, profiles)
        more = sum(len(child.tokens) > 1 for child in children)
        if n_latents + more <= max_latents:
            best.children, n_latents = children, n_latents + more
            open_groups += children
    return root.node()


@dataclass(eq=False)
class _Group:
    """Levels that stand on one line, or in two groups. `rest` is what the line does not tell of them, 0 when nothing is to be parted."""

    tokens: Ints  # in the order of the leading axis
    scores: Floats
    rest: float
    children: tuple[_Group, ...] = ()

    @classmethod
    def of(cls, tokens: Ints, counts: Ints, profiles: Floats) -> _Group:
        """The tree of cuts over these tokens, the most unlike apart first."""
        weight = counts[tokens].astype(float)
        centred = profiles[tokens] - np.average(profiles[tokens], axis=0, weights=weight)
        weighted = centred * np.sqrt(weight)[:, None]
        sizes, axes = _svd(weighted)
        scores = centred @ axes[0]
        order = np.lexsort((tokens, scores))
        rest = float((sizes[1:] ** 2).sum())
        is_line = rest < LINE * float((sizes**2).sum())
        enough = len(tokens) > 2 and weight.sum() >= 2 * FEWEST_ROWS_OF_A_BRANCH
        return cls(tokens[order], scores[order], rest if enough and not is_line else 0.0)

    def parts(self, counts: Ints, profiles: Floats) -> tuple[_Group, ...]:
        """Two groups with the greatest distance between them along the line, each of enough rows where that can be."""
        weight = counts[self.tokens].astype(float)
        below, moment = np.cumsum(weight)[:-1], np.cumsum(weight * self.scores)[:-1]
        above, rest = weight.sum() - below, (weight * self.scores).sum() - moment
        between = below * above * (moment / below - rest / above) ** 2
        enough = np.minimum(below, above) >= FEWEST_ROWS_OF_A_BRANCH
        place = int(np.argmax(np.where(enough, between, -1.0) if enough.any() else np.minimum(below, above))) + 1
        return tuple(_Group.of(part, counts, profiles) for part in (self.tokens[:place], self.tokens[place:]))

    def node(self) -> _Node:
        if self.children:
            return [child.node() for child in self.children]
        return self.tokens.tolist() if len(self.tokens) > 1 else int(self.tokens[0])


def _svd(matrix: Floats) -> tuple[Floats, Floats]:
    """Singular values, falling, and right singular vectors as rows.

    LAPACK's quick routine (gesdd) fails on some well-behaved matrices, one of the 81,413 encounters of diabetes130 among them; its older
    one (gesvd) does not.
    """
    try:
        _, sizes, axes = np.linalg.svd(matrix, full_matrices=False)
    except np.linalg.LinAlgError:
        from scipy.linalg import svd

        _, sizes, axes = svd(matrix, full_matrices=False, lapack_driver="gesvd")
    return np.asarray(sizes), np.asarray(axes)


def _numbered(root: _Node, counts: Ints, n_tokens: int) -> FieldCuts:
    """The tree as a list of cuts, ancestors first."""
    from scipy.special import ndtri

    if isinstance(root, int):
        return FieldCuts((), n_tokens, root)
    waiting, cuts = [root], []
    for node in waiting:  # grows while it is read
        after, rows = [], []
        for child in node:
            rows.append(_rows(child, counts))
            if isinstance(child, int):
                after.append(child)
            else:
                after.append(-1 - len(waiting))
                waiting.append(child)
        shares = np.array(rows, dtype=float) / sum(rows)
        cuts.append(Cut(np.array(after, dtype=np.int64), shares, ndtri(np.minimum(np.cumsum(shares)[:-1], 1.0))))
    return FieldCuts(tuple(cuts), n_tokens)


def _rows(node: _Node, counts: Ints) -> int:
    return int(counts[node]) if isinstance(node, int) else sum(_rows(child, counts) for child in node)


def state_of(fields: Sequence[FieldCuts]) -> dict[str, npt.NDArray[Any]]:
    """All fields as six arrays."""
    every = [cut for one in fields for cut in one.cuts]
    return {
        "latents": np.array([len(one.cuts) for one in fields], dtype=np.int64),
        "start": np.array([one.start for one in fields], dtype=np.int64),
        "intervals": np.array([len(cut.after) for cut in every], dtype=np.int64),
        "after": np.concatenate([cut.after for cut in every]) if every else np.empty(0, dtype=np.int64),
        "shares": np.concatenate([cut.shares for cut in every]) if every else np.empty(0),
        "cuts": np.concatenate([cut.cuts for cut in every]) if every else np.empty(0),
    }


def n_bounds(latents: Sequence[int], sizes: Sequence[int]) -> int:
    """How many pairs of ends the `bounds` of fields with so many latent numbers and tokens hold together."""
    return sum(n * size for n, size in zip(latents, sizes, strict=True))


def from_state(arrays: dict[str, npt.NDArray[Any]], sizes: Sequence[int]) -> tuple[FieldCuts, ...]:
    """The fields as saved, for vocabularies of these sizes.

    Raises
    ------
    ModelFolderError : the arrays do not fit each other or the sizes, or together they ask for more memory than any model.
    """
    for name in ("latents", "start", "intervals", "after", "shares", "cuts"):
        wanted = np.float64 if name in ("shares", "cuts") else np.int64
        if name not in arrays or arrays[name].ndim != 1 or arrays[name].dtype != wanted:
            raise _refusal(f"the array 'fields.{name}' is missing, or no row of type {wanted.__name__}")
    latents, intervals = arrays["latents"].tolist(), arrays["intervals"].tolist()
    if len(latents) != len(sizes) or len(arrays["start"]) != len(sizes) or min(latents, default=0) < 0:
        raise _refusal(
            f"'fields.latents' and 'fields.start' do not have one number for each of the {len(sizes)} encoded columns"
        )
    if n_bounds(latents, sizes) > MOST_BOUNDS:
        raise _refusal(f"latent numbers times tokens are more than {MOST_BOUNDS:,}")
    if sum(latents) != len(intervals) or min(intervals, default=2) < 2:
        raise _refusal("'fields.intervals' does not have one number above 1 for each latent number")
    if not len(arrays["after"]) == len(arrays["shares"]) == len(arrays["cuts"]) + len(intervals) == sum(intervals):
        raise _refusal("'fields.after', 'fields.shares' and 'fields.cuts' are not as long as 'fields.intervals' says")
    ends = np.cumsum(intervals, dtype=np.int64)[:-1]
    after, shares = np.split(arrays["after"], ends), np.split(arrays["shares"], ends)
    cuts = np.split(arrays["cuts"], np.cumsum(np.array(intervals, dtype=np.int64) - 1)[:-1])
    made, first = [], 0
    for size, n, start in zip(sizes, latents, arrays["start"].tolist(), strict=True):
        own = [
            Cut(*parts)
            for parts in zip(after[first : first + n], shares[first : first + n], cuts[first : first + n], strict=True)
        ]
        first += n
        _check(own, size, start)
        made.append(FieldCuts(tuple(own), size, start))
    return tuple(made)


def _check(cuts: Sequence[Cut], n_tokens: int, start: int) -> None:
    """Every interval leads to a token of the field or to a latent number further on, and cuts increase."""
    if not 0 <= start < n_tokens:
        raise _refusal("a token is none of its field's")
    for k, cut in enumerate(cuts):
        if np.isnan(cut.cuts).any() or (cut.cuts[1:] < cut.cuts[:-1]).any():
            raise _refusal("'fields.cuts' do not increase")
        if (cut.after >= n_tokens).any() or (cut.after < -len(cuts)).any() or ((cut.after < 0) & (cut.after >= -1 - k)).any():
            raise _refusal("an interval of 'fields.after' leads nowhere")


def _refusal(why: str) -> ModelFolderError:
    return ModelFolderError(f"The latent numbers of the model folder do not fit its columns: {why}. Save the model again.")
