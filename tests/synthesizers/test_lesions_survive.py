"""Lesions go through a translation where training had them and are lost where it had none; the measure tells the one from the other.

Heads of 24 pixels: a rim of fat, bright in the source and dark in the target; bone, dark and bright; brain; and in some a lesion as bright
as fat in the source, and brighter than brain in the target. What it is only its place says: a model that saw no lesion cannot know.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, TableSchema
from manikin.evaluation.images.lesions import Fate, fate

SIZE = 24
Array = np.ndarray[Any, np.dtype[Any]]


def heads(n: int, *, share: float, seed: int) -> tuple[Array, Array, Array, Array]:
    """Sources, targets, masks of lesions and of brain, (n, 24, 24)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    source, target = np.full((n, SIZE, SIZE), 10.0), np.zeros((n, SIZE, SIZE))
    lesion, brain = np.zeros((n, SIZE, SIZE), dtype=bool), np.zeros((n, SIZE, SIZE), dtype=bool)
    for i in range(n):
        a, b = rng.uniform(9, 10.5), rng.uniform(9.5, 11)
        radius = np.hypot(x / a, y / b)
        for inside, shade, other in ((1.0, 220, 40), (0.88, 30, 250), (0.74, 120, 100)):
            source[i][radius < inside], target[i][radius < inside] = shade, other
        brain[i] = radius < 0.66
        if i < round(share * n):
            place = rng.uniform(-3, 3, 2)
            lesion[i] = np.hypot(x - place[0], y - place[1]) < rng.uniform(1.6, 2.6)
            source[i][lesion[i]], target[i][lesion[i]] = 220, 160
    source += rng.normal(0, 5, source.shape)
    target += rng.normal(0, 5, target.shape)
    return source.clip(0, 255).astype(np.uint8), target.clip(0, 255).astype(np.uint8), lesion, brain


def rows(**columns: tuple[Array, Array]) -> Dataset:
    """Columns of images with the place of each row's."""
    frame = {name: pd.Series([None if i < 0 else f"{name}{i}.png" for i in at], dtype=object) for name, (_, at) in columns.items()}
    images = {name: Images(Images.of_array(pixels[:, None]).source, at) for name, (pixels, at) in columns.items()}
    described = tuple(Column(name, Kind.IMAGE, image=ImageForm(1, (SIZE, SIZE))) for name in columns)
    return flat(Table(pd.DataFrame(frame), images=images), TableSchema("heads", described))


def fate_of(model: Any, seed: int = 99) -> Fate:
    source, target, lesion, brain = heads(60, share=0.7, seed=seed)
    made = mk.translate(model, rows(mr=(source, np.arange(60)))).table.images["ct"].array()[:, 0]
    return fate(made, target.astype(float), lesion, least=30.0, within=brain)


def paired(share: float, **settings: Any) -> Fate:
    source, target, _, _ = heads(120, share=share, seed=1)
    at = np.arange(120)
    model = mk.synthesizer("pix2pix", width=8, critic_width=8, halvings=2, batch_size=8, learning_rate=2e-3, **settings)
    return fate_of(model.fit(rows(mr=(source, at), ct=(target, at)), seed=0))


def test_pix2pix_keeps_lesions_that_half_of_the_pairs_have() -> None:
    found = paired(0.5, max_steps=160)
    assert found.shown.sum() == 42
    assert found.sensitivity >= 0.9
    assert found.invented[~found.shown].mean() <= 0.1


@pytest.mark.verify
def test_pix2pix_without_lesions_in_training_loses_them_all() -> None:
    found = paired(0.0, max_steps=200)
    assert found.sensitivity <= 0.1
    assert paired(0.1, max_steps=600).sensitivity >= 0.5
