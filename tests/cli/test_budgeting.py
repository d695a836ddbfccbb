"""Privacy budgets on the command line, with the generator that `auto` means there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from private_fake import patients


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ward") / "patients.csv"
    patients(6000).to_csv(path, index=False)
    return path


def test_auto_learns_under_a_budget_file_and_the_audit_agrees(table: Path, tmp_path: Path, run: Any) -> None:
    ward, model, schema = tmp_path / "ward.json", tmp_path / "model", tmp_path / "schema.toml"
    assert run("inspect", table, "-o", schema).code == 0
    assert run("budget", "new", ward, "--epsilon", 3, "--delta", 1e-6, "--data", "the ward").code == 0
    fitted = run("fit", table, "--schema", schema, "--epsilon", 2, "--budget", ward, "-o", model, "--json")
    assert fitted.code == 0, fitted.err
    document = json.loads(fitted.out)
    assert (document["synthesizer"]["name"], document["synthesizer"]["asked"]) == ("aim", "auto")
    assert "without a look at the data" in document["synthesizer"]["reasons"][0]
    assert "rows" not in document
    assert 5000 < document["patients_bought"] < 7000
    audited = run("audit", model)
    assert audited.code == 0, audited.out
    for words in ("model/ledger.json: epsilon 2, delta 1e-06, for each patient", "aim", "TableCodec", "Taken as public:", "[pass]"):
        assert words in audited.out
    shown = run("budget", "show", ward)
    assert "(the ward): epsilon 3 at delta 1e-06" in shown.out
    assert "one more release of epsilon up to about" in shown.out
    refused = run("fit", table, "--schema", schema, "--epsilon", 3, "--budget", ward, "-o", tmp_path / "other")
    assert refused.code == 1
    assert refused.err.splitlines()[-1].startswith("manikin: The budget file ward.json allows epsilon 3 in all")
    assert not (tmp_path / "other").exists()
    drawn = run("sample", model, "-n", 50, "-o", tmp_path / "more.csv")
    assert drawn.code == 0, drawn.err


def test_what_is_no_budget_is_refused_in_words(tmp_path: Path, run: Any) -> None:
    (tmp_path / "x.json").write_text('{"format": "manikin-budget"}')
    for arguments in (("budget", "show", tmp_path / "x.json"), ("audit", tmp_path / "x.json"), ("audit", tmp_path)):
        ended = run(*arguments)
        assert ended.code == 2
        assert ended.err.startswith("manikin: ")


def test_the_list_says_who_is_private_and_inspect_what_would_be_bought(table: Path, run: Any) -> None:
    lines = run("list", "synthesizers").out.splitlines()
    assert next(line for line in lines if line.startswith("  aim ")).endswith("private]")
    assert "private" not in next(line for line in lines if line.startswith("  forest "))
    assert "of 4 of 4 columns are bought again" in run("inspect", table).out
