"""Was this person in the train data? A density-ratio attack by nearest neighbours on the released rows.

The attacker holds the release, whole records of targets, and other real rows of the same population. Not assessed here: an attacker who
trains generators of his own (shadow models), and one who knows only part of a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.evaluation.attacks.base import AttackDefinition, attacking, least_rate, rate
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.features import Points, embedding
from manikin.evaluation.intervals import clopper_pearson, delong
from manikin.evaluation.neighbours import nearest
from manikin.evaluation.prepared import Prepared, Sample

Floats = npt.NDArray[np.float64]
MAX_TARGETS = 5_000
MAX_POINTS = 40_000
MIN_ROWS = 20
FALSE_POSITIVES = 0.01
TINY = 1e-6  # keeps the logarithm of a copy's distance finite, and far above all others
MEMBERSHIP = AttackDefinition(
    "membership",
    "Membership attack (hit rate at 1 % false alarms)",
    ThreatModel(
        knows="holds the release, whole records of the targets, and other real rows of the same population",
        wants="wants to know whether a person's record was among those that the generator learned from",
        succeeds="succeeds when he names a person who was, at a threshold that names 1 in 100 of those who were not",
        risk="membership",
    ),
)


@dataclass(frozen=True)
class Targets:
    """Who is attacked: members, and non-members for the threshold and for the control."""

    members: Sample
    calibration: Sample
    control: Sample


@attacking(MEMBERSHIP, min_rows=MIN_ROWS)
def membership(data: Prepared, *, seed: int) -> AttackResult:
    """True-positive rate at 1 % false positives of the strongest of three attacks; in [0, 1], about 0.01 where nothing leaks.

    Attacks: nearness to the release (-log d₁), and the density ratio log d_k(reference) - log d_k(release) for k = 1 and 5 (after DOMIAS,
    arXiv 2302.12580). Members are half of train, the attacker's reference rows the other half, non-members the holdout; no patient is
    on two sides. One half of the holdout sets the threshold, the other is the control: its false-positive rate is the reference. The
    interval is Clopper-Pearson's, widened (Bonferroni) since the strongest of three is shown. Details give every attack and its AUC.
    """
    targets, others = _targets(data, seed)
    release = data.fake.draw(MAX_POINTS, seed, "membership", "synthetic")
    known = others.draw(MAX_POINTS, seed, "membership", "reference")
    with one_thread():
        fitted = embedding(data)
        release_points, known_points = fitted.points(release), fitted.points(known)
        scores = {
            side: _attacks(fitted.points(sample), release_points, known_points)
            for side, sample in (
                ("members", targets.members),
                ("calibration", targets.calibration),
                ("control", targets.control),
            )
        }
    names = list(scores["members"])
    attacks = {name: _outcome({side: made[name] for side, made in scores.items()}, targets, len(names)) for name in names}
    strongest = max(names, key=lambda name: (attacks[name].hits, attacks[name].area))
    best = attacks[strongest]
    loudest = max(attacks.values(), key=lambda attack: attack.alarms)
    n_calibration = len(targets.calibration)
    note = "" if n_calibration >= 99 else f"The threshold rests on {n_calibration} rows, too few to place 1 % false alarms."
    return MEMBERSHIP.result(
        best.hits / best.n,
        interval=best.interval,
        n=best.n,
        reference=loudest.alarms / loudest.n_control,
        reference_interval=clopper_pearson(loudest.alarms, loudest.n_control, alpha=0.05 / len(names)),
        attack=rate(best.hits, best.n, alpha=0.05 / len(names)),
        control=rate(loudest.alarms, loudest.n_control, alpha=0.05 / len(names)),
        baseline=Rate(FALSE_POSITIVES, (FALSE_POSITIVES, FALSE_POSITIVES), 0, 0),
        power=least_rate(best.n, FALSE_POSITIVES, alpha=0.05 / len(names)),
        details={
            "strongest": strongest,
            "auc": best.area,
            "auc_interval": best.area_interval,
            "n_members": best.n,
            "n_calibration": n_calibration,
            "n_control": best.n_control,
            "n_reference": len(known),
            "n_release": len(release),
            "attacks": {name: attack.summary for name, attack in attacks.items()},
        },
        note=note,
    )


@dataclass(frozen=True)
class Outcome:
    """What one attack reached."""

    hits: int
    n: int
    alarms: int
    n_control: int
    interval: tuple[float, float]
    area: float
    area_interval: tuple[float, float]

    @property
    def summary(self) -> dict[str, object]:
        """For the details."""
        return {
            "tpr": self.hits / self.n,
            "tpr_interval": self.interval,
            "fpr_control": self.alarms / self.n_control,
            "auc": self.area,
            "auc_interval": self.area_interval,
        }


def _targets(data: Prepared, seed: int) -> tuple[Targets, Sample]:
    members, others = data.real.halves(seed, "membership", "train")
    calibration, control = data.held.halves(seed, "membership", "holdout")
    smallest = min(len(members), len(others), len(calibration), len(control))
    if smallest < MIN_ROWS // 2:
        raise UndefinedMetricError(f"the patients do not divide into parts of at least {MIN_ROWS // 2} rows")
    drawn = Targets(
        members.draw(MAX_TARGETS, seed, "membership", "members"),
        calibration.draw(MAX_TARGETS, seed, "membership", "calibration"),
        control.draw(MAX_TARGETS, seed, "membership", "control"),
    )
    return drawn, others


def _attacks(targets: Points, release: Points, known: Points) -> dict[str, Floats]:
    """Scores of every attack, higher where membership is likelier, (n_targets,) each."""
    to_release = np.log(nearest(targets, release, 5)[0].astype(float) + TINY)
    to_known = np.log(nearest(targets, known, 5)[0].astype(float) + TINY)
    return {
        "nearest": -to_release[:, 0],
        "density_ratio_1": to_known[:, 0] - to_release[:, 0],
        "density_ratio_5": to_known[:, -1] - to_release[:, -1],
    }


def _outcome(scores: Mapping[str, Floats], targets: Targets, n_attacks: int) -> Outcome:
    members, calibration, control = scores["members"], scores["calibration"], scores["control"]
    # The j-th largest of m scores is exceeded by a fresh one with probability j / (m + 1).
    place = max(1, int(FALSE_POSITIVES * (len(calibration) + 1)))
    threshold = np.sort(calibration)[-place]
    hits, alarms = int((members > threshold).sum()), int((control > threshold).sum())
    strangers = np.concatenate([calibration, control])
    patients = np.concatenate([targets.calibration.records, targets.control.records + targets.calibration.n_records])
    area, variance = delong(members, strangers, (targets.members.records, patients))
    half = 1.96 * variance**0.5
    return Outcome(
        hits=hits,
        n=len(members),
        alarms=alarms,
        n_control=len(control),
        interval=clopper_pearson(hits, len(members), alpha=0.05 / n_attacks),
        area=area,
        area_interval=(max(0.0, area - half), min(1.0, area + half)),
    )
