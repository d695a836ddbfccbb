"""De-identifies a folder of DICOM files: the key, the options, the folder. Writes nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from manikin.io.images.deid.folder import Deidentified, deidentify, words
from manikin.io.images.deid.secret import secret_of


@dataclass(frozen=True)
class Outcome:
    """What was done, and in sentences; `skipped` names original files."""

    out: Path
    n_files: int
    n_patients: int
    n_flagged: int
    skipped: tuple[str, ...]
    words: tuple[str, ...]
    key: Path | None


def deidentify_folder(
    source: str | Path,
    out: str | Path,
    *,
    key: str | Path | None = None,
    keep: Sequence[str] = (),
    force: bool = False,
    strict: bool = False,
) -> Outcome:
    """De-identifies the DICOM images of a folder.

    Parameters
    ----------
    key : a file with a secret, made where it is not there; with it later files of the same patients get the same pseudonyms, UIDs and
        shift of dates. Without one the secret is thrown away.
    keep : what stays (uids, dates, descriptors, device, institution, patient, private).

    Raises
    ------
    InputError : nothing can be used, the target is taken, or an option is unknown.
    """
    path = None if key is None else Path(key)
    done: Deidentified = deidentify(Path(source), Path(out), secret_of(path), keep=tuple(keep), force=force, strict=strict)
    n_flagged = len({name for name, _ in done.flagged})
    skipped = tuple(str(one) for one in done.skipped)
    return Outcome(done.out, done.n_files, done.n_patients, n_flagged, skipped, tuple(words(done, keep)), path)
