"""Reads and types the tables of one judgement and turns them into arrays. Knows no score.

Types come from train alone: a column whose cells are all numbers is a number, unless it has at most ten values (a
code, a year of sampling); everything else is a category. Cells are compared as values, so 61 and 61.0 are one value
in either kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

MOST_VALUES_OF_A_CODE = 10
MOST_LEVELS = 254  # scikit-learn's booster takes 255 categories; the last one is all the others
MOST_LEVELS_ONE_HOT = 30


@dataclass(frozen=True)
class Tables:
    """Typed tables with the same columns: floats for numbers, text for categories, NaN for missing."""

    train: pd.DataFrame
    test: pd.DataFrame
    synthetic: pd.DataFrame
    rest: pd.DataFrame | None
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    target: str
    n_unparsed: int

    @property
    def positive(self) -> str:
        """The rarer of the target's two levels in train."""
        return str(self.train[self.target].value_counts().index[-1])

    @property
    def utility_holdout(self) -> pd.DataFrame:
        """Rows on which utility is measured: those that were not sampled at all, where there are some."""
        return self.test if self.rest is None else self.rest


def read_text(path: Path) -> pd.DataFrame:
    """All cells as text; only the empty field is missing."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])


def as_number(text: pd.Series) -> pd.Series:
    """Numbers of a text column, NaN where there is none."""
    return pd.to_numeric(text, errors="coerce").astype(float) + 0.0  # -0.0 becomes 0.0


def as_category(text: pd.Series) -> pd.Series:
    """Levels of a text column; a level that is a number is written the shortest way, so 1995.0 is 1995."""
    levels = text.dropna().unique()
    numbers = pd.to_numeric(pd.Series(levels, dtype=object), errors="coerce")
    plain = text.astype(object).map(
        {level: level if np.isnan(number) else f"{number:.12g}" for level, number in zip(levels, numbers, strict=True)}
    )
    return plain.where(text.notna(), np.nan)


def is_number(text: pd.Series) -> bool:
    """Whether a column of train is a quantity."""
    numbers = as_number(text)
    return bool((numbers.notna() == text.notna()).all() and numbers.nunique() > MOST_VALUES_OF_A_CODE)


def is_code(text: pd.Series) -> bool:
    """Whether a column of train holds numbers, but so few that they are judged as categories."""
    return bool((as_number(text).notna() == text.notna()).all())


def load(train: Path, test: Path, synthetic: Path, target: str, rest: Path | None = None, key: str | None = None) -> Tables:
    """Reads the files and types them by train; the patient key, which a release makes anew, is not judged."""
    texts = {"train": read_text(train), "test": read_text(test), "synthetic": read_text(synthetic)}
    if rest is not None:
        texts["rest"] = read_text(rest)
    columns = [column for column in texts["train"].columns if column != key]
    for name, text in texts.items():
        lost = [column for column in columns if column not in text.columns]
        if lost:
            raise ValueError(f"The {name} table lacks the columns {', '.join(lost)}. Every table needs those of train.")
    numbers = [column for column in columns if column != target and is_number(texts["train"][column])]
    codes = {column for column in columns if is_code(texts["train"][column])} - set(numbers)
    typed = {
        name: pd.DataFrame({column: typed_column(text[column], column in numbers, column in codes) for column in columns})
        for name, text in texts.items()
    }
    unparsed = sum(int((typed["synthetic"][c].isna() & texts["synthetic"][c].notna()).sum()) for c in numbers)
    categories = tuple(column for column in columns if column not in numbers)
    return Tables(
        typed["train"],
        typed["test"],
        typed["synthetic"],
        typed.get("rest"),
        tuple(numbers),
        categories,
        target,
        unparsed,
    )


def typed_column(text: pd.Series, number: bool, code: bool) -> pd.Series:
    """One column in its type."""
    if number:
        return as_number(text)
    return as_category(text) if code else text.astype(object)


def frequent_levels(frames: Sequence[pd.DataFrame], column: str, most: int) -> list[str]:
    """The most frequent levels, every frame having the same weight; ties go by name."""
    shares = sum(
        frame[column].value_counts(normalize=True).reindex(sorted_levels(frames, column)).fillna(0) for frame in frames
    )
    return list(shares.sort_values(ascending=False, kind="stable").index[:most])


def sorted_levels(frames: Sequence[pd.DataFrame], column: str) -> list[str]:
    """All levels of a column in any of the frames."""
    return sorted(set().union(*(frame[column].dropna().unique() for frame in frames)))


def booster_arrays(
    tables: Tables, frames: Sequence[pd.DataFrame], vocabulary: Sequence[pd.DataFrame], leave_out: Sequence[str] = ()
) -> tuple[list[np.ndarray], np.ndarray]:
    """Arrays for the booster, NaN kept, levels coded by their rank in `vocabulary`; and which columns are categories."""
    columns = [column for column in tables.train.columns if column not in leave_out]
    arrays = [np.empty((len(frame), len(columns))) for frame in frames]
    for index, column in enumerate(columns):
        if column in tables.numbers:
            for array, frame in zip(arrays, frames, strict=True):
                array[:, index] = frame[column]
            continue
        rank = {level: code for code, level in enumerate(frequent_levels(vocabulary, column, MOST_LEVELS))}
        for array, frame in zip(arrays, frames, strict=True):
            codes = frame[column].map(rank).astype(float).fillna(MOST_LEVELS)
            array[:, index] = codes.where(frame[column].notna())
    return arrays, np.array([column not in tables.numbers for column in columns])


def embedding(tables: Tables, frames: Sequence[pd.DataFrame]) -> list[np.ndarray]:
    """Points for distances: numbers standardised by train (a missing one at the mean, flagged), categories one-hot.

    One-hot columns are divided by sqrt(2), so that two different levels are 1 apart; per column the 30 most frequent
    levels of train have a column of their own, and missing is a level.
    """
    parts: list[list[np.ndarray]] = [[] for _ in frames]
    for column in tables.numbers:
        mean, deviation = tables.train[column].mean(), tables.train[column].std() or 1.0
        for part, frame in zip(parts, frames, strict=True):
            standard = ((frame[column] - mean) / deviation).clip(-10, 10)
            part.append(np.column_stack([standard.fillna(0.0), frame[column].isna()]))
    for column in tables.categories:
        levels = frequent_levels([tables.train], column, MOST_LEVELS_ONE_HOT)
        for part, frame in zip(parts, frames, strict=True):
            known = frame[column].isin(levels)
            hot = [frame[column] == level for level in levels] + [~known & frame[column].notna(), frame[column].isna()]
            part.append(np.column_stack(hot) / np.sqrt(2))
    return [np.concatenate(part, axis=1).astype(np.float32) for part in parts]
