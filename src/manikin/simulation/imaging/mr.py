"""Magnetic resonance: signals, coils, k-space sampling with its exact adjoint, motion between lines, Rician noise. Knows no anatomy.

Signals (times in ms): spin echo PD (1 - exp(-TR/T1)) exp(-TE/T2); spoiled gradient echo PD sin(a) (1 - E1) / (1 - cos(a) E1)
exp(-TE/T2*), E1 = exp(-TR/T1); inversion recovery PD (1 - 2 exp(-TI/T1) + exp(-TR/T1)) exp(-TE/T2), magnitude (Haacke et al., Magnetic
Resonance Imaging, 1999, ISBN 0-471-35128-8). k-space is the unitary two-dimensional Fourier transform of coil-weighted images, so that
its energy is that of the image (Parseval), on the lines that are sampled. The magnitude of complex Gaussian noise is Rician (Gudbjartsson
and Patz 1995, doi:10.1002/mrm.1910340618).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from manikin.data.errors import parameter_error
from manikin.simulation.imaging.phantom import Phantom

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["spin_echo", "gradient_echo", "inversion_recovery"]
T2_STAR_SHARE = 0.6  # of T2: the dephasing that a gradient echo does not undo, a plain stand-in


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """A pulse sequence's timing; `flip` in degrees counts for gradient echoes, `ti_ms` for inversion recovery."""

    kind: Kind = "spin_echo"
    tr_ms: float = 500.0
    te_ms: float = 15.0
    flip: float = 30.0
    ti_ms: float = 2200.0

    def signal(self, t1_ms: Array, t2_ms: Array, proton_density: Array) -> Array:
        """Magnitude of the signal, in units of the proton density, float32; 0 where there are no protons or no T2."""
        t1, t2 = np.maximum(t1_ms, 1e-3), np.maximum(t2_ms, 1e-3)
        e1 = np.exp(-self.tr_ms / t1)
        if self.kind == "spin_echo":
            out = (1 - e1) * np.exp(-self.te_ms / t2)
        elif self.kind == "gradient_echo":
            a = np.deg2rad(self.flip)
            out = np.sin(a) * (1 - e1) / (1 - np.cos(a) * e1) * np.exp(-self.te_ms / (T2_STAR_SHARE * t2))
        elif self.kind == "inversion_recovery":
            out = np.abs(1 - 2 * np.exp(-self.ti_ms / t1) + e1) * np.exp(-self.te_ms / t2)
        else:
            raise parameter_error("kind", "Sequence", "spin_echo, gradient_echo or inversion_recovery", self.kind)
        return (np.asarray(proton_density) * out).astype(np.float32)

    def of(self, phantom: Phantom) -> Array:
        """The signal of each pixel of a phantom: per fine cell would be truer, per pixel is what its maps give."""
        return np.clip(self.signal(phantom.map("t1_ms"), phantom.map("t2_ms"), phantom.map("proton_density")), 0, None)


T1_WEIGHTED = Sequence(kind="spin_echo", tr_ms=500, te_ms=15)
T2_WEIGHTED = Sequence(kind="spin_echo", tr_ms=4000, te_ms=100)
PD_WEIGHTED = Sequence(kind="spin_echo", tr_ms=3000, te_ms=15)
FLAIR = Sequence(kind="inversion_recovery", tr_ms=9000, te_ms=100, ti_ms=1750)
GRADIENT_ECHO = Sequence(kind="gradient_echo", tr_ms=25, te_ms=5, flip=30)
SEQUENCES = {"t1": T1_WEIGHTED, "t2": T2_WEIGHTED, "pd": PD_WEIGHTED, "flair": FLAIR, "gre": GRADIENT_ECHO}


def to_k_space(image: Array) -> Array:
    """Unitary transform of the last two axes, the middle of k-space in the middle of the array."""
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes=axes), norm="ortho"), axes=axes)


def to_image(k_space: Array) -> Array:
    """The inverse of `to_k_space`, and its adjoint."""
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(k_space, axes=axes), norm="ortho"), axes=axes)


@dataclass(frozen=True, eq=False)
class Encoding:
    """Coil-weighted Cartesian sampling as a linear map, with its adjoint.

    Attributes
    ----------
    coils : complex (n_coils, rows, columns) sensitivities.
    lines : bool (rows,), the phase-encoding lines (k-space rows) that are measured.
    """

    coils: Array
    lines: Array

    def forward(self, image: Array) -> Array:
        """k-space (n_coils, rows, columns), zero where nothing is measured."""
        return to_k_space(self.coils * image) * self.lines[:, None]

    def adjoint(self, k_space: Array) -> Array:
        """An image (rows, columns): <forward(x), y> = <x, adjoint(y)>."""
        out: Array = (np.conj(self.coils) * to_image(k_space * self.lines[:, None])).sum(axis=0)
        return out


