"""Does the release tell a secret about a person whose other columns are known? After the inference risk of Giomi et al. 2023.

Correlations of the population let anybody guess, of people who are in no data too: only what is guessed better of train people is a risk
of being in the data (arXiv 2211.10459). Not assessed here: whether a cell is missing, as a secret, and secrets of whole groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.schema import Role
from manikin.data.seeds import derive
from manikin.evaluation.attacks.base import AttackDefinition, attacking, rate, residual_risk
from manikin.evaluation.attacks.secrets import Secret, Targets, secrets
from manikin.evaluation.attacks.trials import Trial, found, judged_groups, most_surely_bad
from manikin.evaluation.base import AttackResult, ThreatModel
from manikin.evaluation.boosters import Booster, TreeInput, one_thread
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.features import embedding
from manikin.evaluation.neighbours import nearest
from manikin.evaluation.prepared import Feature, Prepared, Sample

Array = npt.NDArray[Any]
MAX_TARGETS = 4_000  # a side and secret; fewer where there are many secrets
ALL_TARGETS = 6_000  # a side, over all secrets
MAX_RELEASE = 100_000
MAX_LEARNED = 10_000  # released rows that trees learn from
N_TREES = 30
MAX_CLASSES = 5  # the commonest levels that trees tell apart; the nearest row can name any
VOTES = 25  # released rows that vote where only quasi-identifiers are known, in which many rows agree
MIN_ROWS = 20
MIN_HOLDERS = 11  # targets a side, for a class to be judged; the schema's threshold where that is higher
MAX_LISTED = 12
ATTRIBUTE_INFERENCE = AttackDefinition(
    "attribute_inference",
    "Attribute inference (residual risk)",
    ThreatModel(
        knows="holds the release, and of each target the quasi-identifiers or all columns but one",
        wants="wants to know the target's value of the column that is left, such as a diagnosis",
        succeeds="succeeds when he names the level, or the number within a twentieth of the column's spread",
        risk="inference",
    ),
)


@dataclass(frozen=True)
class Guessed:
    """The guesses of one attacker on people with something to hide and on the others, of train and then of the holdout."""

    secret: Secret
    attacked: Targets
    controls: Targets
    guesses: list[Array]
    knows: str
    attacker: str

    def trial(self) -> Trial:
        """Success on the people with something to hide."""
        name, right = self.secret.name, self.secret.right
        truth = self.attacked.people.values[name]
        blind = right(np.full(len(truth), self.secret.commonest), truth)
        return Trial(
            {"secret": name, "knows": self.knows, "attacker": self.attacker, "uncommon_only": self.secret.is_lopsided},
            right(self.guesses[0], truth),
            right(self.guesses[2], self.controls.people.values[name]),
            rate(int(blind.sum()), len(blind)),
            self.attacked.people,
            self.controls.people,
        )


@attacking(ATTRIBUTE_INFERENCE, min_rows=MIN_ROWS)
def attribute_inference(data: Prepared, *, seed: int) -> AttackResult:
    """Residual risk of the most surely dangerous secret; in (-inf, 1], 0 where train people are guessed no better than holdout people.

    Each sensitive column is a secret in turn (without one the target, without that four columns). The attacker knows the
    quasi-identifiers, or all other columns, and asks the nearest released row (25 that vote, for quasi-identifiers) or boosted trees
    that learned from the release. Where more than 75 % hold one value, the targets are people with another. The baseline names
    the commonest value. The interval holds the largest true risk of all ways (Bonferroni). Details have each way, and each class that
    enough patients hold: how often it is named for its holders, and how often that is right.
    """
    if len(data.features) < 2:
        raise UndefinedMetricError("there is one column, and nothing is known from which it could be inferred")
    chosen, n_asked = secrets(data)
    if not chosen:
        raise UndefinedMetricError("no column that could be a secret holds two values")
    n_targets = max(2 * MIN_ROWS, min(MAX_TARGETS, ALL_TARGETS // len(chosen)))
    with one_thread():
        guessed = [made for secret in chosen for made in _guessed(data, secret, n_targets, seed)]
    trials = [made.trial() for made in guessed]
    finding = found(trials)
    worst = finding.worst
    notes = [finding.note]
    if n_asked > len(chosen):
        notes.append(f"Of {n_asked} columns that could be secrets {len(chosen)} were tried.")
    if any(s.is_lopsided for s in chosen):
        notes.append("Of a column in which one value is held by more than 75 %, the targets are people with another value.")
    return ATTRIBUTE_INFERENCE.result(
        worst.value,
        interval=finding.interval,
        n=worst.attack.n,
        n_requested=max(worst.attack.n, n_targets),
        reference=0.0,
        attack=worst.attack,
        control=worst.control,
        baseline=worst.trial.baseline,
        power=finding.power,
        groups=judged_groups(data, finding),
        details={
            **worst.trial.labels,
            "n_secrets": len(chosen),
            "n_left_out": finding.n_left_out,
            "classes": _classes(data, guessed, [outcome.trial for outcome in finding.outcomes]),
            "trials": finding.summaries,
        },
        note=" ".join(note for note in notes if note),
    )


def _guessed(data: Prepared, secret: Secret, n: int, seed: int) -> list[Guessed]:
    """The guesses of every attacker about one secret; none where the release has no value of it."""
    release = secret.known(data.fake).draw(MAX_RELEASE, seed, "attribute_inference", secret.name, "synthetic")
    if not len(release):
        return []
    attacked, controls = (secret.targets(side, n, seed, word) for side, word in ((data.real, "train"), (data.held, "holdout")))
    sides = [attacked.people, attacked.others, controls.people, controls.others]
    others = tuple(f for f in data.features if f.name != secret.name)
    quasi = tuple(f for f in others if f.column.has_role(Role.QUASI_IDENTIFIER))
    made = []
    for words, known, k in (("all other columns", others, 1), ("quasi-identifiers", quasi, VOTES)):
        if known and (known is others or known != others):
            near, learned = _nearest(data, secret, known, release, sides, k), _learned(secret, known, release, sides, seed)
            made.append(Guessed(secret, attacked, controls, near, words, "nearest"))
            made.append(Guessed(secret, attacked, controls, learned, words, "trees"))
    return made


def _nearest(
    data: Prepared, secret: Secret, known: Sequence[Feature], release: Sample, sides: Sequence[Sample], k: int
) -> list[Array]:
    """The value of the nearest released row; of k the commonest level or the median."""
    fitted = embedding(data).of(known)
    points, values = fitted.points(release), release.values[secret.name]

    def named(side: Sample) -> Array:
        """The votes' outcome for each target."""
        if not len(side):
            return values[:0]
        votes = values[nearest(fitted.points(side), points, k)[1]]
        if votes.shape[1] == 1 or secret.feature.is_number:
            return np.asarray(np.median(votes, axis=1) if secret.feature.is_number else votes[:, 0])
        same = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
        return np.asarray(votes[np.arange(len(votes)), same.argmax(axis=1)])  # of equally common ones the nearer

    return [named(side) for side in sides]


