"""Public code books: what is told, how a person says yes, and that the yes is in the schema, the manifest and the rows."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from manikin.data.errors import ParameterError
from manikin.workflow import judge
from manikin.workflow.options import Options, options_from_json
from manikin.workflow.sources import fallback_notice, read_schema
from manikin.workflow.stages import Silent, Stages
from manikin.workflow.synthesize import _tell, synthesize

COMMON = ["250.00", "401.9", "414.01", "428.0", "486", "434.91", "584.9", "599.0", "682.6", "715.36"]
RARE = ["250.83", "038.11", "V57.89", "E885.9"]


@pytest.fixture(scope="module")
def codes() -> pd.DataFrame:
    """Two visits of 130 patients; four codes are held by two to eight patients each."""
    diag = [COMMON[i % 10] for i in range(260)]
    for i, code in enumerate(RARE):
        for k in range(2 + 2 * i):
            diag[20 * k + i] = code
    rng = np.random.default_rng(0)
    return pd.DataFrame({"patient_id": [f"p{i // 2}" for i in range(260)], "diag_1": diag, "age": rng.integers(20, 90, 260)})


@pytest.fixture
def file(codes: pd.DataFrame, tmp_path: Path) -> Path:
    codes.to_csv(tmp_path / "visits.csv", index=False)
    return tmp_path / "visits.csv"


def notes_of(data: mk.Dataset, name: str = "diag_1") -> str:
    return " ".join(data.columns[name].notes)


def test_a_note_counts_the_codes_that_few_patients_hold_and_says_the_way_out(codes: pd.DataFrame, tmp_path: Path) -> None:
    data = mk.read(codes)
    n_cells = int(codes["diag_1"].isin(RARE).sum())
    assert n_cells == 2 + 4 + 6 + 8
    assert f"4 of 14 codes are held by fewer than 11 patients ({n_cells / 260:.1%} of the cells)" in notes_of(data)
    assert (
        'ICD-9-CM is a published code book: if every code may be released, write source = { levels = "declared" }.'
        in notes_of(data)
    )
    assert not any(code in notes_of(data) for code in RARE)
    mk.write_schema(data.schema, tmp_path / "schema.toml")
    written = (tmp_path / "schema.toml").read_text()
    head, rest = written.split("[columns.diag_1]")
    tail = rest.split("\n\n", 1)
    (tmp_path / "schema.toml").write_text(
        head + "[columns.diag_1]" + tail[0].replace('source = "data"', 'source = { levels = "declared" }') + "\n\n" + tail[1]
    )
    assert read_schema(tmp_path / "schema.toml").only["diag_1"].has_public_levels  # the syntax that the note names is read
    assert not read_schema(tmp_path / "schema.toml").only["age"].has_public_levels


def test_no_note_where_every_code_is_frequent(codes: pd.DataFrame) -> None:
    assert "code book" not in notes_of(mk.read(codes.assign(diag_1=[COMMON[i % 10] for i in range(260)])))


def test_a_yes_is_in_the_schema_and_releases_rare_codes(codes: pd.DataFrame) -> None:
    data = mk.declare_public(mk.read(codes), ["diag_1"])
    assert data.columns["diag_1"].has_public_levels
    assert "code book" not in notes_of(data)
    assert fallback_notice(data) is None
    declared = mk.synthesizer("independent").fit(data, seed=0).sample(4000, seed=0).to_pandas()
    plain = mk.synthesizer("independent").fit(mk.read(codes), seed=0).sample(4000, seed=0).to_pandas()
    assert set(RARE) <= set(declared["diag_1"])
    assert not set(RARE) & set(plain["diag_1"])


@pytest.mark.parametrize("name", ["age", "patient_id"])
def test_columns_without_levels_are_refused_by_name(codes: pd.DataFrame, name: str) -> None:
    with pytest.raises(ParameterError, match=f"declare_public names '{name}'"):
        mk.declare_public(mk.read(codes), [name])


def test_strangers_and_a_bare_text_are_refused(codes: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="Did you mean 'diag_1'"):
        mk.declare_public(mk.read(codes), ["diag_2"])
    with pytest.raises(ParameterError, match="takes a list"):
        mk.declare_public(mk.read(codes), "diag_1")
    with pytest.raises(ParameterError, match="'public'"):
        Options(public="diag_1").check()  # type: ignore[arg-type]


def test_a_run_tells_how_many_cells_fall_back_and_names_no_code(codes: pd.DataFrame) -> None:
    data, stages = mk.read(codes), Stages(Silent())
    _tell(data, data, data, stages)
    (told,) = [notice for notice in stages.notices if "released as their group" in notice]
    assert "20 cells of 'diag_1' (7.7%)" in told
    assert told.endswith("--public diag_1")
    assert not any(code in told for code in RARE)


def test_the_yes_is_in_the_manifest_and_a_run_is_replayed_with_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        judge, "measure", partial(judge.measure, metrics=["column_shapes"])
    )  # what is measured is not the point
    options = Options(synthesizer="independent", rows=600, public=("diag_1",))
    first = synthesize(file, out=tmp_path / "first", options=options)
    manifest = json.loads((tmp_path / "first" / "manifest.json").read_text())
    assert manifest["options"]["public"] == ["diag_1"]
    assert options_from_json(manifest["options"], tmp_path) == options
    assert read_schema(first.files["schema"]).only["diag_1"].has_public_levels
    assert not any("released as their group" in notice for notice in first.notices)
    second = synthesize(file, out=tmp_path / "second", replay=tmp_path / "first" / "manifest.json")
    assert second.files["synthetic"].read_bytes() == first.files["synthetic"].read_bytes()
    old = {key: value for key, value in manifest["options"].items() if key != "public"}
    assert options_from_json(old, tmp_path).public == ()  # manifests written before there was the option


def test_an_interrupted_run_with_a_yes_is_taken_up_again(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    options = Options(synthesizer="independent", public=("diag_1",))
    with monkeypatch.context() as patch:
        patch.setattr(judge, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            synthesize(file, out=tmp_path / "run", options=options)
    monkeypatch.setattr(judge, "measure", lambda *a, **k: mk.Results(metrics=()))
    assert any("going on from there" in notice for notice in synthesize(file, out=tmp_path / "run", options=options).notices)
