"""The schema found in real tables, with their traps; and in small made ones, where the right answer is known."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import datasets
from sklearn.datasets import load_breast_cancer, load_diabetes

from manikin.data.cells import column_texts, parse_table, texts_of
from manikin.data.dataset import Dataset
from manikin.data.rule_checks import combinations, violations
from manikin.data.rules import CombinationRule, ImpliedRule, OrderRule, Rule, SumRule, UniqueRule
from manikin.data.schema import Kind, MissingCode, Role, Schema, Storage, TableSchema
from manikin.io.inference import infer_schema
from manikin.io.rule_discovery import MAX_RULES
from manikin.io.schema_file import read_schema, write_schema
from manikin.io.tabular import read


def inferred(**columns: object) -> TableSchema:
    return infer_schema(pd.DataFrame(columns), "t").only


def kinds(schema: TableSchema) -> dict[str, str]:
    return {column.name: str(column.kind) for column in schema}


def suggested(schema: TableSchema, name: str) -> dict[str, str]:
    return {code.value: code.meaning for code in schema[name].suggested_missing}


def has_rule(schema: TableSchema, kind: type[Rule], *columns: str) -> bool:
    return any(type(rule) is kind and rule.columns == columns for rule in schema.rules)


@pytest.fixture(scope="module")
def diabetes_run(shared: Path) -> tuple[Dataset, float]:
    start = time.process_time()
    data = read(shared / "diabetes130" / "diabetic_data.csv.gz")
    return data, time.process_time() - start


@pytest.fixture(scope="module")
def diabetes130(diabetes_run: tuple[Dataset, float]) -> Dataset:
    return diabetes_run[0]


def test_diabetes130_kinds_and_roles(diabetes130: Dataset) -> None:
    schema = diabetes130.columns
    found = kinds(schema)
    assert found["encounter_id"] == "identifier"
    assert [column.name for column in schema.with_role(Role.PATIENT_KEY)] == ["patient_nbr"]
    assert [column.name for column in schema.with_role(Role.TARGET)] == ["readmitted"]
    for name in ("admission_type_id", "discharge_disposition_id", "admission_source_id", "gender", "race", "payer_code"):
        assert found[name] == "categorical", name
    for name in ("time_in_hospital", "num_procedures", "num_medications", "number_diagnoses", "number_inpatient"):
        assert found[name] == "count", name
    assert found["age"] == "ordinal"
    assert schema["age"].levels is not None
    assert schema["age"].levels[0] == "[0-10)"
    assert schema["age"].levels[-1] == "[90-100)"
    for name in ("diag_1", "diag_2", "diag_3"):
        assert (schema[name].kind, schema[name].code_system) == (Kind.CODE, "ICD-9-CM")
    assert diabetes130.n_records == 71_518


def test_diabetes130_question_marks_are_suggested_and_none_is_a_level(diabetes130: Dataset) -> None:
    schema = diabetes130.columns
    assert suggested(schema, "race") == {"?": "missing"}
    assert suggested(schema, "gender") == {"Unknown/Invalid": "unknown"}
    for name in ("max_glu_serum", "A1Cresult"):
        assert "None" in (schema[name].levels or ())
        assert not schema[name].missing
        assert not schema[name].suggested_missing
    assert not any(column.missing for column in schema)


def test_diabetes130_rules(diabetes130: Dataset) -> None:
    assert has_rule(diabetes130.columns, ImpliedRule, "diabetesMed", "insulin")
    assert has_rule(diabetes130.columns, UniqueRule, "encounter_id")


@pytest.mark.parametrize(
    "path",
    [
        "nhanes/nhanes_2009_2012.csv.gz",
        "support2/support2.csv.gz",
        "rct/opt.csv.gz",
        "survival/pbcseq.csv",
        "heart_uci/heart_4sites.csv",
        "mimic_iii_demo/ADMISSIONS.csv.gz",
        "fitbit/dailyActivity_merged.csv.gz",
    ],
)
def test_every_rule_offered_holds_in_every_row(shared: Path, path: str) -> None:
    data = read(shared / path)
    assert 0 < len(data.columns.rules) <= MAX_RULES
    for rule in data.columns.rules:
        allowed = combinations(rule, data.table, data.columns) if isinstance(rule, CombinationRule) else None
        assert not violations(rule, data.table, data.columns, allowed=allowed).any(), rule.text
        assert not rule.confirmed
        assert rule.evidence


def test_rules_that_medicine_would_expect(shared: Path) -> None:
    def schema(path: str) -> TableSchema:
        return read(shared / path).columns

    nhanes = schema("nhanes/nhanes_2009_2012.csv.gz")
    assert has_rule(nhanes, OrderRule, "DiabetesAge", "Age")
    assert has_rule(nhanes, ImpliedRule, "SexEver", "SexAge")
    assert has_rule(nhanes, CombinationRule, "HHIncome", "HHIncomeMid")
    admissions = schema("mimic_iii_demo/ADMISSIONS.csv.gz")
    assert has_rule(admissions, OrderRule, "admittime", "dischtime")
    assert has_rule(admissions, OrderRule, "dischtime", "deathtime")
    assert has_rule(schema("maternal_health/maternal_health_risk.csv"), OrderRule, "DiastolicBP", "SystolicBP")
    assert has_rule(schema("survival/cgd.csv"), OrderRule, "tstart", "tstop")
    assert has_rule(schema("survival/cgd.csv"), CombinationRule, "center", "hos.cat")
    assert has_rule(schema("survival/pbcseq.csv"), UniqueRule, "id", "day")
    assert has_rule(schema("survival/flchain.csv.gz"), CombinationRule, "chapter", "death")
    assert has_rule(schema("survival/mgus2.csv"), OrderRule, "ptime", "futime")
    assert not has_rule(schema("pima/pima.csv"), OrderRule, "diabetes_pedigree", "bmi")


def test_four_hospitals(shared: Path) -> None:
    data = read(shared / "heart_uci" / "heart_4sites.csv")
    schema, found = data.columns, kinds(data.columns)
    for name in ("cp", "restecg", "slope", "ca", "thal", "num"):
        assert found[name] == "categorical", name
    assert schema["thal"].levels == ("3", "6", "7")  # written 3 and 3.0 by different hospitals
    assert found["chol"] == "continuous"
    assert [code.value for code in schema["chol"].missing] == ["?"]
    assert any("written back" in note for note in schema["chol"].notes)
    assert suggested(schema, "chol") == {"0": "missing"}
    assert schema["num"].has_role(Role.TARGET)
    assert int((data.table.mark("ca") > 0).sum()) == 611


def test_pima_zeros_are_suggested_where_none_can_be(shared: Path) -> None:
    schema = read(shared / "pima" / "pima.csv").columns
    for name in ("glucose", "blood_pressure", "skin_thickness", "insulin", "bmi"):
        assert "missing" in suggested(schema, name).values(), name
    assert not suggested(schema, "pregnancies")
    assert schema["pregnancies"].kind is Kind.COUNT
    assert not any(column.missing for column in schema)


def test_flchain_is_rounded_to_three_digits_and_has_a_time_and_an_event(shared: Path) -> None:
    schema = read(shared / "survival" / "flchain.csv.gz").columns
    assert schema["kappa"].significant == 3
    assert schema["lambda"].significant == 3
    assert schema["creatinine"].significant is None
    assert schema["creatinine"].decimals == 1
    assert [column.name for column in schema.with_role(Role.TIME)] == ["futime"]
    assert [column.name for column in schema.with_role(Role.EVENT)] == ["death"]
    assert schema["flc.grp"].kind is Kind.CATEGORICAL


@pytest.mark.parametrize(
    ("path", "time", "event"),
    [
        ("survival/pbc.csv", "time", "status"),
        ("survival/gbsg2.csv", "time", "cens"),
        ("survival/cgd.csv", "tstop", "status"),
        ("support2/support2.csv.gz", "d.time", "death"),
        ("survival/mgus2.csv", "futime", "death"),
    ],
)
def test_time_to_event_pairs(shared: Path, path: str, time: str, event: str) -> None:
    schema = read(shared / path).columns
    assert [column.name for column in schema.with_role(Role.TIME)] == [time]
    assert [column.name for column in schema.with_role(Role.EVENT)] == [event]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("survival/pbcseq.csv", "id"),
        ("survival/colon.csv", "id"),
        ("mimic_iii_demo/ADMISSIONS.csv.gz", "subject_id"),
        ("rct/polyps.csv", "participant_id"),
        ("fitbit/dailyActivity_merged.csv.gz", "Id"),
        ("physionet2012/outcomes_a.csv", "RecordID"),
        ("support2/support2.csv.gz", None),
    ],
)
def test_patient_keys(shared: Path, path: str, key: str | None) -> None:
    found = [column.name for column in read(shared / path).columns.with_role(Role.PATIENT_KEY)]
    assert found == ([key] if key else [])


def test_more_traps(shared: Path) -> None:
    admissions = read(shared / "mimic_iii_demo" / "ADMISSIONS.csv.gz").columns
    assert {name: admissions[name].kind for name in ("row_id", "hadm_id")} == {
        "row_id": Kind.IDENTIFIER,
        "hadm_id": Kind.IDENTIFIER,
    }
    assert admissions["admittime"].kind is Kind.DATETIME
    assert admissions["admittime"].time_format == "%Y-%m-%d %H:%M:%S"
    assert set(suggested(admissions, "religion")) == {"NOT SPECIFIED", "UNOBTAINABLE"}
    patients = read(shared / "mimic_iii_demo" / "PATIENTS.csv.gz").columns
    assert patients["dob"].has_role(Role.DIRECT_IDENTIFIER)
    assert patients["dob"].kind is Kind.DATE  # all at midnight
    outcomes = read(shared / "physionet2012" / "outcomes_a.csv").columns
    assert suggested(outcomes, "SOFA") == {"-1": "missing"}
    nhanes = read(shared / "nhanes" / "nhanes_2009_2012.csv.gz").columns
    assert suggested(nhanes, "TVHrsDayChild") == {"77": "refused", "99": "unknown"}
    assert nhanes["HomeRooms"].kind is Kind.COUNT
    assert nhanes["HealthGen"].levels == ("Poor", "Fair", "Good", "Vgood", "Excellent")
    maternal = read(shared / "maternal_health" / "maternal_health_risk.csv").columns
    assert maternal["RiskLevel"].levels == ("low risk", "mid risk", "high risk")
    assert "cannot be" in " ".join(maternal["HeartRate"].notes)
    support = read(shared / "support2" / "support2.csv.gz").columns
    assert support["income"].levels == ("under $11k", "$11-$25k", "$25-$50k", ">$50k")
    assert support["Unnamed: 0"].kind is Kind.IDENTIFIER
    assert kinds(read(shared / "cardio70k" / "cardio_train.csv.gz").columns)["cholesterol"] == "categorical"
    assert kinds(read(shared / "survival" / "rhDNase.csv").columns)["inst"] == "categorical"


def test_bundled_tables_have_the_digits_they_were_written_with() -> None:
    cancer = infer_schema(load_breast_cancer(as_frame=True).frame, "cancer").only
    assert (cancer["mean radius"].decimals, cancer["mean radius"].significant) == (3, 4)
    assert cancer["mean texture"].significant is None
    assert cancer["target"].has_role(Role.TARGET)
    assert cancer["target"].storage is Storage.INTEGER
    assert all(column.kind is Kind.CONTINUOUS for column in cancer if column.name != "target")
    gbsg2 = infer_schema(datasets.load_gbsg2(), "gbsg2").only
    assert gbsg2["tgrade"].levels == ("I", "II", "III")
    assert gbsg2["horTh"].kind is Kind.BOOLEAN
    assert gbsg2["horTh"].levels == ("no", "yes")
    diabetes = infer_schema(load_diabetes(as_frame=True, scaled=False).frame, "d").only
    assert diabetes["age"].kind is Kind.CONTINUOUS
    assert diabetes["sex"].kind is Kind.CATEGORICAL


def test_marks_among_numbers_become_missing_codes_and_words_among_levels_stay() -> None:
    numbers = [str(i / 10) for i in range(150)]
    schema = inferred(lab=[*numbers, "?", "NA", *["<0.1"] * 11], ward=["a", "b", "?"] * 54 + ["unknown"])
    assert schema["lab"].kind is Kind.CONTINUOUS
    assert {code.value: code.meaning for code in schema["lab"].missing} == {
        "<0.1": "outside the measuring range",
        "?": "missing",
        "NA": "missing",
    }
    assert schema["lab"].notes
    assert not schema["ward"].missing
    assert suggested(schema, "ward") == {"?": "missing", "unknown": "unknown"}


@pytest.mark.parametrize(
    ("regular", "kind"),
    [
        ([f"{i / 10}" for i in range(150)], Kind.CONTINUOUS),
        (list(pd.date_range("2001-03-14", periods=150).strftime("%d.%m.%Y")), Kind.DATE),
    ],
)
def test_a_remark_in_a_column_of_values_is_read_as_empty_and_never_written(regular: list[str], kind: Kind) -> None:
    remark = "see Mrs Smith 0791"
    cells = [*regular, *["n/s"] * 11]
    cells[2] = remark
    extra = [str(i) for i in range(len(cells))]
    schema = infer_schema(pd.DataFrame({"value": cells, "other": extra}, dtype=object)).only
    column = schema["value"]
    assert column.kind is kind
    assert remark not in repr(schema)
    assert [code.value for code in column.missing] == ["", "n/s"]
    assert any("1 cells are none" in note and "row 4)" in note for note in column.notes)
    frame = pd.DataFrame({"value": cells, "other": extra}, dtype=object)
    again = texts_of(parse_table(frame, schema), schema)["value"]
    assert again[2] == ""
    assert list(again[3:]) == cells[3:]


def test_the_meaning_of_unreadable_cells_survives_the_schema_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"lab": [f"{i / 10}" for i in range(100)] + ["ask Ann"]}, dtype=object)
    write_schema(infer_schema(frame), tmp_path / "schema.toml")
    again = read_schema(tmp_path / "schema.toml")
    assert "ask Ann" not in (tmp_path / "schema.toml").read_text()
    assert read(frame, schema=again).table.mark("lab").tolist() == [0] * 100 + [1]
    person = Schema((again.only.replace_column(replace(again.only["lab"], missing=(MissingCode("ask Ann"),))),))
    assert column_texts(read(frame, schema=person).table, person.only["lab"])[-1] == "ask Ann"


@pytest.mark.parametrize("pattern", ["%Y-%m-%d", "%d.%m.%Y", "%Y-%m-%d %H:%M"])
def test_dates_of_far_years_are_dates(pattern: str) -> None:
    days = list(pd.date_range("2001-03-14 08:30", periods=60).strftime(pattern))
    far = [pd.Timestamp("2001-12-31 08:30").strftime(pattern).replace("2001", year) for year in ("9999", "0950")]
    frame = pd.DataFrame({"seen": [*days, *far]}, dtype=object)
    schema = infer_schema(frame).only
    assert schema["seen"].kind.is_time
    assert (str(schema["seen"].minimum)[:4], str(schema["seen"].maximum)[:4]) == ("0950", "9999")
    table = parse_table(frame, schema)
    assert texts_of(table, schema)["seen"].tolist() == [*days, *far]


def test_too_many_odd_cells_are_no_marks() -> None:
    schema = inferred(dose=[str(i) for i in range(50)] + [f"{i} mg" for i in range(50)])
    assert not schema["dose"].kind.is_number


def test_sodium_is_not_a_missing_code() -> None:
    assert not suggested(inferred(lab=["Na", "K", "Cl", "Mg"] * 10), "lab")


def test_dates_in_many_formats() -> None:
    days = pd.date_range("2001-03-14", periods=60)
    for pattern in ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%b-%Y", "%b %d, %Y", "%Y/%m/%d"):
        column = inferred(seen=list(days.strftime(pattern)))["seen"]
        assert (column.kind, column.time_format) == (Kind.DATE, pattern), pattern
    moments = pd.date_range("2001-03-14 07:15", periods=60, freq="7h")
    for pattern in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %I:%M:%S %p"):
        column = inferred(seen=list(moments.strftime(pattern)))["seen"]
        assert (column.kind, column.time_format) == (Kind.DATETIME, pattern), pattern


def test_dates_that_no_patient_has() -> None:
    days = list(pd.date_range("2001-03-14", periods=60).strftime("%Y-%m-%d"))
    column = inferred(seen=[*days, "1900-01-01", "9999-99-99"])["seen"]
    assert [code.value for code in column.missing] == ["9999-99-99"]  # no calendar has it, so it cannot stay a date
    assert [code.value for code in column.suggested_missing] == ["1900-01-01"]


def test_ambiguous_dates_say_so() -> None:
    column = inferred(seen=[f"0{i % 9 + 1}/0{i % 7 + 1}/2020" for i in range(60)])["seen"]
    assert any("other way round" in note for note in column.notes)


def test_codes_and_sets_of_codes() -> None:
    tens = ["E11.9", "I10.0", "J45.20", "N18.3", "C34.11", "F32.9", "K21.0", "M54.5", "G47.33", "E78.5", "R07.9", "I25.10"]
    schema = inferred(
        principal=tens * 5,
        drug=["A10BA02", "C09AA05", "N02BE01", "B01AC06", "C07AB02", "A02BC01", "J01CA04", "R03AC02", "N05BA01", "M01AE01"] * 6,
        test=["2339-0", "4548-4", "718-7", "2160-0", "2951-2", "2823-3", "777-3", "6690-2", "1742-6", "2085-9"] * 6,
        diagnoses=[f"{tens[i % 12]};{tens[(i + 5) % 12]}" for i in range(60)],
        diagnosis=["1", "2", "3"] * 20,
        bed=[f"A{i % 12 + 10}" for i in range(60)],
    )
    assert (schema["principal"].kind, schema["principal"].code_system) == (Kind.CODE, "ICD-10-CM")
    assert schema["drug"].code_system == "ATC"
    assert schema["test"].code_system == "LOINC"
    assert (schema["diagnoses"].kind, schema["diagnoses"].separator) == (Kind.CODE_SET, ";")
    assert schema["diagnosis"].kind is Kind.CATEGORICAL
    assert schema["bed"].kind is Kind.CATEGORICAL


def nhs_number(i: int) -> str | None:
    digits = f"{400_000_000 + 7919 * i:09d}"
    check = (11 - sum(int(d) * (10 - k) for k, d in enumerate(digits)) % 11) % 11
    return None if check == 10 else digits + str(check)


def test_direct_identifiers_by_name_and_by_content() -> None:
    n = 60
    valid = [number for number in map(nhs_number, range(200)) if number][:n]
    schema = inferred(
        contact=[f"p{i}@mail.example" for i in range(n)],
        surname=[f"Name{i % 40}" for i in range(n)],
        reach=[f"(555) 01{i:02d}-99{i:02d}"[:14] for i in range(n)],
        number=valid,
        tax=[f"{100 + i}-{10 + i}-{1000 + i}" for i in range(n)],
        lives=[f"{i + 1} Oak Street" for i in range(n)],
        page=[f"https://example.org/{i}" for i in range(n)],
        host=[f"10.0.0.{i}" for i in range(n)],
        dob=list(pd.date_range("1950-01-01", periods=n, freq="97D").strftime("%Y-%m-%d")),
        mail=["yes", "no"] * (n // 2),
        age=[str(20 + i % 50) for i in range(n)],
    )
    found = {column.name for column in schema.with_role(Role.DIRECT_IDENTIFIER)}
    assert found == {"contact", "surname", "reach", "number", "tax", "lives", "page", "host", "dob"}
    assert not {column.name for column in schema.learned} & found
    assert "contact" in " ".join(schema.notes)


def test_quasi_identifiers_and_sensitive_columns() -> None:
    schema = inferred(
        age=[str(20 + i % 50) for i in range(100)],
        sex=["F", "M"] * 50,
        zip_code=[f"0213{i % 10}" for i in range(100)],
        hiv_status=["neg", "pos"] * 50,
        glucose=[str(80 + i) for i in range(100)],
    )
    assert {column.name for column in schema.with_role(Role.QUASI_IDENTIFIER)} == {"age", "sex", "zip_code"}
    assert {column.name for column in schema.with_role(Role.SENSITIVE)} == {"hiv_status"}
    assert schema["zip_code"].kind is Kind.CATEGORICAL  # leading zeros: a code, not a number


def test_units_from_plain_names() -> None:
    values = [f"{i + 0.5}" for i in range(60)]
    names = {"age_years": "a", "dose_mg": "mg", "WeightKg": "kg", "glucose_mg_dl": "mg/dL", "AlcoholYear": None, "sodium": None}
    schema = inferred(**dict.fromkeys(names, values))
    assert {name: schema[name].unit for name in names} == names


def test_sums_are_found_with_their_rounding() -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(0, 40, (3, 300))
    x, y = rng.uniform(0, 5, (2, 300)).round(1)
    total = (x + y + 0.04 * rng.choice([-1, 1], 300)).round(1)
    schema = infer_schema(pd.DataFrame({"a": a, "b": b, "c": c, "all": a + b + c, "x": x, "y": y, "both": total}), "t").only
    sums = [rule for rule in schema.rules if isinstance(rule, SumRule)]
    assert {frozenset(rule.columns) for rule in sums} >= {frozenset({"all", "a", "b", "c"})}
    assert next(rule for rule in sums if "all" in rule.columns).tolerance == 0


def test_unrelated_columns_get_no_rules() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f"v{i}": rng.normal(size=500).round(2) for i in range(6)})
    frame["g"] = rng.choice(list("abc"), 500)
    frame["h"] = rng.choice(list("xyz"), 500)
    assert infer_schema(frame, "t").only.rules == ()


def test_a_table_of_100_000_rows_is_read_in_20_cpu_seconds(diabetes_run: tuple[Dataset, float]) -> None:
    assert diabetes_run[1] < 20
