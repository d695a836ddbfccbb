"""SMOTE and its kin (Chawla et al. 2002, doi:10.1613/jair.953) through imbalanced-learn: points between a real row and its neighbours.

It invents nothing: every row lies between two patients and carries their levels. It keeps the training rows, says so in the registry, and
its rows are never a release; it is here to be compared with, as papers do.

SMOTE serves tables of numbers, SMOTE-NC mixed ones, SMOTEN tables of levels. What differs from the paper: numbers are standardised before
neighbours are sought, so that their units do not matter; a number with missing cells is filled with its median, and whether (and how) it
is missing is a level that the neighbours vote on; every class is drawn in the train proportions, not the rare one alone; and rows pass
through the codec, so formats hold, extremes of few patients are drawn in and confirmed rules bind.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy.typing as npt

from manikin.codecs.base import Tokens
from manikin.codecs.numbers import NumberCodec, round_significant, to_units
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, MissingExtraError, ModelFolderError, ParameterError, parameter_error
from manikin.data.schema import Role
from manikin.data.seeds import generator
from manikin.synthesizers.base import Arrays, Conditions, State, np
from manikin.synthesizers.blocks import check_request, in_batches, or_none, refuse_ledger, require_fitted, rows_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BLOCK = 8192  # neighbours are sought anew for each block, so it is larger than that of other models
MOST_CLASSES_OF_A_NUMBER = 10
MOST_ROWS_OF_LEVELS = 4_000  # SMOTEN holds the distance of every two rows of a class
MOST_ROUNDS = 3
MOST_NAMED = 6


@dataclass(kw_only=True)
class Smote:
    """Interpolated real rows, class by class where the schema names a target of classes.

    Parameters
    ----------
    k_neighbors : neighbours of a row that a new one may lie towards; a class with fewer other rows uses what it has.
    max_rows : most rows that are kept and interpolated.

    >>> Smote(k_neighbors=3).k_neighbors
    3
    """

    k_neighbors: int = 5
    max_rows: int = 10_000
    codec_: TableCodec = field(init=False, repr=False)
    rows_: Tokens = field(init=False, repr=False)
    numbers_: Floats = field(init=False, repr=False)
    target_: int | None = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:
        """Keeps rows; `seed` chooses which, where there are more than `max_rows`.

        Raises
        ------
        BudgetError : a ledger is given. MissingExtraError : imbalanced-learn is not installed.
        FitError : there is nothing to interpolate, or only levels and no target. ParameterError : a hyperparameter is out of its range.
        """
        refuse_ledger("smote", ledger)
        for name, low in {"k_neighbors": 1, "max_rows": 2}.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < low:
                raise parameter_error(name, "Smote", f"an int in [{low}, inf)", value)
        _samplers()
        if len(data) == 1:
            raise FitError("The synthesizer 'smote' cannot interpolate 1 row. Bring more rows.")
        self.codec_ = TableCodec(max_tokens=1_000).fit(data)
        self.target_ = _target_of(self.codec_)
        limit = self.max_rows if self._number_fields() else min(self.max_rows, MOST_ROWS_OF_LEVELS)
        kept = data
        if len(data) > limit:
            kept = data.take(np.sort(generator(seed, "smote", "rows").permutation(len(data))[:limit]))
        self.rows_, self.numbers_ = self.codec_.encode(kept), _numbers(self.codec_, kept, self._number_fields())
        self._check_rows()
        return self

    def _check_rows(self) -> None:
        names = [c.name for c in self.codec_.schema_.learned]
        if self.target_ is None and not self._number_fields():
            shown = ", ".join(map(repr, names[:MOST_NAMED])) + (", …" if len(names) > MOST_NAMED else "")
            raise FitError(
                f"The synthesizer 'smote' cannot tell which rows are neighbours: {shown} hold only levels, and no target says which are "
                "alike. Name a target (--target), or choose another synthesizer."
            )
        if not len(self._classes()[0]):
            column = self.codec_.layout.fields[self.target_ or 0].column
            raise FitError(
                f"The synthesizer 'smote' found no class of column {column!r} that enough patients hold among {len(self.rows_):,} rows. "
                "Bring more rows, or name another target."
            )

    def _number_fields(self) -> list[int]:
        """Fields that are interpolated: numbers and times with any value, unless they are the target."""
        codecs = self.codec_.fields_
        return [j for j, c in enumerate(codecs) if isinstance(c, NumberCodec) and len(c.low) and j != self.target_]

    def _classes(self) -> tuple[Ints, Floats]:
        """The target's tokens that rows are made of, and their shares; one class -1 without a target.

        A class needs two rows to lie between, and a level that may be released; the share of others goes to all the rest.
        """
        if self.target_ is None:
            return np.array([-1]), np.ones(1)
        n_tokens = self.codec_.layout.sizes[self.target_]
        kept = np.bincount(self.rows_[:, self.target_], minlength=n_tokens) >= 2
        counts = self.codec_.counts_[self.target_] * (kept & self.codec_.emitted(self.target_))
        classes = np.flatnonzero(counts)
        return classes, counts[classes] / max(counts.sum(), 1)

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` rows between real ones; the target's value may be given, and is kept.

        Raises
        ------
        FitError : nothing was learned.
        ParameterError : another column than the target is given, or a class that is not interpolated; n does not fit.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The rows of `sample` in batches."""
        require_fitted(self, "rows_")
        conditions = or_none(conditions)
        self._check_conditions(conditions)
        check_request("Smote", n, batch_size, conditions)

        def draw(number: int, start: int, stop: int) -> Dataset:
            rng, own = generator(seed, "smote", "sample", number), rows_of(conditions, start, stop)
            tokens = self._draw(self._wanted(own, stop - start, rng), rng)
            return self.codec_.decode(tokens, rng, first_key=start + 1, conditions=own)

        return in_batches(draw, n, batch_size=batch_size, block=BLOCK)

    def _check_conditions(self, conditions: Conditions | None) -> None:
        if conditions is None:
            return
        target = None if self.target_ is None else self.codec_.layout.fields[self.target_].column
        names = conditions.columns.names if isinstance(conditions, Dataset) else list(conditions)
        others = [name for name in names if name != target]
        if others:
            takes = "takes no conditions without a target" if target is None else f"conditions on its target {target!r} only"
            raise ParameterError(
                f"The synthesizer 'smote' interpolates whole rows and {takes}, not on {', '.join(map(repr, others))}. "
                "Choose one that `manikin list synthesizers` marks as conditional, for example 'copula'."
            )

    def _wanted(self, conditions: Conditions | None, n: int, rng: np.random.Generator) -> Ints:
        """The class of each row, int64 (n,)."""
        classes, shares = self._classes()
        if conditions is None or self.target_ is None:
            return rng.choice(classes, n, p=shares)
        wanted = self.codec_.encode_conditions(conditions, n)[0][:, self.target_]
        if not np.isin(wanted, classes).all():
            name = self.codec_.layout.fields[self.target_].column
            raise ParameterError(
                f"The synthesizer 'smote' has fewer than two rows of a class given for column {name!r}. Give a more frequent one."
            )
        return wanted.astype(np.int64)

    def _draw(self, wanted: Ints, rng: np.random.Generator) -> Tokens:
        """Tokens of rows of these classes; rows that a confirmed rule forbids are drawn again, and at last real rows stand in."""
        tokens = np.zeros((len(wanted), self.rows_.shape[1]), dtype=np.int32)
        waiting = np.arange(len(wanted))
        for _ in range(MOST_ROUNDS):
            if not len(waiting):
                return tokens
            tokens[waiting] = self._releasable(self._interpolated(wanted[waiting], rng), rng)
            waiting = waiting[~self._is_allowed(tokens[waiting])]
        for token in np.unique(wanted[waiting]):
            rows = waiting[wanted[waiting] == token]
            own = self._of_class(token)
            tokens[rows] = self._releasable(self.rows_[rng.choice(own, len(rows))], rng)
        return tokens

    def _of_class(self, token: int) -> Ints:
        if self.target_ is None:
            return np.arange(len(self.rows_))
        return np.flatnonzero(self.rows_[:, self.target_] == token)

    def _is_allowed(self, tokens: Tokens) -> npt.NDArray[np.bool_]:
        good = np.ones(len(tokens), dtype=bool)
        for j in range(tokens.shape[1]):
            allowed = self.codec_.allowed(j, tokens, np.arange(tokens.shape[1]) != j)
            if allowed is not None:
                good &= allowed[np.arange(len(tokens)), tokens[:, j]]
        return good

    def _interpolated(self, wanted: Ints, rng: np.random.Generator) -> Tokens:
        """New rows of these classes, straight from imbalanced-learn, as tokens."""
        space = _Space.of(self)
        y = np.zeros(len(self.rows_), dtype=np.int64) if self.target_ is None else self.rows_[:, self.target_].astype(np.int64)
        tokens = np.zeros((len(wanted), self.rows_.shape[1]), dtype=np.int32)
        for token in np.unique(wanted):
            rows, own = np.flatnonzero(wanted == token), self._of_class(token)
            label = 0 if self.target_ is None else int(token)
            k = min(self.k_neighbors, len(own) - 1)
            made = _oversample(space, y, label, len(rows), k, seed=int(rng.integers(2**31)))
            tokens[rows] = space.tokens(made, self.codec_)
            if self.target_ is not None:
                tokens[rows, self.target_] = token
        return tokens

    def _releasable(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        """Tokens of rare groups that have no text of their own are drawn anew from the column's others."""
        for j in range(tokens.shape[1]):
            emitted = self.codec_.emitted(j)
            held = np.flatnonzero(~emitted[tokens[:, j]])
            if len(held):
                weight = self.codec_.counts_[j] * emitted
                weight = weight if weight.any() else emitted.astype(np.int64)
                tokens[held, j] = rng.choice(len(emitted), len(held), p=weight / weight.sum())
        return tokens

    def state(self) -> State:
        """Everything fitted, the rows among it."""
        values, arrays = self.codec_.state()
        named = {f"codec.{name}": array for name, array in arrays.items()}
        return {"codec": values, "target": self.target_}, named | {"rows": self.rows_, "numbers": self.numbers_}

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back.

        Raises
        ------
        ModelFolderError : the arrays do not fit the columns.
        """
        own = {name.removeprefix("codec."): array for name, array in arrays.items() if name.startswith("codec.")}
        self.codec_ = TableCodec.from_state(values["codec"], own)
        self.target_, self.rows_, self.numbers_ = values["target"], arrays["rows"], arrays["numbers"]
        sizes = self.codec_.layout.sizes
        is_target = self.target_ is None or (isinstance(self.target_, int) and 0 <= self.target_ < len(sizes))
        is_fit = (
            self.rows_.dtype == np.int32 and self.rows_.ndim == 2 and self.rows_.shape[1] == len(sizes) and len(self.rows_) > 1
        )
        if not is_target or not is_fit or (self.rows_ < 0).any() or (self.rows_ >= np.array(sizes)).any():
            raise ModelFolderError("The array 'rows' does not fit the model's columns. Save the model again.")
        shape = (len(self.rows_), len(self._number_fields()))
        if self.numbers_.shape != shape or self.numbers_.dtype != np.float64 or np.isinf(self.numbers_).any():
            raise ModelFolderError("The array 'numbers' does not fit the model's columns. Save the model again.")
        self._check_rows()
        return self


def _target_of(codec: TableCodec) -> int | None:
    """The field of the schema's target where it is of classes: levels, or a number of few values that many patients share."""
    for column, span in zip(codec.schema_.learned, codec.spans_, strict=True):
        own = codec.fields_[span.start]
        is_few = isinstance(own, NumberCodec) and len(own.low) <= MOST_CLASSES_OF_A_NUMBER and bool((own.low == own.high).all())
        if column.has_role(Role.TARGET) and span.stop - span.start == 1 and (column.kind.is_discrete or is_few):
            return span.start
    return None


def _numbers(codec: TableCodec, data: Dataset, fields: list[int]) -> Floats:
    """The numbers to interpolate, NaN where missing, float64 (n_rows, n_fields); extremes of few patients are drawn in."""
    out = np.full((len(data), len(fields)), np.nan)
    by_field = {span.start: column.name for column, span in zip(codec.schema_.learned, codec.spans_, strict=True)}
    for i, j in enumerate(fields):
        own = codec.fields_[j]
        assert isinstance(own, NumberCodec)
        values = to_units(data.table.frame[by_field[j]], own.unit)
        present = data.table.mark(by_field[j]) == 0
        out[present, i] = np.clip(values[present], own.low.min(), own.high.max())
    return out


@dataclass(frozen=True)
class _Space:
    """What neighbours are sought in: standardised numbers first, then levels as they are (missing or not among them).

    Attributes
    ----------
    X : float64 (n_rows, n_numbers + n_levels). number_fields, level_fields : the codec's field of each column of X.
    centre, scale : float64 (n_numbers,).
    """

    X: Floats
    number_fields: list[int]
    level_fields: list[int]
    centre: Floats
    scale: Floats

    @classmethod
    def of(cls, model: Smote) -> _Space:
        """The space that a model's own rows span."""
        numbers, rows = model._number_fields(), model.rows_
        centre, scale = np.zeros(len(numbers)), np.ones(len(numbers))
        filled = np.zeros(model.numbers_.shape)
        for i in range(len(numbers)):
            own = model.numbers_[:, i]
            present = ~np.isnan(own)
            centre[i] = np.median(own[present]) if present.any() else 0.0
            filled[:, i] = np.where(present, own, centre[i])
            scale[i] = filled[:, i].std() or 1.0
        levels: list[int] = []
        parts = [(filled - centre) / scale]
        for j, codec in enumerate(model.codec_.fields_):
            if j in numbers:
                if (rows[:, j] >= codec.n_missing).all():
                    continue
                parts.append(np.minimum(rows[:, j], codec.n_missing)[:, None].astype(float))
            elif j == model.target_:
                continue
            else:
                parts.append(rows[:, j][:, None].astype(float))
            levels.append(j)
        return cls(np.concatenate(parts, axis=1), numbers, levels, centre, scale)

    def tokens(self, X: Floats, codec: TableCodec) -> Tokens:
        """Tokens int32 (n_rows, n_fields) of points of the space; the target's are left at 0."""
        out = np.zeros((len(X), len(codec.fields_)), dtype=np.int32)
        for i, j in enumerate(self.number_fields):
            own = codec.fields_[j]
            assert isinstance(own, NumberCodec)
            values = X[:, i] * self.scale[i] + self.centre[i]
            on_grid = np.round(np.round(values / own.step) * own.step, 12)
            out[:, j] = own.encode(on_grid if own.significant is None else round_significant(values, own.significant, own.step))
        for i, j in enumerate(self.level_fields, start=len(self.number_fields)):
            levels = np.round(X[:, i]).astype(np.int32)
            if j in self.number_fields:
                levels = np.where(levels < codec.fields_[j].n_missing, levels, out[:, j])
            out[:, j] = levels
        return out


def _oversample(space: _Space, y: Ints, label: int, n: int, k: int, *, seed: int) -> Floats:
    """`n` new points of a class."""
    smote, smote_nc, smote_n = _samplers()
    X = space.X
    if (y == label).all():  # imbalanced-learn asks for a second class, which it leaves alone
        X, y = np.concatenate([X, X[:1]]), np.append(y, label + 1)
    common = {"sampling_strategy": {label: int((y == label).sum()) + n}, "k_neighbors": k, "random_state": seed}
    n_numbers = len(space.number_fields)
    if not X.shape[1]:
        return np.empty((n, 0))
    if not n_numbers:
        sampler = smote_n(**common)
    elif n_numbers == X.shape[1]:
        sampler = smote(**common)
    else:
        sampler = smote_nc(categorical_features=list(range(n_numbers, X.shape[1])), **common)
    with warnings.catch_warnings():
        # that a class grows beyond the largest one is meant: every class is drawn in its train share
        warnings.filterwarnings("ignore", message="After over-sampling", category=UserWarning)
        made = sampler.fit_resample(X, y)[0]
    return np.asarray(made[len(X) :], dtype=float)


def _samplers() -> tuple[Any, Any, Any]:
    """SMOTE, SMOTENC and SMOTEN of imbalanced-learn, imported late."""
    try:
        from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "The synthesizer 'smote' needs the package 'imblearn'. Install it with: pip install 'manikin[imbalanced]'"
        ) from error
    return SMOTE, SMOTENC, SMOTEN
