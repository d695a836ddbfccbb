"""What a job tells while a generator learns, and what is left of it in the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from manikin.release.manifest import Choice
from manikin.training.control import Control, Progress
from manikin.training.signals import HELD_OUT, KNOWN
from manikin.workflow import learn
from manikin.workflow.auto import _Part
from manikin.workflow.decide import Decision
from manikin.workflow.decide import learn as learn_as_decided
from manikin.workflow.options import Options
from manikin.workflow.stages import Silent, Stages
from manikin.workflow.synthesize import synthesize

FIRST, LAST = "Mode collapse shows at step 5.", "By step 9 samples have drifted."


class Listener(Silent):
    def __init__(self) -> None:
        self.signals: list[dict[str, float]] = []
        self.warnings: list[str] = []

    def watch(self, signals: Mapping[str, float]) -> None:
        self.signals.append(dict(signals))

    def warn(self, text: str) -> None:
        self.warnings.append(text)


class Planted:
    """Learns nothing; tells the first warning as it happens, and again and again, and the last only in its record."""

    def fit(self, data: Any, *, seed: int, control: Control) -> Planted:
        assert control.on_progress is not None
        for step in (5, 6, 7):
            control.on_progress(Progress(step, 10, step / 10, 1.0, 0.2, signals={"drift": 0.2}, warning=FIRST))
        self.training_ = {"warnings": [FIRST, LAST]}
        return self


FLAT = SimpleNamespace(modality="table", is_linked=False)  # data that nobody looks at further


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn, "synthesizer", lambda name, **_: Planted())
    monkeypatch.setattr(learn, "SYNTHESIZERS", {"planted": SimpleNamespace(is_neural=True, modality="table")})


@pytest.mark.usefixtures("planted")
def test_a_warning_is_shown_once_as_it_happens_and_kept_for_the_report(tmp_path: Path) -> None:
    watcher = Listener()
    stages = Stages(watcher)
    decision = Decision(Choice(name="planted", asked="planted"), Options().limits)
    learn_as_decided(tmp_path, FLAT, decision, 0, stages)  # type: ignore[arg-type]
    assert watcher.warnings == [FIRST, LAST]
    assert stages.notices == [FIRST, LAST]
    assert watcher.signals == [{}, *[{"drift": 0.2}] * 3, {}]


@pytest.mark.usefixtures("planted")
def test_a_candidates_warning_names_the_candidate() -> None:
    watcher = Listener()
    learn.fit("planted", FLAT, seed=0, limits=learn.Limits(), watcher=_Part(watcher, "planted", 0.0, 1.0))  # type: ignore[arg-type]
    assert watcher.warnings == [f"Trying planted: {FIRST}"]
    assert {"drift": 0.2} in watcher.signals


def test_a_held_out_loss_stands_where_no_signal_says_the_same() -> None:
    assert learn.signals_of(Progress(1, 2, 0.5, 1.0, 0.7)) == {HELD_OUT: 0.7}
    assert learn.signals_of(Progress(1, 2, 0.5, 1.0, 0.7, signals={"drift": 0.7})) == {"drift": 0.7}
    assert learn.signals_of(Progress(1, 2, 0.5)) == {}


def test_a_short_adversarial_run_is_told_live_and_in_the_report(women: Path, tmp_path: Path) -> None:
    watcher = Listener()
    synthesize(women, out=tmp_path / "run", options=Options(synthesizer="ctgan", max_steps=30), watcher=watcher)
    told = [signals for signals in watcher.signals if signals]
    assert told
    assert {"accuracy real", "accuracy synthetic", "drift", "coverage", "gradient: critic"} <= told[-1].keys()
    assert watcher.signals[-1] == {}
    assert all(name in KNOWN or name.startswith(("loss: ", "gradient: ")) for name in told[-1])
    page = (tmp_path / "run" / "report.html").read_text()
    assert "How it learned" in page
    assert "Can the critic tell them apart?" in page
    assert 'class="film"' in page
    recorded = json.loads((tmp_path / "run" / "results.json").read_text())["run"]["training"]
    assert recorded["film"]
