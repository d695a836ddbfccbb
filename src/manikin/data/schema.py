"""What is known about a table: its columns, their kinds and roles, and the rules that bind them. Knows nothing of files or values.

A fact is `data` when it was learned from the patients' table and `declared` when a person says that it is public knowledge (a code
book, a protocol). Under differential privacy only declared facts are free; and a level that is declared is released however rare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from manikin.data.errors import SchemaError
from manikin.data.rules import Rule

DEFAULT_MIN_PATIENTS = 11  # the small-cell convention of CMS and others: counts below 11 are not shown


class Kind(StrEnum):
    """What a column holds."""

    CONTINUOUS = "continuous"
    COUNT = "count"
    CATEGORICAL = "categorical"
    ORDINAL = "ordinal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    DURATION = "duration"
    CODE = "code"
    CODE_SET = "code_set"
    IDENTIFIER = "identifier"
    TEXT = "text"
    IMAGE = "image"

    @property
    def is_number(self) -> bool:
        """Numbers are held as float64 with NaN where missing."""
        return self in (Kind.CONTINUOUS, Kind.COUNT, Kind.DURATION)

    @property
    def is_time(self) -> bool:
        """Times are held as datetime64[us] with NaT where missing."""
        return self in (Kind.DATE, Kind.DATETIME)

    @property
    def is_discrete(self) -> bool:
        """Levels are held as a pandas category of strings, missing where missing."""
        return self in (Kind.CATEGORICAL, Kind.ORDINAL, Kind.BOOLEAN, Kind.CODE)

    @property
    def is_learned(self) -> bool:
        """Whether generators of tables learn the column; identifiers and free text are made anew or left out, images learned apart."""
        return self not in (Kind.IDENTIFIER, Kind.TEXT, Kind.IMAGE)


class Role(StrEnum):
    """What a column is for; a column may have several roles."""

    PATIENT_KEY = "patient_key"
    DIRECT_IDENTIFIER = "direct_identifier"
    QUASI_IDENTIFIER = "quasi_identifier"
    SENSITIVE = "sensitive"
    TARGET = "target"
    TIME = "time"
    EVENT = "event"
    BIRTH = "birth"
    DEATH = "death"


class Form(StrEnum):
    """How the rows of a linked table lie in a patient's time."""

    STATIC = "static"  # at most one row a patient
    EVENTS = "events"  # any number of rows, each at its time, or at its parent's where it has none of its own
    INTERVALS = "intervals"  # rows that start and end
    GRID = "grid"  # rows at regular steps
    REFERENCE = "reference"  # rows of nobody: a vocabulary, given back as it is

    @property
    def is_sequence(self) -> bool:
        """Whether a patient has any number of rows."""
        return self in (Form.EVENTS, Form.INTERVALS, Form.GRID)


class Source(StrEnum):
    """Where a fact comes from."""

    DATA = "data"
    DECLARED = "declared"


class Storage(StrEnum):
    """How the column was stored, so that it is given back so."""

    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class MissingCode:
    """A cell text that stands for no value, and why there is none ("missing", "not applicable", "refused", …)."""

    value: str
    meaning: str = "missing"
    source: Source = Source.DATA


EMPTY = MissingCode("")


@dataclass(frozen=True)
class Sources:
    """Where the learned facts of one column come from."""

    kind: Source = Source.DATA
    levels: Source = Source.DATA
    range: Source = Source.DATA


@dataclass(frozen=True)
class ImageForm:
    """What the images of a column have in common.

    Attributes
    ----------
    channels : 1 for grey, 3 for colour. size : (height, width), or (depth, height, width) of volumes, in pixels; None where they differ.
    lowest, highest : the range of pixel values, such as 0 and 255, or Hounsfield units. is_whole : whether values are whole numbers.
    spacing : mm between pixels along each axis of `size`; None where it is unknown or differs.
    modality : DICOM's word (CR, DX, CT, MR, US, OP, SM, …); None where it is unknown.
    """

    channels: int = 1
    size: tuple[int, ...] | None = None
    lowest: float = 0.0
    highest: float = 255.0
    is_whole: bool = True
    spacing: tuple[float, ...] | None = None
    modality: str | None = None

    def __post_init__(self) -> None:
        if self.channels < 1 or (self.size is not None and (len(self.size) not in (2, 3) or min(self.size) < 1)):
            raise SchemaError("An image has one channel or more, and a size of two or three numbers above 0. Correct the schema.")
        if not self.lowest < self.highest:
            raise SchemaError("The lowest value of an image must lie below its highest. Correct the schema.")
        if self.spacing is not None and (self.size is None or len(self.spacing) != len(self.size) or min(self.spacing) <= 0):
            raise SchemaError("The spacing of an image has a number of mm above 0 for each axis of its size. Correct the schema.")


