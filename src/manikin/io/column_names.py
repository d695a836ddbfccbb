"""What a column's name says: its words, its unit, whether it counts, codes, or is a flag. Knows nothing of the column's cells.

A name is weak evidence; callers use it to choose between readings that the cells allow, never against the cells.
"""

from __future__ import annotations

import re
from functools import lru_cache


def word_set(text: str) -> frozenset[str]:
    """The words of a text, set apart by blanks.

    >>> sorted(word_set("mg kg"))
    ['kg', 'mg']
    """
    return frozenset(text.split())


_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

COUNTS = word_set(
    "num number no n count counts cnt nb times visits procedures medications pregnancies births babies children "
    "kids nodes days hours hrs minutes months weeks years yrs age steps calories total sum amount freq frequency "
    "quantity qty rooms los"
)
BARE = word_set("num number no n nb nr")
LEADING_COUNTS = word_set("count cnt time times days hours")
CODES = word_set(
    "id code type group grp class cat category status stage grade site inst institution center centre ward region "
    "arm trt treat treatment sex gender race ethnicity method reason source disposition severity level score ecog "
    "asa nyha mallampati flag indicator rx protocol cohort cluster strata stratum state county district clinic "
    "hospital study provider unit payer specialty pstat"
)
ORDERED = word_set("stage grade class severity level score ecog asa nyha mallampati killip childpugh rank rating scale")
LABELS = word_set("name label title description desc text note notes comment comments")
UNITS = {
    "years": "a", "yrs": "a", "months": "mo", "weeks": "wk", "days": "d", "hours": "h", "hrs": "h", "minutes": "min",
    "mins": "min", "seconds": "s", "secs": "s", "ms": "ms", "mg": "mg", "ug": "ug", "mcg": "ug", "kg": "kg", "lb": "[lb_av]",
    "lbs": "[lb_av]", "pounds": "[lb_av]", "cm": "cm", "mm": "mm", "ml": "mL", "mmhg": "mm[Hg]", "bpm": "/min",
    "celsius": "Cel", "degc": "Cel", "fahrenheit": "[degF]", "mmol": "mmol", "umol": "umol", "percent": "%", "pct": "%", "hz": "Hz",
    "mv": "mV", "kcal": "kcal",
}  # fmt: skip
_PER = {"l": "L", "dl": "dL", "ml": "mL", "kg": "kg", "m2": "m2", "min": "min", "h": "h", "day": "d"}
SINGLE = frozenset({"g"})  # too short to be read as a unit unless it stands last after another word


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """The words of a column name in lower case.

    >>> words("preOp_calcBMI"), words("time.in-hospital"), words("nPregnancies")
    (('pre', 'op', 'calc', 'bmi'), ('time', 'in', 'hospital'), ('n', 'pregnancies'))
    """
    return tuple(word.lower() for word in _WORD.findall(name))


def squeezed(name: str) -> str:
    """The name's letters and digits alone, in lower case: `patient_nbr`, `PatientNbr` and `patient nbr` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def unit_of(name: str) -> str | None:
    """The UCUM unit that a name ends with when it says so plainly (`age_years`, `dose_mg`, `glucose_mg_dl`), else None."""
    parts = words(name)
    if len(parts) < 2 or parts[0] in ("n", "num", "number"):
        return None
    if len(parts) >= 3 and parts[-2] in UNITS and parts[-1] in _PER:
        return f"{UNITS[parts[-2]]}/{_PER[parts[-1]]}"
    separated = re.search(rf"(?:[_.\s(\[](?i:{parts[-1]})|(?<=[a-z]){parts[-1].capitalize()})[)\]]?$", name)
    if parts[-1] in SINGLE and separated:
        return parts[-1]
    if parts[-1] in UNITS and (separated or len(parts[-1]) > 3):
        return UNITS[parts[-1]]
    return None


def says_count(name: str) -> bool:
    """Whether the name says that the column counts something (num_procedures, nPregnancies, days, age)."""
    parts = words(name)
    if not parts or parts[0] in BARE:
        return len(parts) > 1  # `num` alone says nothing
    if parts[0] in LEADING_COUNTS:
        return True
    return parts[-1] not in CODES and bool(COUNTS.intersection(parts))


def says_code(name: str) -> bool:
    """Whether the name says that numbers are codes of something (admission_type_id, stage, site)."""
    parts = words(name)
    return bool(parts) and (bool(CODES.intersection(parts)) or ends_in_id(name))


def says_order(name: str) -> bool:
    """Whether the name says that codes have an order (stage, grade, ECOG)."""
    return bool(ORDERED.intersection(words(name)))


def ends_in_id(name: str) -> bool:
    """Whether the last word is, or plainly ends in, "id" (wardid, RecordID, hadm_id), and not by accident (steroid, lipid)."""
    parts = words(name)
    if not parts:
        return False
    if parts[-1] in ("id", "ids"):
        return True
    by_accident = ("oid", "ipid", "ovid", "apid", "acid", "luid", "valid", "paid", "arid", "umid", "tid")
    return len(parts[-1]) > 4 and parts[-1].endswith("id") and not parts[-1].endswith(by_accident)
