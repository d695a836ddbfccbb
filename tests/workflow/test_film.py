"""The filmstrip as a picture file beside a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from manikin.training.pictures import frame_png
from manikin.workflow.film import FILM, write_film

image = pytest.importorskip("PIL.Image")


def test_moments_stand_side_by_side(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    film = [
        {"step": 100 * i, "pictures": {name: frame_png(rng.integers(0, 99, (8, 1, 28, 28), dtype=np.uint8)) for name in ("mr", "ct")}}
        for i in range(9)
    ]
    assert write_film({"film": film}, tmp_path / FILM)
    with image.open(tmp_path / FILM) as made:
        assert made.width > 8 * 2 * 58
        assert made.height > 2 * 2 * 118
        assert "no real patient" in made.info["Description"]
    before = (tmp_path / FILM).read_bytes()
    assert write_film({"film": film}, tmp_path / FILM)
    assert (tmp_path / FILM).read_bytes() == before


def test_a_run_without_pictures_has_no_film(tmp_path: Path) -> None:
    assert not write_film({"film": [{"step": 1, "bins": {"age": [1.0]}}]}, tmp_path / FILM)
    assert not write_film({}, tmp_path / FILM)
    assert not (tmp_path / FILM).exists()
