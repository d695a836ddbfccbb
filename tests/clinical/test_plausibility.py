"""Plausible ranges: found by plain names alone, in the unit that the values are in."""

from __future__ import annotations

import pytest

from manikin.clinical.plausibility import CELSIUS, FAHRENHEIT, HEIGHT_CM, RANGES, WEIGHT_KG, plausible_range


@pytest.mark.parametrize(
    ("name", "median", "quantity"),
    [
        ("HeartRate", 76, "heart rate"),
        ("heart_rate", 80, "heart rate"),
        ("Age", 40, "age"),
        ("age", 19_000, None),  # in days
        ("SystolicBP", 120, "systolic pressure"),
        ("height", 165, "height"),
        ("height", 65, None),  # in inches
        ("rate", 80, None),
        ("heart_rate_change", 5, None),
        ("glucose_age", 50, None),
    ],
)
def test_names_are_matched_conservatively(name: str, median: float, quantity: str | None) -> None:
    found = plausible_range(name, median=median)
    assert (found.quantity if found else None) == quantity


def test_temperature_tells_its_unit() -> None:
    assert plausible_range("BodyTemp", median=98) is FAHRENHEIT
    assert plausible_range("temp", median=36.7) is CELSIUS
    assert plausible_range("temp", median=300) is None
    assert FAHRENHEIT.minimum == pytest.approx(CELSIUS.minimum * 9 / 5 + 32, abs=0.05)
    assert FAHRENHEIT.maximum == pytest.approx(CELSIUS.maximum * 9 / 5 + 32, abs=0.05)


def test_every_range_has_its_source_and_its_ends_in_order() -> None:
    for found in (*RANGES, CELSIUS, FAHRENHEIT, HEIGHT_CM, WEIGHT_KG):
        assert found.minimum < found.maximum
        assert found.citation.identifier
