"""Rows as square matrices, and the convolutional networks that make and judge them (table-GAN, arXiv 1806.03384; DCGAN, arXiv 1511.06434).

Knows cells, not what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from manikin.training.networks.mixed import Given, Group, MixedHead

LEAST_SIDE = 4


def side_of(n_cells: int) -> int:
    """Side of the smallest square matrix of 4, 8, 16, … that holds so many cells; a larger one is padded with zeros."""
    side = LEAST_SIDE
    while side * side < n_cells:
        side *= 2
    return side


def as_matrices(rows: Tensor, side: int) -> Tensor:
    """Rows (n, width) as matrices (n, 1, side, side), filled line by line."""
    padded = torch.nn.functional.pad(rows, (0, side * side - rows.shape[1]))
    return padded.view(len(rows), 1, side, side)


class MatrixGenerator(nn.Module):
    """Noise to a 4 x 4 stack of maps, doubled by transposed convolutions up to one matrix, and that to scalars and choices.

    Parameters
    ----------
    n_noise : width of the noise. channels : maps at the largest size; each smaller size has twice as many.
    groups : what a row is made of. is_direct : the matrix's cells are the row's scalars themselves (the paper); else a linear head
    reads them.
    """

    def __init__(self, n_noise: int, channels: int, groups: Sequence[Group], *, is_direct: bool) -> None:
        super().__init__()
        self.n_noise, self.is_direct = n_noise, is_direct
        side = side_of(sum(group.width for group in groups))
        n_doublings = (side // LEAST_SIDE).bit_length() - 1
        n_maps = channels * 2 ** max(n_doublings - 1, 0)
        self.first = nn.Sequential(
            nn.Linear(n_noise, n_maps * LEAST_SIDE**2), nn.Unflatten(1, (n_maps, LEAST_SIDE, LEAST_SIDE))
        )
        layers: list[nn.Module] = [nn.BatchNorm2d(n_maps), nn.ReLU()]
        for d in range(n_doublings):
            is_last = d == n_doublings - 1
            to = 1 if is_last else n_maps // 2
            layers.append(nn.ConvTranspose2d(n_maps, to, 4, stride=2, padding=1))
            layers += [] if is_last else [nn.BatchNorm2d(to), nn.ReLU()]
            n_maps = to
        if not n_doublings:
            layers.append(nn.Conv2d(n_maps, 1, 3, padding=1))
        self.layers = nn.Sequential(*layers)
        self.head = MixedHead(side * side, groups)

    def forward(self, noise: Tensor, conditions: Tensor | None = None) -> Given:
        """Noise (n, n_noise) to scalars and logits."""
        del conditions
        cells: Tensor = self.layers(self.first(noise)).flatten(1)
        if self.is_direct:
            return Given(torch.tanh(cells[:, : self.head.width]), [], [])
        given: Given = self.head(cells)
        return given


class MatrixCritic(nn.Module):
    """Matrices halved by convolutions down to 2 x 2; what lies before the last layer are the features of the information loss.

    Parameters
    ----------
    width : cells of a row. channels : maps after the first layer, doubled by each further one. n_out : scores per row.
    """

    def __init__(self, width: int, channels: int, n_out: int = 1) -> None:
        super().__init__()
        self.side = side_of(width)
        layers: list[nn.Module] = []
        n_maps, size = 1, self.side
        while size > 2:
            to = channels if n_maps == 1 else 2 * n_maps
            layers.append(nn.Conv2d(n_maps, to, 4, stride=2, padding=1))
            layers += [nn.LeakyReLU(0.2)] if n_maps == 1 else [nn.BatchNorm2d(to), nn.LeakyReLU(0.2)]
            n_maps, size = to, size // 2
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.n_features = n_maps * size * size
        self.last = nn.Linear(self.n_features, n_out)

    def features(self, rows: Tensor) -> Tensor:
        """Rows (n, width) to (n, n_features)."""
        found: Tensor = self.layers(as_matrices(rows, self.side))
        return found

    def forward(self, rows: Tensor) -> Tensor:
        """One score per row, (n,), or (n, n_out) where there are several."""
        scores: Tensor = self.last(self.features(rows))
        return scores.squeeze(1)
