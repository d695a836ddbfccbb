"""The OMOP Common Data Model 5.4 (https://ohdsi.github.io/CommonDataModel/cdm54.html): folders of its tables, read and written."""

from __future__ import annotations

from manikin.io.omop.build import completed_tables, dataset_of, is_omop, is_omop_data
from manikin.io.omop.folder import read, recognises
from manikin.io.omop.writing import OmopWriter, write

__all__ = ["OmopWriter", "completed_tables", "dataset_of", "is_omop", "is_omop_data", "recognises", "read", "write"]
