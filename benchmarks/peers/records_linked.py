"""What adapters of generators of many linked tables share: which table stands under which, and tables as a peer can take them, and back.

A peer is helped with what its own users would do by hand, and with calendars that no patient shares:

* a table stands under one parent, its context: of the tables that it names in every row the one furthest from the patient (`deep`), or
  the patient (`patient`). Keys that follow from the parent are left out and copied from it; other keys are `loose`: the peer fills them,
  or `drawn_within` does, at random among the rows of the same patient.
* dates become days since the midnight before the patient's first event (MIMIC moves each patient to a century of her own), and come back
  at a day drawn from train's years. Rows are put into the order of their time.
* columns that only number the rows, and columns without any value, are left out and made anew; tables of nobody (dictionaries) are passed
  through as they are, and columns that name their rows are codes.

Knows no synthesizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
import records_adapter as shared

STAMP = "%Y-%m-%d %H:%M:%S"
SECONDS = 86_400
FEWEST = 20  # rows, below which distinct whole numbers may be a coincidence


@dataclass(frozen=True)
class Link:
    """A column of a table that names rows of another."""

    table: str
    column: str
    parent: str
    key: str


@dataclass
class Place:
    """Where a table stands: its context (None for the patients'), keys that follow from it, keys that do not, and what its columns are."""

    context: Link | None
    follows: list[Link] = field(default_factory=list)
    loose: list[Link] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    serial: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    time: str | None = None


def links(facts: Mapping) -> list[Link]:
    """The links of one column that judge.json names."""
    single = [told for told in facts["links"] if len(told["columns"]) == 1]
    return [Link(told["table"], told["columns"][0], told["to"], told["references"][0]) for told in single]


def contexts(tables: shared.Tables, facts: Mapping, deep: bool) -> dict[str, Place]:
    """Places of all tables that lead to the patient, parents before children."""
    root, key, every = facts["patients"]["table"], facts["patients"]["key"], links(facts)
    if not deep:  # a table may hold the patient's key and be linked by her visit's alone
        linked = {link.table for link in every if link.parent == root}
        every += [Link(name, key, root, key) for name in tables if name not in {root, *linked} and key in tables[name]]
    depth, places = {root: 0}, {root: Place(None)}
    while True:
        waiting = [name for name in tables if name not in places]
        ready = {
            name: [link for link in every if link.table == name and link.parent in places and tables[name][link.column].notna().all()]
            for name in waiting
            if all(link.parent in places or not _leads(link.parent, root, every) for link in every if link.table == name)
        }
        ready = {name: found for name, found in ready.items() if found}
        if not ready:
            return places
        for name, found in ready.items():
            flat = [link for link in found if link.parent == root]
            context = flat[0] if flat and not deep else max(found, key=lambda link: depth[link.parent])
            depth[name] = depth[context.parent] + 1
            above = ancestors(context, places)
            own = [link for link in every if link.table == name and link is not context and link.parent in places]
            follows, loose = ([link for link in own if (link.parent in above) == yes] for yes in (True, False))
            places[name] = Place(context, follows, loose)


def _leads(table: str, root: str, every: list[Link], seen: frozenset[str] = frozenset()) -> bool:
    """Whether a table names the patient's, at whatever remove."""
    if table == root:
        return True
    return table not in seen and any(_leads(link.parent, root, every, seen | {table}) for link in every if link.table == table)


def ancestors(context: Link | None, places: Mapping[str, Place]) -> dict[str, list[Link]]:
    """The tables above a table, each with the way there."""
    above, way = {}, []
    while context is not None:
        way = [*way, context]
        above[context.parent] = way
        context = places[context.parent].context
    return above


def is_date(cells: pd.Series) -> bool:
    """Whether all that a column of text holds is a moment."""
    known = cells.dropna()
    if pd.api.types.is_numeric_dtype(cells) or not len(known):
        return False
    return bool(pd.to_datetime(known, format=STAMP, errors="coerce").notna().all())


def days_of(cells: pd.Series) -> pd.Series:
    """Text of moments as days since 1970, floats; seconds, not nanoseconds, hold three centuries."""
    stamps = pd.to_datetime(cells, format=STAMP).to_numpy().astype("datetime64[s]")
    return pd.Series(np.where(np.isnat(stamps), np.nan, stamps.astype("int64") / SECONDS), index=cells.index)


def text_of(days: pd.Series) -> pd.Series:
    """Days since 1970 as text of moments."""
    stamps = np.full(len(days), np.datetime64("NaT", "s"))
    known = days.notna().to_numpy()
    stamps[known] = np.round(days.to_numpy(float)[known] * SECONDS).astype("int64").astype("datetime64[s]")
    return pd.Series(stamps, index=days.index).dt.strftime(STAMP)


def finest(cells: pd.Series) -> int:
    """Steps of a day that a column of text of moments knows: one, minutes or seconds."""
    known = cells.dropna()
    return 1 if known.str.endswith("00:00:00").all() else 1440 if known.str.endswith(":00").all() else SECONDS


class Linked:
    """The tables of train as a peer can take them, and a peer's tables as train's."""

    def __init__(self, tables: shared.Tables, facts: Mapping, deep: bool = True) -> None:
        self.facts, self.train = facts, tables
        self.root, self.key = facts["patients"]["table"], facts["patients"]["key"]
        self.places = contexts(tables, facts, deep)
        times = {event["table"]: event["time"] for event in facts["events"] if "time" in event}
        named = {column for columns in facts["keys"].values() for column in columns} | {link.column for link in links(facts)}
        for name, place in self.places.items():
            table = tables[name]
            place.dates = [column for column in table if is_date(table[column])]
            place.empty = [column for column in table if table[column].isna().all()]
            place.serial = [column for column in table if column not in named and _numbers_rows(table[column])]
            place.time = times.get(name, place.dates[0] if place.dates else None)
        self.anchors = self._anchors(tables)

    @property
    def dictionaries(self) -> list[str]:
        """Tables of nobody."""
        return [name for name in self.train if name not in self.places]

    def primary(self, name: str) -> str | None:
        """The column that is a table's key."""
        keys = self.facts["keys"].get(name)
        return keys[0] if keys and len(keys) == 1 else None

    def _patients(self, name: str, tables: shared.Tables) -> pd.Series:
        """The patient of each row of a table, by the way up from it."""
        return tables[name][self.key] if name == self.root else self._keys_above(name, self.root, tables)

    def _keys_above(self, name: str, parent: str, tables: shared.Tables) -> pd.Series:
        """The key of a table above that each row of a table stands under."""
        way = ancestors(self.places[name].context, self.places)[parent]
        keys = tables[name][way[0].column]
        for step, up in pairwise(way):
            keys = keys.map(tables[step.parent].drop_duplicates(step.key).set_index(step.key)[up.column])
        return keys

    def _anchors(self, tables: shared.Tables) -> pd.Series:
        """The midnight before each patient's first event in tables of events with dates, in days since 1970."""
        firsts = []
        for event in self.facts["events"]:
            name, time = event["table"], event.get("time")
            if name in self.places and time in self.places[name].dates:
                firsts.append(days_of(tables[name][time]).groupby(self._patients(name, tables)).min())
        if not firsts:
            return pd.Series(dtype=float)
        first = np.floor(pd.concat(firsts).groupby(level=0).min())
        return first.reindex(tables[self.root][self.key]).fillna(np.floor(first.median()))

    def given(self) -> shared.Tables:
        """Tables without what is left out, dates as days, rows in the order of their time."""
        out = {}
        for name, place in self.places.items():
            table = self.train[name].copy()
            anchor = self._patients(name, self.train).map(self.anchors) if place.dates else None
            for column in place.dates:
                table[column] = days_of(table[column]) - anchor
            if place.time:
                order = [place.context.column, place.time] if place.context else [place.time]
                table = table.sort_values(order, kind="stable").reset_index(drop=True)
            gone = {*place.serial, *place.empty, *(link.column for link in place.follows)} | self._named_alike(name)
            out[name] = table.drop(columns=[column for column in table if column in gone])
        return out

    def _named_alike(self, name: str) -> set[str]:
        """The patient's key in tables that hold it and are not linked by it."""
        context = self.places[name].context
        return {self.key} if context is not None and context.column != self.key and self.key in self.train[name] else set()

    def back(self, made: shared.Tables, seed: int) -> shared.Tables:
        """A peer's tables with train's columns: keys numbered anew, keys that follow copied, loose ones kept as they are, days as dates."""
        generator = np.random.default_rng(seed)
        made = {name: self._with(table.reset_index(drop=True), name) for name, table in made.items()}
        for name in self.places:  # parents first, so that a key is renamed once, with all that names it
            if (column := self.primary(name)) and name in made:
                start = shared.FIRST_KEY + int(generator.integers(1, 1000)) * 100_000
                numbers = dict(zip(made[name][column], range(start, start + len(made[name])), strict=True))
                made[name][column] = made[name][column].map(numbers).astype("Int64")
                for child, place in self.places.items():
                    for link in (place.context, *place.loose):
                        if link and link.parent == name and child in made and link.column in made[child]:
                            made[child][link.column] = made[child][link.column].map(numbers).astype("Int64")
        for name, place in self.places.items():
            for link in place.follows:
                made[name][link.column] = self._keys_above(name, link.parent, made)
            for column in self._named_alike(name):
                made[name][column] = self._patients(name, made)
        self._dates_back(made, generator)
        done = {name: made[name][list(self.train[name])] for name in self.places}
        return done | {name: self.train[name] for name in self.dictionaries}

    def _with(self, table: pd.DataFrame, name: str) -> pd.DataFrame:
        """A table with row numbers and empty columns."""
        place = self.places[name]
        rows = {column: np.arange(1, len(table) + 1) for column in place.serial}
        return table.assign(**rows, **dict.fromkeys(place.empty, np.nan))

    def _dates_back(self, made: shared.Tables, generator: np.random.Generator) -> None:
        """Days as dates, in years of train, as fine as train's: midnights stay midnights, minutes minutes."""
        if not len(self.anchors):
            return
        days = generator.integers(int(self.anchors.min()), int(self.anchors.max()) + 1, len(made[self.root]))
        anchors = pd.Series(days.astype(float), index=made[self.root][self.key])
        for name, place in self.places.items():
            anchor = self._patients(name, made).map(anchors)
            for column in place.dates:
                steps = finest(self.train[name][column])
                moments = anchor + pd.to_numeric(made[name][column], errors="coerce").astype(float)
                made[name][column] = text_of((moments * steps).round() / steps)

    def drawn_within(self, made: shared.Tables, seed: int) -> None:
        """Fills loose keys: a row of the same patient at random, none as often as in train or where she has none."""
        generator = np.random.default_rng(seed)
        for name, place in self.places.items():
            for link in place.loose:
                owners = self._patients(link.parent, made).to_numpy()
                of = pd.Series(made[link.parent][link.key].to_numpy()).groupby(owners).agg(list)
                lists = self._patients(name, made).map(of)
                missing = generator.random(len(lists)) < self.train[name][link.column].isna().mean()
                drawn = [
                    pd.NA if gone or not isinstance(found, list) else found[generator.integers(len(found))]
                    for found, gone in zip(lists, missing, strict=True)
                ]
                made[name][link.column] = pd.array(drawn, dtype="object")


def _numbers_rows(cells: pd.Series) -> bool:
    """Whether a column holds a whole number of its own in each of many rows."""
    return len(cells) >= FEWEST and pd.api.types.is_integer_dtype(cells) and cells.is_unique
