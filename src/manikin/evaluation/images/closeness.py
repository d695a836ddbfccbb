"""Do synthetic images lie nearer to the images they were learned from than to others of the same kind? A share, in named spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition
from manikin.evaluation.images.definition import of_images
from manikin.evaluation.images.pictures import ImageData, matched
from manikin.evaluation.images.spaces import CNN, PIXEL_SIDE, PIXELS, RADIOMICS, flattened, space
from manikin.evaluation.intervals import mean_interval
from manikin.evaluation.neighbours import nearest

Points = npt.NDArray[np.float32]
MIN_IMAGES = 20
MAX_QUERIES = 4_000
MAX_POINTS = 5_000
NEARER = Definition("image_nearer_train", "Nearer to train than to unseen images", Section.PRIVACY, Direction.REFERENCE, unit="images")


@of_images(NEARER, least=MIN_IMAGES)
def image_nearer_train(data: ImageData, *, seed: int) -> MetricResult:
    """Share of synthetic images that are nearer to a train image than to any of as many holdout images, ties half; best is 0.5.

    By the root mean square difference of pixels at up to 32 x 32, with train and holdout images drawn with labels in the same shares. The
    other spaces are in `details.spaces`, of a network with train images that it did not learn from. The upper end of the interval, which
    counts images that crowd around one real image as one, is what a release is held to. `details.nearest_train` sets quantiles of the
    distance to the nearest train image beside the same of holdout images (1 %, 5 %, median): copies stand out in the lowest.
    """
    spaces: dict[str, dict[str, Any]] = {}
    for name, (fake, held, real, words) in points(data, seed).items():
        share, interval = _share(fake, held, real)
        spaces[name] = {"words": words, "value": share, "interval": interval, "n_real": len(real)}
    fake, held, real, _ = points(data, seed)["pixels"]
    quantiles = {}
    for name, side in (("synthetic", fake), ("holdout", held)):
        low, lower, middle = np.quantile(nearest(side, real, 1)[0][:, 0], (0.01, 0.05, 0.5))
        quantiles[name] = {"q01": float(low), "q05": float(lower), "median": float(middle)}
    head = spaces["pixels"]
    return NEARER.result(
        head["value"],
        interval=head["interval"],
        n=len(fake),
        reference=0.5,
        details={"spaces": spaces, "nearest_train": quantiles, "n_real": len(real)},
        note="Few copies hardly move this share: read the copy attack too.",
    )


def points(data: ImageData, seed: int) -> dict[str, tuple[Points, Points, Points, str]]:
    """Synthetic points, and as many holdout as train points, by space; made once."""
    key = ("nearer", seed)
    if key not in data.memory:
        made = {}
        sides = data.pictures
        size = data.frame.within(PIXEL_SIDE[data.frame.axes])
        chosen = sides["synthetic"].draw(MAX_QUERIES, seed, "nearer")
        for name in (PIXELS, RADIOMICS, CNN):
            if name == PIXELS:
                words, unseen = f"pixels at {' x '.join(map(str, size))}", np.arange(len(sides["train"]))
                cloud = {side: flattened(pictures.pixels, size) for side, pictures in sides.items()}
            else:
                of = space(data, name, seed=seed)
                words, unseen, cloud = of.words, of.unseen, of.points
            (held, real), _ = matched([sides["holdout"], sides["train"].take(unseen)], MAX_POINTS, seed, "nearer", name)
            made[name] = cloud["synthetic"][chosen], cloud["holdout"][held], cloud["train"][unseen][real], words
        data.memory[key] = made
    found: dict[str, tuple[Points, Points, Points, str]] = data.memory[key]
    return found


def _share(fake: Points, held: Points, real: Points) -> tuple[float, tuple[float, float]]:
    to_real, real_row = (part[:, 0] for part in nearest(fake, real, 1))
    to_held, held_row = (part[:, 0] for part in nearest(fake, held, 1))
    closer = (to_real < to_held) + 0.5 * (to_real == to_held)
    winner = np.where(to_real <= to_held, real_row, len(real) + held_row)
    return float(closer.mean()), mean_interval(closer, winner)
