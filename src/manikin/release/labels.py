"""The mark inside a data file that says it is synthetic: Parquet key-value metadata, a CSVW description beside a CSV, an image's header.

CSV has no place for metadata, so the W3C's CSV on the Web is used (https://www.w3.org/TR/tabular-data-primer/): a file
NAME-metadata.json beside NAME.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from manikin.data.errors import ParameterError
from manikin.data.schema import Kind
from manikin.io.images.marks import is_known, says_synthetic
from manikin.release.facts import PublicColumn, PublicFacts
from manikin.release.manifest import hash_file

TERMS: Final = "urn:manikin:terms:"
SYNTHETIC: Final = f"{TERMS}synthetic"
SHA256: Final = f"{TERMS}sha256"
ENDING: Final = "-metadata.json"
SOURCE_TYPE: Final = "https://schema.org/TrainedAlgorithmicMediaDigitalSource"
SYNTHETIC_TYPES = ("TrainedAlgorithmicMedia", "CompositeSynthetic", "AlgorithmicMedia", "trainedAlgorithmicMedia")
PARQUET = (".parquet", ".pq")
TABBED = (".tsv", ".tsv.gz")
DELIMITED = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")  # a .txt in a folder may be anything
FHIR = (".ndjson", ".json")
TEST_DATA = b'"HTEST"'  # FHIR's tag of test health data, which synthetic patients carry
RESOURCE = b'"resourceType"'
MAX_BYTES = 8 << 20
MAX_RESOURCE = 1 << 16
SHOWN = 12  # files that a sentence names
_DATATYPES = {Kind.BOOLEAN: "string", Kind.DATE: "string", Kind.DATETIME: "string"}


@dataclass(frozen=True)
class Marked:
    """Whether a file says that it is synthetic, and where it says so, or why it does not."""

    is_synthetic: bool
    where: str


def _yes(where: str) -> Marked:
    return Marked(is_synthetic=True, where=where)


def _no(why: str) -> Marked:
    return Marked(is_synthetic=False, where=why)


def csvw(facts: PublicFacts, file: str, sha256: str, columns: Sequence[PublicColumn] | None = None) -> dict[str, Any]:
    """The CSVW description of a released CSV file, with the mark; `columns` are those of the file, all of the release when None."""
    described = facts.columns if columns is None else columns
    return {
        "@context": ["http://www.w3.org/ns/csvw", {"@language": "en"}],
        "url": file,
        "dc:title": facts.title,
        "dc:description": facts.summary,
        "dc:issued": facts.issued.isoformat(),
        "dc:license": facts.licence,
        "schema:digitalSourceType": {"@id": SOURCE_TYPE},
        "schema:expires": facts.expires.isoformat(),
        SYNTHETIC: True,
        SHA256: sha256,
        "dialect": {"encoding": "utf-8", "delimiter": "\t" if file.lower().endswith(TABBED) else ",", "header": True},
        "tableSchema": {"columns": [_column(column) for column in described]},
    }


def _column(column: PublicColumn) -> dict[str, Any]:
    kind = _datatype(column)
    unit = {f"{TERMS}unit": column.unit} if column.unit else {}
    return {"titles": column.name, "datatype": kind, "required": False, f"{TERMS}kind": str(column.kind), **unit}


def _datatype(column: PublicColumn) -> str:
    if column.kind.is_number:
        return "integer" if column.is_whole else "number"
    return _DATATYPES.get(column.kind, "string")


def mark_parquet(path: Path, facts: PublicFacts) -> None:
    """Writes the mark into a Parquet file's own key-value metadata; its rows and row groups stay as they are."""
    import pyarrow.parquet as pq

    source = pq.ParquetFile(path)
    mark = {
        "synthetic": "true",
        "description": facts.summary,
        "title": facts.title,
        "digital_source_type": SOURCE_TYPE,
        "issued": facts.issued.isoformat(),
        "expires": facts.expires.isoformat(),
        "license": facts.licence,
    }
    metadata = {**(source.schema_arrow.metadata or {}), **{f"{TERMS}{key}": value for key, value in mark.items()}, "synthetic": "true"}
    beside = path.with_name(f".{path.name}.marked")
    try:
        with pq.ParquetWriter(beside, source.schema_arrow.with_metadata(metadata), compression="zstd") as writer:
            for i in range(source.num_row_groups):
                writer.write_table(source.read_row_group(i).replace_schema_metadata(metadata))
        source.close()
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read_mark(path: Path) -> Marked:
    """Whether a data file, or every data file of a release folder, says that it is synthetic.

    Raises
    ------
    ParameterError : no such file, or one that has no place known where it would say so.
    """
    if path.is_dir():
        return _folder_mark(path)
    if not path.is_file():
        raise ParameterError(f"There is no file {path}. Give a .csv or .parquet file, an image, or a release folder.")
    name = path.name.lower()
    if name.endswith(PARQUET):
        return _parquet_mark(path)
    if name.endswith(DELIMITED):
        return _csv_mark(path)
    if is_known(name):
        return _yes(f"the header of {path.name}") if says_synthetic(path) else _no(f"{path.name} does not say so in its header")
    if name.endswith(FHIR):
        return _fhir_mark(path)
    raise ParameterError(f"{path} is neither a table nor an image of a known format, so there is no place known where it would say so.")


