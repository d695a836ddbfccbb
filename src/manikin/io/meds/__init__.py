"""MEDS, the Medical Event Data Standard 0.4: events of subjects in Parquet, read and written."""

from __future__ import annotations

from manikin.io.meds.form import recognises
from manikin.io.meds.reading import read
from manikin.io.meds.writing import MedsWriter, write

__all__ = ["MedsWriter", "read", "recognises", "write"]
