"""Trains a generator of images against a critic: the original game, a penalty on the critic's slope, averaged weights. Knows no network.

The game is Goodfellow et al. 2014 (arXiv 1406.2661) with the generator's non-saturating loss; R1 is half of gamma times the squared slope
of the critic at real images (Mescheder, Geiger & Nowozin 2018, arXiv 1801.04406), which may be taken at every k-th step only, k times as
strong (arXiv 1912.04958).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.data.seeds import derive, generator
from manikin.training.adam import Adam
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.adversarial import settle_batch_norm
from manikin.training.objectives.image_batches import ImageBatch, ImageRows
from manikin.training.pictures import MOST_PICTURES

LOOK = 64  # images that a look at a sample takes
MOST_TOLD = 4  # combinations of attributes that a look compares images within, the commonest
COARSE = 8  # pixels along each axis at which a look compares them
SIGNALS = ("look", "accuracy real", "accuracy synthetic", "spread")


@dataclass(frozen=True)
class GameRecipe:
    """How the pair is trained.

    Attributes
    ----------
    steps : of both players, that the plan is made of.
    learning_rate, critic_rate : Adam's, of the generator and of the critic. betas : of both.
    r1 : gamma, 0 for none. r1_every : steps between two penalties.
    average_images : images after which an early weight counts half in the averaged ones.
    looks : at samples over the plan.
    """

    steps: int = 2600
    learning_rate: float = 2e-4
    critic_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    r1: float = 0.0
    r1_every: int = 1
    average_images: int = 10_000
    looks: int = 20


class ImageGame:
    """The objective that the loop trains; `average` is the generator to keep.

    Parameters
    ----------
    network : (noise (n, n_noise), tokens) to images in [-1, 1]; has `n_noise`. critic : (images, tokens) to scores (n,).
    data : real images.
    """

    has_fixed_batches = True
    mixes = True  # whether the critic compares the images of a batch with each other

    def __init__(self, network: nn.Module, critic: nn.Module, data: ImageRows, *, recipe: GameRecipe, seed: int) -> None:
        self.data, self.recipe, self.seed, self.device = data, recipe, seed, data.device
        self.network, self.critic = (channels_last(one.to(self.device)) for one in (network, critic))
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False).eval()
        self.planned_steps = recipe.steps
        self.validate_every = max(1, math.ceil(self.planned_steps / recipe.looks))
        self.patience: int | None = None
        self._seen = torch.zeros(2 + 2)  # images shown so far; real seen as real, synthetic as synthetic, critic steps since the last look
        self._signals: dict[str, float] = {}
        rng = generator(seed, "look")
        self._look = data.batch(rng.choice(data.rows, LOOK))
        self._alike = told_alike(data, rng)

    def stages(self) -> Sequence[Stage]:
        """One stage: the critic, its penalty, the generator."""
        recipe = self.recipe
        critic = self._adam(self.critic, recipe.critic_rate, recipe.r1_every if recipe.r1 else 1)
        network = self._adam(self.network, recipe.learning_rate, 1)
        phases = [Phase("critic", self.critic, critic, self.critic_loss, mixes_records=self.mixes)]
        if recipe.r1:
            phases.append(
                Phase("slope", self.critic, critic, self.slope_loss, every=recipe.r1_every, mixes_records=self.mixes, drifts=True)
            )
        phases.append(Phase("generator", self.network, network, self.generator_loss, touches_records=False, drifts=True))
        return [Stage(phases)]

    def _adam(self, module: nn.Module, rate: float, every: int) -> Adam:
        """Adam whose pace allows for a penalty that has steps of its own (arXiv 1912.04958, appendix B: c = k / (k + 1))."""
        c = every / (every + 1) if every > 1 else 1.0
        first, second = self.recipe.betas
        return Adam(module.parameters(), lr=rate * c, betas=(first**c, second**c))

    def batches(self, rng: np.random.Generator) -> Iterator[ImageBatch]:
        """Shuffled images; every phase has a batch of its own."""
        for _ in range(2):
            yield from self.data.shuffled(rng)

    def noise(self, n: int) -> Tensor:
        """Standard normal noise, (n, n_noise)."""
        return torch.randn(n, int(self.network.n_noise), device=self.device)  # type: ignore[arg-type]

    def made(self, tokens: Tensor) -> Tensor:
        """Synthetic images for these attributes."""
        return self.network(self.noise(len(tokens)), tokens)

    def shown(self, images: Tensor) -> Tensor:
        """Images as the critic is shown them, real and synthetic alike; as they are, here."""
        return images

    def critic_loss(self, batch: ImageBatch) -> Tensor:
        """One loss per image, (n,)."""
        with torch.no_grad():
            made = self.made(batch.tokens)
        on_real = self.critic(self.shown(batch.pixels), batch.tokens)
        on_made = self.critic(self.shown(made), batch.tokens)
        self._note(on_real.detach(), on_made.detach())
        return F.softplus(-on_real) + F.softplus(on_made)

    def _note(self, on_real: Tensor, on_made: Tensor) -> None:
        right = [(on_real > 0).float().mean(), (on_made <= 0).float().mean(), torch.ones((), device=self.device)]
        self._seen[1:] += torch.stack(right).cpu()
        self._seen[0] += len(on_real)

    def slope_loss(self, batch: ImageBatch) -> Tensor:
        """Half of gamma times the critic's squared slope at real images as it is shown them, times the steps between, (n,)."""
        images = self.shown(batch.pixels).detach().requires_grad_()
        slope = squared_slope(self.critic(images, batch.tokens), images)
        return slope * (self.recipe.r1 / 2 * self.recipe.r1_every)

    def generator_loss(self, batch: ImageBatch) -> Tensor:
        """How little the critic takes synthetic images for real, (n,)."""
        made = self.shown(self.made(batch.tokens))
        with held(self.critic):
            return F.softplus(-self.critic(made, batch.tokens))

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the generator's weights; early ones are forgotten."""
        del fraction
        half = min(self.recipe.average_images, 0.05 * float(self._seen[0]))
        keep = 0.5 ** (self.data.batch_size / max(half, 1e-8))
        ours: list[Tensor] = list(self.network.parameters())
        averaged: list[Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(averaged, ours, 1 - keep)
        for mine, buffer in zip(self.average.buffers(), self.network.buffers(), strict=True):
            mine.copy_(buffer)

    @torch.no_grad()
    def validate(self) -> float | None:
        """A look at a sample of the averaged generator; no held-out loss, as a game has none."""
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "look"))
            self.settle()
            apart = [spread(self.average(self.noise(len(told)), told)) / real for told, real in self._alike]
        n = max(float(self._seen[3]), 1.0)
        self._signals = {
            "look": self._signals.get("look", 0.0) + 1,
            "accuracy real": float(self._seen[1]) / n,
            "accuracy synthetic": float(self._seen[2]) / n,
            "spread": round(min(apart, default=1.0), 2),  # it is saved
        }
        self._seen[1:].zero_()
        return None

    def settle(self) -> None:
        """Batch normalisation of the averaged generator takes its statistics from attributes as they occur."""
        rng = generator(self.seed, "settle")

        def run() -> None:
            """One forward pass as in sampling."""
            rows = rng.choice(self.data.rows, max(self.data.batch_size, 2))
            tokens = torch.from_numpy(self.data.images.tokens[rows].astype(np.int64)).to(self.device)
            self.average(self.noise(len(rows)), tokens)

        settle_batch_norm(self.average, run)

    def signals(self) -> Mapping[str, float]:
        """What the monitors watch, as of the last look."""
        return self._signals

    def film(self) -> Mapping[str, Sequence[float]]:
        """None."""
        return {}

    @torch.no_grad()
    def pictures(self) -> Mapping[str, npt.NDArray[Any]]:
        """What the averaged generator makes of the same noise each time."""
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "film"))
            self.settle()
            made = self.average(self.noise(MOST_PICTURES), self._look.tokens[:MOST_PICTURES])
        return {self.data.column: made.cpu().numpy()}

    def modules(self) -> Mapping[str, nn.Module]:
        """Both players and the averaged generator."""
        return {"generator": self.network, "critic": self.critic, "average": self.average}

    def state(self) -> Tensors:
        """Images shown so far, and what was noted since the last look."""
        values = list(self._signals.values())
        return {"seen": self._seen, "signals": torch.tensor(values, dtype=torch.float64)}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._seen = tensors["seen"].clone()
        values = tensors["signals"].tolist()
        self._signals = dict(zip(SIGNALS, values, strict=False)) if values else {}


