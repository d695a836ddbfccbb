"""Small data sets of images for the tests of their formats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table, flat
from manikin.data.images import Images
from manikin.data.schema import Column, Kind, TableSchema
from manikin.io.images.forms import facts_of, form_of


def pictures(pixels: Any, **labels: list[str]) -> Dataset:
    """A data set of an array (n, channels, *size) with columns of texts."""
    form = form_of([facts_of(one) for one in pixels])
    columns = (Column("file", Kind.IMAGE, image=form, missing=()), *(Column(name, Kind.CATEGORICAL, missing=()) for name in labels))
    frame = {"file": [f"case/{i}.png" for i in range(len(pixels))]} | {name: pd.Categorical(cells) for name, cells in labels.items()}
    return flat(Table(pd.DataFrame(frame), images={"file": Images.of_array(np.asarray(pixels))}), TableSchema("films", columns))


def pixels_of(data: Dataset, column: str = "file") -> list[Any]:
    """The images of a column, one after the other."""
    images = data.table.images[column]
    return [images.image(row) if images.present[row] else None for row in range(len(images))]
