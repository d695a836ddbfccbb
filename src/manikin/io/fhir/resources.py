"""FHIR resources from files, one after the other: Bundles, bulk NDJSON, single resources, packed or not. Knows no columns.

Nothing in a file is executed; a file that is no JSON, too deep or too large is refused by name.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from manikin.data.errors import DataError

ENDINGS = (".json", ".ndjson", ".jsonl", ".json.gz", ".ndjson.gz", ".jsonl.gz")
LINES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
MAX_JSON_BYTES = 1 << 30  # of one Bundle or one line, unpacked
MAX_DEPTH = 60  # R4 resources nest some ten deep
BUNDLE, NDJSON, BUNDLES = "bundle", "ndjson", "bundles"


@dataclass(frozen=True)
class Found:
    """A resource and where it stands. `url` is the Bundle's fullUrl of it, empty without one."""

    resource: dict[str, Any]
    url: str
    file: Path
    place: str


def files_of(source: Path) -> list[Path]:
    """The files of a source that may hold FHIR, sorted by name."""
    if source.is_file():
        return [source]
    return sorted(p for p in source.iterdir() if p.is_file() and p.name.lower().endswith(ENDINGS) and not p.name.startswith("."))


def layout_of(source: Path) -> str:
    """How a source is laid out: one "bundle", a folder of "bundles", or "ndjson"."""
    files = files_of(source)
    if any(_is_lines(file) for file in files):
        return NDJSON
    return BUNDLE if source.is_file() or len(files) == 1 else BUNDLES


def resources(source: Path) -> Iterator[Found]:
    """All resources of a file or folder.

    Raises
    ------
    DataError : a file cannot be read, is no JSON, or is no FHIR; the message names file and line.
    """
    for file in files_of(source):
        yield from _of_lines(file) if _is_lines(file) else _of_document(file)


def starts_like_fhir(path: Path) -> bool:
    """Whether a file or folder looks like FHIR: its first JSON names a resource type near its start."""
    try:
        files = files_of(path) if path.exists() else []
        for file in files[:3]:
            if not file.name.lower().endswith(ENDINGS):
                continue
            with _opened(file) as stream:
                if b'"resourceType"' in stream.read(65_536):
                    return True
    except OSError:
        return False
    return False


def _is_lines(file: Path) -> bool:
    return file.name.lower().endswith(LINES)


def _opened(file: Path) -> Any:
    return gzip.open(file, "rb") if file.name.lower().endswith(".gz") else file.open("rb")


def _of_lines(file: Path) -> Iterator[Found]:
    try:
        with _opened(file) as stream:
            number = 0
            while True:
                line = stream.readline(MAX_JSON_BYTES + 1)
                number += 1
                if not line:
                    return
                if line.strip():
                    yield from _unfolded(_parsed(line, file, f"line {number}"), "", file, f"line {number}")
    except (OSError, EOFError) as error:
        raise DataError(f"{file} cannot be read ({type(error).__name__}). Check the file and whether it is whole.") from None


def _of_document(file: Path) -> Iterator[Found]:
    try:
        with _opened(file) as stream:
            content = stream.read(MAX_JSON_BYTES + 1)
    except (OSError, EOFError) as error:
        raise DataError(f"{file} cannot be read ({type(error).__name__}). Check the file and whether it is whole.") from None
    yield from _unfolded(_parsed(content, file, "the file"), "", file, "the resource")


def _parsed(content: bytes, file: Path, place: str) -> dict[str, Any]:
    if len(content) > MAX_JSON_BYTES:
        raise DataError(f"{file}, {place}, is above {MAX_JSON_BYTES >> 30} GiB. Export it as NDJSON, one resource a line.")
    try:
        found = json.loads(content, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise DataError(f"{file}, {place}, is not valid JSON. Export it again as FHIR R4 JSON.") from None
    if not isinstance(found, dict) or not isinstance(found.get("resourceType"), str):
        raise DataError(f"{file}, {place}, has no resourceType, so it is no FHIR resource. Take it out of the source.")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _unfolded(resource: dict[str, Any], url: str, file: Path, place: str) -> Iterator[Found]:
    """The resource, or those of a Bundle, however deeply Bundles are nested (up to a bound)."""
    waiting = [(resource, url, place, 0)]
    while waiting:
        one, one_url, one_place, depth = waiting.pop()
        if one["resourceType"] != "Bundle":
            yield Found(one, one_url, file, one_place)
            continue
        entries = one.get("entry", [])
        if not isinstance(entries, list) or depth > 3:
            raise DataError(f"{file}, {one_place}, is a Bundle whose entries are no list of resources. Export it again.")
        inner = []
        for number, entry in enumerate(entries, 1):
            held = entry.get("resource") if isinstance(entry, dict) else None
            if held is None:
                continue  # a link or an answer without a body
            if not isinstance(held, dict) or not isinstance(held.get("resourceType"), str):
                raise DataError(f"{file}, entry {number}, has no resourceType. Export the Bundle again as FHIR R4 JSON.")
            inner.append((held, str(entry.get("fullUrl") or ""), f"entry {number}", depth + 1))
        waiting.extend(reversed(inner))
