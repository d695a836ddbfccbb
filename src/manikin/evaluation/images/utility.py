"""Are synthetic images good for what real ones are good for? A network that learns from them, their labels, and more of a rare class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import derive, generator
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, Interval, UndefinedMetricError
from manikin.evaluation.images.classifier import Classifier, fit
from manikin.evaluation.images.definition import of_images
from manikin.evaluation.images.pictures import ImageData, Pictures
from manikin.evaluation.intervals import bootstrap_weights, clopper_pearson
from manikin.evaluation.prediction.comparison import percentiles
from manikin.evaluation.prediction.scores import Answers, decide, headline, scores
from manikin.evaluation.prediction.task import Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MIN_IMAGES = 20
MIN_CASES = 5  # holdout images of the second most frequent class
MIN_ROOM = 0.01
N_BOOTSTRAP = 200
TSTR = Definition("image_tstr", "Network trained on synthetic, tested on real (TSTR)", Section.UTILITY, Direction.REFERENCE, unit="images")
LABELS = Definition("image_labels", "Does an image look like its label? (agreement)", Section.UTILITY, Direction.REFERENCE, unit="images")
RARE = Definition("image_rare_class", "Gain for a rare class by adding synthetic images (AUC)", Section.UTILITY, Direction.HIGHER, "images")
ADDED = Definition("image_added", "Gain by adding synthetic images to all real ones (AUC)", Section.UTILITY, Direction.HIGHER, "images")
SHARE = 0.05  # that the rare class is thinned to
N_SEEDS = 3
MAX_RARE_IMAGES = 1_200
RARE_STEPS, ADDED_STEPS = 150, 300
MIN_RARE = 5  # images of the rare class that are left


@dataclass(frozen=True)
class Test:
    """The labelled holdout images, and how predictions on them are scored.

    Attributes
    ----------
    kept : codes of the classes that count, those of train. weights : ones, then samples of patients with replacement, (201, n).
    """

    images: Pictures
    kept: Ints
    task: Task
    weights: Floats

    def answers(self, model: Classifier, shares: Floats) -> Answers:
        """What a network says of the test images."""
        predicted = np.zeros((len(self.images), len(self.kept)))
        predicted[:, np.searchsorted(self.kept, np.asarray(model.classes))] = model.probabilities(self.images.pixels)
        truth = np.searchsorted(self.kept, self.images.labels)
        return Answers(truth, predicted, decide(predicted, shares))


def test_of(data: ImageData, seed: int) -> Test:
    """The holdout as a test, made once."""
    key = ("image test", seed)
    if key not in data.memory:
        assert data.label is not None
        kept = np.unique(data.pictures["train"].labels)
        kept = kept[kept >= 0]
        held = data.pictures["holdout"]
        held = held.take(np.flatnonzero(np.isin(held.labels, kept)))
        counts = np.sort(np.bincount(held.labels + 1))[::-1]
        if len(kept) < 2 or len(counts) < 2 or counts[1] < MIN_CASES:
            raise UndefinedMetricError(f"the holdout has fewer than {MIN_CASES} images of a second class")
        drawn = bootstrap_weights(held.records, N_BOOTSTRAP, generator(seed, "images", "bootstrap"))
        task = Task(data.label, (), np.arange(len(kept)), len(kept))
        data.memory[key] = Test(held, kept, task, np.concatenate([np.ones((1, len(held))), drawn]))
    made: Test = data.memory[key]
    return made


def networks(data: ImageData, seed: int) -> tuple[Classifier, Classifier, int]:
    """The network of synthetic and that of as many train images, fitted once, and how many images each learned from."""
    key = ("networks", seed)
    if key not in data.memory:
        kept = test_of(data, seed).kept
        sides = {name: data.pictures[name] for name in ("synthetic", "train")}
        usable = {name: np.flatnonzero(np.isin(side.labels, kept)) for name, side in sides.items()}
        n = min(len(rows) for rows in usable.values())
        made = []
        for name, side in sides.items():
            rows = usable[name]
            some = side.take(np.sort(generator(seed, "images", "tstr", name).permutation(rows)[:n]))
            if len(np.unique(some.labels)) < 2:
                raise UndefinedMetricError(f"the {name} images have one class only")
            made.append(fit(some.pixels, some.labels, derive(seed, "images", "tstr")))
        data.memory[key] = made[0], made[1], n
    found: tuple[Classifier, Classifier, int] = data.memory[key]
    return found


@of_images(TSTR, least=MIN_IMAGES, labelled=True)
def image_tstr(data: ImageData, *, seed: int) -> MetricResult:
    """AUROC on the holdout of a small network trained on synthetic images; the reference trained on as many train images (TRTR).

    With more than two classes the mean over classes against the rest. `details.excess` is (TSTR - 0.5) / (TRTR - 0.5), `measures` every
    score of both. Intervals are a bootstrap of the holdout's patients (200 draws, both networks on the same draws): they carry the noise
    of the test, not of training. TSTR alone does not tell a good release: blurred images teach nearly as well as sharp ones.
    """
    test = test_of(data, seed)
    synthetic, real, n = networks(data, seed)
    shares = [np.bincount(np.searchsorted(test.kept, side.labels[np.isin(side.labels, test.kept)]), minlength=len(test.kept)) for side in
              (data.pictures["synthetic"], data.pictures["train"])]
    told = [test.answers(model, part / max(part.sum(), 1)) for model, part in zip((synthetic, real), shares, strict=True)]
    made, other = (scores(test.task, one, test.weights) for one in told)
    excess, excess_interval = _excess(made["auroc"], other["auroc"])
    return TSTR.result(
        float(made["auroc"][0]),
        interval=percentiles(made["auroc"]),
        n=len(test.images),
        reference=float(other["auroc"][0]),
        reference_interval=percentiles(other["auroc"]),
        details={
            "target": data.label.name if data.label else None,
            "n_train": n,
            "n_classes": len(test.kept),
            "gap": float(made["auroc"][0] - other["auroc"][0]),
            "gap_interval": percentiles(made["auroc"] - other["auroc"]),
            "excess": excess,
            "excess_interval": excess_interval,
            "measures": {
                name: {"tstr": float(made[name][0]), "trtr": float(other[name][0]), "gap_interval": percentiles(made[name] - other[name])}
                for name in made
            },
        },
    )


def _excess(made: Floats, other: Floats) -> tuple[float | None, Interval | None]:
    room = other - 0.5
    if not room[0] > MIN_ROOM:
        return None, None
    return float((made[0] - 0.5) / room[0]), percentiles((made - 0.5) / room) if room.min() > MIN_ROOM else None


@of_images(LABELS, least=MIN_IMAGES, labelled=True)
def image_labels(data: ImageData, *, seed: int) -> MetricResult:
    """Share of synthetic images that a network of train images takes for what their label says, mean over labels; best is the reference.

    The reference is the same of holdout images: the network errs on real ones too. Below it, labels and images do not belong together;
    above it, synthetic images are more typical of their label than real ones are. `details.labels` has every label, with the mean
    confidence of the network.
    """
    test = test_of(data, seed)
    model = networks(data, seed)[1]
    rows: list[dict[str, Any]] = []
    sides = {"synthetic": data.pictures["synthetic"], "holdout": test.images}
    found = {name: model.probabilities(side.pixels) for name, side in sides.items()}
    for code in test.kept.tolist():
        row: dict[str, Any] = {"label": data.classes[code]}
        for name, side in sides.items():
            mine = side.labels == code
            said = np.asarray(model.classes)[found[name][mine].argmax(axis=1)] if mine.any() else np.empty(0)
            hits = int((said == code).sum())
            row[name] = hits / max(int(mine.sum()), 1)
            row[f"{name}_interval"] = clopper_pearson(hits, int(mine.sum()))
            row[f"{name}_confidence"] = float(found[name][mine].max(axis=1).mean()) if mine.any() else None
            row[f"n_{name}"] = int(mine.sum())
        rows.append(row)
    shared = [row for row in rows if row["n_synthetic"] and row["n_holdout"]]
    if not shared:
        raise UndefinedMetricError("synthetic and holdout images share no label")
    (value, interval), (reference, reference_interval) = (_balanced(shared, name) for name in sides)
    return LABELS.result(
        value,
        interval=interval,
        n=sum(row["n_synthetic"] for row in shared),
        reference=reference,
        reference_interval=reference_interval,
        details={"labels": rows},
    )


def _balanced(rows: list[dict[str, Any]], name: str) -> tuple[float, Interval]:
    """The mean of the labels' shares, with the interval that the widths of theirs give."""
    mean = float(np.mean([row[name] for row in rows]))
    low, high = (
        float(np.sqrt(sum((row[name] - row[f"{name}_interval"][end]) ** 2 for row in rows))) / len(rows) for end in (0, 1)
    )
    return mean, (max(0.0, mean - low), min(1.0, mean + high))


