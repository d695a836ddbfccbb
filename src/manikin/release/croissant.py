"""Croissant 1.1 metadata of a release (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html). Knows no policy and no real row.

Croissant has no term for a privacy budget or for what attackers found: these stand in a namespace of our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from manikin.data.schema import Kind
from manikin.release.facts import PublicColumn, PublicFacts
from manikin.release.labels import SOURCE_TYPE, TERMS
from manikin.release.manifest import FileHash

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.1"
CONTEXT: Final[dict[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
    "manikin": TERMS,
}
FEW = 20  # files that are described one by one
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".csv.gz": "application/gzip",
    ".tsv": "text/tab-separated-values",
    ".tsv.gz": "application/gzip",
    ".parquet": "application/vnd.apache.parquet",
    ".pq": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".tiff": "image/tiff",
    ".npz": "application/zip",
    ".npy": "application/octet-stream",
    ".dcm": "application/dicom",
    ".nii": "application/octet-stream",
    ".nii.gz": "application/gzip",
    ".ndjson": "application/x-ndjson",
    ".json": "application/json",
    ".toml": "application/toml",
}
_TYPES = {Kind.BOOLEAN: "sc:Text", Kind.DATE: "sc:Text", Kind.DATETIME: "sc:Text"}


def croissant(facts: PublicFacts, data: Sequence[FileHash], columns: Mapping[str, Sequence[PublicColumn]]) -> dict[str, Any]:
    """The JSON-LD document.

    Parameters
    ----------
    data : the data files. columns : of those that hold a table its columns, by the file's name.
    """
    tables = [file for file in data if file.name in columns]
    others = [file for file in data if file.name not in columns]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": facts.title,
        "description": facts.summary,
        "version": "1.0.0",
        "datePublished": facts.issued.isoformat(),
        "license": facts.licence,
        "creator": {"@type": "Organization", "name": facts.answers.get("publisher", "Not stated")},
        "citeAs": f"{facts.answers.get('publisher', 'Unnamed publisher')} ({facts.issued.year}). {facts.title}. Synthetic data.",
        "rai:dataCollection": f"Synthetic: made by a generator ({facts.generator}), which learned from {facts.n_train} real {facts.unit}.",
        "rai:dataLimitations": " ".join([*(f"{label.capitalize()}." for label in facts.labels), "Not assessed:", *facts.not_assessed]),
        "rai:dataUseCases": facts.answers.get("intended_use", "Not stated."),
        "rai:personalSensitiveInformation": f"{facts.label} {facts.privacy}",
        "manikin:synthetic": True,
        "manikin:digitalSourceType": SOURCE_TYPE,
        "manikin:policy": facts.policy["label"],
        "manikin:statement": facts.statement,
        "manikin:expires": facts.expires.isoformat(),
        "manikin:recipients": facts.recipients,
        "manikin:privacyBudget": [{"manikin:parameter": key, "manikin:value": value} for key, value in facts.budget.items()],
        "manikin:attack": [
            {"manikin:check": check.name, "manikin:verdict": check.verdict, "manikin:limit": check.limit, "manikin:targets": check.targets}
            for check in facts.checks
            if check.targets
        ],
        "distribution": [*(_file_object(file) for file in tables), *_others(others)],
        "recordSet": [_record_set(file.name, columns[file.name], facts.noun, alone=len(tables) == 1) for file in tables],
    }


def _file_object(file: FileHash) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "contentUrl": file.name,
        "contentSize": f"{file.n_bytes} B",
        "encodingFormat": media_type(file.name, is_croissant=True),
        "sha256": file.sha256,
    }


def _others(files: Sequence[FileHash]) -> list[dict[str, Any]]:
    """Files that hold no table: each by itself where they are few, else those of a folder and an ending together."""
    if len(files) <= FEW:
        return [_file_object(file) for file in files]
    kinds: dict[tuple[str, str], int] = {}
    for file in files:
        path = PurePosixPath(file.name)
        key = path.parent.as_posix(), "".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:])
        kinds[key] = kinds.get(key, 0) + 1
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"{folder}/*{end}",
            "name": f"{n:,} files of {folder}",
            "encodingFormat": media_type(f"x{end}"),
            "includes": f"{folder}/*{end}",
        }
        for (folder, end), n in kinds.items()
    ]


def media_type(name: str, *, is_croissant: bool = False) -> str:
    """The media type of a data file by its ending; Croissant spells that of Parquet its own way."""
    end = next((end for end in MEDIA_TYPES if name.lower().endswith(end)), "")
    found = MEDIA_TYPES.get(end, "application/octet-stream")
    return "application/x-parquet" if is_croissant and end in (".parquet", ".pq") else found


def _record_set(file: str, columns: Sequence[PublicColumn], noun: str, *, alone: bool) -> dict[str, Any]:
    name = "rows" if alone and noun == "rows" else "labels" if noun == "images" else PurePosixPath(file).name.partition(".")[0]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": "The labels and the file of one synthetic image each." if noun == "images" else "One synthetic row each.",
        "field": [_field(name, i, column, file) for i, column in enumerate(columns)],
    }


def _field(record_set: str, number: int, column: PublicColumn, file_id: str) -> dict[str, Any]:
    """A column; its address is a number, since names hold whatever people write."""
    unit = f", in {column.unit}" if column.unit else ""
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{number}",
        "name": column.name,
        "description": f"{column.kind}{unit}",
        "dataType": _data_type(column),
        "source": {"fileObject": {"@id": file_id}, "extract": {"column": column.name}},
    }


def _data_type(column: PublicColumn) -> str:
    if column.kind.is_number:
        return "sc:Integer" if column.is_whole else "sc:Float"
    return _TYPES.get(column.kind, "sc:Text")
