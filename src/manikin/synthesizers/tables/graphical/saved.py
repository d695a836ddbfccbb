"""Checks of a saved graphical model: whatever is drawn from must be what a junction tree gives. Knows no data and no codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import ModelFolderError
from manikin.synthesizers.tables.graphical.drawing import Chain

Arrays = Mapping[str, npt.NDArray[Any]]
MOST_CELLS = 100_000_000  # of all tables together, 800 MB


def groups_from_arrays(arrays: Arrays, sizes: Sequence[int]) -> tuple[npt.NDArray[np.int64], ...]:
    """The group of each token, per column.

    Raises
    ------
    ModelFolderError : groups are missing, do not fit the column's tokens, or leave a number out.
    """
    out = []
    for j, size in enumerate(sizes):
        own = arrays.get(f"group{j}")
        if own is None or own.dtype != np.int64 or own.shape != (size,) or size < 1:
            raise _refusal(f"group{j}")
        if own.min() < 0 or own.max() >= size or len(np.unique(own)) != own.max() + 1:
            raise _refusal(f"group{j}")
        out.append(own)
    return tuple(out)


def chain_from_state(values: Mapping[str, Any], arrays: Arrays, sizes: Sequence[int]) -> Chain:
    """The conditional tables, in the order in which they are drawn.

    Raises
    ------
    ModelFolderError : the order is none of the columns, parents come after their children or belong to no clique, or a table is not of
        chances that add up to 1.
    """
    order, parents = values["order"], values["parents"]
    if not _is_whole(order) or sorted(order) != list(range(len(sizes))):
        raise _refusal("order")
    if not isinstance(parents, list) or len(parents) != len(order):
        raise _refusal("parents")
    place = {column: k for k, column in enumerate(order)}
    n_cells, tables = 0, []
    for k, own in enumerate(parents):
        if not _is_whole(own) or len(set(own)) != len(own) or any(place.get(column, k) >= k for column in own):
            raise _refusal("parents")
        last = max((place[column] for column in own), default=-1)
        if last >= 0 and not set(own) - {order[last]} <= set(parents[last]):
            raise _refusal("parents")
        shape = [sizes[column] for column in (*own, order[k])]
        n_cells += prod(shape)
        if n_cells > MOST_CELLS:
            raise ModelFolderError(f"The model has more than {MOST_CELLS:,} cells. Fit again with a smaller max_cells.")
        tables.append(_table(arrays.get(f"table{k}"), shape, k))
    return Chain(tuple(order), tuple(map(tuple, parents)), tuple(tables))


def _table(array: npt.NDArray[Any] | None, shape: Sequence[int], k: int) -> npt.NDArray[np.float64]:
    if array is None or array.dtype != np.float64 or array.shape != tuple(shape) or not (array > 0).all():
        raise _refusal(f"table{k}")
    if not np.allclose(array.sum(axis=-1), 1.0, atol=1e-6):
        raise _refusal(f"table{k}")
    return array


def _is_whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int for value in values)


def _refusal(name: str) -> ModelFolderError:
    return ModelFolderError(f"The graphical model's {name!r} does not fit the rest of the model folder. Save the model again.")
