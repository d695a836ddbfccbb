"""An adversarial random forest for small tables (Watson, Blesch, Kapar & Wright 2023, arXiv 2205.09435). Knows tokens, not values.

A forest learns to tell patients from rows whose columns were drawn apart; where its leaves no longer can, columns are nearly
independent inside them, and the leaves make a generator (`leaf_mixture`). Rows drawn inside the leaves are the next round's adversary.
What differs from the paper, each measured (docs/synthesizers/forest.md): columns are token histograms, so spikes, missing codes and
number formats survive; leaves too small for privacy borrow their ancestor's histograms; each column is drawn from all trees together
and sharpened; the leaf size, the round to stop at and the sharpness are chosen by the likelihood of patients held out inside `fit`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Self

import numpy.typing as npt

from manikin.codecs.base import Field, Tokens
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import parameter_error
from manikin.data.seeds import derive, generator
from manikin.synthesizers.base import Arrays, Conditions, State, np
from manikin.synthesizers.blocks import check_request, in_batches, or_none, refuse_ledger, require_fitted, rows_of
from manikin.synthesizers.tables.leaf_mixture import SHARPNESS, LeafMixture

Ints = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]

LEAF_SIZES = (10, 20, 40, 80)
LEAVES_TRIED = (4, 160)  # leaf sizes are tried that part the rows into about so many leaves
DEFAULT_LEAF_SIZE = 20
FEWEST_ROWS_TO_TUNE = 100
FEWEST_ROWS_TO_GROW = 20
MOST_JUDGED_ROWS = 1_000
ONE_HOT_LEVELS = 12
MOST_CELLS = 60_000_000  # of all histograms together, as float32 240 MB


@dataclass(kw_only=True)
class Forest:
    """Adversarial random forest.

    Parameters
    ----------
    n_trees : trees of the forest; more are better and slower.
    leaf_size : fewest rows, real and adversarial together, in a leaf; None chooses by the likelihood of held-out patients.
    min_patients : a leaf with fewer patients takes its histograms from the nearest ancestor that has them.
    max_rounds : most adversarial rounds; fewer when a round makes held-out patients less likely, or nothing is left to tell.
    tolerance : out-of-bag accuracy up to 0.5 + tolerance counts as nothing left to tell (the paper's delta).
    smoothing : pseudo-rows of a column's overall frequencies in each leaf.
    sharpness : one exponent for all columns; None chooses one per column by the likelihood of held-out patients.
    max_rows : most rows, real and adversarial together, that one tree grows on.
    max_tokens : most groups of a number column; None takes one for each 30 rows, between 12 and 64.

    >>> Forest(n_trees=10).n_trees
    10
    """

    n_trees: int = 40
    leaf_size: int | None = None
    min_patients: int = 5
    max_rounds: int = 3
    tolerance: float = 0.0
    smoothing: float = 2.0
    sharpness: float | None = None
    max_rows: int = 20_000
    max_tokens: int | None = None
    codec_: TableCodec = field(init=False, repr=False)
    mixture_: LeafMixture = field(init=False, repr=False)
    leaf_size_: int = field(init=False, repr=False)
    n_rounds_: int = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:
        """Grows the forest.

        Raises
        ------
        BudgetError : a ledger is given. FitError : there is nothing to learn. ParameterError : a hyperparameter is out of its range.
        """
        refuse_ledger("forest", ledger)
        self._check()
        self.codec_ = TableCodec(max_tokens=self.max_tokens or int(np.clip(len(data) // 30, 12, 64))).fit(data)
        tokens, records = self.codec_.encode(data), data.records
        self.leaf_size_, self.n_rounds_ = self.leaf_size or DEFAULT_LEAF_SIZE, 1
        shape = (2, tokens.shape[1])
        pooling = np.zeros(shape, dtype=bool), np.full(shape, self.sharpness or 1.0)
        if data.n_records >= FEWEST_ROWS_TO_TUNE and tokens.shape[1] > 1:
            pooling = self._tune(tokens, records, seed)
        growth = self._grow(tokens, records, self.leaf_size_, seed, "final")
        *_, mixture = islice(growth, self.n_rounds_)
        self.mixture_ = replace(mixture, is_geometric=pooling[0], sharpness=pooling[1])
        return self

    def _check(self) -> None:
        least = {"n_trees": 1, "min_patients": 1, "max_rounds": 1, "max_rows": 1, "leaf_size": 2, "max_tokens": 2}
        for name, low in least.items():
            value = getattr(self, name)
            if not ((isinstance(value, int) and value >= low) or (name in ("leaf_size", "max_tokens") and value is None)):
                raise parameter_error(name, "Forest", f"an int in [{low}, inf)", value)
        if not self.smoothing > 0:
            raise parameter_error("smoothing", "Forest", "a number in (0, inf)", self.smoothing)
        if self.sharpness is not None and not self.sharpness > 0:
            raise parameter_error("sharpness", "Forest", "a number in (0, inf), or None", self.sharpness)

    def _tune(self, tokens: Tokens, records: Ints, seed: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """Sets leaf size and rounds by patients held out of a first growth; returns how each column is pooled, and its sharpness."""
        rng = generator(seed, "forest", "holdout")
        n_records = int(records.max()) + 1
        held = np.zeros(n_records, dtype=bool)
        held[rng.permutation(n_records)[: n_records // 5]] = True
        grown, judged = np.flatnonzero(~held[records]), np.flatnonzero(held[records])
        judged = judged[rng.permutation(len(judged))[:MOST_JUDGED_ROWS]]
        grid = np.array(SHARPNESS if self.sharpness is None else (self.sharpness,))
        best, chosen = -np.inf, None
        for leaf_size in (self.leaf_size,) if self.leaf_size else _leaf_sizes(len(grown)):
            last = -np.inf
            for n_rounds, mixture in enumerate(self._grow(tokens[grown], records[grown], leaf_size, seed, "tune"), start=1):
                scores = mixture.log_likelihoods(tokens[judged], grid.tolist())
                score = scores.reshape(2 * len(grid), -1).max(axis=0).sum()
                if chosen is None or score > best:
                    best, self.leaf_size_, self.n_rounds_, chosen = score, leaf_size, n_rounds, (scores, mixture)
                if score <= last:
                    break
                last = score
        assert chosen is not None
        in_order, mixture = chosen
        any_order = mixture.log_likelihoods(tokens[judged], grid.tolist(), shuffle=rng)
        picks = np.stack([scores.reshape(2 * len(grid), -1).argmax(axis=0) for scores in (in_order, any_order)])
        return picks >= len(grid), grid[picks % len(grid)]

    def _grow(self, tokens: Tokens, records: Ints, leaf_size: int, seed: int, purpose: str) -> Iterator[LeafMixture]:
        """The mixture of each adversarial round, as long as the last forest could tell patients from its adversary."""
        fields, n = self.codec_.layout.fields, len(tokens)
        if n < FEWEST_ROWS_TO_GROW or tokens.shape[1] < 2:
            yield _mixture([_root(tokens)], tokens, fields, self.smoothing)
            return
        rng = generator(seed, "forest", purpose, leaf_size)
        encode = _Features(tokens, fields)
        real = encode(tokens)
        adversary = _draw_within(np.zeros((n, 1), dtype=np.int64), tokens, rng)
        n_leaves = max(2, MOST_CELLS // (self.n_trees * sum(f.n_tokens for f in fields)))
        for number in range(self.max_rounds):
            forest, accuracy = _discriminator(
                np.concatenate([real, encode(adversary)]),
                n_trees=self.n_trees,
                leaf_size=leaf_size,
                max_leaf_nodes=n_leaves if n_leaves < 2 * n // leaf_size else None,
                max_rows=self.max_rows,
                seed=derive(seed, "forest", purpose, leaf_size, number),
            )
            trees = [_tree(estimator.tree_, real, records, self.min_patients) for estimator in forest.estimators_]
            yield _mixture(trees, tokens, fields, self.smoothing)
            if accuracy <= 0.5 + self.tolerance:
                return
            adversary = _draw_within(forest.apply(real), tokens, rng)

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` rows; given cells are kept to the digit, the others drawn from what the leaves say given these (no rejection).

        Raises
        ------
        FitError : nothing was learned. ParameterError : n or the conditions do not fit the model.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The rows of `sample` in batches."""
        require_fitted(self, "mixture_")
        check_request("Forest", n, batch_size, conditions)
        conditions = or_none(conditions)
        emitted = [self.codec_.emitted(j) for j in range(len(self.codec_.layout.fields))]

        def draw(number: int, start: int, stop: int) -> Dataset:
            rng, own = generator(seed, "forest", "sample", number), rows_of(conditions, start, stop)
            tokens, given = self.codec_.encode_conditions(own, stop - start)
            allowed = self.codec_.allowed_given(own, stop - start)
            tokens = self.mixture_.draw(tokens, given, rng, emitted=emitted, allowed=allowed)
            return self.codec_.decode(tokens, rng, first_key=start + 1, conditions=own)

        return in_batches(draw, n, batch_size=batch_size)

    def state(self) -> State:
        """Everything fitted: the codec, leaf weights and histogram counts; no row, no tree."""
        values, arrays = self.codec_.state()
        mixture_values, mixture_arrays = self.mixture_.state()
        own = {"codec": values, "mixture": mixture_values, "leaf_size": self.leaf_size_, "n_rounds": self.n_rounds_}
        named = {f"codec.{name}": array for name, array in arrays.items()}
        return own, named | {f"mixture.{name}": array for name, array in mixture_arrays.items()}

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back."""
        parts: dict[str, Arrays] = {"codec": {}, "mixture": {}}
        for name, array in arrays.items():
            part, key = name.split(".", 1)
            parts[part][key] = array
        self.codec_ = TableCodec.from_state(values["codec"], parts["codec"])
        self.mixture_ = LeafMixture.from_state(values["mixture"], parts["mixture"], self.codec_.layout.sizes)
        self.leaf_size_, self.n_rounds_ = values["leaf_size"], values["n_rounds"]
        return self


def _leaf_sizes(n_rows: int) -> tuple[int, ...]:
    """Which leaf sizes are worth a trial: none that leaves next to no leaves, none that takes minutes to no avail."""
    few, many = LEAVES_TRIED
    fit = tuple(size for size in LEAF_SIZES if few <= n_rows / size <= many)
    return fit or (LEAF_SIZES[0] if n_rows / LEAF_SIZES[0] < few else LEAF_SIZES[-1],)


class _Features:
    """Tokens as what trees split on: ordered columns as they are (missing codes come first), few levels one by one, many by likeness.

    Many unordered levels lie on two axes on which levels are near each other when the patients who hold them are alike in the other
    columns (the correspondence analysis of the level against the rest), so that one cut parts kinds of levels, not single ones.
    """

    def __init__(self, tokens: Tokens, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        plain = np.stack([_standard(tokens[:, j], f.n_tokens) for j, f in enumerate(fields)], axis=1)
        self.axes = {
            j: _likeness(tokens[:, j], f.n_tokens, np.delete(plain, j, axis=1)) for j, f in enumerate(fields) if _is_many(f)
        }

    def __call__(self, tokens: Tokens) -> Features:
        """Features float32 (n_rows, n_features)."""
        columns: list[npt.NDArray[Any]] = []
        for j, f in enumerate(self.fields):
            own = tokens[:, j]
            if j in self.axes:
                columns.append(self.axes[j][own])
            elif f.is_ordered or f.n_tokens <= 2:
                columns.append(own[:, None])
            else:
                columns.append(own[:, None] == np.arange(f.n_tokens))
        return np.concatenate(columns, axis=1).astype(np.float32)


def _is_many(f: Field) -> bool:
    return not f.is_ordered and f.n_tokens > ONE_HOT_LEVELS


def _standard(tokens: npt.NDArray[Any], n_tokens: int) -> npt.NDArray[np.float64]:
    """Tokens as mid-ranks with mean 0: enough to say which patients are alike."""
    counts = np.bincount(tokens, minlength=n_tokens)
    rank = (np.cumsum(counts) - counts / 2) / max(len(tokens), 1)
    return np.asarray(rank[tokens] - 0.5)


def _likeness(tokens: npt.NDArray[Any], n_tokens: int, others: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Two coordinates per token, float64 (n_tokens, 2): the leading axes of the mean of `others` among its holders, shrunk when few."""
    counts = np.bincount(tokens, minlength=n_tokens)
    means = np.stack([np.bincount(tokens, weights=other, minlength=n_tokens) for other in others.T], axis=1)
    means = means / (counts + 5.0)[:, None]
    weighted = means * np.sqrt(counts)[:, None]
    _, _, directions = np.linalg.svd(weighted, full_matrices=False)
    axes = means @ directions[:2].T
    return np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))


