"""Augmentation of linked patients: real patients as they were, made ones of a rare class with all their rows, each row marked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import manikin as mk
from linked_ward import FILES
from manikin.data.errors import DataError, FitError, InputError, ParameterError
from manikin.data.links import parent_rows
from manikin.workflow.augmentation import Wishes
from manikin.workflow.augmented_file import Written, augment_file
from manikin.workflow.models import fit_model
from manikin.workflow.options import Options

LIMITS = Options(synthesizer="event_transformer", hyperparameters={"width": 16, "layers": 1}, max_steps=3)


@pytest.fixture(scope="module")
def model(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit_model(ward, out=tmp_path_factory.mktemp("model") / "m", options=LIMITS).out


@pytest.fixture(scope="module")
def written(ward: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    out = tmp_path_factory.mktemp("augmented") / "ward"
    return augment_file(ward, out=out, wishes=Wishes(target="died", balance=("patients.sex",)), model=model)


def people(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "patients.csv")


def test_real_patients_stay_and_made_ones_fill_each_class(written: Written, ward: Path) -> None:
    before, after = people(ward), people(written.out)
    real, made = (after[after["row_origin"] == one] for one in ("real", "synthetic"))
    pd.testing.assert_frame_equal(real[list(before)].reset_index(drop=True), before)
    cells = after.groupby(["died", "sex"]).size()
    assert cells.nunique() == 1, "every class of either sex is as large as the largest"
    assert cells.iloc[0] == before.groupby(["died", "sex"]).size().max()
    assert set(made["subject_id"]).isdisjoint(before["subject_id"])
    assert {path.name for path in written.out.iterdir()} == set(FILES.values())
    counted = json.loads(written.record.read_text())
    assert (counted["unit"], counted["rows"]["real"], counted["rows"]["synthetic"]) == ("patients", len(before), len(made))
    assert "The real patients stand in it unchanged" in counted["statement"]


def test_rows_of_both_kinds_are_whole_and_marked(written: Written, ward: Path) -> None:
    data = mk.read(written.out)
    assert not data.schema["d_codes"].names[2:], "tables of nobody have no mark"
    for name in ("stays", "labs"):
        mark = data.tables[name].frame["row_origin"].astype(str).to_numpy()
        of_patient = data.tables["patients"].frame["row_origin"].astype(str).to_numpy()
        assert (mark == of_patient[data.owners[name]]).all()
        assert (parent_rows(data, data.schema[name], 0) >= 0).all()
    labs, before = pd.read_parquet(written.out / "labs.parquet"), pd.read_parquet(ward / "labs.parquet")
    real = labs[labs["row_origin"] == "real"]
    in_order = {"by": list(before), "ignore_index": True}
    pd.testing.assert_frame_equal(real[list(before)].sort_values(**in_order), before.sort_values(**in_order))


def test_full_holds_made_patients_only(ward: Path, model: Path, tmp_path: Path) -> None:
    wishes = Wishes(target="patients.died", to={"patients.died": {"yes": 0.75, "no": 0.25}}, mode="full", rows=40)
    done = augment_file(ward, out=tmp_path / "made", wishes=wishes, model=model, file_format="parquet")
    made = pd.read_parquet(tmp_path / "made" / "patients.parquet")
    assert made["died"].value_counts().to_dict() == {"yes": 30, "no": 10}
    assert set(made["row_origin"]) == {"synthetic"}
    assert "No patient is a real one, but they were learned from patients" in done.made.statement
    again = augment_file(ward, out=tmp_path / "again", wishes=wishes, model=model, file_format="parquet")
    assert [one["sha256"] for one in json.loads(again.record.read_text())["outputs"]] == [
        one["sha256"] for one in json.loads(done.record.read_text())["outputs"]
    ]


def test_a_generator_learns_where_no_model_is_given(ward: Path, tmp_path: Path) -> None:
    done = augment_file(ward, out=tmp_path / "made", wishes=Wishes(target="died"), options=LIMITS)
    assert done.made.choice is not None
    assert done.made.choice.asked == "event_transformer"
    assert people(done.out)["died"].value_counts().nunique() == 1


@pytest.mark.parametrize(
    ("wishes", "more", "why"),
    [
        (Wishes(target="labs.code"), {}, "changes from row to row of table 'labs'. Name what a patient has once: patients.sex"),
        (Wishes(target="patients.born"), {}, "has no classes"),
        (Wishes(target="dead"), {}, "no column of a table of patients"),
        (Wishes(target="died", mode="partial"), {}, "--mode partial makes columns of one table anew"),
        (Wishes(target="died", mark="unit"), {}, "the table has a column 'unit'"),
        (Wishes(target="died"), {"options": Options(synthesizer="timevae")}, "cannot make patients of a given class"),
        (Wishes(target="died"), {"file_format": "npz"}, "--format is one of"),
        (Wishes(target="died"), {"test": "aside"}, "--test measures what made images add"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_learned(ward: Path, tmp_path: Path, wishes: Wishes, more: dict, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        augment_file(ward, out=tmp_path / "made", wishes=wishes, **more)
    assert not list(tmp_path.iterdir())


def test_places_that_are_taken_stay(ward: Path, model: Path, written: Written, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        augment_file(ward, out=written.out, wishes=Wishes(target="died"), model=model)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"notes.txt"):
        augment_file(ward, out=tmp_path / "mine", wishes=Wishes(target="died"), model=model, force=True)
    with pytest.raises(ParameterError, match="names a file"):
        augment_file(ward, out=tmp_path / "made.csv", wishes=Wishes(target="died"), model=model)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]


def test_a_model_of_other_tables_is_refused(ward: Path, model: Path, tmp_path: Path) -> None:
    fewer = tmp_path / "ward"
    fewer.mkdir()
    for name, file in FILES.items():
        if file.endswith(".parquet"):
            pd.read_parquet(ward / file).to_parquet(fewer / file)
        else:
            frame = pd.read_csv(ward / file, dtype=str)
            frame.drop(columns="unit" if name == "stays" else []).to_csv(fewer / file, index=False)
    with pytest.raises(ParameterError, match="The data do not have column 'unit' of table 'stays'"):
        augment_file(fewer, out=tmp_path / "made", wishes=Wishes(target="died"), model=model)


def test_made_rows_never_have_keys_of_real_ones(ward: Path, model: Path, written: Written, tmp_path: Path) -> None:
    stays = pd.read_csv(written.out / "stays.csv.gz")
    first = stays.loc[stays["row_origin"] == "synthetic", "stay_id"].min()
    other = tmp_path / "ward"  # another hospital, whose numbers of stays begin where the model's do; those of its patients do not
    shutil.copytree(ward, other)
    whole, labs = pd.read_csv(other / "stays.csv.gz"), pd.read_parquet(other / "labs.parquet")
    new = {key: first + i for i, key in enumerate(whole["stay_id"])}
    whole.assign(stay_id=whole["stay_id"].map(new)).to_csv(other / "stays.csv.gz", index=False)
    labs.assign(stay_id=labs["stay_id"].map(new)).to_parquet(other / "labs.parquet", index=False)
    with pytest.raises(FitError, match=r"have keys of real ones .column 'stay_id' of table 'stays'"):
        augment_file(other, out=tmp_path / "made", wishes=Wishes(target="died"), model=model)
    assert not (tmp_path / "made").exists()


def test_python_gives_what_the_command_writes(ward: Path, model: Path, written: Written, tmp_path: Path) -> None:
    given = {"target": "died", "balance": ["patients.sex"], "model": mk.load(model)}
    made = mk.augment(ward, **given)
    mk.write(made.data, tmp_path / "again", like=ward)
    for file in FILES.values():
        reading = pd.read_parquet if file.endswith(".parquet") else pd.read_csv
        pd.testing.assert_frame_equal(reading(written.out / file), reading(tmp_path / "again" / file))
    assert made.facts() == {**written.made.facts(), "notices": made.facts()["notices"]}
    assert "The real patients stand in it unchanged" in made.statement
    data = mk.augment(mk.read(ward), target="died", mode="full", rows=6, model=model, to={"died": {"yes": 0.5, "no": 0.5}}).data
    assert (len(data), set(data.tables["labs"].frame["row_origin"])) == (6, {"synthetic"})
    with pytest.raises(ParameterError, match="these are linked tables"):
        mk.augment(ward, **given, test=ward)
    with pytest.raises(ParameterError, match="the table has a column 'died'"):
        mk.augment(ward, **given, mark="died")


def test_models_of_other_data_are_told_apart(ward: Path, women: Path, model: Path, tmp_path: Path) -> None:
    flat = mk.synthesizer("independent").fit(mk.read(women), seed=0)
    mk.save(flat, tmp_path / "flat")
    with pytest.raises(ParameterError, match=r"learned one flat table \(independent\), and the data set holds linked tables"):
        augment_file(ward, out=tmp_path / "made", wishes=Wishes(target="died"), model=tmp_path / "flat")
    with pytest.raises(ParameterError, match=r"learned linked tables .event_transformer., and the data set holds one flat table. Give"):
        augment_file(women, out=tmp_path / "made.csv", wishes=Wishes(target="cens"), model=model)
    for synthesizer, why in (
        ("forest", "'forest' learns one flat table, and the data set holds linked tables"),
        ("markov", "cannot make patients of a given class. Choose one that can: halo, event_transformer"),
    ):
        with pytest.raises(ParameterError, match=why):
            mk.augment(ward, target="died", synthesizer=synthesizer)
    with pytest.raises(ParameterError, match=r"'tvae' cannot make rows .* can: autoregressive, aim, copula, forest, cgan\."):
        mk.augment(women, target="cens", synthesizer="tvae")
