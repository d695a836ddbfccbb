"""Where linked patients come from and go to: folders, bundles and databases, by the registry of formats. Knows no format by name."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from manikin.data.dataset import Dataset, concat
from manikin.data.errors import ParameterError
from manikin.data.schema import Schema
from manikin.io.formats import FOLDER, FORMATS, format_of, is_url, module_of
from manikin.release.manifest import FileHash, hash_file

Place = Path | str  # a path, or the URL of a database
FILES = "files.json"  # in a model's folder: how the tables that it learned were stored


def place_of(given: Place) -> Place:
    """A path, or a URL as it is."""
    return given if is_url(given) else Path(given)


def name_of(place: Place) -> str:
    """What a place is called in words and manifests: a file's or folder's name, a database's URL without user, password and options."""
    if not is_url(place):
        return Path(place).name or str(place)
    parts = urlsplit(str(place))
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if host else Path(parts.path).name


def shown(place: Place) -> str:
    """A place as a person wrote it, a URL without its password."""
    return name_of(place) if is_url(place) else str(place)


def linked_format(place: Any) -> str | None:
    """The format of linked tables that a path or URL holds; None for a file of one table, and for what is no place.

    Raises
    ------
    ParameterError : a URL that no format reads.
    """
    if not isinstance(place, str | Path):
        return None
    name = format_of(place)
    if is_url(place) and name is None:
        raise ParameterError(f"{name_of(place)} is the URL of nothing that can be read. See `manikin list formats`.")
    return name if name is not None and FORMATS[name].modality == "records" else None


def image_format(place: Any) -> str | None:
    """The format of images that a path holds; None for tables, and for what is no place."""
    if not isinstance(place, str | Path) or is_url(place):
        return None
    name = format_of(place)
    return name if name is not None and FORMATS[name].modality == "images" else None


def is_image_source(place: Any) -> bool:
    """Whether a data set or a place holds images."""
    return place.modality == "images" if isinstance(place, Dataset) else image_format(place) is not None


def read_images(place: Place, *, schema: Schema | None = None) -> Dataset:
    """The images at a place, with their labels.

    Raises
    ------
    InputError : they cannot be used; the message names the file, never a cell.
    """
    name = image_format(place)
    if name is None:
        raise ParameterError(f"{name_of(place)} holds no images. See `manikin list formats`.")
    data: Dataset = FORMATS.load(name)(place, schema=schema)
    return data


def write_images(data: Dataset, target: Path, *, like: Any = None, force: bool = False) -> None:
    """Writes images and labels in the format of this name, or of the place that they are to be like; else as the target's ending says.

    Without any of these they are a folder of pictures.
    """
    known = isinstance(like, str) and like in FORMATS and FORMATS[like].modality == "images"
    name = image_format(target) if not target.is_dir() and image_format(target) == "npz" else None
    name = str(like) if known else name or image_format(like) or image_format(target) or "images"
    module_of(name).write(data, target, like=None if known else like, force=force)


def read_linked(place: Place, *, schema: Schema | None = None) -> Dataset:
    """The linked tables at a place.

    Raises
    ------
    InputError : they cannot be used; the message names table, column and row, never a cell.
    """
    name = linked_format(place)
    if name is None:
        raise ParameterError(f"{name_of(place)} holds no linked tables. Give a folder of them, or a database.")
    data: Dataset = FORMATS.load(name)(place, schema=schema)
    return data


@dataclass(frozen=True)
class Storage:
    """How linked tables are stored, so that what is made is given back so.

    Attributes
    ----------
    format : a name of the registry. like : what its writer takes as `like`: names by table, an ending for all, or a source.
    kept : what is written down of `like` beside a model: no path of the machine, and no URL. is_local : whether it is no database.
    """

    format: str
    like: Any = None
    kept: Any = None
    is_local: bool = True

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"format": self.format, "like": self.kept, "is_local": self.is_local}


def storage_of(place: Place) -> Storage:
    """How the tables at a place are stored."""
    pictures = image_format(place)
    if pictures is not None:
        return Storage(pictures)
    name = linked_format(place) or FOLDER
    if is_url(place):
        return Storage(name, str(place), is_local=False)
    path = Path(place)
    if name == FOLDER:
        names = files_of(path) if path.is_dir() else {path.name.partition(".")[0]: path.name}
        return Storage(name, names, names)
    endings = Counter("".join(file.suffixes).lower() for file in path.iterdir() if file.is_file()) if path.is_dir() else Counter()
    return Storage(name, str(path), endings.most_common(1)[0][0] if endings else None)


