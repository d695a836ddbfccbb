"""What makes a metric or an attack of a function of linked patients: it prepares the data and notes what cannot be computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from manikin.evaluation.attacks.base import AttackDefinition
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.records.linked import SIDES, LinkedData, prepare_linked


class OfPatients(Protocol):
    """The body of a metric or an attack: it works on prepared data and may raise UndefinedMetricError."""

    def __call__(self, data: LinkedData, *, seed: int) -> Any:
        """Measures or attacks."""
        ...


def of_patients(definition: Definition | AttackDefinition, *, least: int = 2) -> Callable[[OfPatients], Any]:
    """Makes a metric or an attack of its body; asks for linked data and for `least` patients on every side."""

    def decorate(body: OfPatients) -> Any:
        """The metric of one body, under the body's own name and docstring."""

        @wraps(body)
        def metric(data: EvaluationData, *, seed: int) -> Any:
            """Measures where there is something to measure, and says why where there is not."""
            if not data.is_linked:
                return definition.undefined("these are rows of one flat table, and the figure is of linked patients")
            prepared = prepare_linked(data)
            for name, side in zip(SIDES, (prepared.real, prepared.held, prepared.fake), strict=True):
                if side.n_patients < least:
                    return definition.undefined(f"the {name} data have {side.n_patients} patients and at least {least} are needed")
            try:
                return body(prepared, seed=seed)
            except UndefinedMetricError as reason:
                return definition.undefined(str(reason))

        return metric

    return decorate
