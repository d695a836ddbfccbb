"""Magnetic resonance: energies, adjoints, moments; pairs of MR and CT with their lesions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.data.errors import ParameterError
from manikin.simulation.imaging import mr
from manikin.simulation.imaging.pairs import pairs


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 12), columns=st.integers(1, 12), n_coils=st.integers(1, 4), seed=st.integers(0, 99))
def test_encoding_has_an_exact_adjoint_and_keeps_energy(rows: int, columns: int, n_coils: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)) + 1j * rng.normal(size=(rows, columns))
    y = rng.normal(size=(n_coils, rows, columns)) + 1j * rng.normal(size=(n_coils, rows, columns))
    coils = mr.coil_sensitivities((rows, columns), n_coils)
    some = mr.Encoding(coils, mr.cartesian_lines(rows, rng, acceleration=2))
    assert np.vdot(y, some.forward(x)) == pytest.approx(np.vdot(some.adjoint(y), x))
    full = mr.Encoding(coils, np.ones(rows, bool)).forward(x)
    assert (np.abs(full) ** 2).sum() == pytest.approx((np.abs(x) ** 2).sum())  # Parseval: the coils' squares sum to 1
    assert mr.to_image(mr.to_k_space(x)) == pytest.approx(x)


def test_noise_of_magnitudes_has_the_moments_of_rice() -> None:
    rng = np.random.default_rng(0)
    nothing = mr.rician(np.zeros(200_000), 2.0, rng)
    assert nothing.mean() == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.01)  # Rayleigh
    assert (mr.rician(np.full(200_000, 3.0), 2.0, rng) ** 2).mean() == pytest.approx(9 + 2 * 4, rel=0.01)


def test_weightings_order_tissues_as_they_should() -> None:
    t1, t2, pd = np.array([500.0, 833, 2569]), np.array([70.0, 83, 329]), np.array([0.77, 0.86, 1])  # white, grey, CSF
    white, grey, csf = mr.T1_WEIGHTED.signal(t1, t2, pd)
    assert white > grey > csf
    white, grey, csf = mr.T2_WEIGHTED.signal(t1, t2, pd)
    assert white < grey < csf
    assert mr.FLAIR.signal(t1, t2, pd)[2] < 0.1 * mr.T2_WEIGHTED.signal(t1, t2, pd)[2]
    # long TR and short TE show the proton density alone
    assert mr.Sequence(tr_ms=1e6, te_ms=0).signal(t1, t2, pd) == pytest.approx(pd, rel=1e-5)
    assert mr.Sequence().signal(np.zeros(1), np.zeros(1), np.zeros(1)) == 0
    with pytest.raises(ParameterError, match="spin_echo"):
        mr.Sequence(kind="echo_planar").signal(t1, t2, pd)  # type: ignore[arg-type]


def test_faster_and_partial_sampling_measures_fewer_lines() -> None:
    counts = [mr.cartesian_lines(128, np.random.default_rng(0), acceleration=a).sum() for a in (1, 2, 4)]
    assert counts[0] == 128
    assert counts[1:] == pytest.approx([64, 32], abs=8)
    assert mr.cartesian_lines(128, np.random.default_rng(0), partial=0.625).sum() == 80
    with pytest.raises(ParameterError, match="partial"):
        mr.cartesian_lines(8, np.random.default_rng(0), partial=0.2)


def test_bias_stays_within_its_strength_and_motion_moves_only_what_it_says() -> None:
    field = mr.bias_field((40, 30), np.random.default_rng(0), 0.2)
    assert np.abs(np.log(field)).max() == pytest.approx(0.2, rel=1e-4)
    assert mr.bias_field((1, 1), np.random.default_rng(0), 0.2) == pytest.approx(1)
    square = np.zeros((64, 64))
    square[20:44, 20:44] = 1
    errors = [
        np.linalg.norm(np.abs(mr.to_image(mr.moved_k_space(square, np.random.default_rng(1), shift_px=px))) - square)
        for px in (0.0, 0.5, 1.0, 2.0)
    ]
    assert errors[0] == pytest.approx(0, abs=1e-9)
    assert errors == sorted(errors)


@pytest.mark.parametrize("anatomy", ["head", "pelvis"])
def test_pairs_are_of_one_phantom_and_know_their_lesions(anatomy: str) -> None:
    made = pairs(6, 48, seed=2, anatomy=anatomy, with_lesion=0.5)
    images, ct, lesions, labels = made
    assert images.shape == ct.shape == lesions.shape == (6, 48, 48)
    assert images.dtype == ct.dtype == np.float32
    assert 0 <= images.min() < images.max() <= 1
    assert 0 <= ct.min() < ct.max() <= 1
    assert [bool(mask.any()) for mask in lesions] == [label != "normal" for label in labels]
    assert len({label != "normal" for label in labels}) == 2
    body = [phantom.labels != 0 for phantom in made.phantoms]
    for one in (images, ct):
        assert all(image[inside].mean() > 2 * image[~inside].mean() for image, inside in zip(one, body, strict=True))
    again = pairs(2, 48, seed=2, anatomy=anatomy, with_lesion=0.5)
    assert np.array_equal(again.mr, images[:2])
    for phantom in made.phantoms:
        for lesion in phantom.lesions:
            (top, bottom), (left, right) = lesion.box
            assert lesion.mask[top:bottom, left:right].sum() == lesion.mask.sum() > 0


def test_pairs_at_their_edges() -> None:
    assert pairs(0, 16).mr.shape == (0, 16, 16)
    assert all(label == "normal" for label in pairs(3, 16, with_lesion=0).labels)
    for wrong in ({"anatomy": "knee"}, {"size": 4}, {"with_lesion": 2.0}):
        with pytest.raises(ParameterError):
            pairs(**{"n": 1, **wrong})  # type: ignore[arg-type]
