"""Folders of linked tables: read with the keys, forms and times that bind them, looked at, and written back as they came."""

from __future__ import annotations

from manikin.io.linked.reading import Look, look, read
from manikin.io.linked.writing import FolderWriter, Like, file_names, layout_of, unlinked, write

__all__ = ["FolderWriter", "Like", "Look", "file_names", "layout_of", "look", "read", "unlinked", "write"]
