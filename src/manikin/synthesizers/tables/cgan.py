"""A conditional GAN: labels, demographics, diagnoses or any listed columns are given, the others made (Mirza & Osindero 2014, 1411.1784).

From the paper: generator and critic both see the condition. Departures: the game is Wasserstein with gradient penalty by default
("original" is the paper's); columns become vectors as in `ctgan`; the listed columns themselves come from a small adversarial random
forest (`forest`), so that any subset of them can be given exactly and the rest of them follows; the sampling generator is an average of
the trained ones, and the best by held-out rows is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.codecs.base import Tokens
from manikin.codecs.vectors import Numbers, VectorCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import FitError, ModelFolderError, ParameterError, parameter_error
from manikin.data.schema import Role, TableSchema
from manikin.data.seeds import derive
from manikin.synthesizers.base import Arrays, Conditions
from manikin.synthesizers.blocks import refuse_ledger
from manikin.synthesizers.tables.forest import Forest
from manikin.synthesizers.tables.one_shot import (
    OneShot,
    Prepared,
    batch_rows,
    check_encoding,
    check_layers,
    check_numbers,
    names_of,
)
from manikin.training.control import Control
from manikin.training.networks.mixed import PackedCritic, ResidualGenerator
from manikin.training.objective import Objective
from manikin.training.objectives.adversarial import Adversarial, Batch, Recipe

MOST_BY_DEFAULT = 4  # condition columns where none are listed


@dataclass(kw_only=True)
class CGAN(OneShot):
    """GAN conditioned on listed columns.

    Parameters
    ----------
    columns : the columns that are given: numbers, levels, codes, dates. Where none are listed: the schema's target and the first
        sensitive and quasi-identifying columns, four at most; else the first learned column.
    game : "wasserstein" or "original" (the paper's).
    epochs, batch_size, learning_rate : of Adam for both players; batch_size None is set from the number of rows.
    noise : width of the generator's input. generator, critic : hidden units per layer. critic_steps : per generator step.
    pack : rows that the critic judges together. penalty : of the gradient (wasserstein).
    numbers : "modes", "quantile" or "standard". levels_below : number columns with fewer values are levels.
    max_onehot : larger vocabularies are given as random codes. patience : looks at held-out rows without a better one before the run
    stops, out of 30 over the plan; None goes through with it. max_steps : most steps, whatever the epochs.
    """

    name: ClassVar[str] = "cgan"
    columns: tuple[str, ...] | None = None
    game: Literal["wasserstein", "original"] = "wasserstein"
    epochs: int = 300
    batch_size: int | None = None
    learning_rate: float = 1e-3
    noise: int = 128
    generator: tuple[int, ...] = (128, 128)
    critic: tuple[int, ...] = (128, 128)
    critic_steps: int = 1
    pack: int = 1
    penalty: float = 10.0
    numbers: Numbers = "modes"
    levels_below: int = 24
    max_onehot: int = 64
    patience: int | None = 10
    max_steps: int | None = None
    columns_: tuple[str, ...] = field(init=False, repr=False, compare=False)
    forest_: Forest = field(init=False, repr=False, compare=False)

    def _check(self) -> None:
        whole = ("epochs", "batch_size", "noise", "critic_steps", "pack", "levels_below", "max_onehot", "patience", "max_steps")
        check_numbers(self, self.name, whole=whole, positive=("learning_rate", "penalty"))
        check_layers(self, self.name, ("generator", "critic"))
        check_encoding(self, self.name)
        if self.game not in ("wasserstein", "original"):
            raise parameter_error("game", self.name, "wasserstein or original", self.game)

    def _vector_codec(self) -> VectorCodec:
        return VectorCodec(numbers=self.numbers, levels_below=self.levels_below, max_onehot=self.max_onehot)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> Self:
        """Learns the listed columns by a forest, then the others around them.

        Raises
        ------
        BudgetError : a ledger is given.
        FitError : a listed column is none that is learned, or nothing is left to make; else as for the other GANs.
        """
        refuse_ledger(self.name, ledger)
        self._check()
        if len(data) and data.columns.learned:  # else the codec says what is wrong
            self.columns_ = condition_columns(data.columns, self.columns)
            keys = [
                column.name for column in data.columns.with_role(Role.PATIENT_KEY)
            ]  # else the forest would take rows for patients
            self.forest_ = Forest().fit(data.only([*keys, *self.columns_]), seed=derive(seed, "conditions"))
        return super().fit(data, seed=seed, control=control)

    def _split(self) -> tuple[list[int], list[int]]:
        """Indices of the parts that are given, and of those that are made."""
        fields = self.codec_.layout.fields
        given = [p for p, part in enumerate(self.vectors_.parts_) if fields[part.index].column in self.columns_]
        return given, [p for p in range(len(self.vectors_.parts_)) if p not in given]

    def _build(self) -> nn.Module:
        given, made = self._split()
        width = sum(self.vectors_.parts_[p].width for p in given)
        return ResidualGenerator(self.noise, width, self.generator, self._groups(made))

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        tokens = prepared.tokens[prepared.inside]
        given, _ = self._split()
        rows = self.batch_size or batch_rows(len(tokens))
        objective = _Conditional(
            network,
            PackedCritic(self.vectors_.width, self.pack, self.critic, dropout=0.0),
            tokens,
            encode=self.vectors_.encode,
            draw=lambda net, n, rng: self._given(net, tokens[rng.integers(len(tokens), size=n)], rng),
            likeness=self._likeness(prepared),
            recipe=Recipe(
                game=self.game,
                batch_size=rows,
                epochs=self.epochs,
                critic_steps=self.critic_steps,
                penalty=self.penalty,
                learning_rate=self.learning_rate,
                patience=self.patience,
            ),
            seed=prepared.seed,
            device=prepared.device,
        )
        objective.given, objective.made = self._cells(given)
        return objective, objective.average

    def _cells(self, given: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Which cells of a row's vector are given, and which are made."""
        is_given = np.zeros(self.vectors_.width, dtype=bool)
        for p in given:
            is_given[self.vectors_.spans[p]] = True
        return torch.from_numpy(np.flatnonzero(is_given)), torch.from_numpy(np.flatnonzero(~is_given))

    def _draw(
        self,
        network: nn.Module,
        n: int,
        rng: np.random.Generator,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        """The listed columns first, those that are not given by the forest, then the others by the network."""
        names = [f.column for f in self.codec_.layout.fields]
        known = None
        if tokens is not None and given is not None and given.any():
            asked = [name for j, name in enumerate(names) if given[j]]
            known = self.codec_.decode(tokens, rng).only(list(dict.fromkeys(asked)))
        listed = self.forest_.sample(n, seed=int(rng.integers(2**31)), conditions=known)
        drawn, there = self.codec_.encode_partial(listed)
        if tokens is not None and given is not None:
            drawn[:, given] = tokens[:, given]
        return self._given(network, drawn, rng, there)

    def _given(
        self, network: nn.Module, tokens: Tokens, rng: np.random.Generator, given: npt.NDArray[np.bool_] | None = None
    ) -> Tokens:
        """Rows whose listed columns are those of `tokens` and whose others are made."""
        parts, made = self._split()
        if given is None:
            given = np.zeros(tokens.shape[1], dtype=bool)
            given[[self.vectors_.parts_[p].index for p in parts]] = True
        if not made:
            return tokens
        device = next(network.parameters()).device
        condition = torch.from_numpy(self.vectors_.encode(tokens, rng)[:, self._cells(parts)[0].numpy()]).to(device)
        noise = torch.randn(len(tokens), self.noise).to(device)
        return self._tokens(network, network(noise, condition), rng, parts=made, tokens=tokens, given=given)

    def conditionable(self) -> list[str]:
        """Columns that can be given, exactly and in any subset."""
        return list(self.columns_)

    def _refuse_conditions(self, conditions: Conditions) -> None:
        others = [name for name in names_of(conditions) if name not in self.columns_]
        if others:
            raise ParameterError(
                f"This cgan cannot condition on {', '.join(map(repr, others))}: it was told to take {', '.join(map(repr, self.columns_))} "
                "as given. List the column in its `columns` and fit again."
            )

    def _own_state(self) -> tuple[dict[str, Any], Arrays]:
        values, arrays = self.forest_.state()
        return {"columns": list(self.columns_), "forest": values}, {f"forest.{name}": array for name, array in arrays.items()}

    def _restore_own(self, values: dict[str, Any], arrays: Arrays) -> None:
        self.columns_ = tuple(values["columns"])
        self.forest_ = Forest().restore(
            values["forest"], {name.removeprefix("forest."): array for name, array in arrays.items()}
        )
        told = [column.name for column in self.forest_.codec_.schema_.learned]
        if sorted(told) != sorted(self.columns_):
            raise ModelFolderError("The columns that the saved cgan is told are not those of its forest. Save the model again.")


class _Conditional(Adversarial):
    """The game in which some cells of a row's vector are given to both players."""

    given: Tensor
    made: Tensor

    def batch(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """What is made as `real`, what is given as `condition`."""
        vectors = torch.from_numpy(self.encode(self.tokens[rows], rng)).to(self.device)
        return Batch(vectors[:, self.made.to(self.device)], vectors[:, self.given.to(self.device)])

    def warm(self, network: nn.Module, rng: np.random.Generator) -> None:
        """One forward pass around the conditions of train rows."""
        batch = self.batch(rng.integers(len(self.tokens), size=self.batch_size), rng)
        network(torch.randn(self.batch_size, int(self.network.n_noise), device=self.device), batch.condition)  # type: ignore[arg-type]


def condition_columns(schema: TableSchema, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The columns to take as given, in file order.

    Raises
    ------
    FitError : a listed column is none that generators learn, or all of them are listed.
    """
    learned = [column.name for column in schema.learned]
    if wanted is None:
        found = [column for role in (Role.TARGET, Role.SENSITIVE, Role.QUASI_IDENTIFIER) for column in schema.with_role(role)]
        names = [column.name for column in found if column.name in learned][:MOST_BY_DEFAULT]
        chosen = set(names or learned[:1])
        chosen = chosen if len(learned) > len(chosen) else set(learned[:1])
    else:
        unknown = [name for name in wanted if name not in learned]
        if unknown:
            raise FitError(
                f"cgan is to condition on {', '.join(map(repr, unknown))}, which is no column that is learned. "
                f"Choose from {', '.join(map(repr, learned[:12]))}{', …' if len(learned) > 12 else '.'}"
            )
        if len(set(wanted)) >= len(learned):
            raise FitError("cgan is to condition on every column, so that nothing is left to make. List fewer.")
        chosen = set(wanted)
    return tuple(name for name in learned if name in chosen)
