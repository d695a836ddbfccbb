"""What is looked at does not hang on the order of rows, and intervals count patients where these have several images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from evaluation.images.films import SCHEMA, dataset, evidence, films, pixels
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.schema import Column, Kind, Role, Storage
from manikin.evaluation.images import pictures
from manikin.evaluation.images.appearance import image_intensity
from manikin.evaluation.images.distances import counts_patients, frechet_radiomics, jackknifed, kid_radiomics
from manikin.evaluation.images.pictures import prepare_images
from manikin.evaluation.images.support import image_coverage, image_precision, image_recall

KEY = Column("patient", Kind.IDENTIFIER, Storage.TEXT, roles=(Role.PATIENT_KEY,))


def of_patients(data: Dataset, patients: Any) -> Dataset:
    """The same films with a key of patients."""
    frame = data.table.frame.assign(patient=pd.Series([f"p{i}" for i in patients], dtype=object))
    return flat(Table(frame, images=data.table.images), replace(SCHEMA, columns=(*SCHEMA.columns, KEY)))


def test_which_images_are_looked_at_does_not_hang_on_the_order_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_IMAGES", 40)
    images, has = pixels(90, 1)
    images[50:60], has[50:60] = images[3], has[3]  # copies
    order = np.random.default_rng(0).permutation(90)
    one = prepare_images(evidence(films(30, 2), films(30, 3), dataset(images, has))).pictures["synthetic"]
    other = prepare_images(evidence(films(30, 2), films(30, 3), dataset(images[order], has[order]))).pictures["synthetic"]
    assert len(one) == 40
    assert np.array_equal(one.pixels, other.pixels)
    assert np.array_equal(one.labels, other.labels)
    assert set(order[other.rows]) - set(range(50, 60)) - {3} == set(one.rows) - set(range(50, 60)) - {3}
    assert 1 <= np.isin(one.rows, [3, *range(50, 60)]).sum() <= 10, "copies are drawn in their share, not all or none"


def mean_gap(a: Any, b: Any) -> float:
    return float(a.mean() - b.mean())


@pytest.mark.parametrize("n_patients", [8, 400])
def test_a_jackknife_of_patients_has_the_error_of_their_means(n_patients: int) -> None:
    rng = np.random.default_rng(n_patients)
    own = np.repeat(rng.normal(size=n_patients), 5)
    records = np.repeat(np.arange(n_patients), 5)
    one_each = np.arange(2000)
    a, b = own + 0.01 * rng.normal(size=len(own)), 1e-3 * rng.normal(size=2000)
    value, (low, high) = jackknifed(mean_gap, a, b, 0, (records, one_each))
    degrees = min(20, n_patients) - 1
    expected = t.ppf(0.975, degrees) * own[::5].std(ddof=1) / n_patients**0.5
    assert value == pytest.approx((low + high) / 2)
    assert (high - low) / 2 == pytest.approx(expected, rel=0.02 if n_patients == 8 else 0.4)
    assert jackknifed(mean_gap, a, b, 0)[1][1] - value < 0.8 * (high - value)


def test_one_image_each_and_few_patients_are_counted_as_images() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 60))
    each = (np.arange(60), np.arange(60))
    assert jackknifed(mean_gap, a, b, 0, each) == jackknifed(mean_gap, a, b, 0)
    few = np.arange(60) % 4
    assert not counts_patients(few)
    assert jackknifed(mean_gap, a, b, 0, (few, few)) == jackknifed(mean_gap, a, b, 0)


def test_several_films_of_one_patient_do_not_make_figures_surer() -> None:
    images, has = pixels(24, 20)
    rng = np.random.default_rng(0)
    many = np.clip(np.repeat(images, 5, axis=0).astype(float) + rng.normal(scale=3, size=(120, *images.shape[1:])), 0, 255).astype(np.uint8)
    held = dataset(many, np.repeat(has, 5))
    of = np.repeat(np.arange(24), 5)
    train, made = films(150, 10), films(120, 30)
    by_image = prepare_images(evidence(train, held, made))
    by_patient = prepare_images(
        evidence(of_patients(train, range(150)), of_patients(held, of), of_patients(made, range(120)))
    )
    for metric in (frechet_radiomics, kid_radiomics, image_intensity, image_recall, image_coverage):
        one, other = metric(by_image, seed=0), metric(by_patient, seed=0)
        assert other.value == pytest.approx(one.value), one.name
        width = [result.interval[1] - result.interval[0] for result in (one, other)]
        assert width[1] > 1.15 * width[0], (one.name, width)
    made_alone = [image_precision(data, seed=0).interval for data in (by_image, by_patient)]
    assert made_alone[0] == made_alone[1], "it is a mean over synthetic images, each of which is a patient's only one"
    assert frechet_radiomics(by_patient, seed=0).details["n_patients"]["holdout"] == 24