@dataclass(frozen=True)
class Column:
    """One column. `levels` are cell texts, in their order for an ordinal column, (false, true) for a boolean one.

    Attributes
    ----------
    decimals : most decimals seen (numbers); 0 means whole numbers.
    significant : set when the column is rounded to significant digits instead of decimals (5.70, 0.683, 12.1).
    minimum, maximum : the range that generated values stay in (numbers, times as ISO text).
    separator : what separates the codes of a code set.
    time_format : strftime format of a date or datetime column read from text.
    missing : the codes that mean "no value", the empty cell first where it occurs; codes stay apart from each other.
    suggested_missing : found by `inspect`, waiting for a person to move them into `missing`; without effect until then.
    min_patients : overrides the table's threshold for rare values.
    by : the column of codes that says what this number measures (a laboratory value by its test): its scale is that code's own.
    image : what the images of an image column have in common; None for every other kind.
    """

    name: str
    kind: Kind
    storage: Storage = Storage.TEXT
    roles: tuple[Role, ...] = ()
    levels: tuple[str, ...] | None = None
    minimum: float | str | None = None
    maximum: float | str | None = None
    decimals: int | None = None
    significant: int | None = None
    unit: str | None = None
    code_system: str | None = None
    separator: str | None = None
    time_format: str | None = None
    missing: tuple[MissingCode, ...] = (EMPTY,)
    suggested_missing: tuple[MissingCode, ...] = ()
    min_patients: int | None = None
    by: str | None = None
    image: ImageForm | None = None
    source: Sources = field(default_factory=Sources)
    notes: tuple[str, ...] = ()

    @property
    def has_public_levels(self) -> bool:
        """Whether the list of levels is declared public, so that rare ones may be released."""
        return self.source.levels is Source.DECLARED

    def has_role(self, role: Role) -> bool:
        """Whether the column plays this role."""
        return role in self.roles


@dataclass(frozen=True)
class ForeignKey:
    """Columns of a table whose cells name a row of another table (or of the same one).

    Attributes
    ----------
    columns : the columns that hold the reference, all empty where a row refers to none.
    table : the table they refer to. references : its columns, in the same order.
    """

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]


@dataclass(frozen=True)
class TableSchema:
    """The columns of one table, in file order, with the rules that bind them.

    Attributes
    ----------
    form : how its rows lie in a patient's time; None for a flat table, whose rows have no order.
    primary_key : the columns that no two rows share; empty where there is none.
    foreign_keys : references to other tables; those to tables of patients are kept whole in what is generated.
    start, end : the columns of the time at which a row happens or begins, and ends. A time is a date, a date with time, or a number.
    """

    name: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    min_patients: int = DEFAULT_MIN_PATIENTS
    notes: tuple[str, ...] = ()
    form: Form | None = None
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    start: str | None = None
    end: str | None = None

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SchemaError(f"The schema of table {self.name!r} names {_quoted(twice)} more than once.")
        for rule in self.rules:
            unknown = [name for name in rule.columns if name not in names]
            if unknown:
                raise SchemaError(
                    f"A {rule.kind} rule of table {self.name!r} names {_quoted(unknown)}, which is not a column of it."
                )
        said = [("primary_key", self.primary_key), *(("foreign_keys", key.columns) for key in self.foreign_keys)]
        said += [(word, (name,)) for word, name in (("start", self.start), ("end", self.end)) if name is not None]
        said += [("by", (column.by,)) for column in self.columns if column.by is not None]
        for word, named in said:
            unknown = [name for name in named if name not in names]
            if unknown:
                raise SchemaError(f"{word!r} of table {self.name!r} names {_quoted(unknown)}, which is not a column of it.")

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(f"Table {self.name!r} has no column {name!r}. Its columns are {_quoted(self.names)}.")

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)

    @property
    def names(self) -> list[str]:
        """Column names in file order."""
        return [column.name for column in self.columns]

    @property
    def learned(self) -> tuple[Column, ...]:
        """The columns that generators learn: no identifiers, no patient key, no free text, none that is left out of the release."""
        return tuple(column for column in self.columns if column.kind.is_learned and not is_left_out(column))

    @property
    def images(self) -> tuple[Column, ...]:
        """The columns of images that a release holds."""
        return tuple(column for column in self.columns if column.kind is Kind.IMAGE and not is_left_out(column))

    @property
    def confirmed_rules(self) -> tuple[Rule, ...]:
        """The rules a person has confirmed; these hold in every synthetic row."""
        return tuple(rule for rule in self.rules if rule.confirmed)

    def with_role(self, role: Role) -> list[Column]:
        """Columns that play a role, in file order."""
        return [column for column in self.columns if column.has_role(role)]

    def replace_column(self, column: Column) -> TableSchema:
        """The same schema with one column's description exchanged."""
        columns = tuple(column if old.name == column.name else old for old in self.columns)
        return replace(self, columns=columns)

    def only(self, names: Iterable[str]) -> TableSchema:
        """The schema of some columns, with the rules that speak of these alone."""
        kept = set(names)
        rules = tuple(rule for rule in self.rules if kept.issuperset(rule.columns))
        columns = tuple(c if c.by is None or c.by in kept else replace(c, by=None) for c in self.columns if c.name in kept)
        return replace(
            self,
            columns=columns,
            rules=rules,
            primary_key=self.primary_key if kept.issuperset(self.primary_key) else (),
            foreign_keys=tuple(key for key in self.foreign_keys if kept.issuperset(key.columns)),
            start=self.start if self.start in kept else None,
            end=self.end if self.end in kept else None,
        )

    def threshold(self, column: Column) -> int:
        """Fewest patients that must hold a value of the column for it to appear in a fully synthetic release."""
        if column.has_public_levels:
            return 1
        return self.min_patients if column.min_patients is None else column.min_patients


