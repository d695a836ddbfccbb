"""Real images drawn again by their labels: the ceiling of likeness and the floor of privacy. Never to be released."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Tokens
from manikin.codecs.images import EncodedImages
from manikin.data.errors import ModelFolderError
from manikin.synthesizers.base import Arrays, State
from manikin.synthesizers.images.base import ImageModel, rng_of
from manikin.training.control import Control


@dataclass(kw_only=True)
class ResampleImages(ImageModel):
    """For given attributes an image of a row that shares most of them, at random among those."""

    name: ClassVar[str] = "resample_images"
    stored_: npt.NDArray[Any] = field(init=False, repr=False, compare=False)
    tokens_: Tokens = field(init=False, repr=False, compare=False)

    def _check(self) -> None:
        """There is nothing to set."""

    def _learn(self, images: EncodedImages, *, seed: int, control: Control) -> None:  # noqa: ARG002 (nothing is learned)
        self.stored_, self.tokens_ = images.stored[next(iter(images.fields))], images.tokens

    def _draw(self, tokens: Tokens, seed: int) -> npt.NDArray[np.float32]:
        own = next(iter(self.codec_.fields_.values()))
        rng = rng_of(seed)
        chosen = np.empty(len(tokens), dtype=np.int64)
        for i, asked in enumerate(tokens):
            alike = (self.tokens_ == asked).sum(axis=1)
            chosen[i] = rng.choice(np.flatnonzero(alike == alike.max()))
        return own.pixels(self.stored_[chosen])

    def _fitted(self) -> State:
        return {}, {"stored": self.stored_, "tokens": self.tokens_}

    def _take_back(self, values: dict[str, Any], arrays: Arrays) -> None:  # noqa: ARG002 (there are none)
        own = next(iter(self.codec_.fields_.values()))
        stored, tokens = arrays.get("stored"), arrays.get("tokens")
        if stored is None or tokens is None or stored.dtype not in (np.uint8, np.uint16) or tokens.dtype != np.int32:
            raise ModelFolderError("The model folder has other arrays than images and attributes. Save the model again.")
        if stored.shape[1:] != own.shape or tokens.shape != (len(stored), len(self.codec_.layout.fields)) or not len(stored):
            raise ModelFolderError("The images of the model folder do not fit its columns. Save the model again.")
        self.stored_, self.tokens_ = stored, tokens
