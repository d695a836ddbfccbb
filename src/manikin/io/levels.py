"""Levels of discrete columns: which two are false and true, and in which order bands and grades stand. Knows no column names' roles."""

from __future__ import annotations

import re
from collections.abc import Sequence

from manikin.io.missing_codes import word_meaning

FALSE_TRUE = (
    ("no", "yes"), ("false", "true"), ("f", "t"), ("n", "y"), ("0", "1"), ("0.0", "1.0"), ("absent", "present"), ("negative", "positive"),
    ("neg", "pos"), ("alive", "dead"), ("off", "on"), ("0_no", "1_yes"), ("nein", "ja"), ("non", "oui"), ("unchecked", "checked"),
)  # fmt: skip
SCALES = tuple(
    tuple(scale.split("|"))
    for scale in (
        "none|very low|low|low to medium|mid|middle|medium|moderate|intermediate|medium high|high|very high|extreme",
        "none|minimal|mild|moderate|severe|very severe|critical|life threatening|death",
        "never|rarely|sometimes|often|usually|always",
        "none|several|most|almost all",
        "poor|fair|good|vgood|very good|excellent",
        "excellent|very good|vgood|good|fair|poor",
        "i|ii|iii|iv|v|vi",
        "ia|ib|ic|iia|iib|iic|iiia|iiib|iiic|iva|ivb|ivc",
        "t0|tis|t1|t2|t3|t4",
        "n0|n1|n2|n3",
        "g1|g2|g3|g4",
        "a|b|c",
        "small|medium|large",
        "young|middle aged|middle|old",
        "underweight|normal|overweight|obese",
        "first|second|third|fourth|fifth",
        "8th grade|9 - 11th grade|high school|some college|college grad",
        "strongly disagree|disagree|neutral|agree|strongly agree",
        "monday|tuesday|wednesday|thursday|friday|saturday|sunday",
        "january|february|march|april|may|june|july|august|september|october|november|december",
        "child|adolescent|young adult|adult|elderly",
    )
)
_NOISE = re.compile(r"[\s$€£,%]|(?<=\d)k\b|years?|yrs?|_?hrs?|hours?|risk|grade|stage|level|class", flags=re.IGNORECASE)
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_BANDS = (
    re.compile(r"[\[(]?" + _NUMBER + r"(?:-|–|to|_to_|_|\.\.|:)" + _NUMBER + r"[\])]?"),
    re.compile(r"(?:>=|>|≥|over|above|more|morethan|from)_?" + _NUMBER),
    re.compile(_NUMBER + r"(?:\+|_?plus|andover|ormore|andabove)"),
    re.compile(_NUMBER),
)
_LOW = re.compile(r"(?:<=|<|≤|under|below|lessthan|upto)" + _NUMBER)


def false_and_true(levels: Sequence[str]) -> tuple[str, str] | None:
    """The two levels as (false, true), or None when they are not a yes and a no."""
    if len(levels) != 2:
        return None
    folded = {level.strip().lower(): level for level in levels}
    for false, true in FALSE_TRUE:
        if set(folded) == {false, true}:
            return folded[false], folded[true]
    return None


def in_order(levels: Sequence[str]) -> tuple[str, ...] | None:
    """The levels in their order where they plainly have one (bands of numbers, grades, low/mid/high), else None.

    Words for "no value" among them stand first; at least three others must be in the order.
    """
    words = [level for level in levels if word_meaning(level)]
    values = [level for level in levels if not word_meaning(level)]
    if not 3 <= len(values) <= 60:
        return None
    ordered = _by_bands(values) or _by_prefix(values) or _by_scale(values)
    return (*sorted(words), *ordered) if ordered else None


def _by_bands(levels: Sequence[str]) -> list[str] | None:
    bounds = {level: _lower_bound(level) for level in levels}
    if any(bound is None for bound in bounds.values()) or len(set(bounds.values())) < len(levels):
        return None
    closed = sum(1 for level in levels if _BANDS[0].fullmatch(_bare(level)))
    return sorted(levels, key=lambda level: bounds[level] or (0.0, 0)) if closed >= 1 else None


def _lower_bound(level: str) -> tuple[float, int] | None:
    """Where a band begins: the number, then a single number before a band before all above it. `<5` begins below everything."""
    text = _bare(level)
    low = _LOW.fullmatch(text)
    if low:
        return float("-inf"), 0
    for i, band in enumerate(_BANDS):
        found = band.fullmatch(text)
        if found:
            return float(found[1]), (1, 2, 2, 0)[i]
    return None


def _bare(level: str) -> str:
    return _NOISE.sub("", level.lower()).strip("_")


def _by_prefix(levels: Sequence[str]) -> list[str] | None:
    """`1_Good`, `2_Fair`, `3_Poor`: a number first, then what it means; the numbers differ."""
    found = [re.match(r"(\d{1,2})(?:_|[.:) -]+\D)", level) for level in levels]
    numbers = [int(match[1]) for match in found if match]
    if len(numbers) != len(levels) or len(set(numbers)) != len(levels):
        return None
    return [level for _, level in sorted(zip(numbers, levels, strict=True))]


def _by_scale(levels: Sequence[str]) -> list[str] | None:
    folded = {_fold(level): level for level in levels}
    if len(folded) != len(levels):
        return None
    for scale in SCALES:
        if set(folded).issubset(scale):
            return [folded[step] for step in scale if step in folded]
    return None


def _fold(level: str) -> str:
    text = re.sub(r"[_-]+", " ", level.strip().lower())
    return re.sub(r"\s*(risk|grade|stage)$", "", text) if not text.endswith("th grade") else text