def _discriminator(
    features: Features, *, n_trees: int, leaf_size: int, max_leaf_nodes: int | None, max_rows: int, seed: int
) -> tuple[Any, float]:
    """A forest that tells the first half of the rows (patients) from the second, and its out-of-bag accuracy, in [0, 1]."""
    from sklearn.ensemble import RandomForestClassifier

    n = len(features)
    forest = RandomForestClassifier(
        n_trees,
        min_samples_leaf=leaf_size,
        max_leaf_nodes=max_leaf_nodes,
        max_samples=max_rows if max_rows < n else None,
        oob_score=True,
        random_state=seed & 0x7FFFFFFF,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # with a handful of trees some rows are in every bag; they count as guessed
        warnings.filterwarnings("ignore", message="Some inputs do not have OOB scores", category=UserWarning)
        forest.fit(features, np.arange(n) < n // 2)
    return forest, float(forest.oob_score_)


def _draw_within(leaves: npt.NDArray[Any], tokens: Tokens, rng: np.random.Generator) -> Tokens:
    """As many rows as there are, each column by itself from the rows of one leaf of one tree; the leaf by its share of rows.

    Parameters
    ----------
    leaves : int (n_rows, n_trees), the leaf of each row.
    """
    n, n_trees = leaves.shape
    out = np.empty_like(tokens)
    for tree, rows in enumerate(np.array_split(rng.permutation(n), n_trees)):
        order = np.argsort(leaves[:, tree], kind="stable")
        own = leaves[order, tree]
        first, last = np.searchsorted(own, own, "left"), np.searchsorted(own, own, "right")
        place = rng.integers(0, n, len(rows))
        for j in range(tokens.shape[1]):
            out[rows, j] = tokens[order[rng.integers(first[place], last[place])], j]
    return out


@dataclass(frozen=True)
class _Tree:
    """What a grown tree says of the training rows: leaf of each row (n_rows,), and pairs (row, leaf) whose histograms a leaf has."""

    leaf: Ints
    row: Ints
    behind: Ints


def _root(tokens: Tokens) -> _Tree:
    rows = np.arange(len(tokens))
    return _Tree(np.zeros_like(rows), rows, np.zeros_like(rows))


def _tree(tree: Any, features: Features, records: Ints, min_patients: int) -> _Tree:
    """Leaves with enough patients keep their histograms; others share those of the nearest ancestor that has enough."""
    path = tree.decision_path(features).tocoo()
    row, node = path.row.astype(np.int64), path.col.astype(np.int64)
    pairs = np.unique(node * (int(records.max()) + 1) + records[row])
    n_patients = np.bincount(pairs // (int(records.max()) + 1), minlength=tree.node_count)
    parent = np.full(tree.node_count, 0, dtype=np.int64)
    inner = np.flatnonzero(tree.children_left >= 0)
    parent[tree.children_left[inner]] = parent[tree.children_right[inner]] = inner
    source = np.arange(tree.node_count)
    while (small := (n_patients[source] < min_patients) & (source > 0)).any():
        source[small] = parent[source[small]]
    sources, leaf = np.unique(source[tree.apply(features)], return_inverse=True)
    number = np.full(tree.node_count, -1, dtype=np.int64)
    number[sources] = np.arange(len(sources))
    kept = number[node] >= 0
    return _Tree(leaf.astype(np.int64), row[kept], number[node[kept]])


def _mixture(trees: list[_Tree], tokens: Tokens, fields: tuple[Field, ...], smoothing: float) -> LeafMixture:
    """Counts behind every leaf of every tree."""
    sizes = [int(tree.leaf.max()) + 1 for tree in trees]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = np.concatenate([np.bincount(tree.leaf, minlength=size) for tree, size in zip(trees, sizes, strict=True)])
    row = np.concatenate([tree.row for tree in trees])
    behind = np.concatenate([tree.behind + start for tree, start in zip(trees, offsets[:-1], strict=True)])
    leaf, token, count = [], [], []
    for j, f in enumerate(fields):
        cells, counts = np.unique(behind * f.n_tokens + tokens[row, j], return_counts=True)
        leaf.append((cells // f.n_tokens).astype(np.int32))
        token.append((cells % f.n_tokens).astype(np.int32))
        count.append(counts.astype(np.int32))
    return LeafMixture(
        offsets=offsets,
        rows=rows.astype(np.int64),
        support=np.bincount(behind, minlength=offsets[-1]).astype(np.int64),
        leaf=tuple(leaf),
        token=tuple(token),
        count=tuple(count),
        frequencies=tuple(np.bincount(tokens[:, j], minlength=f.n_tokens) for j, f in enumerate(fields)),
        smoothing=smoothing,
        sharpness=np.ones((2, len(fields))),
        is_geometric=np.zeros((2, len(fields)), dtype=bool),
    )
