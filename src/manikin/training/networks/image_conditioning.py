"""What networks of images are told about a row: one vector of all its attributes, any of which may be left unsaid. Knows no image.

An attribute that is left unsaid has a token of its own. A network that has often been told nothing can be asked with and without its
attributes, and the difference made larger: classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

OCTAVES = 3  # sines and cosines of a number's place: a half period over its range, then twice and four times as quick


@dataclass(frozen=True)
class Attribute:
    """One attribute's vocabulary.

    Attributes
    ----------
    n_tokens : missing codes, levels, bins.
    positions : float32 (n_tokens,) in [-1, 1], where each token lies on the attribute's own scale; NaN where it lies on none (missing
        codes, levels without an order). None where no token does.
    """

    n_tokens: int
    positions: npt.NDArray[np.float32] | None = None

    @property
    def features(self) -> npt.NDArray[np.float32]:
        """What is known of each token's place, and of none for the unsaid one, float32 (n_tokens + 1, 2 + 2 OCTAVES); 0 without a place."""
        places = np.full(self.n_tokens + 1, np.nan, dtype=np.float32)
        if self.positions is not None:
            places[:-1] = self.positions
        waves = np.pi / 2 * 2.0 ** np.arange(OCTAVES) * places[:, None]
        known = np.concatenate([np.ones((len(places), 1)), places[:, None], np.sin(waves), np.cos(waves)], axis=1)
        return np.where(np.isfinite(places)[:, None], known, 0.0).astype(np.float32)


class AttributeEmbedding(nn.Module):
    """Attributes to one vector: the sum of a learned vector for each token and, for numbers and ordered levels, of their value.

    The vectors of ordered tokens start at 0, so that what is learned of a number holds for its neighbours first.

    Parameters
    ----------
    attributes : their vocabularies; there may be none, and the vector is then 0. width : its length.
    """

    first: Tensor
    features: Tensor
    unsaid: Tensor

    def __init__(self, attributes: Sequence[Attribute], width: int) -> None:
        super().__init__()
        self.attributes, self.width = tuple(attributes), width
        sizes = [one.n_tokens + 1 for one in attributes]  # the last of each stands for what is left unsaid
        features = np.concatenate([np.zeros((0, 2 + 2 * OCTAVES), dtype=np.float32), *(one.features for one in attributes)])
        scale = 1 / math.sqrt(max(len(sizes), 1))
        self.tokens = nn.Parameter(scale * torch.randn(sum(sizes), width))
        self.values = nn.Parameter(scale * torch.randn(len(sizes), features.shape[1], width) / math.sqrt(1 + OCTAVES))
        with torch.no_grad():
            self.tokens[torch.from_numpy(features[:, 0] > 0)] = 0.0
        first = np.cumsum([0, *sizes])[:-1].astype(np.int64)
        self.register_buffer("first", torch.from_numpy(first), persistent=False)
        self.register_buffer("features", torch.from_numpy(features), persistent=False)
        self.register_buffer("unsaid", torch.from_numpy(first + np.array(sizes, dtype=np.int64) - 1), persistent=False)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be told."""
        return not self.attributes

    def forward(self, tokens: Tensor, dropped: Tensor | None = None) -> Tensor:
        """The vectors, (n, width).

        Parameters
        ----------
        tokens : int64 (n, n_attributes). dropped : bool (n,) or (n, n_attributes), what is left unsaid; None says everything.
        """
        if self.is_empty:
            return self.tokens.new_zeros(len(tokens), self.width)
        rows = tokens + self.first
        if dropped is not None:
            rows = torch.where(dropped if dropped.ndim == 2 else dropped[:, None], self.unsaid, rows)
        said = nn.functional.embedding(rows, self.tokens).sum(1)
        return said + torch.einsum("nfk,fkw->nw", self.features[rows], self.values)


def drawn_unsaid(n: int, share: float, device: torch.device) -> Tensor:
    """Which rows of a batch are told nothing, bool (n,): each with the same chance, from torch's own randomness."""
    return torch.rand(n, device=device) < share
