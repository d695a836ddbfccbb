"""What the plots of linked patients are drawn from, as JSON-able numbers. Knows nothing of drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from manikin.evaluation.base import MetricResult
from manikin.evaluation.records.linked import LinkedData
from manikin.evaluation.views import views as views_of_rows


def views(data: LinkedData, results: Sequence[MetricResult], *, seed: int) -> dict[str, Any]:
    """The views of one row a patient."""
    return views_of_rows(data.patients, results, seed=seed)
