"""One fitted model per generator and set of images, shared by the whole suite."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any

import pytest
from image_sets import SETS

from manikin.data.dataset import Dataset
from manikin.data.errors import FitError
from manikin.synthesizers import SYNTHESIZERS, synthesizer

STEPS, FEW = 3, 2
SMALL = {  # where a generator has these hyperparameters
    "width": 8,
    "channels": (8,),
    "blocks": 1,
    "batch_size": 8,
    "sampling_steps": 3,
    "coder_share": 0.5,
}


def new(name: str, **others: Any) -> Any:
    """An unfitted generator; one that learns in steps takes few here, in a small network."""
    if not SYNTHESIZERS[name].is_neural:
        return synthesizer(name, **others)
    known = {one.name for one in fields(SYNTHESIZERS.load(name)) if one.init}
    return synthesizer(name, **{"max_steps": STEPS, **{key: value for key, value in SMALL.items() if key in known}, **others})


def hasty(name: str, **others: Any) -> Any:
    """One that hardly learns, for tests that ask whether it gets through."""
    return new(name, **({"max_steps": FEW} if SYNTHESIZERS[name].is_neural else {}), **others)


@cache
def _fitted(name: str, images: str) -> Any:
    try:
        return new(name).fit(SETS[images](), seed=0)
    except FitError as error:
        return error


def learns(name: str, images: str) -> bool:
    """Whether its registry line says that it learns such images."""
    entry = SYNTHESIZERS[name]
    return entry.pairs == (images == "pairs") and (entry.volumes or images != "volumes")


def fitted(name: str, images: str) -> Any:
    """A model fitted with seed 0; no test may change it. What its registry line does not tell it refuses by its name."""
    made = _fitted(name, images)
    if not learns(name, images):
        assert isinstance(made, FitError), "it learns what its registry line does not tell"
        assert name in str(made), "a refusal names the generator"
        pytest.skip(f"refused: {made}")
    if isinstance(made, FitError):
        raise made
    return made


@cache
def sampled(name: str, images: str, n: int = 40) -> Dataset:
    """Its images of seed 1."""
    made: Dataset = fitted(name, images).sample(n, seed=1)
    return made


def home(name: str) -> str:
    """The set of images that the tests of single questions use."""
    return "pairs" if SYNTHESIZERS[name].pairs else "grey"
