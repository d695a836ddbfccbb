"""De-identification of DICOM files: headers by the profile of PS3.15 Annex E, text in pixels and faces flagged, leftovers looked for."""

from manikin.io.images.deid.folder import Deidentified, deidentify
from manikin.io.images.deid.profile import KEEP

__all__ = ["KEEP", "Deidentified", "deidentify"]
