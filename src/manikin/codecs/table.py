"""The codec of a flat table: every learned column to one token column, and back. Knows columns and rules, no model.

What a release holds is decided here: direct identifiers and free text are left out, keys are made anew, rare values are merged, and
confirmed rules bind every decoded row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.base import Allowed, Field, Layout, Tokens
from manikin.codecs.bought.cells import tokens as private_tokens
from manikin.codecs.bought.code_sets import set_tokens
from manikin.codecs.bought.fit import Bought, buy, public_facts
from manikin.codecs.code_sets import MAX_CODES, CodeSetCodec, fit_code_set
from manikin.codecs.levels import LevelCodec, fit_levels
from manikin.codecs.numbers import MAX_TOKENS, NumberCodec, fit_numbers, from_units, to_units
from manikin.codecs.public_schema import ColumnCodec, public_schema, with_neutral_codes
from manikin.codecs.rule_masks import RuleMasks, declared_rule_masks, fit_rule_masks
from manikin.codecs.saved_state import check_columns, check_fields
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, Table, flat
from manikin.data.errors import BudgetError, FitError, ParameterError
from manikin.data.rules import CombinationRule, ImpliedRule, Rule
from manikin.data.schema import EMPTY, Column, Kind, Role, TableSchema, is_left_out
from manikin.data.schema_text import table_from_json, table_to_json
from manikin.privacy import mechanisms
from manikin.privacy.sealed import PrivateDataset, Sealed

RuleMask = Callable[[int, Tokens, npt.NDArray[np.bool_]], Allowed | None]
FieldCodec = NumberCodec | LevelCodec


@dataclass(kw_only=True)
class TableCodec:
    """Dataset <-> tokens int32 (n_rows, n_columns).

    Parameters
    ----------
    max_tokens : most tokens of a number column, missing codes apart.
    max_codes : most codes of a code set that have a field, by falling frequency.
    by_scale : number columns whose rare values are of another size (gaps of time): their tokens hold values of like size only.

    Attributes
    ----------
    release_schema : the schema of what is decoded: columns that a release leaves out are gone, keys stay (made anew), and neither rare
        levels, nor extremes of few patients, nor rules that nobody confirmed are named.
    counts_ : int64 (n_tokens,) per field, training rows that hold each token; bought under a ledger, and then at least 0 and not exact.
    count_noise_, count_noises_ : the noise's standard deviation in rows, over all tokens and float64 (n_tokens,) per field; 0 and empty
        without a ledger. Needed while fitting only, and not saved.
    """

    max_tokens: int = MAX_TOKENS
    max_codes: int = MAX_CODES
    by_scale: tuple[str, ...] = ()
    schema_: TableSchema = field(init=False, repr=False)
    columns_: tuple[ColumnCodec, ...] = field(init=False, repr=False)
    fields_: tuple[FieldCodec, ...] = field(init=False, repr=False)
    spans_: tuple[slice, ...] = field(init=False, repr=False)
    counts_: tuple[npt.NDArray[np.int64], ...] = field(init=False, repr=False)
    rules_: RuleMasks = field(init=False, repr=False)
    release_schema: TableSchema = field(init=False, repr=False)
    native_: str = field(init=False, repr=False, default="pandas")
    count_noise_: float = field(init=False, repr=False, default=0.0)
    count_noises_: tuple[npt.NDArray[np.float64], ...] = field(init=False, repr=False, default=())

    def fit(self, data: Dataset | PrivateDataset, *, ledger: Any | None = None, share: float = 0.2) -> TableCodec:
        """Learns vocabularies and groups, or buys them under a ledger.

        Parameters
        ----------
        ledger : a `privacy.ledger.Ledger` that pays for everything that is not declared. share : of its precision, the most to spend.

        Raises
        ------
        FitError : there is no row, no column to learn, or nothing that stands clear of the noise.
        BudgetError : the ledger does not allow it, or a column cannot be bought.
        """
        if ledger is not None:
            return self._buy(mechanisms.seal(data, ledger), ledger, share)
        if isinstance(data, PrivateDataset):
            raise BudgetError("Private rows are learned under a ledger only. Give one.")
        schema = data.columns
        if not len(data):
            raise FitError(f"Table {schema.name!r} has no rows to learn from.")
        if not schema.learned:
            raise FitError(
                f"Table {schema.name!r} has no column to learn: all are identifiers or free text. Correct the schema."
            )
        self.native_ = data.native
        self.schema_ = with_neutral_codes(schema, data)
        columns = [self._fit_column(data, column) for column in self.schema_.learned]
        for j, (column, codec) in enumerate(zip(self.schema_.learned, columns, strict=True)):
            if not codec.n_missing and _has_nothing_to_release(codec):  # then the cell stays empty
                self.schema_ = self.schema_.replace_column(replace(column, missing=(EMPTY,)))
                columns[j] = self._fit_column(data, self.schema_[column.name])
        self._lay_out(tuple(columns))
        tokens = self.encode(data)
        self.counts_ = tuple(np.bincount(tokens[:, j], minlength=c.n_tokens) for j, c in enumerate(self.fields_))
        self.rules_ = fit_rule_masks(self.schema_, self.fields_, self.spans_, tokens, data.records)
        return self

    def _buy(self, private: PrivateDataset, ledger: Any, share: float) -> TableCodec:
        """Everything learned is made of noisy answers and of declared facts."""
        bought = buy(private, ledger, share=share, max_tokens=self.max_tokens, max_codes=self.max_codes, by="TableCodec")
        left_out = self.take_bought(bought, private.native)
        ledger.public |= public_facts(private.columns, left_out)
        return self

    def take_bought(self, bought: Bought, native: str) -> list[Rule]:
        """What was bought becomes the codec; gives the rules that are left out, since they need something from the data."""
        self.native_, self.schema_ = native, bought.schema
        self._lay_out(bought.codecs)
        self.counts_ = tuple(np.maximum(np.rint(rows), 0).astype(np.int64) for rows in bought.rows)
        self.count_noises_ = tuple(np.sqrt(variance) for variance in bought.variance)
        self.count_noise_ = float(np.sqrt(np.mean(np.concatenate(bought.variance))))
        self.schema_, self.rules_, left_out = declared_rule_masks(self.schema_, self.fields_, self.spans_, self.counts_)
        self.release_schema = replace(self.release_schema, rules=self.schema_.rules)
        return list(left_out)

    def encode_private(self, private: PrivateDataset) -> Sealed:
        """Tokens int32 (n_rows, n_fields) behind the seal, each row read by itself as the bought schema says."""

        return private.map(self.read_rows)

    def read_rows(self, data: Dataset) -> Tokens:
        """Tokens int32 (n_rows, n_fields) of rows that a seal hides, each read by itself as the bought schema says."""
        out = np.empty((len(data), len(self.fields_)), dtype=np.int32)
        for codec, span, column in zip(self.columns_, self.spans_, self.schema_.learned, strict=True):
            if isinstance(codec, CodeSetCodec):
                out[:, span] = set_tokens(data, column, codec)
            else:
                out[:, span.start] = private_tokens(data, column, codec, self.counts_[span.start])
        return out

    def impute(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        """Gives every missing cell what another row of its column holds, and from then on generates no missing cell there.

        A random draw keeps the column's distribution, which a median would not; the relation to other columns is lost in those cells. A
        column without any present cell stays as it is.

        Parameters
        ----------
        tokens : int32 (n_rows, n_fields), as encoded from the data that were fitted. rng : draws the other rows.
        """
        out = tokens.copy()
        for codec, span in zip(self.columns_, self.spans_, strict=True):
            is_missing = tokens[:, span.start] < codec.n_missing
            donors = np.flatnonzero(~is_missing)
            if len(donors) and is_missing.any():
                out[is_missing, span] = tokens[rng.choice(donors, size=int(is_missing.sum())), span]
        self.counts_ = tuple(np.bincount(out[:, j], minlength=c.n_tokens) for j, c in enumerate(self.fields_))
        return out

    def _lay_out(self, columns: tuple[ColumnCodec, ...]) -> None:
        """One field a column, several for a code set."""
        parts = [codec.fields() if isinstance(codec, CodeSetCodec) else [codec] for codec in columns]
        ends = np.cumsum([len(part) for part in parts]).tolist()
        kept = [c.name for c in self.schema_ if not is_left_out(c) or is_key(c)]
        self.release_schema = public_schema(self.schema_, columns).only(kept)
        self.columns_ = columns
        self.fields_ = tuple(one for part in parts for one in part)
        self.spans_ = tuple(slice(end - len(part), end) for part, end in zip(parts, ends, strict=True))

    def _fit_column(self, data: Dataset, column: Column) -> ColumnCodec:
        series, mark = data.table.frame[column.name], data.table.mark(column.name)
        k = self.schema_.threshold(column)
        if column.kind.is_number or column.kind.is_time:
            return fit_numbers(
                series,
                mark == 0,
                data.records,
                column,
                min_patients=k,
                max_tokens=self.max_tokens,
                by_scale=column.name in self.by_scale,
                exact=any(_names_numbers(rule, column) for rule in self.schema_.confirmed_rules),
            )
        if column.kind is Kind.CODE_SET:
            shared = self.schema_.min_patients if column.min_patients is None else column.min_patients
            return fit_code_set(
                series,
                mark == 0,
                data.records,
                column,
                min_patients=k,
                min_patients_of_count=shared,
                max_codes=self.max_codes,
            )
        return fit_levels(_as_category(series), data.records, column, min_patients=k)

    @property
    def layout(self) -> Layout:
        """The encoded columns; a code set takes several fields, named "column" and "column: code"."""
        made: list[Field] = []
        for column, span in zip(self.schema_.learned, self.spans_, strict=True):
            for codec in self.fields_[span]:
                name = column.name if not made or made[-1].column != column.name else f"{column.name}: {_code_of(codec)}"
                ordered = isinstance(codec, NumberCodec) or codec.is_ordered
                positions = codec.positions()
                values = codec.values() if isinstance(codec, NumberCodec) else positions * np.float32(1.5)
                above = codec.coarser(column) if isinstance(codec, LevelCodec) else ()
                made.append(
                    Field(name, column.name, column.kind, codec.n_tokens, codec.n_missing, ordered, positions, values, above)
                )
        return Layout(tuple(made))

    def emitted(self, column: int) -> Allowed:
        """Which tokens of a column may be generated, bool (n_tokens,): those seen in training that have a text to be released as."""
        codec = self.fields_[column]
        possible = (self.counts_[column] > 0) & self.rules_.static[column]
        with_text = possible & codec.emitted() if isinstance(codec, LevelCodec) else possible
        if with_text.any():
            return with_text
        if codec.n_missing and _has_nothing_to_release(codec):
            return np.arange(codec.n_tokens) == 0  # no level that may be released: the cell stays empty
        return possible if possible.any() else np.ones(codec.n_tokens, dtype=bool)

    def allowed(self, column: int, tokens: Tokens, given: npt.NDArray[np.bool_]) -> Allowed | None:
        """Which tokens of a column the confirmed rules leave, given the columns already drawn.

        Parameters
        ----------
        tokens : int32 (n_rows, n_columns). given : bool (n_columns,), which columns of it are drawn.

        Returns
        -------
        bool (n_rows, n_tokens), or None where no rule speaks.
        """
        return self.rules_.allowed(column, tokens, given)

    def allowed_given(self, conditions: Mapping[str, Any] | Dataset | None, n: int) -> RuleMask:
        """`allowed` for n rows with these conditions, where a given number decides for itself and not as one of its group."""
        if not conditions or not self.rules_.implied:
            return self.allowed
        rows = conditions if isinstance(conditions, Dataset) else self._condition_row(conditions)
        numbers: dict[int, npt.NDArray[np.float64]] = {}
        for codec, span, column in zip(self.columns_, self.spans_, self.schema_.learned, strict=True):
            if isinstance(codec, NumberCodec) and column.name in rows.columns:
                values = to_units(rows.table.frame[column.name], codec.unit)
                values = values if column.decimals is None else np.round(values, column.decimals)
                numbers[span.start] = values if isinstance(conditions, Dataset) else np.repeat(values, n)

        def allowed(column: int, tokens: Tokens, given: npt.NDArray[np.bool_]) -> Allowed | None:
            """The rules with the given numbers of these rows."""
            return self.rules_.allowed(column, tokens, given, numbers)

        return allowed

    def encode(self, data: Dataset) -> Tokens:
        """Tokens int32 (n_rows, n_fields); a value without a token of its own goes where the column's codec says."""
        out = np.empty((len(data), len(self.fields_)), dtype=np.int32)
        for codec, span, column in zip(self.columns_, self.spans_, self.schema_.learned, strict=True):
            out[:, span] = _encode_column(data.table, codec, column)
        return out

    def encode_partial(self, data: Dataset) -> tuple[Tokens, npt.NDArray[np.bool_]]:
        """Tokens int32 (n_rows, n_columns) of a data set with some of the columns, and which those are, bool (n_columns,)."""
        there = np.zeros(len(self.fields_), dtype=bool)
        tokens = np.zeros((len(data), len(self.fields_)), dtype=np.int32)
        for codec, span, column in zip(self.columns_, self.spans_, self.schema_.learned, strict=True):
            if column.name in data.columns:
                there[span] = True
                tokens[:, span] = _encode_column(_aligned(data, column), codec, column)
        return tokens, there

    def encode_conditions(self, conditions: Mapping[str, Any] | Dataset | None, n: int) -> tuple[Tokens, npt.NDArray[np.bool_]]:
        """Tokens (n, n_columns) of conditions, and which columns are given, bool (n_columns,).

        Raises
        ------
        ParameterError : a column that the model does not know, or a value that it never learned, named by column only.
        """
        if conditions is None:
            return np.zeros((n, len(self.fields_)), dtype=np.int32), np.zeros(len(self.fields_), dtype=bool)
        if isinstance(conditions, Dataset):
            if len(conditions) != n:
                raise ParameterError(
                    f"{n} rows were asked for, but the conditions have {len(conditions)} rows. Give as many rows as conditions."
                )
            tokens, given = self.encode_partial(conditions)
            self.rules_.refuse(given)
            return tokens, given
        row = self._condition_row(conditions)
        tokens, given = self.encode_partial(row)
        self.rules_.refuse(given)
        return np.repeat(tokens, n, axis=0), given

    def _condition_row(self, conditions: Mapping[str, Any]) -> Dataset:
        learned = {column.name: column for column in self.schema_.learned}
        for name in conditions:
            if name not in learned:
                raise ParameterError(
                    f"The model has no column {name!r} to condition on. Its columns are {', '.join(map(repr, learned))}."
                )
        schema = self.schema_.only(conditions)
        texts = pd.DataFrame({name: [_condition_text(conditions[name])] for name in schema.names}, dtype=object)
        table = parse_table(texts, schema, where="The condition")
        for codec, column in zip(self.columns_, self.schema_.learned, strict=True):
            if column.name in schema and column.kind.is_number:
                _check_number(float(table.frame[column.name].iloc[0]), column)
            if column.name not in schema or not isinstance(codec, LevelCodec) or table.mark(column.name)[0]:
                continue
            if not len(codec.levels) or codec.encode(_as_category(table.frame[column.name]), column)[1][0]:
                known = ", ".join(codec.levels[: min(codec.n_frequent, 12)]) + (", …" if codec.n_frequent > 12 else ".")
                raise ParameterError(
                    f"The model never learned the value given for column {column.name!r}, or too few patients hold it. It knows {known}"
                )
        return flat(table, schema)

    def decode(
        self,
        tokens: Tokens,
        rng: np.random.Generator,
        *,
        first_key: int = 1,
        conditions: Mapping[str, Any] | Dataset | None = None,
        known: tuple[Dataset, npt.NDArray[np.bool_]] | None = None,
    ) -> Dataset:
        """A data set in the release's schema.

        Parameters
        ----------
        tokens : int32 (n_rows, n_columns). rng : draws values within groups.
        first_key : keys made anew count from here.
        conditions : cells that were given; they are kept to the last digit, and confirmed rules hold around them.
        known : instead of conditions, rows and which of their fields are given, bool (n_rows, n_fields): rules are settled around
            these numbers, and whoever asked puts the cells back.
        """
        schema, marks = self.release_schema, {}
        cells: dict[str, Any] = {}
        numbers: dict[int, npt.NDArray[np.float64]] = {}
        for codec, span, column in zip(self.columns_, self.spans_, self.schema_.learned, strict=True):
            drawn = tokens[:, span.start]
            present = drawn >= codec.n_missing
            if not present.all():
                marks[column.name] = np.where(present, 0, drawn + 1).astype(np.int8)
            if isinstance(codec, NumberCodec):
                numbers[span.start] = np.full(len(tokens), np.nan)
                numbers[span.start][present] = codec.decode(drawn[present], rng)
            elif isinstance(codec, CodeSetCodec):
                cells[column.name] = pd.Series(codec.decode(tokens[:, span]), dtype=object)
            else:
                cells[column.name] = codec.decode(drawn, rng)
                lost = present & (cells[column.name].codes < 0)  # a group that nothing may be released for
                if lost.any():
                    marks[column.name] = np.where(lost, 1, marks.get(column.name, 0)).astype(np.int8)
        fixed = self._fix(numbers, conditions) if known is None else self._fix_known(numbers, *known)
        self.rules_.settle(tokens, numbers, fixed, rng)
        for codec, span, column in zip(self.columns_, self.spans_, self.schema_.learned, strict=True):
            if isinstance(codec, NumberCodec):
                cells[column.name] = _from_numbers(numbers[span.start], codec, column)
        columns = {c.name: new_keys(c, first_key, len(tokens)) if is_key(c) else cells[c.name] for c in schema}
        frame = pd.DataFrame(columns, index=pd.RangeIndex(len(tokens)))
        return self.keep(flat(Table(frame, marks), schema, self.native_), conditions)

    def _fix(
        self, numbers: dict[int, npt.NDArray[np.float64]], conditions: Mapping[str, Any] | Dataset | None
    ) -> npt.NDArray[np.bool_]:
        """Puts given numbers in place of drawn ones before rules are settled, and says which columns are given, bool (n_columns,)."""
        fixed = np.zeros(len(self.fields_), dtype=bool)
        if not conditions:
            return fixed
        row = conditions if isinstance(conditions, Dataset) else self._condition_row(conditions)
        for codec, span, column in zip(self.columns_, self.spans_, self.schema_.learned, strict=True):
            if column.name not in row.columns:
                continue
            fixed[span] = True
            if isinstance(codec, NumberCodec):
                given = to_units(row.table.frame[column.name], codec.unit)
                drawn = numbers[span.start]
                numbers[span.start] = given.copy() if isinstance(conditions, Dataset) else np.full(len(drawn), given[0])
        return fixed

    def _fix_known(
        self, numbers: dict[int, npt.NDArray[np.float64]], rows: Dataset, fields: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        for codec, span, column in zip(self.columns_, self.spans_, self.schema_.learned, strict=True):
            if isinstance(codec, NumberCodec) and column.name in rows.columns:
                given = to_units(rows.table.frame[column.name], codec.unit)
                numbers[span.start] = np.where(fields[:, span.start], given, numbers[span.start])
        return fields

    def keep(self, data: Dataset, conditions: Mapping[str, Any] | Dataset | None) -> Dataset:
        """Puts the given cells in place of their decoded ones, so that a condition is kept to the last digit."""
        if not conditions:
            return data
        row = conditions if isinstance(conditions, Dataset) else self._condition_row(conditions)
        rows = np.arange(len(data)) if isinstance(conditions, Dataset) else np.zeros(len(data), dtype=np.int64)
        source, schema = row.table.take(rows), row.columns
        frame, marks = data.table.frame.copy(), dict(data.table.marks)
        learned = {column.name for column in self.schema_.learned}
        for name in schema.names:
            if name not in frame.columns or name not in learned:  # keys are made anew whatever was given
                continue
            frame[name] = source.frame[name]
            marks.pop(name, None)
            if name in source.marks:
                marks[name] = source.marks[name]
        return data.with_table(Table(frame, marks))

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted, as JSON-able values and arrays."""
        values: dict[str, Any] = {"max_tokens": self.max_tokens, "native": self.native_, "columns": []}
        arrays: dict[str, npt.NDArray[Any]] = {}
        for j, codec in enumerate(self.columns_):
            own, own_arrays = codec.state()
            values["columns"].append({"codec": type(codec).__name__, **own})
            arrays |= {f"column{j}.{name}": array for name, array in own_arrays.items()}
        values["schema"] = table_to_json(public_schema(self.schema_, self.columns_))
        arrays |= {f"field{j}.rows": counts for j, counts in enumerate(self.counts_)}
        rule_values, rule_arrays = self.rules_.state()
        values["rules"] = rule_values
        return values, arrays | {f"rules.{name}": array for name, array in rule_arrays.items()}

    @classmethod
    def from_state(cls, values: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> TableCodec:
        """The codec as saved.

        Raises
        ------
        ModelFolderError : sizes, types or places of the state contradict each other or the schema in it.
        """
        schema = table_from_json(values["schema"])
        check_columns(values, arrays, schema)
        codec = cls(max_tokens=values["max_tokens"])
        codec.schema_, codec.native_ = schema, values["native"]
        made: list[ColumnCodec] = []
        for j, own in enumerate(values["columns"]):
            mine = {name.split(".", 1)[1]: array for name, array in arrays.items() if name.startswith(f"column{j}.")}
            kind = _CODECS[own["codec"]]
            made.append(kind.from_state({key: value for key, value in own.items() if key != "codec"}, mine))
        codec._lay_out(tuple(made))
        check_fields(arrays, [one.n_tokens for one in codec.fields_])
        codec.counts_ = tuple(arrays[f"field{j}.rows"] for j in range(len(codec.fields_)))
        rule_arrays = {name.removeprefix("rules."): array for name, array in arrays.items() if name.startswith("rules.")}
        codec.rules_ = RuleMasks.from_state(values["rules"], rule_arrays, codec.schema_, codec.fields_, codec.spans_)
        return codec


_CODECS: dict[str, Any] = {kind.__name__: kind for kind in (NumberCodec, LevelCodec, CodeSetCodec)}


def _encode_column(table: Table, codec: ColumnCodec, column: Column) -> npt.NDArray[Any]:
    """Tokens of one column, (n_rows, n_fields of it)."""
    series, mark = table.frame[column.name], table.mark(column.name)
    if isinstance(codec, CodeSetCodec):
        return codec.encode(series, mark, column)
    tokens = mark.astype(np.int64) - 1
    present = mark == 0
    if present.any() and codec.n_tokens == codec.n_missing:
        tokens[present] = 0  # a column that had no value in training
    elif present.any() and isinstance(codec, NumberCodec):
        tokens[present] = codec.encode(to_units(series, codec.unit)[present])
    elif present.any() and isinstance(codec, LevelCodec):
        tokens[present] = codec.encode(_as_category(series)[present], column)[0]
    return tokens[:, None]


def _aligned(data: Dataset, column: Column) -> Table:
    """The table with the column's missing cells counted as the model counts its codes; a kind or code it does not know is refused."""
    theirs, table = data.columns[column.name], data.table
    same_shape = theirs.kind.is_number == column.kind.is_number and theirs.kind.is_time == column.kind.is_time
    if not same_shape:
        raise ParameterError(
            f"Column {column.name!r} is {theirs.kind} in the given rows and {column.kind} in the model. Read them by its schema."
        )
    codes = [code.value for code in column.missing]
    if [code.value for code in theirs.missing][: len(codes)] == codes[: len(theirs.missing)] or column.name not in table.marks:
        return table if table.mark(column.name).max(initial=0) <= len(codes) else _unknown_code(column)
    places = np.array([0, *(codes.index(c.value) + 1 if c.value in codes else -1 for c in theirs.missing)], dtype=np.int8)
    mark = places[table.marks[column.name]]
    return _unknown_code(column) if (mark < 0).any() else Table(table.frame, {**table.marks, column.name: mark})


def _unknown_code(column: Column) -> Table:
    raise ParameterError(f"Column {column.name!r} of the given rows has missing cells of a code that the model never learned.")


def _code_of(codec: FieldCodec) -> str:
    """The code that a field of a code set counts; its levels are "absent" and how often."""
    return codec.levels[1] if isinstance(codec, LevelCodec) else ""


def _has_nothing_to_release(codec: ColumnCodec) -> bool:
    return isinstance(codec, LevelCodec) and codec.n_frequent == 0 and not codec.released and bool(codec.levels)


def is_key(column: Column) -> bool:
    """Identifiers that are not direct ones, and the patient key, are made anew."""
    return (column.kind is Kind.IDENTIFIER or column.has_role(Role.PATIENT_KEY)) and not column.has_role(Role.DIRECT_IDENTIFIER)


def new_keys(column: Column, first: int, n: int) -> Any:
    """Keys counted from a number, (n,)."""
    numbers = np.arange(first, first + n)
    return numbers.astype(float) if column.kind.is_number else pd.Series(numbers.astype(str), dtype=object)


def _as_category(series: pd.Series) -> pd.Series:
    return series if isinstance(series.dtype, pd.CategoricalDtype) else series.astype("category")


def _names_numbers(rule: Rule, column: Column) -> bool:
    """Whether a rule speaks of single numbers of a column, and not of its missing codes alone."""
    if isinstance(rule, ImpliedRule):
        sides = zip(rule.columns, (rule.when, rule.then), strict=True)
        return any(name == column.name and set(texts) - {code.value for code in column.missing} for name, texts in sides)
    return isinstance(rule, CombinationRule) and column.name in rule.columns


def _from_numbers(values: npt.NDArray[np.float64], codec: NumberCodec, column: Column) -> Any:
    if not codec.unit:
        return np.round(values, column.decimals) if column.decimals is not None else values
    times = np.full(len(values), np.datetime64("NaT", "us"), dtype="datetime64[us]")
    there = ~np.isnan(values)
    times[there] = from_units(values[there], codec.unit)
    return times


def _check_number(value: float, column: Column) -> None:
    """A condition is kept to the digit or refused: no rounding, no number that a float cannot hold."""
    if abs(value) >= 2**53:
        raise ParameterError(f"The value given for column {column.name!r} is too large to be kept exactly. Give a smaller one.")
    if column.decimals is not None and np.isfinite(value) and round(value, column.decimals) != value:
        digits = "whole numbers" if column.decimals == 0 else f"{column.decimals} decimals"
        raise ParameterError(
            f"The value given for column {column.name!r} has more digits than the column, which holds {digits}."
        )


def _condition_text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(value)
