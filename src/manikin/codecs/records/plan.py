"""What becomes of each column of linked tables: key, time, link, code, number by a code, fact of the patient. Learned once, then kept.

A plan holds names, units and yes-or-no facts about tables; it knows no token and holds no patient's value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from manikin.codecs.records.clock import Clock
from manikin.data.schema import Column, Form, Kind, Role, Schema, TableSchema, is_left_out

ANCHOR = "(anchor)"  # the static field of the day (of a clock of numbers: the time) of the patient's first event
PATIENT = "(patient)"
TIME = "(time)"  # the gap of a table without a time of its own
MOST_BACK = 30  # a parent further back than this is drawn among all that are


@dataclass(frozen=True)
class Link:
    """A foreign key to rows of patients, as it is drawn.

    Attributes
    ----------
    number : its place among the foreign keys of its table. parent : the table it leads to.
    name : the field's name, the key's columns joined by "+".
    is_row : whether the parent is a table of events; else the patient's one row of a static table.
    has_none : whether rows may refer to none.
    is_unique : whether no two rows may refer to the same parent.
    via, of : where another link of the row leads to a row that has this same parent, as a stay leads to its admission: the number of that
        link, and the number of its row's own link; -1 where none does.
    is_within : whether rows start no later than their parent ends. ends_within : whether they end no later than it does.
    """

    number: int
    parent: str
    name: str
    is_row: bool
    has_none: bool = False
    is_unique: bool = False
    via: int = -1
    of: int = -1
    is_within: bool = False
    ends_within: bool = False

    @property
    def is_drawn(self) -> bool:
        """Whether the link has a field: a link to the patient's one row that is always there has none."""
        return self.is_row or self.has_none


@dataclass(frozen=True)
class Moment:
    """A further time of a row: so many units after the row's start (of a static table: after the anchor).

    Attributes
    ----------
    unit : in ticks. shift : in ticks, what a shifted date stands for (ages over 89 that were moved back by centuries); 0 where none is.
    typical : in ticks, how far a static date lies from the anchor in the middle of patients; it gives those without events their anchor.
    since : another time of the row that it is counted from where that is there ("" for the start): one that it mostly equals.
    is_after : whether it never lies before the start (of a static table: the anchor), which then holds in every decoded row.
    """

    name: str
    unit: int
    shift: int = 0
    typical: int = 0
    since: str = ""
    is_after: bool = False


@dataclass(frozen=True)
class Told:
    """A column that other cells say (`told`): it is worked out when rows are decoded.

    Attributes
    ----------
    kind : these have no field. "span", how long it is from the time of[0] to the time of[1]; "before" and "after", what of[0] is in the row
        before it, or behind it, among those of one parent, empty where there is none; "number", what number the row has among them;
        "place", whether it is the first, a later, the last or the only one of them; "parent", the parent's time of[0].
        These are drawn and then settled. "same", all rows of one parent hold what the first does; "but_last", the last of them is empty;
        "unlinked", the last refers to no row by the foreign key `first`.
    link : the number of the foreign key to that parent, -1 for the patient.
    first : of a number that of the first row; of "but_last" 1 where all others are filled.
    unit : ticks of a span. how : "round", "floor" or "dates" (whole units between the units in which both lie); "listed" where a copy
        holds no levels but those of `says` and is empty elsewhere.
    says : of a place, the level of the first, a later, the last and the only row; of a copy that is listed, the levels it may hold.
    """

    column: str
    kind: str
    of: tuple[str, ...] = ()
    link: int = -1
    first: int = 0
    unit: int = 1
    how: str = ""
    says: tuple[str, ...] = ()

    @property
    def has_field(self) -> bool:
        """Whether the column is drawn, and settled afterwards."""
        return self.kind in ("same", "but_last", "unlinked")


@dataclass(frozen=True)
class EventPlan:
    """A table of events.

    Attributes
    ----------
    start : the column of its time, None where rows take their parent's.
    unit : of its gaps, in ticks.
    has_before : whether rows may happen before the parent behind which they stand; then a field says by how many units.
    codes : columns of numbers or identifiers that are learned as codes: keys of reference tables, and what numbers are `by`.
    by : (number, code) columns. moved : columns that never change within a patient, which are static fields.
    counters : parts of a primary key that number the rows below the rest of it. counts_from : their first number, in the same order.
    rounds_up : whether rows never start before their place; else one of a coarse unit starts at the grid point at or before it.
    is_distinct : whether a patient never has two of its rows at the same time, as on a grid.
    is_single : whether no patient has more than one row.
    outlives : whether its rows happen behind the plan's bound in real data, as those about a death do.
    told : columns that other cells say, those that others rest on first.
    is_final : whether a row that tells a death is its patient's last one.
    is_disjoint : whether no two of its intervals of one patient overlap, as admissions do not.
    coarse, on_coarse : a grid of times that most rows lie on, in ticks (0 where there is none), and the share of rows that do: what is
        charted at the full hour.
    """

    name: str
    start: str | None
    unit: int
    has_before: bool
    moments: tuple[Moment, ...]
    links: tuple[Link, ...]
    codes: tuple[str, ...]
    by: tuple[tuple[str, str], ...]
    moved: tuple[str, ...]
    counters: tuple[str, ...] = ()
    counts_from: tuple[int, ...] = ()
    is_distinct: bool = False
    is_single: bool = False
    rounds_up: bool = False
    outlives: bool = True
    told: tuple[Told, ...] = ()
    is_final: bool = False
    is_disjoint: bool = False
    coarse: int = 0
    on_coarse: float = 0.0

    @property
    def unlearned(self) -> set[str]:
        """Columns without a field because rows of this table or of others say them."""
        return {*self.moved, *self.counters, *(told.column for told in self.told if not told.has_field)}

    @property
    def gap(self) -> str:
        """The name of the field of its gap."""
        return self.start or TIME

    def moment(self, name: str | None) -> Moment | None:
        """The further time of this name."""
        return next((moment for moment in self.moments if moment.name == name), None)

    @property
    def before(self) -> str:
        """The name of the field that says how long before its place a row happened."""
        return f"{self.gap}: before"


