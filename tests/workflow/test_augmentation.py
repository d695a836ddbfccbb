"""Augmentation on real tables: asked proportions to the row, real cells to the letter, nothing made where too few patients are."""

from __future__ import annotations

import csv
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer

import manikin as mk
from manikin.data.errors import DataError, FitError, InputError, ParameterError
from manikin.data.rule_checks import violations
from manikin.io.tabular import TableWriter
from manikin.release import manifest
from manikin.workflow import augmented_file, augmenting
from manikin.workflow.augmentation import Augmented, Wishes
from manikin.workflow.augmented_file import augment_file
from manikin.workflow.options import Options

FOREST = {"synthesizer": "forest", "seed": 3}
QUICK = {"synthesizer": "independent", "seed": 3}  # where what is learned does not matter


@pytest.fixture(scope="module")
def tumours() -> pd.DataFrame:
    """A tenth part malignant, three columns and a group."""
    frame = load_breast_cancer(as_frame=True).frame
    frame = pd.concat([frame[frame["target"] == 1].head(160), frame[frame["target"] == 0].head(30)])
    frame = frame[["mean radius", "mean texture", "worst area", "target"]].reset_index(drop=True)
    frame["diagnosis"] = frame.pop("target").map({0: "malignant", 1: "benign"})
    frame["side"] = np.where(np.arange(len(frame)) % 3 == 0, "left", "right")
    return frame


