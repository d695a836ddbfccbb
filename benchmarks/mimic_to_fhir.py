"""The MIMIC-III demo as FHIR R4 (bulk NDJSON), to try FHIR in and out on real records.

    python benchmarks/mimic_to_fhir.py MIMIC_III_DEMO OUT [--layout ndjson|bundles|bundle]

Patients, admissions and stays in intensive care as encounters, ICD-9 diagnoses and procedures, prescriptions, and outputs of fluids as
observations. It makes resources by hand, not through Manikin, so that reading them proves something.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

ICD9 = "http://hl7.org/fhir/sid/icd-9-cm"
LOCAL = "http://mimic.example.org/"


def table(folder: Path, name: str) -> pd.DataFrame:
    """One table as texts, empty where there is nothing."""
    return pd.read_csv(folder / f"{name}.csv.gz", dtype=str, keep_default_na=False).rename(columns=str.upper)


def concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    """A CodeableConcept of one coding."""
    return {"coding": [{"system": system, "code": code, **({"display": display} if display else {})}]}


def moment(text: str) -> str:
    """A MIMIC time as a dateTime."""
    return text.replace(" ", "T") + "Z"


def resources(folder: Path) -> Iterator[dict[str, Any]]:
    """All resources, patients first."""
    for row in table(folder, "PATIENTS").to_dict("records"):
        made = {"resourceType": "Patient", "id": row["SUBJECT_ID"], "gender": {"M": "male", "F": "female"}[row["GENDER"]]}
        made["birthDate"] = row["DOB"][:10]
        if row["DOD"]:
            made["deceasedDateTime"] = moment(row["DOD"])
        yield made
    for row in table(folder, "ADMISSIONS").to_dict("records"):
        yield {
            "resourceType": "Encounter",
            "id": f"adm-{row['HADM_ID']}",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "type": [concept(LOCAL + "admission-type", row["ADMISSION_TYPE"])],
            "subject": {"reference": f"Patient/{row['SUBJECT_ID']}"},
            "period": {"start": moment(row["ADMITTIME"]), "end": moment(row["DISCHTIME"])},
            "hospitalization": {
                "admitSource": concept(LOCAL + "admit-source", row["ADMISSION_LOCATION"]),
                "dischargeDisposition": concept(LOCAL + "discharge", row["DISCHARGE_LOCATION"]),
            },
        }
    for row in table(folder, "ICUSTAYS").to_dict("records"):
        yield {
            "resourceType": "Encounter",
            "id": f"icu-{row['ICUSTAY_ID']}",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ACUTE"},
            "type": [concept(LOCAL + "care-unit", row["FIRST_CAREUNIT"])],
            "subject": {"reference": f"Patient/{row['SUBJECT_ID']}"},
            "partOf": {"reference": f"Encounter/adm-{row['HADM_ID']}"},
            "period": {"start": moment(row["INTIME"]), **({"end": moment(row["OUTTIME"])} if row["OUTTIME"] else {})},
        }
    admitted = dict(table(folder, "ADMISSIONS")[["HADM_ID", "ADMITTIME"]].itertuples(index=False, name=None))
    for kind, name in (("Condition", "DIAGNOSES_ICD"), ("Procedure", "PROCEDURES_ICD")):
        for row in table(folder, name).to_dict("records"):
            if row["ICD9_CODE"]:
                yield _coded(kind, row, admitted)
    yield from _prescriptions(folder)
    yield from _outputs(folder)


def _coded(kind: str, row: dict[str, str], admitted: dict[str, str]) -> dict[str, Any]:
    made = {
        "resourceType": kind,
        "id": f"{kind.lower()}-{row['ROW_ID']}",
        "subject": {"reference": f"Patient/{row['SUBJECT_ID']}"},
        "encounter": {"reference": f"Encounter/adm-{row['HADM_ID']}"},
        "code": concept(ICD9, row["ICD9_CODE"]),
    }
    if kind == "Procedure":
        return made | {"status": "completed"}
    status = concept("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed")
    return made | {"verificationStatus": status, "recordedDate": moment(admitted[row["HADM_ID"]])}


def _prescriptions(folder: Path) -> Iterator[dict[str, Any]]:
    for row in table(folder, "PRESCRIPTIONS").to_dict("records"):
        made: dict[str, Any] = {
            "resourceType": "MedicationRequest",
            "id": f"rx-{row['ROW_ID']}",
            "status": "completed",
            "intent": "order",
            "medicationCodeableConcept": concept(LOCAL + "drug", " ".join(row["DRUG"].split()) or "none"),
            "subject": {"reference": f"Patient/{row['SUBJECT_ID']}"},
            "encounter": {"reference": f"Encounter/adm-{row['HADM_ID']}"},
        }
        if row["STARTDATE"]:
            made["authoredOn"] = moment(row["STARTDATE"])
        dosage: dict[str, Any] = {"route": concept(LOCAL + "route", row["ROUTE"])} if row["ROUTE"] else {}
        dose = pd.to_numeric(row["DOSE_VAL_RX"], errors="coerce")
        if pd.notna(dose):
            dosage["doseAndRate"] = [{"doseQuantity": {"value": float(dose), "unit": row["DOSE_UNIT_RX"] or "unit"}}]
        yield made | ({"dosageInstruction": [dosage]} if dosage else {})


def _outputs(folder: Path) -> Iterator[dict[str, Any]]:
    labels = dict(table(folder, "D_ITEMS")[["ITEMID", "LABEL"]].itertuples(index=False, name=None))
    for row in table(folder, "OUTPUTEVENTS").to_dict("records"):
        made: dict[str, Any] = {
            "resourceType": "Observation",
            "id": f"out-{row['ROW_ID']}",
            "status": "final",
            "code": concept(LOCAL + "item", row["ITEMID"], labels.get(row["ITEMID"], "")),
            "subject": {"reference": f"Patient/{row['SUBJECT_ID']}"},
            "effectiveDateTime": moment(row["CHARTTIME"]),
        }
        if row["HADM_ID"]:
            made["encounter"] = {"reference": f"Encounter/adm-{row['HADM_ID']}"}
        if row["VALUE"]:
            made["valueQuantity"] = {"value": float(row["VALUE"]), "unit": row["VALUEUOM"] or "mL"}
        yield made


def write(made: Iterator[dict[str, Any]], out: Path, layout: str) -> None:
    """Writes NDJSON by type, a Bundle of each patient, or one Bundle."""
    if layout == "bundle":
        out.write_text(json.dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in made]}))
        return
    out.mkdir(parents=True)
    held: dict[str, list[dict[str, Any]]] = {}
    for one in made:
        owner = one["id"] if one["resourceType"] == "Patient" else one["subject"]["reference"].split("/")[1]
        held.setdefault(owner if layout == "bundles" else one["resourceType"], []).append(one)
    for name, part in held.items():
        if layout == "bundles":
            write(iter(part), out / f"{name}.json", "bundle")
        else:
            (out / f"{name}.ndjson").write_text("".join(json.dumps(one) + "\n" for one in part))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--layout", choices=("ndjson", "bundles", "bundle"), default="ndjson")
    asked = parser.parse_args()
    write(resources(asked.demo), asked.out, asked.layout)
