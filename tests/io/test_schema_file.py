"""schema.toml: what is written is read back equal, and what is wrong in it is named by line and key."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifelines import datasets

from manikin.data.errors import SchemaError
from manikin.data.rules import CombinationRule, ImpliedRule, OrderRule, RangeRule, Rule, SumRule, UniqueRule
from manikin.data.schema import Column, Kind, MissingCode, Role, Schema, Source, Sources, Storage, TableSchema
from manikin.io.inference import infer_schema
from manikin.io.schema_file import read_schema, schema_text, write_schema

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
NAMES = st.one_of(st.text(string.ascii_letters + "._-[]\"'# =", min_size=1, max_size=10), TEXTS.filter(bool))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SOURCES = st.sampled_from(Source)
CODES = st.builds(MissingCode, TEXTS, TEXTS, SOURCES)
SOME = st.integers(1, 17)


@st.composite
def columns(draw: st.DrawFn, name: str) -> Column:
    return Column(
        name,
        kind=draw(st.sampled_from(Kind)),
        storage=draw(st.sampled_from(Storage)),
        roles=tuple(draw(st.lists(st.sampled_from(Role), max_size=3, unique=True))),
        levels=draw(st.none() | st.lists(TEXTS, max_size=5, unique=True).map(tuple)),
        minimum=draw(st.none() | NUMBERS | TEXTS),
        maximum=draw(st.none() | NUMBERS | TEXTS),
        decimals=draw(st.none() | st.integers(0, 15)),
        significant=draw(st.none() | SOME),
        unit=draw(st.none() | TEXTS),
        code_system=draw(st.none() | TEXTS),
        separator=draw(st.none() | TEXTS),
        time_format=draw(st.none() | TEXTS),
        missing=tuple(draw(st.lists(CODES, max_size=3))),
        suggested_missing=tuple(draw(st.lists(CODES, max_size=3))),
        min_patients=draw(st.none() | SOME),
        source=draw(st.builds(Sources, SOURCES, SOURCES, SOURCES)),
        notes=tuple(draw(st.lists(TEXTS, max_size=2))),
    )


@st.composite
def rules(draw: st.DrawFn, names: list[str]) -> Rule:
    pair = tuple(draw(st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True)))
    shared = {"confirmed": draw(st.booleans()), "source": draw(TEXTS), "evidence": draw(TEXTS)}
    texts = tuple(draw(st.lists(TEXTS, max_size=3)))
    return draw(
        st.sampled_from(
            [
                OrderRule(pair, strict=draw(st.booleans()), **shared),
                SumRule(pair, tolerance=draw(st.floats(0, 10)), **shared),
                ImpliedRule(pair, when=texts, then=texts[:1], **shared),
                CombinationRule(pair, allowed=draw(st.none() | st.just((("a", "b"), ("c", "")))), **shared),
                UniqueRule(pair, **shared),
                RangeRule(pair[:1], minimum=draw(st.none() | NUMBERS), maximum=draw(st.none() | NUMBERS), **shared),
            ]
        )
    )


@st.composite
def tables(draw: st.DrawFn, name: str) -> TableSchema:
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    return TableSchema(
        name,
        tuple(draw(columns(each)) for each in names),
        rules=tuple(draw(st.lists(rules(names), max_size=3))),
        min_patients=draw(SOME),
        notes=tuple(draw(st.lists(TEXTS, max_size=2))),
    )


@st.composite
def schemas(draw: st.DrawFn) -> Schema:
    names = draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))
    return Schema(tuple(draw(tables(name)) for name in names))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(schema=schemas())
def test_what_is_written_is_read_back_equal(tmp_path: Path, schema: Schema) -> None:
    path = write_schema(schema, tmp_path / "schema.toml", force=True)
    assert read_schema(path) == schema


def test_a_real_schema_is_written_with_comments_and_read_back(tmp_path: Path) -> None:
    schema = infer_schema(datasets.load_gbsg2(), "gbsg2")
    path = write_schema(schema, tmp_path / "schema.toml")
    text = path.read_text()
    assert text.startswith("# What Manikin found in the table.")
    assert "[columns.age]" in text or '[columns."age"]' in text
    assert read_schema(path) == schema
    with pytest.raises(SchemaError, match="exists already"):
        write_schema(schema, path)


def test_a_correction_by_hand_takes_effect(tmp_path: Path) -> None:
    column = Column("ward", Kind.CATEGORICAL, levels=("a", "?"), missing=(), suggested_missing=(MissingCode("?"),))
    path = write_schema(Schema((TableSchema("t", (column,)),)), tmp_path / "schema.toml")
    text = path.read_text()
    assert 'Looks like no value: "?" (missing). Move to `missing` if right.' in text
    text = text.replace('suggested_missing = ["?"]\n', "").replace(
        "missing = []", 'missing = ["", {value = "?", meaning = "unknown"}]'
    )
    path.write_text(text.replace('source = "data"', 'source = "declared"'))
    corrected = read_schema(path).only["ward"]
    assert corrected.missing == (MissingCode(""), MissingCode("?", "unknown"))
    assert corrected.has_public_levels


def test_long_lists_of_levels_are_left_out() -> None:
    levels = tuple(f"l{i}" for i in range(201))
    text = schema_text(Schema((TableSchema("t", (Column("c", Kind.CATEGORICAL, levels=levels),)),)))
    assert "levels" not in text.split("[columns")[1].replace("201 levels, too many", "")


GOOD = """name = "t"

