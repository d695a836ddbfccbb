"""Patients of whom a part is kept: what they have once stays, and their rows are drawn anew by a model of linked patients.

Cells of rows are not filled: a model that draws a record in the order of its events cannot draw a cell given what comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.dataset import Dataset, concat
from manikin.data.errors import FitError, ParameterError
from manikin.synthesizers import SYNTHESIZERS
from manikin.synthesizers.storage import name_of as name_of_model
from manikin.workflow.draw_linked import BATCH_PATIENTS, storage_for
from manikin.workflow.learn import able_to_be_given, can_be_given
from manikin.workflow.linked import static_name
from manikin.workflow.linked_given import learned_schema, read_given
from manikin.workflow.linked_statics import NUMBER, statics_of
from manikin.workflow.models import model_folder, open_model
from manikin.workflow.output import check_not_read
from manikin.workflow.places import Place, kept_storage, place_of, writing
from manikin.workflow.stages import Stages

NO_IMPUTING = (
    "A model of linked patients fills no missing cells: it draws rows in the order of time, and would not look at what comes after. Keep "
    "what patients have once with --keep, or fill one table by itself: `manikin fit FOLDER/TABLE.csv`, then `manikin complete --impute`."
)


def complete_linked(
    model: str | Path, data: Place, *, out: Place, keep: Sequence[str] | None, seed: int, force: bool, stages: Stages
) -> tuple[Place, int]:
    """Writes as many patients as are given, in their order, with their kept columns and all else drawn; the place, and how many.

    Raises
    ------
    InputError : the model, the data, a column or the place cannot be used. Nothing is written.
    """
    target = place_of(out)
    storage = storage_for(target, kept_storage(model_folder(model)))
    if isinstance(target, Path):
        check_not_read(target, [model, data])
    with stages.stage("load", "Loading the model and the data"):
        fitted = open_model(model)
        kept = kept_of(fitted, data, keep)
    with stages.stage("complete", f"Completing {len(kept):,} patients"), ExitStack() as held:
        batches = iter(fitted.sample_batches(len(kept), seed=seed, conditions=kept, batch_size=BATCH_PATIENTS))
        first, done = next(batches), 0
        writer = held.enter_context(writing(target, first.schema, storage=storage, force=force))
        for batch in chain([first], batches):
            _check_kept(batch, kept.take(np.arange(done, done + len(batch))), name_of_model(fitted))
            writer.append(batch)
            done += len(batch)
            stages.watcher.advance(done / len(kept))
    return target, len(kept)


def completed_linked(model: Any, data: Any, *, keep: Sequence[str] | None, seed: int) -> Dataset:
    """The same in memory, of a data set or a place."""
    kept = kept_of(model, data, keep)
    made = concat(list(model.sample_batches(len(kept), seed=seed, conditions=kept)))
    _check_kept(made, kept, name_of_model(model))
    return made


def kept_of(model: Any, data: Any, keep: Sequence[str] | None) -> Dataset:
    """What is kept of given patients, one flat row each.

    Raises
    ------
    ParameterError : nothing can be kept so: no column is named, it changes from row to row, or the model holds none.
    """
    if keep is None:
        raise ParameterError(NO_IMPUTING)
    name = name_of_model(model)
    if not can_be_given(name):
        able = ", ".join(able_to_be_given(SYNTHESIZERS[name].modality))
        raise ParameterError(f"The synthesizer {name!r} cannot be given what a patient has. Fit one that can: {able}.")
    schema = learned_schema(model)
    names = list(dict.fromkeys(static_name(one, schema, "--keep") for one in keep))
    given = read_given(data, schema)
    _check_given(names, given)
    return statics_of(given, names)


def _check_given(names: Sequence[str], given: Dataset) -> None:
    if not len(given):
        raise ParameterError("The data hold no patient to keep anything of.")
    for table in dict.fromkeys(name.partition(".")[0] for name in names):
        n_without = len(given) - len(np.unique(given.owners[table]))
        if n_without:
            raise ParameterError(
                f"{n_without:,} of {len(given):,} patients have no row in table {table!r}, so that nothing of it can be kept of them. Take "
                "these patients out."
            )


def _check_kept(made: Dataset, kept: Dataset, name: str) -> None:
    """Refuses patients of whom something was kept otherwise than it was given.

    Raises
    ------
    FitError : names the generator and the column.
    """
    names = [column for column in kept.columns.names if column != NUMBER]
    found = statics_of(made, names)
    for column in names:
        is_empty, theirs = (one.table.mark(column) > 0 for one in (kept, found))
        ours, drawn = (one.table.frame[column].astype(object).to_numpy() for one in (kept, found))
        if (is_empty != theirs).any() or (ours != drawn)[~is_empty].any():
            raise FitError(f"The synthesizer {name!r} did not keep {column!r} as it was given. Leave it out of --keep, or choose another.")
