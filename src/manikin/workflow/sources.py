"""Where tables and schemas come from and go to, for people and for jobs: paths, or frames of pandas, polars and pyarrow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from manikin.data.cells import UNREADABLE, column_texts
from manikin.data.dataset import Dataset, Table
from manikin.data.errors import DataError, ParameterError
from manikin.data.rare_values import empty_columns, has_code_book, rare_values
from manikin.data.schema import EMPTY, Column, Kind, Role, Schema, Source, TableSchema, is_left_out
from manikin.data.schema_text import table_to_json
from manikin.io import linked as folders
from manikin.io import schema_file, tabular
from manikin.io.delimited import read_texts
from manikin.io.formats import FOLDER, is_url
from manikin.io.frames import profiles_of_frame, profiles_of_texts, read_parquet, to_pandas
from manikin.io.inference import without_code_book_note
from manikin.io.profiles import Profile, profile_texts
from manikin.io.typed import table_of
from manikin.workflow import linked
from manikin.workflow.output import whole_file
from manikin.workflow.places import Storage as StoredAs
from manikin.workflow.places import image_format, linked_format, read_images, read_linked, write_images, write_linked
from manikin.workflow.wishes import check_columns

SUFFIX = {"csv": ".csv", "parquet": ".parquet"}


def read(source: Any, *, schema: Schema | TableSchema | str | Path | None = None, each_by_itself: bool = False) -> Dataset:
    """A data set from a file, a folder or database of linked tables, a folder or file of images, or a pandas, polars or pyarrow frame.

    Parameters
    ----------
    source : the path of a CSV or Parquet file, of a folder of tables, or the URL of a database (`manikin list formats`); or a frame; a
        `Dataset` is given back as it is.
    schema : what is known of the columns, as a value or as the path of a schema.toml; inferred from the data when None.
    each_by_itself : whether every cell is read for itself, as a generator under a privacy ledger must be handed them: what is inferred of
        a column hangs on all patients. A file, or a folder of linked tables with their schema; what stands declared in it is used.

    Raises
    ------
    DataError, SchemaError : the file or frame cannot be used; the message names column and row, never a cell.
    ParameterError, BudgetError : it cannot be read so.

    Examples
    --------
    >>> import pandas as pd
    >>> len(read(pd.DataFrame({"age": [54, 61, 47], "sex": ["F", "M", "F"]})))
    3
    """
    if isinstance(source, Dataset) and not each_by_itself:
        return source
    known = read_schema(schema) if isinstance(schema, str | Path) else schema
    whole = Schema((known,)) if isinstance(known, TableSchema) else known
    if each_by_itself:
        return _read_for_a_ledger(source, whole)
    if linked_format(source) is not None:
        return read_linked(source, schema=whole)
    if image_format(source) is not None:
        return read_images(source, schema=whole)
    return tabular.read(source, schema=whole)


def _read_for_a_ledger(source: Any, schema: Schema | None) -> Dataset:
    """A file or folder, every cell by itself; without a schema the structure of a flat table is what its columns are called.

    Raises
    ------
    ParameterError : it is no file of rows and no folder of tables, or a folder without its schema.
    """
    name = linked_format(source)
    if not isinstance(source, str | Path) or is_url(source) or image_format(source) is not None or name not in (None, FOLDER):
        raise ParameterError("each_by_itself reads a CSV or Parquet file, or a folder of such files with their schema. Name its path.")
    if name is None and (schema is None or not schema.is_linked):
        return read_each_by_itself(Path(source), tabular.read(source).columns if schema is None else schema.only)
    if schema is None:
        raise ParameterError("each_by_itself takes linked tables with their schema, which says how they are linked: `manikin inspect -o`.")
    return read_each_by_itself(Path(source), schema)


def read_flat(source: Any, command: str, *, schema: Schema | TableSchema | str | Path | None = None) -> Dataset:
    """One flat table, for a command that takes nothing else.

    Raises
    ------
    ParameterError : they are linked tables or images; the message says what to do with these. DataError, SchemaError : as `read`.
    """
    word = command.strip("`").removeprefix("manikin ")
    if linked_format(source) is not None:
        raise _not_flat(command, word, "records")
    if image_format(source) is not None:
        raise _not_flat(command, word, "images")
    data = read(source, schema=schema)
    if data.modality != "table":
        raise _not_flat(command, word, data.modality)
    return data


INSTEAD = {  # what to do with linked patients and images where a command takes a table
    ("complete", "records"): "Give a model that learned linked tables and columns to keep, or one of their tables as a file.",
    ("complete", "images"): "To make one kind of image of another: `manikin translate`; labels alone are completed from labels.csv.",
    ("study", "images"): "Run `manikin synthesize` for each generator and seed, and `manikin compare` sets the runs side by side.",
}


def _not_flat(command: str, word: str, modality: str) -> ParameterError:
    what = {"records": "linked tables", "images": "images"}[modality]
    way_out = INSTEAD.get((word, modality), "Bring a table with a row per patient.")
    return ParameterError(f"{command} takes one flat table, and these are {what}. {way_out}")


def read_each_by_itself(source: Any, like: TableSchema | Schema) -> Dataset:
    """The rows of a source as they are handed to a private generator: every cell read for itself, whatever other patients hold.

    A schema that was inferred decides by all patients how a cell is read; here a column is texts unless a person declared its kind. Linked
    tables are read from a folder, with their structure as the schema says.

    Raises
    ------
    BudgetError : linked tables have a structure that cannot be learned under a budget.
    """
    from manikin.codecs.bought.fit import reading_schema

    if isinstance(source, Dataset):
        return source
    if isinstance(like, Schema):
        from manikin.codecs.records.public_plan import readable

        return folders.read(source, schema=readable(like), each_by_itself=True)
    return tabular.read(source, schema=Schema((reading_schema(like),)), each_by_itself=True)


def compared(made: Dataset, like: TableSchema | Schema) -> tuple[Dataset, list[str]]:
    """A private generator's rows as the real table's schema reads them, so that the two can be compared; what is left out of that.

    What was bought may differ from what the real table shows: a column of numbers may have come out as levels, say.

    Returns
    -------
    the rows, and the names of columns whose cells the real table's schema cannot read.
    """
    if isinstance(like, Schema):
        return _compared_linked(made, like)
    kept, lost = [], []
    for name in made.columns.names:
        one = made.only([name])
        try:
            kept.append(_retyped(one, like) if name in like else one)
        except DataError:
            lost.append(name)
    if not kept:
        raise DataError("None of the synthetic columns can be read as the real table's. Declare their kinds in the schema.")
    frame = pd.concat([one.table.frame for one in kept], axis=1)
    marks = {name: mark for one in kept for name, mark in one.table.marks.items()}
    schema = replace(made.columns, columns=tuple(column for one in kept for column in one.columns), rules=())
    return Dataset({schema.name: Table(frame, marks)}, Schema((schema,)), made.native), lost


def _compared_linked(made: Dataset, like: Schema) -> tuple[Dataset, list[str]]:
    """The same of linked tables; a key or time that cannot be read as the real one's stays as it was made."""
    tables, schemas, lost = dict(made.tables), [], []
    for table in made.schema.tables:
        columns, names = [], list(table.names)
        frame, marks = made.tables[table.name].frame.copy(), dict(made.tables[table.name].marks)
        for column in table:
            known = like[table.name][column.name]
            flat = TableSchema(table.name, (replace(column, by=None),))
            one = Dataset({table.name: made.tables[table.name].only([column.name])}, Schema((flat,)), made.native)
            try:
                again = _retyped(one, TableSchema(table.name, (replace(known, by=None),)))
            except DataError:
                lost.append(f"{table.name}.{column.name}")
                columns.append(column)
                if not column.has_role(Role.PATIENT_KEY) and column.name not in (*table.primary_key, table.start, table.end):
                    names.remove(column.name)
                continue
            frame[column.name] = again.table.frame[column.name]
            marks[column.name] = again.table.mark(column.name)
            columns.append(replace(again.columns[column.name], by=known.by, levels=known.levels or again.columns[column.name].levels))
        tables[table.name] = Table(frame[names], {name: marks[name] for name in names if name in marks and marks[name].any()})
        schemas.append(replace(table, columns=tuple(columns), rules=()).only(names))
    return Dataset(tables, Schema(tuple(schemas)), made.native), lost


