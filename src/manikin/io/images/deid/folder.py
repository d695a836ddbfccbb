"""A folder of DICOM files without what identifies, in a new folder with new names; flagged files apart, what was done in CSV and words."""

from __future__ import annotations

import csv
import io
import shutil
import warnings
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manikin.data.errors import DataError, ParameterError
from manikin.io.images.deid.header import Done, deidentify_header, leftovers, patient_of
from manikin.io.images.deid.looks import faces, texts
from manikin.io.images.deid.profile import CITATION, KEEP
from manikin.io.images.deid.secret import Secret
from manikin.io.images.dicom.files import dicom, distrusted, opened, refuse_bomb, refuse_no_image, value
from manikin.io.images.dicom.pixels import frame_of
from manikin.io.images.files import Skipped, Unreadable, ending, refuse_none, refuse_skipped, walk
from manikin.io.images.recognition import DICOM
from manikin.io.publishing import beside, publish, refuse_taken

FILES, FLAGGED = "files", "flagged"
CHANGES, FLAGS, WORDS = "changes.csv", "flagged.csv", "README.txt"
OWN = (CHANGES, FLAGS, WORDS)


@dataclass
class Deidentified:
    """What was done to a folder.

    Attributes
    ----------
    n_files, n_patients : written, flagged ones included. flagged : new name and reason. skipped : original name and reason, which stays
        where the originals are. changes : files by (keyword, what was done). kept : files by keyword of what stays and is text.
    """

    out: Path
    n_files: int = 0
    patients: set[str] = field(default_factory=set)
    flagged: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)

    @property
    def n_patients(self) -> int:
        """Patients whose files were written."""
        return len(self.patients)


def deidentify(
    source: Path, out: Path, secret: Secret, *, keep: Collection[str] = (), force: bool = False, strict: bool = False
) -> Deidentified:
    """Writes the images of a folder without what identifies.

    Files go to `files/PSEUDONYM/SERIES/NUMBER.dcm`; those that a person should look at first to `flagged/…`. Each is read again, and looked
    through for the values that were taken out of it.

    Parameters
    ----------
    keep : names of options (`profile.KEEP`). strict : whether a file that cannot be used is an error.

    Raises
    ------
    DataError : no DICOM image is there, or the target is taken. ParameterError : an option is unknown.
    """
    unknown = [name for name in keep if name not in KEEP]
    if unknown:
        raise ParameterError(f"There is nothing called {unknown[0]!r} to keep. Choose from {', '.join(KEEP)}.")
    dicom()
    refuse_taken(out, lambda path: path.name in OWN or ending(path.name) in DICOM, "DICOM files", force=force)
    is_file = source.is_file()
    names, skipped = ([source.name], list[Skipped]()) if is_file else walk(source)
    source = source.parent if is_file else source
    if not is_file and out.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{out} lies inside the folder that is read. Choose a place outside of it.")
    done = Deidentified(out, skipped=skipped)
    built = beside(out)
    built.mkdir()
    try:
        numbers: Counter[str] = Counter()
        for name in names:
            if ending(name) in (".csv", ".toml", ".txt", ".md", ".json"):
                continue
            try:
                _one(source / name, built, secret, frozenset(keep), done, numbers)
            except Unreadable as error:
                done.skipped.append(Skipped(name, str(error)))
        if strict:
            refuse_skipped(done.skipped, source)
        if not done.n_files:
            raise refuse_none(done.skipped, source, "DICOM image")
        _write_reports(built, done, frozenset(keep))
        publish(built, out)
    except OSError as error:  # of reading, none comes out of `_made`
        raise DataError(f"{out} cannot be written: {error.strerror or 'unknown reason'}. Check its disk and permissions.") from None
    finally:
        shutil.rmtree(built, ignore_errors=True)
    return done


def _one(path: Path, built: Path, secret: Secret, keep: frozenset[str], done: Deidentified, numbers: Counter[str]) -> None:
    """Writes a file once all is known of it: nothing of a file that cannot be used is left behind."""
    raw, pseudonym, series, why, made = _made(path, secret, keep)
    place = f"{pseudonym}/{series}"
    numbers[place] += 1
    name = f"{place}/{numbers[place]:05d}.dcm"
    target = built / (FLAGGED if why else FILES) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(raw)
    done.n_files += 1
    done.patients.add(pseudonym)
    done.flagged += [(f"{FLAGGED}/{name}", reason) for reason in why]
    done.changes.update(set(made.counts))
    done.kept.update(made.kept)


@distrusted("could not be de-identified")
def _made(path: Path, secret: Secret, keep: frozenset[str]) -> tuple[memoryview, str, str, list[str], Done]:
    """A file's new bytes, its patient and series as they are now called, why a person should look at it, and what was done."""
    data = opened(path)
    refuse_no_image(data)
    refuse_bomb(data, path)
    with_face = faces(data)
    why = [*texts(data, _pixels(data)), *with_face]
    pseudonym = secret.patient(patient_of(data))
    series = secret.uid(value(data, "SeriesInstanceUID", str, "") or path.name)[-8:]
    made = deidentify_header(data, secret, keep)
    if with_face:
        data.RecognizableVisualFeatures = "YES"
    raw, left = _saved(data, made)
    if left:
        why.append(f"a value that was taken out stands in {', '.join(left)}")
    return raw, pseudonym, series, why, made


def _pixels(data: Any) -> Any:
    """The first frame; None where it cannot be decoded, which is a flag of its own."""
    try:
        return frame_of(data, 0)[0]
    except Unreadable:
        return None


def _saved(data: Any, made: Done) -> tuple[memoryview, list[str]]:
    """Writes a file in memory, reads it again, and names the attributes in which a value that was taken out is left."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.save_as(file, enforce_file_format=True)
        raw = file.getbuffer()
        return raw, leftovers(dicom().dcmread(io.BytesIO(raw)), made.originals)


def _write_reports(folder: Path, done: Deidentified, keep: frozenset[str]) -> None:
    with (folder / CHANGES).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["attribute", "what", "files"])
        writer.writerows([keyword, what, n] for (keyword, what), n in sorted(done.changes.items()))
        writer.writerows([keyword, "kept", n] for keyword, n in sorted(done.kept.items()))
    with (folder / FLAGS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "reason"])
        writer.writerows(done.flagged)
    (folder / WORDS).write_text("\n".join(words(done, keep)) + "\n", encoding="utf-8")


def words(done: Deidentified, keep: Collection[str]) -> list[str]:
    """What was done, in sentences."""
    n_flagged = len({name for name, _ in done.flagged})
    lines = [
        f"{done.n_files:,} DICOM images of {done.n_patients:,} patients were de-identified by {CITATION.title}.",
        "Kept on request: " + ("; ".join(KEEP[name][3] for name in KEEP if name in keep) or "nothing") + ".",
        "Patients and UIDs have new names made with a key: who has the key can make them again from the originals, nobody else.",
        f"{CHANGES} lists each attribute that was removed, emptied, replaced or cleaned, and the texts and numbers that were kept.",
    ]
    if n_flagged:
        lines.append(f"{n_flagged:,} files in {FLAGGED}/ must be looked at by a person before they leave: {FLAGS} says why.")
    if done.skipped:
        lines.append(f"{len(done.skipped):,} files were passed over; their names stay with the originals.")
    lines.append("Pixels are as they were: text in them and faces are flagged where noticed, and not removed. No flag is no proof.")
    return lines
