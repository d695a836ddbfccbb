"""Every format in which patients come and go: files of one table, folders of linked tables or images, what `interchange` lists.

None is imported. The module of a format of linked tables or of images has `read(source, *, schema=None) -> Dataset` and
`write(data, target, *, like=None, force=False)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from manikin.data.registry import Entry, Registry
from manikin.io import interchange
from manikin.io.images import recognition

FOLDER = "folder"  # any folder that no other format recognises


@dataclass(frozen=True)
class FormatEntry(Entry):
    """A format's line. `path` is that of its `read`.

    Attributes
    ----------
    modality : what it holds: "table", one flat table; "records", linked tables in a folder, a bundle or a database; "images" with labels.
    endings : of files that hold all of it.
    writer : "package.module:Name" of a context manager (target, schema, *, like=None, force=False) whose `append` takes pieces of patients.
    in_one_file : whether many images are written to one file, and not to a folder.
    """

    modality: str = "table"
    endings: tuple[str, ...] = ()
    writer: str = ""
    in_one_file: bool = False


FORMATS: Registry[FormatEntry] = Registry(
    "format",
    {
        "csv": FormatEntry(
            "manikin.io.tabular:read",
            "text with separators, read and written; separator, quoting, encoding, gzip are detected",
            endings=(".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz"),
        ),
        "parquet": FormatEntry(
            "manikin.io.tabular:read",
            "Apache Parquet, read and written; streams any number of rows",
            endings=(".parquet", ".pq"),
        ),
        FOLDER: FormatEntry(
            "manikin.io.linked:read",
            "a folder of linked tables, CSV or Parquet, with or without a schema.toml, read and written",
            modality="records",
            writer="manikin.io.linked.writing:FolderWriter",
        ),
        "images": FormatEntry(
            "manikin.io.images.pictures:read",
            "a folder of PNG, JPEG, TIFF or BMP files with labels.csv or a folder for each class, read; PNG or TIFF, written",
            "images",
            modality="images",
            writer="manikin.io.images.pictures:PictureWriter",
        ),
        "npz": FormatEntry(
            "manikin.io.images.arrays:read",
            "arrays of images and labels in one .npz file, MedMNIST's among them, or images as .npy, read and written",
            modality="images",
            endings=(".npz", ".npy"),
            in_one_file=True,
            writer="manikin.io.images.arrays:ArrayWriter",
        ),
        "dicom": FormatEntry(
            "manikin.io.images.dicom:read",
            "files of DICOM (CT, MR, X-ray, ultrasound, colour), read as images or volumes; synthetic ones written that say so",
            "images",
            modality="images",
            endings=(".dcm",),
            writer="manikin.io.images.dicom:DicomWriter",
        ),
        "nifti": FormatEntry(
            "manikin.io.images.nifti:read",
            "volumes as NIfTI (.nii, .nii.gz) with labels.csv, read and written with their spacing",
            "images",
            modality="images",
            endings=(".nii", ".nii.gz"),
            writer="manikin.io.images.nifti:NiftiWriter",
        ),
        **{
            name: FormatEntry(f"{known.path}:read", known.summary, known.extra, modality="records", writer=known.writer)
            for name, known in interchange.FORMATS.items()
        },
    },
    group="manikin.formats",
)


def format_of(place: Path | str) -> str | None:
    """The name of the format of what is at a path or URL; None for a file of an unknown ending, and a URL that nothing reads.

    A folder that no other format recognises, and one that is empty, is a "folder".

    >>> format_of("patients.csv.gz"), format_of("notes.docx")
    ('csv', None)
    """
    if not is_url(place):
        known = recognition.format_of(Path(place))
        if known in FORMATS:
            return known
    known = interchange.format_of(place)
    if known is not None or is_url(place):
        return known
    path = Path(place)
    if path.is_dir():
        return FOLDER
    found = [(len(ending), name) for name, one in FORMATS.items() for ending in one.endings if path.name.lower().endswith(ending)]
    return max(found)[1] if found else None


def is_url(place: Path | str) -> bool:
    """Whether it is the URL of a database, and no path."""
    return isinstance(place, str) and "://" in place


def module_of(name: str) -> Any:
    """The module of a format.

    Raises
    ------
    MissingExtraError : a package that it needs is not installed; the message names the extra.
    """
    FORMATS.load(name)
    return import_module(FORMATS[name].path.partition(":")[0])
