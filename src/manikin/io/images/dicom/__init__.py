"""The format "dicom": files of DICOM as images or as volumes of their series, and synthetic images as DICOM that says what it is."""

from manikin.io.images.dicom.reading import look, read
from manikin.io.images.dicom.writing import DicomWriter, write

__all__ = ["DicomWriter", "look", "read", "write"]
