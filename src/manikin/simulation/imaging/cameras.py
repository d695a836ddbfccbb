"""A camera in front of a scene: pose, lens, light, sensor, file, in this order. Knows no anatomy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from manikin.simulation.imaging import degradations as made

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One shot's settings.

    Attributes
    ----------
    turn, tilt, tilt_axis : pose, degrees. blur_px : Gaussian. vignetting_stops : in the corners. kelvin : of the light, for a camera
    set to 6,500 K. exposure_stops : 0 is right. photons : per white pixel. jpeg_quality : 1 to 100.
    """

    turn: float = 0.0
    tilt: float = 0.0
    tilt_axis: float = 0.0
    blur_px: float = 0.5
    vignetting_stops: float = 0.5
    kelvin: float = 6500.0
    exposure_stops: float = 0.0
    photons: float = 5000.0
    jpeg_quality: int = 92

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int) -> Camera:
        """A shot as an ordinary examination might give it."""
        return cls(
            turn=float(rng.normal(0, 6)),
            tilt=float(abs(rng.normal(0, 6))),
            tilt_axis=float(rng.uniform(0, 180)),
            blur_px=float(rng.uniform(0.2, 1.0)) * size / 256,
            vignetting_stops=float(rng.uniform(0.2, 1.0)),
            kelvin=float(rng.uniform(5200, 8000)),
            exposure_stops=float(rng.normal(0, 0.25)),
            photons=float(np.exp(rng.uniform(np.log(1500), np.log(20000)))),
            jpeg_quality=int(rng.integers(80, 97)),
        )

    def shoot(self, scene: Array, rng: np.random.Generator) -> Array:
        """The picture (3, rows, columns) in [0, 1]."""
        out = made.rotation(made.perspective(scene, self.tilt, self.tilt_axis), self.turn)
        out = made.vignetting(made.blur(out, self.blur_px), self.vignetting_stops)
        out = made.exposure(made.colour_temperature(out, self.kelvin), self.exposure_stops)
        return made.jpeg(made.photons(out, self.photons, rng), self.jpeg_quality)

    def told(self) -> dict[str, Any]:
        """The settings, rounded, for labels.csv."""
        return {name: round(value, 2) for name, value in asdict(self).items()}
