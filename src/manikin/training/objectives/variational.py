"""Trains a variational autoencoder by its evidence lower bound; averaged weights, stopping by held-out rows. Knows no columns.

The bound per row is weight * log p(x | z) + log p(z) - log q(z | x), z drawn once from q (Kingma & Welling 2014, arXiv 1312.6114); the
weight on the reconstruction is TVAE's loss factor of 2, that is a beta of 1/2 (Higgins et al. 2017).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.data.seeds import derive, generator
from manikin.training.adam import Adam
from manikin.training.networks.variational import LOG_TWO_PI, VariationalNetwork
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.likeness import Likeness, Measured, in_pieces

Tokens = npt.NDArray[np.int32]
Draw = Callable[[nn.Module, int, np.random.Generator], Tokens]
AHEAD = 8  # batches that are encoded together, fewer where they have more than MOST_CELLS
MOST_CELLS = 1 << 25
MOST_BOUND_ROWS = 4000  # held-out rows that the bound is taken on


@dataclass(frozen=True)
class VariationalRecipe:
    """How the network is trained.

    Attributes
    ----------
    batch_size : rows per step. epochs : passes over the rows that the plan is made of.
    learning_rate, weight_decay : Adam's. calm : share of the plan, at its end, in which the rate sinks. weight : of the reconstruction.
    warm_up : share of the plan over which the divergence's weight grows.
    stop_by : "bound" (held-out rows' evidence lower bound) or "likeness" (a sample's distance from them).
    validations : looks at held-out rows over the plan. patience : looks without a better one before the run stops; None goes on.
    average_steps : memory of the averaged weights, in steps.
    """

    batch_size: int = 500
    epochs: int = 300
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    calm: float = 0.3
    weight: float = 2.0
    warm_up: float = 0.0
    stop_by: Literal["bound", "likeness"] = "likeness"
    validations: int = 30
    patience: int | None = None
    average_steps: int = 300


@dataclass(frozen=True)
class Encoded:
    """Rows as the network takes and is asked for them.

    Attributes
    ----------
    rows : float32 (n, width). scalars, counts : float32 (n, n_scalars). options : int64 (n, n_groups).
    """

    rows: npt.NDArray[np.float32]
    scalars: npt.NDArray[np.float32]
    counts: npt.NDArray[np.float32]
    options: npt.NDArray[np.int64]


@dataclass(frozen=True)
class VariationalBatch:
    """The same as tensors."""

    rows: Tensor
    scalars: Tensor
    counts: Tensor
    options: Tensor


class Variational:
    """The objective that the loop trains; `average` is the network to keep.

    Parameters
    ----------
    tokens : int32 (n, n_fields) to learn from. held_out : likewise, to stop by; may be empty.
    encode : tokens to what the network takes. draw : (network, n, rng) -> tokens of a sample. likeness : what samples are held against.
    """

    has_fixed_batches = True

    def __init__(
        self,
        network: VariationalNetwork,
        tokens: Tokens,
        held_out: Tokens,
        *,
        encode: Callable[[Tokens, np.random.Generator], Encoded],
        draw: Draw,
        likeness: Likeness,
        recipe: VariationalRecipe,
        seed: int,
        device: torch.device | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.network = network.to(self.device)
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.tokens, self.encode, self.likeness = tokens, encode, likeness
        self.draw = in_pieces(draw, network.head.rows_at_once)
        self.held_out = held_out[:MOST_BOUND_ROWS]
        self.recipe, self.seed = recipe, seed
        self.batch_size = min(recipe.batch_size, len(tokens))
        self.steps_per_epoch = max(1, math.ceil(len(tokens) / self.batch_size))
        self.planned_steps = self.steps_per_epoch * recipe.epochs
        self.validate_every = max(1, math.ceil(self.planned_steps / recipe.validations))
        self.patience = recipe.patience
        self._averaged: list[Tensor] = list(self.average.parameters())
        self._ours: list[Tensor] = list(self.network.parameters())
        self._progress = torch.zeros(2)  # steps, share of the plan
        self._seen: Measured | None = None
        self._signals: dict[str, float] = {}

    def stages(self) -> Sequence[Stage]:
        """One stage of one phase."""
        decayed = [p for name, p in self.network.named_parameters() if name != "log_sigma"]
        optimiser = Adam(
            [
                {"params": decayed, "weight_decay": self.recipe.weight_decay},
                {"params": [self.network.log_sigma], "weight_decay": 0.0},
            ],
            lr=self.recipe.learning_rate,
        )
        return [Stage([Phase("bound", self.network, optimiser, self.loss, clip_norm=50.0, schedule=self._rate, drifts=True)])]

    def _rate(self, fraction: float) -> float:
        """Full until the calm end of the plan, then down in a line to a twentieth."""
        return 1.0 if fraction < 1 - self.recipe.calm else max(0.05, (1 - fraction) / self.recipe.calm)

    def batches(self, rng: np.random.Generator) -> Iterator[VariationalBatch]:
        """Shuffled rows; the last batch of a pass is as large as is left."""
        order = rng.permutation(len(self.tokens))
        cells = self.batch_size * max(self.network.head.width, 1)
        many = self.batch_size * int(np.clip(MOST_CELLS // cells, 1, AHEAD))
        for start in range(0, len(order), many):
            encoded = self.encode(self.tokens[order[start : start + many]], rng)
            for at in range(0, len(encoded.rows), self.batch_size):
                yield self._batch(encoded, at, at + self.batch_size)

    def _batch(self, encoded: Encoded, start: int, stop: int) -> VariationalBatch:
        parts = (encoded.rows, encoded.scalars, encoded.counts, encoded.options)
        return VariationalBatch(*(torch.from_numpy(part[start:stop]).to(self.device) for part in parts))

    def loss(self, batch: VariationalBatch) -> Tensor:
        """The negative bound per row, (n,), over the reconstruction's weight."""
        share = 1.0 if not self.recipe.warm_up else min(1.0, float(self._progress[1]) / self.recipe.warm_up)
        likely, divergence = bound_parts(self.network, batch)
        return -likely + divergence * (share / self.recipe.weight)

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights; early ones are forgotten."""
        self._progress[0] += 1
        self._progress[1] = fraction
        memory = min(self.recipe.average_steps, 1 + 0.1 * float(self._progress[0]))
        torch._foreach_lerp_(self._averaged, self._ours, 1 / memory)

    @torch.no_grad()
    def validate(self) -> float | None:
        """The averaged network's negative bound on held-out rows, or its samples' distance from them; the same noise at every look."""
        bound = None
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "look"))
            rng = generator(self.seed, "look")
            self.average.eval()
            if len(self.held_out):
                encoded, most = self.encode(self.held_out, rng), self.average.head.rows_at_once
                starts = range(0, len(self.held_out), most)
                parts = [bound_parts(self.average, self._batch(encoded, start, start + most)) for start in starts]
                likely, divergence = (torch.cat(part) for part in zip(*parts, strict=True))
                bound = float((-likely + divergence / self.recipe.weight).mean())
            self._seen = self.likeness.measure(self.draw(self.average, max(self.likeness.n_rows, 200), rng))
        self._signals = {
            "look": self._signals.get("look", 0.0) + 1,
            "coverage": self._seen.coverage,
            "duplicates": self._seen.duplicates,
            "duplicates of train": self.likeness.duplicates_of_train,
            "drift": self._seen.drift,
        }
        if bound is not None:
            self._signals |= {"bound": -bound, "divergence": float(divergence.mean())}
        return bound if self.recipe.stop_by == "bound" else self._seen.drift

    def signals(self) -> Mapping[str, float]:
        """What the monitors watch, as of the last look."""
        return self._signals

    def film(self) -> Mapping[str, Sequence[float]]:
        """Shares of bins per column in the last look's sample."""
        return self._seen.shares if self._seen is not None else {}

    def modules(self) -> Mapping[str, nn.Module]:
        """The network in training and the averaged one."""
        return {"network": self.network, "average": self.average}

    def state(self) -> Tensors:
        """Where the run stands, and what was seen at the last look."""
        values = torch.tensor([self._signals[name] for name in SIGNALS if name in self._signals], dtype=torch.float64)
        return {"progress": self._progress, "signals": values}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._progress = tensors["progress"].clone()
        values = tensors["signals"].tolist()
        self._signals = dict(zip(SIGNALS[: len(values)], values, strict=True))


SIGNALS = ("look", "coverage", "duplicates", "duplicates of train", "drift", "bound", "divergence")


def bound_parts(network: nn.Module, batch: VariationalBatch) -> tuple[Tensor, Tensor]:
    """log p(x | z) and log q(z | x) - log p(z) for one draw of z, each (n,); with a standard normal prior the divergence is exact."""
    assert isinstance(network, VariationalNetwork)
    mean, log_variance = network.encode(batch.rows)
    noise = torch.randn_like(mean)
    latent = mean + noise * torch.exp(0.5 * log_variance)
    likely = network.log_likelihood(network(latent), batch.scalars, batch.options, batch.counts)
    if not len(network.prior.couplings):
        return likely, 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    log_posterior = -0.5 * (noise.square() + log_variance + LOG_TWO_PI).sum(1)
    return likely, log_posterior - network.prior.log_density(latent)
