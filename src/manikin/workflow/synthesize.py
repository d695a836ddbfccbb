"""The main job: patients go in, synthetic ones come out with the evidence: a table, linked tables, images. Knows no model and no format.

The model sees the train part only; the holdout is kept for judging. What is written appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset, held_out_by_itself, split
from manikin.data.schema import Schema
from manikin.data.seeds import derive
from manikin.evaluation.base import Results
from manikin.privacy.ledger import Ledger
from manikin.release.facts import LEDGER
from manikin.release.manifest import Choice, FileHash, hash_file
from manikin.workflow import auto, images, judge
from manikin.workflow.budget import check_budget, seal_model, spending
from manikin.workflow.decide import STATE, Decision, decide, learn, remember_fitted
from manikin.workflow.dp_audit import with_audit
from manikin.workflow.learn import check_modality
from manikin.workflow.linked import check_options, check_private, n_learned
from manikin.workflow.linked_notices import tell_linked
from manikin.workflow.linked_sizes import parts_of_run
from manikin.workflow.options import Options, check_format
from manikin.workflow.output import CHECKPOINT, check_free, clear, is_resumable, whole_folder
from manikin.workflow.places import (
    Place,
    Storage,
    hash_place,
    image_format,
    keep_storage,
    linked_format,
    name_in,
    name_of,
    place_of,
    stored_as,
    write_linked,
)
from manikin.workflow.record import Made, left_out, write_record
from manikin.workflow.replay import Replay, read_replay
from manikin.workflow.shadow import shadow_generators
from manikin.workflow.sources import (
    SUFFIX,
    as_wished,
    compared,
    empty_notice,
    fallback_notice,
    read,
    read_each_by_itself,
    read_schema,
    schema_hash,
    target_in,
    unreadable_notices,
)
from manikin.workflow.stages import Silent, Stages, Watcher

SAMPLE_BATCH = 65_536
LINKED_BATCH = 256  # patients, each with all her rows
IMAGE_BATCH = 256
BATCHES = {"rows": SAMPLE_BATCH, "patients": LINKED_BATCH, "images": IMAGE_BATCH}
UNITS = {"table": "rows", "records": "patients", "images": "images"}


@dataclass(frozen=True)
class Outcome:
    """What a run made: the folder, its files by purpose, the generator, the figures, and what the user was told.

    `rows` counts rows of a flat table, patients of linked tables, images: its `unit`; `tables` has the rows of each linked table by part.
    """

    out: Path
    files: dict[str, Path]
    choice: Choice
    rows: dict[str, int]
    results: Results
    notices: tuple[str, ...]
    tables: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    unit: str = "rows"


def synthesize(
    data: str | Path,
    *,
    out: str | Path,
    schema: Schema | str | Path | None = None,
    options: Options | None = None,
    replay: str | Path | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Outcome:
    """Reads, splits by patient, learns, samples, judges and reports; writes the run folder `out`.

    Parameters
    ----------
    data : a CSV or Parquet file; of linked tables a folder, a bundle, or the URL of a database; of images a folder or an .npz file.
    schema : a schema or the path of a schema.toml; inferred from the data when None.
    options : what to make and how; the defaults when None.
    replay : a manifest.json whose run is to be made again, byte for byte; its options take the place of `options`.
    force : replaces a run folder that stands at `out`.

    Raises
    ------
    InputError : the data, the schema or an option cannot be used. Nothing is written.
    JobError : the generator could not learn. Nothing is written.

    Notes
    -----
    After an interruption OUT.partial stays; the same call again goes on from there and gives the same result.
    """
    folder, source = Path(out), place_of(data)
    wishes = options or Options()
    again = read_replay(Path(replay), wishes) if replay is not None else None
    wishes = again.options if again else wishes
    wishes.check()
    if image_format(source) is not None:
        images.check_options(wishes)
    if wishes.epsilon is not None:
        check_private(source)
    check_budget(wishes, has_schema=schema is not None or again is not None)
    check_free(folder, force=force, inputs=[source])
    stages = Stages(watcher or Silent())
    known = read_schema(schema) if isinstance(schema, str | Path) else schema
    known = known or (again.schema if again else None)
    with stages.stage("read", f"Reading {name_of(source)}"):
        is_file = Path(source).is_file() and linked_format(source) is None
        hashes: tuple[FileHash, ...] = (hash_file(Path(source)),) if again and is_file else ()
        if again and hashes:
            again.check_data(hashes[0].sha256)
        patients = read(source, schema=known)
        if patients.is_linked:
            check_options(wishes)
        check_format(wishes.format, patients.modality)
        check_modality(wishes.synthesizer, patients, name_of(source))
        patients = as_wished(patients, **wishes.of_columns)
        if patients.modality == "images":
            patients = images.prepared(patients, wishes, stages)
        elif not patients.is_linked:
            judge.checked_analyses(wishes.analyses, patients.columns)
        hashes = hashes or hash_place(source, patients)
    if again:
        again.check_data(hashes[0].sha256)
        again.check_schema(schema_hash(patients.schema), stages)
    job = _job(hashes[0].sha256, patients, wishes, again)
    if is_resumable(folder, job):
        stages.note(f"An interrupted run of this job was found beside {folder.name}; going on from there.")
    with whole_folder(folder, force=force, job=job) as partial:
        made = _make(partial, source, patients, wishes, again, stages)
        made = replace(made, inputs=hashes, command="synthesize", replay=again is not None)
        names = _tables(wishes, _storage(source, patients, wishes))
        clear(partial, keep=("model", LEDGER, *names.values()))
        results = write_record(partial, made, stages)
    files = {key: folder / name for key, name in _files(wishes, names).items()}
    return Outcome(folder, files, made.choice, made.rows, results, tuple(stages.notices), made.tables, UNITS[patients.modality])


def _storage(source: Place, patients: Dataset, options: Options) -> Storage | None:
    """How what is made is stored; None for a file of one table."""
    return None if patients.modality == "table" else stored_as(source, options.format)


def _tables(options: Options, storage: Storage | None) -> dict[str, str]:
    """The files of the synthetic tables: synthetic.csv, synthetic-2.csv, …; folders for linked ones and for images."""
    parts = judge.synthetic_parts(options.sets)
    return {part: part + SUFFIX[options.format or "csv"] if storage is None else name_in(storage, part) for part in parts}


def _files(options: Options, tables: dict[str, str]) -> dict[str, str]:
    return {
        **tables,
        "report": "report.html",
        "results": "results.json",
        "schema": "schema.toml",
        "model": "model",
        "manifest": "manifest.json",
        **({} if options.epsilon is None else {"ledger": LEDGER}),
    }


def _job(data_hash: str, patients: Dataset, options: Options, again: Replay | None) -> dict[str, Any]:
    """What decides the result; an interrupted run is resumed only when all of it agrees."""
    from manikin import __version__

    decided = again.decision.choice.model_dump(mode="json") if again else None
    return {
        "version": __version__,
        "data": data_hash,
        "schema": schema_hash(patients.schema),
        "options": options.to_json(),
        "replay": decided,
    }


def _make(partial: Path, source: Place, patients: Dataset, options: Options, again: Replay | None, stages: Stages) -> Made:
    is_private = options.epsilon is not None
    storage, unit = _storage(source, patients, options), UNITS[patients.modality]
    train, holdout, learned_from = _split(source, patients, options)
    _tell(patients, train, holdout, stages, n_sets=options.sets, is_private=is_private)
    if unit == "images":
        images.check_enough(train, stages, has_holdout=True)
    elif not is_private:
        auto.check_enough(train, stages, has_holdout=True)
    with spending(partial, options, patients.schema, stages) as ledger:
        decision = decide(partial, train, options, stages, replay=again.decision if again else None)
        clear(partial, keep=(STATE, CHECKPOINT, LEDGER, *(["model"] if decision.is_fitted else [])))
        model, choice = _model(partial, learned_from, decision, options.seed, stages, ledger)
        keep_storage(storage, partial / "model")
    n_bought = None if ledger is None else ledger.n_patients
    if n_bought is not None:
        auto.check_number(n_bought, n_learned(patients.schema), stages, is_bought=True)
    rows = options.rows or n_bought or len(train)
    made: list[Dataset] = []
    counts = {"train": len(train), "holdout": len(holdout)}
    times = f", {options.sets} times" if options.sets > 1 else ""
    with stages.stage("sample", f"Making {rows:,} synthetic {unit}{times}"):
        for i, (part, name) in enumerate(_tables(options, storage).items()):
            seed = derive(options.seed, "set", i) if i else options.seed  # the first table is that of a run with one
            made.append(_sample(model, rows, seed, stages, batch_size=BATCHES[unit]))
            if storage is None:
                judge.write_table(made[-1], partial / name)
            else:
                write_linked(made[-1], partial / name, storage=storage)
            counts[part] = len(made[-1])
    refit = shadow_generators(options.shadow_models, choice, rows, stages, ledger=ledger)
    with stages.stage("evaluate", f"Measuring the synthetic {'table' if unit == 'rows' else unit} against train and holdout"):
        aim = images.label_of(train) if unit == "images" else target_in(patients)
        results = judge.measure(
            train,
            holdout,
            made if ledger is None else _compared(made, patients.schema, stages),
            target=aim,
            seed=options.seed,
            watcher=stages.watcher,
            analyses=options.analyses,
            refit=refit,
            n_refits=options.shadow_models,
        )
    if ledger is not None and options.audit_canaries:
        n, seed, like = options.audit_canaries, options.seed, train.columns
        results = with_audit(results, learned_from, choice, ledger, n_canaries=n, seed=seed, stages=stages, like=like)
    shown = patients.schema if ledger is None else made[0].schema  # what the data taught the reader is not paid for
    told = Made(
        schema=train.schema if unit == "images" else shown,
        read=patients.schema,
        options=options,
        choice=choice,
        rows=counts,
        results=results,
        ledger=ledger,
        unit=unit,
    )
    if not patients.is_linked:
        return told
    return replace(
        told, tables=parts_of_run({"train": train, "holdout": holdout, **dict(zip(list(counts)[2:], made, strict=True))})
    )


def _split(source: Place, patients: Dataset, options: Options) -> tuple[Dataset, Dataset, Dataset]:
    """Train and holdout for judging, and the train part as the generator is handed it: under a budget every cell read for itself."""
    if options.epsilon is None:
        train, holdout = split_as_wished(patients, options)
        return train, holdout, train
    if patients.is_linked:
        train, holdout = split(patients, seed=options.seed, each_by_itself=True)
        plain = read_each_by_itself(source, patients.schema)
        return train, holdout, split(plain, seed=options.seed, each_by_itself=True)[0]
    plain = read_each_by_itself(Path(source), patients.columns)
    held = held_out_by_itself(plain, seed=options.seed)
    return patients.take(~held), patients.take(held), plain.take(~held)


def split_as_wished(patients: Dataset, options: Options) -> tuple[Dataset, Dataset]:
    """A fifth of the patients, drawn, against the others; the rows that --holdout names against the rest."""
    if options.holdout is None:
        return split(images.without_split(patients), seed=options.seed)
    return images.held_out_where(patients, options.holdout)


def _compared(made: list[Dataset], schema: Schema, stages: Stages) -> list[Dataset]:
    """Private rows as the real table's schema reads them; says which columns cannot be."""
    out: list[Dataset] = []
    for one in made:
        rows, lost = compared(one, schema if schema.is_linked else schema.only)
        if lost and not out:
            stages.warn(f"Not compared with real rows, since what was bought reads otherwise: {', '.join(lost)}.")
        out.append(rows)
    return out


