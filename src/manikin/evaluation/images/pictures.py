"""The images of an evaluation as arrays of one size and one scale, in an order that depends on their content alone. Knows no metric.

Of more than 5,000 images a side, which are taken, and of more than 200 train images, which settle size and scale, depends on their rows.

Images are brought to the size that most train images have, at most 64 pixels a side (32 of volumes), to the channels that most have, and to
a scale on which 0 and 1 are the 0.1 % and the 99.9 % quantile of train's values: 8-bit films and Hounsfield units are judged alike. A value
that is no number (NaN, infinite) counts as 0. What is fine (sharpness, spectra, galleries) is read again at up to 256 pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.images import ArraySource, Images
from manikin.data.schema import Role
from manikin.data.seeds import derive, generator
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.prepared import Feature, Prepared

Pixels = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
SIDES = ("train", "holdout", "synthetic")
MAX_IMAGES = 5_000
MAX_SIDE = {2: 64, 3: 32}
FINE_SIDE = {2: 256, 3: 48}
N_LOOKED_AT = 200  # train images that size, channels and scale are learned from
LIMITS = (-0.5, 1.5)  # of scaled values: what lies beyond stands at the limit
MAX_CLASSES = 20
NONE = -1


@dataclass(frozen=True)
class Frame:
    """What images are brought to: `size`, `channels`, and the values `low` and `high` that become 0 and 1."""

    size: tuple[int, ...]
    channels: int
    low: float
    high: float

    @property
    def axes(self) -> int:
        """2 for images, 3 for volumes."""
        return len(self.size)

    def within(self, longest: int) -> tuple[int, ...]:
        """The size, made smaller in proportion until no side is longer than `longest`."""
        factor = min(1.0, longest / max(self.size))
        return tuple(max(1, round(side * factor)) for side in self.size)

    @property
    def words(self) -> str:
        """The size that images are judged at, in words."""
        return " x ".join(str(side) for side in self.within(MAX_SIDE[self.axes]))


@dataclass(frozen=True)
class Pictures:
    """The images of one side.

    Attributes
    ----------
    pixels : float32 (n, channels, *size), scaled.
    labels : int64 (n,), the class of each image, -1 where it has none.
    records : int64 (n,), the patient of each image, 0 … n_records - 1. rows : int64 (n,), its row in the data set.
    hashes : uint64 (n,), equal where images are equal to within a thousandth of the scale.
    """

    pixels: Pixels
    labels: Ints
    records: Ints
    rows: Ints
    hashes: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: npt.NDArray[Any]) -> Pictures:
        """Some of the images."""
        _, records = np.unique(self.records[chosen], return_inverse=True)
        return Pictures(self.pixels[chosen], self.labels[chosen], records.astype(np.int64), self.rows[chosen], self.hashes[chosen])

    @property
    def n_records(self) -> int:
        """Number of patients."""
        return len(np.unique(self.records))

    def draw(self, n: int, seed: int, *purpose: str) -> Ints:
        """Positions of at most `n` images, drawn without replacement, in their order."""
        if n >= len(self):
            return np.arange(len(self), dtype=np.int64)
        return np.sort(generator(seed, "images", *purpose).permutation(len(self))[:n]).astype(np.int64)

    def folds(self, n_folds: int, seed: int, *purpose: str) -> Ints:
        """A fold for each image, int64 (n,); patients are not split, and labels are spread evenly as far as that allows."""
        rng = generator(seed, "images", "folds", *purpose)
        first = np.zeros(int(self.records.max(initial=-1)) + 1, dtype=np.int64)
        first[self.records[::-1]] = self.labels[::-1]
        order = rng.permutation(len(first))
        order = order[np.argsort(first[order], kind="stable")]
        fold = np.empty(len(first), dtype=np.int64)
        fold[order] = np.arange(len(first)) % n_folds
        return fold[self.records]


@dataclass(frozen=True)
class ImageData(Prepared):
    """Evaluation data whose columns are prepared as those of a table, and whose images are arrays, made once and shared by all metrics."""

    @cached_property
    def column(self) -> str:
        """The column of images that is judged: of several, the one that most synthetic rows have."""
        names = [c.name for c in self.schema.images if all(c.name in side.table.images for side in self._sides)]
        if not names:
            raise UndefinedMetricError("the parts share no column of images")
        return max(names, key=lambda name: int(self.synthetic[self.release].table.images[name].present.sum()))

    @cached_property
    def frame(self) -> Frame:
        """What all images are brought to."""
        return _frame(self.train.table.images[self.column], self.schema[self.column].image)

    @cached_property
    def label(self) -> Feature | None:
        """The column that images are sorted by: the target, or else the first column of 2 to 20 levels; None where there is none."""
        named = self.target or next((column.name for column in self.schema if column.has_role(Role.TARGET)), None)
        for feature in self.features:
            if feature.name == named:
                return feature
        return next((f for f in self.features if f.levels is not None and 2 <= len(f.levels) <= MAX_CLASSES), None)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes: the label's levels, or the halves of a number; () where there is no label."""
        if self.label is None or (self.label.levels is not None and len(self.label.levels) > MAX_CLASSES):
            return ()
        return ("lower half", "upper half") if self.label.levels is None else self.label.levels

    @cached_property
    def pictures(self) -> dict[str, Pictures]:
        """The images of train, holdout and synthetic."""
        size = self.frame.within(MAX_SIDE[self.frame.axes])
        return {name: self._pictures(side, name, size) for name, side in zip(SIDES, self._sides, strict=True)}

    def fine(self, side: str, pictures: Pictures) -> Pixels:
        """These images again, at up to 256 pixels a side, float32 (n, channels, *size)."""
        data = self._sides[SIDES.index(side)]
        return brought(data.table.images[self.column], pictures.rows, self.frame, self.frame.within(FINE_SIDE[self.frame.axes]))

    def _pictures(self, data: Dataset, name: str, size: tuple[int, ...]) -> Pictures:
        images = data.table.images[self.column]
        rows = np.flatnonzero(images.present).astype(np.int64)
        labels = self._labels(data)[rows]
        if len(rows) > MAX_IMAGES:
            chosen = some_by_content(images, rows, labels, MAX_IMAGES, derive(0, "images", "at most", name))
            rows, labels = rows[chosen], labels[chosen]  # not by the metric's seed: all metrics see the same images
        pixels = brought(images, rows, self.frame, size)
        hashes = hashed(pixels)
        order = np.lexsort((labels, hashes))
        records = _numbered(data.records[rows[order]])
        return Pictures(pixels[order], labels[order], records.astype(np.int64), rows[order], hashes[order])

    def _labels(self, data: Dataset) -> Ints:
        """The class of each row of a side, -1 where it has none."""
        if self.label is None or not self.classes:
            return np.full(len(data.table), NONE, dtype=np.int64)
        series = data.table.frame[self.label.name]
        if self.label.levels is not None:
            place = {level: i for i, level in enumerate(self.label.levels)}
            return np.array([place.get(str(cell), NONE) if cell == cell else NONE for cell in series], dtype=np.int64)
        known = self.train.table.frame[self.label.name]
        values, middle = (part.to_numpy(dtype=float) if not self.label.column.kind.is_time else part.astype("int64").to_numpy(dtype=float)
                          for part in (series, known))
        return np.where(np.isnan(values), NONE, values > np.nanmedian(middle)).astype(np.int64)


