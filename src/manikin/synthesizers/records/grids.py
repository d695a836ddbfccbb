"""What generators of regular grids share: linked patients with one table of steps to sequences of vectors, and back. Knows no model.

A grid is a table whose rows are a patient's steps at a regular clock (hourly vitals, daily activity), a column for each measurement; most
cells may be missing. Static tables and what never changes within a patient stand beside it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from manikin.codecs.base import Allowed, Tokens
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.table import TableCodec
from manikin.codecs.vectors import VectorCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, ModelFolderError
from manikin.data.schema import DEFAULT_MIN_PATIENTS
from manikin.data.seeds import derive, generator
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import check_request, in_batches, parted, refuse_conditions, refuse_ledger, require_fitted
from manikin.synthesizers.tables.held_out import hold_out
from manikin.synthesizers.tables.one_shot import with_weights
from manikin.training.control import Control
from manikin.training.loop import choose_device, seed_torch, train
from manikin.training.networks.grids import GridBatch, GridShape, MixedOutput
from manikin.training.networks.mixed import Given, Group, log_shares
from manikin.training.objectives.grids import GridObjective, Indices

BLOCK = 256  # patients that share one stream of randomness
MOST_STEPS = 1024
MOST_LOOKED_AT = 1000  # patients that the noise's memory is measured on
FEWEST_PAIRS = 50
FEWEST_PATIENTS = 4
MOST_CARRY = 0.998
CARRIES = 1 - np.geomspace(1, 1 - MOST_CARRY, 48)  # 0 ... 0.998
MAX_TOKENS = 200  # of a number

Mask = Callable[[int, Tokens, npt.NDArray[np.bool_]], Allowed | None]


@dataclass(kw_only=True)
class GridModel(ABC):
    """Base of the generators of grids; a subclass is a keyword-only dataclass whose fields are its hyperparameters.

    Attributes
    ----------
    lengths_ : int64 (most steps + 1,), training patients with each number of steps; longer ones count as the most. The most steps are
        those that at least `min_patients` patients reach, so that no generated record gives one patient's length away.
    carry_ : float32 (n_scalars,), how much of a number's distance from what the network says is still there a step later.
    """

    name: ClassVar[str] = ""
    unpaid: ClassVar[str] = ""  # why no ledger is kept
    codec_: RecordsCodec = field(init=False, repr=False, compare=False)
    rows_: VectorCodec = field(init=False, repr=False, compare=False)
    static_: VectorCodec | None = field(init=False, repr=False, compare=False, default=None)
    lengths_: npt.NDArray[np.int64] = field(init=False, repr=False, compare=False)
    carry_: npt.NDArray[np.float32] = field(init=False, repr=False, compare=False)
    network_: nn.Module = field(init=False, repr=False, compare=False)
    training_: dict[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    # what a model brings

    @abstractmethod
    def _check(self) -> None:
        """Refuses hyperparameters outside their domain."""

    @abstractmethod
    def _build(self) -> nn.Module:
        """The network, from hyperparameters, codecs and lengths alone."""

    @abstractmethod
    def _objective(
        self, network: nn.Module, encode: Any, inside: Indices, outside: Indices, seed: int, device: torch.device
    ) -> GridObjective:
        """What the loop trains."""

    @abstractmethod
    def _said(self, network: nn.Module, batch: GridBatch) -> tuple[Given, MixedOutput]:
        """What the network says of the steps of real patients, n * steps rows."""

    @abstractmethod
    def _made(self, network: nn.Module, n: int, rng: np.random.Generator) -> Made:
        """What the network gives for `n` patients."""

    # what they share

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> Self:
        """Learns linked patients with one table of steps.

        Raises
        ------
        BudgetError : a ledger is given. FitError : there is not one table of steps alone, or its records are too long.
        """
        refuse_ledger(self.name, ledger, why=self.unpaid)
        self._check()
        if not data.is_linked:
            raise FitError(f"The synthesizer {self.name!r} learns linked patients, not one flat table. Give the table a form.")
        if len(data) < FEWEST_PATIENTS:
            raise FitError(f"The synthesizer {self.name!r} needs {FEWEST_PATIENTS} patients at least; there are {len(data)}. Bring more.")
        control = (control or Control()).at_most(getattr(self, "max_steps", None))
        self.codec_ = RecordsCodec(max_tokens=MAX_TOKENS)
        records = self.codec_.fit_encode(data)
        self._check_grid(records)
        self.rows_ = VectorCodec(numbers="quantile").fit(self._flat, seed=seed)
        self.static_ = None if self.codec_.static_ is None else VectorCodec(numbers="quantile").fit(self.codec_.static_, seed=seed)
        inside, outside = hold_out(np.arange(len(records)), seed)
        device = choose_device(control.device)
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, "weights"))
            encode = _Encoder(self, records)
            objective = self._objective(self._build(), encode, inside, outside, seed, device)
        training = train(objective, seed=seed, control=control)
        training.device = device.type
        self.training_ = training.to_json()
        self.network_ = objective.average.cpu().eval()
        self.carry_ = self._carry(encode(inside[:MOST_LOOKED_AT], generator(seed, "carry")))
        return self

    @torch.no_grad()
    def _carry(self, batch: GridBatch) -> npt.NDArray[np.float32]:
        """How much of each number's distance from what the network says is still there a step later, in [0, 0.998].

        Measured on a patient's neighbouring values, however many steps lie between them, since most cells of a grid may be missing.
        """
        given, output = self._said(self.network_, batch)
        off = ((batch.scalars - given.scalars) / output.sigma()).view(*batch.alive.shape, given.scalars.shape[1]).numpy()
        there = batch.counts.view(off.shape).numpy() > 0
        out = np.zeros(off.shape[2], dtype=np.float32)
        for j in range(len(out)):
            who, step = np.nonzero(there[:, :, j])
            found, is_next = off[who, step, j], who[1:] == who[:-1]
            if is_next.sum() >= FEWEST_PAIRS:
                out[j] = carried(found[:-1][is_next], found[1:][is_next], np.diff(step)[is_next])
        return out

    @property
    def _flat(self) -> TableCodec:
        """The codec of the table of steps."""
        return self.codec_.events_[0].flat

    def _check_grid(self, records: Records) -> None:
        tables = self.codec_.layout.tables
        if len(tables) != 1:
            raise FitError(
                f"The synthesizer {self.name!r} learns one table of steps at a regular clock; these data have {len(tables)} tables of "
                "events. Use 'event_transformer', or leave the other tables out."
            )
        if self.codec_.events_[0].by:
            number = self.codec_.events_[0].plan.by[0][0]
            raise FitError(
                f"Table {tables[0].name!r} is long: its column {number!r} measures what a code says. {self.name!r} asks for "
                "a column for each measurement. Use 'event_transformer', or spread the codes over columns."
            )
        k = min(DEFAULT_MIN_PATIENTS, max(len(records) // 2, 1))
        most = int(np.sort(records.lengths)[::-1][k - 1]) if len(records) else 0
        if most > MOST_STEPS:
            raise FitError(
                f"Table {tables[0].name!r} has records of {most:,} steps; the synthesizer {self.name!r} learns up to {MOST_STEPS:,}. "
                "Use a coarser clock, shorter records, or 'event_transformer'."
            )
        if not most:
            raise FitError(f"Table {tables[0].name!r} has steps for fewer than {k} patients, too few to learn from.")
        self.lengths_ = np.bincount(np.minimum(records.lengths, most), minlength=most + 1).astype(np.int64)

    def _shape(self) -> GridShape:
        """What the network is built for."""
        lengths = np.log((self.lengths_ + 0.01) / (self.lengths_.sum() + 0.01 * len(self.lengths_)))
        static = () if self.static_ is None or self.codec_.static_ is None else _groups(self.static_, self.codec_.static_)
        return GridShape(len(self.lengths_) - 1, _groups(self.rows_, self._flat), static, tuple(lengths.tolist()))

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` synthetic patients.

        Raises
        ------
        ParameterError : conditions are given.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 4096
    ) -> Iterator[Dataset]:
        """The patients of `sample` in pieces, in memory that does not grow with n."""
        require_fitted(self, "network_")
        refuse_conditions(self.name, "makes", conditions)
        check_request(self.name, n, batch_size, None)

        def draw(number: int, start: int, stop: int) -> Dataset:
            """The patients of one block, from its own stream of randomness."""
            with torch.no_grad(), torch.random.fork_rng():
                seed_torch(derive(seed, "noise", number))
                records = self._records(stop - start, generator(seed, "rows", number))
            return self.codec_.decode(records, generator(seed, "decode", number), first_key=start + 1)

        return in_batches(draw, int(n), batch_size=int(batch_size), block=BLOCK)

    def _records(self, n: int, rng: np.random.Generator) -> Records:
        """Encoded patients, drawn."""
        width = self.codec_.layout.width
        if not n:
            empty = np.zeros((0, width), dtype=np.int32)
            static = np.zeros((0, len(self.codec_.layout.static.fields)), dtype=np.int32)
            return Records(static, np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int16), empty, np.zeros(0))
        made = self._made(self.network_, n, rng)
        steps = len(self.lengths_) - 1
        alive = (np.arange(steps)[None] < made.lengths[:, None]).reshape(-1)
        tokens = np.zeros((int(alive.sum()), width), dtype=np.int32)
        noise = remembering(rng.standard_normal((n, steps, len(self.carry_)), dtype=np.float32), self.carry_)
        rows = np.flatnonzero(alive)
        masks: Mask | None = self._masks(rows % steps == 0)
        noise = noise.reshape(n * steps, len(self.carry_))
        own = drawn(self.rows_, self.codec_.events_[0].emitted, made.rows, made.output, rng, rows, noise, masks)
        tokens[:, : own.shape[1]] = own
        static = np.zeros((n, 0), dtype=np.int32)
        if self.static_ is not None and self.codec_.static_ is not None and made.static is not None and made.static_output is not None:
            noise = rng.standard_normal(tuple(made.static.scalars.shape), dtype=np.float32)
            masks = self.codec_.static_.allowed if self.codec_.static_.rules_.has_rules else None
            static = drawn(self.static_, self.codec_.static_.emitted, made.static, made.static_output, rng, np.arange(n), noise, masks)
        starts = np.concatenate([[0], np.cumsum(made.lengths)]).astype(np.int64)
        table = np.zeros(len(tokens), dtype=np.int16)
        return Records(static, starts, table, tokens, self.codec_.times(starts, table, tokens))

    def _masks(self, is_first: npt.NDArray[np.bool_]) -> Mask:
        """What confirmed rules leave of each field, and no gap of 0 behind a patient's first step, so that no two steps share a time."""
        flat = self._flat
        clock = flat.fields_[0]
        assert isinstance(clock, NumberCodec)
        moves = np.concatenate([np.zeros(clock.n_missing, dtype=bool), np.asarray(clock.low) > 0])

        def allowed(place: int, tokens: Tokens, given: npt.NDArray[np.bool_]) -> Allowed | None:
            """Which tokens of a field may be drawn."""
            ruled = flat.allowed(place, tokens, given) if flat.rules_.has_rules else None
            if place or not (moves & flat.emitted(0)).any():
                return ruled
            on = is_first[:, None] | moves
            return on if ruled is None else on & ruled

        return allowed

    def state(self) -> State:
        """Codecs, lengths and averaged weights."""
        require_fitted(self, "network_")
        values, arrays = self.codec_.state()
        saved: Arrays = {f"codec.{name}": array for name, array in arrays.items()}
        row_values, row_arrays = self.rows_.state()
        saved |= {f"rows.{name}": array for name, array in row_arrays.items()}
        static_values: dict[str, Any] | None = None
        if self.static_ is not None:
            static_values, static_arrays = self.static_.state()
            saved |= {f"static.{name}": array for name, array in static_arrays.items()}
        saved |= {f"network.{name}": tensor.numpy() for name, tensor in self.network_.state_dict().items()}
        saved |= {"own.lengths": self.lengths_, "own.carry": self.carry_}
        return {"codec": values, "rows": row_values, "static": static_values, "training": self.training_}, saved

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back; a network is built only when every array that it asks for is there and of its shape.

        Raises
        ------
        ModelFolderError : the values and the arrays do not fit each other.
        """
        parts = parted(arrays, "codec", "rows", "static", "network", "own")
        self._check()
        self.codec_ = RecordsCodec.from_state(values["codec"], parts["codec"])
        lengths, carry = parts["own"].get("lengths"), parts["own"].get("carry")
        is_grid = len(self.codec_.events_) == 1 and not self.codec_.events_[0].by
        is_sound = lengths is not None and lengths.dtype == np.int64 and lengths.ndim == 1 and 2 <= len(lengths) <= MOST_STEPS + 1
        is_sound = is_sound and (values["static"] is None) == (self.codec_.static_ is None)
        if not is_grid or not is_sound or lengths is None or lengths.min() < 0:
            raise ModelFolderError("The lengths of the model folder do not fit its tables. Save the model again.")
        self.lengths_ = lengths
        self.rows_ = VectorCodec.from_state(values["rows"], parts["rows"], self._flat)
        self.static_ = None
        if self.codec_.static_ is not None:
            self.static_ = VectorCodec.from_state(values["static"], parts["static"], self.codec_.static_)
        self.network_, self.training_ = with_weights(self._build, parts["network"]), values["training"]
        n_scalars = sum(part.is_number for part in self.rows_.parts_)
        if carry is None or carry.shape != (n_scalars,) or not np.all((carry >= 0) & (carry <= np.float32(MOST_CARRY))):
            raise ModelFolderError("The noise of the model folder does not fit its columns. Save the model again.")
        self.carry_ = carry.astype(np.float32)
        return self


@dataclass(frozen=True)
class Made:
    """What a network gives for some patients: lengths int64 (n,), and what stands at each step (n * steps rows) and once for a patient."""

    lengths: npt.NDArray[np.int64]
    rows: Given
    output: MixedOutput
    static: Given | None = None
    static_output: MixedOutput | None = None


class _Encoder:
    """Patients of encoded records as batches; numbers are drawn anew within their tokens each time."""

    def __init__(self, model: GridModel, records: Records) -> None:
        self.model, self.records = model, records
        self.steps = len(model.lengths_) - 1

    def __call__(self, patients: Indices, rng: np.random.Generator) -> GridBatch:
        """The batch of these patients."""
        part = self.records.subset(patients)
        lengths = np.minimum(part.lengths, self.steps)
        n = len(patients)
        owner = np.repeat(np.arange(n), lengths)
        step = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        events = part.starts[owner] + step
        place = owner * self.steps + step
        flat = self.model._flat
        vectors, *asked = encoded(self.model.rows_, part.tokens[events, : len(flat.fields_)], rng)
        rows = np.zeros((n * self.steps, vectors.shape[1]), dtype=np.float32)
        rows[place] = vectors
        scalars, counts, options = (_spread(one, place, n * self.steps) for one in asked)
        alive = np.zeros((n, self.steps), dtype=np.float32)
        alive.reshape(-1)[place] = 1.0
        own = [np.zeros((n, 0), dtype=np.float32)] * 3 + [np.zeros((n, 0), dtype=np.int64)]
        if self.model.static_ is not None:
            own = list(encoded(self.model.static_, part.static, rng))
        as_tensor = torch.from_numpy
        return GridBatch(
            rows=as_tensor(rows.reshape(n, self.steps, -1)),
            alive=as_tensor(alive),
            lengths=as_tensor(lengths),
            static=as_tensor(own[0]),
            scalars=as_tensor(scalars),
            counts=as_tensor(counts),
            options=as_tensor(options),
            static_scalars=as_tensor(own[1]),
            static_counts=as_tensor(own[2]),
            static_options=as_tensor(own[3]),
        )


def _spread(rows: npt.NDArray[Any], place: npt.NDArray[np.int64], n: int) -> npt.NDArray[Any]:
    out = np.zeros((n, rows.shape[1]), dtype=rows.dtype)
    out[place] = rows
    return out


def encoded(vectors: VectorCodec, tokens: Tokens, rng: np.random.Generator) -> tuple[npt.NDArray[Any], ...]:
    """Vectors, and what is asked of a network for them: scalars, whether each counts, and one option a part."""
    rows = vectors.encode(tokens, rng)
    options = np.zeros((len(tokens), len(vectors.parts_)), dtype=np.int64)
    scalars, counts = [], []
    for p, (part, span) in enumerate(zip(vectors.parts_, vectors.spans, strict=True)):
        if not part.is_number:
            options[:, p] = tokens[:, part.index]
            continue
        if part.n_choices:
            options[:, p] = rows[:, span.start + 1 : span.stop].argmax(axis=1)
        scalars.append(rows[:, span.start])
        counts.append((options[:, p] < len(part.mean)).astype(np.float32))
    none = np.empty((len(tokens), 0), dtype=np.float32)
    return rows, np.stack(scalars, axis=1) if scalars else none, np.stack(counts, axis=1) if counts else none, options


def carried(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32], gap: npt.NDArray[np.int64]) -> float:
    """The share r of a distance that is left after each step, by the likelihood of pairs of distances `gap` steps apart.

    Pairs are normal with mean 0, the spread of all of them and the correlation r^gap; the most likely r of a list in [0, 0.998].
    """
    scale = float(np.sqrt((np.square(before).mean() + np.square(after).mean()) / 2)) or 1.0
    a, b = before.astype(float) / scale, after.astype(float) / scale
    likely = []
    for carry in CARRIES:  # one at a time, since there may be a million pairs
        together = carry**gap
        left = 1 - together**2
        likely.append((-0.5 * np.log(left) - (a**2 - 2 * together * a * b + b**2) / (2 * left)).sum())
    return float(CARRIES[int(np.argmax(likely))])


def remembering(noise: npt.NDArray[np.float32], carry: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Standard normal noise (n, steps, n_scalars) in which each step carries a share of the one before on; its spread stays 1."""
    out = noise.copy()
    fresh = np.sqrt(1 - carry**2)
    for step in range(1, noise.shape[1]):
        out[:, step] = carry * out[:, step - 1] + fresh * noise[:, step]
    return out


