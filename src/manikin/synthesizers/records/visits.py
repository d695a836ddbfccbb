"""Linked patients as visits with sets of codes: which rows make a visit, which codes it holds. Knows tokens, and no model.

Two forms are taken. *Rows*: one table whose rows are the visits (an admission), with tables of codes that name it and have no time of
their own (diagnoses, procedures), or with none. *Moments*: one table of timed codes, where all rows of a patient at one time are a visit.
A code is a token of the column that says what a row is about; where a number is measured by it, the code and a level of that number
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.codecs.levels import LevelCodec
from manikin.codecs.records.base import Records
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.plan import EventPlan
from manikin.data.errors import FitError, ModelFolderError
from manikin.synthesizers.base import Arrays
from manikin.synthesizers.records.chances import Chances, counted
from manikin.synthesizers.records.event_tables import table_fields
from manikin.training.objectives.visits import VisitData

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
NONE = -1
RANK, RANKS = 1_000, 64  # the parent of a field that follows the row's number in its visit, and how many numbers are told apart
MOST_CODES = 8_192
MOST_REPEATS = 0.9
WAY_OUT = "Leave it out, or use 'event_transformer'."


@dataclass(frozen=True)
class VisitPlan:
    """What makes a visit.

    Attributes
    ----------
    table : the table whose rows open visits. is_moment : whether all of its rows at one time are one visit.
    fields : the fields of the opening row that have one token each in a visit.
    key, value, link, zero : of each table the field of its codes, of their number and of its link, and the token of "no time after the row
        before"; -1 where there is none.
    code_table, code_token, code_low, code_high : int64 (n_codes,), what each code stands for; its number's tokens lie in [low, high].
    """

    table: int
    is_moment: bool
    fields: tuple[int, ...]
    key: tuple[int, ...]
    value: tuple[int, ...]
    link: tuple[int, ...]
    zero: tuple[int, ...]
    code_table: Ints
    code_token: Ints
    code_low: Ints
    code_high: Ints

    @property
    def n_codes(self) -> int:
        """Codes of all tables."""
        return len(self.code_table)

    def sizes(self, codec: RecordsCodec) -> tuple[int, ...]:
        """Tokens of each field of a visit: that it goes on or ends, then the opening row's."""
        sizes = codec.layout.tables[self.table].layout.sizes
        return (2, *(sizes[j] for j in self.fields))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """As plain values and arrays."""
        names = ("table", "is_moment", "fields", "key", "value", "link", "zero")
        values = {name: list(own) if isinstance(own := getattr(self, name), tuple) else own for name in names}
        return values, {name: getattr(self, name) for name in ("code_table", "code_token", "code_low", "code_high")}

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Arrays, codec: RecordsCodec) -> VisitPlan:
        """The plan as saved.

        Raises
        ------
        ModelFolderError : it does not fit the codec's tables.
        """
        tables = codec.layout.tables
        whole = {name: tuple(values[name]) for name in ("fields", "key", "value", "link", "zero")}
        codes = [arrays.get(name) for name in ("code_table", "code_token", "code_low", "code_high")]
        is_sound = type(values["table"]) is int and 0 <= values["table"] < len(tables) and type(values["is_moment"]) is bool
        is_sound = is_sound and all(type(j) is int for own in whole.values() for j in own)
        if not is_sound or any(one is None or one.dtype != np.int64 or one.ndim != 1 or len(one) > MOST_CODES for one in codes):
            raise _refusal()
        plan = cls(values["table"], values["is_moment"], **whole, **dict(zip(_CODES, codes, strict=True)))  # type: ignore[arg-type]
        plan._check(codec)
        return plan

    def _check(self, codec: RecordsCodec) -> None:
        """Every field and token is there."""
        tables = codec.layout.tables
        sizes = [table.layout.sizes for table in tables]
        fits = all(len(own) == len(tables) for own in (self.key, self.value, self.link, self.zero))
        fits = fits and self.fields == _fields(len(sizes[self.table]), is_moment=self.is_moment)
        fits = fits and all(-1 <= own[t] < len(sizes[t]) for own in (self.key, self.value, self.link) for t in range(len(tables)))
        fits = fits and all(-1 <= self.zero[t] < sizes[t][0] for t in range(len(tables)))
        fits = fits and len({len(one) for one in (self.code_table, self.code_token, self.code_low, self.code_high)}) == 1
        for t in range(len(tables)) if fits else ():
            mine = self.code_table == t
            key, value = self.key[t], self.value[t]
            token, low, high = self.code_token[mine], self.code_low[mine], self.code_high[mine]
            fits = fits and (not mine.any() or (key >= 0 and bool(((token >= 0) & (token < sizes[t][key])).all())))
            fits = fits and (value < 0 or bool(((low >= 0) & (low <= high) & (high < sizes[t][value])).all()))
        if not fits or (self.code_table < 0).any() or (self.code_table >= len(tables)).any():
            raise _refusal()


