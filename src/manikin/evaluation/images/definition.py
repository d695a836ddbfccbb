"""What makes a metric or an attack of a function of images: it prepares the data and notes what cannot be computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from manikin.evaluation.attacks.base import AttackDefinition
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.images.pictures import ImageData, prepare_images


class OfImages(Protocol):
    """The body of a metric or an attack: it works on prepared data and may raise UndefinedMetricError."""

    def __call__(self, data: ImageData, *, seed: int) -> Any:
        """Measures or attacks."""
        ...


def of_images(definition: Definition | AttackDefinition, *, least: int = 2, labelled: bool = False) -> Callable[[OfImages], Any]:
    """Makes a metric or an attack of its body; asks for `least` images on every side, and for two classes if `labelled`."""

    def decorate(body: OfImages) -> Any:
        """The metric of one body, under the body's own name and docstring."""

        @wraps(body)
        def metric(data: EvaluationData, *, seed: int) -> Any:
            """Measures where there is something to measure, and says why where there is not."""
            if data.modality != "images":
                return definition.undefined("there is no column of images")
            prepared = prepare_images(data)
            try:
                for name, side in prepared.pictures.items():
                    if len(side) < least:
                        return definition.undefined(f"the {name} data have {len(side)} images and at least {least} are needed")
                if labelled and len(prepared.classes) < 2:
                    return definition.undefined("the images have no label of two to twenty classes")
                with one_thread():
                    return body(prepared, seed=seed)
            except UndefinedMetricError as reason:
                return definition.undefined(str(reason))

        return metric

    return decorate
