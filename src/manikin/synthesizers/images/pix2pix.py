"""pix2pix (Isola, Zhu, Zhou & Efros 2017, arXiv 1611.07004): one image made of another, learned from pairs.

From the paper: an encoder and decoder with ways across, a critic of patches that sees source and target, the original game with a mean
absolute distance of weight 100, Adam with a first moment of 0.5. Departures: no dropout, so that the same source gives the same target;
groups of channels are normalised; doubling by nearest neighbour and convolution; averaged weights, chosen by held-out pairs;
pixels that are far off weigh more in the distance (`focus`), without which lesions of a few pixels are the last thing that is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from manikin.synthesizers.images.translation import ImageTranslation, check_weight
from manikin.synthesizers.tables.one_shot import check_at_most, check_numbers
from manikin.training.networks.image_frame import Frame
from manikin.training.networks.translator import PatchCritic, Translator
from manikin.training.objectives.translation import Paired, Translation, TranslationRecipe

MOST_WIDTH, MOST_HALVINGS = 256, 10


@dataclass(kw_only=True)
class Pix2Pix(ImageTranslation):
    """Translation learned from pairs.

    Parameters
    ----------
    epochs : passes over the pairs. batch_size, learning_rate : of Adam; the rate sinks over the second half of the plan.
    width : channels at the finest grid, doubled at each halving. halvings : of the grid at most. critic_width : of the critic.
    distance : weight of the mean absolute distance from the target against the game; the paper's 100. focus : how much more pixels weigh in
        it that are far off; 0 is the paper's, 1 weighs each by how far it is off, which is what small lesions need.
    max_steps : most steps, whatever the epochs.
    """

    name: ClassVar[str] = "pix2pix"
    epochs: int = 60
    batch_size: int = 4
    learning_rate: float = 1e-3
    width: int = 16
    halvings: int = 3
    critic_width: int = 16
    distance: float = 100.0
    focus: float = 1.0

    def _check(self) -> None:
        whole = ("epochs", "batch_size", "width", "halvings", "critic_width", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate", "distance"))
        check_at_most(self, self.name, {"width": MOST_WIDTH, "critic_width": MOST_WIDTH, "halvings": MOST_HALVINGS})
        check_weight("focus", self.focus, self.name)

    def _translator(self, frame: Frame, n_out: int) -> Translator:
        return Translator(frame, n_out, width=self.width, halvings=self.halvings, blocks=0, crosses=True)

    def _critics(self, frame: Frame, n_source: int, n_target: int) -> dict[str, PatchCritic]:
        return {"target": PatchCritic(frame, n_source + n_target, width=self.critic_width)}

    def _game(self) -> type[Translation]:
        return Paired

    def _recipe(self) -> TranslationRecipe:
        return TranslationRecipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            distance=self.distance,
            focus=self.focus,
        )
