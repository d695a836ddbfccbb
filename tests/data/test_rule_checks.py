"""Every rule's check against the slow, obvious reading of the rule, row by row."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Table
from manikin.data.errors import ParameterError, SchemaError
from manikin.data.rule_checks import combinations, violations
from manikin.data.rules import CombinationRule, ImpliedRule, OrderRule, RangeRule, Rule, SumRule, UniqueRule
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Storage, TableSchema

SCHEMA = TableSchema(
    "t",
    (
        Column("a", Kind.COUNT, Storage.INTEGER, missing=(EMPTY, MissingCode("-1"))),
        Column("b", Kind.CONTINUOUS, Storage.REAL, decimals=1),
        Column("c", Kind.CATEGORICAL, levels=("x", "y", "z"), missing=(EMPTY, MissingCode("?"))),
        Column("d", Kind.DATE, time_format="%Y-%m-%d"),
        Column("e", Kind.DATE, time_format="%Y-%m-%d"),
        Column("f", Kind.CATEGORICAL, Storage.INTEGER, levels=("0", "1", "2")),
    ),
)
CELLS = {
    "a": st.sampled_from(["0", "1", "2", "3", "", "-1"]),
    "b": st.sampled_from(["0.0", "0.5", "1.0", "2.5", ""]),
    "c": st.sampled_from(["x", "y", "z", "", "?"]),
    "d": st.sampled_from(["2020-01-01", "2020-01-02", "2021-05-05", ""]),
    "e": st.sampled_from(["2020-01-01", "2020-01-02", "2021-05-05", ""]),
    "f": st.sampled_from(["0", "1", "2", ""]),
}
ROWS = st.lists(st.fixed_dictionaries(CELLS), min_size=0, max_size=25)
RULES: list[Rule] = [
    OrderRule(("a", "b")),
    OrderRule(("a", "f"), strict=True),
    OrderRule(("d", "e")),
    OrderRule(("d", "e"), strict=True),
    SumRule(("b", "a", "f")),
    SumRule(("a", "b", "f"), tolerance=0.5),
    ImpliedRule(("c", "a"), when=("x", "?"), then=("1", "", "-1")),
    ImpliedRule(("a", "c"), when=("0", ""), then=("y",)),
    ImpliedRule(("d", "e"), when=("2020-01-01",), then=("", "2020-01-02")),
    CombinationRule(("c", "f"), allowed=(("x", "0"), ("?", ""), ("y", "2"))),
    UniqueRule(("a", "c")),
    UniqueRule(("d",)),
    RangeRule(("b",), minimum=0.5, maximum=1.0),
    RangeRule(("a",), minimum=1.0),
    RangeRule(("f",), maximum=1.0),
]


def read(rows: list[dict[str, str]]) -> Table:
    texts = pd.DataFrame(rows, columns=SCHEMA.names, dtype=object)
    return parse_table(texts, SCHEMA)


def number(name: str, cell: str) -> float:
    missing = [code.value for code in SCHEMA[name].missing]
    if cell in missing:
        return math.nan
    return pd.Timestamp(cell).timestamp() if name in "de" else float(cell)


def slow(rule: Rule, rows: list[dict[str, str]]) -> list[bool]:
    """The rule as its docstring says it, one row at a time."""
    out: list[bool] = []
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        cells = tuple(row[name] for name in rule.columns)
        broken = False
        if isinstance(rule, ImpliedRule):
            broken = cells[0] in rule.when and not any(_same(rule.columns[1], cells[1], text) for text in rule.then)
        elif isinstance(rule, CombinationRule):
            broken = cells not in (rule.allowed or ())
        elif isinstance(rule, UniqueRule):
            has_all = all(
                cell not in [code.value for code in SCHEMA[name].missing]
                for name, cell in zip(rule.columns, cells, strict=True)
            )
            broken = has_all and cells in seen
            seen.add(cells)
        else:
            values = [number(name, cell) for name, cell in zip(rule.columns, cells, strict=True)]
            if not any(math.isnan(value) for value in values):
                if isinstance(rule, OrderRule):
                    broken = values[0] >= values[1] if rule.strict else values[0] > values[1]
                elif isinstance(rule, SumRule):
                    broken = abs(values[0] - sum(values[1:])) > rule.tolerance + 1e-6
                elif isinstance(rule, RangeRule):
                    low, high = rule.minimum, rule.maximum
                    broken = (low is not None and values[0] < low) or (high is not None and values[0] > high)
        out.append(broken)
    return out


def _same(name: str, cell: str, text: str) -> bool:
    return cell == text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.text)
@settings(max_examples=25, deadline=None)
@given(rows=ROWS)
def test_the_quick_check_agrees_with_the_slow_one(rule: Rule, rows: list[dict[str, str]]) -> None:
    found = violations(rule, read(rows), SCHEMA)
    assert found.dtype == bool
    assert found.tolist() == slow(rule, rows)


@settings(max_examples=30, deadline=None)
@given(rows=ROWS)
def test_the_training_data_keep_their_own_combinations(rows: list[dict[str, str]]) -> None:
    rule = CombinationRule(("c", "f"))
    table = read(rows)
    allowed = combinations(rule, table, SCHEMA)
    assert allowed == {(row["c"], row["f"]) for row in rows}
    assert not violations(rule, table, SCHEMA, allowed=allowed).any()


def test_a_combination_that_was_never_seen_is_broken() -> None:
    rule = CombinationRule(("c", "f"))
    blank = dict.fromkeys(SCHEMA.names, "")
    train = read([blank | {"c": "x", "f": "1"}])
    other = read([blank | {"c": "x", "f": "2"}, blank | {"c": "x", "f": "1"}])
    assert violations(rule, other, SCHEMA, allowed=combinations(rule, train, SCHEMA)).tolist() == [True, False]


def test_combinations_without_a_list_are_refused() -> None:
    with pytest.raises(ParameterError, match="combinations"):
        violations(CombinationRule(("c", "f")), read([]), SCHEMA)


def test_times_and_numbers_are_not_compared() -> None:
    with pytest.raises(SchemaError, match="compares a time with a number"):
        violations(OrderRule(("a", "d")), read([]), SCHEMA)
    with pytest.raises(SchemaError, match="adds up times"):
        violations(SumRule(("a", "d")), read([]), SCHEMA)


def test_messages_name_a_rule_by_kind_and_columns_and_never_by_its_values() -> None:
    for rule in (RangeRule(("d",), minimum=20200704.0), CombinationRule(("c", "f")), OrderRule(("a", "d"))):
        with pytest.raises((SchemaError, ParameterError)) as refused:
            violations(rule, read([]), SCHEMA)
        assert rule.about in str(refused.value)
        assert "2.02007e+07" not in str(refused.value)


def test_sums_of_decimals_are_not_broken_by_binary_rounding() -> None:
    schema = TableSchema("t", tuple(Column(name, Kind.CONTINUOUS, Storage.REAL, decimals=1) for name in ("whole", "x", "y")))
    table = Table(pd.DataFrame({"whole": [0.3, 0.4], "x": [0.1, 0.1], "y": [0.2, 0.2]}))
    assert violations(SumRule(("whole", "x", "y")), table, schema).tolist() == [False, True]


def test_the_fixture_reads_back_as_it_was_written() -> None:
    rows = [{"a": "-1", "b": "0.5", "c": "?", "d": "2020-01-01", "e": "", "f": "2"}]
    assert texts_of(read(rows), SCHEMA).to_dict("records") == rows
    assert np.array_equal(read(rows).mark("c"), [2])


def test_an_empty_cell_has_a_word_in_a_rule() -> None:
    assert ImpliedRule(("exang", "oldpeak"), when=("",), then=("",)).text == "exang is empty => oldpeak is empty"
    assert ImpliedRule(("setting", "icu"), when=("out",), then=("", "no")).text == "setting in (out) => icu in (empty, no)"
