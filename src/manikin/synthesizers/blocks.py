"""Rows in fixed blocks, so that a sample is the same whatever the batch size asked for. Knows no model.

A block has its own stream of randomness and a fixed size; batches are cut out of the sequence of blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from manikin.data.dataset import Dataset, concat
from manikin.data.errors import BudgetError, FitError, ModelFolderError, ParameterError, parameter_error
from manikin.synthesizers import SYNTHESIZERS
from manikin.synthesizers.base import Arrays, Conditions, np

if TYPE_CHECKING:
    from manikin.codecs.base import Tokens
    from manikin.codecs.table import TableCodec

BLOCK = 2048

Draw = Callable[[int, int, int], Dataset]


def in_batches(draw: Draw, n: int, *, batch_size: int, block: int = BLOCK) -> Iterator[Dataset]:
    """Batches of `batch_size` rows (the last may be shorter; one empty batch when n is 0); patients of linked tables in whole blocks.

    Parameters
    ----------
    draw : (number of the block, first row, row after the last) -> a data set of these rows; called in this order.
    """
    if n == 0:
        yield draw(0, 0, 0)
        return
    waiting: list[Dataset] = []
    size = 0
    for number, start in enumerate(range(0, n, block)):
        waiting.append(draw(number, start, min(start + block, n)))
        size += len(waiting[-1])
        if size < batch_size:
            continue
        rows, whole = concat(waiting), size // batch_size * batch_size
        if rows.is_linked:
            yield rows
            waiting, size = [], 0
            continue
        for at in range(0, whole, batch_size):
            yield rows if size == batch_size else rows.take(np.arange(at, at + batch_size))
        waiting = [rows.take(np.arange(whole, size))] if size > whole else []
        size -= whole
    if size:
        yield concat(waiting)


def parted(arrays: Arrays, *parts: str) -> dict[str, Arrays]:
    """The arrays of a model folder by the part that stands before the first dot of their names, without it.

    >>> parted({"codec.levels": np.zeros(2)}, "codec", "network")
    {'codec': {'levels': array([0., 0.])}, 'network': {}}

    Raises
    ------
    ModelFolderError : an array of no such part.
    """
    found: dict[str, Arrays] = {part: {} for part in parts}
    for name, array in arrays.items():
        head, _, rest = name.partition(".")
        if head not in found:
            raise ModelFolderError(f"The array {name[:60]!r} of the model folder belongs to nothing. Save the model again.")
        found[head][rest] = array
    return found


def patients_of(size: int) -> int:
    """Patients of a block, a power of two from 256 to 4,096: the fewer, the more is kept of each of them.

    Parameters
    ----------
    size : most events of a record, or the codes that are remembered of each patient, if these are more.

    >>> patients_of(26), patients_of(700)
    (4096, 256)
    """
    return int(min(4096, max(256, 2 ** int(math.log2(131_072 / max(size, 1))))))


def rows_of(conditions: Conditions | None, start: int, stop: int) -> Conditions | None:
    """The conditions of rows start … stop - 1: a mapping holds for every row, a data set is cut."""
    return conditions.take(np.arange(start, stop)) if isinstance(conditions, Dataset) else conditions


def or_none(conditions: Conditions | None) -> Conditions | None:
    """An empty mapping asks for nothing, so it is no condition."""
    return None if isinstance(conditions, Mapping) and not conditions else conditions


def redrawn(codec: TableCodec, tokens: Tokens, rng: np.random.Generator) -> Tokens:
    """Tokens of real rows in which rare groups that have no text of their own are drawn anew from the column's others."""
    out = tokens.copy()
    for j in range(out.shape[1]):
        emitted = codec.emitted(j)
        held = np.flatnonzero(~emitted[out[:, j]])
        if len(held):
            weight = codec.counts_[j] * emitted
            weight = weight if weight.any() else emitted.astype(np.int64)
            out[held, j] = rng.choice(len(emitted), len(held), p=weight / weight.sum())
    return out


def check_request(owner: str, n: int, batch_size: int, conditions: Conditions | None) -> None:
    """Refuses a row number, a batch size or conditions that do not fit each other.

    Raises
    ------
    ParameterError : n below 0, batch_size below 1, or a data set of conditions with another number of rows than n.
    """
    if not isinstance(n, (int, np.integer)) or n < 0:
        raise parameter_error("n", f"{owner}.sample", "an int in [0, inf)", n)
    if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise parameter_error("batch_size", f"{owner}.sample_batches", "an int in [1, inf)", batch_size)
    if isinstance(conditions, Dataset) and len(conditions) != n:
        raise ParameterError(
            f"{n} rows were asked of {owner}.sample, but the conditions have {len(conditions)} rows. Give as many rows as conditions."
        )


def refuse_conditions(name: str, what_it_does: str, conditions: Conditions | None) -> None:
    """Refuses conditions by the name of a synthesizer whose rows are what they are.

    Raises
    ------
    ParameterError : conditions are given.
    """
    if or_none(conditions) is not None:
        is_linked = name in SYNTHESIZERS and SYNTHESIZERS[name].modality == "records"
        able = [key for key, entry in SYNTHESIZERS.items() if entry.modality == "records" and entry.some_conditions]
        whole, way_out = ("rows", "one that `manikin list synthesizers` marks as conditional, for example 'forest'")
        if is_linked:
            whole, way_out = "patients", f"one that can be given what a patient has: {', '.join(able)}"
        raise ParameterError(f"The synthesizer {name!r} {what_it_does} whole {whole} and takes no conditions. Choose {way_out}.")


def require_fitted(model: Any, attribute: str) -> None:
    """Refuses to sample from a model that has not learned.

    Raises
    ------
    FitError : `fit` was not called.
    """
    if not hasattr(model, attribute):
        raise FitError(f"This {type(model).__name__} has not learned anything yet. Call fit first, or load a saved model.")


def _way_out(name: str) -> str:
    """The generators of the same kind of data that learn under a ledger."""
    like = SYNTHESIZERS[name].modality if name in SYNTHESIZERS else None
    able = [other for other, entry in SYNTHESIZERS.items() if entry.private and like in (None, entry.modality)]
    return f"Choose one of {', '.join(able)}" if able else "No generator of such data can yet"


def refuse_ledger(name: str, ledger: Any | None, *, why: str = "nothing that it takes from the data is paid for") -> None:
    """Refuses a privacy ledger by the synthesizer's name, and says why.

    Raises
    ------
    BudgetError : a ledger is given.
    """
    if ledger is not None:
        raise BudgetError(
            f"The synthesizer {name!r} cannot learn under a privacy ledger: {why}. "
            f"{_way_out(name)}; without a ledger (--epsilon) it learns as it is."
        )
