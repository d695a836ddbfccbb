"""TabDDPM: diffusion of numbers and choices side by side (Kotelnikov, Baranchuk, Rubachev & Babenko 2023, arXiv 2209.15421).

From the paper: quantile-normalised numbers under Gaussian diffusion (noise prediction, cosine schedule), choices under multinomial
diffusion (arXiv 2102.05379), an MLP denoiser with the moment added to its first layer, the bound of the choices averaged over columns
beside the squared error of the noise, AdamW with a falling rate, the class of the target as a condition.

Departures, with what they bring, in docs/synthesizers/tabddpm.md: the network gives the part of the noise that the noisy number does not
show itself; numbers are seen through sines and cosines too; layers are joined to their input; each batch holds moments from even strata;
weights are averaged and the best by held-out loss are kept; noisy levels are looked up instead of multiplied out, and vocabularies above
`max_onehot` have a factorised head, so that memory does not grow with them; a missing code is an option beside the number, whose number is
then plain noise; both parts are sampled from their exact posteriors over a few long steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.vectors import FURTHEST, VectorCodec
from manikin.data.dataset import Dataset
from manikin.data.errors import ModelFolderError, parameter_error
from manikin.data.schema import Role
from manikin.synthesizers.base import Conditions
from manikin.synthesizers.tables.one_shot import OneShot, Prepared, check_layers, check_numbers, check_onehot
from manikin.training.networks.denoiser import Denoiser
from manikin.training.networks.mixed import Given, Group, log_shares
from manikin.training.networks.mixed_diffusion import Kernel, MixedDiffusion, Rows
from manikin.training.objective import Objective
from manikin.training.objectives.diffusion import Denoising, Recipe

MOST_STEPS = 100_000  # of the diffusion, so that a saved folder cannot ask for a schedule of any size


@dataclass(kw_only=True)
class TabDDPM(OneShot):
    """Tabular denoising diffusion.

    Parameters
    ----------
    steps, batch_size, learning_rate : gradient steps planned, rows per step, largest rate of AdamW.
    hidden, dropout : of the denoiser. octaves : sines and cosines of each number that it sees beside the number; 0 as in the paper.
    diffusion_steps : of the whole process. sampling_steps : looks of the network while sampling; the paper takes every step.
    noise : 0 follows the noise that is there from look to look, 1 draws numbers from their posterior as the paper does.
    kernel : what choices turn into, "uniform" as in the paper, or the "shares" of the train rows.
    by_target : the schema's target, a column of levels, is an input that is never noised. Rows can then be asked for by class.
    levels_below : number columns with fewer values are levels. max_onehot : larger vocabularies have a factorised head.
    patience : looks at held-out rows without a better one before the run stops, out of 30 over the plan; None goes through with it.
    max_steps : most gradient steps, whatever the plan.
    """

    name: ClassVar[str] = "tabddpm"
    steps: int = 3000
    batch_size: int = 512
    learning_rate: float = 2e-3
    hidden: tuple[int, ...] = (256, 256, 256)
    dropout: float = 0.0
    octaves: int = 4
    diffusion_steps: int = 1000
    sampling_steps: int = 20
    noise: float = 0.0
    kernel: Kernel = "uniform"
    by_target: bool = False
    levels_below: int = 24
    max_onehot: int = 64
    patience: int | None = 6
    max_steps: int | None = None
    _target: str | None = field(init=False, repr=False, compare=False, default=None)

    def _check(self) -> None:
        whole = (
            "steps",
            "batch_size",
            "diffusion_steps",
            "sampling_steps",
            "levels_below",
            "max_onehot",
            "patience",
            "max_steps",
        )
        check_numbers(self, self.name, whole=whole, positive=("learning_rate",))
        check_layers(self, self.name, ("hidden",))
        check_onehot(self, self.name)
        if self.diffusion_steps > MOST_STEPS:
            raise parameter_error("diffusion_steps", self.name, f"an int in [1, {MOST_STEPS}]", self.diffusion_steps)
        for key, below in (("noise", 1.0), ("dropout", 0.95)):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= below:
                raise parameter_error(key, self.name, f"a number in [0, {below:g}]", value)
        if type(self.octaves) is not int or not 0 <= self.octaves <= 8:
            raise parameter_error("octaves", self.name, "an int in [0, 8]", self.octaves)
        if type(self.by_target) is not bool:
            raise parameter_error("by_target", self.name, "True or False", self.by_target)
        if self.kernel not in ("uniform", "shares"):
            raise parameter_error("kernel", self.name, "one of uniform, shares", self.kernel)

    def _vector_codec(self) -> VectorCodec:
        return VectorCodec(numbers="quantile", levels_below=self.levels_below, max_onehot=self.max_onehot)

    def _prepare(self, data: Dataset) -> None:
        self._target = None
        if self.by_target:
            targets = [column.name for column in data.columns.with_role(Role.TARGET)]
            if len(targets) != 1 or self._chosen(targets[0]) is None:
                raise parameter_error(
                    "by_target", self.name, "False for tables without one target column of levels", self.by_target
                )
            self._target = targets[0]

    def _chosen(self, column: str) -> int | None:
        """Position of a column's part among the parts with a choice; None where it is no part of levels."""
        chosen = [part for part in self.vectors_.parts_ if part.n_choices]
        found = [
            c for c, part in enumerate(chosen) if self.codec_.layout.fields[part.index].name == column and not part.is_number
        ]
        return found[0] if len(found) == 1 else None

    def _groups(self, parts: Any = None) -> list[Group]:
        """Groups with the shares of all their options, those of numbers too."""
        groups = super()._groups(parts)
        for g, (group, part) in enumerate(zip(groups, self.vectors_.parts_, strict=True)):
            if part.is_number and part.n_choices:
                counts = self.codec_.counts_[part.index]
                others = counts[part.tokens]
                groups[g] = replace(group, log_shares=log_shares(np.concatenate([[counts.sum() - others.sum()], others])))
        return groups

    def _build(self) -> nn.Module:
        clean = None if self._target is None else self._chosen(self._target)
        return MixedDiffusion(
            Denoiser(self._groups(), self.hidden, dropout=self.dropout, octaves=self.octaves),
            n_steps=self.diffusion_steps,
            kernel=self.kernel,
            clean=clean,
        )

    def _encode(self, tokens: Tokens, rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Normal scores, and options of the parts that have a choice; the number of a missing cell is nothing but noise."""
        scalars, options = self.vectors_.choices(tokens, rng)
        numbers = [p for p, part in enumerate(self.vectors_.parts_) if part.is_number]
        scalars = scalars * np.float32(FURTHEST)
        absent = options[:, numbers] > 0
        scalars[absent] = rng.standard_normal(int(absent.sum()), dtype=np.float32)
        return scalars, options[:, [p for p, part in enumerate(self.vectors_.parts_) if part.n_choices]]

    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        assert isinstance(network, MixedDiffusion)
        objective = Denoising(
            network,
            prepared.tokens[prepared.inside],
            prepared.tokens[prepared.outside],
            encode=self._encode,
            recipe=Recipe(
                steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate, patience=self.patience
            ),
            seed=prepared.seed,
            device=prepared.device,
        )
        return objective, objective.average

    def _draw(
        self,
        network: nn.Module,
        n: int,
        rng: np.random.Generator,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        assert isinstance(network, MixedDiffusion)
        device = network.alpha.device
        options = torch.zeros((n, len(network.denoiser.chosen)), dtype=torch.long, device=device)
        if self._target is not None and network.clean is not None:
            field_index = [part for part in self.vectors_.parts_ if part.n_choices][network.clean].index
            tokens = np.zeros((n, len(self.vectors_.parts_)), dtype=np.int32) if tokens is None else tokens.copy()
            given = np.zeros(tokens.shape[1], dtype=bool) if given is None else given.copy()
            if not given[field_index]:
                counts = self.codec_.counts_[field_index] * self.codec_.emitted(field_index)
                tokens[:, field_index] = rng.choice(len(counts), size=n, p=counts / counts.sum())
                given[field_index] = True
            options[:, network.clean] = torch.from_numpy(tokens[:, field_index].astype(np.int64)).to(device)
        rows = Rows(torch.zeros((n, network.denoiser.n_scalars), device=device), options)
        scalars, said = network.sample(rows, self.sampling_steps, noise=self.noise)
        return self._drawn(network, scalars, said, rng, tokens, given)

    def _drawn(
        self,
        network: MixedDiffusion,
        scalars: torch.Tensor,
        said: Given,
        rng: np.random.Generator,
        tokens: Tokens | None,
        given: npt.NDArray[np.bool_] | None,
    ) -> Tokens:
        n, head = len(scalars), network.denoiser.head
        logits = head.logits(said).cpu().numpy() if head is not None else np.zeros((n, 0), dtype=np.float32)
        return self.vectors_.draw(
            (scalars / FURTHEST).cpu().numpy(),
            logits,
            rng.random((n, len(self.vectors_.parts_)), dtype=np.float32),
            emitted=self.codec_.emitted,
            allowed=self.codec_.allowed if self.codec_.rules_.has_rules else None,
            tokens=tokens,
            given=given,
        )

    def _refuse_conditions(self, conditions: Conditions) -> None:
        names = conditions.columns.names if isinstance(conditions, Dataset) else list(conditions)
        if self._target is None or list(names) != [self._target]:
            super()._refuse_conditions(conditions)

    def _own_state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"target": self._target}, {}

    def _restore_own(self, values: dict[str, Any], arrays: Any) -> None:
        del arrays
        target = values.get("target")
        if target is not None and (not isinstance(target, str) or self._chosen(target) is None):
            raise ModelFolderError("The target that the model folder names is no column of levels. Save the model again.")
        self._target = target
