"""What every registered synthesizer must do, whoever wrote it: bytes, schema, rows, saved models, privacy of rows, odd columns."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from models import fitted, new, table
from tables import RARE_LEVEL, cells, csv_bytes, single

from manikin.data.dataset import Dataset, concat
from manikin.data.errors import BudgetError, FitError, InputError, ParameterError
from manikin.data.schema import Column, Kind, Storage, is_left_out
from manikin.synthesizers import SynthesizerEntry
from manikin.synthesizers.storage import load, save

FEWEST_PATIENTS = 11


def test_same_seed_same_bytes(name: str, table_name: str) -> None:
    again = new(name).fit(table(table_name), seed=0)
    assert csv_bytes(again.sample(60, seed=1)) == csv_bytes(fitted(name, table_name).sample(60, seed=1))


def test_another_seed_gives_other_rows(name: str, table_name: str) -> None:
    model = fitted(name, table_name)
    assert csv_bytes(model.sample(60, seed=1)) != csv_bytes(model.sample(60, seed=2))


def test_fit_twice_equals_fit_once(name: str) -> None:
    model = new(name).fit(table("mixed"), seed=3).fit(table("gbsg2"), seed=0)
    assert csv_bytes(model.sample(60, seed=1)) == csv_bytes(fitted(name, "gbsg2").sample(60, seed=1))


def test_fit_and_sample_leave_the_world_alone(name: str) -> None:
    data = table("mixed")
    before, state = csv_bytes(data), copy.deepcopy(np.random.get_state()[1])  # noqa: NPY002 (that it is untouched is the test)
    new(name).fit(data, seed=5).sample(10, seed=5)
    assert csv_bytes(data) == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_saved_model_samples_the_same_bytes(name: str, table_name: str, tmp_path: Path) -> None:
    model = fitted(name, table_name)
    back = load(save(model, tmp_path / "model"))
    assert csv_bytes(back.sample(60, seed=1)) == csv_bytes(model.sample(60, seed=1))
    assert [(c.name, c.kind) for c in back.sample(5, seed=1).columns] == [(c.name, c.kind) for c in model.sample(5, seed=1).columns]


@pytest.mark.parametrize("n", [0, 1, 500])
def test_as_many_rows_as_asked(name: str, table_name: str, n: int) -> None:
    sample = fitted(name, table_name).sample(n, seed=1)
    assert len(sample) == n
    assert len(sample.to_pandas()) == n


@pytest.mark.parametrize("n", [-1, 1.5, "3"])
def test_no_such_number_of_rows(name: str, n: Any) -> None:
    with pytest.raises(ParameterError, match="'n' parameter"):
        fitted(name, "gbsg2").sample(n, seed=1)


def test_numpy_numbers_of_rows_are_numbers(name: str) -> None:
    model = fitted(name, "gbsg2")
    assert csv_bytes(model.sample(np.int64(3), seed=1)) == csv_bytes(model.sample(3, seed=1))


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "9"])
def test_no_such_batch_size(name: str, batch_size: Any) -> None:
    with pytest.raises(ParameterError, match="'batch_size' parameter"):
        next(iter(fitted(name, "gbsg2").sample_batches(3, seed=1, batch_size=batch_size)))


def test_batches_are_the_sample_in_pieces(name: str, table_name: str) -> None:
    model = fitted(name, table_name)
    whole = csv_bytes(model.sample(70, seed=1))
    for size in (9, 70, 1_000):
        parts = list(model.sample_batches(70, seed=1, batch_size=size))
        assert all(len(part) for part in parts)
        assert csv_bytes(concat(parts)) == whole


def test_unfitted_model_says_so(name: str) -> None:
    with pytest.raises(FitError, match="fit"):
        new(name).sample(3, seed=0)


def test_schema_is_kept(name: str, table_name: str) -> None:
    real, sample = table(table_name), fitted(name, table_name).sample(300, seed=1)
    kept = [c.name for c in real.columns if not (is_left_out(c) and c.name not in sample.columns)]
    assert sample.columns.names == kept
    assert list(sample.table.frame.columns) == kept
    real_cells, sample_cells = cells(real), cells(sample)
    for column in sample.columns:
        before = real.columns[column.name]
        assert (column.kind, column.storage, column.decimals) == (before.kind, before.storage, before.decimals)
        assert column.missing == before.missing
        texts, real_texts = sample_cells[column.name], real_cells[column.name]
        if column.kind.is_discrete:
            assert set(texts) <= set(real_texts), column.name
        if column.kind.is_learned:
            assert sample.table.frame[column.name].dtype.kind == real.table.frame[column.name].dtype.kind, column.name
            codes = {code.value for code in column.missing}
            assert set(texts) & codes <= set(real_texts) & codes, f"{column.name}: a missing code that never occurred"
        if column.kind.is_number and column.decimals is not None:
            digits = texts[sample.table.mark(column.name) == 0].str.partition(".")[2].str.rstrip("0").str.len()
            assert (digits <= column.decimals).all(), column.name


def test_left_out_columns_are_left_out(name: str) -> None:
    sample = fitted(name, "mixed").sample(200, seed=1)
    assert "name" not in sample.columns, "free text and direct identifiers leave the release"
    keys = set(cells(sample)["patient"])
    assert len(keys) == 200, "the key is made anew, one per row"
    assert not keys & set(cells(table("mixed"))["patient"])


def test_types_come_back_as_the_user_brought_them(name: str) -> None:
    frame = fitted(name, "gbsg2").sample(50, seed=1).to_pandas()
    assert [frame[c].dtype.kind for c in ("age", "tsize", "time")] == ["i", "i", "i"]
    assert set(frame["horTh"].unique()) <= {"yes", "no"}


def test_rare_values_never_appear(name: str) -> None:
    real, sample = cells(table("mixed")), cells(fitted(name, "mixed").sample(3_000, seed=1))
    assert (real["code"] == RARE_LEVEL).sum() < FEWEST_PATIENTS
    for column in ("sex", "stage", "pregnant", "code", "sick"):
        holders = real[column].value_counts()
        assert set(sample[column]) <= set(holders.index[holders >= FEWEST_PATIENTS]), column


@pytest.mark.parametrize("column", ["age", "tsize", "pnodes", "progrec", "estrec", "time"])
def test_extremes_of_few_patients_never_appear(name: str, column: str) -> None:
    real = table("gbsg2").table.frame[column]
    sample = fitted(name, "gbsg2").sample(3_000, seed=1).table.frame[column]
    assert (real >= sample.max()).sum() >= FEWEST_PATIENTS, "fewer than 11 patients reach so high"
    assert (real <= sample.min()).sum() >= FEWEST_PATIENTS, "fewer than 11 patients reach so low"


def test_privacy_ledger_is_honoured_or_refused_by_name(name: str, entry: SynthesizerEntry) -> None:
    if entry.private:
        pytest.skip("it learns under a ledger; tests/privacy checks what it spends")
    with pytest.raises(BudgetError, match=name):
        new(name).fit(table("gbsg2"), seed=0, ledger=object())


def test_no_training_row_is_kept(name: str, entry: SynthesizerEntry, table_name: str, tmp_path: Path) -> None:
    model, n = fitted(name, table_name), len(table(table_name))
    found = list(row_shaped(model, n))
    folder = save(model, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    found += row_shaped(config, n, "config.json")
    from safetensors.numpy import load_file

    found += row_shaped(load_file(folder / "weights.safetensors"), n, "weights.safetensors")
    if entry.keeps_rows:
        assert found, "it is declared to keep rows; the scan must find them"
    else:
        assert not found


def test_saved_folder_holds_no_identifier_and_no_rare_value(name: str, tmp_path: Path) -> None:
    folder = save(fitted(name, "mixed"), tmp_path / "model")
    for file in folder.iterdir():
        content = file.read_bytes()
        for secret in (b"Patient Number", b"p0007", RARE_LEVEL.encode()):
            assert secret not in content, file.name


def row_shaped(thing: Any, n: int, path: str = "self", depth: int = 8) -> list[str]:
    """Where inside an object something as long as the training table is kept."""
    if depth == 0 or thing is None or isinstance(thing, str | bytes | int | float | bool):
        return []
    if isinstance(thing, Dataset | pd.DataFrame | pd.Series):
        return [path] if len(thing) == n else []
    shape = getattr(thing, "shape", None)
    if isinstance(shape, tuple):
        return [path] if n in [int(size) for size in shape] and n > 1 else []
    if isinstance(thing, dict):
        parts = [(f"{path}[{key!r}]", value) for key, value in thing.items()]
    elif isinstance(thing, list | tuple | set):
        parts = [(f"{path}[{i}]", value) for i, value in enumerate(thing)]
    elif hasattr(thing, "__dict__"):
        parts = [(f"{path}.{key}", value) for key, value in vars(thing).items()]
    else:
        return []
    if isinstance(thing, list | tuple | set) and len(thing) == n:
        return [path]
    return [found for where, part in parts for found in row_shaped(part, n, where, depth - 1)]


ODD = {
    "no value at all": (Column("odd", Kind.CATEGORICAL, levels=()), [""] * 60),
    "numbers, no value": (Column("odd", Kind.CONTINUOUS, Storage.REAL, decimals=1), [""] * 60),
    "constant level": (Column("odd", Kind.CATEGORICAL, levels=("x",)), ["x"] * 60),
    "constant number": (Column("odd", Kind.CONTINUOUS, Storage.INTEGER, decimals=0), ["7"] * 60),
    "levels all different": (Column("odd", Kind.CATEGORICAL), [f"level {i}" for i in range(60)]),
    "numbers all different": (Column("odd", Kind.CONTINUOUS, Storage.REAL, decimals=2), [f"{i * 1.37:.2f}" for i in range(60)]),
    "10,000 levels": (Column("odd", Kind.CATEGORICAL), [f"level {i % 10_000}" for i in range(12_000)]),
    "dates, one day": (Column("odd", Kind.DATE, time_format="%Y-%m-%d"), ["2020-02-29"] * 60),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("beside", [True, False], ids=["beside another", "alone"])
def test_odd_columns_are_handled_or_refused_by_name(name: str, case: str, beside: bool) -> None:
    column, values = ODD[case]
    data = single(column, values, beside=beside)
    try:
        sample = new(name).fit(data, seed=0).sample(40, seed=1)
    except (FitError, InputError) as error:
        assert "'odd'" in str(error)  # noqa: PT017 (either way out is right)
        return
    assert len(sample) == 40
    assert sample.columns.names == data.columns.names
    assert set(cells(sample)["odd"]) <= set(values) | {""} or column.kind.is_number
    if case in ("levels all different", "10,000 levels"):
        assert set(cells(sample)["odd"]) == {""}, "no level is held by 11 patients, so none may appear"


@pytest.mark.parametrize("n", [1, 2, 12])
def test_hardly_any_rows(name: str, n: int) -> None:
    data = table("gbsg2").take(np.arange(n))
    try:
        sample = new(name).fit(data, seed=0).sample(5, seed=1)
    except (FitError, InputError) as error:
        assert str(n) in str(error)  # noqa: PT017
        return
    assert len(sample) == 5
