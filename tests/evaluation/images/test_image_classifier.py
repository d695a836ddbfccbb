from __future__ import annotations

import numpy as np
import pytest

from evaluation.images.films import pixels
from manikin.data.errors import DataError
from manikin.evaluation.images.classifier import fit
from manikin.evaluation.intervals import auc


@pytest.fixture(scope="module")
def learned():
    images, has = pixels(320, 1)
    return fit(images, np.where(has, "shadow", "clear"), seed=0, steps=60)


def test_it_learns_what_can_be_seen_and_is_calibrated(learned):
    images, has = pixels(600, 2)
    found = learned.probabilities(images)
    assert learned.classes == ("clear", "shadow")
    assert np.allclose(found.sum(axis=1), 1)
    assert auc(found[has, 1], found[~has, 1]) > 0.9
    right = (found[:, 1] > 0.5) == has
    assert learned.is_calibrated
    assert abs(right.mean() - found.max(axis=1).mean()) < 0.06
    assert learned.features(images).shape == (600, 96)


def test_the_same_seed_gives_the_same_network_whatever_the_global_one_is(learned):
    import torch

    images, has = pixels(320, 1)
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    again = fit(images, np.where(has, "shadow", "clear"), seed=0, steps=60)
    assert (torch.random.get_rng_state() == before).all()
    assert (again.logits(images) == learned.logits(images)).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 9), (1, 6, 7, 8), (1, 100, 80)])
def test_any_size_of_images_and_volumes(shape):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(12, *shape)) * 500 - 1000
    images[0] = np.nan
    model = fit(images, [0, 1, 2] * 4, seed=1, steps=3)
    assert model.probabilities(images).shape == (12, 3)
    assert np.isfinite(model.features(images)).all()
    assert not model.is_calibrated
    assert model.probabilities(images[:0]).shape == (0, 3)


def test_one_class_is_refused():
    with pytest.raises(DataError, match="two different ones"):
        fit(np.zeros((3, 1, 4, 4)), ["a", "a", "a"], seed=0)
