"""Codes that sex or age excludes: ranges, groups of codes, and what is not known excludes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from manikin.clinical.bound_codes import FEMALE, MALE, UNKNOWN, bounds, bounds_on, is_age, limits, sexes_of, system_of
from manikin.clinical.codes import SYSTEMS


def test_ranges_are_codes_and_do_not_overlap() -> None:
    for name in ("ICD-9-CM", "ICD-10-CM"):
        own = bounds(name)
        assert len(own) > 15
        for bound in own:
            assert SYSTEMS[name].is_code(bound.first)
            assert SYSTEMS[name].is_code(bound.last)
            assert bound.first <= bound.last
            assert len(bound.first) == len(bound.last)
            assert bound.sex != UNKNOWN or bound.least is not None
            others = [other for other in own if other is not bound and (other.holds(bound.first) or other.holds(bound.last))]
            assert not others, "no code is bound twice"


@pytest.mark.parametrize(
    ("system", "code", "sex", "ages"),
    [
        ("ICD-9-CM", "650", FEMALE, (9, 65)),
        ("ICD-9-CM", "V27.0", FEMALE, (9, 65)),
        ("ICD-9-CM", "V2701", FEMALE, (9, 65)),
        ("ICD-9-CM", "60000", MALE, None),
        ("ICD-9-CM", "185", MALE, None),
        ("ICD-9-CM", "V30.00", UNKNOWN, (0, 1)),
        ("ICD-9-CM", "630-639", FEMALE, (9, 65)),
        ("ICD-9-CM", "250.00", UNKNOWN, None),
        ("ICD-9-CM", "610.1", UNKNOWN, None),  # breast: both
        ("ICD-9-CM", "E885", UNKNOWN, None),
        ("ICD-10-CM", "O80", FEMALE, (9, 65)),
        ("ICD-10-CM", "O9A.21", FEMALE, (9, 65)),
        ("ICD-10-CM", "C61", MALE, None),
        ("ICD-10-CM", "D07.5", MALE, None),
        ("ICD-10-CM", "D075", MALE, None),
        ("ICD-10-CM", "N60.1", UNKNOWN, None),  # breast: both
        ("ICD-10-CM", "P07.3", UNKNOWN, None),  # may last through life
        ("ICD-10-CM", "Z38.00", UNKNOWN, (0, 1)),
        ("MEDS", "DIAGNOSIS//ICD//9//V3001", UNKNOWN, (0, 1)),
        ("MEDS", "DIAGNOSIS//ICD//10//O80", FEMALE, (9, 65)),
        ("MEDS", "DIAGNOSIS//ICD10CM//C61", MALE, None),
        ("MEDS", "DIAGNOSIS//ICD//9", UNKNOWN, None),
        ("MEDS", "PROCEDURE//ICD//9//650", UNKNOWN, None),
        ("MEDS", "LAB//51301//K/uL", UNKNOWN, None),
    ],
)
def test_codes(system: str, code: str, sex: int, ages: tuple[int, int] | None) -> None:
    found = bounds_on(system, code)
    assert len(found) == (sex != UNKNOWN or ages is not None)
    own = limits(system, [[code]])
    least, below = ages or (-np.inf, np.inf)
    assert (own.least[0], own.below[0]) == (least, below)
    other = {FEMALE: MALE, MALE: FEMALE}.get(sex)
    ages_of = np.array([20.0, 20.0, np.nan]) if ages != (0, 1) else np.array([0.5, 0.5, np.nan])
    is_open = own.open_to(np.array([FEMALE, MALE, UNKNOWN], dtype=np.int8), ages_of)[:, 0]
    assert is_open.tolist() == [other != FEMALE, other != MALE, True], "what is not known excludes nothing"


def test_a_token_that_stands_for_several_codes_is_open_where_all_are() -> None:
    own = limits("ICD-9-CM", [["650", "250.00"], []])
    assert own.open_to(np.array([MALE], dtype=np.int8), np.array([30.0])).tolist() == [[False, True]]


def test_sex_and_age_are_known_where_a_column_plainly_says_so() -> None:
    assert sexes_of("patients.gender", ["F", "M", "", "other"]) == {"F": FEMALE, "M": MALE}
    assert sexes_of("gender_concept_id", ["8507", "8532", "0"]) == {"8507": MALE, "8532": FEMALE}
    assert sexes_of("GENDER", ["GENDER//F", "GENDER//M"]) == {"GENDER//F": FEMALE, "GENDER//M": MALE}
    assert sexes_of("Gender", ["0", "1"]) == sexes_of("group", ["f", "m"]) == {}
    assert is_age("Age", "a")
    assert is_age("people.age_years", None)
    assert not is_age("age", "d")
    assert not is_age("stage", "a")


def test_systems_are_those_that_the_schema_names() -> None:
    assert [system_of(name) for name in ("ICD-9-CM", "icd10", "ICD-10-CM", "ATC", "LOINC", "MEDS", "icd-o", None)] == [
        "ICD-9-CM",
        "ICD-10-CM",
        "ICD-10-CM",
        None,
        None,
        "MEDS",
        None,
        None,
    ]