def drawn(
    vectors: VectorCodec,
    emitted: Callable[[int], Allowed],
    given: Given,
    output: MixedOutput,
    rng: np.random.Generator,
    rows: npt.NDArray[np.int64],
    noise: npt.NDArray[np.float32],
    masks: Mask | None,
) -> Tokens:
    """Tokens int32 (len(rows), n_fields) drawn from what a network gives for these rows of it, under the codec's masks.

    Parameters
    ----------
    noise : float32 (all rows, n_scalars), standard normal, around the scalars.
    emitted, masks : which tokens may be drawn, as `VectorCodec.draw` asks.
    """
    where = torch.from_numpy(rows)
    picked = Given(given.scalars[where], [one[where] for one in given.padded], [one[where] for one in given.large])
    scalars = (picked.scalars + torch.from_numpy(noise)[where] * output.sigma()).numpy()
    uniform = rng.random((len(rows), len(vectors.parts_)), dtype=np.float32)
    return vectors.draw(scalars, output.head.logits(picked).numpy(), uniform, emitted=emitted, allowed=masks)


def drawn_lengths(logits: Tensor, counts: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """A number of steps for each patient, among those that training patients had, int64 (n,)."""
    weights = torch.softmax(logits, 1).numpy().astype(np.float64) * (counts > 0)
    ends = np.cumsum(weights, axis=1)
    return np.minimum((rng.random((len(ends), 1)) * ends[:, -1:] >= ends).sum(axis=1), len(counts) - 1).astype(np.int64)


def _groups(vectors: VectorCodec, codec: TableCodec) -> tuple[Group, ...]:
    """What a head gives for the parts; logits start at the shares of the train rows."""
    return tuple(
        Group(part.n_choices, part.is_number, part.codes, None if part.is_number else log_shares(codec.counts_[part.index]))
        for part in vectors.parts_
    )
