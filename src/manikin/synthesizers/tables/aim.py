"""AIM, an adaptive and iterative mechanism (McKenna, Mullins, Sheldon & Miklau 2022, arXiv 2201.12677). Knows tokens, not values.

Tables of pairs of columns are bought under a privacy ledger, the next always the one that the model answers worst, and a Markov random
field is fitted to them (`graphical`). The standard among marginal-based methods, which neural ones must justify themselves against. What
differs from the paper, each measured (docs/synthesizers/aim.md): the columns' own tables are the codec's and not bought twice; values are
put into groups that stand above the noise; pairs with a target come first; scores of all pairs are worked out at once; the fit has a prior
of independence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy.typing as npt

from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import parameter_error
from manikin.data.schema import Role
from manikin.data.seeds import generator
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.synthesizers.base import Arrays, Conditions, State, np
from manikin.synthesizers.blocks import check_request, in_batches, or_none, require_fitted, rows_of
from manikin.synthesizers.tables.graphical.adaptive import Answers, Plan, Workload, learn
from manikin.synthesizers.tables.graphical.answers import BoughtAnswers, ExactAnswers, grouped, total_rows
from manikin.synthesizers.tables.graphical.drawing import Chain, chain
from manikin.synthesizers.tables.graphical.estimation import LEAST_NOISE, Measurement, distribution
from manikin.synthesizers.tables.graphical.groups import groups_of
from manikin.synthesizers.tables.graphical.saved import chain_from_state, groups_from_arrays

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NAME = "aim"
TWIN_PRECISION = 1.0  # of the non-private twin, whose answers have no noise whatever they cost
ROUNDING = 1e-9  # share of the precision that is left for rounding in its sums
SMALL = 1e-300
SHARES = (0.1, 0.65)  # least and most of the budget that the columns by themselves take
TARGET_OF_ALL = 0.1  # share of the whole budget that pairs with a target have at least, where columns took most of it
COLUMN_NOISE = 0.0015  # of the patients: the noise of a cell of a column's own table that is aimed at


@dataclass(kw_only=True)
class AIM:
    """Adaptive and iterative mechanism.

    Parameters
    ----------
    max_tokens : most tokens of a number column.
    rounds_per_column : rounds that the budget is planned for, as a multiple of the number of columns, but at most `most_rounds`; the fewer,
        the more exact each table.
    selection_share : share of a round's budget that the choice of its table takes.
    coarseness : columns have about sqrt(coarseness * rows / noise) groups, where noise is that of a cell; finer when larger.
    shrinkage : weight of the prior that columns are independent, above 0.
    max_cells : most cells of the junction tree, the size of the model.
    target_share : share of what columns leave of the budget that goes, before all others, to pairs with a column of role target, where
        there is one; a tenth of the whole budget where that is more.
    target_rounds : rounds that this share is planned for, as a multiple of the number of columns.
    column_share : share of the ledger's precision that the columns' own levels, ranges and tables cost; None sets it by the number of
        patients that was bought, so that a cell's noise is some 0.15 % of them, between 0.1 and 0.65.

    >>> AIM(max_tokens=16).max_tokens
    16
    """

    max_tokens: int = 32
    rounds_per_column: float = 2.0
    most_rounds: int = 60
    selection_share: float = 0.1
    coarseness: float = 0.06
    shrinkage: float = 0.05
    max_cells: int = 200_000
    target_share: float = 0.2
    target_rounds: float = 0.25
    column_share: float | None = None
    codec_: TableCodec = field(init=False, repr=False)
    groups_: tuple[Ints, ...] = field(init=False, repr=False)
    within_: tuple[Floats, ...] = field(init=False, repr=False)
    chain_: Chain = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Ledger | None = None) -> Self:  # noqa: ARG002 (the protocol's)
        """Learns; `seed` changes nothing: without a ledger nothing is drawn, and under one no seed may replay the noise.

        Without a ledger tables are exact and the pair that is answered worst is always taken: the non-private twin, of which an audit
        must find more than of the private model.

        Raises
        ------
        BudgetError : the ledger does not allow it. FitError : there is nothing to learn. ParameterError : a hyperparameter is out of
            its range.
        """
        self._check()
        if ledger is None:
            self.codec_ = TableCodec(max_tokens=self.max_tokens).fit(data)
            exact = ExactAnswers(self.codec_.encode(data))
            return self._learn(exact, total=float(len(data)), budget=TWIN_PRECISION, of_all=TWIN_PRECISION)
        private = mechanisms.seal(data, ledger)
        share = self._share(len(private.columns.learned), ledger)
        self.codec_ = TableCodec(max_tokens=self.max_tokens).fit(private, ledger=ledger, share=share)
        names = [one.column for one in self.codec_.layout.fields]
        bought = BoughtAnswers(self.codec_.encode_private(private), names, ledger, by=NAME)
        total = total_rows(self.codec_.counts_, ledger)
        return self._learn(bought, total=total, budget=ledger.precision_left * (1 - ROUNDING), of_all=ledger.precision)

    def _check(self) -> None:
        """Refuses hyperparameters out of their range."""
        for name, least in (("max_tokens", 2), ("max_cells", 1), ("most_rounds", 1)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise parameter_error(name, "AIM", f"an int in [{least}, inf)", value)
        for name in ("rounds_per_column", "coarseness", "shrinkage", "target_rounds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise parameter_error(name, "AIM", "a number in (0, inf)", getattr(self, name))
        for name in ("selection_share", "target_share", "column_share"):
            value = getattr(self, name)
            if not (value is None and name == "column_share") and not 0 < value < 1:
                raise parameter_error(name, "AIM", "a number in (0, 1)", value)

    def _share(self, n_columns: int, ledger: Ledger) -> float:
        """Share of the ledger's precision for the columns by themselves, from what is public or bought."""
        if self.column_share is not None or ledger.n_patients is None:
            return self.column_share or SHARES[0]
        noise = COLUMN_NOISE * ledger.n_patients
        return float(np.clip(n_columns * ledger.rows_per_patient**2 / (noise**2 * ledger.precision), *SHARES))

    def _learn(self, answers: Answers, *, total: float, budget: float, of_all: float) -> Self:
        fields, counts = self.codec_.layout.fields, self.codec_.counts_
        rounds = min(max(1, round(self.rounds_per_column * len(fields))), self.most_rounds)
        plan = Plan(
            rounds=rounds,
            target_share=min(max(self.target_share, TARGET_OF_ALL * of_all / budget), 0.5) if budget > 0 else self.target_share,
            target_rounds=self.target_rounds,
            selection_share=self.selection_share,
            max_cells=self.max_cells,
            shrinkage=self.shrinkage,
        )
        noise = max(answers.noise(budget / rounds), LEAST_NOISE)
        n_groups = float(np.sqrt(self.coarseness * total / noise))
        self.groups_ = tuple(groups_of(one, own, n_groups) for one, own in zip(fields, counts, strict=True))
        answers.group(self.groups_)
        sizes = tuple(int(group.max()) + 1 for group in self.groups_)
        noises = self.codec_.count_noises_ or tuple(np.zeros(len(own)) for own in counts)
        columns = [
            Measurement((j,), np.bincount(group, weights=own).astype(float), np.sqrt(np.bincount(group, weights=noise**2)))
            for j, (group, own, noise) in enumerate(zip(self.groups_, counts, noises, strict=True))
        ]
        targets = [j for j, one in enumerate(fields) if self.codec_.schema_[one.column].has_role(Role.TARGET)]
        workload = Workload(sizes, tuple(targets))
        self.chain_ = chain(learn(answers, workload, columns, total=total, budget=budget, plan=plan).marginals)
        self.within_ = self._within()
        return self

    def _within(self) -> tuple[Floats, ...]:
        """Per column, each token's share of its group, 0 for tokens that may not be generated."""
        out = []
        for j, (group, counts) in enumerate(zip(self.groups_, self.codec_.counts_, strict=True)):
            weight = distribution(counts.astype(float), max(1.0, float(counts.sum()))) * self.codec_.emitted(j)
            out.append(weight / np.maximum(np.bincount(group, weights=weight), SMALL)[group])
        return tuple(out)

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` rows; given cells are kept to the digit, the others drawn from what the model says given these (no rejection).

        Raises
        ------
        FitError : nothing was learned. ParameterError : n or the conditions do not fit the model.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The rows of `sample` in batches."""
        require_fitted(self, "chain_")
        check_request("AIM", n, batch_size, conditions)
        conditions = or_none(conditions)

        def draw(number: int, start: int, stop: int) -> Dataset:
            rng = generator(seed, NAME, "sample", number)
            return self._draw(rng, start, stop, rows_of(conditions, start, stop))

        return in_batches(draw, n, batch_size=batch_size)

    def _draw(self, rng: np.random.Generator, start: int, stop: int, conditions: Conditions | None) -> Dataset:
        """Column after column along the chain: the chance of a group, times the token's share of it, as far as rules allow."""
        n = stop - start
        tokens, given = self.codec_.encode_conditions(conditions, n)
        allowed, known = self.codec_.allowed_given(conditions, n), given.copy()
        values = grouped(tokens, self.groups_)
        messages = self.chain_.messages(values, given) if given.any() and n else None
        for k, j in enumerate(self.chain_.order):
            if given[j]:
                continue
            chances = self.chain_.chances(k, values, messages)[:, self.groups_[j]] * self.within_[j]
            tokens[:, j] = _choose(chances, self.within_[j], allowed(j, tokens, known), rng)
            values[:, j] = self.groups_[j][tokens[:, j]]
            known[j] = True
        return self.codec_.decode(tokens, rng, first_key=start + 1, conditions=conditions)

    def state(self) -> State:
        """Everything fitted: the codec, groups of tokens and conditional tables; no row."""
        values, arrays = self.codec_.state()
        own = {f"codec.{name}": array for name, array in arrays.items()}
        own |= {f"group{j}": group for j, group in enumerate(self.groups_)}
        own |= {f"table{k}": table for k, table in enumerate(self.chain_.tables)}
        parents = [list(parents) for parents in self.chain_.parents]
        return {"codec": values, "order": list(self.chain_.order), "parents": parents}, own

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back.

        Raises
        ------
        ModelFolderError : groups, order or tables contradict each other or the codec.
        """
        own = {name.removeprefix("codec."): array for name, array in arrays.items() if name.startswith("codec.")}
        self.codec_ = TableCodec.from_state(values["codec"], own)
        self.groups_ = groups_from_arrays(arrays, self.codec_.layout.sizes)
        self.chain_ = chain_from_state(values, arrays, [int(group.max()) + 1 for group in self.groups_])
        self.within_ = self._within()
        return self


def _choose(chances: Floats, within: Floats, mask: npt.NDArray[np.bool_] | None, rng: np.random.Generator) -> Ints:
    """One token per row by its chances (n_rows, n_tokens), among those that a rule leaves where it leaves any."""
    floor = SMALL * (within > 0)  # where groups that are likely hold no token that may be generated
    chances = chances + (floor if floor.any() else SMALL)
    if mask is not None:
        left = chances * mask
        chances = np.where(left.any(axis=1, keepdims=True), left, chances)
    sums = np.cumsum(chances, axis=1)
    return np.asarray((sums <= rng.random(len(sums))[:, None] * sums[:, -1:]).sum(axis=1))
