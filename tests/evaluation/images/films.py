"""Small simulated films: a bright disc, whose size and place differ, on an uneven ground; of two labels, one with a second disc."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, Role, TableSchema
from manikin.evaluation.base import EvaluationData

SIZE = 16
LEVELS = ("clear", "shadow")
SCHEMA = TableSchema(
    "films",
    (
        Column("file", Kind.IMAGE, image=ImageForm(size=(SIZE, SIZE), modality="CR")),
        Column("label", Kind.CATEGORICAL, roles=(Role.TARGET,), levels=LEVELS),
    ),
)


def pixels(n: int, seed: int, *, size: int = SIZE, share: float = 0.4) -> tuple[Any, Any]:
    """Films, uint8 (n, 1, size, size), and whether each has a shadow, bool (n,)."""
    rng = np.random.default_rng(seed)
    has = rng.random(n) < share
    y, x = np.mgrid[:size, :size] / (size - 1)
    images = 60 + 40 * x[None] * rng.uniform(0.5, 1.5, (n, 1, 1)) + _discs(rng, n, x, y, 0.25, 90)
    images += np.where(has[:, None, None], _discs(rng, n, x, y, 0.12, 70), 0.0)
    images += rng.normal(scale=6, size=(n, size, size))
    return np.clip(images, 0, 255).astype(np.uint8)[:, None], has


def _discs(rng: Any, n: int, x: Any, y: Any, radius: float, height: float) -> Any:
    cx, cy, r = (rng.uniform(a, b, (n, 1, 1)) for a, b in ((0.3, 0.7), (0.3, 0.7), (0.7 * radius, 1.3 * radius)))
    return height / (1 + np.exp(((x - cx) ** 2 + (y - cy) ** 2 - r**2) * 60))


def dataset(images: Any, has: Any, schema: TableSchema = SCHEMA) -> Dataset:
    frame = pd.DataFrame({"file": [f"{i}.png" for i in range(len(images))]})
    frame["label"] = pd.Categorical(np.where(has, *LEVELS[::-1]), categories=list(LEVELS))
    return flat(Table(frame, images={"file": Images.of_array(images)}), schema)


def films(n: int, seed: int, **facts: Any) -> Dataset:
    return dataset(*pixels(n, seed, **facts))


def evidence(train: Dataset, holdout: Dataset, *synthetic: Dataset, target: str | None = "label") -> EvaluationData:
    return EvaluationData(train, holdout, synthetic, train.columns, target)
