"""Frames of pictures: what an objective of images shows of itself is kept small, as PNG, and comes out as it went in."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_loop import Line

from manikin.training import loop
from manikin.training.control import Control
from manikin.training.loop import train
from manikin.training.pictures import ACROSS, MOST_PICTURES, MOST_PIXELS, frame_png


def decoded(text: str) -> Any:
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(io.BytesIO(base64.b64decode(text))))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_holds_the_pictures_as_they_are(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, channels, 7, 9), dtype=np.uint8)
    sheet = decoded(frame_png(images)).reshape(3 * 9 - 2, ACROSS * 11 - 2, -1)
    for i, image in enumerate(images):
        top, left = i // ACROSS * 9, i % ACROSS * 11
        assert np.array_equal(np.moveaxis(sheet[top : top + 7, left : left + 9], -1, 0), image)


def test_values_of_a_network_become_grey_levels() -> None:
    images = np.array([-3.0, -1.0, 0.0, 1.0, 3.0, np.nan])[None, None, None]
    assert decoded(frame_png(images)).tolist() == [[0, 0, 128, 255, 255, 128]]


@pytest.mark.parametrize("size", [(300, 260), (1, 1000), (65, 65), (5, 256, 256)])
def test_large_pictures_are_reduced_and_many_are_few(size: tuple[int, ...]) -> None:
    images = np.full((40, 2, *size), 0.5, dtype=np.float32)
    sheet = decoded(frame_png(images))
    assert sheet.shape[0] <= (MOST_PIXELS + 2) * MOST_PICTURES // ACROSS
    assert sheet.shape[1] <= (MOST_PIXELS + 2) * ACROSS
    assert set(np.unique(sheet)) <= {191, 255}


class Painter(Line):
    n_asked = 0

    def pictures(self) -> Mapping[str, Any]:
        self.n_asked += 1
        level = float(self.model.weight.detach())
        return {"file": np.full((3, 1, 4, 4), level, dtype=np.float32)}


def test_the_loop_keeps_a_film_of_pictures() -> None:
    painter = Painter(planned_steps=200)
    training = train(painter, seed=0)
    assert painter.n_asked == len(training.film) <= 9
    assert all("bins" not in moment for moment in training.film)
    first, last = (decoded(training.film[i]["pictures"]["file"]) for i in (0, -1))
    assert last.mean() > first.mean()
    assert json.loads(json.dumps(training.to_json()))["film"] == training.film


@pytest.mark.parametrize(("planned", "steps"), [(1, [1]), (5, [1, 2, 3, 4, 5]), (30, [1, 4, 9, 13, 17, 21, 26, 30])])
def test_frames_are_spread_over_short_runs_too(planned: int, steps: list[int]) -> None:
    painter = Painter(planned_steps=planned)
    painter.validate_every = 1000
    assert [moment["step"] for moment in train(painter, seed=0).film] == steps


class Late(Painter):
    def pictures(self) -> Mapping[str, Any]:
        return super().pictures() if len(self.seen) > 90 else {}


def test_what_has_pictures_late_shows_the_first_at_once_and_the_last_at_a_stop() -> None:
    training = train(Late(planned_steps=140), seed=0, control=Control(planned_steps=140, stop_at=111))
    assert [moment["step"] for moment in training.film] == [91, 100, 111]


def test_a_resumed_run_keeps_the_film_of_one_that_was_not_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(progress: Any) -> None:
        if progress.step >= 23:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "REPORT_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        train(Painter(planned_steps=40), seed=0, control=Control(checkpoint=tmp_path / "run", checkpoint_seconds=1e9, on_progress=killed))
    resumed = train(Painter(planned_steps=40), seed=0, control=Control(checkpoint=tmp_path / "run"))
    assert resumed.film == train(Painter(planned_steps=40), seed=0).film


def test_an_objective_without_pictures_has_none() -> None:
    assert train(Line(planned_steps=20), seed=0).film == []
