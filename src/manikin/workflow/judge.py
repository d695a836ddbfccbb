"""Judging synthetic tables, ours or anyone's: train, holdout and synthetic go in, results and a report come out. Knows no model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, ParameterError, parameter_error
from manikin.data.new_keys import released_schema
from manikin.data.schema import TableSchema, is_left_out
from manikin.evaluation.base import EvaluationData, Results
from manikin.evaluation.results_file import write_results
from manikin.io import tabular
from manikin.release.beside import columns_beside
from manikin.release.manifest import FileHash, Manifest, hash_file, hash_folder, platform_words, versions, write_manifest
from manikin.workflow import images, linked
from manikin.workflow.linked_sizes import parts_of_run
from manikin.workflow.linked_sources import are_linked, keep_copy, read_linked_alike, tell_absent
from manikin.workflow.output import check_free, whole_folder
from manikin.workflow.places import Place, hash_place, image_format, name_of, place_of, shown
from manikin.workflow.record import INTERNAL, cost_of
from manikin.workflow.sources import as_wished, read_alike, schema_hash, target_in
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.threads import threads_in_use
from manikin.workflow.verdicts import verdicts


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
    n_refits: int = 16,
    analyses: Sequence[str] = (),
    partial: bool = False,
    with_views: bool = True,
) -> Results:
    """Measures and attacks releases on the columns that all parts share and that generators learn.

    `refit` takes rows and a seed and gives the rows that the generator would make from them; attacks with shadow models ask it
    `n_refits` times.
    `analyses` are regressions as formulas; `partial` says that the release keeps some real cells. Without `with_views` a flat table's
    figures come without what plots are drawn from.

    Raises
    ------
    DataError : no column is shared, or a part is empty.
    ParameterError : an analysis does not follow its grammar, or names a column that the train table has not.
    """
    from manikin.evaluation.suite import evaluate

    told = watcher or Silent()
    if train.is_linked:
        return _measure_linked(
            train, holdout, synthetic, target, seed, told, metrics=metrics, attacks=attacks, refit=refit, n_refits=n_refits, partial=partial
        )
    schema = shared_columns(train, holdout, synthetic)
    aim = target if target in schema else None
    asked = checked_analyses(analyses, train.columns)
    data = EvaluationData(
        train, holdout, tuple(synthetic), schema, aim, refit, analyses=asked, partial=partial, n_refits=n_refits
    )
    return evaluate(
        data,
        seed=seed,
        metrics=metrics,
        attacks=attacks,
        progress=lambda name, done, n: told.advance(done / n, name),
        with_views=with_views,
    )


def _measure_linked(
    train: Dataset, holdout: Dataset, synthetic: Sequence[Dataset], target: str | None, seed: int, told: Watcher, **asked: Any
) -> Results:
    """Measures linked tables on the tables and columns that all parts share."""
    from manikin.evaluation.suite import evaluate

    parts = {"train": train, "holdout": holdout, **{f"synthetic {i + 1}": part for i, part in enumerate(synthetic)}}
    for what, part in parts.items():
        if not part.is_linked:
            raise DataError(f"The {what} part is one flat table and the train part is not. Bring linked tables for all parts.")
        if not len(part):
            raise DataError(f"The {what} part has no patients, so nothing can be measured. Bring tables with rows.")
    schema = linked.shared_schema(list(parts.values()))
    if not any(table.learned for table in schema.of_patients):
        raise DataError("The parts share no column of patients that can be measured. Check that they come from the same tables.")
    metrics, attacks = asked.pop("metrics"), asked.pop("attacks")
    data = EvaluationData(train, holdout, tuple(synthetic), schema, target, **asked)
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


def checked_analyses(analyses: Sequence[str], schema: TableSchema) -> tuple[str, ...]:
    """The formulas as texts, when all can be read; one text counts as one formula.

    Raises
    ------
    ParameterError : names the formula and what is wrong with it.
    """
    from manikin.evaluation.inference.formula import read_analyses

    asked = (analyses,) if isinstance(analyses, str) else tuple(analyses)
    read_analyses(asked, schema)
    return asked


def several_notice(n: int) -> str | None:
    """What a user must know who shows several synthetic tables of the same patients; None for one."""
    if n < 2:
        return None
    return (
        f"Attacks looked at the rows of all {n} synthetic tables together, as whoever receives them can; other figures are averaged over "
        "the tables. A release of one of them alone is attacked by an evaluation of its own."
    )


def judge(
    train: str | Path,
    holdout: str | Path,
    synthetic: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    schema: str | Path | None = None,
    target: str | None = None,
    time: str | None = None,
    event: str | None = None,
    analyses: Sequence[str] = (),
    partial: bool = False,
    seed: int = 0,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Judged:
    """Judges files, or linked tables, of any tool; writes results.json, report.html, schema.toml and manifest.json to the folder `out`.

    Copies of the synthetic files are kept beside them, so that what `manikin release` lets out is what was judged. No real row is.

    Without a schema it is inferred from the train file. The other files are read by it; columns that they lack are left out of the
    comparison with a notice. Several synthetic files are several tables made from the same train rows: figures are averaged over them,
    and the regressions `analyses` are combined by rule, that of Reiter 2003 where the tables are `partial`-ly synthetic.

    Raises
    ------
    InputError : a file, the schema, the target or an analysis cannot be used. Nothing is written.
    """
    from manikin.report.render import render
    from manikin.workflow.sources import write_schema

    folder = Path(out)
    made = _different([synthetic] if isinstance(synthetic, str | Path) else synthetic)
    paths = [place_of(train), place_of(holdout), *made]
    check_free(folder, force=force, inputs=paths)
    stages = Stages(watcher or Silent())
    parts = ("train", "holdout", *synthetic_parts(len(made)))
    with stages.stage("read", f"Reading the {len(paths)} tables"):
        has_images = image_format(paths[0]) is not None
        is_linked = not has_images and are_linked(dict(zip(parts, paths, strict=True)), schema)
        if has_images:
            check_asked_of_images(time=time, event=event, analyses=analyses)
        if is_linked and analyses:
            raise ParameterError(f"--analysis does not go with linked tables yet. {linked.FLAT_ONLY['analyses']}")
        reading = images.read_images_alike if has_images else read_linked_alike if is_linked else read_alike
        real, others = reading(paths[0], paths[1:], schema=schema)
        real = as_wished(real, target=target, time=time, event=event)
        for path, other in zip(paths[1:], others, strict=True):
            if is_linked:
                tell_absent(path, other, real.schema, stages)
            else:
                _tell_absent(Path(path), other, real.columns, stages)
        found = [hash_place(path, table)[0] for path, table in zip(paths, [real, *others], strict=True)]
        hashes = tuple(one.model_copy(update={"name": f"{part}: {one.name}"}) for part, one in zip(parts, found, strict=True))
        asked = () if is_linked or has_images else checked_analyses(analyses, real.columns)
        notice = several_notice(len(made))
        if notice:
            stages.note(notice)
    aim = images.label_of(real) if has_images else target_in(real)
    rows = {part: len(table) for part, table in zip(parts, [real, *others], strict=True)}
    n_columns = sum(len(table.columns) for table in (real.schema.of_patients if is_linked else real.schema.tables))
    run = {"rows": rows, "columns": n_columns, "seed": seed, "target": aim, "title": _title(made)}
    if has_images:
        run |= {"unit": "images"}
    if is_linked:
        run |= {"unit": "patients", "tables": parts_of_run(dict(zip(parts, [real, *others], strict=True)))}
    run |= {"analyses": list(asked), "partial": partial, "versions": versions(), "internal": INTERNAL}
    run["unjudged"] = _unjudged(real, others[0], others[1:])
    with whole_folder(folder, force=force) as beside:
        with stages.stage("evaluate", "Measuring"):
            results = measure(
                real, others[0], others[1:], target=aim, seed=seed, watcher=stages.watcher, analyses=asked, partial=partial
            )
        if len(made) == 1 and not partial:  # several tables at once, and partly real rows, are never released
            run["policies"] = verdicts(results, n_patients=rows["train"], modality=real.modality, beside=columns_beside(real.schema))
        results = replace(results, run={**dict(results.run), **run, "notices": list(stages.notices)})
        write_schema(real.schema, beside / "schema.toml")
        if is_linked or (has_images and not all(Path(path).is_file() for path in made)):
            judged = zip(made, parts[2:], hashes[2:], others[1:], strict=True)
            kept = [keep_copy(path, part, beside, sha256=known.sha256, data=table) for path, part, known, table in judged]
        else:
            kept = [_kept(part, Path(path), known, beside) for part, path, known in zip(parts[2:], made, hashes[2:], strict=True)]
        with stages.stage("report", "Writing the report"):
            write_results(results, beside / "results.json")
            render(results, beside / "report.html")
        options = {"target": target, "time": time, "event": event, "seed": seed, "analyses": list(asked), "partial": partial}
        write_manifest(_manifest(beside, real, options, hashes, rows, stages), beside / "manifest.json")
    files = {key: folder / name for key, name in {**_FILES, **dict(zip(parts[2:], kept, strict=True))}.items() if name}
    return Judged(folder, files, results, tuple(stages.notices))


def _manifest(
    folder: Path, real: Dataset, options: Mapping[str, Any], hashes: tuple[FileHash, ...], rows: dict[str, int], stages: Stages
) -> Manifest:
    """The manifest of a folder whose other files are written."""
    return Manifest(
        made_by=f"manikin {versions(['manikin']).get('manikin', '')}",
        command="evaluate",
        options=dict(options),
        seed=options["seed"],
        schema_sha256=schema_hash(real.schema),
        data_sha256=hashes[0].sha256,
        inputs=hashes,
        outputs=hash_folder(folder, leave_out=("job.json",)),
        rows=rows,
        versions=versions(),
        platform=platform_words(),
        threads=threads_in_use(),
        cost=cost_of(stages),
        notices=tuple(stages.notices),
    )


def check_asked_of_images(*, time: str | None, event: str | None, analyses: Sequence[str]) -> None:
    """Refuses what is asked of images and means nothing for them.

    Raises
    ------
    ParameterError : names the option and the way out.
    """
    for name, value in {"time": time, "event": event, "analyses": tuple(analyses)}.items():
        if value not in (None, ()):
            option = images.NAMES.get(name, f"--{name}")
            raise ParameterError(f"{option} does not go with images yet. {images.TABLES_ONLY[name]}")


def synthetic_parts(n: int) -> tuple[str, ...]:
    """What each of n synthetic tables is called: synthetic, synthetic-2, …"""
    return tuple("synthetic" if i == 0 else f"synthetic-{i + 1}" for i in range(n))


def _different(files: Sequence[str | Path]) -> list[Place]:
    """The synthetic files, at least one and none of them twice."""
    paths = [place_of(file) for file in files]
    if not paths:
        raise parameter_error("synthetic", "evaluate", "one file or several", 0)
    whole = [path.resolve() if isinstance(path, Path) else path for path in paths]
    twice = next((path for i, path in enumerate(paths) if whole[i] in whole[:i]), None)
    if twice is not None:
        raise ParameterError(f"The synthetic table {shown(twice)} is named twice. Several tables must be drawn independently.")
    return paths


def _title(made: Sequence[Place]) -> str:
    return name_of(made[0]) if len(made) == 1 else f"{name_of(made[0])} and {len(made) - 1} more"


_FILES = {"report": "report.html", "results": "results.json", "schema": "schema.toml", "manifest": "manifest.json"}


def _kept(part: str, source: Path, known: FileHash, folder: Path) -> str:
    """Copies a judged synthetic file into the folder; its name there."""
    copy = folder / f"{part}{_ending(source)}"
    shutil.copyfile(source, copy)
    if hash_file(copy).sha256 != known.sha256:
        raise DataError(f"{source} was changed while it was judged. Run the command again.")
    return copy.name


def _ending(path: Path) -> str:
    """The ending that says the format: ".csv", ".csv.gz", ".parquet" and so on."""
    endings = [suffix.lower() for suffix in path.suffixes[-2:]]
    return "".join(endings if endings[-1:] == [".gz"] else endings[-1:])


def _tell_absent(path: Path, data: Dataset, like: TableSchema, stages: Stages) -> None:
    absent = [column.name for column in like if column.name not in data.columns and not is_left_out(column)]
    if absent:
        stages.warn(f"{path.name} has no column {', '.join(map(repr, absent))}; left out of the comparison.")
    strangers = [column.name for column in data.columns if column.name not in like]
    if strangers:
        stages.warn(f"{path.name} has {', '.join(map(repr, strangers))}, which train lacks: searched for identifiers, else not judged.")


def _unjudged(real: Dataset, holdout: Dataset, made: Sequence[Dataset]) -> list[str]:
    """The columns that a release would hold and that no figure compares, since the holdout lacks them."""

    def places(data: Dataset) -> set[str]:
        """The columns by name; in linked tables behind that of their table."""
        if not data.is_linked:
            return set(data.columns.names)
        return {f"{table.name}.{name}" for table in data.schema.of_patients for name in table.names}

    leaving = set().union(*(places(one) for one in made)) - places(holdout)
    if not real.is_linked:
        return [column.name for column in real.columns if column.name in leaving and not is_left_out(column)]
    own = [f"{table.name}.{name}" for table in released_schema(real.schema).of_patients for name in table.names]
    return [name for name in own if name in leaving]


def write_table(data: Dataset, path: Path) -> None:
    """Writes a table inside a folder that is still under construction."""
    tabular.write(data, path)


__all__ = [
    "Judged",
    "checked_analyses",
    "judge",
    "measure",
    "several_notice",
    "shared_columns",
    "synthetic_parts",
    "write_table",
]
