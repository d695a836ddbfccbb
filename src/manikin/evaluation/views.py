"""What the plots are drawn from, as JSON-able numbers: overlays per column, association matrices, summary table, worst parts first.

Knows nothing of drawing. The views show real rows in aggregate, and as points in `projections`: whatever holds them is internal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import MetricResult
from manikin.evaluation.definition import clean
from manikin.evaluation.dependence import MAX_ROWS
from manikin.evaluation.levels import patients_per_level
from manikin.evaluation.pairs import judged_columns, shared_associations
from manikin.evaluation.prepared import DAY_IN_US, Feature, Prepared
from manikin.evaluation.projections import projections
from manikin.evaluation.time_to_event import survival_view

Floats = npt.NDArray[np.float64]
N_BINS = 30
N_LEVELS = 20
N_SINGLE_VALUES = 25  # numbers with at most so many values are shown value by value
N_WORST = 20
OTHER = "(other)"
TAIL = 0.001


def views(data: Prepared, results: Sequence[MetricResult], *, seed: int) -> dict[str, Any]:
    """Everything that the report draws.

    Returns
    -------
    dict :
        columns : per judged column its overlay: `edges` (with `ticks`, texts, for times) or `levels`; `train`, `holdout`, `synthetic`,
            shares of the cells that hold a value; `n`, how many these are; `missing`, shares of missing cells.
        associations : `columns` in clustered order, matrices `train`, `synthetic`, `difference` (synthetic - train).
        worst_columns, worst_pairs : names with score, reference and gap, largest gap first (of metrics that were computed).
        pca, tsne : points of train and synthetic rows; see `projections`.
        summary : per number mean, standard deviation and quantiles on each side.
        survival : curves of time to event, of everybody and of groups; {} where the schema names no such columns.
    """
    made = {
        "columns": [overlay(data, feature) for feature in data.features],
        "associations": association_view(data, seed=seed),
        **worst(results),
        **projections(data, seed=seed),
        "summary": [summary(data, feature) for feature in data.numbers],
        "survival": survival_view(data),
    }
    return {key: clean(value) for key, value in made.items()}


def overlay(data: Prepared, feature: Feature) -> dict[str, Any]:
    """One column's shares on train, holdout and synthetic rows, bin by bin or level by level."""
    sides = {"train": data.real, "holdout": data.held, "synthetic": data.fake}
    present = {side: sample.values[feature.name][sample.marks[feature.name] == 0] for side, sample in sides.items()}
    made: dict[str, Any] = {"column": feature.name, "kind": str(feature.column.kind)}
    if feature.is_number:
        made |= _number_overlay(data, feature, present)
    else:
        made |= _level_overlay(data, feature, present)
    made["n"] = {side: len(values) for side, values in present.items()}
    made["missing"] = {side: _round(1 - len(present[side]) / max(len(sample), 1)) for side, sample in sides.items()}
    return made


def _number_overlay(data: Prepared, feature: Feature, present: Mapping[str, Floats]) -> dict[str, Any]:
    everything = np.concatenate(list(present.values()))
    single = np.unique(everything)
    if not len(single):
        return _single_values(single, np.zeros(0, dtype=bool), present)
    if not feature.column.kind.is_time and len(single) <= N_SINGLE_VALUES:
        is_named = _may_be_named(data, feature, single, present["synthetic"])
        if is_named.any():
            return _single_values(single, is_named, present)
    edges = _edges(feature, present["train"] if len(present["train"]) else everything)
    made: dict[str, Any] = {"edges": [float(f"{edge:.9g}") for edge in edges]}
    if feature.column.kind.is_time:
        made["ticks"] = [_date(edge) for edge in edges]
    for side, values in present.items():
        # What lies beyond the edges counts in the outermost bins.
        codes = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        made[side] = _shares(codes, len(edges) - 1)
    return made


def _may_be_named(data: Prepared, feature: Feature, single: Floats, made: Floats) -> npt.NDArray[np.bool_]:
    """Which of these numbers as many train patients hold as the schema's threshold, or the release alone; bool (n_values,)."""
    values, is_there = data.real.values[feature.name], data.real.marks[feature.name] == 0
    pairs = np.unique(np.stack([np.searchsorted(single, values[is_there]), data.real.records[is_there]]), axis=1)
    patients = np.bincount(pairs[0], minlength=len(single))
    return (patients >= data.schema.threshold(feature.column)) | ((patients == 0) & np.isin(single, made))


def _single_values(single: Floats, is_named: npt.NDArray[np.bool_], present: Mapping[str, Floats]) -> dict[str, Any]:
    """Shares value by value, those that few train patients hold together."""
    position = np.where(is_named, np.cumsum(is_named) - 1, is_named.sum())
    names = [f"{value:g}" for value in single[is_named]] + ([] if is_named.all() else [OTHER])
    return {"levels": names, **{side: _shares(position[np.searchsorted(single, values)], len(names)) for side, values in present.items()}}


