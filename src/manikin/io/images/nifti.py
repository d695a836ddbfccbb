"""The format "nifti": volumes as .nii or .nii.gz, one file or a folder with labels.csv.

Axes are brought to the order of DICOM: depth from feet to head, rows from front to back, columns from the patient's right to her left, so
that a slice is shown as radiologists look at it. What a header declares is held against the file's size before a voxel is read.
"""

from __future__ import annotations

import gzip
import io
import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, MissingExtraError
from manikin.data.schema import ImageForm, Schema
from manikin.io.images.array_writing import stored_pixels
from manikin.io.images.files import Unreadable, quiet
from manikin.io.images.gathering import Decoded, Look, gathered
from manikin.io.images.labels import FILE, Rows, has_ending, of_files, rows_of
from manikin.io.images.picture_writing import PictureWriter
from manikin.io.images.pictures import schema_in
from manikin.io.images.pillow import NO_NUMBER
from manikin.io.images.provenance import Origin, program_version
from manikin.io.images.recognition import NIFTI
from manikin.io.images.sources import Pixels

GZIP = b"\x1f\x8b"
SIZES = {348: 1, 540: 2}  # of a header, by the version of the format
MAX_BYTES = 2 << 30  # of one volume in memory
MAX_EXPANSION = 500  # of packed volumes: mostly empty ones reach some hundred
FREE_BYTES = 64 << 20  # below this a high ratio harms nobody
MAX_OFFSET = 16 << 20  # where voxels may start: behind header and extensions
MM = {"meter": 1_000.0, "mm": 1.0, "micron": 0.001, "unknown": 1.0}
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
FIRST = "a fourth axis (time), of which the first volume is read"
SAID = {"SYNTHETIC": "SYNTHETIC, shows no patient; ", "TRANSLATED": "TRANSLATED by a program, not measured; "}  # in 80 bytes
SPLIT = "a fourth axis (time), each volume of which is a row"


def nibabel() -> Any:
    """The package nibabel.

    Raises
    ------
    MissingExtraError : it is not installed.
    """
    try:
        import nibabel as package
    except ModuleNotFoundError as error:
        raise MissingExtraError("NIfTI needs the package 'nibabel'. Install it with: pip install 'manikin[images]'") from error
    return package


def read(source: str | os.PathLike[str], *, schema: Schema | None = None, strict: bool = False, split_time: bool = False) -> Dataset:
    """The volumes of a folder, with what labels.csv says of them, or of one file.

    Parameters
    ----------
    source : one file, or a folder of .nii and .nii.gz files as `pictures.read` takes one of pictures: labels.csv, pairs, a folder a class.
    schema, strict : as in `pictures.read`.
    split_time : whether each volume of a file of four axes is a row (`scan.nii#2` is the second); the first alone is read otherwise.

    Raises
    ------
    DataError : no volume is left; the message names the file. SchemaError : the schema does not fit.
    MissingExtraError : nibabel is not installed.
    """
    return look(source, schema=schema, strict=strict, split_time=split_time).data


def look(
    source: str | os.PathLike[str], *, schema: Schema | None = None, strict: bool = False, split_time: bool = False
) -> Look:
    """What `read` gives, and each file that was passed over with its reason."""
    nibabel()
    place = Path(source)
    if place.is_file():
        folder, rows = place.parent, of_files([place.name])
    else:
        schema = schema if schema is not None else schema_in(place)
        folder, rows = place, rows_of(place, has_ending(*NIFTI), None if schema is None else schema.only)
    if split_time:
        rows = _split(folder, rows)
    known = None if schema is None else schema.only
    return gathered(rows, place, partial(_decoded, folder, split_time=split_time), schema=known, strict=strict, what="NIfTI volume")


def _split(folder: Path, rows: Rows) -> Rows:
    """The rows with one for each volume of a file; a file that cannot be read keeps its one row, and is passed over later."""
    if len(rows.columns) > 1:
        raise DataError("Volumes of four axes in pairs cannot be split. Save each volume as a file of its own.")
    places: list[int] = []
    names: list[str] = []
    column = rows.columns[0] if rows.columns else FILE
    for row, file in enumerate(rows.texts[column]):
        try:
            n = _n_volumes(_header(folder / file))
        except Unreadable:
            n = 1
        names += [file] if n == 1 else [f"{file}#{i + 1}" for i in range(n)]
        places += [row] * n
    texts = rows.texts.iloc[places].reset_index(drop=True)
    texts[column] = names
    return Rows(texts, rows.columns, rows.skipped, rows.notes)