def read_like(source: Any, like: TableSchema, *, with_strangers: bool = False) -> Dataset:
    """The columns that a source shares with a known table, read as that table's schema says; its other columns are passed over.

    With `with_strangers` the other columns stay, as free text that nothing learns: a release must be seen whole.

    Empty cells in a column that had none are holes: the column gets the empty cell as its last missing code. A `Dataset` keeps all its
    columns; those whose kind or missing codes are not the known table's are read again.

    Raises
    ------
    DataError : the source cannot be read, shares no column, or a cell does not fit; the message names the column.
    """
    if isinstance(source, Dataset):
        return _retyped(source, like)
    profiles, where, native = _profiles(source)
    shared = [profile for profile in profiles if profile.name in like]
    if not shared:
        raise DataError(f"{where} shares no column with the table it belongs to. Check that both come from one table.")
    schema = like.only([profile.name for profile in shared])
    for profile in shared:
        schema = schema.replace_column(_with_holes(profile, schema[profile.name]))
    if with_strangers:
        strangers = [profile for profile in profiles if profile.name not in like]
        texts = tuple(_with_holes(profile, Column(profile.name, Kind.TEXT, missing=())) for profile in strangers)
        shared, schema = [*shared, *strangers], replace(schema, columns=(*schema.columns, *texts))
    return Dataset({schema.name: table_of(shared, schema, where)}, Schema((schema,)), native)


