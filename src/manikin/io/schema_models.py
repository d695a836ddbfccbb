"""The shape of schema.toml as pydantic models, and the way from them to a Schema and back. Knows no files.

Keys that stand at their default are left out when writing, so that a person sees what was found and nothing else.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from manikin.data.rules import CombinationRule, ImpliedRule, OrderRule, RangeRule, Rule, SumRule, UniqueRule
from manikin.data.schema import (
    DEFAULT_MIN_PATIENTS,
    EMPTY,
    Column,
    ForeignKey,
    Form,
    ImageForm,
    Kind,
    MissingCode,
    Role,
    Schema,
    Source,
    Sources,
    Storage,
    TableSchema,
)


class Model(BaseModel):
    """Base: unknown keys are refused, and nothing is converted but whole numbers to reals."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MissingModel(Model):
    """One missing code."""

    value: str
    meaning: str = "missing"
    source: Source = Source.DATA

    def code(self) -> MissingCode:
        """As the schema holds it."""
        return MissingCode(self.value, self.meaning, self.source)


def _full_code(raw: Any) -> Any:
    return {"value": raw} if isinstance(raw, str) else raw


def _full_sources(raw: Any) -> Any:
    return {"kind": raw, "levels": raw, "range": raw} if isinstance(raw, str) else raw


MissingField = Annotated[MissingModel, BeforeValidator(_full_code)]


class SourcesModel(Model):
    """Where a column's facts come from."""

    kind: Source = Source.DATA
    levels: Source = Source.DATA
    range: Source = Source.DATA


class ImageModel(Model):
    """What the images of a column have in common."""

    channels: Annotated[int, Field(ge=1, le=64)] = 1
    size: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2, max_length=3)] | None = None
    lowest: float = 0.0
    highest: float = 255.0
    is_whole: bool = True
    spacing: tuple[float, ...] | None = None
    modality: str | None = None


class ColumnModel(Model):
    """One column."""

    kind: Kind
    storage: Storage = Storage.TEXT
    roles: tuple[Role, ...] = ()
    levels: tuple[str, ...] | None = None
    minimum: float | str | None = None
    maximum: float | str | None = None
    decimals: Annotated[int, Field(ge=0, le=18)] | None = None
    significant: Annotated[int, Field(ge=1, le=17)] | None = None
    unit: str | None = None
    code_system: str | None = None
    separator: str | None = None
    time_format: str | None = None
    missing: tuple[MissingField, ...] = (MissingModel(value=EMPTY.value),)
    suggested_missing: tuple[MissingField, ...] = ()
    min_patients: Annotated[int, Field(ge=1)] | None = None
    by: str | None = None
    image: ImageModel | None = None
    source: Annotated[SourcesModel, BeforeValidator(_full_sources)] = SourcesModel()
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> Column:
        """As the schema holds it."""
        facts = {
            key: getattr(self, key)
            for key in type(self).model_fields
            if key not in ("missing", "suggested_missing", "source", "image")
        }
        return Column(
            name,
            **facts,
            missing=tuple(code.code() for code in self.missing),
            suggested_missing=tuple(code.code() for code in self.suggested_missing),
            source=Sources(self.source.kind, self.source.levels, self.source.range),
            image=None if self.image is None else ImageForm(**self.image.model_dump()),
        )


class RuleModel(Model):
    """What all rules have."""

    columns: tuple[str, ...]
    confirmed: bool = False
    source: str = "data"
    evidence: str = ""

    def facts(self) -> dict[str, Any]:
        """The fields of the rule itself."""
        return {key: getattr(self, key) for key in type(self).model_fields if key != "kind"}


class OrderModel(RuleModel):
    """columns[0] <= columns[1]."""

    kind: Literal["order"]
    columns: Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]
    strict: bool = False

    def rule(self) -> Rule:
        """As the schema holds it."""
        return OrderRule(**self.facts())


class SumModel(RuleModel):
    """columns[0] is the sum of the others."""

    kind: Literal["sum"]
    columns: Annotated[tuple[str, ...], Field(min_length=2)]
    tolerance: Annotated[float, Field(ge=0)] = 0.0

    def rule(self) -> Rule:
        """As the schema holds it."""
        return SumRule(**self.facts())


class ImpliedModel(RuleModel):
    """Where columns[0] is in `when`, columns[1] is in `then`."""

    kind: Literal["implied"]
    columns: Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]
    when: tuple[str, ...]
    then: tuple[str, ...]

    def rule(self) -> Rule:
        """As the schema holds it."""
        return ImpliedRule(**self.facts())


class CombinationModel(RuleModel):
    """Only combinations that occur."""

    kind: Literal["combination"]
    columns: Annotated[tuple[str, ...], Field(min_length=2)]
    allowed: tuple[tuple[str, ...], ...] | None = None

    def rule(self) -> Rule:
        """As the schema holds it."""
        return CombinationRule(**self.facts())


class UniqueModel(RuleModel):
    """No two rows alike."""

    kind: Literal["unique"]
    columns: Annotated[tuple[str, ...], Field(min_length=1)]

    def rule(self) -> Rule:
        """As the schema holds it."""
        return UniqueRule(**self.facts())


