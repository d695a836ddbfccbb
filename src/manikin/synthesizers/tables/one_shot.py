"""What generators share that make a whole row at once from noise: the way from a table to vectors, and back in blocks. Knows no model.

A model brings its networks and its objective; codec, held-out patients, sampling, saving and the checks of a saved folder are here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from manikin.codecs.base import Tokens
from manikin.codecs.code_sets import MAX_CODES
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.table import RuleMask, TableCodec
from manikin.codecs.vectors import ALL_CELLS, MOST_ONEHOT, Numbers, VectorCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import BudgetError, ModelFolderError, parameter_error
from manikin.data.seeds import derive, generator
from manikin.privacy import dpsgd, mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset, Sealed
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import check_request, in_batches, or_none, parted, refuse_ledger, require_fitted, rows_of
from manikin.synthesizers.tables.held_out import hold_out
from manikin.synthesizers.tables.kept_codec import as_tensors, kept_codec
from manikin.training.control import Control
from manikin.training.loop import choose_device, seed_torch, train
from manikin.training.networks.mixed import Given, Group, MixedHead, log_shares
from manikin.training.objective import Objective
from manikin.training.objectives.likeness import Column, Likeness

N = TypeVar("N", bound=nn.Module)
BLOCK = 4096  # rows that share one stream of randomness
CHUNK = 1024  # rows that go through the network at a time, so that what it gives stays in a core's cache
NUMBERS = ("modes", "quantile", "standard")
MISSING = ("mask", "impute")
MOST_UNITS = 8192  # of a layer in a saved folder


@dataclass(frozen=True)
class Prepared:
    """A table on its way into training.

    Attributes
    ----------
    tokens : int32 (n, n_fields). inside, outside : rows to learn from, and rows of other patients to stop by.
    """

    tokens: Tokens
    inside: npt.NDArray[np.int64]
    outside: npt.NDArray[np.int64]
    patients: npt.NDArray[np.int64]
    device: torch.device
    seed: int


@dataclass(frozen=True)
class SealedRows:
    """A table on its way into training under a ledger: what `Prepared` holds, behind a seal.

    Attributes
    ----------
    private : the table itself. tokens : int32 (n, n_fields). ledger : what is left in it may be spent on learning.
    most_steps : steps that were asked for at most, so that no more are planned and paid for; None for the model's own number.
    """

    private: PrivateDataset
    tokens: Sealed
    ledger: Ledger
    most_steps: int | None
    device: torch.device
    seed: int


@dataclass(kw_only=True)
class OneShot(ABC):
    """Base of the one-shot networks; a subclass is a keyword-only dataclass whose fields are its hyperparameters.

    Parameters
    ----------
    missing : "mask" learns where cells are missing, and by which code; "impute" draws them from other rows before learning, and gives
        rows without missing cells.
    """

    name: ClassVar[str] = ""
    is_private: ClassVar[bool] = False  # whether it brings `_private_objective`
    holds_out: ClassVar[bool] = True  # whether some patients are kept to stop by, where there is no ledger
    missing: Literal["mask", "impute"] = "mask"
    codec_: TableCodec = field(init=False, repr=False, compare=False)
    vectors_: VectorCodec = field(init=False, repr=False, compare=False)
    network_: nn.Module = field(init=False, repr=False, compare=False)
    training_: dict[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    _rules: RuleMask | None = field(init=False, repr=False, compare=False, default=None)  # of the block that is being drawn

    # what a model brings -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def _vector_codec(self) -> VectorCodec:
        """How columns become vectors."""

    @abstractmethod
    def _check(self) -> None:
        """Refuses hyperparameters outside their domain."""

    def _prepare(self, data: Dataset) -> None:
        """What the model takes from the table and its schema before anything is built; nothing by default."""
        del data

    @abstractmethod
    def _build(self) -> nn.Module:
        """The network that samples, from hyperparameters and codecs alone."""

    @abstractmethod
    def _objective(self, network: nn.Module, prepared: Prepared) -> tuple[Objective, nn.Module]:
        """What the loop trains, and the module that samples once it is done."""

    def _private_objective(
        self, network: nn.Module, rows: SealedRows
    ) -> tuple[Objective, nn.Module, dpsgd.Sampler | None]:
        """The same under a ledger, with where noisy gradients come from; models that bring it say so by `is_private`."""
        del network
        raise BudgetError(f"The synthesizer {self.name!r} cannot learn under the ledger of release {rows.ledger.release}.")

    def _max_tokens(self) -> int:
        """Most tokens of a number column."""
        return ALL_CELLS

    @abstractmethod
    def _draw(
        self,
        network: nn.Module,
        n: int,
        rng: np.random.Generator,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        """Tokens of `n` rows around what is given."""

    def _finish(self, network: nn.Module, seed: int) -> nn.Module:
        """A last hand on the network that samples; none by default."""
        del seed
        return network

    def _own_state(self) -> tuple[dict[str, Any], Arrays]:
        """What the model saves beside codecs and weights."""
        return {}, {}

    def _restore_own(self, values: dict[str, Any], arrays: Arrays) -> None:
        """Takes that back, before the network is built; nothing by default."""
        del values, arrays

    def _refuse_conditions(self, conditions: Conditions) -> None:
        """Refuses conditions that the model cannot keep; all of them by default."""
        raise parameter_error(
            "conditions", self.name, "left out: this synthesizer cannot condition", sorted(names_of(conditions))
        )

    # what they share ---------------------------------------------------------------------------------------------------------

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> Self:
        """Learns a flat table.

        Parameters
        ----------
        control : time budget, step limit, checkpoint folder, progress.

        Raises
        ------
        BudgetError : a ledger is given that the model cannot honour, or that does not allow what it needs.
        FitError : there is nothing to learn from, or the run diverged or collapsed before it had anything to fall back on.
        """
        if not self.is_private:
            refuse_ledger(self.name, ledger)
        self._check()
        if self.missing not in MISSING:
            raise parameter_error("missing", self.name, f"one of {', '.join(MISSING)}", self.missing)
        control = (control or Control()).at_most(getattr(self, "max_steps", None))
        if ledger is not None:
            return self._fit_private(data, seed, ledger, control)
        self.codec_ = self._table_codec().fit(data)
        tokens = self.codec_.encode(data)
        if self.missing == "impute":
            tokens = self.codec_.impute(tokens, generator(seed, "missing cells"))
        self.vectors_ = self._vector_codec().fit(self.codec_, seed=seed)
        everyone = np.arange(len(tokens), dtype=np.int64)
        inside, outside = hold_out(data.records, seed) if self.holds_out else (everyone, everyone[:0])
        prepared = Prepared(tokens, inside, outside, data.records, choose_device(control.device), seed)
        self._prepare(data)
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, "weights"))
            network = self._build()
            objective, sampler = self._objective(network, prepared)
        training = train(objective, seed=seed, control=control)
        training.device = prepared.device.type
        shares = getattr(getattr(objective, "likeness", None), "train_shares", {})
        bins = {name: [round(share, 4) for share in own] for name, own in shares.items()}
        self.training_ = training.to_json() | {"bins of train": bins}
        self.network_ = self._finish(sampler.cpu().eval(), seed)
        return self

    def _table_codec(self) -> TableCodec:
        return TableCodec(max_tokens=self._max_tokens(), max_codes=getattr(self, "max_codes", MAX_CODES))

    def _fit_private(self, data: Dataset | PrivateDataset, seed: int, ledger: Ledger, control: Control) -> Self:
        """Learns under a ledger: everything is bought, no patient is held out, and no figure of a real row is kept."""
        if self.missing != "mask":
            raise parameter_error("missing", self.name, "'mask' under a privacy ledger, which buys no other rows", self.missing)
        private = mechanisms.seal(data, ledger)
        self.codec_ = kept_codec(control) or self._table_codec().fit(private, ledger=ledger)
        tokens = self.codec_.encode_private(private)
        self.vectors_ = self._vector_codec().fit(self.codec_, seed=seed)
        most = control.max_steps if control.planned_steps is None else control.planned_steps
        rows = SealedRows(private, tokens, ledger, most, choose_device(control.device), seed)
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, "weights"))
            network = self._build()
            objective, made, sampler = self._private_objective(network, rows)
        objective.bought = as_tensors(self.codec_)  # type: ignore[attr-defined]
        training = train(objective, seed=seed, control=control, ledger=ledger, private=sampler)
        training.device = rows.device.type
        self.training_ = training.to_json() | {"seconds": 0.0}  # how long it took depends on how many rows there are
        self.network_ = self._finish(made.cpu().eval(), seed)
        return self

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` synthetic rows; conditions are kept exactly or refused by name."""
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The rows of `sample` in pieces of `batch_size`, in memory that does not grow with n."""
        require_fitted(self, "network_")
        check_request(self.name, n, batch_size, conditions)
        conditions = or_none(conditions)
        if conditions is not None:
            self._refuse_conditions(conditions)

        def draw(number: int, start: int, stop: int) -> Dataset:
            with torch.no_grad(), torch.random.fork_rng():
                seed_torch(derive(seed, "noise", number))
                rng = generator(seed, "rows", number)
                drawn = [self._piece(conditions, at, min(at + CHUNK, stop), rng) for at in range(start, max(stop, start + 1), CHUNK)]
            part = rows_of(conditions, start, stop)
            return self.codec_.decode(np.concatenate(drawn), generator(seed, "decode", number), first_key=start + 1, conditions=part)

        return in_batches(draw, int(n), batch_size=int(batch_size), block=BLOCK)

    def _piece(self, conditions: Conditions | None, start: int, stop: int, rng: np.random.Generator) -> Tokens:
        """Tokens of some rows of a sample."""
        part = rows_of(conditions, start, stop)
        tokens, given = self.codec_.encode_conditions(part, stop - start)
        if stop <= start:
            return tokens
        self._rules = self.codec_.allowed_given(part, stop - start)
        try:
            return self._draw(self.network_, stop - start, rng, tokens, given)
        finally:
            self._rules = None  # else the next table that is learned would be looked at under this one's rules

    def _tokens(
        self,
        network: nn.Module,
        given_by: Given,
        rng: np.random.Generator,
        *,
        parts: Sequence[int] | None = None,
        tokens: Tokens | None = None,
        given: npt.NDArray[np.bool_] | None = None,
    ) -> Tokens:
        """Tokens drawn from what the network's head gives, under the codec's masks and the confirmed rules."""
        head = network.head
        assert isinstance(head, MixedHead)
        n = len(given_by.scalars)
        uniform = rng.random((n, len(self.vectors_.parts_)), dtype=np.float32)
        options, logits = None, np.empty((n, 0), dtype=np.float32)
        if self.codec_.rules_.has_rules:  # field by field, since each rule asks what is drawn so far
            logits = head.logits(given_by).cpu().numpy()
        else:
            chosen = list(range(len(self.vectors_.parts_))) if parts is None else list(parts)
            masks = [torch.from_numpy(mask) for mask in self.vectors_.option_masks(self.codec_.emitted, chosen)]
            indices = [self.vectors_.parts_[p].index for p in chosen]
            device = given_by.scalars.device
            drawn = head.drawn(given_by, torch.from_numpy(uniform[:, indices]).to(device), [mask.to(device) for mask in masks])
            options = drawn.cpu().numpy()
        return self.vectors_.draw(
            given_by.scalars.cpu().numpy(),
            logits,
            uniform,
            emitted=self.codec_.emitted,
            parts=parts,
            allowed=(self._rules or self.codec_.allowed) if self.codec_.rules_.has_rules else None,
            tokens=tokens,
            given=given,
            options=options,
        )

    def _groups(self, parts: Sequence[int] | None = None) -> list[Group]:
        """What a head gives for the parts, all by default; logits start at the shares of the train rows."""
        chosen = self.vectors_.parts_ if parts is None else [self.vectors_.parts_[p] for p in parts]
        groups = []
        for part in chosen:
            shares = None if part.is_number else log_shares(self.codec_.counts_[part.index])
            groups.append(Group(part.n_choices, part.is_number, part.codes, shares))
        return groups

    def _likeness(self, prepared: Prepared) -> Likeness:
        """What samples are held against while training."""
        columns = [Column(f.name, f.n_tokens, f.n_missing, f.is_ordered) for f in self.codec_.layout.fields]
        inside, outside = prepared.tokens[prepared.inside], prepared.tokens[prepared.outside]
        return Likeness(columns, inside, outside, generator(prepared.seed, "likeness"))

    def state(self) -> State:
        """Codecs and averaged weights."""
        require_fitted(self, "network_")
        values, arrays = self.codec_.state()
        vector_values, vector_arrays = self.vectors_.state()
        own_values, own_arrays = self._own_state()
        saved: Arrays = {f"codec.{name}": array for name, array in arrays.items()}
        saved |= {f"vectors.{name}": array for name, array in vector_arrays.items()}
        saved |= {f"own.{name}": array for name, array in own_arrays.items()}
        saved |= {f"network.{name}": tensor.numpy() for name, tensor in self.network_.state_dict().items()}
        return {"codec": values, "vectors": vector_values, "own": own_values, "training": self.training_}, saved

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back; a network is built only when every array that it asks for is there and of its shape.

        Raises
        ------
        ModelFolderError : the values and the arrays do not fit each other.
        """
        parts = parted(arrays, "codec", "vectors", "own", "network")
        self._check()
        self.codec_ = TableCodec.from_state(values["codec"], parts["codec"])
        self.vectors_ = VectorCodec.from_state(values["vectors"], parts["vectors"], self.codec_)
        self._restore_own(values["own"], parts["own"])
        self.network_, self.training_ = with_weights(self._build, parts["network"]), values["training"]
        return self


