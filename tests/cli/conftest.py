"""A runner of the command line in this process, and a small real table with a run made from it."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from manikin.cli.failures import guarded

N_ROWS = 150


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


def run_command(*arguments: object) -> Ended:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = guarded([str(argument) for argument in arguments])
    return Ended(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def run() -> Run:
    return run_command


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 150 women of the breast cancer trial, with a tenth of the tumour sizes missing."""
    from lifelines.datasets import load_gbsg2

    frame: pd.DataFrame = load_gbsg2().head(N_ROWS)
    frame["tsize"] = frame["tsize"].astype("Int64").mask(frame.index % 10 == 3)
    path = tmp_path_factory.mktemp("table") / "women.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def run_folder(table: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder made by `manikin synthesize` with the forest."""
    out = tmp_path_factory.mktemp("runs") / "run"
    ended = run("synthesize", table, "--synthesizer", "forest", "--target", "cens", "--seed", 1, "--out", out)
    assert ended.code == 0, ended.err
    return out