_CODES = ("code_table", "code_token", "code_low", "code_high")


@dataclass(frozen=True)
class VisitRows:
    """How rows are made of codes, from counts.

    Attributes
    ----------
    repeats : float64 (n_codes,), the chance that one more row of a code follows in the same visit, the mean of patients' own.
    place, spread : float64 (n_codes,), where in the rows of its table of a visit a code stands, 0 … 1.
        A code that fewer than `min_patients` patients have gets 0, 0.5 and 0.3 for the three.
    beside : of each table, of each field beside its code, the chances of its tokens.
    """

    repeats: Floats
    place: Floats
    spread: Floats
    beside: tuple[dict[int, Chances], ...]


def make_plan(codec: RecordsCodec, records: Records, name: str, levels: int, *, is_bought: bool = False) -> VisitPlan:
    """Which rows are visits, and which codes there are.

    Parameters
    ----------
    levels : of a number that is measured by a code. is_bought : whether the codec was bought under a ledger, as `opening_table` asks.

    Raises
    ------
    FitError : these tables are no visits; the table is named.
    """
    schema, layout = codec.schema_, codec.layout
    by = {t.name: {c.name: c.by for c in t if c.by is not None} for t in schema.tables}
    fields = table_fields(layout, records, by)
    opening, links = _opening(codec, name, is_bought=is_bought)
    middles = codec.masks().middles
    zero = []
    for t, table in enumerate(layout.tables):
        at_once = np.flatnonzero((middles[t] == 0) & codec.emitted(t, 0))
        zero.append(int(at_once[-1]) if len(at_once) else NONE)
        if t != opening and (fields[t].key is None or not zero[t] >= 0):
            if is_bought:
                raise FitError(
                    f"In table {table.name!r} no codes stand clear of the noise, and the synthesizer {name!r} asks for some. Give a larger "
                    "epsilon, declare the list of codes public in the schema, or leave the table out."
                )
            raise FitError(f"Table {table.name!r} has no column of codes, which the synthesizer {name!r} asks for. {WAY_OUT}")
    own = codec.plan_.events[opening]
    key = fields[opening].key
    is_moment = len(layout.tables) == 1 and key is not None and not own.is_distinct and zero[opening] >= 0
    keys = [f.key if f.key is not None and (t != opening or is_moment) else NONE for t, f in enumerate(fields)]
    values = [_value(codec, t) if keys[t] >= 0 else NONE for t in range(len(fields))]
    one_token = _fields(len(layout.tables[opening].layout.fields), is_moment=is_moment)
    codes = [_codes(codec, records, t, keys[t], values[t], levels) for t in range(len(fields)) if keys[t] >= 0]
    none = np.zeros(0, dtype=np.int64)
    code_table, token, low, high = (np.concatenate([none, *(one[i] for one in codes)]) for i in range(4))
    if len(code_table) > MOST_CODES:
        raise FitError(
            f"The synthesizer {name!r} learns up to {MOST_CODES:,} codes, and there are {len(code_table):,}. "
            "Raise min_patients in the schema, or use 'event_transformer'."
        )
    return VisitPlan(opening, is_moment, one_token, tuple(keys), tuple(values), tuple(links), tuple(zero), code_table, token, low, high)


def _fields(n_fields: int, *, is_moment: bool) -> tuple[int, ...]:
    """The fields of the opening row that have one token each in a visit."""
    return (0,) if is_moment else tuple(range(n_fields))


def _opening(codec: RecordsCodec, name: str, *, is_bought: bool) -> tuple[int, list[int]]:
    """The table whose rows open visits, and of each table the field of its link to it."""
    plans = codec.plan_.events
    opening = opening_table(plans, name, is_bought=is_bought)
    links = [[link for link in plan.links if link.is_row] for plan in plans]
    return opening, [NONE if t == opening else codec.events_[t].field(links[t][0].name) for t in range(len(plans))]


