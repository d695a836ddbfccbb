"""The papers of a run folder: schema.toml, results.json, report.html and manifest.json. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from manikin.data.schema import Column, Kind, Role, Schema, TableSchema
from manikin.evaluation.base import Results
from manikin.evaluation.results_file import write_results
from manikin.io.schema_file import write_schema
from manikin.privacy.ledger import Ledger
from manikin.release.beside import columns_beside
from manikin.release.energy import estimate_energy
from manikin.release.manifest import (
    Choice,
    Cost,
    FileHash,
    Manifest,
    StageCost,
    hash_folder,
    platform_words,
    versions,
    write_manifest,
)
from manikin.workflow import linked
from manikin.workflow.claim import claimed, told
from manikin.workflow.film import FILM, write_film
from manikin.workflow.options import Options
from manikin.workflow.sources import schema_hash
from manikin.workflow.stages import Stages, peak_memory_mb
from manikin.workflow.threads import threads_in_use
from manikin.workflow.verdicts import verdicts

INTERNAL = "This folder is internal: the report, the results and the model show or were made from real patients. Do not publish it."


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a run made and from what, before it is written down.

    Attributes
    ----------
    schema : what is written as schema.toml: what was read, under a ledger what was bought. read : what was read.
    ledger : of the privacy budget, where there is one.
    tables : of linked tables the rows of each by part; `rows` counts patients then. unit : what `rows` counts.
    """

    schema: Schema
    options: Options
    choice: Choice
    rows: dict[str, int]
    results: Results
    read: Schema | None = None
    ledger: Ledger | None = None
    inputs: tuple[FileHash, ...] = ()
    command: str = "synthesize"
    replay: bool = False
    tables: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unit: str = "rows"


def write_record(folder: Path, made: Made, stages: Stages) -> Results:
    """Writes schema.toml, results.json, report.html and, last, manifest.json with the hashes of all files; the results with their run."""
    from manikin.report.render import render

    write_schema(made.schema, folder / "schema.toml")
    write_film(made.choice.training, folder / FILM)
    with stages.stage("report", "Writing the report"):
        results = replace(made.results, run=_run(folder, made, stages))
        write_results(results, folder / "results.json")
        render(results, folder / "report.html")
    write_manifest(manifest_of(folder, made, stages), folder / "manifest.json")
    return results


def manifest_of(folder: Path, made: Made, stages: Stages) -> Manifest:
    """The manifest of a folder whose other files are written."""
    training = made.choice.training
    return Manifest(
        made_by=f"manikin {versions(['manikin']).get('manikin', '')}",
        command=made.command,
        options=made.options.to_json(),
        seed=made.options.seed,
        schema_sha256=schema_hash(made.read or made.schema),
        data_sha256=made.inputs[0].sha256 if made.inputs else "",
        inputs=made.inputs,
        outputs=hash_folder(folder, leave_out=("manifest.json", "job.json")),
        synthesizer=made.choice,
        rows=made.rows,
        versions=versions(),
        platform=platform_words(),
        threads=threads_in_use(),
        cost=cost_of(stages, gpu_seconds=training.get("seconds", 0.0) if training.get("device") == "cuda" else 0.0),
        notices=tuple(stages.notices),
    )


def left_out(schema: TableSchema) -> list[tuple[Column, str]]:
    """The columns that a release does not have, or has anew, with the reason."""
    reasons = []
    for column in schema:
        if column.has_role(Role.PATIENT_KEY):
            reasons.append((column, "patient key, made anew"))
        elif column.has_role(Role.DIRECT_IDENTIFIER):
            reasons.append((column, "direct identifier"))
        elif column.kind is Kind.TEXT:
            reasons.append((column, "free text"))
        elif column.kind is Kind.IDENTIFIER:
            reasons.append((column, "identifier, made anew"))
    return reasons


def cost_of(stages: Stages, *, gpu_seconds: float = 0.0) -> Cost:
    """What the stages so far cost together, with the estimate of their energy."""
    cpu = sum(spent.cpu_seconds for spent in stages.spent)
    wall = sum(spent.wall_seconds for spent in stages.spent)
    memory = peak_memory_mb()
    energy = estimate_energy(cpu_seconds=cpu, wall_seconds=wall, memory_gb=(memory or 0.0) / 1000, gpu_seconds=gpu_seconds)
    return Cost(
        cpu_seconds=round(cpu, 3),
        wall_seconds=round(wall, 3),
        gpu_seconds=gpu_seconds,
        peak_memory_mb=memory,
        energy_watt_hours=energy.watt_hours,
        energy_assumption=energy.assumption,
        stages=tuple(StageCost(stage=s.stage, cpu_seconds=s.cpu_seconds, wall_seconds=s.wall_seconds) for s in stages.spent),
    )


def _policies(made: Made) -> list[dict[str, Any]]:
    """What the built-in policies say of it; nothing of several tables at once, or of a generator whose rows are never released."""
    from manikin.synthesizers import SYNTHESIZERS

    name = made.choice.name
    is_released = name not in SYNTHESIZERS or SYNTHESIZERS[name].releasable
    if sum(part.startswith("synthetic") for part in made.rows) != 1 or not is_released:
        return []
    modality, beside = made.schema.modality, columns_beside(made.schema)
    if made.ledger is None:
        return verdicts(made.results, n_patients=made.rows.get("train", 0), modality=modality, beside=beside)
    claim = claimed(made.ledger)
    return verdicts(made.results, n_patients=claim.n_patients, modality=modality, beside=beside, epsilon=claim.epsilon, delta=claim.delta)


def _run(folder: Path, made: Made, stages: Stages) -> dict[str, Any]:
    """How the release was made, for results.json and the report's last section."""
    cost, read = cost_of(stages), made.read or made.schema
    return {
        **dict(made.results.run),
        "title": made.inputs[0].name if made.inputs else "",
        "rows": made.rows,
        "columns": sum(len(table.columns) for table in (read.of_patients if read.is_linked else read.tables)),
        "left_out": [{"column": name, "reason": reason} for name, reason in _left_out_names(read)],
        "synthesizer": made.choice.name,
        "asked": made.choice.asked,
        "reasons": list(made.choice.reasons),
        "hyperparameters": made.choice.hyperparameters,
        "training": made.choice.training,
        "seed": made.options.seed,
        "target": made.options.target,
        "seconds": {spent.stage: spent.wall_seconds for spent in stages.spent},
        "cpu_seconds": {spent.stage: spent.cpu_seconds for spent in stages.spent},
        "energy_watt_hours": cost.energy_watt_hours,
        "energy_assumption": cost.energy_assumption,
        "threads": threads_in_use(),
        "versions": versions(),
        "notices": list(stages.notices),
        "policies": _policies(made),
        **({} if made.ledger is None else {"privacy_budget": told(made.ledger)}),
        "files": sorted(path.name for path in folder.iterdir() if path.name != "job.json"),
        "internal": INTERNAL,
        **({"unit": made.unit} if made.unit == "images" else {}),
        **({"unit": "patients", "tables": {name: dict(n) for name, n in made.tables.items()}} if made.tables else {}),
    }


def _left_out_names(schema: Schema) -> list[tuple[str, str]]:
    return linked.left_out(schema) if schema.is_linked else [(column.name, reason) for column, reason in left_out(schema.only)]
