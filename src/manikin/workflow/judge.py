"""Judging synthetic tables, ours or anyone's: train, holdout and synthetic go in, results and a report come out. Knows no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError
from manikin.data.schema import TableSchema, is_left_out
from manikin.evaluation.base import EvaluationData, Results
from manikin.evaluation.results_file import write_results
from manikin.io import tabular
from manikin.release.manifest import Manifest, hash_file, hash_folder, platform_words, versions, write_manifest
from manikin.workflow.output import check_free, whole_folder
from manikin.workflow.record import INTERNAL, cost_of
from manikin.workflow.sources import read_alike, schema_hash, target_of, with_target
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.threads import threads_in_use


@dataclass(frozen=True)
class Judged:
    """What an evaluation made: the folder, its files, the figures and what the user was told."""

    out: Path
    files: dict[str, Path]
    results: Results
    notices: tuple[str, ...]


def measure(
    train: Dataset,
    holdout: Dataset,
    synthetic: Sequence[Dataset],
    *,
    target: str | None,
    seed: int,
    watcher: Watcher | None = None,
    metrics: Sequence[str] | None = None,
    attacks: Sequence[str] | None = None,
    refit: Callable[[Dataset, int], Dataset] | None = None,
) -> Results:
    """Measures and attacks releases on the columns that all parts share and that generators learn.

    `refit` takes rows and a seed and gives the rows that the generator would make from them; attacks with shadow models need it.

    Raises
    ------
    DataError : no column is shared, or a part is empty.
    """
    from manikin.evaluation.suite import evaluate

    told = watcher or Silent()
    schema = shared_columns(train, holdout, synthetic)
    data = EvaluationData(train, holdout, tuple(synthetic), schema, target if target in schema else None, refit)
    return evaluate(data, seed=seed, metrics=metrics, attacks=attacks, progress=lambda name, done, n: told.advance(done / n, name))


def shared_columns(train: Dataset, holdout: Dataset, synthetic: Sequence[Dataset]) -> TableSchema:
    """The schema of the columns that every part has and that a release holds."""
    parts = [train, holdout, *synthetic]
    for what, part in zip(("train", "holdout", *["synthetic"] * len(synthetic)), parts, strict=True):
        if not len(part):
            raise DataError(f"The {what} table has no rows, so nothing can be measured. Bring a table with rows.")
    names = [c.name for c in train.columns if not is_left_out(c) and all(c.name in part.columns for part in parts)]
    if not names:
        raise DataError("The tables share no column that can be measured. Check that they come from one table.")
    return train.columns.only(names)


def judge(
    train: str | Path,
    holdout: str | Path,
    synthetic: str | Path,
    *,
    out: str | Path,
    schema: str | Path | None = None,
    target: str | None = None,
    seed: int = 0,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Judged:
    """Judges files made by any tool; writes results.json, report.html, schema.toml and manifest.json to the folder `out`.

    Without a schema it is inferred from the train file. The other files are read by it; columns that they lack are left out of the
    comparison with a notice.

    Raises
    ------
    InputError : a file, the schema or the target cannot be used. Nothing is written.
    """
    from manikin.report.render import render
    from manikin.workflow.sources import write_schema

    folder = Path(out)
    check_free(folder, force=force, inputs=[train, holdout, synthetic])
    stages = Stages(watcher or Silent())
    paths = [Path(train), Path(holdout), Path(synthetic)]
    with stages.stage("read", "Reading the three tables"):
        real, others = read_alike(paths[0], paths[1:], schema=schema)
        real = with_target(real, target)
        for path, other in zip(paths[1:], others, strict=True):
            _tell_absent(path, other, real.columns, stages)
        hashes = tuple(hash_file(path, name=f"{part}: {path.name}") for part, path in zip(_PARTS, paths, strict=True))
    aim = target or target_of(real.columns)
    with whole_folder(folder, force=force) as partial:
        with stages.stage("evaluate", "Measuring"):
            results = measure(real, others[0], [others[1]], target=aim, seed=seed, watcher=stages.watcher)
        rows = {part: len(table) for part, table in zip(_PARTS, [real, *others], strict=True)}
        run = {**dict(results.run), "rows": rows, "columns": len(real.columns.columns), "seed": seed, "target": aim}
        run |= {"title": paths[2].name, "notices": list(stages.notices), "versions": versions(), "internal": INTERNAL}
        results = replace(results, run=run)
        write_schema(real.schema, partial / "schema.toml")
        with stages.stage("report", "Writing the report"):
            write_results(results, partial / "results.json")
            render(results, partial / "report.html")
        manifest = Manifest(
            made_by=f"manikin {versions(['manikin']).get('manikin', '')}",
            command="evaluate",
            options={"target": target, "seed": seed},
            seed=seed,
            schema_sha256=schema_hash(real.schema),
            data_sha256=hashes[0].sha256,
            inputs=hashes,
            outputs=hash_folder(partial, leave_out=("job.json",)),
            rows=rows,
            versions=versions(),
            platform=platform_words(),
            threads=threads_in_use(),
            cost=cost_of(stages),
            notices=tuple(stages.notices),
        )
        write_manifest(manifest, partial / "manifest.json")
    files = {key: folder / name for key, name in _FILES.items()}
    return Judged(folder, files, results, tuple(stages.notices))


_PARTS = ("train", "holdout", "synthetic")
_FILES = {"report": "report.html", "results": "results.json", "schema": "schema.toml", "manifest": "manifest.json"}


def _tell_absent(path: Path, data: Dataset, like: TableSchema, stages: Stages) -> None:
    absent = [column.name for column in like if column.name not in data.columns and not is_left_out(column)]
    if absent:
        stages.warn(f"{path.name} has no column {', '.join(map(repr, absent))}; left out of the comparison.")
    strangers = [column.name for column in data.columns if column.name not in like]
    if strangers:
        stages.warn(f"{path.name} has {', '.join(map(repr, strangers))}, which train lacks: searched for identifiers, else not judged.")


def write_table(data: Dataset, path: Path) -> None:
    """Writes a table inside a folder that is still under construction."""
    tabular.write(data, path)


__all__ = ["Judged", "judge", "measure", "shared_columns", "write_table"]