def _folder_mark(folder: Path) -> Marked:
    names = [Path(place) / name for place, _, found in os.walk(folder) for name in found]
    files = sorted(path for path in names if _holds_data(path) and path.is_file())
    if not files:
        return _no(f"{folder.name} holds no data file")
    for file in files:
        found = read_mark(file)
        if not found.is_synthetic:
            return found
    shown = ", ".join(file.relative_to(folder).as_posix() for file in files[:SHOWN])
    return _yes(f"every data file of {folder.name}: {shown}{f' and {len(files) - SHOWN:,} more' if len(files) > SHOWN else ''}")


def _holds_data(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith((*PARQUET, *DELIMITED[:-1], ".ndjson")) or is_known(name) or (name.endswith(".json") and _is_resource(path))


def _is_resource(path: Path) -> bool:
    """Whether a JSON file holds FHIR resources, and no description of others."""
    try:
        with path.open("rb") as file:
            return RESOURCE in file.read(MAX_RESOURCE)
    except OSError:
        return False


def _parquet_mark(path: Path) -> Marked:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (pa.ArrowException, OSError, ValueError):
        raise ParameterError(f"{path} is not a Parquet file, or it is damaged.") from None
    if b"true" in (metadata.get(b"synthetic"), metadata.get(SYNTHETIC.encode())):
        return _yes(f"the key-value metadata of {path.name}")
    return _no(f"{path.name} has no key 'synthetic' in its key-value metadata")


def _csv_mark(path: Path) -> Marked:
    sidecar = path.with_name(path.name + ENDING)
    if not sidecar.is_file():
        return _no(f"{sidecar.name} is not beside {path.name}, and a CSV file itself has no place to say so")
    try:
        if sidecar.stat().st_size > MAX_BYTES:
            return _no(f"{sidecar.name} is far larger than a description")
        document = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return _no(f"{sidecar.name} cannot be read as JSON")
    if not isinstance(document, dict) or document.get("url") != path.name:
        return _no(f"{sidecar.name} describes another file")
    if document.get(SYNTHETIC) is not True and not _says_source(document):
        return _no(f"{sidecar.name} does not say so")
    digest = document.get(SHA256)
    if digest is not None and digest != hash_file(path).sha256:
        return _no(f"{sidecar.name} describes other bytes than those of {path.name}")
    return _yes(sidecar.name)


def _fhir_mark(path: Path) -> Marked:
    try:
        with path.open("rb") as file:
            first = file.read(MAX_RESOURCE)
    except OSError:
        return _no(f"{path.name} cannot be read")
    return _yes(f"the tag HTEST of {path.name}") if TEST_DATA in first else _no(f"the first resource of {path.name} has no tag HTEST")


def _says_source(document: dict[str, Any]) -> bool:
    found = document.get("schema:digitalSourceType")
    address = str(found.get("@id", "")) if isinstance(found, dict) else str(found or "")
    return address.rsplit("/", 1)[-1].startswith(SYNTHETIC_TYPES)
