"""Attacks find copies, disguised ones too, and nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.images.films import dataset, evidence, pixels
from manikin.evaluation.attacks import ATTACKS
from manikin.evaluation.base import AttackResult
from manikin.evaluation.images.closeness import image_nearer_train
from manikin.evaluation.images.copies import disguised, image_copies
from manikin.evaluation.images.duplicates import alike
from manikin.evaluation.images.membership import image_membership
from manikin.evaluation.suite import OF_LABELS, evaluate


def films(n, seed, size=24):
    images, _ = pixels(n, seed, size=size)
    return (images / 255).astype(np.float32)


def test_a_disguised_copy_is_its_original():
    known, strange = films(120, 1), films(60, 2)
    for hidden in (known[:60], np.flip(known[:60], -1), np.roll(known[:60], 2, axis=-2), known[:60] * 0.7 + 0.2):
        found = alike(np.ascontiguousarray(hidden), known)
        assert (found.place == np.arange(60)).all()
        assert found.likeness.min() > 0.95
    found = alike(disguised(known[:60], np.random.default_rng(0)), known)
    assert (found.place == np.arange(60)).mean() > 0.9
    assert np.median(found.likeness) > np.quantile(alike(strange, known).likeness, 0.9)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 5), (1, 6, 14, 9)])
def test_images_of_any_size_are_compared(shape):
    images = np.random.default_rng(0).random((7, *shape)).astype(np.float32)
    found = alike(images, images)
    assert found.likeness.max() <= 1.0
    if np.prod(shape) > 1:
        assert (found.place == np.arange(7)).all()
    assert (alike(np.ones_like(images), images).likeness == 0).all()


def test_nothing_is_found_where_there_is_nothing(judged):
    good = judged("good")
    membership = image_membership(good, seed=0)
    assert isinstance(membership, AttackResult)
    assert membership.interval[0] <= 0.01
    assert len(membership.details["attacks"]) == 9
    assert membership.details["controls"]["independent"]["tpr_interval"][0] <= 0.01
    copies = image_copies(good, seed=0)
    assert copies.interval[0] <= 0
    assert copies.control.n > 0
    nearer = image_nearer_train(good, seed=0)
    assert nearer.interval[0] <= 0.5 <= nearer.interval[1]
    assert set(nearer.details["spaces"]) == {"pixels", "radiomics", "cnn"}


def test_copies_are_found_plain_noisy_and_disguised(judged):
    for how in ("copies", "noisy"):
        data = judged(how)
        assert image_membership(data, seed=0).interval[0] > 0.1
        assert image_copies(data, seed=0).interval[0] > 0.5
        nearer = image_nearer_train(data, seed=0)
        assert nearer.interval[0] > 0.5
        quantiles = nearer.details["nearest_train"]
        assert quantiles["synthetic"]["q01"] < quantiles["holdout"]["q01"]
    hidden = image_copies(judged("flipped"), seed=0)
    assert hidden.interval[0] > 0.5
    assert hidden.details["n_train_images_hit"] > 100


def test_few_images_are_noted_and_attacks_of_tables_look_at_their_labels_alone():
    one = dataset(*pixels(12, 1))
    data = evidence(one, one, one)
    assert {name for name, entry in ATTACKS.items() if entry.modality == "images"} == {"image_membership", "image_copies"}
    results = evaluate(data, seed=0, metrics=[], with_views=False)
    of_images = [attack for attack in results.attacks if not attack.title.endswith(OF_LABELS)]
    assert [attack.name for attack in of_images] == ["image_membership", "image_copies"]
    assert {attack.name for attack in results.attacks} == {attack.name for attack in of_images} | {
        name for name, entry in ATTACKS.items() if entry.beside
    }  # two labels of twelve people tell some of them
    assert all(attack.note.startswith("Not computed: the train data have 12 images") for attack in of_images)
    small = dataset(*pixels(24, 1))
    for attack in (image_membership, image_copies, image_nearer_train):
        assert attack(evidence(small, small, small), seed=0).n > 0
