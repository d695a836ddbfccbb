"""Slow truth of adaptive augmentation (arXiv 2006.06676): where films are few the critic learns them by heart, and p rises until the sign
of its scores of real films is back at its target; where they are many neither happens. PneumoniaMNIST at 14 x 14; a minute each.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from manikin.data.dataset import Dataset
from manikin.synthesizers import synthesizer
from manikin.synthesizers.images import stylegan2ada
from manikin.training.control import Control
from manikin.training.objectives.style_game import StyleGame
from manikin.workflow.sources import read

FILMS = Path(os.environ.get("MANIKIN_SHARED_DATA", "/nowhere")) / "pneumoniamnist" / "pneumoniamnist_28.npz"
STEPS, EVERY = 1400, 20
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.skipif(not FILMS.is_file(), reason="the films are not here")]


def followed(n: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray[Any, Any]]:
    """A run on so many films: by look r_t since the last one, p, and r_v = (D(learned) - D(others)) / (D(learned) - D(made))."""
    whole: Dataset = read(FILMS)
    whole = whole.only([name for name in whole.columns.names if name != "split"])
    order = np.random.default_rng(0).permutation(len(whole))
    train, others = whole.take(np.sort(order[:n])), whole.take(np.sort(order[-128:]))
    seen: dict[str, list[float]] = {"r_t": [], "p": [], "r_v": []}

    class Followed(StyleGame):
        sums = np.zeros(2)

        def _note(self, on_real: torch.Tensor, on_made: torch.Tensor) -> None:
            super()._note(on_real, on_made)
            self.sums += [float(on_real.sign().sum()), len(on_real)]

        @torch.no_grad()
        def after_step(self, fraction: float) -> None:
            super().after_step(fraction)
            if int(self._steps) % EVERY == 0:
                told = model.codec_.encode(others)
                rows = np.arange(len(others))
                held = self.critic(torch.from_numpy(told.pixels("file", rows)), torch.from_numpy(told.tokens.astype(np.int64))).mean()
                batch = self.data.batch(self.data.rows[:128])
                real, made = (self.critic(images, batch.tokens).mean() for images in (batch.pixels, self.made(batch.tokens)))
                seen["r_v"].append(float((real - held) / (real - made)))
                seen["r_t"].append(self.sums[0] / self.sums[1])
                seen["p"].append(self.p)
                self.sums[:] = 0

    monkeypatch.setattr(stylegan2ada, "StyleGame", Followed)
    model = synthesizer("stylegan2ada", steps=STEPS, batch_size=16, size=14)
    model.fit(train, seed=0, control=Control(device="cpu"))
    return {name: np.array(values) for name, values in seen.items()}


def test_p_rises_on_few_films_and_holds_the_sign_at_its_target(monkeypatch: pytest.MonkeyPatch) -> None:
    found = followed(40, monkeypatch)
    late = slice(-len(found["p"]) // 3, None)
    print({name: np.round(values[late].mean(), 3) for name, values in found.items()})
    assert np.median(found["r_v"][late]) > 0.5, "the critic knows its films by heart"
    assert found["p"][late].mean() > 0.02
    assert abs(found["r_t"][late].mean() - 0.6) < 0.06


def test_p_stays_at_0_on_many_films(monkeypatch: pytest.MonkeyPatch) -> None:
    found = followed(4000, monkeypatch)
    late = slice(-len(found["p"]) // 3, None)
    print({name: np.round(values[late].mean(), 3) for name, values in found.items()})
    assert abs(np.median(found["r_v"][late])) < 0.3
    assert found["p"][late].mean() < 0.02
