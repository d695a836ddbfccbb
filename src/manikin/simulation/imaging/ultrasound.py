"""B-mode ultrasound: speckle from scatterers, point spread, attenuation, log compression, a convex probe's fan. Knows no anatomy.

In the probe's own grid (depth, beam) each cell holds many scatterers, so that their sum is complex Gaussian with the tissue's strength;
the image is its convolution with the pulse (axial) and the beam (lateral, narrowest at the focus), whose magnitude is Rayleigh where
tissue is even (Wagner et al. 1983, doi:10.1109/T-SU.1983.31404). Borders across the beam reflect by their impedance step; the way there
and back costs attenuation (dB / cm / MHz), which gain makes good at 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manikin.simulation.imaging import tissues
from manikin.simulation.imaging.phantom import Phantom

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class UltrasoundProbe:
    """A convex probe at the top of the phantom, pointing down.

    Attributes
    ----------
    frequency_mhz : of the pulse. radius_mm : of the probe's surface; 0 makes a sector from a point. fan : degrees to either side.
    depth_mm : how deep it looks. focus_mm : where the beam is narrowest.
    range_db : dynamic range shown. gain_db_cm_mhz : attenuation that the machine makes good.
    """

    frequency_mhz: float = 3.5
    radius_mm: float = 50.0
    fan: float = 32.0
    depth_mm: float = 150.0
    focus_mm: float = 80.0
    range_db: float = 60.0
    gain_db_cm_mhz: float = 0.5

    @property
    def wavelength_mm(self) -> float:
        """At 1,540 m/s."""
        return 1.54 / self.frequency_mhz

    def beams(self, phantom: Phantom, rng: np.random.Generator, n_depths: int, n_beams: int) -> Array:
        """The envelope (n_depths, n_beams) before compression."""
        from scipy.ndimage import gaussian_filter1d

        rows, columns = self._places(phantom, n_depths, n_beams)
        last_row, last_column = phantom.tissue.shape[0] - 1, phantom.tissue.shape[1] - 1
        places = (np.clip(np.round(rows).astype(int), 0, last_row), np.clip(np.round(columns).astype(int), 0, last_column))
        tissue = phantom.tissue[places]
        step = self.depth_mm / n_depths
        echo = tissues.values("echo")[tissue]
        impedance = tissues.values("density_g_cm3")[tissue] * tissues.values("sound_m_s")[tissue] / 1540
        scatter = echo * (rng.standard_normal(echo.shape) + 1j * rng.standard_normal(echo.shape)) / np.sqrt(2)
        border = np.diff(impedance, axis=0, prepend=impedance[:1]) / np.maximum(impedance, 1e-3)
        smooth = gaussian_filter1d(border, 1.5, axis=1)  # rough borders reflect to the probe over a small range of angles
        field = scatter + 12 * np.clip(smooth, -0.5, 0.5) * np.exp(2j * np.pi * rng.random(echo.shape))
        loss = tissues.values("attenuation_db_cm_mhz")[tissue] - self.gain_db_cm_mhz
        passed = np.cumprod(1 - np.clip(border, -0.9, 0.9) ** 2, axis=0)  # what borders let through
        field *= passed * 10 ** (-2 * np.cumsum(loss, axis=0) * step / 10 * self.frequency_mhz / 20)
        # two cycles long, and a beam as wide as the wavelength times the f-number, 3, at the focus
        field = gaussian_filter1d(field, 2 * self.wavelength_mm / step / 2.355, axis=0)
        return np.abs(self._beam_spread(field, step))

    def _beam_spread(self, field: Array, step: float) -> Array:
        from scipy.ndimage import gaussian_filter1d

        n_depths, n_beams = field.shape
        depth = (np.arange(n_depths) + 0.5) * step
        wide = 3 * self.wavelength_mm * np.sqrt(1 + ((depth - self.focus_mm) / (0.6 * self.focus_mm)) ** 2)
        sigma = wide / ((self.radius_mm + depth) * 2 * np.deg2rad(self.fan) / n_beams) / 2.355
        levels = np.geomspace(max(sigma.min(), 0.05), max(sigma.max(), 0.06), 6)
        blurred = np.stack([gaussian_filter1d(field, one, axis=1) for one in levels])
        place = np.clip(np.interp(np.log(sigma), np.log(levels), np.arange(6)), 0, 4.999)
        low, rest = place.astype(int), (place - place.astype(int))[:, None]
        row = np.arange(n_depths)
        mixed: Array = blurred[low, row] * (1 - rest) + blurred[low + 1, row] * rest
        # a wider beam adds more scatterers up: speckle keeps its strength
        return mixed * np.sqrt(np.maximum(sigma, 0.3))[:, None]

    def _places(self, phantom: Phantom, n_depths: int, n_beams: int) -> tuple[Array, Array]:
        cell = phantom.spacing_mm / phantom.oversample
        angle = np.deg2rad(np.linspace(-self.fan, self.fan, n_beams))[None, :]
        away = self.radius_mm + (np.arange(n_depths) + 0.5)[:, None] * self.depth_mm / n_depths
        below = away * np.cos(angle) - self.radius_mm * np.cos(np.deg2rad(self.fan))
        return below / cell, away * np.sin(angle) / cell + (phantom.tissue.shape[1] - 1) / 2

    def scan(self, phantom: Phantom, rng: np.random.Generator) -> Array:
        """The picture (rows, columns) of the phantom's size, float32 in [0, 1]; black outside the fan."""
        from scipy.ndimage import map_coordinates

        rows, columns = phantom.size
        n_depths, n_beams = 3 * rows, 2 * columns
        envelope = self.beams(phantom, rng, n_depths, n_beams)
        shown = compressed(envelope, self.range_db)
        y = (np.arange(rows) + 0.5)[:, None] * phantom.spacing_mm + self.radius_mm * np.cos(np.deg2rad(self.fan))
        x = (np.arange(columns) - (columns - 1) / 2)[None, :] * phantom.spacing_mm
        away, angle = np.hypot(x, y) - self.radius_mm, np.rad2deg(np.arctan2(x, y))
        at = [away / self.depth_mm * n_depths - 0.5, (angle / self.fan + 1) / 2 * (n_beams - 1)]
        return np.asarray(map_coordinates(shown, at, order=1, mode="constant"), np.float32)


def compressed(envelope: Array, range_db: float) -> Array:
    """Log compression to [0, 1]: white lies 12 dB above the 99.5th percentile, so that tissue is mid-grey; `range_db` below is black."""
    top = 4 * float(np.percentile(envelope, 99.5)) or 1.0
    return np.clip(1 + 20 * np.log10(np.maximum(envelope, 1e-12) / top) / range_db, 0, 1)
