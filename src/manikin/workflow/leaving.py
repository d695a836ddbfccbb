"""What leaves a judged folder: one release of a table, of linked tables or of images, read by its schema and written anew.

It is written anew and not copied, so that nothing goes along that nobody judged: a column that the schema does not know, a header, a file's
name. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, Table
from manikin.data.errors import ParameterError
from manikin.data.new_keys import released_schema
from manikin.data.schema import Form, Kind, Role, Schema, TableSchema, is_left_out
from manikin.io import tabular
from manikin.io.formats import FOLDER
from manikin.release.manifest import hash_file, hash_folder
from manikin.release.public_schema import shown_form
from manikin.workflow import images
from manikin.workflow.linked_sources import read_linked_like
from manikin.workflow.options import check_format
from manikin.workflow.places import Storage, hash_place, linked_format, name_in, stored_as, write_images, write_linked
from manikin.workflow.sources import SUFFIX, read_like

PART = "synthetic"


@dataclass(frozen=True)
class Leaving:
    """A judged release that is to leave.

    Attributes
    ----------
    place : where it was judged. sha256 : of all its bytes.
    data : what is written: judged columns only, files under new names.
    kept_back : tables of nobody that stay inside, since no figure looks at them.
    """

    place: Path
    sha256: str
    data: Dataset
    kept_back: tuple[str, ...] = ()

    @property
    def modality(self) -> str:
        """A "table", "records" of linked patients, "images"."""
        return self.data.modality


def parts_in(names: Iterable[str]) -> list[str]:
    """The releases among the files of a judged folder: "synthetic.csv", or "synthetic" for a folder of that name.

    >>> parts_in(["synthetic/patients.csv", "synthetic/stays.csv", "report.html", "synthetic-2.npz"])
    ['synthetic', 'synthetic-2.npz']
    """
    tops = dict.fromkeys(PurePosixPath(name).parts[0] for name in names)
    return [top for top in tops if top.partition(".")[0] == PART or top.startswith(f"{PART}-")]


def read_leaving(place: Path, schema: Schema, *, with_books: bool) -> Leaving:
    """A judged release by the schema of its folder.

    Parameters
    ----------
    with_books : whether tables of nobody (code books) go along; a person has answered for them then.

    Raises
    ------
    DataError : it cannot be read.
    """
    if schema.is_linked:
        return _linked(place, schema, with_books=with_books)
    if schema.modality == "images":
        _, (read,) = images.read_images_alike(_like(schema), [place])
        return Leaving(place, hash_place(place, read)[0].sha256, _own_range(_renamed(_judged_only(read, schema.only))))
    return Leaving(place, hash_file(place).sha256, read_like(place, schema.only, with_strangers=True))


def _like(schema: Schema) -> Dataset:
    """No rows of this schema, as a pattern to read others by."""
    table = schema.only
    frame = pd.DataFrame({name: pd.Series([], dtype=object) for name in table.names})
    return Dataset({table.name: Table(frame)}, schema)


def _judged_only(data: Dataset, like: TableSchema) -> Dataset:
    """The columns that figures looked at, and the key that says whose an image is."""
    kept = [c.name for c in data.columns if c.name in like and (not is_left_out(like[c.name]) or like[c.name].has_role(Role.PATIENT_KEY))]
    return data.only(kept)


def _renamed(data: Dataset) -> Dataset:
    """Images without the names of their files, so that writers number them: a name may say whose an image is."""
    cells = {column.name: pd.Series(np.full(len(data), None), dtype=object) for column in data.columns if column.kind is Kind.IMAGE}
    frame = data.table.frame.assign(**{name: column.to_numpy() for name, column in cells.items()})
    return data.with_table(Table(frame, data.table.marks, data.table.images))


def _own_range(data: Dataset) -> Dataset:
    """Images whose schema has the range of their own pixels: files' headers are written from it, and it was that of real images."""
    columns = data.columns
    for column in data.columns.images:
        columns = columns.replace_column(replace(column, image=shown_form(data.table, column)))
    return Dataset({columns.name: data.table}, Schema((columns,)), data.native)