@of_images(RARE, least=MIN_IMAGES, labelled=True)
def image_rare_class(data: ImageData, *, seed: int) -> MetricResult:
    """What synthetic images of a class that was made rare add to the AUC of recognising it on the holdout; above 0 they help.

    The rarest class of train is thinned to 5 % of the images (at most 1,200), which are learned from as they are, and again with synthetic
    images of that class added until it has its old number. The reference adds as many of the real images that were taken away: what
    perfect synthetic ones would bring. Means over three seeds, which thin, draw and train anew; the interval joins a paired bootstrap of
    the holdout's patients with the spread of the seeds, by Student's t at the degrees of freedom that three seeds leave (Welch and
    Satterthwaite, doi:10.2307/3002019): where the seeds disagree it is up to twice as wide as a normal one. The generator saw the images
    that are taken away here: this asks whether its images can stand in for them, not what it would have made of a rare class.
    """
    test = test_of(data, seed)
    real, fake = data.pictures["train"], data.pictures["synthetic"]
    counts = np.array([(real.labels == code).sum() for code in test.kept])
    rare = int(test.kept[counts.argmin()])
    if not 0 < (test.images.labels == rare).sum() < len(test.images):
        raise UndefinedMetricError("the holdout has no image of the rarest class")
    arms = (_arms(real, fake, rare, generator(seed, "images", "rare", i)) for i in range(N_SEEDS))
    note = "The generator saw the images that were taken away."
    return _compared(RARE, data, test, rare, arms, ("thinned", "synthetic", "real"), RARE_STEPS, seed, note)