def _learned(secret: Secret, known: Sequence[Feature], release: Sample, sides: Sequence[Sample], seed: int) -> list[Array]:
    """What boosted trees make of it; for a lopsided secret its classes weigh alike, since else the commonest is always named."""
    sample = release.draw(MAX_LEARNED, seed, "attribute_inference", secret.name, "learned")
    y = sample.values[secret.name]
    is_number = secret.feature.is_number
    kept = np.unique(y) if is_number else _commonest(y, len(secret.feature.levels or ()))
    if len(kept) < 2:
        return [np.full(len(side), kept[0]) for side in sides]
    inputs = TreeInput.fit(known, [sample])
    targets = y if is_number else np.where(np.isin(y, kept), y, -1)
    weights = None
    if secret.is_lopsided and not is_number:
        kinds, place, counts = np.unique(targets, return_inverse=True, return_counts=True)
        weights = len(y) / (len(kinds) * counts[place])
    booster = Booster(inputs, not is_number, N_TREES, derive(seed, "attribute_inference", secret.name))
    booster.fit(inputs.matrix(sample), targets, weights)

    def named(side: Sample) -> Array:
        """What the trees say of each target."""
        if not len(side):
            return y[:0]
        if is_number:
            return booster.predict(inputs.matrix(side))
        return np.asarray(np.unique(targets)[booster.predict_proba(inputs.matrix(side)).argmax(axis=1)])

    return [named(side) for side in sides]


