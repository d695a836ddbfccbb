"""The table codec: missing codes, levels, codes, keys, conditions, rules, and its state."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.codecs.levels import LevelCodec
from manikin.codecs.table import TableCodec
from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Dataset, flat
from manikin.data.errors import BudgetError, FitError, ParameterError, SchemaError
from manikin.data.rules import CombinationRule, ImpliedRule, OrderRule, RangeRule, Rule, SumRule
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Role, Source, Sources, Storage, TableSchema
from manikin.privacy.sealed import PrivateDataset


def dataset(columns: list[Column], texts: dict[str, list[str]], rules: tuple[Rule, ...] = (), k: int = 11) -> Dataset:
    schema = TableSchema("t", tuple(columns), rules, min_patients=k)
    return flat(parse_table(pd.DataFrame(texts, dtype=object), schema), schema)


def texts(data: Dataset) -> pd.DataFrame:
    return texts_of(data.table, data.columns)


def number(name: str, **facts: object) -> Column:
    return Column(name, Kind.COUNT, Storage.INTEGER, decimals=0, **facts)  # type: ignore[arg-type]


LEVELS = Column("ward", Kind.CATEGORICAL)
UNKNOWN = MissingCode("?", "unknown")


@settings(max_examples=40, deadline=None)
@given(
    cells=st.lists(st.sampled_from(["a", "b", "c", "", "?"]), min_size=1, max_size=60),
    ages=st.lists(st.sampled_from([*map(str, range(20, 60)), "", "99"]), min_size=60, max_size=60),
    k=st.sampled_from([1, 3]),
)
def test_encoding_what_was_decoded_gives_the_same_tokens(cells: list[str], ages: list[str], k: int) -> None:
    columns = [replace(LEVELS, missing=(EMPTY, UNKNOWN)), number("age", missing=(EMPTY, MissingCode("99")))]
    data = dataset(columns, {"ward": cells, "age": ages[: len(cells)]}, k=k)
    codec = TableCodec().fit(data)
    tokens = codec.encode(data)
    for j in range(2):
        tokens[~codec.emitted(j)[tokens[:, j]], j] = np.flatnonzero(codec.emitted(j))[0]
    made = codec.decode(tokens, np.random.default_rng(0))
    assert (codec.encode(made) == tokens).all()
    if k == 1:
        assert texts(made).equals(texts(data))


def test_missing_codes_stay_apart() -> None:
    column = Column("icu", Kind.CATEGORICAL, missing=(EMPTY, MissingCode("n/a", "not applicable")))
    data = dataset([column], {"icu": ["yes"] * 20 + [""] * 20 + ["n/a"] * 20})
    made = TableCodec().fit(data)
    tokens = made.encode(data)
    assert len(np.unique(tokens)) == 3
    assert texts(made.decode(tokens, np.random.default_rng(0)))["icu"].value_counts().to_dict() == {
        "yes": 20,
        "": 20,
        "n/a": 20,
    }


def test_rare_levels_are_never_emitted_and_not_in_the_state() -> None:
    data = dataset([LEVELS], {"ward": ["a"] * 50 + ["b"] * 30 + ["HIV clinic"] * 10})
    codec = TableCodec().fit(data)
    allowed = codec.emitted(0)
    assert [level for level, ok in zip(codec.columns_[0].levels, allowed[1:], strict=True) if ok] == ["a", "b"]  # type: ignore[union-attr]
    values, _ = codec.state()
    assert "HIV" not in json.dumps(values)


def test_a_declared_level_is_emitted_however_rare() -> None:
    column = replace(LEVELS, levels=("a", "b", "HIV clinic"), source=Sources(levels=Source.DECLARED))
    data = dataset([column], {"ward": ["a"] * 50 + ["b"] * 30 + ["HIV clinic"] * 2})
    codec = TableCodec().fit(data)
    made = texts(codec.decode(codec.encode(data), np.random.default_rng(0)))
    assert (made["ward"] == "HIV clinic").sum() == 2


def test_a_note_written_into_a_number_column_is_not_released_as_a_missing_code() -> None:
    note = "see Mrs Smith 0791"
    column = number("lab", missing=(EMPTY, MissingCode(note), MissingCode("?"), MissingCode("99")))
    cells = [str(i % 30) for i in range(290)] + [note] + ["?"] * 4 + ["99"] * 4 + [""]
    codec = TableCodec().fit(dataset([column], {"lab": cells}))
    made = texts(codec.decode(codec.encode(dataset([column], {"lab": cells})), np.random.default_rng(0)))["lab"]
    assert note not in set(made)
    assert {"?", "99"} <= set(made)
    assert "Smith" not in json.dumps(codec.state()[0])


def test_codes_back_off_by_patients_not_by_rows() -> None:
    key = Column("patient", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    column = Column("diag", Kind.CODE, code_system="ICD-9-CM")
    rare = ["250.11", "250.12", "250.13"] * 5
    cells = {"patient": [f"p{i}" for i in range(60)] + ["q"] * 15, "diag": ["428"] * 60 + rare}
    codec = TableCodec().fit(dataset([key, column], cells))
    made = texts(codec.decode(codec.encode(dataset([key, column], cells)), np.random.default_rng(0)))
    assert set(made["diag"]) == {"428"}


def test_confirmed_rules_carry_no_rare_value_out() -> None:
    rule = ImpliedRule(("dx", "ward"), confirmed=True, when=("Creutzfeldt", "flu"), then=("isolation",))
    cells = {"dx": ["flu"] * 40 + ["Creutzfeldt"] * 2 + ["cut"] * 40, "ward": ["isolation"] * 42 + ["open"] * 40}
    codec = TableCodec().fit(dataset([Column("dx", Kind.CATEGORICAL), LEVELS], cells, (rule,)))
    kept = codec.release_schema.rules[0]
    assert isinstance(kept, ImpliedRule)
    assert kept.when == ("flu",)
    assert "Creutzfeldt" not in json.dumps(codec.state()[0])


@pytest.mark.parametrize("storage", [Storage.TEXT, Storage.INTEGER])
def test_a_column_of_rare_levels_only_stays_empty(storage: Storage) -> None:
    column = Column("code", Kind.CATEGORICAL, storage, missing=())
    data = dataset([column, LEVELS], {"code": [str(i) for i in range(60)], "ward": ["a"] * 60})
    codec = TableCodec().fit(data)
    assert codec.emitted(0).tolist() == [True, False]
    tokens = codec.encode(data)
    tokens[:, 0] = 0
    made = codec.decode(tokens, np.random.default_rng(0))
    assert set(texts(made)["code"]) == {""}
    assert made.to_pandas()["code"].isna().all()


def test_conditions_are_never_rounded_and_keys_never_copied() -> None:
    key = Column("patient", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    data = dataset([key, number("age")], {"patient": [f"p{i}" for i in range(60)], "age": [str(20 + i) for i in range(60)]})
    codec = TableCodec().fit(data)
    with pytest.raises(ParameterError, match="whole numbers"):
        codec.encode_conditions({"age": 33.7}, 1)
    with pytest.raises(ParameterError, match="too large"):
        codec.encode_conditions({"age": 1e30}, 1)
    tokens, _ = codec.encode_conditions(data, 60)
    made = texts(codec.decode(tokens, np.random.default_rng(0), conditions=data))
    assert not set(made["patient"]) & set(texts(data)["patient"])
    assert made["age"].tolist() == texts(data)["age"].tolist()


def test_given_rows_of_another_schema_keep_their_missing_codes_or_are_refused() -> None:
    cells = ["a"] * 30 + [""] * 20 + ["?"] * 20
    codec = TableCodec().fit(dataset([replace(LEVELS, missing=(EMPTY, UNKNOWN))], {"ward": cells}))
    swapped = dataset([replace(LEVELS, missing=(UNKNOWN,))], {"ward": ["?"] * 5 + ["a"]})
    assert codec.encode_partial(swapped)[0][:, 0].tolist() == [1, 1, 1, 1, 1, 2]
    foreign = dataset([replace(LEVELS, missing=(MissingCode("-"),))], {"ward": ["-", "a"]})
    with pytest.raises(ParameterError, match="'ward'"):
        codec.encode_partial(foreign)
    with pytest.raises(ParameterError, match="'ward' is count"):
        codec.encode_partial(dataset([replace(number("ward"))], {"ward": ["1"]}))


def test_levels_are_counted_by_patient_not_by_row() -> None:
    key = Column("patient", Kind.IDENTIFIER, roles=(Role.PATIENT_KEY,))
    data = dataset([key, LEVELS], {"patient": ["p1"] * 40 + [f"q{i}" for i in range(40)], "ward": ["rare"] * 40 + ["b"] * 40})
    codec = TableCodec().fit(data)
    made = codec.decode(codec.encode(data), np.random.default_rng(0))
    assert isinstance(codec.columns_[0], LevelCodec)
    assert codec.columns_[0].n_frequent == 1
    assert texts(made)["patient"].tolist() == [str(i) for i in range(1, 81)]


def test_rare_ordinal_levels_join_their_neighbour() -> None:
    bands = ("[0-10)", "[10-20)", "[20-30)", "[30-40)")
    column = Column("age", Kind.ORDINAL, levels=bands)
    data = dataset([column], {"age": [bands[0]] * 3 + [bands[1]] * 40 + [bands[2]] * 40 + [bands[3]] * 4})
    codec = TableCodec().fit(data)
    made = texts(codec.decode(codec.encode(data), np.random.default_rng(0)))
    assert made["age"].value_counts().to_dict() == {bands[1]: 43, bands[2]: 44}


def test_rare_codes_back_off_to_their_parent() -> None:
    pytest.importorskip("manikin.clinical.codes")
    column = Column("diag", Kind.CODE, code_system="ICD-9-CM")
    cells = ["428"] * 50 + ["250.11"] * 6 + ["250.12"] * 6 + ["250.13"] * 6 + ["427"] * 30 + ["394"] * 4 + ["396"] * 20
    data = dataset([column], {"diag": cells})
    codec = TableCodec().fit(data)
    made = set(texts(codec.decode(codec.encode(data), np.random.default_rng(0)))["diag"])
    assert made <= {"428", "427", "396", "250.1", "250"}
    assert made & {"250.1", "250"}


def test_a_parent_that_is_itself_rare_is_not_released() -> None:
    column = Column("diag", Kind.CODE, code_system="ICD-9-CM")
    data = dataset([column], {"diag": ["428"] * 50 + ["250.11"] * 6 + ["250.12"] * 6 + ["250.1"] * 4})
    codec = TableCodec().fit(data)
    made = set(texts(codec.decode(codec.encode(data), np.random.default_rng(0)))["diag"])
    assert made == {"428", "250"}


def test_direct_identifiers_and_free_text_are_left_out() -> None:
    columns = [
        Column("name", Kind.CATEGORICAL, roles=(Role.DIRECT_IDENTIFIER,)),
        Column("note", Kind.TEXT),
        Column("encounter", Kind.IDENTIFIER),
        LEVELS,
    ]
    cells = {"name": ["Ann"] * 30, "note": ["fell"] * 30, "encounter": [f"E{i}" for i in range(30)], "ward": ["a"] * 30}
    data = dataset(columns, cells)
    codec = TableCodec().fit(data)
    made = codec.decode(codec.encode(data), np.random.default_rng(0))
    assert made.columns.names == ["encounter", "ward"]
    assert not set(texts(made)["encounter"]) & set(cells["encounter"])


def test_conditions_are_kept_to_the_digit_and_unknown_ones_are_refused_by_column() -> None:
    data = dataset([LEVELS, number("age")], {"ward": ["a", "b"] * 100, "age": [str(20 + i % 60) for i in range(200)]})
    codec = TableCodec().fit(data)
    tokens, known = codec.encode_conditions({"age": 33}, 5)
    assert known.tolist() == [False, True]
    made = codec.decode(tokens, np.random.default_rng(0), conditions={"age": 33})
    assert texts(made)["age"].tolist() == ["33"] * 5
    with pytest.raises(ParameterError, match="'colour'"):
        codec.encode_conditions({"colour": "red"}, 1)
    with pytest.raises(ParameterError, match="'ward'"):
        codec.encode_conditions({"ward": "z"}, 1)
    with pytest.raises(ParameterError, match="2 rows"):
        codec.encode_conditions(data.take(np.arange(2)), 3)


def draw_by_rules(codec: TableCodec, n: int, order: list[int], seed: int) -> np.ndarray:
    """The slow, obvious sampler: uniform over the tokens that the masks leave."""
    rng = np.random.default_rng(seed)
    tokens = np.zeros((n, len(order)), dtype=np.int32)
    known = np.zeros(len(order), dtype=bool)
    for j in order:
        allowed = np.repeat(codec.emitted(j)[None], n, axis=0)
        mask = codec.allowed(j, tokens, known)
        if mask is not None:
            allowed &= mask
        assert allowed.any(axis=1).all(), "a dead end"
        tokens[:, j] = [rng.choice(np.flatnonzero(row)) for row in allowed]
        known[j] = True
    return tokens


def numbers_of(data: Dataset) -> dict[str, np.ndarray]:
    return {name: data.table.frame[name].to_numpy(dtype=float) for name in data.columns.names}


def triple(rules: tuple[Rule, ...], n: int = 400) -> Dataset:
    rng = np.random.default_rng(0)
    a = rng.integers(0, 80, n)
    b = a + rng.integers(0, 60, n)
    c = b + rng.integers(0, 40, n)
    gap = rng.random(n) < 0.1
    cells = {
        "a": [str(x) for x in a],
        "b": ["" if g else str(x) for x, g in zip(b, gap, strict=True)],
        "c": [str(x) for x in c],
    }
    return dataset([number("a"), number("b"), number("c")], cells, rules)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [0, 2, 1], [1, 2, 0]])
def test_order_rules_hold_in_every_row_and_never_lead_into_a_dead_end(order: list[int], strict: bool) -> None:
    rules = (OrderRule(("a", "b"), confirmed=True, strict=strict), OrderRule(("b", "c"), confirmed=True, strict=strict))
    codec = TableCodec(max_tokens=12).fit(triple(rules))
    for seed in range(3):
        made = codec.decode(draw_by_rules(codec, 300, order, seed), np.random.default_rng(seed))
        x = numbers_of(made)
        for first, second in (("a", "b"), ("b", "c")):
            both = ~np.isnan(x[first]) & ~np.isnan(x[second])
            assert both.sum() > 200
            assert (x[first][both] < x[second][both]).all() if strict else (x[first][both] <= x[second][both]).all()


def test_an_order_rule_holds_around_a_given_number() -> None:
    codec = TableCodec(max_tokens=8).fit(triple((OrderRule(("a", "b"), confirmed=True),)))
    tokens, known = codec.encode_conditions({"a": 41}, 300)
    drawn = draw_by_rules(codec, 300, [0, 1, 2], 0)
    mask = codec.allowed(1, tokens, known)
    assert mask is not None
    drawn[:, 0] = tokens[:, 0]
    drawn[:, 1] = [np.random.default_rng(i).choice(np.flatnonzero(row & codec.emitted(1))) for i, row in enumerate(mask)]
    made = numbers_of(codec.decode(drawn, np.random.default_rng(0), conditions={"a": 41}))
    assert (made["a"] == 41).all()
    assert (made["b"][~np.isnan(made["b"])] >= 41).all()


def test_sums_are_settled_and_a_total_alone_is_no_condition() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 20, 300), rng.integers(0, 20, 300)
    cells = {"total": [str(x) for x in a + b], "a": [str(x) for x in a], "b": [str(x) for x in b]}
    data = dataset([number("total"), number("a"), number("b")], cells, (SumRule(("total", "a", "b"), confirmed=True),))
    codec = TableCodec().fit(data)
    made = numbers_of(codec.decode(draw_by_rules(codec, 200, [0, 1, 2], 0), np.random.default_rng(0)))
    assert (made["total"] == made["a"] + made["b"]).all()
    with pytest.raises(ParameterError, match="'total' is the sum"):
        codec.encode_conditions({"total": 5}, 1)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_implied_values_hold_whichever_is_drawn_first(order: list[int]) -> None:
    rule = ImpliedRule(("setting", "icu"), confirmed=True, when=("outpatient",), then=("n/a",))
    columns = [Column("setting", Kind.CATEGORICAL), Column("icu", Kind.CATEGORICAL, missing=(EMPTY, MissingCode("n/a")))]
    cells = {"setting": ["outpatient"] * 40 + ["inpatient"] * 60, "icu": ["n/a"] * 40 + ["yes"] * 30 + ["no"] * 30}
    codec = TableCodec().fit(dataset(columns, cells, (rule,)))
    made = texts(codec.decode(draw_by_rules(codec, 300, order, 0), np.random.default_rng(0)))
    assert set(made.loc[made["setting"] == "outpatient", "icu"]) == {"n/a"}
    assert len(set(made.loc[made["setting"] == "inpatient", "icu"])) > 1


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_fixed_combinations_hold(order: list[int]) -> None:
    rule = CombinationRule(("ward", "site"), confirmed=True)
    cells = {"ward": ["a"] * 40 + ["b"] * 40 + ["c"] * 40, "site": ["north"] * 80 + ["south"] * 40}
    codec = TableCodec().fit(dataset([LEVELS, Column("site", Kind.CATEGORICAL)], cells, (rule,)))
    made = texts(codec.decode(draw_by_rules(codec, 200, order, 0), np.random.default_rng(0)))
    assert set(zip(made["ward"], made["site"], strict=True)) == {("a", "north"), ("b", "north"), ("c", "south")}


def test_rules_speak_to_rows_that_know_different_columns() -> None:
    rule = CombinationRule(("ward", "site"), confirmed=True)
    cells = {"ward": ["a"] * 40 + ["c"] * 40, "site": ["north"] * 40 + ["south"] * 40}
    data = dataset([LEVELS, Column("site", Kind.CATEGORICAL)], cells, (rule,))
    codec = TableCodec().fit(data)
    tokens = codec.encode(data)[[0, 0, 79]]
    known = np.array([[True, False], [False, False], [True, False]])
    mask = codec.allowed(1, tokens, known)
    assert mask is not None
    assert mask.sum(axis=1).tolist() == [1, 2, 1]


def test_confirmed_ranges_hold() -> None:
    codec = TableCodec(max_tokens=6).fit(triple((RangeRule(("a",), confirmed=True, minimum=13, maximum=57),)))
    made = numbers_of(codec.decode(draw_by_rules(codec, 300, [0, 1, 2], 0), np.random.default_rng(0)))
    assert made["a"].min() >= 13
    assert made["a"].max() <= 57


def test_offered_rules_without_confirmation_bind_nothing() -> None:
    codec = TableCodec().fit(triple((OrderRule(("a", "b")),)))
    assert not codec.rules_.has_rules


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(FitError, match="no rows"):
        TableCodec().fit(dataset([LEVELS], {"ward": []}))
    with pytest.raises(FitError, match="no column to learn"):
        TableCodec().fit(dataset([Column("note", Kind.TEXT)], {"note": ["x"]}))
    with pytest.raises(BudgetError, match="under a ledger only"):
        TableCodec().fit(PrivateDataset(dataset([LEVELS], {"ward": ["a"]}), rows_per_patient=1))
    with pytest.raises(SchemaError, match="needs numbers"):
        TableCodec().fit(
            dataset([LEVELS, number("a")], {"ward": ["a"], "a": ["1"]}, (OrderRule(("ward", "a"), confirmed=True),))
        )


def test_state_round_trip_decodes_the_same_and_holds_no_extreme() -> None:
    rules = (OrderRule(("a", "b"), confirmed=True), CombinationRule(("a", "c"), confirmed=True))
    data = triple(rules)
    codec = TableCodec(max_tokens=6).fit(data)
    values, arrays = codec.state()
    again = TableCodec.from_state(json.loads(json.dumps(values)), arrays)
    tokens = codec.encode(data)
    first, second = (c.decode(tokens, np.random.default_rng(3)) for c in (codec, again))
    assert texts(first).equals(texts(second))
    assert (again.encode(data) == tokens).all()
    assert again.rules_.has_rules
    assert all(len(array) != len(data) for array in arrays.values())


def test_a_real_table_keeps_what_gives_it_its_face(shared: Path) -> None:
    tabular = pytest.importorskip("manikin.io.tabular")
    data = tabular.read(shared / "survival" / "flchain.csv.gz")
    codec = TableCodec(max_tokens=128).fit(data)
    made = codec.decode(codec.encode(data), np.random.default_rng(0))
    for name in ("age", "kappa", "lambda", "creatinine", "futime"):
        real, synthetic = (x.table.frame[name].dropna().to_numpy(dtype=float) for x in (data, made))
        grid = np.unique(real)
        gap = np.abs(
            np.searchsorted(np.sort(real), grid, "right") / len(real)
            - np.searchsorted(np.sort(synthetic), grid, "right") / len(synthetic)
        )
        assert gap.max() < 0.015, name
        assert synthetic.max() <= np.sort(real)[-11]


def test_a_group_that_nothing_is_released_for_is_decoded_as_a_missing_cell() -> None:
    data = dataset([LEVELS], {"ward": [f"w{i}" for i in range(30)] + [""] * 20})
    codec = TableCodec().fit(data)
    made = codec.decode(codec.encode(data), np.random.default_rng(0))
    assert (made.table.mark("ward") > 0).all()
    assert (codec.encode(made) == 0).all()
