"""Scores synthetic colour patches: `python images_patches_judge.py TABLES/NAME SYNTHETIC.npz [-n 450] [-o judge.json]`. Imports no Manikin.

Each score stands beside what real patches get. Patches overlap and come from one patient, so that what is told is likeness, not privacy.

c2st          AUC of boosted trees that tell synthetic from train patches, cross-validated: colours of 8 x 8 areas, and the strength of four
              bands of detail in 4 x 4 areas. real: half of the train patches against the other half.
c2st_cnn      the same by a small CNN on pixels at half the resolution.
frechet       Fréchet distance of these features (in train's spread, 48 principal components); real: one half against the other.
detail        strength of the four finest bands over that of train patches, the finest first; below 1 is blur, above is grain.
border        the same ratio of the outermost two pixels' mean brightness to the inner ones', minus train's: below 0 is dark borders.
nearest       median distance to the nearest train patch; real: of test patches, which lie in another part of the image.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from images_judge import cnn_c2st, nearest, read, trees

BANDS, COMPONENTS = 4, 48


def bands(images: np.ndarray) -> list[np.ndarray]:
    """Details lost by each of four halvings, (n, channels, height, width) each, the finest first."""
    found, rest = [], torch.from_numpy(images)
    for _ in range(BANDS):
        small = F.avg_pool2d(rest, 2)
        found.append((rest - F.interpolate(small, scale_factor=2)).numpy())
        rest = small
    return found


def features(images: np.ndarray) -> np.ndarray:
    """Colours of 8 x 8 areas and the strength of bands in 4 x 4 areas, (n, n_features)."""
    parts = [F.adaptive_avg_pool2d(torch.from_numpy(images), 8).numpy()]
    parts += [np.sqrt(F.adaptive_avg_pool2d(torch.from_numpy(band**2), 4).numpy() + 1e-8) for band in bands(images)]
    return np.concatenate([part.reshape(len(images), -1) for part in parts], axis=1)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    gap = a.mean(0) - b.mean(0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(gap @ gap + np.trace(first) + np.trace(second) - 2 * cross)


def strength(images: np.ndarray) -> np.ndarray:
    return np.array([float(np.sqrt((band**2).mean())) for band in bands(images)])


def border(images: np.ndarray) -> float:
    mask = np.ones(images.shape[2:], dtype=bool)
    mask[2:-2, 2:-2] = False
    return float(images[..., mask].mean() / images[..., ~mask].mean())


def judge(folder: Path, synthetic: Path, most: int) -> dict[str, object]:
    train, made, test = (read(path)[0] for path in (folder / "train.npz", synthetic, folder / "test.npz"))
    rng = np.random.default_rng(0)
    n = min(most, len(train) // 2, len(made))
    order = rng.permutation(len(train))
    a, b, m = train[order[:n]], train[order[n : 2 * n]], made[rng.permutation(len(made))[:n]]
    fa, fb, fm = features(a), features(b), features(m)
    all_train = features(train[order[: 4 * n]])
    centre, spread = all_train.mean(0), np.maximum(all_train.std(0), 1e-6)
    _, _, axes = np.linalg.svd((all_train - centre) / spread, full_matrices=False)
    pa, pb, pm = (((part - centre) / spread) @ axes[:COMPONENTS].T for part in (fa, fb, fm))
    halves = [F.avg_pool2d(torch.from_numpy(part), 2).numpy() for part in (a, b, m)]
    small = [F.adaptive_avg_pool2d(torch.from_numpy(part), 32).numpy() for part in (train, m, test)]
    return {
        "n": n,
        "c2st": {"synthetic": trees(fa, fm, 0), "real": trees(fa, fb, 0)},
        "c2st_cnn": {"synthetic": cnn_c2st(halves[0], halves[2], 0), "real": cnn_c2st(halves[0], halves[1], 0)},
        "frechet": {"synthetic": frechet(pa, pm), "real": frechet(pa, pb)},
        "detail": (strength(m) / strength(a)).round(3).tolist(),
        "border": round(border(m) - border(a), 4),
        "nearest": {"synthetic": float(np.median(nearest(small[1], small[0]))), "real": float(np.median(nearest(small[2], small[0])))},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("synthetic", type=Path)
    parser.add_argument("-n", type=int, default=450, help="patches on each side")
    parser.add_argument("-o", "--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = judge(args.table, args.synthetic, args.n)
    (args.out or args.synthetic.parent / "judge.json").write_text(json.dumps(found, indent=1))
    print(f"{args.synthetic}: {json.dumps(found)}")


if __name__ == "__main__":
    main()
