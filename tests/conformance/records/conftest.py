"""Every test of this folder runs over every registered generator of linked patients; a new one is picked up by its registry line."""

from __future__ import annotations

import pytest
from linked_tables import LINKED

from manikin.synthesizers import SYNTHESIZERS, SynthesizerEntry, names_of


@pytest.fixture(params=names_of("records"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def entry(name: str) -> SynthesizerEntry:
    return SYNTHESIZERS[name]


@pytest.fixture(params=list(LINKED))
def tables(request: pytest.FixtureRequest) -> str:
    return str(request.param)
