"""Shapes, missingness, dependence, levels, and coverage in a metric space. Knows nothing of targets or privacy."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

from judging.tables import Tables, embedding, sorted_levels

N_PAIRS = 50
N_BINS = 10
N_DRAWS = 5
LEAST_GAP = 0.01
N_NEIGHBOURS = 5
MOST_POINTS = 4_000


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> float:
    """Largest distance between two empirical distribution functions; 1 when one side is empty."""
    if not len(first) or not len(second):
        return float(len(first) != len(second))
    first, second, points = np.sort(first), np.sort(second), np.concatenate([first, second])
    ranks = [np.searchsorted(side, points, side="right") / len(side) for side in (first, second)]
    return float(np.abs(ranks[0] - ranks[1]).max())


def total_variation(first: pd.Series, second: pd.Series) -> float:
    """Half the sum of differences between the shares of levels, among cells that are there; 1 when one side is empty."""
    if first.notna().sum() == 0 or second.notna().sum() == 0:
        return float(first.notna().any() != second.notna().any())
    shares = [side.value_counts(normalize=True) for side in (first, second)]
    return float(shares[0].subtract(shares[1], fill_value=0).abs().sum() / 2)


def column_shapes(tables: Tables, frame: pd.DataFrame) -> dict[str, float]:
    """1 - KS of each number, 1 - TV of each category, against train."""
    return {
        column: 1 - kolmogorov_smirnov(tables.train[column].dropna().to_numpy(), frame[column].dropna().to_numpy())
        for column in tables.numbers
    } | {column: 1 - total_variation(tables.train[column], frame[column]) for column in tables.categories}


def shapes(tables: Tables, frame: pd.DataFrame) -> dict:
    """1 - KS of numbers, 1 - TV of categories, against train: mean, worst and the worst column."""
    scores = column_shapes(tables, frame)
    worst = min(scores, key=lambda column: scores[column])
    return {"mean": float(np.mean(list(scores.values()))), "worst": scores[worst], "worst_column": worst}


def missingness(tables: Tables, frame: pd.DataFrame) -> dict:
    """Difference of missing rates to train: mean over all columns, and the largest."""
    difference = (tables.train.isna().mean() - frame[tables.train.columns].isna().mean()).abs()
    return {
        "mean": float(difference.mean()),
        "worst": float(difference.max()),
        "worst_column": str(difference.idxmax()),
    }


def level_coverage(tables: Tables, frame: pd.DataFrame) -> dict:
    """Share of train's levels that occur: those with at least 0.5 % in train, all, and all among as many fresh rows."""
    common, every, expected = [], [], []
    for column in tables.categories:
        share = tables.train[column].value_counts(normalize=True)
        found = share.index.isin(frame[column].dropna().unique())
        common += list(found[share.to_numpy() >= 0.005])
        every += list(found)
        expected += list(1 - (1 - share.to_numpy()) ** len(frame))
    return {"over_half_percent": mean(common), "all_levels": mean(every), "all_levels_expected": mean(expected)}


def mean(values: list) -> float | None:
    """Mean, or None where there is nothing."""
    return float(np.mean(values)) if values else None


def codes(tables: Tables, frames: list[pd.DataFrame]) -> tuple[list[np.ndarray], list[int]]:
    """Every column as integers (numbers in ten quantile bins of train, missing a level), and its number of levels."""
    coded = [np.zeros((len(frame), frame.shape[1]), dtype=np.int64) for frame in frames]
    sizes = []
    for index, column in enumerate(tables.train.columns):
        if column in tables.numbers:
            values = tables.train[column].dropna()
            edges = np.unique(np.quantile(values, np.linspace(0, 1, N_BINS + 1)[1:-1])) if len(values) else np.zeros(1)
            for array, frame in zip(coded, frames, strict=True):
                found = np.searchsorted(edges, frame[column].to_numpy(), side="left")
                array[:, index] = np.where(frame[column].isna(), len(edges) + 1, found)
            sizes.append(len(edges) + 2)
        else:
            rank = {level: code for code, level in enumerate(sorted_levels(frames, column))}
            for array, frame in zip(coded, frames, strict=True):
                array[:, index] = frame[column].map(rank).fillna(len(rank)).astype(np.int64)
            sizes.append(len(rank) + 1)
    return coded, sizes


def pair_table(coded: np.ndarray, pair: tuple[int, int], sizes: list[int]) -> np.ndarray:
    """Counts of the combinations of two columns."""
    first, second = pair
    flat = np.bincount(coded[:, first] * sizes[second] + coded[:, second], minlength=sizes[first] * sizes[second])
    return flat.reshape(sizes[first], sizes[second])


def pairs(tables: Tables, frame: pd.DataFrame) -> dict:
    """1 - TV of the table of every pair of columns, against train, all at their own n: mean over all pairs, worst pair.

    Numbers in ten quantile bins of train, missing a level, as for dependence. Fresh rows score below 1: read the reference.
    """
    distances = pair_distances(tables, frame)
    worst = max(distances, key=lambda pair: distances[pair])
    return {"mean": 1 - float(np.mean(list(distances.values()))), "worst": 1 - distances[worst], "worst_pair": list(worst)}


