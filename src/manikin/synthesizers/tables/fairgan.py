"""FairGAN: rows whose protected group cannot be told from the rest (Xu, Yuan, Zhang & Wu 2018, arXiv 1805.11202).

From the paper (doi:10.1109/BigData.2018.8622525): medGAN's autoencoder and residual generator with the protected attribute given beside the
noise, a critic on rows with it, a second critic that guesses it from generated rows, weighted by lambda (`fairness`).

Departures (docs/synthesizers/fairgan.md): more than two groups are allowed, so the second critic is a softmax, and the generator brings
its guesses to the groups' shares instead of maximising its loss, which has no bound; the critic on rows plays the Wasserstein game
(`game="original"` is the paper's); columns become vectors as in `ctgan`; the run keeps the weights with the least distance from held-out
rows plus `fairness` times the groups' distance from each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.vectors import Numbers, VectorCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import FitError, ParameterError, parameter_error
from manikin.data.schema import Role
from manikin.synthesizers.base import Arrays, Conditions
from manikin.synthesizers.tables.one_shot import OneShot, Prepared, check_encoding, check_layers, check_numbers, names_of
from manikin.training.control import Control
from manikin.training.networks.latent import AveragingCritic, LatentGenerator, RowEncoder
from manikin.training.objective import Objective
from manikin.training.objectives.adversarial import Recipe
from manikin.training.objectives.fair import FairGame, GroupCritic

FEWEST_IN_BATCH = 50  # a smaller table repeats its rows


@dataclass(kw_only=True)
class FairGAN(OneShot):
    """GAN with parity between the groups of a protected column.

    Parameters
    ----------
    protected : the column of levels that is given and must not be told from the others. None takes the schema's first sensitive or
        quasi-identifying column of levels; else the first column of levels, and `training_` says so.
    outcome : the column whose parity counts most when the best weights are chosen; None takes the schema's target.
    fairness : weight of the second critic, lambda in the paper; 0 leaves it out.
    epochs, pretrain_epochs, batch_size, learning_rate, weight_decay, latent, blocks, critic, critic_steps, game, temperature,
    numbers, levels_below, max_onehot, patience, max_steps : as in `medgan`.
    """

    name: ClassVar[str] = "fairgan"
    protected: str | None = None
    outcome: str | None = None
    fairness: float = 1.0
    epochs: int = 300
    pretrain_epochs: int = 50
    batch_size: int = 250
    learning_rate: float = 5e-4
    weight_decay: float = 1e-3
    latent: int = 128
    blocks: int = 2
    critic: tuple[int, ...] = (256, 128)
    critic_steps: int = 2
    game: Literal["original", "wasserstein"] = "wasserstein"
    temperature: float | None = 0.2
    numbers: Numbers = "modes"
    levels_below: int = 24
    max_onehot: int = 64
    patience: int | None = 12
    max_steps: int | None = None
    protected_: str = field(init=False, repr=False, compare=False)
    outcome_: str | None = field(init=False, repr=False, compare=False)

    def _check(self) -> None:
        whole = ("epochs", "pretrain_epochs", "batch_size", "latent", "blocks", "critic_steps", "levels_below", "max_onehot")
        positive = ("learning_rate", "temperature")
        check_numbers(self, self.name, whole=(*whole, "patience", "max_steps"), positive=positive)
        check_layers(self, self.name, ("critic",))
        check_encoding(self, self.name)
        if self.game not in ("original", "wasserstein"):
            raise parameter_error("game", self.name, "original or wasserstein", self.game)
        for key, below in (("weight_decay", 1.0), ("fairness", float("inf"))):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < below:
                raise parameter_error(key, self.name, f"a number in [0, {below:g})", value)
        if self.latent > 4096 or self.blocks > 16:
            raise parameter_error("latent", self.name, "at most 4096, with at most 16 blocks", (self.latent, self.blocks))

    def _vector_codec(self) -> VectorCodec:
        return VectorCodec(numbers=self.numbers, levels_below=self.levels_below, max_onehot=self.max_onehot)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> Self:
        """Learns a flat table.

        Raises
        ------
        FitError : there is no column of levels to protect, or nothing beside it; else as for the other GANs.
        """
        super().fit(data, seed=seed, ledger=ledger, control=control)
        named = [c.name for role in (Role.SENSITIVE, Role.QUASI_IDENTIFIER) for c in data.columns.with_role(role)]
        if self.protected is None and self.protected_ not in named:
            said = f"No column was named as protected and the schema marks none: {self.protected_!r} was taken. Name one by `protected`."
            self.training_["warnings"] = [*self.training_["warnings"], said]
        return self

    def _prepare(self, data: Dataset) -> None:
        schema, able = data.columns, self._able()
        for key in ("protected", "outcome"):
            if getattr(self, key) is not None and getattr(self, key) not in schema.names:
                raise parameter_error(key, self.name, f"a column of table {schema.name!r}", getattr(self, key))
        targets = [column.name for column in schema.with_role(Role.TARGET)]
        self.outcome_ = self.outcome or (targets[0] if targets else None)
        marked = [c.name for role in (Role.SENSITIVE, Role.QUASI_IDENTIFIER) for c in schema.with_role(role)]
        wanted = [self.protected] if self.protected is not None else [*marked, *able]
        found = [name for name in wanted if name in able and name != self.outcome_]
        if not found or len(self.vectors_.parts_) < 2:
            looked = ", ".join(map(repr, [self.protected] if self.protected is not None else [c.name for c in schema.learned]))
            raise FitError(
                f"fairgan needs a column of at least two levels to protect and another to make; looked at {looked} in {len(data)} rows. "
                "Name a column of levels that enough patients hold by `protected`, or use another synthesizer."
            )
        self.protected_ = found[0]

    def _able(self) -> list[str]:
        """Columns given as levels, in one field, of which at least two may be generated."""
        fields = self.codec_.layout.fields
        n_fields: dict[str, int] = {}
        for one in fields:
            n_fields[one.column] = n_fields.get(one.column, 0) + 1
        return [
            fields[p].column
            for p, part in enumerate(self.vectors_.parts_)
            if not part.is_number and n_fields[fields[p].column] == 1 and self._group_shares(p).astype(bool).sum() > 1
        ]

    def _group_shares(self, part: int) -> npt.NDArray[np.float64]:
        """Shares of the tokens of a field that may be generated, (n_tokens,)."""
        counts = self.codec_.counts_[part] * self.codec_.emitted(part)
        return counts / max(counts.sum(), 1)

    def _place(self, column: str) -> int:
        return next(f for f, one in enumerate(self.codec_.layout.fields) if one.column == column)

    def _made(self) -> list[int]:
        at = self._place(self.protected_)
        return [p for p in range(len(self.vectors_.parts_)) if p != at]

    def _build(self) -> nn.Module:
        width = self.vectors_.parts_[self._place(self.protected_)].width
        return LatentGenerator(self.latent, self.blocks, self._groups(self._made()), width)

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        assert isinstance(network, LatentGenerator)
        at, groups = self._place(self.protected_), self._groups(self._made())
        part = self.vectors_.parts_[at]
        names = [one.column for one in self.codec_.layout.fields]
        counts = self.codec_.counts_[at]
        objective = FairGame(
            network,
            AveragingCritic(groups, self.critic, part.width),
            prepared.tokens[prepared.inside],
            protected=at,
            outcome=names.index(self.outcome_) if self.outcome_ in names else None,
            given=self.vectors_.spans[at],
            parts=self._made(),
            shares=(counts / counts.sum()).astype(np.float32),
            fairness=float(self.fairness),
            group_critic=GroupCritic(groups, self.critic, part.n_tokens),
            encoder=RowEncoder(groups, self.latent),
            outside=prepared.tokens[prepared.outside],
            pretrain_epochs=self.pretrain_epochs,
            soft_temperature=self.temperature,
            critic_decay=self.weight_decay,
            encode=self.vectors_.encode,
            draw=self._draw,
            likeness=self._likeness(prepared),
            recipe=self._recipe(len(prepared.inside)),
            seed=prepared.seed,
            device=prepared.device,
        )
        return objective, objective.average

    def _recipe(self, n_rows: int) -> Recipe:
        return Recipe(
            game=self.game,
            batch_size=min(self.batch_size, max(n_rows, FEWEST_IN_BATCH)),
            epochs=self.epochs,
            critic_steps=self.critic_steps,
            learning_rate=self.learning_rate,
            betas=(0.9, 0.999),
            weight_decay=self.weight_decay,
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
        at = self._place(self.protected_)
        rows = np.zeros((n, len(self.vectors_.parts_)), dtype=np.int32) if tokens is None else tokens.copy()
        if given is None or not given[at]:
            shares = self._group_shares(at)
            rows[:, at] = rng.choice(len(shares), size=n, p=shares)
        known = np.arange(rows.shape[1]) == at
        device = next(network.parameters()).device
        condition = torch.from_numpy(self.vectors_.encode(rows, rng)[:, self.vectors_.spans[at]]).to(device)
        noise = torch.randn(n, self.latent).to(device)
        return self._tokens(network, network(noise, condition), rng, parts=self._made(), tokens=rows, given=known)

    def conditionable(self) -> list[str]:
        """The column that can be given exactly."""
        return [self.protected_]

    def _refuse_conditions(self, conditions: Conditions) -> None:
        others = [name for name in names_of(conditions) if name != self.protected_]
        if others:
            raise ParameterError(
                f"This fairgan can condition on its protected column {self.protected_!r} only, not on {', '.join(map(repr, others))}. "
                "Use a synthesizer that `manikin list synthesizers` marks as conditioning on any columns."
            )

    def _own_state(self) -> tuple[dict[str, Any], Arrays]:
        return {"protected": self.protected_, "outcome": self.outcome_}, {}

    def _restore_own(self, values: dict[str, Any], arrays: Arrays) -> None:
        del arrays
        self.protected_, self.outcome_ = values["protected"], values["outcome"]
