"""A privacy budget for linked tables, through the jobs: a folder with a schema in, rows and a ledger out that the audit passes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import manikin as mk
from gate_rules import let_out, policy
from linked_ward import FILES, few_figures
from manikin.data.errors import ManikinError, ParameterError
from manikin.privacy import accountant
from manikin.synthesizers.records import taught
from manikin.workflow.audit import audit
from manikin.workflow.models import draw, fit_model
from manikin.workflow.options import Options
from manikin.workflow.sources import infer, read_each_by_itself, write_schema
from manikin.workflow.synthesize import Outcome, synthesize

EPSILON = 200.0  # of 120 patients hardly anything stands clear of less noise; nobody is protected by it


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with few_figures():
        yield


@pytest.fixture(scope="module")
def schema(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("private") / "schema.toml"
    write_schema(infer(ward), path)
    return path


@pytest.fixture(scope="module")
def run(ward: Path, schema: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    out = tmp_path_factory.mktemp("runs") / "run"
    return synthesize(ward, out=out, schema=schema, options=Options(epsilon=EPSILON, delta=1e-4, seed=3))


def test_auto_means_markov_and_the_audit_passes(run: Outcome) -> None:
    assert run.choice.name == "markov"
    found = audit(run.out)
    assert found.passed, [one for one in found.findings if not one.passed]
    assert found.n_patients == pytest.approx(96, abs=25)
    assert found.public["patient_key"] == "subject_id"
    assert set(found.public["tables"]) == {name for name, file in FILES.items()}
    ledger = json.loads((run.out / "ledger.json").read_text())
    assert ledger["public"]["tables"]["stays"]["patient key"] == "subject_id"


def test_the_folder_holds_the_same_tables_and_keys_hold(run: Outcome, ward: Path) -> None:
    made = mk.read(run.out / "synthetic")
    assert [table.name for table in made.schema.tables] == [table.name for table in mk.read(ward).schema.tables]
    assert len(made) == run.rows["synthetic"]
    assert (run.out / "synthetic" / "d_codes.csv").read_text() == (ward / "d_codes.csv").read_text()


def test_of_the_patients_no_figure_is_told(run: Outcome) -> None:
    told = " ".join(run.notices)
    assert "keyed hash" in told
    assert "120 patients" not in told


def test_the_run_is_released_with_its_ledger(run: Outcome, tmp_path: Path) -> None:
    rules = policy(tmp_path / "gate.toml", ("key_integrity", "at_least = 1\nexact = true"), ("epsilon", f"at_most = {EPSILON}"))
    made = let_out(run.out, tmp_path / "release", rules)
    assert made.out is not None, made.decision.lines
    assert (made.out / "ledger.json").is_file()
    assert audit(made.out).passed
    assert "no hash" not in (made.out / "card.md").read_text()
    assert "results.json" not in json.loads((made.out / "decision.json").read_text())["evidence_sha256"]


def test_python_reads_a_folder_as_the_command_does_under_a_budget(ward: Path, schema: Path) -> None:
    rows = mk.read(ward, schema=schema, each_by_itself=True)
    like = read_each_by_itself(ward, mk.read_schema(schema))
    assert rows.schema == like.schema
    assert rows.schema["patients"]["sex"].levels is None, "levels that all patients have are not known yet"
    for table in rows.schema.tables:
        pd.testing.assert_frame_equal(rows.tables[table.name].frame, like.tables[table.name].frame)
    model = mk.synthesizer("markov").fit(rows, seed=0, ledger=mk.ledger(epsilon=EPSILON, delta=1e-4))
    assert len(model.sample(3, seed=0)) == 3
    with pytest.raises(ParameterError, match="each_by_itself takes linked tables with their schema"):
        mk.read(ward, each_by_itself=True)
    with pytest.raises(ParameterError, match="each_by_itself reads a CSV or Parquet file"):
        mk.read(mk.read(ward), each_by_itself=True)


def test_a_model_learns_under_a_budget_and_is_drawn_from(ward: Path, schema: Path, tmp_path: Path) -> None:
    made = fit_model(ward, out=tmp_path / "model", schema=schema, options=Options(synthesizer="markov", epsilon=EPSILON, delta=1e-4))
    assert made.is_private
    assert audit(tmp_path / "model").passed
    draw(tmp_path / "model", n=7, out=tmp_path / "more")
    assert len(mk.read(tmp_path / "more")) == 7


def test_a_network_learns_under_a_budget_and_the_audit_passes(
    ward: Path, schema: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accountant, "MOST_PRECISION", 0.0)  # added up as one Gaussian event, which is never too little
    monkeypatch.setattr(taught, "DRAWN_PATIENTS", 60)
    options = Options(synthesizer="event_transformer", epsilon=EPSILON, delta=1e-4, max_steps=2)
    made = fit_model(ward, out=tmp_path / "model", schema=schema, options=options)
    assert made.is_private
    found = audit(tmp_path / "model")
    assert found.passed, [one for one in found.findings if not one.passed]
    draw(tmp_path / "model", n=7, out=tmp_path / "more")
    assert len(mk.read(tmp_path / "more")) == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"synthesizer": "aim"}, "learns one flat table"),
        *(
            ({"synthesizer": name}, rf"'{name}' cannot keep a privacy budget .epsilon.\. Choose one of event_transformer, halo, markov\.")
            for name in ("timegan", "timevae", "resample_patients")
        ),
        ({"synthesizer": "ddpm"}, "No generator of images can: leave --epsilon and --delta out"),
        ({"audit_canaries": 50}, "--audit-canaries does not go with linked tables"),
        ({"public": ("labs.code",)}, "--public takes the list of values from the data"),
    ],
)
def test_what_a_budget_cannot_cover_is_refused_by_name(ward: Path, schema: Path, tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(ManikinError, match=words):
        synthesize(ward, out=tmp_path / "run", schema=schema, options=Options(epsilon=1.0, **options))
    assert not list(tmp_path.iterdir())


def test_other_forms_than_a_folder_are_refused(ward: Path, schema: Path, tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/ward.sqlite"
    mk.write(mk.read(ward), place)
    with pytest.raises(ManikinError, match="takes linked tables from a folder"):
        fit_model(place, out=tmp_path / "model", schema=schema, options=Options(epsilon=1.0))
