"""Tables of three columns at once: what pairs cannot show. Knows how triples are chosen; `pairs` counts them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured, rounded
from manikin.evaluation.dependence import MAX_ROWS
from manikin.evaluation.intervals import replicate_interval
from manikin.evaluation.pairs import Floats, binned_sides, judged_columns, margin_distance, shared_associations, width_note
from manikin.evaluation.prepared import Prepared

N_BINS = 5
MAX_LEVELS = 10  # levels told apart per column; the others count as one
N_TARGET, N_DEPENDENT, N_DRAWN = 40, 40, 20  # triples with the target, most dependent ones, and drawn ones
N_LISTED = 30
THREE_WAY = Definition("three_way", "Triples of columns", Section.FIDELITY, Direction.HIGHER)
Triples = npt.NDArray[np.int64]


@measured(THREE_WAY)
def three_way(data: Prepared, *, seed: int) -> MetricResult:
    """Mean over column triples of 1 - TV between the three-way tables of train and synthetic; in [0, 1], 1 is best.

    Numbers stand in train's quintiles, levels as the ten most frequent and the others together, each missing code as a level of its
    own. At most 100 triples: 40 with the target and 40 of all, those whose three pairs depend most on each other (bias-corrected Cramér's
    V in train), and 20 drawn. Read it beside its reference, the holdout at equal n: large tables of few rows are never equal. What the
    pairs lose, the triples lose too; `details.triples` therefore begins with those that lose most against the reference.
    """
    names = judged_columns(data, seed)
    if len(names) < 3:
        raise UndefinedMetricError("there are fewer than three columns")
    triples = [tuple(names[i] for i in triple) for triple in chosen_triples(data, names, seed)]
    real, held, fake = binned_sides(data, cap=MAX_ROWS, seed=seed, n_bins=N_BINS, max_levels=MAX_LEVELS)
    distances = np.array([margin_distance(real, fake, triple) for triple in triples])
    references = np.array([margin_distance(real, held, triple) for triple in triples])
    excess = distances[:, 0] - references[:, 0]
    worst = sorted(range(len(triples)), key=lambda i: (-excess[i], triples[i]))[:N_LISTED]
    score, reference = 1 - distances.mean(axis=0), 1 - references.mean(axis=0)
    return THREE_WAY.result(
        float(score[0]),
        interval=replicate_interval(score, low=0.0, high=1.0),
        n=len(fake),
        reference=float(reference[0]),
        reference_interval=replicate_interval(reference, low=0.0, high=1.0),
        details={
            "n_triples": len(triples),
            "triples": [
                {
                    "columns": list(triples[i]),
                    "score": rounded(1 - float(distances[i, 0])),
                    "reference": rounded(1 - float(references[i, 0])),
                }
                for i in worst
            ],
        },
        note=width_note(data),
    )


def chosen_triples(data: Prepared, names: list[str], seed: int) -> list[tuple[int, int, int]]:
    """Which triples are looked at, as positions in `names`, sorted: all, or the target's, the most dependent and a few drawn ones."""
    every: Triples = np.array(list(combinations(range(len(names)), 3)), dtype=np.int64)
    if len(every) <= N_TARGET + N_DEPENDENT + N_DRAWN:
        return _sorted(every)
    V: Floats = shared_associations(data, cap=MAX_ROWS, seed=seed)["train"]
    first, second, third = every.T
    strength = np.round(V[first, second] + V[first, third] + V[second, third], 9)
    order = np.argsort(-strength, kind="stable")
    has_target = (every[order] == names.index(data.target)).any(axis=1) if data.target in names else np.zeros(len(order), bool)
    of_target = order[has_target][:N_TARGET]
    dependent = order[~np.isin(order, of_target)][:N_DEPENDENT]
    rest = np.setdiff1d(order, np.concatenate([of_target, dependent]))
    drawn = generator(seed, "triples").permutation(rest)[:N_DRAWN]
    return _sorted(every[np.concatenate([of_target, dependent, drawn])])


def _sorted(triples: Triples) -> list[tuple[int, int, int]]:
    return sorted((int(a), int(b), int(c)) for a, b, c in triples)
