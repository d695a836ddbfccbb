"""The trade-off study, with generators that need no training; `mixer` gives the more real rows the larger epsilon is."""

from __future__ import annotations

import csv
import json
from math import inf
from pathlib import Path
from typing import Any

import pytest

import manikin as mk
from manikin.data.errors import DataError, ParameterError
from manikin.evaluation.studies import tradeoff as figures
from manikin.workflow.study import along_epsilon
from manikin.workflow.study.along_epsilon import TradeoffOptions, study_tradeoff
from manikin.workflow.study.epsilon_papers import UNPROTECTED

Calls = list[tuple[float, float | None, int]]
STEADY = {"figures": {name: {"value": 0.5, "interval": [0.4, 0.6], "reference": 0.5, "note": ""} for name in figures.FIGURES}}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lifelines.datasets import load_gbsg2

    path = tmp_path_factory.mktemp("tradeoff") / "women.csv"
    load_gbsg2().head(300).to_csv(path, index=False)
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures nothing."""

    def measured(*_: Any, **__: Any) -> dict[str, Any]:
        return json.loads(json.dumps(STEADY | {"measure": "AUROC", "n_attacked": 10}))

    monkeypatch.setattr(figures, "measured", measured)


def test_fidelity_and_leaks_grow_with_epsilon_and_a_broken_guarantee_is_told(table: Path, tmp_path: Path, fakes: Calls) -> None:
    done = mk.study.tradeoff(
        table, out=tmp_path / "t", epsilons=(inf, 0.5), synthesizers=("mixer", "leaky"), seeds=1, target="cens", seed=3
    )
    document = json.loads(done.files["results"].read_text())
    assert [(epsilon, spends) for epsilon, _, spends in fakes] == [(0.5, 2), (inf, 0), (0.5, 2), (inf, 0)]
    deltas = [delta for _, delta, _ in fakes if delta is not None]
    assert len(deltas) == 2
    assert max(deltas) <= 1e-4  # below 1 / (10 * 240), from the number of patients that was bought
    points = {(p["synthesizer"], p["epsilon"], p["figure"]): p for p in document["points"]}
    mixer = [points["mixer", epsilon, "excess"]["median"] for epsilon in (0.5, "inf")]
    assert mixer[1] > mixer[0] + 0.2
    assert points["real", "inf", "membership"]["median"] > 0.9
    assert points["real", "inf", "excess"]["median"] == 1.0
    assert points["leaky", 0.5, "membership"]["median"] > 0.3 > points["leaky", 0.5, "membership"]["ceiling"]
    assert any("leaky at epsilon 0.5: the membership attack went beyond 1." in notice for notice in document["notices"])
    leaky = [line["text"] for use in document["advice"] for line in use["lines"] if line["synthesizer"] == "leaky"]
    assert all("do not use it" in text for text in leaky)
    assert document["unprotected"] == UNPROTECTED
    page = done.files["report"].read_text()
    assert "do not publish it" in page
    assert page.count("<svg") >= 6
    assert not list(done.out.glob("**/*.parquet"))
    assert sorted(path.name for path in done.out.iterdir()) == ["study.csv", "study.html", "study.json", "study.svg"]  # no row, no model
    rows = list(csv.DictReader(done.files["figures"].read_text().splitlines()))
    row = next(row for row in rows if (row["synthesizer"], row["epsilon"], row["figure"]) == ("mixer", "0.5", "membership"))
    assert float(row["ceiling"]) == pytest.approx(figures.ceiling(0.5, float(row["delta"])), abs=1e-6)
    assert {row["epsilon"] for row in rows if row["synthesizer"] == "mixer"} == {"0.5", "inf"}


@pytest.mark.usefixtures("quick")
def test_an_interrupted_study_goes_on_from_its_last_fit_with_more_of_everything(
    table: Path, tmp_path: Path, fakes: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = along_epsilon._trial

    def stopped(job: Any, *arguments: Any) -> dict[str, Any]:
        if (job.synthesizer, job.epsilon) == ("mixer", 3):
            raise KeyboardInterrupt
        return real(job, *arguments)

    options = TradeoffOptions(target="cens", epsilons=(1, 3), synthesizers=("mixer",), seeds=1)
    monkeypatch.setattr(along_epsilon, "_trial", stopped)
    with pytest.raises(KeyboardInterrupt):
        study_tradeoff(table, out=tmp_path / "t", options=options)
    kept = sorted(path.name for path in (tmp_path / "t.partial" / "trials").iterdir())
    assert any("mixer-1" in name for name in kept)
    monkeypatch.setattr(along_epsilon, "_trial", real)
    before = len(fakes)
    more = TradeoffOptions(target="cens", epsilons=(1, 3, inf), synthesizers=("mixer", "moody"), seeds=1)
    done = study_tradeoff(table, out=tmp_path / "t", options=more)
    assert any("going on from there" in notice for notice in done.document["notices"])
    assert [epsilon for epsilon, _, _ in fakes[before:]] == [3, inf, 1, 3]  # mixer's 1 was there; moody breaks down at inf


@pytest.mark.usefixtures("quick")
def test_a_finished_study_is_extended_by_what_is_missing_and_what_failed(table: Path, tmp_path: Path, fakes: Calls) -> None:
    first = TradeoffOptions(target="cens", epsilons=(0.5, 1), synthesizers=("moody",), seeds=1)
    study_tradeoff(table, out=tmp_path / "t", options=first)
    assert [epsilon for epsilon, _, _ in fakes] == [1]
    more = TradeoffOptions(target="cens", epsilons=(0.5, 1, 3), synthesizers=("moody", "mixer"), seeds=1)
    document = study_tradeoff(table, out=tmp_path / "t", options=more, extend=True).document
    assert [epsilon for epsilon, _, _ in fakes[1:]] == [3, 0.5, 1, 3]
    assert any("moody failed on 1 of 3 fits" in notice for notice in document["notices"])  # tried again, in vain
    assert len(document["trials"]) == 1 + 3 + 3 + 3 * along_epsilon.SYNTHESIZERS["independent"].private
    other = TradeoffOptions(target="cens", epsilons=(1,), synthesizers=("mixer",), seeds=1, delta=1e-5)
    with pytest.raises(ParameterError, match="no finished trade-off study of the same data"):
        study_tradeoff(table, out=tmp_path / "t", options=other, extend=True)
    assert (tmp_path / "t" / "study.json").is_file()
    assert not (tmp_path / "t.partial").exists()


@pytest.mark.usefixtures("quick", "fakes")
def test_a_fit_that_fails_or_breaks_down_costs_only_itself_and_tells_no_value(table: Path, tmp_path: Path) -> None:
    options = TradeoffOptions(target="cens", epsilons=(0.5, 1, inf), synthesizers=("moody",), seeds=2)
    document = study_tradeoff(table, out=tmp_path / "t", options=options).document
    failed = {(t["epsilon"], t["failed"]) for t in document["trials"] if "failed" in t and t["synthesizer"] == "moody"}
    assert failed == {
        (0.5, "Too little budget."),
        ("inf", "It failed unexpectedly (ZeroDivisionError); please report it."),
    }
    assert any("moody failed on 4 of 6 fits (epsilon 0.5, inf)" in notice for notice in document["notices"])
    assert "a patient's value" not in json.dumps(document)


@pytest.mark.usefixtures("quick", "fakes")
def test_delta_and_rows_of_a_patient_reach_every_ledger(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = [], along_epsilon.Ledger

    def watched(**kwargs: Any) -> Any:
        made.append(kwargs)
        return real(**kwargs)

    monkeypatch.setattr(along_epsilon, "Ledger", watched)
    monkeypatch.setattr(along_epsilon, "check_target", lambda _: None)
    options = TradeoffOptions(epsilons=(1, 3), synthesizers=("mixer",), seeds=1, delta=1e-6, rows_per_patient=4)
    document = study_tradeoff(table, out=tmp_path / "t", options=options).document
    own = [kwargs for kwargs in made if kwargs["epsilon"] in (1, 3)]
    assert own
    assert all(kwargs["delta"] == 1e-6 and kwargs["rows_per_patient"] == 4 for kwargs in own)
    assert any("No target is named" in notice for notice in document["notices"])


@pytest.mark.usefixtures("quick", "fakes")
def test_under_a_budget_a_generator_is_handed_cells_that_are_read_by_themselves_of_the_same_patients(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, real = [], along_epsilon.fit

    def watched(name: str, data: Any, **kwargs: Any) -> Any:
        if name == "mixer":
            seen.append((kwargs["ledger"] is None, data.columns["age"].kind.is_number, data.to_pandas()["age"].astype(int).tolist()))
        return real(name, data, **kwargs)

    monkeypatch.setattr(along_epsilon, "fit", watched)
    options = TradeoffOptions(target="cens", epsilons=(1, inf), synthesizers=("mixer",), seeds=1, max_rows=200)
    study_tradeoff(table, out=tmp_path / "t", options=options)
    (_, is_number, ages), (is_free, is_number_too, same) = seen
    assert (is_number, is_free, is_number_too) == (False, True, True)
    assert ages == same
    assert len(ages) == 160


@pytest.mark.usefixtures("fakes")
def test_a_generator_that_cannot_keep_a_budget_is_refused_by_name_or_compared_at_inf_only() -> None:
    with pytest.raises(ParameterError, match=r"'forest' cannot keep a privacy budget .* Write forest@inf"):
        TradeoffOptions(epsilons=(1, inf), synthesizers=("mixer", "forest")).check()
    for options in (
        TradeoffOptions(epsilons=(1, inf), synthesizers=("mixer", "forest@inf")),
        TradeoffOptions(epsilons=(inf,), synthesizers=("forest",)),
    ):
        assert [job.epsilon for job in options.check() if job.synthesizer == "forest"] == [inf]


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"epsilons": ()}, "epsilons"),
        ({"epsilons": (0.0, 1.0)}, "epsilons"),
        ({"epsilons": (float("nan"),)}, "epsilons"),
        ({"delta": 1.0}, "delta"),
        ({"seeds": 0}, "seeds"),
        ({"rows_per_patient": 0}, "rows-per-patient"),
        ({"max_rows": 10}, "max-rows"),
        ({"seed": -1}, "seed"),
        ({"synthesizers": ()}, "at least one"),
        ({"synthesizers": ("auto",)}, "'auto' is none"),
        ({"synthesizers": ("real@inf",)}, "no synthesizer named 'real'"),
        ({"synthesizers": ("mixr",)}, "mixer"),
    ],
)
def test_options_outside_their_domain_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        TradeoffOptions(**{"synthesizers": ("mixer",), **wrong}).check()


@pytest.mark.usefixtures("fakes")
def test_too_few_patients_are_refused(table: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.csv"
    small.write_text("\n".join(table.read_text().splitlines()[:60]))
    with pytest.raises(DataError, match="at least 100"):
        study_tradeoff(small, out=tmp_path / "t", options=TradeoffOptions(synthesizers=("mixer",)))
    assert not (tmp_path / "t.partial").exists()
