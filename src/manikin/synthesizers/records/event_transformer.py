"""The flagship for linked patients: a plan of the whole record first, then a causal transformer over its events.

Static columns and the plan (how often what will come, at what level, for how long) are drawn by an any-order network, so that any
static columns condition exactly; then events are drawn one by one, each field under the codec's masks. The networks stand in
`training.networks`. Knows nothing of files or metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from manikin.codecs.base import Tokens
from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.held import Held, parted_conditions
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, parameter_error
from manikin.data.seeds import derive, generator
from manikin.synthesizers.base import Arrays, Conditions, Likelihood, State
from manikin.synthesizers.blocks import check_request, in_batches, or_none, patients_of, require_fitted, rows_of
from manikin.synthesizers.records.continued import draws_at_once, joined, with_given
from manikin.synthesizers.records.event_tables import log_next, part_names, table_fields, token_column
from manikin.synthesizers.records.plan import PlanFields, in_hindsight, make_plan, make_slots
from manikin.synthesizers.records.plan_first import PlanFirst
from manikin.synthesizers.records.walk import CodecWalk
from manikin.synthesizers.tables.held_out import hold_out_some
from manikin.training.control import Control
from manikin.training.loop import choose_device, train
from manikin.training.networks.any_order import AnyOrderNet, Shape, TokenColumn
from manikin.training.networks.any_order_sampler import AnyOrderSampler, calibrate
from manikin.training.networks.event_history import History, Plan, Vocabulary
from manikin.training.networks.event_sampler import Drawn, EventSampler
from manikin.training.networks.event_transformer import EventNet, EventShape, TableFields
from manikin.training.networks.event_windows import cut, event_nats
from manikin.training.objectives.any_order import AnyOrderObjective, Recipe
from manikin.training.objectives.event_transformer import EventData, EventObjective, EventRecipe, grouped_windows

NAME = "event_transformer"
CONTINUED = 256  # patients of one stream of randomness while they are continued
FEWEST = 11  # patients of a group of the plan
FEWEST_PATIENTS = 20
FEWEST_STEPS, MOST_EPOCHS = 100, 40  # of the network of static columns and plans, where patients are few
NARROW = (1_000, 16_000)  # patients for whom half the hidden units, and more of them dropped, predict others better
PATIENTS_SHARE = 0.2  # of a time budget, for the network of static columns and plans


@dataclass(kw_only=True)
class EventTransformer:
    """Transformer over patients' events behind a plan. Fields left at None are set from the number of patients and events.

    Parameters
    ----------
    epochs : passes over the events that the plan of training is made of.
    batch_events : events per gradient step. learning_rate : the peak of the schedule. dropout : rate on hidden units.
    width, layers : size of the transformer. window : most events that attention looks back over.
    plan_slots : most frequent codes that the plan counts one by one; 0 plans the length of records and tables alone.
    max_steps : most gradient steps of the transformer, whatever the epochs.

    Notes
    -----
    No record is longer than `longest_`, the length of the eleventh longest in training and a quarter more; none is empty
    unless those of eleven patients were, or nothing that may come is left.
    """

    epochs: int | None = None
    batch_events: int | None = None
    learning_rate: float | None = None
    dropout: float | None = None
    width: int | None = None
    layers: int | None = None
    window: int | None = None
    plan_slots: int | None = None
    max_steps: int | None = None
    codec_: RecordsCodec = field(init=False, repr=False, compare=False)
    plan_: PlanFields = field(init=False, repr=False, compare=False)
    patients_: AnyOrderNet = field(init=False, repr=False, compare=False)
    events_: EventNet = field(init=False, repr=False, compare=False)
    window_: tuple[int, int] = field(init=False, repr=False, compare=False)
    longest_: int = field(init=False, repr=False, compare=False)
    least_: int = field(init=False, repr=False, compare=False)
    training_: dict[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    _samplers: tuple[AnyOrderSampler, EventSampler] | None = field(init=False, repr=False, compare=False, default=None)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> EventTransformer:
        """Learns linked patients; under a ledger as `private_events` says.

        Raises
        ------
        BudgetError : the ledger does not allow it, or the tables are such as cannot be learned under one.
        FitError : one flat table, or too few patients.
        """
        self._check()
        if not data.is_linked:
            raise FitError(f"The synthesizer {NAME!r} learns linked patients, not one flat table. Use 'autoregressive', or give it a form.")
        control = (control or Control()).at_most(self.max_steps)
        if ledger is not None:
            from manikin.synthesizers.records.private_events import learn

            return learn(self, data, seed=seed, ledger=ledger, control=control)
        if len(data) < FEWEST_PATIENTS:
            raise FitError(f"{len(data)} patients are too few for {NAME!r} to learn from. Bring at least {FEWEST_PATIENTS}.")
        self.codec_ = RecordsCodec(**self._codec_sizes(len(data)))
        return self.learn_records(self.codec_.fit_encode(data), seed=seed, control=control)

    def learn_records(self, records: Records, *, seed: int, control: Control, shape: EventShape | None = None) -> EventTransformer:
        """Learns encoded patients with the codec that the model has; `shape` is set by their number where there is none."""
        tables = table_fields(self.codec_.layout, records, self._by())
        vocabulary = Vocabulary.of(tables)
        history = History.of(vocabulary, records.starts, records.table, records.tokens, records.times)
        static = [token_column(f, records.static[:, j]) for j, f in enumerate(self.codec_.layout.static.fields)]
        slots = make_slots(tables, history, n_static=len(static), most=self._most_slots(len(records)), fewest=2 * FEWEST)
        numbers = in_hindsight(slots, history, vocabulary)
        self.plan_ = make_plan(slots, numbers, fewest=FEWEST)
        planned = self.plan_.tokens(numbers)
        columns = static + self.plan_.columns(planned)
        whole = torch.from_numpy(np.concatenate([records.static, planned], 1).astype(np.int64))
        inside, outside = hold_out_some(len(records), seed)
        self._fit_patients(columns, whole, inside, outside, seed, control)
        self._fit_events(columns, tables, history, vocabulary, whole, planned, (inside, outside), seed, control, shape)
        self.longest_, self.least_ = _longest(records.lengths), int((records.lengths == 0).sum() < FEWEST)
        self._samplers = None
        return self

    def _check(self) -> None:
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise parameter_error("dropout", "EventTransformer", "a number in [0, 1)", self.dropout)
        for name, least in (
            *((name, 1) for name in ("epochs", "batch_events", "width", "layers", "max_steps")),
            ("window", 16),
            ("plan_slots", 0),
        ):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise parameter_error(name, "EventTransformer", f"an int in [{least}, inf)", value)

    def _codec_sizes(self, n_patients: int) -> dict[str, int]:
        return {"max_tokens": int(np.clip(n_patients / 10, 12, 64)), "max_ranks": int(np.clip(n_patients / 10, 10, 50))}

    def _by(self) -> dict[str, dict[str, str]]:
        """Per table, the code column of each number that is measured by one."""
        schema = self.codec_.schema_
        return {t.name: {c.name: c.by for c in t if c.by is not None} for t in schema.tables}

    def _most_slots(self, n_patients: int) -> int:
        return min(64, n_patients // 40) if self.plan_slots is None else self.plan_slots

    def _fit_patients(
        self,
        columns: list[TokenColumn],
        whole: torch.Tensor,
        inside: npt.NDArray[np.int64],
        outside: npt.NDArray[np.int64],
        seed: int,
        control: Control,
    ) -> None:
        """Learns plans, and static columns given them, as the flat network of the same name does."""
        n, small = len(inside), _smallness(len(inside))
        is_narrow = NARROW[0] <= n < NARROW[1]
        shape = Shape(dropout=min(0.5, 0.25 + 0.15 * small), dropout_small=1.0 if is_narrow else 0.4, blocks=1)
        fields, n_plan = PlanFirst(len(columns) - self.plan_.n, len(columns)), self.plan_.n
        narrow = [replace(columns[j], width=columns[j].width // (2 if is_narrow else 1)) for j in fields.order]
        whole = whole[:, torch.from_numpy(fields.order)]
        batch = int(2 ** np.clip(round(math.log2(max(n, 2) / 45)), 5, 9))
        epochs = int(np.clip(round(5 * (16_000 / max(n, 1)) ** 0.35), 2, 20))
        epochs = max(epochs, min(MOST_EPOCHS, round(FEWEST_STEPS * batch / max(n, 1))))
        recipe = Recipe(
            batch_size=batch,
            n_masks=2,
            epochs=epochs,
            epochs_per_validation=max(1, epochs // 8),
            learning_rate=4e-3,
            weight_decay=0.3 + 2.0 * small,
            causal_share=0.6,
            given=tuple(range(n_plan, len(columns))),
        )
        device = choose_device(control.device)
        network = AnyOrderNet(narrow, shape, generator=torch.Generator().manual_seed(derive(seed, "patients"))).to(device)
        objective = AnyOrderObjective([network], whole[inside].to(device), whole[outside].to(device), recipe)
        checkpoint = None if control.checkpoint is None else control.checkpoint.with_name(control.checkpoint.name + ".patients")
        budget = None if control.time_budget_seconds is None else PATIENTS_SHARE * control.time_budget_seconds
        own = replace(control, planned_steps=None, stop_at=None, checkpoint=checkpoint, time_budget_seconds=budget)
        training = train(objective, seed=derive(seed, "patients"), control=own)
        self.patients_ = objective.averages[0].cpu().eval()  # type: ignore[assignment]
        shares = [np.bincount(own, minlength=c.n_tokens) / len(own) for own, c in zip(whole.numpy().T, narrow, strict=True)]
        n_rows = int(np.clip(8 * len(whole), 1024, 8192))
        calibrate(self.patients_, shares, self._emitted(), generator(seed, "shares"), n_rows=n_rows)
        self.training_ = {"patients": {"planned_steps": training.planned_steps, "steps": training.steps}}

    def _fit_events(
        self,
        columns: list[TokenColumn],
        tables: list[TableFields],
        history: History,
        vocabulary: Vocabulary,
        whole: torch.Tensor,
        planned: Tokens,
        sides: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
        seed: int,
        control: Control,
        shape: EventShape | None,
    ) -> None:
        n_events = int(history.lengths[sides[0]].sum())
        recipe = self._recipe(n_events, len(sides[0]))
        network = EventNet(
            columns,
            tables,
            self.plan_.slots,
            log_next(history.table, len(history.lengths), len(tables)),
            shape or self._shape(len(sides[0])),
            generator=torch.Generator().manual_seed(derive(seed, "events")),
        )
        device = choose_device(control.device)

        def plan(rng: np.random.Generator) -> Plan:
            """Every patient's plan, drawn within its groups."""
            return self.plan_.draw(planned, rng.random((len(planned), 2 + self.plan_.slots.n)))

        data = EventData(history, vocabulary, whole, plan)
        objective = EventObjective(network.to(device), data, *sides, recipe)
        if control.time_budget_seconds is not None:
            control = replace(control, time_budget_seconds=(1 - PATIENTS_SHARE) * control.time_budget_seconds)
        training = train(objective, seed=seed, control=control)
        training.device = device.type
        self.training_ = training.to_json() | self.training_
        self.events_ = objective.average.cpu().eval()
        self.window_ = (recipe.window, recipe.overlap)

    def _shape(self, n_patients: int) -> EventShape:
        """Strong dropout and one layer for few patients, so that nobody is learned by heart."""
        small = float(np.clip(math.log10(3000 / max(n_patients, 1)), 0, 1.5))
        width = self.width or (128 if n_patients >= 1000 else 64)
        return EventShape(
            width=width,
            layers=self.layers or (2 if n_patients >= 500 else 1),
            heads=max(1, width // 32),
            row_width=64 if width >= 96 else 32,
            dropout=min(0.4, 0.3 * small) if self.dropout is None else self.dropout,
        )

    def _recipe(self, n_events: int, n_patients: int) -> EventRecipe:
        """Smaller steps and more passes for fewer events."""
        batch = self.batch_events or int(2 ** np.clip(round(math.log2(max(n_events, 2) / 400)), 9, 11))
        window = self.window or 512
        return EventRecipe(
            batch_events=batch,
            epochs=self.epochs or int(np.clip(round(4 * (1_250_000 / max(n_events, 1)) ** 0.5), 1, 30)),
            window=window,
            overlap=window // 4,
            learning_rate=5e-3 if self.learning_rate is None else self.learning_rate,
            weight_decay=_decay(n_events, n_patients),
        )

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` synthetic patients; conditions on static columns are kept exactly, and everything else is drawn given them."""
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 4096
    ) -> Iterator[Dataset]:
        """The patients of `sample` in pieces of `batch_size` (the last may be shorter), in memory that does not grow with n."""
        require_fitted(self, "events_")
        check_request("EventTransformer", n, batch_size, conditions)
        wished = or_none(conditions)

        def draw(_block: int, start: int, stop: int) -> Dataset:
            """The patients of one block."""
            return self._patients(start, stop, seed, rows_of(wished, start, stop))

        return in_batches(draw, int(n), batch_size=int(batch_size), block=patients_of(max(self.longest_, self.events_.n_keys)))

    def _patients(self, start: int, stop: int, seed: int, conditions: Conditions | None) -> Dataset:
        """One block; its randomness depends on its place in the whole alone."""
        n = stop - start
        tokens, given = self._given(conditions, n)
        patients, events = self._made_samplers()
        rng = generator(seed, "patients", start)
        drawn = self._fields.sample(patients, rng.random((n, self.patients_.n_columns), dtype=np.float32), tokens, given)
        n_static = self.plan_.slots.n_static
        plan = self.plan_.draw(drawn[:, n_static:], rng.random((n, 2 + self.plan_.slots.n)))
        walk = CodecWalk(self.codec_, drawn[:, :n_static])
        made = events.sample(drawn.astype(np.int64), plan, walk, generator(seed, "events", start), most=self.longest_, least=self.least_)
        records = _records(drawn[:, :n_static], made)
        return self.codec_.decode(records, generator(seed, "decode", start), first_key=start + 1, conditions=conditions)

    def _given(self, conditions: Conditions | None, n: int) -> tuple[Tokens, npt.NDArray[np.bool_]]:
        """Tokens of static and planned fields with those given, and which are."""
        tokens = np.zeros((n, self.patients_.n_columns), dtype=np.int32)
        given = np.zeros(self.patients_.n_columns, dtype=bool)
        if conditions is None:
            return tokens, given
        own, which = self.codec_.encode_conditions(conditions, n)
        tokens[:, : own.shape[1]], given[: len(which)] = own, which
        return tokens, given

    def _emitted(self) -> list[npt.NDArray[np.bool_]]:
        """Which tokens of each column of the network of patients may be drawn."""
        of_plan = [np.ones(column.n_tokens, dtype=bool) for column in self.patients_.columns[: self.plan_.n]]
        return of_plan + [self.codec_.emitted(-1, j) for j in range(self.plan_.slots.n_static)]

    @property
    def _fields(self) -> PlanFirst:
        return PlanFirst(self.plan_.slots.n_static, self.patients_.n_columns)

    def _made_samplers(self) -> tuple[AnyOrderSampler, EventSampler]:
        if self._samplers is None:
            layout = self.codec_.layout
            rules = self.codec_.masks().static_field if layout.static.fields else None
            of_events = [[self.codec_.emitted(t, f) for f in range(len(table.layout.fields))] for t, table in enumerate(layout.tables)]
            vocabulary = Vocabulary.of(self.events_.tables)
            window, overlap = self.window_
            self._samplers = (
                AnyOrderSampler([self.patients_], self._emitted(), self._fields.within(rules)),
                EventSampler(self.events_, vocabulary, of_events, window=window, overlap=overlap),
            )
        return self._samplers

    @torch.no_grad()
    def log_likelihood(self, data: Dataset) -> Likelihood:
        """How likely patients are: their static columns, then each event given all before it, then the end. No plan is told."""
        require_fitted(self, "events_")
        records, order = self.codec_.encode(data), self.codec_.rows_in_order(data)
        vocabulary = Vocabulary.of(self.events_.tables)
        history = History.of(vocabulary, records.starts, records.table, records.tokens, records.times)
        window, overlap = self.window_
        windows = cut(history.starts, np.arange(len(records)), window=window, overlap=overlap)
        static = np.zeros((len(records), self.patients_.n_columns), dtype=np.int64)
        static[:, : records.static.shape[1]] = records.static
        kinds, ends = np.zeros(records.n_events), np.zeros(len(records))
        width = records.tokens.shape[1]
        fields = np.zeros((records.n_events, width))
        for rows in grouped_windows(windows, 4096):
            part, untold = windows[rows], np.zeros(len(rows), dtype=bool)
            found = event_nats(self.events_, vocabulary, history, torch.from_numpy(static), None, part, untold)
            kind, is_end = -found.kind.double().numpy(), found.event < 0
            kinds[found.event[~is_end]], ends[part.patient[found.window[is_end]]] = kind[~is_end], kind[is_end]
            for which, nats in found.fields.values():
                fields[found.event[which], : nats.shape[1]] = -nats.double().numpy()
        parts, events = {}, {}
        for t, own in enumerate(self.codec_.events_):
            mine = np.flatnonzero(records.table == t)
            names = part_names(own)
            parts[own.plan.name] = ("kind", *names)
            out = np.zeros((len(data.tables[own.plan.name]), 1 + len(names)))
            out[order[own.plan.name], 0] = kinds[mine]
            out[order[own.plan.name], 1:] = fields[mine, : len(names)]
            events[own.plan.name] = out
        return Likelihood(self._static_nats(static), ends, parts, events)

    def _static_nats(self, static: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Nats of the static fields in their own order, float64 (n_patients,)."""
        network, n_static = self.patients_, self.plan_.slots.n_static
        if not len(static) or not n_static:
            return np.zeros(len(static))
        nats = network.nll(torch.from_numpy(static[:, self._fields.order]), self._fields.of_static()[None])
        columns = np.concatenate([np.array(group) for group in network.groups])
        return -nats[torch.from_numpy(np.flatnonzero(columns >= self.plan_.n))].sum(0).double().numpy()

    def continue_(
        self,
        data: Dataset,
        *,
        until: float | npt.NDArray[np.float64],
        draws: int,
        seed: int,
        set: Mapping[str, Any] | None = None,  # noqa: A002 (the command's own word)
    ) -> Iterator[Dataset]:
        """Given patients continued from their last event on, `draws` times.

        Parameters
        ----------
        data : patients with all of their events so far; static columns that it lacks are drawn.
        until : days since each patient's first event after which nothing is drawn, one number or float64 (n_patients,).
        set : static columns that hold another value ("what if"), changed before the record is read; columns of levels of rows, in new rows.

        Yields
        ------
        One data set per draw, of the same patients in the same order: her events so far with the values they had (keys made anew), then
        the drawn ones.

        Raises
        ------
        ParameterError : `draws` is no whole number from 1 up, or `set` names what cannot be held.
        """
        require_fitted(self, "events_")
        if not isinstance(draws, int) or draws < 1:
            raise parameter_error("draws", "EventTransformer.continue_", "an int in [1, inf)", draws)
        records, known = self.codec_.encode_partial(data)
        n = len(records)
        tokens, given = self._given(None, n)
        tokens[:, : len(known)], given[: len(known)] = records.static, known
        static, held = parted_conditions(self.codec_, set or {})
        if static:
            own, which = self.codec_.encode_conditions(static, n)
            tokens[:, : len(which)][:, which], given[: len(which)] = own[:, which], given[: len(which)] | which
        limits = np.broadcast_to(np.asarray(until, dtype=float), n).copy()
        has_any = records.lengths > 0
        limits[has_any] += records.times[records.starts[:-1][has_any]]  # from the anchor
        order, whole = self.codec_.rows_in_order(data), self.codec_.known_patients(data)
        together = draws_at_once(records, self.longest_)
        for first in range(0, draws, together):
            n_here = min(together, draws - first)
            rows = np.tile(np.arange(n), n_here)
            made = self._continued(records.subset(rows), tokens[rows], given, limits[rows], held, derive(seed, "continue", first))
            for m in range(n_here):
                piece, rng = made.subset(np.arange(m * n, (m + 1) * n)), generator(seed, "continued", first + m)
                decoded = self.codec_.decode(piece, rng, known=whole, conditions=static or None, held=held)
                yield with_given(decoded, data, order, self.codec_, changed=static)

    def _continued(
        self, records: Records, tokens: Tokens, given: npt.NDArray[np.bool_], limits: npt.NDArray[np.float64], held: Held, seed: int
    ) -> Records:
        """Every patient once; those with equally many events in the window are drawn together."""
        patients, events = self._made_samplers()
        rng, n_static = generator(seed, "patients"), self.plan_.slots.n_static
        static = self._fields.sample(patients, rng.random(tokens.shape, dtype=np.float32), tokens, given)
        parts, order = [], []
        seen = np.minimum(records.lengths, events.overlap)
        for length in np.unique(seen):
            alike = np.flatnonzero(seen == length)
            for at in range(0, len(alike), CONTINUED):
                rows = alike[at : at + CONTINUED]
                before = records.subset(rows)
                before = Records(static[rows, :n_static], before.starts, before.table, before.tokens, before.times)
                drawn = Drawn.of(before.starts, before.table, before.tokens, before.times)
                walk = CodecWalk(self.codec_, before.static, before, held)
                own = generator(seed, "events", int(rows[0]))
                made = events.sample(
                    static[rows].astype(np.int64), None, walk, own, most=self.longest_, given=drawn, until=limits[rows]
                )
                parts.append(_records(before.static, made))
                order.append(rows)
        if not parts:
            return records
        return joined(parts).subset(np.argsort(np.concatenate(order)))

    def state(self) -> State:
        """Codec, plan and averaged weights."""
        values, arrays = self.codec_.state()
        plan, plan_arrays = self.plan_.state()
        saved: Arrays = {f"codec.{name}": array for name, array in arrays.items()}
        saved |= {f"plan.{name}": array for name, array in plan_arrays.items()}
        saved |= {f"patients.{name}": tensor.numpy() for name, tensor in self.patients_.state_dict().items()}
        saved |= {f"events.{name}": tensor.numpy() for name, tensor in self.events_.state_dict().items()}
        own = {
            "codec": values,
            "plan": plan,
            "training": self.training_,
            "shape": {"patients": asdict(self.patients_.shape), "events": asdict(self.events_.shape)},
            "widths": [self.patients_.columns[j].width for j in self._fields.place],
            "tables": [{"key": t.key, "value": t.value, "widths": [c.width for c in t.fields]} for t in self.events_.tables],
            "window": list(self.window_),
            "lengths": [self.least_, self.longest_],
        }
        return own, saved

    def restore(self, values: dict[str, Any], arrays: Arrays) -> EventTransformer:
        """Takes fitted state back.

        Raises
        ------
        ModelFolderError : the values and the arrays do not fit each other.
        """
        from manikin.synthesizers.records.saved_events import restored

        parts: dict[str, Arrays] = {"codec": {}, "plan": {}, "patients": {}, "events": {}}
        for name, array in arrays.items():
            part, own = name.split(".", 1)
            parts[part][own] = array
        self.codec_ = RecordsCodec.from_state(values["codec"], parts["codec"])
        self.plan_, self.patients_, self.events_ = restored(values, parts, self.codec_.layout)
        self.window_ = (int(values["window"][0]), int(values["window"][1]))
        self.least_, self.longest_ = (int(length) for length in values["lengths"])
        self.training_, self._samplers = values["training"], None
        return self


def _records(static: Tokens, made: Drawn) -> Records:
    starts, table, tokens, days = made.flat(np.arange(len(static)))
    return Records(static, starts, table, tokens, days)


def _longest(lengths: npt.NDArray[np.int64]) -> int:
    """Most events of a record: those of the eleventh longest in training and a quarter more."""
    return math.ceil(1.25 * float(np.sort(lengths)[-min(FEWEST, len(lengths))])) + 8


def _decay(n_events: int, n_patients: int) -> float:
    """Weight decay: so strong for few events that fields fall back to how frequent their tokens are, as far as nothing else is sure."""
    usual = 0.05 if n_patients >= 1000 else 0.3
    return float(10 ** np.interp(math.log10(max(n_events, 1)), np.log10([2_000, 20_000]), np.log10([10, usual])))


def _smallness(n_rows: int) -> float:
    """0 from 16,000 patients on, 1 at 1,600, about 1.4 at 600."""
    return math.log10(max(1.0, 16_000 / max(n_rows, 1)))
