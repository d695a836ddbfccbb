"""StyleGAN2's game: styles mixed, path lengths held, the critic shown changed images whose share adapts. Knows no data.

Path length regularisation and the lazy penalties are of arXiv 1912.04958 (3.2, appendix B); adaptive augmentation is of arXiv 2006.06676:
p moves so that r_t, the mean sign of the critic's scores of real images, stays at its target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from manikin.training.networks.augmentation import augmented
from manikin.training.networks.style import StyleGenerator
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.image_batches import ImageBatch, ImageRows
from manikin.training.objectives.image_game import SIGNALS, GameRecipe, ImageGame

ADAPT_EVERY = 4  # steps between two moves of p
MOST_P = 0.8  # beyond which changes begin to leak into what is generated (arXiv 2006.06676, 3.1)
MOST_OVER = 500_000  # images over which p could go from 0 to 1, in the paper
PATH_KEPT = 0.99  # of the running mean of path lengths


@dataclass(frozen=True)
class StyleRecipe:
    """What the game has beside its recipe.

    Attributes
    ----------
    mixing : share of images with two styles. path : weight of the path length penalty, 0 for none. path_every : steps between two.
    kinds : of changes that the critic is shown, none for no augmentation. flips : see `augmented`. target : of r_t.
    augment_over : images over which p could go from 0 to 1; None takes a fifth of the plan, 500,000 at most (the paper's).
    """

    mixing: float = 0.9
    path: float = 1.0
    path_every: int = 4
    kinds: tuple[str, ...] = ("blit", "geometry", "colour")
    flips: bool = False
    target: float = 0.6
    augment_over: int | None = None


class StyleGame(ImageGame):
    """The objective that the loop trains."""

    network: StyleGenerator

    def __init__(
        self, network: StyleGenerator, critic: nn.Module, data: ImageRows, *, recipe: GameRecipe, style: StyleRecipe, seed: int
    ) -> None:
        super().__init__(network, critic, data, recipe=recipe, seed=seed)
        self.style = style
        self._adapted = torch.zeros(4)  # p, sum of signs and number of scores since p moved, running mean of path lengths
        self._steps = torch.zeros(1)

    @property
    def p(self) -> float:
        """Probability of each change."""
        return float(self._adapted[0])

    def stages(self) -> Sequence[Stage]:
        """The critic and its slope, the generator and its paths."""
        recipe, style = self.recipe, self.style
        network = self._adam(self.network, recipe.learning_rate, style.path_every if style.path else 1)
        (stage,) = super().stages()
        phases = [phase for phase in stage.phases if phase.name != "generator"]
        phases.append(Phase("generator", self.network, network, self.generator_loss, touches_records=False, drifts=True))
        if style.path:
            phases.append(
                Phase("path", self.network, network, self.path_loss, every=style.path_every, touches_records=False, drifts=True)
            )
        return [Stage(phases)]

    def made(self, tokens: Tensor) -> Tensor:
        """Images of one style, or of two, the second from a layer on that is drawn."""
        one = self.network.styles(self.noise(len(tokens)), tokens)
        if torch.is_grad_enabled():
            self.network.note(one.detach())
        if not self.style.mixing:
            return self.network.image(one)
        two = self.network.styles(self.noise(len(tokens)), tokens)
        layers = self.network.n_styles
        cut = torch.randint(1, max(layers, 2), (len(tokens), 1), device=self.device)
        stays = torch.rand(len(tokens), 1, device=self.device) >= self.style.mixing
        is_first = (torch.arange(layers, device=self.device)[None] < cut) | stays
        return self.network.image(torch.where(is_first[:, :, None], one[:, None], two[:, None]))

    def shown(self, images: Tensor) -> Tensor:
        """Images changed by chance."""
        return augmented(images, self.p, kinds=self.style.kinds, flips=self.style.flips)

    def _note(self, on_real: Tensor, on_made: Tensor) -> None:
        super()._note(on_real, on_made)
        self._adapted[1] += float(on_real.sign().sum())
        self._adapted[2] += len(on_real)

    def path_loss(self, batch: ImageBatch) -> Tensor:
        """How far the length of J' y lies from its running mean, squared, (n,): J the image's derivative by the style, y noise."""
        tokens = batch.tokens[: max(len(batch) // 2, 1)]
        styles = self.network.styles(self.noise(len(tokens)), tokens)
        lengths = path_lengths(self.network.image(styles), styles)
        mean = float(self._adapted[3])
        mean = mean + (1 - PATH_KEPT) * (float(lengths.detach().mean()) - mean)
        self._adapted[3] = mean
        return (lengths - mean).square() * (self.style.path * self.style.path_every)

    def after_step(self, fraction: float) -> None:
        """Averages weights, and moves p where it is time."""
        super().after_step(fraction)
        self._steps += 1
        if self.style.kinds and int(self._steps) % ADAPT_EVERY == 0:
            self._adapt(fraction)

    def _adapt(self, fraction: float) -> None:
        """p goes up while the critic is surer of real images than its target, else down."""
        n = float(self._adapted[2])
        if n:
            r_t = float(self._adapted[1]) / n
            fifth = float(self._steps) / max(fraction, 1e-9) * self.data.batch_size / 5
            over = self.style.augment_over or min(fifth, MOST_OVER)
            self._adapted[0] = next_p(self.p, r_t, self.style.target, n / over)
        self._adapted[1:3] = 0.0

    def validate(self) -> float | None:
        """A look at a sample."""
        super().validate()
        self._signals["augmented"] = self.p
        return None

    def state(self) -> Tensors:
        """What adapts, too."""
        return super().state() | {"adapted": self._adapted, "steps": self._steps}

    def load_state(self, tensors: Tensors) -> None:
        """Takes it back."""
        super().load_state(tensors)
        self._adapted, self._steps = tensors["adapted"].clone(), tensors["steps"].clone()
        if self._signals:
            self._signals["augmented"] = float(tensors["signals"][len(SIGNALS)])


def next_p(p: float, r_t: float, target: float, step: float) -> float:
    """Up by a step where r_t lies above its target, down where below, within [0, 0.8]."""
    return min(max(p + (step if r_t > target else -step), 0.0), MOST_P)


def path_lengths(images: Tensor, styles: Tensor) -> Tensor:
    """|J' y| for each image, (n,), y normal noise over the square root of the number of pixels; it can be differentiated again."""
    noise = torch.randn_like(images) / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * noise).sum(), styles, create_graph=True)
    return gradient.square().sum(1).add(1e-12).sqrt()
