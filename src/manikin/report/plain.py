"""How one metric is told in plain words: what its figure means and how it is written. Knows no metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Style = Literal["score", "percent", "count"]


@dataclass(frozen=True)
class Plain:
    """How one metric is told.

    Attributes
    ----------
    meaning : what the figure says, one or two sentences.
    low, high : the ends of its scale; None where the figures themselves set it.
    low_text, high_text : what the ends mean.
    style : "score" (three decimals), "percent" or "count".
    """

    meaning: str
    low: float | None = 0.0
    high: float | None = 1.0
    low_text: str = ""
    high_text: str = ""
    style: Style = "score"

    @property
    def zooms(self) -> bool:
        """Whether the scale may begin above 0 when all figures are near 1; a rate of leaks never does."""
        return self.low == 0.0 and self.high == 1.0
