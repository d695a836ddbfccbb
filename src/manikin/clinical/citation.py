"""Where a clinical constant comes from. Knows no constants."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Citation:
    """A source that a reader can open: who, what, when, and an identifier (DOI, ISBN, URL)."""

    authors: str
    title: str
    year: int
    identifier: str
