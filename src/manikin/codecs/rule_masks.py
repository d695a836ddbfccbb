"""Confirmed rules as masks over tokens while a row is being drawn; the schema's rules bound to encoded columns.

A mask rules out only tokens that no completion could save; what is left open inside a group (two dates in the same interval) is settled
when the numbers are drawn, in `rule_settling`. Messages name kinds and columns of rules, never the values in them. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Allowed, Tokens
from manikin.codecs.levels import LevelCodec
from manikin.codecs.number_cells import Floats
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.rule_settling import ColumnCodec, Implied, NumberRules, Order
from manikin.codecs.rule_values import drawable, groups, holding, tokens_and_numbers
from manikin.codecs.saved_state import check_rules
from manikin.data.errors import ParameterError, SchemaError
from manikin.data.rules import CombinationRule, ImpliedRule, OrderRule, RangeRule, Rule, SumRule, UniqueRule
from manikin.data.schema import Column, Kind, TableSchema

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PairMask:
    """Which token pairs of two columns may stand together, bool (n_tokens_a, n_tokens_b).

    Attributes
    ----------
    implied : set for an implied rule of numbers, which a given number decides itself, whatever its group.
    """

    a: int
    b: int
    allowed: Bools
    implied: Implied | None = None

    def part(self, column: int, tokens: Tokens, numbers: Mapping[int, Floats]) -> Bools:
        """Which tokens of one of its columns are left beside the other, which is known, bool (n_rows, n_tokens)."""
        other = self.b if column == self.a else self.a
        out = self.allowed.T[tokens[:, other]] if column == self.a else self.allowed[tokens[:, other]]
        if self.implied is None or other not in numbers:
            return out
        there, rule = np.flatnonzero(~np.isnan(numbers[other])), self.implied
        values = numbers[other][there]
        if column == self.b:
            kept = np.isin(np.arange(out.shape[1]), rule.kept)
            out[there] = ~np.isin(values, rule.when_values)[:, None] | kept
        else:
            speaks = np.isin(np.arange(out.shape[1]), rule.speaks)
            out[there] = np.isin(values, rule.then_given)[:, None] | ~speaks
        return out


@dataclass(frozen=True)
class CombinationMask:
    """Which token tuples of some columns may stand together, int32 (n_combinations, n_columns)."""

    columns: tuple[int, ...]
    combinations: Tokens


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
    implied: tuple[Implied, ...] = ()

    @property
    def has_rules(self) -> bool:
        """Whether any rule binds two columns while drawing."""
        return bool(self.pairs or self.combinations)

    def allowed(self, column: int, tokens: Tokens, given: Bools, numbers: Mapping[int, Floats] | None = None) -> Allowed | None:
        """Which tokens of a column are left, bool (n_rows, n_tokens), given what is drawn so far; None where no rule speaks.

        Parameters
        ----------
        tokens : int32 (n_rows, n_columns).
        given : bool (n_columns,), or (n_rows, n_columns) where rows know different columns.
        numbers : given numbers float64 (n_rows,) by column, NaN where a row gives none: implied rules ask these, not their groups.
        """
        if not self.has_rules:
            return None
        numbers = {} if numbers is None else numbers
        if given.ndim == 2:
            return self._allowed_by_pattern(column, tokens, given, numbers)
        mask: Allowed | None = None
        for pair in self.pairs:
            if (pair.a == column and given[pair.b]) or (pair.b == column and given[pair.a]):
                part = pair.part(column, tokens, numbers)
                mask = part if mask is None else mask & part
        for combination in self.combinations:
            part_or_none = _combination_part(combination, column, tokens, given, self.codecs[column].n_tokens)
            if part_or_none is not None:
                mask = part_or_none if mask is None else mask & part_or_none
        return mask

    def _allowed_by_pattern(self, column: int, tokens: Tokens, given: Bools, numbers: Mapping[int, Floats]) -> Allowed | None:
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
            part = self.allowed(column, tokens[rows], known, {c: values[rows] for c, values in numbers.items()})
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
        """Makes drawn numbers obey ranges, orders, implied numbers and sums, in place.

        Parameters
        ----------
        fixed : bool (n_columns,) or (n_rows, n_columns), the cells that are given and stay.
        """
        if self.ranges or self.orders or self.sums or self.implied:
            rules = NumberRules(self.codecs, self.decimals, self.orders, self.sums, self.ranges, self.implied)
            rules.settle(tokens, numbers, np.broadcast_to(fixed, (len(tokens), len(self.codecs))), rng)

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """What the schema alone cannot give back: the combinations found, and the tokens that lead into no dead end."""
        values = {"combinations": [list(mask.columns) for mask in self.combinations]}
        arrays: dict[str, npt.NDArray[Any]] = {f"combination{i}": m.combinations for i, m in enumerate(self.combinations)}
        return values, arrays | (
            {f"static{j}": own.astype(np.uint8) for j, own in enumerate(self.static)} if self.pairs else {}
        )

    @classmethod
    def from_state(
        cls,
        values: dict[str, Any],
        arrays: dict[str, npt.NDArray[Any]],
        schema: TableSchema,
        codecs: Sequence[ColumnCodec],
        spans: Sequence[slice],
    ) -> RuleMasks:
        """The masks as saved; everything but the combinations and the tokens left open is made again from the schema."""
        sizes = [codec.n_tokens for codec in codecs]
        check_rules(values, arrays, schema, _places(schema, spans), sizes)
        combinations = tuple(
            CombinationMask(tuple(columns), arrays[f"combination{i}"]) for i, columns in enumerate(values["combinations"])
        )
        saved = [arrays.get(f"static{j}") for j in range(len(codecs))]
        static = [
            np.ones(size, dtype=bool) if own is None else own.astype(bool) for size, own in zip(sizes, saved, strict=True)
        ]
        return _build(schema, tuple(codecs), spans, combinations, static)


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
    records : the patient of each row; a combination that fewer than k patients hold is not allowed.

    Raises
    ------
    SchemaError : a confirmed rule speaks of a column that is not learned, or cannot be kept; it names columns, never values.
    """
    place = _places(schema, spans)
    combinations = []
    for rule in schema.confirmed_rules:
        if isinstance(rule, CombinationRule):
            columns = tuple(_place(place, rule, name) for name in rule.columns)
            if rule.allowed is not None:
                combinations.append(_listed(rule, schema, codecs, spans))
            else:
                combinations.append(CombinationMask(columns, _seen(rule, tokens[:, columns], records, schema.min_patients)))
    static = [np.bincount(tokens[:, j], minlength=codec.n_tokens) > 0 for j, codec in enumerate(codecs)]
    return _build(schema, tuple(codecs), spans, tuple(combinations), static)


