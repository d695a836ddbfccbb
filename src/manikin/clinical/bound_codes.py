"""Diagnoses that one sex or an age alone can have: pregnancy, the prostate, liveborn infants. Knows codes and ages, no patients' tables.

Coarse and conservative: whole categories, the widest ages of the source, and nothing that is merely unusual. A column's sex and age are
known by its name and its levels where these say so plainly, and not at all where they do not.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from manikin.clinical.citation import Citation
from manikin.clinical.codes import SYSTEMS, code_system

MCE = Citation(
    "Centers for Medicare & Medicaid Services",
    "Definitions of Medicare Code Edits, version 41: age conflict and sex conflict",
    2024,
    "https://www.cms.gov/medicare/payment/prospective-payment-systems/acute-inpatient-pps/ms-drg-classifications-and-software",
)
MEDS = "MEDS"  # its codes hold others', as MIMIC-IV's do: DIAGNOSIS//ICD//10//O80
MEDS_DIAGNOSIS = re.compile(r"DIAGNOSIS//ICD(?://|-?)(?P<version>9|10)(?:-?CM)?//(?P<code>[^/]+)", re.IGNORECASE)
UNKNOWN, FEMALE, MALE = 0, 1, 2
SEXES = {"": UNKNOWN, "female": FEMALE, "male": MALE}
WORDS = {
    FEMALE: frozenset({"f", "female", "woman", "women", "girl", "8532"}),
    MALE: frozenset({"m", "male", "man", "men", "boy", "8507"}),  # 8507, 8532: OMOP's concepts
}
SEX_NAMES = frozenset({"sex", "gender", "patientsex", "patientgender", "genderconceptid", "gendersourcevalue"})
AGE_NAMES = frozenset({"age", "ageyears", "ageyrs", "ageinyears", "patientage", "ageatadmission", "anchorage"})
AGE_UNITS = frozenset({"", "a", "y", "year", "years"})
DAYS_IN_YEAR = 365.25
OLDEST = 130.0  # years; more is a date that was moved, as MIMIC moves births of those over 89


@dataclass(frozen=True)
class Bound:
    """A range of codes that some people alone can have.

    Attributes
    ----------
    first, last : categories or codes of one length, both in.
    sex : UNKNOWN where both may have them. least, most : whole years, both in; None for no limit.
    """

    first: str
    last: str
    sex: int
    least: int | None
    most: int | None
    title: str
    citation: Citation = MCE

    def holds(self, code: str) -> bool:
        """Whether a normalised code lies in the range."""
        return len(code) >= len(self.first) and self.first <= code[: len(self.first)] <= self.last


@cache
def bounds(system: str) -> tuple[Bound, ...]:
    """All ranges of a system; empty for systems that have none here.

    >>> [bound.title for bound in bounds("ICD-10-CM") if bound.most == 0]
    ['liveborn infants']
    """
    text = (files("manikin.clinical") / "tables" / "bound_codes.csv").read_text(encoding="utf-8")
    rows = csv.DictReader([line for line in text.splitlines() if not line.startswith("#")])

    def years(cell: str) -> int | None:
        """A limit, where there is one."""
        return int(cell) if cell else None

    return tuple(
        Bound(row["first"], row["last"], SEXES[row["sex"]], years(row["least"]), years(row["most"]), row["title"])
        for row in rows
        if row["system"] == system
    )


def system_of(name: str | None) -> str | None:
    """The system of a schema's column of codes, None where it is none whose codes are bound.

    >>> system_of("ICD-9"), system_of("MEDS"), system_of("ATC"), system_of("our own")
    ('ICD-9-CM', 'MEDS', None, None)
    """
    words = re.sub(r"[^a-z0-9]", "", (name or "").lower())
    if words == "meds":
        return MEDS
    if not words.startswith("icd"):
        return None
    found = code_system(name or "").name if words in {"icd9", "icd9cm", "icd10", "icd10cm"} else None
    return found if found and bounds(found) else None


def diagnosis(system: str, text: str) -> tuple[str, str] | None:
    """The system and the code of a diagnosis; None for what is none, as most codes of MEDS are.

    >>> diagnosis("MEDS", "DIAGNOSIS//ICD//9//V3001"), diagnosis("MEDS", "PROCEDURE//ICD//9//7569"), diagnosis("ICD-9-CM", "650")
    (('ICD-9-CM', 'V3001'), None, ('ICD-9-CM', '650'))
    """
    if system != MEDS:
        return system, text
    found = MEDS_DIAGNOSIS.fullmatch(text)
    own = None if found is None else system_of("icd" + found["version"])
    return None if found is None or own is None else (own, found["code"])


def bounds_on(system: str, text: str) -> tuple[Bound, ...]:
    """The ranges that a code lies in, or a whole group of codes ("630-639"); usually none or one.

    >>> [bound.title for bound in bounds_on("ICD-9-CM", "V22.1")], bounds_on("ICD-9-CM", "250.00")
    (['supervision of pregnancy, postpartum care'], ())
    """
    known = diagnosis(system, text)
    if known is None:
        return ()
    system, text = known
    first, _, last = text.partition("-")
    ends = [SYSTEMS[system].normalise(one) for one in (first, last or first)]
    return tuple(bound for bound in bounds(system) if all(bound.holds(one) for one in ends))


@dataclass(frozen=True)
class Limits:
    """Who may have each of some codes.

    Attributes
    ----------
    sexes : bool (n_codes, 3), by UNKNOWN, FEMALE, MALE. least, below : float64 (n_codes,), ages in years from which and below which.
    """

    sexes: npt.NDArray[np.bool_]
    least: npt.NDArray[np.float64]
    below: npt.NDArray[np.float64]

    @property
    def are_any(self) -> bool:
        """Whether any code is bound at all."""
        return len(self.bound) > 0

    def open_to(self, sex: npt.NDArray[np.int8], age: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Whether each patient may have each code, bool (n_patients, n_codes); what is not known of her excludes nothing.

        Parameters
        ----------
        sex : int8 (n_patients,). age : float64 (n_patients,), years, NaN where it is not known.
        """
        bound = self.bound  # few of many
        least, below, years = self.least[bound], self.below[bound], age[:, None]
        out = np.ones((len(sex), len(self.least)), dtype=bool)
        out[:, bound] = self.sexes[bound].T[sex] & ~((years < least) | (years >= below))
        return out

    @cached_property
    def bound(self) -> npt.NDArray[np.int64]:
        """Places of the codes that not everybody may have."""
        return np.flatnonzero(~self.sexes.all(axis=1) | np.isfinite(self.least) | np.isfinite(self.below))


