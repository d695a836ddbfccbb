"""The benchmark's tables: OUT/<name>/{train,test}.csv, target.txt and, for diabetes130, rest.csv. Knows nothing of any synthesizer.

    python benchmarks/tables.py SHARED_DATA_FOLDER OUT [NAME...]

80/20 split with seed 0; an empty field is the only mark of a missing value. The preparation of diabetes20k, flchain, gbsg2 and
heart is that of the published peer figures (same columns, same rows, same split), so figures can be compared with them;
flchain and gbsg2 are read from CSV copies whose rows were checked to stand in scikit-survival's order.
diabetes30 and diabetes48 are the same encounters and the same split with other columns, chosen without a look at their cells:
diabetes30 the target and the first 29 others in the file's order that are not ICD-9 codes (`CODE_BOOKS`; some 900 levels each, more than
marginal-based peers take), diabetes48 every column of the file but the two identifiers, so that those with one value stay.
diabetes_patients splits by patient instead of by encounter; `rest.csv` holds encounters that were not sampled at all, which is
the utility holdout of diabetes20k (its own 4,000 holdout rows hold too few positives to read a TSTR from).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

N_SAMPLED = 20_000
N_FEW_COLUMNS = 30
CODE_BOOKS = ("diag_1", "diag_2", "diag_3")  # ICD-9, by the file's own description
IDENTIFIERS = ["encounter_id", "patient_nbr"]


def diabetes130(shared: Path, constants: bool = False) -> pd.DataFrame:
    """All encounters, columns of one value left out unless `constants`, readmission as a binary target."""
    frame = pd.read_csv(
        shared / "diabetes130" / "diabetic_data.csv.gz", keep_default_na=False, na_values=["?"], low_memory=False
    )
    frame = frame if constants else frame.loc[:, frame.nunique(dropna=False) > 1]
    frame["readmitted"] = (frame["readmitted"] == "<30").map({True: "yes", False: "no"})
    for column in ("admission_type_id", "discharge_disposition_id", "admission_source_id"):
        frame[column] = "t" + frame[column].astype(str)  # codes, not quantities
    return frame


def few_columns(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """The target, last, and the columns before it in the file's order that are not codes of a code book, 30 in all."""
    others = [column for column in frame.columns if column not in (target, *CODE_BOOKS)]
    return frame[[*others[: N_FEW_COLUMNS - 1], target]]


def cardio70k(shared: Path) -> pd.DataFrame:
    """Cardiovascular screening; implausible blood pressures stay, as in the file; every column but the row's number."""
    frame = pd.read_csv(shared / "cardio70k" / "cardio_train.csv.gz", sep=";").drop(columns="id")
    cardio = frame.pop("cardio")
    frame["cardio"] = np.where(cardio == 1, "yes", "no")
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


def write(
    out: Path, name: str, parts: tuple[pd.DataFrame, pd.DataFrame], target: str, rest: pd.DataFrame | None = None, all_columns: bool = False
) -> None:
    """Writes one table's folder; a column constant in train carries nothing and is left out unless `all_columns`."""
    train, test = parts
    columns = train.columns if all_columns else train.columns[train.nunique(dropna=False) > 1]
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    train[columns].to_csv(folder / "train.csv", index=False)
    test[columns].to_csv(folder / "test.csv", index=False)
    if rest is not None:
        rest[columns].to_csv(folder / "rest.csv", index=False)
    (folder / "target.txt").write_text(target + "\n")
    print(f"{name}: train {train[columns].shape}, test {test.shape[0]}, target {target}")


def write_diabetes130(shared: Path, out: Path, wanted: set[str]) -> None:
    """Writes the tables of diabetes130 that are wanted."""
    keyed = diabetes130(shared)
    full, target = keyed.drop(columns=IDENTIFIERS), "readmitted"
    sampled = full.sample(N_SAMPLED, random_state=0)
    rest = full.drop(index=sampled.index)
    if "diabetes_full" in wanted:
        write(out, "diabetes_full", split(full), target)
    if "diabetes20k" in wanted:
        write(out, "diabetes20k", split(sampled), target, rest=rest)
    if "diabetes30" in wanted:
        write(out, "diabetes30", split(few_columns(sampled, target)), target, rest=rest, all_columns=True)
    if "diabetes48" in wanted:
        every = diabetes130(shared, constants=True).drop(columns=IDENTIFIERS)
        write(out, "diabetes48", split(every.loc[sampled.index]), target, rest=every.loc[rest.index], all_columns=True)
    if "diabetes_patients" in wanted:
        write(out, "diabetes_patients", split_by_patient(keyed.drop(columns="encounter_id"), "patient_nbr"), target)
        (out / "diabetes_patients" / "key.txt").write_text("patient_nbr\n")


PLAIN = {"gbsg2": (gbsg2, "event"), "heart": (heart, "disease"), "flchain": (flchain, "death"), "support2": (support2, "hospdead")}
PLAIN |= {"cardio70k": (cardio70k, "cardio")}
OF_DIABETES130 = ("diabetes_full", "diabetes20k", "diabetes30", "diabetes48", "diabetes_patients")


def main(shared: Path, out: Path, names: list[str]) -> None:
    """Writes every table that is named, or all, below `out`."""
    wanted = set(names or [*PLAIN, *OF_DIABETES130])
    if unknown := wanted - {*PLAIN, *OF_DIABETES130}:
        raise SystemExit(f"There is no table {', '.join(sorted(unknown))}. Known: {', '.join([*PLAIN, *OF_DIABETES130])}.")
    for name, (made, target) in PLAIN.items():
        if name in wanted:
            write(out, name, split(made(shared)), target)
    if wanted.intersection(OF_DIABETES130):
        write_diabetes130(shared, out, wanted)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
