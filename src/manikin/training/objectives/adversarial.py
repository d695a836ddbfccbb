"""Trains a generator against a critic: Wasserstein with gradient penalty, or the original game; conditions, packs. Knows no columns.

Signals for the monitors, averaged weights of the generator, and stopping by how like held-out rows its samples are.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from manikin.data.seeds import derive, generator
from manikin.training.adam import Adam
from manikin.training.networks.mixed import MixedHead, PackedCritic, gradient_penalty
from manikin.training.objective import Phase, Stage, Tensors
from manikin.training.objectives.by_level import LevelAsker
from manikin.training.objectives.likeness import Likeness, Measured, in_pieces

Tokens = npt.NDArray[np.int32]
Draw = Callable[[nn.Module, int, np.random.Generator], Tokens]
MOST_CELLS = 1 << 21  # that are encoded ahead
WARM_BATCHES = 8  # batches from which batch normalisation takes the statistics of averaged weights


@dataclass(frozen=True)
class Recipe:
    """How the pair is trained.

    Attributes
    ----------
    game : "wasserstein" (with gradient penalty, arXiv 1704.00028) or "original" (non-saturating, arXiv 1406.2661).
    batch_size : rows per step, cut to a multiple of the critic's pack. epochs : passes over the rows that the plan is made of.
    critic_steps : critic steps per generator step. penalty : weight of the gradient penalty.
    learning_rate, betas : Adam's, for both. weight_decay : of the generator.
    temperature : of the Gumbel-softmax. validations : looks at held-out rows over the plan.
    patience : looks without a better one before the run stops; None goes through with the plan.
    average_steps : memory of the averaged weights, in steps.
    """

    game: Literal["wasserstein", "original"] = "wasserstein"
    batch_size: int = 500
    epochs: int = 300
    critic_steps: int = 1
    penalty: float = 10.0
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.9)
    weight_decay: float = 1e-6
    temperature: float = 0.2
    validations: int = 30
    patience: int | None = None
    average_steps: int = 500


@dataclass(frozen=True)
class Batch:
    """Real rows as vectors, and what the generator is asked for beside noise.

    Attributes
    ----------
    real : (n, width). condition : (n, n_conditions), or level numbers int64 (n,), or None.
    group, option : int64 (n,), the head's group and option that each row must show, -1 for none.
    """

    real: Tensor
    condition: Tensor | None = None
    group: Tensor | None = None
    option: Tensor | None = None


class Adversarial:
    """The objective that the loop trains; `average` is the generator to keep.

    Parameters
    ----------
    network : noise and condition to what its `head` gives; has `n_noise` and `head`. critic : rows with conditions to one score per pack.
    tokens : int32 (n, n_fields) to learn from. encode : tokens to vectors. draw : (network, n, rng) -> tokens of a sample.
    likeness : what samples are held against. asker : conditions by level, None for none.
    """

    has_fixed_batches = True

    def __init__(
        self,
        network: nn.Module,
        critic: nn.Module,
        tokens: Tokens,
        *,
        encode: Callable[[Tokens, np.random.Generator], npt.NDArray[np.float32]],
        draw: Draw,
        likeness: Likeness,
        recipe: Recipe,
        seed: int,
        asker: LevelAsker | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.network, self.critic = network.to(self.device), critic.to(self.device)
        self.average = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.tokens, self.encode, self.likeness = tokens, encode, likeness
        self.draw = in_pieces(draw, self.head.rows_at_once)
        self.recipe, self.seed, self.asker = recipe, seed, asker
        self.pack = int(getattr(critic, "pack", 1))
        self.batch_size = self.pack * max(recipe.batch_size // self.pack, 2)
        self.steps_per_epoch = max(1, len(tokens) // self.batch_size)
        self.planned_steps = self.steps_per_epoch * recipe.epochs
        self.validate_every = max(1, math.ceil(self.planned_steps / recipe.validations))
        self.patience = recipe.patience
        self._averaged: list[Tensor] = list(self.average.parameters())
        self._ours: list[Tensor] = list(self.network.parameters())
        self._steps = torch.zeros(1)
        self._right = torch.zeros(4)  # sums since the last look: real seen as real, synthetic as synthetic, score gap, batches
        self._seen: Measured | None = None
        self._signals: dict[str, float] = {}

    @property
    def head(self) -> MixedHead:
        """The generator's head."""
        head = self.network.head
        assert isinstance(head, MixedHead)
        return head

    def stages(self) -> Sequence[Stage]:
        """One stage: the critic's steps, then one of the generator."""
        rate, betas = self.recipe.learning_rate, self.recipe.betas
        critic = Adam(self.critic.parameters(), lr=rate, betas=betas)
        network = Adam(self.network.parameters(), lr=rate, betas=betas, weight_decay=self.recipe.weight_decay)
        return [
            Stage(
                [
                    Phase(
                        "critic",
                        self.critic,
                        critic,
                        self.critic_loss,
                        repeats=self.recipe.critic_steps,
                        mixes_records=self.pack > 1,
                        drifts=True,
                    ),
                    Phase("generator", self.network, network, self.generator_loss, touches_records=False, drifts=True),
                ]
            )
        ]

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Rows by the levels they hold where there is an asker, else shuffled; encoded some batches ahead, which is cheaper by the row."""
        left, ahead = self.steps_per_epoch * (self.recipe.critic_steps + 1), self._ahead()
        order = np.empty(0, dtype=np.int64)
        while left:
            n = min(ahead, left)
            left -= n
            if self.asker is not None and self.asker.levels:
                many = self._asked(n * self.batch_size, rng)
            else:
                while len(order) < n * self.batch_size:
                    order = np.concatenate([order, rng.permutation(len(self.tokens))])
                many = self.batch(order[: n * self.batch_size], rng)
                order = order[n * self.batch_size :]
            for b in range(n):
                yield part_of(many, slice(b * self.batch_size, (b + 1) * self.batch_size))

    def _ahead(self) -> int:
        """Batches that are encoded together: eight, fewer of wide rows."""
        return int(np.clip(MOST_CELLS // (self.batch_size * max(self.head.width, 1)), 1, 8))

    def _asked(self, n: int, rng: np.random.Generator) -> Batch:
        """Rows that hold levels which are asked for."""
        assert self.asker is not None
        asked = self.asker.ask(n, rng, by_log=True)
        rows = self.asker.rows(asked, rng)
        field_of = np.array([one.field for one in self.asker.levels])
        return Batch(
            self._tensor(self.encode(self.tokens[rows], rng)),
            self._tensor(asked.level),
            self._tensor(field_of[asked.which]),
            self._tensor(asked.token),
        )

    def batch(self, rows: npt.NDArray[np.int64], rng: np.random.Generator) -> Batch:
        """The batch of shuffled rows; models with conditions of their own say more here."""
        return Batch(self._tensor(self.encode(self.tokens[rows], rng)))

    def _tensor(self, array: npt.NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def synthetic(self, batch: Batch) -> Tensor:
        """Soft rows for a batch's conditions, (n, width)."""
        return self._soft(batch)[0]

    def _soft(self, batch: Batch) -> tuple[Tensor, object]:
        noise = torch.randn(len(batch.real), int(self.network.n_noise), device=self.device)  # type: ignore[arg-type]
        given = self.network(noise, batch.condition)
        return self.head.soft(given, temperature=self.recipe.temperature), given

    def critic_loss(self, batch: Batch) -> Tensor:
        """One loss per pack, (n_packs,)."""
        with torch.no_grad():
            made = self.synthetic(batch)
        real, made, condition = self._judged(batch.real, batch.condition), self._judged(made, batch.condition), batch.condition
        on_real, on_made = self.on_both(real, made, condition)
        self._note(on_real.detach(), on_made.detach())
        if self.recipe.game == "original":
            return F.softplus(-on_real) + F.softplus(on_made)
        penalty = gradient_penalty(self.critic, real, made, self.pack, condition)
        return on_made - on_real + self.recipe.penalty * penalty

    def _judged(self, rows: Tensor, condition: Tensor | None) -> Tensor:
        """Rows as the critic takes them: with their conditions, but for a critic that takes these beside."""
        return rows if isinstance(self.critic, PackedCritic) else with_condition(rows, condition)

    def on_both(self, real: Tensor, made: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """The critic's scores of real and of made rows, (n_packs,) each; a critic that sees a batch's mean must see them apart."""
        if not isinstance(self.critic, PackedCritic):
            return self.critic(real), self.critic(made)  # their conditions stand in the rows
        twice = None if condition is None else torch.cat([condition, condition])
        scores = self.critic(torch.cat([real, made]), twice)
        return scores[: len(scores) // 2], scores[len(scores) // 2 :]

    def _note(self, on_real: Tensor, on_made: Tensor) -> None:
        middle = 0.0 if self.recipe.game == "original" else (on_real.mean() + on_made.mean()) / 2
        gap = on_real.mean() - on_made.mean()
        right = [(on_real > middle).float().mean(), (on_made <= middle).float().mean(), gap, torch.ones((), device=gap.device)]
        self._right += torch.stack(right).cpu()

    def generator_loss(self, batch: Batch) -> Tensor:
        """One loss per pack, (n_packs,): the critic's score, and how unlikely what was asked for is."""
        made, given = self._soft(batch)
        rows = self._judged(made, batch.condition)
        score = self.critic(rows, batch.condition) if isinstance(self.critic, PackedCritic) else self.critic(rows)
        loss = F.softplus(-score) if self.recipe.game == "original" else -score
        if batch.group is not None and batch.option is not None:
            target = torch.zeros((len(made), len(self.head.groups)), dtype=torch.long, device=self.device)
            place = batch.group[:, None]
            target.scatter_(1, place, batch.option[:, None])
            missed = -self.head.log_likelihood(given, target).gather(1, place).squeeze(1)  # type: ignore[arg-type]
            loss = loss + missed.view(-1, self.pack).mean(1)
        more = self.further_loss(batch, made)
        return loss if more is None else loss + more.view(-1, self.pack).mean(1)

    def further_loss(self, batch: Batch, made: Tensor) -> Tensor | None:
        """What a model adds to the generator's loss, (n,); nothing here."""
        del batch, made
        return None

    @torch.no_grad()
    def after_step(self, fraction: float) -> None:
        """Averages the generator's weights; early ones are forgotten."""
        del fraction
        self._steps += 1
        memory = min(self.recipe.average_steps, 1 + 0.1 * float(self._steps))
        torch._foreach_lerp_(self._averaged, self._ours, 1 / memory)

    @torch.no_grad()
    def validate(self) -> float | None:
        """Distance of a sample of the averaged generator from held-out rows; the same noise at every look."""
        with torch.random.fork_rng():
            torch.manual_seed(derive(self.seed, "look"))
            rng = generator(self.seed, "look")
            settle_batch_norm(self.average, lambda: self.warm(self.average, rng))
            self._seen = self.likeness.measure(self.draw(self.average, max(self.likeness.n_rows, 200), rng))
        n = max(float(self._right[3]), 1.0)
        self._signals = {
            "look": self._signals.get("look", 0.0) + 1,
            "accuracy real": float(self._right[0]) / n,
            "accuracy synthetic": float(self._right[1]) / n,
            "wasserstein": float(self._right[2]) / n,
            "coverage": self._seen.coverage,
            "duplicates": self._seen.duplicates,
            "duplicates of train": self.likeness.duplicates_of_train,
            "drift": self._seen.drift,
        }
        if not float(self._right[3]):
            self._signals = {name: value for name, value in self._signals.items() if name not in OF_THE_CRITIC}
        self._right.zero_()
        return self._seen.drift

    def warm(self, network: nn.Module, rng: np.random.Generator) -> None:
        """One forward pass as in sampling, from which batch normalisation takes its statistics."""
        condition = None
        if self.asker is not None and self.asker.levels:
            condition = self._tensor(self.asker.ask(self.batch_size, rng, by_log=False).level)
        network(torch.randn(self.batch_size, int(self.network.n_noise), device=self.device), condition)  # type: ignore[arg-type]

    def signals(self) -> Mapping[str, float]:
        """What the monitors watch, as of the last look."""
        return self._signals

    def film(self) -> Mapping[str, Sequence[float]]:
        """Shares of bins per column in the last look's sample."""
        return self._seen.shares if self._seen is not None else {}

    def modules(self) -> Mapping[str, nn.Module]:
        """Both players and the averaged generator."""
        return {"generator": self.network, "critic": self.critic, "average": self.average}

    def state(self) -> Tensors:
        """Steps averaged over, and what was noted since the last look."""
        names = list(self._signals)
        return {
            "steps": self._steps,
            "right": self._right,
            "signals": torch.tensor([self._signals[name] for name in names], dtype=torch.float64),
        }

    def load_state(self, tensors: Tensors) -> None:
        """Takes that back."""
        self._steps, self._right = tensors["steps"].clone(), tensors["right"].clone()
        values = tensors["signals"].tolist()
        names = SIGNALS if len(values) == len(SIGNALS) else [name for name in SIGNALS if name not in OF_THE_CRITIC]
        self._signals = dict(zip(names, values, strict=True)) if values else {}


def part_of(batch: Batch, rows: slice) -> Batch:
    """Some rows of a batch, whatever a model's own kind of batch holds."""
    held = {one.name: getattr(batch, one.name) for one in fields(batch)}
    return replace(batch, **{name: tensor[rows] for name, tensor in held.items() if tensor is not None})


OF_THE_CRITIC = ("accuracy real", "accuracy synthetic", "wasserstein")
SIGNALS = ("look", *OF_THE_CRITIC, "coverage", "duplicates", "duplicates of train", "drift")


def with_condition(rows: Tensor, condition: Tensor | None) -> Tensor:
    """Rows with their conditions beside them."""
    return rows if condition is None else torch.cat([rows, condition], dim=1)


def settle_batch_norm(network: nn.Module, run: Callable[[], object]) -> None:
    """Takes the statistics of batch normalisation anew from a few batches; leaves the network ready to sample."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if norms:
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
        network.train()
        for _ in range(WARM_BATCHES):
            run()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    network.eval()
