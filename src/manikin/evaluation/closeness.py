"""Is the release too close to the people it was learned from? Exact copies, authenticity, and the DCR share as a diagnostic only."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Definition, measured
from manikin.evaluation.features import Points, embedding
from manikin.evaluation.intervals import mean_interval
from manikin.evaluation.neighbours import nearest
from manikin.evaluation.prepared import Prepared, Sample

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
MAX_QUERIES = 5_000
MAX_POINTS = 20_000
MAX_DIAGNOSED = 2_000
COPIES = Definition("copies", "Exact copies of train rows", Section.PRIVACY, Direction.LOWER)
AUTHENTICITY = Definition("authenticity", "Authenticity", Section.PRIVACY, Direction.REFERENCE)
DCR = Definition("dcr_share", "DCR share (a diagnostic, not evidence)", Section.PRIVACY, Direction.REFERENCE)


@measured(COPIES)
def copies(data: Prepared, *, seed: int) -> MetricResult:
    """Share of synthetic rows that equal a train row in every judged cell; in [0, 1], to be read against its reference.

    The reference is the share of holdout rows that equal a train row: people are alike in a coarse table, and true duplicates occur.
    Copies beyond it (`details.excess`, with Newcombe's interval, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I)
    are copies that the generator made; `details.n_unique_train_rows_copied` counts the copied rows that stand once in train and not
    in the holdout. All rows are compared.
    """
    del seed  # nothing is drawn: every row is compared
    known, counts = np.unique(data.real.hashes, return_counts=True)
    is_copy, is_twin = (np.isin(side.hashes, known) for side in (data.fake, data.held))
    rate, reference = float(is_copy.mean()), float(is_twin.mean())
    interval, reference_interval = (
        mean_interval(flags, *_patients(side)) for flags, side in ((is_copy, data.fake), (is_twin, data.held))
    )
    low = rate - reference - float(np.hypot(rate - interval[0], reference_interval[1] - reference))
    high = rate - reference + float(np.hypot(interval[1] - rate, reference - reference_interval[0]))
    unique = known[(counts == 1) & ~np.isin(known, data.held.hashes)]  # rows of one person alone, as far as anybody can see
    return COPIES.result(
        rate,
        interval=interval,
        n=len(data.fake),
        reference=reference,
        reference_interval=reference_interval,
        details={
            "n_copies": int(is_copy.sum()),
            "n_train_rows_copied": len(np.unique(data.fake.hashes[is_copy])),
            "n_unique_train_rows_copied": int(np.isin(unique, data.fake.hashes).sum()),
            "excess": rate - reference,
            "excess_interval": [max(-1.0, low), min(1.0, high)],
            "train_rows_with_a_twin": float(counts[counts > 1].sum() / len(data.real)),
            "n_holdout": len(data.held),
        },
    )


@measured(AUTHENTICITY, min_rows=3)
def authenticity(data: Prepared, *, seed: int) -> MetricResult:
    """Share of synthetic rows farther from their nearest train row than that row is from its nearest other train row; in [0, 1].

    P_s[d(s, NN(s)) > d(NN(s), its nearest other train row)], indexed by the train row that is nearest (Alaa et al. 2022, arXiv
    2102.08921, whose published code mixes the indices up). Best is the reference, the holdout in the place of the synthetic rows: below
    it the release crowds around train rows; above it, it stays away from where people are.
    """
    real = data.real.draw(MAX_POINTS, seed, "authenticity", "train")
    n = data.equal_n(MAX_QUERIES)
    fake, held = data.fake.draw(n, seed, "authenticity", "synthetic"), data.held.draw(n, seed, "authenticity", "holdout")
    points = embedding(data).points(real)
    with one_thread():
        made, reference = (_farther(embedding(data).points(side), points) for side in (fake, held))
    return AUTHENTICITY.result(
        float(made[0].mean()),
        interval=mean_interval(made[0], made[1], *_patients(fake)),
        n=n,
        reference=float(reference[0].mean()),
        reference_interval=mean_interval(reference[0], reference[1], *_patients(held)),
        details={"n_train": len(real)},
    )


def _farther(queries: Points, real: Points) -> tuple[Flags, Rows]:
    """Which queries are farther from their nearest real row than it is from its nearest other real row; and which row that is."""
    distances, positions = nearest(queries, real, 1)
    hit, back = np.unique(positions[:, 0], return_inverse=True)
    own = nearest(real[hit], real, 1, itself=hit)[0][:, 0]
    return np.asarray(distances[:, 0] > own[back]), positions[:, 0]


@measured(DCR)
def dcr_share(data: Prepared, *, seed: int) -> MetricResult:
    """Share of synthetic rows that are closer to train than to holdout, ties half, at equal n; 0.5 where the release is no closer.

    A diagnostic and no evidence of privacy: 5 % near-copied rows barely move it ("The DCR delusion", arXiv 2505.01524). Read
    `membership` and `copies` instead. Details hold two more, of synthetic and of holdout rows side by side at equal n, median and 5 %
    quantile: `dcr`, the distance to the nearest train row, and `nndr`, that distance over the distance to the second nearest (1 where
    both are 0: a train row that has a twin singles nobody out).
    """
    n = min(len(data.real), len(data.held), MAX_POINTS)
    real, held = data.real.draw(n, seed, "dcr", "train"), data.held.draw(n, seed, "dcr", "holdout")
    fake = data.fake.draw(MAX_QUERIES, seed, "dcr", "synthetic")
    queries = embedding(data).points(fake)
    with one_thread():
        points = embedding(data).points(real)
        to_real, real_row = (part[:, 0] for part in nearest(queries, points, 1))
        spread = _diagnostics(data, points, seed)
        to_held, held_row = (part[:, 0] for part in nearest(queries, embedding(data).points(held), 1))
    closer = (to_real < to_held) + 0.5 * (to_real == to_held)
    # Whoever is nearest draws all the rows around to one side: these rows are one draw.
    winner = np.where(to_real <= to_held, real_row, n + held_row)
    return DCR.result(
        float(closer.mean()),
        interval=mean_interval(closer, winner, *_patients(fake)),
        n=len(fake),
        reference=0.5,
        details={"n_train": n, "n_holdout": n, **spread},
        note="A diagnostic only: releases that leak can pass it.",
    )


def _diagnostics(data: Prepared, real: Points, seed: int) -> dict[str, Any]:
    """Quantiles of the distance to the nearest train row, and of its ratio to that of the second, of synthetic and of holdout rows."""
    n = data.equal_n(MAX_DIAGNOSED)
    made: dict[str, Any] = {"n_diagnosed": n, "dcr": {}, "nndr": {}}
    for name, side in (("synthetic", data.fake), ("holdout", data.held)):
        drawn = side.draw(n, seed, "dcr", "diagnostics", name)
        first, second = nearest(embedding(data).points(drawn), real, 2)[0].T.astype(float)
        ratio = np.where(second > 0, first / np.where(second > 0, second, 1.0), 1.0)
        for measure, values in (("dcr", first), ("nndr", ratio)):
            low, middle = np.quantile(values, [0.05, 0.5])
            made[measure][name] = {"q05": float(low), "median": float(middle)}
    return made


def _patients(sample: Sample) -> list[Rows]:
    """The patients as clusters, where some have several rows."""
    return [sample.records] if sample.has_patients else []