def prepare_images(data: EvaluationData, release: int = 0) -> ImageData:
    """The prepared form of images that are evaluated; prepared ones are given back as they are."""
    if isinstance(data, ImageData):
        return data
    given = {entry.name: getattr(data, entry.name) for entry in fields(EvaluationData)}
    return ImageData(**given, release=release)


def brought(images: Images, rows: Ints, frame: Frame, size: tuple[int, ...]) -> Pixels:
    """The images of these rows at one size and scale, float32 (n, channels, *size)."""
    out = np.empty((len(rows), frame.channels, *size), dtype=np.float32)
    if isinstance(images.source, ArraySource) and images.source.pixels.shape[1:] == out.shape[1:]:
        for start in range(0, len(rows), 1_000):
            part = slice(start, start + 1_000)
            out[part] = _scaled(images.array(rows[part]), frame)
        return out
    for i, row in enumerate(rows.tolist()):
        out[i] = resized(_scaled(_alike(np.asarray(images.image(row), dtype=np.float32), frame), frame)[None], size)[0]
    return out


def resized(pixels: Pixels, size: tuple[int, ...]) -> Pixels:
    """Images at another size, averaged where they become smaller, float32 (n, channels, *size)."""
    if pixels.shape[2:] == tuple(size):
        return pixels
    import torch
    from torch.nn import functional as F

    given = torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))
    if len(size) == 2:
        made = F.interpolate(given, size=size, mode="bilinear", antialias=True, align_corners=False)
    else:
        made = F.interpolate(given, size=size, mode="area")
    return np.asarray(made.numpy(), dtype=np.float32)


def hashed(pixels: Pixels) -> npt.NDArray[np.uint64]:
    """A hash of each image's content, to within a thousandth of the scale, uint64 (n,)."""
    coarse = np.round(pixels * 1_000).astype(np.int16)
    digests = [blake2b(image.tobytes(), digest_size=8).digest() for image in coarse]
    return np.frombuffer(b"".join(digests), dtype=np.uint64) if digests else np.empty(0, dtype=np.uint64)


