"""Finds patient keys and direct identifiers, by name and by content. Knows no schema file; it only proposes.

A direct identifier tells who the patient is (the Safe Harbor list of 45 CFR 164.514(b)(2) is the guide); a patient key tells which rows
are the same patient's. Content speaks louder than names: a column of well-formed e-mail addresses is one, whatever it is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from manikin.data.schema import Column, Kind, Storage
from manikin.io.column_names import ends_in_id, squeezed, word_set, words
from manikin.io.profiles import Profile

KEY_NAMES = word_set(
    "patientid patientnbr patientno patientnr patientnumber patientkey patient patid patno ptid pid subjectid "
    "subjectno subject subjid usubjid participantid participant personid person individualid caseid studyid "
    "recordid respondentid seqn memberid clientid beneficiaryid desynpufid mrn id"
)
ROW_NAMES = word_set("rowid rownumber rownum rowno row index unnamed0 x x1 nr no obs recordnumber")
ENCOUNTER_WORDS = word_set(
    "encounter visit admission hadm icustay stay episode claim order specimen sample event row record accession"
)
NAME_COLUMNS = word_set(
    "name firstname lastname surname forename givenname familyname fullname middlename maidenname patientname "
    "mothersname fathersname nextofkin contactname"
)
NAMED = {
    "e-mail address": word_set("email emailaddress mail"),
    "telephone number": word_set(
        "phone telephone phonenumber mobile cell tel telephonenumber fax homephone workphone contactnumber"
    ),
    "street address": word_set("address street streetaddress homeaddress address1 address2 addressline1 addr"),
    "social security number": word_set(
        "ssn socialsecurity socialsecuritynumber socialsecuritynum sin nationalid nino cpf aadhaar"
    ),
    "health service number": word_set("nhs nhsnumber nhsno nhsnum medicare medicareid mbi hicn insuranceid policynumber ihi"),
    "medical record number": word_set("mrn medicalrecordnumber hospitalnumber hospitalno chartnumber"),
    "licence number": word_set("license licence drivinglicence driverslicense passport passportnumber licensenumber"),
    "account number": word_set("account accountnumber iban creditcard"),
    "web address": word_set("url website homepage"),
    "network address": word_set("ip ipaddress ipaddr macaddress"),
    "device serial number": word_set("serial serialnumber deviceserial udi vin licenseplate deviceid"),
    "date of birth": word_set("dob dateofbirth birthdate birthday birthdt dateofbrth"),
    "photograph or biometric file": word_set("photo image fingerprint photograph picture"),
    "person's name": NAME_COLUMNS,
}
STAFF = word_set(
    "caregiver provider clinician physician doctor nurse practitioner staff surgeon anesthetist anaesthetist prescriber attending "
    "technician therapist radiologist pathologist operator employee"
)
STAFF_NAMES = word_set("cgid npi gmcnumber")
FEW_STAFF = 10  # so few numbers of members of staff are taken for a group of people
MIN_CONTENT_SHARE = 0.8
MIN_UNIQUE_SHARE = 0.95
MIN_ROWS = 20


@dataclass(frozen=True)
class Finding:
    """What an identifier is and how it was found."""

    what: str
    how: str

    @property
    def note(self) -> str:
        """For the schema: the reason why the column is left out."""
        return f"Direct identifier ({self.what}, by its {self.how}): left out of what is learned and released."


def nhs_number_is_valid(text: str) -> bool:
    """The modulus 11 check of the NHS number (NHS Data Dictionary, "NHS NUMBER")."""
    digits = re.sub(r"[ -]", "", text)
    if not re.fullmatch(r"\d{10}", digits) or len(set(digits)) == 1:
        return False
    check = 11 - sum(int(digit) * (10 - i) for i, digit in enumerate(digits[:9])) % 11
    return check != 10 and check % 11 == int(digits[9])


def ssn_is_valid(text: str) -> bool:
    """A United States social security number as it is written: three, two and four digits, no area 000, 666 or 9xx."""
    return re.fullmatch(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}", text.strip()) is not None


def _matcher(pattern: str) -> Callable[[str], bool]:
    expression = re.compile(pattern)
    return lambda text: expression.fullmatch(text.strip()) is not None


CONTENT: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("e-mail address", _matcher(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")),
    ("web address", _matcher(r"(?:https?://|www\.)\S+")),
    ("network address", _matcher(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}|(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")),
    ("social security number", ssn_is_valid),
    ("telephone number", _matcher(r"(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,5}\)[ .-]?|\d{2,5}[ .-])\d{3,4}[ .-]\d{3,4}(?: ?x\d+)?|\+\d{8,15}")),
    ("street address", _matcher(
        r"\d{1,5}[A-Za-z]? [\w.' ]+ (?i:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|way|place|pl|terrace)"
        r"\.?(?:,? .*)?"
        r"|[\w.' -]+(?i:straße|strasse|weg|platz|gasse) \d+.*")),
    ("universally unique identifier", _matcher(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")),
)  # fmt: skip


def direct_identifier(profile: Profile, column: Column) -> Finding | None:
    """Whether a column says who the patient is.

    Names count only where the cells could be it: a column `mail` of yes and no is none.
    """
    by_content = _by_content(profile)
    if by_content and by_content != "universally unique identifier":
        return Finding(by_content, "content")
    squeezed_name = squeezed(profile.name)
    is_varied = profile.n_distinct > 0.5 * profile.n_present and profile.n_distinct > 2
    for what, names in NAMED.items():
        if squeezed_name in names and (is_varied or profile.n_distinct > 50):
            if what == "date of birth" and not column.kind.is_time:
                continue
            return Finding(what, "name")
    if profile.n_distinct > FEW_STAFF and not column.kind.is_time and names_staff(profile.name):
        return Finding("number of a member of staff", "name")
    if column.kind.is_time and squeezed_name.endswith("dateofbirth"):
        return Finding("date of birth", "name")
    return _by_checksum(profile)


def names_staff(name: str) -> bool:
    """Whether a column's name says that it numbers members of staff, who are persons too.

    >>> names_staff("cgid"), names_staff("order_provider_id"), names_staff("provider_type"), names_staff("nurse_visits")
    (True, True, False, False)
    """
    return squeezed(name) in STAFF_NAMES or (says_identifier(name) and not STAFF.isdisjoint(words(name)))


def _by_content(profile: Profile) -> str | None:
    if profile.storage is not Storage.TEXT or profile.n_distinct < 3:
        return None
    sample = [str(text) for text in profile.texts[profile.is_present][:500]]
    for what, is_one in CONTENT:
        if sum(is_one(text) for text in sample) >= MIN_CONTENT_SHARE * len(sample):
            return what
    return None


def _by_checksum(profile: Profile) -> Finding | None:
    """Ten digits that nearly all pass the NHS check: by chance one in eleven would."""
    if profile.n_distinct < MIN_ROWS:
        return None
    sample = [str(text) for text in profile.texts[profile.is_present][:500]]
    is_shaped = all(re.fullmatch(r"\d{3}[ -]?\d{3}[ -]?\d{4}", text.strip()) for text in sample[:20])
    if is_shaped and sum(nhs_number_is_valid(text) for text in sample) >= MIN_CONTENT_SHARE * len(sample):
        return Finding("health service number", "content")
    return None


def is_identifier(profile: Profile, column: Column) -> bool:
    """Whether a column only numbers or names its rows (encounter numbers, row numbers): nothing to learn from."""
    if column.kind.is_time or column.kind in (Kind.TEXT, Kind.BOOLEAN, Kind.ORDINAL, Kind.CODE_SET) or profile.n_present == 0:
        return False
    share = profile.n_distinct / profile.n_present
    is_name = says_identifier(profile.name)
    if column.kind is Kind.CODE and not is_name:
        return False
    numbers = profile.numbers[profile.is_present]
    is_whole = bool(np.all(~np.isnan(numbers))) and bool(np.all(numbers == np.rint(numbers)))
    if _by_content(profile) == "universally unique identifier":
        return True
    if is_name and (is_whole or column.kind in (Kind.CATEGORICAL, Kind.CODE)):
        is_large = is_whole and float(np.max(numbers)) > 1000
        return share >= 0.5 or (is_large and profile.n_distinct > 50)
    if is_whole:
        return _is_row_number(profile, numbers)
    is_text = column.kind is Kind.CATEGORICAL and not profile.has_decimal_commas
    return is_text and profile.n_present >= MIN_ROWS and share >= MIN_UNIQUE_SHARE


def _is_row_number(profile: Profile, numbers: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    is_complete = profile.n_distinct == profile.n_rows >= MIN_ROWS
    if not is_complete:
        return False
    is_counted = bool(np.all(np.diff(numbers) == 1)) and numbers[0] in (0, 1)
    return is_counted or squeezed(profile.name) in ROW_NAMES


def says_identifier(name: str) -> bool:
    """Whether the name says that the column numbers things."""
    text = squeezed(name)
    last = words(name)[-1:] or ("",)
    return (
        text in KEY_NAMES
        or text in ROW_NAMES
        or ends_in_id(name)
        or last[0] in ("nbr", "uid", "guid", "uuid", "identifier", "key")
    )


def patient_key(profiles: list[Profile], columns: dict[str, Column]) -> str | None:
    """The column that says which rows are the same patient's, or None.

    Named ones first, in the order of how plainly they say it; a key that repeats goes before one that does not.
    """
    candidates = []
    for profile in profiles:
        column = columns[profile.name]
        text = squeezed(profile.name)
        if text not in KEY_NAMES or column.kind.is_time or profile.n_distinct < 2 or column.kind in (Kind.BOOLEAN, Kind.TEXT):
            continue
        if ENCOUNTER_WORDS.intersection(words(profile.name)) and text not in ("recordid",):
            continue
        share = profile.n_distinct / max(profile.n_present, 1)
        if profile.n_present < profile.n_rows * 0.99 or (share < 0.02 and profile.n_distinct < 20):
            continue
        plainness = (
            0 if text not in ("id", "recordid", "caseid", "pid", "person", "subject", "patient") else 1 if text != "id" else 2
        )
        candidates.append((plainness, share > 0.999, profile.name))
    return min(candidates)[2] if candidates else None
