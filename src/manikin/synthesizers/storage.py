"""A fitted synthesizer as a folder: config.json beside weights.safetensors, never pickle. Knows no model.

What is loaded is checked before it is used: the folder must be Manikin's, of a known version, whole, unchanged since it was saved, and
of a registered synthesizer. The class comes from the registry, never from the file, and nothing in the file is executed. The check sums
tell damage and careless edits; they are no signature, so whoever can write the folder can also write new sums.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from manikin.data.errors import ManikinError, ModelFolderError
from manikin.synthesizers import SYNTHESIZERS
from manikin.synthesizers.base import Arrays, Synthesizer, np

FORMAT = "manikin-model"
FORMAT_VERSION = 1
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
MAX_BYTES = {CONFIG: 256 << 20, WEIGHTS: 16 << 30}
_KEYS = {"format", "format_version", "synthesizer", "class", "hyperparameters", "values", "sha256"}


def save(synthesizer: Synthesizer, folder: str | Path, *, force: bool = False) -> Path:
    """Writes a fitted synthesizer; the folder appears whole or not at all.

    Parameters
    ----------
    force : replace a model that is there already. Anything else that is there is never replaced.

    Returns
    -------
    The folder.

    Raises
    ------
    ModelFolderError : something is at the path already, or the synthesizer is not a registered one.
    """
    from safetensors.numpy import save as to_bytes

    folder = Path(folder)
    _refuse_overwriting(folder, force)
    name = name_of(synthesizer)
    values, arrays = synthesizer.state()
    weights = to_bytes({key: np.ascontiguousarray(array) for key, array in arrays.items()})
    config: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "synthesizer": name,
        "class": SYNTHESIZERS[name].path,
        "hyperparameters": hyperparameters_of(synthesizer),
        "values": values,
    }
    config["sha256"] = {"config": _config_sum(config), "weights": hashlib.sha256(weights).hexdigest()}
    beside = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        _write(beside / CONFIG, (json.dumps(config, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode())
        _write(beside / WEIGHTS, weights)
        _put(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def load(folder: str | Path) -> Any:
    """The synthesizer of a folder that `save` wrote, ready to sample.

    Raises
    ------
    ModelFolderError : the folder is foreign, damaged, tampered with, too large, of a newer version, or of an unknown synthesizer.
    MissingExtraError : the synthesizer needs a package that is not installed.
    """
    folder = Path(folder)
    config = _read_config(folder)
    name = config["synthesizer"]
    if not isinstance(name, str) or name not in SYNTHESIZERS:
        _refuse(folder, "is of a synthesizer that is not registered here. Install the package that brings it")
    if config["class"] != SYNTHESIZERS[name].path:
        _refuse(folder, f"names another class than the registry for the synthesizer {name!r}. Save the model again")
    weights = _read(folder, WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != config["sha256"].get("weights"):
        _refuse(folder, f"does not have the {WEIGHTS} that its {CONFIG} was saved with: it is damaged or was changed. Save it again")
    arrays = _arrays(folder, weights)
    made = SYNTHESIZERS.load(name)
    known = {f.name for f in fields(made) if f.init}
    if not isinstance(config["hyperparameters"], dict) or not known.issuperset(config["hyperparameters"]):
        _refuse(folder, f"holds hyperparameters that the synthesizer {name!r} does not have. Use the version that saved it")
    try:
        return made(**config["hyperparameters"]).restore(config["values"], arrays)
    except ManikinError:
        raise
    # whatever a wrong value breaks inside a model's `restore`, the folder is at fault
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise ModelFolderError(
            f"{folder} does not hold what the synthesizer {name!r} needs ({type(error).__name__}). Save the model again."
        ) from error


def name_of(synthesizer: Any) -> str:
    """The name under which a synthesizer's class is registered.

    Raises
    ------
    ModelFolderError : its class is not in the registry, so a saved model could not be loaded.
    """
    path = f"{type(synthesizer).__module__}:{type(synthesizer).__qualname__}"
    for name, entry in SYNTHESIZERS.items():
        if entry.path == path:
            return name
    raise ModelFolderError(f"{path} is not a registered synthesizer, so it could not be loaded again. Register it, then save it.")


def hyperparameters_of(synthesizer: Any) -> dict[str, Any]:
    """The values of a synthesizer's constructor fields."""
    return {f.name: getattr(synthesizer, f.name) for f in fields(synthesizer) if f.init}


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        _refuse(folder, "is not a folder. Give the folder that `manikin fit -o` or `save` wrote")
    try:
        config = json.loads(_read(folder, CONFIG), parse_constant=_no_constant)
    except (UnicodeDecodeError, ValueError, RecursionError):
        _refuse(folder, f"has a {CONFIG} that is not JSON: it is damaged or foreign")
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        _refuse(folder, "is not a model that Manikin saved")
    version = config.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        _refuse(folder, f"was saved by a newer Manikin (its format is {version!r:.20}, known is {FORMAT_VERSION}). Install a newer one")
    if not _KEYS.issubset(config) or not isinstance(config["sha256"], dict):
        _refuse(folder, f"has a {CONFIG} with parts missing. Save the model again")
    if config["sha256"].get("config") != _config_sum(config):
        _refuse(folder, f"has a {CONFIG} that was changed after it was saved. Save the model again")
    return config


def _config_sum(config: dict[str, Any]) -> str:
    rest = {key: value for key, value in config.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        _refuse(folder, f"has no file {name} of its own. Give the folder that `manikin fit -o` or `save` wrote")
    if path.stat().st_size > MAX_BYTES[name]:
        _refuse(folder, f"has a {name} of more than {MAX_BYTES[name] >> 20:,} MiB, more than any model needs")
    return path.read_bytes()


def _arrays(folder: Path, weights: bytes) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        return dict(from_bytes(weights))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelFolderError(f"{folder} has a {WEIGHTS} that is not of the safetensors format. Save the model again.") from error


def _refuse_overwriting(folder: Path, force: bool) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        return
    if not force:
        _refuse(folder, "exists already. Choose another folder, or replace the model with --force (force=True)")
    try:
        is_model = folder.is_dir() and not folder.is_symlink() and json.loads(_read(folder, CONFIG)).get("format") == FORMAT
    except (ModelFolderError, ValueError, AttributeError):
        is_model = False
    if not is_model:
        _refuse(folder, "is not a model folder, so it is not replaced. Choose another folder")


def _put(beside: Path, folder: Path) -> None:
    """Renames the new folder into place; what was there goes only after the new one stands."""
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    try:
        beside.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _refuse(folder: Path, why: str) -> NoReturn:
    raise ModelFolderError(f"{folder} {why}.")