def declared_rule_masks(
    schema: TableSchema, codecs: Sequence[NumberCodec | LevelCodec], spans: Sequence[slice], counts: Sequence[npt.NDArray[np.int64]]
) -> tuple[TableSchema, RuleMasks, list[Rule]]:
    """The schema and masks of the rules that need nothing learned, and the rules that are left out because they do or cannot be kept.

    Parameters
    ----------
    counts : rows per token and column; tokens without any are not drawn.
    """

    def masks(own: TableSchema) -> RuleMasks:
        """The masks of a schema's rules."""
        rows = [rule for rule in own.confirmed_rules if isinstance(rule, CombinationRule)]
        return _build(own, tuple(codecs), spans, tuple(_listed(rule, own, codecs, spans) for rule in rows), _held(counts))

    kept: list[Rule] = []
    left_out: list[Rule] = []
    for rule in schema.confirmed_rules:
        try:
            if isinstance(rule, CombinationRule) and rule.allowed is None:
                raise SchemaError("Its combinations are not listed.")
            masks(replace(schema, rules=(*kept, rule)))
        except (SchemaError, KeyError):
            left_out.append(rule)
        else:
            kept.append(rule)
    schema = replace(schema, rules=tuple(kept))
    return schema, masks(schema), left_out


def _held(counts: Sequence[npt.NDArray[np.int64]]) -> list[Bools]:
    return [own > 0 for own in counts]


def _listed(
    rule: CombinationRule, schema: TableSchema, codecs: Sequence[ColumnCodec], spans: Sequence[slice]
) -> CombinationMask:
    """The combinations that a rule lists, as tokens."""
    place = _places(schema, spans)
    columns = tuple(_place(place, rule, name) for name in rule.columns)
    rows = [_texts_to_tokens(rule, combo, columns, _owners(schema, spans), codecs) for combo in rule.allowed or ()]
    return CombinationMask(columns, np.array(rows, dtype=np.int32).reshape(-1, len(columns)))


