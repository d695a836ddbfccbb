"""Proposes what columns are for: quasi-identifiers, sensitive columns, the target, the pair of time and event. Knows names above all.

Proposals only; a person corrects them in schema.toml. The target is proposed only where the name is unmistakable.
"""

from __future__ import annotations

from manikin.data.schema import Column, Kind, Role
from manikin.io.column_names import squeezed, word_set, words

QUASI_WORDS = word_set(
    "age sex gender race ethnicity ethnic zip zipcode postcode postal city county region state country "
    "nationality marital occupation education religion language insurance dob dod admittime dischtime "
    "deathtime born"
)
QUASI_NAMES = word_set("edu race1 race3 maritalstatus yearofbirth birthyear zipcode postcode agemonths site hospital horigin")
SENSITIVE_WORDS = word_set(
    "hiv aids std sti hepatitis psychiatric depression depressed suicide abortion drug drugs alcohol alco smoke "
    "smoking marijuana sex sexual orientation pregnant genetic religion income dementia substance abuse violence"
)
NOT_SENSITIVE = frozenset({"sex"})
TARGETS = (
    "target", "outcome", "label", "y", "readmitted", "readmission", "readmit", "inhospitaldeath", "hospitalexpireflag", "hospitaldeath",
    "inhospitalmortality", "hospdead", "mortality", "death", "died", "dead", "deceased", "expireflag", "deathevent", "risklevel",
    "heartdisease", "cardio", "malignant", "readmittedbinary", "stroke", "improved",
)  # fmt: skip
UCI_HEART = frozenset({"cp", "trestbps", "thalach", "exang", "oldpeak", "slope", "ca", "thal"})
PAIRS = (
    ("time", "status"), ("time", "event"), ("time", "cens"), ("time", "death"), ("futime", "death"), ("futime", "status"),
    ("futime", "fustat"), ("dtime", "death"), ("survivaltime", "status"), ("survivaltime", "event"), ("survtime", "death"),
    ("survivalmonths", "status"), ("osmonths", "osstatus"), ("ostime", "osstatus"), ("ostime", "os"), ("duration", "event"),
    ("durationdays", "event"), ("timetoevent", "event"), ("tstop", "status"), ("stop", "status"), ("stop", "event"), ("time", "deathevent"),
    ("followup", "death"), ("followuptime", "event"), ("ptime", "pstat"), ("time", "dead"), ("t", "e"), ("days", "status"),
    ("dtime", "dead"),
)  # fmt: skip
MAX_TARGET_LEVELS = 20


def roles_of(columns: list[Column]) -> dict[str, tuple[Role, ...]]:
    """The roles proposed for each column, in a settled order."""
    roles: dict[str, list[Role]] = {column.name: [] for column in columns}
    for column in columns:
        if is_quasi_identifier(column):
            roles[column.name].append(Role.QUASI_IDENTIFIER)
        if is_sensitive(column):
            roles[column.name].append(Role.SENSITIVE)
    pair = time_to_event(columns)
    if pair:
        roles[pair[0]].append(Role.TIME)
        roles[pair[1]].append(Role.EVENT)
    target = target_of(columns, pair)
    if target:
        roles[target].append(Role.TARGET)
    return {name: tuple(found) for name, found in roles.items()}


def is_quasi_identifier(column: Column) -> bool:
    """Whether an outsider may know the value: age, sex, race, places, dates."""
    if column.kind in (Kind.TEXT, Kind.IDENTIFIER):
        return False
    if column.kind.is_time or squeezed(column.name) in QUASI_NAMES:
        return True
    parts = words(column.name)
    return bool(QUASI_WORDS.intersection(parts)) and not {
        "first",
        "at",
        "smoke",
        "diabetes",
        "ever",
        "num",
        "same",
    }.intersection(parts)


def is_sensitive(column: Column) -> bool:
    """Whether the value could harm when it became known: infections, addiction, mental health, sexual life, income."""
    if column.kind in (Kind.TEXT, Kind.IDENTIFIER):
        return False
    parts = words(column.name)
    found = SENSITIVE_WORDS.intersection(parts)
    return bool(found - NOT_SENSITIVE) or ("sex" in parts and len(parts) > 1)


def time_to_event(columns: list[Column]) -> tuple[str, str] | None:
    """The columns of follow-up time and of the event, where both stand under usual names."""
    by_name = {squeezed(column.name): column for column in columns}
    for time, event in PAIRS:
        if time in by_name and event in by_name:
            clock, flag = by_name[time], by_name[event]
            if clock.kind.is_number and flag.kind.is_discrete and (flag.levels is None or len(flag.levels) <= 5):
                return clock.name, flag.name
    return None


def target_of(columns: list[Column], pair: tuple[str, str] | None) -> str | None:
    """The column that a model would predict, where its name leaves no doubt: at most one, a few levels, never a key."""
    by_name = {squeezed(column.name): column for column in columns}
    names: tuple[str, ...] = TARGETS
    if UCI_HEART.issubset(by_name):
        names = ("num", "target", *names)
    for name in names:
        column = by_name.get(name)
        if column is not None and column.kind.is_discrete and column.levels and 2 <= len(column.levels) <= MAX_TARGET_LEVELS:
            return column.name
    return pair[1] if pair else None
