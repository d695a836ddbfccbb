"""What a detector counts behind an object: Beer–Lambert, quantum and electronic noise, and CT scans of slices. Knows no anatomy.

A beam of n0 photons per cell keeps n0 exp(-line integral) of them (Beer–Lambert, one effective energy); counts are Poisson, electronics
add Gaussian noise of constant spread in photon equivalents (Whiting et al. 2006, doi:10.1118/1.2230762).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manikin.data.errors import parameter_error
from manikin.simulation.imaging import tissues
from manikin.simulation.imaging.parallel_beam import Array, Filter, ParallelBeam


def transmitted(line_integrals: Array, photons: float) -> Array:
    """Expected counts behind line integrals (no unit), for `photons` per cell in the open beam."""
    return photons * np.exp(-np.asarray(line_integrals, dtype=float))


def counted(expected: Array, rng: np.random.Generator, electronic: float = 0.0) -> Array:
    """Counts with Poisson noise, and Gaussian noise of `electronic` photon equivalents (standard deviation)."""
    if electronic < 0:
        raise parameter_error("electronic", "counted", "0 or above", electronic)
    counts = rng.poisson(expected).astype(float)
    return counts + rng.normal(0, electronic, counts.shape) if electronic else counts


def log_transformed(counts: Array, photons: float) -> Array:
    """Line integrals from counts: -ln(counts / photons); a cell that caught less than one photon is read as one."""
    return -np.log(np.maximum(counts, 1.0) / photons)


@dataclass(frozen=True, kw_only=True)
class CTScanner:
    """A scan of one slice: parallel projections, noise, filtered back-projection.

    Attributes
    ----------
    photons : per detector cell and view in the open beam; infinity for none of the noise.
    electronic : spread of the electronics' noise, photon equivalents.
    n_angles : views over 180 degrees.
    filter : window over the ramp.
    mu_water : 1/mm at the beam's effective energy.
    """

    photons: float = 1e5
    electronic: float = 5.0
    n_angles: int = 360
    filter: Filter = "hann"
    mu_water: float = tissues.MU_WATER_80_KEV

    def scan(self, hu: Array, spacing_mm: float, rng: np.random.Generator) -> Array:
        """The slice (rows, columns) in Hounsfield units as this scanner shows it, float32."""
        beam = ParallelBeam(hu.shape, np.arange(self.n_angles) * (180 / self.n_angles), spacing_mm)
        return tissues.hounsfield(beam.fbp(self.measure(hu, beam, rng), self.filter), self.mu_water).astype(np.float32)

    def measure(self, hu: Array, beam: ParallelBeam, rng: np.random.Generator) -> Array:
        """Noisy line integrals (n_angles, n_detectors)."""
        sinogram = beam.forward(tissues.attenuation(hu, self.mu_water))
        if np.isinf(self.photons):
            return sinogram
        return log_transformed(counted(transmitted(sinogram, self.photons), rng, self.electronic), self.photons)


def window(hu: Array, level: float, width: float) -> Array:
    """Hounsfield units to [0, 1] as a reading room shows them."""
    out: Any = np.clip((np.asarray(hu) - level) / width + 0.5, 0, 1)
    return out
