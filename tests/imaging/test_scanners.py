"""Cone beams, PET and ultrasound: adjoints, chords, moments; every simulator gives a labelled image, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from manikin.data.errors import ParameterError
from manikin.simulation.imaging import SIMULATORS, shepp_logan, tissues
from manikin.simulation.imaging.cone_beam import ConeBeam
from manikin.simulation.imaging.parallel_beam import ParallelBeam
from manikin.simulation.imaging.pet import PETModel, PETScanner, attenuation_511
from manikin.simulation.imaging.simulators import check_size
from manikin.simulation.imaging.thorax import thorax
from manikin.simulation.imaging.ultrasound import UltrasoundProbe, compressed


@pytest.mark.parametrize("size", [(5, 7, 6), (1, 9, 4), (6, 1, 3)])
def test_a_cone_has_an_exact_transpose(size: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    beam = ConeBeam(size, 2.0, np.array([0.0, 40, 200]), 60, 90)
    x, y = rng.normal(size=size), rng.normal(size=(3, *beam.cells))
    there, back = (beam.forward(x) * y).sum(), (x * beam.adjoint(y)).sum()
    assert there == pytest.approx(back, rel=1e-3, abs=1e-4 * np.linalg.norm(x) * np.linalg.norm(y))


def test_a_cone_sees_the_chords_of_the_head_in_space() -> None:
    n = 48
    beam = ConeBeam((n, n, n), 2 / n, np.array([0.0, 50.0]), 4.0, 6.0)
    found = beam.forward(shepp_logan.volume(n))
    v, u = beam.places
    for view, angle in zip(found, np.deg2rad([0.0, 50.0]), strict=True):
        cos, sin = np.cos(angle), np.sin(angle)
        source = np.array([4.0 * sin, -4.0 * cos, 0.0])
        cells = np.stack(np.broadcast_arrays(u[None, :] * cos - 2.0 * sin, u[None, :] * sin + 2.0 * cos, v[:, None]), axis=-1)
        ways = cells - source
        truth = shepp_logan.line_integrals_3d(np.broadcast_to(source, cells.shape), ways / np.linalg.norm(ways, axis=-1, keepdims=True))
        assert np.linalg.norm(view - truth) / np.linalg.norm(truth) < 0.13


def test_a_cone_scan_brings_a_ball_back() -> None:
    n = 32
    place = np.arange(n) - (n - 1) / 2
    ball = (place[:, None, None] ** 2 + (place[None, :, None] - 3) ** 2 + (place[None, None, :] + 4) ** 2 < 64) * 0.02
    beam = ConeBeam((n, n, n), 1.0, np.arange(0, 360, 6.0), 200, 300)
    found = beam.fdk(beam.forward(ball))
    middle = (slice(13, 19), slice(16, 22), slice(9, 15))
    assert found[middle].mean() == pytest.approx(0.02, rel=0.06)
    assert abs(found[ball == 0].mean()) < 0.001
    with pytest.raises(ParameterError, match="outside the volume"):
        ConeBeam((n, n, n), 1.0, np.array([0.0]), 10, 20)


def test_pet_has_an_exact_transpose_and_keeps_uptake() -> None:
    rng = np.random.default_rng(0)
    model = PETModel(ParallelBeam((12, 12), np.arange(0, 180, 20.0), 4.0), 6.0).attenuated(rng.normal(0, 50, (12, 12)))
    x, y = rng.random((12, 12)), rng.random((9, model.beam.detectors))
    assert (model.forward(x) * y).sum() == pytest.approx((x * model.adjoint(y)).sum(), rel=1e-3)
    place = np.hypot(*np.meshgrid(np.arange(48) - 23.5, np.arange(48) - 23.5))
    uptake, hu = np.where(place < 16, 2.0, 0.0), np.where(place < 18, 0.0, -1000.0)
    hot = np.hypot(*np.meshgrid(np.arange(48) - 30, np.arange(48) - 23.5)) < 5
    uptake[hot] = 6
    errors = []
    for counts in (2e4, 2e6):
        found = PETScanner(counts=counts).scan(uptake, hu, 6.0, np.random.default_rng(1))
        assert found.min() >= 0
        assert found[place < 8].mean() == pytest.approx(uptake[place < 8].mean(), rel=0.12)
        errors.append(np.sqrt(((found - uptake)[place < 14] ** 2).mean()))
    assert errors[0] > errors[1]
    assert attenuation_511(np.array([-1000.0, 0, 1000])) == pytest.approx([0, 0.0096, 0.0144])
    with pytest.raises(ParameterError, match="divisor"):
        PETScanner(n_angles=90, subsets=7)


def test_mlem_never_becomes_less_likely() -> None:
    rng = np.random.default_rng(2)
    truth = rng.random((16, 16)) * (np.hypot(*np.meshgrid(np.arange(16) - 7.5, np.arange(16) - 7.5)) < 7) * 20
    model = PETModel(ParallelBeam((16, 16), np.arange(0, 180, 12.0), 2.0), 3.0, 1.0, 0.1)
    counts = rng.poisson(np.clip(model.forward(truth) + 0.1, 0, None)).astype(float)
    likely = []
    for iterations in (1, 3, 8, 20):
        expected = model.forward(model.osem(counts, iterations)) + 0.1
        likely.append((counts * np.log(expected) - expected).sum())
    assert likely == sorted(likely)


def test_speckle_of_even_tissue_is_rayleigh_and_deeper_tissue_fades_without_gain() -> None:
    from manikin.simulation.imaging.phantom import Phantom

    even = Phantom(np.full((128, 128), tissues.NUMBER["liver"], np.uint8), 1.3)
    envelope = UltrasoundProbe().beams(even, np.random.default_rng(0), 384, 256)
    part = envelope[150:250]
    assert part.mean() / part.std() == pytest.approx(1.91, rel=0.08)  # sqrt(pi / (4 - pi))
    plain = UltrasoundProbe(gain_db_cm_mhz=0).beams(even, np.random.default_rng(0), 384, 256)
    # 0.5 dB / cm / MHz there and back over 100 of 384 steps of 150 mm at 3.5 MHz
    lost = 20 * np.log10((plain[250:260].mean() / envelope[250:260].mean()) / (plain[150:160].mean() / envelope[150:160].mean()))
    assert lost == pytest.approx(-2 * 0.5 * 100 * 15 / 384 * 3.5, rel=0.02)
    shown = compressed(envelope, 60)
    assert 0 <= shown.min() < shown.mean() < shown.max() <= 1


def test_a_lesion_of_the_chest_changes_only_what_is_near_it() -> None:
    plain = thorax((24, 16, 24), np.random.default_rng(5), lesion=None)
    found = thorax((24, 16, 24), np.random.default_rng(5), lesion="consolidation")
    mask = found.lesion_mask
    assert mask.any()
    assert np.array_equal(plain.tissue[~mask], found.tissue[~mask])
    assert found.map("hu")[mask].mean() > plain.map("hu")[mask].mean() + 300
    with pytest.raises(ParameterError, match="nodule"):
        thorax((2, 2, 2), np.random.default_rng(0), lesion="fracture")


@pytest.mark.parametrize("kind", sorted(SIMULATORS))
def test_every_kind_makes_each_of_its_labels(kind: str) -> None:
    simulator = SIMULATORS.load(kind)
    for label in simulator.labels:
        made = simulator.image(40, 1, 2, kind=kind, labels=[label])
        assert made.label == label
        expected = {"haemorrhage", "exudate"} if label == "retinopathy" else {label} - {"normal"}
        assert {lesion.kind for lesion in made.lesions} == expected
        for image in made.images.values():
            assert image.shape in ((1, 40, 40), (3, 40, 40))
            assert 0 <= image.min() < image.max() <= 1
        assert all(lesion.mask.shape == (40, 40) for lesion in made.lesions)
        assert all(isinstance(value, str | int | float) for value in made.attributes.values())
    again = simulator.image(40, 1, 2, kind=kind, labels=[label])
    assert all(np.array_equal(made.images[name], again.images[name]) for name in made.images)
    other = simulator.image(40, 1, 3, kind=kind, labels=[label])
    assert any(not np.array_equal(made.images[name], other.images[name]) for name in made.images)


def test_sizes_that_none_makes_are_refused() -> None:
    check_size(16)
    for size in (0, 15, 4096):
        with pytest.raises(ParameterError, match="16 to 1,024"):
            check_size(size)
