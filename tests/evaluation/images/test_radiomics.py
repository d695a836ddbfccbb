"""Radiomics, gradients and similarity against the slow, obvious ones."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.images.films import pixels
from manikin.evaluation.images import radiomics
from manikin.evaluation.images.similarity import ms_ssim, n_scales, ssim


def some(n=6, size=16):
    images, _ = pixels(n, 3, size=size)
    return (images / 255).astype(np.float32)


def test_gradients_are_those_of_skimage():
    pytest.importorskip("skimage")
    from skimage.feature import hog

    images = some(size=24)
    slow = [hog(image[0], 9, (6, 6), (2, 2), block_norm="L2-Hys") for image in images]
    assert np.allclose(radiomics.gradients(images), slow, atol=1e-4)


def test_texture_is_that_of_skimage():
    pytest.importorskip("skimage")
    from skimage.feature import graycomatrix, graycoprops

    images = some()
    columns = radiomics.names(2, 1)
    made = radiomics.radiomics(images)
    assert made.shape == (6, len(columns))
    levels = np.clip((images * 8).astype(int), 0, 7)[:, 0].astype(np.uint8)
    for i, image in enumerate(levels):
        matrix = graycomatrix(image, [1], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], levels=8, symmetric=True, normed=True)
        for ours, theirs in (("contrast", "contrast"), ("dissimilarity", "dissimilarity"), ("homogeneity", "homogeneity"),
                             ("uniformity", "ASM"), ("correlation", "correlation")):
            values = graycoprops(matrix, theirs)[0]
            assert made[i, columns.index(ours)] == pytest.approx(values.mean())
            assert made[i, columns.index(f"{ours}_range")] == pytest.approx(np.ptp(values))


def test_runs_are_counted():
    image = np.array([[0.0, 0.0, 0.9, 0.9], [0.9, 0.9, 0.9, 0.9]], dtype=np.float32)[None, None]
    columns = radiomics.names(2, 1)
    made = radiomics.radiomics(image)[0]
    # rows: runs of 2, 2, 4 of 8 pixels; columns: 1 1, 1 1, 2, 2
    assert made[columns.index("runs_per_pixel")] == pytest.approx((3 / 8 + 6 / 8) / 2)
    assert made[columns.index("short_runs")] == pytest.approx(((2 / 4 + 1 / 16) / 3 + (4 + 2 / 4) / 6) / 2)


def test_volumes_have_thirteen_directions_and_the_same_columns():
    volumes = np.random.default_rng(0).random((3, 2, 6, 7, 8)).astype(np.float32)
    assert len(radiomics._directions(3)) == 13
    assert radiomics.radiomics(volumes).shape == (3, len(radiomics.names(3, 2)))
    assert np.isfinite(radiomics.gradients(volumes)).all()


def test_similarity_is_that_of_skimage():
    pytest.importorskip("skimage")
    from skimage.metrics import structural_similarity

    a, b = some(4, 32)[:2], some(4, 32)[2:]
    slow = [
        structural_similarity(x[0], y[0], data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for x, y in zip(a, b, strict=True)
    ]
    assert np.allclose(ssim(a, b), slow, atol=1e-6)
    assert np.allclose(ms_ssim(a, a), 1)
    assert (n_scales((28, 28)), n_scales((176, 200)), n_scales((1, 9)), n_scales((64, 64, 64))) == (2, 5, 1, 3)
    assert ((ms_ssim(a, b) >= 0) & (ms_ssim(a, b) <= 1)).all()
