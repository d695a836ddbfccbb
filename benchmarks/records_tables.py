"""Folders of linked tables for the comparison of generators of patients. Knows nothing of any synthesizer.

    python benchmarks/records_tables.py SHARED_DATA_FOLDER OUT [NAME...]

writes OUT/<name>/{train,holdout}/<table>.csv, the same as Parquet in OUT/<name>/parquet, a schema.toml in each part (where one is known
here) and OUT/<name>/judge.json, which tells the judge where patients, codes, values, keys and the target are. Patients are split once with
seed 0 and never stand on both sides; the 100 patients of the MIMIC-III demo are split alike for its tables and its hourly grid.

physionet2012 4,000 intensive care stays, 48 hours, 3,200 to learn from: `patients` (statics of minute 0 and the outcomes) and `events`.
              -1 means unknown there and becomes an empty cell; every other cell stays as it is, implausible ones too.
physionet600  600 of these 3,200 and the same 800 patients held out, first 24 hours: what slow peers can end on.
physionet600_grid  these as a regular grid: a row an hour up to the patient's last, a column a measurement, its last value in the hour.
pbcseq        312 patients with primary biliary cirrhosis and their visits.
icu_hourly    132 stays, an hourly grid of 48 measurements, 80 % of its cells empty.
mimic_iii     the MIMIC-III demo: 20 linked tables of 100 patients, five of them vocabularies.
meds          the MIMIC-IV demo as one stream of 916,166 events of 100 patients.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

TRAIN_SHARE = 0.8
N_SMALL, SMALL_MINUTES = 600, 1_440
STATICS = ("Age", "Gender", "Height", "ICUType")
UNKNOWN = -1
MOST_LEVELS = 2  # of a measurement of whole numbers, for it to be a flag
Tables = dict[str, pd.DataFrame]

PHYSIONET_SCHEMA = """\
[tables.patients]
form = "static"
primary_key = ["RecordID"]
columns.RecordID = {kind = "identifier", storage = "integer", roles = ["patient_key"]}
columns.Age = {kind = "count", storage = "integer", decimals = 0, unit = "a"}
columns.Gender = {kind = "categorical", storage = "integer", levels = ["0", "1"]}
columns.Height = {kind = "continuous", storage = "real", decimals = 1, unit = "cm"}
columns.ICUType = {kind = "categorical", storage = "integer", levels = ["1", "2", "3", "4"]}
columns.SAPS-I = {kind = "count", storage = "integer", decimals = 0}
columns.SOFA = {kind = "count", storage = "integer", decimals = 0}
columns.Length_of_stay = {kind = "count", storage = "integer", decimals = 0, unit = "d"}
columns.Survival = {kind = "count", storage = "integer", decimals = 0, unit = "d"}
columns.In-hospital_death = {kind = "categorical", storage = "integer", levels = ["0", "1"], roles = ["target"]}

