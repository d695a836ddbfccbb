"""What is learned of columns that other cells say, and of what stands together, names nobody; forged facts of them are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_told import transferred

from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.together import find_together
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import ModelFolderError
from manikin.data.schema import Column, Kind, MissingCode, Schema, Source, Sources

K = 11


def told_of(codec: RecordsCodec, table: str) -> dict[str, str]:
    return {told.column: told.kind for told in codec.plan_.event(table).told}


def copied(codec: RecordsCodec) -> tuple[str, ...]:
    """The levels that `before` may hold."""
    return next(told.says for told in codec.plan_.event("moves").told if told.column == "before")


def schema_with(data: Dataset, table: str, **columns: Column) -> Schema:
    """The schema of the data with k = `K` and some columns of a table replaced."""
    wanted = replace(data.schema[table], columns=tuple(columns.get(c.name, c) for c in data.schema[table]))
    return Schema(tuple(replace(wanted if t.name == table else t, min_patients=K) for t in data.schema.tables))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return transferred(60)


@pytest.fixture(scope="module")
def state(data: Dataset) -> tuple[str, dict[str, np.ndarray]]:
    values, arrays = RecordsCodec().fit(data).state()
    return json.dumps(values), arrays


def with_a_laboratory(data: Dataset, n_unlike: int) -> Dataset:
    """`K` patients were once in the laboratory; of `n_unlike` of them the move behind it says that they came from the east."""
    moves, owners = data.tables["moves"], data.owners["moves"]
    ward, before = (moves.frame[name].astype(object).to_numpy(copy=True) for name in ("ward", "before"))
    firsts = [int(np.flatnonzero((owners == patient) & (moves.mark("ward") == 0))[0]) for patient in np.unique(owners)[:K]]
    for i, at in enumerate(firsts):
        ward[at], before[at + 1] = "laboratory", "east" if i < n_unlike else "laboratory"
    frame = moves.frame.assign(ward=pd.Categorical(ward), before=pd.Categorical(before))
    own, levels = data.schema["moves"], ("east", "icu", "laboratory", "west")
    columns = {name: replace(own[name], levels=levels) for name in ("ward", "before")}
    return Dataset({**data.tables, "moves": Table(frame, moves.marks)}, schema_with(data, "moves", **columns))


@pytest.mark.parametrize("n_unlike", [0, 1, 2])
def test_a_copy_is_empty_where_too_few_have_its_level_in_the_column_itself(data: Dataset, n_unlike: int) -> None:
    data = with_a_laboratory(data, n_unlike)
    codec = RecordsCodec().fit(data)
    assert told_of(codec, "moves")["before"] == "before"
    assert codec.release_schema["moves"]["ward"].levels == ("east", "icu", "laboratory", "west")
    is_shown = n_unlike == 0  # else fewer than K patients have it there, though K have it in the ward
    n_copied = n_emptied = 0
    for seed in range(3):
        made = codec.decode(codec.encode(data), np.random.default_rng(seed))
        ward, before = (made.tables["moves"].frame[name].astype(object).to_numpy() for name in ("ward", "before"))
        behind = np.flatnonzero(ward == "laboratory") + 1
        n_copied += int((before == "laboratory").sum())
        n_emptied += int((made.tables["moves"].mark("before")[behind] > 0).sum())
        assert set(before[pd.notna(before)]) <= {"east", "icu", "west", "laboratory"}
    assert (n_copied > 0, n_emptied > 0) == (is_shown, not is_shown)
    for own in (codec, RecordsCodec.from_state(*codec.state())):
        assert ("laboratory" in copied(own)) == is_shown
        assert ("laboratory" in (own.release_schema["moves"]["before"].levels or ())) == is_shown


def test_a_copy_shows_no_level_beyond_those_declared(data: Dataset) -> None:
    moves, own = data.tables["moves"], data.schema["moves"]
    ward = moves.frame["ward"].astype(object)
    ward[int(np.flatnonzero(ward.notna())[-1])] = "the only one"
    frame = moves.frame.assign(ward=pd.Categorical(ward))
    public = Sources(levels=Source.DECLARED)
    levels = ("east", "icu", "the only one", "west")
    schema = schema_with(
        data,
        "moves",
        before=replace(own["before"], levels=("east", "icu", "west"), source=public),
        ward=replace(own["ward"], levels=levels),
    )
    codec = RecordsCodec().fit(Dataset({**data.tables, "moves": Table(frame, moves.marks)}, schema))
    assert "the only one" not in json.dumps(codec.state()[0])
    assert codec.release_schema["moves"]["before"].levels == ("east", "icu", "west")
    both = {name: replace(own[name], levels=levels, source=public) for name in ("ward", "before")}
    assert copied(RecordsCodec().fit(Dataset(data.tables, schema_with(data, "moves", **both)))) == levels
    shy = schema_with(data, "moves", before=replace(own["before"], min_patients=61))
    assert copied(RecordsCodec().fit(Dataset(data.tables, shy))) == ()


def test_a_public_list_that_is_too_long_to_be_written_down_is_copied_whole(data: Dataset) -> None:
    own, public = data.schema["moves"], Sources(levels=Source.DECLARED)
    columns = {name: replace(own[name], levels=None, source=public) for name in ("ward", "before")}
    codec = RecordsCodec().fit(listed := Dataset(data.tables, schema_with(data, "moves", **columns)))
    assert told_of(codec, "moves")["before"] == "before"
    made = codec.decode(codec.encode(listed), np.random.default_rng(0)).tables["moves"]
    assert (made.mark("before") == 0).sum() == (listed.tables["moves"].mark("before") == 0).sum() > 0


def test_a_copy_of_codes_holds_the_parents_of_rare_ones() -> None:
    data, rng = transferred(200), np.random.default_rng(0)
    moves = data.tables["moves"]
    there = {name: moves.frame[name].astype(object).to_numpy() for name in ("ward", "before")}
    codes = [f"K7{i}.{j}" for i in range(3) for j in range(1, 10)]
    of_row = rng.choice(codes, len(moves.frame))
    first = np.flatnonzero(pd.notna(there["before"])) - 1
    frame = moves.frame.assign(
        ward=pd.Categorical(np.where(pd.notna(there["ward"]), of_row, None)),
        before=pd.Categorical([of_row[i - 1] if pd.notna(cell) else None for i, cell in enumerate(there["before"])]),
    )
    own = data.schema["moves"]
    columns = {name: replace(own[name], kind=Kind.CODE, code_system="ICD-10", min_patients=60) for name in ("ward", "before")}
    coded = Dataset({**data.tables, "moves": Table(frame, moves.marks)}, schema_with(data, "moves", **columns))
    codec = RecordsCodec().fit(coded)
    assert set(copied(codec)) == {"K70", "K71", "K72"}, "no code of its own is held by 60"
    made = codec.decode(codec.encode(coded), np.random.default_rng(0)).tables["moves"].frame
    assert made["before"].notna().sum() == len(first)
    assert set(made["before"].dropna().astype(str)) == {"K70", "K71", "K72"}


def test_a_copy_of_a_model_that_lists_no_levels_is_whole(data: Dataset, state: tuple[str, dict[str, np.ndarray]]) -> None:
    older = json.loads(state[0])
    own = next(own for own in older["plan"]["events"] if own["name"] == "moves")
    next(one for one in own["told"] if one["column"] == "before").update({"how": "", "says": []})
    codec = RecordsCodec.from_state(older, dict(state[1]))
    made = codec.decode(codec.encode(data), np.random.default_rng(0)).tables["moves"]
    assert (made.mark("before") == 0).sum() == (data.tables["moves"].mark("before") == 0).sum() > 0


@pytest.mark.parametrize("by_drug", [True, False])
@pytest.mark.parametrize("of_whom", ["stay", "patient"])
def test_what_a_row_says_is_not_settled_by_her_stay_or_herself(data: Dataset, of_whom: str, by_drug: bool) -> None:
    drugs, rng = data.tables["drugs"], np.random.default_rng(0)
    number = drugs.frame["pid"].astype(int) + (drugs.frame["hadm"].astype(int) if of_whom == "stay" else 0)
    is_new = (number % 2 == 0).to_numpy()
    item = np.where(is_new & by_drug, "new ", "") + rng.choice(["saline", "heparin", "water"], len(is_new)).astype(object)
    frame = drugs.frame.assign(unit=pd.Categorical(np.where(is_new, "new", "old")), drug=pd.Categorical(item))
    marks = {name: mark for name, mark in drugs.marks.items() if name not in ("unit", "drug")}
    codec = RecordsCodec().fit(Dataset({**data.tables, "drugs": Table(frame, marks)}, schema_with(data, "drugs")))
    is_settled = "unit" in codec.plan_.event("drugs").moved or told_of(codec, "drugs").get("unit") == "same"
    assert is_settled != by_drug


def test_the_text_of_a_rare_missing_code_is_not_kept(data: Dataset) -> None:
    own = data.tables["admissions"]
    los, mark = own.frame["los"].to_numpy(dtype=float).copy(), np.zeros(len(own.frame), dtype=np.int8)
    los[0], mark[0] = np.nan, 1
    codes = (MissingCode("left with her brother"), MissingCode(""))
    schema = schema_with(data, "admissions", los=replace(data.schema["admissions"]["los"], missing=codes))
    table = Table(own.frame.assign(los=los), {**own.marks, "los": mark})
    codec = RecordsCodec().fit(Dataset({**data.tables, "admissions": table}, schema))
    assert told_of(codec, "admissions")["los"] == "span"
    assert "brother" not in json.dumps(codec.state()[0])
    assert [code.value for code in codec.release_schema["admissions"]["los"].missing] == ["", ""]


def test_a_table_of_few_patients_tells_nothing(data: Dataset) -> None:
    few = data.owners["moves"] < K - 1
    moves = data.tables["moves"].take(np.flatnonzero(few))
    moves = Table(moves.frame.reset_index(drop=True), moves.marks)
    codec = RecordsCodec().fit(Dataset({**data.tables, "moves": moves}, schema_with(data, "moves")))
    assert told_of(codec, "moves") == {}


def test_a_pair_that_few_hold_is_as_one_that_nobody_does() -> None:
    rng, n = np.random.default_rng(0), 4000
    owner, one = np.arange(n) // 4, rng.integers(0, 3, n)
    two = np.where(one == 0, rng.integers(0, 20, n), rng.integers(20, 40, n))
    groups = [np.array([-1]), np.arange(3), np.arange(40)]

    def allowed(second: np.ndarray) -> np.ndarray:
        """The mask of the two fields."""
        tokens = np.stack([np.zeros(n), one, second], axis=1).astype(np.int32)
        (pair,) = find_together(tokens, groups, owner, min_patients=[K, K, K])
        return pair.allowed

    nobody, rows = allowed(two), np.flatnonzero(one == 0)[::9]
    assert not nobody[0, 20:].any()
    for n_holders, is_open in ((1, False), (K - 1, False), (K, True)):
        second = two.copy()
        second[rows[:n_holders]] = 33
        assert bool(allowed(second)[0, 33]) == is_open
        np.testing.assert_array_equal(np.delete(allowed(second), 33, axis=1), np.delete(nobody, 33, axis=1))


@pytest.mark.parametrize(
    ("table", "column", "change"),
    [
        ("admissions", "los", {"of": ["pid", "los"]}),  # rests on itself
        ("admissions", "los", {"of": ["admitted", "outcome"]}),  # on a text
        ("admissions", "los", {"unit": 10**30}),
        ("admissions", "los", {"column": "outcome"}),
        ("moves", "ward", {"column": "out"}),  # said twice
        ("moves", "before", {"of": ["what"]}),  # which is said later
        ("moves", "out", {"of": ["ward"]}),
        ("moves", "out", {"says": ["east"]}),
        ("moves", "out", {"how": "listed", "says": ["east"]}),
        ("moves", "before", {"how": ""}),
        ("diagnoses", "coded", {"of": ["pid"]}),  # no time of the row that it belongs to
        ("diagnoses", "seq", {"column": "icd"}),
    ],
)
def test_a_forged_column_that_cannot_be_worked_out_is_refused(
    state: tuple[str, dict[str, np.ndarray]], table: str, column: str, change: dict[str, object]
) -> None:
    forged = json.loads(state[0])
    own = next(own for own in forged["plan"]["events"] if own["name"] == table)
    if column == "before":  # the order is told as well
        own["told"].sort(key=lambda one: one["column"])
    next(one for one in own["told"] if one["column"] == column).update(change)
    with pytest.raises(ModelFolderError, match="contradicts itself"):
        RecordsCodec.from_state(forged, dict(state[1]))


def test_dates_of_death_of_a_forged_plan_are_dates(state: tuple[str, dict[str, np.ndarray]]) -> None:
    forged = json.loads(state[0])
    forged["plan"]["bounds"] = ["sex"]
    with pytest.raises(ModelFolderError, match="contradicts itself"):
        RecordsCodec.from_state(forged, dict(state[1]))
