"""Figures of pairs and the fate of lesions, on images whose truth is drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from manikin.evaluation.images.lesions import contrasts, fate, spots
from manikin.evaluation.images.paired import BEST_PSNR, Differences

SIZE = 24


def scene(n: int = 6, *, contrast: float = 30.0, noise: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Flat images of 100, with a disc in each but the last."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    masks = np.stack([(y - 8 - i) ** 2 + (x - 9 - i) ** 2 <= 6 for i in range(n)])
    masks[-1] = False
    return 100 + contrast * masks + rng.normal(0, noise, masks.shape), masks


def test_equal_images_differ_by_nothing_and_noise_by_what_it_is() -> None:
    truth = scene()[0][:, None].astype(np.float32)
    same, off = Differences(255.0), Differences(255.0)
    same.add(truth, truth)
    assert same.means() == {"mae": 0.0, "psnr": BEST_PSNR, "ssim": pytest.approx(1.0)}
    made = truth + np.random.default_rng(1).normal(0, 10, truth.shape).astype(np.float32)
    off.add(made[:2], truth[:2])
    off.add(made[2:], truth[2:])
    assert len(off) == len(truth)
    assert off.means()["mae"] == pytest.approx(np.abs(made - truth).mean(), rel=1e-5)
    assert off.means()["psnr"] == pytest.approx(20 * np.log10(255 / 10), abs=0.3)
    assert off.means()["ssim"] < 0.9


def test_contrast_is_inside_minus_ring() -> None:
    images, masks = scene(noise=0.0)
    found = contrasts(images, masks)
    assert found[:-1] == pytest.approx(30.0)
    assert np.isnan(found[-1])
    assert contrasts(images, masks, within=np.zeros_like(masks))[:1] != found[:1]  # no ring, no contrast


@pytest.mark.parametrize(("made", "sensitivity"), [(30.0, 1.0), (16.0, 1.0), (12.0, 0.0), (0.0, 0.0), (-30.0, 0.0)])
def test_a_lesion_is_kept_at_half_its_contrast_with_its_sign(made: float, sensitivity: float) -> None:
    truth, masks = scene(noise=0.0)
    found = fate(scene(contrast=made, noise=0.0)[0], truth, masks, least=10.0)
    assert found.shown.tolist() == [True] * 5 + [False]
    assert found.sensitivity == sensitivity
    assert found.share[:-1] == pytest.approx(made / 30)
    assert not found.invented.any()  # a wrong lesion is lost, not invented


def test_a_lesion_that_truth_hardly_shows_is_not_asked_for() -> None:
    truth, masks = scene(contrast=4.0, noise=0.0)
    found = fate(truth, truth, masks, least=10.0)
    assert not found.shown.any()
    assert np.isnan(found.sensitivity)


def test_spots_are_counted_where_they_were_put_and_noise_makes_none() -> None:
    truth, masks = scene(noise=0.0)
    made = truth + np.random.default_rng(2).normal(0, 2, truth.shape)
    made[0, 19:23, 2:6] += 20
    made[-1, 2:6, 2:6] -= 20
    made[-1, 18:22, 18:22] += 20
    assert spots(made, truth, masks, height=8.0).tolist() == [1, 0, 0, 0, 0, 2]
    only = np.zeros_like(masks)
    only[:, :10] = True
    assert spots(made, truth, masks, height=8.0, within=only).tolist() == [0, 0, 0, 0, 0, 1]
