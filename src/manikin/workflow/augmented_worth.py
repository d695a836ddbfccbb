"""What made images of a rare label are worth: a network that learned with them against one that learned without, on real images set aside.

Knows no generator and makes no image. The figure is that of `evaluation.images.utility.image_added`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.dataset import Dataset, concat
from manikin.data.errors import DataError, ParameterError
from manikin.data.images import Images
from manikin.data.schema import Role
from manikin.evaluation.base import EvaluationData, MetricResult
from manikin.workflow import images
from manikin.workflow.augmented_rows import SYNTHETIC
from manikin.workflow.sources import target_of

MOST = 5_000  # made images that are looked at


def test_images(place: str | Path | Dataset, real: Dataset) -> Dataset:
    """The images of a place that models are tested on, read as `real` is.

    Raises
    ------
    DataError : it holds other images, or an image or patient that `real` has too. ParameterError : `real` are no images.
    """
    if real.modality != "images":
        raise ParameterError(
            "--test judges images. What made rows add on a table is told by `manikin study augmentation`. Leave --test out."
        )
    test = images.with_images_only(images.alike(place, real.columns))
    column = real.columns.images[0].name
    known = set(_hashes(real.table.images[column]))
    n = sum(one in known for one in _hashes(test.table.images[column]))
    if n:
        raise DataError(
            f"{n:,} of the {len(test):,} images of --test are among those to learn from, which would flatter every model. Take them out."
        )
    for key in real.columns.with_role(Role.PATIENT_KEY):
        if key.name in test.columns:
            both = set(real.table.frame[key.name].dropna()) & set(test.table.frame[key.name].dropna())
            if both:
                raise DataError(
                    f"{len(both):,} patients stand in --test and among those to learn from (column {key.name!r}), which would flatter "
                    "every model. Split by patient first."
                )
    return test


def _hashes(found: Images) -> Iterator[bytes]:
    for row in np.flatnonzero(found.present).tolist():
        pixels = np.ascontiguousarray(found.image(row), dtype=np.float32)
        yield blake2b(pixels.tobytes(), digest_size=16).digest()


@dataclass
class Worth:
    """Gathers made images as they go by, and tells at the end what they add.

    Attributes
    ----------
    real, test : to learn from, and to be tested on. mark : the column that says which rows are made.
    """

    real: Dataset
    test: Dataset
    mark: str
    seed: int
    target: str | None = None
    _made: list[Dataset] = field(default_factory=list)
    _n: int = 0

    def watched(self, pieces: Iterator[Dataset]) -> Iterator[Dataset]:
        """The same pieces; of what is made the first rows are kept."""
        for piece in pieces:
            rows = np.flatnonzero((piece.table.frame[self.mark] == SYNTHETIC).to_numpy())[: MOST - self._n]
            if len(rows):
                self._made.append(piece.take(rows))
                self._n += len(rows)
            yield piece

    def told(self) -> MetricResult | None:
        """What the made images add; None where there are none."""
        from manikin.evaluation.images.utility import image_added
        from manikin.workflow.judge import shared_columns

        if not self._made:
            return None
        made = concat(self._made)
        made = made.only([name for name in made.columns.names if name != self.mark])
        schema = shared_columns(self.real, self.test, [made])
        target = self.target or target_of(self.real.columns)
        data = EvaluationData(self.real, self.test, (made,), schema, target if target in schema else None)
        found: MetricResult = image_added(data, seed=self.seed)
        return found


def as_json(found: MetricResult | None) -> dict[str, Any] | None:
    """The figure as a record holds it."""
    if found is None:
        return None
    return {
        "value": found.value,
        "interval": found.interval,
        "reference": found.reference,
        "reference_interval": found.reference_interval,
        "n_test_images": found.n,
        "details": dict(found.details),
        "note": found.note,
    }


def in_words(found: MetricResult) -> list[str]:
    """What the made images add, in sentences."""
    if found.value is None:
        return [f"What the made images add was not measured: {found.note.removeprefix('Not computed: ')}"]
    auc, ends, label = found.details["auc"], found.details["auc_interval"], found.details["label"]

    def told(name: str) -> str:
        low, high = ends[name]
        return f"{auc[name]:.3f} ({low:.3f} to {high:.3f})"

    gained = _with_ends(found.value, found.interval)
    low, high = found.interval or (0.0, 0.0)
    word = "help" if low > 0 else "harm" if high < 0 else "neither help nor harm for sure"
    learned = f"learned from the real images alone {told('real')}, with the made ones {told('synthetic')}"
    again = _with_ends(found.reference or 0.0, found.reference_interval)
    return [
        f"Recognising {label!r} on {found.n:,} real images set aside (AUC, 95 % interval): {learned}.",
        f"The made images {word}: {gained}. Showing real images of the same labels that often again adds {again}.",
    ]


def _with_ends(value: float, interval: tuple[float, float] | None) -> str:
    return f"{value:+.3f}" + ("" if interval is None else f" ({interval[0]:+.3f} to {interval[1]:+.3f})")
