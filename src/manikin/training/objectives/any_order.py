"""Trains an any-order network: random masks, averaged weights, held-out likelihood. Knows tokens, not what they mean."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.training.adam import Adam
from manikin.training.networks.any_order import AnyOrderNet, causal_mask, draw_masks
from manikin.training.objective import Phase, Stage, Tensors


@dataclass(frozen=True)
class Recipe:
    """How the network is trained.

    Attributes
    ----------
    batch_size : rows per step, a multiple of n_masks. n_masks : orders per step.
    epochs : passes over the rows that the plan is made of.
    learning_rate : the peak, after a warm-up of 5 % of the plan; then a cosine to 1 % of it.
    weight_decay : decoupled, on weights and embeddings, not on biases.
    causal_share, causal_share_end : share of orders that are the table's own, until the last phase and at its end.
    last_phase : share of the plan over which that share rises, and dropout falls to zero.
    hide : mean share of cells hidden from every target; the rate differs by row, many rows hide nothing.
    average_epochs : memory of the averaged weights, in epochs.
    epochs_per_validation : passes between two looks at the held-out rows.
    given : columns that may be known when the others are drawn; none for any.
    patience : validations without a better one before the run stops; None goes through with the plan.
    """

    batch_size: int = 256
    n_masks: int = 4
    epochs: int = 9
    learning_rate: float = 4e-3
    weight_decay: float = 0.3
    causal_share: float = 0.4
    causal_share_end: float = 0.8
    last_phase: float = 0.4
    hide: float = 0.0
    average_epochs: float = 1.0
    epochs_per_validation: int = 1
    given: tuple[int, ...] = ()
    patience: int | None = 3


class AnyOrderObjective:
    """The objective that the loop trains; `averages` hold the weights to keep.

    Parameters
    ----------
    networks : members of an ensemble, trained side by side on the same rows with masks of their own.
    tokens : int64 (n_rows, n_columns) to learn from. held_out : likewise, of other patients.
    """

    has_fixed_batches = True

    def __init__(self, networks: Sequence[AnyOrderNet], tokens: Tensor, held_out: Tensor, recipe: Recipe) -> None:
        self.networks = nn.ModuleList(networks)
        self.averages = copy.deepcopy(self.networks).requires_grad_(requires_grad=False)
        self.n_columns = networks[0].n_columns
        self._ours: list[Tensor] = list(self.networks.parameters())
        self._averaged: list[Tensor] = list(self.averages.parameters())
        self.tokens, self.held_out, self.recipe = tokens, held_out, recipe
        self.batch_size = _batch_size(len(tokens), recipe)
        self.steps_per_epoch = max(1, len(tokens) // self.batch_size)
        self.planned_steps = self.steps_per_epoch * recipe.epochs
        self.validate_every = self.steps_per_epoch * recipe.epochs_per_validation
        self.patience = recipe.patience
        self._done = torch.zeros(2)  # steps, and the share of the plan that they are
        with torch.random.fork_rng():
            torch.manual_seed(1)  # the orders that validation scores, the same in every run
            orders = draw_masks(self.n_columns, 2, 0.0, recipe.given)
        self._orders = torch.cat([causal_mask(self.n_columns)[None], orders]).to(tokens.device)

    def stages(self) -> Sequence[Stage]:
        """One stage with one phase."""
        decayed: list[nn.Parameter] = []
        plain: list[nn.Parameter] = []
        for name, parameter in self.networks.named_parameters():
            is_plain = "bias" in name or ".b1." in name or ".b2." in name
            (plain if is_plain else decayed).append(parameter)
        optimiser = Adam(
            [{"params": decayed, "weight_decay": self.recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}],
            lr=self.recipe.learning_rate,
            betas=(0.9, 0.98),
            decoupled=True,
        )
        phase = Phase(
            "likelihood",
            self.networks,
            optimiser,
            self._loss,
            clip_norm=5.0 * math.sqrt(len(self.networks)),
            schedule=_warm_cosine,
        )
        return [Stage([phase])]

    def batches(self, rng: np.random.Generator) -> Iterator[Tensor]:
        """Shuffled rows; the rest that fills no batch waits for the next pass."""
        order = torch.from_numpy(rng.permutation(len(self.tokens))).to(self.tokens.device)
        for b in range(self.steps_per_epoch):
            yield self.tokens[order[b * self.batch_size : (b + 1) * self.batch_size]]

    def _loss(self, batch: Tensor) -> Tensor:
        """Nats per row, summed over members, (n_rows,)."""
        n_masks = self.recipe.n_masks if len(batch) % self.recipe.n_masks == 0 else 1
        late = max(0.0, (float(self._done[1]) - 1 + self.recipe.last_phase) / self.recipe.last_phase)
        causal_share = self.recipe.causal_share + late * (self.recipe.causal_share_end - self.recipe.causal_share)
        total: Tensor | None = None
        for network in self.networks:
            assert isinstance(network, AnyOrderNet)
            network.dropout_scale = 1.0 - late
            masks = draw_masks(self.n_columns, n_masks, causal_share, self.recipe.given).to(batch.device)
            loss = network.nll(batch, masks, self._keep(batch)).sum(0)
            total = loss if total is None else total + loss
        assert total is not None
        return total

    def _keep(self, batch: Tensor) -> Tensor | None:
        if not self.recipe.hide:
            return None
        rate = torch.rand(len(batch), 1) * 2 * self.recipe.hide
        return (torch.rand(batch.shape) >= rate).float().to(batch.device)

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights; the memory grows from nothing so that early weights are forgotten."""
        self._done += 1
        self._done[1] = fraction
        memory = min(self.recipe.average_epochs * self.steps_per_epoch + 1, 1 + 0.2 * float(self._done[0]))
        torch._foreach_lerp_(self._averaged, self._ours, 1 / memory)

    @torch.no_grad()
    def validate(self) -> float | None:
        """Held-out nats per row, the mean of the table's order and of random ones; None without held-out rows."""
        if not len(self.held_out):
            return None
        self.averages.eval()
        scores = np.array([[_mean_nll(net, self.held_out, order) for order in self._orders] for net in self.averages])
        return float(0.5 * scores[:, 0].mean() + 0.5 * scores[:, 1:].mean())

    def signals(self) -> Mapping[str, float]:
        """None: the held-out likelihood says it all."""
        return {}

    def film(self) -> Mapping[str, Sequence[float]]:
        """None."""
        return {}

    def modules(self) -> Mapping[str, nn.Module]:
        """The networks and their averages."""
        return {"networks": self.networks, "averages": self.averages}

    def state(self) -> Tensors:
        """How many steps the average has seen, and how much of the plan is done."""
        return {"done": self._done}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._done = tensors["done"].clone()


def _mean_nll(network: nn.Module, tokens: Tensor, order: Tensor, chunk: int = 2048) -> float:
    assert isinstance(network, AnyOrderNet)
    parts = [float(network.nll(tokens[i : i + chunk], order[None]).sum()) for i in range(0, len(tokens), chunk)]
    return sum(parts) / len(tokens)


def _batch_size(n_rows: int, recipe: Recipe) -> int:
    size = min(recipe.batch_size, n_rows)
    return max(size - size % recipe.n_masks, 1 if n_rows == 1 else min(n_rows, recipe.n_masks))


def _warm_cosine(fraction: float) -> float:
    return min(1.0, fraction / 0.05) * (0.99 * 0.5 * (1 + math.cos(math.pi * fraction)) + 0.01)


def log_marginals(tokens: npt.NDArray[np.int32], n_tokens: int) -> npt.NDArray[np.float32]:
    """Log of training frequencies with half a count added, float32 (n_tokens,)."""
    counts = np.bincount(tokens, minlength=n_tokens) + 0.5
    return np.log(counts / counts.sum()).astype(np.float32)