[tables.events]
form = "events"
start = "minute"
foreign_keys = [{columns = ["RecordID"], table = "patients", references = ["RecordID"]}]
columns.RecordID = {kind = "identifier", storage = "integer", roles = ["patient_key"]}
columns.minute = {kind = "duration", storage = "integer", decimals = 0, unit = "min", roles = ["time"]}
columns.Parameter = {kind = "code", storage = "text"}
columns.Value = {kind = "continuous", storage = "real", by = "Parameter"}
"""

PBCSEQ_SCHEMA = """\
[tables.patients]
form = "static"
primary_key = ["id"]
columns.id = {kind = "identifier", storage = "integer", roles = ["patient_key"]}
columns.futime = {kind = "count", storage = "integer", decimals = 0, unit = "d"}
columns.status = {kind = "categorical", storage = "integer", levels = ["0", "1", "2"], roles = ["target"]}
columns.trt = {kind = "categorical", storage = "integer", levels = ["0", "1"]}
columns.age = {kind = "continuous", storage = "real", unit = "a"}
columns.sex = {kind = "categorical", storage = "text", levels = ["f", "m"]}
"""
ICU_HOURLY_SCHEMA = """\
[tables.stays]
form = "static"
primary_key = ["stay_id"]
columns.stay_id = {kind = "identifier", storage = "integer", roles = ["patient_key"]}
columns.age = {kind = "continuous", storage = "real", unit = "a"}
columns.sex = {kind = "categorical", storage = "text", levels = ["Female", "Male"]}
columns.height = {kind = "continuous", storage = "real", unit = "cm"}
columns.weight = {kind = "continuous", storage = "real", unit = "kg"}
"""


def grid_schema(parent: str, name: str, grid: pd.DataFrame, form: str, unit: str) -> str:
    """The schema of a table whose columns are a key, a time and measurements."""
    key, time, *measured = grid.columns
    lines = [f"[tables.{name}]", f'form = "{form}"', f'start = "{time}"']
    lines.append(f'foreign_keys = [{{columns = ["{key}"], table = "{parent}", references = ["{key}"]}}]')
    lines.append(f'columns.{key} = {{kind = "identifier", storage = "integer", roles = ["patient_key"]}}')
    lines.append(f'columns.{time} = {{kind = "duration", storage = "integer", decimals = 0, unit = "{unit}", roles = ["time"]}}')
    for column in measured:
        cells = grid[column].dropna()
        if (cells % 1 == 0).all():
            few = cells.nunique() <= MOST_LEVELS
            levels = ", ".join(f'"{int(value)}"' for value in sorted(cells.unique()))
            told = f'kind = "categorical", levels = [{levels}]' if few else 'kind = "count", decimals = 0'
            lines.append(f'columns."{column}" = {{{told}, storage = "integer"}}')
        else:
            lines.append(f'columns."{column}" = {{kind = "continuous", storage = "real"}}')
    return "\n".join(lines) + "\n"


PATIENT_EVENTS = {"table": "events", "key": "RecordID", "time": "minute", "unit": "min", "code": "Parameter", "value": "Value"}
PHYSIONET_JUDGE = {
    "patients": {
        "table": "patients",
        "key": "RecordID",
        "categories": ["Gender", "ICUType", "In-hospital_death"],
        "target": "In-hospital_death",
        "positive": "1",
        "after_the_fact": ["Survival", "Length_of_stay", "SAPS-I", "SOFA"],
    },
    "events": [PATIENT_EVENTS],
    "keys": {"patients": ["RecordID"]},
    "links": [{"table": "events", "columns": ["RecordID"], "to": "patients", "references": ["RecordID"]}],
}


def physionet2012(shared: Path) -> Tables:
    """The stays with their statics of minute 0 beside the outcomes, and all other measurements as events."""
    events = pd.read_parquet(shared / "physionet2012" / "set_a_events.parquet")
    events["Parameter"] = events["Parameter"].astype(str)
    is_static = events["Parameter"].isin(STATICS)
    statics = events[is_static].pivot(index="RecordID", columns="Parameter", values="Value")[list(STATICS)].astype(str).astype(float)
    outcomes = pd.read_csv(shared / "physionet2012" / "outcomes_a.csv").set_index("RecordID")
    patients = statics.join(outcomes)
    patients = patients.mask(patients == UNKNOWN)
    whole = [name for name in patients if name != "Height"]
    patients = patients.astype(dict.fromkeys(whole, "Int64")).reset_index()
    events = events[~is_static].reset_index(drop=True)
    value = events["Value"].astype(str).astype(float)  # the shortest text of a float32: 92.33, not 92.3300018
    return {"patients": patients, "events": events.assign(Value=value.mask(value == UNKNOWN))}


def hourly(events: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Events as a grid: every hour from 0 to the patient's last, and each measurement's last value in it."""
    known = events.dropna(subset="Value").assign(hour=events["minute"] // 60)
    last = known.groupby(["RecordID", "hour", "Parameter"])["Value"].last().unstack().reindex(columns=names)
    ends = events.groupby("RecordID")["minute"].max() // 60
    keys = np.repeat(ends.index.to_numpy(), ends.to_numpy() + 1)
    hours = np.concatenate([np.arange(end + 1) for end in ends])
    grid = last.reindex(pd.MultiIndex.from_arrays([keys, hours], names=["RecordID", "hour"])).reset_index()
    whole = [name for name in names if (grid[name].dropna() % 1 == 0).all()]
    return grid.astype(dict.fromkeys(whole, "Int64")).rename_axis(columns=None)


def pbcseq(shared: Path) -> Tables:
    """Patients and their visits; futime and status end the follow-up and stay with the patient."""
    frame = pd.read_csv(shared / "survival" / "pbcseq.csv")
    fixed = ["id", "futime", "status", "trt", "age", "sex"]
    patients = frame[fixed].drop_duplicates("id").reset_index(drop=True)
    visits = frame[["id", "day", *(name for name in frame if name not in (*fixed, "day"))]]
    flags = ["ascites", "hepato", "spiders"]
    return {"patients": patients, "visits": visits.astype(dict.fromkeys(flags, "Int64"))}


def icu_hourly(shared: Path) -> Tables:
    """Stays and their hourly grid, hours as whole numbers."""
    folder = shared / "icu_hourly_mimic_demo"
    grid, stays = pd.read_parquet(folder / "los_dyn.parquet"), pd.read_parquet(folder / "los_sta.parquet")
    hour = (grid["time"].dt.total_seconds() / 3600).round().astype(int)
    grid = grid.drop(columns="time")
    grid.insert(1, "hour", hour)
    return {"stays": stays, "grid": grid}


def mimic_iii(shared: Path) -> Tables:
    """All tables as they are, read as text so that codes keep their zeros."""
    files = sorted((shared / "mimic_iii_demo").glob("*.csv.gz"))
    return {path.name.removesuffix(".csv.gz"): pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""]) for path in files}