def _with_holes(profile: Profile, column: Column) -> Column:
    if profile.is_present.all() or any(code.value == "" for code in column.missing):
        return column
    return replace(column, missing=(*column.missing, EMPTY))


def _retyped(data: Dataset, like: TableSchema) -> Dataset:
    shared = [column for column in data.columns if column.name in like]
    if not shared:
        raise DataError("The data set shares no column with the table it belongs to. Check that both come from one table.")
    schema, frame, marks = data.columns, data.table.frame.copy(), dict(data.table.marks)
    for column in shared:
        if Kind.IMAGE in (column.kind, like[column.name].kind) or _agree(column, like[column.name]):
            continue
        profile = profile_texts(column.name, pd.Series(column_texts(data.table, column), dtype=object))
        known = _with_holes(profile, like[column.name])
        read_again = table_of([profile], TableSchema(like.name, (known,)), "The data set")
        frame[column.name], marks[column.name] = read_again.frame[column.name], read_again.mark(column.name)
        schema = schema.replace_column(known)
    return Dataset({schema.name: Table(frame, marks, data.table.images)}, Schema((schema,)), data.native)


def _agree(column: Column, known: Column) -> bool:
    """Whether typed cells and missing marks of one column mean the same in the other; a model may have blanked the text of a code."""
    codes = zip(column.missing, known.missing, strict=False)
    same_codes = len(column.missing) <= len(known.missing) and all(a.value == b.value or not b.value for a, b in codes)
    same_levels = not column.kind.is_discrete or column.storage is known.storage
    return column.kind is known.kind and column.separator == known.separator and same_levels and same_codes


def read_alike(
    first: Any, others: Sequence[Any], *, schema: Schema | str | Path | None = None
) -> tuple[Dataset, list[Dataset]]:
    """Tables of one kind, read by one schema: that of the first, or the given one.

    A column of which only another table has empty cells gets the empty cell as a missing code in all of them, so that missingness
    can be compared; everything else must fit. Columns that only another table has are kept as free text.

    Raises
    ------
    DataError : a source cannot be read, or a cell does not fit the schema; the message names file, column and row.
    """
    real = read(first, schema=schema)
    empty = {name for other in others for name in _with_empty_cells(other)}
    columns = tuple(
        replace(column, missing=(*column.missing, EMPTY))
        if column.name in empty and all(code.value != "" for code in column.missing)
        else column
        for column in real.columns
    )
    table = replace(real.columns, columns=columns)
    real = Dataset({table.name: real.table}, Schema((table,)), real.native)
    return real, [read_like(other, table, with_strangers=True) for other in others]


def _with_empty_cells(source: Any) -> list[str]:
    if isinstance(source, Dataset):
        return [name for name in source.table.marks if "" in column_texts(source.table, source.columns[name])]
    return [profile.name for profile in _profiles(source)[0] if not profile.is_present.all()]


def _profiles(source: Any) -> tuple[list[Profile], str, str]:
    if not isinstance(source, str | Path):
        frame, native = to_pandas(source)
        return profiles_of_frame(frame), f"The {native} frame", native
    path = Path(source)
    if path.suffix.lower() in (".parquet", ".pq"):
        return profiles_of_frame(read_parquet(path), str(path)), str(path), "pandas"
    return profiles_of_texts(read_texts(path)[0]), str(path), "pandas"