def _tell(
    patients: Dataset, train: Dataset, holdout: Dataset, stages: Stages, *, n_sets: int = 1, is_private: bool = False
) -> None:
    if patients.is_linked:
        tell_linked(patients, train, holdout, stages, n_sets=n_sets, is_private=is_private)
        return
    if patients.modality == "images":
        stages.note(
            f"{images.size_words(train)}; the generator sees {len(train):,}, {len(holdout):,} are held out for judging"
            + (f" (of {holdout.n_records:,} other patients)." if holdout.n_records < len(holdout) else ".")
        )
        return
    schema = patients.columns
    out = [f"{column.name} ({reason})" for column, reason in left_out(schema)]
    if out:
        stages.note(f"Not learned: {', '.join(out)}.")
    if is_private:  # no figure of private rows, and none of what reading them taught
        notice = judge.several_notice(n_sets)
        if notice:
            stages.note(notice)
        stages.note(
            f"{len(schema.columns)} columns. Each patient is learned from or held out by a keyed hash of her own; about one in five is "
            "held out for judging."
        )
        return
    for text in unreadable_notices(schema):
        stages.warn(text)
    for notice in (fallback_notice(train), empty_notice(train), judge.several_notice(n_sets)):
        if notice:
            stages.note(notice)
    unit = "rows" if train.n_records == len(train) else "patients"
    stages.note(
        f"{len(patients):,} rows, {len(schema.columns)} columns; "
        f"the generator sees {train.n_records:,} {unit}, {holdout.n_records:,} are held out for judging."
    )


def _model(
    partial: Path, train: Dataset, decision: Decision, seed: int, stages: Stages, ledger: Ledger | None
) -> tuple[Any, Choice]:
    """The fitted model, saved in model/; taken from there when an interrupted run had come so far."""
    from manikin.synthesizers.storage import load, save

    if decision.is_fitted:
        return load(partial / "model"), decision.choice
    model, choice = learn(partial, train, decision, seed, stages, ledger=ledger)
    save(model, partial / "model")
    if ledger is not None:
        seal_model(ledger, partial / "model")
    remember_fitted(partial, decision, choice)
    return model, choice


def _sample(model: Any, rows: int, seed: int, stages: Stages, *, batch_size: int) -> Dataset:
    """All rows, piece by piece so that progress can be told."""
    from manikin.data.dataset import concat

    parts: list[Dataset] = []
    done = 0
    for part in model.sample_batches(rows, seed=seed, batch_size=batch_size):
        parts.append(part)
        done += len(part)
        stages.watcher.advance(min(done / max(rows, 1), 1.0))
    return concat(parts)
