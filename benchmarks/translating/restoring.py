"""Real images, degraded and brought back: chest films of PneumoniaMNIST by its official split, and patches of one retina by region."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from manikin.evaluation.images.paired import Differences
from manikin.simulation.imaging import degradations

SEED = 0
PATCH = 32


def films(path: Path) -> dict[str, np.ndarray]:
    """Train and test films with labels, and the degraded train and test films; noise has a seed of its own for each part."""
    with np.load(path, allow_pickle=False) as given:
        parts = {part: (given[f"{part}_images"], given[f"{part}_labels"][:, 0]) for part in ("train", "test")}
    out = {}
    for i, (part, (images, labels)) in enumerate(parts.items()):
        out[part], out[f"{part}_labels"], out[f"{part}_degraded"] = images, labels, degraded(images, SEED + i)
    return out


def degraded(images: np.ndarray, seed: int) -> np.ndarray:
    """Half the resolution, a blur, and the noise of a low dose: uint8 as the images."""
    rng = np.random.default_rng(seed)
    out = []
    for image in images:
        picture = (image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)).astype(float) / 255
        picture = degradations.blur(degradations.resolution(picture, 2.0), 0.7)
        noisy = np.clip(picture + rng.normal(0, 0.04, picture.shape), 0, 1)
        whole = np.round(noisy * 255).astype(np.uint8)
        out.append(whole[0] if image.ndim == 2 else np.moveaxis(whole, 0, -1))
    return np.stack(out)


def retina() -> dict[str, np.ndarray]:
    """Patches of scikit-image's retina, those of the right third held out, a patch's width between the two."""
    from skimage.data import retina as picture
    from skimage.transform import resize

    whole = (resize(picture(), (512, 512), anti_aliasing=True) * 255).round().astype(np.uint8)
    rng = np.random.default_rng(SEED)
    out = {}
    for i, (part, left, right, n) in enumerate((("train", 0, 330, 1500), ("test", 330 + PATCH, 512, 300))):
        patches = []
        while len(patches) < n:
            y, x = int(rng.integers(0, 512 - PATCH)), int(rng.integers(left, right - PATCH + 1))
            patch = whole[y : y + PATCH, x : x + PATCH]
            if patch.mean() > 30:  # the eye, and not the dark around it
                patches.append(patch)
        out[part] = np.stack(patches)
        out[f"{part}_degraded"] = degraded(out[part], SEED + 10 + i)
    return out


def figures(made: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """MAE in grey levels, PSNR and SSIM."""
    off = Differences(255.0)
    a, b = ((array[:, None] if array.ndim == 3 else np.moveaxis(array, -1, 1)).astype(np.float32) for array in (made, truth))
    off.add(a, b)
    return {name: round(value, 4) for name, value in off.means().items()}


def classifier(images: np.ndarray, labels: np.ndarray, *, passes: int = 5, batch: int = 64) -> nn.Module:
    """A small convolutional network of films of 28 x 28 pixels; fixed passes, nothing is chosen."""
    torch.manual_seed(SEED)
    network = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 49, 32), nn.ReLU(), nn.Linear(32, 1),
    )  # fmt: skip
    rng = np.random.default_rng(SEED)
    steps = passes * (len(images) // batch)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps + 1)
    x, y = torch.from_numpy(images[:, None].astype(np.float32) / 255), torch.from_numpy(labels.astype(np.float32))
    for _ in range(passes):
        order = rng.permutation(len(x))
        for at in range(0, len(x) // batch * batch, batch):
            rows = order[at : at + batch]
            loss = nn.functional.binary_cross_entropy_with_logits(network(x[rows])[:, 0], y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def area(network: nn.Module, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """AUC with its 95 % interval after DeLong, and the mean probability of pneumonia."""
    from manikin.evaluation.intervals import delong

    with torch.no_grad():
        score = network(torch.from_numpy(images[:, None].astype(np.float32) / 255))[:, 0].double().numpy()
    value, variance = delong(score[labels == 1], score[labels == 0])
    half = 1.96 * variance**0.5
    return {"auc": round(value, 4), "low": round(value - half, 4), "high": round(min(value + half, 1.0), 4)}