def some_by_content(images: Images, rows: Ints, labels: Ints, n: int, seed: int) -> Ints:
    """Positions of `n` of these rows, drawn by what is in them: the same images, in whichever order the rows stand.

    Each image is given a number by a hash of its own pixels, its label and how many like it came before, keyed by the seed; the lowest are
    taken. Equal images have numbers of their own, so that copies are drawn in their share.
    """
    key = seed.to_bytes(8, "little")
    seen: Counter[bytes] = Counter()
    drawn = np.empty(len(rows), dtype=np.uint64)
    for i, (row, label) in enumerate(zip(rows.tolist(), labels.tolist(), strict=True)):
        content = np.ascontiguousarray(images.image(row)).tobytes() + int(label).to_bytes(8, "little", signed=True)
        own = blake2b(content, digest_size=16).digest()
        drawn[i] = int.from_bytes(blake2b(own + seen[own].to_bytes(8, "little"), key=key, digest_size=8).digest(), "little")
        seen[own] += 1
    return np.sort(np.argpartition(drawn, n - 1)[:n]).astype(np.int64)


def _numbered(records: Ints) -> Ints:
    """Patients numbered from 0 in the order in which they first come."""
    _, first, inverse = np.unique(records, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first, kind="stable"), kind="stable")[inverse].astype(np.int64)


def _scaled(pixels: Pixels, frame: Frame) -> Pixels:
    values = np.where(np.isfinite(pixels), pixels, frame.low)
    return np.clip((values - frame.low) / (frame.high - frame.low), *LIMITS).astype(np.float32)


def _alike(image: Pixels, frame: Frame) -> Pixels:
    """Grey repeated, or colour averaged, where an image has other channels than most."""
    if image.ndim != frame.axes + 1:
        raise UndefinedMetricError("some images are flat and some are volumes")
    if image.shape[0] == frame.channels:
        return image
    return np.repeat(image.mean(axis=0, keepdims=True), frame.channels, axis=0)


def _frame(images: Images, form: Any) -> Frame:
    rows = np.flatnonzero(images.present)
    if not len(rows):
        raise UndefinedMetricError("no train row has an image")
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), N_LOOKED_AT)).astype(int)]
    looked_at = [np.asarray(images.image(int(row)), dtype=np.float32) for row in np.unique(rows)]
    size = _commonest([image.shape[1:] for image in looked_at])
    if form is not None and form.size is not None and len(form.size) == len(size):
        size = tuple(form.size)
    channels = _commonest([image.shape[0] for image in looked_at])
    cells = np.concatenate([_some(image) for image in looked_at])
    cells = cells[np.isfinite(cells)]
    low, high = (float(value) for value in np.quantile(cells, (0.001, 0.999))) if len(cells) else (0.0, 1.0)
    if not high > low:
        low, high = (0.0, 1.0) if form is None else (float(form.lowest), float(form.highest))
    return Frame(size, channels, low, high)


def _some(image: Pixels) -> Pixels:
    """At most 20,000 values of an image, evenly spread."""
    flat = image.ravel()
    return flat[:: max(1, len(flat) // 20_000)]


def _commonest(values: Sequence[Any]) -> Any:
    return Counter(values).most_common(1)[0][0]


def matched(sides: Sequence[Pictures], n: int, seed: int, *purpose: str) -> tuple[list[Ints], bool]:
    """Equally many images of each side, with the labels in the shares of the first, so that a mix of labels is not taken for likeness.

    Returns
    -------
    positions of the images on each side, as many as the side with the fewest allows, at most `n`; and whether labels could be matched:
    where that would cost more than half of the images, they are drawn whatever their label.
    """
    most = min(n, *(len(side) for side in sides))
    counts = np.array([np.bincount(side.labels + 1, minlength=MAX_CLASSES + 2) for side in sides], dtype=float)
    shares = counts[0] / max(counts[0].sum(), 1)
    seen = shares > 0
    allowed = int(min((counts[:, seen] / shares[seen]).min(), most))
    if allowed < max(2, most // 2):
        return [side.draw(most, seed, *purpose, str(i)) for i, side in enumerate(sides)], False
    wanted = np.floor(shares * allowed).astype(int)
    rest = shares * allowed - wanted
    room = counts.min(axis=0) > wanted
    for place in np.argsort(-np.where(room, rest, -1), kind="stable")[: allowed - int(wanted.sum())]:
        wanted[place] += int(room[place] and rest[place] > 0)
    drawn = []
    for i, side in enumerate(sides):
        order = generator(seed, "images", *purpose, str(i)).permutation(len(side))
        kept = [order[side.labels[order] == label - 1][: wanted[label]] for label in np.flatnonzero(wanted)]
        drawn.append(np.sort(np.concatenate(kept)).astype(np.int64))
    return drawn, True
