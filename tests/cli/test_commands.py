"""Every command does what its page says, and speaks JSON when asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

N_ROWS = 150
Run = Callable[..., Any]

COMMANDS = ("demo", "inspect", "synthesize", "fit", "sample", "complete", "evaluate", "list")
FILES = {"synthetic.csv", "schema.toml", "model", "results.json", "report.html", "manifest.json"}


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run: Run, command: str) -> None:
    ended = run(command, "--help")
    assert ended.code == 0
    assert f"    manikin {command} " in ended.out
    assert "--json" in ended.out


def test_out_has_two_spellings_everywhere(run: Run) -> None:
    for command in COMMANDS[:-1]:
        assert "-o, --out" in run(command, "--help").out, command


def test_help_and_version(run: Run) -> None:
    import manikin

    for arguments in ((), ("--help",), ("-h",)):
        ended = run(*arguments)
        assert (ended.code, ended.err) == (0, "")
        assert all(f"  {command} " in ended.out for command in COMMANDS)
    assert run("--version").out == f"manikin {manikin.__version__}\n"


def test_a_run_folder_is_whole(run_folder: Path, table: Path) -> None:
    assert {path.name for path in run_folder.iterdir()} == FILES
    assert list(run_folder.parent.iterdir()) == [run_folder]
    made, real = pd.read_csv(run_folder / "synthetic.csv"), pd.read_csv(table)
    assert list(made) == list(real)
    assert len(made) == round(0.8 * N_ROWS)
    assert set(made["tgrade"]) <= set(real["tgrade"])
    assert made["tsize"].isna().any()
    assert "<html" in (run_folder / "report.html").read_text()


def test_the_manifest_tells_how_the_run_came_about(run_folder: Path, table: Path) -> None:
    manifest = json.loads((run_folder / "manifest.json").read_text())
    assert manifest["data_sha256"] == sha(table)
    assert {entry["name"]: entry["sha256"] for entry in manifest["outputs"]} == {
        path.relative_to(run_folder).as_posix(): sha(path)
        for path in run_folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert manifest["seed"] == 1
    assert manifest["options"]["target"] == "cens"
    assert manifest["synthesizer"]["name"] == "forest"
    assert manifest["synthesizer"]["asked"] == "forest"
    assert manifest["rows"] == {"train": 120, "holdout": 30, "synthetic": 120}
    assert [stage["stage"] for stage in manifest["cost"]["stages"]] == ["read", "fit", "sample", "evaluate", "report"]
    assert manifest["cost"]["cpu_seconds"] > 0
    assert manifest["cost"]["energy_watt_hours"] > 0
    assert "W per busy core" in manifest["cost"]["energy_assumption"]
    assert str(table.parent) not in json.dumps(manifest)


def test_the_same_seed_gives_the_same_bytes_and_replay_too(run: Run, run_folder: Path, table: Path, tmp_path: Path) -> None:
    again = run("synthesize", table, "--replay", run_folder / "manifest.json", "-o", tmp_path / "again", "--json")
    assert again.code == 0, again.err
    assert sha(tmp_path / "again" / "synthetic.csv") == sha(run_folder / "synthetic.csv")
    assert sha(tmp_path / "again" / "model" / "weights.safetensors") == sha(run_folder / "model" / "weights.safetensors")
    document = json.loads(again.out)
    assert document["synthesizer"]["name"] == "forest"
    assert document["rows"]["synthetic"] == 120
    assert set(document["files"]) == {"synthetic", "report", "results", "schema", "model", "manifest"}
    assert all(Path(path).exists() for path in document["files"].values())
    assert document["metrics"]["c2st"]["value"] is not None


def test_sampling_from_the_model_repeats_the_runs_own_rows(run: Run, run_folder: Path, tmp_path: Path) -> None:
    ended = run("sample", run_folder, "-n", 120, "--seed", 1, "-o", tmp_path / "rows.csv")
    assert ended.code == 0, ended.err
    assert sha(tmp_path / "rows.csv") == sha(run_folder / "synthetic.csv")


def test_rows_format_and_schema_of_synthesize(run: Run, table: Path, tmp_path: Path) -> None:
    assert run("inspect", table, "-o", tmp_path / "schema.toml").code == 0
    ended = run(
        *("synthesize", table, "--schema", tmp_path / "schema.toml", "--synthesizer", "independent", "--rows", 70),
        *("--format", "parquet", "--out", tmp_path / "run"),
    )
    assert ended.code == 0, ended.err
    assert "independent is a reference, not a release" in ended.err
    assert pq.read_table(tmp_path / "run" / "synthetic.parquet").num_rows == 70


def test_inspect_says_what_it_found(run: Run, table: Path, tmp_path: Path) -> None:
    ended = run("inspect", table, "-o", tmp_path / "schema.toml")
    assert ended.code == 0
    assert "150 rows, 10 columns, 150 patients" in ended.out
    assert (tmp_path / "schema.toml").is_file()
    document = json.loads(run("inspect", table, "--json").out)
    assert document["rows"] == N_ROWS
    assert {column["name"]: column["kind"] for column in document["columns"]}["tgrade"] in ("ordinal", "categorical")


def test_fit_sees_all_rows_and_sample_streams_to_parquet(run: Run, table: Path, tmp_path: Path) -> None:
    fitted = run("fit", table, "--synthesizer", "forest", "-o", tmp_path / "model", "--json")
    assert fitted.code == 0, fitted.err
    assert json.loads(fitted.out)["rows"] == N_ROWS
    assert {path.name for path in (tmp_path / "model").iterdir()} == {"config.json", "weights.safetensors"}
    ended = run("sample", tmp_path / "model", "-n", 70_000, "-o", tmp_path / "many.parquet", "--json")
    assert json.loads(ended.out) == {"out": str(tmp_path / "many.parquet"), "rows": 70_000}
    file = pq.ParquetFile(tmp_path / "many.parquet")
    assert file.metadata.num_rows == 70_000
    assert file.num_row_groups > 1


def test_conditions_hold_in_every_row(run: Run, run_folder: Path, tmp_path: Path) -> None:
    ended = run("sample", run_folder, "-n", 50, "--where", "menostat=Post", "--where", "age=60", "-o", tmp_path / "a.csv")
    assert ended.code == 0, ended.err
    rows = pd.read_csv(tmp_path / "a.csv")
    assert set(rows["menostat"]) == {"Post"}
    assert set(rows["age"]) == {60}
    assert rows["time"].nunique() > 5


def test_kept_columns_are_kept_to_the_digit(run: Run, run_folder: Path, table: Path, tmp_path: Path) -> None:
    ended = run("complete", run_folder, table, "--keep", "age", "--keep", "tsize", "-o", tmp_path / "a.csv", "--json")
    assert ended.code == 0, ended.err
    assert "partially synthetic" in json.loads(ended.out)["notices"][0]
    made, real = pd.read_csv(tmp_path / "a.csv"), pd.read_csv(table)
    pd.testing.assert_frame_equal(made[["age", "tsize"]], real[["age", "tsize"]])
    assert (made["time"] != real["time"]).mean() > 0.5


def test_imputation_fills_holes_and_touches_nothing_else(run: Run, run_folder: Path, table: Path, tmp_path: Path) -> None:
    ended = run("complete", run_folder, table, "--impute", "-o", tmp_path / "a.csv", "--json")
    assert ended.code == 0, ended.err
    made, real = pd.read_csv(tmp_path / "a.csv"), pd.read_csv(table)
    holes = real["tsize"].isna()
    assert json.loads(ended.out)["filled"] == holes.sum() == 15
    assert made["tsize"].notna().all()
    pd.testing.assert_frame_equal(made[~holes], real[~holes].astype(made.dtypes))
    pd.testing.assert_frame_equal(made.drop(columns="tsize"), real.drop(columns="tsize"))


def test_foreign_tables_are_judged_without_a_model(run: Run, table: Path, tmp_path: Path) -> None:
    rows = pd.read_csv(table)
    rows[:80].to_csv(tmp_path / "train.csv", index=False)
    rows[80:].to_csv(tmp_path / "holdout.csv", index=False)
    made = rows[:60].sample(frac=1, random_state=0).drop(columns="estrec").assign(extra=1)
    made.to_parquet(tmp_path / "made.parquet")
    ended = run(
        *("evaluate", "--train", tmp_path / "train.csv", "--holdout", tmp_path / "holdout.csv", "--target", "cens"),
        *("--synthetic", tmp_path / "made.parquet", "-o", tmp_path / "evidence", "--json"),
    )
    assert ended.code == 0, ended.err
    assert {path.name for path in (tmp_path / "evidence").iterdir()} == FILES - {"model", "synthetic.csv"} | {"synthetic.parquet"}
    document = json.loads(ended.out)
    assert any("'estrec'" in notice for notice in document["notices"])
    assert document["metrics"]["copies"]["value"] > 0.5


def test_lists(run: Run) -> None:
    document = json.loads(run("list", "--json").out)
    assert set(document) == {"synthesizers", "metrics", "attacks", "formats", "simulators"}
    assert {"autoregressive", "forest", "independent", "resample"} <= {entry["name"] for entry in document["synthesizers"]}
    ended = run("list", "synthesizers")
    marks = {line.split()[0]: line.rpartition("[")[2] for line in ended.out.splitlines()[1:] if line.endswith("]")}
    assert (marks["forest"], marks["cgan"]) == ("conditional]", "conditional on some columns]")
    assert marks["independent"] == "conditional, private, never released]"
    assert "tvae" not in marks
    assert "c2st" not in ended.out
    assert "image_copies" in run("list", "measures").out
    assert set(json.loads(run("list", "formats", "--json").out)) == {"formats"}


def test_hyperparameters_are_set_and_stand_in_the_manifest(table: Path, run: Any, tmp_path: Path) -> None:
    asked = ("synthesize", table, "--synthesizer", "cgan", "--set", "columns=cens", "--set", "epochs=1", "--set", "critic=[8]")
    ended = run(*asked, "-o", tmp_path / "run")
    assert ended.code == 0, ended.err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    used = manifest["synthesizer"]["hyperparameters"]
    assert (used["columns"], used["epochs"], used["critic"]) == (["cens"], 1, [8])
    assert manifest["options"]["hyperparameters"] == {"columns": ["cens"], "epochs": 1, "critic": [8]}
    again = run("synthesize", table, "--replay", tmp_path / "run" / "manifest.json", "-o", tmp_path / "again")
    assert again.code == 0, again.err
    assert (tmp_path / "again" / "synthetic.csv").read_bytes() == (tmp_path / "run" / "synthetic.csv").read_bytes()
    refused = run("fit", table, "--set", "epochs=1", "-o", tmp_path / "model")
    assert refused.code == 2
    assert "no generator is named" in refused.err
    assert run("augment", table, "--target", "cens", "--synthesizer", "cgan", "--set", "epochs=0", "-o", tmp_path / "a.csv").code == 2