def meds(shared: Path) -> Tables:
    """One stream of events."""
    events = pd.read_parquet(shared / "mimic_iv_demo_meds" / "events.parquet")
    value = events["value"].astype(str).astype(float)
    return {"events": events.assign(code=events["code"].astype(str), value=value)}


def chosen_for_train(patients: Iterable[object], n: int | None = None) -> np.ndarray:
    """The patients to learn from, in drawn order; the same for the same patients."""
    order = np.random.default_rng(0).permutation(np.unique(np.asarray(list(patients))))
    return order[: round(TRAIN_SHARE * len(order)) if n is None else n]


def of_patients(tables: Tables, owners: Mapping[str, pd.Series | None], kept: Iterable[object]) -> Tables:
    """The rows of some patients; a table without owners is a vocabulary and stays whole."""
    kept = set(kept)
    whose = {name: owners.get(name) for name in tables}
    return {
        name: table if whose[name] is None else table[whose[name].isin(kept).to_numpy()].reset_index(drop=True)
        for name, table in tables.items()
    }


def write(out: Path, name: str, parts: Mapping[str, Tables], judge: Mapping[str, object], schema: str | None = None) -> None:
    """Writes both parts in both formats, with what is known of them."""
    for part, tables in parts.items():
        for form in ("csv", "parquet"):
            folder = out / name / part if form == "csv" else out / name / "parquet" / part
            folder.mkdir(parents=True, exist_ok=True)
            for table, frame in tables.items():
                if form == "csv":
                    frame.to_csv(folder / f"{table}.csv", index=False)
                else:
                    frame.to_parquet(folder / f"{table}.parquet", index=False)
            if schema is not None:
                (folder / "schema.toml").write_text(schema)
    (out / name / "judge.json").write_text(json.dumps(judge, indent=1) + "\n")
    rows = {part: {table: len(frame) for table, frame in tables.items()} for part, tables in parts.items()}
    print(f"{name}: {rows}")


