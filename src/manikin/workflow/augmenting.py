"""The job of augmentation: rows made for a rare class or group, whole tables in wanted proportions, or real records with columns made anew.

Knows no generator by name; any that conditions exactly will do. Knows no file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.cells import column_texts
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import DataError, FitError, ParameterError
from manikin.data.rule_checks import violations
from manikin.data.rules import CombinationRule, UniqueRule
from manikin.data.schema import Role
from manikin.data.seeds import derive, generator
from manikin.release.manifest import Choice
from manikin.synthesizers import SYNTHESIZERS
from manikin.workflow import augmented_rows as rows_of
from manikin.workflow import proportions
from manikin.workflow.augmentation import MODES, Augmented, CellCount, Wishes
from manikin.workflow.augmented_rows import PARTIAL, REAL, SYNTHETIC
from manikin.workflow.auto import FEWEST_PATIENTS, HONEST_PATIENTS, HONEST_PATIENTS_PER_COLUMN
from manikin.workflow.decide import Decision, decide, learn
from manikin.workflow.learn import AUTO, check_name, hyperparameters_of, training_of
from manikin.workflow.models import schema_of
from manikin.workflow.options import Options
from manikin.workflow.proportions import Cells, Ints
from manikin.workflow.sources import read_like, target_of, with_target
from manikin.workflow.stages import Stages
from manikin.workflow.wanted_shares import parse_to
from manikin.workflow.wishes import check_columns

SAMPLE_BATCH = 16_384
MANYFOLD = 10  # a cell that grows beyond this many times its size is warned of


def augmented(data: Dataset, wishes: Wishes, options: Options, *, model: Any | None, folder: Path, stages: Stages) -> Augmented:
    """Makes the table that `wishes` ask for.

    Parameters
    ----------
    options : the generator, its bounds and the seed.
    model : a fitted synthesizer to use instead of learning one.
    folder : a place for what an interrupted run needs to go on.

    Raises
    ------
    InputError : the table, a column or an option cannot be used. FitError : the generator could not learn, or broke a condition or rule.
    """
    _check_generator(options.synthesizer, model)
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


def _check_generator(name: str, model: Any | None) -> None:
    """Refuses a generator that cannot make rows of a given class."""
    if model is not None:
        from manikin.synthesizers.storage import name_of

        name = name_of(model)
    check_name(name)
    if name != AUTO and not (_can_condition(name) or (model is not None and SYNTHESIZERS[name].some_conditions)):
        able = ", ".join(key for key in SYNTHESIZERS if _can_condition(key))
        raise ParameterError(
            f"The synthesizer {name!r} cannot make rows of a given class or group. Choose one that can: {able}."
        )


def _can_condition(name: str) -> bool:
    """Whether a generator conditions exactly, on any columns or on those that it is told before it learns."""
    return SYNTHESIZERS[name].conditions or bool(SYNTHESIZERS[name].told_by)


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


def _balanced(job: _Job, target: str | None) -> Augmented:
    data, wishes, stages = job.data, job.wishes, job.stages
    keeps_real = wishes.mode == "hybrid"
    cells = proportions.cells_of(data, proportions.cell_columns(data, target, wishes.balance))
    proportions.check_standing(cells)
    asked = parse_to(wishes.to, cells, target)
    shares = proportions.shares_of(cells, asked)
    to_make = proportions.planned(cells, shares, asked, keeps_real=keeps_real, rows=wishes.rows, n_rows=len(data))
    _tell(cells, to_make, target, keeps_real, stages)
    made, choice = _made(job, cells, to_make) if to_make.any() else (None, None)
    if made is None:
        stages.note("The wanted proportions hold already: nothing was made, and the table is the real rows with their mark.")
        out, origins = data, [REAL] * len(data)
    elif keeps_real:
        out, origins = rows_of.stacked(data, made), [REAL] * len(data) + [SYNTHETIC] * len(made)
    else:
        out, origins = rows_of.with_new_keys(made, data), [SYNTHETIC] * len(made)
    n_real = len(data) if keeps_real else 0
    return Augmented(
        data=rows_of.with_origin(out, origins, wishes.mark),
        mode=wishes.mode,
        statement=MODES[wishes.mode].statement,
        mark=wishes.mark,
        rows={"given": len(data), "real": n_real, "synthetic": int(to_make.sum())},
        counts=tuple(
            CellCount(cells.label(int(i)), int(cells.n_rows[i]), int(cells.n_rows[i]) if keeps_real else 0, int(to_make[i]))
            for i in np.flatnonzero(cells.stands)
        ),
        n_small_cells=int((~cells.stands).sum()),
        n_without=cells.n_without,
        choice=choice,
        notices=tuple(stages.notices),
    )


def _tell(cells: Cells, to_make: Ints, target: str | None, keeps_real: bool, stages: Stages) -> None:
    """What the counts alone do not say."""
    names, n_small = ", ".join(map(repr, cells.names)), int((~cells.stands).sum())
    if target is not None and target not in cells.names:
        stages.note(f"The target {target!r} has no classes: it is drawn given {names}, which is what is balanced.")
    if n_small:
        stages.warn(
            f"{n_small} of the {len(cells.levels)} {cells.what} {'is' if n_small == 1 else 'are'} held by fewer than "
            f"{cells.min_patients} patients: no rows are made for them, and "
            f"{'their real rows stay as they are' if keeps_real else 'the table has none'}. The proportions hold among the others."
        )
    if cells.n_without:
        stay = "stay as they are" if keeps_real else "are learned from, and no such row is made"
        stages.note(f"{cells.n_without:,} rows without a value in {names} take no part: they {stay}.")
    grown = int((to_make > (MANYFOLD - 1) * cells.n_rows)[cells.stands].sum()) if keeps_real else 0
    if grown:
        stages.warn(
            f"{grown} of the {cells.what} {'grows' if grown == 1 else 'grow'} more than {MANYFOLD}-fold: such rows repeat what few "
            "patients showed, and hold nothing of what these did not show."
        )


def _made(job: _Job, cells: Cells, to_make: Ints) -> tuple[Dataset, Choice]:
    """The made rows in mixed order, each of the cell it was asked for."""
    model, choice = _generator(job, cells.names)
    order = generator(job.options.seed, "augment", "order").permutation(int(to_make.sum()))
    conditions = job.data.only(cells.names).take(np.repeat(cells.first, to_make)[order])
    made = _sample(model, conditions, job, f"Making {len(conditions):,} rows")
    for name in cells.names:
        wanted = column_texts(conditions.table, conditions.columns[name])
        if (column_texts(made.table, made.columns[name]) != wanted).any():
            raise FitError(f"The synthesizer {choice.name!r} did not keep to {name!r} as asked. Choose another.")
    _check_rules(made, job.data)
    return made, choice


def _check_rules(made: Dataset, data: Dataset) -> None:
    """Refuses rows that break a confirmed rule, which asking for a cell that breaks it can do."""
    for rule in data.columns.confirmed_rules:
        if isinstance(rule, CombinationRule | UniqueRule) or not set(rule.columns).issubset(made.columns.names):
            continue
        n_broken = int(violations(rule, made.table, made.columns).sum())
        if n_broken:
            raise FitError(
                f"{n_broken:,} made rows break the {rule.about}, which a person confirmed: it cannot hold in the wanted cells. "
                "Correct the rule in the schema, or balance other columns."
            )


def _partial(job: _Job) -> Augmented:
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
    model, choice = _generator(job, kept)
    made = _sample(model, data.only(kept), job, f"Making {', '.join(replaced)} anew in {len(data):,} records")
    out = rows_of.with_columns(data, made, replaced)
    statement = f"Made anew: {', '.join(replaced)}. {MODES['partial'].statement}"
    return Augmented(
        data=rows_of.with_origin(out, [PARTIAL] * len(data), job.wishes.mark),
        mode="partial",
        statement=statement,
        mark=job.wishes.mark,
        rows={"given": len(data), "real": 0, "synthetic": 0, "partial": len(data)},
        replaced=tuple(replaced),
        choice=choice,
        notices=tuple(stages.notices),
    )


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
    _check_enough(job.data, job.stages)
    name, told = job.options.synthesizer, None
    if name != AUTO and not SYNTHESIZERS[name].conditions:
        listed = {SYNTHESIZERS[name].told_by: list(given)}
        told = Decision(Choice(name=name, asked=name, hyperparameters=listed), job.options.limits)
    decision = decide(job.folder, job.data, job.options, job.stages, replay=told, conditional=True)
    return learn(job.folder, job.data, decision, job.options.seed, job.stages)


def _check_enough(data: Dataset, stages: Stages) -> None:
    n_patients, n_columns = data.n_records, len(data.columns.learned)
    if n_patients < FEWEST_PATIENTS:
        raise DataError(
            f"There are {n_patients} patients to learn from; fewer than {FEWEST_PATIENTS} are not learned from. Bring more."
        )
    if n_patients < max(HONEST_PATIENTS, HONEST_PATIENTS_PER_COLUMN * n_columns):
        stages.warn(
            f"INSUFFICIENT DATA: {n_patients} patients for {n_columns} columns are too few to learn from honestly (at least "
            f"{HONEST_PATIENTS}, and {HONEST_PATIENTS_PER_COLUMN} for each column, are wanted): made rows may be noise, or close to "
            "single patients."
        )


def _sample(model: Any, conditions: Dataset, job: _Job, title: str) -> Dataset:
    n, parts = len(conditions), list[Dataset]()
    seed = derive(job.options.seed, "augment") % 2**31
    n_pieces = math.ceil(n / SAMPLE_BATCH)
    with job.stages.stage("sample", title):
        for part in model.sample_batches(n, seed=seed, conditions=conditions, batch_size=SAMPLE_BATCH):
            parts.append(part)
            job.stages.watcher.advance(min(len(parts) / n_pieces, 1.0))
    return concat(parts)
