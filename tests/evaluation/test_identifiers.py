"""Identifiers in a release are counted, wherever they stand, and never named; coarse look-alikes are not."""

from __future__ import annotations

import json
import time

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import manikin as mk
from evaluation.simulated import evidence
from manikin.evaluation.identifiers import identifiers
from manikin.io.phi_patterns import _SIEVE, PATTERNS, identifying_part

N = 60


def patients(first: int, **columns: list[str]) -> pd.DataFrame:
    rows = range(first, first + N)
    return pd.DataFrame(
        {
            "patient_id": [f"{7_000_000 + 37 * i}" for i in rows],
            "email": [f"person{i}@example.org" for i in rows],
            "note": [f"seen by Dr Number{i} after a fall" if i % 3 else "none" for i in rows],
            "age": [str(20 + i % 60) for i in rows],
            "ward": [("surgery", "medicine")[i % 2] for i in rows],
        }
        | columns
    )


SCHEMA = """
[columns.patient_id]
kind = "identifier"
roles = ["patient_key"]
[columns.email]
kind = "text"
roles = ["direct_identifier"]
[columns.note]
kind = "text"
[columns.age]
kind = "count"
storage = "integer"
decimals = 0
[columns.ward]
kind = "categorical"
"""


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """A function from a synthetic frame to what the metric finds in it."""
    from manikin.workflow.sources import read_alike

    folder = tmp_path_factory.mktemp("three")
    (folder / "schema.toml").write_text('name = "patients"\n' + SCHEMA)
    patients(0).to_csv(folder / "train.csv", index=False)
    patients(N).to_csv(folder / "holdout.csv", index=False)

    def found(synthetic: pd.DataFrame):
        synthetic.to_csv(folder / "synthetic.csv", index=False)
        real, (held, made) = read_alike(
            folder / "train.csv", [folder / "holdout.csv", folder / "synthetic.csv"], schema=folder / "schema.toml"
        )
        from manikin.workflow.judge import shared_columns

        data = evidence(real, held, made, target=None)
        data = type(data)(data.train, data.holdout, data.synthetic, shared_columns(real, held, [made]))
        return identifiers(data, seed=0)

    return found


FRESH = patients(1000)[["age", "ward"]]


def what(result):
    return {(row["column"], row["what"].split(",")[0]): row["n_cells"] for row in result.details["columns"]}


def test_a_fresh_release_has_none(judge):
    result = judge(FRESH.assign(patient_id=[str(i + 1) for i in range(N)]))
    assert (result.value, result.reference, result.interval) == (0.0, 0.0, None)
    assert result.details["columns"] == []
    assert result.n == 2 * N  # ages are numbers; wards and the new keys were looked at


def test_columns_of_the_schema_that_hold_real_values_are_found(judge):
    result = judge(patients(0))
    assert what(result)[("email", "value of a real identifier in its own column")] == N
    assert what(result)[("patient_id", "value of a real identifier in its own column")] == N
    assert what(result)[("note", "value of a real identifier in its own column")] == 40  # "none" identifies nobody
    assert result.value == 2 * N + 40


def test_people_of_the_holdout_count_too(judge):
    assert judge(patients(N)).value == 2 * N + 40


def test_keys_made_anew_are_no_disclosure(judge):
    assert judge(FRESH.assign(patient_id=[str(i) for i in range(N)])).value == 0
    assert judge(FRESH.assign(patient_id=[str(7_000_000 + 37 * i + 1) for i in range(N)])).value == 0


def test_a_key_of_whole_numbers_may_equal_that_of_something_else(tmp_path):
    """Keys of two families that are made anew, each above its own real ones, meet those of the other family by chance."""
    schema = """name = "rows"
[columns.row]
kind = "identifier"
storage = "integer"
[columns.patient]
kind = "identifier"
storage = "integer"
roles = ["patient_key"]
[columns.note]
kind = "text"
[columns.age]
kind = "count"
storage = "integer"
decimals = 0
"""
    (tmp_path / "schema.toml").write_text(schema)
    notes = [f"a note about case {i}" for i in range(20)]
    real = pd.DataFrame({"row": range(50_000, 50_020), "patient": range(10_000, 10_020), "note": notes, "age": range(40, 60)})
    train = mk.read(real, schema=tmp_path / "schema.toml")
    shared = train.columns

    def found(**columns):
        made = mk.read(real.assign(**columns), schema=tmp_path / "schema.toml")
        data = evidence(train, train, made, target=None)
        return identifiers(type(data)(data.train, data.holdout, data.synthetic, shared), seed=0).value

    fresh = {"note": ["something else"] * 20, "row": range(90_000, 90_020)}
    assert found(**fresh, patient=range(50_000, 50_020)) == 0
    assert found(**fresh, patient=range(10_000, 10_020)) == 20
    assert found(**fresh | {"note": [str(i) for i in range(50_000, 50_020)]}, patient=range(60_000, 60_020)) == 20


