"""Confirmed rules as masks over tokens while a row is being drawn, and as a last settlement of the numbers inside their groups.

A mask rules out only tokens that no completion could save; what is left open inside a group (two dates in the same interval) is settled
when the numbers are drawn. Sums are settled by computing the total. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Allowed, Tokens
from manikin.codecs.levels import LevelCodec
from manikin.codecs.numbers import Floats, NumberCodec
from manikin.data.errors import ParameterError, SchemaError
from manikin.data.rules import CombinationRule, ImpliedRule, OrderRule, RangeRule, Rule, SumRule, UniqueRule
from manikin.data.schema import Column, Kind, TableSchema

ColumnCodec = NumberCodec | LevelCodec
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PairMask:
    """Which token pairs of two columns may stand together, bool (n_tokens_a, n_tokens_b)."""

    a: int
    b: int
    allowed: Bools


@dataclass(frozen=True)
class CombinationMask:
    """Which token tuples of some columns may stand together, int32 (n_combinations, n_columns)."""

    columns: tuple[int, ...]
    combinations: Tokens


@dataclass(frozen=True)
class Order:
    """Column a lies before column b; `scale` brings both to one unit."""

    a: int
    b: int
    is_strict: bool
    scale_a: float
    scale_b: float


@dataclass(frozen=True)
class RuleMasks:
    """The confirmed rules of a table over its encoded columns."""

    names: tuple[str, ...]
    codecs: tuple[ColumnCodec, ...]
    static: tuple[Bools, ...]
    pairs: tuple[PairMask, ...] = ()
    combinations: tuple[CombinationMask, ...] = ()
    orders: tuple[Order, ...] = ()
    sums: tuple[tuple[int, ...], ...] = ()
    ranges: tuple[tuple[int, float, float], ...] = ()
    decimals: tuple[int | None, ...] = ()

    @property
    def has_rules(self) -> bool:
        """Whether any rule binds two columns while drawing."""
        return bool(self.pairs or self.combinations)

    def allowed(self, column: int, tokens: Tokens, given: Bools) -> Allowed | None:
        """Which tokens of a column are left, bool (n_rows, n_tokens), given what is drawn so far; None where no rule speaks.

        Parameters
        ----------
        tokens : int32 (n_rows, n_columns).
        given : bool (n_columns,), or (n_rows, n_columns) where rows know different columns.
        """
        if not self.has_rules:
            return None
        if given.ndim == 2:
            return self._allowed_by_pattern(column, tokens, given)
        mask: Allowed | None = None
        for pair in self.pairs:
            if pair.a == column and given[pair.b]:
                part = pair.allowed.T[tokens[:, pair.b]]
            elif pair.b == column and given[pair.a]:
                part = pair.allowed[tokens[:, pair.a]]
            else:
                continue
            mask = part.copy() if mask is None else mask & part
        for combination in self.combinations:
            part_or_none = _combination_part(combination, column, tokens, given, self.codecs[column].n_tokens)
            if part_or_none is not None:
                mask = part_or_none if mask is None else mask & part_or_none
        return mask

    def _allowed_by_pattern(self, column: int, tokens: Tokens, given: Bools) -> Allowed | None:
        """Rows that know the same of the columns that rules bind are asked together."""
        in_pairs = {c for pair in self.pairs for c in (pair.a, pair.b)}
        bound = sorted(in_pairs | {c for mask in self.combinations for c in mask.columns})
        if column not in bound:
            return None
        patterns, inverse = np.unique(given[:, bound], axis=0, return_inverse=True)
        out = np.ones((len(tokens), self.codecs[column].n_tokens), dtype=bool)
        for i, pattern in enumerate(patterns):
            rows = np.flatnonzero(inverse.ravel() == i)
            known = np.zeros(given.shape[1], dtype=bool)
            known[bound] = pattern
            part = self.allowed(column, tokens[rows], known)
            if part is not None:
                out[rows] = part
        return out

    def refuse(self, given: Bools) -> None:
        """Conditions that could only be kept by breaking a sum are refused by name."""
        for total, *parts in self.sums:
            if given[total] and not given[parts].all():
                names = ", ".join(repr(self.names[part]) for part in parts)
                raise ParameterError(
                    f"Column {self.names[total]!r} is the sum of {names} by a confirmed rule. "
                    "Condition on these instead, or on all of them."
                )

    def settle(self, tokens: Tokens, numbers: dict[int, Floats], fixed: Bools, rng: np.random.Generator) -> None:
        """Makes drawn numbers obey ranges, orders and sums, in place.

        Parameters
        ----------
        fixed : bool (n_columns,) or (n_rows, n_columns), the cells that are given and stay.
        """
        if not (self.ranges or self.orders or self.sums):
            return
        fixed = np.broadcast_to(fixed, (len(tokens), len(self.codecs)))
        for column, low, high in self.ranges:
            stays = fixed[:, column]
            self._into(column, tokens, numbers, np.where(stays, -np.inf, low), np.where(stays, np.inf, high), rng)
        self._settle_orders(tokens, numbers, fixed, rng)
        for total, *parts in self.sums:
            whole = np.sum([numbers[part] for part in parts], axis=0)
            there = ~np.isnan(whole) & ~np.isnan(numbers[total]) & ~fixed[:, total]
            decimals = self.decimals[total]
            numbers[total][there] = whole[there] if decimals is None else np.round(whole[there], decimals)

    def _settle_orders(self, tokens: Tokens, numbers: dict[int, Floats], fixed: Bools, rng: np.random.Generator) -> None:
        """In rows that break an order: latest possible values from the last column back, then each drawn after its predecessors."""
        broken = np.zeros(len(tokens), dtype=bool)
        for order in self.orders:
            first, second = numbers[order.a] * order.scale_a, numbers[order.b] * order.scale_b
            broken |= first >= second if order.is_strict else first > second
        rows = np.flatnonzero(broken)
        if not len(rows):
            return
        own = {column: values[rows] for column, values in numbers.items()}
        drawn, stays = tokens[rows], fixed[rows]
        columns = sorted(
            {c for order in self.orders for c in (order.a, order.b)}, key=lambda c: sum(o.b == c for o in self.orders)
        )
        latest = {c: np.where(stays[:, c] | np.isnan(own[c]), own[c], self._bounds(c, drawn)[1]) for c in columns}
        for column in reversed(columns):
            for order in (o for o in self.orders if o.a == column):
                limit = (latest[order.b] * order.scale_b) / order.scale_a - (
                    _grid(self.codecs[column]) if order.is_strict else 0.0
                )
                latest[column] = np.fmin(latest[column], limit)
        for column in columns:
            earliest = np.full(len(rows), -np.inf)
            for order in (o for o in self.orders if o.b == column):
                limit = (own[order.a] * order.scale_a) / order.scale_b + (
                    _grid(self.codecs[column]) if order.is_strict else 0.0
                )
                earliest = np.fmax(earliest, limit)
            last = np.fmax(latest[column], earliest)
            kept = stays[:, column]
            self._into(column, drawn, own, np.where(kept, -np.inf, earliest), np.where(kept, np.inf, last), rng)
            numbers[column][rows] = own[column]

    def _bounds(self, column: int, tokens: Tokens) -> tuple[Floats, Floats]:
        codec = self.codecs[column]
        assert isinstance(codec, NumberCodec)
        low, high = codec.token_bounds()
        index = np.maximum(tokens[:, column] - codec.n_missing, 0)
        return low[index], high[index]

    def _into(
        self, column: int, tokens: Tokens, numbers: dict[int, Floats], low: Floats, high: Floats, rng: np.random.Generator
    ) -> None:
        """Redraws values outside [low, high] inside the part of their group that lies in it; the nearest end where none does."""
        codec = self.codecs[column]
        assert isinstance(codec, NumberCodec)
        values = numbers[column]
        out = np.flatnonzero((values < low) | (values > high))
        if not len(out):
            return
        own_low, own_high = self._bounds(column, tokens[out])
        low, high = low[out], high[out]
        grid = codec.step
        bottom = np.where(np.isfinite(low), np.ceil(low / grid - 1e-9) * grid, own_low)
        top = np.where(np.isfinite(high), np.floor(high / grid + 1e-9) * grid, own_high)
        bottom, top = np.maximum(own_low, bottom), np.minimum(own_high, top)
        empty = bottom > top
        nearest = np.where(values[out] < low, np.ceil(low / grid - 1e-9) * grid, np.floor(high / grid + 1e-9) * grid)
        drawn = codec.draw_within(np.where(empty, nearest, bottom), np.where(empty, nearest, top), rng)
        values[out] = drawn

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What the schema alone cannot give back: the combinations found."""
        values = {"combinations": [list(mask.columns) for mask in self.combinations]}
        return values, {f"combination{i}": mask.combinations for i, mask in enumerate(self.combinations)}

    @classmethod
    def from_state(
        cls,
        values: dict[str, Any],
        arrays: dict[str, npt.NDArray[Any]],
        schema: TableSchema,
        codecs: Sequence[ColumnCodec],
        spans: Sequence[slice],
    ) -> RuleMasks:
        """The masks as saved; everything but the combinations is made again from the schema."""
        combinations = tuple(
            CombinationMask(tuple(columns), arrays[f"combination{i}"].astype(np.int32))
            for i, columns in enumerate(values["combinations"])
        )
        return _build(schema, tuple(codecs), spans, combinations)


