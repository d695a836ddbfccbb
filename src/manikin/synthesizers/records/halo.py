"""HALO: a causal transformer over visits and masked layers over the codes within one (Theodorou et al. 2023, arXiv 2304.02169).

Written from the paper. Static fields stand first, as the paper's labels do; whether the record goes on is the first thing that a visit
says; numbers are tokens of the codec, as the paper cuts laboratory values and times into ranges. The network stands in
`training.networks.visits`, what becomes of tables in `visits`, drawing in `visit_draws`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from manikin.codecs.base import Tokens
from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, ParameterError, parameter_error
from manikin.data.seeds import derive, generator
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import check_request, in_batches, or_none, parted, require_fitted, rows_of
from manikin.synthesizers.records.chances import Chances
from manikin.synthesizers.records.visit_draws import VisitSampler
from manikin.synthesizers.records.visits import MOST_REPEATS, VisitPlan, VisitRows, count_rows, encoded, make_plan
from manikin.synthesizers.tables.held_out import hold_out_some
from manikin.synthesizers.tables.one_shot import check_numbers, weights_refusal, with_weights
from manikin.training.control import Control
from manikin.training.loop import choose_device, train
from manikin.training.networks.visits import VisitNet, VisitShape, log_odds, log_shares
from manikin.training.objectives.visits import VisitData, VisitObjective, VisitRecipe

Ints = npt.NDArray[np.int64]
NAME = "halo"
BLOCK = 256  # patients that share one stream of randomness
FEWEST = 11  # patients that reach the longest record, or that have no visit where records may be empty
FEWEST_PATIENTS = 20
MOST_VISITS = 512
MOST_DIRECT = 2_048  # parts of a visit that speak to each other past the hidden units
POOL, MOST_POOLS = 4_096, 64  # static fields that are drawn at once until those that were asked for are among them


@dataclass(kw_only=True)
class Halo:
    """Two-level model of visits with codes. Fields left at None are set from the numbers of patients and visits.

    Parameters
    ----------
    epochs : passes over the visits that the plan is made of.
    batch_visits : visits per gradient step. learning_rate : the peak of the schedule. dropout : rate on hidden units.
    width, layers : of the transformer over visits. hidden : units of the masked layers within a visit.
    levels : of a number that is measured by a code; each is a code of its own.
    patience : looks at held-out patients without a better likelihood before the run stops; None goes on.
    max_steps : most gradient steps.

    Notes
    -----
    No record has more visits than `longest_`, the number of the eleventh longest in training and a quarter more.
    """

    epochs: int | None = None
    batch_visits: int | None = None
    learning_rate: float = 6e-3
    dropout: float | None = None
    width: int | None = None
    layers: int = 2
    hidden: int = 128
    levels: int = 5
    patience: int | None = 5
    max_steps: int | None = None
    codec_: RecordsCodec = field(init=False, repr=False, compare=False)
    plan_: VisitPlan = field(init=False, repr=False, compare=False)
    rows_: VisitRows = field(init=False, repr=False, compare=False)
    network_: VisitNet = field(init=False, repr=False, compare=False)
    longest_: int = field(init=False, repr=False, compare=False)
    least_: int = field(init=False, repr=False, compare=False)
    training_: dict[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    _sampler: VisitSampler | None = field(init=False, repr=False, compare=False, default=None)

    def _check(self) -> None:
        whole = ("epochs", "batch_visits", "width", "layers", "hidden", "levels", "patience", "max_steps")
        check_numbers(self, NAME, whole=whole, positive=("learning_rate",))
        for key, most in (("width", 1024), ("layers", 24), ("hidden", 4096), ("levels", 32)):
            if (getattr(self, key) or 1) > most:
                raise parameter_error(key, NAME, f"an int in [1, {most}]", getattr(self, key))
        if self.width is not None and self.width % 32:
            raise parameter_error("width", NAME, "a multiple of 32", self.width)
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise parameter_error("dropout", NAME, "a number in [0, 1)", self.dropout)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> Self:
        """Learns linked patients whose tables are visits with codes; under a ledger as `private_visits` says.

        Raises
        ------
        BudgetError : the ledger does not allow it, or the tables are such as cannot be learned under one.
        FitError : too few patients, records too long, or tables that are no visits; the table is named.
        """
        self._check()
        if not data.is_linked:
            raise FitError(f"The synthesizer {NAME!r} learns linked patients, not one flat table. Give the table a form.")
        control = (control or Control()).at_most(self.max_steps)
        if ledger is not None:
            from manikin.synthesizers.records.private_visits import learn

            learn(self, data, seed=seed, ledger=ledger, control=control)
            return self
        if len(data) < FEWEST_PATIENTS:
            raise FitError(f"{len(data)} patients are too few for {NAME!r} to learn from. Bring at least {FEWEST_PATIENTS}.")
        self.codec_ = RecordsCodec(max_tokens=int(np.clip(len(data) / 20, 8, 32)), max_ranks=20)
        return self.learn_records(self.codec_.fit_encode(data), seed=seed, control=control)

    def learn_records(self, records: Records, *, seed: int, control: Control, is_bought: bool = False) -> Self:
        """Learns encoded patients with the codec that the model has, which may be a bought one."""
        self.plan_ = make_plan(self.codec_, records, NAME, self.levels, is_bought=is_bought)
        visits = encoded(self.plan_, self.codec_, records)
        self._measure(visits.lengths)
        self.rows_ = count_rows(self.plan_, self.codec_, records)
        inside, outside = hold_out_some(len(records), seed)
        device = choose_device(control.device)
        with torch.random.fork_rng():
            torch.manual_seed(derive(seed, "weights"))
            network = VisitNet(self._shape(len(records)), *self._starts(visits))
            objective = VisitObjective(network, visits, inside, outside, self._recipe(visits, len(inside)), device)
        training = train(objective, seed=seed, control=control)
        training.device = device.type
        self.training_ = training.to_json()
        self.network_ = objective.average.cpu().eval()
        self._sampler = None
        return self

    def _measure(self, lengths: Ints) -> None:
        """The bounds of lengths.

        Raises
        ------
        FitError : records are too long.
        """
        most = int(lengths.max(initial=0))
        if most > MOST_VISITS:
            table = self.codec_.layout.tables[self.plan_.table].name
            raise FitError(
                f"Table {table!r} has a patient with {most:,} visits; the synthesizer {NAME!r} learns up to {MOST_VISITS:,}. "
                "Use 'event_transformer', a coarser clock, or shorter records."
            )
        long = float(np.sort(lengths)[-min(FEWEST, len(lengths))])
        self.longest_, self.least_ = min(math.ceil(1.25 * long) + 1, MOST_VISITS), int((lengths == 0).sum() < FEWEST)

    def _shape(self, n_patients: int) -> VisitShape:
        """Strong dropout for few patients, so that nobody is learned by heart."""
        small = float(np.clip(math.log10(50_000 / max(n_patients, 1)), 0, 1))
        width = self.width or (128 if n_patients >= 3000 else 64)
        sizes = self.plan_.sizes(self.codec_)
        return VisitShape(
            static=tuple(self.codec_.layout.static.sizes),
            fields=sizes,
            n_codes=self.plan_.n_codes,
            longest=MOST_VISITS,
            width=width,
            layers=self.layers,
            heads=width // 32,
            hidden=self.hidden,
            is_direct=sum(sizes) + self.plan_.n_codes <= MOST_DIRECT,
            dropout=0.1 + 0.3 * small if self.dropout is None else self.dropout,
        )

    def _starts(self, visits: VisitData) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Where logits start: shares of the tokens of each field, odds of each code."""
        sizes = self.codec_.layout.static.sizes
        static = [log_shares(np.bincount(visits.static[:, j], minlength=size)) for j, size in enumerate(sizes)]
        n_visits, offsets = len(visits.edges) - 1, np.cumsum([0, *self.plan_.sizes(self.codec_)])
        counts = np.bincount(visits.parts, minlength=offsets[-1] + self.plan_.n_codes)
        counts[1] = len(visits.static)  # every record ends once
        own = [log_shares(counts[at:stop]) for at, stop in pairwise(offsets)]
        own.append(log_odds(counts[offsets[-1] :], n_visits))
        return np.concatenate([np.zeros(0, np.float32), *static]), np.concatenate(own)

    def _recipe(self, visits: VisitData, n_inside: int) -> VisitRecipe:
        """Smaller steps and more passes for fewer visits."""
        n = max(len(visits.edges) - 1 + n_inside, 1)
        return VisitRecipe(
            batch_visits=self.batch_visits or int(2 ** np.clip(round(math.log2(n / 40)), 4, 9)),
            epochs=self.epochs or int(np.clip(round(12 * (20_000 / n) ** 0.5), 6, 100)),
            learning_rate=self.learning_rate,
            weight_decay=0.1 if n_inside >= 2000 else 0.5,
            patience=self.patience,
        )

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` synthetic patients; conditions on static columns are kept exactly, and the visits are drawn given them.

        Raises
        ------
        ParameterError : a condition on a column of rows, or one that hardly a patient would meet.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 4096
    ) -> Iterator[Dataset]:
        """The patients of `sample` in pieces, in memory that does not grow with n."""
        require_fitted(self, "network_")
        check_request(NAME, n, batch_size, conditions)
        wished = or_none(conditions)
        if self._sampler is None:
            self._sampler = VisitSampler(
                self.network_, self.codec_, self.plan_, self.rows_, longest=self.longest_, least=self.least_
            )
        sampler = self._sampler

        def draw(number: int, start: int, stop: int) -> Dataset:
            """The patients of one block, from its own stream of randomness."""
            rng, mine = generator(seed, NAME, number), rows_of(wished, start, stop)
            static = sampler.statics(stop - start, rng) if mine is None else self._given(sampler, mine, stop - start, rng)
            records: Records = sampler.draw(static, rng)
            return self.codec_.decode(records, generator(seed, "decode", number), first_key=start + 1, conditions=mine)

        return in_batches(draw, int(n), batch_size=int(batch_size), block=BLOCK)

    def _given(self, sampler: VisitSampler, conditions: Conditions, n: int, rng: np.random.Generator) -> Tokens:
        """Static fields that hold what was asked: whole draws of them, until each patient's is among them."""
        tokens, given = self.codec_.encode_conditions(conditions, n)
        out, left = np.zeros((n, len(given)), dtype=np.int32), np.arange(n)
        for _ in range(MOST_POOLS):
            if not len(left):
                return out
            pool = sampler.statics(POOL, rng)
            asked, which = np.unique(tokens[left][:, given], axis=0, return_inverse=True)
            found = np.zeros(len(left), dtype=bool)
            for k, one in enumerate(asked):
                rows, fits = np.flatnonzero(which.reshape(-1) == k), np.flatnonzero((pool[:, given] == one).all(axis=1))
                taken = rows[: len(fits)]
                out[left[taken]], found[taken] = pool[fits[: len(taken)]], True
            left = left[~found]
        if not len(left):
            return out
        raise ParameterError(
            f"The conditions are met by fewer than one in {MOST_POOLS * POOL // max(n, 1):,} patients that {NAME!r} draws. "
            "Ask for a more common combination, or use 'event_transformer'."
        )

    # saving

    def state(self) -> State:
        """The codec, the plan of visits, counts and averaged weights."""
        require_fitted(self, "network_")
        values, arrays = self.codec_.state()
        saved: Arrays = {f"codec.{name}": array for name, array in arrays.items()}
        plan, own = self.plan_.state()
        saved |= {f"plan.{name}": array for name, array in own.items()}
        saved |= {f"rows.{name}": getattr(self.rows_, name) for name in ("repeats", "place", "spread")}
        for t, table in enumerate(self.rows_.beside):
            for j, chances in table.items():
                saved |= {f"beside.{t}.{j}/{name}": array for name, array in chances.state().items()}
        saved |= {f"network.{name}": tensor.numpy() for name, tensor in self.network_.state_dict().items()}
        shape = asdict(self.network_.shape)
        own_values = {"longest": self.longest_, "least": self.least_, "shape": shape, "training": self.training_}
        return {"codec": values, "plan": plan} | own_values, saved

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back; a network is built only when every array that it asks for is there and of its shape.

        Raises
        ------
        ModelFolderError : the values and the arrays do not fit each other.
        """
        parts = parted(arrays, "codec", "plan", "rows", "beside", "network")
        self._check()
        self.codec_ = RecordsCodec.from_state(values["codec"], parts["codec"])
        self.plan_ = VisitPlan.from_state(values["plan"], parts["plan"], self.codec_)
        self.rows_ = self._restored_rows(parts["rows"], parts["beside"])
        self.longest_, self.least_ = values["longest"], values["least"]
        if any(type(one) is not int for one in (self.longest_, self.least_)) or not 0 <= self.least_ <= self.longest_ <= MOST_VISITS:
            raise weights_refusal("the lengths of its records are out of bounds")
        shape = self._restored_shape(values["shape"])
        starts = np.zeros(sum(shape.static), np.float32), np.zeros(shape.n_parts, np.float32)
        self.network_ = with_weights(lambda: VisitNet(shape, *starts), parts["network"])
        self.training_, self._sampler = values["training"], None
        return self

    def _restored_rows(self, arrays: Arrays, beside: Arrays) -> VisitRows:
        n, own = self.plan_.n_codes, [arrays.get(name) for name in ("repeats", "place", "spread")]
        if any(one is None or one.shape != (n,) or one.dtype != np.float64 or not np.isfinite(one).all() for one in own):
            raise weights_refusal("the counts of its rows do not fit its codes")
        repeats, place, spread = (np.asarray(one, dtype=np.float64) for one in own)
        if ((repeats < 0) | (repeats > MOST_REPEATS)).any() or (spread < 0).any():
            raise weights_refusal("the counts of its rows are out of bounds")
        tables: list[dict[int, Chances]] = []
        for t, table in enumerate(self.codec_.layout.tables):
            tables.append({})
            held = {self.plan_.key[t], self.plan_.value[t], self.plan_.link[t], 0}
            for j, size in enumerate(table.layout.sizes) if self.plan_.key[t] >= 0 else ():
                if j not in held:
                    mine = {name.removeprefix(f"{t}.{j}/"): one for name, one in beside.items() if name.startswith(f"{t}.{j}/")}
                    tables[-1][j] = Chances.from_state(mine, size)
        return VisitRows(repeats, place, spread, tuple(tables))

    def _restored_shape(self, values: Any) -> VisitShape:
        """The size as saved: of the codec's fields, and within the bounds of the hyperparameters."""
        names = {f.name for f in fields(VisitShape)}
        if not isinstance(values, dict) or set(values) != names:
            raise weights_refusal("'shape' does not have the parts that it must have")
        whole = ("width", "layers", "heads", "hidden")
        if any(type(values[name]) is not int or not 1 <= values[name] <= 4096 for name in whole) or values["layers"] > 24:
            raise weights_refusal("'shape' is not within its bounds")
        if values["width"] % (2 * values["heads"]) or type(values["dropout"]) not in (int, float) or not 0 <= values["dropout"] < 1:
            raise weights_refusal("'shape' contradicts itself")
        sizes, static = self.plan_.sizes(self.codec_), tuple(self.codec_.layout.static.sizes)
        fits = (tuple(values["fields"]), tuple(values["static"]), values["n_codes"]) == (sizes, static, self.plan_.n_codes)
        if not fits or values["longest"] != MOST_VISITS or values["is_direct"] is not (sum(sizes) + self.plan_.n_codes <= MOST_DIRECT):
            raise weights_refusal("'shape' is not of the codec's fields")
        return VisitShape(**(values | {"fields": sizes, "static": static}))