def test_a_column_that_the_schema_does_not_know_is_seen(judge):
    result = judge(FRESH.assign(remark=patients(0)["note"], contact=[f"x{i}@clinic.org" for i in range(N)]))
    assert what(result) == {("contact", "e-mail address"): N, ("remark", "value of a real identifier or free text"): 40}
    assert result.details["unjudged"] == ["remark", "contact"]


@pytest.mark.parametrize("name", ["surname", "date_of_birth", "MRN"])
def test_an_unknown_column_is_known_by_its_name(judge, name):
    cells = [f"19{i:02d}-03-{1 + i % 28:02d}" if name == "date_of_birth" else f"Q{i}x" for i in range(N)]
    assert judge(FRESH.assign(**{name: cells})).value == N


def test_a_pattern_in_a_judged_column_is_found(judge):
    ward = ["surgery"] * (N - 2) + ["call 0171 555 0199", "10.0.0.17"]
    assert judge(FRESH.assign(ward=ward)).value == 2


def test_no_value_is_named(judge):
    text = json.dumps(judge(patients(0)).details) + judge(patients(0)).note
    assert "example.org" not in text
    assert "Number1" not in text
    assert "7000000" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jo.doe+x@mail.example.co.uk", "e-mail address"),
        ("see https://example.org/p/17", "web address"),
        ("from 192.168.10.4", "network address"),
        ("00:1A:2B:3C:4D:5E", "network address"),
        ("078-05-1120", "social security number"),
        ("943 476 5919", "health service number"),
        ("QQ 12 34 56 C", None),
        ("AB 12 34 56 C", "national insurance number"),
        ("+44 20 7946 0958", "telephone number"),
        ("(0171) 555-0199", "telephone number"),
        ("DE89 3704 0044 0532 0130 00", "account number"),
        ("MRN: 0012345", "medical record number"),
        ("250.83", None),
        ("[70-80)", None),
        ("2020-01-31", None),
        ("0002-1433-80", None),
        ("120/80 mmHg", None),
        ("000-12-3456", None),
        ("943 476 5918", "telephone number"),
        ("E11.9; I10", None),
        ("version 1.2.3", None),
    ],
)
def test_patterns(text, expected):
    assert identifying_part(text) == expected


SIGNS = "@:.-+() 0123456789ABCDNWMRmnr/"


@given(st.text(SIGNS, max_size=40), st.text(SIGNS, max_size=12))
def test_the_sieve_lets_every_match_through(text, more):
    for candidate in (text, f"a@b.de{more}", f"MRN {more}", f"https://{more}", f"10.{more}", f"DE{more}", f"+44{more}"):
        assert not any(pattern.search(candidate) for _, pattern, _ in PATTERNS) or _SIEVE.search(candidate)


def test_frames_are_seen_whole():
    train, holdout = patients(0)[["age", "ward"]], patients(N)[["age", "ward"]]
    release = FRESH.assign(mail=[f"x{i}@clinic.org" for i in range(N)])
    results = mk.evaluate(train=train, holdout=holdout, synthetic=release, metrics=["identifiers"], attacks=[])
    assert results["identifiers"].value == N


def test_free_text_made_anew_is_unjudged_since_no_attack_can_look_at_it(judge):
    written = patients(2 * N)
    found = judge(written.drop(columns="email"))
    assert found.details["unjudged"] == ["note"]
    assert found.value == 0
    assert judge(written.drop(columns=["email", "note"])).details["n_unjudged"] == 0
    assert judge(written.assign(note="").drop(columns="email")).details["n_unjudged"] == 0


LONG = ("@ " + "a" * 60_000, "x@" + "a." * 30_000 + "1", "www." + "a" * 60_000, "1" * 60_000, "@" + "(1) " * 15_000)


@pytest.mark.parametrize("text", LONG, ids=["local part", "domain", "web", "digits", "brackets"])
def test_a_long_hostile_cell_takes_no_long_time(text):
    began = time.process_time()
    assert identifying_part(text) is None
    assert time.process_time() - began < 2, "without bounds it is 20 seconds and more"
