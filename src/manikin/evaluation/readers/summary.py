"""All figures of a visual Turing test as one document of plain values. Knows no file and no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.definition import clean
from manikin.evaluation.intervals import wilson
from manikin.evaluation.readers.agreement import Kappa, cohen, fleiss
from manikin.evaluation.readers.crossed import Estimate, Pooled, area, pooled, share
from manikin.evaluation.readers.equivalence import MARGIN, READER_SD, SHARED, Verdict, images_needed, verdict
from manikin.evaluation.readers.readings import Readings

LEAST_READINGS = 10  # of a reader who counts in pooled figures
Flags = npt.NDArray[np.bool_]


def summarise(
    readings: Readings, *, roles: Mapping[str, str] | None = None, margin: float = MARGIN, seed: int = 0
) -> dict[str, Any]:
    """Accuracy, sensitivity, specificity and AUC pooled, by reader, role and label; agreement; times; what it proves.

    Sensitivity is the share of synthetic images called synthetic, specificity that of real images called real. Accuracy counts the first
    reading of each image only; repeats serve agreement within readers.

    Parameters
    ----------
    roles : each reader's role. margin : see `equivalence.verdict`. seed : of the bootstrap.

    Returns
    -------
    dict of JSON values: `n` (readings, repeats, images, readers), `pooled`, `readers`, `roles`, `labels`, `within`, `between`, `all`
    (Fleiss), `verdict`, `needed`. A share is {value, interval, n}; what is not defined is None.
    """
    first = readings.first()
    counted = [name for name in first.readers if len(first.of(name)) >= LEAST_READINGS]
    used = first.where(np.isin(first.reader, counted))
    roles = roles or {}
    whole = figures_of(used)
    return clean(
        {
            "n": {
                "readings": len(first),
                "repeats": len(readings) - len(first),
                "images": len(np.unique(first.image)),
                "readers": len(first.readers),
                "left_out": [name for name in first.readers if name not in counted],
            },
            "margin": margin,
            "pooled": whole,
            "readers": [{"reader": name, "role": roles.get(name, ""), **_one(readings, name)} for name in first.readers],
            "roles": _by(used, np.array([roles.get(str(name), "") for name in used.reader], dtype=np.str_), "role"),
            "labels": _by(used, used.label, "label"),
            "halves": _halves(used),
            "within": [{"reader": name, **_kappa(within(readings.of(name)))} for name in first.readers],
            "between": [{"readers": [a, b], **_kappa(between(first, a, b))} for a, b in combinations(counted, 2)],
            "all": _kappa(fleiss(counts(used), seed=seed)),
            "verdict": _verdict(whole, margin),
            "needed": _needed(whole, margin),
        }
    )


def figures_of(readings: Readings) -> dict[str, Any]:
    """Accuracy, sensitivity, specificity and AUC of some readings, with intervals over readers and images.

    Of one reader the intervals are Wilson's, for her alone.
    """
    by_reader = [readings.of(name) for name in readings.readers]
    found: dict[str, Any] = {"n_readers": len(by_reader), "n": len(readings)}
    parts: dict[str, Flags] = {
        "accuracy": np.ones(len(readings), dtype=np.bool_),
        "sensitivity": readings.is_synthetic,
        "specificity": ~readings.is_synthetic,
    }
    for name, mask in parts.items():
        chosen = readings.where(mask)
        found[name] = _share(chosen)
    areas = [_area(one) for one in by_reader]
    kept = [one for one in areas if one is not None]
    found["auc"] = _pooled(pooled(kept), sum(len(one.images) for one in kept))
    return found


def within(readings: Readings) -> Kappa:
    """Cohen's kappa of one reader's first and second readings of the same images."""
    first, again = readings.where(~readings.is_repeat), readings.where(readings.is_repeat)
    at = {int(image): i for i, image in enumerate(first.image)}
    pairs = [(at[int(image)], j) for j, image in enumerate(again.image) if int(image) in at]
    a = first.called_synthetic[[i for i, _ in pairs]] if pairs else np.zeros(0, dtype=bool)
    b = again.called_synthetic[[j for _, j in pairs]] if pairs else np.zeros(0, dtype=bool)
    return cohen(a, b)


def between(first: Readings, a: str, b: str) -> Kappa:
    """Cohen's kappa of two readers' first readings of the images that both read."""
    one, two = first.of(a), first.of(b)
    _, i, j = np.intersect1d(one.image, two.image, return_indices=True)
    return cohen(one.called_synthetic[i], two.called_synthetic[j])


def counts(first: Readings) -> npt.NDArray[np.float64]:
    """How many readers called each image real and synthetic, (n_images, 2)."""
    _, codes = np.unique(first.image, return_inverse=True)
    n = int(codes.max()) + 1 if len(codes) else 0
    return np.bincount(codes * 2 + first.called_synthetic, minlength=2 * n).reshape(n, 2).astype(float)


def _one(readings: Readings, name: str) -> dict[str, Any]:
    """One reader's figures and times."""
    first = readings.of(name).first()
    seconds = first.seconds
    confident = first.confidence[np.isfinite(first.confidence)]
    return {
        **figures_of(first),
        "seconds": {
            kind: float(np.median(known)) if len(known := seconds[mask][np.isfinite(seconds[mask])]) else None
            for kind, mask in (("real", ~first.is_synthetic), ("synthetic", first.is_synthetic))
        },
        "confidence": float(confident.mean()) if len(confident) else None,
    }