def _build(
    schema: TableSchema,
    codecs: tuple[ColumnCodec, ...],
    spans: Sequence[slice],
    combinations: tuple[CombinationMask, ...],
    static: Sequence[Bools],
) -> RuleMasks:
    """`static` says which tokens may be drawn at all, bool (n_tokens,) per column; rules take from it, in place."""
    learned = _owners(schema, spans)
    place = _places(schema, spans)
    pairs: list[PairMask] = []
    orders: list[Order] = []
    sums: list[tuple[int, ...]] = []
    ranges: list[tuple[int, float, float]] = []
    implied: list[Implied] = []
    for rule in schema.confirmed_rules:
        if isinstance(rule, UniqueRule) and all(name not in place for name in rule.columns):
            continue  # keys are made anew and unique
        columns = [_place(place, rule, name) for name in rule.columns]
        if isinstance(rule, OrderRule):
            orders.append(_order(rule, columns, codecs))
        elif isinstance(rule, SumRule):
            _require_numbers(rule, columns, codecs)
            _refuse_times(rule, columns, codecs)
            sums.append(tuple(columns))
        elif isinstance(rule, RangeRule):
            ranges.append(_range(rule, columns[0], codecs, static))
        elif isinstance(rule, ImpliedRule):
            pair, numbers = _implied(rule, columns, codecs, learned)
            pairs.append(pair)
            implied += numbers
        elif isinstance(rule, UniqueRule):
            raise SchemaError(
                f"The confirmed {rule.about} cannot be kept for columns that are learned. "
                "Declare one of them an identifier, or do not confirm it."
            )
    closed = _closure(orders)
    pairs += [PairMask(o.a, o.b, _order_mask(o, codecs)) for o in closed]
    _prune(static, pairs)
    decimals = tuple(column.decimals for column in learned)
    names = tuple(column.name for column in learned)
    return RuleMasks(
        names,
        codecs,
        tuple(static),
        pairs=tuple(pairs),
        combinations=combinations,
        orders=tuple(closed),
        sums=_sorted_sums(sums, names),
        ranges=tuple(ranges),
        decimals=decimals,
        implied=tuple(implied),
    )


