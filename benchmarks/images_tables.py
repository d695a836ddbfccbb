"""Official splits as npz: `python images_tables.py DATA OUT`, DATA being a folder with pneumoniamnist/pneumoniamnist_28.npz.

PneumoniaMNIST (MedMNIST v2, doi:10.1038/s41597-022-01721-8; Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010; CC BY 4.0): 4,708 images
to learn from, 524 to choose by, 624 that nothing is chosen by. The test images come from other patients and another mix of labels. Those of
val that are in train too (8) are left out, where they would count as copies.

histology: 729 overlapping colour patches of 96 x 96 pixels of the stained section in scikit-image (ihc.png), labelled by how much of it
is brown. One section of one patient: something to look at, nothing to judge by.
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
    histology(args.out / "histology")


def histology(folder: Path) -> None:
    from skimage.color import rgb2hed
    from skimage.data import immunohistochemistry

    section = immunohistochemistry()
    stain = rgb2hed(section)[..., 2]
    corners = [(top, left) for top in range(0, 512 - 95, 16) for left in range(0, 512 - 95, 16)]
    images = np.stack([section[top : top + 96, left : left + 96] for top, left in corners])
    brown = np.array([stain[top : top + 96, left : left + 96].mean() for top, left in corners])
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "train.npz", images=images, labels=(brown > np.median(brown)).astype(np.int64))
    print(f"histology: {len(images)} patches")


if __name__ == "__main__":
    main()