@of_images(ADDED, least=MIN_IMAGES, labelled=True)
def image_added(data: ImageData, *, seed: int) -> MetricResult:
    """What synthetic images add to the AUC of recognising a class on the holdout, beside all the real ones; above 0 they help.

    A network learns from the train images alone, from them and all synthetic images, and (the reference) from them and as many repeats of
    train images of the same classes, which cost nothing: synthetic images that add no more than those are not worth their making. The class
    is the one that grows most by them. Means over three seeds, which repeat and train anew; intervals as in `image_rare_class`.
    `details.auc` has the three AUC, `details.auc_interval` those of the holdout's patients.
    """
    test = test_of(data, seed)
    real, fake = data.pictures["train"], data.pictures["synthetic"]
    n_real, n_fake = (np.array([(side.labels == code).sum() for code in test.kept]) for side in (real, fake))
    rare = int(test.kept[(n_fake / np.maximum(n_real, 1)).argmax()])
    n = int((test.images.labels == rare).sum())
    if not 0 < n < len(test.images):
        raise UndefinedMetricError("the holdout has no image of the class that grows most, or none of another")
    arms = (_added(real, fake, rare, generator(seed, "images", "added", i)) for i in range(N_SEEDS))
    return _compared(ADDED, data, test, rare, arms, ("real", "synthetic", "repeated"), ADDED_STEPS, seed, "")


def _compared(
    what: Definition,
    data: ImageData,
    test: Test,
    rare: int,
    arms: Iterable[Mapping[str, tuple[Any, Ints]]],
    names: tuple[str, str, str],
    steps: int,
    seed: int,
    note: str,
) -> MetricResult:
    """The gain in AUC of networks that learned from the second arm over those of the first, and of the third as reference.

    Parameters
    ----------
    arms : for each seed, by name, images to learn from and whether each is of the class `rare`. names : base, judged, reference.
    """
    truth = (test.images.labels == rare).astype(np.int64)
    task = Task(test.task.target, (), np.arange(2), 2)
    areas: dict[str, list[Floats]] = {name: [] for name in names}
    sizes: dict[str, int] = {}
    n_images: dict[str, int] = {}
    for i, one in enumerate(arms):
        for name in names:
            pixels, labels = one[name]
            model = fit(pixels, labels, derive(seed, "images", "rare", i), steps=steps, calibrate=False)
            predicted = model.probabilities(test.images.pixels)
            areas[name].append(headline(task, Answers(truth, predicted, truth), test.weights))
            sizes[name], n_images[name] = int(labels.sum()), len(labels)
    base, judged, beside = (np.array(areas[name]) for name in names)
    (value, interval), (reference, reference_interval) = _gain(judged - base), _gain(beside - base)
    means = {name: np.mean(found, axis=0) for name, found in areas.items()}
    return what.result(
        value,
        interval=interval,
        n=len(test.images),
        reference=reference,
        reference_interval=reference_interval,
        details={
            "label": data.classes[rare],
            "auc": {name: float(mean[0]) for name, mean in means.items()},
            "auc_interval": {name: np.nanquantile(mean[1:], (0.025, 0.975)).tolist() for name, mean in means.items()},
            "n_of_the_class": sizes,
            "n_images": n_images[names[-1]],
            "gains": {name: gain[:, 0].tolist() for name, gain in zip(names[1:], (judged - base, beside - base), strict=True)},
        },
        note=note,
    )