def _n_volumes(header: Any) -> int:
    shape = tuple(int(side) for side in header.get_data_shape())
    return shape[3] if len(shape) > 3 else 1


def _header(path: Path) -> Any:
    """The header of a file, of which no more is unpacked than it needs.

    Raises
    ------
    Unreadable : it is no NIfTI file, or declares more than it can hold.
    """
    package = nibabel()
    try:
        with quiet():
            size = path.stat().st_size
            with path.open("rb") as raw:
                is_packed = raw.read(2) == GZIP
                raw.seek(0)
                head = (gzip.GzipFile(fileobj=raw) if is_packed else raw).read(540)
            known = {int.from_bytes(head[:4], order) for order in ("little", "big")}
            kind = next((version for length, version in SIZES.items() if length in known), None)
            magic = head[344:347] if kind == 1 else head[4:7]
            if kind is None or magic not in (b"n+1", b"n+2"):
                raise Unreadable("is no NIfTI file (.nii with its voxels in it)")
            form = package.Nifti1Header if kind == 1 else package.Nifti2Header
            header = form.from_fileobj(io.BytesIO(head[: 348 if kind == 1 else 540]))
            _check(header, size, is_packed=is_packed)
            return header
    except Unreadable:
        raise
    except FileNotFoundError:
        raise Unreadable("is not there") from None
    except Exception:  # foreign bytes: nibabel and gzip raise whatever a damaged head leads them to
        raise Unreadable("is damaged or cut short") from None


def _check(header: Any, size: int, *, is_packed: bool) -> None:
    """Refuses shapes that are no volumes, and voxels that are not there or would take too much memory."""
    shape = tuple(int(side) for side in header.get_data_shape())
    if not 2 <= len(shape) <= 5 or min(shape) < 1 or (len(shape) == 5 and shape[3:] != (1, 1)):
        raise Unreadable(f"has the shape {shape}, which is no volume")
    dtype = header.get_data_dtype()
    if dtype.kind not in "uif" and dtype.names is None:
        raise Unreadable(f"holds voxels of the type {dtype}, which are no numbers")
    declared = math.prod(shape) * dtype.itemsize
    offset = float(header["vox_offset"])
    if not 0 <= offset <= MAX_OFFSET:
        raise Unreadable("has its voxels too far behind its header")
    if not is_packed and size < offset + declared:
        raise Unreadable(f"declares {declared:,} bytes of voxels and holds {max(size - int(offset), 0):,}")
    if math.prod(shape[:3]) * max(dtype.itemsize, 4) > MAX_BYTES:
        raise Unreadable(f"declares a volume of more than {MAX_BYTES >> 30} GiB")
    if is_packed and declared > FREE_BYTES and declared > MAX_EXPANSION * size:
        raise Unreadable(f"declares {declared:,} bytes of voxels in a file of {size:,}")


def _decoded(folder: Path, cell: str, *, split_time: bool = False) -> Decoded:
    """The volume of a cell, (1 or 3, depth, height, width), or (…, height, width) of a file of one slice without depth."""
    file, _, number = cell.rpartition("#") if split_time and "#" in cell else (cell, "", "1")
    path = folder / file
    header = _header(path)
    try:
        with quiet():
            return _volume(path, int(number) - 1, is_split=split_time, n=_n_volumes(header))
    except (Unreadable, MissingExtraError):
        raise
    except Exception:  # foreign bytes
        raise Unreadable("is damaged or cut short") from None


def _volume(path: Path, place: int, *, is_split: bool, n: int) -> Decoded:
    package = nibabel()
    image = package.load(path)
    remarks: list[str] = []
    if n > 1:
        remarks.append(SPLIT if is_split else FIRST)
    if len(image.shape) > 3:
        image = image.slicer[:, :, :, place] if len(image.shape) == 4 else _without_axes(package, image)
    voxels = np.asanyarray(image.dataobj)
    flat = voxels.ndim == 2
    if flat:
        voxels = voxels[:, :, None]
    if not np.isfinite(image.affine).all():
        raise Unreadable("has an orientation that is no number")
    turned = package.orientations.io_orientation(image.affine)
    if np.isnan(turned).any():
        raise Unreadable("has an orientation that is none")
    to_lps = package.orientations.ornt_transform(turned, package.orientations.axcodes2ornt(("L", "P", "S")))
    spacing = _spacing(image.header, to_lps)
    laid = package.orientations.apply_orientation(voxels, to_lps).transpose(2, 1, 0)
    channels = np.stack([laid[name] for name in (laid.dtype.names or ())[:3]]) if laid.dtype.names else laid[None]
    if channels.dtype.kind == "f":
        channels = channels.astype(np.float32)
        if not np.isfinite(channels).all():
            channels = np.where(np.isfinite(channels), channels, np.float32(0))
            remarks.append(NO_NUMBER)
    channels = np.ascontiguousarray(channels.astype(channels.dtype.newbyteorder("="), copy=False))
    if flat:
        return Decoded(channels[:, 0], tuple(remarks), None if spacing is None else spacing[1:])
    return Decoded(channels, tuple(remarks), spacing)


