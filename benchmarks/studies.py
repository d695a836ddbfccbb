"""The studies of docs/studies.md: prepares their tables and runs their commands. Knows no generator.

    python benchmarks/studies.py SHARED_DATA_FOLDER OUT [NAME...]

One process and one thread; a study that was interrupted goes on where it was, one whose folder is there is not run again.
OUT/NAME/study.json is what benchmarks/results/study-NAME.json keeps, without the single trials.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

EXPIRED_OR_HOSPICE = ["11", "13", "14", "19", "20", "21"]  # cannot be readmitted; left out as in Strack et al. 2014
GENERATORS = "forest,autoregressive,cgan,tvae"  # told or given the class, or sifted by it
CURVES = "forest,autoregressive,tvae"
SIZES = "100,200,500,1000,2000,5000"


def diabetes(shared: Path) -> pd.DataFrame:
    """All encounters with their patients, but those that ended in death or hospice care."""
    path = shared / "diabetes130" / "diabetic_data.csv.gz"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns="encounter_id")
    return frame[~frame["discharge_disposition_id"].isin(EXPIRED_OR_HOSPICE)]


def heart(shared: Path) -> pd.DataFrame:
    """Four hospitals; a cholesterol or blood pressure of 0 means that it was not measured."""
    frame = pd.read_csv(shared / "heart_uci" / "heart_4sites.csv", dtype=str, keep_default_na=False)
    for name in ("chol", "trestbps"):
        frame[name] = frame[name].where(pd.to_numeric(frame[name], errors="coerce") != 0, "?")
    return frame


def mgus(shared: Path) -> pd.DataFrame:
    """Who has monoclonal gammopathy (1.5 %), from age, sex and blood; what came later is left out.

    These data call it so where the ratio of kappa to lambda chains lies outside 0.26 to 1.65: a rare class that a relation of two
    columns defines, which trees find at once and a model of single columns hardly does.
    """
    return pd.read_csv(shared / "survival" / "flchain.csv.gz", dtype=str, keep_default_na=False).drop(
        columns=["chapter", "futime", "death", "flc.grp"]
    )


def support2(shared: Path) -> pd.DataFrame:
    """Critically ill adults, without the row number."""
    return pd.read_csv(shared / "support2" / "support2.csv.gz", dtype=str, keep_default_na=False).iloc[:, 1:]


STUDIES = {
    "heart": (
        heart,
        (
            f"augmentation --target num --positive 1 --positive 2 --positive 3 --positive 4 --groups sex --groups site "
            f"--synthesizers {GENERATORS} --splits 10"
        ),
    ),
    "heart-balanced": (
        heart,
        (
            "augmentation --target num --positive 1 --positive 2 --positive 3 --positive 4 --groups sex --groups site --balance sex "
            f"--balance site --synthesizers {GENERATORS} --skip alone --splits 10"
        ),
    ),
    "mgus": (mgus, f"augmentation --target mgus --positive 1 --groups sex --groups age --synthesizers {GENERATORS} --splits 5"),
    "diabetes": (
        diabetes,
        (
            f"augmentation --target readmitted --positive <30 --groups race --groups age --synthesizers {GENERATORS} "
            "--max-rows 12000 --splits 5"
        ),
    ),
    "curve-support2": (support2, f"learning-curve --target hospdead --synthesizers {CURVES} --sizes {SIZES} --repeats 2"),
    "curve-diabetes": (
        diabetes,
        f"learning-curve --target readmitted --synthesizers {CURVES} --sizes {SIZES} --repeats 1 --max-rows 12000",
    ),
}


def main(shared: Path, out: Path, names: list[str]) -> None:
    """Runs the named studies, or all of them, one after the other."""
    out.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MANIKIN_THREADS": "1"}
    for name in names or STUDIES:
        prepare, command = STUDIES[name]
        table, folder = out / f"{name}.csv", out / name
        if not folder.exists():
            prepare(shared).to_csv(table, index=False)
            kind, *options = command.split()
            print(f"manikin study {kind} {table.name} {' '.join(options)} -o {name}", flush=True)
            program = [sys.executable, "-m", "manikin.cli", "study", kind, str(table), *options, "-o", str(folder)]
            subprocess.run(program, check=True, env=environment)
        document = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        document.pop("trials")
        results = Path(__file__).parent / "results" / f"study-{name}.json"
        results.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
