"""What identifies a person inside a text: e-mail and web addresses, telephone and national numbers. Knows no column and no schema.

The Safe Harbor list of 45 CFR 164.514(b)(2) is the guide. Patterns are strict where health data have look-alikes (codes, ranges, dates).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from manikin.io.identifiers import nhs_number_is_valid, ssn_is_valid


def _iban_is_valid(text: str) -> bool:
    """The modulus 97 check of ISO 13616."""
    squeezed = text.replace(" ", "")
    return int("".join(str(int(sign, 36)) for sign in squeezed[4:] + squeezed[:4])) % 97 == 1


# Every repetition is bounded (an address has at most 64 and 63 signs a part, RFC 5321 and 1035), so that no long cell takes long.
PATTERNS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool] | None], ...] = (
    ("e-mail address", re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.[A-Za-z]{2}"), None),
    ("web address", re.compile(r"(?:https?://|\bwww\.)[^\s/]{1,253}\.\S"), None),
    (
        "network address",
        re.compile(
            r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.])"
            r"|(?<![\w:])(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}(?![\w:])"
        ),
        None,
    ),
    ("account number", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"), _iban_is_valid),
    ("social security number", re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"), ssn_is_valid),
    ("health service number", re.compile(r"(?<![\w-])\d{3}[ -]\d{3}[ -]\d{4}(?![\w-])"), nhs_number_is_valid),
    (
        "national insurance number",
        re.compile(r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"),
        None,
    ),
    (
        "telephone number",
        re.compile(
            r"(?<![\w.-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,5}\)[ .-]?|\d{2,5}[ .-])\d{3,4}[ .-]\d{3,4}(?![\w-])|(?<![\w+])\+\d{8,15}(?!\d)"
        ),
        None,
    ),
    (
        "medical record number",
        re.compile(r"(?i)\b(?:mrn|medical record|hospital|patient|chart)(?: (?:id|no|nr|number))?\b\W{0,3}[A-Z]{0,3}-?\d{4,}"),
        None,
    ),
)
# What every match of a pattern holds: most texts of a table hold none of it, and one search spares nine.
_SIEVE = re.compile(
    r"@|://|www\.|[0-9a-f]{2}:[0-9a-f]{2}:|\d\.\d{1,3}\.\d{1,3}\.\d|\d[\d ().+-]{4,}\d|\d{4}|[a-z]{2}\d{2} ?[a-z0-9]{4}",
    re.IGNORECASE,
)


def identifying_part(text: str) -> str | None:
    """What in a text identifies a person, as "e-mail address"; None where nothing does. The text itself is never given back.

    >>> identifying_part("call 0171 555 0199"), identifying_part("mail a.b@example.org"), identifying_part("[70-80)")
    ('telephone number', 'e-mail address', None)
    """
    if _SIEVE.search(text) is None:
        return None
    for what, pattern, is_valid in PATTERNS:
        for match in pattern.finditer(text):
            if is_valid is None or is_valid(match.group()):
                return what
    return None
