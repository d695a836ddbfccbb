"""What a network is told about a row, one level of one field, as looked-up units: a linear layer over its vector, without the vector.

Knows levels by number, not what they mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Vocabulary:
    """The levels of one field.

    Attributes
    ----------
    n : how many. codes : float32 (n, width), the vector that stands for each; None for one-hot.
    """

    n: int
    codes: npt.NDArray[np.float32] | None = None

    @property
    def width(self) -> int:
        """Length of a level's vector."""
        return self.n if self.codes is None else self.codes.shape[1]


class Told(nn.Module):
    """Level numbers, running through all fields, to units: the level's row of a weight, or its code times one.

    Parameters
    ----------
    vocabularies : the fields' levels, numbered one field after the other. units : what is given for each.
    n_inputs : of the layer that this is a part of, for the first weights.
    """

    rows: Tensor  # of the weight, for each level; the first of its vocabulary where levels have codes

    def __init__(self, vocabularies: Sequence[Vocabulary], units: int, n_inputs: int) -> None:
        super().__init__()
        self.vocabularies = tuple(vocabularies)
        width = sum(one.width for one in vocabularies)
        self.weight = nn.Parameter(torch.empty(width, units).uniform_(-1, 1) / math.sqrt(max(n_inputs, 1)))
        self._coded: list[tuple[int, int]] = []  # vocabularies with codes, and their first level's number
        rows, first, at = [], 0, 0
        for v, one in enumerate(self.vocabularies):
            rows.append(at + np.arange(one.n) * (one.codes is None))
            if one.codes is not None:
                self._coded.append((v, first))
                self.register_buffer(f"codes{v}", torch.from_numpy(one.codes.copy()), persistent=False)
            first, at = first + one.n, at + one.width
        self.register_buffer("rows", torch.from_numpy(np.concatenate(rows)) if self._coded else None, persistent=False)

    def square(self) -> Tensor:
        """Weight' weight, (units, units): what |gradient by the level's vector| is had from."""
        return self.weight.t() @ self.weight

    def forward(self, levels: Tensor) -> Tensor:
        """Level numbers int64 (n,) to units (n, units); nothing is as large as a vocabulary with codes."""
        if not self._coded:
            return nn.functional.embedding(levels, self.weight)
        out = nn.functional.embedding(self.rows[levels], self.weight)  # of one-hot levels; the others' places are filled below
        weights, places, given = self.weight.split([one.width for one in self.vocabularies]), [], []
        for v, first in self._coded:
            own = levels - first
            places.append(torch.nonzero((own >= 0) & (own < self.vocabularies[v].n)).squeeze(1))
            given.append(getattr(self, f"codes{v}")[own[places[-1]]] @ weights[v])
        return out.index_copy(0, torch.cat(places), torch.cat(given))
