from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_explain_says_the_strongest_and_writes_the_page(run: Run, run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "explained"
    ended = run("explain", run_folder, "--by", "menostat", "-n", 80, "-o", out)
    assert ended.code == 0, ended.err
    assert "menostat" in ended.out
    assert {path.name for path in out.iterdir()} == {"explain.html", "explain.json"}
    again = run("explain", run_folder, "--by", "menostat", "-n", 80, "-o", out, "--force", "--json")
    assert again.code == 0, again.err
    document = json.loads(again.out)
    assert document["conditions"] == ["menostat"]
    assert document["sensitivity"] == json.loads((out / "explain.json").read_text())["sensitivity"]


def test_columns_that_cannot_be_held_are_told_of(run: Run, table: Path, tmp_path: Path) -> None:
    import pandas as pd

    pd.read_csv(table).assign(country="same").to_csv(tmp_path / "t.csv", index=False)
    assert run("fit", tmp_path / "t.csv", "--synthesizer", "independent", "-o", tmp_path / "model").code == 0
    ended = run("explain", tmp_path / "model", "--by", "country", "-n", 40, "-o", tmp_path / "explained", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["notices"] == ["Not held: 'country'. A column is held at two values or more, and dates are not held."]
    assert run("explain", tmp_path / "model", "--by", "age", "--seed", "-1", "-o", tmp_path / "x").code == 2


def test_neither_the_model_nor_the_run_that_holds_it_is_replaced_by_its_explanation(
    run: Run, table: Path, tmp_path: Path
) -> None:
    assert run("fit", table, "--synthesizer", "independent", "-o", tmp_path / "run" / "model").code == 0
    (tmp_path / "run" / "manifest.json").write_text('{"made_by": "manikin 0.1"}')
    before = sorted(path.name for path in (tmp_path / "run").rglob("*"))
    for out in (tmp_path / "run" / "model", tmp_path / "run"):
        ended = run("explain", tmp_path / "run" / "model", "--by", "age", "-n", 40, "-o", out, "--force")
        assert (ended.code, "never replaced" in ended.err) == (2, True)
    assert sorted(path.name for path in (tmp_path / "run").rglob("*")) == before


def test_an_unknown_column_is_an_input_error(run: Run, run_folder: Path, tmp_path: Path) -> None:
    ended = run("explain", run_folder, "--by", "menostatt", "-o", tmp_path / "explained")
    assert ended.code == 2
    assert "Did you mean 'menostat'?" in ended.err