def _commonest(codes: Array, n_levels: int) -> Array:
    counts = np.bincount(codes, minlength=n_levels)
    order = np.argsort(-counts, kind="stable")[:MAX_CLASSES]
    return order[counts[order] > 0]


def _classes(data: Prepared, guessed: Sequence[Guessed], by_danger: Sequence[Trial]) -> list[dict[str, Any]]:
    """Of each secret with levels, by its most surely dangerous attacker: the classes that enough patients hold, rarest secrets first."""
    best: dict[str, Guessed] = {}
    for trial in by_danger:
        labels = trial.labels
        match = next(g for g in guessed if (g.secret.name, g.knows, g.attacker) == (labels["secret"], labels["knows"], labels["attacker"]))
        best.setdefault(match.secret.name, match)
    parts = [part for made in best.values() if not made.secret.feature.is_number for part in _holders(data, made)]
    n_ways = {name: sum(g.secret.name == name for g in guessed) for name in best}  # of which the most dangerous is shown
    judged = [_class(*part, alpha=0.05 / (len(parts) * n_ways[part[0].secret.name])) for part in parts]
    return most_surely_bad(judged)[:MAX_LISTED]


def _holders(data: Prepared, made: Guessed) -> list[tuple[Guessed, int, int]]:
    """The classes of one secret that may be named and have enough targets: the guesses, the level's number, patients of train."""
    feature, real = made.secret.feature, data.real
    least = max(data.schema.min_patients, data.schema.threshold(feature.column))
    values = real.values[feature.name]
    pairs = np.unique(values.astype(np.int64) * real.n_records + real.records)
    n_patients = np.bincount((pairs[pairs >= 0] // real.n_records), minlength=len(feature.levels or ()))
    enough = []
    for level in np.flatnonzero(n_patients >= least):
        holders = [int((side.people.values[feature.name] == level).sum()) for side in (made.attacked, made.controls)]
        if min(holders) >= max(MIN_HOLDERS, data.schema.threshold(made.secret.feature.column)):
            enough.append((made, int(level), int(n_patients[level])))
    return enough


def _class(made: Guessed, level: int, n_patients: int, *, alpha: float) -> dict[str, Any]:
    """How often a class is named for its holders (with the residual risk), and how often it is right when it is named."""
    name = made.secret.name
    rates, precise = [], []
    for side, (guesses, alarms) in ((made.attacked, made.guesses[:2]), (made.controls, made.guesses[2:])):
        holds = side.people.values[name] == level
        hits = int((guesses[holds] == level).sum())
        rates.append(rate(hits, int(holds.sum()), alpha=alpha))
        named = int((guesses == level).sum()) + side.weight * int((alarms == level).sum())
        precise.append(hits / named if named else None)
    attack, control = rates
    risk, interval = residual_risk(attack, control, alpha=alpha) if control.hits < control.n else (0.0, (-1.0, 1.0))
    return {
        "secret": name,
        "level": (made.secret.feature.levels or ())[level],
        "n_train": n_patients,
        "risk": risk,
        "interval": interval,
        "attack": attack.value,
        "control": control.value,
        "n": attack.n,
        "n_control": control.n,
        "right_when_named": precise[0],
        "right_when_named_control": precise[1],
    }
