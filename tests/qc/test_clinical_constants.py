"""Clinical constants entered a second time, from their sources: the tables of the package must say the same."""

from __future__ import annotations

import pytest

from manikin.clinical.codes import ICD9_GROUPS, ICD10_GROUPS, code_system
from manikin.clinical.plausibility import plausible_range

# ICD-9-CM, tabular list: chapter ranges as the official table of contents has them
ICD9_CHAPTERS = (
    "001-139 140-239 240-279 280-289 290-319 320-389 390-459 460-519 520-579 580-629 630-679 680-709 710-739 740-759 760-779 780-799 "
    "800-999 V01-V91 E000-E999"
)
# ICD-10, WHO 2019 browser: first category of each chapter, I to XXII
ICD10_FIRSTS = "A00 C00 D50 E00 F00 G00 H00 H60 I00 J00 K00 L00 M00 N00 O00 P00 Q00 R00 S00 V00 Z00 U00"


def test_chapters() -> None:
    assert [f"{row['first']}-{row['last']}" for row in ICD9_GROUPS.rows if row["level"] == "chapter"] == ICD9_CHAPTERS.split()
    assert [row["first"] for row in ICD10_GROUPS.rows if row["level"] == "chapter"] == ICD10_FIRSTS.split()


@pytest.mark.parametrize(
    ("system", "code", "block"),
    [
        ("ICD-9-CM", "410.71", "410-414"),  # acute myocardial infarction: ischemic heart disease
        ("ICD-9-CM", "486", "480-488"),  # pneumonia
        ("ICD-9-CM", "038.9", "030-041"),  # septicemia: other bacterial diseases
        ("ICD-9-CM", "585.6", "580-589"),  # end stage renal disease: nephritis, nephrotic syndrome and nephrosis
        ("ICD-9-CM", "401.9", "401-405"),  # hypertension
        ("ICD-9-CM", "V58.61", "V50-V59"),
        ("ICD-10-CM", "I21.4", "I20-I25"),
        ("ICD-10-CM", "J44.1", "J40-J47"),
        ("ICD-10-CM", "N18.6", "N17-N19"),
        ("ICD-10-CM", "C50.911", "C00-D49"),  # C50 is a block of its own: the chapter stands next
        ("ICD-10-CM", "F32.9", "F30-F39"),
        ("ICD-10-CM", "K70.30", "K70-K77"),
    ],
)
def test_blocks(system: str, code: str, block: str) -> None:
    assert next(one for one in code_system(system).ancestors(code) if "-" in one) == block


# APACHE II (Knaus 1985, table 1): the bounds beyond which four points are given
@pytest.mark.parametrize(
    ("name", "median", "low", "high"),
    [("heart_rate", 80, 39, 180), ("resp_rate", 16, 5, 50), ("sodium", 140, 110, 180), ("meanbp", 90, 49, 160)],
)
def test_apache(name: str, median: float, low: float, high: float) -> None:
    found = plausible_range(name, median=median)
    assert found is not None
    assert (found.minimum, found.maximum) == (low / 2, high * 1.5)


# Medicare Code Editor (ICD-10 definitions, v41): newborn 0, maternity 9 to 64 years; categories of the tabular lists, entered anew
MATERNAL = {"ICD-9-CM": "630-679 V22-V24 V27-V28", "ICD-10-CM": "A34-A34 O00-O9A Z33-Z34 Z36-Z37 Z39-Z39 Z3A-Z3A"}
LIVEBORN = {"ICD-9-CM": "V30-V39", "ICD-10-CM": "Z38-Z38"}
OF_MEN = {
    "ICD-9-CM": "072.0-072.0 185-187 222-222 233.4-233.6 236.4-236.6 257-257 600-608 752.5-752.5",
    "ICD-10-CM": "C60-C63 D07.4-D07.6 D29-D29 D40-D40 E29-E29 N40-N53 Q53-Q55",
}
OF_WOMEN = {
    "ICD-9-CM": "179-184 218-221 233.1-233.3 236.0-236.3 256-256 614-629 752.0-752.4",
    "ICD-10-CM": "C51-C58 D06-D06 D07.0-D07.3 D25-D28 D39-D39 E28-E28 N70-N77 N80-N98 Q50-Q52",
}


@pytest.mark.parametrize("system", ["ICD-9-CM", "ICD-10-CM"])
def test_codes_bound_to_sex_and_age(system: str) -> None:
    from manikin.clinical.bound_codes import FEMALE, MALE, UNKNOWN, bounds

    def named(sex: int, ages: tuple[int | None, int | None]) -> list[str]:
        return [f"{bound.first}-{bound.last}" for bound in bounds(system) if (bound.sex, bound.least, bound.most) == (sex, *ages)]

    assert named(FEMALE, (9, 64)) == MATERNAL[system].split()
    assert named(UNKNOWN, (0, 0)) == LIVEBORN[system].split()
    assert named(MALE, (None, None)) == OF_MEN[system].split()
    assert named(FEMALE, (None, None)) == OF_WOMEN[system].split()
    assert len(bounds(system)) == sum(len(one[system].split()) for one in (MATERNAL, LIVEBORN, OF_MEN, OF_WOMEN))
