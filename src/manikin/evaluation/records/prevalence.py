"""Codes: do as many visits and patients have each, each pair at once, and each after another? Defined as in HALO.

Theodorou, Xiao & Sun 2023 (doi:10.1038/s41467-023-41093-0, arXiv 2304.02169) compare the probabilities of single codes, of pairs within
a visit and of pairs over two visits that follow each other by R², over visits and over whole records. What a code and a visit are,
`vocabulary` and `history` say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.intervals import replicate_interval, with_replicates
from manikin.evaluation.records.codes import (
    code_items,
    frequent,
    may_be_named,
    patients_with,
    products_by_group,
    sizes_by_group,
    sums_by_group,
    texts,
    visits_with,
)
from manikin.evaluation.records.counting import r_squared
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.linked import LinkedData, Side

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MAX_CODES = 20_000
MAX_PAIRED = 300  # codes of which pairs are counted, those of most train patients
MIN_CODES = 3
MIN_STEPS = 30
N_LISTED = 200
N_SHOWN = 30
PREVALENCE = Definition("code_prevalence", "How frequent codes are (R²)", Section.FIDELITY, Direction.HIGHER, unit="patients")
PAIRS = Definition("code_pairs", "Codes that occur together (R²)", Section.FIDELITY, Direction.HIGHER, unit="patients")
SEQUENCES = Definition("code_sequences", "Codes that follow each other (R²)", Section.FIDELITY, Direction.HIGHER, unit="patients")


@of_patients(PREVALENCE)
def code_prevalence(data: LinkedData, *, seed: int) -> MetricResult:
    """R² of the share of visits that have each code, synthetic against train; at most 1, which is best.

    Over all codes that occur in train or in the release; R² = 1 - Σ (p - q)² / Σ (p - mean p)², p of train. `details.records` is the same
    over the share of patients who have the code at all. The reference is the holdout's, at equal n of patients. Frequent codes weigh most
    in an R²: `details.rare_ratio` is the median of q / p over codes that 1 % of train patients or fewer have. `details.codes` lists the
    shares of the most frequent ones. Theodorou et al. 2023 (doi:10.1038/s41467-023-41093-0).
    """
    real, held, fake = data.drawn(seed)
    known = data.vocabulary
    items = np.arange(len(known.items))
    items = items[_is_used(data, real, held, fake)][:MAX_CODES]
    if len(items) < MIN_CODES:
        raise UndefinedMetricError(f"fewer than {MIN_CODES} codes occur")
    counts = {}
    for unit, take in (("visits", visits_with), ("records", patients_with)):
        for name, side in (("train", real), ("holdout", held), ("synthetic", fake)):
            matrix, groups = take(side, items, len(known.items))
            counts[unit, name] = (sums_by_group(matrix, groups), sizes_by_group(groups))
    figure, other = (_agreement(counts["visits", "train"], counts["visits", name]) for name in ("synthetic", "holdout"))
    records, records_other = (_agreement(counts["records", "train"], counts["records", name]) for name in ("synthetic", "holdout"))
    return _result(
        PREVALENCE,
        figure,
        other,
        fake,
        {
            "n_codes": len(items),
            "n_visits": fake.history.n_visits,
            **_of_records(records, records_other),
            **_rare(counts),
            "codes": _listed(data, items, counts),
        },
    )


@of_patients(PAIRS)
def code_pairs(data: LinkedData, *, seed: int) -> MetricResult:
    """R² of the share of visits that have two codes at once, synthetic against train, over pairs that occur; at most 1, which is best.

    Pairs of the 300 codes that most train patients have. `details.records` is the same over the share of patients who have both at any
    time. The reference is the holdout's, at equal n. Independent codes keep their pairs as far as frequencies make them: `details.beyond`
    is the R² of p(a, b) - p(a) p(b), which they lose altogether. Theodorou et al. 2023 (doi:10.1038/s41467-023-41093-0), the bigram.
    """
    real, held, fake = data.drawn(seed)
    items = frequent(data, MAX_PAIRED)
    if len(items) < MIN_CODES:
        raise UndefinedMetricError(f"fewer than {MIN_CODES} codes occur")
    upper = np.triu_indices(len(items), 1)
    made = {}
    for unit, take in (("visits", visits_with), ("records", patients_with)):
        for name, side in (("train", real), ("holdout", held), ("synthetic", fake)):
            matrix, groups = take(side, items, len(data.vocabulary.items))
            both = products_by_group(matrix, matrix, groups)
            square = both.reshape(len(both), len(items), len(items))
            made[unit, name] = (square[:, *upper], sizes_by_group(groups), np.einsum("gii->gi", square))
    figure, other = (_agreement(made["visits", "train"][:2], made["visits", name][:2]) for name in ("synthetic", "holdout"))
    records, records_other = (_agreement(made["records", "train"][:2], made["records", name][:2]) for name in ("synthetic", "holdout"))
    beyond = {name: _beyond(made["visits", name], upper) for name in ("train", "holdout", "synthetic")}
    return _result(
        PAIRS,
        figure,
        other,
        fake,
        {
            "n_codes": len(items),
            "n_pairs": int(((made["visits", "train"][0].sum(axis=0) > 0) | (made["visits", "synthetic"][0].sum(axis=0) > 0)).sum()),
            **_of_records(records, records_other),
            "beyond": float(r_squared(beyond["train"][None], beyond["synthetic"][None])[0]),
            "beyond_reference": float(r_squared(beyond["train"][None], beyond["holdout"][None])[0]),
            "pairs": _pairs(data, items, made, upper),
        },
    )


@of_patients(SEQUENCES)
def code_sequences(data: LinkedData, *, seed: int) -> MetricResult:
    """R² of the share of steps from a visit to the next in which code a is followed by code b, synthetic against train; at most 1, best.

    Ordered pairs of the 300 codes that most train patients have, a = b included, over pairs that occur. The reference is the holdout's,
    at equal n. `details.same` is the R² over a = b alone: what stays. Theodorou et al. 2023 (doi:10.1038/s41467-023-41093-0), the
    sequential bigram.
    """
    real, held, fake = data.drawn(seed)
    items = frequent(data, MAX_PAIRED)
    if len(items) < MIN_CODES:
        raise UndefinedMetricError(f"fewer than {MIN_CODES} codes occur")
    made = {}
    for name, side in (("train", real), ("holdout", held), ("synthetic", fake)):
        matrix, groups = visits_with(side, items, len(data.vocabulary.items))
        patient = side.history.patient[side.history.visit_starts]
        steps = np.flatnonzero(patient[1:] == patient[:-1])
        if len(steps) < MIN_STEPS:
            raise UndefinedMetricError(f"the patients of the {name} data go on to a next visit fewer than {MIN_STEPS} times")
        made[name] = (products_by_group(matrix[steps], matrix[steps + 1], groups[steps]), sizes_by_group(groups[steps]))
    figure, other = (_agreement(made["train"], made[name]) for name in ("synthetic", "holdout"))
    diagonal = np.arange(len(items)) * (len(items) + 1)
    same = {name: counts[:, diagonal].sum(axis=0) / sizes.sum() for name, (counts, sizes) in made.items()}
    return _result(
        SEQUENCES,
        figure,
        other,
        fake,
        {
            "n_codes": len(items),
            "n_steps": int(made["synthetic"][1].sum()),
            "same": float(r_squared(same["train"][None], same["synthetic"][None])[0]),
            "same_reference": float(r_squared(same["train"][None], same["holdout"][None])[0]),
        },
    )


def _is_used(data: LinkedData, *sides: Side) -> npt.NDArray[np.bool_]:
    used = np.zeros(len(data.vocabulary.items), dtype=bool)
    for side in sides:
        used[side.history.marks.item] = True
    return used & code_items(data.vocabulary)


def _result(definition: Definition, figure: Floats, other: Floats, fake: Side, details: dict[str, Any]) -> MetricResult:
    """A figure from R² on all patients and on each replicate, of the release and of the holdout."""
    return definition.result(
        float(figure[0]),
        interval=replicate_interval(figure, high=1.0),
        n=len(fake),
        reference=float(other[0]),
        reference_interval=replicate_interval(other, high=1.0),
        details=details,
    )


def _of_records(records: Floats, other: Floats) -> dict[str, Any]:
    """The same over whole records, as details."""
    interval = replicate_interval(records, high=1.0)
    return {"records": float(records[0]), "records_interval": interval, "records_reference": float(other[0])}


def _agreement(real: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> Floats:
    """R² on all patients and on each replicate, of what occurs on one of the two sides; counts and sizes by group."""
    occurs = (real[0].sum(axis=0) > 0) | (other[0].sum(axis=0) > 0)
    if occurs.sum() < MIN_CODES:
        raise UndefinedMetricError("too few of them occur")
    shares = []
    for counts, sizes in (real, other):
        totals = with_replicates(counts[:, occurs])
        totals /= np.maximum(with_replicates(sizes), 1)
        shares.append(totals)
    return r_squared(*shares)


def _rare(counts: dict[tuple[str, str], tuple[Floats, Floats]]) -> dict[str, Any]:
    """The median of synthetic over real shares of patients, over codes that few train patients have."""
    shares = {name: counts["records", name][0].sum(axis=0) / counts["records", name][1].sum() for name in ("train", "holdout", "synthetic")}
    rare = (shares["train"] > 0) & (shares["train"] <= 0.01)
    made: dict[str, Any] = {"n_rare": int(rare.sum())}
    if rare.any():
        made["rare_ratio"] = float(np.median(shares["synthetic"][rare] / shares["train"][rare]))
        made["rare_ratio_reference"] = float(np.median(shares["holdout"][rare] / shares["train"][rare]))
    return made


def _listed(data: LinkedData, items: Ints, counts: dict[tuple[str, str], tuple[Floats, Floats]]) -> list[dict[str, Any]]:
    """Shares of the codes of most train patients; none that fewer have than its schema's threshold."""
    patients, named = counts["records", "train"][0].sum(axis=0), may_be_named(data, items)
    rows = []
    for i in [i for i in np.argsort(-patients, kind="stable") if named[i]][:N_LISTED]:
        item = data.vocabulary.items[items[i]]
        row: dict[str, Any] = {"code": data.vocabulary.text(item), "table": item.table}
        for unit in ("visits", "records"):
            for name in ("train", "holdout", "synthetic"):
                found, sizes = counts[unit, name]
                row[f"{unit}_{name}"] = float(found[:, i].sum() / max(sizes.sum(), 1))
        rows.append(row)
    return rows


