"""CycleGAN (Zhu, Park, Isola & Efros 2017, arXiv 1703.10593): one image made of another, both ways, learned without pairs.

Where one side has more of something than the other (lesions, a sex, a scanner), the game is won by inventing or removing it (Cohen, Luck &
Honari 2018, arXiv 1805.08841): balance the two sides, and test what becomes of lesions before anything is read off a translated image.

From the paper: two translators of residual blocks and two critics of patches, least squares, there and back again with a weight of 10,
staying the same with half of that. Departures: no history of fakes; groups of channels are normalised; averaged weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from manikin.synthesizers.images.translation import ImageTranslation, check_weight
from manikin.synthesizers.tables.one_shot import check_at_most, check_numbers
from manikin.training.networks.image_frame import Frame
from manikin.training.networks.translator import PatchCritic, Translator
from manikin.training.objectives.translation import Cyclic, Translation, TranslationRecipe

MOST_WIDTH, MOST_BLOCKS, HALVINGS = 256, 32, 2


@dataclass(kw_only=True)
class CycleGAN(ImageTranslation):
    """Translation both ways, learned without pairs.

    Parameters
    ----------
    epochs : passes over the larger side. batch_size, learning_rate : of Adam; the rate sinks over the second half of the plan.
    width : channels at the finest grid. blocks : residual ones of each translator. critic_width : of the critics.
    distance : weight of there and back again; the paper's 10. focus : how much more pixels weigh in it that are far off; 0 is the paper's.
    identity : of staying the same, where both sides have the same channels.
    max_steps : most steps, whatever the epochs.
    """

    name: ClassVar[str] = "cyclegan"
    is_two_way: ClassVar[bool] = True
    epochs: int = 60
    batch_size: int = 8
    learning_rate: float = 5e-4
    width: int = 16
    blocks: int = 4
    critic_width: int = 24
    distance: float = 10.0
    focus: float = 0.0
    identity: float = 5.0

    def _check(self) -> None:
        whole = ("epochs", "batch_size", "width", "blocks", "critic_width", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate", "distance"))
        check_at_most(self, self.name, {"width": MOST_WIDTH, "critic_width": MOST_WIDTH, "blocks": MOST_BLOCKS})
        check_weight("identity", self.identity, self.name)
        check_weight("focus", self.focus, self.name)

    def _translator(self, frame: Frame, n_out: int) -> Translator:
        return Translator(frame, n_out, width=self.width, halvings=HALVINGS, blocks=self.blocks, crosses=False)

    def _critics(self, frame: Frame, n_source: int, n_target: int) -> dict[str, PatchCritic]:
        return {
            "target": PatchCritic(frame, n_target, width=self.critic_width),
            "source": PatchCritic(frame, n_source, width=self.critic_width),
        }

    def _game(self) -> type[Translation]:
        return Cyclic

    def _recipe(self) -> TranslationRecipe:
        return TranslationRecipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            distance=self.distance,
            focus=self.focus,
            identity=self.identity,
        )