def fit_rule_masks(
    schema: TableSchema,
    codecs: Sequence[ColumnCodec],
    spans: Sequence[slice],
    tokens: Tokens,
    records: npt.NDArray[np.int64],
) -> RuleMasks:
    """Turns the schema's confirmed rules into masks.

    Parameters
    ----------
    tokens : the training rows, int32 (n_rows, n_columns), from which fixed combinations are taken.
    records : the patient of each row; a combination that fewer than k patients hold is not allowed, unless all are so rare.

    Raises
    ------
    SchemaError : a confirmed rule speaks of a column that is not learned, or cannot be kept.
    """
    place = _places(schema, spans)
    combinations = []
    for rule in schema.confirmed_rules:
        if isinstance(rule, CombinationRule):
            columns = tuple(_place(place, rule, name) for name in rule.columns)
            if rule.allowed is not None:
                rows = [_texts_to_tokens(rule, combo, columns, _owners(schema, spans), codecs) for combo in rule.allowed]
                combinations.append(CombinationMask(columns, np.array(rows, dtype=np.int32).reshape(-1, len(columns))))
            else:
                combinations.append(CombinationMask(columns, _seen(tokens[:, columns], records, schema.min_patients)))
    return _build(schema, tuple(codecs), spans, tuple(combinations))


