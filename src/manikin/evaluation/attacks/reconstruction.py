"""Can train records be rebuilt from the release? Outliers first: records far from all others, which no population explains.

Two attackers: one finds whole records in the release, one knows a target's quasi-identifiers and completes the rest. Not assessed here: an
attacker who solves for a secret column of all people at once (linear reconstruction, arXiv 2301.10053), and one who may ask the generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Role
from manikin.evaluation.attacks.base import AttackDefinition, attacking, least_risk, rate, residual_risk, targets
from manikin.evaluation.attacks.trials import Trial, by_group
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.features import Points, embedding
from manikin.evaluation.neighbours import nearest
from manikin.evaluation.prepared import Feature, Prepared, Sample

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
MIN_ROWS = 20
MAX_POOL = 2_500  # people of each side of whom the outliers are the farthest
MAX_TARGETS = 500
MIN_TARGETS = 50  # a fifth of the pool are outliers; more of a small pool, at most half
MAX_REFERENCE = 10_000
N_CANDIDATES = 10  # release rows that are looked at cell by cell for each target
N_NEIGHBOURS = 5
ALMOST_ALL = 0.9  # of the columns that are no quasi-identifiers
TOLERANCE = 0.05  # of the width of train's middle nine tenths
NO_GUESS = Rate(0.0, (0.0, 0.0), 0, 0)  # without a release nobody hits upon a whole record
RECONSTRUCTION = AttackDefinition(
    "reconstruction",
    "Reconstruction attack on outliers",
    ThreatModel(
        knows="holds the release, and knows what outlying patients look like",
        wants="wants to rebuild records of patients whom the generator learned from",
        succeeds="succeeds when the release holds a row that agrees with such a record in every quasi-identifier and in nine tenths of all "
        "other columns",
        risk="reconstruction",
    ),
)


@dataclass(frozen=True)
class Targets:
    """Train people and, by the same rule, holdout people, with what was found of them."""

    members: Sample
    control: Sample

    @cached_property
    def sides(self) -> tuple[Sample, Sample]:
        """Both, members first."""
        return self.members, self.control


@attacking(RECONSTRUCTION, min_rows=MIN_ROWS)
def reconstruction(data: Prepared, *, seed: int) -> AttackResult:
    """Residual risk that an outlier's record is found in the release, (a - c) / (1 - c); at most 1, about 0 where nothing leaks.

    Found: a release row agrees with the record in every quasi-identifier and in 90 % of all other judged columns (without
    quasi-identifiers: in 90 % of all). Levels and missing codes agree when equal, numbers and dates within a twentieth of the width of
    train's middle 90 %. Each target's ten nearest release rows are compared cell by cell. Outliers are the fifth of a side's people who
    are farthest from their fifth neighbour among real rows of other people (half of train, never attacked), whom ReconSyn (arXiv
    2312.05114) recovers first; the control are holdout people chosen by the same rule against the same rows. Details: `typical` targets,
    exact matches, and `completion`: the share of other cells that an attacker gets right who knows a target's quasi-identifiers and
    copies the rest from the nearest release row, less the same share of the control.
    """
    outliers, typical, n_reference = _targets(data, seed)
    looks = Lookup(data)
    found = {name: _found(looks, chosen) for name, chosen in (("outliers", outliers), ("typical", typical))}
    near = found["outliers"]["near"]
    groups = by_group(data, Trial({}, *near, NO_GUESS, *outliers.sides))
    attack, control = (rate(int(flags.sum()), len(flags)) for flags in near)
    risk, interval = residual_risk(attack, control)
    note = "" if looks.known else "No column is marked as a quasi-identifier in schema.toml: rows are compared in all columns alike."
    return RECONSTRUCTION.result(
        risk,
        interval=interval,
        n=attack.n,
        reference=0.0,
        attack=attack,
        control=control,
        baseline=NO_GUESS,
        n_requested=max(MAX_TARGETS, attack.n),
        power=least_risk(attack.n, control),
        groups=groups,
        details={
            "quasi_identifiers": [feature.name for feature in looks.known],
            "n_reference": n_reference,
            "n_release": len(data.fake),
            **{
                name: {**{kind: _summary(parts[kind]) for kind in ("near", "exact")}, "completion": looks.completion(chosen)}
                for (name, parts), chosen in zip(found.items(), (outliers, typical), strict=True)
            },
        },
        note=note,
    )


def _targets(data: Prepared, seed: int) -> tuple[Targets, Targets, int]:
    """Outlying and typical targets of both sides, and the number of real rows that say who is outlying."""
    attacked, others = data.real.halves(seed, "reconstruction", "train")
    if min(len(attacked), len(others)) < MIN_ROWS // 2:
        raise UndefinedMetricError(f"the patients do not divide into parts of at least {MIN_ROWS // 2} rows")
    reference = others.draw(MAX_REFERENCE, seed, "reconstruction", "reference")
    pools = [
        targets(side, MAX_POOL, seed, "reconstruction", name) for side, name in ((attacked, "members"), (data.held, "control"))
    ]
    share = min(0.5, max(0.2, MIN_TARGETS / min(map(len, pools))))
    chosen, rest = [], []
    with one_thread():
        points = embedding(data).points(reference)
        for pool in pools:
            far = nearest(embedding(data).points(pool), points, N_NEIGHBOURS)[0][:, -1]
            order = np.argsort(-far, kind="stable")
            n = min(MAX_TARGETS, ceil(share * len(pool)))
            chosen.append(pool.take(np.sort(order[:n])))
            rest.append(pool.take(np.sort(order[n:])).draw(MAX_TARGETS, seed, "reconstruction", "typical"))
    return Targets(chosen[0], chosen[1]), Targets(rest[0], rest[1]), len(reference)


class Lookup:
    """The release as the attacker searches it: its points, with quasi-identifiers weighing more than all else together."""

    def __init__(self, data: Prepared) -> None:
        self.data = data
        self.known = [feature for feature in data.features if feature.column.has_role(Role.QUASI_IDENTIFIER)]
        self.unknown = [feature for feature in data.features if feature not in self.known]
        self.tolerance = {feature.name: _tolerance(data.real.values[feature.name]) for feature in data.numbers}

    def points(self, sample: Sample) -> Points:
        """Points in which a quasi-identifier weighs as much as all other columns."""
        fitted, weight = embedding(self.data), sqrt(1 + len(self.unknown))
        widths = [2 if feature.is_number else len(kept) + 2 for feature, kept in zip(fitted.features, fitted.kept, strict=True)]
        weights = np.repeat([weight if feature in self.known else 1.0 for feature in fitted.features], widths)
        return np.asarray(fitted.points(sample) * weights.astype(np.float32))

    @cached_property
    def release(self) -> Points:
        """All released rows, (n_rows, n_dimensions)."""
        return self.points(self.data.fake)

    def agrees(self, feature: Feature, sample: Sample, rows: npt.NDArray[np.int64]) -> Flags:
        """Whether a column's cells agree with those of release rows, bool of the shape of `rows`, (n_targets, n_candidates)."""
        name, fake = feature.name, self.data.fake
        own, other = sample.values[name][:, None], fake.values[name][rows]
        same_mark = sample.marks[name][:, None] == fake.marks[name][rows]
        if not feature.is_number:
            return np.asarray(same_mark & (own == other))
        both_missing = same_mark & (sample.marks[name] > 0)[:, None]
        with np.errstate(invalid="ignore"):
            return np.asarray(both_missing | (np.abs(own - other) <= self.tolerance[name]))

    def near(self, sample: Sample) -> Flags:
        """Which targets have a release row that agrees in all quasi-identifiers and almost all other columns, bool (n_targets,)."""
        with one_thread():
            rows = nearest(self.points(sample), self.release, N_CANDIDATES)[1]
        fits, n_same = np.ones(rows.shape, dtype=bool), np.zeros(rows.shape, dtype=np.int32)
        for feature in self.known:
            fits &= self.agrees(feature, sample, rows)
        for feature in self.unknown:
            n_same += self.agrees(feature, sample, rows)
        return np.asarray((fits & (n_same >= ceil(ALMOST_ALL * len(self.unknown)))).any(axis=1))

    def exact(self, sample: Sample) -> Flags:
        """Which targets stand in the release cell by cell, bool (n_targets,)."""
        return np.isin(sample.hashes, self.data.fake.hashes)

    @cached_property
    def keyed(self) -> tuple[Points, npt.NDArray[np.int64]]:
        """The release's different combinations of quasi-identifiers as points, and one row of each."""
        points = self._of_known(self.data.fake)
        _, first = np.unique(_rows_as_bytes(points), return_index=True)
        first = np.sort(first)
        return points[first], first

    def completion(self, chosen: Targets) -> dict[str, Any] | None:
        """Share of the cells that one gets right who copies them from the release row of the nearest quasi-identifiers, and its control."""
        if not self.known or not self.unknown or not len(self.data.fake):
            return None
        parts = [self._completed(sample) for sample in chosen.sides]
        if not all(len(part) for part in parts):
            return None
        attack, control = (float(part.mean()) for part in parts)
        half = 1.96 * sqrt(sum(float(part.var(ddof=1)) / len(part) if len(part) > 1 else 1.0 for part in parts))
        gain = attack - control
        return {"attack": attack, "control": control, "gain": gain, "gain_interval": [max(-1.0, gain - half), min(1.0, gain + half)]}

    def _completed(self, sample: Sample) -> Floats:
        points, rows = self.keyed
        with one_thread():
            near = rows[nearest(self._of_known(sample), points, 1)[1]]
        right = [self.agrees(feature, sample, near)[:, 0] for feature in self.unknown]
        return np.asarray(np.mean(right, axis=0), dtype=float)

    def _of_known(self, sample: Sample) -> Points:
        fitted, blocks = embedding(self.data), []
        for feature, knots, kept in zip(fitted.features, fitted.knots, fitted.kept, strict=True):
            if feature in self.known:
                blocks.append(type(fitted)((feature,), (knots,), (kept,)).points(sample))
        return np.ascontiguousarray(np.hstack(blocks))


def _found(looks: Lookup, chosen: Targets) -> dict[str, tuple[Flags, Flags]]:
    """Per kind of match, which targets of both sides were found."""
    near = (looks.near(chosen.members), looks.near(chosen.control))
    return {"near": near, "exact": (looks.exact(chosen.members), looks.exact(chosen.control))}


def _summary(found: tuple[Flags, Flags]) -> dict[str, Any]:
    attack, control = (rate(int(flags.sum()), len(flags)) for flags in found)
    try:
        risk, interval = residual_risk(attack, control)
    except UndefinedMetricError:
        return {"attack": attack.value, "control": control.value, "risk": None, "risk_interval": None, "n": attack.n}
    return {"attack": attack.value, "control": control.value, "risk": risk, "risk_interval": interval, "n": attack.n}


def _tolerance(values: Floats) -> float:
    present = values[~np.isnan(values)]
    return TOLERANCE * float(np.subtract(*np.quantile(present, [0.95, 0.05]))) if len(present) else 0.0


def _rows_as_bytes(points: Points) -> npt.NDArray[np.void]:
    return np.ascontiguousarray(points).view(np.dtype((np.void, points.shape[1] * points.itemsize)))[:, 0]


__all__ = ["reconstruction"]
