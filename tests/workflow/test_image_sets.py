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


def test_labels_are_found(tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / f"part/{i}.png", noise(4, 4, seed=i))
    (tmp_path / "labels.csv").write_text("file,age,finding\n" + "".join(f"part/{i}.png,{i + 30}.5,{'ab'[i % 2]}\n" for i in range(3)))
    found = sets.image_set(tmp_path)
    assert found.files == ("part/0.png", "part/1.png", "part/2.png"), "an image without a row is left out"
    assert (found.column, found.labels) == ("age", ("30.5", "31.5", "32.5"))
    assert sets.image_set(tmp_path, label="finding").labels == ("a", "b", "a")
    with pytest.raises(DataError, match="no column 'sex'"):
        sets.image_set(tmp_path, label="sex")
    (tmp_path / "labels.csv").write_text("image,label\n0.png,a\n")
    with pytest.raises(DataError, match="no column 'file'"):
        sets.image_set(tmp_path)
    (tmp_path / "labels.csv").write_text("file,label\nother.png,a\nmore.png,b\n")
    with pytest.raises(DataError, match="None of the images"):
        sets.image_set(tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"file,label\n\xff\xfe\n")
    with pytest.raises(DataError, match="UTF-8"):
        sets.image_set(tmp_path)


def test_no_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no folder"):
        sets.image_set(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no PNG or JPEG"):
        sets.image_set(tmp_path)


def test_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = save(tmp_path / "good.png", noise(30, 30)).read_bytes()
    for name, data in (("text.png", b"no image"), ("empty.png", b""), ("cut.png", good[:200]), ("gif.png", b"GIF89a" + b"\0" * 50)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=name):
            sets.read_image(tmp_path / name)
    monkeypatch.setattr(sets, "MOST_PIXELS", 899)
    with pytest.raises(DataError, match="more than 899 pixels"):
        sets.read_image(tmp_path / "good.png")


def test_everything_is_made_alike(tmp_path: Path) -> None:
    real = [
        save(tmp_path / "real/a.png", noise(40, 60)),
        save(tmp_path / "real/b.jpg", noise(50, 50, 3)),
        save(tmp_path / "real/c.png", np.full((33, 33), 7, dtype=np.uint8)),
        save(tmp_path / "real/d.png", noise(40, 40, 4)),
    ]
    made = [save(tmp_path / "made/a.png", noise(32, 32)), save(tmp_path / "made/b.png", noise(32, 32) > 128)]
    notices = sets.write_alike([real, made], [[0, 2, 4, 5], [1, 3]], tmp_path / "out")
    assert any("colours" in one for one in notices)
    assert any("32 x 32" in one for one in notices)
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"00000{i}.png" for i in range(6)]
    assert len({file.stat().st_size for file in files}) == 1
    assert {shape_of(file) for file in files} == {((32, 32), "L")}
    np.testing.assert_array_equal(pixels_of(files[1]), noise(32, 32))


def test_sixteen_bits_and_constant_ones(tmp_path: Path) -> None:
    deep = np.linspace(0, 4000, 256).reshape(16, 16).astype(np.uint16)
    real = [save(tmp_path / "r.png", deep), save(tmp_path / "c.png", np.full((16, 16), 900, dtype=np.uint16))]
    made = [save(tmp_path / "s.png", noise(16, 16))]
    notices = sets.write_alike([real, made], [[0, 1], [2]], tmp_path / "out")
    assert any("8 bits" in one for one in notices)
    shown = pixels_of(tmp_path / "out/000000.png")
    assert (shown.min(), shown.max()) == (0, 255)
    assert set(pixels_of(tmp_path / "out/000001.png").ravel()) == {128}


def test_a_single_pixel(tmp_path: Path) -> None:
    one = save(tmp_path / "a.png", np.array([[9]], dtype=np.uint8))
    wide = save(tmp_path / "b.png", noise(5, 90))
    sets.write_alike([[one], [wide]], [[0], [1]], tmp_path / "out")
    assert {shape_of(file) for file in (tmp_path / "out").iterdir()} == {((1, 1), "L")}