def _linked(place: Path, schema: Schema, *, with_books: bool) -> Leaving:
    files = [path for path in place.iterdir() if not path.name.startswith(".")] if place.is_dir() else []
    source = files[0] if len(files) == 1 and linked_format(files[0]) is not None else place  # a bundle or shard that was judged as a file
    data = released_only(read_linked_like(source, schema), schema)
    books = [table.name for table in data.schema.tables if table.form is Form.REFERENCE]
    digest = hash_place(place, data)[0].sha256
    if with_books or not books:
        return Leaving(place, digest, data)
    return Leaving(place, digest, without_tables(data, books), tuple(books))


def released_only(data: Dataset, schema: Schema) -> Dataset:
    """The tables and columns that a release holds by the schema of what was judged."""
    names = {table.name: set(table.names) for table in released_schema(schema).tables}
    kept = without_tables(data, [table.name for table in data.schema.tables if table.name not in names])
    tables = tuple(table.only([name for name in table.names if name in names[table.name]]) for table in kept.schema.tables)
    return Dataset({table.name: kept.tables[table.name].only(table.names) for table in tables}, Schema(tables), data.native)


def without_tables(data: Dataset, names: Iterable[str]) -> Dataset:
    """Linked tables without some of them, and without the references that led there."""
    gone = set(names)
    kept = [table for table in data.schema.tables if table.name not in gone]
    tables = tuple(replace(t, foreign_keys=tuple(key for key in t.foreign_keys if key.table not in gone)) for t in kept)
    return Dataset({table.name: data.tables[table.name] for table in tables}, Schema(tables), data.native)


def storage_of_leaving(leaving: Leaving, file_format: str | None) -> Storage | None:
    """How it is written; None for a file of one table.

    Raises
    ------
    ParameterError : the format is none of such data.
    """
    check_format(file_format, leaving.modality)
    if leaving.modality == "table":
        return None
    if leaving.modality == "records" and file_format is not None:
        return Storage(FOLDER, SUFFIX[file_format])
    return stored_as(leaving.place, file_format)


def write_leaving(leaving: Leaving, folder: Path, file_format: str | None) -> tuple[str, ...]:
    """Writes it into a folder under construction; the names of its files, relative to the folder.

    Raises
    ------
    ParameterError : the format is none of such data.
    """
    storage = storage_of_leaving(leaving, file_format)
    if storage is None:
        name = f"{PART}{SUFFIX[file_format or 'csv']}"
        tabular.write(leaving.data, folder / name)
        return (name,)
    name = name_in(storage, PART)
    if leaving.modality == "images":
        write_images(leaving.data, folder / name, like=storage.format)
    else:
        write_linked(leaving.data, folder / name, storage=storage)
    if (folder / name).is_file():
        return (name,)
    return tuple(f"{name}/{file.name}" for file in hash_folder(folder / name))


def tables_of_files(leaving: Leaving, files: Iterable[str]) -> Mapping[str, TableSchema]:
    """Which of its files holds which table, by the file's name; files that hold none are left out."""
    from manikin.io.images.files import LABELS
    from manikin.io.linked.files import table_name

    by_name = {table.name: table for table in leaving.data.schema.tables}
    found = {}
    for file in files:
        path = PurePosixPath(file)
        if leaving.modality == "table":
            found[file] = leaving.data.columns
        elif leaving.modality == "images":
            found |= {file: leaving.data.columns} if path.name == LABELS else {}
        else:
            name = table_name(Path(path.name))
            found |= {file: by_name[name]} if name in by_name else {}
    return found


def check_few(n_files: int, limit: int) -> None:
    """Refuses a release of more files than a receiver checks.

    Raises
    ------
    ParameterError : says the way out.
    """
    if n_files > limit:
        raise ParameterError(
            f"The release would hold {n_files:,} files, and receivers check at most {limit:,}. Images fit in one file with --format npz."
        )
