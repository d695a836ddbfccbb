"""RO-Crate 1.2 metadata of a release (https://w3id.org/ro/crate/1.2): what each file is, who made it and with what. Knows no real row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from manikin.release.facts import PublicFacts
from manikin.release.labels import SOURCE_TYPE, TERMS
from manikin.release.manifest import FileHash

NAME: Final = "ro-crate-metadata.json"
SPECIFICATION: Final = "https://w3id.org/ro/crate/1.2"


def ro_crate(
    facts: PublicFacts,
    files: Sequence[FileHash],
    titles: Mapping[str, tuple[str, str]],
    unhashed: Sequence[str],
    folders: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The JSON-LD document.

    Parameters
    ----------
    files : the hashed files of the release that are described, those of the data first.
    titles : file name -> what it is, and its media type.
    unhashed : files that are written later and hold the hashes of others.
    folders : folders of many files (pictures), and what is in each.
    """
    parts = [_file(file.name, titles, {"sha256": file.sha256, "contentSize": str(file.n_bytes)}) for file in files]
    parts += [_file(name, titles, {}) for name in unhashed]
    parts += [{"@id": f"{name}/", "@type": "Dataset", "name": what} for name, what in (folders or {}).items()]
    publisher = facts.answers.get("publisher", "Not stated")
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": facts.title,
        "description": facts.summary,
        "datePublished": facts.issued.isoformat(),
        "expires": facts.expires.isoformat(),
        "license": {"@id": "#licence"},
        "publisher": {"@id": "#publisher"},
        "hasPart": [{"@id": part["@id"]} for part in parts],
        "mentions": [{"@id": "#made"}],
        "synthetic": True,
        "digitalSourceType": SOURCE_TYPE,
        "policy": facts.policy["label"],
        "privacyBudget": [f"{key} {value:g}" for key, value in facts.budget.items()],
        "attack": [f"{check.title}: {check.verdict}, {check.limit}, {check.targets}" for check in facts.checks if check.targets],
    }
    descriptor = {"@id": NAME, "@type": "CreativeWork", "conformsTo": {"@id": SPECIFICATION}, "about": {"@id": "./"}}
    made = {
        "@id": "#made",
        "@type": "CreateAction",
        "name": f"The synthetic {facts.noun} were made and judged",
        "instrument": {"@id": "#generator"},
        "result": [{"@id": f"{name}/"} for name in folders] if folders else {"@id": files[0].name},
        "endTime": facts.issued.isoformat(),
        "description": facts.privacy,
    }
    about = [
        {"@id": "#generator", "@type": "SoftwareApplication", "name": facts.generator},
        {"@id": "#publisher", "@type": "Organization", "name": publisher},
        {"@id": "#licence", "@type": "CreativeWork", "name": facts.licence, "description": facts.licence},
    ]
    terms = {name: f"{TERMS}{name}" for name in ("synthetic", "policy", "privacyBudget", "attack", "digitalSourceType")}
    return {"@context": [f"{SPECIFICATION}/context", terms], "@graph": [descriptor, root, *parts, made, *about]}


def _file(name: str, titles: Mapping[str, tuple[str, str]], facts: Mapping[str, str]) -> dict[str, Any]:
    title, media_type = titles[name]
    return {"@id": name, "@type": "File", "name": title, "encodingFormat": media_type, **facts}
