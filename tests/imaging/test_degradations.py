"""Shifts of a finished picture: nothing at strength 0, further away the stronger they are, in the units they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.simulation.imaging import degradations as made


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    y, x = np.mgrid[:48, :40]
    grey = 0.5 + 0.3 * np.sin(x / 3) * np.cos(y / 4)
    return np.stack([grey, grey * 0.8, grey**2])


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 7), columns=st.integers(1, 7), channels=st.sampled_from([1, 3]), seed=st.integers(0, 9))
def test_all_keep_shape_and_range_on_any_size(rows: int, columns: int, channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.random((channels, rows, columns))
    for out in (
        made.exposure(picture, 1), made.vignetting(picture, 2), made.colour_temperature(picture, 3000), made.contrast(picture, 2),
        made.gamma(picture, 0.5), made.blur(picture, 1), made.motion_blur(picture, 3, 45), made.resolution(picture, 3),
        made.rotation(picture, 20), made.perspective(picture, 30, 10), made.displacement(picture, 0.2, 90), made.jpeg(picture, 10),
        made.photons(picture, 10, rng), made.dose(picture, 100, rng), made.rician_noise(picture, 0.1, rng), made.bias(picture, 0.3, rng),
        made.line_motion(picture, 1, rng),
    ):  # fmt: skip
        assert out.shape == picture.shape
        assert np.isfinite(out).all()
        assert -1e-9 <= out.min() <= out.max() <= 1 + 1e-9


def test_light_is_in_stops_and_kelvin(picture: np.ndarray) -> None:
    assert made.to_display(made.to_light(picture)) == pytest.approx(picture)
    darker = made.exposure(picture, -1)
    assert made.to_light(darker) == pytest.approx(made.to_light(picture) / 2)
    corner = made.vignetting(np.full((1, 33, 33), 0.8), 2)[0]
    assert made.to_light(corner[0, 0]) / made.to_light(corner[16, 16]) == pytest.approx(0.25)
    assert made.white_balance(6500) == pytest.approx([1, 1, 1])
    red, _, blue = made.white_balance(3000)
    assert red > 1 > blue
    assert np.array_equal(made.colour_temperature(picture[:1], 3000), picture[:1])  # grey has no colour to lose


def test_pose_is_in_degrees(picture: np.ndarray) -> None:
    square = picture[:, :40, :40]
    assert made.rotation(square, 90) == pytest.approx(np.rot90(square, axes=(1, 2)), abs=1e-9)
    assert made.perspective(square, 0) == pytest.approx(square, abs=1e-9)
    tilted = made.perspective(np.ones((1, 101, 101)), 40)[0]  # the tilted plane is seen narrower, by about cos(40 degrees)
    assert tilted[:, 50].mean() == pytest.approx(np.cos(np.deg2rad(40)), abs=0.06)
    assert made.displacement(picture, 0.25, 0)[:, :, 10:] == pytest.approx(picture[:, :, :30])


def test_noise_is_in_photons_and_sigma() -> None:
    rng = np.random.default_rng(0)
    flat = made.to_display(np.full((1, 300, 300), 0.25))
    light = made.to_light(made.photons(flat, 400, rng))
    assert light.mean() == pytest.approx(0.25, rel=0.01)
    assert light.std() == pytest.approx(np.sqrt(0.25 / 400), rel=0.02)
    assert made.rician_noise(np.full((1, 300, 300), 0.5), 0.02, rng).std() == pytest.approx(0.02, rel=0.03)
    quiet, loud = (made.dose(np.full((1, 200, 200), 0.5), n, rng).std() for n in (1e5, 1e3))
    assert loud / quiet == pytest.approx(10, rel=0.1)


def test_a_pixel_of_blur_has_a_pixel_of_spread() -> None:
    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1
    for out, variance in ((made.blur(point, 2.0), 4.0), (made.motion_blur(point, 9, 0), 9**2 / 12)):
        across = out[0].sum(axis=0)
        found = (across * (np.arange(41) - 20) ** 2).sum() / across.sum()
        assert found == pytest.approx(variance, rel=0.25)


@pytest.mark.parametrize(
    ("apply", "strengths"),
    [
        (made.exposure, (0, 0.5, 1, 2)),
        (made.vignetting, (0, 1, 2, 4)),
        (made.blur, (0, 0.5, 1, 2)),
        (made.resolution, (1, 2, 4, 8)),
        (made.rotation, (0, 2, 5, 10)),
        (made.perspective, (0, 10, 20, 40)),
        (lambda picture, k: made.colour_temperature(picture, k), (6500, 5500, 4500, 3000)),
        (made.jpeg, (95, 50, 20, 5)),
        (lambda picture, s: made.rician_noise(picture, s, np.random.default_rng(0)), (0, 0.05, 0.1, 0.2)),
        (lambda picture, s: made.bias(picture, s, np.random.default_rng(0)), (0, 0.1, 0.2, 0.4)),
        (lambda picture, s: made.line_motion(picture, s, np.random.default_rng(0)), (0, 0.5, 1, 2)),
    ],
)
def test_stronger_is_further_away(picture: np.ndarray, apply, strengths) -> None:  # type: ignore[no-untyped-def]
    away = [np.abs(apply(picture, strength) - picture).mean() for strength in strengths]
    assert away == sorted(away)
    assert away[0] < 0.02
