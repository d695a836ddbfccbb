"""Every test of this folder runs over every registered synthesizer of tables; a new one is picked up by its registry line."""

from __future__ import annotations

import pytest

from manikin.synthesizers import SYNTHESIZERS, SynthesizerEntry, names_of


@pytest.fixture(params=names_of("table"))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def entry(name: str) -> SynthesizerEntry:
    return SYNTHESIZERS[name]


@pytest.fixture(params=["gbsg2", "mixed", "nasty"])
def table_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)
