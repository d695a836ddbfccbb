"""Cells that are known in place of decoded ones, row by row. Knows no plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.codecs.records.sequence import Rows
from manikin.data.dataset import Marks, Table


def overlaid(drawn: Table, known: Table, to: Rows, of: Rows, names: list[str]) -> Table:
    """A table whose rows `to` hold the cells of the rows `of` of another one, in some columns."""
    frame, marks = drawn.frame.copy(), dict(drawn.marks)
    place = np.full(len(frame), -1, dtype=np.int64)
    place[to] = of
    for name in names:
        frame[name] = _cells(frame[name], known.frame[name], place)
        mark = drawn.mark(name).copy()
        mark[to] = known.mark(name)[of]
        marks[name] = mark
    return Table(frame, cast(Mapping[str, Marks], {name: mark for name, mark in marks.items() if mark.any()}))


def _cells(drawn: pd.Series, known: pd.Series, place: npt.NDArray[np.int64]) -> pd.Series:
    if isinstance(drawn.dtype, pd.CategoricalDtype):
        levels = pd.Index(drawn.cat.categories.astype(object)).append(pd.Index(known.cat.categories.astype(object))).unique()
        codes = np.append(drawn.cat.set_categories(levels).cat.codes, np.int64(0))[:-1].astype(np.int64)
        theirs = known.cat.set_categories(levels).cat.codes.to_numpy().astype(np.int64)
        codes[place >= 0] = theirs[place[place >= 0]]
        return pd.Series(pd.Categorical.from_codes(codes, dtype=pd.CategoricalDtype(levels)), index=drawn.index)
    out = drawn.to_numpy().copy()
    out[place >= 0] = known.to_numpy()[place[place >= 0]]
    return pd.Series(out, index=drawn.index)
