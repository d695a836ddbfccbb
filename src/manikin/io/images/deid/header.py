"""One DICOM data set by the profile: each attribute removed, emptied, replaced, cleaned or kept, sequences included. Knows no files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from manikin.io.images.deid.profile import BASIC, KEEP, SAFE_PRIVATE, WORDS_THAT_STAY, Action, action_of
from manikin.io.images.deid.secret import Secret
from manikin.io.images.dicom.files import dicom, value
from manikin.io.images.dicom.headers import age_years
from manikin.io.images.provenance import Origin

STANDARD_ROOT = "1.2.840.10008."  # of UIDs that DICOM itself gives: classes, syntaxes
DUMMIES = {"PN": "ANONYMIZED", "DA": "19000101", "TM": "000000", "DT": "19000101000000", "DS": "0", "IS": "0", "AS": "000Y"}
DUMMY = "ANONYMIZED"
TEXTS = ("PN", "LO", "SH", "LT", "ST", "UT", "UC", "UR", "AE", "CS", "DA", "DT", "TM", "AS", "IS", "DS", "UI")
IDENTIFYING_VRS = ("PN", "LO", "SH", "LT", "ST", "UT", "UC", "AE")  # whose values are looked for afterwards
KEPT_VRS = (*TEXTS[:-1], "SQ")  # whose being kept is told: what a person can read
MIN_LEFTOVER = 4  # characters of a value that is looked for
AGE = 0x00101010
SERIES_DESCRIPTION = 0x0008103E
OLD = 90
OLDEST = "090Y"  # ages of 90 and more are one (45 CFR 164.514(b)(2)(i)(C))
MAX_DEPTH = 24  # of sequences in sequences
METHOD = "PS3.15 Annex E Basic Profile"


@dataclass
class Done:
    """What was done to one file: how often each (keyword, action) occurred, values that must not be found again, and what was kept."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    originals: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)


def patient_of(data: Any) -> str:
    """What tells patients apart: her ID, else her name and date of birth, else the study."""
    found = (value(data, "PatientID", str, "") or "").strip()
    if found:
        return found
    named = f"{value(data, 'PatientName', str, '')}|{value(data, 'PatientBirthDate', str, '')}".strip()
    return named if named != "|" else value(data, "StudyInstanceUID", str, "") or ""


def deidentify_header(data: Any, secret: Secret, keep: Collection[str]) -> Done:
    """Changes a data set, its file's head included, by the basic profile with options.

    Parameters
    ----------
    keep : names of options (`profile.KEEP`).

    Returns
    -------
    what was done; nothing in it may leave the place where the originals are.
    """
    done = Done()
    patient = patient_of(data)
    pseudonym, days = secret.patient(patient), secret.days(patient)
    _walk(data, secret, frozenset(keep), days, done, 0)
    data.PatientID = pseudonym
    data.PatientName = pseudonym
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = f"{METHOD}{'; keeps ' + ', '.join(sorted(keep)) if keep else ''}"[:64]
    codes = [BASIC, *(KEEP[name][1:3] for name in KEEP if name in keep)]
    data.DeidentificationMethodCodeSequence = [_code(code, meaning) for code, meaning in codes]
    data.LongitudinalTemporalInformationModified = "MODIFIED" if "dates" in keep else "REMOVED"
    meta = data.file_meta
    for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "ReceivingApplicationEntityTitle"):
        if keyword in meta:
            del meta[keyword]
    for element in list(meta):
        if element.tag.element >= 0x0100:  # private information, and what networks add
            del meta[element.tag]
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.preamble = b"\0" * 128
    return done


def _code(code: str, meaning: str) -> Any:
    item = dicom().dataset.Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "DCM", meaning
    return item


def _walk(data: Any, secret: Secret, keep: frozenset[str], days: int, done: Done, depth: int) -> None:
    has_tag = dicom().datadict.dictionary_has_tag
    for tag in list(data.keys()):
        element = data[tag]
        name = element.keyword or ("private" if element.tag.is_private else "unknown")
        if element.tag.is_private:
            action = _private(data, element, keep)
        elif depth > MAX_DEPTH:
            action = Action.REMOVE
        else:
            is_known = has_tag(element.tag) or element.tag.group & 0xFF00 == 0x6000
            action = action_of(f"{int(element.tag):08X}", element.VR, keep, is_known=is_known)
            if element.tag == SERIES_DESCRIPTION and element.value == Origin.TRANSLATED.upper():
                action = Action.KEEP  # our own mark, which says that the image shows somebody
            if action is Action.KEEP and (element.tag == AGE or element.VR == "AS"):
                action = Action.CLEAN
        if action not in (Action.KEEP, Action.UID) or name == "private":
            done.originals.update(_originals(element))
        if element.VR == "SQ" and action in (Action.KEEP, Action.UID, Action.CLEAN) and name != "private":
            for item in element.value:
                _walk(item, secret, keep, days, done, depth + 1)
            continue
        if element.is_empty and action is not Action.REMOVE:
            continue
        before = element.value
        _apply(data, element, action, secret, days)
        if tag in data and data[tag].value == before:
            if element.VR in KEPT_VRS:
                done.kept.add(name)
        else:
            done.counts[name, action.word] += 1


