"""Every way to go wrong: the exit code, a sentence or two, no traceback, no cell of a table, nothing written."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from manikin.data.errors import FitError

Run = Callable[..., Any]
SECRET = "Zzyzx-7731"  # stands for a patient's value: it is in the tables below and must be in no message
HEADER = "age,sex,stage,days"
ROWS = [f"{40 + i % 41},{'FM'[i % 2]},{['I', 'II', 'III'][i % 3]},{100 + 7 * i % 997}" for i in range(60)]


def text(*lines: str) -> bytes:
    return ("\n".join(lines) + "\n").encode()


GOOD = text(HEADER, *ROWS)
ENOUGH_FOR_FIT = "nineteen to learn from"  # fit sees all rows, so there they suffice
BAD_TABLES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "blank lines": (b"\n\n\n", "empty|no rows|header"),
    "headers only": (text(HEADER), "row"),
    "ragged": (text(HEADER, *ROWS, f"1,{SECRET},III,4,5,6"), "row 62"),
    "double names": (text("age,age,stage,days", *ROWS), "age"),
    "binary": (bytes(range(256)) * 20, "binary|text|encoding|control"),
    "workbook": (b"PK\x03\x04" + bytes(400), "Excel"),
    "image": (b"\x89PNG\r\n\x1a\n" + bytes(400), "PNG"),
    "damaged gzip": (gzip.compress(GOOD)[:-30], "gzip|damaged"),
    "one row": (text(HEADER, ROWS[0]), "patient"),
    "two rows": (text(HEADER, *ROWS[:2]), "patient"),
    ENOUGH_FOR_FIT: (text(HEADER, *ROWS[:24]), "fewer than 20"),
}


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a good table."""
    (tmp_path / "good.csv").write_bytes(GOOD)
    return tmp_path


@pytest.fixture
def refused(run: Run, place: Path) -> Callable[..., str]:
    """Runs a command that must be refused with exit code 2, and gives back its message."""

    def check(*arguments: object, code: int = 2) -> str:
        before = files(place)
        ended = run(*arguments)
        assert ended.code == code, ended.err
        lines = [line for line in ended.err.splitlines() if line.startswith("manikin: ")]
        assert len(lines) == 1, ended.err
        assert ended.err.splitlines()[-1] == lines[0]
        assert "Traceback" not in ended.err
        assert SECRET not in ended.err + ended.out
        assert files(place) == before
        assert not list(place.rglob("*.partial"))
        message = lines[0].removeprefix("manikin: ")
        assert len(message) < 700
        return message

    return check


@pytest.mark.parametrize(
    ("command", "what"),
    [(command, what) for command in ("synthesize", "fit") for what in BAD_TABLES if (command, what) != ("fit", ENOUGH_FOR_FIT)],
)
def test_bad_tables_are_refused(refused: Callable[..., str], place: Path, command: str, what: str) -> None:
    content, expected = BAD_TABLES[what]
    (place / "bad.csv").write_bytes(content)
    message = refused(command, place / "bad.csv", "--synthesizer", "independent", "-o", place / "run")
    assert any(word in message for word in expected.split("|")), message


def test_a_table_that_is_not_there_or_a_folder(refused: Callable[..., str], place: Path) -> None:
    assert "none.csv" in refused("synthesize", place / "none.csv", "-o", place / "run")
    assert "none.csv" in refused("inspect", place / "none.csv", "-o", place / "schema.toml")
    (place / "folder").mkdir()
    assert "folder" in refused("synthesize", place / "folder", "-o", place / "run")


def test_a_cell_that_does_not_fit_the_schema_is_named_by_its_place(refused: Callable[..., str], run: Run, place: Path) -> None:
    assert run("inspect", place / "good.csv", "-o", place / "schema.toml").code == 0
    (place / "bad.csv").write_bytes(text(HEADER, *ROWS, f"{SECRET},F,I,5"))
    message = refused("synthesize", place / "bad.csv", "--schema", place / "schema.toml", "-o", place / "run")
    assert "bad.csv" in message
    assert "'age'" in message
    assert "row 62" in message


@pytest.mark.parametrize("content", ["", "not toml [", "format = 3", "[columns.agee]\nkind = 'count'\n"])
def test_bad_schemas_are_refused(refused: Callable[..., str], place: Path, content: str) -> None:
    (place / "bad.toml").write_text(content)
    refused("synthesize", place / "good.csv", "--schema", place / "bad.toml", "-o", place / "run")


