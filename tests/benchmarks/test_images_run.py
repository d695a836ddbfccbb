"""The program that runs generators of images for benchmarks: what killed parts spent counts, and a run keeps to its processor minutes."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

HERE = Path(__file__).parents[2] / "benchmarks" / "images_run.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("images_run", HERE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_run_counts_what_killed_parts_spent_and_stops_where_its_minutes_end(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "toy").mkdir()
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "toy" / "train.npz", images=rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), labels=np.arange(40) % 2)
    out = tmp_path / "out"

    def run(*more: str) -> Path:
        monkeypatch.setattr(sys, "argv", ["images_run.py", str(tmp_path), str(out), "--table", "toy", "--seeds", "0", *more])
        program.main()
        return out / "toy" / "dcgan" / "0"

    plan = ("--synthesizers", "dcgan", "--set", "width=4", "--set", "batch_size=8", "--set", "max_steps=4")
    folder = run(*plan, "--cpu-minutes", "0.0001")
    assert "is stopped after" in capsys.readouterr().out
    assert not (folder / "run.json").exists()
    spent = json.loads((folder / "spent.json").read_text())["cpu"]
    assert spent > 0.006
    run(*plan, "--cpu-minutes", "0.0001")
    assert "all that it may" in capsys.readouterr().out
    (folder / "spent.json").write_text('{"cpu": 1000.0}')
    record = json.loads((run(*plan) / "run.json").read_text())
    assert record["cpu_fit"] > 1000
    assert record["training"]["resumed"]
    with np.load(folder / "synthetic.npz") as made:
        assert made["images"].shape == (40, 8, 8)