def _private(data: Any, element: Any, keep: frozenset[str]) -> Action:
    """Private elements go, but for the creators and elements of the list of safe ones where these are to stay."""
    if "private" not in keep or element.VR == "SQ":
        return Action.REMOVE
    if element.tag.is_private_creator:
        kept = any(element.value == creator and element.tag.group == group for creator, group, _ in SAFE_PRIVATE)
        return Action.KEEP if kept else Action.REMOVE
    creator = element.private_creator or value(data, (element.tag.group << 16) + (element.tag.element >> 8), str)
    return Action.KEEP if (creator, element.tag.group, element.tag.element & 0xFF) in SAFE_PRIVATE else Action.REMOVE


def _apply(data: Any, element: Any, action: Action, secret: Secret, days: int) -> None:
    if action is Action.REMOVE:
        del data[element.tag]
    elif action is Action.EMPTY:
        element.value = [] if element.VR == "SQ" else None
    elif action is Action.UID:
        element.value = _mapped(element, secret)
    elif action is Action.DUMMY:
        _dummy(element)
    elif action is Action.CLEAN:
        _clean(data, element, days)


def _mapped(element: Any, secret: Secret) -> Any:
    """New UIDs for a value or several; those that DICOM itself gives stay."""
    if element.VR != "UI":
        return None
    found = [element.value] if isinstance(element.value, str) else list(element.value)
    new = [uid if str(uid).startswith(STANDARD_ROOT) else secret.uid(str(uid)) for uid in found]
    return new[0] if len(new) == 1 else new


def _dummy(element: Any) -> None:
    if element.VR == "SQ":
        element.value = []
    elif element.VR in TEXTS and element.VR != "UI":
        element.value = DUMMIES.get(element.VR, DUMMY)
    else:
        element.value = None


def _clean(data: Any, element: Any, days: int) -> None:
    """Dates are shifted, high ages are one, descriptions keep the words of the list; what is none of these is removed."""
    if element.VR in ("DA", "DT"):
        element.value = _each(element.value, lambda text: shifted(text, days))
    elif element.VR == "TM":  # a time of day says nothing without its day
        element.value = _each(element.value, lambda text: text if re.fullmatch(r"[\d:.]{0,16}", text.strip()) else DUMMIES["TM"])
    elif element.VR == "AS":
        element.value = _each(element.value, capped)
    elif element.VR in ("LO", "SH", "LT", "ST", "UT", "UC", "CS"):
        element.value = _each(element.value, cleaned)
    else:
        del data[element.tag]


def _each(found: Any, of: Any) -> Any:
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        return of(str(found))
    return [of(str(part)) for part in found]


def shifted(text: str, days: int) -> str:
    """A DICOM date (or a time with a date) some days later; a dummy where it is none, or where more stands behind it.

    >>> shifted("20240301", -1), shifted("20240301101500.5", -366), shifted("201503", 5), shifted("20240301Smith", 5)
    ('20240229', '20230301101500.5', '19000101', '19000101')
    """
    found = re.fullmatch(r"(\d{8})(\d{0,6}(?:\.\d{0,6})?(?:[+-]\d{4})?)", text.strip())
    if found is None:
        return DUMMIES["DA"]
    try:
        moved = datetime.strptime(found[1], "%Y%m%d") + timedelta(days=days)
    except (ValueError, OverflowError):
        return DUMMIES["DA"]
    return f"{moved.year:04d}{moved:%m%d}{found[2]}"


def capped(text: str) -> str:
    """A DICOM age, 90 and more as 90; empty where it is none.

    >>> capped("061Y"), capped("95Y"), capped("Smith")
    ('061Y', '090Y', '')
    """
    years = age_years(text)
    return OLDEST if years and float(years) >= OLD else text if years else ""


def cleaned(text: str) -> str:
    """The words of a description that are on the list, in lower case.

    >>> cleaned("CHEST PA, Mr Smith 12.3.1961")
    'chest pa mr'
    """
    return " ".join(word for word in re.findall(r"[a-z][a-z0-9-]*", text.lower()) if word in WORDS_THAT_STAY)[:64]


def _originals(element: Any) -> Iterator[str]:
    """The texts in an element that identify: whole values, and the parts of names."""
    if element.VR == "SQ":
        for item in element.value:
            for inner in item:
                yield from _originals(inner)
        return
    if element.VR not in IDENTIFYING_VRS or element.is_empty:
        return
    parts = [str(element.value)] if isinstance(element.value, str) or element.VR == "PN" else [str(part) for part in element.value]
    for part in parts:
        whole = part.strip().casefold()
        pieces = re.split(r"[\^=\s,]+", whole) if element.VR == "PN" else []
        for text in (whole, *pieces):
            if len(text) >= MIN_LEFTOVER and text not in WORDS_THAT_STAY and text != DUMMY.casefold():
                yield text


def leftovers(data: Any, originals: Collection[str]) -> list[str]:
    """The keywords of elements that still hold an original value as a whole word, sequences and the file's head included."""
    found = []
    patterns = [re.compile(rf"(?<!\w){re.escape(text)}(?!\w)") for text in originals]
    for element in [*data.file_meta, *data.iterall()]:
        if element.VR in ("SQ", "OB", "OW", "OF", "OD", "UI") or element.is_empty:
            continue
        text = str(element.value).casefold()
        if any(pattern.search(text) for pattern in patterns):
            found.append(element.keyword or str(element.tag))
    return sorted(set(found))
