"""Was this person's image in the train data? The strongest of nine attacks that look at where the released images lie, in three spaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.attacks.base import AttackDefinition, least_rate
from manikin.evaluation.attacks.hit_rates import FALSE_POSITIVES, WELL_PLACED, Roll, single, strongest
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.images.copies import SHARE
from manikin.evaluation.images.definition import of_images
from manikin.evaluation.images.pictures import ImageData, matched
from manikin.evaluation.images.spaces import CNN, PIXEL_SIDE, PIXELS, RADIOMICS, flattened, space
from manikin.evaluation.intervals import delong
from manikin.evaluation.neighbours import nearest

Floats = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
MIN_IMAGES = 20
MAX_TARGETS = 2_500
N_NEAR = 10
NOISE = 0.1  # of the distance to the nearest other real image that a planted copy is moved by
MEMBERSHIP = AttackDefinition(
    "image_membership",
    "Membership attack on images (hit rate at 1 % false alarms)",
    ThreatModel(
        knows="holds the release, the image of each target, and other real images of the same population",
        wants="wants to know whether a person's image was among those that the generator learned from",
        succeeds="succeeds when he names a person who was, at a threshold that names 1 in 100 of those who were not",
        risk="membership",
    ),
)
SCORES = {
    "near": "how near the nearest synthetic image is",
    "relative": "the same beside the nearest other real image",
    "dense": "how many synthetic images lie around, beside other real ones",
}


@dataclass(frozen=True)
class Crowds:
    """Who plays which part in one space: points of members, strangers, known real images, and the release; nobody plays two."""

    members: Points
    strangers: Points
    known: Points
    release: Points


@of_images(MEMBERSHIP, least=MIN_IMAGES)
def image_membership(data: ImageData, *, seed: int) -> AttackResult:
    """True-positive rate at 1 % false positives of the strongest of nine attacks; in [0, 1], about 0.01 where nothing leaks.

    Three scores (`SCORES`) in three spaces: pixels, radiomics, features of a network that the attacker trained on the real images that he
    knows. Members are half of train, the attacker's images the other half, non-members the holdout, one image a patient, with labels in the
    same shares. The score is chosen, its threshold set and people measured on different people in turn (`hit_rates`). The reference is
    the rate at which people of the holdout are named. `details.controls.planted`: the attack where 5 % of the release are near-copies of
    members; `independent`: half of the known images in the release's place. Where the holdout comes from elsewhere (another hospital,
    another device), that difference is found too: the control `independent` shows it.
    """
    crowds = _crowds(data, seed)
    made = {side: _scores(crowds, side) for side in ("members", "strangers")}
    roll = Roll.deal(made["members"], made["strangers"], seed)
    best = strongest(roll)
    hit, control = best.rate(), best.control()
    areas = {name: _area(made, name) for name in roll.names}
    controls = _controls(crowds, seed)
    one = next(iter(crowds.values()))
    return MEMBERSHIP.result(
        hit.value,
        interval=hit.interval,
        n=hit.n,
        reference=control.value,
        reference_interval=control.interval,
        attack=hit,
        control=control,
        baseline=Rate(FALSE_POSITIVES, (FALSE_POSITIVES, FALSE_POSITIVES), 0, 0),
        n_requested=MAX_TARGETS,
        power=least_rate(round(1 / (1 / hit.n + 1 / control.n)), FALSE_POSITIVES),
        details={
            "strongest": best.strongest,
            **areas[best.strongest],
            "n_members": hit.n,
            "n_strangers": control.n,
            "n_reference": len(one.known),
            "n_release": len(one.release),
            "attacks": {name: {"tpr": single(roll, name).rate().value, **areas[name]} for name in roll.names},
            "controls": controls,
        },
        note=_note(roll, controls),
    )


def _crowds(data: ImageData, seed: int) -> dict[str, Crowds]:
    """The same people in every space."""
    sides = data.pictures
    of = space(data, CNN, seed=seed)
    train, held = sides["train"], sides["holdout"]
    known = np.setdiff1d(np.arange(len(train)), of.unseen)  # those that his network learned from
    members = of.unseen[_one_each(train.records[of.unseen], seed, "members")]
    strangers = _one_each(held.records, seed, "strangers")
    (first, second), _ = matched([held.take(strangers), train.take(members)], MAX_TARGETS, seed, "membership")
    strangers, members = strangers[first], members[second]
    if min(len(members), len(strangers), len(known)) < MIN_IMAGES // 2:
        raise UndefinedMetricError(f"the patients do not divide into {MIN_IMAGES // 2} targets and as many known people")
    made = {}
    for name in (PIXELS, RADIOMICS, CNN):
        size = data.frame.within(PIXEL_SIDE[data.frame.axes])
        if name == PIXELS:
            cloud = {side: flattened(pictures.pixels, size) for side, pictures in sides.items()}
        else:
            cloud = space(data, name, seed=seed).points
        made[name] = Crowds(cloud["train"][members], cloud["holdout"][strangers], cloud["train"][known], cloud["synthetic"])
    return made


def _one_each(records: Ints, seed: int, purpose: str) -> Ints:
    """Positions of one image of each patient, in their order."""
    order = generator(seed, "images", "one each", purpose).permutation(len(records))
    _, first = np.unique(records[order], return_index=True)
    return np.sort(order[first]).astype(np.int64)


def _scores(crowds: Mapping[str, Crowds], side: str, release: Mapping[str, Points] | None = None) -> dict[str, Floats]:
    """Every score of one side's targets, higher is likelier a member; of another release where one is given."""
    made = {}
    for name, crowd in crowds.items():
        targets = getattr(crowd, side)
        made_of = crowd.release if release is None else release[name]
        near, other = (np.log(nearest(targets, points, N_NEAR)[0].astype(np.float64) + 1e-6) for points in (made_of, crowd.known))
        made[f"{name}_near"] = -near[:, 0]
        made[f"{name}_relative"] = other[:, 0] - near[:, 0]
        made[f"{name}_dense"] = other.mean(axis=1) - near.mean(axis=1)
    return made


