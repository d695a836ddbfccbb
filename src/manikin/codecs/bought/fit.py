"""Buys everything a table codec knows, for a share of the ledger: forms first, then levels, missing codes, ranges and bins. Opens no seal.

What is public and free: the columns' names, order and roles and which of them are left out; facts that a person declared. All else of the
schema was learned by looking at the patients, and is neither used nor kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from manikin.codecs.bought.cells import cell_texts, points
from manikin.codecs.bought.code_sets import PER_ROW, buy_code_set
from manikin.codecs.bought.forms import Classes, form_of, format_places, hinted_system, is_listed, with_step
from manikin.codecs.bought.histograms import CLEAR
from manikin.codecs.bought.levels import SHORT_BOOK, Found, buy_levels
from manikin.codecs.bought.numbers import Line, buy_lines, number_codec, unit_of
from manikin.codecs.bought.reading import CLOCKS, WORDS, read
from manikin.codecs.code_sets import CodeSetCodec
from manikin.codecs.levels import LevelCodec
from manikin.codecs.numbers import NumberCodec
from manikin.codecs.public_schema import ColumnCodec
from manikin.data.cells import UNREADABLE
from manikin.data.dataset import Dataset
from manikin.data.errors import BudgetError, FitError, parameter_error
from manikin.data.rules import Rule
from manikin.data.schema import EMPTY, Column, Kind, MissingCode, Role, Source, Storage, TableSchema
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import PrivateDataset

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST = 1e-4  # share of the ledger's precision below which there is nothing left to learn from
FORMS = 0.08  # share of the codec's precision that the classes of cells cost
CODES = 6.0  # share of a column of codes, times that of another column


@dataclass(frozen=True)
class Bought:
    """What was bought: the schema made of it, and per learned column its codec; per field rows of each token and their variance."""

    schema: TableSchema
    codecs: tuple[ColumnCodec, ...]
    rows: tuple[Floats, ...]
    variance: tuple[Floats, ...]

    def only(self, names: Collection[str]) -> Bought:
        """The part of these learned columns, none of which may be a set of codes' field by itself."""
        ends = np.cumsum([len(one.fields()) if isinstance(one, CodeSetCodec) else 1 for one in self.codecs]).tolist()
        kept = [i for i, column in enumerate(self.schema.learned) if column.name in names]
        places = [j for i in kept for j in range(ends[i - 1] if i else 0, ends[i])]
        unlearned = {c.name for c in self.schema} - {c.name for c in self.schema.learned}
        return Bought(
            self.schema.only([*unlearned, *names]),
            tuple(self.codecs[i] for i in kept),
            tuple(self.rows[j] for j in places),
            tuple(self.variance[j] for j in places),
        )


def buy(
    private: PrivateDataset,
    ledger: Ledger,
    *,
    share: float,
    max_tokens: int,
    max_codes: int,
    by: str,
    lists: float = 1.0,
    known_rows: tuple[float, float] | None = None,
) -> Bought:
    """Buys the vocabularies of all learned columns.

    Parameters
    ----------
    share : of the ledger's whole precision, the most that may be spent here, in (0, 1].
    lists : share of the delta for lists of values that are found. known_rows : how many rows there are, as bought before, and the
        variance of that; each patient has one where it is None.

    Raises
    ------
    FitError : there is no column to learn, or none in which anything stands clear of the noise.
    BudgetError : the ledger does not allow it, or a column cannot be bought.
    """
    if not 0 < share <= 1:
        raise parameter_error("share", "TableCodec.fit", "a number in (0, 1]", share)
    table = private.columns
    if not table.learned:
        raise FitError(f"Table {table.name!r} has no column to learn: all are identifiers or free text. Correct the schema.")
    precision = min(share * ledger.precision, ledger.precision_left) * (1 - 1e-9)
    if precision < LEAST * ledger.precision:
        raise BudgetError("Nothing is left of the privacy budget to learn the columns from. Give a larger --epsilon.")
    columns, n_rows, spent = _buy_forms(private, table.learned, ledger, precision=FORMS * precision, by=by)
    n_rows = n_rows if known_rows is None else known_rows
    needs = {column.name: need_of(column) for column in columns}
    share_of = {name: need * (precision - spent) / sum(needs.values()) for name, need in needs.items()}
    lines = {c.name: _line(c, ledger.rows_per_patient) for c in columns if c.kind.is_number or c.kind.is_time}
    if lines:
        _buy_lines(private, list(lines.values()), ledger, precision=sum(share_of[name] for name in lines), by=by)
    n_lists = sum(1 for c in columns if c.name not in lines and (c.kind is Kind.CODE_SET or not is_listed(c)))
    delta = lists * ledger.threshold_delta / max(n_lists, 1)

    def bought(column: Column) -> Found:
        """One column."""
        own = share_of[column.name]
        if column.name in lines:
            return _finish(lines[column.name], n_rows[0], max_tokens)
        if column.kind is Kind.CODE_SET:
            return buy_code_set(private, column, ledger, precision=own, delta=delta, max_codes=max_codes, by=by)
        return buy_levels(private, column, ledger, precision=own, delta=delta, n_rows=n_rows, by=by)

    found = [bought(column) for column in columns]
    if not any(one.has_values for one in found):
        raise FitError(
            f"In no column of table {table.name!r} does anything stand clear of the noise: an epsilon of {ledger.epsilon:g} is too little "
            "for so few patients and so many columns. Give a larger one, fewer columns, or declare levels and ranges in the schema."
        )
    schema = public_columns(table, {one.column.name: one.column for one in found})
    rows = tuple(own for one in found for own in one.rows)
    return Bought(schema, tuple(one.codec for one in found), rows, tuple(own for one in found for own in one.variance))