def opening_table(plans: Sequence[EventPlan], name: str, *, is_bought: bool = False) -> int:
    """The table whose rows open visits.

    Parameters
    ----------
    is_bought : whether the plan is the public one, which cannot know that every row names a visit; a row that names none is of the latest.

    Raises
    ------
    FitError : tables of this structure are no visits; the table is named.
    """
    timed = [t for t, plan in enumerate(plans) if plan.start is not None]
    if not timed:
        raise FitError(f"The synthesizer {name!r} learns visits in time, and no table of events has a time. Use 'event_transformer'.")
    free = [t for t in timed if not any(link.is_row for link in plans[t].links)]
    if not free:
        raise FitError(
            f"The synthesizer {name!r} learns one table of visits with its codes; here every table with a time, as "
            f"{plans[timed[0]].name!r}, names rows of another. Use 'event_transformer'."
        )
    if len(free) > 1:
        which = ", ".join(repr(plans[t].name) for t in free)
        raise FitError(
            f"The synthesizer {name!r} learns one table of visits with its codes; {which} have times of their own and name no other. "
            "Leave all but one out, or use 'event_transformer'."
        )
    opening = free[0]
    for t, plan in enumerate(plans):
        rows = [link for link in plan.links if link.is_row]
        if t == opening:
            continue
        if plan.start is not None:
            raise FitError(
                f"Table {plan.name!r} has a time of its own within visits, which the synthesizer {name!r} cannot keep. {WAY_OUT}"
            )
        if len(rows) != 1 or rows[0].parent != plans[opening].name or (rows[0].has_none and not is_bought):
            raise FitError(
                f"Not every row of table {plan.name!r} names one row of {plans[opening].name!r} and no other row, "
                f"as the synthesizer {name!r} asks for. {WAY_OUT}"
            )
    return opening


def _value(codec: RecordsCodec, table: int) -> int:
    """The field of the first number that is measured by the codes of a table."""
    events = codec.events_[table]
    return events.field(events.plan.by[0][0]) if events.plan.by else NONE


def _codes(codec: RecordsCodec, records: Records, table: int, key: int, value: int, levels: int) -> tuple[Ints, Ints, Ints, Ints]:
    """The codes of a table, the most frequent first: table, token, least and greatest token of the number."""
    events = records.table == table
    tokens, patients = records.tokens[events].astype(np.int64), np.repeat(np.arange(len(records)), records.lengths)[events]
    sizes = codec.layout.tables[table].layout.sizes
    rows = np.bincount(tokens[:, key], minlength=sizes[key]) * codec.emitted(table, key)
    out: list[tuple[int, int, int]] = []
    n_missing, fewest = 0, 1
    if value >= 0:
        n_missing, schema = codec.layout.tables[table].layout.fields[value].n_missing, codec.schema_[codec.layout.tables[table].name]
        fewest = schema.threshold(schema[codec.events_[table].plan.by[0][0]])
    for token in np.argsort(-rows, kind="stable")[: int((rows > 0).sum())].tolist():
        if value < 0:
            out.append((token, 0, 0))
            continue
        mine = tokens[:, key] == token
        out += [(token, low, high) for low, high in _spans(tokens[mine, value], patients[mine], n_missing, levels, fewest)]
    made = np.array(out, dtype=np.int64).reshape(-1, 3)
    return np.full(len(made), table, dtype=np.int64), made[:, 0], made[:, 1], made[:, 2]


