"""Folders of images: what is read, what is refused, how all are brought to one form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from manikin.data.errors import DataError
from manikin.workflow.reading import sets


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path)
    return path


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def shape_of(path: Path) -> tuple[tuple[int, int], str]:
    with Image.open(path) as image:
        return image.size, image.mode


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def folder(root: Path, files: dict[str, np.ndarray], labels: str | None = None) -> sets.ImageSet:
    for name, pixels in files.items():
        save(root / name, pixels)
    if labels is not None:
        (root / "labels.csv").write_text(labels)
    return sets.image_set(root)


def test_labels_are_found(tmp_path: Path) -> None:
    for i in range(6):
        save(tmp_path / f"part/{i}.png", noise(4, 4, seed=i))
    rows = "".join(f"part/{i}.png,{i % 3 + 30}.5,{'ab'[i % 2]}\n" for i in range(6))
    (tmp_path / "labels.csv").write_text(f"file,age,finding\n{rows}")
    found = sets.image_set(tmp_path)
    assert found.files == tuple(f"part/{i}.png" for i in range(6))
    assert (found.column, found.labels) == ("finding", ("a", "b") * 3)
    assert sets.image_set(tmp_path, label="age").labels == ("30.5", "31.5", "32.5") * 2
    with pytest.raises(DataError, match="no column 'sex'"):
        sets.image_set(tmp_path, label="sex")


def test_no_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing at"):
        sets.image_set(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no image"):
        sets.image_set(tmp_path)
    (tmp_path / "a.csv").write_text("x\n1\n")
    with pytest.raises(DataError, match="holds no images"):
        sets.image_set(tmp_path / "a.csv")


def test_arrays_are_read_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(size=(5, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "a.npz", images=pixels, label=np.array([0, 1, 0, 1, 1]))
    found = sets.image_set(tmp_path / "a.npz")
    assert (len(found), found.column, found.labels) == (5, "label", ("0", "1", "0", "1", "1"))
    sets.write_alike([found, found], [[0, 1], [2]], [[0, 1], [2]], tmp_path / "out")
    assert shape_of(tmp_path / "out/000001.png") == ((8, 8), "L")


def test_a_patient_is_no_label_and_volumes_show_their_middle(tmp_path: Path) -> None:
    volumes = np.zeros((6, 7, 5, 5), dtype=np.uint8)
    volumes[:, 3] = 200
    np.savez(tmp_path / "v.npz", images=volumes, patient_id=np.array(["p1", "p1", "p2", "p2", "p3", "p3"]))
    found = sets.image_set(tmp_path / "v.npz")
    assert found.column == ""
    assert sets.write_alike([found, found], [[0], [1]], [[0], [1]], tmp_path / "out")[0].startswith("Volumes are shown")
    assert shape_of(tmp_path / "out/000001.png") == ((5, 5), "L")
    assert len(set(pixels_of(tmp_path / "out/000001.png").ravel())) == 1


def test_everything_is_made_alike(tmp_path: Path) -> None:
    real = folder(
        tmp_path / "real",
        {"a.png": noise(40, 60), "b.jpg": noise(50, 50, 3), "c.png": np.full((33, 33), 7, dtype=np.uint8)},
    )
    made = folder(tmp_path / "made", {"a.png": noise(32, 32), "b.png": noise(32, 32, seed=1)})
    notices = sets.write_alike([real, made], [[0, 1, 2], [0, 1]], [[0, 2, 4], [1, 3]], tmp_path / "out")
    assert any("colours" in one for one in notices)
    assert any("32 x 32" in one for one in notices)
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"00000{i}.png" for i in range(5)]
    assert len({file.stat().st_size for file in files}) == 1
    assert {shape_of(file) for file in files} == {((32, 32), "L")}
    np.testing.assert_array_equal(pixels_of(files[1]), noise(32, 32))


def test_colours_of_both_stay(tmp_path: Path) -> None:
    real, made = (folder(tmp_path / name, {"a.png": noise(9, 9, 3, seed=i)}) for i, name in enumerate(("real", "made")))
    assert sets.write_alike([real, made], [[0], [0]], [[0], [1]], tmp_path / "out") == []
    np.testing.assert_array_equal(pixels_of(tmp_path / "out/000000.png"), noise(9, 9, 3))


def test_sixteen_bits_and_constant_ones(tmp_path: Path) -> None:
    deep = np.linspace(0, 4000, 256).reshape(16, 16).astype(np.uint16)
    real = folder(tmp_path / "real", {"r.png": deep, "c.png": np.full((16, 16), 900, dtype=np.uint16)})
    made = folder(tmp_path / "made", {"s.png": noise(16, 16)})
    order = [real.files.index("r.png"), real.files.index("c.png")]
    notices = sets.write_alike([real, made], [order, [0]], [[0, 1], [2]], tmp_path / "out")
    assert any("8 bits" in one for one in notices)
    shown = pixels_of(tmp_path / "out/000000.png")
    assert (shown.min(), shown.max()) == (0, 255)
    assert set(pixels_of(tmp_path / "out/000001.png").ravel()) == {128}


def test_a_single_pixel_and_a_wide_one(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", {"a.png": np.array([[9]], dtype=np.uint8)})
    wide = folder(tmp_path / "wide", {"b.png": noise(5, 90)})
    sets.write_alike([one, wide], [[0], [0]], [[0], [1]], tmp_path / "out")
    assert {shape_of(file) for file in (tmp_path / "out").iterdir()} == {((1, 1), "L")}
