"""Commands with a folder of linked tables: what they say, and that those which take one flat table refuse it in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from linked_ward import few_figures, write_ward

Run = Callable[..., Any]  # the fixture of this folder


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with few_figures():
        yield


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ward(tmp_path_factory.mktemp("linked") / "ward")


@pytest.fixture(scope="module")
def made(ward: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    ended = run("synthesize", ward, "--synthesizer", "resample_patients", "--patients", 40, "-o", out)
    assert ended.code == 0, ended.err
    assert "40 synthetic patients with" in ended.out
    assert "rows in 3 tables by resample_patients" in ended.out
    assert "Figures are of whole patients" in ended.out
    assert ", whole patients" not in ended.out
    return out


def test_json_counts_patients_and_tables(ward: Path, run: Run, tmp_path: Path) -> None:
    ended = run("fit", ward, "--synthesizer", "resample_patients", "-o", tmp_path / "model", "--json")
    assert json.loads(ended.out)["patients"] == 120
    ended = run("sample", tmp_path / "model", "-n", 5, "-o", tmp_path / "five", "--json")
    told = json.loads(ended.out)
    assert told["patients"] == 5
    assert set(told["tables"]) == {"patients", "stays", "labs"}


def test_a_folder_is_judged(ward: Path, made: Path, run: Run, tmp_path: Path) -> None:
    for part in ("train", "holdout"):
        ended = run("sample", made, "-n", 30, "--seed", len(part), "-o", tmp_path / part)
        assert ended.code == 0, ended.err
    ended = run(
        *("evaluate", "--train", tmp_path / "train", "--holdout", tmp_path / "holdout", "--synthetic", made / "synthetic"),
        *("--target", "patients.died", "-o", tmp_path / "evidence"),
    )
    assert ended.code == 0, ended.err
    assert sorted(path.name for path in (tmp_path / "evidence" / "synthetic").iterdir()) == sorted(p.name for p in ward.iterdir())
    ended = run(
        *("evaluate", "--train", ward, "--holdout", ward, "--synthetic", made / "synthetic", "--analysis", "a ~ b"),
        *("-o", tmp_path / "no"),
    )
    assert ended.code == 2
    assert "--analysis does not go with linked tables" in ended.err


@pytest.mark.parametrize(
    "command",
    [
        ("augment", "{ward}", "--target", "died", "-o", "{out}.csv"),
        ("complete", "{model}", "{ward}", "--impute", "-o", "{out}.csv"),
        ("study", "augmentation", "{ward}", "--target", "died", "--skip", "smote", "--synthesizers", "forest", "-o", "{out}"),
        ("study", "augmentation", "{ward}", "--target", "labs.code", "--skip", "smote", "-o", "{out}"),
        ("study", "learning-curve", "{ward}", "--target", "died", "--synthesizers", "forest", "-o", "{out}"),
        ("study", "tradeoff", "{ward}", "--target", "died", "--synthesizers", "forest@inf", "-o", "{out}"),
        ("synthesize", "{ward}", "--synthesizer", "ctgan", "-o", "{out}"),
        ("fit", "{ward}", "--synthesizer", "forest", "-o", "{out}"),
        ("fit", "{ward}", "--synthesizer", "aim", "--epsilon", "1", "-o", "{out}"),
        ("synthesize", "{nowhere}", "-o", "{out}"),
        ("synthesize", "s3://a:secret@b/c", "-o", "{out}"),
        ("explain", "{model}", "-o", "{out}"),
        ("evaluate", "--train", "{ward}", "--holdout", "{ward}", "--synthetic", "{ward}/patients.csv", "-o", "{out}"),
        ("evaluate", "--train", "{ward}/patients.csv", "--holdout", "{ward}", "--synthetic", "{ward}", "-o", "{out}"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_what_does_not_go_is_one_sentence(ward: Path, made: Path, run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    places = {"ward": ward, "model": made, "out": tmp_path / "out", "nowhere": tmp_path / "nowhere"}
    ended = run(*(part.format(**places) for part in command))
    assert ended.code == 2, ended.err
    said = [line for line in ended.err.splitlines() if line.startswith("manikin: ")]
    assert len(said) == 1
    words = {"explain": "learned linked patients", "evaluate": "part holds linked tables and the"}
    assert words.get(command[0], "") in said[0]
    assert "unexpectedly" not in said[0]
    assert "secret" not in said[0]
    assert not list(tmp_path.iterdir())
