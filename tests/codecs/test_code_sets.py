"""Code sets: one field per frequent code, rare ones rolled up or dropped, and back to cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manikin.codecs.table import TableCodec
from manikin.data.cells import parse_table, texts_of
from manikin.data.dataset import Dataset, flat
from manikin.data.errors import ModelFolderError
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Source, Sources, TableSchema


def code_sets(cells: list[str], k: int = 11, **facts: object) -> Dataset:
    column = Column("diagnoses", Kind.CODE_SET, separator="|", **facts)  # type: ignore[arg-type]
    schema = TableSchema("t", (column, Column("ward", Kind.CATEGORICAL)), min_patients=k)
    frame = pd.DataFrame({"diagnoses": cells, "ward": ["a", "b"] * (len(cells) // 2) + ["a"] * (len(cells) % 2)}, dtype=object)
    return flat(parse_table(frame, schema), schema)


def sets(data: Dataset) -> list[frozenset[str]]:
    return [frozenset(cell.split("|")) for cell in texts_of(data.table, data.columns)["diagnoses"]]


bags = st.lists(
    st.sets(st.sampled_from("ABCDEF"), max_size=4).map(lambda codes: "|".join(sorted(codes))), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None)
@given(cells=bags)
def test_with_k_of_one_every_set_comes_back(cells: list[str]) -> None:
    data = code_sets(cells, k=1)
    codec = TableCodec().fit(data)
    tokens = codec.encode(data)
    made = codec.decode(tokens, np.random.default_rng(0))
    assert sets(made) == sets(data)
    assert (codec.encode(made) == tokens).all()


def test_rare_codes_are_dropped_or_rolled_up_and_missing_codes_stay_apart() -> None:
    cells = ["428|250.11"] * 6 + ["250.12"] * 6 + ["427|428"] * 30 + ["V99"] * 3 + [""] * 12 + ["n/a"] * 13
    data = code_sets(cells, missing=(EMPTY, MissingCode("n/a")), code_system="ICD-9-CM")
    codec = TableCodec().fit(data)
    made = texts_of(codec.decode(codec.encode(data), np.random.default_rng(0)).table, codec.release_schema)["diagnoses"]
    found = {code for cell in made for code in cell.split("|")} - {"", "n/a"}
    assert {"427", "428"} <= found
    assert not found & {"250.11", "250.12", "V99"}
    assert found & {"250.1", "250"}
    assert (made == "n/a").sum() == 13


def test_names_of_fields_and_conditions() -> None:
    data = code_sets(["A|B"] * 30 + ["B"] * 30)
    codec = TableCodec().fit(data)
    assert codec.layout.names == ["diagnoses", "diagnoses: B", "diagnoses: A", "ward"]
    tokens, known = codec.encode_conditions({"diagnoses": "A"}, 2)
    assert known.tolist() == [True, True, True, False]
    assert tokens[0, :3].tolist() == [1, 0, 1]
    made = codec.decode(tokens, np.random.default_rng(0), conditions={"diagnoses": "A"})
    assert texts_of(made.table, made.columns)["diagnoses"].tolist() == ["A", "A"]


def test_state_round_trip() -> None:
    data = code_sets(["A|B"] * 30 + ["B"] * 30)
    codec = TableCodec().fit(data)
    again = TableCodec.from_state(*codec.state())
    tokens = codec.encode(data)
    assert (again.encode(data) == tokens).all()
    assert sets(again.decode(tokens, np.random.default_rng(0))) == sets(codec.decode(tokens, np.random.default_rng(0)))


counted = st.lists(st.lists(st.sampled_from("ABC"), max_size=6).map("|".join), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(cells=counted)
def test_with_k_of_one_every_count_comes_back(cells: list[str]) -> None:
    data = code_sets(cells, k=1)
    codec = TableCodec().fit(data)
    made = codec.decode(codec.encode(data), np.random.default_rng(0))
    before, after = (texts_of(d.table, d.columns)["diagnoses"] for d in (data, made))
    assert [sorted(cell.split("|")) for cell in after] == [sorted(cell.split("|")) for cell in before]


def test_counts_that_few_patients_hold_are_one_group() -> None:
    cells = ["A"] * 40 + ["A|A"] * 12 + ["A|A|A"] * 4 + ["|".join("A" * 5)] * 4 + ["|".join("A" * 9)] * 4 + ["B"] * 20
    codec = TableCodec().fit(code_sets(cells))
    assert codec.layout.names == ["diagnoses", "diagnoses: A", "diagnoses: B", "ward"]
    assert codec.layout.sizes == [2, 4, 2, 3]
    made = codec.decode(codec.encode(code_sets(cells)), np.random.default_rng(0))
    counts = [cell.count("A") for cell in texts_of(made.table, made.columns)["diagnoses"]]
    assert np.bincount(counts).tolist() == [20, 40, 12, 0, 0, 12], "3, 5 and 9 are shared by 12 patients together"
    assert "9" not in str(codec.state()[0]["columns"][0]["steps"])


def test_a_public_list_of_codes_does_not_make_counts_public() -> None:
    cells = ["A"] * 30 + ["A|A|A"] * 3
    codec = TableCodec().fit(code_sets(cells, source=Sources(levels=Source.DECLARED)))
    assert codec.layout.sizes == [2, 2, 3]


def test_no_more_codes_than_asked_for_have_a_field() -> None:
    cells = ["A|B|C"] * 20 + ["A|B"] * 20 + ["A"] * 20
    assert TableCodec(max_codes=2).fit(code_sets(cells)).layout.names == ["diagnoses", "diagnoses: A", "diagnoses: B", "ward"]


@pytest.mark.parametrize(
    "steps",
    [
        [[[1, 1]]],
        [[[1, 1]], []],
        [[[1, 1]], [[0, 0]]],
        [[[1, 1]], [[1, "1"]]],
        [[[1, 1]], [[1, 1], [1, 2]]],
        [[[1, 1]], [[1, 1 << 20]]],
    ],
)
def test_steps_that_contradict_themselves_are_refused(steps: object) -> None:
    values, arrays = TableCodec().fit(code_sets(["A|B"] * 30 + ["B"] * 30)).state()
    values["columns"][0]["steps"] = steps
    with pytest.raises(ModelFolderError, match="steps"):
        TableCodec.from_state(values, arrays)


def test_a_folder_of_before_counts_is_read() -> None:
    values, arrays = TableCodec().fit(code_sets(["A|B"] * 30 + ["B"] * 30)).state()
    del values["columns"][0]["steps"]
    assert TableCodec.from_state(values, arrays).layout.sizes == [2, 2, 2, 3]


def test_a_public_list_does_not_tell_how_often_one_patient_has_a_code() -> None:
    data = code_sets(["X|X|X|X|X|X|X", *["A"] * 30], source=Sources(levels=Source.DECLARED))
    codec = TableCodec().fit(data)
    made = codec.decode(codec.encode(data), np.random.default_rng(0))
    assert texts_of(made.table, made.columns)["diagnoses"].iloc[0] == "X"
    assert 7 not in [number for code in codec.state()[0]["columns"][0]["steps"] for step in code for number in step]
