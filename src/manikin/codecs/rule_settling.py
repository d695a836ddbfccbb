"""Confirmed rules over drawn numbers: ranges, orders, implied numbers and sums settled in place. Knows no tokens' masks and no model.

A cell that is given stays. A total is computed from its parts, in the order in which totals build on each other; where the total breaks a
range or an order, its parts are drawn again inside their own groups, and moved only where no draw fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Tokens
from manikin.codecs.levels import LevelCodec
from manikin.codecs.number_cells import Floats
from manikin.codecs.numbers import NumberCodec

ColumnCodec = NumberCodec | LevelCodec
Bools = npt.NDArray[np.bool_]
Numbers = dict[int, Floats]

ROUNDS = 3  # implied numbers, orders and sums may push one another this often
TRIES = 40  # draws of a sum's parts before they are moved out of their groups
SLACK = 1e-9


@dataclass(frozen=True)
class Order:
    """Column a lies before column b; `scale` brings both to one unit."""

    a: int
    b: int
    is_strict: bool
    scale_a: float
    scale_b: float


@dataclass(frozen=True)
class Implied:
    """Where column a holds a token of `when` or a number of `when_values`, b holds a token of `then` or a number of `then_values`.

    `then_given` are the numbers that keep the rule where b is given: some that are too rare to be put are among them. Tokens of
    numbers are only those of missing codes: what a number's token stands for is decided on the number. While tokens are drawn
    there are no numbers yet: `speaks` are all tokens of a that cannot but speak, `kept` all tokens of b that may keep the rule.
    """

    a: int
    b: int
    when: tuple[int, ...]
    then: tuple[int, ...]
    when_values: tuple[float, ...]
    then_values: tuple[float, ...]
    then_given: tuple[float, ...]
    speaks: tuple[int, ...]
    kept: tuple[int, ...]


@dataclass(frozen=True)
class NumberRules:
    """The confirmed rules that speak of drawn numbers.

    Attributes
    ----------
    decimals : per column, what its numbers are rounded to.
    orders : closed under transitivity. sums : (total, part, …), a total that is a part elsewhere first.
    ranges : (column, low, high) in the column's units.
    """

    codecs: tuple[ColumnCodec, ...]
    decimals: tuple[int | None, ...]
    orders: tuple[Order, ...]
    sums: tuple[tuple[int, ...], ...]
    ranges: tuple[tuple[int, float, float], ...]
    implied: tuple[Implied, ...]

    def settle(self, tokens: Tokens, numbers: Numbers, given: Bools, rng: np.random.Generator) -> None:
        """Makes the numbers obey the rules, in place.

        Parameters
        ----------
        tokens : int32 (n_rows, n_columns). numbers : float64 (n_rows,) per number column, NaN where missing.
        given : bool (n_rows, n_columns), the cells that stay.
        """
        fixed = given.copy()
        for column, low, high in self.ranges:
            stays = fixed[:, column]
            self._into(column, tokens, numbers, np.where(stays, -np.inf, low), np.where(stays, np.inf, high), rng)
        for i in range(ROUNDS):
            changed = self._settle_implied(tokens, numbers, fixed, rng)
            if i and not changed:
                return
            self._settle_orders(tokens, numbers, fixed, rng)
            self._settle_sums(tokens, numbers, fixed, rng)
        self._settle_implied(tokens, numbers, fixed, rng)

    # implied numbers

    def _settle_implied(self, tokens: Tokens, numbers: Numbers, fixed: Bools, rng: np.random.Generator) -> bool:
        """Where a rule speaks: b becomes an implied number, or a moves inside its group off the number that speaks. True if any did."""
        changed = False
        totals = {total for total, *_ in self.sums}
        for rule in self.implied:
            speaks, kept = self._speaks(rule, tokens, numbers)
            broken = speaks & ~kept
            if broken.any():
                can_move = self._is_wide(rule.a, tokens) & ~fixed[:, rule.a] & (rule.a not in totals)
                self._off(rule, np.flatnonzero(broken & can_move), tokens, numbers, rng)
                changed |= self._put(rule, np.flatnonzero(broken & ~can_move & ~fixed[:, rule.b]), tokens, numbers, rng)
                changed |= bool((broken & can_move).any())
                speaks, kept = self._speaks(rule, tokens, numbers)
            rows = speaks & kept
            for column in {rule.a, rule.b} - totals | ({rule.b} if rule.then_values else set()):
                if column in numbers:
                    fixed[rows, column] = True
        return changed

    def _speaks(self, rule: Implied, tokens: Tokens, numbers: Numbers) -> tuple[Bools, Bools]:
        """In which rows the rule speaks, and in which its consequence holds, bool (n_rows,) each."""
        speaks = np.isin(tokens[:, rule.a], rule.when)
        if rule.a in numbers:
            speaks |= np.isin(self._rounded(rule.a, numbers[rule.a]), rule.when_values)
        kept = np.isin(tokens[:, rule.b], rule.then)
        if rule.b in numbers:
            kept |= np.isin(self._rounded(rule.b, numbers[rule.b]), rule.then_given)
        return speaks, kept

    def _is_wide(self, column: int, tokens: Tokens) -> Bools:
        """In which rows the column's token is a group of several numbers, bool (n_rows,)."""
        codec = self.codecs[column]
        if not isinstance(codec, NumberCodec) or codec.n_tokens == codec.n_missing:
            return np.zeros(len(tokens), dtype=bool)
        low, high = self._bounds(column, tokens)
        return (low < high) & (tokens[:, column] >= codec.n_missing)

    def _off(
        self, rule: Implied, rows: npt.NDArray[np.int64], tokens: Tokens, numbers: Numbers, rng: np.random.Generator
    ) -> None:
        """Draws a again inside its group until the number that speaks is left."""
        codec, values = self.codecs[rule.a], numbers.get(rule.a)
        if values is None or not isinstance(codec, NumberCodec):
            return
        for attempt in range(TRIES):
            rows = rows[np.isin(self._rounded(rule.a, values[rows]), rule.when_values)]
            if not len(rows):
                return
            low, high = self._bounds(rule.a, tokens[rows])
            least, most = self._limits(rule.a, {c: own[rows] for c, own in numbers.items()}, frozenset())
            bottom, top = np.maximum(low, least), np.minimum(high, most)
            if attempt >= TRIES // 2:  # no room between the rules' limits: the group's own ends count
                bottom, top = low, high
            values[rows] = codec.draw_within(np.where(bottom > top, low, bottom), np.where(bottom > top, high, top), rng)

    def _put(
        self, rule: Implied, rows: npt.NDArray[np.int64], tokens: Tokens, numbers: Numbers, rng: np.random.Generator
    ) -> bool:
        """Gives b an implied number, one inside its own group where there is one, else the nearest."""
        if rule.b not in numbers or not rule.then_values:
            return False
        values = numbers[rule.b]
        rows = rows[~np.isnan(values[rows])]
        if not len(rows):
            return False
        options = np.array(rule.then_values)
        low, high = self._bounds(rule.b, tokens[rows])
        inside = (options >= low[:, None]) & (options <= high[:, None])
        drawn = np.argmax(np.where(inside, rng.random(inside.shape), -1.0), axis=1)
        nearest = np.argmin(np.abs(options - values[rows][:, None]), axis=1)
        values[rows] = options[np.where(inside.any(axis=1), drawn, nearest)]
        return True

    # orders

    def _settle_orders(self, tokens: Tokens, numbers: Numbers, fixed: Bools, rng: np.random.Generator) -> None:
        """In rows that break an order: latest possible values from the last column back, then each drawn after its predecessors."""
        rows = np.flatnonzero(self._breaks_orders(numbers, len(tokens)))
        if not len(rows):
            return
        own = {column: values[rows] for column, values in numbers.items()}
        drawn, stays = tokens[rows], fixed[rows]
        ranges = {column: (low, high) for column, low, high in self.ranges}
        columns = sorted(
            {c for order in self.orders for c in (order.a, order.b)}, key=lambda c: sum(o.b == c for o in self.orders)
        )
        latest = {}
        for c in columns:
            top = np.fmin(self._bounds(c, drawn)[1], ranges.get(c, (-np.inf, np.inf))[1])
            latest[c] = np.where(stays[:, c] | np.isnan(own[c]), own[c], top)
        for column in reversed(columns):
            for order in (o for o in self.orders if o.a == column):
                limit = (latest[order.b] * order.scale_b) / order.scale_a - (self._gap(column) if order.is_strict else 0.0)
                latest[column] = np.fmin(latest[column], limit)
        for column in columns:
            earliest = np.full(len(rows), ranges.get(column, (-np.inf, np.inf))[0])
            for order in (o for o in self.orders if o.b == column):
                limit = (own[order.a] * order.scale_a) / order.scale_b + (self._gap(column) if order.is_strict else 0.0)
                earliest = np.fmax(earliest, limit)
            earliest = np.fmin(earliest, ranges.get(column, (-np.inf, np.inf))[1])
            last = np.fmax(latest[column], earliest)
            kept = stays[:, column]
            self._into(column, drawn, own, np.where(kept, -np.inf, earliest), np.where(kept, np.inf, last), rng)
            numbers[column][rows] = own[column]

    def _breaks_orders(self, numbers: Numbers, n_rows: int) -> Bools:
        broken = np.zeros(n_rows, dtype=bool)
        for order in self.orders:
            first, second = numbers[order.a] * order.scale_a, numbers[order.b] * order.scale_b
            broken |= first >= second if order.is_strict else first > second
        return broken

    # sums

    def _settle_sums(self, tokens: Tokens, numbers: Numbers, fixed: Bools, rng: np.random.Generator) -> None:
        """Rows that know the same of the columns in sums are settled together."""
        if not self.sums:
            return
        bound = sorted({column for columns in self.sums for column in columns})
        patterns, inverse = np.unique(fixed[:, bound], axis=0, return_inverse=True)
        for i, pattern in enumerate(patterns):
            rows = np.flatnonzero(inverse.ravel() == i)
            stays = frozenset(column for column, is_fixed in zip(bound, pattern, strict=True) if is_fixed)
            own = {column: values[rows] for column, values in numbers.items()}
            self._settle_pattern(tokens[rows], own, fixed[rows], stays, rng)
            for column, values in own.items():
                numbers[column][rows] = values

    def _settle_pattern(
        self, tokens: Tokens, own: Numbers, fixed: Bools, stays: frozenset[int], rng: np.random.Generator
    ) -> None:
        """Sums up; where that breaks another rule: parts drawn again, then moved in their groups, then others moved, then parts moved."""
        self._add_up(tokens, own, stays)
        bad = np.flatnonzero(self._broken(tokens, own))
        for _ in range(TRIES):
            if not len(bad):
                return
            trial = self._redrawn(tokens[bad], {c: values[bad] for c, values in own.items()}, stays, rng)
            good = ~self._broken(tokens[bad], trial)
            for column, values in trial.items():
                own[column][bad[good]] = values[good]
            bad = bad[~good]
        if not len(bad):
            return
        rest, part, pinned = tokens[bad], {c: values[bad] for c, values in own.items()}, fixed[bad]
        pinned[:, [column for columns in self.sums for column in columns]] = True
        self._clip(rest, part, stays, in_group=True)
        self._settle_orders(rest, part, pinned, rng)
        self._clip(rest, part, stays, in_group=False)
        self._settle_orders(rest, part, pinned, rng)
        for column, values in part.items():
            own[column][bad] = values

    def _redrawn(self, tokens: Tokens, own: Numbers, stays: frozenset[int], rng: np.random.Generator) -> Numbers:
        """The free parts drawn again inside their groups and ranges, and summed up again."""
        ranges = {column: (low, high) for column, low, high in self.ranges}
        for column in sorted({leaf for _, *parts in self.sums for leaf in self._leaves(parts, stays)}):
            codec = self.codecs[column]
            assert isinstance(codec, NumberCodec)
            there = np.flatnonzero(~np.isnan(own[column]))
            own[column][there] = codec.decode(tokens[there, column], rng)
            low, high = (np.full(len(tokens), end) for end in ranges.get(column, (-np.inf, np.inf)))
            self._into(column, tokens, own, low, high, rng)
        self._add_up(tokens, own, stays)
        return own

    def _add_up(self, tokens: Tokens, own: Numbers, stays: frozenset[int]) -> None:
        """Totals from their parts; a given total is kept by its free parts."""
        used: set[int] = set()
        for total, *parts in self.sums:
            if total not in stays:
                self._total(own, total, parts)
                continue
            leaves = [leaf for leaf in self._leaves(parts, stays) if leaf not in used]
            for in_group in (True, False):
                self._absorb(tokens, own, leaves, own[total] - self._whole(own, parts), in_group=in_group)
                self._totals(own, stays)
            used |= set(leaves)
            free = [part for part in parts if part not in stays]
            direct = [part for part in free if part in leaves] or leaves[-1:] or free
            if direct:  # nothing within the parts' bounds sums up: the sum goes before the bounds
                self._move(direct[-1], own, own[total] - self._whole(own, parts))
                self._totals(own, stays)

    def _totals(self, own: Numbers, stays: frozenset[int]) -> None:
        for total, *parts in self.sums:
            if total not in stays:
                self._total(own, total, parts)

    def _total(self, own: Numbers, total: int, parts: Sequence[int]) -> None:
        whole = self._whole(own, parts)
        there = ~np.isnan(whole) & ~np.isnan(own[total])
        own[total][there] = self._rounded(total, whole[there])

    def _whole(self, own: Numbers, parts: Sequence[int]) -> Floats:
        return np.asarray(np.sum([own[part] for part in parts], axis=0), dtype=float)

    def _leaves(self, parts: Sequence[int], stays: frozenset[int]) -> list[int]:
        """The free columns that a sum is made of in the end."""
        sums = {total: rest for total, *rest in self.sums}
        out: list[int] = []
        for part in parts:
            if part not in stays:
                out += self._leaves(sums[part], stays) if part in sums else [part]
        return list(dict.fromkeys(out))

    def _clip(self, tokens: Tokens, own: Numbers, stays: frozenset[int], *, in_group: bool) -> None:
        """Moves free parts until each computed total lies in its range and its orders."""
        for total, *parts in self.sums:
            if total in stays:
                continue
            leaves = self._leaves(parts, stays)
            low, high = self._limits(total, own, frozenset(leaves))
            delta = np.fmax(np.fmin(own[total], high), low) - own[total]
            self._absorb(tokens, own, leaves, np.where(np.isnan(self._whole(own, parts)), 0.0, delta), in_group=in_group)
            self._add_up(tokens, own, stays)

    def _absorb(self, tokens: Tokens, own: Numbers, leaves: Sequence[int], delta: Floats, *, in_group: bool) -> None:
        """Adds delta to the parts, the last first, each within its group (or its whole column) and its own rules."""
        delta = np.nan_to_num(delta)
        totals = frozenset(total for total, *_ in self.sums)
        for leaf in reversed(leaves):
            if not (np.abs(delta) > SLACK).any():
                return
            codec, values = self.codecs[leaf], own[leaf]
            assert isinstance(codec, NumberCodec)
            low, high = self._limits(leaf, own, totals)
            own_low, own_high = self._bounds(leaf, tokens) if in_group else (codec.low.min(), codec.high.max())
            low, high = np.minimum(np.maximum(low, own_low), values), np.maximum(np.minimum(high, own_high), values)
            before = values.copy()
            self._move(leaf, own, np.clip(values + delta, low, high) - values)
            delta = delta - np.nan_to_num(own[leaf] - before)

    def _move(self, column: int, own: Numbers, delta: Floats) -> None:
        moved = np.flatnonzero(np.abs(np.nan_to_num(delta)) > SLACK)
        own[column][moved] = self._rounded(column, own[column][moved] + delta[moved])

    # what the rules say of a number

    def _broken(self, tokens: Tokens, own: Numbers) -> Bools:
        """Rows that break any rule but a sum, bool (n_rows,)."""
        broken = self._breaks_orders(own, len(tokens))
        for column, low, high in self.ranges:
            broken |= (own[column] < low - SLACK) | (own[column] > high + SLACK)
        for rule in self.implied:
            speaks, kept = self._speaks(rule, tokens, own)
            broken |= speaks & ~kept
        return broken

    def _limits(self, column: int, own: Numbers, skip: frozenset[int]) -> tuple[Floats, Floats]:
        """Between which ends its range and its orders with columns not skipped leave a column, float64 (n_rows,) each."""
        low, high = np.full(len(own[column]), -np.inf), np.full(len(own[column]), np.inf)
        for bound, least, most in self.ranges:
            if bound == column:
                low, high = np.maximum(low, least), np.minimum(high, most)
        for order in self.orders:
            gap = self._gap(column) if order.is_strict else 0.0
            if order.a == column and order.b not in skip:
                high = np.fmin(high, own[order.b] * order.scale_b / order.scale_a - gap)
            elif order.b == column and order.a not in skip:
                low = np.fmax(low, own[order.a] * order.scale_a / order.scale_b + gap)
        grid = self._gap(column)
        return np.ceil(low / grid - SLACK) * grid, np.floor(high / grid + SLACK) * grid

    def _rounded(self, column: int, values: Floats) -> Floats:
        decimals = self.decimals[column]
        return values if decimals is None else np.round(values, decimals)

    def _gap(self, column: int) -> float:
        codec = self.codecs[column]
        assert isinstance(codec, NumberCodec)
        return codec.step

    def _bounds(self, column: int, tokens: Tokens) -> tuple[Floats, Floats]:
        """Smallest and largest number of each row's token, float64 (n_rows,) each."""
        codec = self.codecs[column]
        assert isinstance(codec, NumberCodec)
        low, high = codec.token_bounds()
        if not len(low):  # a column without any value
            return np.full(len(tokens), -np.inf), np.full(len(tokens), np.inf)
        index = np.maximum(tokens[:, column] - codec.n_missing, 0)
        return low[index], high[index]

    def _into(self, column: int, tokens: Tokens, numbers: Numbers, low: Floats, high: Floats, rng: np.random.Generator) -> None:
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
        bottom = np.where(np.isfinite(low), np.ceil(low / grid - SLACK) * grid, own_low)
        top = np.where(np.isfinite(high), np.floor(high / grid + SLACK) * grid, own_high)
        bottom, top = np.maximum(own_low, bottom), np.minimum(own_high, top)
        empty = bottom > top
        nearest = np.where(values[out] < low, np.ceil(low / grid - SLACK) * grid, np.floor(high / grid + SLACK) * grid)
        values[out] = codec.draw_within(np.where(empty, nearest, bottom), np.where(empty, nearest, top), rng)
