"""The order in which a network draws the fields of patients: the plan of the record first, then the static fields that it bears out.

An outcome that follows from many things at once (a death, from the course of forty measurements) is one field to learn given all of them;
the other way round it would be forty fields that each lean on it a little, and what is learned of each is shrunk. Any static fields can
still be given: the network learns subsets of them in front as well. Knows tokens alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from manikin.codecs.base import Tokens
from manikin.training.networks.any_order import causal_mask
from manikin.training.networks.any_order_sampler import AnyOrderSampler

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PlanFirst:
    """The fields of patients are `n_static` static ones and those of the plan behind them, `n` in all; a network has the plan in front."""

    n_static: int
    n: int

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """The field of each column of the network, int64 (n,)."""
        return np.concatenate([np.arange(self.n_static, self.n), np.arange(self.n_static)])

    @property
    def place(self) -> npt.NDArray[np.int64]:
        """The column of each field, int64 (n,)."""
        return np.argsort(self.order)

    def sample(self, sampler: AnyOrderSampler, uniform: npt.NDArray[np.float32], tokens: Tokens, given: Bools) -> Tokens:
        """All fields of patients, int32 (n_patients, n), from tokens of which those of the fields `given`, bool (n,), are known."""
        return sampler.sample(uniform, tokens[:, self.order], given[self.order])[:, self.place]

    def within(self, rules: Any) -> Any:
        """Rules over the static fields alone, as rules over the columns of the network."""
        if rules is None:
            return None
        n_plan = self.n - self.n_static

        def allowed(column: int, tokens: Tokens, given: Bools) -> Bools | None:
            """Which tokens of a static field are left."""
            return rules(column - n_plan, tokens[:, n_plan:], given[..., n_plan:]) if column >= n_plan else None

        return allowed

    def of_static(self) -> torch.Tensor:
        """Static fields seen in their own order, with no plan: what each column sees, float (n, n)."""
        mask = causal_mask(self.n)
        mask[: self.n - self.n_static] = 0
        return mask
