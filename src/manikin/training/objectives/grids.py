"""Trains networks over grids: TimeVAE by its evidence lower bound, TimeGAN in its three stages. Knows no columns."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.data.seeds import derive, generator
from manikin.training.adam import Adam
from manikin.training.networks.grids import GridBatch, TimeGANNetwork, TimeVAENetwork
from manikin.training.objective import Phase, Stage
from manikin.training.objectives.averaged import AveragedOverSteps

Indices = npt.NDArray[np.int64]
Encode = Callable[[Indices, np.random.Generator], GridBatch]
MOST_HELD_OUT = 1000


@dataclass(frozen=True)
class GridRecipe:
    """How a network is trained.

    Attributes
    ----------
    batch_size : patients per step. epochs : passes over the patients that the plan is made of. learning_rate : Adam's.
    weight : of the reconstruction (TimeVAE). patience : looks at held-out patients without a better one; None goes on.
    shares : of the plan, for TimeGAN's stages (embedding, supervision, joint).
    """

    batch_size: int
    epochs: int
    learning_rate: float
    weight: float = 1.0
    patience: int | None = 8
    validations: int = 25
    average_steps: int = 200
    shares: tuple[float, float, float] = (0.3, 0.2, 0.5)


class GridObjective(AveragedOverSteps[nn.Module], ABC):
    """What both have: batches of patients, a plan, averaged weights.

    Parameters
    ----------
    encode : indices of patients and a generator to a batch. inside, outside : patients to learn from and to stop by.
    """

    has_fixed_batches = True

    def __init__(
        self,
        network: nn.Module,
        encode: Encode,
        inside: Indices,
        outside: Indices,
        *,
        recipe: GridRecipe,
        seed: int,
        device: torch.device,
    ) -> None:
        self.network = network.to(device)
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.encode, self.inside, self.outside = encode, inside, outside[:MOST_HELD_OUT]
        self.recipe, self.seed, self.device = recipe, seed, device
        self.batch_size = min(recipe.batch_size, len(inside))
        self.planned_steps = max(1, math.ceil(len(inside) / self.batch_size)) * recipe.epochs
        self.validate_every = max(1, math.ceil(self.planned_steps / recipe.validations))
        self.patience = recipe.patience
        super().__init__(recipe.average_steps)

    @abstractmethod
    def stages(self) -> Sequence[Stage]:
        """What is trained, stage by stage."""

    @abstractmethod
    def validate(self) -> float | None:
        """Loss on held-out patients, None where there is none."""

    def batches(self, rng: np.random.Generator) -> Iterator[GridBatch]:
        """Shuffled patients; the last batch of a pass is as large as is left."""
        order = rng.permutation(self.inside)
        for start in range(0, len(order), self.batch_size):
            yield on(self.encode(order[start : start + self.batch_size], rng), self.device)


class GridVariational(GridObjective):
    """TimeVAE: the evidence lower bound per patient."""

    def stages(self) -> Sequence[Stage]:
        """One stage of one phase."""
        optimiser = Adam(self.network.parameters(), lr=self.recipe.learning_rate)
        return [Stage([Phase("bound", self.network, optimiser, self.loss, clip_norm=20.0, schedule=_calm, drifts=True)])]

    def loss(self, batch: GridBatch) -> Tensor:
        """The negative bound per patient and step, (n,)."""
        assert isinstance(self.network, TimeVAENetwork)
        likely, divergence = self.network.bound_parts(batch)
        return (-likely * self.recipe.weight + divergence) / batch.alive.sum(1).mean().clamp_min(1)

    @torch.no_grad()
    def validate(self) -> float | None:
        """The averaged network's negative bound per step on held-out patients, with the same noise at every look."""
        if not len(self.outside):
            return None
        assert isinstance(self.average, TimeVAENetwork)
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "look"))
            self.average.eval()
            batch = on(self.encode(self.outside, generator(self.seed, "look")), self.device)
            likely, divergence = self.average.bound_parts(batch)
        return float((-likely * self.recipe.weight + divergence).mean() / batch.alive.sum(1).mean().clamp_min(1))


