"""The job of augmentation: rows made for a rare class or group, whole tables in wanted proportions, or real records with columns made anew.

Knows no generator by name; any that conditions exactly will do. Knows no file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset, concat, flat
from manikin.data.errors import FitError, ParameterError
from manikin.data.rule_checks import violations
from manikin.data.rules import CombinationRule, UniqueRule
from manikin.data.schema import Role
from manikin.data.seeds import derive, generator
from manikin.release.manifest import Choice
from manikin.synthesizers import SYNTHESIZERS
from manikin.synthesizers.blocks import Draw, in_batches
from manikin.workflow import augmented_rows as rows_of
from manikin.workflow import images, proportions
from manikin.workflow.augmentation import MODES, Account, Augmented, Wishes
from manikin.workflow.augmented_balance import account_of, cells_to_make, check_generator
from manikin.workflow.augmented_notices import tell_columns
from manikin.workflow.augmented_rows import PARTIAL, REAL, SYNTHETIC
from manikin.workflow.auto import check_enough
from manikin.workflow.decide import Decision, decide, learn
from manikin.workflow.learn import (
    AUTO,
    hyperparameters_of,
    training_of,
)
from manikin.workflow.models import schema_of
from manikin.workflow.options import Options
from manikin.workflow.proportions import Cells, Ints
from manikin.workflow.sources import read_like, target_of, with_target
from manikin.workflow.stages import Stages
from manikin.workflow.wishes import check_columns

BLOCK = 16_384  # rows that are drawn at a time, each block from its own seed
BATCH = 16_384  # rows that are handed on at a time


def augmented(data: Dataset, wishes: Wishes, options: Options, *, model: Any | None, folder: Path, stages: Stages) -> Augmented:
    """Makes the table that `wishes` ask for, in memory; see `begun`."""
    account, pieces = begun(data, wishes, options, model=model, folder=folder, stages=stages)
    whole = concat(list(pieces))
    return Augmented(data=whole, **{one.name: getattr(account, one.name) for one in fields(account)})


def begun(
    data: Dataset, wishes: Wishes, options: Options, *, model: Any | None, folder: Path, stages: Stages
) -> tuple[Account, Iterator[Dataset]]:
    """Learns, and begins the table that `wishes` ask for: its account, and its rows in pieces that are drawn as they are taken.

    The first piece is the real rows, where there are any; the others are made ones, in the memory of one piece however many there are.
    The rows do not depend on the size of the pieces.

    Parameters
    ----------
    options : the generator, its bounds and the seed.
    model : a fitted synthesizer to use instead of learning one.
    folder : a place for what an interrupted run needs to go on.

    Raises
    ------
    InputError : the table, a column or an option cannot be used. FitError : the generator could not learn, or (while pieces are taken)
        broke a condition or rule.
    """
    check_generator(options.synthesizer, model, data)
    if data.modality == "images" and wishes.mode == "partial":
        raise ParameterError("--mode partial makes columns of a table anew, and these are images. Choose --mode hybrid or full.")
    rows_of.check_mark(wishes.mark, data.columns)
    if model is not None:
        data = _fitting(data, model)
    data = with_target(data, wishes.target)
    job = _Job(data, wishes, options, model, folder, stages)
    return _partial(job) if wishes.mode == "partial" else _balanced(job, target_of(data.columns))


@dataclass(frozen=True)
class _Job:
    data: Dataset
    wishes: Wishes
    options: Options
    model: Any | None
    folder: Path
    stages: Stages


def _fitting(data: Dataset, model: Any) -> Dataset:
    """The table read as the model knows it; both must have the same columns."""
    known = schema_of(model)
    if known is None:
        return data
    names, theirs = {c.name for c in data.columns.learned}, {c.name for c in known.learned}
    for lacking, who in (
        (names - theirs, "The model did not learn"),
        (theirs - names, "The data do not have, or do not learn,"),
    ):
        if lacking:
            raise ParameterError(
                f"{who} {', '.join(map(repr, sorted(lacking)))}. Fit the model on this table, or leave --model out."
            )
    return read_like(data, known)


def _balanced(job: _Job, target: str | None) -> tuple[Account, Iterator[Dataset]]:
    data, wishes, stages = job.data, job.wishes, job.stages
    keeps_real = wishes.mode == "hybrid"
    cells, to_make = cells_to_make(data, target, wishes.balance, wishes, stages)
    if to_make.any():
        tell_columns(data, wishes.mode, stages)
    n_made = int(to_make.sum())
    model, choice = _generator(job, cells.names) if n_made else (None, None)
    if choice is None:
        stages.note("The wanted proportions hold already: nothing was made, and the table is the real rows with their mark.")
        pieces = iter([rows_of.with_origin(data, REAL, wishes.mark)])
    else:
        drawn = _made(job, cells, to_make, model, choice.name)
        pieces = _hybrid(job, drawn, n_made) if keeps_real else _full(job, drawn, n_made)
    return account_of(data, wishes, cells, to_make, choice, stages), pieces


def _hybrid(job: _Job, made: Iterator[Dataset], n: int) -> Iterator[Dataset]:
    """The real rows, unchanged, then `n` made ones in the same columns and with new keys."""
    data, mark, first = job.data, job.wishes.mark, next(made)
    schema, keys, start = rows_of.with_holes_of(data.columns, first.columns), rows_of.new_keys(data, n), 0
    yield rows_of.with_origin(flat(data.table, schema, data.native), REAL, mark)
    for piece in chain([first], made):
        alike = rows_of.in_columns_of(data, schema, piece, keys(start, start + len(piece)))
        yield rows_of.with_origin(alike, SYNTHETIC, mark)
        start += len(piece)


def _full(job: _Job, made: Iterator[Dataset], n: int) -> Iterator[Dataset]:
    """`n` made rows as they are, with keys that no real row has."""
    keys, start = rows_of.new_keys(job.data, n), 0
    for piece in made:
        own = rows_of.with_keys(piece, keys(start, start + len(piece)))
        yield rows_of.with_origin(own, SYNTHETIC, job.wishes.mark)
        start += len(piece)


def _made(job: _Job, cells: Cells, to_make: Ints, model: Any, name: str) -> Iterator[Dataset]:
    """The made rows in mixed order, each of the cell it was asked for."""
    order = proportions.mixed(to_make, generator(job.options.seed, "augment", "order"), block=BLOCK)
    classes = job.data.only(cells.names)

    def draw(number: int, _start: int, _stop: int) -> Dataset:
        """One block, after a look at whether it is what was asked for."""
        conditions = classes.take(cells.first[next(order)])
        made = _sample(job, model, conditions, number)
        for column in conditions.columns:
            wanted = column_texts(conditions.table, column)
            if (column_texts(made.table, made.columns[column.name]) != wanted).any():
                raise FitError(f"The synthesizer {name!r} did not keep to {column.name!r} as asked. Choose another.")
        _check_rules(made, job.data)
        return made

    n = int(to_make.sum())
    return _batches(job, draw, n, f"Making {n:,} rows")


def _check_rules(made: Dataset, data: Dataset) -> None:
    """Refuses rows that break a confirmed rule, which asking for a cell that breaks it can do."""
    for rule in data.columns.confirmed_rules:
        if isinstance(rule, CombinationRule | UniqueRule) or not set(rule.columns).issubset(made.columns.names):
            continue
        n_broken = int(violations(rule, made.table, made.columns).sum())
        if n_broken:
            raise FitError(
                f"{n_broken:,} of {len(made):,} made rows break the {rule.about}, which a person confirmed: it cannot hold in the wanted "
                "cells. Correct the rule in the schema, or balance other columns."
            )


def _partial(job: _Job) -> tuple[Account, Iterator[Dataset]]:
    data, stages = job.data, job.stages
    replaced = _columns_to_replace(job)
    kept = [column.name for column in data.columns.learned if column.name not in replaced]
    if not kept:
        raise ParameterError(
            "--replace names every column, so nothing real is kept to draw them from. Use --mode full instead."
        )
    open_names = [column.name for column in data.columns if column.has_role(Role.DIRECT_IDENTIFIER)]
    if open_names:
        stages.warn(f"{', '.join(map(repr, open_names))} identify people and are kept as they are. Take them out of the table.")
    tell_columns(data, "partial", stages)
    model, choice = _generator(job, kept)
    statement = f"Made anew: {', '.join(replaced)}. {MODES['partial'].statement}"
    account = Account(
        mode="partial",
        statement=statement,
        mark=job.wishes.mark,
        rows={"given": len(data), "real": 0, "synthetic": 0, "partial": len(data)},
        replaced=tuple(replaced),
        choice=choice,
        notices=tuple(stages.notices),
    )
    return account, _anew(job, kept, replaced, model)


def _anew(job: _Job, kept: Sequence[str], replaced: Sequence[str], model: Any) -> Iterator[Dataset]:
    """All records, in one piece, with their replaced columns drawn given the kept ones."""
    data = job.data
    given = data.only(kept)

    def draw(number: int, start: int, stop: int) -> Dataset:
        return _sample(job, model, given.take(np.arange(start, stop)), number)

    made = concat(list(_batches(job, draw, len(data), f"Making {', '.join(replaced)} anew in {len(data):,} records")))
    yield rows_of.with_origin(rows_of.with_columns(data, made, replaced), PARTIAL, job.wishes.mark)


def _columns_to_replace(job: _Job) -> list[str]:
    table = job.data.columns
    learned = {column.name for column in table.learned}
    if not job.wishes.replace:
        found = [column.name for column in table.with_role(Role.SENSITIVE) if column.name in learned]
        if not found:
            raise ParameterError(
                'Nothing says which columns to make anew. Name them with --replace COL, or give them the role "sensitive" in a '
                "schema (manikin inspect -o schema.toml writes one) and pass it with --schema."
            )
        return found
    names = list(dict.fromkeys(check_columns(job.wishes.replace, table, "--replace")))
    for name in names:
        if name not in learned:
            raise ParameterError(
                f"--replace names {name!r}, an identifier or free text, which is not learned. Take it out of the table."
            )
    return names


def _generator(job: _Job, given: Sequence[str]) -> tuple[Any, Choice]:
    """The fitted model and what it is: the one given, or one that learns from all rows and can be given these columns."""
    if job.model is not None:
        from manikin.synthesizers.storage import name_of

        name = name_of(job.model)
        known = hyperparameters_of(job.model)
        return job.model, Choice(name=name, asked="model", hyperparameters=known, training=training_of(job.model))
    if job.data.modality == "images":
        images.check_enough(job.data, job.stages)
    else:
        check_enough(job.data, job.stages)
    name, told = job.options.synthesizer, None
    if name != AUTO and not SYNTHESIZERS[name].conditions:
        listed = {**job.options.settings, SYNTHESIZERS[name].told_by: list(given)}
        told = Decision(Choice(name=name, asked=name, hyperparameters=listed), job.options.limits)
    decision = decide(job.folder, job.data, job.options, job.stages, replay=told, conditional=True)
    return learn(job.folder, job.data, decision, job.options.seed, job.stages)


def _sample(job: _Job, model: Any, conditions: Dataset, number: int) -> Dataset:
    """One block of rows, each given the cells of its condition."""
    seed = derive(job.options.seed, "augment", number) % 2**31
    made: Dataset = model.sample(len(conditions), seed=seed, conditions=conditions)
    return made


def _batches(job: _Job, draw: Draw, n: int, title: str) -> Iterator[Dataset]:
    with job.stages.stage("sample", title):
        for number, part in enumerate(in_batches(draw, n, batch_size=BATCH, block=BLOCK), start=1):
            job.stages.watcher.advance(min(number * BATCH / n, 1.0))
            yield part
