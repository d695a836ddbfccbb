"""What Python users call: frames in every kind, one schema for all parts, models saved and loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer

import manikin as mk
from manikin.data.errors import DataError, ParameterError
from manikin.data.schema import MissingCode
from manikin.workflow.completion import complete
from manikin.workflow.sources import read_alike, read_like


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Thirty measures of 300 breast masses, six of them here, beside the finding."""
    data = load_breast_cancer(as_frame=True)
    return data.frame.iloc[:300, [0, 1, 4, 7, 20, 30]].rename(columns=lambda name: name.replace(" ", "_"))


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_frames_come_back_in_kind(frame: pd.DataFrame, kind: str) -> None:
    given: Any = {"pandas": frame, "polars": pl.from_pandas(frame), "pyarrow": pa.Table.from_pandas(frame)}[kind]
    data = mk.read(given)
    train, _ = mk.split(data, seed=0)
    made = mk.synthesizer("independent").fit(train, seed=0).sample(20, seed=0).to_native()
    assert type(made) is type(given)
    assert len(made) == 20
    names = made.column_names if kind == "pyarrow" else list(made.columns)
    assert names == list(frame.columns)


def test_a_data_set_is_read_as_it_is(frame: pd.DataFrame) -> None:
    data = mk.read(frame)
    assert mk.read(data) is data
    assert mk.infer(frame) == data.schema


def test_files_are_written_once_and_read_back(frame: pd.DataFrame, tmp_path: Path) -> None:
    data = mk.read(frame)
    for name in ("a.csv", "a.parquet"):
        mk.write(data, tmp_path / name)
        pd.testing.assert_frame_equal(mk.read(tmp_path / name).to_pandas(), frame)
        with pytest.raises(ParameterError, match="exists already"):
            mk.write(data, tmp_path / name)
        mk.write(data, tmp_path / name, force=True)
    with pytest.raises(ParameterError, match="ends in no format"):
        mk.write(data, tmp_path / "a.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


def test_a_schema_file_decides_how_a_frame_is_read(frame: pd.DataFrame, tmp_path: Path) -> None:
    schema = mk.infer(frame)
    mk.write_schema(schema, tmp_path / "schema.toml")
    assert mk.read_schema(tmp_path / "schema.toml") == schema
    assert mk.read(frame, schema=tmp_path / "schema.toml").schema == schema
    assert mk.read(frame, schema=schema.only).schema == schema


def test_models_are_saved_and_loaded(frame: pd.DataFrame, tmp_path: Path) -> None:
    model = mk.synthesizer("independent").fit(mk.read(frame), seed=0)
    mk.save(model, tmp_path / "model")
    again = mk.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.sample(50, seed=4).to_pandas(), model.sample(50, seed=4).to_pandas())


def test_evaluate_takes_frames_paths_and_data_sets_alike(frame: pd.DataFrame, tmp_path: Path) -> None:
    train, holdout, made = frame[:150], frame[150:], frame[:100]
    made.to_parquet(tmp_path / "made.parquet")
    results = [
        mk.evaluate(train=train, holdout=holdout, synthetic=made, metrics=["column_shapes"], seed=1),
        mk.evaluate(
            train=mk.read(train),
            holdout=pl.from_pandas(holdout),
            synthetic=tmp_path / "made.parquet",
            metrics=["column_shapes"],
            seed=1,
        ),
    ]
    assert results[0]["column_shapes"].value == results[1]["column_shapes"].value
    two = mk.evaluate(train=train, holdout=holdout, synthetic=[made, made], metrics=["column_shapes"], seed=1)
    assert two["column_shapes"].value == pytest.approx(results[0]["column_shapes"].value, abs=1e-6)


def test_wrong_arguments_of_evaluate(frame: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="'stage' is no column"):
        mk.evaluate(train=frame, holdout=frame, synthetic=frame, target="stage")
    with pytest.raises(ParameterError, match="no metric named"):
        mk.evaluate(train=frame, holdout=frame, synthetic=frame, metrics=["beauty"])
    with pytest.raises(DataError, match="shares no column"):
        mk.evaluate(train=frame, holdout=frame, synthetic=pd.DataFrame({"x": [1, 2]}))


def test_empty_cells_that_only_another_table_has_are_missing_there(frame: pd.DataFrame) -> None:
    holes = frame[150:].copy()
    holes.iloc[::3, 0] = None
    real, (other,) = read_alike(frame[:150], [holes])
    name = frame.columns[0]
    assert real.columns[name].missing == other.columns[name].missing
    assert (other.table.mark(name) > 0).sum() == 50
    assert not real.table.mark(name).any()


