"""Every test of this folder runs over every registered generator of images; a new one is picked up by its registry line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from image_sets import SETS, image_bytes

from manikin.data.dataset import Dataset
from manikin.synthesizers import SYNTHESIZERS, SynthesizerEntry, names_of
from manikin.synthesizers.images import base
from manikin.training import loop


@pytest.fixture(params=names_of("images"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def entry(name: str) -> SynthesizerEntry:
    return SYNTHESIZERS[name]


@pytest.fixture(params=list(SETS))
def images(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Learned:
    """A generator of attributes that is fitted once for a table and a seed, whoever asks; it has a suite of its own."""

    known: dict[Any, Any] = {}  # noqa: RUF012 (it is to be shared)

    def __init__(self, made: Any) -> None:
        self.made = made

    def fit(self, data: Dataset, *, seed: int) -> Any:
        key = (type(self.made), seed, repr(data.columns), image_bytes(data))
        if key not in self.known:
            self.known[key] = self.made.fit(data, seed=seed)
        return self.known[key]


@pytest.fixture(autouse=True, scope="module")
def quick() -> Iterator[None]:
    """Leaves out what is no question of this suite: one frame of each film, and attributes learned once."""
    with pytest.MonkeyPatch.context() as patch:
        made = base.synthesizer
        patch.setattr(base, "synthesizer", lambda name, **others: Learned(made(name, **others)))
        patch.setattr(loop, "MOMENTS", (1.0,))
        yield
