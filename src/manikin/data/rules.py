"""Rules that bind columns of one row to each other, as values. How a rule is checked stands in `rule_checks`, how it is kept in codecs.

A rule found in the data is an offer (`confirmed = False`); a person confirms it in schema.toml, and from then on it holds in every
synthetic row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

FROM_DATA = "data"


@dataclass(frozen=True)
class Rule:
    """Base of all rules: which columns it binds, whether a person confirmed it, where it was learned, and on what evidence (in words)."""

    columns: tuple[str, ...]
    confirmed: bool = False
    source: str = FROM_DATA
    evidence: str = ""
    kind: ClassVar[str] = "rule"

    @property
    def text(self) -> str:
        """The rule as a person would write it."""
        return f"{self.kind} of {', '.join(self.columns)}"

    @property
    def about(self) -> str:
        """The rule's kind and columns without any value, as messages may name it: `implied rule of dx, icu`."""
        return f"{self.kind} rule of {', '.join(self.columns)}"


@dataclass(frozen=True)
class OrderRule(Rule):
    """first <= second (or < when strict), for numbers or times; rows where either is missing satisfy it."""

    strict: bool = False
    kind: ClassVar[str] = "order"

    @property
    def text(self) -> str:
        """`admitted <= discharged`."""
        return f"{self.columns[0]} {'<' if self.strict else '<='} {self.columns[1]}"


@dataclass(frozen=True)
class SumRule(Rule):
    """columns[0] = columns[1] + columns[2] + …; rows with a missing part satisfy it.

    `tolerance` says how far off a row's total may be when rows are checked, as rounded parts make it. Totals that are generated do not
    use it up: they are the sum of their parts, rounded to the column's own decimals.
    """

    tolerance: float = 0.0
    kind: ClassVar[str] = "sum"

    @property
    def text(self) -> str:
        """`total = a + b`."""
        return f"{self.columns[0]} = {' + '.join(self.columns[1:])}"


@dataclass(frozen=True)
class ImpliedRule(Rule):
    """Where columns[0] holds one of `when`, columns[1] holds one of `then`. A cell is compared as text; "" is the empty cell."""

    when: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    kind: ClassVar[str] = "implied"

    @property
    def text(self) -> str:
        """`setting in (outpatient) => icu in (not applicable)`; `exang is empty => oldpeak is empty`."""
        return f"{self.columns[0]} {_one_of(self.when)} => {self.columns[1]} {_one_of(self.then)}"


def _one_of(texts: tuple[str, ...]) -> str:
    return "is empty" if texts == ("",) else f"in ({', '.join(text or 'empty' for text in texts)})"


@dataclass(frozen=True)
class CombinationRule(Rule):
    """Only combinations of levels that occur in the training data occur; `allowed` lists them when they are declared."""

    allowed: tuple[tuple[str, ...], ...] | None = None
    kind: ClassVar[str] = "combination"

    @property
    def text(self) -> str:
        """`fixed combinations of (ward, site)`."""
        return f"fixed combinations of ({', '.join(self.columns)})"


@dataclass(frozen=True)
class UniqueRule(Rule):
    """No two rows hold the same values in these columns."""

    kind: ClassVar[str] = "unique"


@dataclass(frozen=True)
class RangeRule(Rule):
    """minimum <= value <= maximum; either end may be open (None)."""

    minimum: float | None = None
    maximum: float | None = None
    kind: ClassVar[str] = "range"

    @property
    def text(self) -> str:
        """`0 <= age <= 120`."""
        low = "" if self.minimum is None else f"{self.minimum:g} <= "
        high = "" if self.maximum is None else f" <= {self.maximum:g}"
        return f"{low}{self.columns[0]}{high}"


RULES: dict[str, type[Rule]] = {r.kind: r for r in (OrderRule, SumRule, ImpliedRule, CombinationRule, UniqueRule, RangeRule)}
