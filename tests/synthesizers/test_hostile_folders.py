"""A forger with the right check sums: sizes that ask for memory, and arrays that contradict each other, are refused by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from safetensors.numpy import save as to_bytes

from manikin.data.dataset import Dataset
from manikin.data.errors import ModelFolderError
from manikin.io.tabular import read
from manikin.synthesizers import storage, synthesizer
from manikin.synthesizers.storage import load, save

Arrays = dict[str, np.ndarray[Any, Any]]
QUICK: dict[str, dict[str, int]] = {
    "autoregressive": {"max_steps": 3, "members": 2},
    "forest": {"n_trees": 4},
    "independent": {},
    "resample": {},
}


@pytest.fixture(scope="module")
def data() -> Dataset:
    rng = np.random.default_rng(0)
    age = rng.integers(40, 80, 200)
    return read(pd.DataFrame({"age": age, "sex": rng.choice(["f", "m"], 200), "ill": np.where(age > 60, "yes", "no")}))


@pytest.fixture(scope="module")
def folders(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: save(synthesizer(name, **quick).fit(data, seed=0), root / name) for name, quick in QUICK.items()}


def forged(folder: Path, to: Path, values: dict[str, Any], arrays: Arrays | None = None, left_out: str = "") -> Path:
    """A copy with other values ("a.b" is b within a) and arrays, and the check sums that belong to them."""
    config = json.loads((folder / "config.json").read_text())
    for path, value in values.items():
        *outer, last = path.split(".")
        at = config["values"]
        for key in outer:
            at = at[key]
        at[last] = value
    weights = load_file(folder / "weights.safetensors") | (arrays or {})
    weights.pop(left_out, None)
    content = to_bytes({name: np.ascontiguousarray(array) for name, array in weights.items()})
    config["arrays"] = storage._described(content)
    config["sha256"] = {"config": storage._config_sum(config), "weights": hashlib.sha256(content).hexdigest()}
    to.mkdir()
    (to / "config.json").write_text(json.dumps(config))
    (to / "weights.safetensors").write_bytes(content)
    return to


@pytest.mark.parametrize("name", QUICK)
def test_an_honest_copy_is_loaded(folders: dict[str, Path], name: str, tmp_path: Path) -> None:
    copy = load(forged(folders[name], tmp_path / "copy", {}))
    assert copy.sample(20, seed=1).to_pandas().equals(load(folders[name]).sample(20, seed=1).to_pandas())


@pytest.mark.parametrize(
    "values",
    [
        {"widths": [7000, 7000, 7000]},
        {"shape.blocks": 16, "widths": [4096, 4096, 4096]},
        {"shape.blocks": 10**6},
        {"shape.basis_in": 10**8},
        {"shape.basis_out": 10**8},
        {"shape.embed_scale": 1e300},
        {"n_networks": 10**12},
    ],
)
def test_sizes_that_ask_for_memory_take_none(
    folders: dict[str, Path], values: dict[str, Any], tmp_path: Path, growth_of_load: Callable[[Path], tuple[str, float]]
) -> None:
    folder = forged(folders["autoregressive"], tmp_path / "forged", values)
    error, growth = growth_of_load(folder)
    assert error == "ModelFolderError"
    assert growth < 200


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"widths": [8]}, "'widths'"),
        ({"widths": [True, 16, 16]}, "'widths'"),
        ({"widths": [-1, 16, 16]}, "'widths'"),
        ({"widths": [16.0, 16, 16]}, "'widths'"),
        ({"widths": "888"}, "'widths'"),
        ({"shape.blocks": -1}, r"'shape\.blocks'"),
        ({"shape.blocks": 1.5}, r"'shape\.blocks'"),
        ({"shape.blocks": 0}, "is left over"),
        ({"shape.basis_in": 5}, r"'network0\.project"),
        ({"shape.basis_out": 5}, r"'network0\.head_basis"),
        ({"shape.embed_scale": 1.0}, r"'network0\.(first|embed)"),
        ({"shape.dropout": "0.1"}, r"'shape\.dropout'"),
        ({"shape.other": 1}, "'shape'"),
        ({"shape": None}, "'shape'"),
        ({"n_networks": 0}, "'n_networks'"),
        ({"n_networks": 1}, "'network1.* is left over"),
        ({"n_networks": 3}, "'network2.* is missing"),
        ({"n_networks": True}, "'n_networks'"),
    ],
)
def test_a_network_of_other_sizes_is_refused_by_name(
    folders: dict[str, Path], values: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelFolderError, match=why):
        load(forged(folders["autoregressive"], tmp_path / "forged", values))


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (np.zeros((3, 3), np.float32), "is of shape"),
        (np.zeros(0, np.float32), "is of shape"),
        (None, "float32"),
        ("nan", "finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(folders: dict[str, Path], array: Any, why: str, tmp_path: Path) -> None:
    real = load_file(folders["autoregressive"] / "weights.safetensors")["network1.first_bias"]
    if array is None:
        array = real.astype(np.float64)
    elif isinstance(array, str):
        array = np.full_like(real, np.nan)
    folder = forged(folders["autoregressive"], tmp_path / "forged", {}, {"network1.first_bias": array})
    with pytest.raises(ModelFolderError, match=rf"'network1\.first_bias'.*{why}"):
        load(folder)


@pytest.mark.parametrize("name", ["network0.first", "network1.head.0", "codec.field0.rows"])
def test_a_missing_array_is_refused(folders: dict[str, Path], name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError):
        load(forged(folders["autoregressive"], tmp_path / "forged", {}, left_out=name))


CHANGES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "offsets beyond the leaves": ("offsets", lambda a: a + np.arange(len(a))),
    "offsets that fall": ("offsets", lambda a: a[::-1]),
    "offsets that stay": ("offsets", lambda a: np.concatenate([a[:1], a])),
    "offsets that start late": ("offsets", lambda a: a[1:]),
    "no offsets": ("offsets", lambda a: a[:0]),
    "one number for offsets": ("offsets", lambda a: a[-1]),
    "floats for offsets": ("offsets", lambda a: a.astype(float)),
    "negative rows": ("rows", lambda a: -a),
    "no rows": ("rows", lambda a: a[:0]),
    "rows that overflow": ("rows", lambda a: a + (1 << 62)),
    "no support": ("support", lambda a: a * 0),
    "short support": ("support", lambda a: a[1:]),
    "leaf beyond the leaves": ("leaf0", lambda a: a + 10**6),
    "negative leaf": ("leaf0", lambda a: -1 - a),
    "long leaf": ("leaf0", lambda a: np.concatenate([a, a])),
    "wide leaf": ("leaf0", lambda a: a.astype(np.int64)),
    "token beyond the vocabulary": ("token1", lambda a: a + 10**6),
    "negative count": ("count1", lambda a: -a),
    "floats for counts": ("count1", lambda a: a.astype(np.float32)),
    "many frequencies": ("frequencies0", lambda a: np.ones(10**6, np.int64)),
    "negative frequencies": ("frequencies0", lambda a: -1 - a),
    "sharpness is no number": ("sharpness", lambda a: a * np.nan),
    "sharpness of one column": ("sharpness", lambda a: a[:, :1]),
    "bytes for truths": ("is_geometric", lambda a: a.astype(np.uint8)),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_forest_that_contradicts_itself_is_refused_by_name(folders: dict[str, Path], case: str, tmp_path: Path) -> None:
    name, change = CHANGES[case]
    real = load_file(folders["forest"] / "weights.safetensors")[f"mixture.{name}"]
    folder = forged(folders["forest"], tmp_path / "forged", {}, {f"mixture.{name}": np.asarray(change(real))})
    with pytest.raises(ModelFolderError, match=f"'({name}|token0|support|offsets)'"):
        load(folder)


@pytest.mark.parametrize("values", [{"mixture.smoothing": 0}, {"mixture.smoothing": "1"}, {"mixture.n_columns": 10**9}])
def test_a_forest_of_other_values_is_refused(folders: dict[str, Path], values: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"smoothing|n_columns"):
        load(forged(folders["forest"], tmp_path / "forged", values))


@pytest.mark.parametrize(
    "forge",
    [
        lambda: {"rows": np.ones(1_000_001, np.int64), "offsets": np.array([0, 1_000_001])},
        lambda: {"rows": np.ones(999_999, np.int64), "offsets": np.arange(1_000_000)},
    ],
    ids=["leaves", "cells"],
)
def test_more_leaves_and_cells_than_a_forest_grows_are_refused(
    folders: dict[str, Path], forge: Callable[[], Arrays], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays = {f"mixture.{name}": array for name, array in forge().items()}
    arrays["mixture.support"] = arrays["mixture.rows"]
    monkeypatch.setattr("manikin.synthesizers.tables.leaf_mixture.MOST_SAVED_CELLS", 2_000_000)
    with pytest.raises(ModelFolderError, match="histogram cells"):
        load(forged(folders["forest"], tmp_path / "forged", {}, arrays))


@pytest.mark.parametrize(
    ("name", "array", "change"),
    [
        ("independent", "frequencies0", lambda a: a[1:]),
        ("independent", "frequencies0", lambda a: -1 - a),
        ("independent", "frequencies1", lambda a: a.astype(float)),
        ("resample", "rows", lambda a: a + 10**6),
        ("resample", "rows", lambda a: -1 - a),
        ("resample", "rows", lambda a: a[:, 1:]),
        ("resample", "rows", lambda a: a[:0]),
        ("resample", "rows", lambda a: a.astype(float)),
    ],
)
def test_references_that_contradict_themselves_are_refused_by_name(
    folders: dict[str, Path], name: str, array: str, change: Callable[[Any], Any], tmp_path: Path
) -> None:
    real = load_file(folders[name] / "weights.safetensors")[array]
    with pytest.raises(ModelFolderError, match=f"'{array}'"):
        load(forged(folders[name], tmp_path / "forged", {}, {array: change(real)}))


def test_a_protected_column_that_is_none_is_refused(data: Dataset, tmp_path: Path) -> None:
    folder = save(synthesizer("fairgan", protected="sex", max_steps=2).fit(data, seed=0), tmp_path / "honest")
    with pytest.raises(ModelFolderError):
        load(forged(folder, tmp_path / "forged", {"own.protected": "no such column"}))
