"""Clinical code systems: which texts are codes, their one spelling, and what stands above them. Knows no patients' tables.

Systems: ICD-9-CM and ICD-10-CM (diagnoses), ATC (medicines), LOINC (tests; no hierarchy), and MEDS, whose codes join
others' with `//`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files

from manikin.clinical.citation import Citation
from manikin.data.errors import ParameterError

MIN_SHARE = 0.95  # of the distinct texts that must be codes for a column to be one of codes
MIN_DISTINCT = 10  # distinct codes needed where the column's name gives no hint
DIGITS = "0123456789"
_TWO_DIGITS = tuple(f"{number:02d}" for number in range(100))
_LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class CodeSystem:
    """One system of codes.

    Attributes
    ----------
    name : as it stands in a schema ("ICD-9-CM").
    pattern : what a normalised code looks like.
    spell : gives a text its one spelling (upper case, dot in its place).
    hints : words in a column's name that speak for this system.
    citation : where the codes and their hierarchy are published.
    """

    name: str
    pattern: re.Pattern[str]
    spell: Callable[[str], str]
    up: Callable[[str], str | None]
    hints: frozenset[str]
    citation: Citation
    check: Callable[[str], bool] = field(default=lambda _: True)

    def normalise(self, text: str) -> str:
        """The code's one spelling: `25083` and `250.83` are one, `e11.9` is `E11.9`. Other texts come back stripped."""
        return self.spell(text)

    def is_code(self, text: str) -> bool:
        """Whether a text is well formed as a code of this system (with a right check digit where there is one)."""
        code = self.spell(text)
        return self.pattern.fullmatch(code) is not None and self.check(code)

    def matches(self, texts: Iterable[str]) -> float:
        """The share of texts that are codes of this system, 0 … 1; 0 for no texts."""
        found = [self.is_code(text) for text in texts]
        return sum(found) / len(found) if found else 0.0

    def parent(self, code: str) -> str | None:
        """What stands directly above a code or a group, None at the top, and for texts that are no codes."""
        return self.up(self.spell(code))

    def ancestors(self, code: str) -> tuple[str, ...]:
        """Everything above a code, nearest first: shorter codes, then block, then chapter.

        >>> code_system("ICD-9-CM").ancestors("250.83")
        ('250.8', '250', '249-259', '240-279')
        """
        out: list[str] = []
        above = self.parent(code)
        while above is not None and above not in out:
            out.append(above)
            above = self.parent(above)
        return tuple(out)


@dataclass(frozen=True)
class Groups:
    """Blocks and chapters of an ICD: named ranges of categories, from a table of this package."""

    file: str

    @cached_property
    def rows(self) -> tuple[dict[str, str], ...]:
        """The table's rows: level, first, last, title."""
        text = (files("manikin.clinical") / "tables" / self.file).read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return tuple(csv.DictReader(lines))

    @cached_property
    def ranges(self) -> tuple[tuple[str, str, str], ...]:
        """(level, first, last) from the narrowest level to the widest."""
        levels = {"block": 0, "chapter": 1}
        ordered = sorted(self.rows, key=lambda row: levels[row["level"]])
        return tuple((row["level"], row["first"], row["last"]) for row in ordered)

    def above(self, category: str) -> list[str]:
        """The ranges that hold a category, narrowest first: ["249-259", "240-279"]."""
        out: list[str] = []
        for _, first, last in self.ranges:
            name = f"{first}-{last}" if first != last else first
            if len(first) == len(category) and first <= category <= last and name not in out and name != category:
                out.append(name)
        return out


ICD9_GROUPS = Groups("icd9cm_groups.csv")
ICD10_GROUPS = Groups("icd10_groups.csv")


def _icd9_spell(text: str) -> str:
    code = text.strip().upper()
    if re.fullmatch(r"\d{1,2}(\.\d{1,2})?", code):
        return (
            code.zfill(3) if "." not in code else code.split(".")[0].zfill(3) + "." + code.split(".")[1]
        )  # spreadsheets drop zeros
    if "-" in code or "." in code or not re.fullmatch(r"[VE]?\d{3,5}|[VE]\d{2}", code):
        return code
    whole = 4 if code[0] == "E" else 3
    return code if len(code) <= whole else f"{code[:whole]}.{code[whole:]}"


def _icd10_spell(text: str) -> str:
    code = text.strip().upper()
    if "-" in code or "." in code or len(code) <= 3:
        return code
    return f"{code[:3]}.{code[3:]}"


