"""Shifts that a classifier of images may meet, each a series of strengths in the unit of a camera, scanner or file. Knows no classifier.

A shift at its first strength is none. Pictures are float (channels, rows, columns) in [0, 1], as in `degradations`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from manikin.data.errors import ParameterError, parameter_error
from manikin.data.seeds import generator
from manikin.simulation.imaging import degradations as made

Array = np.ndarray[Any, np.dtype[Any]]
MOST_STRENGTHS = 12


@dataclass(frozen=True)
class Shift:
    """One kind of shift.

    Attributes
    ----------
    what : in words, for people. unit : of the strengths. group : light, pose, quality, noise or scanner.
    strengths : the first is none, then ever stronger. apply : (picture, strength, generator) -> picture.
    lowest, highest : what a strength may be. channels : 3 where grey pictures would not change, 1 where only grey ones make sense.
    modalities : DICOM's words for the images that it is asked of without being named; None for all.
    """

    name: str
    what: str
    unit: str
    group: str
    strengths: tuple[float, ...]
    apply: Callable[[Array, float, np.random.Generator], Array]
    lowest: float
    highest: float
    channels: int | None = None
    modalities: tuple[str, ...] | None = None

    def shifted(self, picture: Array, strength: float, seed: int, i: int) -> Array:
        """The i-th picture at a strength; the same draw of nature at each strength, so that only the strength differs."""
        if strength == self.strengths[0]:
            return picture
        return self.apply(picture, strength, generator(seed, "shift", self.name, i))

    def told(self, strength: float) -> str:
        """A strength with its unit; the first is the picture as it was given."""
        if strength == self.strengths[0]:
            return "as given"
        return f"{strength:,g} {self.unit}".strip()


def _either(rng: np.random.Generator) -> float:
    return float(rng.choice([-1.0, 1.0]))


_X_RAYS, _MR = ("CR", "DX", "CT", "MG", "XA", "RF"), ("MR",)


def _plain(apply: Callable[..., Array]) -> Callable[[Array, float, np.random.Generator], Array]:
    """A shift that draws nothing."""
    return lambda picture, strength, _: apply(picture, strength)


SHIFTS: dict[str, Shift] = {
    shift.name: shift
    for shift in (
        Shift(
            "darker",
            "Too little light",
            "stops",
            "light",
            (0, -0.5, -1, -1.5, -2, -3),
            _plain(made.exposure),
            -10,
            0,
        ),
        Shift("brighter", "Too much light", "stops", "light", (0, 0.5, 1, 1.5, 2, 3), _plain(made.exposure), 0, 10),
        Shift(
            "warmer",
            "Warmer light",
            "K",
            "light",
            (6500, 5500, 4500, 3800, 3200, 2700),
            _plain(made.colour_temperature),
            1500,
            6500,
            3,
        ),
        Shift(
            "cooler",
            "Cooler light",
            "K",
            "light",
            (6500, 7500, 9000, 11000, 15000, 25000),
            _plain(made.colour_temperature),
            6500,
            40000,
            3,
        ),
        Shift("vignetting", "Dark corners", "stops", "light", (0, 0.5, 1, 2, 3, 4), _plain(made.vignetting), 0, 12),
        Shift("contrast", "Less contrast", "times", "light", (1, 0.8, 0.6, 0.4, 0.25, 0.15), _plain(made.contrast), 0, 1),
        Shift(
            "gamma",
            "Another display curve",
            "power",
            "light",
            (1, 1.25, 1.5, 2, 2.5, 3),
            _plain(made.gamma),
            0.1,
            10,
        ),
        Shift(
            "rotation",
            "Turned",
            "degrees",
            "pose",
            (0, 3, 6, 10, 20, 30),
            lambda p, s, r: made.rotation(p, s * _either(r)),
            0,
            180,
        ),
        Shift(
            "tilt",
            "Seen at an angle",
            "degrees",
            "pose",
            (0, 10, 20, 30, 40, 50),
            lambda p, s, r: made.perspective(p, s, float(r.uniform(0, 360))),
            0,
            70,
        ),
        Shift(
            "displacement",
            "Off the middle",
            "% of the width",
            "pose",
            (0, 3, 6, 10, 15, 20),
            lambda p, s, r: made.displacement(p, s / 100, float(r.uniform(0, 360))),
            0,
            90,
        ),
        Shift(
            "blur",
            "Out of focus",
            "px",
            "quality",
            (0, 0.5, 1, 1.5, 2, 3),
            _plain(made.blur),
            0,
            50,
        ),
        Shift(
            "camera_motion",
            "The camera moved",
            "px",
            "quality",
            (0, 1, 2, 4, 6, 10),
            lambda p, s, r: made.motion_blur(p, s, float(r.uniform(0, 180))),
            0,
            100,
        ),
        Shift("resolution", "Larger pixels", "times", "quality", (1, 1.5, 2, 3, 4, 6), _plain(made.resolution), 1, 64),
        Shift(
            "jpeg",
            "Stronger compression",
            "JPEG quality",
            "quality",
            (100, 60, 40, 20, 10, 5),
            _plain(made.jpeg),
            1,
            100,
        ),
        Shift(
            "photons",
            "Fewer photons in the camera",
            "photons per px",
            "noise",
            (1e6, 1000, 300, 100, 30, 10),
            made.photons,
            1,
            1e9,
            None,
            ("OP", "ES", "GM", "XC", "SM", "OT"),
        ),
        Shift(
            "dose",
            "Less X-ray dose",
            "photons per px",
            "scanner",
            (1e6, 1e4, 3000, 1000, 500, 200),
            made.dose,
            1,
            1e9,
            1,
            _X_RAYS,
        ),
        Shift(
            "rician",
            "Receiver noise",
            "of white",
            "scanner",
            (0, 0.02, 0.05, 0.1, 0.15, 0.25),
            made.rician_noise,
            0,
            5,
            1,
            _MR,
        ),
        Shift(
            "bias_field",
            "Uneven coil",
            "of log gain",
            "scanner",
            (0, 0.1, 0.2, 0.35, 0.5, 0.8),
            made.bias,
            0,
            5,
            1,
            _MR,
        ),
        Shift(
            "patient_motion",
            "The patient moved between lines",
            "px",
            "scanner",
            (0, 0.25, 0.5, 1, 2, 4),
            made.line_motion,
            0,
            100,
            1,
            _MR,
        ),
    )
}


def usual(channels: int, modality: str | None) -> tuple[str, ...]:
    """The shifts that images of this kind are put to when none are named; of unknown grey images all that grey ones can meet."""
    found = []
    for shift in SHIFTS.values():
        fits = shift.channels is None or shift.channels == channels
        asked = (
            shift.modalities is None
            or (modality in shift.modalities)
            or (modality is None and (channels == 1 or shift.channels != 1))
        )
        if fits and asked:
            found.append(shift.name)
    return tuple(found)


def chosen(wishes: Sequence[str], channels: int, modality: str | None) -> tuple[Shift, ...]:
    """The shifts that are wished for; the usual ones for none.

    Parameters
    ----------
    wishes : names, or "name=0,1,2" with strengths of one's own; the shift's own first strength (none) is put before them.

    Raises
    ------
    ParameterError : there is no such shift, a strength is outside its range, or the shift changes nothing in images of this kind.
    """
    if not wishes:
        return tuple(SHIFTS[name] for name in usual(channels, modality))
    found: dict[str, Shift] = {}
    for wish in wishes:
        name, _, texts = wish.partition("=")
        if name not in SHIFTS:
            raise ParameterError(f"There is no shift {name!r}. Choose among {', '.join(SHIFTS)}.")
        shift = SHIFTS[name]
        if shift.channels is not None and shift.channels != channels:
            kind = "colour" if shift.channels == 3 else "grey"
            raise ParameterError(f"The shift {name!r} is for {kind} images, and these are not. Leave it out.")
        found[name] = _with_strengths(shift, texts) if texts else shift
    return tuple(found.values())


def _with_strengths(shift: Shift, texts: str) -> Shift:
    try:
        own = [float(text) for text in texts.split(",")]
    except ValueError:
        raise ParameterError(
            f"The strengths of {shift.name!r} must be numbers with commas between, such as {shift.name}=1,2."
        ) from None
    if not all(shift.lowest <= one <= shift.highest for one in own):
        must = f"from {shift.lowest:g} to {shift.highest:g} {shift.unit}"
        raise parameter_error(shift.name, "stress", must, own)
    none = shift.strengths[0]
    kept = tuple(dict.fromkeys(one for one in own if one != none))
    if not 1 <= len(kept) <= MOST_STRENGTHS:
        raise parameter_error(shift.name, "stress", f"1 to {MOST_STRENGTHS} strengths other than {none:g}, which is none", own)
    return replace(shift, strengths=(none, *sorted(kept, key=lambda one: abs(one - none))))