@pytest.fixture(scope="module")
def heart(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patients of four sites, as the file writes them: some numbers as 63.0, others as 63, missing ones as ?."""
    lines = (shared / "heart_uci" / "heart_4sites.csv").read_text().splitlines()
    path = tmp_path_factory.mktemp("heart") / "heart.csv"
    path.write_text("\n".join([lines[0], *lines[1::3]]) + "\n")
    return path


def cells(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def sizes(made: Augmented) -> dict[tuple[str, ...], int]:
    return {tuple(count.cell.values()): count.real + count.synthetic for count in made.counts}


def test_hybrid_brings_the_rare_class_to_the_size_of_the_largest(tumours: pd.DataFrame) -> None:
    made = mk.augment(tumours, target="diagnosis", **FOREST)
    out = made.to_native()
    assert made.rows == {"given": 190, "real": 190, "synthetic": 130}
    assert list(out) == [*tumours, "row_origin"]
    pd.testing.assert_frame_equal(out.head(190)[list(tumours)], tumours)
    assert (out["row_origin"] == ["real"] * 190 + ["synthetic"] * 130).all()
    assert out["diagnosis"].value_counts().to_dict() == {"benign": 160, "malignant": 160}
    new = out[190:]
    assert (new["diagnosis"] == "malignant").all()
    # what was made for the rare class looks like it, not like the table as a whole
    malignant = tumours.loc[tumours["diagnosis"] == "malignant", "mean radius"]
    benign = tumours.loc[tumours["diagnosis"] == "benign", "mean radius"]
    assert abs(new["mean radius"].mean() - malignant.mean()) < abs(new["mean radius"].mean() - benign.mean()) / 2
    assert set(new["mean radius"].map(lambda value: len(str(value).partition(".")[2]))) <= {1, 2, 3}
    assert "not for release" in made.statement


def test_cells_of_target_and_groups_are_made_equal(tumours: pd.DataFrame) -> None:
    frame = tumours.assign(side=np.where(np.arange(190) % 2 == 0, "left", "right"))
    made = mk.augment(frame, target="diagnosis", balance=["side"], **QUICK)
    counted = made.to_native().groupby(["diagnosis", "side"]).size()
    assert set(counted) == {80}
    assert len(counted) == 4


def test_cells_of_few_patients_are_left_as_they_are_and_named_by_their_number_only(tumours: pd.DataFrame) -> None:
    made = mk.augment(tumours, target="diagnosis", balance=["side"], **QUICK)  # 10 malignant on the left
    counted = made.to_native().groupby(["diagnosis", "side"]).size()
    assert counted["malignant", "left"] == 10
    assert counted["malignant", "right"] == counted["benign", "left"] == counted["benign", "right"]
    assert made.n_small_cells == 1
    told = [text for text in made.notices if "fewer than 11" in text]
    assert told
    assert told[0].startswith("1 of the 4 combinations of 'diagnosis', 'side' is held by fewer than 11 patients: no rows are made for it,")
    assert not any(value in text for text in made.notices for value in ("malignant", "benign", "left", "right"))


def test_full_holds_made_rows_only_in_the_asked_proportions(tumours: pd.DataFrame) -> None:
    made = mk.augment(tumours, target="diagnosis", to={"malignant": 0.4, "benign": 0.6}, mode="full", rows=500, **FOREST)
    out = made.to_native()
    assert out["diagnosis"].value_counts().to_dict() == {"benign": 300, "malignant": 200}
    assert set(out["row_origin"]) == {"synthetic"}
    shared_rows = out[list(tumours)].merge(tumours, how="inner")
    assert len(shared_rows) < 5
    assert made.rows == {"given": 190, "real": 0, "synthetic": 500}
    assert "manikin evaluate" in made.statement
    default = mk.augment(tumours, target="diagnosis", mode="full", **QUICK)
    assert default.to_native()["diagnosis"].value_counts().to_dict() == {"benign": 95, "malignant": 95}


def test_hybrid_keeps_to_proportions_with_the_fewest_rows(tumours: pd.DataFrame) -> None:
    made = mk.augment(tumours, target="diagnosis", to="malignant=0.3,benign=0.7", **QUICK)
    assert sizes(made) == {("benign",): 160, ("malignant",): 69}  # 229 rows: 160.3 and 68.7
    larger = mk.augment(tumours, target="diagnosis", to=["malignant=0.3", "benign=0.7"], rows=1000, **QUICK)
    assert sizes(larger) == {("benign",): 700, ("malignant",): 300}
    with pytest.raises(ParameterError, match="at least 229 rows"):
        mk.augment(tumours, target="diagnosis", to="malignant=0.3,benign=0.7", rows=200, **QUICK)


def test_partial_makes_only_the_named_columns_anew(tumours: pd.DataFrame) -> None:
    made = mk.augment(tumours, mode="partial", replace=["mean texture"], **FOREST)
    out = made.to_native()
    kept = [name for name in tumours if name != "mean texture"]
    pd.testing.assert_frame_equal(out[kept], tumours[kept])
    assert (out["mean texture"] != tumours["mean texture"]).mean() > 0.8
    assert set(out["row_origin"]) == {"partial"}
    assert made.replaced == ("mean texture",)
    assert "mean texture" in made.statement
    assert "not for release" in made.statement


def test_partial_takes_the_sensitive_columns_of_the_schema(tumours: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match=r"--replace COL.*sensitive"):
        mk.augment(tumours, mode="partial", **QUICK)
    schema = mk.infer(tumours)
    table = schema.only
    from dataclasses import replace

    sensitive = table.replace_column(replace(table["side"], roles=(mk.Role.SENSITIVE,)))
    made = mk.augment(tumours, mode="partial", schema=mk.Schema((sensitive,)), **QUICK)
    assert made.replaced == ("side",)


def test_a_boolean_target_keeps_its_kind(tumours: pd.DataFrame) -> None:
    frame = tumours.assign(malignant=tumours["diagnosis"] == "malignant").drop(columns="diagnosis")
    out = mk.augment(frame, target="malignant", to={"true": 0.5, "false": 0.5}, **QUICK).to_native()
    assert out["malignant"].dtype == bool
    assert out["malignant"].sum() == 160


def test_polars_comes_back_as_polars(tumours: pd.DataFrame) -> None:
    out = mk.augment(pl.from_pandas(tumours), target="diagnosis", **QUICK).to_native()
    assert isinstance(out, pl.DataFrame)
    assert out.columns == [*tumours, "row_origin"]


def test_rows_without_a_class_stay_and_take_no_part(tumours: pd.DataFrame) -> None:
    frame = tumours.copy()
    frame.loc[::20, "diagnosis"] = None
    made = mk.augment(frame, target="diagnosis", **QUICK)
    out = made.to_native()
    assert made.n_without == 10
    assert out["diagnosis"].isna().sum() == 10
    assert len(set(out["diagnosis"].value_counts())) == 1
    full = mk.augment(frame, target="diagnosis", mode="full", **QUICK).to_native()
    assert not full["diagnosis"].isna().any()


def test_keys_are_new_and_what_is_not_learned_is_empty(tumours: pd.DataFrame) -> None:
    n = len(tumours)
    frame = tumours.assign(
        patient_id=np.arange(n) + 871,
        sample=[f"synthetic-{i}" for i in range(n)],
        surname=[f"Name{i:05d}" for i in range(n)],
    )
    schema = mk.infer(frame).only
    roles = {"patient_id": mk.Role.PATIENT_KEY, "surname": mk.Role.DIRECT_IDENTIFIER}
    from dataclasses import replace

    for name in ("patient_id", "sample", "surname"):
        own = (roles[name],) if name in roles else ()
        schema = schema.replace_column(replace(schema[name], kind=mk.Kind.IDENTIFIER, roles=own))
    made = mk.augment(frame, target="diagnosis", schema=mk.Schema((schema,)), **QUICK)
    out = made.to_native()
    new = out[n:]
    pd.testing.assert_frame_equal(out.head(n)[["sample", "surname"]], frame[["sample", "surname"]])
    assert out["patient_id"].is_unique
    assert out["patient_id"].min() == 871
    assert (new["patient_id"] >= 10_000).all()
    assert out["sample"].is_unique
    assert new["sample"].str.startswith("new-synthetic-").all()
    assert new["surname"].isna().all()
    assert made.data.n_records == len(out)
    full = mk.augment(frame, target="diagnosis", schema=mk.Schema((schema,)), mode="full", **QUICK).to_native()
    assert "surname" not in full
    assert not set(full["patient_id"]) & set(frame["patient_id"])


@pytest.mark.parametrize("mode", ["hybrid", "full", "partial"])
def test_columns_that_are_not_learned_and_patients_of_several_rows_are_told_of(tumours: pd.DataFrame, mode: str) -> None:
    frame = tumours.assign(patient_id=[f"P{i // 2:05d}" for i in range(190)])
    frame["remark"] = [f"Seen on day {i} by doctor {i % 7}, who found the patient {'well' if i % 3 else 'ill'} again." for i in range(190)]
    wish: dict[str, Any] = {"replace": ["side"]} if mode == "partial" else {"target": "diagnosis"}
    made = mk.augment(frame, mode=mode, **wish, **QUICK)
    told = [text for text in made.notices if text.startswith("95 patients have 190 rows: ")]
    assert len(told) == 1
    assert ("row by row" if mode == "partial" else "every synthetic row is a patient of its own") in told[0]
    not_learned = [text for text in made.notices if text.startswith("Not learned")]
    gone = {"hybrid": "empty in synthetic rows", "full": "left out"}.get(mode)
    assert not_learned == ([f"Not learned: patient_id (patient key, made anew), remark (free text, {gone})."] if gone else [])
    alone = mk.augment(tumours, mode=mode, **wish, **QUICK)
    assert not any(text.startswith("Not learned") or "patients have" in text for text in alone.notices)


def test_cells_that_cannot_be_read_are_told_of(tumours: pd.DataFrame, tmp_path: Path) -> None:
    frame = tumours.astype({"mean radius": object})
    frame.loc[[5, 9], "mean radius"] = "see note"
    frame.to_csv(tmp_path / "t.csv", index=False)
    made = mk.augment(tmp_path / "t.csv", target="diagnosis", **QUICK)
    told = [text for text in made.notices if text.startswith("Column 'mean radius': ")]
    assert len(told) == 1
    assert "2 cells" in told[0]
    assert "see note" not in told[0]


def test_patients_are_counted_not_rows(tumours: pd.DataFrame) -> None:
    rare = tumours["diagnosis"] == "malignant"
    frame = tumours.assign(patient_id=np.where(rare, np.arange(190) % 5, np.arange(190) + 10))
    schema = mk.infer(frame).only
    from dataclasses import replace

    key = replace(schema["patient_id"], kind=mk.Kind.IDENTIFIER, roles=(mk.Role.PATIENT_KEY,))
    with pytest.raises(DataError, match="1 is held by at least 11 patients"):  # 30 rows of 5 patients
        mk.augment(frame, target="diagnosis", schema=mk.Schema((schema.replace_column(key),)), **QUICK)


def test_nothing_to_make_gives_the_real_rows(tumours: pd.DataFrame) -> None:
    frame = tumours.groupby("diagnosis").head(30).reset_index(drop=True)
    made = mk.augment(frame, target="diagnosis", synthesizer="forest")
    assert made.choice is None
    pd.testing.assert_frame_equal(made.to_native()[list(frame)], frame)
    assert any("nothing was made" in text for text in made.notices)


@pytest.mark.parametrize(
    ("change", "wish", "words"),
    [
        ({}, {"target": "diagnoses"}, "Did you mean 'diagnosis'"),
        ({}, {"target": None}, "--target COL"),
        ({}, {"target": "mean radius"}, "bins are not guessed"),
        ({}, {"balance": ["mean radius"]}, "bins are not guessed"),
        ({}, {"balance": ["sides"]}, "Did you mean 'side'"),
        ({}, {"synthesizer": "resample"}, "cannot make rows of a given class.*forest"),
        ({}, {"synthesizer": "forrest"}, "Did you mean 'forest'"),
        ({}, {"mode": "half"}, "hybrid, full, partial"),
        ({}, {"replace": ["side"]}, "--mode partial"),
        ({}, {"mode": "partial", "replace": ["side"], "rows": 5}, "mean nothing"),
        ({}, {"mode": "partial", "replace": ["sides"]}, "Did you mean 'side'"),
        ({}, {"balance": "side"}, "lists of column names"),
        ({}, {"rows": 0}, "from 1 to 999,999,999"),
        ({}, {"rows": 10**9}, "from 1 to 999,999,999"),
        ({}, {"to": "benign=0.5,malignant=0.4"}, "add up to 0.9"),
        ({}, {"to": "benign=0.5,borderline=0.5"}, "'benign', 'malignant'"),
        ({}, {"to": "benign=0.5,benign=0.5"}, "twice"),
        ({}, {"to": "benign=1"}, "leaves out a level"),
        ({}, {"to": "side:left=0.5,side:right=0.5"}, "does not have.*COL:LEVEL is for the target and columns that --balance names"),
        ({}, {"to": "benign=0.5,malignant, never=0.5"}, "A level with a comma in it takes a --to of its own"),
        ({}, {"seed": -1}, "'seed' parameter of augment"),
        ({}, {"max_steps": 0}, "'max_steps' parameter of augment"),
        ({}, {"to": "benign"}, "yes=0.4,no=0.6"),
        ({}, {"to": "benign=x,malignant=0.5"}, "from 0 to 1"),
        ({}, {"to": ["equal", "benign=1"]}, "not both"),
        ({}, {"to": []}, "empty"),
        ({"row_Origin": "a"}, {}, "--mark NAME"),
        ({"diagnosis": "benign"}, {}, "one value only.*Name other columns with --target or --balance"),
        ({"diagnosis": None}, {}, "no row with a value only"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(
    tumours: pd.DataFrame, change: dict[str, Any], wish: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        mk.augment(tumours.assign(**change), **{"target": "diagnosis", **QUICK, **wish})


def test_a_class_of_two_rows_is_refused_without_its_name(tumours: pd.DataFrame) -> None:
    frame = tumours[tumours["diagnosis"] == "benign"].reset_index(drop=True)
    frame.loc[[3, 4], "diagnosis"] = "malignant"
    with pytest.raises(DataError, match="Of 2 values of 'diagnosis', 1 is held by at least 11") as refused:
        mk.augment(frame, target="diagnosis", **QUICK)
    assert "malignant" not in str(refused.value)


def test_a_table_too_small_to_learn_from_is_refused(tumours: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="12 patients to learn from; fewer than 20"):
        mk.augment(tumours.head(12), mode="partial", replace=["side"], synthesizer="forest")


def test_another_column_of_marks(tumours: pd.DataFrame) -> None:
    made = mk.augment(tumours.assign(row_origin="x"), target="diagnosis", mark="is_made", synthesizer="independent")
    assert set(made.to_native()["is_made"]) == {"real", "synthetic"}


def test_a_saved_model_takes_the_place_of_learning(tumours: pd.DataFrame, tmp_path: Path) -> None:
    model = mk.synthesizer("forest", n_trees=8).fit(mk.read(tumours), seed=0)
    mk.save(model, tmp_path / "model")
    made = mk.augment(tumours, target="diagnosis", model=tmp_path / "model")
    assert made.choice is not None
    assert (made.choice.name, made.choice.asked, made.choice.hyperparameters["n_trees"]) == ("forest", "model", 8)
    assert sizes(made) == {("benign",): 160, ("malignant",): 160}
    with pytest.raises(ParameterError, match="did not learn 'extra'"):
        mk.augment(tumours.assign(extra=1.5 * np.arange(190)), target="diagnosis", model=model)


def test_confirmed_rules_hold_in_made_rows(tumours: pd.DataFrame) -> None:
    from dataclasses import replace

    from manikin.data.rules import ImpliedRule, OrderRule

    schema = mk.infer(tumours).only
    order = OrderRule(columns=("mean radius", "worst area"), confirmed=True)
    schema = replace(schema, rules=(order,))
    made = mk.augment(tumours, target="diagnosis", schema=mk.Schema((schema,)), **FOREST)
    assert not violations(order, made.data.table, made.data.columns).any()
    # a rule that the wanted class itself breaks cannot hold
    broken = ImpliedRule(columns=("diagnosis", "side"), confirmed=True, when=("malignant",), then=("middle",))
    schema = replace(schema, rules=(broken,))
    with pytest.raises((FitError, InputError), match="implied"):
        mk.augment(tumours, target="diagnosis", balance=["side"], schema=mk.Schema((schema,)), **FOREST)


def test_files_keep_real_cells_to_the_letter_and_repeat_by_seed(heart: Path, tmp_path: Path) -> None:
    options = Options(synthesizer="forest", seed=5)
    wishes = Wishes(target="num", balance=("sex",))
    written = augment_file(heart, out=tmp_path / "a.csv", wishes=wishes, options=options)
    again = augment_file(heart, out=tmp_path / "b.csv", wishes=wishes, options=options)
    assert written.out.read_bytes() == again.out.read_bytes()
    real, out = cells(heart), cells(written.out)
    n = len(real)
    pd.testing.assert_frame_equal(out.head(n)[list(real)], real)
    assert list(out) == [*real, "row_origin"]
    record = json.loads(written.record.read_text())
    number = {True: "real", False: "synthetic"}
    for cell in record["cells"]:
        rows = out[(out["num"] == cell["cell"]["num"]) & (out["sex"].astype(float) == float(cell["cell"]["sex"]))]
        assert {number[is_real]: int((rows["row_origin"] == number[is_real]).sum()) for is_real in number} == {
            "real": cell["real"],
            "synthetic": cell["synthetic"],
        }
    assert record["holds_real_patients"]
    assert record["seed"] == 5
    assert record["inputs"][0]["name"] == "heart.csv"
    assert record["outputs"][0]["sha256"] == augmented_file.hash_file(written.out).sha256
    assert record["synthesizer"]["name"] == "forest"
    assert str(tmp_path) not in written.record.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.csv",
        "a.csv.augmented.json",
        "b.csv",
        "b.csv.augmented.json",
    ]


def test_partial_files_keep_the_other_cells_to_the_letter(heart: Path, tmp_path: Path) -> None:
    wishes = Wishes(mode="partial", replace=("chol", "exang"))
    written = augment_file(heart, out=tmp_path / "p.csv", wishes=wishes, options=Options(synthesizer="forest"))
    real, out = cells(heart), cells(written.out)
    kept = [name for name in real if name not in wishes.replace]
    pd.testing.assert_frame_equal(out[kept], real[kept])
    assert (out["chol"] != real["chol"]).mean() > 0.5
    assert set(out["exang"]) <= set(real["exang"])
    assert json.loads(written.record.read_text())["replaced"] == ["chol", "exang"]


def test_visits_of_many_patients_and_codes_with_a_network(shared: Path, tmp_path: Path) -> None:
    columns = ["encounter_id", "patient_nbr", "race", "gender", "age", "time_in_hospital", "diag_1", "insulin", "readmitted"]
    source = shared / "diabetes130" / "diabetic_data.csv.gz"
    real = pd.read_csv(source, nrows=1500, dtype=str, keep_default_na=False)[columns]
    path = tmp_path / "visits.csv"
    real.to_csv(path, index=False)
    made = augment_file(
        path,
        out=tmp_path / "out.csv",
        wishes=Wishes(target="readmitted", balance=("gender",)),
        options=Options(synthesizer="autoregressive", max_steps=30),
    )
    out = cells(made.out)
    pd.testing.assert_frame_equal(out.head(1500)[columns], real)
    assert len(set(out.groupby(["readmitted", "gender"]).size())) == 1
    new = out[1500:]
    assert out["patient_nbr"].nunique() == real["patient_nbr"].nunique() + len(new)
    assert new["encounter_id"].is_unique
    assert not set(new["encounter_id"]) & set(real["encounter_id"])
    parquet = augment_file(
        path,
        out=tmp_path / "out",
        file_format="parquet",
        wishes=Wishes(target="readmitted", mode="full", rows=90),
        options=Options(synthesizer="independent"),
    )
    assert parquet.out.name == "out.parquet"
    assert pd.read_parquet(parquet.out)["readmitted"].value_counts().tolist() == [30, 30, 30]


def test_an_interruption_leaves_no_table_and_the_next_run_gives_the_same(
    tumours: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    tumours.to_csv(path, index=False)
    asked = {"wishes": Wishes(target="diagnosis"), "options": Options(synthesizer="autoregressive", max_steps=10)}
    whole = augment_file(path, out=tmp_path / "whole.csv", **asked).out.read_bytes()

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(augmented_file, "_write", stop)
        with pytest.raises(KeyboardInterrupt):
            augment_file(path, out=tmp_path / "out.csv", **asked)
    left = {file.name for file in tmp_path.iterdir() if file.name.startswith("out")}
    assert left == {"out.csv.partial"}
    done = augment_file(path, out=tmp_path / "out.csv", **asked)
    assert any("interrupted run" in text for text in done.made.notices)
    assert done.out.read_bytes() == whole
    assert not (tmp_path / "out.csv.partial").exists()


def test_a_failure_leaves_what_was_there(tumours: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out = tmp_path / "t.csv", tmp_path / "out.csv"
    tumours.to_csv(path, index=False)
    asked = {"wishes": Wishes(target="diagnosis"), "options": Options(synthesizer="independent")}
    augment_file(path, out=out, **asked)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ParameterError, match="--force"):
        augment_file(path, out=out, **asked)
    with monkeypatch.context() as patch:
        patch.setattr(augmented_file, "write_json", _full_disk)
        with pytest.raises(OSError, match="full"):
            augment_file(path, out=out, force=True, **asked)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    augment_file(path, out=out, force=True, wishes=Wishes(target="side"), options=asked["options"])
    assert out.read_bytes() != before["out.csv"]


@pytest.mark.parametrize(("mode", "ending"), [("full", ".csv"), ("full", ".parquet"), ("hybrid", ".csv"), ("partial", ".csv")])
def test_the_bytes_do_not_depend_on_how_many_rows_are_handed_on_at_a_time(
    tumours: pd.DataFrame, tmp_path: Path, mode: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    rare = tumours["diagnosis"] == "malignant"
    tumours.assign(patient_id=np.arange(190) + 871, ward=np.where(rare, "a\rb", "c")).to_csv(
        path, index=False, quoting=csv.QUOTE_ALL
    )
    monkeypatch.setattr(augmenting, "BLOCK", 120)
    asked = {
        "wishes": Wishes(mode=mode, replace=("ward",))
        if mode == "partial"
        else Wishes(target="diagnosis", mode=mode, rows=1000)
    }

    def made(size: int) -> bytes:
        monkeypatch.setattr(augmenting, "BATCH", size)
        out = tmp_path / f"{size}{ending}"
        return augment_file(path, out=out, options=Options(synthesizer="independent"), **asked).out.read_bytes()

    assert len({made(size) for size in (30, 100, 120, 5000)}) == 1
    out = cells(tmp_path / "30.csv") if ending == ".csv" else pd.read_parquet(tmp_path / "30.parquet")
    if mode != "partial":
        assert sorted(out["diagnosis"].value_counts()) == [500, 500]
        assert not out.drop(columns=["patient_id", "row_origin"]).duplicated().all()
    assert out["patient_id"].is_unique


@pytest.mark.parametrize("mode", ["full", "hybrid"])
def test_the_memory_does_not_grow_with_the_rows(
    tumours: pd.DataFrame, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    tumours.assign(patient_id=np.arange(190) + 871).to_csv(path, index=False)
    monkeypatch.setattr(augmenting, "BLOCK", 1000)
    monkeypatch.setattr(augmenting, "BATCH", 1000)
    monkeypatch.setattr(manifest, "_CHUNK", 4096)

    def peak(rows: int) -> int:
        tracemalloc.start()
        wishes = Wishes(target="diagnosis", mode=mode, rows=rows)
        made = augment_file(path, out=tmp_path / "o.csv", wishes=wishes, options=Options(synthesizer="independent"), force=True)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert made.made.rows["real"] + made.made.rows["synthetic"] == rows == len(cells(made.out))
        return found

    peak(2_000)  # what is imported on the way stays
    assert peak(30_000) < 1.2 * peak(3_000)


def test_a_stop_while_rows_are_written_leaves_no_half_of_them(
    tumours: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    tumours.to_csv(path, index=False)
    asked = {"wishes": Wishes(target="diagnosis", mode="full", rows=500), "options": Options(synthesizer="independent")}
    monkeypatch.setattr(augmenting, "BLOCK", 100)
    monkeypatch.setattr(augmenting, "BATCH", 100)
    whole = augment_file(path, out=tmp_path / "whole.csv", **asked).out.read_bytes()
    real, n_written = TableWriter.append, []

    def stop(self: TableWriter, data: mk.Dataset) -> None:
        if len(n_written) == 3:
            raise KeyboardInterrupt
        n_written.append(len(data))
        real(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(TableWriter, "append", stop)
        with pytest.raises(KeyboardInterrupt):
            augment_file(path, out=tmp_path / "out.csv", **asked)
    assert n_written == [100, 100, 100]
    assert [
        file.name for file in tmp_path.iterdir() if file.name not in ("t.csv", "whole.csv", "whole.csv.augmented.json")
    ] == ["out.csv.partial"]
    assert augment_file(path, out=tmp_path / "out.csv", **asked).out.read_bytes() == whole


def _full_disk(*_: object) -> None:
    raise OSError(28, "the disk is full")


def test_names_of_files_are_checked_first(tumours: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    tumours.to_csv(path, index=False)
    for out, file_format, words in (
        ("a.txt", None, "no format"),
        ("a.csv", "parquet", "does not end"),
        ("a", "xlsx", "one of csv"),
    ):
        with pytest.raises(ParameterError, match=words):
            augment_file(path, out=tmp_path / out, file_format=file_format)
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]


def test_made_rows_never_repeat_the_text_of_a_cell_that_could_not_be_read(tumours: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    frame = tumours.assign(dose=[f"{value}.0" for value in range(20, 210)]).astype({"dose": object})
    frame.loc[[5, 9], "dose"] = "see the note of Ward 7"
    frame.to_csv(path, index=False)
    schema = tmp_path / "schema.toml"
    from dataclasses import replace

    from manikin.data.cells import UNREADABLE

    table = mk.infer(frame.drop(index=[5, 9]).reset_index(drop=True)).only
    table = table.replace_column(replace(table["dose"], missing=(UNREADABLE,)))
    mk.write_schema(mk.Schema((table,)), schema)
    options = Options(synthesizer="independent")
    made = augment_file(path, out=tmp_path / "o.csv", wishes=Wishes(target="diagnosis"), options=options, schema=schema)
    real, out = cells(path), cells(made.out)
    pd.testing.assert_frame_equal(out.head(190)[list(real)], real)
    assert out[190:]["dose"].str.fullmatch(r"\d+\.0|").all()


def test_a_full_table_holds_no_rare_value_in_cells_or_dictionary(tumours: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    tumours.assign(ward=["Ward Zx7", *["A", "B"] * 94, "A"]).to_csv(path, index=False)
    wishes = Wishes(target="diagnosis", mode="full")
    made = augment_file(path, out=tmp_path / "o.parquet", wishes=wishes, options=Options(synthesizer="independent"))
    assert b"Zx7" not in made.out.read_bytes()
    assert b"Zx7" not in made.record.read_bytes()


def test_every_kind_of_column_comes_through(tumours: pd.DataFrame) -> None:
    rng, n = np.random.default_rng(0), len(tumours)
    admitted = pd.Series(pd.date_range("2020-01-01", periods=n))
    frame = tumours.assign(
        admitted=admitted,
        discharged=admitted + pd.to_timedelta(rng.integers(0, 9, n), unit="D"),
        codes=["|".join(rng.permutation(["I10", "E11", "J45"])[: 1 + i % 3]) for i in range(n)],
        stage=pd.array(rng.integers(1, 4, n), dtype="Int64"),
        constant="a",
        nothing=None,
    )
    frame.loc[::7, "stage"] = pd.NA
    from dataclasses import replace

    table = mk.infer(frame).only
    table = table.replace_column(replace(table["codes"], kind=mk.Kind.CODE_SET, separator="|", levels=None))
    table = replace(table, rules=tuple(replace(rule, confirmed=True) for rule in table.rules if rule.kind == "order"))
    assert [rule.columns for rule in table.rules] == [("admitted", "discharged")]
    schema = mk.Schema((table,))
    made = mk.augment(frame, target="diagnosis", schema=schema, synthesizer="forest")
    out = made.to_native()
    pd.testing.assert_frame_equal(out.head(n)[list(frame)], frame, check_dtype=False)
    assert not violations(table.rules[0], made.data.table, made.data.columns).any()
    assert (out["constant"] == "a").all()
    assert out["nothing"].isna().all()
    assert set("|".join(out["codes"][n:]).split("|")) == {"I10", "E11", "J45"}
    partial = mk.augment(frame, mode="partial", replace=["discharged", "codes", "nothing"], schema=schema, **QUICK)
    assert not violations(table.rules[0], partial.data.table, partial.data.columns).any()
    assert (partial.to_native()["discharged"] != frame["discharged"]).any()


@pytest.mark.skipif("cgan" not in mk.SYNTHESIZERS, reason="there is no generator that must be told its conditions")
def test_a_generator_that_must_be_told_its_conditions_is_told(tumours: pd.DataFrame) -> None:
    frame = tumours[["mean radius", "diagnosis", "side"]]
    made = mk.augment(frame, target="diagnosis", to={"benign": 0.25, "malignant": 0.75}, synthesizer="cgan", max_steps=2)
    assert sizes(made) == {("benign",): 160, ("malignant",): 480}
    assert made.choice is not None
    assert list(made.choice.hyperparameters["columns"]) == ["diagnosis"]


def test_a_generator_that_is_given_one_protected_column_is_used_as_a_model_and_not_offered_otherwise(
    tumours: pd.DataFrame,
) -> None:
    with pytest.raises(ParameterError, match="cannot make rows of a given class") as refusal:
        mk.augment(tumours, target="diagnosis", synthesizer="fairgan")
    assert not {"fairgan", "independent"} & set(str(refusal.value).partition("Choose")[2].strip(".").replace(",", "").split())
    model = mk.synthesizer("fairgan", protected="side", max_steps=3).fit(mk.read(tumours), seed=0)
    made = mk.augment(tumours, balance=["side"], model=model)
    assert set(sizes(made).values()) == {126}