def _up_by_groups(groups: Groups) -> Callable[[str], str | None]:
    def up(code: str) -> str | None:
        """A shorter code, then the block, then the chapter; None above a chapter."""
        if "." in code:
            return code[:-1].rstrip(".")
        if "-" in code:
            first, last = code.split("-", 1)
            wider = [name for name in groups.above(first) if name in groups.above(last) and name != code]
            inside = groups.above(first)
            return next((name for name in wider if code not in inside or inside.index(name) > inside.index(code)), None)
        return next(iter(groups.above(code)), None)

    return up


def _atc_up(code: str) -> str | None:
    shorter = {7: 5, 5: 4, 4: 3, 3: 1}.get(len(code))
    return code[:shorter] if shorter and re.fullmatch(r"[A-Z](\d{2}([A-Z]([A-Z](\d{2})?)?)?)?", code) else None


def _loinc_check(code: str) -> bool:
    """The check digit by the modulus 10 (Luhn) scheme of the LOINC Users' Guide, appendix C."""
    digits, check = code.split("-")
    total = 0
    for i, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if i % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return (10 - total % 10) % 10 == int(check)


def _upper(text: str) -> str:
    return text.strip().upper()


SYSTEMS: dict[str, CodeSystem] = {
    system.name: system
    for system in (
        CodeSystem(
            "ICD-9-CM",
            re.compile(r"\d{3}(\.\d{1,2})?|V\d{2}(\.\d{1,2})?|E\d{3}(\.\d)?"),
            _icd9_spell,
            _up_by_groups(ICD9_GROUPS),
            frozenset({"icd", "icd9", "diag", "diagnosis", "dx"}),
            Citation(
                "Centers for Disease Control and Prevention, National Center for Health Statistics",
                "International Classification of Diseases, Ninth Revision, Clinical Modification",
                2011,
                "https://www.cdc.gov/nchs/icd/icd9cm.htm",
            ),
        ),
        CodeSystem(
            "ICD-10-CM",
            re.compile(r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?"),
            _icd10_spell,
            _up_by_groups(ICD10_GROUPS),
            frozenset({"icd", "icd10", "diag", "diagnosis", "dx", "cause"}),
            Citation(
                "World Health Organization",
                "International Statistical Classification of Diseases and Related Health Problems, 10th Revision",
                2019,
                "https://icd.who.int/browse10/2019/en",
            ),
        ),
        CodeSystem(
            "ATC",
            re.compile(r"[A-DGHJLMNPRSV]\d{2}([A-Z]([A-Z](\d{2})?)?)?"),
            _upper,
            _atc_up,
            frozenset({"atc", "drug", "medication", "medicine"}),
            Citation(
                "WHO Collaborating Centre for Drug Statistics Methodology",
                "ATC classification: structure and principles",
                2024,
                "https://atcddd.fhi.no/atc/structure_and_principles/",
            ),
        ),
        CodeSystem(
            "LOINC",
            re.compile(r"\d{1,5}-\d"),
            _upper,
            lambda _: None,
            frozenset({"loinc", "lab", "test"}),
            Citation("Regenstrief Institute", "LOINC Users' Guide", 2024, "https://loinc.org/kb/users-guide/"),
            _loinc_check,
        ),
        CodeSystem(
            "MEDS",
            re.compile(r"\S.*"),
            lambda text: text,
            lambda code: code.rpartition("//")[0] or None,
            frozenset(),
            Citation(
                "Medical Event Data Standard working group",
                "The MEDS data schema: codes of parts set apart by //",
                2025,
                "https://github.com/Medical-Event-Data-Standard/meds",
            ),
        ),
    )
}
ALIASES = {
    "icd9": "ICD-9-CM",
    "icd9cm": "ICD-9-CM",
    "icd10": "ICD-10-CM",
    "icd10cm": "ICD-10-CM",
    "atc": "ATC",
    "loinc": "LOINC",
    "meds": "MEDS",
}


@lru_cache(maxsize=64)
def code_system(name: str) -> CodeSystem:
    """A code system by name; case and punctuation do not matter ("ICD-9", "icd9cm").

    Raises
    ------
    ParameterError : no such system.
    """
    known = ALIASES.get(re.sub(r"[^a-z0-9]", "", name.lower()))
    if known is None:
        raise ParameterError(f"There is no code system named {name!r}. Choose one of {', '.join(SYSTEMS)}.")
    return SYSTEMS[known]


def public_groups(name: str) -> tuple[tuple[str, ...], ...]:
    """Blocks, then chapters of a system, as `ancestors` names them; empty where the system publishes none.

    >>> [len(level) for level in public_groups("ATC")], public_groups("LOINC")
    ([14], ())
    """
    if name == "ATC":
        return (tuple("ABCDGHJLMNPRSV"),)
    groups = {"ICD-9-CM": ICD9_GROUPS, "ICD-10-CM": ICD10_GROUPS}.get(name)
    if groups is None:
        return ()
    named = [(level, f"{first}-{last}" if first != last else first) for level, first, last in groups.ranges]
    return tuple(tuple(dict.fromkeys(group for own, group in named if own == level)) for level in ("block", "chapter"))


def public_children(name: str, node: str) -> tuple[str, ...]:
    """The texts that may stand directly below a block or a code, by the system's notation; empty where its codes end.

    Notation is public, and no table of codes in use: not every text is a code that anybody holds.

    >>> public_children("ICD-9-CM", "249-251"), public_children("ICD-9-CM", "250.8")[:2], public_children("ATC", "C01AA05")
    (('249', '250', '251'), ('250.80', '250.81'), ())
    """
    if name == "ATC":
        ends = {1: _TWO_DIGITS[1:], 3: _LETTERS, 4: _LETTERS, 5: _TWO_DIGITS[1:]}.get(len(node), ())
        return tuple(node + end for end in ends)
    if name not in ("ICD-9-CM", "ICD-10-CM"):
        return ()
    if "-" in node:
        first, last = node.split("-", 1)
        return tuple(dict.fromkeys([*_categories(first, last), last]))
    whole, _, part = node.partition(".")
    most = (1 if whole[0] == "E" else 2) if name == "ICD-9-CM" else 4
    if len(part) >= most:
        return ()
    signs = DIGITS if name == "ICD-9-CM" else DIGITS + "AX" if len(part) < 3 else DIGITS + "".join(_LETTERS)
    return tuple(f"{whole}.{part}{sign}" for sign in signs)


def spellings(code: str) -> tuple[str, str, str]:
    """How tables write a normalised code: as published, without its leading zeros, without its dot.

    >>> spellings("008.45"), spellings("E11.9")
    (('008.45', '8.45', '00845'), ('E11.9', 'E11.9', 'E119'))
    """
    short = re.sub(r"^0{1,2}(?=\d)", "", code)
    return code, short, code.replace(".", "")


def _categories(first: str, last: str) -> list[str]:
    """The categories of a range: three digits, or a letter and digits, of one letter after the other."""
    if first[0].isdigit():
        return [f"{number:03d}" for number in range(int(first), int(last) + 1)]
    width = len(first) - 1
    letters = [letter for letter in _LETTERS if first[0] <= letter <= last[0]]
    every = (f"{letter}{number:0{width}d}" for letter in letters for number in range(10**width))
    return [code for code in every if first <= code <= last]


def recognise(texts: Sequence[str], *, hint: str = "") -> str | None:
    """The system whose codes these distinct texts are, or None.

    Parameters
    ----------
    texts : distinct texts, without words for "no value".
    hint : words of the column's name; plain numbers are taken for codes only when it speaks for the system.
    """
    words = set(hint.lower().split())
    digits = sum(re.fullmatch(r"\d+(\.\d+)?", text.strip()) is not None for text in texts)
    for system in SYSTEMS.values():
        is_hinted = bool(words & system.hints)
        if not is_hinted and (len(texts) < MIN_DISTINCT or not _speaks_for_itself(system.name, texts)):
            continue
        if len(texts) < 2 or (system.name == "ICD-10-CM" and digits > 0.2 * len(texts)):
            continue
        if system.name == "ICD-9-CM" and (digits < 0.3 * len(texts) or not _is_full_icd9(texts)):
            continue
        if system.matches(texts[:100]) >= 0.8 and system.matches(texts) >= MIN_SHARE:
            return system.name
    return None


def _is_full_icd9(texts: Sequence[str]) -> bool:
    """Whether most texts have the three digits of a category: 1, 2 and 3 under `diagnosis` are levels, not codes."""
    n_full = sum(re.match(r"\s*(\d{3}|[VE]\d\d)", text) is not None for text in texts)
    return n_full > 0.5 * len(texts) and (len(texts) >= MIN_DISTINCT or any("." in text or text[:1] in "VE" for text in texts))


def _speaks_for_itself(name: str, texts: Sequence[str]) -> bool:
    """Whether texts can be no other thing than codes of the system, whatever the column is called."""
    if name == "LOINC":
        return True
    if name == "ATC":
        return sum(len(text.strip()) == 7 for text in texts) > 0.5 * len(texts)
    if name == "ICD-10-CM":
        return len({text.strip()[:1] for text in texts}) >= 3 and sum("." in text for text in texts) > 0.2 * len(texts)
    return False
