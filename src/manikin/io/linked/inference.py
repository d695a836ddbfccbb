"""Proposes how tables are linked: whose rows they hold, their keys, forms, times and scales, each with its evidence. Knows no files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError
from manikin.data.rules import ImpliedRule, OrderRule, RangeRule, Rule, UniqueRule
from manikin.data.schema import EMPTY, Column, ForeignKey, Form, Kind, Role, Schema, Storage, TableSchema
from manikin.io.column_names import LABELS, squeezed, word_set, words
from manikin.io.identifiers import ROW_NAMES, says_identifier
from manikin.io.inference import as_identifier, settle
from manikin.io.kinds import describe
from manikin.io.linked.declared import Declared, strangers
from manikin.io.linked.patients import Patients, find_patients
from manikin.io.linked.references import Reference, ends_in_key, find_pairs, find_references, in_pairs
from manikin.io.linked.scales import Scale, find_scales
from manikin.io.linked.sheets import Sheet
from manikin.io.linked.times import Times, find_times, life_role

KEY_NOTE = "Says which rows are the same patient's; made anew in a release."


@dataclass(frozen=True)
class Proposal:
    """How tables are linked, and the typed tables themselves."""

    data: Dataset
    references: tuple[Reference, ...]
    patients: Patients


def infer_links(sheets: Sequence[Sheet], where: str = "The data", *, declared: Declared | None = None) -> Proposal:
    """The schema of linked tables, proposed from their cells, and the tables read by it.

    Parameters
    ----------
    declared : the keys and references that the source declares itself; tables that lead to no patient are then left out, and it is said.

    Raises
    ------
    DataError : nothing says who the patients are, or a table has no way to one and no table refers to it.
    """
    by_name = {sheet.name: sheet for sheet in sheets}
    references = find_references(by_name)
    if declared is not None:
        references = declared.before(references)
    patients = find_patients(by_name, references)
    if not patients.keys:
        raise DataError(
            f"{where} does not show who the patients are: no column that names them is shared by its tables. "
            'Give a schema.toml in which their key has roles = ["patient_key"].'
        )
    pairs = find_pairs(by_name, patients.keys, references)
    references = [*references, *pairs] if declared is None else declared.before([*references, *pairs])
    of_patients = _reached(by_name, references, patients)
    left: list[str] = []
    if declared is not None:
        left = strangers(by_name, of_patients, references, {name for name, sheet in by_name.items() if _is_dictionary(sheet)})
        by_name = {name: sheet for name, sheet in by_name.items() if name not in left}
        references = [r for r in references if r.child in by_name]
    vocabularies = _vocabularies(by_name, references, of_patients, where)
    references = [r for r in references if r.parent in of_patients or r.parent in vocabularies]
    references = [r for r in references if r.child not in vocabularies or r.parent in vocabularies]
    primary = {name: _primary_key(sheet, references, patients) for name, sheet in by_name.items()}
    if declared is not None:
        primary |= {name: key for name, key in declared.keys.items() if name in by_name and name != patients.root}
    tables: dict[str, Table] = {}
    schemas: list[TableSchema] = []
    for sheet in by_name.values():
        mine = [r for r in references if r.child == sheet.name]
        if sheet.name in vocabularies:
            schema, table = _vocabulary(sheet, primary[sheet.name], mine)
        else:
            is_parent = any(r.parent == sheet.name and r.child != sheet.name for r in references)
            schema, table = _of_patients(sheet, mine, primary[sheet.name], patients, vocabularies, is_parent=is_parent)
        schemas.append(schema)
        tables[sheet.name] = table
    if left:
        note = f"Tables left out, since they lead to no patient and no table refers to them: {', '.join(map(repr, left))}."
        schemas[0] = replace(schemas[0], notes=(*schemas[0].notes, note))
    return Proposal(Dataset(tables, Schema(tuple(schemas))), tuple(references), patients)


def _reached(sheets: Mapping[str, Sheet], references: Sequence[Reference], patients: Patients) -> set[str]:
    """The tables whose rows belong to patients: by their key, or through a reference to such a table."""
    found = set(patients.keys)
    while True:
        more = {r.child for r in references if r.parent in found and r.child not in found and not sheets[r.child].is_called_vocabulary}
        if not more:
            return found
        found |= more


def _vocabularies(
    sheets: Mapping[str, Sheet], references: Sequence[Reference], of_patients: set[str], where: str
) -> set[str]:
    """The tables of nobody: those that other tables refer to, and those that plainly are dictionaries.

    Raises
    ------
    DataError : a table is neither of patients nor a dictionary.
    """
    found = set()
    for name, sheet in sheets.items():
        if name in of_patients:
            continue
        is_referred = any(r.parent == name and r.child != name for r in references)
        if not (is_referred or _is_dictionary(sheet)):
            raise DataError(
                f"Table {name!r} of {where} has no column that leads to a patient, and no table refers to it. Name its patient key or a "
                'foreign key in a schema.toml, write form = "reference" for it if it is a dictionary, or take the file out.'
            )
        found.add(name)
    return found


def _is_dictionary(sheet: Sheet) -> bool:
    """Whether a table that nobody refers to is a dictionary all the same: by its name, or a unique code beside its label, and no time."""
    if any(column.kind.is_time for column in sheet.columns.values()):
        return False
    keys = [n for n in sheet.columns if sheet.may_be_key(n) and squeezed(n) not in ROW_NAMES and sheet.cells(n).is_key]
    has_label = any(LABELS.intersection(words(name)) for name in sheet.columns)
    return bool(keys) and (has_label or sheet.is_called_vocabulary)


def _primary_key(sheet: Sheet, references: Sequence[Reference], patients: Patients) -> tuple[str, ...]:
    """The columns that no two rows share: the patient key of the table of patients, what others refer to, a name that says so."""
    if sheet.name == patients.root:
        return (patients.keys[sheet.name],)
    referred = [r.references for r in references if r.parent == sheet.name]
    if referred:
        return max(referred, key=referred.count)
    keys = [n for n in sheet.columns if sheet.may_be_key(n) and sheet.cells(n).is_key]
    said = [n for n in keys if says_identifier(n) or ends_in_key(n) or sheet.columns[n].kind in (Kind.CODE, Kind.IDENTIFIER)]
    named = [n for n in said if not LABELS.intersection(words(n)) and squeezed(n) not in ROW_NAMES]
    rows = [n for n in said if squeezed(n) in ROW_NAMES]
    referring = {column for r in references if r.child == sheet.name for column in r.columns}
    for choice in ([n for n in named if n not in referring], rows, named):
        if choice:
            return (choice[0],)
    key = patients.keys.get(sheet.name)
    for name in sheet.columns if key is not None else ():
        if name != key and sheet.may_be_key(name) and NUMBERING.intersection(words(name)) and in_pairs(sheet, str(key), name).is_key:
            return (str(key), name)
    return ()


NUMBERING = word_set("num number no nr nbr seq sequence id visit stay encounter admission index order")


def _vocabulary(sheet: Sheet, key: tuple[str, ...], references: Sequence[Reference]) -> tuple[TableSchema, Table]:
    """A table of nobody: nothing of it is learned, so nothing in it is an identifier; its own key is a code."""
    columns = []
    for name, profile in sheet.profiles.items():
        column = describe(profile)
        columns.append(as_code(profile.storage, column) if name in key and column.code_system is None else replace(column, roles=()))
    schema, table = settle(list(sheet.profiles.values()), columns, TableSchema(sheet.name, ()))
    columns = [replace(c, roles=(), notes=()) for c in schema]
    notes = (*sheet.notes, "Rows of nobody: the table is given back as it is.")
    schema = replace(schema, columns=tuple(columns), rules=(), notes=notes, form=Form.REFERENCE, primary_key=key)
    return replace(schema, foreign_keys=_foreign_keys(references)), table


def as_code(storage: Storage, column: Column) -> Column:
    """The column as one of codes, whatever they look like."""
    if column.kind is Kind.CODE:
        return column
    levels = column.levels if column.kind.is_discrete else None
    return Column(column.name, Kind.CODE, column.storage if column.kind.is_number else storage, levels=levels, missing=column.missing)


def _foreign_keys(references: Iterable[Reference]) -> tuple[ForeignKey, ...]:
    return tuple(ForeignKey(r.columns, r.parent, r.references) for r in references)


def _of_patients(
    sheet: Sheet,
    references: Sequence[Reference],
    primary: tuple[str, ...],
    patients: Patients,
    vocabularies: set[str],
    *,
    is_parent: bool,
) -> tuple[TableSchema, Table]:
    key = patients.keys.get(sheet.name)
    told = _told(references, patients, vocabularies)
    columns = [_column(sheet, name, key, primary, references, vocabularies) for name in sheet.columns]
    columns = [_with_life(column) for column in labelled(sheet, columns)]
    columns = [replace(c, notes=(*c.notes, *told[c.name])) if c.name in told else c for c in columns]
    schema, table = settle(list(sheet.profiles.values()), columns, TableSchema(sheet.name, (), notes=sheet.notes))
    plain = [c for c in schema if c.kind is not Kind.IDENTIFIER]
    owners = sheet.cells(key).places if key is not None else None
    is_single = key is not None and sheet.n_rows > 0 and len(sheet.cells(key).index) == sheet.cells(key).n_present
    is_single = is_single and not (is_parent and primary != (key,))  # a stay that others refer to is an event, however few have two
    times = find_times(table, plain, owners, [c.name for c in plain], is_single=is_single)
    schema = _with_times(schema, times, is_root=sheet.name == patients.root)
    if times.form.is_sequence:
        referring = frozenset(r.columns[0] for r in references if r.parent in vocabularies)
        learned = [c for c in schema.learned if c.name not in (times.start, times.end)]
        schema = _with_scales(schema, find_scales(table, learned, owners, referring))
    declared = [r for r in references if not _is_loose(r, patients)]
    rules = tuple(rule for rule in schema.rules if not _is_of_keys(rule.columns, schema) and can_be_kept(rule, schema))
    return replace(schema, rules=rules, primary_key=primary, foreign_keys=_foreign_keys(_first_to_patients(declared, patients))), table


def labelled(sheet: Sheet, columns: Sequence[Column]) -> list[Column]:
    """The columns, of which a text that is the label of a code beside it is a level of its own, and no free text."""
    codes = [c for c in columns if c.kind is Kind.CODE or (c.kind is Kind.CATEGORICAL and ends_in_key(c.name))]
    return [_label(sheet, column, codes) if column.kind is Kind.TEXT else column for column in columns]


def _label(sheet: Sheet, column: Column, codes: Sequence[Column]) -> Column:
    texts = sheet.cells(column.name).places
    for code in codes:
        of_code = sheet.cells(code.name).places
        both = (texts >= 0) & (of_code >= 0)
        pairs = pd.DataFrame({"code": of_code[both], "text": texts[both]}).value_counts(sort=False).reset_index(name="n")
        rows = pairs.groupby("code")["n"].agg(["sum", "max"])
        told = rows[rows["sum"] > 1]
        if told["sum"].sum() >= MIN_LABELLED and told["max"].sum() >= MIN_LABEL_SHARE * told["sum"].sum():
            note = f"The label of {code.name!r}: {told['max'].sum() / told['sum'].sum():.1%} of the rows of a code have the same text."
            return replace(describe_as_level(sheet, column), notes=(note,))
    return column


def describe_as_level(sheet: Sheet, column: Column) -> Column:
    """A column of texts as one of levels."""
    storage = sheet.profiles[column.name].storage
    return Column(column.name, Kind.CATEGORICAL, storage, roles=column.roles, missing=column.missing)


MIN_LABELLED = 40  # rows of codes that stand in more than one row
MIN_LABEL_SHARE = 0.95  # of them with the usual text of their code


def can_be_kept(rule: Rule, schema: TableSchema) -> bool:
    """Whether a confirmed rule of linked tables could be kept: it names no number that is measured by a code (but for its range), and of
    times, which are learned as intervals, at most their order or that they are missing."""
    columns = [schema[name] for name in rule.columns]
    if isinstance(rule, RangeRule):
        return not any(column.kind.is_time for column in columns)
    if any(column.by is not None for column in columns):
        return False
    times = [column.kind.is_time for column in columns]
    if not any(times) or isinstance(rule, UniqueRule):
        return True
    if isinstance(rule, OrderRule):
        return all(times)
    if not isinstance(rule, ImpliedRule):
        return False
    named = zip(columns, (rule.when, rule.then), strict=True)
    return all(set(texts) <= {code.value for code in column.missing} for column, texts in named if column.kind.is_time)


def _is_of_keys(names: tuple[str, ...], schema: TableSchema) -> bool:
    return any(schema[name].kind is Kind.IDENTIFIER for name in names)


def _is_loose(reference: Reference, patients: Patients) -> bool:
    """Whether a patient key has values that the table of patients lacks: such a patient is one all the same, so that no key is declared."""
    return reference.parent == patients.root and reference.columns == (patients.keys.get(reference.child),) and reference.n_orphans > 0


def _first_to_patients(references: Sequence[Reference], patients: Patients) -> list[Reference]:
    return sorted(references, key=lambda r: r.parent != patients.root)


def _column(
    sheet: Sheet, name: str, key: str | None, primary: tuple[str, ...], references: Sequence[Reference], vocabularies: set[str]
) -> Column:
    """One column as the keys make it: identifiers name patients and rows, codes name what a vocabulary lists."""
    profile, column = sheet.profiles[name], sheet.columns[name]
    if name == key:
        return as_identifier(profile, column, (Role.PATIENT_KEY,), KEY_NOTE)
    mine = [r for r in references if name in r.columns]
    if any(r.parent in vocabularies for r in mine):
        plain = describe(profile)
        return as_code(profile.storage, plain)
    if mine:
        with_gaps = column if any(r.n_orphans == 0 for r in mine) else _may_be_empty(column)
        return as_identifier(profile, with_gaps, (), "")
    if name in primary and not column.kind.is_time:
        return as_identifier(profile, column, (), "Names the table's rows; made anew in a release.")
    if column.has_role(Role.DIRECT_IDENTIFIER):
        return column
    plain = describe(profile)
    if plain.kind.is_number and (plain.decimals or 0) == 0 and column.kind is not Kind.IDENTIFIER and ends_in_key(name):
        return replace(as_code(profile.storage, plain), notes=("Whole numbers under a name that says code: read as codes.",))
    return column


def _may_be_empty(column: Column) -> Column:
    if any(code.value == "" for code in column.missing):
        return column
    return replace(column, missing=(*column.missing, EMPTY))


def _with_life(column: Column) -> Column:
    """Birth and death by their names; a birth is drawn anew as an age among linked tables, so that it is no direct identifier there."""
    role = life_role(column)
    if role is None:
        return column
    kept = tuple(r for r in column.roles if r is not Role.DIRECT_IDENTIFIER)
    notes = tuple(note for note in column.notes if not note.startswith("Direct identifier"))
    if role is Role.BIRTH:
        notes += ("Learned as the time from birth to the patient's first event; calendars are drawn anew.",)
    return replace(column, roles=(*kept, role), notes=notes)


def _told(references: Sequence[Reference], patients: Patients, vocabularies: set[str]) -> dict[str, list[str]]:
    """What is said of each column that refers to another table."""
    out: dict[str, list[str]] = {}
    for r in references:
        out.setdefault(r.columns[-1], []).append(reference_note(r, patients, vocabularies))
    return out


def reference_note(reference: Reference, patients: Patients, vocabularies: set[str]) -> str:
    """A sentence on what a column refers to, how many rows find their parent, and what becomes of the others."""
    ones = "1 to 1" if reference.is_unique else "1 to many"
    how = "" if reference.likeness else "; by its values alone"
    refers = f"Refers to {', '.join(reference.references)} of {reference.parent}"
    if not reference.n_rows:
        return f"{refers}, by its name: no row refers to one."
    found = f"{refers} ({ones}{how}): {reference.share:.1%} of the rows match."
    if not reference.n_orphans:
        return found
    rows = f"{reference.n_orphans:,} rows"
    if _is_loose(reference, patients):
        return f"{found} {rows} name patients whom {reference.parent} does not list; they count as patients."
    if reference.parent in vocabularies:
        return f"{found} {rows} hold codes that {reference.parent} does not list; they stay."
    return f"{found} {rows} name a row that is not there; they refer to none."


def _with_times(schema: TableSchema, times: Times, *, is_root: bool) -> TableSchema:
    form = Form.STATIC if is_root else times.form
    if times.start is not None and times.unit is not None:
        schema = schema.replace_column(replace(schema[times.start], unit=times.unit))
    return replace(schema, form=form, start=times.start, end=times.end, notes=schema.notes + times.notes)


def _with_scales(schema: TableSchema, scales: Mapping[str, Scale]) -> TableSchema:
    for name, scale in scales.items():
        note = f"{scale.by!r} explains {scale.share:.0%} of the variance of its ranks: it is scaled by that code."
        schema = schema.replace_column(replace(schema[name], by=scale.by, notes=(*schema[name].notes, note)))
    return schema


