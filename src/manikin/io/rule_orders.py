"""Finds orders, sums and ranges that hold between columns of numbers and times. Knows nothing of levels.

An order counts only when chance would break it: two columns that never overlap are in order for no reason worth a rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from manikin.data.rules import OrderRule, RangeRule, Rule, SumRule
from manikin.data.schema import Kind
from manikin.io.column_names import words
from manikin.io.rule_states import Numbers, Quantity

MIN_ROWS = 20
MIN_CHANCE = 0.14  # share of rows that would break the order if the columns had nothing to do with each other
MIN_CHANCE_KIN = 0.01  # the same for columns whose names are akin, and for times
SAMPLE_ROWS = 4000
SUM_ROWS = 24
MAX_PARTS = 8


@dataclass(frozen=True)
class Offer:
    """A rule with its weight: how unlikely it would hold by chance, for the ranking."""

    rule: Rule
    weight: float
    is_about_gaps: bool = False


def sampled(n_rows: int, size: int = SAMPLE_ROWS) -> npt.NDArray[np.int64]:
    """Rows spread evenly over a table: the same for the same table."""
    return np.unique(np.linspace(0, n_rows - 1, min(n_rows, size)).astype(np.int64))


def orders(columns: list[Quantity]) -> list[Offer]:
    """Pairs of columns where first <= second in every row that has both."""
    if len(columns) < 2 or len(columns[0].values) < MIN_ROWS:
        return []
    rows = sampled(len(columns[0].values))
    matrix = np.column_stack([column.values[rows] for column in columns])
    shuffled = np.roll(matrix, len(rows) // 2 + 1, axis=0)  # another patient's row
    found: dict[tuple[int, int], Offer] = {}
    for i, first in enumerate(columns):
        with np.errstate(invalid="ignore"):
            is_broken = (matrix[:, [i]] > matrix).sum(axis=0)
            chance = (matrix[:, [i]] > shuffled).mean(axis=0)
        for j in np.flatnonzero((is_broken == 0) & (chance >= MIN_CHANCE_KIN)):
            offer = _order(first, columns[j], float(chance[j])) if i != j else None
            if offer is not None:
                found[i, int(j)] = offer
    through = {(i, k) for i, j in found for j2, k in found if j == j2}
    return [offer for pair, offer in found.items() if pair not in through or pair[::-1] in found]


def _order(first: Quantity, second: Quantity, chance: float) -> Offer | None:
    if first.column.kind.is_time != second.column.kind.is_time:
        return None
    is_kin = first.column.kind.is_time or are_kin(first.column.name, second.column.name)
    both = ~np.isnan(first.values) & ~np.isnan(second.values)
    n_rows = int(both.sum())
    if chance < (MIN_CHANCE_KIN if is_kin else MIN_CHANCE) or n_rows < (MIN_ROWS if is_kin else 5 * MIN_ROWS):
        return None
    gaps = second.values[both] - first.values[both]
    if (gaps < 0).any() or not gaps.any():
        return None
    is_strict = n_rows >= 100 and not (gaps == 0).any() and _could_tie(first, second)
    evidence = f"holds in all {n_rows:,} rows that have both; in unrelated columns {chance:.0%} of the rows would break it"
    rule = OrderRule((first.column.name, second.column.name), strict=is_strict, evidence=evidence)
    return Offer(rule, min(n_rows, 2000) * -np.log1p(-min(chance, 0.99)))


def _could_tie(first: Quantity, second: Quantity) -> bool:
    """Whether equal values could have occurred: both columns hold common values."""
    left, right = np.unique(first.values[~np.isnan(first.values)]), np.unique(second.values[~np.isnan(second.values)])
    return len(np.intersect1d(left, right)) >= 0.1 * min(len(left), len(right))


def are_kin(first: str, second: str) -> bool:
    """Whether two names share a word or a stem (ap_hi and ap_lo, ivstart and ivstop, SystolicBP and DiastolicBP)."""
    left, right = words(first), words(second)
    common = {word for word in left if len(word) > 1 and not word.isdigit()}.intersection(right)
    if common - {"num", "number", "of", "the", "per", "total", "mean"}:
        return True
    stem = 0
    while stem < min(len(first), len(second)) and first[stem].lower() == second[stem].lower():
        stem += 1
    return stem >= 3 and bool(left and right)


def sums(columns: list[Quantity]) -> list[Offer]:
    """Columns that are the sum of two others anywhere, or of up to eight that stand side by side."""
    numbers = [c for c in columns if c.column.kind.is_number and np.unique(c.values[sampled(len(c.values), 500)]).size >= 5]
    if len(numbers) < 3:
        return []
    out: dict[str, Offer] = {}
    for total in numbers:
        for parts in _candidate_parts(total, numbers):
            offer = _sum(total, parts)
            if offer is not None and (total.column.name not in out or offer.weight > out[total.column.name].weight):
                out[total.column.name] = offer
    return _without_turned(list(out.values()))


def _candidate_parts(total: Quantity, numbers: list[Quantity]) -> list[list[Quantity]]:
    """Pairs and neighbours that add up to the total in a handful of rows where the total is not zero."""
    others = [number for number in numbers if number is not total]
    filled = np.flatnonzero(~np.isnan(total.values) & (total.values != 0))
    if len(filled) < MIN_ROWS:
        return []
    rows = filled[sampled(len(filled), SUM_ROWS)]
    matrix = np.column_stack([other.values[rows] for other in others])
    whole = total.values[rows][:, None]
    slack = _rounding(total, 3) + 1e-9 * np.abs(whole)
    out: list[list[Quantity]] = []
    for i in range(len(others)):
        off = np.abs(whole - matrix[:, [i]] - matrix[:, i + 1 :])
        fits = _mostly(off <= slack, ~np.isnan(off))
        out += [[others[i], others[i + 1 + j]] for j in np.flatnonzero(fits)]
    summed = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(np.nan_to_num(matrix, nan=1e18), axis=1)], axis=1)
    for length in range(3, MAX_PARTS + 1):
        off = np.abs(whole - (summed[:, length:] - summed[:, :-length]))
        fits = _mostly(off <= slack + _rounding(total, length), np.ones_like(off, dtype=bool))
        out += [others[i : i + length] for i in np.flatnonzero(fits)]
    return out[:50]


def _mostly(is_right: npt.NDArray[np.bool_], is_known: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    known = is_known.sum(axis=0)
    return np.asarray(((is_right | ~is_known).all(axis=0)) & (known >= 3), dtype=bool)


def _rounding(total: Quantity, n_parts: int) -> float:
    """What rounding of every part and of the total may add up to; nothing for whole numbers."""
    decimals = total.column.decimals or 0
    return 0.0 if decimals == 0 else 0.5 * 10.0**-decimals * (n_parts + 1)


def _sum(total: Quantity, parts: list[Quantity]) -> Offer | None:
    values = np.column_stack([part.values for part in parts])
    known = ~np.isnan(total.values) & ~np.isnan(values).any(axis=1)
    n_rows = int(known.sum())
    if n_rows < MIN_ROWS or (np.abs(values[known]) > 0).mean(axis=0).min() < 0.02:
        return None
    off = np.abs(total.values[known] - values[known].sum(axis=1))
    worst = float(off.max())
    exact = 1e-9 * max(float(np.abs(values[known]).max()), 1.0)
    if worst > exact + _rounding(total, len(parts)):
        return None
    names = (total.column.name, *(part.column.name for part in parts))
    tolerance = 0.0 if worst <= exact else float(f"{_rounding(total, len(parts)):.6g}")
    distinct = len(np.unique(total.values[known]))
    rule = SumRule(names, tolerance=tolerance, evidence=f"holds in all {n_rows:,} rows that have all parts")
    return Offer(rule, min(n_rows, 2000) * np.log(distinct))


def _without_turned(offers: list[Offer]) -> list[Offer]:
    """a = b + c says also that b = a - c; only one sum per set of columns, the one with the most to say."""
    seen: set[frozenset[str]] = set()
    out = []
    for offer in sorted(offers, key=lambda offer: (-len(offer.rule.columns), -offer.weight)):
        key = frozenset(offer.rule.columns)
        if key not in seen:
            seen.add(key)
            out.append(offer)
    return out


def ranges(columns: list[Quantity]) -> list[Offer]:
    """Scales that end exactly at 1 or 100: shares and percentages."""
    out = []
    for column in columns:
        if column.column.kind is not Kind.CONTINUOUS:
            continue
        values: Numbers = column.values[~np.isnan(column.values)]
        if len(values) < 100 or values.min() < 0:
            continue
        top = values.max()
        says_share = {"percent", "pct", "share", "ratio", "prob", "probability", "proportion", "surv", "prg"}.intersection(
            words(column.column.name)
        )
        has_unit = column.column.decimals and len(np.unique(values)) >= 20
        if has_unit and (top in (1.0, 100.0) or (says_share and 0.9 < top < 1.0)):
            end = 1.0 if top <= 1 else 100.0
            evidence = f"holds in all {len(values):,} rows; the values fill the scale up to its end"
            out.append(
                Offer(RangeRule((column.column.name,), minimum=0.0, maximum=end, evidence=evidence), float(np.log(len(values))))
            )
    return out
