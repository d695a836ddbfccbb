"""What translators of images share: two columns of images, of which one is given and the other made. Knows no loss.

Sources that nobody gives are drawn from a Gaussian of principal components of the real ones, which is a floor: blurred, and plain to see.
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
from manikin.codecs.images import EncodedImages, Pixels
from manikin.data.dataset import Dataset
from manikin.data.errors import FitError, ParameterError, parameter_error
from manikin.data.schema import ImageForm, Kind, Role
from manikin.data.seeds import derive
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import parted
from manikin.synthesizers.images.network import PIECE, ImageNetwork
from manikin.synthesizers.images.pca import ImagePCA
from manikin.training.control import Control
from manikin.training.networks.image_frame import Frame
from manikin.training.networks.translator import PatchCritic, Translator
from manikin.training.objective import Objective
from manikin.training.objectives.translation import Rows, Translation, TranslationRecipe
from manikin.training.pictures import MOST_PICTURES

DRAWN_FROM = 40  # principal components of sources that nobody gives


def check_weight(name: str, value: Any, owner: str) -> None:
    """Refuses what is no weight.

    Raises
    ------
    ParameterError : it is no number of 0 or more.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise parameter_error(name, owner, "a number of 0 or more", value)


@dataclass(kw_only=True)
class ImageTranslation(ImageNetwork):
    """Base of translators: the first column of images is the source, the second the target. Labels are neither learned nor made.

    Attributes
    ----------
    source_ : what draws sources that nobody gives.
    """

    n_columns: ClassVar[int] = 2
    is_two_way: ClassVar[bool] = False  # whether targets become sources, too
    source_: ImagePCA = field(init=False, repr=False, compare=False)

    # what a model brings

    @abstractmethod
    def _translator(self, frame: Frame, n_out: int) -> Translator:
        """A network from one side to the other."""

    @abstractmethod
    def _game(self) -> type[Translation]:
        """The objective."""

    @abstractmethod
    def _recipe(self) -> TranslationRecipe:
        """How it is trained."""

    @abstractmethod
    def _critics(self, frame: Frame, n_source: int, n_target: int) -> dict[str, PatchCritic]:
        """By the side that they judge."""

    # what they share

    @property
    def columns(self) -> tuple[str, str]:
        """Names of the source's and the target's column."""
        source, target = self.codec_.fields_
        return source, target

    @property
    def forms(self) -> dict[str, ImageForm]:
        """What the source's and the target's images are, at the size that was learned."""
        return {name: own.form for name, own in self.codec_.fields_.items()}

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> Any:
        """Learns to translate; columns without images are left out.

        Raises
        ------
        BudgetError : a ledger is given. FitError : there are no two columns of images, too few images of a side, or sizes differ.
        """
        if not data.is_linked and len(data.columns.images) == self.n_columns:
            kept = [column.name for column in data.columns if column.kind is Kind.IMAGE or column.has_role(Role.PATIENT_KEY)]
            data = data.only(kept)
        return super().fit(data, seed=seed, ledger=ledger, control=control)

    def _usable(self, data: Dataset) -> Dataset:
        """The rows with both images; for a model of heaps those with either."""
        source, target = (data.table.images[column.name].present for column in data.columns.images)
        kept = source | target if self.is_two_way else source & target
        names = [column.name for column in data.columns.images]
        if self.is_two_way and min(source.sum(), target.sum()) < 2:
            raise FitError(f"The synthesizer {self.name!r} needs 2 images of {names[0]!r} and of {names[1]!r} at least. Bring more.")
        return data if kept.all() else data.take(np.flatnonzero(kept))

    def _build(self) -> nn.Module:
        source, target = self.codec_.fields_.values()
        if source.padded != target.padded:
            raise FitError(
                f"The images of {source.column!r} and {target.column!r} differ in size. Say at which they are learned: --set size=64."
            )
        there = {"there": self._translator(Frame(source.form.channels, source.padded), target.form.channels)}
        if self.is_two_way:
            there["back"] = self._translator(Frame(target.form.channels, target.padded), source.form.channels)
        return nn.ModuleDict(there)

    def _objective(self, network: nn.Module, images: EncodedImages, *, seed: int, device: torch.device) -> tuple[Objective, nn.Module]:
        assert isinstance(network, nn.ModuleDict)
        names = self.columns
        source, target = (images.fields[name] for name in names)
        sources, targets = (np.flatnonzero(images.present[name]) for name in names)
        held_out: Rows = np.empty(0, dtype=np.int64)
        if not self.is_two_way:
            sources, held_out = self._hold_out(images, seed)
            targets = sources
        frame = Frame(source.form.channels, source.padded)
        critics = nn.ModuleDict(self._critics(frame, source.form.channels, target.form.channels))
        game = self._game()(
            network,
            critics,
            images,
            names,
            sources=sources,
            targets=targets,
            held_out=held_out,
            filmed=self._drawn_sources(MOST_PICTURES, derive(seed, "film")),
            recipe=self._recipe(),
            seed=seed,
            device=device,
        )
        return game, game.average

    def _learn(self, images: EncodedImages, *, seed: int, control: Control) -> None:
        name = self.columns[0]
        rows = np.flatnonzero(images.present[name])
        own = EncodedImages({name: images.fields[name]}, {name: images.stored[name][rows]}, {}, images.tokens[rows], images.records[rows])
        self.source_ = self._floor()
        self.source_._learn(own, seed=derive(seed, "sources"), control=control)
        super()._learn(images, seed=seed, control=control)

    def _floor(self) -> ImagePCA:
        floor = ImagePCA(components=DRAWN_FROM)
        floor.codec_ = self.codec_
        return floor

    def _images(self, network: nn.Module, tokens: Tensor) -> Tensor:
        """Targets of drawn sources."""
        del network
        pixels = self._translated("there", self._drawn_sources(len(tokens), int(torch.randint(2**31, ()))))
        return torch.from_numpy(pixels)

    def _drawn_sources(self, n: int, seed: int) -> Pixels:
        """Sources on the steps that they are released in, float32 (n, channels, *padded)."""
        own = self.codec_.fields_[self.columns[0]]
        if not n:
            return np.zeros((0, *own.shape), dtype=np.float32)
        half = np.float32(own.n_steps / 2)
        drawn = np.clip(self.source_._draw(np.zeros((n, 0), dtype=np.int32), seed), -1, 1)
        return np.rint((drawn + 1) * half) / half - np.float32(1)

    def _translated(self, way: str, pixels: Pixels) -> Pixels:
        """Images through one of the networks."""
        network = self.network_[way]  # type: ignore[index]
        if not len(pixels):
            return pixels
        with torch.no_grad():
            pieces = [network(torch.from_numpy(pixels[at : at + PIECE])) for at in range(0, len(pixels), PIECE)]
        return torch.cat(pieces).numpy()

    def _block(self, n: int, seed: int, conditions: Conditions | None, *, first: int) -> Dataset:
        source, target = self.columns
        given = self._given(conditions)
        if given is None:
            sources = self._drawn_sources(n, derive(seed, "sources"))
            made = self._translated("there", sources) if n else np.zeros((0, *self.codec_.fields_[target].shape), dtype=np.float32)
            return self.codec_.decode({source: sources, target: made}, None, first=first)
        pixels, present = given
        for to, way, start in ((target, "there", source), (source, "back", target)):
            rows = np.flatnonzero(~present[to])
            if not len(rows):
                continue
            lacks = rows[~present[start][rows]]
            if len(lacks):
                raise ParameterError(
                    f"Row {first + int(lacks[0])} of the conditions has no image to translate. Give it one, or leave it out."
                )
            if way == "back" and not self.is_two_way:
                raise ParameterError(
                    f"The synthesizer {self.name!r} makes {target!r} of {source!r}, not the other way round. "
                    "Fit 'cyclegan', which goes both ways."
                )
            pixels[to][rows] = self._translated(way, pixels[start][rows])
        return self.codec_.decode(pixels, None, first=first)

    def _given(self, conditions: Conditions | None) -> tuple[dict[str, Pixels], dict[str, npt.NDArray[np.bool_]]] | None:
        """The images that are given, with zeros where none are; None where no column of images is among the conditions."""
        if not isinstance(conditions, Dataset) or not any(name in conditions.table.images for name in self.columns):
            if conditions:
                raise ParameterError(
                    f"The synthesizer {self.name!r} translates images and takes no other conditions. Give a column {self.columns[0]!r} of "
                    "images, or no condition."
                )
            return None
        n, pixels, present = len(conditions), {}, {}
        for name in self.columns:
            found = conditions.table.images.get(name)
            pixels[name] = np.zeros((n, *self.codec_.fields_[name].shape), dtype=np.float32)
            present[name] = np.zeros(n, dtype=bool)
            if found is not None:
                pixels[name], present[name] = self.codec_.encode_images(name, found), found.present
        return pixels, present

    def _draw(self, tokens: Tokens, seed: int) -> Pixels:
        return self._translated("there", self._drawn_sources(len(tokens), seed))

    def _fitted(self) -> State:
        values, arrays = super()._fitted()
        _, floor = self.source_._fitted()
        return values, {f"network.{k}": v for k, v in arrays.items()} | {f"source.{k}": v for k, v in floor.items()}

    def _take_back(self, values: dict[str, Any], arrays: Arrays) -> None:
        parts = parted(arrays, "network", "source")
        super()._take_back(values, parts["network"])
        self.source_ = self._floor()
        self.source_._take_back({}, parts["source"])
