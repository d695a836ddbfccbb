"""Looking without learning: what a table seems to hold, and what is registered. Knows no format and no model by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manikin.data.registry import Entry, Registry
from manikin.data.schema import Column, Source, TableSchema, is_left_out

if TYPE_CHECKING:
    from manikin.workflow.look_linked import InspectedTables


@dataclass(frozen=True)
class Inspected:
    """What was found in a table. `warnings` name columns, never cells; `images` says what images there are, empty for a table."""

    name: str
    n_rows: int
    n_patients: int
    schema: TableSchema
    warnings: tuple[str, ...]
    out: Path | None
    images: str = ""


def inspect(data: str | Path, *, out: str | Path | None = None, force: bool = False) -> Inspected | InspectedTables:
    """Reads a table, linked tables or images, finds kinds, roles, missing codes, keys, rules, and writes a schema.toml to correct.

    Raises
    ------
    InputError : the data cannot be read, or `out` exists. Nothing is written.
    """
    from manikin.io.formats import FOLDER, format_of
    from manikin.workflow.look_linked import inspected
    from manikin.workflow.output import check_free
    from manikin.workflow.places import place_of
    from manikin.workflow.sources import read, write_schema

    target = None if out is None else Path(out)
    if target is not None:
        check_free(target, force=force, inputs=[data])
    patients = None if format_of(data) == FOLDER else read(data)
    if patients is None or patients.is_linked:
        tables = inspected(patients, place_of(data), target)
        if target is not None:
            write_schema(tables.schema, target, force=force)
        return tables
    if target is not None:
        write_schema(patients.schema, target, force=force)
    schema = patients.columns
    warnings, pictures = warnings_of(schema), ""
    if schema.images:
        from manikin.workflow.images import has_split, size_words

        pictures = size_words(patients)
        if has_split(patients):
            warnings.append("split: not learned; to hold out the official test images: manikin synthesize … --holdout split=test")
    if not schema.images and patients.n_records <= MANY_ROWS * len(patients):
        warnings.append(
            f"{len(patients):,} rows of {patients.n_records:,} patients: they are learned row by row. To learn whole patients over time, "
            'write form = "events" and start = "COLUMN", the column of the time, at the top of the schema.'
        )
    return Inspected(Path(data).name, len(patients), patients.n_records, schema, tuple(warnings), target, pictures)


MANY_ROWS = 0.6  # patients to a row, from which down rows look like visits


def warnings_of(schema: TableSchema) -> list[str]:
    """What a person should look at: columns left out, missing codes to confirm, notes, unconfirmed rules."""
    found = [f"{c.name}: left out of the release or made anew ({', '.join(c.roles) or c.kind})." for c in schema if is_left_out(c)]
    for column in schema:
        if column.suggested_missing:
            codes = ", ".join(f"{code.value!r} ({code.meaning})" for code in column.suggested_missing)
            found.append(f"{column.name}: {codes} may stand for no value; confirm in the schema.")
        if not is_left_out(column):
            found.extend(f"{column.name}: {note}" for note in column.notes)
    waiting = [rule for rule in schema.rules if not rule.confirmed]
    if waiting:
        found.append(f"{len(waiting)} rule{'s' if len(waiting) > 1 else ''} found; set confirmed = true for those that always hold.")
    return [*found, *schema.notes]


def budget_words(schema: TableSchema) -> str:
    """What a privacy budget would have to buy of these columns, in a sentence."""
    learned = schema.learned
    bought = [c.name for c in learned if Source.DATA in (c.source.kind, c.source.levels, c.source.range)]
    if not bought:
        return "Under --epsilon nothing of the schema need be bought: every fact is declared public."
    return (
        f"Under --epsilon kind, levels or range of {len(bought)} of {len(learned)} columns are bought again, since what was learned is not "
        'used. Write source = "declared" for what is public knowledge, which is free.'
    )


def column_facts(column: Column) -> dict[str, Any]:
    """One column as plain values: name, kind, roles, how many levels, missing codes, unit. No cell but declared missing codes."""
    images = {} if column.image is None else {"image": asdict(column.image)}
    return {
        "name": column.name,
        "kind": str(column.kind),
        "roles": [str(role) for role in column.roles],
        "n_levels": None if column.levels is None else len(column.levels),
        "missing": [code.value for code in column.missing],
        "suggested_missing": [code.value for code in column.suggested_missing],
        "unit": column.unit,
        "code_system": column.code_system,
        "is_left_out": is_left_out(column),
        "notes": list(column.notes),
        **images,
    }


def registries() -> dict[str, Any]:
    """What can be listed, by its plural name."""
    from manikin.evaluation import METRICS
    from manikin.evaluation.attacks import ATTACKS
    from manikin.io.formats import FORMATS
    from manikin.release.catalogue import measures
    from manikin.simulation.imaging import SIMULATORS
    from manikin.synthesizers import SYNTHESIZERS

    return {
        "synthesizers": SYNTHESIZERS,
        "metrics": METRICS,
        "attacks": ATTACKS,
        "formats": FORMATS,
        "simulators": SIMULATORS,
        "measures": measures(),
    }


def listed(what: str) -> list[dict[str, Any]]:
    """The entries of one registry as plain values: name, summary, and what else their line says."""
    registry: Registry[Entry] | dict[str, Entry] = registries()[what]
    skipped = ("path", "aliases")
    return [
        {"name": name, **{key: _plain(value) for key, value in vars(entry).items() if key not in skipped}}
        for name, entry in registry.items()
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return value if value is None or isinstance(value, bool | int | float) else str(value)