def limits(system: str, codes: Iterable[Sequence[str]]) -> Limits:
    """Who may have codes; each is a sequence of texts that it may stand for, all of which must be open to a patient."""
    sexes, least, below = [], [], []
    for texts in codes:
        found = [bound for text in texts for bound in bounds_on(system, text)]
        sexes.append([True, *(all(bound.sex in (UNKNOWN, sex) for bound in found) for sex in (FEMALE, MALE))])
        least.append(max((float(bound.least) for bound in found if bound.least is not None), default=-np.inf))
        below.append(min((bound.most + 1.0 for bound in found if bound.most is not None), default=np.inf))
    return Limits(np.array(sexes, dtype=bool).reshape(-1, 3), np.array(least), np.array(below))


def sexes_of(name: str, levels: Iterable[str]) -> Mapping[str, int]:
    """What each level of a column says of the sex; empty where the name or the levels do not plainly say that they do.

    >>> sexes_of("gender", ["F", "M", "unknown"]), sexes_of("sex", ["0", "1"]), sexes_of("GENDER", ["GENDER//F"])
    ({'F': 1, 'M': 2}, {}, {'GENDER//F': 1})
    """
    if _plain(name) not in SEX_NAMES:
        return {}
    said = {level: level.rpartition("//")[2].strip().lower() for level in levels}  # the last part of a code of MEDS
    return {level: sex for level, word in said.items() for sex, words in WORDS.items() if word in words}


def is_age(name: str, unit: str | None) -> bool:
    """Whether a number of a patient is her age in years."""
    return _plain(name) in AGE_NAMES and (unit or "").strip().lower() in AGE_UNITS


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.rpartition(".")[2].lower())
