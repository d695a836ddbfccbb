"""MR and CT of head phantoms through our own forward models, with and without lesions. All of it simulated: no patient, no scanner.

Each training phantom exists without a lesion, and with one in the same anatomy: so that training sets with another share of
lesions differ in nothing else. Test phantoms are others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import binary_erosion, binary_fill_holes, label

from manikin.simulation.imaging.heads import HEAD_LESIONS
from manikin.simulation.imaging.pairs import CT_WINDOW, one_pair

SIZE = 64
N_TRAIN, N_TEST, N_NORMAL = 100, 90, 30
TRAIN_SEED, TEST_SEED = 21, 12
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
    """The images, made once and kept as an .npz: `mr`, `ct` uint8 (n, 64, 64), `hu` float32 without noise, `lesion`,
    `brain` bool, `label`, `part`, `phantom`."""
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    rows: dict[str, list] = {name: [] for name in ("mr", "ct", "hu", "lesion", "brain", "label", "part", "phantom")}

    def add(part: str, seed: int, i: int, lesion: str | None) -> None:
        mr, ct, phantom = one_pair(SIZE, seed, i, lesion=lesion)
        rows["mr"].append(np.round(mr * 255).astype(np.uint8))
        rows["ct"].append(np.round(ct * 255).astype(np.uint8))
        hu = phantom.map("hu")
        rows["hu"].append(np.clip(hu, LOW, HIGH).astype(np.float32))
        rows["lesion"].append(phantom.lesion_mask)
        rows["brain"].append(brain(hu))
        for name, value in (("label", lesion or "normal"), ("part", part), ("phantom", f"{part}-{i}")):
            rows[name].append(value)

    for i in range(N_TRAIN):
        add("train", TRAIN_SEED, i, None)
        add("train", TRAIN_SEED, i, HEAD_LESIONS[i % 3])
    for i in range(N_TEST + N_NORMAL):
        add("test", TEST_SEED, i, HEAD_LESIONS[i % 3] if i < N_TEST else None)
    arrays = {name: np.stack(values) if name not in ("label", "part", "phantom") else np.array(values) for name, values in rows.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return arrays


def training(data: dict[str, np.ndarray], share: float, *, first: int = 0, last: int = N_TRAIN) -> np.ndarray:
    """Rows of training phantoms `first` to `last` - 1, each once; the first `share` of them with their lesion."""
    train = np.flatnonzero(data["part"] == "train")
    is_normal = data["label"][train] == "normal"
    of = np.array([int(name.partition("-")[2]) for name in data["phantom"][train]])
    with_lesion = of < first + round(share * (last - first))
    return train[(of >= first) & (of < last) & np.where(with_lesion, ~is_normal, is_normal)]


def halved(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same at 32 x 32 pixels: means of four, masks where half of the four are in them."""
    out = dict(data)
    for name in ("mr", "ct", "hu", "lesion", "brain"):
        n = len(data[name])
        mean = data[name].astype(np.float64).reshape(n, SIZE // 2, 2, SIZE // 2, 2).mean((2, 4))
        if data[name].dtype == bool:
            out[name] = mean >= 0.5
        else:
            out[name] = mean.astype(np.float32) if name == "hu" else np.round(mean).astype(np.uint8)
    return out


def windowed(grey: np.ndarray, low: float, high: float) -> np.ndarray:
    """Grey levels of a narrower window, from `low` to `high` HU; what lies beyond is cut."""
    return np.round(np.clip((hounsfield(grey) - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def unwindowed(grey: np.ndarray, low: float, high: float) -> np.ndarray:
    """Back in the whole window."""
    hu = grey.astype(np.float64) / 255 * (high - low) + low
    return np.round((hu - LOW) / WIDTH * 255).astype(np.uint8)
