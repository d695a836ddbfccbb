"""Generators by name, with hyperparameters and nothing else."""

from __future__ import annotations

import pytest

from manikin.data.errors import ParameterError
from manikin.synthesizers import SYNTHESIZERS, synthesizer


@pytest.mark.parametrize("name", ["cgan", "forest"])
def test_fitted_state_is_no_hyperparameter(name: str) -> None:
    with pytest.raises(ParameterError, match="one of its hyperparameters") as refusal:
        synthesizer(name, codec_=1)
    assert "_," not in str(refusal.value)


def test_what_a_generator_is_told_by_is_a_hyperparameter() -> None:
    for name, entry in SYNTHESIZERS.items():
        if entry.told_by:
            assert entry.some_conditions
            assert synthesizer(name, **{entry.told_by: ["a"]})
