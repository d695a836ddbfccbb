"""The OMOP Common Data Model 5.4 (https://ohdsi.github.io/CommonDataModel/cdm54.html): folders of its tables, read and written."""

from __future__ import annotations

from manikin.io.omop.build import dataset_of, is_omop
from manikin.io.omop.folder import read, recognises, write

__all__ = ["dataset_of", "is_omop", "recognises", "read", "write"]
