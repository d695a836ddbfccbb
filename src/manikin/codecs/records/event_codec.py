"""One table of events to tokens and back: the flat codec for its fields, and numbers by a code beside it. Knows no sequence and no keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.base import Allowed, Field, Layout, Tokens
from manikin.codecs.levels import LevelCodec
from manikin.codecs.records.by_code import NumberByCode, fit_by_code
from manikin.codecs.records.plan import EventPlan
from manikin.codecs.records.references import Reference, listed_tokens, release_listed, settle
from manikin.codecs.records.together import Together, allowed_by, find_together
from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, Marks, Table
from manikin.data.rules import RangeRule
from manikin.data.schema import EMPTY, Column, Kind, TableSchema

Floats = npt.NDArray[np.float64]
MANY = 20  # frequent levels from which on a column that is no code may say what its rows are about
NO_NUMBER = (EMPTY,)  # the missing code of a number by a code whose column has none: a code may have no number at all


def narrowed(out: Allowed, parts: Sequence[Allowed]) -> Allowed:
    """What all parts leave, bool (n_rows, n_tokens); a part that would leave a row nothing is passed over in that row."""
    for part in parts:
        left = out & part
        has_any = left.any(axis=1, keepdims=True)
        out = left if has_any.all() else np.where(has_any, left, out)
    return out


@dataclass(frozen=True)
class EventCodec:
    """A fitted table of events.

    Attributes
    ----------
    flat : the codec of everything but the numbers by a code. by : one codec for each of the plan's numbers by a code.
    fields : int64 (n_fields,), in drawing order: i >= 0 is field i of `flat`, -1 - k is number k by a code.
    references : its foreign keys to tables of nobody. together : what its fields never show together.
    is_whole : whether none of its rows may be left out of a release.
    """

    plan: EventPlan
    flat: TableCodec
    by: tuple[NumberByCode, ...]
    fields: npt.NDArray[np.int64]
    references: tuple[Reference, ...]
    together: tuple[Together, ...] = ()
    is_whole: bool = False

    @property
    def n_fields(self) -> int:
        """Fields of a row."""
        return len(self.fields)

    @cached_property
    def names(self) -> list[str]:
        """The fields' names in drawing order."""
        numbers = [number for number, _ in self.plan.by]
        flat = [field.name for field in self.flat.layout.fields]
        return [flat[i] if i >= 0 else numbers[-1 - i] for i in self.fields.tolist()]

    def field(self, name: str) -> int:
        """The place of the field of this name in drawing order, -1 where there is none."""
        return self.names.index(name) if name in self.names else -1

    @cached_property
    def about(self) -> int:
        """The field that says what a row is about, -1 where none does: the code that a number is by, else the richest code of a system,
        else, of codes, keys of dictionaries and other columns with many frequent levels, that one of which most rows have a frequent level,
        among those at least half as rich as the richest.
        """
        links, by = {link.name for link in self.plan.links}, {code for _, code in self.plan.by}
        keys = {name for reference in self.references for name in reference.columns} | set(self.plan.codes)
        sure: dict[int, tuple[bool, int]] = {}
        rich: dict[int, int] = {}
        for place, i in enumerate(self.fields.tolist()):
            own, name = self.flat.fields_[i] if i >= 0 else None, self.names[place]
            if not isinstance(own, LevelCodec) or own.is_ordered or name in links or own.n_tokens < 2:
                continue
            column = self.flat.schema_[name]
            if name in by or (column.kind is Kind.CODE and column.code_system):
                sure[place] = name in by, own.n_tokens
            elif name in keys or column.kind is Kind.CODE or (column.kind is Kind.CATEGORICAL and own.n_frequent >= MANY):
                rich[place] = own.n_frequent
        if sure:
            return max(sure, key=lambda place: sure[place])
        rich = {place: n for place, n in rich.items() if n >= max(rich.values()) / 2}
        return max(rich, key=lambda place: (self._share_shown(place), rich[place]), default=-1)

    def _share_shown(self, field: int) -> float:
        """The part of the rows that have a frequent level."""
        own, counts = self.flat.fields_[int(self.fields[field])], self.flat.counts_[int(self.fields[field])]
        assert isinstance(own, LevelCodec)
        return float(counts[own.n_missing : own.n_missing + own.n_frequent].sum() / max(counts.sum(), 1))

    @cached_property
    def withheld(self) -> Allowed:
        """Which tokens of `about` stand for rows that a release leaves out, bool (n_tokens,): codes that too few patients have, which
        have no group to be named by. Empty where no row is about anything, where the table stays whole, or where nothing would be left.
        """
        own = self.flat.fields_[int(self.fields[self.about])] if self.about >= 0 and not self.is_whole else None
        if not isinstance(own, LevelCodec) or not (own.n_frequent or own.released):
            return np.zeros(0, dtype=bool)
        out = np.zeros(own.n_tokens, dtype=bool)
        out[_merged(own)] = True
        return out & (self.flat.counts_[int(self.fields[self.about])] > 0)

    def places(self, field: int) -> npt.NDArray[np.int64]:
        """Where the tokens of a field of levels stand in the order of their texts, numbers by size, int64 (n_tokens,): -1 for missing codes
        and merged levels.
        """
        own = self.flat.fields_[int(self.fields[field])]
        assert isinstance(own, LevelCodec)
        texts = pd.Series(own.levels[: own.n_frequent], dtype=object)
        size = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float)
        out = np.full(own.n_tokens, -1, dtype=np.int64)
        out[own.n_missing + np.lexsort((texts.to_numpy(dtype=str), size))] = np.arange(len(texts))
        return out

    def layout(self, schema: TableSchema) -> Layout:
        """The fields in drawing order: gap, how long before its place, links, then columns, each number behind the code it is by."""
        flat, out = self.flat.layout.fields, []
        for i in self.fields.tolist():
            if i >= 0:
                out.append(flat[i])
                continue
            own, name = self.by[-1 - i], self.plan.by[-1 - i][0]
            kind = schema[name].kind if name in schema else flat[0].kind
            out.append(
                Field(name, name, kind, own.n_tokens, own.n_missing, is_ordered=True, positions=own.positions(), values=own.values())
            )
        return Layout(tuple(out))

    def encode(self, rows: Dataset, table: Table) -> Tokens:
        """Tokens int32 (n_rows, n_fields) of flat rows; `table` holds the rows of the table itself, in the same order."""
        flat = self.flat.encode(rows)
        out = np.empty((len(flat), self.n_fields), dtype=np.int32)
        for place, i in enumerate(self.fields.tolist()):
            if i >= 0:
                out[:, place] = flat[:, i]
            else:
                values, mark = number_cells(table, self.plan.by[-1 - i][0])
                out[:, place] = self.by[-1 - i].encode(values, mark, flat[:, self._code_field(-1 - i)])
        return out

    def decode(self, tokens: Tokens, rng: np.random.Generator) -> Table:
        """The flat rows and the numbers by a code, drawn for tokens (n_rows, at least n_fields)."""
        flat = np.empty((len(tokens), int((self.fields >= 0).sum())), dtype=np.int32)
        for place, i in enumerate(self.fields.tolist()):
            if i >= 0:
                flat[:, i] = tokens[:, place]
        table = settle(self.flat.decode(flat, rng).table, self.references, rng)
        frame, marks = table.frame, dict(table.marks)
        for place, i in enumerate(self.fields.tolist()):
            if i >= 0:
                continue
            (name, code), own, drawn = self.plan.by[-1 - i], self.by[-1 - i], tokens[:, place]
            numbers = own.decode(drawn, self._code_tokens(table, code), rng)
            frame = frame.assign(**{name: numbers})
            mark = np.where(np.isnan(numbers), np.where(drawn < own.n_missing, drawn + 1, 1), 0)
            if mark.any():
                marks[name] = mark.astype(np.int8)
        return Table(frame, marks)

    def emitted(self, field: int) -> Allowed:
        """Which tokens of a field may be generated, bool (n_tokens,)."""
        return self._emitted[field]

    @cached_property
    def _emitted(self) -> list[Allowed]:
        out = [self._emitted_of(field) for field in range(self.n_fields)]
        if len(self.withheld):
            out[self.about] = out[self.about] | self.withheld
        return out

    def _emitted_of(self, field: int) -> Allowed:
        i = int(self.fields[field])
        if i < 0:
            return np.asarray(self.by[-1 - i].seen.any(axis=0))
        out, codec = self.flat.emitted(i), self.flat.fields_[i]
        for reference in self.references:
            for place, name in enumerate(reference.columns):
                if isinstance(codec, LevelCodec) and name in self.flat.schema_ and code_field(self.flat, name) == i:
                    listed = out & listed_tokens(codec, reference.known(place))
                    out = listed if listed.any() else out
        return out

    def allowed(self, field: int, tokens: Tokens) -> Allowed | None:
        """Which tokens of a field the fields before it leave, bool (n_rows, n_tokens), by rules and by code; None where all are left.

        Parameters
        ----------
        tokens : int32 (n_rows, at least n_fields), drawn up to this field.
        """
        parts = list(allowed_by(self.together, field, tokens))
        own = self._allowed_by_rules(field, tokens)
        if own is None and not parts:
            return None
        out = self.emitted(field)[None] if own is None else own
        return narrowed(np.broadcast_to(out, (len(tokens), out.shape[1])), parts)

    def _allowed_by_rules(self, field: int, tokens: Tokens) -> Allowed | None:
        i = int(self.fields[field])
        if i < 0:
            code = self._code_field(-1 - i)
            return self.by[-1 - i].allowed(tokens[:, int(np.flatnonzero(self.fields == code)[0])])
        if not self.flat.rules_.has_rules:
            return None
        drawn = self.fields[:field]
        drawn = drawn[drawn >= 0]
        given = np.zeros(len(self.flat.fields_), dtype=bool)
        given[drawn] = True
        flat = np.zeros((len(tokens), len(given)), dtype=np.int32)
        for place, j in enumerate(self.fields[:field].tolist()):
            if j >= 0:
                flat[:, j] = tokens[:, place]
        return self.flat.allowed(i, flat, given)

    def with_together(self, tokens: Tokens, owner: npt.NDArray[np.int64], schema: TableSchema) -> EventCodec:
        """The codec with what the fields of its rows, int32 (n_rows, n_fields), never show together."""
        own = {c.name: c.min_patients for c in schema if c.min_patients is not None}
        k = [own.get(name, schema.min_patients) for name in self.names]
        return replace(self, together=find_together(tokens, self._groups(), owner, min_patients=k))

    def _groups(self) -> list[npt.NDArray[np.int64]]:
        """The group of each token of each field, as `find_together` counts them: levels apart, numbers and links there or missing."""
        links, out = {link.name for link in self.plan.links}, []
        for field, i in enumerate(self.fields.tolist()):
            codec = self.by[-1 - i] if i < 0 else self.flat.fields_[i]
            tokens, n_missing = np.arange(codec.n_tokens), codec.n_missing
            is_level = isinstance(codec, LevelCodec) and self.names[field] not in links
            group = tokens if is_level else np.minimum(tokens, n_missing)
            out.append(np.where(self.emitted(field) & (field > 0), group, -1))
        return out

    def _code_field(self, number: int) -> int:
        """The field of `flat` that holds the code of a number by a code."""
        return code_field(self.flat, self.plan.by[number][1])

    def _code_tokens(self, table: Table, name: str) -> npt.NDArray[np.int64]:
        """The tokens of the codes that a release shows, int64 (n_rows,)."""
        codec = self.flat.fields_[code_field(self.flat, name)]
        assert isinstance(codec, LevelCodec)
        cells = table.frame[name]
        index = {text: codec.n_missing + i for i, text in enumerate(codec.levels)}
        of_level = np.array([*(index.get(str(text), 0) for text in cells.cat.categories), 0], dtype=np.int64)
        return np.where(table.mark(name) > 0, table.mark(name).astype(np.int64) - 1, of_level[cells.cat.codes.to_numpy()])


