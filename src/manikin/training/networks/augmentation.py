"""Random changes of images that a critic is shown, real and synthetic alike, so that it cannot learn few images by heart. In plain torch.

Adaptive discriminator augmentation (Karras et al. 2020, arXiv 2006.06676, appendix B): each change is made with probability p, which is
kept below where changes would leak into what is generated. Every change can be differentiated by the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

KINDS = ("blit", "geometry", "colour", "filter", "noise", "cutout")
BANDS = (0.0, 1 / 16, 1 / 8, 1 / 4)  # where each begins, cycles per pixel
EXPECTED = (10 / 13, 1 / 13, 1 / 13, 1 / 13)  # power of natural images in them, from the paper


def augmented(images: Tensor, p: float, *, kinds: Sequence[str] = KINDS[:3], flips: bool = False) -> Tensor:
    """Images (n, channels, height, width) in about [-1, 1], each changed by chance; of the same shape.

    Parameters
    ----------
    p : of each change, in [0, 1]; at 0 the images come back as they are. kinds : of changes.
    flips : also mirrors and quarter turns, turns by any angle, and inverted brightness. Off, turns stay within 30 degrees: anatomy has
        sides, and bone is bright.
    """
    if p <= 0 or not len(images):
        return images
    if "blit" in kinds or "geometry" in kinds:
        images = _moved(images, p, kinds, flips)
    if "colour" in kinds:
        images = _coloured(images, p, flips)
    if "filter" in kinds:
        images = _filtered(images, p)
    if "noise" in kinds:
        strength = torch.randn(len(images), device=images.device).abs() * 0.1 * _chosen(images, p)
        images = images + strength[:, None, None, None] * torch.randn_like(images)
    if "cutout" in kinds:
        images = images * _hole(images, p)
    return images


def _chosen(images: Tensor, p: float) -> Tensor:
    """1 for each image that is changed, 0 else, (n,)."""
    return (torch.rand(len(images), device=images.device) < p).float()


def _moved(images: Tensor, p: float, kinds: Sequence[str], flips: bool) -> Tensor:
    """Mirrors, quarter turns, whole and broken shifts, scales and turns, all in one resampling; beyond its edge an image is mirrored."""
    n, _, height, width = images.shape
    to = images.device
    matrix = torch.eye(3, device=to).expand(n, 3, 3)
    extent = torch.tensor([width, height], device=to, dtype=torch.float32)
    most_turn = math.pi if flips else math.pi / 6

    def normal(spread: float) -> Tensor:
        """Of the images that are changed; 0 for the others."""
        return torch.randn(n, device=to) * spread * _chosen(images, p)

    if "blit" in kinds:
        if flips:
            mirror = 1 - 2 * (torch.rand(n, device=to) < 0.5).float() * _chosen(images, p)
            matrix = matrix @ _scale(mirror, torch.ones_like(mirror))
            matrix = matrix @ _turn(torch.randint(4, (n,), device=to) * (math.pi / 2) * _chosen(images, p))
        shift = (torch.rand(n, 2, device=to) * 2 - 1) * 0.125 * extent
        matrix = matrix @ _shift(shift.round() * _chosen(images, p)[:, None])
    if "geometry" in kinds:
        half = 1 - math.sqrt(1 - min(p, 1.0))  # two turns, together at p
        both = torch.exp2(normal(0.2))
        matrix = matrix @ _scale(both, both)
        matrix = matrix @ _turn((torch.rand(n, device=to) * 2 - 1) * most_turn * _chosen(images, half))
        one = torch.exp2(normal(0.2))
        matrix = matrix @ _scale(one, 1 / one)
        matrix = matrix @ _turn((torch.rand(n, device=to) * 2 - 1) * most_turn * _chosen(images, half))
        matrix = matrix @ _shift(torch.randn(n, 2, device=to) * 0.125 * extent * _chosen(images, p)[:, None])
    unchanged = (matrix == torch.eye(3, device=to)).all(2).all(1)
    # from pixels about the centre to [-1, 1] of each axis, which is how grid_sample counts
    scaled = matrix[:, :2] * (2 / extent)[None, :, None] * torch.cat([extent / 2, torch.ones(1, device=to)])
    grid = F.affine_grid(scaled, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return torch.where(unchanged[:, None, None, None], images, moved)


def _rows(*cells: Sequence[Tensor]) -> Tensor:
    """3 x 3 matrices (n, 3, 3) of their cells (n,)."""
    return torch.stack([torch.stack(list(row), 1) for row in cells], 1)


def _scale(x: Tensor, y: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _rows((x, zero, zero), (zero, y, zero), (zero, zero, one))


def _turn(angle: Tensor) -> Tensor:
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    return _rows((angle.cos(), -angle.sin(), zero), (angle.sin(), angle.cos(), zero), (zero, zero, one))


def _shift(by: Tensor) -> Tensor:
    zero, one = torch.zeros_like(by[:, 0]), torch.ones_like(by[:, 0])
    return _rows((one, zero, by[:, 0]), (zero, one, by[:, 1]), (zero, zero, one))


def _coloured(images: Tensor, p: float, flips: bool) -> Tensor:
    """Brightness, contrast and, with `flips`, inversion; of three channels hue and saturation too."""
    n, channels = images.shape[:2]
    to = images.device
    bright = torch.randn(n, device=to) * 0.2 * _chosen(images, p)
    contrast = torch.exp2(torch.randn(n, device=to) * 0.5 * _chosen(images, p))
    inverted = (torch.rand(n, device=to) < 0.5).float() * _chosen(images, p) * float(flips)
    if channels != 3:
        return (images + bright[:, None, None, None]) * (contrast * (1 - 2 * inverted))[:, None, None, None]
    grey = torch.full((3, 3), 1 / 3, device=to)  # what projects a colour on its grey
    eye = torch.eye(3, device=to)
    angle = (torch.rand(n, device=to) * 2 - 1) * math.pi * _chosen(images, p)
    saturation = torch.exp2(torch.randn(n, device=to) * _chosen(images, p))
    a = 1 / math.sqrt(3)
    cross = torch.tensor([[0.0, -a, a], [a, 0.0, -a], [-a, a, 0.0]], device=to)
    c, s = angle.cos()[:, None, None], angle.sin()[:, None, None]
    turn = c * eye + s * cross + (1 - c) * grey  # about the grey axis (Rodrigues)
    matrix = (eye - 2 * inverted[:, None, None] * grey) @ turn @ (grey + saturation[:, None, None] * (eye - grey))
    matrix = matrix * contrast[:, None, None]
    return torch.einsum("nij,njhw->nihw", matrix, images + bright[:, None, None, None])


def _filtered(images: Tensor, p: float) -> Tensor:
    """Four bands of frequencies made stronger or weaker, one after the other, at the expected power that images have."""
    n, _, height, width = images.shape
    to = images.device
    expected = torch.tensor(EXPECTED, device=to)
    gains = torch.ones(n, len(BANDS), device=to)
    for band in range(len(BANDS)):
        own = torch.ones(n, len(BANDS), device=to)
        own[:, band] = torch.exp2(torch.randn(n, device=to) * _chosen(images, p))
        gains = gains * own * torch.rsqrt((expected * own.square()).sum(1, keepdim=True))
    pads = (min(width - 1, 8), min(height - 1, 8))
    larger = F.pad(images, (pads[0], pads[0], pads[1], pads[1]), mode="reflect")
    down, across = torch.fft.fftfreq(larger.shape[2], device=to), torch.fft.rfftfreq(larger.shape[3], device=to)
    frequency = (down.square()[:, None] + across.square()[None]).sqrt()
    which = torch.bucketize(frequency, torch.tensor(BANDS[1:], device=to), right=True)
    out = torch.fft.irfft2(torch.fft.rfft2(larger) * gains[:, which][:, None], s=larger.shape[2:])
    out = out[:, :, pads[1] : pads[1] + height, pads[0] : pads[0] + width]
    same = (gains == 1).all(1)
    return torch.where(same[:, None, None, None], images, out)


def _hole(images: Tensor, p: float) -> Tensor:
    """0 in a rectangle of half the size about any point, 1 elsewhere, (n, 1, height, width)."""
    n, _, height, width = images.shape
    to = images.device
    centre = torch.rand(n, 2, device=to)
    rows = (torch.arange(height, device=to) + 0.5) / height
    columns = (torch.arange(width, device=to) + 0.5) / width
    inside = ((rows[None] - centre[:, :1]).abs() < 0.25)[:, :, None] & ((columns[None] - centre[:, 1:]).abs() < 0.25)[:, None]
    return 1 - (inside.float() * _chosen(images, p)[:, None, None])[:, None]
