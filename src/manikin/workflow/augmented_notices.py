"""What an augmentation tells of its table beside the counts: small and missing cells, columns that are not learned.

Columns are named and rows are counted; no value is. Knows no generator.
"""

from __future__ import annotations

from manikin.data.dataset import Dataset
from manikin.workflow.proportions import Cells, Ints
from manikin.workflow.record import left_out
from manikin.workflow.sources import unreadable_notices
from manikin.workflow.stages import Stages

MANYFOLD = 10  # a cell that grows beyond this many times its size is warned of


def tell_cells(cells: Cells, to_make: Ints, target: str | None, *, keeps_real: bool, stages: Stages) -> None:
    """What the counts alone do not say of the cells."""
    names, n_small = ", ".join(map(repr, cells.names)), int((~cells.stands).sum())
    if target is not None and target not in cells.names:
        stages.note(f"The target {target!r} has no classes: it is drawn given {names}, which is what is balanced.")
    if n_small:
        are, them, their = ("is", "it", "its") if n_small == 1 else ("are", "them", "their")
        stages.warn(
            f"{n_small} of the {len(cells.levels)} {cells.what} {are} held by fewer than {cells.min_patients} patients: no rows are made "
            f"for {them}, and {f'{their} real rows stay as they are' if keeps_real else 'the table has none'}. "
            "The proportions hold among the others."
        )
    if cells.n_without:
        is_one = cells.n_without == 1
        rows, they = ("row", "takes no part: it") if is_one else ("rows", "take no part: they")
        stay = ("stays as it is" if is_one else "stay as they are") if keeps_real else ("is learned from" if is_one else "are learned from")
        stages.note(f"{cells.n_without:,} {rows} without a value in {names} {they} {stay}, and no such row is made.")
    grown = int((to_make > (MANYFOLD - 1) * cells.n_rows)[cells.stands].sum()) if keeps_real else 0
    if grown:
        stages.warn(
            f"{grown} of the {cells.what} {'grows' if grown == 1 else 'grow'} more than {MANYFOLD}-fold: such rows repeat what few "
            "patients showed, and hold nothing of what these did not show."
        )


def tell_columns(data: Dataset, mode: str, stages: Stages) -> None:
    """What happens to cells that cannot be read, to columns that are not learned, and to patients of several rows."""
    for text in unreadable_notices(data.columns):
        stages.warn(text)
    if mode != "partial":
        gone = "left out" if mode == "full" else "empty in synthetic rows"
        told = [(column.name, reason if "made anew" in reason else f"{reason}, {gone}") for column, reason in left_out(data.columns)]
        if told:
            stages.note(f"Not learned: {', '.join(f'{name} ({what})' for name, what in told)}.")
    if data.n_records < len(data):
        so = (
            "columns are made anew row by row, so that rows of one patient may come to differ in what she has once"
            if mode == "partial"
            else "every synthetic row is a patient of its own, and no patient's course over several rows is made"
        )
        stages.note(f"{data.n_records:,} patients have {len(data):,} rows: {so}.")