def _merged(codec: LevelCodec) -> npt.NDArray[np.int64]:
    """The tokens of merged levels that have no name of their own in a release."""
    groups = set(range(codec.n_frequent, len(codec.levels))) - set(codec.released)
    return codec.n_missing + np.array(sorted(groups), dtype=np.int64)


def fit_events(
    rows: Dataset,
    table: Table,
    plan: EventPlan,
    schema: TableSchema,
    references: tuple[Reference, ...],
    *,
    max_tokens: int,
    max_codes: int,
    n_ranks: int,
) -> EventCodec:
    """Learns a table of events from its flat rows; `table` holds the rows of the table itself, in the same order."""
    spans = (plan.gap, plan.before, *(moment.name for moment in plan.moments))
    flat = TableCodec(max_tokens=max_tokens, max_codes=max_codes, by_scale=spans).fit(rows)
    release_listed(flat, references)
    by, encoded = [], flat.encode(rows) if plan.by else None
    for name, code in plan.by:
        assert encoded is not None
        values, mark = number_cells(table, name)
        column = by_column(schema[name])
        values = np.clip(values, *_limits(schema, column))
        place = code_field(flat, code)
        k = schema.threshold(schema[name])
        n_codes = flat.fields_[place].n_tokens
        codes = encoded[:, place]
        by.append(fit_by_code(values, mark, codes, n_codes, rows.records, column, min_patients=k, n_ranks=n_ranks))
    return EventCodec(plan, flat, tuple(by), drawing_order(flat, plan), references)