def _controls(crowds: Mapping[str, Crowds], seed: int) -> dict[str, Any]:
    """The same attack where the answer is known: near-copies of members planted, and other real images in the release's place."""
    rng = generator(seed, "images", "membership", "planted")
    one = next(iter(crowds.values()))
    n = max(1, min(round(SHARE / (1 - SHARE) * len(one.release)), len(one.members)))
    chosen = np.sort(rng.permutation(len(one.members))[:n])
    planted: dict[str, Points] = {}
    for name, crowd in crowds.items():
        copies = crowd.members[chosen]
        reach = nearest(copies, crowd.known, 1)[0][:, :1]
        away = rng.normal(size=copies.shape)
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
        planted[name] = np.concatenate([crowd.release, (copies + NOISE * reach * away).astype(np.float32)])
    found = strongest(Roll.deal(_scores(crowds, "members", planted), _scores(crowds, "strangers", planted), seed))
    half = rng.permutation(len(one.known)) % 2 == 0
    apart = {name: Crowds(crowd.members, crowd.strangers, crowd.known[half], crowd.known[~half]) for name, crowd in crowds.items()}
    alone = strongest(Roll.deal(_scores(apart, "members"), _scores(apart, "strangers"), seed))
    return {
        "planted": {
            "tpr": found.rate().value,
            "tpr_interval": found.rate().interval,
            "fpr_control": found.control().value,
            "share": SHARE,
            "n_planted": n,
            "is_found": found.rate().interval[0] > FALSE_POSITIVES,
        },
        "independent": {
            "tpr": alone.rate().value,
            "tpr_interval": alone.rate().interval,
            "fpr_control": alone.control().value,
        },
    }


def _area(made: Mapping[str, Mapping[str, Floats]], name: str) -> dict[str, Any]:
    """The AUC of one attack, its interval widened (Bonferroni) since the strongest of several is shown."""
    from scipy.special import ndtri

    area, variance = delong(made["members"][name], made["strangers"][name])
    half = float(ndtri(1 - 0.025 / len(made["members"]))) * variance**0.5
    return {"auc": area, "auc_interval": (max(0.0, area - half), min(1.0, area + half))}


def _note(roll: Roll, controls: Mapping[str, Any]) -> str:
    notes = []
    if not controls["planted"]["is_found"]:
        notes.append(
            f"Near-copies of train images, planted into the release until they were {100 * SHARE:.0f} % of it, were not found: this "
            "attack has no power on these data, and that it finds nothing says nothing."
        )
    if controls["independent"]["tpr_interval"][0] > FALSE_POSITIVES:
        notes.append(
            "With other real images in the release's place members are named too: train and holdout differ in kind (another device, "
            "another hospital), and part of what was found is that."
        )
    if roll.n_strangers < WELL_PLACED:
        notes.append(f"The threshold rests on {roll.n_strangers} people, too few to place 1 % false alarms.")
    return " ".join(notes)
