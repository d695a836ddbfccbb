"""Official splits as npz: `python images_tables.py DATA OUT`, DATA being a folder with pneumoniamnist/pneumoniamnist_28.npz.

PneumoniaMNIST (MedMNIST v2, doi:10.1038/s41597-022-01721-8; Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010; CC BY 4.0): 4,708 images
to learn from, 524 to choose by, 624 that nothing is chosen by. The test images come from other patients and another mix of labels. Those of
val that are in train too (8) are left out, where they would count as copies.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    with np.load(args.data / "pneumoniamnist" / "pneumoniamnist_28.npz", allow_pickle=False) as given:
        parts = {part: (given[f"{part}_images"], given[f"{part}_labels"].ravel()) for part in ("train", "val", "test")}
    known = {image.tobytes() for image in parts["train"][0]}
    folder = args.out / "pneumoniamnist"
    folder.mkdir(parents=True, exist_ok=True)
    for part, (images, labels) in parts.items():
        kept = np.array([part != "val" or image.tobytes() not in known for image in images])
        np.savez_compressed(folder / f"{part}.npz", images=images[kept], labels=labels[kept].astype(np.int64))
        print(f"{part}: {kept.sum()} images, {np.bincount(labels[kept]).tolist()} of each label")


if __name__ == "__main__":
    main()