def _build(
    schema: TableSchema, codecs: tuple[ColumnCodec, ...], spans: Sequence[slice], combinations: tuple[CombinationMask, ...]
) -> RuleMasks:
    learned = _owners(schema, spans)
    place = _places(schema, spans)
    static = tuple(np.ones(codec.n_tokens, dtype=bool) for codec in codecs)
    pairs: list[PairMask] = []
    orders: list[Order] = []
    sums: list[tuple[int, ...]] = []
    ranges: list[tuple[int, float, float]] = []
    for rule in schema.confirmed_rules:
        if isinstance(rule, UniqueRule) and all(name not in place for name in rule.columns):
            continue  # keys are made anew and unique
        columns = [_place(place, rule, name) for name in rule.columns]
        if isinstance(rule, OrderRule):
            orders.append(_order(rule, columns, codecs))
        elif isinstance(rule, SumRule):
            _require_numbers(rule, columns, codecs)
            sums.append(tuple(columns))
        elif isinstance(rule, RangeRule):
            ranges.append(_range(rule, columns[0], codecs, static))
        elif isinstance(rule, ImpliedRule):
            pairs.append(_implied(rule, columns, codecs, learned))
        elif isinstance(rule, UniqueRule):
            raise SchemaError(
                f"The confirmed rule '{rule.text}' cannot be kept for columns that are learned. "
                "Declare one of them an identifier, or do not confirm it."
            )
    closed = _closure(orders)
    pairs += [PairMask(o.a, o.b, _order_mask(o, codecs)) for o in closed]
    decimals = tuple(column.decimals for column in learned)
    names = tuple(column.name for column in learned)
    return RuleMasks(names, codecs, static, tuple(pairs), combinations, tuple(closed), tuple(sums), tuple(ranges), decimals)


def _owners(schema: TableSchema, spans: Sequence[slice]) -> list[Column]:
    """The column that each field belongs to."""
    return [column for column, span in zip(schema.learned, spans, strict=True) for _ in range(span.stop - span.start)]


def _places(schema: TableSchema, spans: Sequence[slice]) -> dict[str, int]:
    """The field of each column that rules may speak of; a code set has none."""
    return {c.name: span.start for c, span in zip(schema.learned, spans, strict=True) if c.kind is not Kind.CODE_SET}


def _place(place: dict[str, int], rule: Rule, name: str) -> int:
    if name not in place:
        raise SchemaError(
            f"The confirmed rule '{rule.text}' names {name!r}, which is no column that rules can bind. Do not confirm it."
        )
    return place[name]


def _require_numbers(rule: Rule, columns: Sequence[int], codecs: Sequence[ColumnCodec]) -> None:
    if not all(isinstance(codecs[column], NumberCodec) for column in columns):
        raise SchemaError(f"The confirmed rule '{rule.text}' needs numbers or times. Correct the kinds of its columns.")


def _order(rule: OrderRule, columns: Sequence[int], codecs: Sequence[ColumnCodec]) -> Order:
    _require_numbers(rule, columns, codecs)
    scales = [float(codec.unit or 1) for codec in (codecs[c] for c in columns) if isinstance(codec, NumberCodec)]
    return Order(columns[0], columns[1], rule.strict, scales[0], scales[1])


def _closure(orders: list[Order]) -> list[Order]:
    """With a <= b and b <= c also a <= c, so that a and c drawn first never leave b without a value."""
    known = {(o.a, o.b): o for o in orders}
    grew = True
    while grew:
        grew = False
        for first in list(known.values()):
            for second in list(known.values()):
                if first.b == second.a and first.a != second.b and (first.a, second.b) not in known:
                    strict = first.is_strict or second.is_strict
                    known[(first.a, second.b)] = Order(first.a, second.b, strict, first.scale_a, second.scale_b)
                    grew = True
    return list(known.values())


