"""The registry of formats in which hospitals exchange linked records: how each is recognised, read and written. Imports none until asked.

A format is a line here and a module with `recognises(source)`, `read(source, *, schema=None)` and
`write(data, target, *, like=None, force=False)`; all of them are whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError
from manikin.data.schema import Schema


@dataclass(frozen=True)
class Format:
    """A line of the registry: the module, one sentence, and the extra that it needs."""

    path: str
    summary: str
    extra: str | None = None
    recognises: str = "recognises"  # the module's function that knows a source
    layout_of: str | None = None  # the module's function that turns a source into what its `write` takes for `like`; the source itself

    writer: str = ""  # "package.module:Name" of a writer in pieces, where there is one

    @property
    def module(self) -> Any:
        """The module, imported."""
        return import_module(self.path)


FORMATS: Mapping[str, Format] = {
    "sql": Format(
        "manikin.io.sql",
        "a database by its URL (PostgreSQL, SQLite, any that SQLAlchemy knows), read, and written where it is empty",
        "records",
        writer="manikin.io.sql:SqlWriter",
    ),
    "omop": Format(
        "manikin.io.omop",
        "a folder of OMOP CDM 5.4 tables, CSV or Parquet, read and written; concepts stay codes",
        writer="manikin.io.omop:OmopWriter",
    ),
    "fhir": Format(
        "manikin.io.fhir",
        "FHIR R4 Bundles or bulk NDJSON, read and written, checked and tagged as test data",
        recognises="is_fhir",
        layout_of="layout_of",
        writer="manikin.io.fhir:FhirWriter",
    ),
    "meds": Format(
        "manikin.io.meds",
        "MEDS 0.4: a folder of shards or one Parquet file of events, read and written in its order and types",
        writer="manikin.io.meds:MedsWriter",
    ),
}


def format_of(source: object) -> str | None:
    """The name of the format that a path or URL is in; None where no line of the registry knows it."""
    if not isinstance(source, str | os.PathLike):
        return None
    return next((name for name, known in FORMATS.items() if getattr(known.module, known.recognises)(source)), None)


def read(source: str | os.PathLike[str], *, schema: Schema | None = None, name: str | None = None) -> Dataset:
    """The data set of a source in one of the formats, found by looking at it unless its `name` is given.

    Raises
    ------
    DataError : no format knows the source, or it cannot be read.
    """
    found = name or format_of(source)
    if found not in FORMATS:
        raise DataError(f"{Path(source).name} is in no format that is known here: {', '.join(FORMATS)}. Check the path.")
    data: Dataset = FORMATS[str(found)].module.read(source, schema=schema)
    return data


def write(
    data: Dataset,
    target: str | os.PathLike[str],
    *,
    name: str,
    like: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Any:
    """Writes a data set in the format of this name, like a source of it where one is given; whole or not at all.

    Raises
    ------
    DataError : there is no such format, the target is taken, or the data do not fit the format.
    """
    if name not in FORMATS:
        raise DataError(f"There is no format {name!r}. Choose one of {', '.join(FORMATS)}.")
    known = FORMATS[name]
    if like is not None and known.layout_of is not None and Path(like).exists():
        like = getattr(known.module, known.layout_of)(Path(like))
    return known.module.write(data, target, like=like, force=force)
