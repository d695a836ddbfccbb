"""MR and CT of the same phantom, pixel by pixel: training and test pairs for translation, with the lesions' masks. All of it simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manikin.data.errors import parameter_error
from manikin.data.seeds import generator
from manikin.simulation.imaging.heads import HEAD_LESIONS, head, pelvis
from manikin.simulation.imaging.mr import MRScanner
from manikin.simulation.imaging.phantom import Phantom
from manikin.simulation.imaging.x_rays import CTScanner, window

Array = np.ndarray[Any, np.dtype[Any]]
ANATOMIES = ("head", "pelvis")
CT_WINDOW = {"head": (50.0, 300.0), "pelvis": (100.0, 1400.0)}  # level and width, HU: lesions of the head show in a narrow one only


@dataclass(frozen=True)
class Pairs:
    """Paired slices.

    Attributes
    ----------
    mr, ct : float32 (n, size, size) in [0, 1]; CT through the window of its anatomy.
    lesions : bool (n, size, size), True where a lesion is.
    labels : the kind of lesion per pair, "normal" for none.
    phantoms : what was scanned, with attributes and boxes.
    """

    mr: Array
    ct: Array
    lesions: Array
    labels: tuple[str, ...]
    phantoms: tuple[Phantom, ...]

    def __iter__(self) -> Any:
        """mr, ct, lesions, labels: unpacks as four."""
        return iter((self.mr, self.ct, self.lesions, self.labels))


def pairs(
    n: int,
    size: int = 128,
    seed: int = 0,
    *,
    anatomy: str = "head",
    with_lesion: float = 0.5,
    sequence: str = "t1",
    ct_window: tuple[float, float] | None = None,
) -> Pairs:
    """n pairs of MR and CT slices of random phantoms.

    Parameters
    ----------
    size : pixels along each edge, 16 or above.
    anatomy : "head" or "pelvis".
    with_lesion : share of phantoms that have a lesion.
    sequence : the MR weighting, a name of `mr.SEQUENCES`.
    ct_window : level and width in Hounsfield units of what 0 to 1 shows; `CT_WINDOW` of the anatomy when not given.

    Examples
    --------
    >>> mr, ct, lesions, labels = pairs(2, 32, seed=1)
    >>> mr.shape, ct.shape, lesions.dtype.name, len(labels)
    ((2, 32, 32), (2, 32, 32), 'bool', 2)
    """
    if anatomy not in ANATOMIES:
        raise parameter_error("anatomy", "pairs", f"one of {', '.join(ANATOMIES)}", anatomy)
    if n < 0 or size < 16 or not 0 <= with_lesion <= 1:
        raise parameter_error("n", "pairs", "0 or above, with size 16 or above and with_lesion from 0 to 1", (n, size, with_lesion))
    wishes = {"anatomy": anatomy, "with_lesion": with_lesion, "sequence": sequence}
    made = [one_pair(size, seed, i, **wishes, ct_window=ct_window) for i in range(n)]  # type: ignore[arg-type]
    shape = (n, size, size)
    mr = np.stack([one[0] for one in made]) if made else np.zeros(shape, np.float32)
    ct = np.stack([one[1] for one in made]) if made else np.zeros(shape, np.float32)
    phantoms = tuple(one[2] for one in made)
    masks = np.stack([p.lesion_mask for p in phantoms]) if made else np.zeros(shape, bool)
    return Pairs(mr, ct, masks, tuple(p.label for p in phantoms), phantoms)


def one_pair(
    size: int,
    seed: int,
    i: int,
    *,
    anatomy: str = "head",
    with_lesion: float = 0.5,
    sequence: str = "t1",
    ct_window: tuple[float, float] | None = None,
    lesion: str | None = "drawn",
) -> tuple[Array, Array, Phantom]:
    """The i-th pair of a seed: the same whatever number is made. A `lesion`, or None for none, takes the place of drawing one."""
    rng = generator(seed, "pairs", anatomy, i)
    if lesion == "drawn":
        lesion = None
        if rng.random() < with_lesion:
            lesion = str(rng.choice(HEAD_LESIONS)) if anatomy == "head" else "tumour"
    phantom = (head if anatomy == "head" else pelvis)(size, rng, lesion=lesion)
    scanner = MRScanner(noise=float(rng.uniform(0.01, 0.025)), bias=float(rng.uniform(0.05, 0.2))).with_sequence(sequence)
    mr = np.clip(scanner.scan(phantom, rng), 0, 1)
    ct_scanner = CTScanner(photons=float(rng.uniform(2e5, 1e6)), n_angles=max(60, round(1.5 * size)))
    ct = ct_scanner.scan(phantom.map("hu"), phantom.spacing_mm, rng)
    level, width = ct_window or CT_WINDOW[anatomy]
    return mr, window(ct, level, width).astype(np.float32), phantom
