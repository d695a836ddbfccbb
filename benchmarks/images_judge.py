"""Scores synthetic images with their labels: `python images_judge.py TABLES/NAME SYNTHETIC.npz|FOLDER [-o judge.json]`. Imports no Manikin.

TABLES/NAME holds train.npz, val.npz and test.npz (images, labels); a folder of synthetic images has labels.csv (file, label) and pictures.
Each score stands beside what real images get:

c2st          AUC of boosted trees on pixels that tell 1,000 synthetic from 1,000 train images of the same labels, cross-validated, mean of
              three draws; real: train images against other train images. c2st_unseen: against the images of val that no generator saw.
c2st_cnn      the same by a small CNN, half to learn and half to score by, so that what no tree sees in pixels counts too.
tstr          AUC on the official test of a CNN that saw synthetic images only, mean of two; trtr: real ones, as many, the same CNN.
nearest       share of synthetic images whose nearest train image (of as many as val has, same labels) is nearer than their nearest of val;
              20 draws of train, a 95 % interval over synthetic images. 1/2: no nearer to what was learned than to what was not. Its 1 %
              quantile of distances to all of train, and that of val's images to train: copies would lie below it.
looks         mean absolute difference of neighbours and the spread of pixels, synthetic and real: blur and grain.

What real images get is kept in TABLES/NAME/reference.json, since it is the same for all. Some 150 CPU s, 290 the first time.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from torch import nn

N, DRAWS = 1000, 3
REAL = ("c2st_real", "c2st_unseen_real", "c2st_cnn_real", "trtr")


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 (n, channels, height, width) in [0, 1] and labels (n,)."""
    if path.is_dir():
        from PIL import Image

        with (path / "labels.csv").open() as lines:
            rows = list(csv.DictReader(lines))
        images = np.stack([np.asarray(Image.open(path / row["file"])) for row in rows])
        labels = np.array([int(float(row["label"])) for row in rows])
    else:
        with np.load(path, allow_pickle=False) as given:
            images, labels = given["images"], given["labels"].ravel().astype(int)
    images = images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1)
    return images.astype(np.float32) / 255, labels


def stratified(labels: np.ndarray, counts: dict[int, int], rng: np.random.Generator) -> np.ndarray:
    """Rows of these labels, so many of each (or as many as there are), in random order."""
    parts = [rng.permutation(np.flatnonzero(labels == label))[:count] for label, count in counts.items()]
    return rng.permutation(np.concatenate(parts))


def counts_for(labels: np.ndarray, n: int) -> dict[int, int]:
    shares = np.bincount(labels) / len(labels)
    return {label: round(n * share) for label, share in enumerate(shares) if share}


def trees(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Cross-validated AUC of telling a from b."""
    rows = np.concatenate([a, b]).reshape(len(a) + len(b), -1)
    origin = np.repeat([0, 1], [len(a), len(b)])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = HistGradientBoostingClassifier(max_iter=100, random_state=seed)
    return float(roc_auc_score(origin, cross_val_predict(model, rows, origin, cv=folds, method="predict_proba")[:, 1]))


class CNN(nn.Module):
    """Three convolutions and two layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(3),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 1),
        )  # fmt: skip

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n,)."""
        return self.body(images).squeeze(1)


def scored(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int, epochs: int) -> np.ndarray:
    """Probabilities of a CNN that learned x and y."""
    net = taught(x, y, seed, epochs)
    with torch.no_grad():
        test = torch.from_numpy((x_test - x.mean()) / x.std())
        return torch.sigmoid(torch.cat([net(part) for part in test.split(256)])).numpy()


def taught(x: np.ndarray, y: np.ndarray, seed: int, epochs: int) -> CNN:
    """A CNN that learned x, standardised, and y."""
    torch.manual_seed(seed)
    net, rng = CNN(x.shape[1]), np.random.default_rng(seed)
    images, labels = torch.from_numpy((x - x.mean()) / x.std()), torch.from_numpy(y.astype(np.float32))
    steps = epochs * max(1, len(x) // 64)
    optimiser = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for step in range(steps):
        if step % max(1, len(x) // 64) == 0:
            order = rng.permutation(len(x))
        at = step % max(1, len(x) // 64) * 64
        chosen = torch.from_numpy(order[at : at + 64])
        batch = images[chosen]
        shift = rng.integers(-1, 2, 2)
        batch = torch.roll(F.pad(batch, (1, 1, 1, 1), mode="replicate"), (int(shift[0]), int(shift[1])), (2, 3))[:, :, 1:-1, 1:-1]
        loss = F.binary_cross_entropy_with_logits(net(batch), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def cnn_c2st(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """AUC of a CNN on the half that it did not learn."""
    rng = np.random.default_rng(seed)
    a, b = a[rng.permutation(len(a))], b[rng.permutation(len(b))]
    i, j = len(a) // 2, len(b) // 2
    origin = np.repeat([0, 1], [i, j])
    told = scored(np.concatenate([a[:i], b[:j]]), origin, np.concatenate([a[i:], b[j:]]), seed, 25)
    return float(roc_auc_score(np.repeat([0, 1], [len(a) - i, len(b) - j]), told))


def nearest(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distance of each of a to the nearest of b, (n,); in float64, or equal images are not at 0."""
    x, y = (images.reshape(len(images), -1).astype(np.float64) for images in (a, b))
    squares = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
    return np.sqrt(np.maximum(squares.min(1), 0))


