"""`manikin augment` as people and machines meet it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

Run = Callable[..., Any]


def test_help_says_of_each_mode_what_it_protects(run: Run) -> None:
    ended = run("augment", "--help")
    assert ended.code == 0
    words = " ".join(ended.out.split())
    assert "--mode hybrid: the real rows unchanged" in words
    assert "--mode full: only synthetic rows" in words
    assert "--mode partial: the real records" in words
    assert words.count("not for release") == 2
    assert "    manikin augment " in ended.out
    assert "-o, --out" in ended.out
    assert "Split before you augment" in words
    assert "take it out before a model learns" in words


def test_the_closing_lines_say_what_is_in_the_table_and_what_it_protects(run: Run, table: Path, tmp_path: Path) -> None:
    ended = run("augment", table, "--target", "cens", "--synthesizer", "forest", "-o", tmp_path / "out.csv")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("hybrid: 150 real rows and ")
    assert "cens  given  real  synthetic  share\n" in ended.out
    assert ended.out.count("50.0%") == 2
    assert "not for release" in ended.out
    assert "the train part of an experiment only" in ended.out
    assert "out.csv.augmented.json" in ended.out
    made = pd.read_csv(tmp_path / "out.csv")
    assert len(set(made["cens"].value_counts())) == 1
    assert (made["row_origin"] == "real").sum() == 150


def test_json_holds_mode_counts_statement_and_generator(run: Run, table: Path, tmp_path: Path) -> None:
    ended = run(
        *("augment", table, "--target", "cens", "--to", "0=0.25", "--to", "1=0.75", "--mode", "full", "--rows", "40"),
        *("--synthesizer", "independent", "--mark", "kind", "--format", "parquet", "-o", tmp_path / "out", "--json"),
    )
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert said["mode"] == "full"
    assert {cell["cell"]["cens"]: cell["synthetic"] for cell in said["cells"]} == {"0": 10, "1": 30}
    assert "manikin evaluate" in said["statement"]
    assert said["synthesizer"]["name"] == "independent"
    assert not said["holds_real_patients"]
    assert said["out"].endswith("out.parquet")
    assert set(pd.read_parquet(said["out"])["kind"]) == {"synthetic"}
    record = json.loads(Path(said["record"]).read_text())
    assert record["cells"] == said["cells"]
    assert record["wishes"]["to"] == ["0=0.25", "1=0.75"]


def test_partial_names_what_was_made_anew(run: Run, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    ended = run("augment", table, "--mode", "partial", "--replace", "tsize", "--synthesizer", "independent", "-o", out)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("partial: 150 real records with tsize made anew by independent.\n\nMade anew: tsize. It hides")
    real, made = (pd.read_csv(path, dtype=str).drop(columns="tsize") for path in (table, out))
    pd.testing.assert_frame_equal(made.drop(columns="row_origin"), real)


def test_a_table_that_is_balanced_already_is_told_so(run: Run, table: Path, tmp_path: Path) -> None:
    path = tmp_path / "even.csv"
    pd.read_csv(table).groupby("horTh").head(40).to_csv(path, index=False)
    ended = run("augment", path, "--target", "horTh", "-o", tmp_path / "out.csv")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("hybrid: 80 real rows and 0 synthetic rows.\n")
    assert "hold already: nothing was made" in ended.err


def test_ragged_rows_and_wrong_wishes_are_2_and_write_nothing(run: Run, table: Path, tmp_path: Path) -> None:
    ragged = tmp_path / "ragged.csv"
    lines = table.read_text().splitlines()
    ragged.write_text("\n".join([*lines[:40], lines[40] + ",7,8", *lines[41:]]) + "\n")
    out = tmp_path / "out.csv"
    for arguments, words in (
        ((ragged, "--target", "cens"), "row 41"),
        ((table, "--target", "sens"), "Did you mean 'cens'"),
        ((table, "--target", "cens", "--to", "0=0.5,1=0.4"), "add up to 0.9"),
        ((table, "--target", "cens", "--time-budget", "soon"), "A time budget is written like"),
        ((table, "--target", "cens", "--max-steps", "0"), "above 0"),
        ((table.with_name("none.csv"), "--target", "cens"), "none.csv"),
    ):
        ended = run("augment", *arguments, "--synthesizer", "independent", "-o", out)
        assert ended.code == 2, ended.err
        assert words in ended.err
        assert "Traceback" not in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["ragged.csv"]


def test_nothing_is_replaced_without_force(run: Run, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    arguments = ("augment", table, "--target", "cens", "--synthesizer", "independent", "-o", out)
    (tmp_path / "out.csv.augmented.json").write_text("{}")
    assert run(*arguments).code == 2
    assert not out.exists()
    assert run(*arguments, "--force").code == 0
    before = out.read_bytes()
    refused = run(*arguments)
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert run(*arguments, "--force").code == 0
    assert out.read_bytes() == before


def test_an_interruption_is_130_and_leaves_no_table(
    run: Run, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from manikin.synthesizers.tables.independent import Independent

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Independent, "sample_batches", stop)
    out = tmp_path / "out.csv"
    ended = run("augment", table, "--target", "cens", "--synthesizer", "independent", "-o", out)
    assert ended.code == 130
    assert "nothing was written" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv.partial"]
