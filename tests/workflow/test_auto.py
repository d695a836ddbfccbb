"""auto chooses among what may be released, by patients that no candidate saw, and says when they are too few."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, FitError
from manikin.synthesizers import SYNTHESIZERS
from manikin.workflow import auto
from manikin.workflow.options import Options
from manikin.workflow.sources import read
from manikin.workflow.stages import Stages


def table(n_rows: int, *, n_columns: int = 3, seed: int = 0) -> Dataset:
    """Columns that depend on each other strongly."""
    rng = np.random.default_rng(seed)
    first = rng.integers(20, 90, n_rows)
    columns = {"age": first} | {f"lab{i}": first + rng.integers(0, 5, n_rows) for i in range(n_columns - 1)}
    return read(pd.DataFrame(columns))


class Fake:
    """Learns at once; its rows are real ones, or columns drawn by themselves."""

    def __init__(self, data: Dataset, *, is_good: bool) -> None:
        self.data, self.is_good = data, is_good

    def sample(self, n: int, *, seed: int) -> Dataset:
        rng = np.random.default_rng(seed)
        if self.is_good:
            return self.data.take(rng.integers(0, len(self.data), n))
        frame = self.data.to_pandas()
        mixed = pd.DataFrame({name: rng.choice(frame[name].to_numpy(), n) for name in frame})
        return read(mixed, schema=self.data.schema)


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was fitted, and on how many rows; the forest is good and the network is not."""
    calls: list[tuple[str, int]] = []

    def fit(name: str, data: Dataset, **_: Any) -> Fake:
        calls.append((name, len(data)))
        return Fake(data, is_good=name == "forest")

    monkeypatch.setattr(auto, "fit", fit)
    return calls


def test_only_what_may_be_released_is_a_candidate() -> None:
    found = auto.candidates()
    assert {"autoregressive", "forest"} <= set(found)
    assert all(SYNTHESIZERS[name].releasable for name in found)


def test_a_small_table_is_decided_by_trial_on_rows_that_no_candidate_saw(fitted: list[tuple[str, int]]) -> None:
    choice = auto.choose(table(240), options=Options(), stages=Stages())
    assert choice.name == "forest"
    assert sorted(fitted) == [("autoregressive", 180)] * 3 + [("forest", 180)] * 3
    assert choice.scores["forest"]["c2st"] < 0.6 < choice.scores["autoregressive"]["c2st"]
    assert "forest 0." in choice.reasons[0]
    assert choice.asked == "auto"


def test_a_trial_takes_only_the_figures_that_decide(fitted: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    from manikin.workflow import judge

    measure, taken = judge.measure, []

    def kept(*args: Any, **asked: Any) -> Any:
        taken.append(measure(*args, **asked))
        return taken[-1]

    monkeypatch.setattr(judge, "measure", kept)
    auto.choose(table(400), options=Options(), stages=Stages())
    assert len(taken) == len(fitted)
    for results in taken:
        assert {metric.name for metric in results.metrics} <= {"c2st", "tstr"}
        assert not results.attacks
        assert not results.views


def test_a_large_table_takes_the_network_without_a_trial(fitted: list[tuple[str, int]]) -> None:
    choice = auto.choose(table(5_000), options=Options(), stages=Stages())
    assert (choice.name, fitted) == ("autoregressive", [])
    assert "5,000 rows" in choice.reasons[0]


def test_a_budget_too_small_for_a_network_passes_it_over(fitted: list[tuple[str, int]]) -> None:
    choice = auto.choose(table(5_000), options=Options(time_budget_seconds=5), stages=Stages())
    assert (choice.name, fitted) == ("forest", [])
    assert "within 5 s" in choice.reasons[0]


def test_a_candidate_that_cannot_learn_is_passed_over_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit(name: str, data: Dataset, **_: Any) -> Fake:
        if name == "forest":
            raise FitError("There is no split to learn.")
        return Fake(data, is_good=True)

    monkeypatch.setattr(auto, "fit", fit)
    choice = auto.choose(table(200), options=Options(), stages=Stages())
    assert choice.name == "autoregressive"
    assert "forest could not be tried" in choice.reasons[1]


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "warned"), [(99, 3, True), (100, 3, False), (100, 20, False), (100, 21, True), (20, 3, True)]
)
def test_the_rule_for_too_few_patients(n_rows: int, n_columns: int, warned: bool) -> None:
    stages = Stages()
    auto.check_enough(table(n_rows, n_columns=n_columns), stages)
    assert any("INSUFFICIENT DATA" in notice for notice in stages.notices) is warned


def test_nineteen_patients_are_refused_whatever_their_rows() -> None:
    with pytest.raises(DataError, match="There are 19 patients"):
        auto.check_enough(table(19), Stages())
    frame = table(190).to_pandas().assign(patient_id=np.repeat([f"P{i:02}" for i in range(19)], 10))
    data = read(frame)
    if data.n_records == 190:
        pytest.fail("the patient key was not found, so this test shows nothing")
    with pytest.raises(DataError, match="There are 19 patients"):
        auto.check_enough(data, Stages())


@pytest.mark.slow
def test_the_whole_way_with_auto_on_a_real_table(women: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from manikin.workflow import judge
    from manikin.workflow.synthesize import synthesize

    monkeypatch.setattr(judge, "measure", partial(judge.measure, metrics=["column_shapes"], attacks=[]))
    outcome = synthesize(women, out=tmp_path / "run", options=Options(max_steps=20))
    assert outcome.choice.asked == "auto"
    assert outcome.choice.name in outcome.choice.scores
    assert any(f"auto chose {outcome.choice.name}" in notice for notice in outcome.notices)
