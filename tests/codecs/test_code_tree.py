"""Columns of codes under a budget: frequent codes come back as themselves, blocks keep their share, and nothing but counts is looked at."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from manikin.codecs.bought.code_tree import onto
from manikin.codecs.bought.fit import CODES, need_of
from manikin.codecs.table import TableCodec
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.schema import Column, Kind, Source, Sources, TableSchema
from manikin.privacy import mechanisms
from manikin.privacy.events import Threshold
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import opened
from manikin.synthesizers.tables.graphical.groups import groups_of


def coded(cells: list[str], system: str = "ICD-9-CM", **facts: object) -> Dataset:
    """A declared column of codes beside a ward."""
    kind = Sources(Source.DECLARED, Source.DATA, Source.DATA)
    columns = (Column("dx", Kind.CODE, code_system=system, **{"source": kind, **facts}), Column("ward", Kind.CATEGORICAL))  # type: ignore[arg-type]
    schema = TableSchema("t", columns)
    texts = pd.DataFrame({"dx": cells, "ward": (["a", "b"] * len(cells))[: len(cells)]}, dtype=object)
    return flat(parse_table(texts, schema), schema)


def bought(data: Dataset, epsilon: float = 40.0) -> tuple[TableCodec, Ledger, dict[str, int], dict[str, int]]:
    """The codec, its ledger, and rows per text: as bought, and by the tokens that the rows have."""
    ledger = Ledger(epsilon=epsilon, delta=1e-9)
    private = mechanisms.seal(data, ledger)
    codec = TableCodec().fit(private, ledger=ledger)
    field = codec.fields_[0]
    names = [*(code.value for code in codec.schema_["dx"].missing), *field.levels]  # type: ignore[union-attr]
    tokens = opened(codec.encode_private(private))[:, 0]
    held = np.bincount(tokens, minlength=len(names))
    return codec, ledger, dict(zip(names, codec.counts_[0].tolist(), strict=True)), dict(zip(names, held.tolist(), strict=True))


def near(counts: dict[str, int], expected: dict[str, int], within: int = 30) -> bool:
    return all(abs(counts.get(text, 0) - n) <= within for text, n in expected.items())


def test_frequent_codes_come_back_as_themselves_and_rare_ones_within_their_block() -> None:
    true = {"428": 900, "414": 700, "410.01": 400, "250.02": 500, "V58": 200, "": 300}
    cells = [text for text, n in true.items() for _ in range(n)] + ["412"] * 2 + ["416"] * 2
    _, ledger, counts, held = bought(coded(cells))
    assert near(counts, true), counts
    assert near(held, true), held
    assert sum(counts.values()) == pytest.approx(len(cells), rel=0.02), "all rows are in the codes, none is left over"
    assert "(rare)" not in counts
    assert not any(isinstance(event, Threshold) for event in ledger.events[:-2]), "the notation is public: no list of values is bought"
    purposes = [spend.purpose for spend in ledger.spends if spend.columns == ("dx",)]
    assert purposes.count("codes by block, category and below") >= 3


@pytest.mark.parametrize(
    ("system", "true"),
    [
        ("ICD-9-CM", {"8": 500, "41.1": 400, "428": 600}),
        ("ICD-9-CM", {"25002": 500, "4280": 600, "V5869": 300}),
        ("ICD-10-CM", {"E11.9": 500, "I10": 700, "S72.001A": 600}),
        ("ICD-10-CM", {"E119": 500, "I10": 700, "J459": 400}),
        ("ATC", {"C01AA05": 800, "A10BA02": 900, "N02": 300}),
    ],
)
def test_codes_are_found_at_their_own_depth_and_in_the_table_s_spelling(system: str, true: dict[str, int]) -> None:
    cells = [text for text, n in true.items() for _ in range(n)]
    _, _, counts, held = bought(coded(cells, system), epsilon=100.0)
    assert near(counts, true), counts
    assert near(held, true), held


def test_texts_that_are_no_codes_are_found_where_many_hold_them_and_words_for_no_value_are_missing() -> None:
    cells = ["428"] * 900 + ["local flu"] * 500 + ["n/a"] * 400 + ["Mrs Smith"]
    codec, _, counts, held = bought(coded(cells))
    assert near(counts, {"428": 900, "local flu": 500, "n/a": 400})
    assert near(held, {"428": 900, "local flu": 500, "n/a": 400})
    assert [code.value for code in codec.schema_["dx"].missing] == ["n/a"]
    assert "Mrs Smith" not in counts


def test_of_a_long_declared_book_no_other_code_comes_back() -> None:
    book = (*(f"{n}" for n in range(400, 480)), "250.02")
    declared = {"levels": book, "source": Sources(Source.DECLARED, Source.DECLARED, Source.DATA)}
    cells = ["428"] * 900 + ["414"] * 300 + ["250.02"] * 300
    _, _, counts, _ = bought(coded(cells, **declared))
    assert near(counts, {"428": 900, "414": 300, "250.02": 300})
    assert set(counts) - set(book) <= {"", "(rare)"}


@pytest.mark.parametrize("cells", [[""] * 500, ["428"] * 500, ["not a code"] * 500, ["428", "V58", "E888", "999.99", "x"] * 100])
def test_odd_columns_of_codes_are_learned_or_stay_empty(cells: list[str]) -> None:
    codec, _, counts, held = bought(coded(cells), epsilon=2.0)
    assert sum(held.values()) == len(cells)
    assert codec.emitted(0).any()
    assert all(n >= 0 for n in counts.values())


def test_a_column_of_codes_has_more_of_the_budget() -> None:
    dx, ward = coded(["428"] * 10).columns
    assert (need_of(dx), need_of(ward)) == (CODES, 1.0)
    short = Column("dx", Kind.CODE, code_system="ICD-9-CM", levels=("428",), source=Sources(*[Source.DECLARED] * 3))
    assert need_of(short) == 1.0


def test_rare_codes_are_grouped_by_category_block_and_chapter_for_pairs() -> None:
    true = {"428": 900, "250.01": 300, "250.02": 280, "410": 250, "412": 250, "V58": 600}
    codec, _, _, _ = bought(coded([text for text, n in true.items() for _ in range(n)]))
    field, levels = codec.layout.fields[0], codec.fields_[0].levels  # type: ignore[union-attr]
    assert [len(level) for level in field.coarser] == [field.n_tokens] * 3
    at = {text: field.n_missing + levels.index(text) for text in true}
    group = groups_of(field, codec.counts_[0], 1.5)
    together = {text: int(group[token]) for text, token in at.items()}
    assert together["250.01"] == together["250.02"] != together["428"]
    assert together["410"] == together["412"] != together["250.01"]
    assert codec.layout.fields[1].coarser == ()


def test_counts_are_brought_onto_a_total_as_by_the_slow_way() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 30))
        counts, variance, total = rng.normal(5, 20, n), rng.uniform(0.5, 30, n), float(rng.uniform(1, 200))
        made = onto(counts, variance, total)
        t = brentq(lambda t, c=counts, v=variance, n=total: np.maximum(c - v * t, 0).sum() - n, -1e4, 1e4)
        np.testing.assert_allclose(made, np.maximum(counts - variance * t, 0), atol=1e-6)
