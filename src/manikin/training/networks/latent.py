"""Networks of medGAN (arXiv 1703.06490): an encoder, a residual generator in its latent space, a critic that sees the batch's mean.

Knows vectors, not what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from manikin.training.networks.mixed import Given, Group, MixedHead


class RowEncoder(nn.Module):
    """Rows to latents in (-1, 1): one layer and tanh, as in the paper.

    Parameters
    ----------
    width : of a row. latent : of its code.
    """

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, latent)

    def forward(self, rows: Tensor) -> Tensor:
        """(n, width) to (n, latent)."""
        return torch.tanh(self.layer(rows))


class LatentGenerator(nn.Module):
    """Noise to latents by blocks that add to their input (paper, section 4.3), and the decoder as its head.

    Parameters
    ----------
    latent : width of noise, blocks and the decoder's input: shortcuts need them to be one. n_blocks : the last one ends in tanh.
    groups : what the decoder gives. n_conditions : width of what is given beside the noise; a linear layer takes it in.
    """

    def __init__(self, latent: int, n_blocks: int, groups: Sequence[Group], n_conditions: int = 0) -> None:
        super().__init__()
        self.n_noise = latent
        self.condition = nn.Linear(n_conditions, latent) if n_conditions else None
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(latent, latent, bias=False),
                nn.BatchNorm1d(latent),
                nn.Tanh() if b == n_blocks - 1 else nn.ReLU(),
            )
            for b in range(n_blocks)
        )
        self.head = MixedHead(latent, groups)

    def latents(self, noise: Tensor, conditions: Tensor | None = None) -> Tensor:
        """(n, latent) to (n, latent)."""
        hidden = noise
        if self.condition is not None and conditions is not None:
            hidden = hidden + self.condition(conditions)
        for block in self.blocks:
            hidden = block(hidden) + hidden
        return hidden

    def forward(self, noise: Tensor, conditions: Tensor | None = None) -> Given:
        """Noise (n, latent) to scalars and logits."""
        given: Given = self.head(self.latents(noise, conditions))
        return given


class AveragingCritic(nn.Module):
    """A critic that sees each row beside the mean of its batch (minibatch averaging, paper, section 4.4), so that collapse shows.

    Parameters
    ----------
    width : of a row. hidden : units per layer.
    """

    def __init__(self, width: int, hidden: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        size = 2 * width
        for units in hidden:
            layers += [nn.Linear(size, units), nn.ReLU()]
            size = units
        self.layers = nn.Sequential(*layers, nn.Linear(size, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (n, width) of one batch, all real or all synthetic, to one score per row, (n,)."""
        mean = rows.mean(0, keepdim=True).expand_as(rows)
        scores: Tensor = self.layers(torch.cat([rows, mean], dim=1))
        return scores.squeeze(1)
