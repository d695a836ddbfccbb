"""The main jobs on linked tables: a folder in, a folder of the same tables out; models, samples; what does not go is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import manikin as mk
from linked_ward import FILES, N_PATIENTS, few_figures
from manikin.data.errors import DataError, ParameterError
from manikin.data.links import parent_rows
from manikin.workflow.compare import compare
from manikin.workflow.draw_linked import draw_linked
from manikin.workflow.models import draw, fit_model
from manikin.workflow.options import Options
from manikin.workflow.places import kept_storage, linked_format, name_of
from manikin.workflow.stages import Stages
from manikin.workflow.synthesize import Outcome, synthesize

FLOOR = "resample_patients"


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with few_figures():
        yield


@pytest.fixture(scope="module")
def run(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    out = tmp_path_factory.mktemp("runs") / "run"
    return synthesize(ward, out=out, options=Options(synthesizer=FLOOR, target="patients.died", seed=3))


def test_the_folder_holds_the_tables_under_their_names_and_formats(run: Outcome, ward: Path) -> None:
    made = run.out / "synthetic"
    assert sorted(path.name for path in made.iterdir()) == sorted(FILES.values())
    for name, file in FILES.items():
        read = pd.read_parquet if file.endswith("parquet") else pd.read_csv
        real, synthetic = read(ward / file), read(made / file)
        assert list(synthetic.columns) == list(real.columns), name
        assert [kind.kind for kind in synthetic.dtypes] == [kind.kind for kind in real.dtypes], name
    assert (made / "d_codes.csv").read_text() == (ward / "d_codes.csv").read_text(), "a table of nobody is given back as it was"
    assert {path.name for path in run.out.iterdir()} == {
        "synthetic",
        "schema.toml",
        "model",
        "results.json",
        "report.html",
        "manifest.json",
    }


def test_the_synthetic_folder_is_read_again_and_no_key_is_real(run: Outcome, ward: Path) -> None:
    real, made = mk.read(ward), mk.read(run.out / "synthetic")
    assert len(made) == run.rows["synthetic"] == run.rows["train"] == 96
    assert run.rows["holdout"] == 24
    for table in made.schema.of_patients:
        for number in range(len(table.foreign_keys)):
            assert (parent_rows(made, table, number) >= 0).all()
    theirs, ours = (data.tables["stays"].frame[["stay_id", "subject_id"]] for data in (real, made))
    for key in theirs:
        assert not set(theirs[key]) & set(ours[key])


def test_results_and_manifest_count_patients_and_rows_of_tables(run: Outcome) -> None:
    results = json.loads((run.out / "results.json").read_text())
    assert results["run"]["unit"] == "patients"
    assert results["run"]["rows"] == run.rows
    assert results["run"]["tables"]["labs"]["synthetic"] == len(pd.read_parquet(run.out / "synthetic" / "labs.parquet"))
    assert results["run"]["target"] == "patients.died"
    manifest = json.loads((run.out / "manifest.json").read_text())
    hashed = {file["name"] for file in manifest["outputs"]}
    assert {f"synthetic/{file}" for file in FILES.values()} | {"report.html", "model/weights.safetensors"} <= hashed
    assert [file["name"] for file in manifest["inputs"]] == ["ward", *(f"ward/{file}" for file in sorted(FILES.values()))]
    assert manifest["data_sha256"] == manifest["inputs"][0]["sha256"]
    text = (run.out / "manifest.json").read_text() + (run.out / "results.json").read_text()
    assert str(run.out.parent) not in text, "no folder of the machine"


def test_no_notice_and_no_paper_shows_a_key(run: Outcome) -> None:
    assert not any("5007" in notice for notice in run.notices)
    assert any("120 patients" in notice for notice in run.notices)


def test_two_runs_are_set_side_by_side(run: Outcome, ward: Path, tmp_path: Path) -> None:
    other = synthesize(ward, out=tmp_path / "other", options=Options(synthesizer=FLOOR, target="patients.died", seed=3, rows=50))
    found = compare([run.out, other.out], fidelity="code_prevalence", privacy="key_integrity", out=tmp_path / "compared")
    assert found.document["unit"] == "patients"
    assert {line["name"] for line in found.document["figures"]} >= {"code_prevalence", "key_integrity"}
    page = (tmp_path / "compared" / "comparison.html").read_text()
    assert "judged against the same real patients" in page
    assert "Train patients" in page
    assert found.document["notices"] == []


def test_replay_makes_the_same_bytes_and_refuses_other_tables(run: Outcome, ward: Path, tmp_path: Path) -> None:
    again = synthesize(ward, out=tmp_path / "again", replay=run.out / "manifest.json")
    for file in FILES.values():
        assert (again.out / "synthetic" / file).read_bytes() == (run.out / "synthetic" / file).read_bytes(), file
    other = tmp_path / "other"
    other.mkdir()
    for file in FILES.values():
        (other / file).write_bytes((ward / file).read_bytes())
    patients = (other / "patients.csv").read_text().splitlines()
    (other / "patients.csv").write_text("\n".join([patients[0], *reversed(patients[1:])]) + "\n")
    with pytest.raises(ParameterError, match="SHA-256"):
        synthesize(other, out=tmp_path / "third", replay=run.out / "manifest.json")


def test_several_sets_are_several_folders_and_parquet_may_be_asked_for(ward: Path, tmp_path: Path) -> None:
    made = synthesize(ward, out=tmp_path / "run", options=Options(synthesizer=FLOOR, sets=2, rows=30, format="parquet"))
    for part in ("synthetic", "synthetic-2"):
        assert sorted(path.name for path in (made.out / part).iterdir()) == sorted(f"{name}.parquet" for name in FILES)
    first, second = (pd.read_parquet(made.out / part / "labs.parquet") for part in ("synthetic", "synthetic-2"))
    assert not first.equals(second)


def test_a_model_is_saved_and_sampled_in_the_files_it_learned(ward: Path, tmp_path: Path) -> None:
    fitted = fit_model(ward, out=tmp_path / "model", options=Options(synthesizer=FLOOR))
    assert (fitted.n_rows, fitted.unit) == (N_PATIENTS, "patients")
    kept = kept_storage(tmp_path / "model").like
    assert {name: said if isinstance(said, str) else said["file"] for name, said in kept.items()} == FILES
    assert kept["labs"]["types"]["subject_id"] == "int64"  # a Parquet file is given back in its columns' types
    drawn = draw(tmp_path / "model", n=700, out=tmp_path / "more", seed=5)
    assert drawn.n_rows == 700
    assert sorted(path.name for path in (tmp_path / "more").iterdir()) == sorted(FILES.values())
    assert drawn.tables["labs"] == len(pd.read_parquet(tmp_path / "more" / "labs.parquet"))
    assert pd.read_csv(tmp_path / "more" / "patients.csv")["subject_id"].is_unique
    with pytest.raises(DataError, match="exists already"):
        draw(tmp_path / "model", n=5, out=tmp_path / "more")
    draw(tmp_path / "model", n=5, out=tmp_path / "more", force=True)
    assert len(pd.read_csv(tmp_path / "more" / "patients.csv")) == 5
    back = mk.load(tmp_path / "model")
    assert len(back.sample(3, seed=0)) == 3


def test_sampling_takes_a_run_folder_and_refuses_a_file_name(run: Outcome, tmp_path: Path) -> None:
    drawn = draw(run.out, n=3, out=tmp_path / "few")
    assert drawn.n_rows == 3
    with pytest.raises(ParameterError, match="need a folder"):
        draw(run.out, n=3, out=tmp_path / "few.csv")
    with pytest.raises(ParameterError, match=r"what this command reads|holds model"):
        draw_linked(run.out, n=3, out=run.out, conditions=None, seed=0, force=True, stages=Stages())


def test_a_model_writes_another_format_where_one_is_asked_for(run: Outcome, tmp_path: Path) -> None:
    draw(run.out, n=4, out=tmp_path / "more", file_format="parquet")
    assert sorted(path.name for path in (tmp_path / "more").iterdir()) == sorted(f"{name}.parquet" for name in FILES)
    with pytest.raises(DataError, match="FHIR has no place for table"):
        draw(run.out, n=4, out=tmp_path / "other", file_format="fhir")
    assert not (tmp_path / "other").exists()
    with pytest.raises(ParameterError, match=r"no format of linked tables\. Choose one of csv, parquet, omop"):
        draw(run.out, n=4, out=tmp_path / "other", file_format="npz")
    with pytest.raises(ParameterError, match="no format of linked tables in a database"):
        draw(run.out, n=4, out=f"sqlite:///{tmp_path / 'made.sqlite'}", file_format="csv")


def test_conditions_are_checked_by_name(run: Outcome, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"'sexx'.*Did you mean"):
        draw(run.out, n=3, out=tmp_path / "few", conditions={"sexx": "F"})
    with pytest.raises(ParameterError, match="takes no conditions"):
        draw(run.out, n=3, out=tmp_path / "few", conditions={"patients.sex": "F"})
    assert not (tmp_path / "few").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"synthesizer": "forest"}, "'forest' learns one flat table, and ward holds linked tables. Choose one of .*resample_patients"),
        ({"synthesizer": "aim", "epsilon": 1.0}, "A privacy budget needs a schema"),
        ({"synthesizer": FLOOR, "analyses": ("a ~ b",)}, "--analysis does not go"),
        ({"synthesizer": FLOOR, "time": "a", "event": "b"}, "--time does not go"),
        ({"synthesizer": FLOOR, "target": "subject_id"}, "several tables have"),
        ({"synthesizer": FLOOR, "target": "patients.subject_id"}, "identifier"),
        ({"synthesizer": FLOOR, "target": "dead"}, "no column of a table of patients"),
        ({"synthesizer": FLOOR, "public": ("labs.value",)}, "has no list of values"),
    ],
)
def test_what_does_not_go_is_refused_before_anything_is_written(ward: Path, tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        synthesize(ward, out=tmp_path / "run", options=Options(**options))
    assert not list(tmp_path.iterdir())


def test_a_generator_of_linked_tables_is_refused_for_a_flat_one(women: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"learns linked tables, and women.csv holds one flat table. Choose one of .*forest"):
        synthesize(women, out=tmp_path / "run", options=Options(synthesizer=FLOOR))
    with pytest.raises(ParameterError, match="learns linked tables"):
        fit_model(women, out=tmp_path / "model", options=Options(synthesizer=FLOOR))


def test_too_few_patients_are_counted_as_patients(ward: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    mk.write(mk.read(ward).subset(range(15)), few, like=ward)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="There are 12 patients to learn from"):
        synthesize(few, out=tmp_path / "run", options=Options(synthesizer=FLOOR))


def test_in_python(ward: Path) -> None:
    train, holdout = mk.split(mk.read(ward), seed=0)
    model = mk.synthesizer(FLOOR).fit(train, seed=0)
    made = model.sample(40, seed=1)
    results = mk.evaluate(train=train, holdout=holdout, synthetic=made, target="died", metrics=["key_integrity"], attacks=[])
    assert results["key_integrity"].value == 1
    with pytest.raises(ParameterError, match="fills no missing cells"):
        mk.complete(model, train)
    with pytest.raises(ParameterError, match=r"'resample_patients' cannot be given what a patient has. Fit one that can: halo, "):
        mk.complete(model, train, keep=["sex"])


def test_places_have_names_without_secrets() -> None:
    assert name_of("postgresql://anna:secret@db.example:5432/ward?sslmode=require") == "postgresql://db.example:5432/ward"
    assert name_of("sqlite:////data/ward.sqlite") == "ward.sqlite"
    assert linked_format(pd.DataFrame()) is None
    with pytest.raises(ParameterError, match=r"URL of nothing that can be read"):
        linked_format("s3://anna:secret@example/ward")


def test_a_database_is_learned_from_and_written_to(ward: Path, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="databases need the extra `records`")
    fit_model(ward, out=tmp_path / "model", options=Options(synthesizer=FLOOR))
    place = f"sqlite:///{tmp_path}/made.sqlite"
    assert draw(tmp_path / "model", n=40, out=place).out == place
    assert len(mk.read(place)) == 40
    mk.write(mk.read(place), f"sqlite:///{tmp_path}/copy.sqlite")
    assert len(mk.read(f"sqlite:///{tmp_path}/copy.sqlite")) == 40
    with pytest.raises(DataError, match="exists already"):
        draw(tmp_path / "model", n=3, out=place)
    made = synthesize(place, out=tmp_path / "run", options=Options(synthesizer=FLOOR))
    assert sorted(path.name for path in (made.out / "synthetic").iterdir()) == sorted(f"{name}.csv" for name in FILES)
    manifest = json.loads((made.out / "manifest.json").read_text())
    assert [file["name"] for file in manifest["inputs"]] == ["made.sqlite"]
    again = synthesize(place, out=tmp_path / "again", replay=made.out / "manifest.json")
    assert (again.out / "synthetic" / "labs.csv").read_bytes() == (made.out / "synthetic" / "labs.csv").read_bytes()
