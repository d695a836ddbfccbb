"""Positron emission: uptake projected through attenuation and the scanner's blur, Poisson counts, MLEM and OSEM. Knows no anatomy.

Expected counts of a line: t exp(-integral of mu) (integral of the blurred uptake) + background. MLEM (Shepp and Vardi 1982,
doi:10.1109/TMI.1982.4307558) and its ordered subsets (Hudson and Larkin 1994, doi:10.1109/42.363108) with the exact transpose of the same
model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manikin.data.errors import parameter_error
from manikin.simulation.imaging import tissues
from manikin.simulation.imaging.parallel_beam import ParallelBeam

Array = np.ndarray[Any, np.dtype[Any]]


def attenuation_511(hu: Array) -> Array:
    """mu at 511 keV (1/mm): with density below water, less steep above, as bone's photoelectric part is gone.

    The bilinear form of Burger et al. 2002 (doi:10.1007/s00259-002-0796-3), slopes rounded.
    """
    hu = np.asarray(hu)
    return np.clip(tissues.MU_WATER_511_KEV * np.where(hu <= 0, 1 + hu / 1000, 1 + hu * 0.0005), 0, None)


@dataclass(frozen=True, kw_only=True)
class PETScanner:
    """A ring seen as parallel lines.

    Attributes
    ----------
    counts : expected true counts of the whole slice. background : randoms and scatter, as a share of them, spread evenly.
    fwhm_mm : resolution. n_angles : over 180 degrees. iterations, subsets : of OSEM; one subset is MLEM.
    """

    counts: float = 4e5
    background: float = 0.3
    fwhm_mm: float = 5.0
    n_angles: int = 90
    iterations: int = 4
    subsets: int = 9

    def __post_init__(self) -> None:
        if self.n_angles % self.subsets:
            raise parameter_error("subsets", "PETScanner", f"a divisor of n_angles, {self.n_angles}", self.subsets)

    def measure(self, uptake: Array, hu: Array, spacing_mm: float, rng: np.random.Generator) -> tuple[Array, PETModel]:
        """Counts (n_angles, n_detectors) and the model that explains them."""
        model = PETModel(ParallelBeam(uptake.shape, np.arange(self.n_angles) * (180 / self.n_angles), spacing_mm), self.fwhm_mm)
        model = model.attenuated(hu)
        ideal = model.forward(uptake)
        scale = self.counts / max(float(ideal.sum()), 1e-9)
        model = PETModel(model.beam, model.fwhm_mm, model.survive * scale, np.full(ideal.shape, self.background * self.counts / ideal.size))
        return rng.poisson(np.clip(model.forward(uptake), 0, None) + model.background).astype(float), model

    def scan(self, uptake: Array, hu: Array, spacing_mm: float, rng: np.random.Generator) -> Array:
        """Reconstructed uptake, float32, in the unit that was given."""
        counts, model = self.measure(uptake, hu, spacing_mm, rng)
        return model.osem(counts, self.iterations, self.subsets).astype(np.float32)


@dataclass(frozen=True, eq=False)
class PETModel:
    """The linear model of a slice: `survive` (n_angles, n_detectors) is what attenuation and sensitivity leave, `background` is added."""

    beam: ParallelBeam
    fwhm_mm: float = 5.0
    survive: Any = 1.0
    background: Any = 0.0

    def attenuated(self, hu: Array) -> PETModel:
        """The same behind a body of these Hounsfield units."""
        return PETModel(self.beam, self.fwhm_mm, np.exp(-self.beam.forward(attenuation_511(hu))), self.background)

    def _blur(self, image: Array) -> Array:
        from scipy.ndimage import gaussian_filter

        return gaussian_filter(image, self.fwhm_mm / 2.3548 / self.beam.spacing_mm, mode="constant")

    def forward(self, uptake: Array) -> Array:
        """Expected true counts."""
        return self.survive * self.beam.forward(self._blur(uptake))

    def adjoint(self, counts: Array) -> Array:
        """The transpose of `forward`; a Gaussian blur that sees zeros outside is its own transpose."""
        return self._blur(self.beam.adjoint(self.survive * counts))

    def osem(self, counts: Array, iterations: int, subsets: int = 1) -> Array:
        """Uptake, never negative, from counts; each subset takes every `subsets`-th angle."""
        survive = np.broadcast_to(self.survive, counts.shape)
        background = np.broadcast_to(self.background, counts.shape)
        beam = self.beam
        parts = []
        for k in range(subsets):
            own = ParallelBeam(beam.size, beam.angles[k::subsets], beam.spacing_mm, beam.detectors, beam.cell_mm)
            model = PETModel(own, self.fwhm_mm, survive[k::subsets], background[k::subsets])
            parts.append((model, counts[k::subsets], np.maximum(model.adjoint(np.ones_like(counts[k::subsets])), 1e-9)))
        seen = sum(part[2] for part in parts) > 1e-3 * max(float(part[2].max()) for part in parts)
        image = seen * (counts.sum() / max(float(sum(part[2].sum() for part in parts)), 1e-9))
        for _ in range(iterations):
            for model, own_counts, sensitivity in parts:
                expected = np.maximum(model.forward(image) + model.background, 1e-9)
                image = image * np.clip(model.adjoint(own_counts / expected), 0, None) / sensitivity * seen
        return image
