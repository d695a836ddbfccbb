"""Finds rules that hold in every row and offers them for confirmation: few, the telling ones first. Confirms nothing.

Candidates are sought on a sample of rows and verified on all of them. What chance would explain is not offered.
"""

from __future__ import annotations

from manikin.data.dataset import Table
from manikin.data.rules import Rule
from manikin.data.schema import TableSchema
from manikin.io.rule_implications import combinations, implications, unique_rows
from manikin.io.rule_orders import Offer, orders, ranges, sums
from manikin.io.rule_states import quantities, states

MAX_RULES = 40
SHARES = {"order": 10, "sum": 6, "combination": 6, "unique": 3, "range": 4, "implied": 14}  # of each kind, at most
MAX_GAPS = 4  # implications that say only that columns are empty together
MAX_PER_COLUMN = 4  # implications with the same condition


def discover(table: Table, schema: TableSchema) -> tuple[Rule, ...]:
    """Rules that hold in all rows, unconfirmed, ranked within their kind; at most 40.

    Parameters
    ----------
    table : the typed cells (n_rows, n_columns).
    """
    numbers = quantities(table, schema)
    found = {
        "order": orders(numbers),
        "sum": sums(numbers),
        "combination": combinations(table, schema),
        "implied": implications(states(table, schema)),
        "unique": unique_rows(table, schema),
        "range": ranges(numbers),
    }
    found["implied"] = _spread(_beyond(found["implied"], found["combination"]))
    rules: list[Rule] = []
    for kind, offers in found.items():
        ranked = sorted(offers, key=lambda offer: (-offer.weight, offer.rule.columns))
        rules += [offer.rule for offer in ranked[: SHARES[kind]]]
    return tuple(rules[:MAX_RULES])


def _beyond(implied: list[Offer], combined: list[Offer]) -> list[Offer]:
    """Implications that a fixed combination does not say already."""
    told = {frozenset(offer.rule.columns) for offer in combined}
    return [offer for offer in implied if frozenset(offer.rule.columns) not in told]


def _spread(offers: list[Offer]) -> list[Offer]:
    """Not more than a few implications from one condition, and one per direction of a pair."""
    out: list[Offer] = []
    by_condition: dict[str, int] = {}
    pairs: set[frozenset[str]] = set()
    n_gaps = 0
    for offer in sorted(offers, key=lambda offer: (-offer.weight, offer.rule.columns)):
        first, pair = offer.rule.columns[0], frozenset(offer.rule.columns)
        n_gaps += offer.is_about_gaps
        if offer.is_about_gaps and n_gaps > MAX_GAPS:
            continue
        if by_condition.get(first, 0) < MAX_PER_COLUMN and pair not in pairs:
            by_condition[first] = by_condition.get(first, 0) + 1
            pairs.add(pair)
            out.append(offer)
    return out
