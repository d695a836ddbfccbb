"""Was this person in the train data? The strongest of five attacks that look at where the released rows lie.

The attacker holds the release, whole records of targets, and other real rows of the same population. Not assessed here: an attacker who
trains generators of his own (`shadow_membership`), and one who knows only part of a record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.attacks.base import AttackDefinition, attacking, least_rate, targets
from manikin.evaluation.attacks.hit_rates import (
    FALSE_POSITIVES,
    MIN_STRICT,
    STRICT,
    WELL_PLACED,
    HitRate,
    Roll,
    single,
    strongest,
)
from manikin.evaluation.attacks.membership_scores import Crowd, Near, around, crowd, scores, together
from manikin.evaluation.attacks.planted import SHARE, near_copies, planted_dcr_share
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.features import Points, embedding
from manikin.evaluation.groups import groups
from manikin.evaluation.intervals import delong
from manikin.evaluation.prepared import Prepared, Sample

Floats = npt.NDArray[np.float64]
MAX_MEMBERS = 4_000
MAX_STRANGERS = 6_000
MAX_KNOWN = 20_000
MAX_RELEASE = 100_000
MIN_ROWS = 20
MIN_GROUP = 50  # members of a group that are attacked, below which its rate says nothing
VULNERABLE = 0.05  # the share of members, those farthest from other people, that are looked at by themselves; at least MIN_GROUP
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
class People:
    """Who plays which part; nobody plays two, and each target is another patient.

    Attributes
    ----------
    members, strangers : the targets, of train and of holdout.
    known : the real rows that the attacker holds, in two halves: one of them stands for a release that knows nobody.
    """

    members: Sample
    strangers: Sample
    known: tuple[Sample, Sample]


@dataclass(frozen=True)
class Side:
    """Members or strangers, and what lies around them in the release and in either half of the known rows."""

    targets: Crowd
    release: Near
    halves: tuple[Near, Near]

    @property
    def known(self) -> Near:
        """What lies around them among all known rows."""
        return together(*self.halves)


@attacking(MEMBERSHIP, min_rows=MIN_ROWS)
def membership(data: Prepared, *, seed: int) -> AttackResult:
    """True-positive rate at 1 % false positives of the strongest of five attacks; in [0, 1], about 0.01 where nothing leaks.

    Attacks: see `membership_scores.SCORES`. Members are half of train, the attacker's rows the other half, non-members the holdout, one
    row of each patient; no patient is on two sides, and the attacker's rows are none of those that are told apart. The score is
    chosen, its threshold set and people measured on different people in turn (`hit_rates`), so that the strongest of several is
    shown without its luck. The interval is Clopper-Pearson's, widened by the noise of the threshold. The reference is the rate
    at which people of the holdout are named.
    """
    people = _people(data, seed)
    release = data.fake.draw(MAX_RELEASE, seed, "membership", "synthetic")
    with one_thread():
        fitted = embedding(data)
        points = fitted.points(release)
        halves = tuple(fitted.points(half) for half in people.known)
        sides = {name: _side(data, sample, people, points, halves) for name, sample in _named(people)}
        made = {name: scores(side.release, side.known) for name, side in sides.items()}
        roll = Roll.deal(made["members"], made["strangers"], seed)
        best = strongest(roll)
        controls = _controls(data, sides, points, seed)
    found, control = best.rate(), best.control()
    areas = {name: _area(made, name, len(roll.names)) for name in roll.names}
    return MEMBERSHIP.result(
        found.value,
        interval=found.interval,
        n=found.n,
        reference=control.value,
        reference_interval=control.interval,
        attack=found,
        control=control,
        baseline=Rate(FALSE_POSITIVES, (FALSE_POSITIVES, FALSE_POSITIVES), 0, 0),
        n_requested=MAX_MEMBERS,
        power=least_rate(round(1 / (1 / found.n + 1 / control.n)), FALSE_POSITIVES),  # the threshold has its noise too
        groups=_groups(data, people, best),
        details={
            "strongest": best.strongest,
            **areas[best.strongest],
            "chosen": {name: best.choice.count(name) for name in sorted(set(best.choice))},
            "n_members": found.n,
            "n_strangers": control.n,
            "n_reference": sum(map(len, people.known)),
            "n_release": len(release),
            "attacks": {name: _single(roll, name) | areas[name] for name in roll.names},
            "strict": _strict(roll),
            "vulnerable": _vulnerable(sides, best),
            "controls": controls,
        },
        note=_note(roll, controls, found, areas),
    )


def _people(data: Prepared, seed: int) -> People:
    learned, known = data.real.halves(seed, "membership", "train")
    members = targets(learned, MAX_MEMBERS, seed, "membership", "members")
    strangers = targets(data.held, MAX_STRANGERS, seed, "membership", "strangers")
    halves = known.draw(MAX_KNOWN, seed, "membership", "reference").halves(seed, "membership", "known")
    if len(members) < MIN_ROWS // 2 or len(strangers) < MIN_ROWS or min(map(len, halves)) < MIN_ROWS // 4:
        raise UndefinedMetricError(
            f"the patients do not divide into at least {MIN_ROWS // 2} targets, {MIN_ROWS // 2} known people, and {MIN_ROWS} of the holdout"
        )
    return People(members, strangers, halves)


def _named(people: People) -> tuple[tuple[str, Sample], tuple[str, Sample]]:
    return ("members", people.members), ("strangers", people.strangers)


def _side(data: Prepared, sample: Sample, people: People, release: Points, halves: tuple[Points, ...]) -> Side:
    looked = crowd(embedding(data), sample, people.known[0])
    return Side(looked, around(looked, release), (around(looked, halves[0]), around(looked, halves[1])))


def _area(made: Mapping[str, Mapping[str, Floats]], name: str, n_attacks: int) -> dict[str, Any]:
    """The AUC of one attack, its interval widened (Bonferroni) since the strongest of so many is shown."""
    from scipy.special import ndtri

    area, variance = delong(made["members"][name], made["strangers"][name])
    half = float(ndtri(1 - 0.025 / n_attacks)) * variance**0.5
    return {"auc": area, "auc_interval": (max(0.0, area - half), min(1.0, area + half))}


def _single(roll: Roll, name: str) -> dict[str, Any]:
    """What one attack that is fixed beforehand reaches, with the interval widened (Bonferroni) over the attacks."""
    alone = single(roll, name)
    found, control = (rate(alpha=0.05 / len(roll.names)) for rate in (alone.rate, alone.control))
    return {"tpr": found.value, "tpr_interval": found.interval, "fpr_control": control.value}


def _strict(roll: Roll) -> dict[str, Any] | None:
    """The hit rate at one false alarm in a thousand, where enough strangers are there to say so."""
    if roll.n_strangers < MIN_STRICT:
        return None
    best = strongest(roll, false_positives=STRICT)
    return {"false_positives": STRICT, **_told(best.rate(), best.control())}


def _told(found: Rate, control: Rate) -> dict[str, Any]:
    """Two rates as details."""
    return {
        "n": found.n,
        "tpr": found.value,
        "tpr_interval": found.interval,
        "n_control": control.n,
        "fpr_control": control.value,
        "fpr_control_interval": control.interval,
    }


def _vulnerable(sides: Mapping[str, Side], best: HitRate) -> dict[str, Any]:
    """The rate among members in the thinnest places (Meeus et al. 2023, arXiv 2306.10308), beside strangers in places as thin.

    A place is as thin as the distance to the fifth nearest known person is long.
    """
    thin = {name: side.known.distances[:, min(4, side.known.distances.shape[1] - 1)] for name, side in sides.items()}
    n = min(len(thin["members"]), max(MIN_GROUP, round(VULNERABLE * len(thin["members"]))))
    least = np.sort(thin["members"])[-n]
    found, control = best.rate(thin["members"] >= least), best.control(thin["strangers"] >= least)
    return {**_told(found, control), "share": found.n / len(thin["members"])}


def _groups(data: Prepared, people: People, best: HitRate) -> list[dict[str, Any]]:
    """The rate among members of each group at the same thresholds, most surely bad first; groups of fewer than 50 targets are left out."""
    held = [(group.name, group.holds(people.members), group.holds(people.strangers)) for group in groups(data)]
    held = [(name, mine, others) for name, mine, others in held if mine.sum() >= MIN_GROUP]
    made = []
    for name, mine, others in held:
        found, control = best.rate(mine, alpha=0.05 / len(held)), best.control(others)
        made.append(
            {
                "group": name,
                "n": found.n,
                "value": found.value,
                "interval": found.interval,
                "control": control.value,
                "n_control": control.n,
            }
        )
    return sorted(made, key=lambda group: (-group["interval"][0], -group["value"], group["group"]))


def _controls(data: Prepared, sides: Mapping[str, Side], release: Points, seed: int) -> dict[str, Any]:
    """The same attack where the answer is known: near-copies of train rows planted into the release, and a release of other real rows."""
    copies = embedding(data).points(near_copies(data, len(release), seed))
    with_copies = {
        name: scores(together(side.release, around(side.targets, copies)), side.known) for name, side in sides.items()
    }
    planted = strongest(Roll.deal(with_copies["members"], with_copies["strangers"], seed))
    unknowing = {name: scores(side.halves[0], side.halves[1]) for name, side in sides.items()}
    independent = strongest(Roll.deal(unknowing["members"], unknowing["strangers"], seed))
    return {
        "planted": {
            **_told(planted.rate(), planted.control()),
            "share": SHARE,
            "n_planted": len(copies),
            "dcr_share": planted_dcr_share(data, release, copies, seed),
            "is_found": planted.rate().interval[0] > FALSE_POSITIVES,
        },
        "independent": _told(independent.rate(), independent.control()),
    }


def _note(roll: Roll, controls: Mapping[str, Any], found: Rate, areas: Mapping[str, Mapping[str, Any]]) -> str:
    notes = []
    surest = max(areas.values(), key=lambda area: area["auc_interval"][0])
    if surest["auc_interval"][0] > 0.5 and found.interval[0] <= FALSE_POSITIVES:
        notes.append(
            f"Members are ranked above others (AUC {surest['auc']:.2f}), though none can be named at so few false alarms: "
            "something is given away, of many people a little."
        )
    if not controls["planted"]["is_found"]:
        notes.append(
            f"Near-copies of train rows, planted into the release until they were {100 * SHARE:.0f} % of it, were not found: "
            "this attack has no power on this table, and that it finds nothing says nothing."
        )
    if roll.n_strangers < WELL_PLACED:
        notes.append(f"The threshold rests on {roll.n_strangers} people, too few to place 1 % false alarms.")
    if roll.n_strangers < MIN_STRICT:
        notes.append(f"A rate of 0.1 % false alarms takes {MIN_STRICT:,} people of the holdout and is not reported.")
    return " ".join(notes)
