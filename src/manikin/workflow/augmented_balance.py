"""What augmentations of a table, images and linked patients share: how many of each class and group to make, and the account of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.release.manifest import Choice
from manikin.synthesizers import SYNTHESIZERS
from manikin.workflow import proportions
from manikin.workflow.augmentation import Account, CellCount, Wishes, statement_of
from manikin.workflow.augmented_notices import tell_cells
from manikin.workflow.learn import AUTO, able_to_be_given, can_be_given, check_learned, check_modality, check_name
from manikin.workflow.proportions import Cells, Ints
from manikin.workflow.stages import Stages
from manikin.workflow.wanted_shares import NO_OTHER, Called, parse_to


def check_generator(name: str, model: Any | None, data: Dataset) -> None:
    """Refuses a generator of other data than these, and one that cannot make rows or patients of a given class.

    Raises
    ------
    ParameterError : says which is which, and the way out.
    """
    if model is not None:
        from manikin.synthesizers.storage import name_of

        check_learned(model, data)
        name = name_of(model)
    check_name(name)
    check_modality(name, data)
    if name != AUTO and not (can_be_given(name) or (model is not None and SYNTHESIZERS[name].some_conditions)):
        able = ", ".join(able_to_be_given(data.modality))
        what = "patients of a given class" if data.is_linked else "rows of a given class or group"
        raise ParameterError(f"The synthesizer {name!r} cannot make {what}. Choose one that can: {able}.")


def cells_to_make(
    classes: Dataset, target: str | None, balance: Sequence[str], wishes: Wishes, stages: Stages, *, called: Called = NO_OTHER
) -> tuple[Cells, Ints]:
    """The cells of some columns, and how many are to be made of each, int64 (n_cells,); tells what is not balanced.

    Parameters
    ----------
    called : other names that the columns may be called by in the wanted proportions.

    Raises
    ------
    InputError : a column or a proportion cannot be used.
    """
    keeps_real = wishes.mode == "hybrid"
    cells = proportions.cells_of(classes, proportions.cell_columns(classes, target, balance))
    proportions.check_standing(cells)
    asked = parse_to(wishes.to, cells, target, called)
    shares = proportions.shares_of(cells, asked)
    to_make = proportions.planned(cells, shares, asked, keeps_real=keeps_real, rows=wishes.rows, n_rows=len(classes))
    tell_cells(cells, to_make, target, keeps_real=keeps_real, stages=stages)
    return cells, to_make


def account_of(
    data: Dataset, wishes: Wishes, cells: Cells, to_make: Ints, choice: Choice | None, stages: Stages, *, unit: str = "rows"
) -> Account:
    """What was made of it, with the notices so far."""
    keeps_real = wishes.mode == "hybrid"
    return Account(
        mode=wishes.mode,
        statement=statement_of(wishes.mode, data.modality),
        mark=wishes.mark,
        rows={"given": len(data), "real": len(data) if keeps_real else 0, "synthetic": int(to_make.sum())},
        counts=tuple(
            CellCount(cells.label(int(i)), int(cells.n_rows[i]), int(cells.n_rows[i]) if keeps_real else 0, int(to_make[i]))
            for i in np.flatnonzero(cells.stands)
        ),
        n_small_cells=int((~cells.stands).sum()),
        n_without=cells.n_without,
        choice=choice,
        notices=tuple(stages.notices),
        unit=unit,
    )
