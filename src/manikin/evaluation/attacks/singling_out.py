"""Do released rows describe somebody in the train data so well that the description fits him alone?

After the singling-out risk of the Article 29 Working Party and Giomi et al. 2023 (arXiv 2211.10459), with a control that holds for train
and holdout of any sizes. Not assessed here: descriptions with more than twelve columns, and what a person who knows others can add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.attacks.base import AttackDefinition, attacking, rate
from manikin.evaluation.attacks.predicates import Condition, Scale, condition, lone_patient, matching, rarest_first
from manikin.evaluation.attacks.trials import Trial, found, judged_groups
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.features import entropy
from manikin.evaluation.prepared import Feature, Prepared, Sample

Floats = npt.NDArray[np.float64]
N_REQUESTED = 2_000  # of each kind
N_BLIND = 500  # descriptions of one who does not know the release
MAX_RELEASE = 100_000
MAX_COLUMNS = 10
N_SPARE = 2  # columns added once a predicate is unique in the release: chance then seldom meets it
MIN_ROWS = 20
FEW = 100
SINGLING_OUT = AttackDefinition(
    "singling_out",
    "Singling out (residual risk)",
    ThreatModel(
        knows="holds the release and nothing else",
        wants="wants descriptions that fit exactly one person of the train data",
        succeeds="succeeds when a description that fits one released patient fits exactly one real person, a patient of train",
        risk="singling out",
    ),
    unit="descriptions",
)


@dataclass(frozen=True)
class Predicate:
    """A description, and the released row that it was taken from."""

    conditions: tuple[Condition, ...]
    row: int


@attacking(SINGLING_OUT, min_rows=MIN_ROWS)
def singling_out(data: Prepared, *, seed: int) -> AttackResult:
    """Residual risk of being singled out by a description from the release, of its more surely dangerous kind; in (-inf, 1], 0 is none.

    Univariate: a value that one released patient holds, or the least or largest. Multivariate: columns of one released row, drawn in an
    order that favours telling ones, until they fit no other released patient, and two more; at most twelve. A description succeeds when
    it fits exactly one of all n people of train and m of the holdout, and this one is of train. The control counts those who are of the
    holdout, times n / m (`details.scale`): if the release knows nothing of train, the one person is as likely any of the n + m, however
    likely it is that there is exactly one, and so the two rates are equal whatever the sizes. The baseline knows single columns only.
    Several descriptions that find one patient count as a cluster; two kinds are tried (Bonferroni).
    """
    release = data.fake.draw(MAX_RELEASE, seed, "singling_out", "synthetic")
    scales = {feature.name: Scale.of(release, feature) for feature in data.features}
    made = {
        "univariate": _univariate(data.features, release, seed),
        "multivariate": _multivariate(data.features, release, scales, seed),
    }
    trials = []
    for kind, predicates in made.items():
        if predicates:
            baseline = _blind(kind, data, release, scales, seed)
            trials.append(_trial(kind, predicates, data, release, baseline))
    if not trials:
        raise UndefinedMetricError("no description fits exactly one released row")
    finding = found(trials)
    worst = finding.worst
    kind = str(worst.trial.labels["kind"])
    notes = [finding.note]
    if worst.attack.n < FEW:
        notes.append(f"Of {N_REQUESTED} descriptions {worst.attack.n} could be made: too few to be sure.")
    return SINGLING_OUT.result(
        worst.value,
        interval=finding.interval,
        n=worst.attack.n,
        n_requested=N_REQUESTED,
        reference=0.0,
        attack=worst.attack,
        control=worst.control,
        baseline=worst.trial.baseline,
        power=finding.power,
        groups=judged_groups(data, finding),
        details={
            "kind": kind,
            "n_made": {name: len(predicates) for name, predicates in made.items()},
            "n_columns": float(np.mean([len(p.conditions) for p in made[kind]])),
            "n_train": data.real.n_records,
            "n_holdout": data.held.n_records,
            "n_release": len(release),
            "scale": worst.trial.scale,
            "trials": finding.summaries,
        },
        note=" ".join(note for note in notes if note),
    )


def _univariate(features: Sequence[Feature], release: Sample, seed: int) -> list[Predicate]:
    """Ends of number columns first, then values that one released patient holds, the columns in turn."""
    rng = generator(seed, "singling_out", "univariate")
    ends: list[Predicate] = []
    rest: list[list[Predicate]] = []
    for feature in features:
        values, marks = release.values[feature.name], release.marks[feature.name]
        present = np.flatnonzero(marks == 0)
        if feature.is_number and len(present):
            extremes = (
                Condition(feature.name, low=float(values[present].max())),
                Condition(feature.name, high=float(values[present].min())),
            )
            ends += [Predicate((end,), int(matching((end,), release)[0])) for end in extremes if lone_patient((end,), release) >= 0]
        cells = np.where(marks > 0, -1.0 - marks, values.astype(float))
        cells = np.where(marks > 0, np.inf, cells) if feature.is_number else cells
        lone = _held_by_one(cells, release.records, seed_rows=rng.permutation(len(release)))
        rest.append([_single(release, int(row), feature) for row in lone[:N_REQUESTED]])
    drawn = [group[i] for i in range(N_REQUESTED) for group in rest if i < len(group)]
    return list({p.conditions: p for p in (*ends, *drawn)}.values())[:N_REQUESTED]


def _single(release: Sample, row: int, feature: Feature) -> Predicate:
    """That a cell is exactly what it is."""
    value = release.values[feature.name][row]
    if not feature.is_number:
        return Predicate((Condition(feature.name, level=int(value)),), row)
    return Predicate((Condition(feature.name, low=float(value), high=float(value)),), row)


def _held_by_one(cells: Floats, records: npt.NDArray[np.int64], *, seed_rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rows, in the order of `seed_rows`, whose value (finite and not negative for a code) no other patient holds; one row a value."""
    kinds = np.unique(cells, return_inverse=True)[1]
    pairs = np.unique(kinds.astype(np.int64) * (int(records.max()) + 1) + records)
    holders = np.bincount(pairs // (int(records.max()) + 1), minlength=int(kinds.max()) + 1)
    ordered = seed_rows[(holders[kinds[seed_rows]] == 1) & np.isfinite(cells[seed_rows])]
    first = np.sort(np.unique(kinds[ordered], return_index=True)[1])
    return ordered[first]


def _multivariate(
    features: Sequence[Feature], release: Sample, scales: dict[str, Scale], seed: int, n: int = N_REQUESTED
) -> list[Predicate]:
    """Columns of released rows, telling ones sooner, until they fit no other released patient, and two more; one row a patient."""
    rng = generator(seed, "singling_out", "multivariate")
    telling = np.array([entropy(release, feature) for feature in features])
    varied, telling = [f for f, nats in zip(features, telling, strict=True) if nats > 0], telling[telling > 0]
    if len(varied) < 2:
        return []
    order = rng.permutation(len(release))
    _, first = np.unique(release.records[order], return_index=True)
    made: dict[frozenset[Condition], Predicate] = {}
    for row in order[rng.permutation(first)][: 3 * n]:
        # An order drawn with chances that are in proportion to the entropies (Efraimidis & Spirakis 2006, doi:10.1016/j.ipl.2005.11.003).
        drawn = np.argsort(rng.exponential(size=len(varied)) / telling)[: MAX_COLUMNS + N_SPARE]
        conditions = [condition(release, int(row), varied[i], scales) for i in drawn]
        n_needed = _needed(conditions[:MAX_COLUMNS], release)
        if n_needed:
            kept = rarest_first(conditions[: n_needed + N_SPARE], scales, len(release))
            made.setdefault(frozenset(kept), Predicate(kept, int(row)))
        if len(made) == n:
            break
    return list(made.values())


def _needed(conditions: Sequence[Condition], release: Sample) -> int:
    """How many of the conditions, at least two, fit one released patient alone; 0 where all of them fit several."""
    rows = None
    for i, part in enumerate(conditions):
        rows = part.narrow(release, rows)
        patients = release.records[rows]
        if i and (patients == patients[0]).all():
            return i + 1
    return 0


def _trial(kind: str, predicates: Sequence[Predicate], data: Prepared, release: Sample, baseline: Rate) -> Trial:
    found_real, found_held = _alone(data, [p.conditions for p in predicates])
    sources = release.take(np.array([p.row for p in predicates], dtype=np.int64))
    return Trial(
        {"kind": kind},
        found_real >= 0,
        found_held >= 0,
        baseline,
        sources,
        sources,
        found=found_real,
        found_control=found_held,
        scale=data.real.n_records / data.held.n_records,
    )


def _alone(data: Prepared, described: Sequence[Sequence[Condition]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Whom each description fits alone among all people: a patient of train, or one of the holdout; -1 where there is none."""
    alone = np.full((2, len(described)), -1, dtype=np.int64)
    for i, conditions in enumerate(described):
        found_real, found_held = (side.records[matching(conditions, side)] for side in (data.real, data.held))
        for place, here, there in ((0, found_real, found_held), (1, found_held, found_real)):
            if len(here) and not len(there) and (here == here[0]).all():
                alone[place, i] = here[0]
    return alone[0], alone[1]


def _blind(kind: str, data: Prepared, release: Sample, scales: dict[str, Scale], seed: int) -> Rate:
    """Success on train of one who knows how single columns are spread, and nothing of what goes together.

    He takes any value of a column, or searches a table with the release's columns, each in an order of its own, as the attack does.
    """
    rng = generator(seed, "singling_out", "baseline", kind)
    if kind == "univariate":
        kept = [feature for feature in data.features if entropy(release, feature) > 0] or list(data.features)
        drawn = zip(rng.integers(len(kept), size=N_BLIND), rng.integers(len(release), size=N_BLIND), strict=True)
        blind = [_single(release, int(row), kept[i]).conditions for i, row in drawn if not release.marks[kept[i].name][row]]
    else:
        values, marks = dict(release.values), dict(release.marks)
        for name in values:
            order = rng.permutation(len(release))
            values[name], marks[name] = values[name][order], marks[name][order]
        shuffled = replace(release, values=values, marks=marks)
        blind = [p.conditions for p in _multivariate(data.features, shuffled, scales, seed, n=N_BLIND)]
    return rate(int((_alone(data, blind)[0] >= 0).sum()), len(blind))