def with_weights(build: Callable[[], N], arrays: Arrays) -> N:
    """A network with saved weights, ready to draw; memory is taken only once every array that it asks for is there and of its shape.

    Raises
    ------
    ModelFolderError : names the array that does not fit.
    """
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    check_weights(wanted, arrays)
    network = build()
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    return network.eval()


def check_weights(wanted: Mapping[str, tuple[int, ...]], found: Arrays) -> None:
    """Refuses saved weights that are missing, left over, of another shape, or not finite.

    Raises
    ------
    ModelFolderError : names the array.
    """
    for name in sorted(set(wanted).symmetric_difference(found)):
        raise weights_refusal(f"the array {name[:60]!r} is {'missing' if name in wanted else 'left over'}")
    for name, shape in wanted.items():
        if found[name].shape != shape:
            raise weights_refusal(f"the array {name!r} is of shape {found[name].shape}, where {shape} is asked for")
        if not np.isfinite(found[name]).all():
            raise weights_refusal(f"the array {name!r} has something else than finite numbers")


def weights_refusal(why: str) -> ModelFolderError:
    """What to raise where saved arrays and values contradict each other."""
    return ModelFolderError(f"The weights of the model folder do not fit its config.json: {why}. Save the model again.")


def batch_rows(n_rows: int) -> int:
    """Rows per step where none are asked for: 500 from 5,000 rows on, fewer on smaller tables so that an epoch has some 10 steps."""
    return int(np.clip(n_rows // 10, 100, 500))


def check_numbers(owner: Any, name: str, *, whole: Sequence[str] = (), positive: Sequence[str] = ()) -> None:
    """Refuses hyperparameters that are no whole number above 0, or no number above 0; None is let through.

    Raises
    ------
    ParameterError : names the hyperparameter, its domain and what it was.
    """
    for key in whole:
        value = getattr(owner, key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise parameter_error(key, name, "an int in [1, inf)", value)
    for key in positive:
        value = getattr(owner, key)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf")
        ):
            raise parameter_error(key, name, "a number above 0", value)


def check_at_most(owner: Any, name: str, limits: Mapping[str, int]) -> None:
    """Refuses hyperparameters that are no whole number from 1 to their limit.

    Raises
    ------
    ParameterError : names the hyperparameter, its domain and what it was.
    """
    for key, most in limits.items():
        value = getattr(owner, key)
        if type(value) is not int or not 1 <= value <= most:
            raise parameter_error(key, name, f"an int in [1, {most}]", value)


def check_layers(owner: Any, name: str, keys: Sequence[str]) -> None:
    """Refuses layer sizes that are not some whole numbers in [1, 8192].

    Raises
    ------
    ParameterError : names the hyperparameter.
    """
    for key in keys:
        value = getattr(owner, key)
        is_list = isinstance(value, (list, tuple)) and 0 < len(value) <= 16
        if not is_list or any(type(units) is not int or not 1 <= units <= MOST_UNITS for units in value):
            raise parameter_error(key, name, f"1 to 16 whole numbers in [1, {MOST_UNITS}]", value)


def check_encoding(owner: Any, name: str) -> None:
    """Refuses a way of giving numbers that there is not, and one-hot vectors that no saved model may have."""
    check_onehot(owner, name)
    if owner.numbers not in NUMBERS:
        raise parameter_error("numbers", name, f"one of {', '.join(NUMBERS)}", owner.numbers)


def check_onehot(owner: Any, name: str) -> None:
    """Refuses one-hot vectors longer than a saved model may have."""
    if owner.max_onehot is None or owner.max_onehot > MOST_ONEHOT:
        raise parameter_error("max_onehot", name, f"an int in [1, {MOST_ONEHOT}]", owner.max_onehot)


def names_of(conditions: Conditions) -> list[str]:
    """The columns that conditions speak of."""
    return conditions.columns.names if isinstance(conditions, Dataset) else list(conditions)


def is_number_field(codec: TableCodec, field_index: int) -> bool:
    """Whether a field of the codec holds numbers or times."""
    return isinstance(codec.fields_[field_index], NumberCodec)


__all__ = [
    "Numbers",
    "OneShot",
    "Prepared",
    "check_encoding",
    "check_layers",
    "check_numbers",
    "check_weights",
    "weights_refusal",
    "with_weights",
    "is_number_field",
]