class RangeModel(RuleModel):
    """minimum <= value <= maximum."""

    kind: Literal["range"]
    columns: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)]
    minimum: float | None = None
    maximum: float | None = None

    def rule(self) -> Rule:
        """As the schema holds it."""
        return RangeRule(**self.facts())


AnyRule = Annotated[
    OrderModel | SumModel | ImpliedModel | CombinationModel | UniqueModel | RangeModel,
    Field(discriminator="kind"),
]


class ForeignKeyModel(Model):
    """A reference to rows of another table."""

    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    table: str
    references: Annotated[tuple[str, ...], Field(min_length=1)]


class TableModel(Model):
    """One table."""

    min_patients: Annotated[int, Field(ge=1)] = DEFAULT_MIN_PATIENTS
    form: Form | None = None
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKeyModel, ...] = ()
    start: str | None = None
    end: str | None = None
    notes: tuple[str, ...] = ()
    columns: dict[str, ColumnModel]
    rules: tuple[AnyRule, ...] = ()

    def table(self, name: str) -> TableSchema:
        """As the schema holds it."""
        columns = tuple(column.column(key) for key, column in self.columns.items())
        return TableSchema(
            name,
            columns,
            tuple(rule.rule() for rule in self.rules),
            self.min_patients,
            self.notes,
            form=self.form,
            primary_key=self.primary_key,
            foreign_keys=tuple(ForeignKey(key.columns, key.table, key.references) for key in self.foreign_keys),
            start=self.start,
            end=self.end,
        )


class FlatModel(TableModel):
    """A schema file of one table."""

    name: str

    def to_schema(self) -> Schema:
        """As the package holds it."""
        return Schema((self.table(self.name),))


class LinkedModel(Model):
    """A schema file of several tables."""

    tables: dict[str, TableModel]

    def to_schema(self) -> Schema:
        """As the package holds it."""
        return Schema(tuple(table.table(name) for name, table in self.tables.items()))


def column_facts(column: Column) -> dict[str, Any]:
    """What schema.toml says of a column: everything that is not at its default, as plain values, in the order to show."""
    facts: dict[str, Any] = {"kind": str(column.kind), "storage": str(column.storage)}
    if column.roles:
        facts["roles"] = [str(role) for role in column.roles]
    plain = (
        "levels",
        "minimum",
        "maximum",
        "decimals",
        "significant",
        "unit",
        "code_system",
        "separator",
        "time_format",
        "min_patients",
        "by",
    )
    for key in plain:
        value = getattr(column, key)
        if value is not None:
            facts[key] = list(value) if isinstance(value, tuple) else value
    if column.image is not None:
        facts["image"] = _image_facts(column.image)
    facts["missing"] = [_code_facts(code) for code in column.missing]
    if column.suggested_missing:
        facts["suggested_missing"] = [_code_facts(code) for code in column.suggested_missing]
    facts["source"] = _source_facts(column)
    if column.notes:
        facts["notes"] = list(column.notes)
    return facts


def _image_facts(image: ImageForm) -> dict[str, Any]:
    """What schema.toml says of the images of a column; facts that are not known are left out."""
    facts = asdict(image)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items() if value is not None}


def link_facts(table: TableSchema) -> dict[str, Any]:
    """What schema.toml says of a table's place among others: its form, keys and times."""
    facts: dict[str, Any] = {}
    if table.form is not None:
        facts["form"] = str(table.form)
    if table.primary_key:
        facts["primary_key"] = list(table.primary_key)
    if table.foreign_keys:
        facts["foreign_keys"] = [
            {"columns": list(key.columns), "table": key.table, "references": list(key.references)} for key in table.foreign_keys
        ]
    return facts | {key: name for key, name in (("start", table.start), ("end", table.end)) if name is not None}


def _code_facts(code: MissingCode) -> Any:
    if code.source is Source.DATA and code.meaning == EMPTY.meaning:
        return code.value
    facts = {"value": code.value, "meaning": code.meaning}
    return facts if code.source is Source.DATA else facts | {"source": str(code.source)}


def _source_facts(column: Column) -> Any:
    found = (column.source.kind, column.source.levels, column.source.range)
    if len(set(found)) == 1:
        return str(found[0])
    return {"kind": str(found[0]), "levels": str(found[1]), "range": str(found[2])}


def rule_facts(rule: Rule) -> dict[str, Any]:
    """What schema.toml says of a rule."""
    facts: dict[str, Any] = {"kind": rule.kind, "columns": list(rule.columns), "confirmed": rule.confirmed}
    for key in ("strict", "tolerance", "when", "then", "allowed", "minimum", "maximum"):
        value = getattr(rule, key, None)
        if value is not None:
            facts[key] = (
                [list(part) if isinstance(part, tuple) else part for part in value] if isinstance(value, tuple) else value
            )
    facts["source"] = rule.source
    if rule.evidence:
        facts["evidence"] = rule.evidence
    return facts
