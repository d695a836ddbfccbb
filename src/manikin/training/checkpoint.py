"""A training run on disk: tensors as safetensors, the rest as JSON, written beside and renamed. Knows no model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from manikin.data.errors import ModelFolderError
from manikin.training.adam import Optimiser

Tensors = dict[str, torch.Tensor]


def write_checkpoint(folder: Path, values: Mapping[str, Any], tensors: Tensors) -> None:
    """Replaces the checkpoint in `folder` at once: a kill at any moment leaves the old one or the new one."""
    from safetensors.torch import save_file

    beside = folder.with_name(folder.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_file(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}, beside / "state.safetensors"
    )
    (beside / "state.json").write_text(json.dumps(dict(values)))
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(beside, folder)
    shutil.rmtree(old, ignore_errors=True)


def read_checkpoint(folder: Path) -> tuple[dict[str, Any], Tensors] | None:
    """The newest complete checkpoint; None where there is none.

    Raises
    ------
    ModelFolderError : the checkpoint cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for place in (folder, folder.with_name(folder.name + ".old")):
        if (place / "state.json").is_file() and (place / "state.safetensors").is_file():
            try:
                return json.loads((place / "state.json").read_text()), load_file(place / "state.safetensors")
            except (SafetensorError, OSError, ValueError, LookupError, RuntimeError) as error:  # from damage
                raise ModelFolderError(f"The checkpoint in {place} is damaged. Remove that folder and start again.") from error
    return None


def flatten_optimiser(optimiser: Optimiser, prefix: str) -> tuple[dict[str, Any], Tensors]:
    """An optimiser's moments as named tensors, its other numbers as plain values."""
    values: dict[str, Any] = {}
    tensors: Tensors = {}
    for index, moments in optimiser.state_dict()["state"].items():
        for name, moment in moments.items():
            if isinstance(moment, torch.Tensor):
                tensors[f"{prefix}.{index}.{name}"] = moment
            else:
                values[f"{index}.{name}"] = moment
    return values, tensors


def restore_optimiser(optimiser: Optimiser, prefix: str, values: Mapping[str, Any], tensors: Tensors) -> None:
    """Gives an optimiser its moments back."""
    state: dict[int, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        if key.startswith(prefix + "."):
            index, name = key.removeprefix(prefix + ".").split(".", 1)
            state.setdefault(int(index), {})[name] = tensor
    for key, value in values.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    whole = optimiser.state_dict()
    whole["state"] = state
    optimiser.load_state_dict(whole)
