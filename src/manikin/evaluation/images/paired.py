"""How far made images lie from the true ones of the same subjects, pixel by pixel. Knows no model and no data set.

None of these sees a lesion: one that is painted over costs a few pixels of an average (`lesions.py` looks for it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from manikin.evaluation.images.similarity import ssim

Floats = npt.NDArray[np.float64]
BEST_PSNR = 100.0  # dB of images that are equal
CHUNK = 64


@dataclass
class Differences:
    """Figures of each pair, gathered in pieces.

    Parameters
    ----------
    span : the range of values, highest minus lowest.

    Attributes
    ----------
    mae : mean absolute difference in the images' own unit, 0 and above, lower is better. psnr : 10 log10(span² / mean squared difference)
        in dB, higher is better, at most 100. ssim : structural similarity, at most 1, higher is better.
    """

    span: float
    mae: list[float] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)

    def add(self, made: npt.NDArray[np.float32], truth: npt.NDArray[np.float32]) -> None:
        """Adds pairs (n, channels, *size).

        Examples
        --------
        >>> found = Differences(255.0)
        >>> found.add(np.zeros((1, 1, 16, 16), np.float32), np.full((1, 1, 16, 16), 25.5, np.float32))
        >>> found.mae, found.psnr
        ([25.5], [20.0])
        """
        axes = tuple(range(1, made.ndim))
        for at in range(0, len(made), CHUNK):
            a, b = made[at : at + CHUNK].astype(np.float64), truth[at : at + CHUNK].astype(np.float64)
            off = a - b
            self.mae += np.abs(off).mean(axes).tolist()
            squared = np.square(off).mean(axes)
            with np.errstate(divide="ignore"):
                self.psnr += np.minimum(10 * np.log10(self.span**2 / squared), BEST_PSNR).tolist()
            self.ssim += ssim(a.astype(np.float32), b.astype(np.float32), span=self.span).tolist()

    def __len__(self) -> int:
        return len(self.mae)

    def means(self) -> Mapping[str, float]:
        """Means over the pairs."""
        return {name: float(np.mean(getattr(self, name))) for name in ("mae", "psnr", "ssim")}
