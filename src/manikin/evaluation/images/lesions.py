"""What becomes of lesions whose place is known when images are made of others: kept, lost, or invented. Knows no model.

A lesion's contrast is the mean inside its mask minus the mean of a ring around it. It is *kept* where the made image has at least half of
the true image's contrast, with its sign; *lost* otherwise; lesions that the true image hardly shows are left out. What is *invented* are
spots outside of lesions where the made image differs from the true one by as much as a lesion would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
GAP, RING = 1, 3  # pixels that are left out around a lesion, and the width of the ring behind them
KEPT = 0.5  # of the true contrast
SMOOTH = 1.0  # pixels by which differences are smoothed before spots are looked for
LEAST_SPOT = 4  # pixels
LEAST_SIDE = 3  # pixels of a lesion or of a ring that a mean is taken of


@dataclass(frozen=True)
class Fate:
    """What became of lesions.

    Attributes
    ----------
    shown : bool (n,), the true image has a lesion of at least the least contrast. kept : bool (n,), of these, those that are kept.
    share : (n,) contrast of the made image over that of the true one; NaN where none is shown.
    invented : int (n,), spots of each image.
    """

    shown: Mask
    kept: Mask
    share: Floats
    invented: npt.NDArray[np.int64]

    @property
    def sensitivity(self) -> float:
        """Share of shown lesions that are kept, in [0, 1], higher is better; NaN where none is shown."""
        return float(self.kept[self.shown].mean()) if self.shown.any() else float("nan")


def contrasts(images: npt.NDArray[np.floating], lesions: Mask, within: Mask | None = None) -> Floats:
    """Contrast of each image's lesion, in the images' unit; NaN where it has none, or too little is around it.

    Parameters
    ----------
    images, lesions : (n, *size). within : where rings may lie, such as the brain; everywhere by default.
    """
    from scipy.ndimage import binary_dilation

    out = np.full(len(images), np.nan)
    for i in np.flatnonzero(lesions.reshape(len(lesions), -1).any(1)).tolist():
        inner = binary_dilation(lesions[i], iterations=GAP)
        ring = binary_dilation(inner, iterations=RING) & ~inner
        if within is not None:
            ring &= within[i]
        if lesions[i].sum() >= LEAST_SIDE and ring.sum() >= LEAST_SIDE:
            out[i] = float(images[i][lesions[i]].mean()) - float(images[i][ring].mean())
    return out


def fate(
    made: npt.NDArray[np.floating], truth: npt.NDArray[np.floating], lesions: Mask, *, least: float, within: Mask | None = None
) -> Fate:
    """What became of the lesions of these images.

    Parameters
    ----------
    made, truth : (n, *size), of the same subjects. lesions : bool, the same shape.
    least : contrast from which a lesion counts as shown, and a spot that is not there as invented.
    within : where to look for invented spots and where rings lie, such as the brain away from its rim; everywhere by default.
    """
    theirs, ours = contrasts(truth, lesions, within), contrasts(made, lesions, within)
    shown = np.abs(theirs) >= least  # NaN is not
    share = np.full(len(made), np.nan)
    share[shown] = ours[shown] / theirs[shown]
    return Fate(shown, shown & (np.nan_to_num(share) >= KEPT), share, spots(made, truth, lesions, height=least, within=within))


def spots(
    made: npt.NDArray[np.floating], truth: npt.NDArray[np.floating], lesions: Mask, *, height: float, within: Mask | None = None
) -> npt.NDArray[np.int64]:
    """How many spots each made image has that the true one has not: smoothed differences of at least `height`, outside of lesions.

    Noise of the true images counts too, where theirs is more than the made ones'; a region that is wrong as a whole is one spot.
    """
    from scipy.ndimage import binary_dilation, gaussian_filter, label

    out = np.zeros(len(made), dtype=np.int64)
    for i in range(len(made)):
        off = gaussian_filter(made[i].astype(np.float64) - truth[i].astype(np.float64), SMOOTH)
        far = ~binary_dilation(lesions[i], iterations=GAP + RING) if lesions[i].any() else np.ones_like(lesions[i])
        if within is not None:
            far &= within[i]
        for sign in (1, -1):  # a bright and a dark one that touch are two
            marked, n = label((sign * off >= height) & far)
            out[i] += int((np.bincount(marked.ravel(), minlength=n + 1)[1:] >= LEAST_SPOT).sum())
    return out