def files_of(folder: Path) -> dict[str, Any]:
    """How each table's file in a folder is called, and in which types a Parquet file holds its columns."""
    from manikin.io.linked import layout_of

    return layout_of(folder)


def stored_as(place: Place, file_format: str | None = None) -> Storage:
    """How tables that are made from those at a place are stored in a run folder: as these, or as files of a format, csv or parquet."""
    found = storage_of(place)
    if FORMATS[found.format].modality == "images":
        return found if file_format is None else Storage(file_format)
    if file_format is None and found.is_local:
        return found
    ending = f".{file_format or 'csv'}"
    return replace(found, format=FOLDER if not found.is_local else found.format, like=ending, kept=ending)


def keep_storage(storage: Storage | None, folder: Path) -> None:
    """Writes beside a model how the tables that it learned were stored."""
    if storage is not None:
        (folder / FILES).write_text(json.dumps(storage.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def kept_storage(folder: Path) -> Storage:
    """What `keep_storage` wrote; a folder of CSV files where there is none."""
    path = folder / FILES
    if not path.is_file():
        return Storage(FOLDER)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        storage = Storage(str(found["format"]), found.get("like"), found.get("like"), is_local=bool(found["is_local"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ParameterError(f"{path} is damaged. Save the model again, or delete the file to write CSV.") from None
    return storage if storage.format in FORMATS else Storage(FOLDER)


def write_linked(data: Dataset, target: Place, *, storage: Storage, force: bool = False) -> None:
    """Writes linked tables at once."""
    module_of(storage.format).write(data, target, like=storage.like, force=force)


def name_in(storage: Storage, part: str) -> str:
    """What a part is called in a run folder: a folder, or a file with the format's first ending.

    >>> name_in(Storage("npz"), "synthetic"), name_in(Storage("folder"), "synthetic")
    ('synthetic.npz', 'synthetic')
    """
    entry = FORMATS[storage.format]
    return part + (entry.endings[0] if entry.in_one_file else "")


@contextmanager
def writing(target: Place, schema: Schema, *, storage: Storage, force: bool = False, **said: Any) -> Iterator[Any]:
    """A writer of pieces: its `append` takes one data set after the other. A format without one gets all of them at the end.

    `said` are further words for the writer, such as `how` images were made.
    """
    module, where = module_of(storage.format), FORMATS[storage.format].writer
    if where:
        path, _, name = where.partition(":")
        with getattr(import_module(path), name)(target, schema, like=storage.like, force=force, **said) as writer:
            yield writer
        return
    gathered = _Gathered()
    yield gathered
    module.write(concat(gathered.parts), target, like=storage.like, force=force, **said)


class _Gathered:
    """Keeps the pieces for a format that writes all at once."""

    def __init__(self) -> None:
        self.parts: list[Dataset] = []

    def append(self, data: Dataset) -> None:
        """Keeps a piece."""
        self.parts.append(data)


def hash_place(place: Place, data: Dataset) -> tuple[FileHash, ...]:
    """The hash of what was read, and behind it those of the files of a folder; of a database that of the cells."""
    if not is_url(place) and Path(place).is_file():
        return (hash_file(Path(place)),)
    if is_url(place):
        return (FileHash(name=name_of(place), sha256=hash_cells(data), n_bytes=0),)
    folder = Path(place)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    hashes = [hash_file(path, name=f"{folder.name}/{path.relative_to(folder).as_posix()}") for path in files]
    digest = hashlib.sha256("".join(f"{one.name.partition('/')[2]} {one.sha256}\n" for one in hashes).encode())
    whole = FileHash(name=folder.name, sha256=digest.hexdigest(), n_bytes=sum(one.n_bytes for one in hashes))
    return (whole, *hashes)


def hash_cells(data: Dataset) -> str:
    """SHA-256 of all cells and of which missing code each is, whatever the order of levels."""
    digest = hashlib.sha256()
    for table in data.schema.tables:
        own = data.tables[table.name]
        for name in table.names:
            digest.update(f"{table.name}\0{name}\0{len(own)}\0".encode())
            digest.update(np.ascontiguousarray(pd.util.hash_array(own.frame[name].to_numpy(dtype=_plain(own.frame[name])))).tobytes())
            digest.update(own.mark(name).tobytes())
    return digest.hexdigest()


def _plain(column: pd.Series) -> Any:
    return object if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
