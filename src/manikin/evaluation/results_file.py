"""results.json: everything measured of one release, in a documented and versioned form (docs/results-schema.md). Knows no metric."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from manikin.data.errors import DataError
from manikin.evaluation.base import AttackResult, MetricResult, Results
from manikin.evaluation.definition import clean

F = TypeVar("F", MetricResult, AttackResult)
FORMAT = "manikin-results"
VERSION = 2
NOTICE = (
    "Internal: this file holds figures and points of real rows. What may leave is the folder that `manikin release` writes."
)


def write_results(results: Results, path: str | Path) -> Path:
    """Writes results.json, beside its place first and renamed then, so that no half file is ever left.

    Returns
    -------
    Path : where it was written.
    """
    target = Path(path)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "notice": NOTICE,
        "metrics": [clean(asdict(metric)) for metric in results.metrics],
        "attacks": [clean(asdict(attack)) for attack in results.attacks],
        "views": clean(results.views),
        "run": clean(results.run),
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
    partial = target.with_name(f".{target.name}.partial")
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, target)
    return target


def read_results(path: str | Path) -> Results:
    """Reads what `write_results` wrote.

    Raises
    ------
    DataError : no such file, not a results file of Manikin, one of a later version, or a damaged one; the message names the place.
    """
    source = Path(path)
    document = _document(source)
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError(f"{source} does not say which version of the results format it has. Evaluate the release again.")
    if version > VERSION:
        raise DataError(
            f"{source} has version {version} of the results format, and this Manikin reads up to {VERSION}. "
            "Install a newer Manikin, or evaluate the release again with this one."
        )
    document.setdefault("attacks", [])  # version 1 had none
    for key, kind in (("metrics", list), ("attacks", list), ("views", Mapping), ("run", Mapping)):
        if not isinstance(document.get(key), kind):
            raise DataError(
                f"{source} is damaged: its part {key!r} is missing or has the wrong form. Evaluate the release again."
            )
    metrics = tuple(_figure(MetricResult, entry, i, source) for i, entry in enumerate(document["metrics"]))
    attacks = tuple(_figure(AttackResult, entry, i, source) for i, entry in enumerate(document["attacks"]))
    names = [figure.name for figure in (*metrics, *attacks)]
    if len(set(names)) < len(names):
        raise DataError(f"{source} is damaged: it holds a metric twice. Evaluate the release again.")
    return Results(metrics, document["views"], document["run"], attacks)


def _document(source: Path) -> dict[str, Any]:
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"There is no file {source}. Give the results.json of a run folder.") from None
    except (OSError, UnicodeDecodeError):
        raise DataError(f"{source} cannot be read as text. Give the results.json of a run folder.") from None
    try:
        document = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise DataError(f"{source} is not JSON (line {error.lineno}). Give the results.json of a run folder.") from None
    except (ValueError, RecursionError):  # NaN, a number of thousands of digits, a list of thousands of lists
        raise DataError(f"{source} is damaged: JSON of Manikin does not look like that. Evaluate the release again.") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f"{source} is not a results file of Manikin. Give the results.json of a run folder.")
    return document


def _no_number(_text: str) -> float:
    raise ValueError("NaN and infinity are no numbers of JSON")


def _figure(kind: type[F], entry: Any, position: int, source: Path) -> F:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(entry)
    except ValidationError as error:
        what = "metric" if kind is MetricResult else "attack"
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the entry itself"
        raise DataError(f"{source} is damaged: {what} {position + 1}, {where}. Evaluate the release again.") from None
