"""A fitted synthesizer as a folder: config.json beside weights.safetensors, never pickle. Knows no model.

What is loaded is checked before it is used: the folder must be Manikin's, of a known version, whole, unchanged since it was saved, and
of a registered synthesizer. The class comes from the registry, never from the file, and nothing in the file is executed. The check sums
tell damage and careless edits; they are no signature, so whoever can write the folder can also write new sums.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from manikin.data.errors import ManikinError, MissingExtraError, ModelFolderError
from manikin.synthesizers import SYNTHESIZERS
from manikin.synthesizers.base import Arrays, Synthesizer, np

FORMAT = "manikin-model"
FORMAT_VERSION = 1
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
MAX_BYTES = {CONFIG: 16 << 20, WEIGHTS: 2 << 30}  # far more than any model needs; reading takes a few times this in memory
MAX_HEADER_BYTES = 16 << 20
MAX_DIMENSIONS = 8
ITEM_BYTES = {
    name: bits // 8
    for bits, names in {
        8: ("BOOL", "I8", "U8"),
        16: ("I16", "U16", "F16"),
        32: ("I32", "U32", "F32"),
        64: ("I64", "U64", "F64"),
    }.items()
    for name in names
}
_BROKEN = (
    ManikinError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
)
_KEYS = {"format", "format_version", "synthesizer", "class", "hyperparameters", "values", "arrays", "sha256"}
HOLES_FROM_BYTES = 64 << 20
FEWEST_ON_DISK = 1 / 256  # of a large file; a file system that compresses keeps far more of a model than that


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
    ModelFolderError : something is at the path already, the synthesizer is not a registered one, or the model is too large to be loaded.
    """
    from safetensors.numpy import save as to_bytes

    folder = Path(folder)
    _refuse_overwriting(folder, force)
    name = name_of(synthesizer)
    values, arrays = synthesizer.state()
    weights = to_bytes(
        {key: np.ascontiguousarray(array).reshape(array.shape) for key, array in arrays.items()}
    )  # 0-d stays 0-d
    config: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "synthesizer": name,
        "class": SYNTHESIZERS[name].path,
        "hyperparameters": hyperparameters_of(synthesizer),
        "values": values,
        "arrays": _described(weights),
    }
    config["sha256"] = {"config": _config_sum(config), "weights": hashlib.sha256(weights).hexdigest()}
    contents = {CONFIG: (json.dumps(config, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode(), WEIGHTS: weights}
    for file, content in contents.items():
        if len(content) > MAX_BYTES[file]:
            _refuse(folder, f"was not written: its {file} would be above {MAX_BYTES[file] >> 20:,} MiB, which `load` refuses")
    beside = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        for file, content in contents.items():
            _write(beside / file, content)
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
    _check_header(folder, config["arrays"])
    weights = _read(folder, WEIGHTS)
    if hashlib.sha256(weights).hexdigest() != config["sha256"].get("weights"):
        _refuse(
            folder, f"does not have the {WEIGHTS} that its {CONFIG} was saved with: it is damaged or was changed. Save it again"
        )
    arrays = _arrays(folder, weights)
    made = SYNTHESIZERS.load(name)
    known = {f.name for f in fields(made) if f.init}
    if not isinstance(config["hyperparameters"], dict) or not known.issuperset(config["hyperparameters"]):
        _refuse(folder, f"holds hyperparameters that the synthesizer {name!r} does not have. Use the version that saved it")
    del weights
    try:
        return made(**config["hyperparameters"]).restore(config["values"], arrays)
    except (ModelFolderError, MissingExtraError):
        raise
    # whatever a wrong value breaks inside a model's `restore`, the folder is at fault
    except _BROKEN as error:
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
    raise ModelFolderError(
        f"{path} is not a registered synthesizer, so it could not be loaded again. Register it, then save it."
    )


def hyperparameters_of(synthesizer: Any) -> dict[str, Any]:
    """The values of a synthesizer's constructor fields."""
    return {f.name: getattr(synthesizer, f.name) for f in fields(synthesizer) if f.init}


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        _refuse(folder, "is not a folder. Give the folder that `manikin fit -o` or `save` wrote")
    try:
        config = json.loads(_read(folder, CONFIG), parse_constant=_no_constant, parse_float=_finite)
    except (UnicodeDecodeError, ValueError, RecursionError):
        _refuse(folder, f"has a {CONFIG} that is not JSON: it is damaged or foreign")
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        _refuse(folder, "is not a model that Manikin saved")
    version = config.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        _refuse(
            folder,
            f"was saved by a newer Manikin (its format is {version!r:.20}, known is {FORMAT_VERSION}). Install a newer one",
        )
    if not _KEYS.issubset(config) or not isinstance(config["sha256"], dict):
        _refuse(folder, f"has a {CONFIG} with parts missing. Save the model again")
    try:
        is_unchanged = config["sha256"].get("config") == _config_sum(config)
    except (ValueError, RecursionError):  # nested deeper, or numbers longer, than Python writes
        is_unchanged = False
    if not is_unchanged:
        _refuse(folder, f"has a {CONFIG} that was changed after it was saved. Save the model again")
    return config


def _config_sum(config: dict[str, Any]) -> str:
    rest = {key: value for key, value in config.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _read(folder: Path, name: str) -> bytes:
    path, size = _sized(folder, name)
    with path.open("rb") as file:
        content = file.read(size + 1)
    if len(content) != size:
        _refuse(folder, f"has a {name} that changed while it was read. Load it again")
    return content


def _sized(folder: Path, name: str) -> tuple[Path, int]:
    """A file of the folder and its size in bytes, before anything of it is read."""
    path = folder / name
    if path.is_symlink() or not path.is_file():
        _refuse(folder, f"has no file {name} of its own. Give the folder that `manikin fit -o` or `save` wrote")
    size = path.stat().st_size
    if size > MAX_BYTES[name]:
        _refuse(folder, f"has a {name} of more than {MAX_BYTES[name] >> 20:,} MiB, more than any model needs")
    return path, size


def _described(weights: bytes) -> dict[str, list[Any]]:
    """Type and shape of every array of a safetensors file, by name: what `load` compares before it reads any of them."""
    length = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + length])
    return {name: [entry["dtype"], *entry["shape"]] for name, entry in sorted(header.items()) if name != "__metadata__"}


def _check_header(folder: Path, arrays: Any) -> None:
    """Reads the header of the weights alone, and refuses a file of other arrays than the config names, or as long as no such file is.

    Raises
    ------
    ModelFolderError : it is no safetensors file, its sizes contradict each other or the config, or it is nearly all holes.
    """
    path, size = _sized(folder, WEIGHTS)
    on_disk = getattr(path.stat(), "st_blocks", size) * 512  # where the system does not tell, any file is whole
    if size > HOLES_FROM_BYTES and on_disk < size * FEWEST_ON_DISK:
        _refuse(folder, f"has a {WEIGHTS} that is nearly all holes: no model is. Save the model again")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            _refuse(folder, f"has a {WEIGHTS} that is not of the safetensors format. Save the model again")
        text = file.read(length)
    try:
        header = json.loads(text, parse_constant=_no_constant)
        header.pop("__metadata__", None)
        end = sum(_n_bytes(entry) for entry in header.values())
        is_described = {name: [entry["dtype"], *entry["shape"]] for name, entry in header.items()} == arrays
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelFolderError(
            f"{folder} has a {WEIGHTS} that is not of the safetensors format. Save the model again."
        ) from error
    if end != size - 8 - length:
        _refuse(folder, f"has a {WEIGHTS} whose length is not that of the arrays it names: it is damaged. Save the model again")
    if not is_described:
        _refuse(
            folder, f"has a {WEIGHTS} with other arrays than its {CONFIG} names: it is another model's. Save the model again"
        )


def _n_bytes(entry: dict[str, Any]) -> int:
    """Bytes of one array of the header, after its type, shape and place agree."""
    start, stop = entry["data_offsets"]
    sizes = [start, stop, *entry["shape"]]
    if any(type(size) is not int or size < 0 for size in sizes) or len(entry["shape"]) > MAX_DIMENSIONS:
        raise ValueError("a size is no size")
    if stop - start != math.prod(entry["shape"]) * ITEM_BYTES[entry["dtype"]]:
        raise ValueError("an array's place is not as long as the array")
    return int(stop - start)


def _arrays(folder: Path, weights: bytes) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        return dict(from_bytes(weights))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelFolderError(
            f"{folder} has a {WEIGHTS} that is not of the safetensors format. Save the model again."
        ) from error


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


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # 1e999
        raise ValueError("a number is beyond what a float holds")
    return number


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _refuse(folder: Path, why: str) -> NoReturn:
    raise ModelFolderError(f"{folder} {why}.")
