"""A small convolutional network that learns the label of images: features, confidence, and what a model trained on them is worth.

Nothing is pretrained: it is trained here, on the images that it is given, with one seed and on one thread the same each time. It knows no
data set; images are arrays in whatever values they have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from manikin.data.errors import DataError
from manikin.data.seeds import derive, generator
from manikin.evaluation.images.pictures import resized
from manikin.training.adam import Adam
from manikin.training.control import Control
from manikin.training.loop import seed_torch, train
from manikin.training.objective import Phase, Stage

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
SIDES = {2: (32, 64), 3: (16, 32)}  # what images are brought to: the smaller where they are no larger than that
WIDTHS = {2: (24, 32, 64), 3: (12, 24, 48)}
BATCH = 64
HELD = 0.15  # of the images, set aside for the temperature
MIN_HELD = 40  # images below which none are set aside and confidence is not calibrated
SHIFT = 2  # pixels that images are moved by while it learns
RATE = 3e-3
BLOCK = 512  # images looked at at once
STEPS = 400  # at least, where images are few
MAX_PASSES = 60


class Network(nn.Module):
    """Three convolutions with pools between them; its features are the averages of the last two layers.

    Parameters
    ----------
    channels, n_classes : of the images, of the labels. axes : 2 for images, 3 for volumes.
    """

    def __init__(self, channels: int, n_classes: int, axes: int) -> None:
        super().__init__()
        conv = nn.Conv2d if axes == 2 else nn.Conv3d
        norm = nn.BatchNorm2d if axes == 2 else nn.BatchNorm3d
        a, b, c = WIDTHS[axes]
        self.first = nn.Sequential(conv(channels, a, 3, stride=2, padding=1, bias=False), norm(a), nn.ReLU())
        self.second = nn.Sequential(conv(a, b, 3, padding=1, bias=False), norm(b), nn.ReLU())
        self.third = nn.Sequential(conv(b, c, 3, padding=1, bias=False), norm(c), nn.ReLU())
        self.pool = F.max_pool2d if axes == 2 else F.max_pool3d
        self.head = nn.Linear(b + c, n_classes)
        self.drop = nn.Dropout(0.2)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, *size) to (n, n_features)."""
        x = self.first(x)
        if min(x.shape[2:]) >= 16:
            x = self.pool(x, 2)
        middle = self.second(x)
        last = self.third(self.pool(middle, 2) if min(middle.shape[2:]) >= 2 else middle)
        return torch.cat([middle.flatten(2).mean(2), last.flatten(2).mean(2)], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, channels, *size) to logits (n, n_classes)."""
        return self.head(self.drop(self.features(x)))


@dataclass(frozen=True)
class Classifier:
    """A trained network.

    Attributes
    ----------
    classes : the labels, in the order of the columns of `probabilities`.
    temperature : what logits are divided by, so that confidence on images that it did not learn from is right on average
        (Guo et al. 2017, arXiv 1706.04599). is_calibrated : whether there were images enough to find it.
    size, low, high : what images are brought to, and the values that become 0 and 1.
    """

    network: Network
    classes: tuple[Any, ...]
    size: tuple[int, ...]
    channels: int
    low: float
    high: float
    temperature: float = 1.0
    is_calibrated: bool = False

    def features(self, images: npt.NDArray[Any]) -> Floats:
        """Averages of the last two layers, float64 (n, n_features)."""
        return self._through(images, self.network.features)

    def logits(self, images: npt.NDArray[Any]) -> Floats:
        """Calibrated log-odds up to a constant, float64 (n, n_classes)."""
        return self._through(images, self.network) / self.temperature

    def probabilities(self, images: npt.NDArray[Any]) -> Floats:
        """Calibrated probability of each class, float64 (n, n_classes)."""
        logits = self.logits(images)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf)) if len(logits) else logits
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def _through(self, images: npt.NDArray[Any], through: Any) -> Floats:
        self.network.eval()
        made = []
        with torch.no_grad():
            for start in range(0, len(images), BLOCK):
                x = _given(images[start : start + BLOCK], self.size, self.channels, self.low, self.high)
                made.append(through(x).numpy().astype(np.float64))
        if not made:
            width = self.network.head.in_features if through == self.network.features else len(self.classes)
            return np.empty((0, width))
        return np.concatenate(made)


def fit(
    images: npt.NDArray[Any],
    labels: Sequence[Any] | npt.NDArray[Any],
    seed: int,
    *,
    passes: int = 10,
    steps: int | None = None,
    calibrate: bool = True,
) -> Classifier:
    """Trains a classifier.

    Parameters
    ----------
    images : (n, channels, height, width) or (n, channels, depth, height, width), in any values; what is not finite counts as 0.
    labels : (n,), texts or whole numbers; two or more different ones.
    passes : over the images; more where they are few, so that there are at least 400 steps. steps : gradient steps, instead.
    calibrate : whether 15 % of the images are set aside to find the temperature; there must be 40 of them, two of each class.

    Raises
    ------
    DataError : fewer than two classes, or as many labels as images there are not.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.random.default_rng(0).normal(size=(40, 1, 8, 8)) + np.repeat([0, 3], 20)[:, None, None, None]
    >>> model = fit(images, ["dark"] * 20 + ["bright"] * 20, seed=0, steps=30)
    >>> model.classes, model.probabilities(images).shape
    (('bright', 'dark'), (40, 2))
    """
    found = np.asarray(labels)
    classes, codes = np.unique(found, return_inverse=True)
    if len(found) != len(images) or len(classes) < 2:
        raise DataError(f"A classifier needs a label for each image and two different ones; there are {len(classes)}. Give such labels.")
    axes = images.ndim - 2
    small, large = SIDES[axes]
    longest = small if max(images.shape[2:]) <= small else large
    factor = min(1.0, longest / max(images.shape[2:]))
    size = tuple(max(2, round(side * factor)) for side in images.shape[2:])
    low, high = _range(images)
    held = _held(codes, seed) if calibrate else np.zeros(len(codes), dtype=bool)
    x, y = _given(images, size, images.shape[1], low, high), torch.from_numpy(codes.astype(np.int64))
    kept = torch.from_numpy(np.flatnonzero(~held))
    with torch.random.fork_rng(devices=[]):
        seed_torch(derive(seed, "images", "classifier"))
        network = Network(images.shape[1], len(classes), axes)
    n_steps = steps or min(max(passes * -(-len(kept) // BATCH), STEPS), MAX_PASSES * -(-len(kept) // BATCH))
    train(_Learning(network, x[kept], y[kept], n_steps), seed=seed, control=Control(device="cpu"), monitors=[])
    network.eval()
    temperature = 1.0
    if held.any():
        with torch.no_grad():
            temperature = _temperature(network(x[torch.from_numpy(held)]).double().numpy(), codes[held])
    names = tuple(one.item() if hasattr(one, "item") else one for one in classes)
    return Classifier(network, names, size, images.shape[1], low, high, temperature, bool(held.any()))


class _Learning:
    """The objective of the one loop: cross entropy, images shifted by a few pixels, one phase."""

    validate_every: int = 1_000_000
    patience: int | None = None
    has_fixed_batches: bool = True

    def __init__(self, network: Network, x: torch.Tensor, y: torch.Tensor, planned_steps: int) -> None:
        self.network, self.x, self.y, self.planned_steps = network, x, y, planned_steps
        self.optimiser = Adam(network.parameters(), lr=RATE, weight_decay=0.01, decoupled=True)

    def stages(self) -> Sequence[Stage]:
        """One stage of one phase; the rate rises for a tenth of the plan and falls to 0."""
        return [Stage([Phase("classifier", self.network, self.optimiser, self._loss, mixes_records=True, schedule=_one_cycle)])]

    def batches(self, rng: np.random.Generator) -> Iterator[Any]:
        """Shuffled batches, the last one left out where it is smaller, each moved by its own shift."""
        self.network.train()
        order = rng.permutation(len(self.y))
        size = min(BATCH, len(order))
        for start in range(0, len(order) - size + 1, size):
            rows = torch.from_numpy(order[start : start + size])
            yield _moved(self.x[rows], rng), self.y[rows]

    def _loss(self, batch: Any) -> torch.Tensor:
        return F.cross_entropy(self.network(batch[0]), batch[1], reduction="none")

    def after_step(self, fraction: float) -> None:
        """Nothing."""

    def validate(self) -> float | None:
        """Nothing is held out."""
        return None

    def signals(self) -> Mapping[str, float]:
        """None."""
        return {}

    def film(self) -> Mapping[str, Sequence[float]]:
        """None."""
        return {}

    def modules(self) -> Mapping[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    def state(self) -> dict[str, torch.Tensor]:
        """Nothing more."""
        return {}

    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        """Nothing to take back."""


def _one_cycle(fraction: float) -> float:
    return min(fraction / 0.1 + 0.05, 1.0) * (1.0 - fraction) + 0.01


def _moved(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The whole batch moved by up to two pixels along each axis, edges repeated."""
    shifts = rng.integers(-SHIFT, SHIFT + 1, size=x.ndim - 2)
    if min(x.shape[2:]) < 8 or not shifts.any():
        return x
    for axis, by in enumerate(shifts.tolist(), start=2):
        length = x.shape[axis]
        places = torch.arange(by, by + length).clamp(0, length - 1)
        x = x.index_select(axis, places)
    return x