def _order_mask(order: Order, codecs: Sequence[ColumnCodec]) -> Bools:
    first, second = codecs[order.a], codecs[order.b]
    assert isinstance(first, NumberCodec)
    assert isinstance(second, NumberCodec)
    low = first.token_bounds()[0] * order.scale_a
    high = second.token_bounds()[1] * order.scale_b
    mask = np.ones((first.n_tokens, second.n_tokens), dtype=bool)
    inner = low[:, None] < high[None, :] if order.is_strict else low[:, None] <= high[None, :]
    mask[first.n_missing :, second.n_missing :] = inner
    return mask


def _range(rule: RangeRule, column: int, codecs: Sequence[ColumnCodec], static: Sequence[Bools]) -> tuple[int, float, float]:
    _require_numbers(rule, [column], codecs)
    codec = codecs[column]
    assert isinstance(codec, NumberCodec)
    low = -np.inf if rule.minimum is None else rule.minimum
    high = np.inf if rule.maximum is None else rule.maximum
    token_low, token_high = codec.token_bounds()
    static[column][codec.n_missing :] &= (token_high >= low) & (token_low <= high)
    return column, low, high


def _implied(rule: ImpliedRule, columns: Sequence[int], codecs: Sequence[ColumnCodec], learned: Sequence[Column]) -> PairMask:
    a, b = columns
    when = [t for text in rule.when if (t := _token_of(text, learned[a], codecs[a])) is not None]
    then = [t for text in rule.then if (t := _token_of(text, learned[b], codecs[b])) is not None]
    if when and not then:
        raise SchemaError(
            f"The confirmed rule about {rule.columns[0]!r} implies values of {rule.columns[1]!r} that too few patients hold."
        )
    mask = np.ones((codecs[a].n_tokens, codecs[b].n_tokens), dtype=bool)
    for token in when:
        mask[token] = False
        mask[token, then] = True
    return PairMask(a, b, mask)


def _token_of(text: str, column: Column, codec: ColumnCodec) -> int | None:
    """The token of a cell text; None where the value has none of its own."""
    for i, code in enumerate(column.missing):
        if code.value == text:
            return i
    if isinstance(codec, LevelCodec):
        return codec.n_missing + codec.levels.index(text) if text in codec.levels else None
    try:
        value = float(text)
    except ValueError:
        return None
    low, high = codec.token_bounds()
    inside = np.flatnonzero((low <= value) & (value <= high))
    exact = inside[(low[inside] == value) & (high[inside] == value)]
    chosen = exact if len(exact) else inside
    return codec.n_missing + int(chosen[0]) if len(chosen) else None


def _texts_to_tokens(
    rule: Rule, texts: Sequence[str], columns: Sequence[int], owners: Sequence[Column], codecs: Sequence[ColumnCodec]
) -> list[int]:
    found = [_token_of(text, owners[c], codecs[c]) for text, c in zip(texts, columns, strict=True)]
    if any(token is None for token in found):
        raise SchemaError(
            f"The rule '{rule.text}' allows a combination of which a part is not among the values that may be released."
        )
    return [token for token in found if token is not None]


def _seen(tokens: Tokens, records: npt.NDArray[np.int64], k: int) -> Tokens:
    """Combinations that at least k patients hold; all of them where none is so frequent. int32 (n_combinations, n_columns)."""
    distinct, inverse = np.unique(tokens, axis=0, return_inverse=True)
    pairs = np.unique(np.column_stack([inverse.ravel(), records]), axis=0)[:, 0]
    holders = np.bincount(pairs, minlength=len(distinct))
    return (distinct[holders >= k] if (holders >= k).any() else distinct).astype(np.int32)


def _combination_part(mask: CombinationMask, column: int, tokens: Tokens, given: Bools, n_tokens: int) -> Allowed | None:
    if column not in mask.columns:
        return None
    own = mask.columns.index(column)
    drawn = [i for i, c in enumerate(mask.columns) if i != own and given[c]]
    out = np.zeros((len(tokens), n_tokens), dtype=bool)
    if not drawn:
        out[:, np.unique(mask.combinations[:, own])] = True
        return out
    keys = mask.combinations[:, drawn]
    rows, inverse = np.unique(tokens[:, [mask.columns[i] for i in drawn]], axis=0, return_inverse=True)
    table = np.zeros((len(rows), n_tokens), dtype=bool)
    for r, row in enumerate(rows):
        table[r, mask.combinations[(keys == row).all(axis=1), own]] = True
    return table[inverse.ravel()]


def _grid(codec: ColumnCodec) -> float:
    assert isinstance(codec, NumberCodec)
    return codec.step
