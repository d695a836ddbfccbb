"""Ways from noise to images along falling levels of noise, for whatever says what a noisy image was. Knows no network.

All of them work on x = image + sigma * noise. A process that keeps its variance (Ho et al. 2020, arXiv 2006.11239) is the same one in other
units: x_t = sqrt(a) * image + sqrt(1 - a) * noise is sqrt(a) times an x of sigma = sqrt((1 - a) / a).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Denoise = Callable[[Tensor, float], Tensor]  # a noisy image and its level of noise to what it most likely was on average
OFFSET = 0.008  # of the cosine schedule, so that its first step is no smaller than a grey level


def cosine_levels(n_steps: int, least_kept: float = 1e-3) -> list[float]:
    """Sigma of steps 1 … n_steps of the cosine schedule (Nichol & Dhariwal 2021, arXiv 2102.09672), rising; steps lose at most 99.9 %."""
    bars, bar = [], 1.0
    for t in range(n_steps):
        kept = _cosine((t + 1) / n_steps) / _cosine(t / n_steps)
        bar *= max(kept, least_kept)
        bars.append(bar)
    return [math.sqrt((1 - bar) / bar) for bar in bars]


def _cosine(share: float) -> float:
    return math.cos((share + OFFSET) / (1 + OFFSET) * math.pi / 2) ** 2


def karras_levels(n: int, least: float, most: float, rho: float = 7.0) -> list[float]:
    """n levels from `most` down to `least`, closer to each other towards the end (Karras et al. 2022, arXiv 2206.00364, equation 5)."""
    if n == 1:
        return [most]
    high, low = most ** (1 / rho), least ** (1 / rho)
    return [(high + i / (n - 1) * (low - high)) ** rho for i in range(n)]


def heun(denoise: Denoise, noise: Tensor, levels: Sequence[float], *, churn: float = 0.0) -> Tensor:
    """Second-order steps of dx/dsigma = (x - denoised) / sigma down to no noise (arXiv 2206.00364, algorithms 1 and 2).

    Parameters
    ----------
    noise : standard normal, the images' shape. levels : falling, above 0; 2 len(levels) - 1 looks are taken.
    churn : noise that is added anew on the way, S_churn of the paper with S_noise 1; 0 follows the noise that is there.
    """
    x = noise * levels[0]
    gamma = min(churn / len(levels), math.sqrt(2) - 1)
    for i, level in enumerate(levels):
        after, now = levels[i + 1] if i + 1 < len(levels) else 0.0, level
        if gamma:
            now = level * (1 + gamma)
            x = x + torch.randn_like(x) * math.sqrt(now**2 - level**2)
        slope = (x - denoise(x, now)) / now
        ahead = x + (after - now) * slope
        if after:
            ahead = x + (after - now) * 0.5 * (slope + (ahead - denoise(ahead, after)) / after)
        x = ahead
    return x


def ddim(denoise: Denoise, noise: Tensor, levels: Sequence[float], *, eta: float = 0.0) -> Tensor:
    """First-order steps (Song, Meng & Ermon 2021, arXiv 2010.02502, equations 12 and 16) down to no noise; a look at each level.

    Parameters
    ----------
    eta : 0 follows the noise that is there; 1 at all levels of a process draws from its posterior, step by step, as arXiv 2006.11239.
    """
    x = noise * math.sqrt(1 + levels[0] ** 2)  # the process ends in unit variance
    for i, level in enumerate(levels):
        after = levels[i + 1] if i + 1 < len(levels) else 0.0
        clean = denoise(x, level)
        fresh = eta * after / level * math.sqrt(max(level**2 - after**2, 0.0))
        x = clean + (x - clean) * (math.sqrt(max(after**2 - fresh**2, 0.0)) / level)
        if fresh:
            x = x + fresh * torch.randn_like(x)
    return x


def multistep(denoise: Denoise, noise: Tensor, levels: Sequence[float]) -> Tensor:
    """Second order at one look a level: DPM-Solver++ (2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2) in log sigma; last step first."""
    x, h_before = noise * levels[0], 0.0
    before: Tensor | None = None
    for i, level in enumerate(levels):
        clean = denoise(x, level)
        if i + 1 == len(levels):
            x = clean
            break
        after = levels[i + 1]
        h = math.log(level / after)
        heading = clean
        if before is not None:
            ratio = h_before / h
            heading = (1 + 1 / (2 * ratio)) * clean - 1 / (2 * ratio) * before
        x = (after / level) * x + (1 - after / level) * heading
        before, h_before = clean, h
    return x
