"""Networks of medGAN (arXiv 1703.06490): an encoder, a residual generator in its latent space, a critic that sees the batch's mean.

Knows vectors, not what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from manikin.training.networks.mixed import Given, Group, MixedHead


class Cells(nn.Module):
    """Leaves out the first of two one-hot cells, which says nothing that the second does not: a code is one cell, as in the paper."""

    def __init__(self, groups: Sequence[Group], n_conditions: int = 0) -> None:
        super().__init__()
        kept: list[int] = []
        at = 0
        for group in groups:
            is_pair = group.n_choices == 2 and not group.has_scalar and group.codes is None
            kept += range(at + int(is_pair), at + group.width)
            at += group.width
        kept += range(at, at + n_conditions)
        self.width = len(kept)
        self.register_buffer("kept", torch.tensor(kept, dtype=torch.long), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        """(n, width of all) to (n, width)."""
        assert isinstance(self.kept, Tensor)
        return rows.index_select(1, self.kept)


class RowEncoder(nn.Module):
    """Rows to latents in (-1, 1): one layer and tanh, as in the paper.

    Parameters
    ----------
    groups : what a row is made of. latent : width of its code.
    """

    def __init__(self, groups: Sequence[Group], latent: int) -> None:
        super().__init__()
        self.cells = Cells(groups)
        self.layer = nn.Linear(self.cells.width, latent)

    def forward(self, rows: Tensor) -> Tensor:
        """(n, width) to (n, latent)."""
        return torch.tanh(self.layer(self.cells(rows)))


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
    groups : what a row is made of. hidden : units per layer. n_conditions : cells that stand behind it.
    """

    def __init__(self, groups: Sequence[Group], hidden: Sequence[int], n_conditions: int = 0) -> None:
        super().__init__()
        self.cells = Cells(groups, n_conditions)
        layers: list[nn.Module] = []
        size = 2 * self.cells.width
        for units in hidden:
            layers += [nn.Linear(size, units), nn.ReLU()]
            size = units
        self.layers = nn.Sequential(*layers, nn.Linear(size, 1))

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (n, width) of one batch, all real or all synthetic, to one score per row, (n,)."""
        cells = self.cells(rows)
        mean = cells.mean(0, keepdim=True).expand_as(cells)
        scores: Tensor = self.layers(torch.cat([cells, mean], dim=1))
        return scores.squeeze(1)
