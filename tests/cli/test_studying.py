from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def test_an_augmentation_study_by_command(table: Path, run: Any, tmp_path: Path) -> None:
    out = tmp_path / "study"
    asked = ("study", "augmentation", table, "--target", "cens", "--synthesizers", "independent", "--learner", "logistic")
    more = ("--skip", "smote", "--skip", "alone", "--splits", 2, "--groups", "menostat", "-o", out)
    ended = run(*asked, *more)
    assert ended.code == 0, ended.err
    assert "learned from" in ended.out
    assert "comparisons with real rows alone" in ended.out
    assert "no visible difference" not in ended.out  # the page has those; the terminal has what differs
    assert "The page has the sentence of" in ended.out
    assert (out / "study.html").is_file()
    assert run(*asked, *more).code == 2  # it is there
    again = run(*asked, *more, "--force", "--json")
    assert again.code == 0, again.err
    said = json.loads(again.out)
    assert said["headline"] in ended.out
    assert said["notices"] == []
    assert {line["arm"] for line in said["results"]} == {"real", "weighted", "oversampled", "with-independent"}


def test_a_learning_curve_by_command(table: Path, run: Any, tmp_path: Path) -> None:
    out = tmp_path / "curve"
    asked = ("study", "learning-curve", table, "--target", "cens", "--synthesizers", "independent", "--repeats", 1, "-o", out)
    ended = run(*asked, "--sizes", "30,60")
    assert ended.code == 0, ended.err
    assert "independent c2st" in ended.out
    assert (out / "study.json").is_file()
    assert run(*asked, "--sizes", "few").code == 2


def test_no_command_replaces_what_it_reads(table: Path, run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"made_by": "manikin 0.1"}')
    data = folder / "women.csv"
    data.write_bytes(table.read_bytes())
    for arguments in (
        ("study", "augmentation", data, "--target", "cens", "-o", folder),
        ("study", "learning-curve", data, "--target", "cens", "-o", folder),
        ("synthesize", data, "-o", folder),
        ("fit", data, "-o", folder),
        ("evaluate", "--train", table, "--holdout", table, "--synthetic", data, "-o", folder),
        ("inspect", data, "-o", data),
        ("augment", data, "--target", "cens", "-o", data),
    ):
        ended = run(*arguments, "--force")
        assert (ended.code, "never replaced" in ended.err) == (2, True), arguments
    assert data.read_bytes() == table.read_bytes()


def test_wrong_command_lines_say_the_way_out(table: Path, run: Any, tmp_path: Path) -> None:
    ended = run("study", "augmentation", table, "--target", "tgrade", "-o", tmp_path / "x")
    assert (ended.code, "--positive" in ended.err) == (2, True)
    assert not (tmp_path / "x").exists()


def test_a_tradeoff_by_command(table: Path, run: Any, tmp_path: Path) -> None:
    out = tmp_path / "tradeoff"
    asked = ("study", "tradeoff", table, "--target", "cens", "--synthesizers", "independent", "--seeds", 1, "-o", out)
    ended = run(*asked, "--epsilons", "inf")
    assert ended.code == 0, ended.err
    assert "Sharing openly: Nothing that was tried reaches it under a budget." in ended.out
    assert "no ledger covers the study" in ended.out
    assert sorted(path.name for path in out.iterdir()) == ["study.csv", "study.html", "study.json", "study.svg"]
    assert run(*asked).code == 2  # it is there
    assert run(*asked, "--force", "--epsilons", "few").code == 2


def test_a_tradeoff_refuses_by_name_who_cannot_keep_a_budget(table: Path, run: Any, tmp_path: Path) -> None:
    ended = run("study", "tradeoff", table, "--synthesizers", "forest", "--epsilons", "1,inf", "-o", tmp_path / "x")
    assert (ended.code, "'forest' cannot keep a privacy budget" in ended.err, "forest@inf" in ended.err) == (2, True, True)
    ended = run("study", "tradeoff", table, "--synthesizers", "forest", "--epsilons", "0", "-o", tmp_path / "x")
    assert (ended.code, "epsilons" in ended.err) == (2, True)
    assert not (tmp_path / "x").exists()
