"""Pairs of columns: do they hang together as in the real data? Numbers are in ten quantile bins of train, missing cells are a level."""

from __future__ import annotations

import numpy as np

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured, rounded
from manikin.evaluation.intervals import replicate_interval
from manikin.evaluation.pairs import (
    Binned,
    Floats,
    Pair,
    binned_sides,
    judged_columns,
    judged_pairs,
    pair_distance,
    shared_associations,
    shuffled,
    width_note,
)
from manikin.evaluation.prepared import Prepared

MAX_ROWS = 20_000
N_DEPENDENT = 50
N_LISTED = 100
PAIR_TRENDS = Definition("pair_trends", "Pairs of columns", Section.FIDELITY, Direction.HIGHER)
DEPENDENCE = Definition("dependence", "Dependence kept", Section.FIDELITY, Direction.HIGHER)


@measured(PAIR_TRENDS)
def pair_trends(data: Prepared, *, seed: int) -> MetricResult:
    """Mean over column pairs of 1 - TV between the pair tables of train and synthetic; in [0, 1], 1 is best.

    It saturates: columns drawn independently score 0.97 on a wide table, so read it beside its reference (the holdout at equal n) and
    beside `dependence`. Details hold the worst pairs and the mean absolute difference of the matrices of bias-corrected Cramér's V.
    """
    pairs = judged_pairs(data, seed)
    if not pairs:
        raise UndefinedMetricError("there is only one column")
    real, held, fake = binned_sides(data, cap=MAX_ROWS, seed=seed)
    distances = np.array([pair_distance(real, fake, pair) for pair in pairs])
    references = np.array([pair_distance(real, held, pair) for pair in pairs])
    excess = distances[:, 0] - references[:, 0]
    matrices = shared_associations(data, cap=MAX_ROWS, seed=seed)
    names = judged_columns(data, seed)
    place = {name: i for i, name in enumerate(names)}
    above = np.triu_indices(len(names), 1)
    difference = {side: float(np.abs(matrices["train"] - matrices[side])[above].mean()) for side in ("holdout", "synthetic")}
    worst = sorted(range(len(pairs)), key=lambda i: (-excess[i], pairs[i]))[:N_LISTED]
    rows = [
        {
            "columns": list(pairs[i]),
            "score": rounded(1 - float(distances[i, 0])),
            "reference": rounded(1 - float(references[i, 0])),
            "association_train": rounded(float(matrices["train"][place[pairs[i][0]], place[pairs[i][1]]])),
            "association_synthetic": rounded(float(matrices["synthetic"][place[pairs[i][0]], place[pairs[i][1]]])),
        }
        for i in worst
    ]
    score, reference = 1 - distances.mean(axis=0), 1 - references.mean(axis=0)
    return PAIR_TRENDS.result(
        float(score[0]),
        interval=replicate_interval(score, low=0.0, high=1.0),
        n=len(fake),
        reference=float(reference[0]),
        reference_interval=replicate_interval(reference, low=0.0, high=1.0),
        details={
            "n_pairs": len(pairs),
            "association_difference": difference["synthetic"],
            "association_difference_reference": difference["holdout"],
            "pairs": rows,
        },
        note=width_note(data),
    )


@measured(DEPENDENCE)
def dependence(data: Prepared, *, seed: int) -> MetricResult:
    """(TV_independent - TV_synthetic) / (TV_independent - TV_holdout); 1 is what fresh real rows score, 0 independent columns.

    Each TV is the mean total variation distance to train of the pair tables of train's 50 most dependent pairs (bias-corrected
    Cramér's V, numbers in 10 quantile bins). Independent rows are train's columns shuffled one by one; all three at equal n. Unbounded
    below; above 1 where the release is nearer to train than fresh rows are, which is a sign of copying, not of quality.
    """
    real, held, fake = binned_sides(data, cap=MAX_ROWS, seed=seed)
    pairs = _most_dependent(data, seed)
    free = shuffled(real, len(fake), seed)
    if len(free) < len(fake):
        held, fake = _first(held, len(free)), _first(fake, len(free))
    distances = {
        side: np.array([pair_distance(real, binned, pair) for pair in pairs])
        for side, binned in (("independent", free), ("holdout", held), ("synthetic", fake))
    }
    means = {side: table.mean(axis=0) for side, table in distances.items()}
    room = means["independent"] - means["holdout"]
    if room[0] <= 0.005:
        raise UndefinedMetricError(
            "fresh real rows are no nearer to train than independent columns are; nothing depends on anything"
        )
    score = float((means["independent"][0] - means["synthetic"][0]) / room[0])
    # A ratio on a quarter of the rows can divide by nearly nothing: its error is taken to first order instead.
    error = (means["independent"] - means["synthetic"] - score * room) / room[0]
    return DEPENDENCE.result(
        score,
        interval=replicate_interval(error + score - error[0]),
        n=len(fake),
        reference=1.0,
        details={
            "n_pairs": len(pairs),
            "tv_independent": float(means["independent"][0]),
            "tv_holdout": float(means["holdout"][0]),
            "tv_synthetic": float(means["synthetic"][0]),
            "pairs": _listed(pairs, distances),
        },
        note=width_note(data),
    )


def _most_dependent(data: Prepared, seed: int) -> list[Pair]:
    matrix = shared_associations(data, cap=MAX_ROWS, seed=seed)["train"]
    place = {name: i for i, name in enumerate(judged_columns(data, seed))}
    strength = {pair: matrix[place[pair[0]], place[pair[1]]] for pair in judged_pairs(data, seed)}
    pairs = sorted((pair for pair in strength if strength[pair] > 0), key=lambda pair: (-strength[pair], pair))
    if not pairs:
        raise UndefinedMetricError("no pair of columns of the train data depends on each other")
    return pairs[:N_DEPENDENT]


def _listed(pairs: list[Pair], distances: dict[str, Floats]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {"columns": list(pair), **{f"tv_{side}": rounded(float(table[i, 0])) for side, table in distances.items()}}
        for i, pair in enumerate(pairs)
    ]
    gap = distances["synthetic"][:, 0] - distances["holdout"][:, 0]
    return [rows[i] for i in np.argsort(-gap, kind="stable")]


def _first(side: Binned, n: int) -> Binned:
    return Binned({name: codes[:n] for name, codes in side.codes.items()}, side.sizes, side.groups[:n])
