"""What generators of images by a network share: its training on the one loop, sampling in pieces, weights to and from a folder.

A model brings its network and its objective. Knows no architecture.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.codecs.base import Tokens
from manikin.codecs.images import EncodedImages
from manikin.data.errors import FitError
from manikin.data.seeds import derive
from manikin.synthesizers.base import Arrays, State
from manikin.synthesizers.images.attributes import told_attributes
from manikin.synthesizers.images.base import ImageModel
from manikin.synthesizers.tables.held_out import hold_out
from manikin.synthesizers.tables.one_shot import with_weights
from manikin.training.control import Control
from manikin.training.loop import choose_device, seed_torch, train
from manikin.training.monitors import Monitor, standard_monitors
from manikin.training.networks.image_conditioning import Attribute
from manikin.training.networks.image_frame import Frame
from manikin.training.objective import Objective

Rows = npt.NDArray[np.int64]
PIECE = 64  # images that go through the network at a time


@dataclass(kw_only=True)
class ImageNetwork(ImageModel):
    """Base of such generators.

    Attributes
    ----------
    network_ : what samples.
    """

    held_out: ClassVar[float] = 0.1  # share of the patients that weights are chosen by
    most_held_out: ClassVar[int] = 256  # of them
    fewest_to_hold_out: ClassVar[int] = 100  # patients below which none is held out

    max_steps: int | None = None
    network_: nn.Module = field(init=False, repr=False, compare=False)

    # what a model brings

    @abstractmethod
    def _build(self) -> nn.Module:
        """The network that samples, from hyperparameters and codec alone."""

    @abstractmethod
    def _objective(self, network: nn.Module, images: EncodedImages, *, seed: int, device: torch.device) -> tuple[Objective, nn.Module]:
        """What the loop trains, and the module that samples once it is done."""

    @abstractmethod
    def _images(self, network: nn.Module, tokens: Tensor) -> Tensor:
        """Images (n, channels, *padded) in [-1, 1] for attributes int64 (n, n_attributes)."""

    def _monitors(self) -> list[Monitor]:
        return standard_monitors()

    def _settle(self, objective: Objective) -> None:
        """A last hand on the network that samples; none by default."""
        del objective

    # what they share

    def _hold_out(self, images: EncodedImages, seed: int) -> tuple[Rows, Rows]:
        """Rows to learn from, and rows of other patients that weights are chosen by, none where there are few."""
        n = int(images.records.max()) + 1
        return hold_out(images.records, seed, share=min(self.held_out, self.most_held_out / n) if n >= self.fewest_to_hold_out else 0.0)

    @property
    def frame(self) -> Frame:
        """Sizes of the learned images."""
        own = next(iter(self.codec_.fields_.values()))
        return Frame(own.form.channels, own.padded)

    @property
    def attributes(self) -> list[Attribute]:
        """What the network is told."""
        return told_attributes(self.codec_.layout)

    def _learn(self, images: EncodedImages, *, seed: int, control: Control) -> None:
        device = choose_device(control.device)
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, "weights"))
            network = self._build()
            objective, sampler = self._objective(network, images, seed=seed, device=device)
        training = train(objective, seed=seed, control=control, monitors=self._monitors())
        training.device = device.type
        with torch.no_grad(), torch.random.fork_rng():
            seed_torch(derive(seed, "settle"))
            self._settle(objective)
        self.training_ = training.to_json()
        self.network_ = sampler.cpu().eval()
        for one in self.network_.parameters():
            one.data = one.data.contiguous()  # as it is in a network that is loaded, so that both give the same bytes
        if not all(bool(one.isfinite().all()) for one in self.network_.state_dict().values()):
            raise FitError(f"Training of {self.name!r} ended in weights that are no numbers. Try another seed, or a lower learning rate.")

    def _draw(self, tokens: Tokens, seed: int) -> npt.NDArray[np.float32]:
        asked = torch.from_numpy(tokens.astype(np.int64))
        with torch.no_grad(), torch.random.fork_rng():
            seed_torch(seed)
            pieces = [self._images(self.network_, asked[at : at + PIECE]) for at in range(0, len(asked), PIECE)]
        return torch.cat(pieces).float().numpy()

    def _fitted(self) -> State:
        return {}, {name: tensor.numpy() for name, tensor in self.network_.state_dict().items()}

    def _take_back(self, values: dict[str, Any], arrays: Arrays) -> None:  # noqa: ARG002 (there are none)
        self.network_ = with_weights(self._build, arrays)
