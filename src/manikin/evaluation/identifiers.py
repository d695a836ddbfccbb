"""Does the release say who somebody is? Direct identifiers, real identifier values that come back, and patterns in any text cell.

Knows no policy. Nothing found is ever named: only columns, what was found in them, and in how many cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset
from manikin.data.schema import Column, Kind, Role, Storage, is_left_out
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, measured
from manikin.evaluation.prepared import Prepared
from manikin.io.identifiers import direct_identifier
from manikin.io.phi_patterns import identifying_part
from manikin.io.profiles import Profile, profile_texts

IDENTIFIERS = Definition("identifiers", "Direct identifiers released", Section.PRIVACY, Direction.LOWER, unit="cells")
MIN_LENGTH = 5  # shorter values of identifiers stand in other columns by chance
REAPPEARING, MARKED = "value of a real identifier or free text", "value of a real identifier in its own column"


@dataclass(frozen=True)
class _Real:
    """The identifying values of train and holdout: by column, and all that would be recognised in another column."""

    by_column: Mapping[str, frozenset[str]]
    anywhere: frozenset[str]


@measured(IDENTIFIERS)
def identifiers(data: Prepared, *, seed: int) -> MetricResult:
    """Number of released cells that identify somebody; must be 0. All rows and all columns are looked at, also unknown ones.

    A cell counts when it stands in a column that the schema calls a direct identifier, patient key, identifier or free text and
    equals a real value of it; when such a value of train or holdout comes back in another text column; when a text matches a pattern
    (e-mail, web and network addresses, telephone, social security, health service, national insurance, account and record numbers; 45
    CFR 164.514(b)(2)); or when its column, unknown to the schema, is one of direct identifiers by its name or content. Keys that
    merely count the rows are not held against a release, nor is a key of whole numbers for being that of something else. There is
    nothing to draw, so no interval. Details give counts by column and never a value; `unjudged` are the released columns that no
    other figure has looked at: those that train does not have, and free text and direct identifiers, made anew or not, except keys
    that count.
    """
    del seed
    release = data.synthetic[data.release]
    real = _real_values(data)
    columns: list[dict[str, Any]] = []
    unjudged: list[str] = []
    n_cells = 0
    by_name = {column.name: column for column in data.train.columns}
    for column in release.columns:
        known = by_name.get(column.name)
        if known is not None and not _may_identify(known, column):
            continue
        profile = _profile(release, column)
        n_cells += profile.n_present
        if known is None or (_is_unseen(known) and profile.n_present and not _counts_rows(profile)):
            unjudged.append(column.name)
        found = _found(profile, known, real)
        columns += [{"column": column.name, "what": what, "n_cells": n} for what, n in sorted(found.items())]
    columns.sort(key=lambda row: (-row["n_cells"], row["column"], row["what"]))
    return IDENTIFIERS.result(
        float(sum(row["n_cells"] for row in columns)),
        n=n_cells,
        reference=0.0,
        details={"columns": columns, "unjudged": unjudged, "n_unjudged": len(unjudged), "n_columns": len(release.columns.names)},
    )


def _may_identify(known: Column, column: Column) -> bool:
    """Whether the cells of a known column must be looked at: numbers and times of columns that identify nobody need not."""
    identifies = is_left_out(known) or known.kind is Kind.IDENTIFIER
    return identifies or not (column.kind.is_number or column.kind.is_time or column.kind is Kind.BOOLEAN)


def _is_unseen(known: Column) -> bool:
    """Whether no metric and no attack looks at the cells of a column; keys of patients are needed to tell whose row it is."""
    return is_left_out(known) and not known.has_role(Role.PATIENT_KEY)


def _found(profile: Profile, known: Column | None, real: _Real) -> dict[str, int]:
    """What was found in a column and in how many cells; each cell counts once."""
    finding = None
    if known is None:  # the kind of an unknown column is not known: it may be a date of birth
        finding = direct_identifier(profile, Column(profile.name, Kind.DATE))
    if finding is not None:
        return {f"{finding.what}, by its {finding.how}": profile.n_present} if profile.n_present else {}
    own = frozenset() if known is None or _counts_rows(profile) else real.by_column.get(profile.name, frozenset())
    anywhere = frozenset() if known is not None and _is_numbered(known) else real.anywhere
    found: dict[str, int] = {}
    for text, count, is_present in zip(profile.texts, profile.counts, profile.is_present, strict=True):
        what = _identified(str(text), own, anywhere) if is_present else None
        if what is not None:
            found[what] = found.get(what, 0) + int(count)
    return found


def _is_numbered(known: Column) -> bool:
    """Whether a column is a key of whole numbers: made anew, and equal to a key of something else by chance alone."""
    is_key = known.kind is Kind.IDENTIFIER or known.has_role(Role.PATIENT_KEY)
    return is_key and known.storage is Storage.INTEGER and not known.has_role(Role.DIRECT_IDENTIFIER)


def _identified(text: str, own: frozenset[str], anywhere: frozenset[str]) -> str | None:
    plain = _plain(text)
    if plain in own:
        return MARKED
    if plain in anywhere:
        return REAPPEARING
    return identifying_part(text) if len(text) >= MIN_LENGTH else None


def _counts_rows(profile: Profile) -> bool:
    """Whether a key only counts, 1, 2, 3, …: made anew, and equal to a real key by chance alone."""
    numbers = profile.numbers[profile.is_present]
    if not len(numbers) or np.isnan(numbers).any():
        return False
    return bool(numbers.min() in (0, 1) and (np.diff(np.sort(numbers)) == 1).all())


def _real_values(data: Prepared) -> _Real:
    """Values of identifiers that fewer patients hold than the schema's threshold, which are not also levels of judged columns."""
    by_column: dict[str, frozenset[str]] = {}
    anywhere: set[str] = set()
    for column in data.train.columns:
        if not (is_left_out(column) or column.kind is Kind.IDENTIFIER):
            continue
        parts = [side for side in (data.train, data.holdout) if column.name in side.columns]
        texts = pd.concat([pd.Series(_texts(side, column.name), dtype=object) for side in parts], ignore_index=True)
        records = np.concatenate([side.records + i * len(data.train) for i, side in enumerate(parts)])
        values = _rare(texts, records, data.train.columns.threshold(column), column)
        by_column[column.name] = values
        if not (column.kind.is_time or column.kind.is_number):
            anywhere.update(text for text in values if len(text) >= MIN_LENGTH)
    return _Real(by_column, frozenset(anywhere - _levels(data)) if anywhere else frozenset())


