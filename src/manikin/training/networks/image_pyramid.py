"""How unlike two images are at several sizes of detail, by bands of a Laplacian pyramid and their strength; nothing is learned elsewhere.

The absolute error of bands (Bojanowski et al. 2018, arXiv 1707.05776) holds edges where they are. Fine texture cannot be held in place by
few numbers, and an absolute error then does best without any, which is what blur is; so the local strength of each fine band counts too, as
contrast does in structural similarity (Wang et al. 2004, doi:10.1109/TIP.2003.819861). Knows no model.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

LEVELS = 3  # bands, each of details twice as large as the one before; what is left below them counts too
FINE = 2  # of them whose strength counts
STRENGTH = 0.5  # weight of the strength
WINDOW = 3  # cells around one that its strength is taken from
LEAST = 1e-4  # of a mean square: where nothing is, its root has no slope
BLUR = {2: F.avg_pool2d, 3: F.avg_pool3d}


def unlikeness(made: Tensor, real: Tensor) -> Tensor:
    """Mean absolute error of images (n, channels, *size) in [-1, 1], of their bands and of the bands' strength, (n,); 0 for equal ones."""
    error = _apart(made, real)
    for level in range(LEVELS):
        if min(made.shape[2:]) < 4:
            break
        (fine_made, made), (fine_real, real) = _split(made), _split(real)
        error = error + _apart(fine_made, fine_real)
        if level < FINE:
            error = error + STRENGTH * strong(fine_made, fine_real)
    return error


def strong(made: Tensor, real: Tensor) -> Tensor:
    """How far the strength of bands lies apart, on average over places, (n,)."""
    return _apart(_strength(made), _strength(real))


def _apart(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().flatten(1).mean(1)


def _split(images: Tensor) -> tuple[Tensor, Tensor]:
    """What halving loses, and the halves; a row too many for halving is in neither."""
    even = images
    for axis in range(2, images.dim()):
        even = even.narrow(axis, 0, images.shape[axis] // 2 * 2)
    small = BLUR[images.dim() - 2](even, 2)
    return even - F.interpolate(small, scale_factor=2, mode="nearest"), small


def _strength(band: Tensor) -> Tensor:
    """Root of the mean square around each cell."""
    return (BLUR[band.dim() - 2](band.square(), WINDOW, stride=1) + LEAST).sqrt()
