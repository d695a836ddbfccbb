"""Releases of simulated films that fail in one way each, judged once; networks learn for a few steps, which is enough for such films."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from evaluation.images.films import dataset, evidence, pixels
from manikin.evaluation.images import classifier, detection, utility
from manikin.evaluation.images.pictures import ImageData, prepare_images


@pytest.fixture(scope="package", autouse=True)
def few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "STEPS", 50)
        patch.setattr(detection, "STEPS", (40, 40))
        patch.setattr(detection, "N_TREES", 12)
        patch.setattr(detection, "N_FOLDS", {"trees": 2, "network": 2})
        patch.setattr(utility, "RARE_STEPS", 25)
        patch.setattr(utility, "N_SEEDS", 2)
        yield


def spoilt(how: str) -> tuple[Any, Any]:
    """240 synthetic films that are right but for one thing."""
    images, has = pixels(240, 30)
    rng = np.random.default_rng(0)
    if how == "blurred":
        images = gaussian_filter(images.astype(float), (0, 0, 0.8, 0.8)).astype(np.uint8)
    elif how == "bright":
        images = np.clip(images.astype(float) + 25, 0, 255).astype(np.uint8)
    elif how == "labels":
        has = rng.permutation(has)
    elif how == "collapsed":
        chosen = rng.integers(0, 6, 240)
        images, has = images[chosen], has[chosen]
    elif how in ("copies", "noisy", "flipped"):
        images, has = pixels(320, 10)
        images, has = images[:240], has[:240]
        if how == "noisy":
            images = np.clip(images + rng.normal(scale=4, size=images.shape), 0, 255).astype(np.uint8)
        if how == "flipped":
            images = np.roll(images[..., ::-1], 1, axis=-2)
            images = np.clip(images * 1.05 + 4, 0, 255).astype(np.uint8)
    return images, has


@pytest.fixture(scope="package")
def judged() -> Callable[[str], ImageData]:
    """A release by how it fails ("good" for none), prepared once."""
    train, holdout = dataset(*pixels(320, 10)), dataset(*pixels(160, 20))
    made: dict[str, ImageData] = {}

    def one(how: str) -> ImageData:
        if how not in made:
            made[how] = prepare_images(evidence(train, holdout, dataset(*spoilt(how))))
        return made[how]

    return one
