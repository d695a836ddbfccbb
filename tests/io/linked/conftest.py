"""A hospital of three patients in four small files: what the tests of folders read, break and write."""

from __future__ import annotations

from pathlib import Path

import pytest

from manikin.data.dataset import Dataset
from manikin.io.linked import read

FILES = {
    "patients.csv": "patient_id,sex,dob\n101,F,1950-02-01\n102,M,1960-05-06\n103,F,1970-07-07\n",
    "stays.csv": (
        "stay_id,patient_id,ward,admittime,dischtime\n"
        "9001,101,A,2020-01-01 10:00:00,2020-01-03 09:00:00\n"
        "9002,101,B,2020-02-01 10:00:00,2020-02-05 12:30:00\n"
        "9003,102,A,2020-03-01 08:00:00,2020-03-02 08:00:00\n"
    ),
    "labs.csv": (
        "patient_id,stay_id,charttime,itemid,value\n"
        "101,9001,2020-01-01 12:00:00,50001,4.1\n"
        "101,9001,2020-01-02 12:00:00,50002,140\n"
        "101,9002,2020-02-02 12:00:00,50001,3.9\n"
        "102,9003,2020-03-01 09:00:00,50002,138\n"
        "102,,2020-03-08 09:00:00,50002,141\n"
    ),
    "d_items.csv": "itemid,label\n50001,potassium\n50002,sodium\n50003,chloride\n",
    "LICENSE.txt": "Free to use.\n",
}


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """The folder; tests write over its files as they like."""
    folder = tmp_path / "ward"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder



@pytest.fixture(scope="session")
def hospital(shared: Path) -> Dataset:
    """The twenty tables of the MIMIC-III demo, by what they show."""
    return read(shared / "mimic_iii_demo")
