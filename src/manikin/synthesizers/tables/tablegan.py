"""table-GAN: rows as square matrices, convolutional networks, information and classification losses (Park et al. 2018, arXiv 1806.03384).

From the paper (doi:10.14778/3231751.3231757): a DCGAN-like generator and discriminator, the original game, the information loss with its
hinges delta_mean and delta_sd, the classification loss on the schema's target with a network of the discriminator's shape.

The hinges make generated rows less like real ones. That is a dial, NOT a guarantee: nothing is proved about any patient.

Departures (docs/synthesizers/tablegan.md): with `encoding="vectors"` (the default) levels are one-hot and numbers have modes, as in
`ctgan`, and a linear head reads them from the generated matrix; `encoding="cells"` is the paper's one min-max scaled cell per column.
The generator's loss is the non-saturating one; the sampling generator is an average, and the best by held-out rows is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.codecs.base import Tokens
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.table import TableCodec
from manikin.codecs.vectors import REACH, Numbers, Part, VectorCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import parameter_error
from manikin.data.schema import Role
from manikin.synthesizers.base import Arrays
from manikin.synthesizers.tables.one_shot import OneShot, Prepared, check_encoding, check_numbers
from manikin.training.control import Control
from manikin.training.networks.matrices import MatrixCritic, MatrixGenerator
from manikin.training.networks.mixed import Group
from manikin.training.objective import Objective
from manikin.training.objectives.adversarial import Recipe
from manikin.training.objectives.tablegan import TableGame

TIE = 0.002  # share of the scale that keeps tokens of one middle apart
NO_TARGET = "The schema names no target that the model learns: the classification loss was left out."


@dataclass(kw_only=True)
class TableGAN(OneShot):
    """Convolutional GAN over rows laid out as square matrices.

    Parameters
    ----------
    epochs, batch_size, learning_rate : of Adam for every network. noise : width of the generator's input.
    channels : maps of the largest size in the generator, and of the first layer in discriminator and classifier.
    encoding : "vectors" (one-hot levels, numbers by `numbers`) or "cells" (the paper's one scalar per column).
    information : weight of the information loss. delta_mean, delta_sd : its hinges; larger ones keep rows further from real ones
    (0, 0.1 and 0.2 are the paper's low, medium and high). classification : whether the target's loss is used where there is a target.
    numbers, levels_below, max_onehot, patience, max_steps : as in `ctgan`; the first three with "vectors".
    """

    name: ClassVar[str] = "tablegan"
    epochs: int = 300
    batch_size: int = 500
    learning_rate: float = 2e-4
    noise: int = 100
    channels: int = 16
    encoding: Literal["vectors", "cells"] = "vectors"
    information: float = 1.0
    delta_mean: float = 0.0
    delta_sd: float = 0.0
    classification: bool = True
    numbers: Numbers = "modes"
    levels_below: int = 24
    max_onehot: int = 64
    patience: int | None = 12
    max_steps: int | None = None
    target_: int | None = field(init=False, repr=False, compare=False, default=None)

    def _check(self) -> None:
        whole = ("epochs", "batch_size", "noise", "channels", "levels_below", "max_onehot", "patience", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate",))
        check_encoding(self, self.name)
        if self.encoding not in ("vectors", "cells"):
            raise parameter_error("encoding", self.name, "'vectors' or 'cells'", self.encoding)
        if self.channels > 512 or self.noise > 8192:
            raise parameter_error("channels", self.name, "at most 512, with at most 8192 of noise", (self.channels, self.noise))
        for key in ("information", "delta_mean", "delta_sd"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise parameter_error(key, self.name, "a number from 0 up", value)

    def _vector_codec(self) -> VectorCodec:
        return VectorCodec(numbers=self.numbers, levels_below=self.levels_below, max_onehot=self.max_onehot)

    def _prepare(self, data: Dataset) -> None:
        named = {column.name for column in data.columns.with_role(Role.TARGET)}
        found = (f for f, one in enumerate(self.codec_.layout.fields) if one.column in named)
        self.target_ = next(found, None) if self.classification else None

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> Self:
        """Learns a flat table; without a target in the schema the classification loss is left out, and `training_` says so."""
        super().fit(data, seed=seed, ledger=ledger, control=control)
        if self.classification and self.target_ is None:
            self.training_["warnings"] = [*self.training_["warnings"], NO_TARGET]
        return self

    @property
    def _rows(self) -> VectorCodec:
        """How rows become cells of the matrix."""
        return self.vectors_ if self.encoding == "vectors" else cells_of(self.codec_)

    def _groups(self, parts: Any = None) -> list[Group]:
        if self.encoding == "vectors":
            return super()._groups(parts)
        return [Group(0, has_scalar=True) for _ in self.codec_.fields_]

    def _build(self) -> nn.Module:
        return MatrixGenerator(self.noise, self.channels, self._groups(), is_direct=self.encoding == "cells")

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        rows = self._rows
        label = slice(0, 0) if self.target_ is None else rows.spans[self.target_]
        width = label.stop - label.start
        objective = TableGame(
            network,
            MatrixCritic(rows.width, self.channels),
            prepared.tokens[prepared.inside],
            classifier=None if self.target_ is None else nn.Sequential(MatrixCritic(rows.width, self.channels, width)),
            label=label,
            activate=torch.tanh if self.target_ is None else _activation(rows.parts_[self.target_]),
            information=float(self.information),
            delta_mean=float(self.delta_mean),
            delta_sd=float(self.delta_sd),
            encode=rows.encode,
            draw=self._draw,
            likeness=self._likeness(prepared),
            recipe=self._recipe(),
            seed=prepared.seed,
            device=prepared.device,
        )
        return objective, objective.average

    def _recipe(self) -> Recipe:
        return Recipe(
            game="original",
            batch_size=self.batch_size,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            betas=(0.5, 0.999),
            patience=self.patience,
        )

    def _draw(
        self,
        network: nn.Module,
        n: int,
        rng: np.random.Generator,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        device = next(network.parameters()).device
        noise = torch.randn(n, self.noise).to(device)
        made = network(noise)
        if self.encoding == "vectors":
            return self._tokens(network, made, rng, tokens=tokens, given=given)
        return self._rows.draw(
            made.scalars.cpu().numpy(),
            np.empty((n, 0), dtype=np.float32),
            rng.random((n, len(self.codec_.fields_)), dtype=np.float32),
            emitted=self.codec_.emitted,
            allowed=self.codec_.allowed if self.codec_.rules_.has_rules else None,
            tokens=tokens,
            given=given,
        )

    def _own_state(self) -> tuple[dict[str, Any], Arrays]:
        return {"target": self.target_}, {}

    def _restore_own(self, values: dict[str, Any], arrays: Arrays) -> None:
        del arrays
        self.target_ = values["target"]


def cells_of(codec: TableCodec) -> VectorCodec:
    """The paper's layout: every column one scalar in [-1, 1], numbers min-max scaled, levels by their place; missing codes lie below."""
    made = VectorCodec()
    made.parts_ = tuple(_cell(j, one) for j, one in enumerate(codec.fields_))
    return made


def _cell(j: int, codec: Any) -> Part:
    n, m = codec.n_tokens, codec.n_missing
    scale = np.linspace(-1, 1, n) if n > 1 else np.zeros(n)
    if isinstance(codec, NumberCodec) and n > m:
        middles = codec.middles()
        span = middles.max() - middles.min() or 1.0
        least = -1.0 if m == 0 else -0.6
        place = np.empty(n - m)
        place[np.argsort(middles, kind="stable")] = np.linspace(0, 1, n - m) if n - m > 1 else 0.0
        share = (1 - TIE) * (
            middles - middles.min()
        ) / span + TIE * place  # a spike and the group around it may share their middle
        scale[m:] = least + share * (1 - least)
        scale[:m] = np.linspace(-1, -0.9, m)
    one = np.ones(1, dtype=np.float32)
    return Part(j, n, 1, is_number=True, mean=0 * one, spread=one / REACH, scale=scale.astype(np.float32))


def _activation(part: Part) -> Callable[[Tensor], Tensor]:
    """What turns the classifier's scores into cells of the label."""
    if part.codes is not None:
        return _as_it_is
    n_scalars = int(part.is_number)

    def activate(scores: Tensor) -> Tensor:
        """Scalars through tanh, choices as shares."""
        scores = scores.view(len(scores), -1)
        return torch.cat([torch.tanh(scores[:, :n_scalars]), torch.softmax(scores[:, n_scalars:], 1)], dim=1)

    return activate


def _as_it_is(scores: Tensor) -> Tensor:
    return scores
