"""What light, optics, pose, files and scanners do to a finished picture, each at a strength in its own unit. Knows no classifier.

A picture is float (channels, rows, columns) in [0, 1], as displayed: one channel of grey or three of sRGB. Each function gives a new one
of the same shape. What is of light (exposure, colour of the light, vignetting, photons) is done in linear light (sRGB curve, IEC
61966-2-1).
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from manikin.simulation.imaging.mr import bias_field, moved_k_space, rician, to_image
from manikin.simulation.imaging.x_rays import counted, log_transformed, transmitted

Array = np.ndarray[Any, np.dtype[Any]]


def to_light(picture: Array) -> Array:
    """Display values to linear light."""
    return np.where(picture <= 0.04045, picture / 12.92, ((np.clip(picture, 0, None) + 0.055) / 1.055) ** 2.4)


def to_display(light: Array) -> Array:
    """Linear light, clipped to [0, 1], to display values."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def exposure(picture: Array, stops: float) -> Array:
    """Light times 2 ** stops; what leaves the range is cut off, as a sensor does."""
    return to_display(to_light(picture) * 2.0**stops)


def vignetting(picture: Array, stops: float) -> Array:
    """Light falls off towards the corners as a lens does (natural vignetting, cos^4), by `stops` in the corners."""
    y, x = _grid(picture.shape[1:])
    away = (x**2 + y**2) / 2  # 1 in the corners
    tan2 = 2.0 ** (stops / 2) - 1  # cos^4 = (1 + tan^2)^-2 = 2^-stops in the corners
    return to_display(to_light(picture) / (1 + away * tan2) ** 2)


def white_balance(kelvin: float) -> Array:
    """Gains of red, green, blue, (3,), of light at a colour temperature, for a camera set to 6,500 K; green stays 1.

    Planck's law at 610, 545 and 465 nm.
    """

    def planck(t: float) -> Array:
        wavelength = np.array([610e-9, 545e-9, 465e-9])
        return wavelength**-5 / np.expm1(0.01438777 / (wavelength * t))

    gains = planck(kelvin) / planck(6500.0)
    return gains / gains[1]


def colour_temperature(picture: Array, kelvin: float) -> Array:
    """The picture under light of another colour temperature; grey pictures stay as they are."""
    if picture.shape[0] != 3:
        return picture.copy()
    return to_display(to_light(picture) * white_balance(kelvin)[:, None, None])


def contrast(picture: Array, factor: float) -> Array:
    """Differences from the middle grey of 0.5 times `factor`."""
    return np.clip(0.5 + (picture - 0.5) * factor, 0, 1)


def gamma(picture: Array, exponent: float) -> Array:
    """Display values raised to an exponent: another display curve or look-up table."""
    return np.clip(picture, 0, 1) ** exponent


