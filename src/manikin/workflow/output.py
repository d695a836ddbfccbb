"""Files and folders that appear whole or not at all: built beside their place, renamed at the end. Knows nothing of what is in them.

A folder under construction is DIR.partial. After an interruption it stays, with what is needed to resume; after a failure it goes.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manikin.data.errors import InputError, ParameterError

CHECKPOINT = "checkpoint"  # in a .partial folder: what a model needs to go on learning
JOB = "job.json"  # in a .partial folder: which job it belongs to
MARKS: Mapping[
    str, tuple[str, str]
] = {  # file -> a key of its document and how the value begins, in a folder that Manikin wrote
    "manifest.json": ("made_by", "manikin "),
    "config.json": ("format", "manikin-model"),
    "results.json": ("format", "manikin-results"),
    "study.json": ("format", "manikin-study"),
    "comparison.json": ("format", "manikin-comparison"),
    "explain.json": ("format", "manikin-explanation"),
    "continue.json": ("format", "manikin-continuation"),
    "decision.json": ("format", "manikin-release"),
    "turing.json": ("format", "manikin-turing"),
    "simulation.json": ("format", "manikin-simulation"),
    "annotate.json": ("format", "manikin-annotation"),
    "stress.json": ("format", "manikin-stress"),
}


def check_free(
    path: Path, *, force: bool, inputs: Iterable[object] = (), is_ours: Callable[[Path], bool] | None = None
) -> None:
    """Refuses a place that is taken, or that cannot be written to.

    Parameters
    ----------
    inputs : what the job reads; never replaced, with or without `force`, nor is a folder that one of them is in. Whatever is no path
        is passed over.
    is_ours : whether a folder without a document of Manikin's was written by it all the same.

    Raises
    ------
    ParameterError : something is there and `force` is not given, or what is there is not ours to replace.
    """
    check_not_read(path, inputs)
    whole = Path(os.path.abspath(path))
    if whole == Path.cwd() or whole in Path.cwd().parents:
        raise ParameterError(f"{path} is the folder you are in, or one above it. Choose another place with --out.")
    if path.is_symlink() or (path.exists() and not path.is_dir() and not path.is_file()):
        raise ParameterError(f"{path} is a link or a device, not a plain file or folder. Choose another place with --out.")
    if path.is_dir() and any(path.iterdir()):
        if not force:
            raise ParameterError(f"{path} exists already. Choose another place with --out, or replace it with --force.")
        if not _is_ours(path) and (is_ours is None or not is_ours(path)):
            raise ParameterError(
                f"{path} exists and was not written by Manikin, so --force does not replace it. Choose another --out."
            )
    if path.is_file() and not force:
        raise ParameterError(f"{path} exists already. Choose another place with --out, or replace it with --force.")
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ParameterError(f"{path} cannot be written: {parent} is no folder that you may write to. Choose another --out.")


def check_not_read(path: Path, inputs: Iterable[object]) -> None:
    """Refuses a place that is what a job reads, or a folder that holds it.

    Raises
    ------
    ParameterError : with the reason.
    """
    for source in (Path(given) for given in inputs if isinstance(given, str | Path)):
        if path.exists() and source.exists() and path.samefile(source):
            raise ParameterError(f"{path} is what this command reads; it is never replaced. Choose another place with --out.")
        if path.is_dir() and any(path.iterdir()) and path.resolve() in source.resolve().parents:
            raise ParameterError(
                f"{path} holds {source.name}, which this command reads; it is never replaced. Choose another --out."
            )


@contextmanager
def whole_file(path: Path, *, force: bool) -> Iterator[Path]:
    """Gives a path to write to; renames it to `path` when all went well, removes it otherwise.

    The given path keeps the ending of `path`, so that writers that look at it do the right thing.
    """
    check_free(path, force=force)
    if path.is_dir():
        raise ParameterError(f"{path} is a folder; a file is needed here. Name a file in it.")
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, force: bool, job: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Gives a folder to fill; renames it to `path` when all went well.

    Parameters
    ----------
    job : what decides the result (hashes, options). An interrupted folder of the same job is given again, to resume; that of
        another job is emptied. Without a job nothing is kept after an interruption.
    """
    check_free(path, force=force)
    if path.is_file():
        raise ParameterError(f"{path} is a file; a folder is needed here. Choose another --out.")
    with work_folder(path, job=job) as partial:
        yield partial
        _publish(partial, path)


@contextmanager
def work_folder(path: Path, *, job: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Gives the folder PATH.partial to work in: it stays after an interruption, to resume the same `job`, and goes otherwise."""
    partial = _beside(path, ".partial")
    _begin(partial, job)
    keep = False
    with _alone(partial):
        try:
            yield partial
        except KeyboardInterrupt:
            keep = job is not None
            raise
        finally:
            if not keep:
                shutil.rmtree(partial, ignore_errors=True)


def is_resumable(path: Path, job: Mapping[str, Any]) -> bool:
    """Whether an interrupted run of this very job waits beside `path`."""
    partial = _beside(path, ".partial")
    return bool(_job_of(partial) == json.loads(json.dumps(job)))


def clear(partial: Path, *, keep: Collection[str]) -> None:
    """Removes from a folder under construction what an interruption left half done: everything but its job and the named entries."""
    kept = {JOB, *keep}
    if CHECKPOINT in kept:
        kept.add(f"{CHECKPOINT}.old")  # the only copy, when the run was stopped while it put a new one in place
    for path in partial.iterdir():
        if path.name in kept:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON document, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(beside, path)


def read_json(path: Path) -> Any:
    """Reads a JSON document that `write_json` wrote; None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _beside(path: Path, ending: str) -> Path:
    whole = Path(os.path.abspath(path))
    return whole.with_name(whole.name + ending)


def _begin(partial: Path, job: Mapping[str, Any] | None) -> None:
    if partial.exists():
        is_link = partial.is_symlink() or not partial.is_dir()
        if is_link or (any(partial.iterdir()) and not (partial / JOB).is_file() and not _is_ours(partial)):
            raise ParameterError(f"{partial} is in the way and was not written by Manikin. Move it, or choose another --out.")
        if job is not None and _job_of(partial) == json.loads(json.dumps(job)):
            return
        with _alone(partial):
            shutil.rmtree(partial)
    partial.mkdir(parents=True)
    write_json(partial / JOB, {} if job is None else job)


def _job_of(partial: Path) -> Any:
    return read_json(partial / JOB)


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds a document that only Manikin writes; a file of the same name by another tool is none."""
    for name, (key, beginning) in MARKS.items():
        mark = folder / name
        document = read_json(mark) if mark.is_file() and not mark.is_symlink() else None
        if isinstance(document, dict) and str(document.get(key, "")).startswith(beginning):
            return True
    return False


def _publish(partial: Path, path: Path) -> None:
    """Renames the finished folder into place. Its job goes last: until then a kill leaves a folder that the next run can take up."""
    old = None
    if path.exists():
        old = _beside(path, f".old-{secrets.token_hex(4)}")
        os.rename(path, old)
    try:
        os.rename(partial, path)
    except OSError:
        if old is not None:
            os.rename(old, path)
        raise
    (path / JOB).unlink(missing_ok=True)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Holds the folder for this process; two runs into one place would spoil each other."""
    try:
        import fcntl
    except ImportError:  # Windows: no lock, the rename at the end fails there instead
        yield
        return
    handle = os.open(partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"Another run is writing to {partial} right now. Wait for it, or choose another --out.") from None
        yield
    finally:
        os.close(handle)