def _beyond(made: tuple[Floats, Floats, Floats], upper: Any) -> Floats:
    """p(a, b) - p(a) p(b) of every pair."""
    both, sizes, single = made
    n = max(float(sizes.sum()), 1.0)
    alone = single.sum(axis=0) / n
    return np.asarray(both.sum(axis=0) / n - alone[upper[0]] * alone[upper[1]])


def _pairs(data: LinkedData, items: Ints, made: dict[tuple[str, str], Any], upper: Any) -> list[dict[str, Any]]:
    """The pairs whose shares of patients differ most, of those that enough train patients have."""
    names = texts(data.vocabulary, items)
    least = max((table.min_patients for table in data.tables), default=1)
    counts = {name: made["records", name][0].sum(axis=0) for name in ("train", "holdout", "synthetic")}
    shares = {name: count / max(float(made["records", name][1].sum()), 1.0) for name, count in counts.items()}
    named = may_be_named(data, items)
    gap = np.where((counts["train"] >= least) & named[upper[0]] & named[upper[1]], np.abs(shares["train"] - shares["synthetic"]), -1.0)
    order = [i for i in np.argsort(-gap, kind="stable")[:N_SHOWN] if gap[i] >= 0]
    return [
        {"codes": [names[upper[0][i]], names[upper[1][i]]], **{name: float(share[i]) for name, share in shares.items()}} for i in order
    ]
