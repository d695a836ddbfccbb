"""A job on images that is stopped, while it learns or later, goes on to the same result."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from manikin.evaluation.images import views
from manikin.release.manifest import read_manifest
from manikin.workflow import judge, learn
from manikin.workflow.options import Options
from manikin.workflow.stages import Silent
from manikin.workflow.synthesize import Outcome, synthesize

picture = pytest.importorskip("PIL.Image")
STEPS = 12
OPTIONS = Options(
    synthesizer="ddpm", hyperparameters={"channels": (8,), "batch_size": 16, "sampling_steps": 3}, max_steps=STEPS, rows=30, seed=2
)


class Stops(Silent):
    """Somebody who presses Ctrl-C once half of the steps of a stage are done."""

    def __init__(self, stage: str) -> None:
        self.of, self.now = stage, ""

    def stage(self, title: str) -> None:
        self.now = title

    def advance(self, fraction: float | None, note: str = "") -> None:
        if self.now.startswith(self.of) and fraction is not None and fraction >= 0.5:
            raise KeyboardInterrupt


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "measure", partial(judge.measure, metrics=["image_intensity"], attacks=[]))
        patch.setattr(views, "views", lambda *_, **__: {})
        patch.setattr(learn, "CHECKPOINT_SECONDS", 0.0)
        yield


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resumed") / "films"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(60):
        picture.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{i}.png")
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "label"], *([f"{i}.png", "ab"[i % 2]] for i in range(60))])
    return folder


@pytest.fixture(scope="module")
def whole(films: Path) -> Outcome:
    return synthesize(films, out=films.parent / "whole", options=OPTIONS)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("stage", "is_learning"), [("Learning", True), ("Making", False), ("Measuring", False)])
def test_a_stopped_job_goes_on_to_the_same_result(films: Path, whole: Outcome, tmp_path: Path, stage: str, is_learning: bool) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        synthesize(films, out=out, options=OPTIONS, watcher=Stops(stage))
    assert not out.exists()
    assert (tmp_path / "run.partial").is_dir()
    made = synthesize(films, out=out, options=OPTIONS)
    assert any("going on from there" in notice for notice in made.notices)
    assert not (tmp_path / "run.partial").exists()
    assert contents(out / "synthetic") == contents(whole.out / "synthetic")
    assert (out / "model" / "weights.safetensors").read_bytes() == (whole.out / "model" / "weights.safetensors").read_bytes()
    choice = read_manifest(out / "manifest.json").synthesizer
    assert choice is not None
    assert bool(choice.training.get("resumed")) is is_learning
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.out.iterdir()}
