"""What a run was made from and by: hashes, versions, seeds, parameters, steps, costs. Knows no model and draws no conclusion.

A manifest names files, never folders of the machine, and holds no cell of a table.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from manikin.data.errors import ParameterError

FORMAT: Final = 1
PACKAGES = ("manikin", "numpy", "pandas", "scipy", "scikit-learn", "pyarrow", "torch", "safetensors")
_CHUNK = 1 << 20


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileHash(_Part):
    """A file by name and content: SHA-256 in hex, and bytes."""

    name: str
    sha256: str
    n_bytes: int


class StageCost(_Part):
    """What one stage cost: CPU seconds (user and system, all threads) and seconds on the clock."""

    stage: str
    cpu_seconds: float
    wall_seconds: float


class Cost(_Part):
    """What the whole job cost. `gpu_seconds` is time during which a GPU was in use; energy is an estimate under `assumption`."""

    cpu_seconds: float
    wall_seconds: float
    gpu_seconds: float = 0.0
    peak_memory_mb: float | None = None
    energy_watt_hours: float = 0.0
    energy_assumption: str = ""
    stages: tuple[StageCost, ...] = ()


class Choice(_Part):
    """Which synthesizer made the data: its name and hyperparameters, what asked for it, and why it was chosen."""

    name: str
    hyperparameters: dict[str, Any] = {}
    asked: str = "auto"
    reasons: tuple[str, ...] = ()
    scores: dict[str, dict[str, float]] = {}
    training: dict[str, Any] = {}


class Manifest(_Part):
    """Everything needed to say how a run folder came about, and to make it again (`manikin synthesize --replay manifest.json`)."""

    format: Literal[1] = FORMAT
    made_by: str
    command: str
    options: dict[str, Any]
    seed: int
    schema_sha256: str
    data_sha256: str
    inputs: tuple[FileHash, ...] = ()
    outputs: tuple[FileHash, ...] = ()
    synthesizer: Choice | None = None
    rows: dict[str, int] = {}
    versions: dict[str, str] = {}
    platform: dict[str, str] = {}
    threads: int = 1
    cost: Cost
    notices: tuple[str, ...] = ()


def hash_file(path: Path, *, name: str | None = None) -> FileHash:
    """The SHA-256 of a file, read in pieces."""
    digest, n_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            digest.update(piece)
            n_bytes += len(piece)
    return FileHash(name=name or path.name, sha256=digest.hexdigest(), n_bytes=n_bytes)


def hash_folder(folder: Path, *, leave_out: Iterable[str] = ()) -> tuple[FileHash, ...]:
    """The hashes of all files below a folder, by path relative to it, sorted."""
    without = set(leave_out)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = ((path, path.relative_to(folder).as_posix()) for path in files)
    return tuple(hash_file(path, name=name) for path, name in named if name not in without)


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """The installed versions of packages that bear on the result, and of Python."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def platform_words() -> dict[str, str]:
    """The platform in general words: the system and the processor's family, no host name."""
    return {"system": platform.system(), "machine": platform.machine(), "python": platform.python_implementation()}


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Writes manifest.json."""
    path.write_text(json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_manifest(path: Path) -> Manifest:
    """Reads manifest.json.

    Raises
    ------
    ParameterError : no such file, or not a manifest of this format; the message names the field that is wrong.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError:
        raise ParameterError(f"There is no manifest at {path} that can be read. Name the manifest.json of a run folder.") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise ParameterError(f"{path} is not a manifest of this version of Manikin: {where}: {first['msg']}.") from None


def version_changes(then: Mapping[str, str]) -> list[str]:
    """Packages whose version is another now than in the manifest, as "numpy 2.0.0 then, 2.1.0 now"."""
    now = versions(name for name in then if name != "python")
    return [f"{name} {old} then, {now.get(name, 'none')} now" for name, old in then.items() if now.get(name) != old]
