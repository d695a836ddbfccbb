"""Adaptive augmentation where films are few: `python images_few.py TABLES [--arms off,r_t,r_v] [--films 40]`, as images_tables writes.

stylegan2ada at 14 x 14 learns a few films of PneumoniaMNIST by three ways of moving p, the chance of each change of what the critic is
shown:

off    no changes at all.
r_t    as the generator does: the mean sign of the critic's scores of real films, at its target (r_t:0.4 takes another than 0.6).
r_v    by films that are not learned, a fifth as many and 16 at least: (D(learned) - D(others)) / (D(learned) - D(made)), at 0.5.

Told are p at every 100th step and, of 1,000 films made, the AUC of trees and the kernel distance (unbiased, cubic kernel, pixels, times
1,000) to films that nobody learned; real: others of these. A minute each; one seed tells little. Figures: benchmarks/LOG.md.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from images_judge import counts_for, read, stratified, trees
from images_run import cpu_seconds, dataset

from manikin.data.dataset import Dataset
from manikin.synthesizers.images import stylegan2ada
from manikin.training.control import Control
from manikin.training.objectives.style_game import StyleGame, next_p

SIDE, STEPS, BATCH, SEED, N = 14, 1200, 16, 0, 900


def game_of(aside: Dataset | None, model: stylegan2ada.StyleGAN2ADA, seen: list[float]) -> type[StyleGame]:
    """The game with p told, and moved by films aside where there are some."""

    class Followed(StyleGame):
        sums = np.zeros(3)  # of the critic's mean scores of learned, made and other films since p moved
        held: tuple[torch.Tensor, torch.Tensor]

        def _note(self, on_real: torch.Tensor, on_made: torch.Tensor) -> None:
            super()._note(on_real, on_made)
            if aside is None:
                return
            if not hasattr(self, "held"):
                told, every = model.codec_.encode(aside), np.arange(len(aside))
                self.held = torch.from_numpy(told.pixels("file", every)), torch.from_numpy(told.tokens.astype(np.int64))
            rows = torch.randint(0, len(aside), (len(on_real),))
            with torch.no_grad():
                others = self.critic(self.shown(self.held[0][rows]), self.held[1][rows])
            self.sums += [float(on_real.mean()), float(on_made.mean()), float(others.mean())]

        def _adapt(self, fraction: float) -> None:
            if aside is None:
                super()._adapt(fraction)
            else:
                real, made, others = self.sums
                fifth = float(self._steps) / max(fraction, 1e-9) * self.data.batch_size / 5
                self._adapted[0] = next_p(self.p, (real - others) / max(real - made, 1e-6), 0.5, float(self._adapted[2]) / fifth)
                self._adapted[1:3] = 0.0
                self.sums[:] = 0
            if int(self._steps) % 100 == 0:
                seen.append(round(self.p, 3))

    return Followed


def small(images: np.ndarray) -> np.ndarray:
    return F.interpolate(torch.from_numpy(images.astype(np.float32)), size=SIDE, mode="area").numpy()


def kid(a: np.ndarray, b: np.ndarray, like: np.ndarray) -> float:
    """1,000 times the unbiased squared maximum mean discrepancy of pixels, kernel (x y / d + 1)^3."""
    n = min(len(a), len(b))
    x, y = (((part[:n] - like.mean(0)) / like.std()).reshape(n, -1).astype(np.float64) for part in (a, b))
    own, other, both = ((p @ q.T / p.shape[1] + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
    return float(1000 * ((own.sum() - np.trace(own) + other.sum() - np.trace(other)) / (n * (n - 1)) - 2 * both.mean()))


def run(tables: Path, arm: str, n: int) -> dict[str, Any]:
    folder = tables / "pneumoniamnist"
    whole = dataset(folder / "train.npz")
    order = np.random.default_rng(0).permutation(len(whole))
    aside = whole.take(np.sort(order[n : n + max(16, n // 5)])) if arm == "r_v" else None
    way, _, target = arm.partition(":")
    settings = {"target": float(target)} if target else {"augment": ""} if way == "off" else {}
    model = stylegan2ada.StyleGAN2ADA(steps=STEPS, batch_size=BATCH, size=SIDE, **settings)
    seen: list[float] = []
    stylegan2ada.StyleGame = game_of(aside, model, seen)  # type: ignore[misc]
    model.fit(whole.take(np.sort(order[:n])), seed=SEED, control=Control(device="cpu"))
    spent, table = cpu_seconds(), model.sample(1000, seed=SEED + 1).table
    made, made_y = small(table.images["file"].array() / 255), table.frame["label"].astype(str).astype(int).to_numpy()
    images, labels = (part[np.sort(order[1000:])] for part in read(folder / "train.npz"))
    rng, counts = np.random.default_rng(1), counts_for(labels, N)
    first = stratified(labels, counts, rng)
    rest = np.setdiff1d(np.arange(len(labels)), first)
    a, b = small(images[first]), small(images[rest[stratified(labels[rest], counts, rng)]])
    m = made[stratified(made_y, counts, rng)]
    found = {"c2st": trees(a, m, 0), "c2st_real": trees(a, b, 0), "kid": kid(a, m, a), "kid_real": kid(a, b, a)}
    return {"arm": arm, "films": n, "cpu": round(spent), "p": seen} | {key: round(value, 3) for key, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--arms", default="off,r_t,r_v", help="with commas")
    parser.add_argument("--films", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for arm in args.arms.split(","):
        print(json.dumps(run(args.tables, arm, args.films)), flush=True)


if __name__ == "__main__":
    main()