class GridAdversarial(GridObjective):
    """TimeGAN's three stages (Yoon et al. 2019, section 4, with the authors' weights): embedding, supervision, then the game."""

    SUPERVISED, MOMENTS, ALSO = 100.0, 100.0, 1.0  # weights of the supervisor (under its root), of moments, of what it did not pass on

    def stages(self) -> Sequence[Stage]:
        """Embedding, supervision, joint training."""
        net = self.network
        assert isinstance(net, TimeGANNetwork)
        mirror = _together(net.embedder, net.static_embedder, net.recovery, net.output, net.static)
        maker = _together(net.generator, net.static_generator, net.supervisor)
        rate = self.recipe.learning_rate

        def phase(name: str, module: nn.Module, loss: Callable[[GridBatch], Tensor], repeats: int = 1) -> Phase:
            """A phase that moves these networks only."""
            optimiser = Adam(module.parameters(), lr=rate)
            return Phase(name, module, optimiser, loss, repeats=repeats, mixes_records=True, clip_norm=10.0, drifts=True)

        first, second, third = self.recipe.shares
        return [
            Stage([phase("embedding", mirror, self.embedding)], first, "embedding"),
            Stage([phase("supervision", net.supervisor, self.supervision)], second, "supervision"),
            Stage(
                [
                    phase("generator", maker, self.generation, 2),
                    phase("mirror", mirror, self.mirrored, 1),
                    phase("discriminator", net.discriminator, self.discrimination),
                ],
                third,
                "joint",
            ),
        ]

    def validate(self) -> float | None:
        """Nothing to stop by: a game has no bound."""
        return None

    def _net(self) -> TimeGANNetwork:
        assert isinstance(self.network, TimeGANNetwork)
        return self.network

    def embedding(self, batch: GridBatch) -> Tensor:
        """How badly patients come back from their latent sequences, (n,)."""
        return self._net().reconstruction(batch, *self._net().embed(batch))

    def supervision(self, batch: GridBatch) -> Tensor:
        """How far the supervisor's next step is from the next one, (n,)."""
        net = self._net()
        latent, static = net.embed(batch)
        return self._next(latent.detach(), None if static is None else static.detach(), batch)

    def _next(self, latent: Tensor, static: Tensor | None, batch: GridBatch) -> Tensor:
        ahead = self._net().supervise(latent, static)[:, :-1]
        alive = batch.alive[:, 1:]
        off = ((ahead - latent[:, 1:]).square().mean(2) * alive).sum(1)
        return off / alive.sum(1).clamp_min(1)

    def _made(self, batch: GridBatch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Latent sequences as the generator gives them, as the supervisor passes them on, and the patients' own vectors."""
        net = self._net()
        n, steps = batch.alive.shape
        noise = torch.randn(n, steps, net.noise, device=batch.alive.device)
        made, static = net.generate(noise, torch.randn(n, net.noise, device=batch.alive.device))
        return made, net.supervise(made, static), static

    def generation(self, batch: GridBatch) -> Tensor:
        """The generator's and supervisor's loss, (n,)."""
        net = self._net()
        made, passed, static = self._made(batch)
        wanted = torch.ones_like(batch.alive)
        fooled = _bce(net.judge(passed, static), wanted, batch.alive)
        also = _bce(net.judge(made, static), wanted, batch.alive)
        with torch.no_grad():
            latent, own = net.embed(batch)
        step = self._next(latent, own, batch)
        given = net.recover(passed, static)
        soft = net.output.head.soft(given)
        alive = batch.alive.reshape(-1, 1)
        mean, spread = _moments(soft, alive)
        real_mean, real_spread = _moments(batch.rows.reshape(len(soft), -1), alive)
        moments = (mean - real_mean).abs().mean() + (spread - real_spread).abs().mean()
        return fooled + self.ALSO * also + self.SUPERVISED * (step + 1e-8).sqrt() + self.MOMENTS * moments

    def mirrored(self, batch: GridBatch) -> Tensor:
        """The embedder's loss in the joint stage: reconstruction, and a little of the supervisor's, (n,)."""
        net = self._net()
        latent, static = net.embed(batch)
        return net.reconstruction(batch, latent, static) + 0.1 * self._next(latent, static, batch)

    def discrimination(self, batch: GridBatch) -> Tensor:
        """The discriminator's loss, (n,); 0 where it is well ahead, as the authors hold it back."""
        net = self._net()
        with torch.no_grad():
            latent, own = net.embed(batch)
            made, passed, static = self._made(batch)
        ones = torch.ones_like(batch.alive)
        loss = _bce(net.judge(latent, own), ones, batch.alive) + _bce(net.judge(passed, static), 1 - ones, batch.alive)
        loss = loss + self.ALSO * _bce(net.judge(made, static), 1 - ones, batch.alive)
        return loss * (loss.mean().detach() > 0.15).float()


def on(batch: GridBatch, device: torch.device) -> GridBatch:
    """The batch on a device."""
    return GridBatch(**{name: tensor.to(device) for name, tensor in vars(batch).items()})


def _calm(fraction: float) -> float:
    return 1.0 if fraction < 0.7 else max(0.05, (1 - fraction) / 0.3)


def _together(*modules: nn.Module | None) -> nn.ModuleList:
    return nn.ModuleList([module for module in modules if module is not None])


def _bce(scores: Tensor, wanted: Tensor, alive: Tensor) -> Tensor:
    per_step = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none") * alive
    return per_step.sum(1) / alive.sum(1).clamp_min(1)


def _moments(rows: Tensor, alive: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each part over all steps that there are."""
    n = alive.sum().clamp_min(1)
    mean = (rows * alive).sum(0) / n
    return mean, (((rows - mean).square() * alive).sum(0) / n + 1e-6).sqrt()
