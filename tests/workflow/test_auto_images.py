"""What auto takes for images, by their size, number and time alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Table, flat
from manikin.data.images import Images
from manikin.data.schema import Column, ImageForm, Kind, TableSchema
from manikin.workflow.auto import _of_images
from manikin.workflow.options import Options


def of_size(size: tuple[int, ...], n: int = 300) -> Any:
    """So many images, all one."""
    frame = pd.DataFrame({"file": pd.Series([f"{i}.png" for i in range(n)], dtype=object)})
    images = Images.of_array(np.broadcast_to(np.zeros((1, 1, *size), dtype=np.uint8), (n, 1, *size)))
    return flat(Table(frame, images={"file": images}), TableSchema("images", (Column("file", Kind.IMAGE, image=ImageForm(1, size)),)))


@pytest.mark.parametrize(
    ("size", "name"),
    [
        ((28, 28), "ddpm"),
        ((64, 64), "ddpm"),
        ((65, 65), "latent_ddpm"),
        ((96, 128), "latent_ddpm"),
        ((129, 96), "image_pca"),
        ((16, 24, 24), "ddpm"),
        ((66, 66, 66), "image_pca"),
    ],
)
def test_the_size_decides(size: tuple[int, ...], name: str) -> None:
    assert _of_images(of_size(size), Options(), conditional=False).name == name


def test_few_images_and_little_time_take_the_floor() -> None:
    assert _of_images(of_size((96, 96), n=150), Options(), conditional=False).name == "image_pca"
    assert _of_images(of_size((96, 96)), Options(time_budget_seconds=10), conditional=False).name == "image_pca"
