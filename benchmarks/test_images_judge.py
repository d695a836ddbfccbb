"""The judge of images finds planted failures: copies, noise, blur, and labels that say nothing. Run by hand: pytest benchmarks."""

from __future__ import annotations

from pathlib import Path

import images_judge
import numpy as np
import pytest


def films(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth grey squares, brighter on the side that their label says."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3 > 0
    waves = rng.normal(0, 12, (n, 4, 4)).repeat(3, 1).repeat(3, 2)
    images = 110 + waves + 40 * np.where(labels[:, None, None], np.linspace(-1, 1, 12), -np.linspace(-1, 1, 12))
    return np.clip(images, 0, 255).astype(np.uint8), labels.astype(np.int64)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    for seed, (part, n) in enumerate({"train": 400, "val": 90, "test": 150}.items()):
        images, labels = films(n, seed)
        np.savez(tmp_path / f"{part}.npz", images=images, labels=labels)
    return tmp_path


def judged(tables: Path, images: np.ndarray, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> dict:
    monkeypatch.setattr(images_judge, "N", 120)
    monkeypatch.setattr(images_judge, "DRAWS", 1)
    np.savez(tables / "made.npz", images=images, labels=labels)
    return images_judge.judge(tables, tables / "made.npz")


def test_planted_failures_are_found(tables: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = films(400, 7)
    good = judged(tables, images, labels, monkeypatch)
    assert abs(good["c2st"] - 0.5) < 0.12
    assert abs(good["nearest"]["share"] - 0.5) < 0.1
    assert good["nearest"]["identical"] == 0
    assert good["tstr"] > 0.95
    assert (tables / "reference.json").is_file()
    with np.load(tables / "train.npz") as train:
        copies = judged(tables, train["images"], train["labels"], monkeypatch)
    assert copies["nearest"]["identical"] == 400
    assert copies["nearest"]["low"] > 0.55
    assert copies["nearest"]["quantile_1"] < 0.01 < copies["nearest"]["quantile_1_real"]
    noise = np.clip(images + np.random.default_rng(0).normal(0, 20, images.shape), 0, 255).astype(np.uint8)
    grainy = judged(tables, noise, labels, monkeypatch)
    assert grainy["c2st"] > 0.9
    assert grainy["looks"]["vertical"] > 1.5 * grainy["looks_real"]["vertical"]
    wrong = judged(tables, images, np.random.default_rng(0).permutation(labels), monkeypatch)
    assert wrong["tstr"] < good["tstr"] - 0.05