def _edges(feature: Feature, values: Floats) -> Floats:
    """Thirty bins or fewer over the middle 99.8 % of train; their width is a multiple of the column's resolution, against combs."""
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    decimals = feature.column.decimals
    if decimals is None and bool((values == np.round(values)).all()):
        decimals = 0
    if high <= low:
        low, high = float(values.min()), float(values.max())
    if decimals is None or high <= low:
        return np.linspace(low, high if high > low else low + 1, N_BINS + 1)
    unit = 10.0**-decimals
    width = max(1, int(np.ceil((high - low + unit) / N_BINS / unit))) * unit
    n_bins = max(1, int(np.ceil(round((high - low + unit) / width, 6))))
    return np.asarray(low - unit / 2 + width * np.arange(n_bins + 1))


def _level_overlay(data: Prepared, feature: Feature, present: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """The most frequent levels; those that fewer train patients hold than the schema's threshold are named by nobody."""
    levels = feature.levels or ()
    frequency = np.bincount(np.concatenate([present["train"], present["synthetic"]]), minlength=len(levels))
    patients = patients_per_level(data.real, feature)
    is_named = (patients >= data.schema.threshold(feature.column)) | (patients == 0)
    order = [i for i in np.argsort(-frequency, kind="stable") if is_named[i] and frequency[i] > 0][:N_LEVELS]
    declared = {level: place for place, level in enumerate(feature.column.levels or ())}
    if feature.column.kind.value in ("ordinal", "boolean"):
        order.sort(key=lambda i: declared.get(levels[i], len(declared)))
    position = np.full(len(levels), len(order))
    position[order] = np.arange(len(order))
    shares = {side: _shares(position[codes], len(order) + 1) for side, codes in present.items()}
    names = [levels[i] for i in order]
    if any(part[-1] for part in shares.values()):
        names.append(OTHER)
    return {"levels": names, **{side: part[: len(names)] for side, part in shares.items()}}


def _shares(codes: npt.NDArray[Any], n: int) -> list[float]:
    counts = np.bincount(codes, minlength=n)
    return [_round(share) for share in counts / max(len(codes), 1)]


def association_view(data: Prepared, *, seed: int) -> dict[str, Any]:
    """Matrices of bias-corrected Cramér's V, columns ordered so that what hangs together stands together; {} with one column."""
    names = judged_columns(data, seed)
    if len(names) < 2:
        return {}
    matrices = shared_associations(data, cap=MAX_ROWS, seed=seed)
    order = _clustered(matrices["train"])
    real, made = (np.round(matrices[side][np.ix_(order, order)], 3) for side in ("train", "synthetic"))
    return {"columns": [names[i] for i in order], "train": real, "synthetic": made, "difference": np.round(made - real, 3)}


def _clustered(matrix: Floats) -> npt.NDArray[np.int64]:
    """Leaf order of average linkage on 1 - V."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    distance = 1 - matrix[np.triu_indices(len(matrix), 1)]
    return np.asarray(leaves_list(linkage(distance, "average", optimal_ordering=True)), dtype=np.int64)


def worst(results: Sequence[MetricResult]) -> dict[str, Any]:
    """The columns and pairs that lose most against the reference, from the metrics' details."""
    details = {result.name: result.details for result in results}
    return {
        "worst_columns": _worst(details.get("column_shapes", {}).get("columns", ()), "column"),
        "worst_pairs": _worst(details.get("pair_trends", {}).get("pairs", ()), "columns"),
    }


def _worst(rows: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    made = [
        {key: row[key], "score": row["score"], "reference": row["reference"], "gap": row["reference"] - row["score"]}
        for row in rows
    ]
    return sorted(made, key=lambda row: (-row["gap"], str(row[key])))[:N_WORST]


def summary(data: Prepared, feature: Feature) -> dict[str, Any]:
    """Mean, standard deviation (times: in days), 5 %, 25 %, 50 %, 75 %, 95 % quantiles and missing share on each side; no extremes.

    Of a real side in which fewer patients hold a value than twice the schema's threshold, the missing share alone.
    """
    made: dict[str, Any] = {"column": feature.name, "kind": str(feature.column.kind)}
    for side, sample in (("train", data.real), ("holdout", data.held), ("synthetic", data.fake)):
        values = sample.values[feature.name]
        present = values[~np.isnan(values)]
        part: dict[str, Any] = {"missing": _round(1 - len(present) / max(len(values), 1))}
        least = 1 if side == "synthetic" else 2 * data.schema.threshold(feature.column)
        if len(present) and len(np.unique(sample.records[~np.isnan(values)])) >= least:
            places = [float(present.mean()), *(float(q) for q in np.quantile(present, (0.05, 0.25, 0.5, 0.75, 0.95)))]
            shown = [_date(p) if feature.column.kind.is_time else float(f"{p:.6g}") for p in places]
            part |= dict(zip(("mean", "q05", "q25", "median", "q75", "q95"), shown, strict=True))
            part["sd"] = float(f"{present.std():.6g}")
        made[side] = part
    return made


def _date(days: float) -> str:
    return str(np.datetime64(round(days * DAY_IN_US), "us").astype("datetime64[D]"))


def _round(share: float) -> float:
    return round(float(share), 5)