def need_of(column: Column) -> float:
    """How much of the precision a column gets, relative to others: known from what was declared or bought of its form.

    Where a column has k frequent values, the noise of its table costs about k / sqrt(precision) in all, and the sum over columns is least
    for shares of k^(2/3).
    """
    if column.kind is Kind.CODE and column.code_system and not (is_listed(column) and len(column.levels or ()) <= SHORT_BOOK):
        return CODES
    return 1.0


def public_columns(table: TableSchema, bought: dict[str, Column]) -> TableSchema:
    """The schema of what was bought and declared: others' names and roles stay, whatever else was learned of them goes."""
    columns = tuple(bought.get(column.name) or bare(column) for column in table)
    rules = tuple(replace(rule, evidence="") for rule in table.confirmed_rules if rule.source == Source.DECLARED)
    return TableSchema(table.name, columns, rules, table.min_patients)


def reading_schema(table: TableSchema) -> TableSchema:
    """The schema by which to read a file anew before it is sealed: every cell for itself, whatever others hold.

    A schema that was inferred decides by all patients how a cell is read (as a number, a date, an unreadable cell). With this one a column
    is read as texts unless a person declared its kind, so that one patient more changes nobody else's row.
    """
    learned = {column.name: read_as_texts(column) for column in table.learned}
    rules = tuple(rule for rule in table.rules if rule.source == Source.DECLARED)
    return TableSchema(table.name, tuple(learned.get(c.name) or bare(c) for c in table), rules, table.min_patients)


def read_as_texts(column: Column) -> Column:
    """The column as it is read before it is sealed: texts, unless a person declared its kind."""
    declared = _as_declared(column)
    codes = tuple(code for code in declared.missing if code.value != "")
    if column.source.kind is Source.DECLARED:
        return replace(declared, missing=(UNREADABLE, *codes))
    facts = {name: getattr(declared, name) for name in ("roles", "levels", "minimum", "maximum", "min_patients", "source")}
    empty = next((code for code in declared.missing if code.value == ""), EMPTY)
    return Column(column.name, Kind.CATEGORICAL, missing=(empty, *codes), **facts)


def bare(column: Column) -> Column:
    """A column that is not learned: an identifier that is made anew, or one that is left out."""
    is_identifier = column.kind is Kind.IDENTIFIER or column.has_role(Role.PATIENT_KEY)
    return Column(column.name, Kind.IDENTIFIER if is_identifier else Kind.TEXT, roles=column.roles)


def _buy_forms(
    private: PrivateDataset, columns: Sequence[Column], ledger: Ledger, *, precision: float, by: str
) -> tuple[list[Column], tuple[float, float], float]:
    """The columns as they are written, the number of rows with its variance, and what that cost."""
    asked = [column for column in columns if column.source.kind is not Source.DECLARED or _has_no_step(column)]
    described = {column.name: _as_declared(column) for column in columns}
    n_rows = (float(ledger.n_patients or 1), 2.0 / (0.01 * ledger.epsilon) ** 2)
    if not asked:
        unknown = (ledger.rows_per_patient > 1) * (n_rows[0] * ledger.rows_per_patient) ** 2
        return list(described.values()), (n_rows[0], n_rows[1] + unknown), 0.0
    classes = [Classes(hinted_system(column.name)) for column in asked]

    def places(data: Dataset) -> Ints:
        """The class of each cell, int64 (n_rows, n_columns)."""
        return np.column_stack([own.of(cell_texts(data, c.name)) for own, c in zip(classes, asked, strict=True)])

    answers = mechanisms.noisy_counts(
        private.map(places),
        [own.size for own in classes],
        ledger,
        precision=precision,
        purpose="how cells are written: counts of classes",
        columns=[column.name for column in asked],
        by=by,
    )
    noise = mechanisms.noise_of(ledger, precision, n_tables=len(asked))
    least = ledger.rows_per_patient + CLEAR * noise
    for column, rows in zip(asked, answers, strict=True):
        is_declared = column.source.kind is Source.DECLARED
        described[column.name] = with_step(_as_declared(column), rows, least) if is_declared else form_of(column, rows, least)
    if ledger.rows_per_patient > 1:
        clear = [np.where(rows > least, rows, 0.0) for rows in answers]
        n_clear = sum(int((rows > 0).sum()) for rows in clear)
        n_rows = (float(np.mean([rows.sum() for rows in clear])), noise**2 * max(n_clear, 1) / len(asked) ** 2)
    return list(described.values()), n_rows, precision