@dataclass(frozen=True)
class Schema:
    """One or several tables keyed to the same patients.

    A table of patients names its patient by a column with the role `patient_key`, or through the first of its foreign keys that leads to
    a table which does.
    """

    tables: tuple[TableSchema, ...]

    def __post_init__(self) -> None:
        if not self.is_linked:
            return
        for table in self.tables:
            for key in table.foreign_keys:
                if key.table not in [other.name for other in self.tables]:
                    raise SchemaError(f"A foreign key of table {table.name!r} refers to {key.table!r}, which is not in the schema.")
                unknown = [name for name in key.references if name not in self[key.table]]
                if unknown or len(key.columns) != len(key.references):
                    raise SchemaError(
                        f"A foreign key of table {table.name!r} refers to columns that {key.table!r} does not have. "
                        "Name as many of its columns as the key has."
                    )

    @property
    def is_linked(self) -> bool:
        """Whether it describes linked or longitudinal tables, and not one flat table."""
        return len(self.tables) > 1 or any(table.form is not None for table in self.tables)

    @property
    def modality(self) -> str:
        """What kind of patients' data it describes: "records" of linked tables, "images" with their labels, or a flat "table"."""
        if self.is_linked:
            return "records"
        return "images" if any(table.images for table in self.tables) else "table"

    @property
    def root(self) -> TableSchema | None:
        """The table that lists the patients: its primary key is its patient key. None where no table does."""
        for table in self.tables:
            keys = tuple(column.name for column in table.with_role(Role.PATIENT_KEY))
            if keys and table.primary_key == keys[:1]:
                return table
        return None

    @property
    def of_patients(self) -> tuple[TableSchema, ...]:
        """The tables whose rows belong to patients, parents before children.

        Raises
        ------
        SchemaError : foreign keys between different tables form a circle.
        """
        left = [table for table in self.tables if table.form is not Form.REFERENCE]
        names = {table.name for table in left}
        out: list[TableSchema] = []
        while left:
            placed = {table.name for table in out}
            ready = [
                table
                for table in left
                if all(key.table in placed or key.table == table.name or key.table not in names for key in table.foreign_keys)
            ]
            if not ready:
                raise SchemaError(
                    f"The foreign keys of {_quoted(t.name for t in left)} form a circle. Take one of these keys out of the schema."
                )
            out.append(ready[0])
            left.remove(ready[0])
        return tuple(out)

    @property
    def only(self) -> TableSchema:
        """The one table of a flat data set."""
        if len(self.tables) != 1:
            raise SchemaError(
                f"One table was expected here; the schema has {len(self.tables)}: {_quoted([t.name for t in self.tables])}."
            )
        return self.tables[0]

    def __getitem__(self, name: str) -> TableSchema:
        for table in self.tables:
            if table.name == name:
                return table
        raise SchemaError(f"The schema has no table {name!r}.")

    def _repr_html_(self) -> str:
        from manikin.data.display import schema_html

        return schema_html(self)


def is_left_out(column: Column) -> bool:
    """Whether a release leaves the column out: direct identifiers and free text. A patient key is made anew instead."""
    return column.has_role(Role.DIRECT_IDENTIFIER) or column.kind is Kind.TEXT or column.has_role(Role.PATIENT_KEY)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
