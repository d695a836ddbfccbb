"""Shadow models come from the chosen generator with its settings, are counted and told, and replay alike."""

from __future__ import annotations

import json

import pytest

from manikin.data.errors import ParameterError
from manikin.release.manifest import Choice
from manikin.workflow.options import Options
from manikin.workflow.replay import read_replay
from manikin.workflow.shadow import shadow_generators
from manikin.workflow.sources import read
from manikin.workflow.stages import Silent, Spent, Stages
from manikin.workflow.synthesize import synthesize


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def advance(self, fraction, note: str = "") -> None:
        self.words.append(note)

    def warn(self, text: str) -> None:
        self.words.append(text)


def test_a_run_with_shadow_models_says_so_and_its_manifest_keeps_them(women, tmp_path) -> None:
    options = Options(synthesizer="independent", shadow_models=4)
    listener = Listener()
    first = synthesize(women, out=tmp_path / "run", options=options, watcher=listener)
    found = first.results["shadow_membership"]
    assert found.value is not None
    assert found.details["n_shadows"] == 4
    assert [word for word in listener.words if word.startswith("shadow model")] == [f"shadow model {i} of 4" for i in (1, 2, 3, 4)]
    assert any("4 shadow models of independent" in notice for notice in first.notices)
    manifest = tmp_path / "run" / "manifest.json"
    assert json.loads(manifest.read_text())["options"]["shadow_models"] == 4
    again = read_replay(manifest, Options())
    assert again.options == options


def test_without_shadow_models_nothing_is_trained_again() -> None:
    assert shadow_generators(0, Choice(name="independent", asked="independent"), 10, Stages()) is None


@pytest.mark.parametrize("n", [-1, 3, 257])
def test_numbers_of_shadow_models_out_of_bounds_are_refused(n: int) -> None:
    with pytest.raises(ParameterError, match="shadow_models"):
        Options(shadow_models=n).check()


def test_slow_generators_are_warned_of() -> None:
    listener = Listener()
    stages = Stages(listener, spent=[Spent("fit", 100.0, 100.0)])
    shadow_generators(64, Choice(name="tvae", asked="tvae"), 10, stages)
    assert listener.words == ["64 shadow models of tvae take up to about 107 minutes."]


def test_a_shadow_generator_has_the_settings_of_the_first(women) -> None:
    rows = read(women)
    few, many = (Choice(name="forest", asked="forest", hyperparameters={"n_trees": n}) for n in (1, 4))
    made = {name: shadow_generators(4, choice, 37, Stages()) for name, choice in (("few", few), ("many", many))}
    tables = {name: refit(rows, 1).to_pandas() for name, refit in made.items() if refit is not None}
    assert [len(table) for table in tables.values()] == [37, 37]
    assert not tables["few"].equals(tables["many"])
    again = shadow_generators(4, few, 37, Stages())
    assert again is not None
    assert again(rows, 1).to_pandas().equals(tables["few"])