def _has_no_step(column: Column) -> bool:
    """Whether a column of declared numbers leaves open how many decimals they have."""
    return column.kind.is_number and column.decimals is None and column.storage is not Storage.INTEGER


def _as_declared(column: Column) -> Column:
    """A column whose kind is declared: storage, decimals, significant digits, format, code system and separator are taken with it."""
    missing = tuple(code for code in column.missing if code.source is Source.DECLARED)
    column = replace(column, missing=missing, suggested_missing=(), notes=())
    if column.source.kind is not Source.DECLARED:
        column = replace(column, significant=None)
    if column.source.range is not Source.DECLARED:
        column = replace(column, minimum=None, maximum=None)
    return column if is_listed(column) else replace(column, levels=None)


def _line(column: Column, alone: int) -> Line:
    declared = [read(code.value).text for code in column.missing]
    words = tuple(dict.fromkeys([*declared, *WORDS]))
    if column.kind.is_number:
        return Line(column, words, 10.0 ** -(column.decimals or 0), 0, alone)
    places = format_places(column.time_format)
    clock = CLOCKS[places[1]][0] if places else " %H:%M:%S"
    return Line(column, words, 1.0, unit_of(clock, has_clock=column.kind is Kind.DATETIME), alone)


def _buy_lines(private: PrivateDataset, lines: Sequence[Line], ledger: Ledger, *, precision: float, by: str) -> None:
    def read_rows(data: Dataset) -> Floats:
        """Grid point and word of each row for each line, float64 (n_rows, 2 * n_lines)."""
        return np.column_stack([part for line in lines for part in points(data, line.column, line.words, line.step, line.unit)])

    buy_lines(private.map(read_rows), lines, ledger, precision=precision, by=by)


def _finish(line: Line, n_rows: float, max_tokens: int) -> Found:
    """The column of a bought line: missing codes that are declared or stand clear, then bins; two neighbouring numbers are levels."""
    codes, places = list(line.column.missing), list(range(len(line.column.missing)))
    for i in line.clear_words():
        if i >= len(line.column.missing):
            at = 0 if line.words[i] == "" else len(codes)
            codes.insert(at, EMPTY if line.words[i] == "" else MissingCode(line.words[i]))
            places.insert(at, i)
    codec, variance = number_codec(line, len(codes), max_tokens)
    missing_rows = [float(line.word_rows[i]) for i in places]
    if not codes and not len(codec.low):  # nothing stands clear: the column stays empty
        codes, places, missing_rows = [EMPTY], [0], [n_rows]
        codec = replace(codec, n_missing=1)
    column = replace(line.column, missing=tuple(codes))
    rows = np.r_[missing_rows, codec.token_counts().astype(float)]
    every = np.r_[line.word_variance[places], variance]
    as_levels = _two_levels(column, codec)
    return Found(*as_levels, (rows,), (every,)) if as_levels else Found(column, codec, (rows,), (every,))


def _two_levels(column: Column, codec: NumberCodec) -> tuple[Column, LevelCodec] | None:
    """Whole numbers that are 0 and 1, or 1 and 2, and nothing else: levels, unless a person said that they are numbers."""
    if column.source.kind is Source.DECLARED or column.source.range is Source.DECLARED or column.decimals != 0 or codec.unit:
        return None
    if len(codec.low) != 2 or (codec.low != codec.high).any() or tuple(codec.low) not in ((0.0, 1.0), (1.0, 2.0)):
        return None
    levels = tuple(str(int(value)) for value in codec.low)
    kind = Kind.BOOLEAN if levels == ("0", "1") else Kind.CATEGORICAL
    made = replace(column, kind=kind, storage=Storage.INTEGER, decimals=None, levels=levels)
    return made, LevelCodec(codec.n_missing, levels, 2, codec.count, is_ordered=False)




def public_facts(table: TableSchema, rules_left_out: Sequence[Rule]) -> dict[str, object]:
    """What was taken as public, for whoever reads the ledger: names and roles of columns, declared facts, and what was left out."""
    declared: list[str] = []
    for column in table.learned:
        facts = [what for what in ("kind", "levels", "range") if getattr(column.source, what) is Source.DECLARED]
        facts += ["missing codes"] * any(code.source is Source.DECLARED for code in column.missing)
        declared += [f"{column.name}: {', '.join(facts)}"] if facts else []
    unlearned = [column.name for column in table if column.name not in {one.name for one in table.learned}]
    found = [rule for rule in table.confirmed_rules if rule.source != Source.DECLARED]
    return {
        "columns": [column.name for column in table.learned],
        "columns left out": unlearned,
        "facts declared": declared,
        "rules left out": [rule.about for rule in (*found, *rules_left_out)],
        "codes of a row that count, in sets of codes": PER_ROW,
    }