def drawing_order(flat: TableCodec, plan: EventPlan) -> npt.NDArray[np.int64]:
    """The fields of a table in drawing order, as `EventCodec.fields` tells them."""
    order: list[int] = []
    for column, span in zip(flat.schema_.learned, flat.spans_, strict=True):
        order += range(span.start, span.stop)
        order += [-1 - k for k, (_, code) in enumerate(plan.by) if code == column.name]
    return np.array(order, dtype=np.int64)


def code_field(flat: TableCodec, name: str) -> int:
    """The field of a discrete column."""
    return next(s.start for c, s in zip(flat.schema_.learned, flat.spans_, strict=True) if c.name == name)


def by_column(column: Column) -> Column:
    """The column of a number by a code; it has a missing code, since a code may have no number at all."""
    return column if column.missing else replace(column, missing=NO_NUMBER)


def number_cells(table: Table, name: str) -> tuple[Floats, Marks]:
    """Numbers and marks of a column."""
    return table.frame[name].to_numpy(dtype=float), table.mark(name)


def _limits(schema: TableSchema, column: Column) -> tuple[float, float]:
    """Confirmed ranges of a number."""
    low, high = -np.inf, np.inf
    for rule in schema.confirmed_rules:
        if isinstance(rule, RangeRule) and rule.columns == (column.name,):
            low = max(low, -np.inf if rule.minimum is None else rule.minimum)
            high = min(high, np.inf if rule.maximum is None else rule.maximum)
    return low, high
