"""Finds values that fix other values, combinations that are fixed, and columns whose cells name rows. Knows no order of numbers.

Structural missingness is found here: a cell that is empty because another says that the question does not arise.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Table, flat
from manikin.data.rules import CombinationRule, ImpliedRule, UniqueRule
from manikin.data.schema import Kind, Role, TableSchema
from manikin.io.rule_orders import MIN_ROWS, Offer, sampled
from manikin.io.rule_states import MAX_STATES, States

MAX_SHARE = 0.98  # a value that nearly all rows hold is implied by everything
MIN_NATS = 14.0  # -log of the probability that chance alone makes the implication hold: about 1 in 10^6
MIN_LEVEL_ROWS = 11
MIN_VALUE_ROWS = 30  # rows where a level implies a level; fewer may be an association, not a rule
MIN_RUN_SHARE = 0.2  # rows where a run of numbers implies a level
MIN_ROWS_PER_LEVEL = 5
MAX_WHEN = 60
MIN_LEVELS = 3
MAX_LEVELS = 2000
MAX_TOP_SHARE = 0.95
MAX_NUMBERS = 200  # distinct numbers of a column that may still be codes


def implications(columns: list[States]) -> list[Offer]:
    """Where one column's value fixes another's: level => level, level => missing, missing => missing, numbers from here on => missing."""
    if not columns or len(columns[0].codes) < MIN_ROWS:
        return []
    n_rows = len(columns[0].codes)
    rows = sampled(n_rows, 10_000)
    sample = [column.codes[rows] for column in columns]
    blocks = _missing_blocks(columns)
    out: list[Offer] = []
    for i, first in enumerate(columns):
        if not 2 <= first.n_states <= MAX_STATES:
            continue
        for j, second in enumerate(columns):
            if i == j or second.n_states < 2:
                continue
            counts = np.bincount(sample[i] * second.n_states + sample[j], minlength=first.n_states * second.n_states)
            counts = counts.reshape(first.n_states, second.n_states)
            if (np.count_nonzero(counts, axis=1) == 1).any():
                offers = _verified(first, second, n_rows)
                is_told = blocks[i] != i and blocks[i] == blocks[j]  # the first of the block tells it
                out += [offer for offer in offers if not (is_told and offer.is_about_gaps)]
    return out


def _missing_blocks(columns: list[States]) -> list[int]:
    """The first column with the same missing cells, for each column: blocks of a questionnaire are told once, not for every pair."""
    firsts: dict[bytes, int] = {}
    masks = (np.packbits(column.codes >= column.n_values).tobytes() for column in columns)
    return [firsts.setdefault(mask, i) for i, mask in enumerate(masks)]


def _verified(first: States, second: States, n_rows: int) -> list[Offer]:
    """The implications of a pair over all rows: the `when` levels that imply the same value stand in one rule."""
    counts = np.bincount(first.codes * second.n_states + second.codes, minlength=first.n_states * second.n_states)
    counts = counts.reshape(first.n_states, second.n_states)
    is_fixed = np.count_nonzero(counts, axis=1) == 1
    implied = np.argmax(counts, axis=1)
    offers = []
    for state in np.unique(implied[is_fixed]):
        share = float(second.counts[state] / n_rows)
        if second.texts[state] is not None and share <= MAX_SHARE:
            when = _when(first, is_fixed & (implied == state))
            offer = _implication(first, second, when, int(state), share) if len(when) else None
            offers += [offer] if offer is not None else []
    return offers


def _implication(first: States, second: States, when: npt.NDArray[np.int64], state: int, share: float) -> Offer | None:
    n_rows, n_when = len(first.codes), int(first.counts[when].sum())
    nats = -n_when * np.log(share)
    is_gap = state >= second.n_values
    least = 0 if is_gap else MIN_RUN_SHARE * n_rows if first.is_ordered else MIN_VALUE_ROWS
    if nats < MIN_NATS or n_when == n_rows or n_when < least:
        return None
    is_about_gaps = is_gap and bool((when >= first.n_values).all())
    if is_about_gaps:
        nats *= 0.1  # two columns that are empty together: true of every questionnaire, and seldom worth a rule
    rule = ImpliedRule(
        (first.column.name, second.column.name),
        when=tuple(str(first.texts[w]) for w in when),
        then=(str(second.texts[state]),),
        evidence=f"holds in all {n_when:,} rows where it applies; {share:.1%} of all rows have that value",
    )
    return Offer(rule, min(nats, 5000.0), is_about_gaps)


def _when(first: States, fixed: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The states that may stand under `when`: levels with enough rows; of numbers a run from the lowest or the highest one."""
    known = np.array([text is not None for text in first.texts], dtype=bool)
    if not first.is_ordered:
        chosen = np.flatnonzero(fixed & known & (first.counts >= MIN_LEVEL_ROWS))
        return chosen if len(chosen) <= MAX_WHEN else chosen[:0]
    values = fixed[: first.n_values]
    low = int(np.argmin(values)) if not values.all() else 0
    high = int(np.argmin(values[::-1])) if not values.all() else 0
    ends = [np.arange(low), np.arange(first.n_values - high, first.n_values)]
    best = max(ends, key=lambda end: int(first.counts[end].sum()) if len(end) else 0)
    missing = np.flatnonzero(fixed[first.n_values :] & (first.counts[first.n_values :] >= MIN_LEVEL_ROWS)) + first.n_values
    chosen = best if len(best) and first.counts[best].sum() >= 3 * MIN_LEVEL_ROWS else missing
    return chosen if len(chosen) <= MAX_WHEN else chosen[:0]


