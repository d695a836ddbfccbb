"""What a codec is: an invertible map between a data set and arrays, fitted under a ledger. Knows nothing of any model.

Tokens are the shared coin of the table codecs: every learned column becomes one integer column whose vocabulary starts with the
column's missing codes, so missingness is learned with the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.schema import Kind

Tokens = npt.NDArray[np.int32]
Allowed = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Field:
    """One field of an encoded column.

    Attributes
    ----------
    name : the field's name: the column's, or "column: part" where a column takes several fields.
    column : the column's name.
    kind : the column's kind.
    n_tokens : size of its vocabulary: missing codes, then levels or bins.
    n_missing : how many of these, from 0 up, are missing codes.
    is_ordered : whether tokens from n_missing up stand in a meaningful order (numbers, times, ordinal levels).
    positions : float32 (n_tokens,), where each token lies on the column's own scale, mapped to [-1, 1]; NaN for missing codes and for
        unordered levels. Networks may feed it beside the embedding, so that neighbouring bins share strength.
    values : float32 (n_tokens,), the standardised number a token stands for, within [-4, 4]; NaN likewise.
    coarser : int64 (n_tokens,) for each level of a public hierarchy above the tokens, the nearest first: tokens of one number are one
        there. Empty where tokens stand in none.
    """

    name: str
    column: str
    kind: Kind
    n_tokens: int
    n_missing: int
    is_ordered: bool
    positions: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]
    coarser: tuple[npt.NDArray[np.int64], ...] = ()


@dataclass(frozen=True)
class Layout:
    """The encoded fields in order."""

    fields: tuple[Field, ...]

    @property
    def sizes(self) -> list[int]:
        """Vocabulary size per column."""
        return [field.n_tokens for field in self.fields]

    @property
    def names(self) -> list[str]:
        """Column names."""
        return [field.name for field in self.fields]


class Codec(Protocol):
    """Dataset <-> arrays. decode(encode(x)) gives x back up to what the codec says that it merges (rare values, bins)."""

    @property
    def layout(self) -> Layout:
        """The encoded columns; defined after `fit`."""
        ...

    def fit(self, data: Dataset, *, ledger: Any | None = None) -> Codec:
        """Learns vocabularies and bounds. Under a ledger whatever is not declared public is bought or refused."""
        ...

    def encode(self, data: Dataset) -> Tokens:
        """Tokens, int32 (n_rows, n_columns). A value never seen gets its column's rare or nearest token."""
        ...

    def decode(self, tokens: Tokens, rng: np.random.Generator) -> Dataset:
        """A data set in the schema of the release; draws within bins come from `rng`."""
        ...

    def encode_partial(self, data: Dataset) -> tuple[Tokens, npt.NDArray[np.bool_]]:
        """Tokens of a data set that has only some of the columns, and which columns those are, bool (n_columns,)."""
        ...

    def emitted(self, column: int) -> Allowed:
        """Which tokens of a column may be generated, bool (n_tokens,): rare groups that have no releasable text may not."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Everything fitted, as JSON-able values and arrays; `from_state` of the class reads it back."""
        ...
