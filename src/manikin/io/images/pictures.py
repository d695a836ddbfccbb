"""The format "images": a folder of PNG, JPEG, TIFF or BMP files with labels.csv, or with a folder for each class."""

from __future__ import annotations

import os
from pathlib import Path

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError
from manikin.data.schema import Schema
from manikin.io.images.files import PICTURES, SCHEMA_FILE
from manikin.io.images.gathering import Decoded, Look, gathered
from manikin.io.images.labels import has_ending, of_files, rows_of
from manikin.io.images.picture_writing import PictureWriter, write
from manikin.io.images.pillow import decode, pillow

__all__ = ["PictureWriter", "look", "read", "write"]


def read(source: str | os.PathLike[str], *, schema: Schema | None = None, strict: bool = False) -> Dataset:
    """The images of a folder, with what labels.csv says of them.

    Parameters
    ----------
    source : a folder, or one image file. Its labels.csv has a column `file` (paths inside the folder) or two columns of images, one of
        which may be empty in a row; all others are labels and attributes. Without it the folders' names are the column `label`.
    schema : of one table; a schema.toml in the folder is taken where there is none; inferred without either.
    strict : whether a file that cannot be used is an error; otherwise it is passed over and told in the table's notes.

    Raises
    ------
    DataError : no image is left, or labels.csv cannot be used; the message names file and row, never a cell of a label.
    SchemaError : the schema does not fit.
    MissingExtraError : pillow is not installed.
    """
    return look(source, schema=schema, strict=strict).data


def look(source: str | os.PathLike[str], *, schema: Schema | None = None, strict: bool = False) -> Look:
    """What `read` gives, and each file that was passed over with its reason."""
    pillow()
    place = Path(source)
    if place.is_file():
        folder, rows = place.parent, of_files([place.name])
    else:
        schema = schema if schema is not None else schema_in(place)
        folder, rows = place, rows_of(place, has_ending(*PICTURES), None if schema is None else schema.only)

    def decoded(file: str) -> Decoded:
        return Decoded(*decode(folder / file))

    return gathered(rows, place, decoded, schema=None if schema is None else schema.only, strict=strict)


def schema_in(folder: Path) -> Schema | None:
    """The schema.toml of a folder, None where there is none.

    Raises
    ------
    DataError : it describes linked tables.
    """
    from manikin.io.schema_file import read_schema

    path = folder / SCHEMA_FILE
    if not path.is_file():
        return None
    schema = read_schema(path)
    if schema.is_linked:
        raise DataError(f"{path} describes linked tables; images have one table of labels. Write one with `manikin inspect {folder.name}`.")
    return schema
