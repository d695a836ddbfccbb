"""Images with labels in, images of nobody out: a folder is made here, learned from, drawn from by label, and judged.

Run it from anywhere: python examples/images_of_nobody.py
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import manikin as mk


def write_scans(folder: Path, n: int = 160, side: int = 16) -> None:
    """Round shadows on a noisy ground, as PNG files with a labels.csv; the sick ones are larger."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    rows = []
    for i in range(n):
        is_sick = rng.random() < 0.4
        radius = 4.5 if is_sick else 2.5
        centre = side / 2 + rng.normal(0, 1.0, 2)
        shadow = 110 / (1 + np.exp((np.hypot(y - centre[0], x - centre[1]) - radius) * 2))
        pixels = (70 + shadow + rng.normal(0, 8, (side, side))).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"scan-{i:03d}.png")
        rows.append((f"scan-{i:03d}.png", "sick" if is_sick else "well", int(rng.normal(65 if is_sick else 50, 8))))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label", "age"), *rows])


def main() -> None:
    """From the folder to figures."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "scans"
        folder.mkdir()
        write_scans(folder)
        train, holdout = mk.split(mk.read(folder), seed=0)
        model = mk.synthesizer("image_pca", components=20).fit(train, seed=0)
        synthetic = model.sample(len(train), seed=1)
        sick = model.sample(40, seed=2, conditions={"label": "sick"})
        well = model.sample(40, seed=2, conditions={"label": "well"})
        brightness = [float(made.table.images["file"].array().mean()) for made in (sick, well)]
        print(f"mean grey level of made images: sick {brightness[0]:.0f}, well {brightness[1]:.0f}")
        figures = ["image_intensity", "image_diversity"]
        results = mk.evaluate(
            train=train, holdout=holdout, synthetic=synthetic, target="label", seed=0, metrics=figures, attacks=[]
        )
        for figure in results.metrics:
            print(f"{figure.title}: {figure.value:.3f} (real images {figure.reference:.3f})")
        assert brightness[0] > brightness[1] + 5


if __name__ == "__main__":
    main()
