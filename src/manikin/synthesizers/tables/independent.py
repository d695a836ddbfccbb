"""Every column drawn by itself from its own frequencies: the floor that any generator must beat. Knows no dependence between columns.

Conditions are kept, and change nothing else, for there is nothing that they could change; so what evaluation gains over this floor is
what a generator learned about columns together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import ModelFolderError
from manikin.data.seeds import generator
from manikin.privacy import mechanisms
from manikin.privacy.ledger import Ledger
from manikin.synthesizers.base import Arrays, Conditions, State, np
from manikin.synthesizers.blocks import check_request, in_batches, or_none, require_fitted, rows_of


@dataclass(kw_only=True)
class Independent:
    """Reference floor: columns without dependence. Its rows are never a release.

    >>> Independent()
    Independent()
    """

    codec_: TableCodec = field(init=False, repr=False)
    frequencies_: tuple[Any, ...] = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Ledger | None = None) -> Self:  # noqa: ARG002 (the protocol's)
        """Counts the tokens of every column; `seed` changes nothing. Under a ledger all of it is spent on these counts.

        Raises
        ------
        BudgetError : the ledger does not allow it. FitError : there is nothing to learn.
        """
        if ledger is None:
            self.codec_ = TableCodec().fit(data)
        else:
            self.codec_ = TableCodec().fit(mechanisms.seal(data, ledger), ledger=ledger, share=1.0)
        self.frequencies_ = self.codec_.counts_
        return self

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` rows; given cells are kept to the digit."""
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The rows of `sample` in batches."""
        require_fitted(self, "codec_")
        check_request("Independent", n, batch_size, conditions)
        conditions = or_none(conditions)

        def draw(number: int, start: int, stop: int) -> Dataset:
            return self._draw(generator(seed, "independent", number), start, stop, rows_of(conditions, start, stop))

        return in_batches(draw, n, batch_size=batch_size)

    def _draw(self, rng: np.random.Generator, start: int, stop: int, conditions: Conditions | None) -> Dataset:
        n = stop - start
        tokens, given = self.codec_.encode_conditions(conditions, n)
        cells, allowed = np.broadcast_to(given, tokens.shape).copy(), self.codec_.allowed_given(conditions, n)
        for j, counts in enumerate(self.frequencies_):
            free = ~cells[:, j]
            weight = np.broadcast_to(counts * self.codec_.emitted(j), (n, len(counts))).astype(float)
            mask = allowed(j, tokens, np.all(cells, axis=0))
            if mask is not None:
                left = weight * mask
                weight = np.where(left.any(axis=1, keepdims=True), left, weight)
            tokens[free, j] = _draw_tokens(weight[free], rng)
            cells[:, j] = True
        return self.codec_.decode(tokens, rng, first_key=start + 1, conditions=conditions)

    def state(self) -> State:
        """Everything fitted."""
        values, arrays = self.codec_.state()
        codec = {f"codec.{name}": array for name, array in arrays.items()}
        return {"codec": values}, codec | {f"frequencies{j}": counts for j, counts in enumerate(self.frequencies_)}

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back."""
        own = {name.removeprefix("codec."): array for name, array in arrays.items() if name.startswith("codec.")}
        self.codec_ = TableCodec.from_state(values["codec"], own)
        self.frequencies_ = tuple(arrays[f"frequencies{j}"] for j in range(len(self.codec_.layout.fields)))
        for j, (counts, size) in enumerate(zip(self.frequencies_, self.codec_.layout.sizes, strict=True)):
            if counts.dtype != np.int64 or counts.shape != (size,) or (counts < 0).any():
                raise ModelFolderError(f"The array 'frequencies{j}' does not fit the model's column. Save the model again.")
        return self


def _draw_tokens(weight: Any, rng: np.random.Generator) -> Any:
    """One token per row by its weights (n_rows, n_tokens)."""
    sums = np.cumsum(weight, axis=1)
    return (sums < rng.random(len(sums))[:, None] * sums[:, -1:]).sum(axis=1)
