"""Does the release show real people's images again? Near-duplicates of train images, whatever was done to hide them."""

from __future__ import annotations

from typing import Any

import numpy as np

from manikin.data.seeds import generator
from manikin.evaluation.attacks.base import AttackDefinition, least_risk, rate, residual_risk
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.images.definition import of_images
from manikin.evaluation.images.duplicates import Match, alike
from manikin.evaluation.images.pictures import ImageData, Pictures, Pixels, matched

MIN_IMAGES = 20
MAX_QUERIES = 4_000
LEVEL = 0.99  # of unseen images are less alike any train image than the limit
SHARE = 0.05  # of the release that is planted
N_PLANTED = 200
COPIES = AttackDefinition(
    "image_copies",
    "Copied images",
    ThreatModel(
        knows="holds the release, and recognises a real image when he sees it, mirrored, moved, brightened or with noise on it",
        wants="wants images of real patients",
        succeeds="succeeds when a synthetic image is more like a train image than 99 in 100 images of other patients are",
        risk="reconstruction",
    ),
    unit="synthetic images",
)


@of_images(COPIES, least=MIN_IMAGES)
def image_copies(data: ImageData, *, seed: int) -> AttackResult:
    """Residual risk that a synthetic image is a near-duplicate of a train image, (a - c) / (1 - c); at most 1, about 0 is best.

    Likeness is the correlation of images at up to 32 pixels over mirrorings and small shifts (`duplicates`), so neither brightness
    nor contrast counts. A synthetic image's greatest likeness with any train image is held against a limit that 99 % of one half of the
    holdout images do not exceed; the control is the share of the other half that do, and both halves set the limit in turn. Holdout images
    are drawn with the mix of labels of the release where that leaves enough. `details.controls.planted`: the share of disguised
    copies (mirrored, moved, brightened, with noise) that would be found.
    """
    sides = data.pictures
    fake, held = sides["synthetic"], sides["holdout"]
    (_, unseen), is_matched = matched([fake, held], MAX_QUERIES, seed, "copies")
    every = fake.take(fake.draw(MAX_QUERIES, seed, "copies"))
    fresh_side = held.take(unseen) if is_matched else held
    made, fresh = found(data, every, "synthetic"), found(data, fresh_side, "holdout")
    half = fresh_side.folds(2, seed, "copies")
    limits = [float(np.quantile(fresh.likeness[half == part], LEVEL, method="higher")) for part in (0, 1)]
    side_of = generator(seed, "images", "copies", "release").permutation(len(every)) % 2
    attack = rate(sum(int((made.likeness[side_of == part] > limits[part]).sum()) for part in (0, 1)), len(every))
    control = rate(sum(int((fresh.likeness[half != part] > limits[part]).sum()) for part in (0, 1)), len(fresh_side))
    risk, interval = residual_risk(attack, control)
    planted = _planted(data, float(np.mean(limits)), seed)
    return COPIES.result(
        risk,
        interval=interval,
        n=attack.n,
        reference=0.0,
        attack=attack,
        control=control,
        baseline=Rate(1 - LEVEL, (1 - LEVEL, 1 - LEVEL), 0, 0),
        n_requested=len(every),
        power=least_risk(attack.n, control),
        details={
            "limit": float(np.mean(limits)),
            "synthetic": _told(made),
            "holdout": _told(fresh),
            "more_alike_than_any_unseen": float((made.likeness > fresh.likeness.max()).mean()),
            "n_train_images_hit": len(np.unique(made.place[made.likeness > np.mean(limits)])),
            "n_release": len(every),
            "labels_matched": is_matched,
            "controls": {"planted": planted},
        },
        note=_note(planted, len(fresh_side)),
    )


def found(data: ImageData, side: Pictures, name: str) -> Match:
    """The train image that each of these is most alike, of one choice of images only once."""
    key = ("alike", name, len(side), int(side.rows.sum()))
    if key not in data.memory:
        data.memory[key] = alike(side.pixels, data.pictures["train"].pixels)
    made: Match = data.memory[key]
    return made


def disguised(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Copies as somebody would hide them: mirrored or not, moved by up to 3 %, brighter or darker, other contrast, noise of 2 %."""
    out = np.array(pixels, dtype=np.float32)
    for image in out:
        for axis in range(1, image.ndim):
            by = round(float(rng.uniform(-0.03, 0.03)) * image.shape[axis])
            image[:] = np.roll(image, by, axis=axis)
        if rng.random() < 0.5:
            image[:] = image[..., ::-1].copy()
    gain = rng.uniform(0.85, 1.15, (len(out), *[1] * (out.ndim - 1))).astype(np.float32)
    shift = rng.uniform(-0.1, 0.1, gain.shape).astype(np.float32)
    return np.asarray(out * gain + shift + rng.normal(scale=0.02, size=out.shape), dtype=np.float32)


def _planted(data: ImageData, limit: float, seed: int) -> dict[str, Any]:
    """What share of disguised copies of train images is found at this limit."""
    rng = generator(seed, "images", "planted")
    real = data.pictures["train"]
    chosen = np.sort(rng.permutation(len(real))[:N_PLANTED])
    likeness = alike(disguised(real.pixels[chosen], rng), real.pixels).likeness
    share = rate(int((likeness > limit).sum()), len(chosen))
    return {
        "tpr": share.value,
        "tpr_interval": share.interval,
        "fpr_control": 1 - LEVEL,
        "n_planted": len(chosen),
        "is_found": share.interval[0] > 0.5,
    }


def _told(match: Match) -> dict[str, float]:
    middle, high, higher = np.quantile(match.likeness, (0.5, 0.95, 0.99))
    return {"median": float(middle), "q95": float(high), "q99": float(higher), "most": float(match.likeness.max())}


def _note(planted: dict[str, Any], n_fresh: int) -> str:
    notes = []
    if not planted["is_found"]:
        notes.append(
            f"Only {100 * planted['tpr']:.0f} % of disguised copies of train images would be found: images of different patients are so "
            "alike here that this attack has little power, and that it finds nothing says little."
        )
    if n_fresh < 200:
        notes.append(f"The limit rests on {n_fresh} unseen images, too few to place 1 in 100.")
    return " ".join(notes)
