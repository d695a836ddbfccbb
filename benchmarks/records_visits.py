"""Folders of visits with codes for the comparison of generators of patients, beside those of records_tables.py. Knows no synthesizer.

    python benchmarks/records_visits.py SHARED_DATA_FOLDER OUT [NAME...]

writes OUT/<name> as records_tables.py does, split by patient with seed 0.

mimic_visits     the MIMIC-III demo: admissions with their ICD-9 diagnoses and procedures, 100 patients.
meds_visits      the MIMIC-IV demo as a stream of diagnoses, procedures, groups of cases, admissions and discharges, 100 patients.
diabetes_visits  4,000 drawn patients of the diabetes data of 130 US hospitals who came twice or more: encounters with up to three ICD-9
                 diagnoses and the antidiabetic drugs given. Their order is known, their dates are not: time counts encounters.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from records_tables import Tables, chosen_for_train, meds, mimic_iii, of_patients, write

N_DIABETES = 4_000
MEDS_KINDS = ("DIAGNOSIS", "PROCEDURE", "DRG", "HOSPITAL_ADMISSION", "HOSPITAL_DISCHARGE")
KEY = 'kind = "identifier", storage = "integer"'
MOMENT = 'kind = "datetime", storage = "timestamp", time_format = "%Y-%m-%d %H:%M:%S"'

MIMIC_SCHEMA = f"""\
[tables.patients]
form = "static"
primary_key = ["subject_id"]
columns.subject_id = {{{KEY}, roles = ["patient_key"]}}
columns.gender = {{kind = "categorical", levels = ["F", "M"]}}
columns.dob = {{{MOMENT}, roles = ["birth"]}}
columns.expire_flag = {{kind = "categorical", levels = ["0", "1"]}}

[tables.admissions]
form = "intervals"
primary_key = ["hadm_id"]
start = "admittime"
end = "dischtime"
foreign_keys = [{{columns = ["subject_id"], table = "patients", references = ["subject_id"]}}]
columns.hadm_id = {{{KEY}}}
columns.subject_id = {{{KEY}, roles = ["patient_key"]}}
columns.admittime = {{{MOMENT}, roles = ["time"]}}
columns.dischtime = {{{MOMENT}}}
columns.admission_type = {{kind = "categorical"}}
columns.discharge_location = {{kind = "categorical"}}
""" + "".join(
    f"""
[tables.{name}]
form = "events"
foreign_keys = [{{columns = ["hadm_id"], table = "admissions", references = ["hadm_id"]}}]
columns.subject_id = {{{KEY}, roles = ["patient_key"]}}
columns.hadm_id = {{{KEY}}}
columns.icd9_code = {{kind = "code"{system}}}
"""
    for name, system in (("diagnoses", ', code_system = "ICD-9-CM"'), ("procedures", ""))
)

MEDS_SCHEMA = f"""\
[tables.events]
form = "events"
start = "time"
columns.subject_id = {{{KEY}, roles = ["patient_key"]}}
columns.time = {{{MOMENT}, roles = ["time"]}}
columns.code = {{kind = "code", code_system = "MEDS"}}
"""

DIABETES_SCHEMA = f"""\
[tables.patients]
form = "static"
primary_key = ["patient_nbr"]
columns.patient_nbr = {{{KEY}, roles = ["patient_key"]}}
columns.race = {{kind = "categorical"}}
columns.gender = {{kind = "categorical"}}

[tables.encounters]
form = "events"
primary_key = ["encounter_id"]
start = "number"
foreign_keys = [{{columns = ["patient_nbr"], table = "patients", references = ["patient_nbr"]}}]
columns.encounter_id = {{{KEY}}}
columns.patient_nbr = {{{KEY}, roles = ["patient_key"]}}
columns.number = {{kind = "duration", storage = "integer", decimals = 0, unit = "d", roles = ["time"]}}
columns.age = {{kind = "ordinal", levels = [{", ".join(f'"[{a}-{a + 10})"' for a in range(0, 100, 10))}]}}
columns.admission_type_id = {{kind = "categorical", storage = "integer"}}
columns.time_in_hospital = {{kind = "count", storage = "integer", decimals = 0}}
columns.readmitted = {{kind = "categorical", levels = ["NO", "<30", ">30"]}}
""" + "".join(
    f"""