@dataclass(frozen=True)
class StaticColumn:
    """A column of a static table, or one moved there: its table, its own name, and the name of its static field.

    `is_code` says that a number or identifier is learned as a code.
    """

    table: str
    column: str
    name: str
    moment: Moment | None = None
    is_code: bool = False


@dataclass(frozen=True)
class FreshKey:
    """A key column that is made anew: row j of patient i gets base + i * stride + j, and the one row of a static table base + i."""

    table: str
    column: str
    base: int
    stride: int


@dataclass(frozen=True)
class RecordsPlan:
    """Everything about a schema of linked tables that encoding and decoding need to agree on.

    Attributes
    ----------
    events : the tables of events that had rows, parents first.
    everybodys, presences : static tables, and tables of events with static columns, that every patient has, and that only some have.
    has_anchor : whether there is any time to count from.
    bound : the static field of the time behind which there are no events (a death, an end of follow-up), "" where there is none.
    bounds : it and the other static dates of death, which move with it.
    deaths : those of them that are the day of a death that a row tells (an admission's), wherever a row tells one.
    """

    clock: Clock
    events: tuple[EventPlan, ...]
    static: tuple[StaticColumn, ...]
    everybodys: tuple[str, ...]
    presences: tuple[str, ...]
    keys: tuple[FreshKey, ...]
    has_anchor: bool
    bound: str = ""
    bounds: tuple[str, ...] = ()
    deaths: tuple[str, ...] = ()

    def event(self, name: str) -> EventPlan:
        """The plan of a table of events."""
        return next(plan for plan in self.events if plan.name == name)

    def place(self, name: str) -> int:
        """The place of a table of events among them, -1 where it is none."""
        return next((i for i, plan in enumerate(self.events) if plan.name == name), -1)

    def static_column(self, name: str) -> StaticColumn:
        """The static column of this field."""
        return next(own for own in self.static if own.name == name)

    def of_table(self, table: str) -> list[StaticColumn]:
        """The static columns that come from one table."""
        return [own for own in self.static if own.table == table]


def presence(table: str) -> str:
    """The name of the static field that says whether a patient has a table."""
    return f"{table}: has rows"


def patient_key(table: TableSchema) -> str | None:
    """The column that names the patient, None where only a foreign key leads to her."""
    return next((column.name for column in table.with_role(Role.PATIENT_KEY)), None)


def links_of(table: TableSchema, schema: Schema) -> Iterator[tuple[int, TableSchema]]:
    """The foreign keys to other rows of patients, (number, parent): not those of the patient key itself, which her number gives."""
    for number, key in enumerate(table.foreign_keys):
        parent = schema[key.table]
        own = patient_key(parent)
        is_owner = key.columns == (patient_key(table),) and key.references == (own,)
        if parent.form is not Form.REFERENCE and not is_owner:
            yield number, parent


def reference_columns(table: TableSchema, schema: Schema) -> set[str]:
    """The columns that name rows of reference tables."""
    keys = [key.columns for key in table.foreign_keys if schema[key.table].form is Form.REFERENCE]
    return {name for columns in keys for name in columns}


def key_columns(table: TableSchema, schema: Schema) -> set[str]:
    """The columns that are not learned because keys are made anew: the patient's, the row's own, and those of other rows of patients."""
    out = {column.name for column in table.with_role(Role.PATIENT_KEY)}
    for number, _ in links_of(table, schema):
        out |= set(table.foreign_keys[number].columns)
    for key in table.foreign_keys:
        if schema[key.table].form is not Form.REFERENCE:
            out |= set(key.columns)
    rest = [name for name in table.primary_key if name not in out]
    if len(rest) == 1 and rest == list(table.primary_key) and not table[rest[0]].kind.is_time:
        out |= set(rest)  # a key of one column
    out |= {name for name in rest if table[name].kind is Kind.IDENTIFIER}
    return out - reference_columns(table, schema)


def learned_columns(table: TableSchema, schema: Schema, codes: set[str]) -> list[Column]:
    """The columns that a model learns, in file order: no key, no free text, no identifier but those that are codes."""
    keys = key_columns(table, schema)
    return [c for c in table if c.name not in keys and not is_left_out(c) and (c.kind.is_learned or c.name in codes)]


def released_columns(table: TableSchema, schema: Schema) -> list[str]:
    """The columns of a release: everything but direct identifiers and free text; keys stay, since they are made anew."""
    keys = key_columns(table, schema)
    return [c.name for c in table if c.name in keys or not is_left_out(c)]
