"""The gate on linked patients: what passes leaves whole, written anew and signed; a code book only when a person answers for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import manikin as mk
from gate_rules import check_croissant, let_out, policy
from linked_ward import FILES, few_figures
from manikin.data.errors import GateError, ParameterError
from manikin.data.links import parent_rows
from manikin.release.judgement import Verdict
from manikin.workflow.options import Options
from manikin.workflow.receive import label, verify
from manikin.workflow.release import Released
from manikin.workflow.synthesize import synthesize


@pytest.fixture(scope="module")
def run(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("linked gate")
    with few_figures():
        yield synthesize(ward, out=place / "run", options=Options(synthesizer="markov", seed=3)).out


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return policy(tmp_path_factory.mktemp("rules") / "gate.toml", ("key_integrity", "at_least = 1\nexact = true"))


@pytest.fixture(scope="module")
def released(run: Path, rules: Path) -> Released:
    made = let_out(run, run.parent / "release", rules, answered={"title": "A ward"})
    assert made.decision.verdict is Verdict.PASS, made.decision.lines
    assert made.out is not None
    return made


def test_tables_leave_as_they_came_without_the_code_book(released: Released, run: Path) -> None:
    out = released.out
    assert out is not None
    names = {path.name for path in (out / "synthetic").iterdir()}
    csvs = {file for file in FILES.values() if ".csv" in file and file != FILES["d_codes"]}
    assert names == {*csvs, *(f"{file}-metadata.json" for file in csvs), "labs.parquet"}
    assert released.notices == (
        "Kept back, since no figure looks at tables of nobody: d_codes. To let code books out: --answer code_books=WHY.",
    )
    made, judged = mk.read(out / "synthetic", schema=out / "schema.toml"), mk.read(run / "synthetic")
    assert {t.name: len(made.tables[t.name]) for t in made.schema.tables} == {
        t.name: len(judged.tables[t.name]) for t in judged.schema.tables if t.name != "d_codes"
    }
    assert made.schema["stays"].foreign_keys == judged.schema["stays"].foreign_keys
    assert (parent_rows(made, made.schema["labs"], 0) >= 0).all()
    assert not any(table.rules or table.notes for table in made.schema.tables)


def test_every_file_is_signed_and_says_that_it_is_synthetic(released: Released) -> None:
    out = released.out
    assert out is not None
    assert label(out).is_synthetic
    sums = (out / "SHA256SUMS").read_text()
    assert all(f"  synthetic/{name}" in sums for name in ("patients.csv", "labs.parquet", "patients.csv-metadata.json"))
    card = (out / "card.md").read_text()
    assert "synthetic patients with" in card
    assert "patients.sex" in card
    assert "Tables of nobody (code books), which were kept back: d" in card
    decided = json.loads((out / "decision.json").read_text())
    assert decided["patients"] == 96
    columns = json.loads((out / "synthetic" / "patients.csv-metadata.json").read_text())["tableSchema"]["columns"]
    assert [column["titles"] for column in columns] == ["subject_id", "sex", "born", "died"]
    check_croissant(out)


def test_a_code_book_goes_along_when_a_person_answers_for_it(run: Path, rules: Path, tmp_path: Path) -> None:
    made = let_out(run, tmp_path / "release", rules, answered={"code_books": "Names of tests"}, file_format="parquet")
    assert made.out is not None
    assert {path.name for path in (made.out / "synthetic").iterdir()} == {f"{name}.parquet" for name in FILES}
    assert not made.notices
    assert label(made.out).is_synthetic
    with pytest.raises(ParameterError, match="--format npz is no format of tables"):
        let_out(run, tmp_path / "other", rules, file_format="npz")


def test_what_was_changed_or_added_is_refused(run: Path, rules: Path, released: Released, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "synthetic" / "stray.csv").write_text("a\n1\n")
    with pytest.raises(GateError, match=r"synthetic/stray\.csv of .* was added after the judgement"):
        let_out(copy, tmp_path / "no", rules)
    assert released.out is not None
    received = Path(shutil.copytree(released.out, tmp_path / "received"))
    table = received / "synthetic" / "patients.csv"
    table.write_bytes(table.read_bytes().replace(b"F", b"M", 1))
    with pytest.raises(GateError, match=r"'synthetic/patients\.csv' was changed"):
        verify(received, key=f"{rules.with_name('publisher.key')}.pub")


def test_a_policy_of_other_data_is_refused(run: Path, tmp_path: Path) -> None:
    of_images = policy(tmp_path / "gate.toml", ("image_copies", "at_most = 0.1"))
    with pytest.raises(ParameterError, match="The policy gate v1 sets no limit on linked patients"):
        let_out(run, tmp_path / "no", of_images)


@pytest.mark.parametrize("name", ["resample_patients", "resample", "resample_images", "smote", "k_anonymity", "independent"])
def test_what_yardsticks_made_never_leaves(run: Path, rules: Path, tmp_path: Path, name: str) -> None:
    """By the registry's own word, even where every figure would pass."""
    folder = shutil.copytree(run, tmp_path / "run")
    told = json.loads((folder / "manifest.json").read_text())
    told["synthesizer"]["name"] = name
    (folder / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(GateError, match=f"made by '{name}' .*never released"):
        let_out(folder, tmp_path / "release", rules)
    assert not (tmp_path / "release").exists()