def _added(real: Pictures, fake: Pictures, rare: int, rng: np.random.Generator) -> dict[str, tuple[Any, Ints]]:
    """Images to learn from and whether each is of the class: all real ones, with all synthetic ones, with as many repeats."""
    known, made = np.flatnonzero(real.labels >= 0), np.flatnonzero(fake.labels >= 0)
    again: list[Ints] = []
    for code in np.unique(fake.labels[made]):
        mine = known[real.labels[known] == code]
        if len(mine):
            again.append(rng.choice(mine, int((fake.labels[made] == code).sum())))
    repeated = np.concatenate([known, *again])
    both = np.concatenate([real.labels[known], fake.labels[made]])
    return {
        "real": (real.pixels[known], (real.labels[known] == rare).astype(np.int64)),
        "synthetic": (np.concatenate([real.pixels[known], fake.pixels[made]]), (both == rare).astype(np.int64)),
        "repeated": (real.pixels[repeated], (real.labels[repeated] == rare).astype(np.int64)),
    }


def _arms(real: Pictures, fake: Pictures, rare: int, rng: np.random.Generator) -> dict[str, tuple[Any, Ints]]:
    """Images to learn from and whether each is of the rare class: thinned, and with synthetic or with real images added."""
    known = rng.permutation(np.flatnonzero(real.labels >= 0))[:MAX_RARE_IMAGES]
    others, mine = known[real.labels[known] != rare], known[real.labels[known] == rare]
    n_left = max(MIN_RARE, round(SHARE / (1 - SHARE) * len(others)))
    made = rng.permutation(np.flatnonzero(fake.labels == rare))
    n_added = min(len(mine) - n_left, len(made))
    if n_added < MIN_RARE or len(others) < MIN_RARE:
        raise UndefinedMetricError("the rarest class cannot be thinned to 5 % and filled up again: a side has too few images of it")
    thinned = np.concatenate([others, mine[:n_left]])
    added = {"synthetic": fake.pixels[made[:n_added]], "real": real.pixels[mine[n_left : n_left + n_added]]}
    labels = (real.labels[thinned] == rare).astype(np.int64)
    arms = {"thinned": (real.pixels[thinned], labels)}
    for name, pixels in added.items():
        arms[name] = np.concatenate([real.pixels[thinned], pixels]), np.concatenate([labels, np.ones(n_added, dtype=np.int64)])
    return arms


def _gain(draws: Floats) -> tuple[float, Interval]:
    """The mean over seeds, draws (n_seeds, 1 + n_bootstrap), and its 95 % interval.

    Its variance is that of the patients, by the bootstrap, and that of the seeds' mean; of the latter few seeds tell little, so that the
    quantile is Student's, with nu = (v_p + v_s)^2 / (v_s^2 / (n_seeds - 1)).
    """
    from scipy.special import stdtrit

    value = float(draws[:, 0].mean())
    of_patients = float(np.nanvar(draws[:, 1:].mean(axis=0), ddof=1))
    of_seeds = float(draws[:, 0].var(ddof=1) / len(draws))
    freedom = (of_patients + of_seeds) ** 2 * (len(draws) - 1) / max(of_seeds**2, 1e-300)
    half = float(stdtrit(min(freedom, 1e6), 0.975)) * (of_patients + of_seeds) ** 0.5
    return value, (value - half, value + half)
