"""`manikin inspect FOLDER`: what it says of linked tables, on a terminal and to machines, and the schema.toml that it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import manikin as mk
from manikin.io.schema_file import read_schema
from manikin.workflow import look

Run = Callable[..., Any]
FILES = {
    "patients.csv": "patient_id,sex,dob\n101,F,1950-02-01\n102,M,1960-05-06\n103,F,1970-07-07\n",
    "stays.csv": (
        "stay_id,patient_id,ward,admittime,dischtime\n"
        "9001,101,A,2020-01-01 10:00:00,2020-01-03 09:00:00\n"
        "9002,101,B,2020-02-01 10:00:00,2020-02-05 12:30:00\n"
        "9003,102,unknown,2020-03-01 08:00:00,2020-03-02 08:00:00\n"
    ),
    "drugs.csv": (
        "patient_id,stay_id,drug,startdate\n"
        "101,9001,a,2020-01-01\n101,9002,b,2020-02-03\n102,9009,a,2020-03-01\n101,9001,b,2020-01-02\n"
    ),
    "README.txt": "A small ward.\n",
}


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    folder = tmp_path / "ward"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


def test_tables_keys_cardinalities_and_orphans_are_shown(run: Run, ward: Path, tmp_path: Path) -> None:
    ended = run("inspect", ward, "-o", tmp_path / "schema.toml")
    assert ended.code == 0, ended.err
    assert "ward: 3 tables, 10 rows, 3 patients" in ended.out
    lines = {line.split("  ")[0]: line for line in ended.out.splitlines()}
    assert "events" in lines["drugs"]
    assert "intervals" in lines["stays"]
    assert "admittime to dischtime" in lines["stays"]
    assert "1.5, at most 2 (1 patients with none)" in lines["stays"]
    assert "stays.stay_id" in lines["drugs.stay_id"]
    assert "1 to many" in lines["drugs.stay_id"]
    assert "3 of 4 rows match; 1 orphans" in lines["drugs.stay_id"]
    assert "Passed over, being no tables: README.txt." in ended.out
    assert "stays.ward: 'unknown' (unknown) may stand for no value" in ended.out
    assert "9009" not in ended.out
    written = (tmp_path / "schema.toml").read_text()
    assert "# form               static" in written
    assert "Refers to stay_id of stays (1 to many): 75.0% of the rows match. 1 rows name a row that is not there" in written
    assert read_schema(tmp_path / "schema.toml") == mk.infer(ward)
    assert mk.read(ward, schema=tmp_path / "schema.toml").schema == mk.infer(ward)


def test_machines_are_told_the_same(run: Run, ward: Path) -> None:
    told = json.loads(run("inspect", ward, "--json").out)
    assert (told["rows"], told["patients"]) == (10, 3)
    stays = next(table for table in told["tables"] if table["name"] == "stays")
    assert (stays["form"], stays["primary_key"], stays["start"], stays["end"]) == ("intervals", ["stay_id"], "admittime", "dischtime")
    assert stays["rows_per_patient"] == {"median": 1.5, "most": 2, "patients_with_none": 1}
    assert [column["kind"] for column in stays["columns"]][:2] == ["identifier", "identifier"]
    assert {(link["table"], link["refers_to"]): link["orphans"] for link in told["links"]} == {
        ("drugs", "patients"): 0,
        ("drugs", "stays"): 1,
        ("stays", "patients"): 0,
    }


def test_a_folder_that_does_not_hold_together_is_refused_in_one_sentence(run: Run, ward: Path, tmp_path: Path) -> None:
    (ward / "drugs.csv").write_text(FILES["drugs.csv"].replace("102,9009", ",9009"))
    ended = run("inspect", ward, "-o", tmp_path / "schema.toml")
    assert ended.code == 2
    assert "table 'drugs', row 4: the row names nobody" in ended.err
    assert not (tmp_path / "schema.toml").exists()


def test_one_file_of_visits_says_how_patients_are_learned_over_time(tmp_path: Path) -> None:
    visits = pd.DataFrame({"patient_id": [i // 4 for i in range(80)], "day": [30 * (i % 4) for i in range(80)], "bili": range(80)})
    visits.to_csv(tmp_path / "visits.csv", index=False)
    warnings = look.inspect(tmp_path / "visits.csv").warnings
    assert any(text.startswith("80 rows of 20 patients") and 'form = "events"' in text for text in warnings)
    visits.drop_duplicates("patient_id").to_csv(tmp_path / "once.csv", index=False)
    assert not any('form = "events"' in text for text in look.inspect(tmp_path / "once.csv").warnings)
