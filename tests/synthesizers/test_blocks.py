"""Batches are cut out of blocks: exact sizes, the same rows whatever the size asked for."""

from __future__ import annotations

import pandas as pd
import pytest

from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.errors import BudgetError
from manikin.data.schema import Column, Kind, Storage, TableSchema
from manikin.synthesizers.blocks import in_batches, refuse_ledger

SCHEMA = TableSchema("t", (Column("row", Kind.COUNT, Storage.INTEGER, decimals=0),))


def numbered(_block: int, start: int, stop: int) -> Dataset:
    return flat(parse_table(pd.DataFrame({"row": [str(i) for i in range(start, stop)]}, dtype=object), SCHEMA), SCHEMA)


@pytest.mark.parametrize("size", [1, 7, 10, 23, 30, 57, 58, 1000])
@pytest.mark.parametrize("n", [0, 1, 57])
def test_every_batch_but_the_last_has_the_size_asked_for(n: int, size: int) -> None:
    parts = list(in_batches(numbered, n, batch_size=size, block=10))
    lengths = [len(part) for part in parts]
    assert lengths == [size] * (n // size) + ([n % size] if n % size or not n else [])
    assert [int(i) for part in parts for i in part.table.frame["row"]] == list(range(n))


def test_blocks_are_drawn_when_they_are_needed() -> None:
    drawn: list[int] = []

    def draw(block: int, start: int, stop: int) -> Dataset:
        drawn.append(block)
        return numbered(block, start, stop)

    batches = in_batches(draw, 100, batch_size=15, block=10)
    next(batches)
    assert drawn == [0, 1]


@pytest.mark.parametrize(
    ("name", "way_out"), [("timegan", "Choose one of halo, event_transformer, markov;"), ("ddpm", "No generator of such")]
)
def test_a_ledger_that_cannot_be_honoured_is_refused_with_those_that_can(name: str, way_out: str) -> None:
    with pytest.raises(BudgetError, match=f"'{name}' cannot learn under a privacy ledger: .*{way_out}"):
        refuse_ledger(name, object())
    refuse_ledger(name, None)
