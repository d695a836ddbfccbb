"""A saved model comes back whole, or is refused with a reason; nothing in a model folder is ever executed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from manikin.data.errors import ModelFolderError
from manikin.io.tabular import read
from manikin.synthesizers import storage, synthesizer
from manikin.synthesizers.base import Synthesizer
from manikin.synthesizers.storage import load, save


@pytest.fixture(scope="module")
def fitted() -> Synthesizer:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(40, 80, 200), "sex": rng.choice(["f", "m"], 200)})
    return synthesizer("forest", n_trees=4).fit(read(frame), seed=0)


@pytest.fixture
def model(fitted: Synthesizer, tmp_path: Path) -> Path:
    return save(fitted, tmp_path / "model")


def edit(model: Path, **changes: object) -> None:
    """A careful forger: changes config.json and mends its check sum."""
    path = model / "config.json"
    config = json.loads(path.read_text()) | changes
    config["sha256"]["config"] = storage._config_sum(config)
    path.write_text(json.dumps(config))


def test_folder_is_json_and_safetensors_and_nothing_else(model: Path) -> None:
    assert sorted(path.name for path in model.iterdir()) == ["config.json", "weights.safetensors"]
    assert not list(model.parent.glob(".*")), "nothing is left beside the folder"


def test_loaded_model_samples_the_same_rows(fitted: Synthesizer, model: Path) -> None:
    pd.testing.assert_frame_equal(load(model).sample(50, seed=3).to_pandas(), fitted.sample(50, seed=3).to_pandas())


def test_hyperparameters_come_back(model: Path) -> None:
    assert load(model).n_trees == 4


def test_saving_twice_gives_the_same_bytes(fitted: Synthesizer, model: Path, tmp_path: Path) -> None:
    again = save(fitted, tmp_path / "again")
    for name in ("config.json", "weights.safetensors"):
        assert (again / name).read_bytes() == (model / name).read_bytes()


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_flipped_byte_is_refused(model: Path, name: str) -> None:
    content = bytearray((model / name).read_bytes())
    content[len(content) // 2] ^= 1
    (model / name).write_bytes(bytes(content))
    with pytest.raises(ModelFolderError, match=name.replace(".", r"\.")):
        load(model)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_missing_file_is_refused(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ModelFolderError, match=f"no file {name}"):
        load(model)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_file_that_points_elsewhere_is_refused(model: Path, tmp_path: Path, name: str) -> None:
    (model / name).rename(tmp_path / name)
    (model / name).symlink_to(tmp_path / name)
    with pytest.raises(ModelFolderError, match=f"no file {name} of its own"):
        load(model)


@pytest.mark.parametrize("name", ["config.json", "weights.safetensors"])
def test_oversized_file_is_refused_before_it_is_read(model: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(storage.MAX_BYTES, name, 10)
    with pytest.raises(ModelFolderError, match="more than any model needs"):
        load(model)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": "other"}, "is not a model that Manikin saved"),
        ({"format_version": 99}, "newer Manikin"),
        ({"format_version": "1; import os"}, "newer Manikin"),
        ({"synthesizer": "../../evil"}, "not registered here"),
        ({"synthesizer": ["forest"]}, "not registered here"),
        ({"class": "os:system"}, "another class than the registry"),
        ({"synthesizer": "independent"}, "another class than the registry"),
        ({"hyperparameters": {"n_trees": 4, "command": "ls"}}, "does not have"),
        ({"hyperparameters": {"codec_": 1}}, "does not have"),
        ({"hyperparameters": 7}, "does not have"),
        ({"values": {}}, "does not hold what"),
        ({"values": None}, "does not hold what"),
    ],
)
def test_forged_config_is_refused(model: Path, changes: dict[str, object], why: str) -> None:
    edit(model, **changes)
    with pytest.raises(ModelFolderError, match=why):
        load(model)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff\xfe", "null", '{"format": NaN}', "[" * 100_000])
def test_foreign_config_is_refused(model: Path, text: str) -> None:
    (model / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelFolderError):
        load(model)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "1" * 5_000])
def test_numbers_that_json_cannot_hold_are_refused(model: Path, number: str) -> None:
    text = (model / "config.json").read_text()
    (model / "config.json").write_text(text.replace('"n_trees": 4', f'"n_trees": {number}'))
    assert number in (model / "config.json").read_text()
    with pytest.raises(ModelFolderError, match=r"config\.json"):
        load(model)


def reweigh(model: Path, weights: bytes) -> None:
    """A careful forger: other weights, and both check sums mended."""
    (model / "weights.safetensors").write_bytes(weights)
    sums = json.loads((model / "config.json").read_text())["sha256"]
    edit(model, sha256=sums | {"weights": hashlib.sha256(weights).hexdigest()})


def header(entries: object, rest: bytes = b"") -> bytes:
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + rest


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"\x00" * 64,
        (1 << 40).to_bytes(8, "little") + b"{}",
        header([]),
        header({"a": 1}),
        header({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}, b"\x00" * 4),
        header({"a": {"dtype": "F32", "shape": [-1, -1], "data_offsets": [0, 4]}}, b"\x00" * 4),
        header({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}, b"\x00" * 8),
        header({"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}, b"\x00" * 4),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\x00" * 400),
        header({"a": {"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}}, b"\x00" * 4),
    ],
)
def test_a_header_that_contradicts_its_file_is_refused_unread(
    model: Path, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    reweigh(model, weights)
    real = storage._read

    def no_weights(folder: Path, name: str) -> bytes:
        assert name != "weights.safetensors", "the header alone must tell"
        return real(folder, name)

    monkeypatch.setattr(storage, "_read", no_weights)
    with pytest.raises(ModelFolderError, match=r"weights\.safetensors"):
        load(model)


@pytest.mark.parametrize("size", [16 << 30, (2 << 30) - 1])
def test_a_huge_sparse_file_is_refused_without_memory(model: Path, size: int, growth_of_load: Any) -> None:
    os.truncate(model / "weights.safetensors", size)
    error, growth = growth_of_load(model)
    assert error == "ModelFolderError"
    assert growth < 200


def test_a_config_of_more_than_any_table_needs_is_refused_when_saved_too(fitted: Synthesizer, tmp_path: Path) -> None:
    assert storage.MAX_BYTES["config.json"] <= 16 << 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(storage.MAX_BYTES, "config.json", 100)
        with pytest.raises(ModelFolderError, match="was not written"):
            save(fitted, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_model_are_refused(model: Path, fitted: Synthesizer, tmp_path: Path) -> None:
    data = read(pd.DataFrame({"x": np.arange(100) % 7, "y": np.arange(100) % 3}))
    other = save(synthesizer("independent").fit(data, seed=0), tmp_path / "other")
    (model / "weights.safetensors").write_bytes((other / "weights.safetensors").read_bytes())
    with pytest.raises(ModelFolderError, match="other arrays than its config"):
        load(model)


def test_arrays_that_the_config_does_not_name_are_refused_before_they_are_read(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_weights(folder: Path, name: str) -> bytes:
        assert name != "weights.safetensors", "the weights were read"
        return (folder / name).read_bytes()

    arrays = json.loads((model / "config.json").read_text())["arrays"]
    name = next(iter(arrays))
    monkeypatch.setattr(storage, "_read", read_weights)
    for forged in ({**arrays, "more": ["F32", 9]}, {**arrays, name: ["F64", *arrays[name][1:]]}, {}, None, 7):
        edit(model, arrays=forged)
        with pytest.raises(ModelFolderError, match="other arrays than its config"):
            load(model)


def test_a_file_of_holes_is_refused_before_it_is_read(model: Path, growth_of_load: Any) -> None:
    size = 1 << 30
    text = header({"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
    with (model / "weights.safetensors").open("wb") as file:
        file.write(text)
        file.truncate(len(text) + size)
    edit(model, arrays={"a": ["U8", size]})
    with pytest.raises(ModelFolderError, match="nearly all holes"):
        load(model)
    error, growth = growth_of_load(model)
    assert error == "ModelFolderError"
    assert growth < 200


def test_weights_that_are_no_safetensors_are_refused(model: Path) -> None:
    (model / "weights.safetensors").write_bytes(b"\x80\x04pickle?")
    config = json.loads((model / "config.json").read_text())
    edit(model, sha256=config["sha256"] | {"weights": hashlib.sha256(b"\x80\x04pickle?").hexdigest()})
    with pytest.raises(ModelFolderError, match="safetensors format"):
        load(model)


def test_no_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="is not a folder"):
        load(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelFolderError, match="is not a folder"):
        load(tmp_path / "file")


def test_nothing_is_overwritten_unasked(fitted: Synthesizer, model: Path) -> None:
    before = (model / "config.json").stat().st_mtime_ns
    with pytest.raises(ModelFolderError, match="exists already"):
        save(fitted, model)
    assert (model / "config.json").stat().st_mtime_ns == before
    save(fitted, model, force=True)
    assert (model / "config.json").stat().st_mtime_ns != before


def test_force_replaces_models_only(fitted: Synthesizer, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(ModelFolderError, match="is not a model folder"):
        save(fitted, tmp_path / "thesis", force=True)
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "years of work"


def test_a_failing_write_leaves_nothing(fitted: Synthesizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(storage, "_write", full)
    with pytest.raises(OSError, match="no space"):
        save(fitted, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_an_unregistered_class_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="not a registered synthesizer"):
        save(object(), tmp_path / "model")  # type: ignore[arg-type]