[columns.age]
kind = "count"
decimals = 0

[columns.ward]
kind = "categorical"
levels = ["a", "b"]

[[rules]]
kind = "order"
columns = ["age", "ward"]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "count"', 'kind = "cuont"', r"line 4, column 'age': 'kind' must be one of continuous, count"),
        ("decimals = 0", "decimal = 0", r"column 'age': the key 'decimal' is not known"),
        ("decimals = 0", "decimals = -1", r"line 5, column 'age': 'decimals' is wrong"),
        ("decimals = 0", 'decimals = "many"', r"line 5, column 'age': 'decimals' is wrong"),
        ("decimals = 0", 'roles = ["patient"]', r"column 'age': 'roles' must be one of patient_key"),
        ("decimals = 0", 'source = "me"', r"column 'age': .*data.*declared"),
        ('levels = ["a", "b"]', 'levels = "Zaphod"', r"line 9, column 'ward': 'levels' is wrong"),
        ('kind = "order"', 'kind = "ordre"', r"rule 1: `kind` must be one of order, sum"),
        ('columns = ["age", "ward"]', 'columns = ["age"]', r"rule 1: 'columns' is wrong"),
        ('columns = ["age", "ward"]', 'columns = ["age", "wrad"]', r"names 'wrad', which is not a column"),
        ('kind = "categorical"\n', "", r"column 'ward': the key 'kind' is absent"),
        ('name = "t"\n', "", r"the key 'name' is absent"),
        ('name = "t"', 'name = "t', r"not valid TOML.*line 1"),
        ("[columns.ward]", "[columns.age]", r"not valid TOML"),
        ('name = "t"', 'name = "t"\nmin_patients = 0', r"line 2: 'min_patients' is wrong"),
    ],
)
def test_mistakes_are_named_by_line_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "schema.toml"
    path.write_text(GOOD)
    assert read_schema(path).only.names == ["age", "ward"]
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(SchemaError, match=message) as caught:
        read_schema(path)
    assert "schema.toml" in str(caught.value)
    assert "Zaphod" not in str(caught.value)


def test_no_schema_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="There is no schema file"):
        read_schema(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SchemaError, match="cannot be read as UTF-8"):
        read_schema(tmp_path / "binary.toml")
    with pytest.raises(SchemaError, match="no folder"):
        write_schema(Schema((TableSchema("t", ()),)), tmp_path / "no" / "schema.toml")


def test_a_key_left_out_means_its_default(tmp_path: Path) -> None:
    path = tmp_path / "schema.toml"
    path.write_text('name = "t"\n[columns.a]\nkind = "count"\n')
    assert read_schema(path).only["a"] == Column("a", Kind.COUNT)
