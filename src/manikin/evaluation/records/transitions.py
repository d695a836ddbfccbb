"""What comes after what: from the codes of one moment to those of the next, within a visit and over the border of two.

A *moment* is all that happens to a patient in one visit at one time. Rows without a time, and visits of one moment, have no order within.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.intervals import replicate_interval
from manikin.evaluation.records.codes import frequent, holds, may_be_named, products_by_group, texts
from manikin.evaluation.records.counting import replicated, same_shares
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.linked import LinkedData, Side

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MAX_CODES = 200  # those of most train patients
MAX_CELLS = 2_000  # transitions that are told apart: train's most frequent
N_SHOWN = 30
TRANSITIONS = Definition("transitions", "What follows what", Section.FIDELITY, Direction.HIGHER, unit="patients")
PARTS = {"within": "within a visit", "across": "from a visit to the next"}


@of_patients(TRANSITIONS)
def transitions(data: LinkedData, *, seed: int) -> MetricResult:
    """1 - TV of the transitions of codes from a moment to the patient's next; in [0, 1], 1 is best.

    A transition is a pair (a, b), a of one moment and b of the next, each moment's pairs weighing one together, so that a panel of twenty
    tests is no more than one. Train's 2,000 most frequent transitions of its 200 most common codes are told apart, the others count as
    one. Within a visit and across two visits apart; the figure is the mean of those that there are. The reference is the holdout's, at
    equal n. `details.transitions` has those that differ most.
    """
    real, held, fake = data.drawn(seed)
    items = frequent(data, MAX_CODES)
    if not len(items):
        raise UndefinedMetricError("no code occurs in the train data")
    found = [_pairs(side, items, len(data.vocabulary.items)) for side in (real, held, fake)]
    scores: dict[str, tuple[Floats, Floats]] = {}
    rows: list[dict[str, Any]] = []
    for part in PARTS:
        counts = [side[part] for side in found]
        if min(float(count.sum()) for count in counts) == 0:
            continue
        told = [_told_apart(count, counts[0]) for count in counts]
        scores[part] = (replicated(same_shares, told[0], told[2]), replicated(same_shares, told[0], told[1]))
        rows += _worst(data, items, part, counts)
    if not scores:
        raise UndefinedMetricError("no patient has two moments with a code, one after the other, on all sides")
    mean, other = (np.mean([pair[i] for pair in scores.values()], axis=0) for i in range(2))
    rows.sort(key=lambda row: (-abs(row["synthetic"] - row["train"]), row["from"], row["to"]))
    return TRANSITIONS.result(
        float(mean[0]),
        interval=replicate_interval(mean, low=0.0, high=1.0),
        n=len(fake),
        reference=float(other[0]),
        reference_interval=replicate_interval(other, low=0.0, high=1.0),
        details={
            **{part: float(pair[0][0]) for part, pair in scores.items()},
            **{f"{part}_reference": float(pair[1][0]) for part, pair in scores.items()},
            "n_codes": len(items),
            "transitions": rows[:N_SHOWN],
        },
    )


def moments(side: Side) -> tuple[Ints, Ints]:
    """The moment of each event (-1 where it has no time), int64 (n_events,), and the first event of each moment."""
    of = side.history
    if not len(of):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    timed = ~np.isnan(of.time)
    begins = np.ones(len(of), dtype=bool)
    begins[1:] = (of.visit[1:] != of.visit[:-1]) | (of.time[1:] != of.time[:-1])
    begins &= timed
    return np.where(timed, np.cumsum(begins) - 1, -1), np.flatnonzero(begins)


def steps_between(side: Side, items: Ints, n_items: int) -> Floats | None:
    """The share of the steps from a moment with item a whose next moment has item b, (n, n); None where the patients take no step."""
    of = side.history
    moment, first = moments(side)
    matrix = holds(of, moment, len(first), items, n_items)
    filled = np.flatnonzero(np.asarray(matrix.sum(axis=1)).ravel() > 0)
    steps = np.flatnonzero(of.patient[first[filled[1:]]] == of.patient[first[filled[:-1]]]) if len(filled) else np.empty(0, dtype=int)
    if not len(steps):
        return None
    before, after = matrix[filled[steps]], matrix[filled[steps + 1]]
    both = np.asarray((before.T @ after).todense(), dtype=float)
    return both / np.maximum(np.asarray(before.sum(axis=0)).reshape(-1, 1), 1)


def _pairs(side: Side, items: Ints, n_items: int) -> dict[str, Floats]:
    """Weights of the transitions by group, (N_GROUPS, n_items * n_items), within visits and across."""
    from scipy.sparse import diags

    of = side.history
    moment, first = moments(side)
    matrix = holds(of, moment, len(first), items, n_items)
    size = np.asarray(matrix.sum(axis=1)).ravel()
    matrix = diags(1 / np.maximum(size, 1)) @ matrix
    filled = np.flatnonzero(size > 0)
    event = first[filled]
    steps = np.flatnonzero(of.patient[event[1:]] == of.patient[event[:-1]])
    same = of.visit[event[steps]] == of.visit[event[steps + 1]]
    made = {}
    for part, chosen in (("within", steps[same]), ("across", steps[~same])):
        made[part] = products_by_group(
            matrix[filled[chosen]].tocsr(), matrix[filled[chosen + 1]].tocsr(), side.groups[of.patient[event[chosen]]]
        )
    return made


def _told_apart(counts: Floats, real: Floats) -> Floats:
    """The cells that are most frequent in train, and all others as one."""
    total = real.sum(axis=0)
    order = np.sort(np.argsort(-total, kind="stable")[:MAX_CELLS])
    order = order[total[order] > 0]
    return np.column_stack([counts[:, order], counts.sum(axis=1) - counts[:, order].sum(axis=1)])


def _worst(data: LinkedData, items: Ints, part: str, counts: list[Floats]) -> list[dict[str, Any]]:
    """Transitions whose shares differ most, of those that are frequent in train."""
    names = texts(data.vocabulary, items)
    shares = [count.sum(axis=0) / max(float(count.sum()), 1e-300) for count in counts]
    named = may_be_named(data, items)
    enough = np.where(np.outer(named, named).ravel() & (counts[0].sum(axis=0) > 0), np.abs(shares[0] - shares[2]), -1.0)
    order = [int(i) for i in np.argsort(-enough, kind="stable")[:N_SHOWN] if enough[i] >= 0]
    return [
        {
            "part": part,
            "from": names[i // len(items)],
            "to": names[i % len(items)],
            **{side: float(share[i]) for side, share in zip(("train", "holdout", "synthetic"), shares, strict=True)},
        }
        for i in order
    ]
