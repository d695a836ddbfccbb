"""What does the release tell of groups that holds for the very people in train, and not for the population they come from?

Any faithful release tells of groups what is true of the population: that is its purpose, and no attack measures it. Not assessed here:
whether such a fact harms the group; `details.facts` lists what an ethics board would want to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Role
from manikin.data.seeds import generator
from manikin.evaluation.attacks.base import AttackDefinition, attacking, rate
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.groups import Group, groups, traits
from manikin.evaluation.prepared import Prepared, Sample

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
MIN_ROWS = 20
MAX_COLUMNS = 100
MAX_FACTS_SHOWN = 30
MIN_GROUP = 20
CHUNK = 8_192
BEND = 5.0  # standard errors from the population's fact at which a fact of the release counts half
ONE_SIDED = 1.6449 + 0.8416  # normal quantiles of 95 % and of a power of 0.8
PROPERTY = AttackDefinition(
    "property_inference",
    "Property inference about groups",
    ThreatModel(
        knows="holds the release, and knows facts about groups in the population",
        wants="wants to know how the people in the train data differ from the population: facts about a group that were to stay unknown",
        succeeds="succeeds to the degree that the release departs from the population as the train data do",
        risk="inference",
    ),
)


@dataclass(frozen=True)
class Traits:
    """Who holds what: groups (n_rows, n_groups) and properties (n_rows, n_properties), bool; patients of the rows (n_rows,)."""

    groups: Flags
    properties: Flags
    records: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def n_patients(self) -> int:
        """How many patients the rows are of."""
        return len(np.unique(self.records))

    @property
    def chunks(self) -> list[slice]:
        """Rows that are worked on at once."""
        return [slice(start, start + CHUNK) for start in range(0, len(self), CHUNK)]

    def shares(self) -> tuple[Floats, Floats, Floats]:
        """The share of rows in every group, with every property, and with both, (n_groups,), (n_properties,), and both."""
        both = np.zeros((self.groups.shape[1], self.properties.shape[1]))
        for rows in self.chunks:
            both += self.groups[rows].astype(np.float32).T @ self.properties[rows].astype(np.float32)
        return self.groups.mean(axis=0), self.properties.mean(axis=0), both / len(self)


@dataclass(frozen=True)
class Facts:
    """Facts of train and holdout, and how far the release departs from both together; (n_groups, n_properties) each.

    Attributes
    ----------
    in_group, with_property : shares of all real people, the centres of every covariance.
    own : train's covariances less the holdout's.
    departure : the release's less those of all real people.
    weight : 1 / (variance of one person's part), bent down where the release is far from the population; 0 where no fact is.
    """

    in_group: Floats
    with_property: Floats
    own: Floats
    departure: Floats
    weight: Floats


@attacking(PROPERTY, min_rows=MIN_ROWS)
def property_inference(data: Prepared, *, seed: int) -> AttackResult:
    """How much of train's own deviation in facts about its groups is in the release; at most 1, 0 is the population's, 1 train's own.

    A fact is the covariance of belonging to a group and of having a property: how much more often than by chance the two meet. Groups are
    those of `groups`, properties the levels and bands of all other columns, facts what 11 patients or more would hold by chance. With t, h,
    s a fact of train, holdout and release, and π that of all real people together, the value is the slope of s - π on t - π through
    the origin, over all facts, weighted by w = 1 / (v (1 + (z / 5)²)); v is the variance of one person's part, z the number of standard
    errors of s - π, so that what a generator got wrong does not drown what it tells.

    Given the release and all real people, which of them are train's is chance if the release does not know: the numerator is the
    mean of train's scores less the mean of the holdout's (a tracing attack, Dwork et al. 2015, doi:10.1109/FOCS.2015.46), with the variance
    of a random division. That is where the interval comes from. `attack` and `control` are the shares of train and holdout people
    who pull the facts to where the release stands. Scores of one patient's rows are summed before they are squared or counted.
    """
    asked = groups(data)
    if not asked:
        raise UndefinedMetricError(
            'no group is large enough, or no column has a role; name some in schema.toml with roles = ["quasi_identifier"] or ["sensitive"]'
        )
    properties = _properties(data, seed)
    with one_thread():
        train, holdout, release = (_traits(side, asked, properties) for side in (data.real, data.held, data.fake))
        facts = _facts(train, holdout, release, _distinct(asked, properties), data.schema.min_patients)
        scores = [_scores(side, facts) for side in (train, holdout)]
        shown = _shown(data, asked, properties, (_one_row_each(train, seed), _one_row_each(holdout, seed), release))
    sides = (train.records, holdout.records)
    value, half = _slope(scores, sides, facts)
    attack, control = (_pulling(part, records) for part, records in zip(scores, sides, strict=True))
    return PROPERTY.result(
        _cut(value),
        interval=(_cut(value - 1.96 * half), _cut(value + 1.96 * half)),
        n=attack.n,
        reference=0.0,
        attack=attack,
        control=control,
        baseline=Rate(0.5, (0.5, 0.5), 0, 0),
        power=min(1.0, ONE_SIDED * half),
        groups=_by_group(asked, train, holdout, scores, facts),
        details={
            "n_groups": len(asked),
            "n_properties": len(properties),
            "n_facts": int((facts.weight > 0).sum()),
            "slope": value,
            "slope_error": half,
            "facts": shown,
        },
        note="Facts that hold for the population are meant to be told and are not counted; details.facts lists what is told of groups.",
    )


def _properties(data: Prepared, seed: int) -> tuple[Group, ...]:
    """Levels, bands and missing cells of at most 100 columns."""
    columns = data.features
    if len(columns) > MAX_COLUMNS:
        chosen = np.sort(generator(seed, "property", "columns").permutation(len(columns))[:MAX_COLUMNS])
        columns = tuple(columns[i] for i in chosen)
    return traits(data, columns)


def _traits(sample: Sample, asked: Sequence[Group], properties: Sequence[Group]) -> Traits:
    held = [np.array([one.holds(sample) for one in many], dtype=bool).reshape(len(many), len(sample)).T for many in (asked, properties)]
    return Traits(held[0], held[1], sample.records)


def _one_row_each(side: Traits, seed: int) -> Traits:
    """One row of each patient, so that counts are of patients."""
    order = generator(seed, "property", "rows").permutation(len(side))
    rows = np.sort(order[np.unique(side.records[order], return_index=True)[1]])
    return Traits(side.groups[rows], side.properties[rows], side.records[rows])


def _distinct(asked: Sequence[Group], properties: Sequence[Group]) -> Flags:
    """Which facts are facts: those of two different columns, bool (n_groups, n_properties)."""
    return np.array([[one.columns[0] not in group.columns for one in properties] for group in asked], dtype=bool).reshape(len(asked), -1)


def _facts(train: Traits, holdout: Traits, release: Traits, is_fact: Flags, min_patients: int) -> Facts:
    n, parts = len(train) + len(holdout), [side.shares() for side in (train, holdout)]
    q, p = ((len(train) * parts[0][i] + len(holdout) * parts[1][i]) / n for i in (0, 1))
    own, other = (both - np.outer(q, has) - np.outer(within, p) + np.outer(q, p) for within, has, both in parts)
    everybody = (len(train) * own + len(holdout) * other) / n
    within, has, both = release.shares()
    departure = both - np.outer(within, has) - everybody
    spread = np.outer(q * (1 - q), p * (1 - p))
    is_kept = is_fact & (spread > 0) & (train.n_patients * np.outer(q, p) >= min_patients)
    if not is_kept.any():
        raise UndefinedMetricError("no property of another column is common enough within a group")
    safe = np.where(is_kept, spread, 1.0)
    errors = departure**2 / (safe * (1 / release.n_patients + 1 / (train.n_patients + holdout.n_patients)))
    return Facts(q, p, own - other, departure, np.where(is_kept, 1 / (safe * (1 + errors / BEND**2)), 0.0))


def _scores(side: Traits, facts: Facts) -> npt.NDArray[np.float32]:
    """How far each person pulls the facts of each group to where the release stands, (n_people, n_groups)."""
    pull = (facts.weight * facts.departure).T.astype(np.float32)
    scores = np.empty(side.groups.shape, dtype=np.float32)
    for rows in side.chunks:
        centred: npt.NDArray[np.float32] = side.properties[rows] - facts.with_property.astype(np.float32)
        scores[rows] = (centred @ pull) * (side.groups[rows] - facts.in_group.astype(np.float32))
    return scores


def _slope(
    scores: Sequence[npt.NDArray[np.float32]], sides: Sequence[npt.NDArray[np.int64]], facts: Facts, group: int | None = None
) -> tuple[float, float]:
    """The slope over all facts, or over one group's, and its standard error under a random division of the patients."""
    train, holdout = (part.sum(axis=1, dtype=float) if group is None else part[:, group].astype(float) for part in scores)
    n, m = len(train), len(holdout)
    # t - π is m / (n + m) of t - h
    parts = facts.weight * facts.own**2 * m / (n + m)
    total = float(parts.sum() if group is None else parts[group].sum())
    if total <= 0:
        raise UndefinedMetricError("train and holdout agree in every fact about their groups, so that nothing is train's own")
    middle = (train.sum() + holdout.sum()) / (n + m)
    residuals = [np.bincount(records, weights=part - middle) for part, records in zip((train, holdout), sides, strict=True)]
    variance = sum(float((part**2).sum()) for part in residuals) / (n + m - 1) * (1 / n + 1 / m)
    return float(train.mean() - holdout.mean()) / total, sqrt(variance) / total


def _pulling(scores: npt.NDArray[np.float32], records: npt.NDArray[np.int64]) -> Rate:
    """The share of patients who pull the facts to where the release stands."""
    sums = np.bincount(records, weights=scores.sum(axis=1, dtype=float))
    return rate(int((sums > 0).sum()), len(sums))


def _by_group(
    asked: Sequence[Group], train: Traits, holdout: Traits, scores: Sequence[npt.NDArray[np.float32]], facts: Facts
) -> list[dict[str, Any]]:
    """The slope over each group's facts, intervals Bonferroni over the groups, most surely bad first."""
    from scipy.special import ndtri

    sizes = np.minimum(train.groups.sum(axis=0), holdout.groups.sum(axis=0))  # rows: a group's patients are enough to be named
    enough = [i for i in range(len(asked)) if sizes[i] >= MIN_GROUP and (facts.weight[i] * facts.own[i] ** 2).sum() > 0]
    made = []
    for i in enough:
        value, half = _slope(scores, (train.records, holdout.records), facts, i)
        wide = float(ndtri(1 - 0.025 / len(enough))) * half
        ends = [_cut(value - wide), _cut(value + wide)]
        n_patients = len(np.unique(train.records[train.groups[:, i]]))
        made.append({"group": asked[i].name, "n": n_patients, "value": _cut(value), "interval": ends})
    return sorted(made, key=lambda part: (-part["interval"][0], -part["value"], part["group"]))


def _shown(data: Prepared, asked: Sequence[Group], properties: Sequence[Group], sides: Sequence[Traits]) -> list[dict[str, Any]]:
    """The facts that stand out most: shares within single groups beside everybody's, none that rests on fewer people than may be named."""
    roles = (Role.SENSITIVE, Role.TARGET, Role.EVENT)
    marked = {feature.name for feature in data.features if any(feature.column.has_role(role) for role in roles)}
    timed = {feature.name for feature in data.features if feature.column.kind.is_time}
    (within, has, both), *others = (side.shares() for side in sides)
    n, found = len(sides[0]), []
    for i, group in enumerate(asked):
        for j, one in enumerate(properties):
            column = one.columns[0]
            is_asked = column in marked if marked else column not in timed
            least = max(data.schema.min_patients, *(data.schema.threshold(data.schema[name]) for name in (*group.columns, column)))
            holders = n * both[i, j]
            if len(group.parts) > 1 or column in group.columns or not is_asked or min(holders, n * within[i] - holders) < least:
                continue
            share = both[i, j] / within[i]
            surprise = abs(share - has[j]) * sqrt(n * within[i] / (has[j] * (1 - has[j])))
            found.append((-surprise, i, j, least))
    shares = [(within, has, both), *others]
    return [_told(asked[i], properties[j], sides, shares, (i, j, least)) for _, i, j, least in sorted(found)[:MAX_FACTS_SHOWN]]


def _told(
    group: Group, one: Group, sides: Sequence[Traits], shares: Sequence[tuple[Floats, Floats, Floats]], at: tuple[int, int, int]
) -> dict[str, Any]:
    """One fact as train, holdout and release have it; no share of the holdout that rests on too few people."""
    i, j, least = at
    values = [float(both[i, j] / within[i]) if within[i] else None for within, _, both in shares]
    holders = len(sides[1]) * shares[1][2][i, j]
    if min(holders, len(sides[1]) * shares[1][0][i] - holders) < least:
        values[1] = None
    train, holdout, release = values
    return {
        "group": group.name,
        "property": one.name,
        "n": int(sides[0].groups[:, i].sum()),
        "train": train,
        "holdout": holdout,
        "release": release,
        "everybody": float(shares[0][1][j]),
    }


def _cut(value: float) -> float:
    return max(-1.0, min(1.0, value))


__all__ = ["property_inference"]
