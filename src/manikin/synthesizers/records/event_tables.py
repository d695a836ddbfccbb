"""What networks have to know of the tables of linked patients: vocabularies, marginals, which field a row is about. Knows no data set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Field
from manikin.codecs.records.base import EventTable, Records, RecordsLayout
from manikin.codecs.records.event_codec import EventCodec
from manikin.data.schema import Kind
from manikin.training.networks.any_order import TokenColumn, hidden_width
from manikin.training.networks.event_transformer import TableFields
from manikin.training.objectives.any_order import log_marginals

MOST_KEYS = 20_000  # of one table; a field of more tokens is remembered by its table alone


def token_column(field: Field, tokens: npt.NDArray[np.int32]) -> TokenColumn:
    """A field with the frequencies of its tokens."""
    marginals = log_marginals(tokens, field.n_tokens)
    return TokenColumn(field.n_tokens, field.positions, field.values, marginals, hidden_width(marginals))


def table_fields(layout: RecordsLayout, records: Records, by: Mapping[str, Mapping[str, str]]) -> list[TableFields]:
    """Every table of events as the network knows it.

    Parameters
    ----------
    by : per table, the code column of each number that is measured by one.
    """
    out, first = [], 0
    for t, table in enumerate(layout.tables):
        tokens = records.tokens[records.table == t]
        columns = tuple(token_column(f, tokens[:, j]) for j, f in enumerate(table.layout.fields))
        key, value = _key_and_value(table, columns, by.get(table.name, {}))
        out.append(TableFields(columns, key, value, first))
        first += out[-1].n_keys
    return out


def _key_and_value(table: EventTable, columns: tuple[TokenColumn, ...], by: Mapping[str, str]) -> tuple[int | None, int | None]:
    """The field that says what a row is about, and the number behind it: a number and the code it is by, else the richest code."""
    fields = table.layout.fields
    for number, code in by.items():
        key = next((j for j, f in enumerate(fields) if f.column == code), None)
        value = next((j for j, f in enumerate(fields) if f.column == number), None)
        if key is not None and value is not None and key < value and fields[key].n_tokens <= MOST_KEYS:
            return key, value
    richness = [_entropy(column) for column in columns]
    codes = [
        j
        for j, f in enumerate(fields)
        if j > 0 and f.kind in (Kind.CODE, Kind.CATEGORICAL, Kind.IDENTIFIER) and not f.is_ordered and f.n_tokens <= MOST_KEYS
    ]
    found = max(codes, key=lambda j: richness[j], default=None)
    if found is not None and richness[found] < 0.1:
        found = None
    numbers = [j for j, f in enumerate(fields) if f.is_ordered and j > (0 if found is None else found) and f.kind.is_number]
    return found, max(numbers, key=lambda j: richness[j], default=None)


def _entropy(column: TokenColumn) -> float:
    return float(-(np.exp(column.log_marginals) * column.log_marginals).sum())


def part_names(codec: EventCodec) -> tuple[str, ...]:
    """What the fields of a table's rows say: "gap", "link TABLE", or the column."""
    plan, flat = codec.plan, codec.flat.layout.fields
    links = {link.name: f"link {link.parent}" for link in plan.links} | {plan.gap: "gap"}
    numbers = [number for number, _ in plan.by]
    columns = [flat[i].column if i >= 0 else numbers[-1 - i] for i in codec.fields.tolist()]
    return tuple(links.get(name, name) for name in columns)


def log_next(table: npt.NDArray[np.int16], n_patients: int, n_tables: int) -> npt.NDArray[np.float32]:
    """Log frequencies of each table and, last, of the end among what comes next, float32 (n_tables + 1,)."""
    counts = np.append(np.bincount(table, minlength=n_tables), n_patients) + 0.5
    return np.log(counts / counts.sum()).astype(np.float32)
