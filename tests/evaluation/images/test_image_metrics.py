"""Each figure moves for the failing that it is meant to see, and holds still for real images."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.images.films import SCHEMA, dataset, evidence, films, pixels
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.evaluation import METRICS
from manikin.evaluation.images import classifier, detection, distances, utility
from manikin.evaluation.images.appearance import image_intensity, image_sharpness, image_spectrum
from manikin.evaluation.images.detection import image_c2st, image_c2st_cnn
from manikin.evaluation.images.diversity import image_diversity
from manikin.evaluation.images.support import image_coverage, image_precision, image_recall
from manikin.evaluation.images.utility import image_labels, image_rare_class, image_tstr
from manikin.evaluation.suite import evaluate

NAMES = [name for name, entry in METRICS.items() if entry.modality == "images"]


def beyond(result) -> bool:
    """Whether the figure is surely farther from its reference than chance makes it."""
    low, high = result.interval
    other = result.reference_interval
    return bool(low > other[1] or high < other[0])


@pytest.mark.verify
def test_real_images_that_nobody_saw_pass_everywhere(judged):
    good = judged("good")
    for metric in (distances.frechet_cnn, distances.frechet_radiomics, distances.kid_cnn, distances.kid_radiomics):
        result = metric(good, seed=0)
        assert not beyond(result), result.name
        assert result.details["space_words"]
    for metric in (image_intensity, image_spectrum, image_sharpness, image_diversity, image_precision, image_recall, image_coverage):
        assert not beyond(metric(good, seed=0))
    for metric in (image_c2st, image_c2st_cnn):
        result = metric(good, seed=0)
        assert result.interval[0] < 0.55
        assert result.reference_interval[0] < 0.55


@pytest.mark.parametrize(
    ("how", "sees", "blind"),
    [
        ("blurred", [image_spectrum, image_sharpness, image_c2st, distances.frechet_radiomics], [image_intensity]),
        ("bright", [image_intensity, image_c2st, distances.frechet_radiomics], [image_spectrum, image_sharpness]),
        ("collapsed", [image_diversity, image_recall, image_coverage, distances.kid_radiomics], [image_sharpness]),
        ("labels", [image_labels, image_tstr], [image_intensity, image_spectrum, distances.frechet_radiomics, image_recall]),
    ],
)
def test_what_is_wrong_moves_the_figure_that_is_meant_to_see_it(judged, how, sees, blind):
    data = judged(how)
    for metric in sees:
        result = metric(data, seed=0)
        assert beyond(result), (how, result.name, result.value, result.interval, result.reference_interval)
    for metric in blind:
        result = metric(data, seed=0)
        assert not beyond(result), (how, result.name, result.value, result.interval, result.reference_interval)


@pytest.mark.verify
def test_what_a_figure_says_of_learning(judged):
    good = image_tstr(judged("good"), seed=0)
    assert good.details["n_train"] == 240
    assert set(good.details["measures"]) >= {"auroc", "auprc", "brier"}
    assert judged("labels").classes == ("clear", "shadow")
    rare = image_rare_class(judged("good"), seed=0)
    assert rare.details["label"] == "shadow"
    assert rare.details["n_of_the_class"]["synthetic"] == rare.details["n_of_the_class"]["real"]
    assert rare.details["n_of_the_class"]["thinned"] < 0.06 * 320
    assert rare.reference == pytest.approx(np.mean(rare.details["gains"]["real"]), abs=1e-6)


def test_distances_are_those_of_their_definitions():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4_000, 3)), rng.normal(size=(4_000, 3)) * 2 + 1
    assert distances.frechet_distance(a, b) == pytest.approx(3 + 3, rel=0.1)  # |mean|² + Σ (s - t)²
    assert distances.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    few = np.mean([distances.frechet_distance(rng.normal(size=(60, 8)), rng.normal(size=(60, 8))) for _ in range(20)])
    ends = [distances.extrapolated(rng.normal(size=(60, 8)), rng.normal(size=(60, 8)), seed=i) for i in range(20)]
    assert few > 0.4
    assert abs(np.mean(ends)) < few / 3
    x, y = rng.normal(size=(5, 2)), rng.normal(size=(4, 2))
    k = lambda p, q: (p @ q / 2 + 1) ** 3  # noqa: E731  the slow, obvious one
    slow = np.mean([k(p, q) for i, p in enumerate(x) for j, q in enumerate(x) if i != j])
    slow += np.mean([k(p, q) for i, p in enumerate(y) for j, q in enumerate(y) if i != j])
    slow -= 2 * np.mean([k(p, q) for p in x for q in y])
    assert distances.kernel_distance(x, y, 1.0) == pytest.approx(slow)
    null = [distances.kernel_distance(rng.normal(size=(50, 4)), rng.normal(size=(50, 4)), 1.0) for _ in range(60)]
    assert abs(np.mean(null)) < 3 * np.std(null) / 60**0.5


def odd(images, labels=None) -> Dataset:
    made = dataset(images, np.arange(len(images)) % 2 == 0 if labels is None else labels)
    return made


@pytest.mark.parametrize(
    "train",
    [
        odd(np.zeros((24, 1, 16, 16), dtype=np.uint8)),
        odd(np.full((24, 1, 1, 1), np.nan)),
        odd(np.random.default_rng(0).normal(size=(24, 3, 9, 5)) * 400),
        odd(np.random.default_rng(0).normal(size=(24, 1, 5, 6, 7)) - 1000),
        films(1, 3),
        films(40, 3, share=0.0),
    ],
    ids=["black", "a pixel that is no number", "colour", "volumes", "one image", "one label"],
)
def test_strange_images_are_judged_or_noted_and_never_a_failure(train, caplog, monkeypatch):
    for module, name, value in (
        (classifier, "STEPS", 2), (classifier, "MAX_PASSES", 2), (detection, "STEPS", (2, 2)), (detection, "N_TREES", 2),
        (utility, "RARE_STEPS", 2),
    ):
        monkeypatch.setattr(module, name, value)
    results = evaluate(evidence(train, train, train), seed=0, metrics=NAMES, attacks=[], with_views=False)
    assert not caplog.records
    for figure in results.metrics:
        assert figure.value is not None or figure.note.startswith("Not computed"), figure.name


def test_images_without_labels_or_without_images():
    images, _ = pixels(60, 1)
    data = dataset(images, np.zeros(60)).only(["file"])
    result = distances.frechet_cnn(evidence(data, data, data, target=None), seed=0)
    assert "clusters" in result.details["space_words"]
    assert image_tstr(evidence(data, data, data, target=None), seed=0).note.startswith("Not computed: the images have no label")
    table = data.table
    none = flat(Table(table.frame, {}, {"file": Images(table.images["file"].source, np.full(60, -1))}), SCHEMA.only(["file"]))
    assert "0 images" in image_intensity(evidence(data, data, none, target=None), seed=0).note
    assert "no train row has an image" in image_intensity(evidence(none, data, data, target=None), seed=0).note


def test_an_interval_from_three_seeds_is_as_wide_as_three_allow() -> None:
    rng = np.random.default_rng(0)
    agree = 0.1 + rng.normal(scale=0.02, size=(1, 2001)) * np.ones((3, 1))
    value, (low, high) = utility._gain(agree)
    assert (value - low, high - value) == pytest.approx((1.96 * agree[0, 1:].std(ddof=1),) * 2, rel=0.01), "patients alone: normal"
    apart = np.repeat([[0.0], [0.1], [0.2]], 2001, axis=1)
    value, (low, high) = utility._gain(apart)
    assert high - value == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=0.01), "seeds alone: Student's t of 2 degrees of freedom"
