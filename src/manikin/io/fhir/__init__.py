"""FHIR R4 in and out: Bundles and bulk NDJSON as linked tables, and back, tagged as test health data.

`read` takes a Bundle, a folder of Bundles (one a patient, say) or NDJSON files, and gives the tables Patient, Encounter, Condition,
Observation, Observation.component, MedicationRequest and Procedure, with Coding for what codes mean. `write` gives the same form back,
checked against R4; nothing is written where a resource would break it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, SchemaError
from manikin.data.schema import Schema
from manikin.io.fhir.building import sheets_of
from manikin.io.fhir.checks import problems_of
from manikin.io.fhir.lines import lines_of
from manikin.io.fhir.reading import dataset_of, gather
from manikin.io.fhir.resources import BUNDLE, BUNDLES, ENDINGS, NDJSON, files_of, layout_of, resources, starts_like_fhir

LAYOUTS = (BUNDLE, BUNDLES, NDJSON)
ONE_BUNDLE = "bundle.json"
BASE = "http://example.org/fhir"  # a Bundle's resources need an address; this domain is reserved for examples

__all__ = ["BUNDLE", "BUNDLES", "LAYOUTS", "NDJSON", "FhirWriter", "is_fhir", "layout_of", "problems_of", "read", "write"]


def is_fhir(source: str | Path) -> bool:
    """Whether a file or folder looks like FHIR JSON."""
    return starts_like_fhir(Path(source))


def read(source: str | Path, *, schema: Schema | None = None) -> Dataset:
    """The linked data set of a FHIR source.

    Parameters
    ----------
    source : a Bundle (.json), a folder of Bundles, an .ndjson file or a folder of them; .gz, too.
    schema : facts that a person corrected; it must name the tables and columns that the source has.

    Raises
    ------
    DataError : a file is no FHIR R4 JSON, or a row refers to no patient; the message names file, place and element.
    SchemaError : the schema is of other tables or columns.
    """
    source = Path(source)
    if not source.exists():
        raise DataError(f"There is no file or folder {source}. Check the path.")
    if not files_of(source):
        raise DataError(f"{source} holds no .json or .ndjson file. Name a folder with a FHIR export.")
    found = gather(resources(source))
    data = dataset_of(found, source)
    if found.others:
        words = ", ".join(f"{name} ({n:,})" for name, n in sorted(found.others.items()))
        first = replace(data.schema.tables[0], notes=(*data.schema.tables[0].notes, f"Passed over, since no table holds it: {words}."))
        data = Dataset(data.tables, Schema((first, *data.schema.tables[1:])), data.native)
    return data if schema is None else _by_schema(data, schema, source)


def _by_schema(data: Dataset, schema: Schema, source: Path) -> Dataset:
    """The data set under the schema of a person."""
    mine = {table.name: table.names for table in data.schema.tables}
    theirs = {table.name: table.names for table in schema.tables}
    if mine != theirs:
        odd = next(name for name in [*mine, *theirs] if mine.get(name) != theirs.get(name))
        raise SchemaError(f"The schema and {source} differ in table {odd!r} or its columns. Write the schema anew with `manikin inspect`.")
    return Dataset(data.tables, schema, data.native)


def write(data: Dataset, target: str | Path, *, like: str | Path | None = None, force: bool = False, is_test: bool = True) -> Path:
    """Writes linked tables as FHIR R4, whole or not at all.

    Parameters
    ----------
    target : a .json file for one Bundle, or a folder that gets it; a folder for Bundles of one patient each, or for NDJSON.
    like : "bundle", "bundles" or "ndjson", or the source whose layout is kept; by default a Bundle where the target ends in .json, else
        NDJSON.
    is_test : tags every resource as test health data (HTEST).

    Raises
    ------
    DataError : something is there already and `force` is not set, FHIR has no place for a table or column, or a resource breaks R4.
    """
    with FhirWriter(target, like=like, force=force, is_test=is_test) as writer:
        writer.append(data)
    return Path(target)


class FhirWriter:
    """Writes patients in pieces, in the memory of one piece (one Bundle needs that of the whole); what is written appears at the end.

    Examples
    --------
    >>> with FhirWriter("synthetic", like="ndjson") as writer:  # doctest: +SKIP
    ...     for part in model.sample_batches(1_000_000, seed=0):
    ...         writer.append(part)
    """

    def __init__(
        self,
        target: str | Path,
        schema: Schema | None = None,  # of what comes; resources need none
        *,
        like: str | Path | None = None,
        force: bool = False,
        is_test: bool = True,
    ) -> None:
        del schema
        self.target = Path(target)
        self.like = _layout(like) or (BUNDLE if self.target.name.lower().endswith(".json") else NDJSON)
        self.is_test = is_test
        self.problems: Counter[str] = Counter()
        if self.like not in LAYOUTS:
            raise DataError(f"{self.like!r} is no layout of FHIR. Use {', '.join(LAYOUTS)}.")
        if self.target.exists() and not force:
            raise DataError(f"{self.target} exists already. Choose another name, or overwrite it with --force.")
        if not self.target.parent.is_dir():
            raise DataError(f"There is no folder {self.target.parent}. Make it first, or choose another.")
        self._in_folder = not self.target.name.lower().endswith(".json")
        if self.like == BUNDLE and self.target.is_dir() and not self._in_folder:
            raise DataError(f"{self.target} is a folder, but one Bundle is a file. Name a file that ends in .json.")
        if self.target.is_dir() and any(not file.name.lower().endswith(ENDINGS) for file in self.target.iterdir()):
            raise DataError(f"{self.target} holds more than FHIR files, so it is not replaced. Choose another name.")
        self._beside = self.target.with_name(f".{self.target.name}.{secrets.token_hex(4)}.part")
        self._streams: dict[str, Any] = {}
        self._entries: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        if self.like != BUNDLE or self._in_folder:
            self._beside.mkdir()
        return self

    def append(self, data: Dataset) -> None:
        """Adds the resources of some patients.

        Raises
        ------
        DataError : a resource breaks R4; names the table, the row and the rule.
        """
        by_patient: dict[str, list[dict[str, Any]]] = {}
        for sheet in sheets_of(data, is_test=self.is_test):
            kind = sheet.resource.name
            if self.like == NDJSON:
                self._stream(kind).writelines(lines_of(sheet, self._note))
                continue
            for row in range(len(sheet)):
                resource = sheet.made(row)
                self._note(resource, row + 1, 1)
                if self.like == BUNDLE:
                    self._entries.append(resource)
                else:
                    owner = resource["id"] if kind == "Patient" else resource["subject"]["reference"].split("/", 1)[1]
                    by_patient.setdefault(owner, []).append(resource)
        for name, held in by_patient.items():
            (self._beside / f"{name}.json").write_text(_bundle(held), encoding="utf-8")

    def _note(self, resource: dict[str, Any], row: int, n_alike: int) -> None:
        """Refuses what breaks R4, and counts what merely should not be, in this row and those that are alike."""
        kind = resource["resourceType"]
        for problem in problems_of(resource):
            if not problem.endswith(("(con-3).", "(con-4).", "(con-5).", "(obs-6).", "(obs-7).", "(per-1).")):
                raise DataError(f"Row {row} of table {kind!r} cannot be written as FHIR R4: {problem}")
            self.problems[f"{kind}: {problem}"] += n_alike

    def _stream(self, kind: str) -> Any:
        if kind not in self._streams:
            self._streams[kind] = (self._beside / f"{kind}.ndjson").open("w", encoding="utf-8", newline="\n")
        return self._streams[kind]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for stream in self._streams.values():
            stream.close()
        try:
            if kind is None:
                if self.like == BUNDLE:
                    file = self._beside / ONE_BUNDLE if self._in_folder else self._beside
                    file.write_text(_bundle(self._entries), encoding="utf-8")
                if self.target.is_dir():
                    shutil.rmtree(self.target)
                os.replace(self._beside, self.target)
        finally:
            if self._beside.is_dir():
                shutil.rmtree(self._beside, ignore_errors=True)
            self._beside.unlink(missing_ok=True)


def _layout(like: str | Path | None) -> str | None:
    """The layout that is asked for by its name, by the ending of its files, or by a source that has it."""
    if like is None or like in LAYOUTS:
        return None if like is None else str(like)
    if str(like).startswith("."):
        return BUNDLES if str(like).lower().startswith(".json") and not str(like).lower().startswith(".jsonl") else NDJSON
    return layout_of(Path(like)) if Path(like).exists() else str(like)


def _bundle(held: list[dict[str, Any]]) -> str:
    entries = [{"fullUrl": f"{BASE}/{one['resourceType']}/{one['id']}", "resource": one} for one in held]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}, ensure_ascii=False, allow_nan=False, indent=1)
