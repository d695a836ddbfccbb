"""Contingency tables of column pairs, with numbers in quantile bins of train: what pair metrics and heat maps stand on.

Knows nothing of what a table is good for; it counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.intervals import N_GROUPS, with_replicates
from manikin.evaluation.prepared import Feature, Prepared, Sample

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
N_BINS = 10
MAX_LEVELS = 1_000  # levels beyond train's 1,000 most frequent count as one, so that a table of two columns fits in memory
MAX_COLUMNS = 150  # columns whose pairs are all counted
DENSE_CELLS = 50_000 // N_GROUPS
Pair = tuple[str, str]


@dataclass(frozen=True)
class Binned:
    """Rows of one side as small integers.

    Attributes
    ----------
    codes : per column, int64 (n_rows,) in 0 … sizes[column] - 1; every missing code has a number of its own.
    sizes : per column, how many codes there are.
    groups : group of each row, int64 (n_rows,).
    """

    codes: Mapping[str, Codes]
    sizes: Mapping[str, int]
    groups: Codes

    def __len__(self) -> int:
        return len(self.groups)


def binned_sides(
    data: Prepared, *, cap: int, seed: int, n_bins: int = N_BINS, max_levels: int = MAX_LEVELS
) -> tuple[Binned, Binned, Binned]:
    """Train (at most `cap` rows), holdout and synthetic at equal n; bins and kept levels are learned on all of train."""
    key = ("binned", cap, seed, n_bins, max_levels)
    if key not in data.memory:
        n = data.equal_n(cap)
        drawn = {
            "train": data.real.draw(cap, seed, "pairs", "train"),
            "holdout": data.held.draw(n, seed, "pairs", "holdout"),
            "synthetic": data.fake.draw(n, seed, "pairs", "synthetic"),
        }
        parts: dict[str, dict[str, Codes]] = {side: {} for side in drawn}
        sizes: dict[str, int] = {}
        for feature in data.features:
            edges = _edges(data.real, feature, n_bins, max_levels)
            made = {side: _codes(sample, feature, edges) for side, sample in drawn.items()}
            sizes[feature.name] = 1 + max((int(codes.max(initial=0)) for codes in made.values()), default=0)
            for side, codes in made.items():
                parts[side][feature.name] = codes
        data.memory[key] = tuple(
            Binned(parts[side], sizes, sample.groups(N_GROUPS, seed, "pairs", side, "groups")) for side, sample in drawn.items()
        )
    real, held, fake = data.memory[key]
    return real, held, fake


def shuffled(side: Binned, n: int, seed: int) -> Binned:
    """`n` rows whose columns are drawn one by one: the same columns with no dependence. At most the side's rows."""
    n = min(n, len(side))
    codes = {name: column[generator(seed, "shuffled", name).permutation(len(side))[:n]] for name, column in side.codes.items()}
    return Binned(codes, side.sizes, generator(seed, "shuffled", "groups").permutation(n) % N_GROUPS)


def judged_columns(data: Prepared, seed: int) -> list[str]:
    """The columns whose pairs are counted, in schema order: all, or of a very wide table the target and a draw of the others."""
    names = [feature.name for feature in data.features]
    if len(names) <= MAX_COLUMNS:
        return names
    order = [names[i] for i in generator(seed, "pairs", "columns").permutation(len(names))]
    chosen = set(sorted(order, key=lambda name: name != data.target)[:MAX_COLUMNS])
    return [name for name in names if name in chosen]


def judged_pairs(data: Prepared, seed: int) -> list[Pair]:
    """Every pair of the columns that are judged in pairs, in schema order."""
    return list(combinations(judged_columns(data, seed), 2))


def width_note(data: Prepared) -> str:
    """What to say of a table so wide that not all pairs are counted; empty otherwise."""
    if len(data.features) <= MAX_COLUMNS:
        return ""
    return f"Of {len(data.features)} columns {MAX_COLUMNS} were drawn and only their pairs were looked at."


def pair_distance(real: Binned, other: Binned, pair: Pair) -> Floats:
    """Total variation distance ½ Σ |p - q| of two pair tables, float (N_REPLICATES + 1,): on all rows, then on each replicate."""
    return margin_distance(real, other, pair)


def margin_distance(real: Binned, other: Binned, columns: Sequence[str]) -> Floats:
    """Total variation distance of the tables of any number of columns, float (N_REPLICATES + 1,): on all rows, then on each replicate."""
    shares = []
    joint, n_cells = _joint((real, other), columns)
    for side, cells in zip((real, other), joint, strict=True):
        counts = np.bincount(side.groups * n_cells + cells, minlength=N_GROUPS * n_cells).reshape(N_GROUPS, n_cells)
        totals = with_replicates(counts)
        shares.append(totals / np.maximum(totals.sum(axis=1, keepdims=True), 1))
    return np.asarray(np.abs(shares[0] - shares[1]).sum(axis=1) / 2)


