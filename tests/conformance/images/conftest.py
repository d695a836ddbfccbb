"""Every test of this folder runs over every registered generator of images; a new one is picked up by its registry line."""

from __future__ import annotations

import pytest
from image_sets import SETS

from manikin.synthesizers import SYNTHESIZERS, SynthesizerEntry, names_of


@pytest.fixture(params=names_of("images"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def entry(name: str) -> SynthesizerEntry:
    return SYNTHESIZERS[name]


@pytest.fixture(params=list(SETS))
def images(request: pytest.FixtureRequest) -> str:
    return str(request.param)
