"""What the codec says while a block of patients is drawn: which tokens are left, and at what time a drawn row lies. Knows no network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from manikin.codecs.base import Tokens
from manikin.codecs.records.base import Records
from manikin.codecs.records.clock import later
from manikin.codecs.records.codec import RecordsCodec
from manikin.codecs.records.held import Held

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


class CodecWalk:
    """One block of patients on their way; rows are their numbers within it.

    Parameters
    ----------
    static : int32 (n_patients, n_static_fields), drawn already.
    """

    def __init__(self, codec: RecordsCodec, static: Tokens, before: Records | None = None, held: Held | None = None) -> None:
        """`before` : events that the patients have already. `held` : tokens that fields have in every row."""
        layout = codec.layout.tables
        self.held = {(t, f): np.arange(layout[t].layout.fields[f].n_tokens) == token for (t, f), token in (held or {}).items()}
        self.clock, self.masks = codec.plan_.clock, codec.masks()
        self.progress = self.masks.begin(static) if before is None else self.masks.after(before)

    def tables(self, rows: Ints) -> Bools | None:
        """What may come next, bool (n_rows, n_tables + 1), the end last."""
        return self.masks.tables(self.progress, rows)

    def allowed(self, table: int, field: int, rows: Ints, tokens: Tokens) -> Bools | None:
        """Which tokens of a field are left beside the row's earlier ones, bool (n_rows, n_tokens)."""
        held = self.held.get((table, field))
        return self.masks.field(self.progress, rows, table, field, tokens) if held is None else held[None]

    def days(self, table: int, rows: Ints, tokens: Tokens) -> npt.NDArray[np.float64]:
        """Days since the anchor at which drawn rows lie, (n_rows,)."""
        gap, unit = self.masks.middles[table][tokens[:, 0]], self.masks.plan.events[table].unit
        return later(self.progress.ticks[rows], gap, unit).astype(np.float64) * self.clock.days_per_tick

    def add(self, table: int, rows: Ints, tokens: Tokens) -> None:
        """Takes note of drawn rows."""
        self.masks.advance(self.progress, rows, table, tokens)