[tables.{name}]
form = "events"
foreign_keys = [{{columns = ["encounter_id"], table = "encounters", references = ["encounter_id"]}}]
columns.patient_nbr = {{{KEY}, roles = ["patient_key"]}}
columns.encounter_id = {{{KEY}}}
columns.code = {{kind = "code"{system}}}
"""
    for name, system in (("diagnoses", ', code_system = "ICD-9-CM"'), ("drugs", ""))
)


def within(table: str, key: str, code: str, visits: str, visit: str, time: str) -> dict:
    """How the judge finds the events of a table of codes whose time is that of its visit."""
    return {"table": table, "key": key, "code": code, "time_of": {"table": visits, "on": visit, "time": time}}


def links_of(children: tuple[str, ...], visits: str, visit: str, patient: str) -> list[dict]:
    """Codes to visits, visits to patients."""
    out = [{"table": child, "columns": [visit], "to": visits, "references": [visit]} for child in children]
    return [*out, {"table": visits, "columns": [patient], "to": "patients", "references": [patient]}]


def mimic_visits(shared: Path) -> tuple[Tables, dict, str]:
    """Patients, admissions, diagnoses and procedures; the order of codes within an admission is left out."""
    demo = mimic_iii(shared)
    tables = {
        "patients": demo["PATIENTS"][["subject_id", "gender", "dob", "expire_flag"]],
        "admissions": demo["ADMISSIONS"][
            ["hadm_id", "subject_id", "admittime", "dischtime", "admission_type", "discharge_location"]
        ],
        "diagnoses": demo["DIAGNOSES_ICD"][["subject_id", "hadm_id", "icd9_code"]],
        "procedures": demo["PROCEDURES_ICD"][["subject_id", "hadm_id", "icd9_code"]],
    }
    told = {"table": "patients", "key": "subject_id", "categories": ["gender", "expire_flag"], "only": ["gender", "expire_flag"]}
    codes = ("diagnoses", "procedures")
    judge = {
        "patients": told,
        "events": [within(name, "subject_id", "icd9_code", "admissions", "hadm_id", "admittime") for name in codes]
        + [{"table": "admissions", "key": "subject_id", "code": "admission_type", "time": "admittime"}],
        "keys": {"patients": ["subject_id"], "admissions": ["hadm_id"]},
        "links": links_of(codes, "admissions", "hadm_id", "subject_id"),
    }
    return tables, judge, MIMIC_SCHEMA


def meds_visits(shared: Path) -> tuple[Tables, dict, str]:
    """One stream of codes."""
    events = meds(shared)["events"]
    kept = events[events["code"].str.split("//").str[0].isin(MEDS_KINDS) & events["time"].notna()]
    kept = kept.sort_values(["subject_id", "time"], kind="stable")[["subject_id", "time", "code"]].reset_index(drop=True)
    judge = {
        "patients": {"table": None, "key": "subject_id", "categories": []},
        "events": [{"table": "events", "key": "subject_id", "time": "time", "code": "code"}],
        "keys": {},
        "links": [],
    }
    return {"events": kept.assign(time=kept["time"].dt.strftime("%Y-%m-%d %H:%M:%S"))}, judge, MEDS_SCHEMA


def diabetes_visits(shared: Path) -> tuple[Tables, dict, str]:
    """Patients, encounters in their order, diagnoses and drugs."""
    rows = pd.read_csv(shared / "diabetes130" / "diabetic_data.csv.gz", dtype=str, na_values=["?"], keep_default_na=False)
    rows = rows.assign(order=rows["encounter_id"].astype(int)).sort_values(["patient_nbr", "order"], kind="stable")
    count = rows.groupby("patient_nbr")["order"].transform("size")
    often = np.unique(rows.loc[count > 1, "patient_nbr"])
    drawn = np.random.default_rng(0).choice(often, N_DIABETES, replace=False)
    rows = rows[rows["patient_nbr"].isin(drawn)].reset_index(drop=True)
    rows["number"] = rows.groupby("patient_nbr").cumcount()
    patients = rows.drop_duplicates("patient_nbr")[["patient_nbr", "race", "gender"]].reset_index(drop=True)
    whose = rows[["patient_nbr", "encounter_id"]]
    diagnoses = pd.concat([whose.assign(code=rows[name]) for name in ("diag_1", "diag_2", "diag_3")]).dropna(subset="code")
    first = rows.columns.get_loc("metformin")
    names = rows.columns[first : rows.columns.get_loc("change")]
    drugs = pd.concat([whose.assign(code=name)[rows[name].ne("No").to_numpy()] for name in names])
    tables = {
        "patients": patients,
        "encounters": rows[
            ["encounter_id", "patient_nbr", "number", "age", "admission_type_id", "time_in_hospital", "readmitted"]
        ],
        "diagnoses": diagnoses.sort_index(kind="stable").reset_index(drop=True),
        "drugs": drugs.sort_index(kind="stable").reset_index(drop=True),
    }
    codes = ("diagnoses", "drugs")
    judge = {
        "patients": {"table": "patients", "key": "patient_nbr", "categories": ["race", "gender"]},
        "events": [within(name, "patient_nbr", "code", "encounters", "encounter_id", "number") for name in codes]
        + [{"table": "encounters", "key": "patient_nbr", "code": "readmitted", "time": "number", "value": "time_in_hospital"}],
        "keys": {"patients": ["patient_nbr"], "encounters": ["encounter_id"]},
        "links": links_of(codes, "encounters", "encounter_id", "patient_nbr"),
    }
    return tables, judge, DIABETES_SCHEMA


VISITS: dict[str, Callable[[Path], tuple[Tables, dict, str]]] = {
    "mimic_visits": mimic_visits,
    "meds_visits": meds_visits,
    "diabetes_visits": diabetes_visits,
}


def main(shared: Path, out: Path, names: list[str]) -> None:
    """Writes every folder that is named, or all, below `out`."""
    if unknown := set(names) - set(VISITS):
        raise SystemExit(f"There is no folder {', '.join(sorted(unknown))}. Known: {', '.join(VISITS)}.")
    for name in names or VISITS:
        tables, judge, schema = VISITS[name](shared)
        key = judge["patients"]["key"]
        owners = {table: frame[key] for table, frame in tables.items()}
        everybody = owners[judge["patients"]["table"] or "events"]
        train = chosen_for_train(everybody)
        parts = {"train": of_patients(tables, owners, train), "holdout": of_patients(tables, owners, set(everybody) - set(train))}
        write(out, name, parts, judge, schema)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
