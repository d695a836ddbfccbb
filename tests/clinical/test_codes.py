"""Code systems: what is a code, its one spelling, and what stands above it."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from manikin.clinical.codes import (
    ICD9_GROUPS,
    ICD10_GROUPS,
    SYSTEMS,
    Groups,
    code_system,
    public_children,
    public_groups,
    recognise,
    spellings,
)
from manikin.data.errors import ParameterError


@pytest.mark.parametrize(
    ("system", "code", "above"),
    [
        ("ICD-9-CM", "250.83", ("250.8", "250", "249-259", "240-279")),
        ("ICD-9-CM", "25083", ("250.8", "250", "249-259", "240-279")),
        ("ICD-9-CM", "8", ("001-009", "001-139")),  # 008 whose zeros a spreadsheet dropped
        ("ICD-9-CM", "V27.0", ("V27", "V20-V29", "V01-V91")),
        ("ICD-9-CM", "E8788", ("E878", "E878-E879", "E000-E999")),
        ("ICD-9-CM", "042", ("001-139",)),  # the block of one category is the category
        ("ICD-9-CM", "280.1", ("280", "280-289")),  # a chapter without blocks
        ("ICD-9-CM", "249-259", ("240-279",)),
        ("ICD-9-CM", "240-279", ()),
        ("ICD-9-CM", "?", ()),
        ("ICD-10-CM", "E11.9", ("E11", "E08-E14", "E00-E90")),
        ("ICD-10-CM", "e119", ("E11", "E08-E14", "E00-E90")),
        ("ICD-10-CM", "S72.001A", ("S72.001", "S72.00", "S72.0", "S72", "S70-S79", "S00-T98")),
        ("ATC", "A10BA02", ("A10BA", "A10B", "A10", "A")),
        ("ATC", "A", ()),
        ("LOINC", "2339-0", ()),
    ],
)
def test_ancestors(system: str, code: str, above: tuple[str, ...]) -> None:
    found = code_system(system)
    assert found.ancestors(code) == above
    assert found.parent(code) == (above[0] if above else None)


@pytest.mark.parametrize(
    ("system", "good", "bad"),
    [
        ("ICD-9-CM", ["250.83", "V27", "E909", "E909.1", "001"], ["2500.1", "V2", "E90", "", "?", "E9091.11"]),
        ("ICD-10-CM", ["E11.9", "O9A.1", "S72.001A", "Z00"], ["11.9", "E1", "E11.", "", "E11.99999"]),
        ("ATC", ["A10BA02", "A10B", "A10"], ["A1", "X10BA02", "A10BA2", "10BA02"]),
        ("LOINC", ["2339-0", "4548-4", "718-7"], ["2339-1", "4548", "71a-7"]),
    ],
)
def test_what_is_a_code(system: str, good: list[str], bad: list[str]) -> None:
    found = code_system(system)
    assert [code for code in good if not found.is_code(code)] == []
    assert [code for code in bad if found.is_code(code)] == []
    assert found.matches(good + bad) == pytest.approx(len(good) / len(good + bad))
    assert found.matches([]) == 0


def test_names_are_forgiving_and_strangers_are_refused() -> None:
    assert code_system("icd9") is code_system("ICD-9-CM") is code_system("ICD 9 cm")
    with pytest.raises(ParameterError, match="no code system named 'SNOMED'"):
        code_system("SNOMED")


@pytest.mark.parametrize("groups", [ICD9_GROUPS, ICD10_GROUPS], ids=lambda groups: groups.file)
def test_blocks_do_not_overlap_and_lie_in_one_chapter(groups: Groups) -> None:
    for level in ("block", "chapter"):
        ranges = sorted((len(first), first, last) for found, first, last in groups.ranges if found == level)
        assert all(first <= last for _, first, last in ranges)
        overlaps = [(a, b) for a, b in pairwise(ranges) if a[0] == b[0] and b[1] <= a[2]]
        assert overlaps == []
    chapters = [(first, last) for level, first, last in groups.ranges if level == "chapter"]
    for level, first, last in groups.ranges:
        homes = [c for c in chapters if len(c[0]) == len(first) and c[0] <= first and last <= c[1]]
        assert len(homes) == 1, (level, first, last)


def test_every_chain_ends_in_a_chapter(shared: Path) -> None:
    table = shared / "mimic_iii_demo" / "D_ICD_DIAGNOSES.csv.gz"
    with gzip.open(table, "rt") as file:
        codes = pd.read_csv(file, dtype=str)["icd9_code"].tolist()
    system = code_system("ICD-9-CM")
    assert system.matches(codes) == 1.0
    tops = {system.ancestors(code)[-1] for code in codes}
    assert tops == {f"{first}-{last}" for level, first, last in ICD9_GROUPS.ranges if level == "chapter"}
    for code in codes[::97]:
        above = system.ancestors(code)
        assert [system.parent(one) for one in above] == [*above[1:], None]


def test_numbers_are_codes_only_where_the_name_says_so() -> None:
    numbers = [str(n) for n in range(400, 460)]
    assert recognise(numbers, hint="diag 1") == "ICD-9-CM"
    assert recognise(numbers, hint="platelets") is None
    assert recognise(["1", "2", "3"], hint="diagnosis") is None


def test_every_system_has_a_citation() -> None:
    assert all(system.citation.identifier.startswith("https://") for system in SYSTEMS.values())


@pytest.mark.parametrize(("name", "code"), [("ICD-9-CM", "250.83"), ("ICD-9-CM", "V58.1"), ("ICD-10-CM", "E11.9"), ("ATC", "A10BA02")])
def test_the_public_groups_hold_every_code_at_every_level(name: str, code: str) -> None:
    for level in public_groups(name):
        assert len(set(level) & set(code_system(name).ancestors(code))) == 1


@pytest.mark.parametrize("name", ["ICD-9-CM", "ICD-10-CM", "ATC"])
def test_public_children_stand_directly_below_and_those_of_blocks_hold_every_category(name: str) -> None:
    system, (blocks, *_) = code_system(name), public_groups(name)
    for block in blocks:
        children = public_children(name, block)
        assert all(system.parent(child) == block for child in children if child != block)
        for child in children[:3]:
            assert all(system.parent(below) == child for below in public_children(name, child) if system.is_code(below))
    assert "O9A" in public_children("ICD-10-CM", "O94-O9A")
    assert public_children("LOINC", "8310-5") == ()


def test_a_code_is_known_in_each_of_its_spellings() -> None:
    for name, code in (("ICD-9-CM", "008.45"), ("ICD-9-CM", "250.02"), ("ICD-9-CM", "V58.69"), ("ICD-10-CM", "E11.9")):
        assert {code_system(name).normalise(text) for text in spellings(code)} == {code}
