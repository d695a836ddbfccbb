"""An any-order autoregressive network over the columns of a table (after TabularARGN, arXiv 2501.12012).

Conditions on any subset of columns exactly and without rejection: conditional sampling, imputation and partially synthetic records come
from one model. Where it departs from the paper stands in `training.networks.any_order`. Knows nothing of files or metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from manikin.codecs.base import Tokens
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, Table, concat
from manikin.data.errors import BudgetError, parameter_error
from manikin.data.seeds import derive, generator
from manikin.synthesizers.base import Arrays, Conditions, State
from manikin.synthesizers.blocks import check_request, in_batches, or_none, require_fitted, rows_of
from manikin.synthesizers.tables.autoregressive_private import learn
from manikin.synthesizers.tables.held_out import hold_out
from manikin.synthesizers.tables.saved_network import checked_networks, checked_shape, checked_widths
from manikin.training.control import Control
from manikin.training.loop import choose_device, train
from manikin.training.networks.any_order import AnyOrderNet, Shape, TokenColumn, hidden_width
from manikin.training.networks.any_order_sampler import AnyOrderSampler
from manikin.training.objectives.any_order import AnyOrderObjective, Recipe, log_marginals

BLOCK = 8192  # rows that share one stream of randomness; bytes do not depend on how many are asked for at once
CHUNK = 1024  # rows the network draws at a time, small enough to stay in a core's cache
NOT_APPLICABLE = "not applicable"


@dataclass(kw_only=True)
class Autoregressive:
    """Any-order autoregressive synthesizer. Fields left at None are set from the size of the table, and for noise under a ledger.

    Parameters
    ----------
    epochs : passes over the data that the plan is made of.
    batch_size : rows per gradient step; patients on average, under a ledger.
    learning_rate : the peak of the schedule; 0.004 without a ledger.
    dropout : rate on hidden units.
    weight_decay : decoupled weight decay of embeddings and weights.
    causal_share : share of training orders that are the table's own; the rest makes conditioning on any subset work; 0.4 at
        first without a ledger.
    members : networks in the ensemble.
    max_tokens : most bins of a number column.
    max_steps : most gradient steps, whatever the epochs.

    Notes
    -----
    A row's default order is that of the table. p(column | observed) is exact for the model: nothing is rejected or overwritten.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    dropout: float | None = None
    weight_decay: float | None = None
    causal_share: float | None = None
    members: int | None = None
    max_tokens: int | None = None
    max_steps: int | None = None
    codec_: TableCodec = field(init=False, repr=False, compare=False)
    networks_: list[AnyOrderNet] = field(init=False, repr=False, compare=False)
    training_: dict[str, Any] = field(init=False, repr=False, compare=False, default_factory=dict)
    _sampler: AnyOrderSampler | None = field(init=False, repr=False, compare=False, default=None)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None, control: Control | None = None) -> Autoregressive:
        """Learns a flat table.

        Parameters
        ----------
        ledger : pays for everything that is learned, by bought columns and DP-SGD (see `autoregressive_private`).
        control : time budget, step limit, checkpoint folder, progress.

        Raises
        ------
        BudgetError : the ledger does not allow it, or a hyperparameter has no meaning under one.
        FitError : there is nothing to learn from.
        """
        self._check()
        control = (control or Control()).at_most(self.max_steps)
        if ledger is not None:
            return self._fit_private(data, seed, ledger, control)
        n = len(data)
        self.codec_ = TableCodec(max_tokens=self.max_tokens or int(np.clip(n / 20, 12, 128))).fit(data)
        tokens = self.codec_.encode(data)
        inside, outside = hold_out(data.records, seed)
        columns = self._columns(tokens[inside])
        device = choose_device(control.device)
        is_small = len(inside) < 10_000 and len(columns) <= 25
        shape = self._shape(len(inside), n_blocks=2 if is_small else 1)
        members = self.members or (2 if is_small else 1)
        networks = [
            AnyOrderNet(columns, shape, generator=torch.Generator().manual_seed(derive(seed, "weights", m))).to(device)
            for m in range(members)
        ]
        whole = torch.from_numpy(tokens.astype(np.int64)).to(device)
        objective = AnyOrderObjective(networks, whole[inside], whole[outside], self._recipe(len(inside)))
        training = train(objective, seed=seed, control=control)
        training.device = device.type
        self.training_ = training.to_json()
        self.networks_ = [net.cpu().eval() for net in objective.averages]  # type: ignore[misc]
        self._sampler = None
        return self

    def _fit_private(self, data: Dataset, seed: int, ledger: Any, control: Control) -> Autoregressive:
        for name in ("dropout", "weight_decay", "members"):
            if getattr(self, name) is not None:
                raise BudgetError(f"The hyperparameter {name!r} has no meaning under a privacy budget. Leave it out.")
        wishes = {
            "expected_batch": self.batch_size,
            "max_tokens": self.max_tokens,
            "learning_rate": self.learning_rate,
            "causal_share": self.causal_share,
            "epochs": self.epochs,
        }
        learned = learn(data, wishes, seed=seed, ledger=ledger, control=control)
        self.codec_, self.networks_, self.training_ = learned.codec, [learned.network], learned.training
        self._sampler = None
        return self

    def _check(self) -> None:
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise parameter_error("dropout", "Autoregressive", "a number in [0, 1)", self.dropout)
        if self.causal_share is not None and not 0 <= self.causal_share <= 1:
            raise parameter_error("causal_share", "Autoregressive", "a number in [0, 1]", self.causal_share)
        for name in ("epochs", "batch_size", "members", "max_tokens", "max_steps"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise parameter_error(name, "Autoregressive", "an int in [1, inf)", value)

    def _columns(self, tokens: Tokens) -> list[TokenColumn]:
        columns = []
        for j, f in enumerate(self.codec_.layout.fields):
            marginals = log_marginals(tokens[:, j], f.n_tokens)
            columns.append(TokenColumn(f.n_tokens, f.positions, f.values, marginals, hidden_width(marginals)))
        return columns

    def _shape(self, n_rows: int, *, n_blocks: int) -> Shape:
        dropout = min(0.5, 0.25 + 0.15 * _smallness(n_rows)) if self.dropout is None else self.dropout
        return Shape(dropout=dropout, blocks=n_blocks)

    def _recipe(self, n_rows: int) -> Recipe:
        """More passes, smaller batches and more decay for smaller tables; set once, on the train parts of five tables."""
        causal_share = 0.4 if self.causal_share is None else self.causal_share
        epochs = self.epochs or int(np.clip(round(9 * (16_000 / max(n_rows, 1)) ** 0.35), 2, 30))
        return Recipe(
            batch_size=self.batch_size or int(2 ** np.clip(round(math.log2(max(n_rows, 2) / 64)), 5, 9)),
            n_masks=4 if n_rows >= 4000 else 2,
            epochs=epochs,
            epochs_per_validation=max(1, epochs // 8),
            learning_rate=4e-3 if self.learning_rate is None else self.learning_rate,
            weight_decay=0.3 + 2.0 * _smallness(n_rows) if self.weight_decay is None else self.weight_decay,
            causal_share=causal_share,
            causal_share_end=max(causal_share, 0.8),
        )

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` synthetic rows; conditions are kept exactly, and every other cell is drawn given them."""
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The rows of `sample` in pieces of `batch_size` (the last may be shorter), in memory that does not grow with n."""
        require_fitted(self, "networks_")
        check_request("Autoregressive", n, batch_size, conditions)
        wished = or_none(conditions)

        def draw(_block: int, start: int, stop: int) -> Dataset:
            """The rows of one block."""
            return self._rows(start, stop, seed, wished)

        return in_batches(draw, int(n), batch_size=int(batch_size), block=BLOCK)

    def _rows(self, start: int, stop: int, seed: int, conditions: Conditions | None) -> Dataset:
        """One block; its randomness depends on its place in the whole alone."""
        part = rows_of(conditions, start, stop)
        tokens, given = self.codec_.encode_conditions(part, stop - start)
        if self._sampler is None:
            self._sampler = self._make_sampler(may_be_missing=True)
        drawn = self._draw_block(self._sampler, tokens, given, generator(seed, "rows", start), part)
        return self.codec_.decode(drawn, generator(seed, "decode", start), first_key=start + 1, conditions=part)

    def _draw_block(
        self,
        sampler: AnyOrderSampler,
        tokens: Tokens,
        given: npt.NDArray[np.bool_],
        rng: np.random.Generator,
        conditions: Conditions | None,
    ) -> Tokens:
        """One block of rows, chunk by chunk; the conditions are these rows' own."""
        uniform, parts = rng.random(tokens.shape, dtype=np.float32), []
        for at in range(0, max(len(tokens), 1), CHUNK):
            rows = slice(at, min(at + CHUNK, len(tokens)))
            own = rows_of(conditions, rows.start, rows.stop)
            rules = self.codec_.allowed_given(own, rows.stop - at) if self.codec_.rules_.has_rules else None
            parts.append(sampler.sample(uniform[rows], tokens[rows], given if given.ndim == 1 else given[rows], rules))
        return np.concatenate(parts)

    def _make_sampler(self, *, may_be_missing: bool) -> AnyOrderSampler:
        emitted = [self.codec_.emitted(j).copy() for j in range(len(self.codec_.layout.fields))]
        if not may_be_missing:
            for f, mask in zip(self.codec_.layout.fields, emitted, strict=True):
                if mask[f.n_missing :].any():
                    mask[: f.n_missing] = False
        return AnyOrderSampler(self.networks_, emitted, self.codec_.allowed if self.codec_.rules_.has_rules else None)

    def impute(self, data: Dataset, *, seed: int) -> Dataset:
        """The same rows with every missing cell drawn given the row's other cells.

        Cells that are there stay as they are, and so do those whose missing code says that there cannot be a value ("not applicable").
        Columns that `data` lacks are added.
        """
        require_fitted(self, "codec_")
        tokens, there = self.codec_.encode_partial(data)
        given = np.zeros(tokens.shape, dtype=bool)
        for j, f in enumerate(self.codec_.layout.fields):
            codes = self.codec_.schema_[f.column].missing[: f.n_missing]
            is_kept = np.array([code.meaning == NOT_APPLICABLE for code in codes] + [True] * (f.n_tokens - f.n_missing))
            given[:, j] = there[j] & is_kept[tokens[:, j]]
        sampler = self._make_sampler(may_be_missing=False)
        drawn = np.concatenate(
            [
                self._draw_block(
                    sampler,
                    tokens[at : at + BLOCK],
                    given[at : at + BLOCK],
                    generator(seed, "rows", at),
                    rows_of(data, at, min(at + BLOCK, len(data))),
                )
                for at in range(0, max(len(data), 1), BLOCK)
            ]
        )
        made = self.codec_.decode(drawn, generator(seed, "impute"), known=(data, given))
        return _filled(data, made, given, [f.column for f in self.codec_.layout.fields])

    def log_likelihood(self, data: Dataset) -> npt.NDArray[np.float64]:
        """Nats per row of the encoded table in its own order, float64 (n_rows,); higher is more likely under the model."""
        from manikin.training.networks.any_order import causal_mask

        tokens = torch.from_numpy(self.codec_.encode(data).astype(np.int64))
        mask = causal_mask(tokens.shape[1])[None]
        parts = []
        with torch.no_grad():
            for start in range(0, len(tokens), CHUNK):
                each = [-net.nll(tokens[start : start + CHUNK], mask).sum(0).double() for net in self.networks_]
                parts.append(torch.logsumexp(torch.stack(each), 0) - math.log(len(each)))
        return torch.cat(parts).numpy() if parts else np.empty(0)

    def state(self) -> State:
        """Codec and averaged weights."""
        values, arrays = self.codec_.state()
        own: dict[str, Any] = {"codec": values, "shape": asdict(self.networks_[0].shape), "training": self.training_}
        own["widths"] = [column.width for column in self.networks_[0].columns]
        saved: Arrays = {f"codec.{name}": array for name, array in arrays.items()}
        for m, network in enumerate(self.networks_):
            saved |= {f"network{m}.{name}": tensor.numpy() for name, tensor in network.state_dict().items()}
        return own | {"n_networks": len(self.networks_)}, saved

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Autoregressive:
        """Takes fitted state back; nothing is built before every size is bounded and every array it asks for is found.

        Raises
        ------
        ModelFolderError : the values and the arrays do not fit each other.
        """
        own: dict[str, Arrays] = {"codec": {}, "network": {}}
        for name, array in arrays.items():
            if name.startswith("codec."):
                own["codec"][name.removeprefix("codec.")] = array
            else:
                own["network"][name] = array
        codec = TableCodec.from_state(values["codec"], own["codec"])
        shape = checked_shape(values["shape"])
        columns = [
            TokenColumn(f.n_tokens, f.positions, f.values, np.zeros(f.n_tokens, dtype=np.float32), width)
            for f, width in zip(codec.layout.fields, checked_widths(values["widths"], len(codec.layout.fields)), strict=True)
        ]
        networks = []
        for weights in checked_networks(values["n_networks"], columns, shape, own["network"]):
            network = AnyOrderNet(columns, shape, generator=torch.Generator())
            network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
            networks.append(network.eval())
        self.codec_, self.networks_ = codec, networks
        self.training_, self._sampler = values["training"], None
        return self


def _smallness(n_rows: int) -> float:
    """0 from 16,000 rows on, 1 at 1,600, about 1.4 at 600."""
    return math.log10(max(1.0, 16_000 / max(n_rows, 1)))


def _filled(data: Dataset, made: Dataset, given: npt.NDArray[np.bool_], names: list[str]) -> Dataset:
    """`data` with the cells that were not given taken from `made`; columns that `data` lacks are added."""
    frame, marks = made.table.frame.copy(), dict(made.table.marks)
    for j, name in enumerate(names):
        if name not in data.columns or name in names[:j]:  # a code set's first field says whether there is one
            continue
        keep = given[:, j]
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            mixed = np.where(keep, data.table.frame[name].to_numpy(dtype=object), frame[name].to_numpy(dtype=object))
            frame[name] = pd.Categorical(mixed)
        else:
            frame[name] = data.table.frame[name].where(pd.Series(keep), frame[name])
        mark = np.where(keep, data.table.mark(name), made.table.mark(name)).astype(np.int8)
        marks.pop(name, None)
        if mark.any():
            marks[name] = mark
    for name in made.columns.names:
        if name not in names and name in data.columns:
            frame[name] = data.table.frame[name]
    return made.with_table(Table(frame, marks))
