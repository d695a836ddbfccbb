"""What the weights of a saved any-order network must look like. Knows sizes and names, and allocates nothing.

A model folder says how large its networks are. Before any is built, every size is bounded and every array that the sizes ask for is
found among those that are really there; so a small folder cannot ask for much memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from manikin.data.errors import ModelFolderError
from manikin.synthesizers.base import Arrays
from manikin.training.networks.any_order import Shape, TokenColumn, _embedding_width, _size_groups

MOST_NETWORKS = 64
MOST_UNITS = 4096  # hidden units of one column
MOST_BLOCKS = 16
MOST_COSINES = 32
LARGEST_EMBED_SCALE = 64.0


def checked_shape(values: Any) -> Shape:
    """The network's size as saved, each part within its bounds.

    Raises
    ------
    ModelFolderError : a part is missing, unknown, or out of its bounds.
    """
    bounds = {"embed_scale": LARGEST_EMBED_SCALE, "blocks": MOST_BLOCKS, "basis_in": MOST_COSINES, "basis_out": MOST_COSINES}
    types = {f.name: type(f.default) for f in fields(Shape)}
    if not isinstance(values, dict) or set(values) != set(types):
        raise _refusal("'shape' does not have the parts that it must have")
    for name, value in values.items():
        is_whole = types[name] is int
        if isinstance(value, bool) or not isinstance(value, int if is_whole else (int, float)):
            raise _refusal(f"'shape.{name}' is no number of its kind")
        if not 0 <= value <= bounds.get(name, 1):
            raise _refusal(f"'shape.{name}' is not within [0, {bounds.get(name, 1)}]")
    return Shape(**values)


def checked_widths(values: Any, n_columns: int) -> list[int]:
    """Hidden units per column as saved.

    Raises
    ------
    ModelFolderError : they are not one whole number in [1, 4096] per column.
    """
    if not isinstance(values, list) or len(values) != n_columns:
        raise _refusal(f"'widths' does not have one number for each of the {n_columns} encoded columns")
    if any(type(width) is not int or not 1 <= width <= MOST_UNITS for width in values):
        raise _refusal(f"'widths' has something else than whole numbers within [1, {MOST_UNITS}]")
    return values


def checked_networks(values: Any, columns: Sequence[TokenColumn], shape: Shape, arrays: Arrays) -> list[Arrays]:
    """The weights of each network, by the names the network has for them.

    Parameters
    ----------
    values : how many networks there are, as saved.
    arrays : those of the folder whose names start with "network".

    Raises
    ------
    ModelFolderError : the number is out of its bounds, or an array is missing, left over, not finite, or of another shape or type.
    """
    if type(values) is not int or not 1 <= values <= MOST_NETWORKS:
        raise _refusal(f"'n_networks' is no whole number within [1, {MOST_NETWORKS}]")
    wanted = expected_shapes(columns, shape)
    names = {f"network{m}.{name}" for m in range(values) for name in wanted}
    for name in sorted(names.symmetric_difference(arrays)):
        raise _refusal(f"the array {name[:60]!r} is {'missing' if name in names else 'left over'}")
    for m in range(values):
        for own, expected in wanted.items():
            name = f"network{m}.{own}"
            if arrays[name].shape != expected:
                raise _refusal(f"the array {name!r} is of shape {arrays[name].shape}, where {expected} is asked for")
            if arrays[name].dtype != np.float32 or not np.isfinite(arrays[name]).all():
                raise _refusal(f"the array {name!r} has something else than finite numbers of type float32")
    return [{own: arrays[f"network{m}.{own}"] for own in wanted} for m in range(values)]


def expected_shapes(columns: Sequence[TokenColumn], shape: Shape) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter that an `AnyOrderNet` of these columns has."""
    embedding = [_embedding_width(column, shape.embed_scale) for column in columns]
    groups = _size_groups(columns)
    n_hidden = sum(column.width for column in columns)
    made: dict[str, tuple[int, ...]] = {"first": (sum(embedding), n_hidden), "first_bias": (n_hidden,)}
    for j, (column, width) in enumerate(zip(columns, embedding, strict=True)):
        made[f"embed.{j}"] = (column.n_tokens, width)
        made[f"project.{j}"] = (shape.basis_in + 2 if column.is_ordered else 0, width)
    for g, group in enumerate(groups):
        n, width, size = len(group), columns[group[0]].width, max(columns[j].n_tokens for j in group)
        for b in range(g * shape.blocks, (g + 1) * shape.blocks):
            made |= {
                f"w1.{b}": (n, width, width),
                f"w2.{b}": (n, width, width),
                f"b1.{b}": (n, 1, width),
                f"b2.{b}": (n, 1, width),
            }
        made[f"head.{g}"] = (n, width, size)
        made[f"head_basis.{g}"] = (n, width, shape.basis_out + 2)
        made[f"head_bias.{g}"] = (n, 1, size)
    return made


def _refusal(why: str) -> ModelFolderError:
    return ModelFolderError(f"The weights of the model folder do not fit its config.json: {why}. Save the model again.")
