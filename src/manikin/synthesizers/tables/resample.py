"""Real rows drawn again, with replacement: the ceiling of likeness and the floor of privacy. Knows nothing; it copies.

Evaluation is calibrated with it: whatever calls these rows safe is no measure of privacy. It keeps the training rows, says so in the
registry, and its rows are never a release.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from manikin.codecs.table import TableCodec
from manikin.data.dataset import Dataset, concat
from manikin.data.errors import ModelFolderError
from manikin.data.seeds import generator
from manikin.synthesizers.base import Arrays, Conditions, State, np
from manikin.synthesizers.blocks import check_request, in_batches, redrawn, refuse_conditions, refuse_ledger, require_fitted


@dataclass(kw_only=True)
class Resample:
    """Reference floor of privacy: a bootstrap of the training rows, through the codec (so identifiers and rare values stay out).

    >>> Resample()
    Resample()
    """

    codec_: TableCodec = field(init=False, repr=False)
    rows_: Any = field(init=False, repr=False)

    def fit(self, data: Dataset, *, seed: int, ledger: Any | None = None) -> Self:  # noqa: ARG002 (the protocol's)
        """Keeps the rows as tokens; `seed` changes nothing.

        Raises
        ------
        BudgetError : a ledger is given. FitError : there is nothing to keep.
        """
        refuse_ledger("resample", ledger)
        self.codec_ = TableCodec().fit(data)
        self.rows_ = self.codec_.encode(data)
        return self

    def sample(self, n: int, *, seed: int, conditions: Conditions | None = None) -> Dataset:
        """`n` rows of the training table, drawn with replacement.

        Raises
        ------
        ParameterError : conditions are given; the rows are what they are.
        """
        return concat(list(self.sample_batches(n, seed=seed, conditions=conditions)))

    def sample_batches(
        self, n: int, *, seed: int, conditions: Conditions | None = None, batch_size: int = 65_536
    ) -> Iterator[Dataset]:
        """The rows of `sample` in batches."""
        require_fitted(self, "codec_")
        refuse_conditions("resample", "draws", conditions)
        check_request("Resample", n, batch_size, None)

        def draw(number: int, start: int, stop: int) -> Dataset:
            """The rows of one block, from its own stream of randomness."""
            rng = generator(seed, "resample", number)
            tokens = redrawn(self.codec_, self.rows_[rng.integers(0, len(self.rows_), stop - start)], rng)
            return self.codec_.decode(tokens, rng, first_key=start + 1)

        return in_batches(draw, n, batch_size=batch_size)

    def state(self) -> State:
        """Everything fitted, the rows among it."""
        values, arrays = self.codec_.state()
        return {"codec": values}, {f"codec.{name}": array for name, array in arrays.items()} | {"rows": self.rows_}

    def restore(self, values: dict[str, Any], arrays: Arrays) -> Self:
        """Takes fitted state back."""
        own = {name.removeprefix("codec."): array for name, array in arrays.items() if name.startswith("codec.")}
        self.codec_ = TableCodec.from_state(values["codec"], own)
        rows, sizes = arrays["rows"], self.codec_.layout.sizes
        is_fit = rows.dtype == np.int32 and rows.ndim == 2 and len(rows) > 0 and rows.shape[1] == len(sizes)
        if not is_fit or (rows < 0).any() or (rows >= np.array(sizes)).any():
            raise ModelFolderError("The array 'rows' does not fit the model's columns. Save the model again.")
        self.rows_ = rows
        return self