def test_complete_imputes_and_keeps(frame: pd.DataFrame) -> None:
    holes = frame.copy()
    holes.iloc[::5, 1] = None
    holes.iloc[::7, 5] = None
    data = mk.read(holes.astype({"target": "Int64"}))
    model = mk.synthesizer("forest").fit(data, seed=0)
    filled = mk.complete(model, data, seed=0).to_pandas()
    there = holes.notna()
    assert filled.notna().all().all()
    assert (filled.astype(float).where(there).fillna(-1) == holes.astype(float).fillna(-1)).all().all()
    again = mk.complete(model, data, seed=0).to_pandas()
    pd.testing.assert_frame_equal(filled, again)
    kept = mk.complete(model, data, keep=[frame.columns[2]], seed=0).to_pandas()
    assert (kept[frame.columns[2]] == frame[frame.columns[2]]).all()
    with pytest.raises(ParameterError, match="Did you mean 'target'"):
        mk.complete(model, data, keep=["targett"], seed=0)


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    """Ages without a gap, a site with two missing codes, and a finding."""
    n = 240
    sites = pd.Series(["north", "south", "?", "refused", "north", "south"] * (n // 6), dtype=object)
    return pd.DataFrame({"age": [str(30 + i % 41) for i in range(n)], "site": sites, "finding": ["yes", "no", "no"] * (n // 3)})


@pytest.fixture(scope="module")
def coded(visits: pd.DataFrame) -> mk.Dataset:
    """The visits with the site's codes named."""
    table = mk.infer(visits).only
    codes = (MissingCode("?"), MissingCode("refused", "refused"))
    return mk.read(visits, schema=table.replace_column(replace(table["site"], missing=codes, levels=("north", "south"))))


@pytest.mark.parametrize("name", ["forest", "autoregressive"])
def test_empty_cells_that_training_had_none_of_are_filled(visits: pd.DataFrame, coded: mk.Dataset, name: str, tmp_path: Path) -> None:
    holes = visits.copy()
    holes.loc[::4, "age"] = ""
    holes.loc[1::4, "finding"] = ""
    model = mk.synthesizer(name, **({"max_steps": 30} if name == "autoregressive" else {})).fit(coded, seed=0)
    for given in (holes, mk.read(holes)):
        filled = mk.complete(model, given, seed=0).to_pandas()
        assert filled["age"].notna().all()
        assert set(filled["finding"]) == {"yes", "no"}
    with pytest.raises(DataError, match="Column 'age' has empty cells"):
        mk.complete(model, holes, keep=["age"], seed=0)
    mk.save(model, tmp_path / "model")
    holes.to_csv(tmp_path / "holes.csv", index=False)
    done = complete(tmp_path / "model", tmp_path / "holes.csv", out=tmp_path / "full.csv", seed=0)
    assert (done.n_filled, done.n_left) == (120 + 80, 0)


def test_a_data_set_of_another_schema_is_read_again(visits: pd.DataFrame, coded: mk.Dataset) -> None:
    table = coded.columns
    turned = replace(table["site"], missing=tuple(reversed(table["site"].missing)))
    other = mk.read(visits, schema=table.replace_column(turned))
    again = read_like(other, table)
    assert (again.table.mark("site") == coded.table.mark("site")).all()
    assert read_like(coded, table) is not None
    plain = mk.read(visits.assign(age=[*visits["age"][:-60], *["old"] * 60]))
    assert not plain.columns["age"].kind.is_number
    with pytest.raises(DataError, match=r"column 'age', row 182 \(and 59 more rows\)") as caught:
        read_like(plain, table)
    assert "old" not in str(caught.value)


def test_analyses_of_several_tables_go_through_evaluate(frame: pd.DataFrame) -> None:
    parts = {"train": frame[:150], "holdout": frame[150:], "synthetic": [frame[:100], frame[50:]]}
    numbers = [c.name for c in mk.read(frame).columns if c.kind.is_number][:2]
    asked = " ~ ".join(f"`{name}`" for name in numbers)
    results = mk.evaluate(**parts, analyses=[asked], partial=True, metrics=["inference"], attacks=[])
    details = results["inference"].details
    assert (details["n_releases"], details["rule"], len(details["analyses"])) == (2, "partially", 1)
    assert mk.evaluate(**parts, analyses=asked, metrics=["inference"], attacks=[])["inference"].details["rule"] == "fully"
    with pytest.raises(ParameterError, match="no column 'beauty'"):
        mk.evaluate(**parts, analyses=[f"beauty ~ `{numbers[0]}`"], metrics=["inference"])
