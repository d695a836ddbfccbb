"""Events survive their file to the last bit, and refuse what has no meaning."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.data.errors import ParameterError
from manikin.privacy.events import Event, Exponential, Gaussian, Laplace, SampledGaussian, Threshold, from_json, to_json

NOISE = st.floats(1e-9, 1e12)
EVENTS = st.one_of(
    st.builds(Gaussian, NOISE),
    st.builds(Laplace, NOISE),
    st.builds(Exponential, NOISE),
    st.builds(SampledGaussian, NOISE, st.floats(0, 1, exclude_min=True), st.integers(1, 10**9)),
    st.builds(Threshold, st.floats(0, 1, exclude_min=True, exclude_max=True)),
)


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_an_event_comes_back_from_its_file(event: Event) -> None:
    assert from_json(json.loads(json.dumps(to_json(event)))) == event


@pytest.mark.parametrize("noise", [0, -1, float("nan"), float("inf"), 1e-10, 1e13, "1", None, True])
@pytest.mark.parametrize("kind", [Gaussian, Laplace, Exponential])
def test_noise_outside_its_domain_is_refused(kind: Any, noise: Any) -> None:
    with pytest.raises(ParameterError):
        kind(noise)


@pytest.mark.parametrize(
    ("rate", "steps"), [(0, 1), (1.01, 1), (float("nan"), 1), (0.1, 0), (0.1, 1.0), (0.1, True), (0.1, 10**9 + 1)]
)
def test_samples_outside_their_domain_are_refused(rate: Any, steps: Any) -> None:
    with pytest.raises(ParameterError):
        SampledGaussian(1.0, rate, steps)


@pytest.mark.parametrize("delta", [0, 1, -1e-9, float("nan"), float("inf")])
def test_a_threshold_has_a_chance(delta: float) -> None:
    with pytest.raises(ParameterError):
        Threshold(delta)


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {},
        {"kind": "gaussian"},
        {"kind": "gauss", "noise_multiplier": 1.0},
        {"kind": ["gaussian"], "noise_multiplier": 1.0},
        {"kind": "gaussian", "noise_multiplier": "1"},
        {"kind": "gaussian", "noise_multiplier": True},
        {"kind": "gaussian", "noise_multiplier": 1.0, "steps": 1},
        {"kind": "gaussian", "noise_multiplier": float("nan")},
        {"kind": "gaussian", "noise_multiplier": 10**400},
        {"kind": "sampled_gaussian", "noise_multiplier": 1.0, "sampling_rate": 0.5, "steps": 2.5},
    ],
)
def test_a_foreign_event_is_refused(values: Any) -> None:
    with pytest.raises(ParameterError):
        from_json(values)