def _range(images: npt.NDArray[Any]) -> tuple[float, float]:
    """The 0.1 % and 99.9 % quantile of the values of a few hundred images."""
    some = np.asarray(images[:: max(1, len(images) // 300)], dtype=np.float32).ravel()
    some = some[np.isfinite(some)]
    if not len(some):
        return 0.0, 1.0
    low, high = (float(value) for value in np.quantile(some[:: max(1, len(some) // 1_000_000)], (0.001, 0.999)))
    return (low, high) if high > low else (low, low + 1.0)


def _given(images: npt.NDArray[Any], size: tuple[int, ...], channels: int, low: float, high: float) -> torch.Tensor:
    """Images as the network takes them: one size, values around 0."""
    values = np.asarray(images, dtype=np.float32)
    if values.shape[1] != channels:
        raise DataError(f"The classifier learned from images of {channels} channels; these have {values.shape[1]}. Bring images alike.")
    values = np.where(np.isfinite(values), values, np.float32(low))
    scaled = np.clip((values - low) / (high - low), -0.5, 1.5) * 2 - 1
    return torch.from_numpy(resized(scaled.astype(np.float32), size))


def _held(codes: Ints, seed: int) -> npt.NDArray[np.bool_]:
    """About 15 % of each class, bool (n,); nobody where that would be too few."""
    held = np.zeros(len(codes), dtype=bool)
    counts = np.bincount(codes)
    if counts.min() < 14 or HELD * len(codes) < MIN_HELD:
        return held
    rng = generator(seed, "images", "held")
    for label, count in enumerate(counts):
        held[rng.permutation(np.flatnonzero(codes == label))[: max(2, round(HELD * count))]] = True
    return held


def _temperature(logits: Floats, truth: Ints) -> float:
    """The temperature of least cross entropy, in [0.25, 10]."""
    from scipy.optimize import minimize_scalar

    def entropy(log_t: float) -> float:
        """Mean cross entropy at a temperature."""
        scaled = logits / np.exp(log_t)
        top = scaled.max(axis=1, keepdims=True)
        normal = top[:, 0] + np.log(np.exp(scaled - top).sum(axis=1))
        return float((normal - scaled[np.arange(len(truth)), truth]).mean())

    found = minimize_scalar(entropy, bounds=(np.log(0.25), np.log(10.0)), method="bounded")
    return float(np.exp(found.x))
