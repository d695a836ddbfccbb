"""Confirmed rules hold in every decoded row: implied numbers and times, sums with ranges and orders around them, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from manikin.codecs.table import TableCodec
from manikin.data.cells import parse_table
from manikin.data.dataset import Dataset, flat
from manikin.data.errors import SchemaError
from manikin.data.rule_checks import violations
from manikin.data.rules import CombinationRule, ImpliedRule, OrderRule, RangeRule, Rule, SumRule
from manikin.data.schema import Column, Kind, Storage, TableSchema

SEEDS = range(4)
N = 500


def dataset(columns: list[Column], texts: dict[str, list[str]], *rules: Rule) -> Dataset:
    schema = TableSchema("t", tuple(columns), rules)
    return flat(parse_table(pd.DataFrame(texts, dtype=object), schema), schema)


def number(name: str) -> Column:
    return Column(name, Kind.COUNT, Storage.INTEGER, decimals=0)


def numbers(columns: dict[str, np.ndarray], *rules: Rule) -> Dataset:
    texts = {name: [str(int(x)) for x in values] for name, values in columns.items()}
    return dataset([number(name) for name in columns], texts, *rules)


def drawn(codec: TableCodec, seed: int, n: int = N) -> np.ndarray:
    """Tokens drawn uniformly from what the masks leave, columns in a random order."""
    rng = np.random.default_rng(seed)
    size = len(codec.fields_)
    tokens, known = np.zeros((n, size), dtype=np.int32), np.zeros(size, dtype=bool)
    for j in rng.permutation(size):
        allowed = np.repeat(codec.emitted(j)[None], n, axis=0)
        mask = codec.allowed(j, tokens, known)
        allowed &= True if mask is None else mask
        assert allowed.any(axis=1).all(), "a dead end"
        tokens[:, j] = np.argmax(np.where(allowed, rng.random(allowed.shape), -1), axis=1)
        known[j] = True
    return tokens


def broken(data: Dataset, rules: tuple[Rule, ...]) -> list[int]:
    return [int(violations(rule, data.table, data.columns).sum()) for rule in rules]


def assert_kept(data: Dataset, *, max_tokens: int = 8) -> list[Dataset]:
    """Decodes for several seeds, also from the saved state, and checks every confirmed rule in every row."""
    codec = TableCodec(max_tokens=max_tokens).fit(data)
    values, arrays = codec.state()
    again = TableCodec.from_state(json.loads(json.dumps(values)), arrays)
    rules = data.columns.confirmed_rules
    out = []
    for seed in SEEDS:
        made = (again if seed % 2 else codec).decode(drawn(codec, seed), np.random.default_rng(seed))
        assert broken(made, rules) == [0] * len(rules)
        out.append(made)
    return out


def stays(*rules: Rule) -> Dataset:
    rng = np.random.default_rng(0)
    dead = rng.random(600) < 0.3
    los = rng.integers(1000, 2000, 600)
    texts = {
        "dead": ["U" if d else "V" for d in dead],
        "los": ["1500" if d else str(x) for d, x in zip(dead, los, strict=True)],
    }
    texts["los"] = [str(x) for x in los] if not rules else texts["los"]
    texts["los"][:20] = [""] * 20
    return dataset([Column("dead", Kind.CATEGORICAL), number("los")], texts, *rules)


@pytest.mark.parametrize("then", [("1500", ""), ("1503", ""), ("1503", "1777"), ("1503",)])
def test_an_implied_number_inside_a_group_is_that_number(then: tuple[str, ...]) -> None:
    rule = ImpliedRule(("dead", "los"), confirmed=True, when=("U",), then=then)
    for made in assert_kept(stays(rule)):
        speaks = made.table.frame["dead"].to_numpy() == "U"
        los = made.table.frame["los"].to_numpy(dtype=float)
        assert speaks.sum() > 20
        assert set(los[speaks][~np.isnan(los[speaks])]) <= {float(x) for x in then if x}
        assert len(np.unique(los[~speaks])) > 100


def test_a_number_that_speaks_inside_a_group_is_decided_on_the_number() -> None:
    rng = np.random.default_rng(1)
    los = rng.integers(0, 40, 400)
    texts = {"los": [str(x) for x in los], "icu": rng.choice(["yes", "no"], 400).tolist()}
    rule = ImpliedRule(("los", "icu"), confirmed=True, when=tuple(str(x) for x in range(0, 40, 3)), then=("no",))
    for made in assert_kept(dataset([number("los"), Column("icu", Kind.CATEGORICAL)], texts, rule), max_tokens=5):
        assert {"yes", "no"} <= set(made.table.frame["icu"])


def test_numbers_imply_numbers_also_around_a_given_one() -> None:
    rng = np.random.default_rng(2)
    rule = ImpliedRule(("a", "b"), confirmed=True, when=("7", "8"), then=("33", "61"))
    data = numbers({"a": rng.integers(0, 50, 500), "b": rng.integers(0, 90, 500)}, rule)
    assert_kept(data, max_tokens=4)
    codec = TableCodec(max_tokens=4).fit(data)
    for seed in SEEDS:
        tokens, _ = codec.encode_conditions({"a": 7}, N)
        tokens[:, 1] = drawn(codec, seed)[:, 1]
        made = codec.decode(tokens, np.random.default_rng(seed), conditions={"a": 7})
        assert (made.table.frame["a"] == 7).all()
        assert set(made.table.frame["b"]) == {33.0, 61.0}


@pytest.mark.parametrize(("pattern", "kind"), [("%d.%m.%Y", Kind.DATE), ("%Y-%m-%d %H:%M:%S", Kind.DATETIME)])
def test_dates_in_implied_rules_bind_in_the_columns_own_format(pattern: str, kind: Kind) -> None:
    rng = np.random.default_rng(3)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 400, 600), unit="D")
    day = pd.Timestamp("2020-07-04").strftime(pattern)
    texts = {"seen": days.strftime(pattern).tolist(), "ward": rng.choice(["a", "b"], 600).tolist()}
    columns = [Column("seen", kind, time_format=pattern), Column("ward", Kind.CATEGORICAL)]
    then = ImpliedRule(("ward", "seen"), confirmed=True, when=("a",), then=(day,))
    for made in assert_kept(dataset(columns, texts, then)):
        is_a = made.table.frame["ward"].to_numpy() == "a"
        assert is_a.sum() > 20
        assert set(made.table.frame["seen"][is_a]) == {pd.Timestamp("2020-07-04")}
    when = ImpliedRule(("seen", "ward"), confirmed=True, when=tuple(texts["seen"][:150]), then=("a",))
    assert_kept(dataset(columns, texts, when), max_tokens=5)


def parts(seed: int = 4, n: int = 600) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b, c = (rng.integers(0, high, n) for high in (60, 50, 30))
    return {"t2": a + b + c, "t": a + b, "a": a, "b": b, "c": c, "u": a + b + rng.integers(0, 40, n)}


INNER = SumRule(("t", "a", "b"), confirmed=True)
OUTER = SumRule(("t2", "t", "c"), confirmed=True)


@pytest.mark.parametrize("rules", [(OUTER, INNER), (INNER, OUTER)])
def test_sums_of_sums_hold_in_whatever_order_they_stand(rules: tuple[Rule, ...]) -> None:
    assert_kept(numbers(parts(), *rules))


@pytest.mark.parametrize(
    "others",
    [
        (RangeRule(("t",), confirmed=True, minimum=0, maximum=60),),
        (RangeRule(("t",), confirmed=True, minimum=50, maximum=60), RangeRule(("a",), confirmed=True, minimum=5, maximum=40)),
        (OrderRule(("t", "u"), confirmed=True),),
        (OrderRule(("t", "u"), confirmed=True, strict=True), RangeRule(("u",), confirmed=True, maximum=80)),
        (
            OrderRule(("b", "t"), confirmed=True),
            OrderRule(("t", "t2"), confirmed=True),
            RangeRule(("t",), confirmed=True, maximum=60),
        ),
        (OUTER, RangeRule(("t2",), confirmed=True, minimum=20, maximum=70), RangeRule(("t",), confirmed=True, maximum=50)),
        (ImpliedRule(("c", "t"), confirmed=True, when=("3", "4", "5"), then=("41", "52")),),
    ],
)
def test_a_total_keeps_its_range_and_its_orders(others: tuple[Rule, ...]) -> None:
    for made in assert_kept(numbers(parts(), INNER, *others)):
        assert len(np.unique(made.table.frame["a"])) > 15


def test_totals_out_of_their_range_are_drawn_again_and_make_no_heap_at_its_end() -> None:
    rule = RangeRule(("t",), confirmed=True, minimum=0, maximum=60)
    codec = TableCodec(max_tokens=4).fit(numbers(parts(), INNER, rule))
    for seed in SEEDS:
        tokens = drawn(codec, seed)
        made = codec.decode(tokens, np.random.default_rng(seed))
        low = sum(codec.fields_[j].token_bounds()[0][tokens[:, j] - codec.fields_[j].n_missing] for j in (2, 3))
        room = low <= 50
        assert room.sum() > 100
        assert (made.table.frame["t"][room] == 60).mean() < 0.1
        assert (codec.encode(made)[room][:, 2:4] == tokens[room][:, 2:4]).mean() > 0.95


@pytest.mark.parametrize("given", [["t"], ["t", "a"], ["t", "b"], ["a", "b"], ["t2"], ["t2", "t"], ["t2", "t", "a"]])
def test_parts_are_computed_around_a_given_total(given: list[str]) -> None:
    data = numbers(parts(), OUTER, INNER)
    codec = TableCodec(max_tokens=8).fit(data)
    names = data.columns.names
    for seed in SEEDS:
        fixed = np.isin(names, given)
        rows = data.take(np.random.default_rng(seed).permutation(len(data))[:N])
        tokens = np.where(fixed, codec.encode(rows), drawn(codec, seed))
        made = codec.decode(tokens, np.random.default_rng(seed), known=(rows, np.broadcast_to(fixed, tokens.shape)))
        assert broken(made, (OUTER, INNER)) == [0, 0]
        for name in names:
            values = made.table.frame[name].to_numpy()
            assert (values >= 0).all(), name
            if name in given:
                assert (values == rows.table.frame[name].to_numpy()).all()


def test_rows_may_know_different_cells() -> None:
    data = numbers(parts(), OUTER, INNER)
    codec = TableCodec(max_tokens=8).fit(data)
    rows = data.take(np.arange(N))
    for seed in SEEDS:
        fixed = np.random.default_rng(seed).random((N, len(codec.fields_))) < 0.5
        tokens = np.where(fixed, codec.encode(rows), drawn(codec, seed))
        made = codec.decode(tokens, np.random.default_rng(seed), known=(rows, fixed))
        assert broken(made, (OUTER, INNER)) == [0, 0]
        for j, name in enumerate(data.columns.names):
            same = made.table.frame[name].to_numpy() == rows.table.frame[name].to_numpy()
            assert same[fixed[:, j]].all()


def test_a_missing_part_leaves_the_total_alone() -> None:
    columns = parts()
    texts = {name: [str(x) for x in columns[name]] for name in ("t", "a", "b")}
    texts["b"][:200] = [""] * 200
    made = assert_kept(dataset([number(name) for name in texts], texts, INNER, RangeRule(("t",), confirmed=True, maximum=70)))
    assert all(one.table.frame["b"].isna().sum() > 20 and one.table.frame["t"].notna().all() for one in made)


def refused(data: Dataset, *values: str) -> str:
    with pytest.raises(SchemaError) as error:
        TableCodec().fit(data)
    message = str(error.value)
    assert not [value for value in values if value in message]
    return message


def test_a_tolerance_is_kept_and_not_used_up() -> None:
    cells = parts()
    cells["t"] = cells["t"] + np.random.default_rng(0).integers(-1, 2, len(cells["t"]))  # totals of rounded parts
    rule = SumRule(("t", "a", "b"), confirmed=True, tolerance=1.0)
    data = numbers({name: cells[name] for name in ("t", "a", "b")}, rule)
    assert broken(data, (rule,)) == [0]
    for made in assert_kept(data):
        frame = made.table.frame
        assert (frame["t"] == frame["a"] + frame["b"]).all()


def test_sums_in_a_circle_and_two_sums_of_one_total_are_refused() -> None:
    circle = refused(numbers(parts(), INNER, SumRule(("a", "t", "c"), confirmed=True)))
    assert "'a'" in circle
    assert "'t'" in circle
    assert "'t'" in refused(numbers(parts(), INNER, SumRule(("t", "a", "c"), confirmed=True)))


def test_what_cannot_be_bound_is_refused_by_columns_without_values() -> None:
    implied = ImpliedRule(("dead", "los"), confirmed=True, when=("U",), then=("long-ago",))
    assert "implied rule of dead, los" in refused(stays(implied), "long-ago")
    unheld = ImpliedRule(("dead", "los"), confirmed=True, when=("U",), then=("987654",))
    assert "'los'" in refused(stays(unheld), "987654")
    day = Column("day", Kind.DATE, time_format="%Y-%m-%d")
    texts = {"day": ["2020-01-01", "2020-01-02"] * 30, "ward": ["a", "b"] * 30}
    rule = ImpliedRule(("day", "ward"), confirmed=True, when=("01/02/2020",), then=("a",))
    assert "'day'" in refused(dataset([day, Column("ward", Kind.CATEGORICAL)], texts, rule), "01/02/2020")
    listed = CombinationRule(("dead", "los"), confirmed=True, allowed=(("U", "1234"),))
    assert "combination rule of dead, los" in refused(stays(listed), "1234")


def test_combinations_that_too_few_patients_hold_are_refused() -> None:
    rule = CombinationRule(("a", "b"), confirmed=True)
    texts = {"a": [f"a{i % 5}" for i in range(60)], "b": [f"b{i % 4}" for i in range(60)]}
    message = refused(dataset([Column("a", Kind.CATEGORICAL), Column("b", Kind.CATEGORICAL)], texts, rule), "a1", "b1")
    assert "combination rule of a, b" in message


def test_about_names_columns_only() -> None:
    rule = ImpliedRule(("dx", "icu"), when=("C50.1",), then=("secret",))
    assert rule.about == "implied rule of dx, icu"


def packs_and_rest() -> dict[str, list[str]]:
    """Numbers that many share (packs of 1, 2, 3, 5, 7, 10, 14) and rare ones between and beyond them."""
    rng = np.random.default_rng(0)
    rare = np.repeat([4, 6, 8, 9, 11, 12, 13], [6, 6, 4, 4, 2, 5, 3])
    size = np.r_[rng.choice([1, 2, 3, 5, 7, 10, 14], 570), rare]
    return {"size": [str(one) for one in size], "kind": ["pack"] * 570 + ["loose"] * len(rare)}


def test_numbers_that_a_combination_names_share_no_token_with_rarer_ones() -> None:
    cells = packs_and_rest()
    columns = [number("size"), Column("kind", Kind.CATEGORICAL)]
    allowed = tuple((size, kind) for size in ("1", "2", "3", "5", "7", "10", "14") for kind in ("pack", "loose"))
    listed = CombinationRule(("size", "kind"), confirmed=True, allowed=allowed)
    assert TableCodec().fit(dataset(columns, cells, listed)).fields_[0].is_spike().sum() == 7
    other = ImpliedRule(("kind", "size"), confirmed=True, when=("crate",), then=("",))  # names no number
    assert (np.diff(TableCodec().fit(dataset(columns, cells, other)).fields_[0].low) > 0).all()
    data = dataset(columns, cells, CombinationRule(("size", "kind"), confirmed=True))
    codec = TableCodec().fit(data)
    made = codec.decode(codec.encode(data), np.random.default_rng(0)).table.frame
    is_pack = np.isin(made["size"].to_numpy(dtype=float), [1, 2, 3, 5, 7, 10, 14])
    assert (is_pack == (made["kind"] == "pack")).all()


def test_a_number_that_speaks_stays_as_frequent_as_it_is() -> None:
    cells = packs_and_rest()
    cells["kind"] = ["loose" if size == "10" else kind for size, kind in zip(cells["size"], cells["kind"], strict=True)]
    rule = ImpliedRule(("size", "kind"), confirmed=True, when=("10",), then=("loose",))
    data = dataset([number("size"), Column("kind", Kind.CATEGORICAL)], cells, rule)
    codec = TableCodec().fit(data)
    made = codec.decode(np.tile(codec.encode(data), (10, 1)), np.random.default_rng(0))
    assert not violations(rule, made.table, made.columns).any()
    share = (made.table.frame["size"].to_numpy(dtype=float) == 10).mean()
    assert share == pytest.approx(np.mean([size == "10" for size in cells["size"]]), rel=0.05)
