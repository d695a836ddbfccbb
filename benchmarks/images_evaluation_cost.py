"""What judging images costs and finds: CPU seconds of every figure and attack on PneumoniaMNIST, one thread.

    MANIKIN_SHARED_DATA=… OMP_NUM_THREADS=1 python benchmarks/images_evaluation_cost.py [pca|real|copies|disguised]

3,700 train and 900 holdout images of the train and validation parts, shuffled. The release: 3,700 images of the generator `image_pca`, the
632 images that are left ("real", what a perfect release is), the train images again ("copies"), or `image_pca` with 5 % disguised copies.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, Role, TableSchema
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.suite import evaluate
from manikin.synthesizers import synthesizer

LEVELS = ("normal", "pneumonia")
SCHEMA = TableSchema(
    "chest",
    (
        Column("file", Kind.IMAGE, image=ImageForm(size=(28, 28), modality="CR")),
        Column("label", Kind.CATEGORICAL, roles=(Role.TARGET,), levels=LEVELS),
    ),
)
N_TRAIN, N_HELD, N_COPIES = 3_700, 900, 185


def dataset(pixels: Any, labels: Any) -> Dataset:
    frame = pd.DataFrame({"file": [f"{i}.png" for i in range(len(pixels))]})
    frame["label"] = pd.Categorical([LEVELS[int(label)] for label in labels], categories=list(LEVELS))
    return flat(Table(frame, images={"file": Images.of_array(pixels)}), SCHEMA)


def parts(seed: int = 0) -> tuple[Any, Any]:
    with np.load(Path(os.environ["MANIKIN_SHARED_DATA"]) / "pneumoniamnist" / "pneumoniamnist_28.npz", allow_pickle=False) as file:
        pixels = np.concatenate([file["train_images"], file["val_images"]])[:, None]
        labels = np.concatenate([file["train_labels"], file["val_labels"]])[:, 0]
    order = np.random.default_rng(seed).permutation(len(pixels))
    return pixels[order], labels[order]


def release(kind: str, pixels: Any, labels: Any, train: Dataset) -> Dataset:
    if kind == "real":
        return dataset(pixels[N_TRAIN + N_HELD :], labels[N_TRAIN + N_HELD :])
    if kind == "copies":
        return train
    made = synthesizer("image_pca").fit(train, seed=0).sample(N_TRAIN, seed=1)
    if kind == "pca":
        return made
    copies = pixels[:N_COPIES].astype(float)
    copies[::2] = copies[::2, ..., ::-1]
    copies = np.clip(copies * 1.08 + 5 + np.random.default_rng(2).normal(scale=3, size=copies.shape), 0, 255)
    drawn = made.table.images["file"].array()[N_COPIES:]
    codes = (made.table.frame["label"] == LEVELS[1]).to_numpy()[N_COPIES:]
    return dataset(np.concatenate([drawn, copies]).astype(np.uint8), np.concatenate([codes, labels[:N_COPIES]]))


def main(kind: str = "pca") -> None:
    pixels, labels = parts()
    train = dataset(pixels[:N_TRAIN], labels[:N_TRAIN])
    holdout = dataset(pixels[N_TRAIN : N_TRAIN + N_HELD], labels[N_TRAIN : N_TRAIN + N_HELD])
    made = release(kind, pixels, labels, train)
    marks: list[tuple[str, float]] = []
    results = evaluate(
        EvaluationData(train, holdout, (made,), SCHEMA, "label"),
        seed=0,
        progress=lambda name, _done, _n: marks.append((name, time.process_time())),
    )
    seconds = {name: later - at for (name, at), (_, later) in pairwise(marks)}
    print(f"{kind}: {len(made)} synthetic images, {sum(seconds.values()):.0f} CPU seconds in all")
    for figure in results.figures:
        if figure.value is not None:
            print(f"{figure.name:20s} {figure.value:8.3f} {figure.interval} real {figure.reference} {seconds[figure.name]:6.1f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
