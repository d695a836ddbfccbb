"""Several synthetic tables and regressions of one's own on the command line; few metrics are run, for speed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from manikin.evaluation import METRICS
from manikin.evaluation.attacks import ATTACKS

Run = Callable[..., Any]
ASKED = "Surv(time, cens) ~ age * horTh"


@pytest.fixture(autouse=True)
def _few_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: METRICS[name] for name in ("column_shapes", "copies", "inference")}
    monkeypatch.setattr(METRICS, "_all", few)
    monkeypatch.setattr(ATTACKS, "_all", {})


@pytest.fixture
def files(table: Path, tmp_path: Path) -> list[Path]:
    rows = pd.read_csv(table)
    paths = [tmp_path / f"{name}.csv" for name in ("train", "holdout", "one", "two")]
    for i, (path, part) in enumerate(zip(paths, (rows[:90], rows[90:], rows[:70], rows[40:]), strict=True)):
        part.sample(frac=1, random_state=i).to_csv(path, index=False)
    return paths


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_several_tables_are_judged_hashed_and_counted(run: Run, files: list[Path], tmp_path: Path) -> None:
    train, holdout, one, two = files
    ended = run(
        *("evaluate", "--train", train, "--holdout", holdout, "--synthetic", one, "--synthetic", two, "--partial"),
        *("--analysis", ASKED, "--analysis", "log(age) ~ tsize", "-o", tmp_path / "evidence", "--json"),
    )
    assert ended.code == 0, ended.err
    manifest = json.loads((tmp_path / "evidence" / "manifest.json").read_text())
    assert [(entry["name"], entry["sha256"]) for entry in manifest["inputs"]] == [
        ("train: train.csv", sha(train)),
        ("holdout: holdout.csv", sha(holdout)),
        ("synthetic: one.csv", sha(one)),
        ("synthetic-2: two.csv", sha(two)),
    ]
    assert manifest["rows"] == {"train": 90, "holdout": 60, "synthetic": 70, "synthetic-2": 110}
    assert manifest["options"]["analyses"] == [ASKED, "log(age) ~ tsize"]
    assert manifest["options"]["partial"] is True
    [result] = [m for m in json.loads((tmp_path / "evidence" / "results.json").read_text())["metrics"] if m["name"] == "inference"]
    assert (result["details"]["rule"], result["details"]["n_releases"]) == ("partially", 2)
    assert [a["model"] for a in result["details"]["analyses"]] == ["cox", "linear"]
    assert any("all 2 synthetic tables together" in notice for notice in json.loads(ended.out)["notices"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--analysis", "cens ~ __import__('os').getcwd()"), "has no meaning there"),
        (("--analysis", "cens ~ weight"), "the table has no column 'weight'"),
        (("--again",), "is named twice"),
    ],
)
def test_what_cannot_be_judged_is_refused(run: Run, files: list[Path], tmp_path: Path, more: tuple[str, ...], message: str) -> None:
    train, holdout, one, _ = files
    more = ("--synthetic", str(one)) if more == ("--again",) else more
    ended = run("evaluate", "--train", train, "--holdout", holdout, "--synthetic", one, *more, "-o", tmp_path / "evidence")
    assert ended.code == 2
    assert message in ended.err
    assert not (tmp_path / "evidence").exists()


def test_sets_are_drawn_independently_and_replayed(run: Run, table: Path, run_folder: Path, tmp_path: Path) -> None:
    first = ("synthesize", table, "--synthesizer", "forest", "--target", "cens", "--seed", 1, "--sets", 3, "--analysis", ASKED)
    ended = run(*first, "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "120 synthetic rows, 3 times, by forest" in ended.out
    names = ["synthetic.csv", "synthetic-2.csv", "synthetic-3.csv"]
    hashes = [sha(tmp_path / "run" / name) for name in names]
    assert hashes[0] == sha(run_folder / "synthetic.csv")
    assert len(set(hashes)) == 3
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert set(names) <= {entry["name"] for entry in manifest["outputs"]}
    assert manifest["rows"]["synthetic-3"] == 120
    assert (manifest["options"]["sets"], manifest["options"]["analyses"]) == (3, [ASKED])
    again = run("synthesize", table, "--replay", tmp_path / "run" / "manifest.json", "-o", tmp_path / "again", "--json")
    assert again.code == 0, again.err
    assert [sha(tmp_path / "again" / name) for name in names] == hashes
    assert [Path(json.loads(again.out)["files"][part]).name for part in ("synthetic", "synthetic-2", "synthetic-3")] == names
    refused = run("synthesize", table, "--replay", tmp_path / "run" / "manifest.json", "--sets", 2, "-o", tmp_path / "other")
    assert (refused.code, "Leave out sets" in refused.err) == (2, True)


@pytest.mark.parametrize(("option", "value", "message"), [("--sets", 0, "'sets' parameter"), ("--analysis", "cens", "cannot be used")])
def test_wrong_wishes_of_synthesize(run: Run, table: Path, tmp_path: Path, option: str, value: object, message: str) -> None:
    ended = run("synthesize", table, option, value, "-o", tmp_path / "run")
    assert ended.code == 2
    assert message in ended.err
    assert list(tmp_path.iterdir()) == []
