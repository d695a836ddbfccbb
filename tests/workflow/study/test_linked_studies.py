"""Studies of linked patients: the same questions, a patient as the unit, a budget for each with all her rows."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

import manikin as mk
from linked_ward import write_ward
from manikin.data.errors import DataError, FitError, ParameterError
from manikin.evaluation.studies import curves as curves_of
from manikin.evaluation.studies import tradeoff as figures
from manikin.workflow.study import along_epsilon, learning_curve
from manikin.workflow.study.along_epsilon import TradeoffOptions, study_tradeoff
from manikin.workflow.study.learning_curve import CurveOptions, study_learning_curve

STEADY = {"figures": {name: {"value": 0.5, "interval": [0.4, 0.6], "reference": 0.5, "note": ""} for name in figures.FIGURES}}


@pytest.fixture(scope="module")
def schema(ward: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ward's schema in a file."""
    path = tmp_path_factory.mktemp("schema") / "schema.toml"
    mk.write_schema(mk.infer(ward), path)
    return path


def test_a_learning_curve_of_nested_patients(ward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = learning_curve.fit, []

    def watched(name: str, data: Any, **kwargs: Any) -> Any:
        seen.append(set(data.tables["patients"].frame["subject_id"]))
        if len(data) < 50:
            raise FitError("Too few.")
        return real(name, data, **kwargs)

    def point(data: Any, **_: Any) -> dict[str, Any]:
        judged.append(data)
        learner = {"booster": 0.6 + 0.001 * len(data.synthetic[0])}
        interval = {"booster": [0.6, 0.7]}
        return {"c2st": 0.9, "c2st_interval": [0.8, 1.0], "measure": "AUROC", "tstr": learner, "tstr_interval": interval, "trtr": learner}

    judged: list[Any] = []
    monkeypatch.setattr(learning_curve, "fit", watched)
    monkeypatch.setattr(curves_of, "point", point)
    options = CurveOptions(target="patients.died", synthesizers=("markov",), sizes=(40, 90, 500), repeats=1)
    done = study_learning_curve(ward, out=tmp_path / "curve", options=options)
    assert [len(patients) for patients in seen] == [40, 90]
    assert seen[0] < seen[1]
    assert [(data.is_linked, data.target, len(data.synthetic[0])) for data in judged] == [
        (True, "patients.died", n) for n in (96, 40, 90, 96)  # the pool, the real patients of either size, what one fit made
    ]
    curves = {(line["name"], line["figure"]): [point["mean"] for point in line["points"]] for line in done.document["curves"]}
    assert curves["markov", "c2st"] == [None, 0.9]
    assert all(value is not None for value in curves["real", "excess"])
    assert done.document["data"]["unit"] == "patients"
    page = done.files["report"].read_text()
    assert "all real patients of the pool" in page
    assert "markov failed on 1 of 2 points" in page


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Measures nothing; keeps what it was asked to measure."""
    asked: list[Any] = []

    def measured(data: Any, **_: Any) -> dict[str, Any]:
        asked.append(data)
        return json.loads(json.dumps(STEADY | {"measure": "AUROC", "n_attacked": 10}))

    monkeypatch.setattr(figures, "measured", measured)
    return asked


def test_a_tradeoff_gives_each_budget_to_a_patient_with_all_her_rows(
    ward: Path, schema: Path, tmp_path: Path, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    handed, real = [], along_epsilon.fit

    def watched(name: str, data: Any, **kwargs: Any) -> Any:
        handed.append((kwargs["ledger"], data.schema["labs"]["value"].kind, set(data.tables["patients"].frame["subject_id"].astype(float))))
        return real(name, data, **kwargs)

    monkeypatch.setattr(along_epsilon, "fit", watched)
    options = TradeoffOptions(target="died", epsilons=(20, inf), synthesizers=("markov",), seeds=1, rows_per_patient=2)
    done = study_tradeoff(ward, out=tmp_path / "t", options=options, schema=schema)
    assert [one["failed"] for one in done.document["trials"] if "failed" in one] == []
    (ledger, _, bought_of), (free, _, learned_from) = handed
    assert (free, ledger.epsilon, ledger.rows_per_patient) == (None, 20, 2)
    assert ledger.spends
    assert bought_of == learned_from == set(quick[0].train.tables["patients"].frame["subject_id"].astype(float))
    assert [data.is_linked and data.target for data in quick] == ["patients.died"] * 3
    assert {len(data.synthetic[0]) for data in quick} == {96}
    assert [point["synthesizer"] for point in done.document["points"] if point["figure"] == "c2st"] == ["real", "markov", "markov"]
    assert any("no line of columns drawn one by one" in notice for notice in done.document["notices"])
    page = done.files["report"].read_text()
    assert "the train patients themselves score." in page
    assert "the grey one columns" not in page
    assert "against real patients" in page
    assert "a summary of each patient and not at her history" in page


@pytest.mark.usefixtures("quick")
def test_what_does_not_fit_is_refused_by_name(ward: Path, women: Path, tmp_path: Path) -> None:
    def tradeoff(data: Path, **options: Any) -> None:
        study_tradeoff(data, out=tmp_path / "x", options=TradeoffOptions(**{"epsilons": (inf,), "seeds": 1, **options}))

    with pytest.raises(ParameterError, match=r"'forest' learns one flat table, and ward holds linked tables. Choose one of event_transf"):
        tradeoff(ward, target="died", synthesizers=("forest",))
    with pytest.raises(ParameterError, match=r"'markov' learns linked tables, and women.csv holds one flat table. Choose one of aim, "):
        tradeoff(women, target="cens", synthesizers=("markov",))
    with pytest.raises(ParameterError, match=r"able are: event_transformer, halo, markov. Write timegan@inf"):
        tradeoff(ward, target="died", synthesizers=("timegan",), epsilons=(1,))
    with pytest.raises(ParameterError, match="which is the time of a row of table 'stays'"):
        tradeoff(ward, target="stays.admitted", synthesizers=("markov",))
    with pytest.raises(ParameterError, match="several tables have"):
        tradeoff(ward, target="subject_id", synthesizers=("markov",))
    few = write_ward(tmp_path / "few", 40)
    with pytest.raises(DataError, match="have 40 patients; a trade-off study needs at least 100"):
        tradeoff(few, target="died", synthesizers=("markov",))


def test_patients_are_bounded_and_the_usual_generators_taken(
    ward: Path, tmp_path: Path, quick: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def failing(name: str, *_: Any, **__: Any) -> None:
        tried.append(name)
        raise FitError("No.")

    monkeypatch.setattr(along_epsilon, "fit", failing)
    done = study_tradeoff(ward, out=tmp_path / "t", options=TradeoffOptions(epsilons=(inf,), seeds=1, max_rows=110))
    assert tried == ["markov", "event_transformer"]
    assert len(quick[0].train) == 88
    assert "110 of 120 patients were drawn at random." in done.document["notices"]
    assert quick[0].target == "patients.died"  # the schema's own
