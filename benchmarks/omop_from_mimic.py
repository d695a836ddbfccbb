"""MIMIC-III (1.4 or its demo) as OMOP CDM 5.4 tables, without a vocabulary: concepts that need one are 0 beside their source value.

    python benchmarks/omop_from_mimic.py MIMIC_FOLDER OMOP_FOLDER [--format csv|parquet]

What is known without a vocabulary from the CDM's own pages is filled in: gender 8507 and 8532, inpatient visit 9201, record type 32817
(electronic health record). A date that was charted (DATETIMEEVENTS) becomes the days from it to the charting: calendars may shift.
CHARTEVENTS, LABEVENTS and NOTEEVENTS are not read: the demo's copies are too large or empty.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

GENDER = {"M": 8507, "F": 8532}
INPATIENT, FROM_RECORD = 9201, 32817


def tables_of(mimic: Path) -> dict[str, pd.DataFrame]:
    """The OMOP tables, person first, each with the columns that the CDM requires and those that MIMIC fills."""
    patients, admissions = _read(mimic, "PATIENTS"), _read(mimic, "ADMISSIONS")
    person = _persons(patients, admissions)
    ids = person.set_index("person_source_value")["person_id"]
    visits = _visits(admissions, ids)
    visit = dict(zip(admissions["hadm_id"], visits["visit_occurrence_id"], strict=True))
    stays = _stays(_read(mimic, "ICUSTAYS"), ids, visit)
    items = _read(mimic, "D_ITEMS").set_index("itemid")["label"]
    starts = visits.set_index("visit_occurrence_id")[["visit_start_datetime", "visit_end_datetime"]]
    return {
        "person": person,
        "observation_period": _periods(visits),
        "visit_occurrence": visits,
        "visit_detail": stays,
        "condition_occurrence": _conditions(_read(mimic, "DIAGNOSES_ICD"), ids, visit, starts),
        "drug_exposure": _drugs(_read(mimic, "PRESCRIPTIONS"), _read(mimic, "INPUTEVENTS_MV"), items, ids, visit),
        "procedure_occurrence": _procedures(
            _read(mimic, "PROCEDURES_ICD"), _read(mimic, "PROCEDUREEVENTS_MV"), items, ids, visit, starts
        ),
        "measurement": _measurements(_read(mimic, "OUTPUTEVENTS"), _read(mimic, "MICROBIOLOGYEVENTS"), items, ids, visit),
        "observation": _observations(_read(mimic, "DATETIMEEVENTS"), items, ids, visit),
        "death": _deaths(patients, admissions, ids),
    }


def _read(mimic: Path, name: str) -> pd.DataFrame:
    frame = pd.read_csv(mimic / f"{name}.csv.gz", low_memory=False)
    frame.columns = frame.columns.str.lower()
    return frame


def _times(frame: pd.DataFrame, stem: str, times: pd.Series) -> None:
    """Adds the day and the time, under the CDM's two names."""
    moments = pd.to_datetime(times).reset_index(drop=True)
    frame[f"{stem}_date"] = moments.dt.strftime("%Y-%m-%d")
    frame[f"{stem}_datetime"] = moments.dt.strftime("%Y-%m-%d %H:%M:%S")


def _numbered(frame: pd.DataFrame, key: str) -> pd.DataFrame:
    out = frame.reset_index(drop=True)
    out.insert(0, key, np.arange(1, len(out) + 1))
    return out


def _who(rows: pd.DataFrame, ids: pd.Series, visit: dict[int, int]) -> pd.DataFrame:
    out = pd.DataFrame({"person_id": ids.loc[rows["subject_id"]].to_numpy()})
    out["visit_occurrence_id"] = rows["hadm_id"].map(visit).astype("Int64").reset_index(drop=True)
    return out


def _texts(cells: pd.Series, length: int = 50) -> pd.Series:
    return cells.astype("string").str.slice(0, length).reset_index(drop=True)