def _without_axes(package: Any, image: Any) -> Any:
    """A file of five axes, the last two of which are one long, as one of three."""
    return package.Nifti1Image(np.asanyarray(image.dataobj)[..., 0, 0], image.affine, image.header)


def _spacing(header: Any, to_lps: Any) -> tuple[float, ...] | None:
    """mm between slices, rows and columns in the order of DICOM; None where the header has none."""
    zooms = [float(side) for side in header.get_zooms()[:3]]
    zooms += [1.0] * (3 - len(zooms))
    unit = MM.get(header.get_xyzt_units()[0], 1.0)
    if not all(math.isfinite(side) and side > 0 for side in zooms):
        return None
    placed = [0.0, 0.0, 0.0]
    for axis, (target, _) in enumerate(to_lps):
        placed[int(target)] = zooms[axis] * unit
    return tuple(float(f"{side:.6g}") for side in placed[::-1])


class NiftiWriter(PictureWriter):
    """Writes a folder of .nii.gz files with labels.csv in pieces of rows; it appears when the last one is in, not at all after an error.

    Each file has qform and sform (mm, from the form's spacing; 1 mm where it is unknown), and says in its description that it is synthetic.
    """

    endings: ClassVar[tuple[str, ...]] = NIFTI
    package = staticmethod(nibabel)

    def check(self, form: ImageForm, name: str) -> None:
        """Nothing is refused before it is seen: pictures are volumes of one slice."""

    def stored(self, pixels: Pixels, form: ImageForm, where: str) -> tuple[str, Callable[[Path], None]]:
        """The ending of a volume's file, and what writes it there."""
        if pixels.ndim not in (3, 4) or len(pixels) not in (1, 3):
            raise DataError(f"{where}: an image of the shape {tuple(pixels.shape)} has neither 1 nor 3 channels. Write .npz.")
        values = stored_pixels(pixels, form, where)
        if len(values) == 3 and values.dtype != np.uint8:
            raise DataError(f"{where}: colours beyond 0 to 255 have no type in NIfTI. Write .npz.")
        content = packed(values, form.spacing, self.texts)
        return ".nii.gz", partial(_put, content)


def _put(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def write(
    data: Dataset,
    target: str | os.PathLike[str],
    *,
    like: Any = None,
    force: bool = False,
    how: str = "",
    origin: Origin = Origin.SYNTHETIC,
) -> Path:
    """Writes volumes (and pictures, as volumes of one slice) as a folder of .nii.gz files with labels.csv; parameters as `pictures.write`.

    Raises
    ------
    DataError : the folder is there and `force` is not set, or an image does not fit the format; the message names its row.
    """
    with NiftiWriter(target, data.schema, like=like, force=force, how=how, origin=origin) as writer:
        writer.append(data)
    return Path(target)


def packed(values: Pixels, spacing: tuple[float, ...] | None, texts: dict[str, str]) -> bytes:
    """The bytes of a .nii.gz file of a volume (channels, depth, height, width) or picture (channels, height, width)."""
    package = nibabel()
    flat = values.ndim == 3
    volume = values[:, None] if flat else values
    if len(volume) == 3:
        coloured = np.empty(volume.shape[1:], dtype=RGB)
        for place, name in enumerate("RGB"):
            coloured[name] = volume[place]
        laid = coloured
    else:
        laid = volume[0]
    ras = laid.transpose(2, 1, 0)[::-1, ::-1]
    sides = (1.0, *spacing) if spacing is not None and len(spacing) == 2 else spacing or (1.0, 1.0, 1.0)
    affine = np.diag([*sides[::-1], 1.0])
    image = package.Nifti1Image(np.ascontiguousarray(ras[:, :, 0] if flat else ras), affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    if flat:
        image.header["pixdim"][3] = sides[0]
    said = next((words for mark, words in SAID.items() if texts.get("Description", "").startswith(mark)), "")
    image.header["descrip"] = f"{said}manikin {program_version()}".encode()[:79]
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)