def combinations(table: Table, schema: TableSchema) -> list[Offer]:
    """Pairs of columns where each level of the first occurs with one level of the second (a code and its title, a group and its class)."""
    names, codes, n_levels = _level_codes(table, schema)
    if len(names) < 2 or len(table) < MIN_ROWS:
        return []
    rows = sampled(len(table))
    matrix = np.column_stack([code[rows] for code in codes])
    top_shares = [float(np.bincount(code).max() / len(table)) for code in codes]
    found: dict[tuple[int, int], Offer] = {}
    for i, name in enumerate(names):
        if n_levels[i] < MIN_LEVELS:
            continue
        _, firsts, inverse = np.unique(matrix[:, i], return_index=True, return_inverse=True)
        for j in map(int, np.flatnonzero((matrix == matrix[firsts][inverse]).all(axis=0))):
            if i == j or (j, i) in found or not 2 <= n_levels[j] <= n_levels[i] or top_shares[j] > MAX_TOP_SHARE:
                continue
            if not _is_function(codes[i], codes[j]):
                continue
            evidence = f"each of the {n_levels[i]:,} values of {name!r} occurs with one of the {n_levels[j]:,} of {names[j]!r}"
            weight = float(n_levels[i] * n_levels[j] * (1 - top_shares[j]))
            found[i, j] = Offer(CombinationRule((name, names[j]), evidence=evidence), weight)
    through = {(i, k) for i, j in found for j2, k in found if j == j2}
    return [offer for pair, offer in found.items() if pair not in through]


def _level_codes(table: Table, schema: TableSchema) -> tuple[list[str], list[npt.NDArray[np.int64]], list[int]]:
    names, codes, sizes = [], [], []
    n_records = flat(table, schema).n_records
    for column in schema.learned:
        found, uniques = pd.factorize(table.frame[column.name], use_na_sentinel=False)
        most = min(n_records // MIN_ROWS_PER_LEVEL, MAX_LEVELS if column.kind.is_discrete else MAX_NUMBERS)
        if 2 <= len(uniques) <= max(most, 2) and not column.kind.is_time and column.kind is not Kind.CODE_SET:
            names.append(column.name)
            codes.append(found.astype(np.int64) * 64 + table.mark(column.name))
            sizes.append(len(np.unique(codes[-1])))
            codes[-1] = np.unique(codes[-1], return_inverse=True)[1].astype(np.int64)
    return names, codes, sizes


def _is_function(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> bool:
    _, firsts, inverse = np.unique(first, return_index=True, return_inverse=True)
    return bool((second == second[firsts][inverse]).all())


def unique_rows(table: Table, schema: TableSchema) -> list[Offer]:
    """Columns that name each row, alone or together with the patient key."""
    out: list[Offer] = []
    if len(table) < MIN_ROWS:
        return out
    keys = schema.with_role(Role.PATIENT_KEY)
    for column in schema:
        is_name = column.kind is Kind.IDENTIFIER and not column.has_role(Role.DIRECT_IDENTIFIER)
        if is_name and not table.mark(column.name).any() and table.frame[column.name].is_unique:
            evidence = f"no two of the {len(table):,} rows share it"
            out.append(Offer(UniqueRule((column.name,), evidence=evidence), 1.0))
    if not keys or table.frame[keys[0].name].is_unique:
        return out
    key = keys[0].name
    order = np.argsort(pd.factorize(table.frame[key])[0], kind="stable")[
        : 10 * MIN_ROWS
    ]  # whole patients, to drop most columns early
    for column in schema.learned:
        pair = table.frame[[key, column.name]]
        if table.mark(column.name).any() or pair.iloc[order].duplicated().any():
            continue
        if table.frame[column.name].nunique() > 2 and not pair.duplicated().any():
            weight = 100.0 - len(out)
            evidence = f"no two of the {len(table):,} rows of one patient share it"
            out.append(Offer(UniqueRule((key, column.name), evidence=evidence), weight))
    return out
