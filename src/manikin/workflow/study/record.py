"""What studies share: the job that an interrupted run is known by, finished pieces on disk, and the papers of the folder."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset
from manikin.release.manifest import platform_words, versions
from manikin.workflow.linked_sizes import sizes
from manikin.workflow.output import read_json, write_json
from manikin.workflow.places import Place, hash_place, name_of
from manikin.workflow.record import cost_of
from manikin.workflow.sources import schema_hash
from manikin.workflow.stages import Stages
from manikin.workflow.threads import threads_in_use

PIECES = "trials"
FORMAT = "manikin-study 1"
INTERNAL = "Figures of real patients, small groups among them, without protection: keep this folder in the house."


@dataclass(frozen=True)
class Studied:
    """What a study wrote: its folder, its files by purpose, and the document of study.json."""

    out: Path
    files: dict[str, Path]
    document: dict[str, Any]

    @property
    def decided(self) -> tuple[str, ...]:
        """The sentences of the comparisons that came out one way or the other; of an augmentation study."""
        from manikin.evaluation.studies.summary import decided

        return decided(self.document["sentences"])


def job_of(study: str, data: Place, patients: Dataset, options: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that decides the pieces of a study; the same again goes on where it was interrupted, with more splits too."""
    from manikin import __version__

    return {
        "study": study,
        "version": __version__,
        "data": hash_place(data, patients)[0].sha256,
        "schema": schema_hash(patients.schema),
        "options": {name: value for name, value in options.items() if name not in ("splits", "repeats")},
    }


def piece(folder: Path, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A finished piece of a study from disk, or made now and kept there."""
    path = folder / PIECES / f"{name}.json"
    found = read_json(path)
    if isinstance(found, dict):
        return found
    made = make()
    path.parent.mkdir(exist_ok=True)
    write_json(path, made)
    return made


def file_name(text: str) -> str:
    """A file's name for a piece: the text itself where it is plain, otherwise with a hash in place of what is not.

    >>> file_name("with-forest")
    'with-forest'
    """
    plain = "".join(c if c.isalnum() or c in "-_." else "-" for c in text)
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def head_of(study: str, data: Place, patients: Dataset, options: Mapping[str, Any], stages: Stages) -> dict[str, Any]:
    """The first part of study.json: what was run on what, by which versions, at what cost."""
    cost = cost_of(stages)
    return {
        "format": FORMAT,
        "study": study,
        "made_by": f"manikin {versions(['manikin']).get('manikin', '')}",
        "internal": INTERNAL,
        "data": {
            "name": name_of(data),
            "sha256": hash_place(data, patients)[0].sha256,
            "rows": sum(sizes(patients).values()) if patients.is_linked else len(patients),
            "patients": patients.n_records,
            "unit": "patients" if patients.is_linked else "rows",
        },
        "options": dict(options),
        "notices": list(stages.notices),
        "versions": versions(),
        "platform": platform_words(),
        "threads": threads_in_use(),
        "cost": {"cpu_seconds": cost.cpu_seconds, "wall_seconds": cost.wall_seconds, "peak_memory_mb": cost.peak_memory_mb},
    }


def publish(partial: Path, document: Mapping[str, Any]) -> None:
    """Writes study.json and study.html; what was kept to go on with is removed."""
    from manikin.report.study import render_study

    write_json(partial / "study.json", document)
    render_study(document, partial / "study.html")
    shutil.rmtree(partial / PIECES, ignore_errors=True)
