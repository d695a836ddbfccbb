"""The benchmark's tables: OUT/<name>/{train,test}.csv, target.txt and, for diabetes130, rest.csv. Knows nothing of any synthesizer.

    python benchmarks/tables.py SHARED_DATA_FOLDER OUT

80/20 split with seed 0; an empty field is the only mark of a missing value. The preparation of diabetes20k, flchain, gbsg2 and
heart is that of the published peer figures (same columns, same rows, same split), so figures can be compared with them;
flchain and gbsg2 are read from CSV copies whose rows were checked to stand in scikit-survival's order.
diabetes_patients splits by patient instead of by encounter; `rest.csv` holds encounters that were not sampled at all, which is
the utility holdout of diabetes20k (its own 4,000 holdout rows hold too few positives to read a TSTR from).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

N_SAMPLED = 20_000


def diabetes130(shared: Path) -> pd.DataFrame:
    """All encounters, identifiers and constant columns left out, readmission as a binary target."""
    frame = pd.read_csv(
        shared / "diabetes130" / "diabetic_data.csv.gz", keep_default_na=False, na_values=["?"], low_memory=False
    )
    frame = frame.loc[:, frame.nunique(dropna=False) > 1]
    frame["readmitted"] = (frame["readmitted"] == "<30").map({True: "yes", False: "no"})
    for column in ("admission_type_id", "discharge_disposition_id", "admission_source_id"):
        frame[column] = "t" + frame[column].astype(str)  # codes, not quantities
    return frame


def flchain(shared: Path) -> pd.DataFrame:
    """Serum free light chains and survival; the cause of death is left out because it gives the target away."""
    frame = pd.read_csv(shared / "survival" / "flchain.csv.gz").drop(columns="chapter")
    death = frame.pop("death")
    frame["death"] = np.where(death == 1, "yes", "no")
    frame["mgus"] = frame["mgus"].map({1: "yes", 0: "no"})
    return frame


def gbsg2(shared: Path) -> pd.DataFrame:
    """German breast cancer study group 2: recurrence-free survival."""
    frame = pd.read_csv(shared / "survival" / "gbsg2.csv")
    event = frame.pop("cens")
    frame["event"] = np.where(event == 1, "yes", "no")
    return frame


def heart(shared: Path) -> pd.DataFrame:
    """Four hospitals; whole columns are missing at some of them."""
    frame = pd.read_csv(shared / "heart_uci" / "heart_4sites.csv", na_values=["?"])
    for column in ("sex", "cp", "fbs", "restecg", "exang", "slope", "ca", "thal"):
        numbers = pd.to_numeric(frame[column]).astype("Int64").astype(object)
        frame[column] = numbers.map(lambda value, name=column: value if pd.isna(value) else f"{name}{value}")
    frame["disease"] = np.where(frame.pop("num") > 0, "yes", "no")
    return frame


def support2(shared: Path) -> pd.DataFrame:
    """Critically ill adults; the row number is left out, the columns that leak the outcome stay (a release would hold them)."""
    frame = pd.read_csv(shared / "support2" / "support2.csv.gz")
    frame = frame.drop(columns=frame.columns[0])
    frame["hospdead"] = np.where(frame["hospdead"] == 1, "yes", "no")
    return frame


def split(frame: pd.DataFrame, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """80/20 by row."""
    order = np.random.default_rng(seed).permutation(len(frame))
    cut = round(0.8 * len(frame))
    return frame.iloc[order[:cut]], frame.iloc[order[cut:]]


def split_by_patient(frame: pd.DataFrame, key: str, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """80/20 by patient: no patient has rows on both sides."""
    patients = frame[key].unique()
    chosen = np.random.default_rng(seed).permutation(patients)[: round(0.8 * len(patients))]
    inside = frame[key].isin(chosen)
    return frame[inside], frame[~inside]


def write(out: Path, name: str, train: pd.DataFrame, test: pd.DataFrame, target: str, rest: pd.DataFrame | None = None) -> None:
    """Writes one table's folder; a column constant in train carries nothing and is left out."""
    columns = train.columns[train.nunique(dropna=False) > 1]
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    train[columns].to_csv(folder / "train.csv", index=False)
    test[columns].to_csv(folder / "test.csv", index=False)
    if rest is not None:
        rest[columns].to_csv(folder / "rest.csv", index=False)
    (folder / "target.txt").write_text(target + "\n")
    print(f"{name}: train {train[columns].shape}, test {test.shape[0]}, target {target}")


def main(shared: Path, out: Path) -> None:
    """Writes every table below `out`."""
    full = diabetes130(shared)
    keyed = full.drop(columns="encounter_id")
    full = full.drop(columns=["encounter_id", "patient_nbr"])
    sampled = full.sample(N_SAMPLED, random_state=0)
    for name, frame, target in (
        ("gbsg2", gbsg2(shared), "event"),
        ("heart", heart(shared), "disease"),
        ("flchain", flchain(shared), "death"),
        ("support2", support2(shared), "hospdead"),
        ("diabetes_full", full, "readmitted"),
    ):
        write(out, name, *split(frame), target)
    write(out, "diabetes20k", *split(sampled), "readmitted", rest=full.drop(index=sampled.index))
    train, test = split_by_patient(keyed, "patient_nbr")
    write(out, "diabetes_patients", train, test, "readmitted")
    (out / "diabetes_patients" / "key.txt").write_text("patient_nbr\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
