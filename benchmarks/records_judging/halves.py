"""Where patients are few: made patients against half of train, beside the other half, draw by draw. Knows no classifier.

With 80 patients a figure of fidelity says little by itself: two halves of the real ones differ, too. So half of train is compared with its
other half, again and again, and with as many made patients; a figure is inside when its mean lies in the range of the real halves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from records_judging.reading import Cohort

N_DRAWS = 10
MOST_PATIENTS = 300
FIGURES = (
    ("codes", "prevalence_r2"),
    ("codes", "rate_r2"),
    ("codes", "pairs_r2"),
    ("codes", "moment_pairs_r2"),
    ("timing", "n_rows"),
    ("timing", "n_moments"),
    ("timing", "span"),
    ("timing", "gaps"),
    ("values", "mean"),
    ("in_time", "mean_error"),
    ("statics", "mean"),
)


def draws(train: Cohort, score: Callable[[Cohort, Cohort], dict], made: Cohort | None = None, seed: int = 0) -> dict[str, list[float]]:
    """Each figure of `N_DRAWS` halves of train, of `made` patients or, without any, of the other half."""
    generator = np.random.default_rng(seed)
    n = len(train) // 2
    out: dict[str, list[float]] = {" ".join(figure): [] for figure in FIGURES}
    for _ in range(N_DRAWS):
        order = generator.permutation(len(train))
        half = train.of(order[:n])
        other = train.of(order[n : 2 * n]) if made is None else made.of(generator.permutation(len(made))[:n])
        scores = score(half, other)
        for family, name in FIGURES:
            out[f"{family} {name}"].append(scores[family][name])
    return out


def compared(made: dict[str, list[float]], real: dict[str, list[float]]) -> dict:
    """Each figure's mean beside the range of the real halves."""
    out = {}
    for name, values in made.items():
        low, high, value = min(real[name]), max(real[name]), float(np.mean(values))
        better = value <= high if name.endswith("error") else value >= low
        if not np.isnan(value):
            out[name] = {"value": value, "real": [low, high], "inside": bool(better)}
    return out