def cartesian_lines(n: int, rng: np.random.Generator, *, acceleration: float = 1.0, centre: float = 0.08, partial: float = 1.0) -> Array:
    """Which of n lines are measured.

    Parameters
    ----------
    acceleration : about one line in so many; those in the middle are always measured.
    centre : share of the lines around the middle that is measured in full.
    partial : share of k-space measured from one side (partial Fourier), above 0.5.
    """
    if acceleration < 1 or not 0.5 < partial <= 1:
        must = "1 or above, with partial above 0.5 and at most 1"
        raise parameter_error("acceleration", "cartesian_lines", must, (acceleration, partial))
    away = np.abs(np.arange(n) - n // 2)
    middle = away <= max(1, round(n * centre / 2))
    wanted = max(0.0, (n / acceleration - middle.sum()) / max(1, n - middle.sum()))
    lines = middle | (rng.random(n) < wanted)
    lines[round(n * partial) :] = False
    return lines


def coil_sensitivities(size: tuple[int, int], n_coils: int) -> Array:
    """Complex (n_coils, rows, columns): coils on a ring around the image, falling off as smooth bumps, sum of squares 1 at each pixel."""
    y, x = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij")
    angle = (np.arange(n_coils) * 2 * np.pi / n_coils)[:, None, None]
    away = (x - 1.3 * np.cos(angle)) ** 2 + (y - 1.3 * np.sin(angle)) ** 2
    coils = np.exp(-away / 1.8) * np.exp(1j * (angle + 0.5 * (x * np.cos(angle) + y * np.sin(angle))))
    return coils / np.sqrt((np.abs(coils) ** 2).sum(axis=0, keepdims=True))


def bias_field(size: tuple[int, ...], rng: np.random.Generator, strength: float) -> Array:
    """A smooth factor around 1, float32: exp of random polynomials up to third order, its logarithm scaled to lie within +-`strength`.

    A strength of 0.2 is +-20 per cent, as BrainWeb counts it ("40 % INU"; Collins et al. 1998, doi:10.1109/42.712135).
    """
    axes = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in size), indexing="ij", sparse=True)
    total = np.zeros(size)
    for i, a in enumerate(axes):
        for power in (1, 2, 3):
            total = total + rng.normal(0, 1 / power) * a**power
        for b in axes[i + 1 :]:
            total = total + rng.normal(0, 0.5) * a * b
    total -= total.mean()
    peak = float(np.abs(total).max())
    return np.exp(total / (peak or 1) * strength).astype(np.float32)


def moved_k_space(image: Array, rng: np.random.Generator, *, shift_px: float, turn: float = 0.0, n_moves: int = 4) -> Array:
    """k-space (rows, columns) of a patient who moves between lines, a few times.

    Parameters
    ----------
    shift_px : spread of each rest position's shift along both axes, pixels.
    turn : spread of its turn, degrees.
    n_moves : sudden moves, at random lines; lines near the middle are measured in the first position, or the whole picture would shift.
    """
    from scipy.ndimage import rotate

    still = to_k_space(image)
    out = still.copy()
    n = image.shape[0]
    ky, kx = np.arange(n) - n // 2, np.arange(image.shape[1]) - image.shape[1] // 2
    starts = np.sort(rng.integers(0, n, n_moves)) if n > 1 else np.zeros(n_moves, int)
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        dy, dx = rng.normal(0, 1, 2) * shift_px
        angle = float(rng.normal(0, 1)) * turn
        turned = to_k_space(rotate(image, angle, reshape=False, order=1)) if angle else still
        ramp = np.exp(-2j * np.pi * (ky[:, None] * dy / n + kx[None, :] * dx / image.shape[1]))
        hit = np.zeros(n, bool)
        hit[start:end] = True
        hit &= np.abs(ky) > max(1, n // 24)
        out[hit] = (turned * ramp)[hit]
    return out


def rician(image: Array, sigma: float, rng: np.random.Generator) -> Array:
    """Magnitude of an image with complex Gaussian noise of standard deviation `sigma` in each part."""
    real = image + rng.normal(0, 1, image.shape) * sigma
    out: Array = np.hypot(real, rng.normal(0, 1, image.shape) * sigma)
    return out


@dataclass(frozen=True, kw_only=True)
class MRScanner:
    """One slice: signal, bias, coils, motion, sampled lines, noise in k-space, root of the coils' sum of squares.

    Attributes
    ----------
    noise : spread in each part of the complex image, relative to the brightest signal.
    bias : strength of `bias_field`.
    motion_px, motion_deg : see `moved_k_space`; 0 for a patient who lies still.
    """

    sequence: Sequence = T1_WEIGHTED
    noise: float = 0.02
    bias: float = 0.15
    n_coils: int = 4
    acceleration: float = 1.0
    partial: float = 1.0
    motion_px: float = 0.0
    motion_deg: float = 0.0

    def scan(self, phantom: Phantom, rng: np.random.Generator) -> Array:
        """Magnitude image (rows, columns), float32, from 0; the brightest true signal is 1."""
        signal = self.sequence.of(phantom)
        return self.scan_signal(signal / max(float(signal.max()), 1e-6), rng)

    def scan_signal(self, signal: Array, rng: np.random.Generator) -> Array:
        """The same for a signal given as an image."""
        size = (signal.shape[0], signal.shape[1])
        object_ = signal * bias_field(size, rng, self.bias)
        if self.motion_px or self.motion_deg:
            object_ = to_image(moved_k_space(object_, rng, shift_px=self.motion_px, turn=self.motion_deg))
        lines = cartesian_lines(size[0], rng, acceleration=self.acceleration, partial=self.partial)
        encoding = Encoding(coil_sensitivities(size, self.n_coils), lines)
        k_space = encoding.forward(object_)
        noise = rng.normal(0, self.noise, (2, *k_space.shape))
        k_space = k_space + (noise[0] + 1j * noise[1]) * lines[:, None]
        return np.sqrt((np.abs(to_image(k_space)) ** 2).sum(axis=0)).astype(np.float32)

    def with_sequence(self, name: str) -> MRScanner:
        """The same scanner with a named sequence of `SEQUENCES`."""
        return replace(self, sequence=SEQUENCES[name])