def channels_last(module: nn.Module) -> nn.Module:
    """The module, with the weights of pictures' convolutions laid out so that a step takes a third less time on a processor."""
    for one in module.parameters():
        if one.dim() == 4:
            one.data = one.data.contiguous(memory_format=torch.channels_last)
    return module


@contextmanager
def held(module: nn.Module) -> Iterator[None]:
    """What is computed within gives no gradients to the module's weights, so that the generator's step pays for its own alone."""
    learning = [one for one in module.parameters() if one.requires_grad]
    for one in learning:
        one.requires_grad = False
    try:
        yield
    finally:
        for one in learning:
            one.requires_grad = True


def squared_slope(scores: Tensor, images: Tensor) -> Tensor:
    """Squared length of each score's gradient by its image, (n,); it can be differentiated again."""
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)


def spread(images: Tensor) -> float:
    """Mean distance between two images at a coarse size; near 0 where a generator makes one image only."""
    coarse = F.interpolate(images, [min(length, COARSE) for length in images.shape[2:]], mode="area")
    return float(torch.pdist(coarse.flatten(1)).mean())


def told_alike(data: ImageRows, rng: np.random.Generator) -> list[tuple[Tensor, float]]:
    """What a look asks for, so that one image for each label shows: tokens (n, n_attributes), all alike, and the spread of real images.

    They are the commonest combinations of attributes; where most images have one that hardly any other has (an age in days), some rows'
    own, and the spread is that between any images. None is of fewer than 16 images; empty where there are fewer.
    """
    told = data.images.tokens[data.rows]
    of, count = np.zeros(len(told), dtype=np.int64), np.array([len(told)])
    if told.shape[1]:
        _, of, count = np.unique(told, axis=0, return_inverse=True, return_counts=True)
    each = LOOK // MOST_TOLD
    if len(told) < each:
        return []
    common = [one for one in np.argsort(-count, kind="stable")[:MOST_TOLD] if count[one] >= each]
    if sum(count[common]) < len(told) / 2:
        groups = [(rng.permutation(data.rows)[:each], int(row)) for row in rng.permutation(data.rows)[:MOST_TOLD]]
    else:
        groups = [(data.rows[rng.permutation(np.flatnonzero(of == one))[:each]], -1) for one in common]
    out = []
    for rows, asked in groups:
        batch = data.batch(rows)
        tokens = batch.tokens if asked < 0 else data.batch(np.full(len(rows), asked)).tokens
        out.append((tokens, max(spread(batch.pixels), 1e-8)))
    return out
