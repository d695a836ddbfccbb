"""A person's analysis as text, such as "died ~ age + sex + log(creatinine)", read by a small grammar. Knows no table of cells.

Nothing in the text is ever evaluated: it holds names of columns, `+`, `:`, `*`, `log()`, `sqrt()`, `Surv()` and numbers, and everything
else is refused. (Formula packages evaluate Python in formulas; what comes from a command line or someone's file must not be run.)

    analysis  = outcome "~" term { "+" term }
    outcome   = factor | "Surv" "(" name "," name ")"
    term      = "1" | factor { ("*" | ":") factor }
    factor    = name | ("log" | "sqrt") "(" name [ "+" number ] ")"
    name      = letters, digits, "_" and "." | anything between backticks
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from manikin.data.errors import ParameterError
from manikin.data.schema import Kind, TableSchema, is_left_out

MAX_CHARACTERS = 2_000
MAX_TERMS = 60
MAX_CROSSED = 3
FUNCTIONS = ("log", "sqrt")
HOW = "Write it like 'died ~ age + log(creatinine)' or 'Surv(time, event) ~ age * sex'; put odd column names between backticks"
TOKEN = re.compile(
    r"\s*(?:`(?P<quoted>[^`]+)`|(?P<number>\d+(?:\.\d+)?)(?![\w.])|(?P<name>[^\W\d][\w.]*)|(?P<mark>[~+:*(),]))"
)


@dataclass(frozen=True, order=True)
class Factor:
    """A column, or the logarithm or square root of a column plus `shift`."""

    column: str
    function: str = ""
    shift: float = 0.0

    @property
    def name(self) -> str:
        """As it is written: age, log(creatinine + 1)."""
        inner = f"{self.column} + {self.shift:g}" if self.shift else self.column
        return f"{self.function}({inner})" if self.function else inner


Crossed = tuple[Factor, ...]


@dataclass(frozen=True)
class Analysis:
    """A regression: its outcome (a factor, or columns of time and event) and its terms, each one factor or several that are crossed.

    Attributes
    ----------
    is_default : chosen by us and not by a person: coefficients of numbers are per standard deviation, levels are pooled sooner.
    left_out : columns that were passed over in choosing, as (name, reason).
    """

    outcome: Factor | None
    time: str | None
    event: str | None
    terms: tuple[Crossed, ...]
    is_default: bool = False
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> list[str]:
        """Every column that it needs, each once."""
        names = [self.outcome.column] if self.outcome else [name for name in (self.time, self.event) if name]
        return list(dict.fromkeys([*names, *(factor.column for term in self.terms for factor in term)]))

    @property
    def text(self) -> str:
        """The analysis written out: outcome ~ a + b + a:b."""
        left = self.outcome.name if self.outcome else f"Surv({self.time}, {self.event})"
        return f"{left} ~ {' + '.join(':'.join(factor.name for factor in term) for term in self.terms)}"


def read_analysis(text: str, schema: TableSchema) -> Analysis:
    """The analysis that a text asks for.

    Raises
    ------
    ParameterError : the text is no analysis, or names a column that the table has not or that no model can take.
    """
    analysis = parse(text)
    for name in analysis.columns:
        if name not in schema:
            raise _error(text, f"the table has no column {name!r}")
        kind = schema[name].kind
        if is_left_out(schema[name]) or not kind.is_learned or kind is Kind.CODE_SET:
            raise _error(text, f"column {name!r} ({kind}) is none that a regression takes")
    factors = [factor for term in analysis.terms for factor in term] + ([analysis.outcome] if analysis.outcome else [])
    for factor in factors:
        if factor.function and not schema[factor.column].kind.is_number:
            kind = schema[factor.column].kind
            raise _error(text, f"{factor.function}() needs a number, and column {factor.column!r} is {kind}")
    if analysis.time and not schema[analysis.time].kind.is_number:
        raise _error(text, f"the time {analysis.time!r} in Surv() is no number")
    return analysis


def parse(text: str) -> Analysis:
    """The analysis of a text, before its columns are looked up.

    Raises
    ------
    ParameterError : the text does not follow the grammar.
    """
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        raise ParameterError(f"An analysis must be a text of at most {MAX_CHARACTERS:,} characters. {HOW}.")
    return _Reader(text).analysis()


def _error(text: str, reason: str) -> ParameterError:
    shown = text if len(text) <= 120 else f"{text[:117]}..."
    return ParameterError(f"The analysis {shown!r} cannot be used: {reason}. {HOW}.")


class _Reader:
    """Reads tokens from left to right; what it meets and does not know is refused."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokens()
        self.at = 0

    def _tokens(self) -> list[tuple[str, str]]:
        found, place, text = [], 0, self.text.rstrip()
        while place < len(text):
            match = TOKEN.match(text, place)
            if match is None:
                raise _error(self.text, f"{text[place:].strip()[:1]!r} has no meaning there")
            kind = str(match.lastgroup)
            found.append((kind, match[kind]))
            place = match.end()
        return found

    def analysis(self) -> Analysis:
        """The whole text."""
        time = event = outcome = None
        if self._next_is_call("Surv"):
            self.at += 2
            time = self._column()
            self._expect(",")
            event = self._column()
            self._expect(")")
        else:
            outcome = self._factor()
        self._expect("~")
        terms = self._term()
        while self._take("+"):
            terms += self._term()
        if self.at < len(self.tokens):
            raise _error(self.text, f"{self.tokens[self.at][1]!r} has no meaning there")
        analysis = Analysis(outcome, time, event, tuple(dict.fromkeys(terms)))
        self._check(analysis)
        return analysis

    def _check(self, analysis: Analysis) -> None:
        if not analysis.terms:
            raise _error(self.text, "it has no term")
        if len(analysis.terms) > MAX_TERMS:
            raise _error(self.text, f"it has more than {MAX_TERMS} terms")
        explained = {analysis.outcome.column} if analysis.outcome else {analysis.time, analysis.event}
        if analysis.time and analysis.time == analysis.event:
            raise _error(self.text, "time and event are one column")
        if explained & {factor.column for term in analysis.terms for factor in term}:
            raise _error(self.text, "the outcome is among its own terms")

    def _term(self) -> list[Crossed]:
        kind, value = self._peek()
        if (kind, value) == ("number", "1"):
            self.at += 1
            return []
        factors, marks = [self._factor()], set()
        while self._peek()[1] in ("*", ":") and self._peek()[0] == "mark":
            marks.add(self._peek()[1])
            self.at += 1
            factors.append(self._factor())
        if len(marks) > 1:
            raise _error(self.text, "one term holds both * and :")
        if len(factors) > MAX_CROSSED or len(set(factors)) < len(factors):
            raise _error(self.text, f"a term crosses more than {MAX_CROSSED} columns, or one with itself")
        if marks == {"*"}:
            return [part for size in range(1, len(factors) + 1) for part in combinations(factors, size)]
        return [tuple(factors)]

    def _factor(self) -> Factor:
        for function in FUNCTIONS:
            if self._next_is_call(function):
                self.at += 2
                column = self._column()
                shift = float(self._number()) if self._take("+") else 0.0
                self._expect(")")
                return Factor(column, function, shift)
        return Factor(self._column())

    def _column(self) -> str:
        kind, value = self._peek()
        if kind not in ("name", "quoted"):
            raise _error(self.text, f"a column's name is expected before {value!r}" if value else "it ends too early")
        self.at += 1
        if kind == "name" and self._peek() == ("mark", "("):
            raise _error(self.text, f"{value}() is no function of analyses; only log() and sqrt() are")
        return value

    def _number(self) -> str:
        kind, value = self._peek()
        if kind != "number":
            raise _error(self.text, "a number is expected after + inside the brackets")
        self.at += 1
        return value

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def _next_is_call(self, name: str) -> bool:
        return self.tokens[self.at : self.at + 2] == [("name", name), ("mark", "(")]

    def _take(self, mark: str) -> bool:
        if self._peek() == ("mark", mark):
            self.at += 1
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            found = self._peek()[1]
            raise _error(self.text, f"{mark!r} is expected before {found!r}" if found else f"{mark!r} is missing")


def read_analyses(texts: Sequence[str], schema: TableSchema) -> tuple[Analysis, ...]:
    """Several analyses, each once."""
    return tuple(dict.fromkeys(read_analysis(text, schema) for text in texts))
