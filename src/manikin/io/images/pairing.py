"""Which image of one folder shows the same as which of another: by their names, or in DICOM by patient and slice. Decodes none."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from manikin.data.errors import DataError
from manikin.io.images.files import PICTURES, SHOWN, ending, walk
from manikin.io.images.recognition import NIFTI, format_of

PATIENT_AND_PLACE, PATIENT_AND_NUMBER, NAME, PATIENT = (
    "patient and place of the slice",
    "patient and number of the slice",
    "file name",
    "patient",
)
FOLDER = "folder name"


@dataclass(frozen=True)
class Candidate:
    """One image of a folder, or one series of it.

    Attributes
    ----------
    file : relative path with "/"; of a series its first file. keys : by the way of pairing, what its partner has too.
    patient : of whom it is; "" where that is not known. size : pixels along each axis, where a header says it.
    """

    file: str
    keys: Mapping[str, tuple[object, ...]]
    patient: str = ""
    size: tuple[int, ...] = ()


@dataclass(frozen=True)
class Pairs:
    """Pairs of two folders.

    Attributes
    ----------
    root : the folder that holds both. columns : what source and target are called. rows : paths inside root; "" where one has no partner.
    by : how partners were found, in words.
    """

    root: Path
    columns: tuple[str, str]
    rows: tuple[tuple[str, str], ...]
    by: str

    @property
    def n_paired(self) -> int:
        """Rows with both."""
        return sum(bool(a and b) for a, b in self.rows)


def pairs_of(source: str | os.PathLike[str], target: str | os.PathLike[str], *, as_volumes: bool = False) -> Pairs:
    """The images of two folders, side by side; those without a partner come last.

    Partners have the same path inside their folders (without the ending), or are DICOM slices of one patient at the same place (0.1 mm) or
    of the same number; of volumes, the only series of one patient in each. The way that finds most partners is taken.

    Parameters
    ----------
    as_volumes : whether a DICOM series is one image.

    Raises
    ------
    DataError : a folder holds no images or others than its partner, nothing has a partner, or partners differ in size.
    MissingExtraError : pydicom is not installed.
    """
    places = [Path(one) for one in (source, target)]
    kinds = [_kind(place) for place in places]
    if kinds[0] != kinds[1]:
        raise DataError(f"{places[0]} holds {kinds[0]} and {places[1]} {kinds[1]}. Bring both in one format.")
    root, columns = _root(places), _names(places)
    sides = [_candidates(place, kinds[0], as_volumes=as_volumes) for place in places]
    for place, side in zip(places, sides, strict=True):
        if not side:
            raise DataError(f"{place} holds no image that can be used. Check the path.")
    way, joined = _joined(sides[0], sides[1])
    if not joined:
        raise DataError(
            f"No image of {places[0]} has its partner in {places[1]} by {_ways(sides)}. Give partners the same name, or write their "
            "files side by side into a labels.csv."
        )
    _check_sizes(joined, places)
    used = ({a.file for a, _ in joined}, {b.file for _, b in joined})
    starts = [place.resolve().relative_to(root).as_posix() for place in places]
    rows = [(f"{starts[0]}/{a.file}", f"{starts[1]}/{b.file}") for a, b in joined]
    rows += [(f"{starts[0]}/{one.file}", "") for one in sides[0] if one.file not in used[0]]
    rows += [("", f"{starts[1]}/{one.file}") for one in sides[1] if one.file not in used[1]]
    return Pairs(root, columns, tuple(rows), way)


def _kind(place: Path) -> str:
    if not place.is_dir():
        raise DataError(f"There is no folder {place}. Check the path.")
    kind = format_of(place)
    if kind is None or kind == "npz":
        raise DataError(f"{place} holds no images in files of their own. Give a folder of pictures, DICOM or NIfTI.")
    return kind


def _root(places: Sequence[Path]) -> Path:
    """The folder that holds both."""
    real = [place.resolve() for place in places]
    root = Path(os.path.commonpath([str(one) for one in real]))
    if root in real:
        raise DataError(f"{places[0]} and {places[1]} must be two folders, neither inside the other. Move one.")
    if len(root.parts) < 2:
        raise DataError(f"{places[0]} and {places[1]} lie in no folder together. Move them into one.")
    return root


def _names(places: Sequence[Path]) -> tuple[str, str]:
    names = [place.resolve().name for place in places]
    return (names[0], names[1]) if names[0] != names[1] else ("source", "target")


def _candidates(place: Path, kind: str, *, as_volumes: bool) -> list[Candidate]:
    if kind == "dicom":
        return _of_dicom(place, as_volumes=as_volumes)
    names, _ = walk(place)
    endings = NIFTI if kind == "nifti" else PICTURES
    return [Candidate(name, {NAME: _stem(name)}) for name in names if ending(name) in endings]


def _stem(name: str) -> tuple[object, ...]:
    return (name[: -len(ending(name))] if ending(name) else name,)


def _of_dicom(place: Path, *, as_volumes: bool) -> list[Candidate]:
    from manikin.io.images.dicom.headers import PATIENT as PATIENT_ID
    from manikin.io.images.dicom.items import volumes_of
    from manikin.io.images.dicom.reading import files_in, headers_of

    headers, bad = headers_of(place, files_in(place))
    if bad:
        shown = "; ".join(str(one) for one in bad[:SHOWN])
        raise DataError(f"{len(bad):,} files in {place} cannot be used: {shown}. Mend or remove them.")
    found = []
    if as_volumes:
        for item in volumes_of(headers):
            who = item.header.attributes.get(PATIENT_ID, "")
            keys: dict[str, tuple[object, ...]] = {FOLDER: (PurePosixPath(item.name).parent.as_posix(),)}
            found.append(Candidate(item.name, keys | ({PATIENT: (who,)} if who else {}), who, (len(item.frames), *item.header.like[:2])))
        return found
    for header in headers:
        who = header.attributes.get(PATIENT_ID, "")
        keys = {NAME: _stem(header.file)}
        if who and header.position is not None:
            keys[PATIENT_AND_PLACE] = (who, round(header.position, 1), header.like[3])
        if who and header.number:
            keys[PATIENT_AND_NUMBER] = (who, header.number)
        found.append(Candidate(header.file, keys, who, (header.n_frames, *header.like[:2])))
    return found


def _joined(left: Sequence[Candidate], right: Sequence[Candidate]) -> tuple[str, list[tuple[Candidate, Candidate]]]:
    """The way that finds most partners, and them; a key that two images of a side have finds none."""
    best: tuple[str, list[tuple[Candidate, Candidate]]] = ("", [])
    for way in (NAME, FOLDER, PATIENT_AND_PLACE, PATIENT_AND_NUMBER, PATIENT):
        a, b = _by(left, way), _by(right, way)
        found = [(one, b[key]) for key, one in a.items() if key in b and _may_be_one(one.patient, b[key].patient)]
        if len(found) > len(best[1]):
            best = (way, found)
    return best


def _by(side: Sequence[Candidate], way: str) -> dict[tuple[object, ...], Candidate]:
    counts = Counter(one.keys[way] for one in side if way in one.keys)
    return {one.keys[way]: one for one in side if way in one.keys and counts[one.keys[way]] == 1}


def _may_be_one(first: str, second: str) -> bool:
    return not first or not second or first == second


def _ways(sides: Sequence[Sequence[Candidate]]) -> str:
    ways = list(dict.fromkeys(way for side in sides for one in side for way in one.keys))
    return " or ".join(ways)


def _check_sizes(joined: Sequence[tuple[Candidate, Candidate]], places: Sequence[Path]) -> None:
    odd = [(a, b) for a, b in joined if a.size and b.size and a.size != b.size]
    if not odd:
        return
    a, b = odd[0]
    raise DataError(
        f"{places[0] / a.file} is {_size(a)} and its partner {places[1] / b.file} is {_size(b)} ({len(odd):,} such). Pairs must show the "
        "same pixel by pixel: bring both to one grid first."
    )


def _size(one: Candidate) -> str:
    return " x ".join(map(str, one.size[1:] if one.size[0] == 1 else one.size))
