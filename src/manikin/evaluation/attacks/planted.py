"""Near-copies of train rows to plant into a release: the leak that an attack must find, or it has no power. Knows no attack.

What is planted stays in memory: it is measured and thrown away, and no row of it is ever written or shown.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.attacks.base import targets
from manikin.evaluation.features import Points, embedding
from manikin.evaluation.neighbours import nearest
from manikin.evaluation.prepared import Feature, Prepared, Sample

SHARE = 0.05  # of the rows of the planted release
NOISE = 0.3  # standard deviations that a number moves
LEVELS_CHANGED = 0.05  # cells of discrete columns that are drawn anew
MAX_DCR_QUERIES = 3_000
MAX_DCR_POINTS = 10_000


def near_copies(data: Prepared, n_release: int, seed: int) -> Sample:
    """Near-copies of train rows, one of a patient, so many that they are 5 % of a release to whose `n_release` rows they are added.

    Numbers move by a normal draw of 0.3 standard deviations (times too, in days) and are rounded as their column is; the deviation is
    the smaller of the usual one and that of the middle half of the values, which long tails leave alone. One in twenty level cells
    takes the cell of another train row; missing cells stay missing.
    """
    n = max(1, round(n_release * SHARE / (1 - SHARE)))
    chosen = targets(data.real, n, seed, "planted", "rows")
    rng = generator(seed, "planted", "noise")
    values, marks = dict(chosen.values), dict(chosen.marks)
    for feature in data.features:
        if feature.is_number:
            values[feature.name] = _moved(chosen.values[feature.name], data.real.values[feature.name], feature, rng)
        else:
            is_changed = rng.random(len(chosen)) < LEVELS_CHANGED
            others = rng.integers(len(data.real), size=len(chosen))
            for cells, real in ((values, data.real.values), (marks, data.real.marks)):
                cells[feature.name] = np.where(is_changed, real[feature.name][others], cells[feature.name])
    return Sample(values, marks, np.arange(len(chosen), dtype=np.int64), np.zeros(len(chosen), dtype=np.uint64))


def planted_dcr_share(data: Prepared, release: Points, copies: Points, seed: int) -> float:
    """The share of the planted release's rows that are nearer to train than to holdout, ties half, at equal n; see `dcr_share`."""
    n = min(len(data.real), len(data.held), MAX_DCR_POINTS)
    rng = generator(seed, "planted", "dcr")
    queries = np.concatenate([release, copies])
    queries = queries[np.sort(rng.permutation(len(queries))[:MAX_DCR_QUERIES])]
    fitted = embedding(data)
    to_real, to_held = (
        nearest(queries, fitted.points(side.draw(n, seed, "planted", "dcr", name)), 1)[0][:, 0]
        for name, side in (("train", data.real), ("holdout", data.held))
    )
    return float(((to_real < to_held) + 0.5 * (to_real == to_held)).mean())


def _moved(
    values: npt.NDArray[np.float64], real: npt.NDArray[np.float64], feature: Feature, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    present = real[~np.isnan(real)]
    if not len(present):
        return values
    low, high = np.quantile(present, (0.25, 0.75))
    middle = (high - low) / 1.349  # the standard deviation of a normal law with these quartiles
    spread = min(float(present.std()), middle) if middle > 0 else float(present.std())
    moved = values + rng.normal(0.0, NOISE * spread, len(values))
    decimals = 0 if feature.column.kind.is_time else feature.column.decimals
    return np.asarray(moved if decimals is None else np.round(moved, decimals) + 0.0)
