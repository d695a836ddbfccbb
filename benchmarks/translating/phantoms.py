"""MR and CT of head phantoms through our own forward models, with and without lesions. All of it simulated: no patient, no scanner.

Each training phantom exists without a lesion, and half of them with one in the same anatomy: so that training sets with another share of
lesions differ in nothing else. Test phantoms are others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import binary_erosion, binary_fill_holes, label

from manikin.simulation.imaging.heads import HEAD_LESIONS
from manikin.simulation.imaging.pairs import CT_WINDOW, one_pair

SIZE = 64
N_TRAIN, N_WITH, N_TEST, N_NORMAL = 300, 150, 120, 80
TRAIN_SEED, TEST_SEED = 11, 12
LEVEL, WIDTH = CT_WINDOW["head"]
LOW, HIGH = LEVEL - WIDTH / 2, LEVEL + WIDTH / 2


def hounsfield(grey: np.ndarray) -> np.ndarray:
    """Grey levels of 8 bits as Hounsfield units of the window."""
    return grey.astype(np.float64) / 255 * WIDTH + LOW


def brain(hu: np.ndarray) -> np.ndarray:
    """The inside of the skull, two pixels from it."""
    parts, n = label((hu > -20) & (hu < 130))
    if not n:
        return np.zeros(hu.shape, dtype=bool)
    sizes = np.bincount(parts.ravel())[1:]
    middle = parts[tuple(side // 2 for side in hu.shape)]
    return binary_erosion(binary_fill_holes(parts == (middle or 1 + int(sizes.argmax()))), iterations=2)


def made(path: Path) -> dict[str, np.ndarray]:
    """The images, made once and kept as an .npz: `mr`, `ct` uint8 (n, 64, 64), `lesion`, `brain` bool, `label`, `part`, `phantom`."""
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    rows: dict[str, list] = {name: [] for name in ("mr", "ct", "lesion", "brain", "label", "part", "phantom")}

    def add(part: str, seed: int, i: int, lesion: str | None) -> None:
        mr, ct, phantom = one_pair(SIZE, seed, i, lesion=lesion)
        rows["mr"].append(np.round(mr * 255).astype(np.uint8))
        rows["ct"].append(np.round(ct * 255).astype(np.uint8))
        rows["lesion"].append(phantom.lesion_mask)
        rows["brain"].append(brain(phantom.map("hu")))
        for name, value in (("label", lesion or "normal"), ("part", part), ("phantom", f"{part}-{i}")):
            rows[name].append(value)

    for i in range(N_TRAIN):
        add("train", TRAIN_SEED, i, None)
        if i < N_WITH:
            add("train", TRAIN_SEED, i, HEAD_LESIONS[i % 3])
    for i in range(N_TEST + N_NORMAL):
        add("test", TEST_SEED, i, HEAD_LESIONS[i % 3] if i < N_TEST else None)
    arrays = {name: np.stack(values) if name not in ("label", "part", "phantom") else np.array(values) for name, values in rows.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return arrays


def training(data: dict[str, np.ndarray], share: float) -> np.ndarray:
    """Rows of the training set of which this share has a lesion, one for each training phantom."""
    train = np.flatnonzero(data["part"] == "train")
    is_normal = data["label"][train] == "normal"
    of = np.array([int(name.partition("-")[2]) for name in data["phantom"][train]])
    n = round(share * N_TRAIN)
    return train[np.where(of < n, ~is_normal, is_normal)]