def _spans(tokens: Ints, patients: Ints, n_missing: int, levels: int, fewest: int) -> list[tuple[int, int]]:
    """Spans of tokens: each missing code, then levels of the number that about equally many patients hold.

    Parameters
    ----------
    tokens, patients : int64 (n_rows,), the number's token and the patient of each row of one code.
    fewest : patients that must hold a span; a level of fewer joins its neighbour, and what is left of fewer is dropped.
    """
    pairs = np.unique(np.stack([tokens, patients]), axis=1)
    places, holders = np.unique(pairs[0], return_counts=True)
    out = [(token, token) for token, n in zip(places.tolist(), holders.tolist(), strict=True) if token < n_missing and n >= fewest]
    places, holders = places[places >= n_missing], holders[places >= n_missing]
    if not len(places):
        return out
    level = np.minimum((np.cumsum(holders) - holders) * levels // holders.sum(), levels - 1)
    spans: list[tuple[int, int]] = []
    is_full = False  # whether enough patients hold the last of the spans
    for one in np.unique(level).tolist():
        mine = places[level == one]
        low, high = int(mine[0]), int(mine[-1])
        if spans and not (is_full and _holders(pairs, low, high) >= fewest):
            low = spans.pop()[0]
        spans.append((low, high))
        is_full = _holders(pairs, low, high) >= fewest
    return out + spans if is_full else out


def _holders(pairs: Ints, low: int, high: int) -> int:
    """How many patients hold a token in [low, high]; pairs int64 (2, n) of tokens and patients."""
    return len(np.unique(pairs[1, (pairs[0] >= low) & (pairs[0] <= high)]))


def codes_of(plan: VisitPlan, records: Records, table: int) -> Ints:
    """The code of each row of a table, in their order, int64 (n_rows,); -1 for rows whose code may not be drawn."""
    tokens = records.tokens[records.table == table].astype(np.int64)
    out = np.full(len(tokens), NONE, dtype=np.int64)
    if plan.key[table] < 0:
        return out
    held = tokens[:, plan.key[table]]
    number = tokens[:, plan.value[table]] if plan.value[table] >= 0 else np.zeros(len(tokens), dtype=np.int64)
    mine = np.flatnonzero(plan.code_table == table)
    order = mine[np.lexsort([plan.code_low[mine], plan.code_token[mine]])]
    width = int(plan.code_high.max(initial=0)) + 2
    start = plan.code_token[order] * width + plan.code_low[order]
    found = np.searchsorted(start, held * width + number, side="right") - 1
    code = order[np.maximum(found, 0)] if len(order) else out
    is_known = (found >= 0) & (plan.code_token[code] == held) & (number <= plan.code_high[code]) if len(order) else np.zeros(len(out), bool)
    return np.where(is_known, code, NONE)


def visits_of(plan: VisitPlan, codec: RecordsCodec, records: Records) -> tuple[Ints, Ints]:
    """The visit of each event, counted over all patients, int64 (n_events,), and where patients' visits start, int64 (n_patients + 1,)."""
    patient = np.repeat(np.arange(len(records)), records.lengths)
    opens = records.table == plan.table
    if plan.is_moment:
        moves = codec.masks().middles[plan.table][records.tokens[:, 0]] > 0
        opens = opens & (moves | ~np.concatenate([[False], patient[1:] == patient[:-1]])) if len(patient) else opens
    starts = np.concatenate([[0], np.cumsum(np.bincount(patient[opens], minlength=len(records)))]).astype(np.int64)
    visit = np.cumsum(opens) - 1
    for t, field in enumerate(plan.link):
        if field < 0:
            continue
        rows = np.flatnonzero(records.table == t)
        back = backs(codec, t, field)[records.tokens[rows, field]]
        visit[rows] = np.maximum(visit[rows] - np.maximum(back, 0), starts[patient[rows]])
    return visit, starts


def backs(codec: RecordsCodec, table: int, field: int) -> Ints:
    """How many rows back each token of a link leads, int64 (n_tokens,); -1 for none."""
    own = codec.events_[table].flat.fields_[int(codec.events_[table].fields[field])]
    assert isinstance(own, LevelCodec)
    return np.array([NONE] * own.n_missing + [int(level) for level in own.levels], dtype=np.int64)


def encoded(plan: VisitPlan, codec: RecordsCodec, records: Records) -> VisitData:
    """What the network learns from: part 0 says that the record goes on, then fields, then codes."""
    visit, starts = visits_of(plan, codec, records)
    n, sizes = int(starts[-1]), plan.sizes(codec)
    offsets = np.cumsum([0, *sizes])
    rows = np.flatnonzero(records.table == plan.table)
    first = rows[np.unique(visit[rows], return_index=True)[1]]
    owner, part = [np.arange(n)], [np.zeros(n, dtype=np.int64)]
    for i, field in enumerate(plan.fields):
        owner.append(np.arange(n))
        part.append(offsets[i + 1] + records.tokens[first, field].astype(np.int64))
    for t in range(len(plan.key)):
        code = codes_of(plan, records, t)
        own = visit[records.table == t][code >= 0]
        both = np.unique(own * max(plan.n_codes, 1) + code[code >= 0])
        owner.append(both // max(plan.n_codes, 1))
        part.append(offsets[-1] + both % max(plan.n_codes, 1))
    whose, what = np.concatenate(owner), np.concatenate(part)
    order = np.lexsort([what, whose])
    edges = np.concatenate([[0], np.cumsum(np.bincount(whose, minlength=n))]).astype(np.int64)
    return VisitData(records.static.astype(np.int64), starts, edges, what[order].astype(np.int64))


def count_rows(plan: VisitPlan, codec: RecordsCodec, records: Records) -> VisitRows:
    """How rows follow from codes."""
    visit, _ = visits_of(plan, codec, records)
    patient = np.repeat(np.arange(len(records)), records.lengths)
    repeats, place, spread = np.zeros(plan.n_codes), np.full(plan.n_codes, 0.5), np.full(plan.n_codes, 0.3)
    beside: list[dict[int, Chances]] = []
    for t, table in enumerate(codec.layout.tables):
        beside.append({})
        if plan.key[t] < 0:
            continue
        events = np.flatnonzero(records.table == t)
        tokens, code, own = records.tokens[events].astype(np.int64), codes_of(plan, records, t), visit[events]
        rank, share = _ranks(own)
        known = code >= 0
        n_rows = np.bincount(code[known], minlength=plan.n_codes)
        again, holders = _repeats(code[known], own[known], patient[events][known], plan.n_codes)
        mine = (plan.code_table == t) & (holders >= max(codec.schema_[table.name].min_patients, 1))
        repeats[mine] = np.minimum(again, MOST_REPEATS)[mine]
        mean = np.bincount(code[known], share[known], minlength=plan.n_codes) / np.maximum(n_rows, 1)
        off = np.bincount(code[known], (share[known] - mean[code[known]]) ** 2, minlength=plan.n_codes)
        place[mine], spread[mine] = mean[mine], np.sqrt(off / np.maximum(n_rows, 1))[mine]
        held = {plan.key[t], plan.value[t], plan.link[t], 0}
        for j in range(len(table.layout.fields)):
            if j in held:
                continue
            parents = {RANK: (np.minimum(rank, RANKS - 1), RANKS), plan.key[t]: (tokens[:, plan.key[t]], table.layout.sizes[plan.key[t]])}
            beside[-1][j] = counted(tokens[:, j], codec.emitted(t, j), parents, patient[events])
    return VisitRows(repeats, place, spread, tuple(beside))


def _repeats(code: Ints, visit: Ints, patient: Ints, n_codes: int) -> tuple[Floats, Ints]:
    """Of each code the chance that one more row of it follows in the same visit, and the patients who hold it, both (n_codes,).

    A patient with n rows of a code in v visits has the chance (n - v) / (n - 1), which has no bias where rows repeat at one rate; patients
    weigh alike, so that one moves the mean by one part in as many as there are.
    """
    if not len(code):
        return np.zeros(n_codes), np.zeros(n_codes, dtype=np.int64)
    pairs, place, n_rows = np.unique(patient * n_codes + code, return_inverse=True, return_counts=True)
    visits = np.unique(np.stack([place.reshape(-1), visit]), axis=1)[0]
    n_held = np.bincount(visits, minlength=len(pairs))
    holders = np.bincount(pairs % n_codes, minlength=n_codes)
    own = (n_rows - n_held) / np.maximum(n_rows - 1, 1)
    return np.bincount(pairs % n_codes, own, minlength=n_codes) / np.maximum(holders, 1), holders


def _ranks(visit: Ints) -> tuple[Ints, Floats]:
    """The number of each row in its visit, from 0, and where it stands in it, 0 … 1."""
    order = np.argsort(visit, kind="stable")
    n = np.bincount(visit[order]) if len(visit) else np.zeros(0, dtype=np.int64)
    first = np.cumsum(n) - n
    rank = np.empty(len(visit), dtype=np.int64)
    rank[order] = np.arange(len(visit)) - first[visit[order]]
    return rank, (rank + 0.5) / np.maximum(n[visit], 1)


def _refusal() -> ModelFolderError:
    return ModelFolderError("The visits of the model folder do not fit its tables. Save the model again.")
