"""A run that is killed goes on to the same result; a run on the clock is made again from its manifest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from manikin.workflow.options import Options

STEPS = 100
CHILD = """
import sys
from functools import partial
from manikin.workflow import judge, learn
from manikin.evaluation import views
from manikin.report import render
learn.CHECKPOINT_SECONDS = 0.1
judge.measure = partial(judge.measure, metrics=["column_shapes"], attacks=[])  # what is measured and drawn is not the point here
views.projections = lambda data, seed: {}
render.render = lambda results, path: path.write_text("")
from manikin.cli import main
main(sys.argv[1:])
"""


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", CHILD, *(str(argument) for argument in arguments)]


def finish(*arguments: object) -> str:
    ended = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def manifest(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "manifest.json").read_text())
    return found


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < end, "no checkpoint appeared"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_result(women: Path, tmp_path: Path) -> None:
    options = ("synthesize", women, "--synthesizer", "autoregressive", "--max-steps", STEPS, "--seed", 3)
    finish(*options, "-o", tmp_path / "whole")
    killed = tmp_path / "killed"
    with subprocess.Popen(command(*options, "-o", killed), stderr=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path / "killed.partial" / "checkpoint", process)
        process.send_signal(signal.SIGKILL)
    assert not killed.exists()
    said = finish(*options, "-o", killed)
    assert "going on from there" in said
    assert not (tmp_path / "killed.partial").exists()
    for name in ("synthetic.csv", "model/weights.safetensors"):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert manifest(killed)["synthesizer"]["training"]["resumed"] is True  # type: ignore[index]


@pytest.mark.slow
def test_sigterm_keeps_what_is_needed_and_another_command_begins_anew(women: Path, tmp_path: Path) -> None:
    options = ("fit", women, "--synthesizer", "autoregressive", "--max-steps", STEPS, "-o", tmp_path / "model")
    with subprocess.Popen(command(*options), stderr=subprocess.PIPE, text=True) as process:
        wait_for(tmp_path / "model.partial" / "checkpoint", process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-1].endswith("run the same command again to resume.")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.partial"]
    said = finish(*options[:-2], "--seed", 9, "-o", tmp_path / "model")
    assert "going on from there" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.slow
def test_a_time_budgeted_run_is_replayed_byte_for_byte(women: Path, tmp_path: Path) -> None:
    finish("synthesize", women, "--synthesizer", "autoregressive", "--time-budget", "3s", "-o", tmp_path / "first")
    training = manifest(tmp_path / "first")["synthesizer"]["training"]  # type: ignore[index]
    assert training["steps"] > 0
    finish("synthesize", women, "--replay", tmp_path / "first" / "manifest.json", "-o", tmp_path / "second")
    again = manifest(tmp_path / "second")["synthesizer"]["training"]  # type: ignore[index]
    assert (again["steps"], again["planned_steps"]) == (training["steps"], training["planned_steps"])
    for name in ("synthetic.csv", "model/weights.safetensors"):
        assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "first" / name).read_bytes(), name


@pytest.mark.slow
def test_what_was_learned_before_an_interruption_is_not_learned_again(
    women: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from manikin.workflow import judge
    from manikin.workflow import synthesize as job

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(judge, "measure", partial(judge.measure, metrics=["column_shapes"], attacks=[]))
    options = Options(synthesizer="forest", seed=2)
    whole = job.synthesize(women, out=tmp_path / "whole", options=options)
    with monkeypatch.context() as patch:
        patch.setattr(judge, "measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            job.synthesize(women, out=tmp_path / "late", options=options)
    assert (tmp_path / "late.partial" / "model").is_dir()
    monkeypatch.setattr(job, "learn", lambda *_, **__: pytest.fail("it was learned already"))
    late = job.synthesize(women, out=tmp_path / "late", options=options)
    assert late.files["synthetic"].read_bytes() == whole.files["synthetic"].read_bytes()
    assert late.choice == whole.choice
    assert any("going on from there" in notice for notice in late.notices)