def test_a_schema_that_names_an_unknown_column(refused: Callable[..., str], run: Run, place: Path) -> None:
    assert run("inspect", place / "good.csv", "-o", place / "schema.toml").code == 0
    changed = (place / "schema.toml").read_text().replace("[columns.stage]", "[columns.stagee]")
    (place / "schema.toml").write_text(changed)
    assert "'stagee'" in refused("synthesize", place / "good.csv", "--schema", place / "schema.toml", "-o", place / "run")
    assert "none.toml" in refused("fit", place / "good.csv", "--schema", place / "none.toml", "-o", place / "model")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--synthesizer", "forrest"], "Did you mean 'forest'?"),
        (["--target", "stag"], "Did you mean 'stage'?"),
        (["--public", "stag"], "--public names 'stag', which is no column of the table. Did you mean 'stage'?"),
        (["--public", "stage", "--public", "age"], "--public names 'age', which is"),
        (["--rows", "0"], "'rows'"),
        (["--rows", "many"], "--rows"),
        (["--seed", "-1"], "'seed'"),
        (["--max-steps", "0"], "'max_steps'"),
        (["--format", "xlsx"], "csv, parquet"),
        (["--time-budget", "soon"], "90s, 10m or 1h30m"),
        (["--epsilon", "1", "--public", "sex"], "--public takes the list of values from the data"),
        (["--budget", "ward.json"], "--budget means nothing without --epsilon"),
        (["--rows-per-patient", "3"], "--rows-per-patient means nothing without --epsilon"),
        (["--epsilon", "1", "--budget", "none.json"], "cannot be read as a manikin-budget"),
        (["--epsilon", "0"], "above 0"),
        (["--epsilon", "nan"], "above 0"),
        (["--epsilon", "1", "--delta", "2"], "between 0 and 1"),
        (["--delta", "1e-6"], "--epsilon"),
        (["--epsilon", "1"], "A privacy budget needs a schema"),
        (["--replay", "none.json"], "There is no manifest"),
        (["--replay", "none.json", "--rows", "5"], "Leave out rows"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_wrong_options_of_synthesize(refused: Callable[..., str], place: Path, options: list[str], expected: str) -> None:
    assert expected in refused("synthesize", place / "good.csv", *options, "-o", place / "run")


def test_missing_and_unknown_words_of_the_command_line(refused: Callable[..., str], place: Path) -> None:
    assert "'DATA'" in refused("synthesize")
    assert "--out" in refused("fit", place / "good.csv")
    assert "See manikin --help" in refused("synthesise")
    assert "--train" in refused("evaluate", "-o", place / "run")
    assert "Did you mean 'synthesizers'?" in refused("list", "synthesisers")


def test_nothing_is_overwritten_unasked(refused: Callable[..., str], run_folder: Path, place: Path) -> None:
    shutil.copytree(run_folder, place / "run")
    (place / "thesis").mkdir()
    (place / "thesis" / "chapter.tex").write_text("mine")
    (place / "rows.csv").write_text("mine")
    assert "--force" in refused("synthesize", place / "good.csv", "-o", place / "run")
    assert "--force" in refused("fit", place / "good.csv", "-o", place / "run")
    assert "--force" in refused("demo", "-o", place / "run")
    assert "not written by Manikin" in refused("synthesize", place / "good.csv", "-o", place / "thesis", "--force")
    assert "--force" in refused("sample", place / "run", "-n", 5, "-o", place / "rows.csv")
    assert "--force" in refused("complete", place / "run", place / "good.csv", "--impute", "-o", place / "rows.csv")
    assert "--force" in refused("inspect", place / "good.csv", "-o", place / "rows.csv")
    parts = ("--train", place / "good.csv", "--holdout", place / "good.csv", "--synthetic", place / "good.csv")
    assert "--force" in refused("evaluate", *parts, "-o", place / "run")


def test_force_replaces_what_manikin_wrote(run: Run, run_folder: Path, place: Path) -> None:
    target = place / "rows.csv"
    target.write_text("old")
    assert run("sample", run_folder, "-n", 5, "-o", target, "--force").code == 0
    assert len(pd.read_csv(target)) == 5


def test_replay_refuses_other_data_and_foreign_manifests(refused: Callable[..., str], run_folder: Path, place: Path) -> None:
    assert "SHA-256 differs" in refused(
        "synthesize", place / "good.csv", "--replay", run_folder / "manifest.json", "-o", place / "run"
    )
    (place / "manifest.json").write_text(json.dumps({"secret": SECRET}))
    assert "is not a manifest" in refused(
        "synthesize", place / "good.csv", "--replay", place / "manifest.json", "-o", place / "run"
    )


def test_models_that_are_none_or_were_changed(refused: Callable[..., str], run_folder: Path, place: Path) -> None:
    sample = ("-n", 5, "-o", place / "rows.csv")
    assert "none" in refused("sample", place / "none", *sample)
    (place / "empty").mkdir()
    assert "empty" in refused("sample", place / "empty", *sample)
    shutil.copytree(run_folder / "model", place / "model")
    weights = place / "model" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    assert "changed" in refused("sample", place / "model", *sample)
    config = place / "model" / "config.json"
    config.write_text(config.read_text().replace("forest", "resample"))
    refused("sample", place / "model", *sample)


def test_wrong_options_of_sample_and_complete(refused: Callable[..., str], run_folder: Path, place: Path, table: Path) -> None:
    out = ("-o", place / "rows.csv")
    assert "'n'" in refused("sample", run_folder, "-n", 0, *out)
    assert "-n" in refused("sample", run_folder, "-n", "ten", *out)
    assert "COL=VALUE" in refused("sample", run_folder, "-n", 5, "--where", "menostat", *out)
    assert "Did you mean 'menostat'?" in refused("sample", run_folder, "-n", 5, "--where", "menosta=Pre", *out)
    assert "Post" in refused("sample", run_folder, "-n", 5, "--where", "menostat=Peri", *out)
    assert "'age'" in refused("sample", run_folder, "-n", 5, "--where", "age=old", *out)
    assert "format" in refused("sample", run_folder, "-n", 5, "-o", place / "rows.xlsx")
    assert "not both" in refused("complete", run_folder, table, *out)
    assert "not both" in refused("complete", run_folder, table, "--keep", "age", "--impute", *out)
    assert "Did you mean 'age'?" in refused("complete", run_folder, table, "--keep", "agee", *out)
    assert "share" in refused("complete", run_folder, _other_table(place), "--impute", *out)


def _other_table(place: Path) -> Path:
    path = place / "other.csv"
    path.write_bytes(text("x,y", *[f"{i},{SECRET}" for i in range(30)]))
    return path


def test_wrong_options_of_evaluate(refused: Callable[..., str], place: Path) -> None:
    good, out = place / "good.csv", ("-o", place / "evidence")
    parts = ("--train", good, "--holdout", good)
    assert "none.csv" in refused("evaluate", *parts, "--synthetic", place / "none.csv", *out)
    assert "Did you mean 'stage'?" in refused("evaluate", *parts, "--synthetic", good, "--target", "stagee", *out)
    assert "share" in refused("evaluate", *parts, "--synthetic", _other_table(place), *out)


def test_a_place_that_cannot_be_written_is_refused_before_work(refused: Callable[..., str], place: Path) -> None:
    assert "good.csv" in refused("synthesize", place / "good.csv", "-o", place / "good.csv" / "run")
    refused("synthesize", place / "good.csv", "-o", place / "good.csv", "--force")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError(f"could not convert {SECRET}"), "(ValueError)"),
        (KeyError(SECRET), "(KeyError)"),
        (MemoryError(), "not enough memory"),
        (OSError(28, "No space left on device", "somewhere"), "No space left on device (somewhere)"),
        (FitError("The generator could not learn. Bring more rows."), "Bring more rows"),
    ],
)
def test_what_breaks_inside_is_one_sentence(
    refused: Callable[..., str], place: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("manikin.workflow.decide.fit", broken)
    message = refused("fit", place / "good.csv", "--synthesizer", "independent", "-o", place / "model", code=1)
    assert expected in message


def test_an_interruption_says_how_to_go_on(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("manikin.workflow.decide.fit", interrupted)
    ended = run("fit", place / "good.csv", "--synthesizer", "independent", "-o", place / "model")
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == "manikin: Interrupted: nothing was written; run the same command again to resume."
    assert not (place / "model").exists()
    assert run("inspect", place / "good.csv", "-o", place / "schema.toml").code == 0
    private = run(
        *("fit", place / "good.csv", "--schema", place / "schema.toml", "--synthesizer", "independent"),
        *("--epsilon=1", "-o", place / "private"),
    )
    assert "what was spent of the privacy budget stays spent" in private.err.splitlines()[-1]
    monkeypatch.undo()
    again = run("fit", place / "good.csv", "--synthesizer", "independent", "-o", place / "model")
    assert again.code == 0
    assert "going on from there" in again.err
    assert sorted(path.name for path in place.iterdir()) == ["good.csv", "model", "private.partial", "schema.toml"]


def test_debug_shows_where_it_broke(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("here")

    monkeypatch.setattr("manikin.workflow.decide.fit", broken)
    monkeypatch.setenv("MANIKIN_DEBUG", "1")
    ended = run("fit", place / "good.csv", "--synthesizer", "independent", "-o", place / "model")
    assert "Traceback" in ended.err
    assert "ValueError: here" in ended.err


def test_errors_are_json_too_when_asked(run: Run, place: Path) -> None:
    ended = run("inspect", place / "none.csv", "--json")
    document = json.loads(ended.out)
    assert ended.code == document["exit_code"] == 2
    assert document["error"] in ended.err


def test_a_wrong_thread_cap_is_refused(run: Run, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANIKIN_THREADS", "many")
    ended = run("inspect", place / "good.csv")
    assert ended.code == 2
    assert "MANIKIN_THREADS" in ended.err


def test_few_patients_are_warned_of_loudly(run: Run, place: Path) -> None:
    ended = run("fit", place / "good.csv", "--synthesizer", "independent", "-o", place / "model")
    assert ended.code == 0
    assert "INSUFFICIENT DATA: 60 patients for 4 columns" in ended.err
