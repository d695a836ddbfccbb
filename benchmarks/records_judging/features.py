"""A patient as one row of numbers: statics, record lengths, and per code how often, first, last, mean, least, greatest. Knows no score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from records_judging.reading import Cohort

MOST_CODES = 60
LEAST_VALUES = 50  # of a code in train, for its values to become features and be compared
MOST_LEVELS = 30
STATISTICS = ("first", "last", "mean", "min", "max")


@dataclass(frozen=True)
class Vocabulary:
    """What train holds: all codes by the share of patients that have them, those with values, the levels of the statics."""

    codes: tuple[str, ...]
    with_values: tuple[str, ...]
    levels: dict[str, tuple[str, ...]]
    numbers: tuple[str, ...]


def vocabulary(train: Cohort) -> Vocabulary:
    """The vocabulary of train; ties by name, so that it is the same everywhere."""
    holders = train.events.groupby("code")["patient"].nunique()
    order = sorted(holders.index, key=lambda code: (-holders[code], code))
    n_values = train.events.groupby("code")["value"].count()
    is_text = [name for name in train.statics if not pd.api.types.is_numeric_dtype(train.statics[name])]
    levels = {name: tuple(train.statics[name].value_counts().index[:MOST_LEVELS]) for name in is_text}
    numbers = tuple(name for name in train.statics if name not in is_text)
    return Vocabulary(tuple(order), tuple(code for code in order if n_values[code] >= LEAST_VALUES), levels, numbers)


def lengths(cohort: Cohort) -> pd.DataFrame:
    """Per patient: rows, distinct moments, time from the first to the last, mean gap between moments."""
    times = cohort.events[["patient", "time"]].dropna()
    moments = times.drop_duplicates()
    by_patient = moments.groupby("patient")["time"]
    index = pd.RangeIndex(len(cohort))
    frame = pd.DataFrame(
        {
            "n_rows": cohort.events.groupby("patient").size().reindex(index, fill_value=0),
            "n_moments": by_patient.size().reindex(index, fill_value=0),
            "span": (by_patient.max() - by_patient.min()).reindex(index),
        }
    ).astype(float)
    return frame.assign(mean_gap=frame["span"] / (frame["n_moments"] - 1).where(frame["n_moments"] > 1))


def rows(cohort: Cohort, known: Vocabulary) -> pd.DataFrame:
    """One row a patient; NaN where there is nothing to say."""
    index = pd.RangeIndex(len(cohort))
    missing = pd.Series(np.nan, index)
    parts = [lengths(cohort), *(cohort.statics.get(name, missing).rename(name).to_frame() for name in known.numbers)]
    for name, levels in known.levels.items():
        cells = cohort.statics.get(name, pd.Series(None, index, dtype=object))
        place = pd.Index(levels).get_indexer(cells)
        parts.append(pd.Series(np.where(cells.isna(), np.nan, place), index, name=name).to_frame())
    top = list(known.codes[:MOST_CODES])
    events = cohort.events[cohort.events["code"].isin(top)]
    grouped = events.groupby(["patient", "code"])["value"]
    counts = grouped.size().unstack().reindex(index=index, columns=top).fillna(0.0)
    parts.append(counts.add_prefix("count "))
    parts.append((len_of(cohort, index) - counts.sum(1)).rename("count of other codes").to_frame())
    valued = [code for code in top if code in set(known.with_values)]
    for statistic in STATISTICS:
        table = getattr(grouped, statistic)().unstack().reindex(index=index, columns=valued)
        parts.append(table.astype(float).add_prefix(f"{statistic} "))
    return pd.concat(parts, axis=1)


def len_of(cohort: Cohort, index: pd.Index) -> pd.Series:
    """Rows of each patient."""
    return cohort.events.groupby("patient").size().reindex(index, fill_value=0).astype(float)


def is_category(frame: pd.DataFrame, known: Vocabulary) -> np.ndarray:
    """Which columns of `rows` are levels."""
    return np.array([name in known.levels for name in frame.columns])


def dense(frame: pd.DataFrame, like: pd.DataFrame) -> np.ndarray:
    """Standardised by `like`, missing cells 0 with a flag beside them, cut at 10 deviations: what a linear model takes."""
    mean, deviation = like.mean().fillna(0.0), like.std().replace(0.0, 1.0).fillna(1.0)
    standard = ((frame - mean) / deviation).clip(-10, 10).fillna(0.0)
    flags = frame.isna().loc[:, like.isna().any()]
    return np.column_stack([standard, flags]).astype(float)