def write_physionet(shared: Path, out: Path, wanted: set[str]) -> None:
    """The whole table and the small one, from one split."""
    tables = physionet2012(shared)
    owners = {name: table["RecordID"] for name, table in tables.items()}
    train = chosen_for_train(tables["patients"]["RecordID"])
    held_out = set(tables["patients"]["RecordID"]) - set(train)
    parts = {"train": of_patients(tables, owners, train), "holdout": of_patients(tables, owners, held_out)}
    if "physionet2012" in wanted:
        write(out, "physionet2012", parts, PHYSIONET_JUDGE, PHYSIONET_SCHEMA)
    if wanted.intersection(("physionet600", "physionet600_grid")):
        of_train = {name: table["RecordID"] for name, table in parts["train"].items()}
        small = {"train": of_patients(parts["train"], of_train, train[:N_SMALL]), "holdout": parts["holdout"]}
        day = {p: t | {"events": t["events"][t["events"]["minute"] < SMALL_MINUTES]} for p, t in small.items()}
        if "physionet600" in wanted:
            write(out, "physionet600", day, PHYSIONET_JUDGE, PHYSIONET_SCHEMA)
        if "physionet600_grid" in wanted:
            names = sorted(tables["events"]["Parameter"].unique())
            made = {p: {"patients": t["patients"], "grid": hourly(t["events"], names)} for p, t in day.items()}
            both = pd.concat([t["grid"] for t in made.values()])
            schema = PHYSIONET_SCHEMA.split("[tables.events]")[0] + grid_schema("patients", "grid", both, "grid", "h")
            events = {"table": "grid", "key": "RecordID", "time": "hour", "unit": "h", "wide": True}
            links = [PHYSIONET_JUDGE["links"][0] | {"table": "grid"}]
            write(out, "physionet600_grid", made, PHYSIONET_JUDGE | {"events": [events], "links": links}, schema)


def write_pbcseq(shared: Path, out: Path) -> None:
    """Patients and visits; death is the target, the follow-up's length is known only after it."""
    tables = pbcseq(shared)
    owners = {name: table["id"] for name, table in tables.items()}
    train = chosen_for_train(tables["patients"]["id"])
    held_out = set(tables["patients"]["id"]) - set(train)
    parts = {"train": of_patients(tables, owners, train), "holdout": of_patients(tables, owners, held_out)}
    patients = {"table": "patients", "key": "id", "categories": ["status", "trt", "sex"], "target": "status", "positive": "2"}
    judge = {
        "patients": patients | {"after_the_fact": ["futime"]},
        "events": [{"table": "visits", "key": "id", "time": "day", "unit": "D", "wide": True}],
        "keys": {"patients": ["id"]},
        "links": [{"table": "visits", "columns": ["id"], "to": "patients", "references": ["id"]}],
    }
    write(out, "pbcseq", parts, judge, PBCSEQ_SCHEMA + grid_schema("patients", "visits", tables["visits"], "events", "d"))


def write_icu_hourly(shared: Path, out: Path) -> None:
    """The grid, its stays split by patient of the MIMIC-III demo."""
    tables, demo = icu_hourly(shared), mimic_iii(shared)
    whose = demo["ICUSTAYS"].assign(stay=lambda f: f["icustay_id"].astype(int)).set_index("stay")["subject_id"]
    owners = {name: table["stay_id"].map(whose) for name, table in tables.items()}
    train = chosen_for_train(demo["PATIENTS"]["subject_id"])
    held_out = set(demo["PATIENTS"]["subject_id"]) - set(train)
    judge = {
        "patients": {"table": "stays", "key": "stay_id", "categories": ["sex"]},
        "events": [{"table": "grid", "key": "stay_id", "time": "hour", "unit": "h", "wide": True}],
        "keys": {"stays": ["stay_id"]},
        "links": [{"table": "grid", "columns": ["stay_id"], "to": "stays", "references": ["stay_id"]}],
    }
    parts = {"train": of_patients(tables, owners, train), "holdout": of_patients(tables, owners, held_out)}
    write(out, "icu_hourly", parts, judge, ICU_HOURLY_SCHEMA + grid_schema("stays", "grid", tables["grid"], "grid", "h"))


