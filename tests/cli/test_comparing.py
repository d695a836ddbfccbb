"""`manikin compare`: run folders of one table side by side, refused where they are not of one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def runs(table: Path, run: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    for name, seed in (("independent", 0), ("k_anonymity", 0), ("other-split", 1)):
        synthesizer = "independent" if name == "other-split" else name
        ended = run("synthesize", table, "--synthesizer", synthesizer, "--seed", seed, "-o", root / name)
        assert ended.code == 0, ended.err
    return root


def test_two_releases_side_by_side(runs: Path, run: Any, tmp_path: Path) -> None:
    out = tmp_path / "comparison"
    ended = run("compare", runs / "independent", runs / "k_anonymity", "-o", out)
    assert ended.code == 0, ended.err
    assert "on the front" in ended.out
    page = (out / "comparison.html").read_text()
    assert "<svg" in page
    assert "k_anonymity" in page
    document = json.loads((out / "comparison.json").read_text())
    assert [one["is_yardstick"] for one in document["candidates"]] == [True, True]
    assert document["notices"] == []
    assert {line["name"] for line in document["figures"]} >= {"c2st", "membership"}
    assert run("compare", runs / "independent", runs / "k_anonymity", "-o", out).code == 2, "it is there"
    again = run("compare", runs / "independent", runs / "k_anonymity", "-o", out, "--force", "--json")
    assert json.loads(again.out)["trade_offs"] == document["trade_offs"]


def test_the_axes_can_be_named(runs: Path, run: Any) -> None:
    ended = run("compare", runs / "independent", runs / "k_anonymity", "--fidelity", "column_shapes", "--json")
    assert [trade["fidelity"] for trade in json.loads(ended.out)["trade_offs"]] == ["column_shapes"]
    wrong = run("compare", runs / "independent", runs / "k_anonymity", "--privacy", "nonsense")
    assert (wrong.code, "nonsense" in wrong.err) == (2, True)


def test_releases_of_other_rows_are_refused(runs: Path, run: Any) -> None:
    ended = run("compare", runs / "independent", runs / "other-split")
    assert (ended.code, "same real rows" in ended.err) == (2, True)


@pytest.mark.parametrize("given", [("independent",), ("independent", "independent"), ("independent", "nowhere")])
def test_what_cannot_be_compared_is_told(runs: Path, run: Any, given: tuple[str, ...]) -> None:
    ended = run("compare", *(runs / name for name in given))
    assert ended.code == 2
    assert "Traceback" not in ended.err