def _rare(texts: pd.Series[Any], records: npt.NDArray[np.int64], threshold: int, column: Column) -> frozenset[str]:
    """The distinct values; of free text only those that few patients hold, for "none" identifies nobody."""
    codes, distinct = pd.factorize(texts, use_na_sentinel=True)
    is_there = codes >= 0
    if column.kind is Kind.TEXT and not column.has_role(Role.DIRECT_IDENTIFIER):
        pairs = np.unique(np.stack([codes[is_there], records[is_there]]), axis=1)
        rare = np.bincount(pairs[0], minlength=len(distinct)) < threshold
    else:
        rare = np.ones(len(distinct), dtype=bool)
    return frozenset(plain for text, is_rare in zip(distinct, rare, strict=True) if is_rare and (plain := _plain(str(text))))


def _levels(data: Prepared) -> set[str]:
    """Levels that train itself holds in judged columns: a diagnosis that also stands in somebody's notes identifies nobody."""
    found: set[str] = set()
    for feature in data.features:
        if feature.levels is not None:
            codes = np.unique(data.real.values[feature.name])
            found.update(_plain(feature.levels[code]) for code in codes if code >= 0)
    return found


def _texts(side: Dataset, name: str) -> npt.NDArray[np.object_]:
    """The cell texts of a column, None where there is no value."""
    texts = column_texts(side.table, side.columns[name])
    texts[side.table.mark(name) > 0] = None
    return texts


def _profile(side: Dataset, column: Column) -> Profile:
    """The distinct texts of a released column; a cell without a value is the empty text."""
    series = side.table.frame[column.name]
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        keys = np.array([*map(str, series.cat.categories), ""], dtype=object)
        codes = np.where(codes < 0, len(keys) - 1, codes)
        return Profile(column.name, codes, np.bincount(codes, minlength=len(keys)), keys, Storage.TEXT)
    texts = [str(text) if text is not None and text == text else "" for text in _texts(side, column.name)]
    return profile_texts(column.name, pd.Series(texts, dtype=object))


def _plain(text: str) -> str:
    return text.strip().casefold()