def looks(images: np.ndarray) -> dict[str, float]:
    return {
        "vertical": float(np.abs(np.diff(images, axis=2)).mean()),
        "horizontal": float(np.abs(np.diff(images, axis=3)).mean()),
        "spread": float(images.std()),
        "mean": float(images.mean()),
    }


def judge(folder: Path, synthetic: Path) -> dict[str, Any]:
    parts = {part: read(folder / f"{part}.npz") for part in ("train", "val", "test")}
    (train, train_y), (val, val_y), (test, test_y) = parts["train"], parts["val"], parts["test"]
    made, made_y = read(synthetic)
    reference = folder / "reference.json"
    known = json.loads(reference.read_text()) if reference.is_file() else {}
    out: dict[str, Any] = {"rows": len(made), "labels": np.bincount(made_y).tolist()}
    own: dict[str, list[float]] = {key: [] for key in ("c2st", "c2st_real", "c2st_unseen", "c2st_unseen_real", "c2st_cnn", "c2st_cnn_real")}
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        counts = counts_for(train_y, N)
        a = stratified(train_y, counts, rng)
        others = np.setdiff1d(np.arange(len(train_y)), a)
        b = others[stratified(train_y[others], counts, rng)]
        m = stratified(made_y, counts, rng)
        own["c2st"].append(trees(train[a], made[m], seed))
        if not known:
            own["c2st_real"].append(trees(train[a], train[b], seed))
        like_val = counts_for(val_y, len(val_y))
        own["c2st_unseen"].append(trees(val, made[stratified(made_y, like_val, rng)], seed))
        real_like_val = stratified(train_y, like_val, rng)
        if not known:
            own["c2st_unseen_real"].append(trees(val, train[real_like_val], seed))
        if seed < 2:
            own["c2st_cnn"].append(cnn_c2st(train[a], made[m], seed))
            if not known:
                own["c2st_cnn_real"].append(cnn_c2st(train[a], train[b], seed))
        print(f"  draw {seed}: " + ", ".join(f"{key} {values[-1]:.3f}" for key, values in own.items() if values), flush=True)
    out |= {key: float(np.mean(values)) for key, values in own.items() if values} | known
    out["draws"] = {key: values for key, values in own.items() if values}
    n = min(len(made), len(train))
    rng = np.random.default_rng(10)
    picked = rng.permutation(len(made))[:n], rng.permutation(len(train))[:n]
    for key, (x, y), rows in (("tstr", (made, made_y), picked[0]), ("trtr", (train, train_y), picked[1])):
        if key in known:
            continue
        aucs = [float(roc_auc_score(test_y, scored(x[rows], y[rows], test, seed, 8))) for seed in (0, 1)]
        out[key], out[f"{key}_draws"] = float(np.mean(aucs)), aucs
        print(f"  {key} {aucs}", flush=True)
    held = nearest(made, val)
    like_val, wins = counts_for(val_y, len(val_y)), np.zeros(len(made))
    for _ in range(20):
        near = nearest(made, train[stratified(train_y, like_val, rng)])
        wins += ((near < held) + 0.5 * (near == held)) / 20
    half = 1.96 * wins.std() / np.sqrt(len(wins))
    whole, unseen = nearest(made, train), nearest(val, train)
    out["nearest"] = {
        "share": float(wins.mean()), "low": float(wins.mean() - half), "high": float(wins.mean() + half),
        "quantile_1": float(np.quantile(whole, 0.01)), "quantile_1_real": float(np.quantile(unseen, 0.01)),
        "median": float(np.median(whole)), "median_real": float(np.median(unseen)),
        "identical": int((whole < 1e-3).sum()),
    }  # fmt: skip
    out["looks"], out["looks_real"] = looks(made), looks(train)
    reference.write_text(json.dumps({key: out[key] for key in REAL}, indent=1))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, help="folder with train.npz, val.npz, test.npz")
    parser.add_argument("synthetic", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, help="for one; otherwise judge.json beside each")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for path in args.synthetic:
        start = time.process_time()
        found = judge(args.tables, path)
        found["cpu"] = round(time.process_time() - start, 1)
        target = args.out or (path if path.is_dir() else path.parent) / "judge.json"
        target.write_text(json.dumps(found, indent=1))
        print(f"{path}: " + json.dumps({k: v for k, v in found.items() if k not in ("draws",)}), flush=True)


if __name__ == "__main__":
    main()