def blur(picture: Array, sigma_px: float) -> Array:
    """Gaussian blur of standard deviation `sigma_px`."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(picture, (0, sigma_px, sigma_px), mode="nearest") if sigma_px > 0 else picture.copy()


def motion_blur(picture: Array, length_px: float, turn: float) -> Array:
    """The camera moved by `length_px` along a direction (degrees) while the shutter was open."""
    from scipy.ndimage import shift

    n = max(1, int(np.ceil(length_px)) * 2 + 1)
    total = np.zeros_like(picture)
    for step in np.linspace(-0.5, 0.5, n) * length_px:
        by = (0, step * np.sin(np.deg2rad(turn)), step * np.cos(np.deg2rad(turn)))
        total += shift(picture, by, order=1, mode="nearest")
    return total / n


def resolution(picture: Array, factor: float) -> Array:
    """Sampled at pixels `factor` times as large, after the blur that those need, and drawn at the old size again."""
    from scipy.ndimage import gaussian_filter

    rows, columns = picture.shape[1:]
    small = (max(1, round(rows / factor)), max(1, round(columns / factor)))
    if small == (rows, columns):
        return picture.copy()
    smooth = gaussian_filter(picture, (0, 0.35 * factor, 0.35 * factor), mode="nearest")
    return resized(resized(smooth, small), (rows, columns))


def resized(picture: Array, size: tuple[int, int]) -> Array:
    """Linear between pixels, at another size."""
    from scipy.ndimage import map_coordinates

    rows, columns = picture.shape[1:]
    y = (np.arange(size[0]) + 0.5) * rows / size[0] - 0.5
    x = (np.arange(size[1]) + 0.5) * columns / size[1] - 0.5
    at = np.meshgrid(y, x, indexing="ij")
    return np.stack([map_coordinates(channel, at, order=1, mode="nearest") for channel in picture])


def rotation(picture: Array, degrees: float) -> Array:
    """Turned counter-clockwise about the middle; what was outside is black."""
    from scipy.ndimage import rotate

    return np.stack([rotate(channel, degrees, reshape=False, order=1, mode="constant") for channel in picture])


def perspective(picture: Array, degrees: float, axis: float = 0.0) -> Array:
    """The plane tilted by `degrees` about a line through its middle at `axis` degrees, seen by a pinhole two picture widths away."""
    from scipy.ndimage import map_coordinates

    rows, columns = picture.shape[1:]
    y, x = _grid((rows, columns))
    cos_a, sin_a = np.cos(np.deg2rad(axis)), np.sin(np.deg2rad(axis))
    along, across = x * cos_a + y * sin_a, -x * sin_a + y * cos_a
    tilt, distance = np.deg2rad(degrees), 4.0
    # a point (along, q) of the plane lies at depth distance + q sin(tilt) and is seen at distance * (along, q cos(tilt)) / depth
    q = across * distance / (distance * np.cos(tilt) - across * np.sin(tilt))
    p = along * (distance + q * np.sin(tilt)) / distance
    from_x, from_y = p * cos_a - q * sin_a, p * sin_a + q * cos_a
    at = [(from_y + 1) / 2 * (rows - 1), (from_x + 1) / 2 * (columns - 1)]
    return np.stack([map_coordinates(channel, at, order=1, mode="constant") for channel in picture])


def displacement(picture: Array, share: float, turn: float) -> Array:
    """Moved by a share of its width in a direction (degrees); what was outside is black."""
    from scipy.ndimage import shift

    by = share * picture.shape[2]
    return shift(picture, (0, by * np.sin(np.deg2rad(turn)), by * np.cos(np.deg2rad(turn))), order=1, mode="constant")


def jpeg(picture: Array, quality: float) -> Array:
    """Written as JPEG (libjpeg's quality, 1 to 100) and read again."""
    from PIL import Image

    whole = np.clip(np.round(picture * 255), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(whole[0] if len(whole) == 1 else whole.transpose(1, 2, 0)).save(buffer, "JPEG", quality=int(quality))
    back = np.asarray(Image.open(buffer), dtype=float) / 255
    return back[None] if back.ndim == 2 else back.transpose(2, 0, 1)


def photons(picture: Array, n: float, rng: np.random.Generator) -> Array:
    """Shot noise of a sensor that catches `n` photons per pixel where the picture is white."""
    return to_display(rng.poisson(to_light(picture) * n) / n)


def dose(picture: Array, n: float, rng: np.random.Generator) -> Array:
    """Quantum noise of a radiograph: white is where least passed (e^-4 of the beam), black the open beam of `n` photons per pixel."""
    return np.clip(log_transformed(counted(transmitted(picture * 4.0, n), rng), n) / 4.0, 0, 1)


def rician_noise(picture: Array, sigma: float, rng: np.random.Generator) -> Array:
    """Magnitude noise of MR, of standard deviation `sigma` in each part; white is 1."""
    return np.clip(rician(picture, sigma, rng), 0, 1)


def bias(picture: Array, strength: float, rng: np.random.Generator) -> Array:
    """MR's receive field: a smooth factor within exp(+-strength)."""
    return np.clip(picture * bias_field(picture.shape[1:], rng, strength), 0, 1)


def line_motion(picture: Array, shift_px: float, rng: np.random.Generator) -> Array:
    """A patient who moved by about `shift_px` a few times between MR's lines."""
    state = rng.bit_generator.state
    out = []
    for channel in picture:
        rng.bit_generator.state = state  # all channels alike
        out.append(np.abs(to_image(moved_k_space(channel, rng, shift_px=shift_px))))
    return np.clip(np.stack(out), 0, 1)


def _grid(size: tuple[int, ...]) -> tuple[Array, Array]:
    rows, columns = size
    y = np.linspace(-1, 1, rows) if rows > 1 else np.zeros(1)
    x = np.linspace(-1, 1, columns) if columns > 1 else np.zeros(1)
    grid = np.meshgrid(y, x, indexing="ij")
    return grid[0], grid[1]
