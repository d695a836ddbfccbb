"""Intervals of reader studies cover what they should, on readers whose truth is known: accuracy, AUC, Cohen's and Fleiss' kappa, power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from manikin.evaluation.intervals import wilson
from manikin.evaluation.readers.agreement import cohen, fleiss, standard_error
from manikin.evaluation.readers.crossed import area, pooled, share
from manikin.evaluation.readers.equivalence import Verdict, images_needed, verdict

N_STUDIES = 1000
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("n_readers", [2, 3, 5, 10])
@pytest.mark.parametrize("n_images", [40, 100])
@pytest.mark.parametrize(
    ("skill", "reader_sd", "image_sd", "bias"),
    [(0.0, 0.0, 0.0, 0.0), (0.0, 0.2, 0.5, 0.0), (0.5, 0.3, 0.7, 0.3), (1.5, 0.2, 0.5, 0.0), (0.0, 0.1, 0.3, 1.0)],
)
def test_pooled_accuracy(n_readers: int, n_images: int, skill: float, reader_sd: float, image_sd: float, bias: float) -> None:
    """A probit model with random readers and images; `bias` towards calling images synthetic."""
    rng = np.random.default_rng([n_readers, n_images, int(skill * 10), int(reader_sd * 10)])
    synthetic, images = np.arange(n_images) < n_images // 2, np.arange(n_images)
    spread = np.sqrt(1 + reader_sd**2 + image_sd**2)
    truth = (ndtr((skill + bias) / spread) + ndtr((skill - bias) / spread)) / 2
    covered = naive = 0
    for _ in range(N_STUDIES):
        eta = skill + np.where(synthetic, bias, -bias) + reader_sd * rng.normal(size=(n_readers, 1)) + image_sd * rng.normal(size=n_images)
        hits = eta + rng.normal(size=(n_readers, n_images)) > 0
        found = pooled([share(row, synthetic, images) for row in hits])
        assert found is not None
        covered += found.interval[0] <= truth <= found.interval[1]
        low, high = wilson(int(hits.sum()), hits.size)
        naive += low <= truth <= high
    print(f"{n_readers} readers, {n_images} images: covers {covered / N_STUDIES:.3f}; as independent readings {naive / N_STUDIES:.3f}")
    assert covered / N_STUDIES > (0.92 if n_readers > 2 else 0.89)


@pytest.mark.parametrize("n_readers", [2, 4, 8])
def test_pooled_area(n_readers: int) -> None:
    """A binormal model; every reader sees images with the same difficulty."""
    rng = np.random.default_rng(n_readers)
    n_images, reader_sd, image_sd, distance = 80, 0.3, 0.6, 0.8
    synthetic, images = np.arange(n_images) < n_images // 2, np.arange(n_images)
    truth = ndtr(distance / np.sqrt(2 * (1 + image_sd**2) + reader_sd**2))
    covered = 0
    for _ in range(N_STUDIES):
        signal = synthetic * (distance + reader_sd * rng.normal(size=(n_readers, 1)))
        scores = signal + image_sd * rng.normal(size=n_images) + rng.normal(size=(n_readers, n_images))
        found = pooled([area(row, synthetic, images) for row in scores])
        assert found is not None
        covered += found.interval[0] <= truth <= found.interval[1]
    print(f"{n_readers} readers: AUC covers {covered / N_STUDIES:.3f}")
    assert covered / N_STUDIES > 0.92


@pytest.mark.parametrize("n_images", [10, 20, 40, 100])
@pytest.mark.parametrize("share_yes", [0.5, 0.3, 0.8])
@pytest.mark.parametrize("kappa", [0.0, 0.3, 0.7, 0.9])
def test_cohen(n_images: int, share_yes: float, kappa: float) -> None:
    """The common-correlation model: with probability kappa both give one answer, else each gives her own."""
    rng = np.random.default_rng([n_images, int(share_yes * 10), int(kappa * 10)])
    covered = defined = usual = 0
    for _ in range(N_STUDIES):
        alike, both = rng.random(n_images) < kappa, rng.random(n_images) < share_yes
        a, b = (np.where(alike, both, rng.random(n_images) < share_yes) for _ in range(2))
        found = cohen(a, b)
        if found.interval is None:
            continue
        defined += 1
        covered += found.interval[0] <= kappa <= found.interval[1]
        table = np.bincount(2 * a + b, minlength=4).reshape(2, 2)
        usual += abs(found.value - kappa) <= 1.96 * standard_error(table)
    print(f"{n_images} images, {share_yes} yes, kappa {kappa}: covers {covered / defined:.3f}, 1.96 errors {usual / defined:.3f}")
    assert covered / defined > 0.9


@pytest.mark.parametrize("n_images", [40, 100])
@pytest.mark.parametrize("n_readers", [3, 6])
@pytest.mark.parametrize("kappa", [0.0, 0.3, 0.7])
def test_fleiss(n_images: int, n_readers: int, kappa: float) -> None:
    """Each image has a chance of "synthetic" drawn from a beta distribution, whose variance is kappa p (1 - p)."""
    rng = np.random.default_rng([n_images, n_readers, int(kappa * 10)])
    size = (1 / kappa - 1) / 2 if kappa else np.inf
    covered = 0
    for _ in range(N_STUDIES // 2):
        p = rng.beta(size, size, n_images) if kappa else np.full(n_images, 0.5)
        yes = rng.binomial(n_readers, p)
        found = fleiss(np.stack([n_readers - yes, yes], axis=1), n_draws=500)
        assert found.interval is not None
        covered += found.interval[0] <= kappa <= found.interval[1]
    print(f"{n_images} images, {n_readers} readers, kappa {kappa}: covers {2 * covered / N_STUDIES:.3f}")
    assert 2 * covered / N_STUDIES > 0.88


@pytest.mark.parametrize(("n_readers", "margin"), [(1, 0.1), (5, 0.1), (10, 0.1)])
def test_power(n_readers: int, margin: float) -> None:
    """Readers who guess, apart from small differences between them, are found indistinguishable about as often as promised."""
    rng = np.random.default_rng(n_readers)
    reader_sd, shared = 0.03, 0.1
    n = images_needed(n_readers, margin=margin, reader_sd=reader_sd, shared=shared)
    assert n is not None
    synthetic, images = np.arange(n) < n // 2, np.arange(n)
    proved = 0
    for _ in range(N_STUDIES):
        # an accuracy of 0.5 ± 0.03 is a probit of 0 ± 0.0752; errors correlate by 0.1 with image variance 0.186 of (1 + 0.186)
        eta = 0.0752 * 1.09 * rng.normal(size=(n_readers, 1)) + np.sqrt(0.186) * rng.normal(size=n)
        hits = eta + rng.normal(size=(n_readers, n)) > 0
        if n_readers == 1:
            hits = rng.random((1, n)) < 0.5
            interval = wilson(int(hits.sum()), n)
        else:
            found = pooled([share(row, synthetic, images) for row in hits])
            assert found is not None
            interval = found.interval
        proved += verdict(interval, margin=margin) in (Verdict.EQUIVALENT, Verdict.SLIGHT)
    print(f"{n_readers} readers, {n} images: proved in {proved / N_STUDIES:.3f}")
    assert 0.72 < proved / N_STUDIES < 0.93
