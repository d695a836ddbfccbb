"""Naming follow-up time and event: by Python and by the command line, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import manikin as mk
from manikin.cli.app import app
from manikin.data.errors import ParameterError
from manikin.data.schema import Role
from manikin.workflow import judge, synthesize
from manikin.workflow.options import Options, options_from_json
from manikin.workflow.sources import as_wished, read, with_follow_up


def women(n: int, seed: int) -> pd.DataFrame:
    """A table whose names say nothing of time and event."""
    rng = np.random.default_rng(seed)
    days = rng.exponential(500, n).astype(int) + 1
    return pd.DataFrame(
        {
            "age": rng.integers(30, 80, n),
            "observed": days,
            "relapse": np.where(rng.random(n) < 0.5, "yes", "no"),
            "seen": pd.date_range("2020-01-01", periods=n).strftime("%Y-%m-%d"),
        }
    )


def test_python_takes_the_two_columns() -> None:
    parts: dict[str, Any] = {"train": women(200, 1), "holdout": women(100, 2), "synthetic": women(200, 3)}
    plain = mk.evaluate(**parts, metrics=["time_to_event"], attacks=[])["time_to_event"]
    assert plain.value is None
    named = mk.evaluate(**parts, metrics=["time_to_event"], attacks=[], time="observed", event="relapse")
    assert named["time_to_event"].value is not None
    assert named.views["survival"]["time"] == "observed"


def test_roles_move_to_the_named_columns() -> None:
    data = read(women(60, 1).rename(columns={"observed": "time", "relapse": "event"}).assign(other=np.arange(60) % 37, flag="no"))
    again = as_wished(data, time="other", event="event")
    assert [column.name for column in again.columns.with_role(Role.TIME)] == ["other"]
    assert [column.name for column in again.columns.with_role(Role.EVENT)] == ["event"]
    assert with_follow_up(data, None, None) is data


@pytest.mark.parametrize(
    ("time", "event", "words"),
    [
        ("observed", None, "without --event"),
        (None, "relapse", "without --time"),
        ("observe", "relapse", "Did you mean 'observed'?"),
        ("seen", "relapse", "Name a column of numbers"),
        ("observed", "age", "Name a column of levels"),
    ],
)
def test_what_is_refused(time: str | None, event: str | None, words: str) -> None:
    with pytest.raises(ParameterError, match=words.replace("?", r"\?")):
        with_follow_up(read(women(60, 1)), time, event)


def test_options_keep_them_and_older_manifests_have_none() -> None:
    options = Options(time="observed", event="relapse")
    assert options_from_json(options.to_json(), Path("manifest.json")) == options
    older = {key: value for key, value in Options().to_json().items() if key not in ("time", "event")}
    assert options_from_json(older, Path("manifest.json")) == Options()


@pytest.mark.parametrize("command", ["evaluate", "synthesize"])
def test_the_command_line_hands_them_on(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    def fake(*_: Any, **given: Any) -> Any:
        told.update(given)
        raise ParameterError("That is enough.")

    monkeypatch.setattr(judge, "judge", fake)
    monkeypatch.setattr(synthesize, "synthesize", fake)
    files = ["--train", "a", "--holdout", "b", "--synthetic", "c"] if command == "evaluate" else ["a.csv"]
    with pytest.raises(ParameterError, match="enough"):
        app([command, *files, "--time", "t", "--event", "e", "-o", str(tmp_path / "out")], standalone_mode=False)
    options = told.get("options")
    given = (told["time"], told["event"]) if options is None else (options.time, options.event)
    assert given == ("t", "e")
