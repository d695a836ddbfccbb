"""Croissant 1.1 metadata of a release (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html). Knows no policy and no real row.

Croissant has no term for a privacy budget or for what attackers found: these stand in a namespace of our own.
"""

from __future__ import annotations

from typing import Any, Final

from manikin.data.schema import Kind
from manikin.release.facts import LABEL, PublicColumn, PublicFacts
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
_TYPES = {Kind.BOOLEAN: "sc:Text", Kind.DATE: "sc:Text", Kind.DATETIME: "sc:Text"}


def croissant(facts: PublicFacts, data: FileHash) -> dict[str, Any]:
    """The JSON-LD document."""
    file_id = data.name
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
        "rai:personalSensitiveInformation": f"{LABEL} {facts.privacy}",
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
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file_id,
                "name": data.name,
                "contentUrl": data.name,
                "contentSize": f"{data.n_bytes} B",
                "encodingFormat": "application/x-parquet" if data.name.endswith(".parquet") else "text/csv",  # as Croissant spells them
                "sha256": data.sha256,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "description": "One synthetic row each.",
                "field": [_field(i, column, file_id) for i, column in enumerate(facts.columns)],
            }
        ],
    }


def _field(number: int, column: PublicColumn, file_id: str) -> dict[str, Any]:
    """A column; its address is a number, since names hold whatever people write."""
    unit = f", in {column.unit}" if column.unit else ""
    return {
        "@type": "cr:Field",
        "@id": f"rows/{number}",
        "name": column.name,
        "description": f"{column.kind}{unit}",
        "dataType": _data_type(column),
        "source": {"fileObject": {"@id": file_id}, "extract": {"column": column.name}},
    }


def _data_type(column: PublicColumn) -> str:
    if column.kind.is_number:
        return "sc:Integer" if column.is_whole else "sc:Float"
    return _TYPES.get(column.kind, "sc:Text")
