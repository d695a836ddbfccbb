"""What a run says of itself, read into one value: every key is optional, and what is not there is not shown. Knows no page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PARTS = ("train", "holdout", "synthetic")


@dataclass(frozen=True)
class Record:
    """How a release was made.

    Attributes
    ----------
    rows : rows by part ("train", "holdout", "synthetic"), as far as known.
    left_out : (column, reason) of columns that the release does not have.
    candidates : what `auto` tried, one mapping each; `reasons` say why it chose.
    training : steps, why it stopped, curve ([step, training loss, validation loss], losses may be None), warnings.
    cpu_seconds : by stage.
    """

    title: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    n_columns: int | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    notices: tuple[str, ...] = ()
    synthesizer: str = ""
    asked: str = ""
    reasons: tuple[str, ...] = ()
    candidates: tuple[Mapping[str, Any], ...] = ()
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[tuple[str, Any], ...] = ()
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    energy_watt_hours: float | None = None
    energy_assumption: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    files: tuple[tuple[str, str], ...] = ()


def read_record(run: Mapping[str, Any]) -> Record:
    """The record of `Results.run`; keys that are absent or of another type count as not told."""
    counted = _mapping(run.get("rows")) or {part: run.get(f"rows_{part}") for part in PARTS}
    columns = run.get("columns")
    n_columns = len(columns) if isinstance(columns, list | tuple | dict) else columns
    auto = run.get("auto")
    tried = auto.get("candidates") if isinstance(auto, Mapping) else auto
    energy = _mapping(run.get("energy"))
    watt_hours = run.get("energy_watt_hours", None if energy.get("kwh") is None else 1000 * energy["kwh"])
    told = (("seed", "Seed"), ("target", "Target"), ("threads", "Threads"), ("created", "Made on"), ("command", "Command"))
    return Record(
        title=str(run.get("title") or run.get("name") or ""),
        rows={part: int(counted[part]) for part in PARTS if isinstance(counted.get(part), int)},
        n_columns=n_columns if isinstance(n_columns, int) else None,
        left_out=tuple(_left_out(entry) for entry in run.get("left_out") or ()),
        notices=tuple(str(notice) for notice in run.get("notices") or ()),
        synthesizer=str(run.get("synthesizer") or ""),
        asked=str(run.get("asked") or ""),
        reasons=tuple(str(reason) for reason in run.get("reasons") or _mapping(auto).get("reasons") or ()),
        candidates=tuple(row for row in tried or () if isinstance(row, Mapping)),
        hyperparameters=_mapping(run.get("hyperparameters") or run.get("parameters")),
        training=_mapping(run.get("training")),
        facts=tuple((title, run[key]) for key, title in told if run.get(key) not in (None, "")),
        cpu_seconds={str(k): float(v) for k, v in _mapping(run.get("cpu_seconds")).items() if isinstance(v, int | float)},
        energy_watt_hours=float(watt_hours) if isinstance(watt_hours, int | float) else None,
        energy_assumption=str(run.get("energy_assumption") or energy.get("assumption") or ""),
        versions={str(k): str(v) for k, v in _mapping(run.get("versions")).items()},
        files=_files(run.get("files")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _left_out(entry: Any) -> tuple[str, str]:
    return (str(entry.get("column", "")), str(entry.get("reason", ""))) if isinstance(entry, Mapping) else (str(entry), "")


def _files(value: Any) -> tuple[tuple[str, str], ...]:
    """Names with what they hold; the run's own list gives names only."""
    if isinstance(value, Mapping):
        return tuple((str(name), str(what)) for name, what in value.items())
    return tuple((str(name), _FILES.get(str(name).partition(".")[0], "")) for name in value or ())


_FILES = {
    "synthetic": "the synthetic rows",
    "schema": "what is known of every column, and the rules",
    "model": "the fitted generator",
    "results": "every figure of this page, for machines",
    "report": "this page",
    "manifest": "hashes, versions, seeds: what is needed to make it again",
    "ledger": "privacy budget spent",
}
