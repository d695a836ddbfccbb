"""Single columns: are their shapes and their missing cells like the real ones? Knows nothing of dependence between columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured, rounded
from manikin.evaluation.group_fidelity import with_subgroups, within_groups
from manikin.evaluation.intervals import N_GROUPS, replicate_interval, with_replicates
from manikin.evaluation.prepared import Feature, Prepared, Sample

Floats = npt.NDArray[np.float64]
MAX_ROWS = 50_000
SHAPES = Definition("column_shapes", "Column shapes", Section.FIDELITY, Direction.HIGHER, unit="rows")
MISSINGNESS = Definition("missingness", "Missing cells", Section.FIDELITY, Direction.HIGHER, unit="rows")


@dataclass(frozen=True)
class Grouped:
    """Rows of one side with their groups, int64 (n_rows,)."""

    sample: Sample
    groups: npt.NDArray[np.int64]


def grouped(data: Prepared, *, cap: int, seed: int) -> tuple[Grouped, Grouped, Grouped]:
    """Train (at most `cap` rows), and holdout and synthetic at equal n, each in groups of patients."""
    n = data.equal_n(cap)
    sizes = {"train": (data.real, cap), "holdout": (data.held, n), "synthetic": (data.fake, n)}
    drawn = {side: sample.draw(size, seed, side) for side, (sample, size) in sizes.items()}
    real, held, fake = (Grouped(sample, sample.groups(N_GROUPS, seed, side, "groups")) for side, sample in drawn.items())
    return real, held, fake


@measured(SHAPES)
def column_shapes(data: Prepared, *, seed: int) -> MetricResult:
    """Mean over columns of 1 - KS (numbers, times) or 1 - TV (discrete) between train and synthetic; in [0, 1], 1 is best.

    KS is the largest gap between the two empirical distribution functions, TV = ½ Σ |p - q| over levels, both over cells that hold a
    value: missing cells are `missingness`'s matter. The reference puts the holdout in the place of the synthetic rows, at equal n.
    `subgroups` holds the same mean within groups of patients (see `groups`); their references are details of `representation`.
    """
    real, held, fake = grouped(data, cap=MAX_ROWS, seed=seed)
    rows, scores, references = [], [], []
    for feature in data.features:
        score, reference = _likeness(real, fake, feature), _likeness(real, held, feature)
        if score is None or reference is None:
            continue
        scores.append(score)
        references.append(reference)
        rows.append(
            {
                "column": feature.name,
                "kind": str(feature.column.kind),
                "measure": "1-KS" if feature.is_number else "1-TV",
                "score": rounded(float(score[0])),
                "reference": rounded(float(reference[0])),
                "missing_train": _missing_share(real.sample, feature),
                "missing_synthetic": _missing_share(fake.sample, feature),
            }
        )
    if not scores:
        raise UndefinedMetricError("no column holds values in train, holdout and synthetic data")
    mean, reference_mean = np.mean(scores, axis=0), np.mean(references, axis=0)
    rows.sort(key=lambda row: (row["score"], row["column"]))
    made = SHAPES.result(
        float(mean[0]),
        interval=replicate_interval(mean, low=0.0, high=1.0),
        n=len(fake.sample),
        reference=float(reference_mean[0]),
        reference_interval=replicate_interval(reference_mean, low=0.0, high=1.0),
        details={"worst": rows[0]["score"], "worst_column": rows[0]["column"], "columns": rows},
    )
    return with_subgroups(made, {group: score for group, (score, _) in within_groups(data).items()})


def _likeness(real: Grouped, other: Grouped, feature: Feature) -> Floats | None:
    """1 - KS or 1 - TV, float (N_REPLICATES + 1,): on all rows, then on each replicate. None where a side holds no value."""
    counts = [present_cells(side, feature) for side in (real, other)]
    if feature.is_number:
        levels = np.unique(np.concatenate([values for values, _ in counts]))
        counts = [(np.searchsorted(levels, values), groups) for values, groups in counts]
        n_levels = len(levels)
    else:
        n_levels = len(feature.levels or ())
    if min(len(values) for values, _ in counts) == 0:
        return None
    parts = [shares(codes, groups, n_levels) for codes, groups in counts]
    gap = parts[0] - parts[1]
    if feature.is_number:
        return np.asarray(1 - np.abs(np.cumsum(gap, axis=1)).max(axis=1))
    return np.asarray(1 - np.abs(gap).sum(axis=1) / 2)


def present_cells(side: Grouped, feature: Feature) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """The cells that hold a value, and their groups."""
    is_present = side.sample.marks[feature.name] == 0
    return side.sample.values[feature.name][is_present], side.groups[is_present]


def shares(codes: npt.NDArray[Any], groups: npt.NDArray[np.int64], n_levels: int) -> Floats:
    """Share of each level, (N_REPLICATES + 1, n_levels): on all rows, then on each replicate."""
    counts = np.bincount(groups * n_levels + codes, minlength=N_GROUPS * n_levels).reshape(N_GROUPS, n_levels)
    totals = with_replicates(counts)
    sums = totals.sum(axis=1, keepdims=True)
    return np.asarray(totals / np.maximum(sums, 1))


def _missing_share(sample: Sample, feature: Feature) -> float:
    return float((sample.marks[feature.name] > 0).mean())


@measured(MISSINGNESS)
def missingness(data: Prepared, *, seed: int) -> MetricResult:
    """1 - TV between the missing patterns of train and synthetic rows; in [0, 1], 1 is best.

    A row's pattern says for every column with missing cells which missing code it holds, or that it holds a value; so both the rates
    and which cells are missing together count, and "not measured" is kept apart from "not applicable". The 200 most frequent patterns
    of train are told apart, the others count as one. Details give each column's rates, the largest gap first.
    """
    real, held, fake = grouped(data, cap=MAX_ROWS, seed=seed)
    names = [f.name for f in data.features if any((side.sample.marks[f.name] > 0).any() for side in (real, held, fake))]
    if not names:
        raise UndefinedMetricError("no cell is missing on any side")
    patterns = _patterns([side.sample for side in (real, held, fake)], names)
    n_patterns = 1 + max(int(codes.max()) for codes in patterns)
    parts = [shares(codes, side.groups, n_patterns) for codes, side in zip(patterns, (real, held, fake), strict=True)]
    scores = {
        side: np.asarray(1 - np.abs(parts[0] - parts[i]).sum(axis=1) / 2) for i, side in ((1, "holdout"), (2, "synthetic"))
    }
    rows = [_rates(real.sample, held.sample, fake.sample, name) for name in names]
    rows.sort(key=lambda row: (-row["gap"], row["column"]))
    return MISSINGNESS.result(
        float(scores["synthetic"][0]),
        interval=replicate_interval(scores["synthetic"], low=0.0, high=1.0),
        n=len(fake.sample),
        reference=float(scores["holdout"][0]),
        reference_interval=replicate_interval(scores["holdout"], low=0.0, high=1.0),
        details={
            "mean_rate_gap": float(np.mean([row["gap"] for row in rows])),
            "worst_rate_gap": rows[0]["gap"],
            "columns": rows,
            "n_patterns": n_patterns,
        },
    )


def _patterns(samples: list[Sample], names: list[str], n_kept: int = 200) -> list[npt.NDArray[np.int64]]:
    """A number per row for its missing pattern: train's most frequent patterns by their rank, all others together."""
    stacked = np.concatenate([np.stack([sample.marks[name] for name in names], axis=1) for sample in samples])
    _, codes = np.unique(stacked, axis=0, return_inverse=True)
    codes = codes.reshape(-1)
    n_train = len(samples[0])
    frequency = np.bincount(codes[:n_train], minlength=codes.max() + 1)
    order = np.argsort(-frequency, kind="stable")
    rank = np.full(len(frequency), n_kept)
    rank[order[:n_kept]] = np.arange(min(n_kept, len(order)))
    ends = np.cumsum([len(sample) for sample in samples])[:-1]
    return list(np.split(rank[codes], ends))


def _rates(real: Sample, held: Sample, fake: Sample, name: str) -> dict[str, Any]:
    shares = [np.bincount(side.marks[name], minlength=128) / len(side) for side in (real, held, fake)]
    return {
        "column": name,
        "train": float(1 - shares[0][0]),
        "holdout": float(1 - shares[1][0]),
        "synthetic": float(1 - shares[2][0]),
        "gap": float(np.abs(shares[0] - shares[2]).sum() / 2),
        "reference_gap": float(np.abs(shares[0] - shares[1]).sum() / 2),
    }
