"""The sheet of simulated images in docs/images: four of each kind.

    python tools/simulated_sheet.py docs/images/simulated.png
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from manikin.simulation.imaging import SIMULATORS

SIZE, ROWS = 112, 4
KINDS = ("xray", "ct", "mr", "mr-ct", "pet", "ultrasound", "fundus", "dermoscopy")


def main() -> None:
    """Draws the sheet: one column per kind, each of its labels in turn; of pairs the CT below its MR."""
    columns = []
    for kind in KINDS:
        simulator = SIMULATORS.load(kind)
        cells: list[np.ndarray] = []
        for i in range(ROWS):
            label = simulator.labels[i % len(simulator.labels)]
            made = simulator.image(SIZE, 7, i, kind=kind, labels=[label])
            cells += [np.broadcast_to(image, (3, SIZE, SIZE)).transpose(1, 2, 0) for image in made.images.values()]
        columns.append(np.vstack(cells[:ROWS]))
    sheet = np.clip(np.round(np.hstack(columns) * 255), 0, 255).astype(np.uint8)
    Image.fromarray(sheet).quantize(128).save(sys.argv[1], optimize=True)


if __name__ == "__main__":
    main()