MIMIC_EVENTS = [  # table, code, time, value
    ("DIAGNOSES_ICD", "icd9_code", None, None),
    ("PROCEDURES_ICD", "icd9_code", None, None),
    ("DRGCODES", "drg_code", None, None),
    ("CPTEVENTS", "cpt_cd", "chartdate", None),
    ("PRESCRIPTIONS", "drug", "startdate", None),
    ("OUTPUTEVENTS", "itemid", "charttime", "value"),
    ("INPUTEVENTS_MV", "itemid", "starttime", "amount"),
    ("PROCEDUREEVENTS_MV", "itemid", "starttime", "value"),
    ("MICROBIOLOGYEVENTS", "spec_itemid", "chartdate", None),
    ("DATETIMEEVENTS", "itemid", "charttime", None),
    ("SERVICES", "curr_service", "transfertime", None),
    ("TRANSFERS", "curr_careunit", "intime", None),
    ("ADMISSIONS", "admission_type", "admittime", None),
]
MIMIC_LINKS = [
    ("hadm_id", "ADMISSIONS", "hadm_id"),
    ("icustay_id", "ICUSTAYS", "icustay_id"),
    ("subject_id", "PATIENTS", "subject_id"),
]


def write_mimic_iii(shared: Path, out: Path) -> None:
    """The 20 tables. Their schema is what `manikin inspect` proposes for the folder."""
    tables = mimic_iii(shared)
    owners = {name: table.get("subject_id") for name, table in tables.items()}
    train = chosen_for_train(tables["PATIENTS"]["subject_id"])
    held_out = set(tables["PATIENTS"]["subject_id"]) - set(train)
    links = [
        {"table": name, "columns": [column], "to": to, "references": [key]}
        for name, table in tables.items()
        for column, to, key in MIMIC_LINKS
        if column in table and name != to
    ]
    links += [
        {"table": name, "columns": ["itemid"], "to": "D_ITEMS", "references": ["itemid"]}
        for name in tables
        if name not in ("D_ITEMS", "D_LABITEMS") and "itemid" in tables[name]
    ]
    judge = {
        "patients": {"table": "PATIENTS", "key": "subject_id", "categories": ["gender", "expire_flag"], "only": ["gender", "expire_flag"]},
        "events": [
            {"table": table, "key": "subject_id", "code": code} | {k: v for k, v in (("time", time), ("value", value)) if v}
            for table, code, time, value in MIMIC_EVENTS
        ],
        "keys": {"PATIENTS": ["subject_id"], "ADMISSIONS": ["hadm_id"], "ICUSTAYS": ["icustay_id"]},
        "links": links,
    }
    write(out, "mimic_iii", {"train": of_patients(tables, owners, train), "holdout": of_patients(tables, owners, held_out)}, judge)


def write_meds(shared: Path, out: Path) -> None:
    """One table of events; a patient is who has events."""
    tables = meds(shared)
    owners = {"events": tables["events"]["subject_id"]}
    train = chosen_for_train(tables["events"]["subject_id"])
    held_out = set(tables["events"]["subject_id"]) - set(train)
    judge = {
        "patients": {"table": None, "key": "subject_id", "categories": []},
        "events": [{"table": "events", "key": "subject_id", "time": "time", "code": "code", "value": "value"}],
        "keys": {},
        "links": [],
    }
    write(out, "meds", {"train": of_patients(tables, owners, train), "holdout": of_patients(tables, owners, held_out)}, judge)


PLAIN: dict[str, Callable[[Path, Path], None]] = {
    "pbcseq": write_pbcseq,
    "icu_hourly": write_icu_hourly,
    "mimic_iii": write_mimic_iii,
    "meds": write_meds,
}
OF_PHYSIONET = ("physionet2012", "physionet600", "physionet600_grid")


def main(shared: Path, out: Path, names: list[str]) -> None:
    """Writes every folder that is named, or all, below `out`."""
    known = [*OF_PHYSIONET, *PLAIN]
    wanted = set(names or known)
    if unknown := wanted - set(known):
        raise SystemExit(f"There is no folder {', '.join(sorted(unknown))}. Known: {', '.join(known)}.")
    if wanted.intersection(OF_PHYSIONET):
        write_physionet(shared, out, wanted)
    for name, make in PLAIN.items():
        if name in wanted:
            make(shared, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
