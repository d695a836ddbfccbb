"""How many rows of each class and group are wanted: cells of the cross of some columns, wanted shares, whole numbers. Knows no generator.

A cell stands when enough patients are in it (the schema's threshold for small cells). Rows of cells that do not stand, and rows that
lack one of the columns, take no part: they are kept where real rows are kept, and nothing is made for them. No message names their values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, ParameterError
from manikin.data.schema import Column, Kind
from manikin.workflow.wishes import check_columns

MARGIN_SLACK = 1e-7
MOST_TURNS = 10_000

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Proportions = Mapping[str, Mapping[str, float]]  # column -> level -> share

MOST_TIMES = 100  # rows asked for, in rows that there are: beyond it a share was mistyped
MOST_ROWS = 999_999_999  # of one table; numpy draws from fewer than 10**9 only


@dataclass(frozen=True)
class Cells:
    """The observed cells of a cross of columns, in order of their levels.

    Attributes
    ----------
    of_row : int64 (n_rows,), the cell of each row, -1 where one of the columns has no value.
    levels : for each cell its level of each column.
    first : int64 (n_cells,), a row of each cell.
    n_rows, n_patients : int64 (n_cells,).
    min_patients : fewest patients of a cell that stands.
    """

    columns: tuple[Column, ...]
    of_row: Ints
    levels: tuple[tuple[str, ...], ...]
    first: Ints
    n_rows: Ints
    n_patients: Ints
    min_patients: int

    @property
    def stands(self) -> npt.NDArray[np.bool_]:
        """Which cells hold enough patients, bool (n_cells,)."""
        enough: npt.NDArray[np.bool_] = self.n_patients >= self.min_patients
        return enough

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    @property
    def what(self) -> str:
        """What the cells are, in words: "values of 'died'", "combinations of 'died', 'sex'"."""
        return f"{'values' if len(self.columns) == 1 else 'combinations'} of {_quoted(self.names)}"

    @property
    def n_without(self) -> int:
        """Rows that form no cell, since one of the columns has no value there."""
        return int((self.of_row < 0).sum())

    def standing_levels(self, j: int) -> list[str]:
        """The levels of the j-th column that occur in cells that stand, in their order."""
        return list(dict.fromkeys(own[j] for own, stands in zip(self.levels, self.stands, strict=True) if stands))

    def label(self, i: int) -> dict[str, str]:
        """One cell as column -> level."""
        return dict(zip(self.names, self.levels[i], strict=True))


def cells_of(data: Dataset, columns: Sequence[str]) -> Cells:
    """The cells that the rows of a table form; patients are counted, not rows, where there is a patient key."""
    known = tuple(data.columns[name] for name in columns)
    series = [data.table.frame[name] for name in columns]
    codes = np.stack([own.cat.codes.to_numpy().astype(np.int64) for own in series], axis=1)
    has_all = (codes >= 0).all(axis=1)
    found, first, inverse, n_rows = np.unique(
        codes[has_all], axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    of_row = np.full(len(data), -1, dtype=np.int64)
    of_row[has_all] = inverse.ravel()
    pairs = pd.DataFrame({"cell": of_row[has_all], "patient": data.records[has_all]}).drop_duplicates()
    levels = tuple(tuple(str(own.cat.categories[code]) for own, code in zip(series, row, strict=True)) for row in found)
    return Cells(
        columns=known,
        of_row=of_row,
        levels=levels,
        first=np.flatnonzero(has_all)[first],
        n_rows=n_rows.astype(np.int64),
        n_patients=np.bincount(pairs["cell"].to_numpy(dtype=np.int64), minlength=len(found)),
        min_patients=max(_fewest(data, column) for column in known),
    )


def _fewest(data: Dataset, column: Column) -> int:
    """The schema's threshold for small cells, also where the column's levels are public: who holds which of them is not."""
    return data.columns.min_patients if column.min_patients is None else column.min_patients


def cell_columns(data: Dataset, target: str | None, balance: Sequence[str]) -> tuple[str, ...]:
    """The columns whose cross makes the cells: the target when it has classes, and the columns to balance.

    Raises
    ------
    ParameterError : a column is unknown, not learned, or has no levels; neither a target nor a column to balance is given.
    """
    table = data.columns
    learned = {column.name for column in table.learned}
    for name in check_columns(balance, table, "--balance"):
        if name not in learned:
            raise ParameterError(f"--balance names {name!r}, which is an identifier or free text. Name a column of groups.")
        if not table[name].kind.is_discrete:
            raise ParameterError(
                f"--balance names {name!r}, which is {_kind(table[name])} and has no groups; bins are not guessed. "
                "Add a column of groups that you chose (for example age bands), and balance that."
            )
    if target is None and not balance:
        raise ParameterError("Nothing says what to balance. Give --target COL (the class to predict), --balance COL, or both.")
    has_classes = target is not None and table[target].kind.is_discrete
    if target is not None and not has_classes and not balance:
        raise ParameterError(
            f"The target {target!r} is {_kind(table[target])} and has no classes; bins are not guessed. Add a column of classes that "
            "you chose and name that, or give --balance COL."
        )
    first = [target] if target is not None and has_classes else []
    return tuple(dict.fromkeys([*first, *balance]))


def _kind(column: Column) -> str:
    return {Kind.CODE_SET: "a set of codes", Kind.COUNT: "a count"}.get(column.kind, str(column.kind))


def check_standing(cells: Cells) -> None:
    """Refuses a cross in which there is nothing to balance.

    Raises
    ------
    DataError : there is one cell only, or fewer than two hold enough patients; names columns and counts, never values.
    """
    n_standing, n_cells, names = int(cells.stands.sum()), len(cells.levels), _quoted(cells.names)
    if n_cells < 2:
        has = "no row with a value" if not n_cells else "one value"
        each = " in each of them" if len(cells.names) > 1 and not n_cells else ""
        raise DataError(
            f"There is nothing to balance: {names} {'have' if len(cells.names) > 1 else 'has'} {has}{each} only. "
            "Name other columns with --target or --balance."
        )
    if n_standing < 2:
        raise DataError(
            f"Of {n_cells} {cells.what}, {n_standing or 'none'} {'is' if n_standing == 1 else 'are'} held by at least "
            f"{cells.min_patients} patients; rows are made only for what so many share. Bring more patients, "
            f"or {'balance fewer columns' if len(cells.names) > 1 else 'merge the rarer values'}."
        )


def shares_of(cells: Cells, asked: Proportions | None) -> Floats:
    """The wanted share of each cell, float64 (n_cells,), adding up to 1; 0 for cells that do not stand.

    Without proportions every cell that stands has the same share. With them each column has its own, equal ones where none are given,
    and within these the columns are as independent as the cells that stand allow (iterative proportional fitting from equal cells,
    doi:10.1214/aoms/1177731829).

    Raises
    ------
    DataError : the cells that stand cannot have these proportions.
    """
    shares = cells.stands / cells.stands.sum()
    if asked is None:
        return np.asarray(shares, dtype=np.float64)
    margins = []
    for j, name in enumerate(cells.names):
        levels = cells.standing_levels(j)
        wanted = asked.get(name, dict.fromkeys(levels, 1 / len(levels)))
        place = {level: i for i, level in enumerate(levels)}
        index = np.array([place.get(own[j], len(levels)) for own in cells.levels])
        margin = np.array([wanted.get(level, 0.0) for level in levels] + [0.0])
        margins.append((index, margin / margin.sum()))
    for _ in range(MOST_TURNS):
        worst = 0.0
        for index, margin in margins:
            now = np.bincount(index, weights=shares, minlength=len(margin))
            worst = max(worst, float(np.abs(now - margin).max()))
            shares = shares * np.divide(margin, now, out=np.zeros_like(margin), where=now > 0)[index]
        if worst < MARGIN_SLACK:
            return np.asarray(shares / shares.sum(), dtype=np.float64)
    raise DataError(
        f"These proportions cannot be reached: too many {cells.what} are held by fewer than {cells.min_patients} patients. "
        "Balance fewer columns, or ask for other proportions."
    )


def planned(
    cells: Cells, shares: Floats, asked: Proportions | None, *, keeps_real: bool, rows: int | None, n_rows: int
) -> Ints:
    """How many rows to make for each cell, int64 (n_cells,).

    Parameters
    ----------
    keeps_real : the real rows stay, so that as many rows are made as bring every cell to its share of the smallest table that holds
        them all; otherwise all rows are made.
    rows : rows of all cells that stand together, real and made; the smallest possible (where the real rows stay) or `n_rows` when None.

    Raises
    ------
    ParameterError : `rows` is too small to hold the real rows in these proportions, or a class with real rows has the share 0.
    """
    groups = _groups(cells, next(iter(asked)) if asked else None)
    if not keeps_real:
        return apportion(n_rows if rows is None else rows, shares, groups)
    there = np.where(cells.stands, cells.n_rows, 0)
    if ((shares <= 0) & (there > 0)).any():
        raise ParameterError(
            "--to leaves out a level, or gives it 0, whose real rows stay in hybrid mode. Name every level, or use --mode full."
        )
    least = math.ceil(float(np.max(there[there > 0] / shares[there > 0])) - 1e-6)
    if least > min(MOST_TIMES * max(n_rows, 1000), MOST_ROWS):
        raise ParameterError(
            f"With the real rows kept, these proportions ask for {least:,} rows, more than {MOST_TIMES} times what there is. "
            "Ask for milder ones, or use --mode full with --rows."
        )
    while (apportion(least, shares, groups) < there).any():  # a class was rounded down: a few rows more hold all
        least += 1
    if rows is None:
        return apportion(least, shares, groups) - there
    made = apportion(rows, shares, groups) - there
    if rows < least or (made < 0).any():
        raise ParameterError(
            f"With the real rows kept, these proportions need at least {least:,} rows; --rows asks for {rows:,}. "
            "Ask for more, or use --mode full."
        )
    return made


def mixed(counts: Ints, rng: np.random.Generator, *, block: int) -> Iterator[Ints]:
    """So many of each cell in an order of which all are as likely, `block` rows at a time: int64 (block,), the last may be shorter.

    The memory is that of one block: how many of each cell are in it is drawn first (multivariate hypergeometric), then their order.
    """
    left = counts.copy()
    while left.any():
        n = min(block, int(left.sum()))
        own = rng.multivariate_hypergeometric(left, n) if n < left.sum() else left
        yield np.repeat(np.arange(len(left)), own)[rng.permutation(n)]
        left = left - own


def _groups(cells: Cells, name: str | None) -> Ints:
    """Which cells share a level of a column, int64 (n_cells,); all in one group without a column."""
    if name is None:
        return np.zeros(len(cells.levels), dtype=np.int64)
    j = cells.names.index(name)
    return np.asarray(pd.factorize(np.array([own[j] for own in cells.levels], dtype=object))[0], dtype=np.int64)


def apportion(total: int, shares: Floats, groups: Ints) -> Ints:
    """Whole numbers that add up to `total`, int64 (n_cells,): each group within one of its share, then each cell within its group.

    >>> apportion(10, np.array([0.25, 0.25, 0.5]), np.array([0, 0, 1])).tolist()
    [3, 2, 5]
    """
    of_group = np.bincount(groups, weights=shares).astype(np.float64)
    sizes = _rounded(total * of_group, total)
    made = np.zeros(len(shares), dtype=np.int64)
    for group, size in enumerate(sizes):
        own = groups == group
        if of_group[group] > 0:
            made[own] = _rounded(shares[own] * (float(size) / float(of_group[group])), int(size))
    return made


def _rounded(exact: Floats, total: int) -> Ints:
    """Whole numbers that add up to `total` (largest remainders first, then the earlier one); Hamilton's method."""
    whole = np.floor(exact + 1e-6).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: max(total - int(whole.sum()), 0)]] += 1
    return whole


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
