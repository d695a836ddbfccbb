"""What of a schema may stand in a model folder or a release: no rare level, no extreme of few patients, no note. Knows no tokens.

Rules and missing codes are cut down alike, since both may name a value that only one patient holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from manikin.codecs.code_sets import CodeSetCodec
from manikin.codecs.levels import LevelCodec
from manikin.codecs.numbers import NumberCodec
from manikin.data.dataset import Dataset, Marks
from manikin.data.rules import CombinationRule, ImpliedRule, Rule
from manikin.data.schema import Column, MissingCode, Source, TableSchema

ColumnCodec = NumberCodec | LevelCodec | CodeSetCodec


def with_neutral_codes(schema: TableSchema, data: Dataset) -> TableSchema:
    """The schema with the text of rare missing codes taken out, unless it is a common word or a number: it may be somebody's note."""
    for column in schema.learned:
        codes = neutral_codes(column, data.table.mark(column.name), data.records, schema.threshold(column))
        if codes != column.missing:
            schema = schema.replace_column(replace(column, missing=codes, suggested_missing=()))
    return schema


def neutral_codes(column: Column, mark: Marks, patients: npt.NDArray[np.int64], min_patients: int) -> tuple[MissingCode, ...]:
    """The missing codes of a column without the text of those that fewer patients hold, unless it is a common word or a number.

    Parameters
    ----------
    mark : of the column's cells, (n_rows,). patients : the patient of each row, (n_rows,).
    """
    codes = list(column.missing)
    for i, code in enumerate(codes, start=1):
        n_holders = len(np.unique(patients[mark == i]))
        if code.source is Source.DATA and n_holders < min_patients and not _is_neutral(code.value):
            codes[i - 1] = replace(code, value="")
    return tuple(codes)


_WORDS = "? . - -- na n/a nan none null nil missing unknown unk refused"
NEUTRAL = frozenset({"", "not applicable", *_WORDS.split()})  # texts that tell nothing of the patient whose cell holds them


def _is_neutral(text: str) -> bool:
    """Whether a missing code tells nothing of the patient it stands for: a common word, or a number such as 99."""
    return text.strip().lower() in NEUTRAL or bool(re.fullmatch(r"[-+]?\d{1,4}(-\d\d-\d\d)?([.,]\d+)?", text.strip()))


def public_schema(schema: TableSchema, codecs: tuple[ColumnCodec, ...]) -> TableSchema:
    """The schema as a model folder or a release may hold it: levels and extremes that too few patients hold are not in it."""
    by_name = dict(zip((c.name for c in schema.learned), codecs, strict=True))
    columns = []
    for column in schema:
        codec = by_name.get(column.name)
        if column.source.range is not Source.DECLARED:
            column = replace(column, minimum=None, maximum=None)
        if column.levels is not None and not column.has_public_levels:
            known = codec.levels if isinstance(codec, LevelCodec) else ()
            column = replace(column, levels=tuple(level for level in column.levels if level in known) if known else None)
        columns.append(replace(column, notes=(), suggested_missing=()))
    rules = tuple(kept for rule in schema.confirmed_rules if (kept := public_rule(rule, by_name)) is not None)
    return replace(schema, columns=tuple(columns), rules=rules, notes=())


def public_rule(rule: Rule, codecs: Mapping[str, ColumnCodec]) -> Rule | None:
    """A confirmed rule without the values that too few patients hold; None where nothing is left of it."""
    rule = replace(rule, evidence="")
    if isinstance(rule, ImpliedRule):
        when = tuple(text for text in rule.when if _may_be_named(text, codecs.get(rule.columns[0])))
        then = tuple(text for text in rule.then if _may_be_named(text, codecs.get(rule.columns[1])))
        return replace(rule, when=when, then=then) if when and then else None
    if isinstance(rule, CombinationRule) and rule.allowed is not None:
        pairs = [codecs.get(name) for name in rule.columns]
        allowed = tuple(c for c in rule.allowed if all(map(_may_be_named, c, pairs)))
        return replace(rule, allowed=allowed)
    return rule


def _may_be_named(text: str, codec: ColumnCodec | None) -> bool:
    if isinstance(codec, LevelCodec):
        return text in codec.levels or _is_neutral(text)
    return isinstance(codec, NumberCodec)
