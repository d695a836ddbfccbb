"""Meaningful identity disclosure: can a real person be matched to the release, and is something learned of her that was not known?

Follows El Emam, Mosquera & Bass (2020, doi:10.2196/23139). Knows nothing of the population that the train part was drawn from: as long as
nobody says otherwise everybody who could be in the data is, the most cautious reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Role
from manikin.evaluation.attacks.base import AttackDefinition, attacking, least_rate, rate, targets
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.groups import groups
from manikin.evaluation.intervals import clopper_pearson
from manikin.evaluation.prepared import Feature, Prepared, Sample

Codes = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
# As a benchmark that applies the model takes them (github.com/yy6linda/synthetic-ehr-benchmarking, privacy_evaluation): v, the share of
# matches that an adversary verifies as right; e, the share of cells recorded wrongly; L, the share of sensitive columns that must tell.
VERIFIED = 0.23
ERRONEOUS = 0.0426
LEARNED = 0.05
CLOSE = 1.48  # times the median absolute deviation, which is a standard deviation where values are normal
N_CLUSTERS = 5
N_BANDS = (None, 20, 5)  # numbers among the quasi-identifiers: as recorded, in twentieths and in fifths of train
MIN_GROUP = 20
ALL_ROWS = 1 << 40
IDENTITY = AttackDefinition(
    "identity_disclosure",
    "Meaningful identity disclosure",
    ThreatModel(
        knows="holds the release, and the quasi-identifiers of a real person or of everybody in the population",
        wants="wants to match her to a released row and learn something that is not true of most people",
        succeeds="succeeds when the match is to the right person and a sensitive column tells something new of her",
        risk="singling out and inference",
    ),
    unit="patients",
)


@dataclass(frozen=True)
class Known:
    """What the columns say of train: tolerances and rarities for the test whether something is learned.

    Attributes
    ----------
    shares : per sensitive column, the share of train that holds each level, or that is in each cluster of a number.
    centres : per number, where its clusters stand.
    spread : per number, 1.48 times the median absolute deviation; where half of train or more hold one number, that of the others.
    spike : per number, the one that half of train or more hold; NaN where there is none.
    """

    shares: dict[str, Floats] = field(default_factory=dict)
    centres: dict[str, Floats] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    spike: dict[str, float] = field(default_factory=dict)


@attacking(IDENTITY)
def identity_disclosure(data: Prepared, *, seed: int) -> AttackResult:
    """Mean over train patients of λ' I_s R_s / f_s; in [0, 1], to be held against 0.09, lower is better.

    f_s : patients of train with the quasi-identifiers of patient s. I_s : a released row has them too. R_s : at least 5 % of the sensitive
    columns tell something new. A level does when a matching row holds the patient's and fewer than half of train do (as
    1 - p > √(p (1 - p)) says); a number when |x - y| p < 1.48 MAD, y the nearest of the matching rows' and p the share of train in x's
    cluster (five, by k-means); where half of train share one number, so that the MAD is 0, nothing is learned of those who do, and the
    MAD is that of the others. λ' = (1 + λ) / 2 with λ = v (1 - e)^q for q quasi-identifiers, v = 0.23 of matches verified, e = 0.0426 of
    cells in error; `uncorrected` leaves it out. Numbers among the quasi-identifiers are matched as recorded, in twentieths and in fifths
    of train, and for each patient the worst counts. Sensitive columns are those marked so, else all others.

    The two directions: from the population to the sample the risk is Σ 1/f_s / N, from the sample to the population Σ 1/F_s / n. With
    F_s = f_s N / n they are equal, and the sampling fraction n / N is a factor of both. It is unknown here and taken as 1.

    The reference is the same for a holdout patient put into train in somebody's place (f = 1 + patients of train like her). The
    interval is Clopper-Pearson's on the sum of all λ'-less risks: no class of f patients adds more than 1 to it, so it is too wide rather
    than too narrow. `attack` and `control` are the shares of people with I R = 1.
    """
    known = [feature for feature in data.features if feature.column.has_role(Role.QUASI_IDENTIFIER)]
    secret = _secret(data.features, known)
    if not known:
        raise UndefinedMetricError('no column is marked as a quasi-identifier; name them in schema.toml with roles = ["quasi_identifier"]')
    if not secret:
        raise UndefinedMetricError("every column is a quasi-identifier, so that nothing is left to be learned")
    people = [targets(side, ALL_ROWS, seed, "identity", name) for side, name in ((data.real, "train"), (data.held, "holdout"))]
    risks, learned = _risks(data, people, known, secret)
    factor = (1 + VERIFIED * (1 - ERRONEOUS) ** len(known)) / 2
    (value, interval), (reference, reference_interval) = (_mean(part, factor) for part in risks)
    attack, control = (rate(int(flags.sum()), len(flags)) for flags in learned)
    n, expected = len(people[0]), float(risks[1].mean())
    return IDENTITY.result(
        value,
        n=n,
        interval=interval,
        reference=reference,
        reference_interval=reference_interval,
        attack=attack,
        control=control,
        baseline=Rate(0.0, (0.0, 0.0), 0, 0),
        power=factor * least_rate(n, expected),
        groups=_by_group(data, people, risks, factor),
        details={
            "quasi_identifiers": [feature.name for feature in known],
            "sensitive": [feature.name for feature in secret][:100],
            "n_sensitive": len(secret),
            "uncorrected": value / factor,
            "excess": value - reference,
            "excess_interval": [
                value - reference - float(np.hypot(value - interval[0], reference_interval[1] - reference)),
                value - reference + float(np.hypot(interval[1] - value, reference - reference_interval[0])),
            ],
            "verification_factor": factor,
            "sampling_fraction": 1.0,
            "risk_of_train_itself": factor * _unprotected(data, people[0], known),
            "threshold": 0.09,
        },
        note="The train part is taken to be the whole population; a known sampling fraction is a factor of the risk.",
    )


def _secret(features: Sequence[Feature], known: Sequence[Feature]) -> list[Feature]:
    """The columns that an adversary may learn from: those marked as sensitive, else all but the quasi-identifiers."""
    others = [feature for feature in features if feature not in known]
    return [feature for feature in others if feature.column.has_role(Role.SENSITIVE)] or others


def _risks(
    data: Prepared, people: Sequence[Sample], known: Sequence[Feature], secret: Sequence[Feature]
) -> tuple[list[Floats], list[Flags]]:
    """I R / f of every patient of both sides, and whether I R = 1, at the worst of the ways to match numbers."""
    risks = [np.zeros(len(side)) for side in people]
    learned = [np.zeros(len(side), dtype=bool) for side in people]
    with one_thread():
        facts = _facts(data, secret)
    least = max(1, int(np.ceil(LEARNED * len(secret))))
    for keys, fake_keys in _keys(data, people, known):
        n_alike = [_counts(keys[0], side) + is_stranger for side, is_stranger in zip(keys, (0, 1), strict=True)]
        for i, side in enumerate(people):
            n_told = np.zeros(len(side), dtype=np.int32)
            for feature in secret:
                n_told += _tells(feature, side, keys[i], data.fake, fake_keys, facts)
            meaningful = n_told >= least
            learned[i] |= meaningful
            risks[i] = np.maximum(risks[i], meaningful / n_alike[i])
    return risks, learned


def _keys(data: Prepared, people: Sequence[Sample], known: Sequence[Feature]) -> Iterator[tuple[list[Codes], Codes]]:
    """Each way to match: a number per combination of quasi-identifiers, of the people on both sides and of the released rows."""
    sides = [*people, data.fake]
    ends = np.cumsum([len(side) for side in sides])
    ways = N_BANDS if any(feature.is_number for feature in known) else N_BANDS[:1]
    for n_bands in ways:
        key = np.zeros(ends[-1], dtype=np.int64)
        for feature in known:
            column = np.concatenate([side.values[feature.name] for side in sides])
            if feature.is_number and n_bands is not None:
                column = _banded(column, data.real.values[feature.name], n_bands)
            marks = np.concatenate([side.marks[feature.name] for side in sides]).astype(np.int64)
            _, codes = np.unique(np.where(marks > 0, 0, column), return_inverse=True)
            codes = np.where(marks > 0, -marks, codes)
            _, key = np.unique(key * (2 * ends[-1] + 256) + codes + 128, return_inverse=True)
        parts = np.split(key.astype(np.int64), ends[:-1])
        yield parts[:2], parts[2]


def _banded(column: Floats, real: Floats, n_bands: int) -> Floats:
    present = real[~np.isnan(real)]
    if not len(present):
        return column
    edges = np.unique(np.quantile(present, np.arange(1, n_bands) / n_bands))
    return np.searchsorted(edges, column, "left").astype(float)


def _counts(keys: Codes, asked: Codes) -> Codes:
    """How many of `keys` equal each of `asked`."""
    return np.bincount(keys, minlength=int(max(keys.max(), asked.max())) + 1)[asked]


def _facts(data: Prepared, secret: Sequence[Feature]) -> Known:
    """Shares of levels, clusters and spreads, of train."""
    made, n = Known(), len(data.real)
    for feature in secret:
        values = data.real.values[feature.name]
        if not feature.is_number:
            made.shares[feature.name] = np.bincount(values[values >= 0], minlength=len(feature.levels or ()) + 1) / n
            continue
        present = values[~np.isnan(values)]
        centres = _centres(present)
        sizes = np.bincount(_cluster(present, centres), minlength=len(centres))
        made.centres[feature.name], made.shares[feature.name] = centres, sizes / n
        made.spread[feature.name], made.spike[feature.name] = _spread(present)
    return made


def _spread(present: Floats) -> tuple[float, float]:
    """1.48 MAD with NaN; where that is 0, the same about the median of all other numbers, with the number that half of train share."""
    if not len(present):
        return 0.0, float("nan")
    middle = float(np.median(present))
    spread = CLOSE * float(np.median(np.abs(present - middle)))
    if spread > 0:
        return spread, float("nan")
    others = present[present != middle]
    return (CLOSE * float(np.median(np.abs(others - np.median(others)))) if len(others) else 0.0), middle


def _centres(present: Floats) -> Floats:
    """The centres of at most five clusters of a number, ascending, by k-means from its quantiles."""
    from sklearn.cluster import KMeans

    starts = np.unique(np.quantile(present, (np.arange(N_CLUSTERS) + 0.5) / N_CLUSTERS)) if len(present) else np.zeros(1)
    if len(starts) < 2:
        return starts
    points = present[:: max(1, len(present) // 20_000)].reshape(-1, 1)  # rows are in the order of a hash: an even draw
    if len(np.unique(points)) < len(starts):
        return starts
    fitted = KMeans(len(starts), init=starts.reshape(-1, 1), n_init=1).fit(points)
    return np.sort(fitted.cluster_centers_[:, 0])


def _cluster(values: Floats, centres: Floats) -> Codes:
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, values).astype(np.int64)


def _tells(feature: Feature, side: Sample, keys: Codes, fake: Sample, fake_keys: Codes, facts: Known) -> Flags:
    """Whose matching released rows tell something new in one column, bool (n_people,)."""
    values, released = side.values[feature.name], fake.values[feature.name]
    shares = facts.shares[feature.name]
    has_value, was_released = side.marks[feature.name] == 0, fake.marks[feature.name] == 0
    if not feature.is_number:
        n_levels = len(shares)
        held = np.unique(fake_keys[was_released] * n_levels + released[was_released])
        return np.asarray(has_value & (shares[values] < 0.5) & np.isin(keys * n_levels + values, held))
    gap = np.full(len(keys), np.inf)
    gap[has_value] = _nearest_gap(keys[has_value], values[has_value], fake_keys[was_released], released[was_released])
    weight = np.ones(len(keys))
    weight[has_value] = shares[_cluster(values[has_value], facts.centres[feature.name])]
    return np.asarray((gap * weight < facts.spread[feature.name]) & (values != facts.spike[feature.name]))


def _nearest_gap(keys: Codes, values: Floats, fake_keys: Codes, released: Floats) -> Floats:
    """How far the nearest value of the released rows with the same key is, infinite where there is none; (n_people,)."""
    gap = np.full(len(keys), np.inf)
    if not len(fake_keys):
        return gap
    grid, place = np.unique(np.concatenate([values, released]), return_inverse=True)
    asked, given = keys * len(grid) + place[: len(keys)], np.unique(fake_keys * len(grid) + place[len(keys) :])
    at = np.searchsorted(given, asked)
    for neighbour in (at - 1, at):
        inside = np.clip(neighbour, 0, len(given) - 1)
        same = (neighbour == inside) & (given[inside] // len(grid) == keys)
        gap = np.where(same, np.minimum(gap, np.abs(values - grid[given[inside] % len(grid)])), gap)
    return gap


def _mean(risks: Floats, factor: float, alpha: float = 0.05) -> tuple[float, tuple[float, float]]:
    """The mean risk with its interval, both times λ'."""
    low, high = clopper_pearson(float(risks.sum()), len(risks), alpha=alpha)
    return factor * float(risks.mean()), (factor * low, factor * high)


def _by_group(data: Prepared, people: Sequence[Sample], risks: Sequence[Floats], factor: float) -> list[dict[str, Any]]:
    """Every group's mean risk, intervals Bonferroni over the groups, most surely bad first; with what strangers suffer."""
    masks = [(group.name, group.holds(people[0]), group.holds(people[1])) for group in groups(data)]
    masks = [parts for parts in masks if parts[1].sum() >= MIN_GROUP]
    made = []
    for name, mine, theirs in masks:
        value, interval = _mean(risks[0][mine], factor, 0.05 / len(masks))
        stranger = factor * float(risks[1][theirs].mean()) if theirs.any() else None
        made.append({"group": name, "n": int(mine.sum()), "value": value, "interval": list(interval), "reference": stranger})
    return sorted(made, key=lambda part: (-part["interval"][0], -part["value"], part["group"]))


def _unprotected(data: Prepared, people: Sample, known: Sequence[Feature]) -> float:
    """What the risk would be if the train rows themselves were released: the mean of 1 / f with numbers as recorded."""
    keys, _ = next(_keys(data, [people, people], known))
    return float((1 / _counts(keys[0], keys[0])).mean())


__all__ = ["identity_disclosure"]