def pair_distances(tables: Tables, frame: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Total variation distance of each pair's table in `frame` to train's."""
    columns = list(tables.train.columns)
    (train, made), sizes = codes(tables, [tables.train, frame[columns]])
    return {
        (columns[first], columns[second]): float(
            np.abs(
                pair_table(train, (first, second), sizes) / len(train) - pair_table(made, (first, second), sizes) / len(made)
            ).sum()
            / 2
        )
        for first, second in combinations(range(len(columns)), 2)
    }


def cramers_v(table: np.ndarray) -> float:
    """Bias-corrected Cramer's V (Bergsma 2013, doi:10.1016/j.jkss.2012.10.002); 0 for a constant column."""
    table = table[table.sum(1) > 0][:, table.sum(0) > 0].astype(float)
    n, (rows, columns) = table.sum(), table.shape
    if min(rows, columns) < 2:
        return 0.0
    expected = np.outer(table.sum(1), table.sum(0)) / n
    phi2 = max(0.0, float(((table - expected) ** 2 / expected).sum() / n) - (rows - 1) * (columns - 1) / (n - 1))
    size = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(np.sqrt(phi2 / size)) if size > 0 else 0.0


def dependence(tables: Tables, seed: int = 0) -> dict:
    """(TV_independent - TV_synthetic) / (TV_independent - TV_holdout) over train's 50 most dependent pairs; best is 1.

    Each TV is the mean total variation distance of the pair tables to train's; all three at the same n, averaged over
    draws. No value where the holdout is not nearer to train than independent rows by 0.01: too few rows to tell.
    """
    (train, test, synthetic), sizes = codes(tables, [tables.train, tables.test, tables.synthetic])
    pairs = list(combinations(range(train.shape[1]), 2))
    strength = [cramers_v(pair_table(train, pair, sizes)) for pair in pairs]
    chosen = [pairs[index] for index in np.argsort(strength, kind="stable")[::-1][:N_PAIRS]]
    shares = [pair_table(train, pair, sizes) / len(train) for pair in chosen]
    n, generator = min(len(test), len(synthetic)), np.random.default_rng(seed)

    def distance(rows: np.ndarray) -> float:
        tables_ = (pair_table(rows, pair, sizes) / len(rows) for pair in chosen)
        return float(np.mean([np.abs(table - share).sum() / 2 for table, share in zip(tables_, shares, strict=True)]))

    def drawn(source: np.ndarray) -> np.ndarray:
        return source[generator.permutation(len(source))[:n]]

    independent = [distance(generator.permuted(train, axis=0)[:n]) for _ in range(N_DRAWS)]
    synthetic_tv = [distance(drawn(synthetic)) for _ in range(N_DRAWS)]
    holdout = [distance(drawn(test)) for _ in range(N_DRAWS if len(test) > n else 1)]
    low, high, middle = (float(np.mean(values)) for values in (holdout, independent, synthetic_tv))
    value = (high - middle) / (high - low) if high - low > LEAST_GAP else None
    return {"value": value, "independent": high, "synthetic": middle, "holdout": low, "n": n}


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distances, shape (n_first, n_second)."""
    squared = (first**2).sum(1)[:, None] + (second**2).sum(1)[None] - 2 * first @ second.T
    return np.sqrt(np.maximum(squared, 0))


def geometry(tables: Tables, frame: pd.DataFrame, seed: int = 0) -> dict:
    """alpha-precision, beta-recall (arXiv 2102.08921) and coverage (arXiv 2002.09797) against the holdout, equal n.

    alpha-precision: 1 - sum|P_a - a| / sum a, P_a the share of synthetic rows inside the ball, about the holdout's
    mean, that holds the share a of the holdout. beta-recall: the same with P_b the share of holdout rows whose
    nearest synthetic row lies in the synthetic ball of mass b and is no farther than the nearest other holdout row.
    coverage: share of holdout rows whose 5-nearest-neighbour ball holds a synthetic row. Fresh real rows score below
    1 on the last two: read the reference.
    """
    generator = np.random.default_rng(seed)
    n = min(len(tables.test), len(frame), MOST_POINTS)
    real, made = embedding(tables, [side.iloc[generator.permutation(len(side))[:n]] for side in (tables.test, frame)])
    levels = np.linspace(0, 1, 31)[1:-1]
    from_centre = np.linalg.norm(real - real.mean(0), axis=1)
    inside = np.linalg.norm(made - real.mean(0), axis=1)[:, None] <= np.quantile(from_centre, levels)
    made_from_centre = np.linalg.norm(made - made.mean(0), axis=1)
    to_real, to_made = distances(real, real), distances(real, made)
    np.fill_diagonal(to_real, np.inf)
    ball = np.partition(to_real, (0, N_NEIGHBOURS - 1), axis=1)
    nearest = to_made.argmin(1)
    close = to_made[np.arange(n), nearest] <= ball[:, 0]
    recalled = close[:, None] & (made_from_centre[nearest][:, None] <= np.quantile(made_from_centre, levels))
    return {
        "alpha_precision": float(1 - np.abs(inside.mean(0) - levels).sum() / levels.sum()),
        "beta_recall": float(1 - np.abs(recalled.mean(0) - levels).sum() / levels.sum()),
        "coverage": float((to_made.min(1) <= ball[:, N_NEIGHBOURS - 1]).mean()),
        "n": n,
    }