def association(side: Binned, pair: Pair) -> float:
    """Bias-corrected Cramér's V of two columns in [0, 1] (Bergsma 2013, doi:10.1016/j.jkss.2012.10.002); 0 for a constant column.

    With φ² = χ²/n, r rows and c columns that occur: φ̃² = max(0, φ² - (r - 1)(c - 1)/(n - 1)), r̃ = r - (r - 1)²/(n - 1), c̃ likewise,
    V = √(φ̃² / min(r̃ - 1, c̃ - 1)).
    """
    n = len(side)
    first, second = side.codes[pair[0]], side.codes[pair[1]]
    rows, columns = np.bincount(first), np.bincount(second)
    (cells,), n_cells = _joint((side,), pair, compress=False)
    if n_cells <= DENSE_CELLS:
        counts = np.bincount(cells, minlength=n_cells)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:
        found, counts = np.unique(cells, return_counts=True)
    size = side.sizes[pair[1]]
    expected = rows[found // size] * columns[found % size].astype(float)
    phi = float((counts.astype(float) ** 2 / expected).sum()) - 1
    r, c = int((rows > 0).sum()), int((columns > 0).sum())
    if min(r, c) < 2 or n < 3:
        return 0.0
    phi = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    least = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(phi / least))) if least > 0 else 0.0


def associations(side: Binned, names: Sequence[str]) -> Floats:
    """Matrix of Cramér's V, symmetric with ones on the diagonal, (n_columns, n_columns)."""
    matrix = np.eye(len(names))
    for i, j in combinations(range(len(names)), 2):
        matrix[i, j] = matrix[j, i] = association(side, (names[i], names[j]))
    return matrix


def shared_associations(data: Prepared, *, cap: int, seed: int) -> dict[str, Floats]:
    """The association matrices of train, holdout and synthetic rows (at equal n, train's too), computed once."""
    key = ("associations", cap, seed)
    if key not in data.memory:
        names = judged_columns(data, seed)
        real, held, fake = binned_sides(data, cap=cap, seed=seed)
        sides = {"train": real, "holdout": held, "synthetic": fake}
        data.memory[key] = {side: associations(binned, names) for side, binned in sides.items()}
    made: dict[str, Floats] = data.memory[key]
    return made


def _joint(sides: Sequence[Binned], columns: Sequence[str], *, compress: bool = True) -> tuple[list[Codes], int]:
    """The cell of the columns' joint table that each row falls in; large sparse tables keep only the cells that occur."""
    joint, n_cells = [side.codes[columns[0]] for side in sides], sides[0].sizes[columns[0]]
    for column in columns[1:]:
        width = sides[0].sizes[column]
        joint = [cells * width + side.codes[column] for cells, side in zip(joint, sides, strict=True)]
        n_cells *= width
    if n_cells <= DENSE_CELLS or not compress:
        return joint, n_cells
    found, dense = np.unique(np.concatenate(joint), return_inverse=True)
    ends = np.cumsum([len(cells) for cells in joint])[:-1]
    return list(np.split(dense.reshape(-1), ends)), len(found)


def _edges(real: Sample, feature: Feature, n_bins: int, max_levels: int) -> Floats:
    """Upper ends of a number's bins but the last: train's quantiles, each once. For levels: which of them are kept, as numbers."""
    values = real.values[feature.name]
    if feature.is_number:
        present = values[~np.isnan(values)]
        return np.unique(np.quantile(present, np.arange(1, n_bins) / n_bins)) if len(present) else np.empty(0)
    frequency = np.bincount(values[values >= 0], minlength=len(feature.levels or ()))
    return np.argsort(-frequency, kind="stable")[:max_levels].astype(float)


def _codes(sample: Sample, feature: Feature, edges: Floats) -> Codes:
    values, marks = sample.values[feature.name], sample.marks[feature.name].astype(np.int64)
    if feature.is_number:
        codes = np.searchsorted(edges, np.nan_to_num(values), side="left").astype(np.int64)
        return np.where(marks > 0, len(edges) + marks, codes)
    rank = np.full(len(feature.levels or ()) + 1, len(edges), dtype=np.int64)
    rank[edges.astype(np.int64)] = np.arange(len(edges))
    return np.where(marks > 0, len(edges) + marks, rank[values])