def _persons(patients: pd.DataFrame, admissions: pd.DataFrame) -> pd.DataFrame:
    race = admissions.sort_values("admittime").groupby("subject_id")["ethnicity"].first()
    patients = patients.sort_values("subject_id")
    born = pd.to_datetime(patients["dob"]).reset_index(drop=True)
    out = pd.DataFrame({"gender_concept_id": patients["gender"].map(GENDER).fillna(0).astype(int).to_numpy()})
    out["year_of_birth"], out["month_of_birth"], out["day_of_birth"] = born.dt.year, born.dt.month, born.dt.day
    out["birth_datetime"] = born.dt.strftime("%Y-%m-%d %H:%M:%S")
    out["race_concept_id"] = out["ethnicity_concept_id"] = 0
    out["person_source_value"] = patients["subject_id"].to_numpy()
    out["gender_source_value"] = patients["gender"].to_numpy()
    out["race_source_value"] = _texts(patients["subject_id"].map(race))
    return _numbered(out, "person_id")


def _visits(admissions: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    out = pd.DataFrame({"person_id": ids.loc[admissions["subject_id"]].to_numpy(), "visit_concept_id": INPATIENT})
    _times(out, "visit_start", admissions["admittime"])
    _times(out, "visit_end", admissions["dischtime"])
    out["visit_type_concept_id"] = FROM_RECORD
    out["visit_source_value"] = _texts(admissions["admission_type"])
    out["admitted_from_source_value"] = _texts(admissions["admission_location"])
    out["discharged_to_source_value"] = _texts(admissions["discharge_location"])
    return _numbered(out, "visit_occurrence_id")


def _periods(visits: pd.DataFrame) -> pd.DataFrame:
    seen = visits.groupby("person_id").agg(first=("visit_start_date", "min"), last=("visit_end_date", "max")).reset_index()
    out = seen.rename(columns={"first": "observation_period_start_date", "last": "observation_period_end_date"})
    out["period_type_concept_id"] = FROM_RECORD
    return _numbered(out, "observation_period_id")


def _stays(stays: pd.DataFrame, ids: pd.Series, visit: dict[int, int]) -> pd.DataFrame:
    stays = stays[stays["intime"].notna() & stays["outtime"].notna()]
    out = _who(stays, ids, visit)
    out["visit_detail_concept_id"], out["visit_detail_type_concept_id"] = 0, FROM_RECORD
    _times(out, "visit_detail_start", stays["intime"])
    _times(out, "visit_detail_end", stays["outtime"])
    out["visit_detail_source_value"] = _texts(stays["first_careunit"])
    return _numbered(out, "visit_detail_id")


def _conditions(rows: pd.DataFrame, ids: pd.Series, visit: dict[int, int], starts: pd.DataFrame) -> pd.DataFrame:
    rows = rows[rows["icd9_code"].notna()]
    out = _who(rows, ids, visit)
    out["condition_concept_id"], out["condition_type_concept_id"] = 0, FROM_RECORD
    _times(out, "condition_start", starts.loc[out["visit_occurrence_id"], "visit_start_datetime"])
    _times(out, "condition_end", starts.loc[out["visit_occurrence_id"], "visit_end_datetime"])
    out["condition_source_value"] = _texts(rows["icd9_code"])
    out["condition_status_source_value"] = ("rank " + rows["seq_num"].astype("Int64").astype("string")).reset_index(drop=True)
    return _numbered(out, "condition_occurrence_id")


def _drugs(
    orders: pd.DataFrame, inputs: pd.DataFrame, items: pd.Series, ids: pd.Series, visit: dict[int, int]
) -> pd.DataFrame:
    orders = orders[orders["startdate"].notna()]
    ordered = _who(orders, ids, visit)
    ends = orders["enddate"].fillna(orders["startdate"])
    _times(ordered, "drug_exposure_start", orders["startdate"])
    _times(ordered, "drug_exposure_end", ends.where(ends >= orders["startdate"], orders["startdate"]))
    ordered["quantity"] = pd.to_numeric(orders["dose_val_rx"], errors="coerce").reset_index(drop=True)
    ordered["drug_source_value"] = _texts(orders["drug"])
    ordered["route_source_value"] = _texts(orders["route"])
    ordered["dose_unit_source_value"] = _texts(orders["dose_unit_rx"])
    given = _who(inputs, ids, visit)
    _times(given, "drug_exposure_start", inputs["starttime"])
    _times(given, "drug_exposure_end", inputs["endtime"])
    given["quantity"] = inputs["amount"].reset_index(drop=True)
    given["drug_source_value"] = _texts(inputs["itemid"].map(items))
    given["route_source_value"] = _texts(inputs["ordercategoryname"])
    given["dose_unit_source_value"] = _texts(inputs["amountuom"])
    out = pd.concat([ordered, given], ignore_index=True)
    out["drug_concept_id"], out["drug_type_concept_id"] = 0, FROM_RECORD
    return _numbered(out, "drug_exposure_id")


def _procedures(
    coded: pd.DataFrame, timed: pd.DataFrame, items: pd.Series, ids: pd.Series, visit: dict[int, int], starts: pd.DataFrame
) -> pd.DataFrame:
    by_code = _who(coded, ids, visit)
    _times(by_code, "procedure", starts.loc[by_code["visit_occurrence_id"], "visit_start_datetime"])
    by_code["procedure_source_value"] = _texts(coded["icd9_code"])
    by_item = _who(timed, ids, visit)
    _times(by_item, "procedure", timed["starttime"])
    _times(by_item, "procedure_end", timed["endtime"])
    by_item["procedure_source_value"] = _texts(timed["itemid"].map(items))
    by_item["modifier_source_value"] = _texts(timed["location"])
    out = pd.concat([by_code, by_item], ignore_index=True)
    out["procedure_concept_id"], out["procedure_type_concept_id"] = 0, FROM_RECORD
    return _numbered(out, "procedure_occurrence_id")


def _measurements(
    outputs: pd.DataFrame, cultures: pd.DataFrame, items: pd.Series, ids: pd.Series, visit: dict[int, int]
) -> pd.DataFrame:
    measured = _who(outputs, ids, visit)
    _times(measured, "measurement", outputs["charttime"])
    measured["value_as_number"] = outputs["value"].reset_index(drop=True)
    measured["measurement_source_value"] = _texts(outputs["itemid"].map(items))
    measured["unit_source_value"] = _texts(outputs["valueuom"])
    grown = _who(cultures, ids, visit)
    _times(grown, "measurement", cultures["charttime"].fillna(cultures["chartdate"]))
    grown["measurement_source_value"] = _texts(cultures["spec_type_desc"])
    grown["value_source_value"] = _texts(cultures["org_name"])
    out = pd.concat([measured, grown], ignore_index=True)
    out["measurement_concept_id"], out["measurement_type_concept_id"] = 0, FROM_RECORD
    return _numbered(out, "measurement_id")


def _observations(rows: pd.DataFrame, items: pd.Series, ids: pd.Series, visit: dict[int, int]) -> pd.DataFrame:
    rows = rows[rows["value"].notna()]
    out = _who(rows, ids, visit)
    out["observation_concept_id"], out["observation_type_concept_id"] = 0, FROM_RECORD
    _times(out, "observation", rows["charttime"])
    gap = pd.to_datetime(rows["charttime"]) - pd.to_datetime(rows["value"])
    out["value_as_number"] = (gap.dt.total_seconds() / 86_400).round(2).add(0.0).reset_index(drop=True)  # and no -0.0
    out["observation_source_value"] = _texts(rows["itemid"].map(items))
    out["unit_source_value"] = "days before"
    return _numbered(out, "observation_id")


def _deaths(patients: pd.DataFrame, admissions: pd.DataFrame, ids: pd.Series) -> pd.DataFrame:
    inside = admissions.dropna(subset=["deathtime"]).groupby("subject_id")["deathtime"].first()
    dead = patients[patients["dod"].notna()].sort_values("subject_id")
    out = pd.DataFrame({"person_id": ids.loc[dead["subject_id"]].to_numpy()})
    _times(out, "death", dead["subject_id"].map(inside).fillna(dead["dod"]))
    out["death_type_concept_id"] = FROM_RECORD
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("mimic", type=Path)
    parser.add_argument("omop", type=Path)
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    given = parser.parse_args()
    given.omop.mkdir(parents=True)
    for name, frame in tables_of(given.mimic).items():
        if given.format == "csv":
            frame.to_csv(given.omop / f"{name}.csv", index=False)
        else:
            for column in frame.columns[frame.columns.str.endswith(("_date", "_datetime"))]:
                frame[column] = pd.to_datetime(frame[column])
            frame.to_parquet(given.omop / f"{name}.parquet", index=False)
        print(f"{name}: {len(frame):,} rows")


if __name__ == "__main__":
    main()