def write(data: Dataset, path: str | Path, *, force: bool = False, like: folders.Like = None) -> None:
    """Writes a data set to a .csv or .parquet file, linked tables to a folder or a database's URL, images to a folder or .npz; whole.

    Parameters
    ----------
    like : for linked tables, how their files are called and written: the folder they came from, names by table, or an ending for all.

    Raises
    ------
    ParameterError : the file exists and `force` is not given, or its ending is none of these.
    """
    if is_url(path):
        write_linked(data, path, storage=StoredAs(linked_format(path) or "", like, is_local=False), force=force)
        return
    target = Path(path)
    if data.modality == "images" and not _is_file_name(target):
        write_images(data, target, like=like, force=force)
        return
    if data.is_linked and not (len(data.tables) == 1 and _is_file_name(target)):
        folders.write(data, target, like=like, force=force)
        return
    check_suffix(target)
    with whole_file(target, force=force) as beside:
        tabular.write(folders.unlinked(data) if data.is_linked else data, beside)


def infer(source: Any) -> Schema:
    """What a file or frame seems to hold: kinds, roles, missing codes and rules, for a person to correct."""
    return read(source).schema


def read_schema(path: str | Path) -> Schema:
    """Reads a schema.toml."""
    return schema_file.read_schema(Path(path))


def write_schema(schema: Schema, path: str | Path, *, force: bool = False) -> None:
    """Writes a commented schema.toml, whole or not at all."""
    with whole_file(Path(path), force=force) as beside:
        schema_file.write_schema(schema, beside)


def check_suffix(path: Path) -> None:
    """Refuses a file name whose ending says neither CSV nor Parquet."""
    if not _is_file_name(path):
        raise ParameterError(f"{path.name} ends in no format that can be written. Use .csv or .parquet.")


def _is_file_name(path: Path) -> bool:
    return path.name.lower().endswith((".csv", ".csv.gz", ".tsv", ".parquet"))


def with_target(data: Dataset, target: str | None) -> Dataset:
    """The data set with `target` as its one target column; unchanged without one.

    Raises
    ------
    ParameterError : the table has no such column, or it is one that generators do not learn.
    """
    if target is None:
        return data
    table = data.columns
    check_columns([target], table, "--target")
    if target not in [column.name for column in table.learned]:
        raise ParameterError(
            f"--target names {target!r}, which is an identifier or free text and is not learned. Name another."
        )
    return _with_schema(data, _with_only(table, target, Role.TARGET))


def with_follow_up(data: Dataset, time: str | None, event: str | None) -> Dataset:
    """The data set with `time` as its column of follow-up time and `event` as that of the event; unchanged without the two.

    Raises
    ------
    ParameterError : only one of the two is given; the table has no such column; the time is no number, or the event has no levels.
    """
    if time is None and event is None:
        return data
    if time is None or event is None:
        missing, given = ("--time", "--event") if time is None else ("--event", "--time")
        raise ParameterError(f"{given} was given without {missing}. Name both columns: the follow-up time and the event.")
    table = data.columns
    check_columns([time], table, "--time")
    check_columns([event], table, "--event")
    if not table[time].kind.is_number:
        raise ParameterError(
            f"--time names {time!r}, which is {table[time].kind}. Name a column of numbers, or correct its kind in the schema."
        )
    if not table[event].kind.is_discrete:
        raise ParameterError(
            f"--event names {event!r}, which is {table[event].kind}. Name a column of levels, or make it boolean in the schema."
        )
    return _with_schema(data, _with_only(_with_only(table, time, Role.TIME), event, Role.EVENT))


def _with_only(table: TableSchema, name: str, role: Role) -> TableSchema:
    """The schema in which one column alone has a role."""
    for column in table:
        roles: tuple[Role, ...] = tuple(known for known in column.roles if known is not role)
        if column.name == name:
            roles += (role,)
        if roles != column.roles:
            table = table.replace_column(replace(column, roles=roles))
    return table


def _with_schema(data: Dataset, table: TableSchema) -> Dataset:
    return Dataset({table.name: data.table}, Schema((table,)), data.native)


