"""Projections of a plane: exact adjoints, mass, analytic chords, filtered back-projection."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.data.errors import ParameterError
from manikin.simulation.imaging import shepp_logan
from manikin.simulation.imaging.fan_beam import FanBeam
from manikin.simulation.imaging.parallel_beam import FILTERS, ParallelBeam
from manikin.simulation.imaging.tissues import MU_WATER_80_KEV, attenuation, hounsfield
from manikin.simulation.imaging.x_rays import CTScanner, counted, log_transformed, transmitted

N = 128
PIXEL = 2 / N


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    return shepp_logan.image(N)


@pytest.fixture(scope="module")
def beam() -> ParallelBeam:
    return ParallelBeam((N, N), np.arange(180.0), PIXEL)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 17),
    columns=st.integers(1, 17),
    angles=st.lists(st.floats(-400, 400), min_size=1, max_size=5),
    detectors=st.integers(1, 30),
    cell=st.floats(0.3, 3),
    seed=st.integers(0, 99),
)
def test_back_projection_is_the_transpose_of_projection(
    rows: int, columns: int, angles: list[float], detectors: int, cell: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    beam = ParallelBeam((rows, columns), np.array(angles), 0.7, detectors, cell)
    x, y = rng.normal(size=(rows, columns)), rng.normal(size=(len(angles), detectors))
    there, back = (beam.forward(x) * y).sum(), (x * beam.adjoint(y)).sum()
    assert there == pytest.approx(back, rel=1e-4, abs=1e-4 * np.linalg.norm(x) * np.linalg.norm(y))


def test_each_view_holds_the_whole_mass(head: np.ndarray, beam: ParallelBeam) -> None:
    assert beam.forward(head).sum(axis=1) * beam.cell_mm == pytest.approx(np.full(180, head.sum() * PIXEL**2), rel=1e-5)


def test_projections_are_the_chords_of_the_ellipses(head: np.ndarray, beam: ParallelBeam) -> None:
    truth = shepp_logan.line_integrals(shepp_logan.Rays.parallel(beam.angles, beam.offsets_mm))
    error = np.linalg.norm(beam.forward(head) - truth) / np.linalg.norm(truth)
    assert error < 0.04


def test_an_axis_aligned_view_is_a_plain_sum(head: np.ndarray) -> None:
    beam = ParallelBeam((N, N), np.array([0.0, 90.0]), PIXEL, N)
    across, up = beam.forward(head)
    assert across == pytest.approx(head.sum(axis=0) * PIXEL, abs=1e-5)
    assert up == pytest.approx(head.sum(axis=1)[::-1] * PIXEL, abs=1e-5)  # s is y, which runs up


def test_it_agrees_with_scikit_image(head: np.ndarray) -> None:
    radon = pytest.importorskip("skimage.transform").radon
    small = head[::2, ::2]
    angles = np.arange(0, 180, 10.0)
    # their centre of rotation is pixel n // 2, half a pixel off the middle: an odd image has one middle
    odd = np.pad(small, ((0, 1), (0, 1)))
    theirs = radon(odd.astype(float), angles, circle=True).T
    ours = ParallelBeam(odd.shape, angles, 1.0, theirs.shape[1]).forward(odd)
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 0.05


def test_filtered_back_projection_brings_the_head_back(head: np.ndarray, beam: ParallelBeam) -> None:
    inside = np.hypot(*np.meshgrid(*[np.linspace(-1, 1, N)] * 2)) < 0.98
    found = beam.fbp(beam.forward(head))
    assert np.sqrt(((found - head)[inside] ** 2).mean()) < 0.06
    middle = slice(N // 2 - 2, N // 2 + 2)
    assert found[middle, middle].mean() == pytest.approx(head[middle, middle].mean(), abs=0.01)
    rough = [np.abs(np.diff(beam.fbp(beam.forward(head), name), axis=1)).mean() for name in ("ram-lak", "cosine", "hann")]
    assert rough == sorted(rough, reverse=True)
    with pytest.raises(ParameterError, match=FILTERS[0]):
        beam.fbp(beam.forward(head), "box")  # type: ignore[arg-type]


def test_a_full_turn_is_as_good_as_half(head: np.ndarray) -> None:
    half = ParallelBeam((N, N), np.arange(0, 180, 2.0), PIXEL)
    full = ParallelBeam((N, N), np.arange(0, 360, 2.0), PIXEL)
    assert full.fbp(full.forward(head)) == pytest.approx(half.fbp(half.forward(head)), abs=1e-3)


@settings(max_examples=8, deadline=None)
@given(rows=st.integers(2, 14), columns=st.integers(2, 14), views=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_fan_has_an_exact_transpose_too(rows: int, columns: int, views: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fan = FanBeam((rows, columns), 1.0, source_mm=40, n_views=views)
    x, y = rng.normal(size=(rows, columns)), rng.normal(size=(views, len(fan.fan_angles)))
    there, back = (fan.forward(x) * y).sum(), (x * fan.adjoint(y)).sum()
    assert there == pytest.approx(back, rel=1e-4, abs=1e-4 * np.linalg.norm(x) * np.linalg.norm(y))


def test_a_fan_sees_the_chords_and_brings_the_head_back(head: np.ndarray) -> None:
    fan = FanBeam((N, N), PIXEL, source_mm=4.0, n_views=360)
    beta = np.arange(360) * 2 * np.pi / 360
    theta = np.rad2deg(beta[:, None] + fan.fan_angles)
    s = 4.0 * np.sin(fan.fan_angles)
    rays = [shepp_logan.Rays.parallel(theta[:, j], s[j : j + 1]) for j in range(len(s))]
    truth = np.concatenate([shepp_logan.line_integrals(ray) for ray in rays], axis=1)
    found = fan.forward(head)
    assert np.linalg.norm(found - truth) / np.linalg.norm(truth) < 0.06
    inside = np.hypot(*np.meshgrid(*[np.linspace(-1, 1, N)] * 2)) < 0.98
    assert np.sqrt(((fan.fbp(found) - head)[inside] ** 2).mean()) < 0.09
    with pytest.raises(ParameterError, match="outside the image"):
        FanBeam((N, N), PIXEL, source_mm=1.0)


def test_beer_and_lambert_hold_without_noise() -> None:
    disc = np.hypot(*np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5)) < 20
    beam = ParallelBeam((64, 64), np.array([0.0, 33.0]), 1.0, 65)
    counts = transmitted(beam.forward(disc * MU_WATER_80_KEV), 1e5)
    chord = 2 * np.sqrt(np.clip(20**2 - beam.offsets_mm**2, 0, None))
    middle = np.abs(beam.offsets_mm) < 15
    assert counts[:, middle] == pytest.approx(np.tile(1e5 * np.exp(-MU_WATER_80_KEV * chord[middle]), (2, 1)), rel=0.02)
    assert log_transformed(counts, 1e5) == pytest.approx(beam.forward(disc * MU_WATER_80_KEV), abs=1e-6)


def test_counts_have_the_moments_of_poisson_and_electronics() -> None:
    counts = counted(np.full(200_000, 40.0), np.random.default_rng(0), electronic=5.0)
    assert counts.mean() == pytest.approx(40, rel=0.01)
    assert counts.var() == pytest.approx(40 + 25, rel=0.02)
    with pytest.raises(ParameterError, match="electronic"):
        counted(np.ones(2), np.random.default_rng(0), electronic=-1)


def test_a_scan_shows_hounsfield_units_and_less_dose_is_noisier() -> None:
    place = np.hypot(*np.meshgrid(np.arange(64) - 31.5, np.arange(64) - 31.5))
    hu = np.where(place < 25, 40.0, -1000.0)
    inside = place < 18
    noise = []
    for photons in (np.inf, 1e6, 1e5, 1e4):
        found = CTScanner(photons=photons, n_angles=90).scan(hu, 4.0, np.random.default_rng(0))
        assert found[inside].mean() == pytest.approx(40, abs=12)
        noise.append(found[inside].std())
    assert noise == sorted(noise)
    assert noise[2] / noise[1] == pytest.approx(10**0.5, rel=0.35)


def test_hounsfield_units_and_attenuation_are_inverse() -> None:
    assert hounsfield(attenuation(np.array([-1000, 0, 350.0]))) == pytest.approx([-1000, 0, 350])
    assert attenuation(-2000) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_one_pixel_images_are_projected(size: tuple[int, int]) -> None:
    beam = ParallelBeam(size, np.array([0.0, 30, 45, 90, 135]), 2.0)
    assert beam.forward(np.ones(size)).sum(axis=1) * 2.0 == pytest.approx(np.full(5, size[0] * size[1] * 4), rel=1e-5)


def test_what_cannot_be_projected_is_said() -> None:
    with pytest.raises(ParameterError, match="angles"):
        ParallelBeam((4, 4), np.array([np.nan]))
    with pytest.raises(ParameterError, match="shape"):
        ParallelBeam((4, 4), np.array([0.0])).forward(np.ones((4, 5)))
    with pytest.raises(ParameterError, match="size"):
        ParallelBeam((0, 4), np.array([0.0]))
    with pytest.raises(ParameterError, match="spacing_mm"):
        ParallelBeam((4, 4), np.array([0.0]), -1.0)


def test_the_head_in_space_is_its_own_chords() -> None:
    volume = shepp_logan.volume(48)
    place = (np.arange(48) + 0.5) / 24 - 1
    z, x = np.meshgrid(-place, place, indexing="ij")
    points = np.stack([x, 0 * x, z], axis=-1)
    truth = shepp_logan.line_integrals_3d(points, np.broadcast_to([0.0, 1.0, 0.0], points.shape))
    error = np.linalg.norm(volume.sum(axis=1) / 24 - truth) / np.linalg.norm(truth)
    assert error < 0.1