def _sorted_sums(sums: Sequence[tuple[int, ...]], names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Sums in the order in which they can be computed: a total that is a part elsewhere first."""
    totals = [total for total, *_ in sums]
    twice = sorted({names[total] for total in totals if totals.count(total) > 1})
    if twice:
        raise SchemaError(f"Two confirmed sums have the total {', '.join(map(repr, twice))}. Confirm only one of them.")
    out: list[tuple[int, ...]] = []
    left = list(sums)
    while left:
        waiting = {total for total, *_ in left}
        ready = [columns for columns in left if not waiting & set(columns[1:])]
        if not ready:
            circle = ", ".join(sorted(repr(names[total]) for total in waiting))
            raise SchemaError(f"The confirmed sums of {circle} need one another's totals. Do not confirm one of them.")
        out += ready
        left = [columns for columns in left if columns not in ready]
    return tuple(out)


def _prune(static: Sequence[Bools], pairs: Sequence[PairMask]) -> None:
    """Rules out, in place, tokens that no token of another column can stand beside, so that drawing them first is no dead end."""
    grew = True
    while grew:
        grew = False
        for pair in pairs:
            for column, left in (
                (pair.a, static[pair.a] & (pair.allowed & static[pair.b]).any(axis=1)),
                (pair.b, static[pair.b] & (pair.allowed & static[pair.a][:, None]).any(axis=0)),
            ):
                if left.any() and (left != static[column]).any():
                    static[column][:] = left
                    grew = True


def _owners(schema: TableSchema, spans: Sequence[slice]) -> list[Column]:
    """The column that each field belongs to."""
    return [column for column, span in zip(schema.learned, spans, strict=True) for _ in range(span.stop - span.start)]


def _places(schema: TableSchema, spans: Sequence[slice]) -> dict[str, int]:
    """The field of each column that rules may speak of; a code set has none."""
    return {c.name: span.start for c, span in zip(schema.learned, spans, strict=True) if c.kind is not Kind.CODE_SET}


def _place(place: dict[str, int], rule: Rule, name: str) -> int:
    if name not in place:
        raise SchemaError(
            f"The confirmed {rule.about} names {name!r}, which is no column that rules can bind. Do not confirm it."
        )
    return place[name]


def _require_numbers(rule: Rule, columns: Sequence[int], codecs: Sequence[ColumnCodec]) -> None:
    if not all(isinstance(codecs[column], NumberCodec) for column in columns):
        raise SchemaError(f"The confirmed {rule.about} needs numbers or times. Correct the kinds of its columns.")


def _refuse_times(rule: Rule, columns: Sequence[int], codecs: Sequence[ColumnCodec]) -> None:
    if any(codec.unit for codec in (codecs[column] for column in columns) if isinstance(codec, NumberCodec)):
        raise SchemaError(f"The confirmed {rule.about} adds up times. Correct the kinds of its columns, or do not confirm it.")


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


def _implied(
    rule: ImpliedRule, columns: Sequence[int], codecs: Sequence[ColumnCodec], learned: Sequence[Column]
) -> tuple[PairMask, list[Implied]]:
    """The rule over tokens that stand for one value, and over numbers where a side is a number."""
    a, b = columns
    when, when_values = tokens_and_numbers(rule, rule.when, learned[a], codecs[a])
    then, then_given = tokens_and_numbers(rule, rule.then, learned[b], codecs[b])
    first, second = codecs[a], codecs[b]
    if isinstance(first, LevelCodec):  # a group of levels that may be released as one of them speaks too
        when |= {token for token, levels in groups(first) if levels & when}
    if isinstance(second, LevelCodec):
        then |= {token for token, levels in groups(second) if levels <= then}
    speaks = when | holding(first, when_values, exact=True)
    kept = then | holding(second, then_given, exact=False)
    if (speaks or drawable(first, when_values)) and not kept:
        raise SchemaError(
            f"The confirmed {rule.about} implies values of {rule.columns[1]!r} that too few patients hold. Do not confirm it."
        )
    mask = np.ones((first.n_tokens, second.n_tokens), dtype=bool)
    mask[sorted(speaks)] = np.isin(np.arange(second.n_tokens), sorted(kept))
    if not isinstance(first, NumberCodec) and not isinstance(second, NumberCodec):
        return PairMask(a, b, mask), []
    numbers = Implied(
        a,
        b,
        when=tuple(sorted(when)),
        then=tuple(sorted(then)),
        when_values=when_values,
        then_values=drawable(second, then_given),
        then_given=then_given,
        speaks=tuple(sorted(speaks)),
        kept=tuple(sorted(kept)),
    )
    return PairMask(a, b, mask, numbers), [numbers]


def _texts_to_tokens(
    rule: Rule, texts: Sequence[str], columns: Sequence[int], owners: Sequence[Column], codecs: Sequence[ColumnCodec]
) -> list[int]:
    """The tokens of a combination, each of which stands for nothing but its value."""
    found = []
    for text, c in zip(texts, columns, strict=True):
        tokens, values = tokens_and_numbers(rule, [text], owners[c], codecs[c])
        found += sorted(tokens | holding(codecs[c], values, exact=True))[:1]
    if len(found) < len(columns):
        raise SchemaError(
            f"The confirmed {rule.about} allows a combination of which a part is not among the values that may be released. "
            "Remove that combination, or do not confirm the rule."
        )
    return found


def _seen(rule: Rule, tokens: Tokens, records: npt.NDArray[np.int64], k: int) -> Tokens:
    """Combinations that at least k patients hold, int32 (n_combinations, n_columns)."""
    distinct, inverse = np.unique(tokens, axis=0, return_inverse=True)
    pairs = np.unique(np.column_stack([inverse.ravel(), records]), axis=0)[:, 0]
    holders = np.bincount(pairs, minlength=len(distinct))
    if not (holders >= k).any():
        raise SchemaError(
            f"The confirmed {rule.about}: no combination is held by as many as {k} patients, so none may be released. "
            "Do not confirm it, or list the combinations that are public under `allowed`."
        )
    return distinct[holders >= k].astype(np.int32)


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
