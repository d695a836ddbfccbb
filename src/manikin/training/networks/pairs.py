"""Networks for learning under little information: features of pairs of columns that are drawn and fixed, and a generator that starts at
independent columns. Know parts of a row's vector, not what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.training.networks.mixed import Given, Group, MixedHead, softmax

LEAST_RANK = 4  # tokens of an ordered column from which its features follow its order
CALIBRATED_ROWS = 4096
CALIBRATIONS = 30
LEAST_SHARE = 1e-6
FAVOURED = 4
START = 0.1  # of the usual size, that the head's weights begin with: the first rows drawn have nearly independent columns


class PairFeatures(nn.Module):
    """cos(x A + b) sqrt(2 / n_features), where each column of A looks at two parts of a row (random features, Rahimi & Recht 2007).

    They are drawn from a public seed and never trained, so nothing of the data is in them. Their mean difference between two samples
    is a maximum mean discrepancy over pairs of parts. For ordered parts A follows the order, with a random slope.

    Parameters
    ----------
    spans : where each part lies. scales : float (width,), where an ordered token lies in [-1, 1]; NaN for cells of unordered parts.
    favoured : parts that one feature in FAVOURED looks at, each with any other.
    """

    weight: Tensor
    phase: Tensor
    centre: Tensor

    def __init__(
        self,
        spans: Sequence[slice],
        scales: npt.NDArray[np.float32],
        n_features: int,
        rng: np.random.Generator,
        *,
        favoured: Sequence[int] = (),
    ) -> None:
        super().__init__()
        weight = np.zeros((len(scales), n_features), dtype=np.float32)
        for f in range(n_features):
            pair = rng.choice(len(spans), size=min(2, len(spans)), replace=False)
            if favoured and f % FAVOURED == 0 and not set(favoured) & set(pair.tolist()):
                pair[0] = favoured[f // FAVOURED % len(favoured)]
            for p in pair:
                mine = scales[spans[p]]
                drawn = rng.standard_normal(len(mine)) * 1.5
                smooth = rng.standard_normal() * 2.5 * np.nan_to_num(mine)
                weight[spans[p], f] = np.where(np.isnan(mine), drawn, smooth)
        phase = rng.uniform(0, 2 * math.pi, n_features).astype(np.float32)
        self.register_buffer("weight", torch.from_numpy(weight), persistent=False)
        self.register_buffer("phase", torch.from_numpy(phase), persistent=False)
        self.register_buffer("centre", torch.zeros(n_features), persistent=False)

    @property
    def n_features(self) -> int:
        """How many there are."""
        return len(self.phase)

    def forward(self, rows: Tensor) -> Tensor:
        """Vectors (n, width), soft ones too, to features (n, n_features)."""
        return torch.cos(torch.addmm(self.phase, rows, self.weight)) * math.sqrt(2 / self.n_features) - self.centre


class PlainGenerator(nn.Module):
    """Linear layers and ReLU, each joined to its input, without batch normalisation; its columns are nearly independent at first.

    Parameters
    ----------
    n_noise : width of the noise. hidden : units per layer. groups : what is given, with the logs of their shares.
    """

    def __init__(self, n_noise: int, hidden: Sequence[int], groups: Sequence[Group]) -> None:
        super().__init__()
        self.n_noise = n_noise
        self.layers, width = nn.ModuleList(), n_noise
        for units in hidden:
            self.layers.append(nn.Linear(width, units))
            width += units
        self.head = MixedHead(width, groups)
        with torch.no_grad():
            for linear in (module for module in self.head.modules() if isinstance(module, nn.Linear)):
                linear.weight.mul_(START)

    def forward(self, noise: Tensor, conditions: Tensor | None = None) -> Given:
        """Noise (n, n_noise) to scalars and logits; there are no conditions."""
        del conditions
        hidden = noise
        for layer in self.layers:
            hidden = torch.cat([F.relu(layer(hidden)), hidden], dim=1)
        given: Given = self.head(hidden)
        return given


class Shares:
    """Known chances of each group's choices, laid out as a head gives its logits.

    Parameters
    ----------
    shares : per group, (n_choices,), summing to 1.
    """

    def __init__(self, head: MixedHead, shares: Sequence[npt.NDArray[np.float64]]) -> None:
        self.n_small = len(head.members) - len(head.large)
        self.wanted: list[Tensor] = []
        device = head.pad.device
        for members, size in zip(head.members, head.sizes, strict=True):
            own = np.zeros((len(members), size), dtype=np.float32)
            for i, g in enumerate(members):
                own[i, : len(shares[g])] = shares[g]
            self.wanted.append(torch.from_numpy(own).to(device))
        self._entropy = sum(float(torch.special.xlogy(own, own).sum()) for own in self.wanted)

    def means(self, given: Given) -> list[Tensor]:
        """The rows' mean chances, (n_groups, size) each."""
        small = [softmax(logits).mean(0) for logits in given.padded]
        return small + [torch.softmax(logits, -1).mean(0)[None] for logits in given.large]

    def divergence(self, given: Given) -> Tensor:
        """Of the rows' mean chances q from the known ones p, in nats, summed over groups: sum p log(p / q), at least 0."""
        total = torch.full((), self._entropy, device=given.scalars.device)
        for p, q in zip(self.wanted, self.means(given), strict=True):
            total = total - (p * q.clamp_min(LEAST_SHARE).log()).sum()
        return total


@torch.no_grad()
def calibrate(network: PlainGenerator, shares: Sequence[npt.NDArray[np.float64]], seed: int) -> None:
    """Moves the biases of a generator's choices until the chances of its rows are, on average, the known shares (iterative scaling)."""
    draws = torch.Generator().manual_seed(seed)
    noise = torch.randn(CALIBRATED_ROWS, network.n_noise, generator=draws).to(next(network.parameters()).device)
    known = Shares(network.head, shares)
    for _ in range(CALIBRATIONS):
        for p, q, bias in zip(known.wanted, known.means(network(noise)), network.head.biases(), strict=True):
            bias += ((p + LEAST_SHARE).log() - (q + LEAST_SHARE).log()).clamp(-2, 2).view_as(bias)
