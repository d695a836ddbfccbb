"""Folders of linked tables: read with the keys, forms and times that bind them, looked at, and written back as they came."""

from __future__ import annotations

from manikin.io.linked.reading import Look, look, read

__all__ = ["Look", "look", "read"]
