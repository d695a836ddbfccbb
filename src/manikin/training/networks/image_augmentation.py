"""Images altered while they are learned, and told how, so that nothing of it is generated (Karras et al. 2022, arXiv 2206.00364, app. F.2).

Shifts, sizes and small turns; mirror images only where they are asked for, since anatomy has sides. Knows no network.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFT, SIZE, TURN = 0.125, 0.1, math.radians(10)  # largest: share of an axis, log of the size, angle


def n_told(axes: int) -> int:
    """How many numbers say how an image was altered: shifts of the axes, size, turn, mirror; all 0 where it was not."""
    return axes + 3


def altered(images: Tensor, chance: float, *, mirrored: bool = False) -> tuple[Tensor, Tensor]:
    """Images of which each is shifted, sized, turned (within the last two axes) and mirrored (left to right) by this chance each.

    Returns
    -------
    Images as they came in shape, and (n, n_told) how each was altered, in units of the largest.
    """
    n, axes = len(images), images.dim() - 2
    draws = 2 * torch.rand(n, axes + 2, device=images.device) - 1
    chosen = torch.rand(n, axes + 3, device=images.device) < chance
    said = torch.cat([draws, torch.ones_like(draws[:, :1])], 1) * chosen
    if not mirrored:
        said[:, -1] = 0.0
    rows = torch.nonzero(said.abs().sum(1)).flatten()
    if not len(rows):
        return images, said
    size, turn = torch.exp(SIZE * said[rows, axes]), TURN * said[rows, axes + 1]
    sign = 1 - 2 * said[rows, axes + 2]
    height, width = images.shape[-2:]
    matrix = torch.zeros(len(rows), axes, axes + 1, device=images.device)
    matrix[:, range(axes), range(axes)] = (1 / size)[:, None]
    matrix[:, 0, 0], matrix[:, 0, 1] = sign * turn.cos() / size, -turn.sin() / size * height / width
    matrix[:, 1, 0], matrix[:, 1, 1] = sign * turn.sin() / size * width / height, turn.cos() / size
    matrix[:, :, axes] = 2 * SHIFT * said[rows, :axes]
    grid = F.affine_grid(matrix, [len(rows), *images.shape[1:]], align_corners=False)
    out = images.clone()
    out[rows] = F.grid_sample(images[rows], grid, padding_mode="border", align_corners=False)
    return out, said
