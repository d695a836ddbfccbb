"""Inference utility: would whoever runs a regression on the synthetic table come to the conclusion that the real table gives?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, Interval, UndefinedMetricError, measured
from manikin.evaluation.inference.compared import Compared, Pair, compared, told
from manikin.evaluation.inference.defaults import default_analyses
from manikin.evaluation.inference.formula import Analysis, read_analyses
from manikin.evaluation.prepared import Prepared

INFERENCE = Definition(
    "inference", "Same conclusions from a regression (interval overlap)", Section.UTILITY, Direction.HIGHER, unit="coefficients"
)
SHARES = {  # key in details -> part of Agreement
    "same_sign": "same_sign",
    "same_significance": "same_significance",
    "same_conclusion": "same_conclusion",
    "covered": "is_covered",
}


@measured(INFERENCE, min_rows=10)
def inference(data: Prepared, *, seed: int) -> MetricResult:
    """Mean overlap of the 95 % intervals that one regression gives on train and on synthetic rows; 1 is best, 0 apart, may be negative.

    Overlap after Karr et al. 2006 (doi:10.1198/000313006X124640), mean over all coefficients of all analyses. The outcome decides the
    model: linear for a number, logistic for levels, Cox for a time with its event; standard errors count patients (sandwich) where some
    have several rows. All synthetic tables are used at once, and their interval is the honest one: after Raab, Nowok & Dibben 2017
    (doi:10.29012/jpc.v7i3.407) for fully, Reiter 2003 for partially synthetic data; `overlap_naive` takes the tables for real ones.
    A coefficient that the release cannot give counts 0. The interval is a parametric bootstrap of both analyses' noise, taken as
    independent: wide, never narrow, for a release that was made from this very train part. The reference is the same with the holdout as
    the one synthetic table against as many train patients.
    """
    analyses = _wanted(data)
    found: list[Compared] = []
    failed: list[dict[str, Any]] = []
    for analysis in analyses:
        try:
            found.append(compared(analysis, data, seed=seed))
        except UndefinedMetricError as reason:
            failed.append({"formula": analysis.text, "is_default": analysis.is_default, "why": str(reason), "coefficients": []})
    if not found:
        raise UndefinedMetricError(failed[0]["why"])
    value, interval = _headline([result.synthetic for result in found])
    fresh = [result.reference for result in found if result.reference is not None]
    reference, reference_interval = _headline(fresh) if fresh else (None, None)
    n_missing = sum(int(result.synthetic.agreement.is_missing.sum()) for result in found)
    return INFERENCE.result(
        value,
        interval=interval,
        n=sum(result.synthetic.n for result in found),
        reference=reference,
        reference_interval=reference_interval,
        details=_details(data, found, fresh) | {"n_missing": n_missing, "analyses": [*map(told, found), *failed]},
        note=_note(data, n_missing, failed),
    )


def _wanted(data: Prepared) -> tuple[Analysis, ...]:
    return read_analyses(data.analyses, data.train.columns) if data.analyses else default_analyses(data)


def _headline(pairs: Sequence[Pair]) -> tuple[float, Interval]:
    """The mean overlap over all coefficients, and its interval: at most 1."""
    n = sum(pair.n for pair in pairs)
    value = float(sum(pair.agreement.overlap.sum() for pair in pairs)) / n
    half = 1.96 * float(np.sqrt(sum(np.var(pair.draws, ddof=1) for pair in pairs))) / n
    return value, (value - half, min(1.0, value + half))


def _shares(pairs: Sequence[Pair]) -> dict[str, float]:
    return {name: float(np.concatenate([getattr(pair.agreement, key) for pair in pairs]).mean()) for name, key in SHARES.items()}


def _details(data: Prepared, found: Sequence[Compared], fresh: Sequence[Pair]) -> dict[str, Any]:
    pairs = [result.synthetic for result in found]
    made = _shares(pairs)
    real = _shares(fresh) if fresh else dict.fromkeys(SHARES)
    naive = np.concatenate([pair.naive_overlap for pair in pairs])
    worst = min(
        (float(overlap), f"{term.name} in {result.analysis.text}")
        for result in found
        for overlap, term in zip(result.synthetic.agreement.overlap, result.design.terms, strict=True)
    )
    return {
        "rule": pairs[0].made.rule,
        "n_releases": len(data.synthetic),
        "n_patients": {"train": data.real.n_records, "synthetic": [s.n_records for s in data.synthetic]},
        "overlap_naive": float(naive.mean()),
        **made,
        **{f"{name}_reference": real[name] for name in SHARES},
        "worst_coefficient": worst[1],
        "worst_overlap": worst[0],
    }


def _note(data: Prepared, n_missing: int, failed: Sequence[dict[str, Any]]) -> str:
    parts = []
    if data.real.has_patients and not data.fake.has_patients:
        parts.append("Patients have several rows and the release has no patient key, or none twice: each of its rows counts as a patient.")
    if n_missing:
        parts.append(f"The release does not give {n_missing} of the coefficients; they count 0.")
    parts += [f"Not computed: {entry['formula']}: {entry['why']}." for entry in failed]
    return " ".join(parts)
