"""What the plots of images are drawn from, as JSON-able numbers. Knows nothing of drawing.

`columns` are those of the labels and attributes beside the images, as of a flat table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from manikin.evaluation.base import MetricResult
from manikin.evaluation.definition import clean
from manikin.evaluation.images.pictures import ImageData
from manikin.evaluation.views import overlay, worst


def views(data: ImageData, results: Sequence[MetricResult], *, seed: int) -> dict[str, Any]:
    """The views of the columns beside the images."""
    del seed
    made = {"columns": [overlay(data, feature) for feature in data.features], **worst(results)}
    return {key: clean(value) for key, value in made.items()}