def as_wished(
    data: Dataset,
    *,
    target: str | None = None,
    time: str | None = None,
    event: str | None = None,
    public: Sequence[str] = (),
) -> Dataset:
    """The data set with what the options of a job say of its columns: target, time and event, and which lists of values are public.

    Columns of linked tables are named "column" or "table.column".

    Raises
    ------
    ParameterError : an option names a column that there is not, or one that it cannot mean.
    """
    if data.is_linked:
        return linked.as_wished(data, target=target, public=public, time=time, event=event)
    return declare_public(with_follow_up(with_target(data, target), time, event), public, option="--public")


def declare_public(data: Dataset, columns: Sequence[str], *, option: str = "declare_public") -> Dataset:
    """The data set with the lists of these columns' values declared public knowledge, such as a code book: rare ones are released too.

    The list is public, the patients are not: a rare code in a synthetic row is a rare code, and may lead to whoever holds it. Saying
    yes is a decision about these patients; nothing but a person may take it.

    Parameters
    ----------
    columns : names of columns of levels, codes or sets of codes.
    option : how messages call this request.

    Raises
    ------
    ParameterError : the table has no such column, or it has no levels (a number, a time, an identifier, free text).

    Examples
    --------
    >>> import pandas as pd
    >>> ward = read(pd.DataFrame({"ward": ["a", "b"] * 40 + ["c"]}))
    >>> declare_public(ward, ["ward"]).columns["ward"].has_public_levels
    True
    """
    if isinstance(columns, str):
        raise ParameterError(f"{option} takes a list of column names. Write [{columns!r}] for one.")
    if data.is_linked:
        return linked.with_public(data, columns, option)
    table = data.columns
    for name in check_columns(columns, table, option):
        column = table[name]
        if is_left_out(column) or not (column.kind.is_discrete or column.kind is Kind.CODE_SET):
            what = "is left out of a release" if is_left_out(column) else f"is {column.kind} and has no list of values"
            raise ParameterError(f"{option} names {name!r}, which {what}. Name columns of levels or codes only.")
        source = replace(column.source, levels=Source.DECLARED)
        table = table.replace_column(replace(without_code_book_note(column), source=source))
    return Dataset({table.name: data.table}, Schema((table,)), data.native)


def fallback_notice(data: Dataset) -> str | None:
    """How many cells of which columns of codes will give way to their group, and the option that changes it; None where none will."""
    found = []
    for column in data.columns.learned:
        if has_code_book(column) and not column.has_public_levels:
            rare = rare_values(data, column)
            if rare.n_rare_cells:
                found.append((column, rare))
    if not found:
        return None
    columns = ", ".join(f"{rare.n_rare_cells:,} cells of {column.name!r} ({rare.share:.1%})" for column, rare in found)
    limits = sorted({rare.min_patients for _, rare in found})
    which = f"fewer than {' or '.join(map(str, limits))} patients hold"
    options = " ".join(f"--public {column.name}" for column, _ in found)
    yes = f"Where the code book is public and every code may be shown: {options}"
    return f"Codes that {which} are released as their group: {columns}. {yes}"


def empty_notice(data: Dataset) -> str | None:
    """Which columns of a flat table come out empty, since too few patients hold their values; None where none does."""
    names = empty_columns(data)
    if not names:
        return None
    return f"Come out empty, since no value of theirs, or hardly a cell's, is held by enough patients: {', '.join(names)}."


def unreadable_notices(schema: TableSchema) -> list[str]:
    """A sentence for each column whose cells that cannot be read are taken as empty: how many, and in which rows."""
    found = []
    for column in schema:
        if any(code.meaning == UNREADABLE.meaning for code in column.missing):
            told = [note for note in column.notes if "read as empty" in note] or ["Cells that cannot be read are taken as empty."]
            found.append(f"Column {column.name!r}: {told[0]}")
    return found


def target_of(schema: TableSchema) -> str | None:
    """The column that the schema calls the target, if it calls one so."""
    found = schema.with_role(Role.TARGET)
    return found[0].name if found else None


def target_in(data: Dataset) -> str | None:
    """The target column of a data set, of linked tables as "table.column"."""
    return linked.target_of(data.schema) if data.is_linked else target_of(data.columns)


def schema_hash(schema: Schema) -> str:
    """SHA-256 of every fact of a schema, whatever the comments and layout of its file."""
    text = json.dumps([table_to_json(table) for table in schema.tables], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