def _by(readings: Readings, groups: npt.NDArray[np.str_], key: str) -> list[dict[str, Any]]:
    """Figures by group; nothing where there is one group."""
    names = sorted({str(name) for name in groups} - {""})
    if len(names) < 2:
        return []
    return [{key: name, **figures_of(readings.where(groups == name))} for name in names]


def _halves(readings: Readings) -> dict[str, Any]:
    """Accuracy in the first and in the second half of each reader's readings: readers learn, and tire."""
    order = np.zeros(len(readings), dtype=bool)
    for name in readings.readers:
        mine = np.flatnonzero(readings.reader == name)
        order[mine[len(mine) // 2 :]] = True
    return {"first": _share(readings.where(~order)), "second": _share(readings.where(order))}


def _share(readings: Readings) -> dict[str, Any] | None:
    """The share of right answers; of several readers their mean over readers and images, of one reader Wilson's."""
    names = readings.readers
    if not names:
        return None
    hits, n = int(readings.is_right.sum()), len(readings)
    if len(names) == 1:
        return {"value": hits / n, "interval": wilson(hits, n), "n": n}
    parts = [share(one.is_right, one.is_synthetic, one.image) for one in map(readings.of, names)]
    return _pooled(pooled(parts), n)


def _pooled(found: Pooled | None, n: int) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "value": found.value,
        "interval": found.interval,
        "n": n,
        "between_readers": found.between if found.n_readers > 1 else None,
        "shared": found.shared if found.n_readers > 1 else None,
    }


def _area(readings: Readings) -> Estimate | None:
    """A reader's AUC from the readings that told a confidence; None where these are of one kind only, or few."""
    told = readings.where(np.isfinite(readings.confidence))
    if len(told) < LEAST_READINGS or told.is_synthetic.all() or not told.is_synthetic.any():
        return None
    return area(told.suspicion(), told.is_synthetic, told.image)


def _kappa(found: Kappa) -> dict[str, Any]:
    return {
        "value": found.value,
        "interval": found.interval,
        "n": found.n,
        "observed": found.observed,
        "expected": found.expected,
    }


def _verdict(whole: Mapping[str, Any], margin: float) -> str:
    """The verdict's word; undecided without a reader who counts."""
    accuracy = whole["accuracy"]
    return str(Verdict.OPEN if accuracy is None else verdict(accuracy["interval"], margin=margin))


def _needed(whole: Mapping[str, Any], margin: float) -> list[dict[str, Any]]:
    """Images that some numbers of readers would have to read for the margin, by this study's own spread where it has one."""
    accuracy = whole["accuracy"] or {}
    spread, shared = accuracy.get("between_readers"), accuracy.get("shared")
    known = whole["n_readers"] >= 3 and spread is not None and shared is not None
    sd = float(spread) if known and spread is not None else READER_SD
    rho = max(0.0, float(shared)) if known and shared is not None else SHARED
    return [
        {"readers": n, "images": images_needed(n, margin=margin, reader_sd=sd, shared=rho), "reader_sd": sd, "shared": rho}
        for n in (1, 3, 5, 10)
    ]


__all__: Sequence[str] = ("LEAST_READINGS", "between", "counts", "figures_of", "summarise", "within")
