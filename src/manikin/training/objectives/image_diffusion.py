"""Trains a diffusion of images: denoising at random levels, weights averaged by a power of time, the best by held-out images kept."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from manikin.data.seeds import derive
from manikin.training.accumulated import in_pieces
from manikin.training.adam import Adam
from manikin.training.networks.image_augmentation import altered
from manikin.training.networks.image_conditioning import drawn_unsaid
from manikin.training.networks.image_diffusion import ImageDiffusion
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.averaged import Averaged
from manikin.training.pictures import MOST_PICTURES

Rows = npt.NDArray[np.int64]
Pixels = Callable[[Rows], npt.NDArray[np.float32]]  # rows to images in [-1, 1], (n, channels, *size)
LOOK, LEAST_BETWEEN = 512, 25  # most noised images behind a held-out loss, and least steps between two of them
LEAST_LOOK, LEAST_TIMES = 128, 8  # where few are held out: least noised images, and how often each is looked at
SHOWN_STEPS = 10  # looks that a picture of the filmstrip takes
MOST_FOR_MOMENTS = 2048  # images that the spread is measured on
WARMING = 0.03  # share of the plan in which the learning rate rises


@dataclass(frozen=True)
class DiffusionRecipe:
    """How the network is trained.

    Attributes
    ----------
    steps : gradient steps of the plan. batch_size : images of each. piece : images at a time; gradients add up. learning_rate : Adam's.
    average : width of the average of the weights, as a share of the steps done. unsaid : share of images told without attributes.
    augment : chance of each alteration. mirrored : whether images may be mirrored. validations : looks at held-out images.
    half : products in bfloat16.
    """

    steps: int
    batch_size: int = 64
    piece: int | None = None
    learning_rate: float = 1e-3
    average: float = 0.05
    unsaid: float = 0.1
    augment: float = 0.0
    mirrored: bool = False
    validations: int = 20
    half: bool = False


class ImageDenoising(Averaged[ImageDiffusion]):
    """The objective that the loop trains; `average` is what samples.

    Parameters
    ----------
    pixels : rows to images. tokens : int64 (n, n_attributes) of all rows. inside, outside : rows to learn from, and to choose by.
    column : name of what is learned, for the filmstrip.
    """

    has_fixed_batches = True
    patience: int | None = None

    def __init__(
        self,
        network: ImageDiffusion,
        pixels: Pixels,
        tokens: Rows,
        *,
        inside: Rows,
        outside: Rows,
        recipe: DiffusionRecipe,
        seed: int,
        device: torch.device,
        column: str = "images",
    ) -> None:
        self.network = network.to(device)
        self.network.precision = torch.bfloat16 if recipe.half else None
        self.pixels, self.tokens = pixels, torch.from_numpy(tokens)
        self.inside, self.outside = inside, outside[:LOOK]
        self.recipe, self.seed, self.device, self.column = recipe, seed, device, column
        self.batch_size = min(recipe.batch_size, len(inside))
        self.planned_steps = recipe.steps
        self.validate_every = max(LEAST_BETWEEN, math.ceil(recipe.steps / recipe.validations))
        self._settle_scale()
        self.average = copy.deepcopy(self.network).requires_grad_(requires_grad=False).eval()
        self._averaged: list[Tensor] = list(self.average.parameters())
        self._ours: list[Tensor] = list(self.network.parameters())
        self._steps = torch.zeros(1)
        self._power = _power(recipe.average)

    def _settle_scale(self) -> None:
        """Brings images to the spread that the network is made for."""
        some = self.inside[:: max(1, len(self.inside) // MOST_FOR_MOMENTS)]
        images = torch.from_numpy(self.pixels(some)).transpose(0, 1).flatten(1).double()
        self.network.standardise(images.mean(1).float(), images.std(1).float())

    def stages(self) -> Sequence[Stage]:
        """One stage with one phase."""
        return [Stage([self.phase()], name="denoising")]

    def phase(self) -> Phase:
        """Denoising."""
        optimiser = Adam(self.network.parameters(), lr=self.recipe.learning_rate, betas=(0.9, 0.99))
        return Phase("denoising", self.network, optimiser, self._loss, clip_norm=1.0, schedule=self._schedule)

    def _schedule(self, fraction: float) -> float:
        return falling(fraction)

    def batches(self, rng: np.random.Generator) -> Iterator[Rows]:
        """Shuffled rows; what fills no batch waits for the next pass."""
        order = rng.permutation(self.inside)
        for b in range(len(order) // self.batch_size):
            yield order[b * self.batch_size : (b + 1) * self.batch_size]

    def images(self, rows: Rows) -> Tensor:
        """What is learned of rows, on the device."""
        return torch.from_numpy(self.pixels(rows)).to(self.device)

    def _loss(self, rows: Rows) -> Tensor:
        net, recipe = self.network, self.recipe
        images, tokens = self.images(rows), self.tokens[torch.from_numpy(rows)].to(self.device)
        said = None
        if recipe.augment and net.altered is not None:
            images, said = altered(images, recipe.augment, mirrored=recipe.mirrored)
        sigma = net.drawn_levels(len(rows), self.device)
        dropped = drawn_unsaid(len(rows), recipe.unsaid, self.device)

        def loss(part: slice) -> Tensor:
            """Of some of them."""
            return net.loss(
                images[part], tokens[part], sigma[part], dropped=dropped[part], altered=None if said is None else said[part]
            )

        return in_pieces(loss, len(rows), recipe.piece, self._ours)

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the weights: at step t the new ones count 1 - (1 - 1 / t)^(g + 1) (Karras et al. 2024, arXiv 2312.02696, equation 3)."""
        del fraction
        self._steps += 1
        fresh = 1 - (1 - 1 / float(self._steps)) ** (self._power + 1)
        torch._foreach_lerp_(self._averaged, self._ours, fresh)

    @torch.no_grad()
    def validate(self) -> float | None:
        """Loss on held-out images with the same noise at every look; None without any."""
        if not len(self.outside):
            return None
        n = min(LOOK, max(LEAST_LOOK, LEAST_TIMES * len(self.outside)))
        rows = np.tile(self.outside, -(-n // len(self.outside)))[:n]
        total = 0.0
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "look"))
            sigma = self.average.drawn_levels(len(rows), self.device)
            for start in range(0, len(rows), self.batch_size):
                part = rows[start : start + self.batch_size]
                tokens = self.tokens[torch.from_numpy(part)].to(self.device)
                total += float(self.average.loss(self.images(part), tokens, sigma[start : start + len(part)]).sum())
        return total / len(rows)

    @torch.no_grad()
    def pictures(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """A few images of the averaged network, from the same noise and attributes each time."""
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "pictures"))
            n = min(MOST_PICTURES, len(self.inside))
            columns = [column[torch.randperm(len(column))[:n]] for column in self.tokens[torch.from_numpy(self.inside)].T]
            tokens = torch.stack(columns, 1) if columns else torch.zeros(n, 0, dtype=torch.long)
            noise = torch.randn(n, self.average.channels, *self.average.size)
            made = self.average.draw(noise.to(self.device), tokens.to(self.device), n_steps=SHOWN_STEPS, sampler="multistep")
        return {self.column: self.shown(made).clamp(-1, 1).cpu().numpy()}

    def shown(self, made: Tensor) -> Tensor:
        """Images of what the diffusion makes."""
        return made

    def state(self) -> Tensors:
        """Steps averaged over."""
        return {"steps": self._steps}

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._steps = tensors["steps"].clone()


def falling(fraction: float) -> float:
    """The learning rate's factor: up at once, then down to nothing along a cosine."""
    return min(1.0, fraction / WARMING + 0.01) * (0.99 * 0.5 * (1 + math.cos(math.pi * fraction)) + 0.01)


def _power(width: float) -> float:
    """g of an average over t^g whose spread is `width` of the time so far: width^2 = (g + 1) / ((g + 2)^2 (g + 3)), by bisection."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        if math.sqrt((middle + 1) / ((middle + 2) ** 2 * (middle + 3))) > width:
            low = middle
        else:
            high = middle
    return low
