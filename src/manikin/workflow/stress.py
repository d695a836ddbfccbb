"""The stress test: clean and shifted images go through a classifier, curves and a page come out. Joins shifts, measures and report."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.dataset import Dataset
from manikin.data.errors import DataError, ParameterError, parameter_error
from manikin.evaluation.robustness import Curve, Judge, groups_of
from manikin.release.manifest import versions
from manikin.simulation.imaging.shifts import Shift, chosen
from manikin.workflow.classifiers import BATCH, Classifier, of_function, of_onnx
from manikin.workflow.output import check_free, whole_folder, write_json
from manikin.workflow.stages import Silent, Stages, Watcher

Array = np.ndarray[Any, np.dtype[Any]]
FORMAT, DOCUMENT, PAGE = "manikin-results-stress", "results.json", "report.html"
MOST_IMAGES, MOST_PIXELS = 20_000, 400_000_000  # 1.6 GB as float32
MOST_LEVELS = 8  # of an attribute that makes groups
STRIP_PIXELS = 128


@dataclass(frozen=True, eq=False)
class Pictures:
    """Labelled pictures: float32 (n, channels, rows, columns) in [0, 1], truth as places in `classes`, whose they are, attributes."""

    pixels: Array
    truth: Array
    classes: tuple[str, ...]
    records: Array
    attributes: Mapping[str, Array] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    modality: str | None = None

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, eq=False)
class StressTest:
    """What a stress test found. `curves` has one curve per shift; `document` is results.json; `strips` holds pictures per shift."""

    curves: tuple[Curve, ...]
    document: Mapping[str, Any]
    strips: Mapping[str, tuple[tuple[str, str], ...]]

    def __getitem__(self, shift: str) -> Curve:
        """The curve of a shift by its name."""
        return next(curve for curve in self.curves if curve.shift == shift)

    def report(self, path: str | Path) -> Path:
        """Writes the page."""
        from manikin.report.stress import render_stress

        return render_stress(self.document, self.strips, Path(path))


def stress(
    model: str | Path | Callable[[Array], Any],
    images: Any,
    labels: Sequence[Any] | str | None = None,
    *,
    shifts: Sequence[str] = (),
    classes: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    measure: str = "auc",
    tolerance: float = 0.05,
    draws: int = 500,
    values: str = "0..1",
    seed: int = 0,
    watcher: Watcher | None = None,
) -> StressTest:
    """How far a classifier of images falls under shifts of light, pose, quality, noise and scanner.

    Parameters
    ----------
    model : an .onnx file, or a function of pictures, float32 (n, channels, rows, columns) in [0, 1], that gives probabilities or log-odds,
        (n, classes) or, of two classes, (n,) for the second.
    images : a folder or file of images, a Dataset of them, or an array (n, rows, columns) or (n, channels, rows, columns), whole numbers
        from 0 to 255 or fractions from 0 to 1.
    labels : of an array one label for each; else the name of the label column ("label" or the schema's target when None).
    shifts : names, or "name=1,2,3"; those that suit the images when empty (`shifts.usual`).
    classes : the labels in the order of the model's answers; sorted when empty.
    groups : columns whose values make groups; all with 2 to 8 values when None.
    measure : "auc" or "accuracy". tolerance : how much of it may be lost; a strength fails when the whole 95 % interval of the loss,
        paired with the clean images, lies above.
    draws : of the bootstrap over patients, or images where there are none.
    values : what black and white are to an ONNX model: "0..1", "-1..1", "0..255".

    Raises
    ------
    InputError : the images, the model or an option cannot be used.
    """
    stages = Stages(watcher or Silent())
    with stages.stage("load", "Reading images and model"):
        pictures = pictures_of(images, labels, classes=classes, groups=groups)
        wanted = checked(pictures, shifts, measure=measure, tolerance=tolerance, draws=draws, seed=seed)
        n = len(pictures.classes)
        classifier = of_function(model, n) if callable(model) else of_onnx(model, n, values=values)
    with stages.stage("stress", f"Shifting {len(pictures):,} images: {len(wanted)} shift{'s' if len(wanted) != 1 else ''}"):
        answers = answered(classifier, pictures, wanted, seed, stages)
    for note in classifier.notes:
        stages.watcher.note(note)
    options = {"measure": measure, "tolerance": tolerance, "draws": draws, "seed": seed}
    return judged(pictures, wanted, answers, options, model=classifier.name, notes=classifier.notes, stages=stages)


def checked(
    pictures: Pictures, shifts: Sequence[str], *, measure: str, tolerance: float, draws: int, seed: int
) -> tuple[Shift, ...]:
    """The shifts that are wished for, when every option is in its range."""
    if measure not in ("auc", "accuracy"):
        raise parameter_error("measure", "stress", "auc or accuracy", measure)
    if not 0 <= tolerance < 1:
        raise parameter_error("tolerance", "stress", "from 0 to below 1", tolerance)
    if not 20 <= draws <= 10_000:
        raise parameter_error("draws", "stress", "from 20 to 10,000", draws)
    if seed < 0:
        raise parameter_error("seed", "stress", "a whole number, 0 or above", seed)
    return chosen(shifts, pictures.pixels.shape[1], pictures.modality)


def shifted(pictures: Pictures, shift: Shift, strength: float, seed: int) -> Iterator[Array]:
    """All pictures at a strength, float32, in batches that memory bears."""
    for start in range(0, len(pictures), BATCH):
        rows = range(start, min(start + BATCH, len(pictures)))
        yield np.stack([shift.shifted(pictures.pixels[i], strength, seed, i) for i in rows]).astype(np.float32)


def answered(
    classifier: Classifier, pictures: Pictures, shifts: Sequence[Shift], seed: int, stages: Stages
) -> dict[tuple[str, float], Array]:
    """Probabilities for each shift and strength; the clean images are asked about once."""
    clean = classifier.probabilities(pictures.pixels)
    steps = [(shift, strength) for shift in shifts for strength in shift.strengths[1:]]
    found = {(shift.name, shift.strengths[0]): clean for shift in shifts}
    for i, (shift, strength) in enumerate(steps):
        parts = [classifier.probabilities(part) for part in shifted(pictures, shift, strength, seed)]
        found[shift.name, strength] = np.concatenate(parts)
        stages.watcher.advance((i + 1) / len(steps), f"{shift.name} {shift.told(strength)}")
    return found


def judged(
    pictures: Pictures,
    shifts: Sequence[Shift],
    answers: Mapping[tuple[str, float], Array],
    options: Mapping[str, Any],
    *,
    model: str,
    notes: Sequence[str],
    stages: Stages,
) -> StressTest:
    """The curves of answered images."""
    measure = options["measure"]
    with stages.stage("judge", "Measuring"):
        groups = groups_of(pictures.attributes, pictures.truth, measure)
        judge = Judge(
            pictures.truth,
            len(pictures.classes),
            pictures.records,
            groups,
            measure,
            options["tolerance"],
            options["draws"],
            options["seed"],
        )
        curves = tuple(
            judge.curve(s.name, s.strengths, [answers[s.name, strength] for strength in s.strengths]) for s in shifts
        )
    strips = {shift.name: _strip(pictures, shift, options["seed"]) for shift in shifts}
    counts = {name: int((pictures.truth == i).sum()) for i, name in enumerate(pictures.classes)}
    document = {
        "format": FORMAT,
        "made_by": f"manikin {versions(['manikin']).get('manikin', '')}",
        "model": model,
        "images": len(pictures),
        "patients": int(pictures.records.max()) + 1,
        "size": list(pictures.pixels.shape[1:]),
        "classes": counts,
        "groups": {name: int(mask.sum()) for name, mask in groups.items()},
        **options,
        "shifts": {s.name: {"what": s.what, "unit": s.unit, "group": s.group, "strengths": list(s.strengths)} for s in shifts},
        "curves": [_finite(curve.to_json()) for curve in curves],
        "notes": list(notes),
        "criterion": "A shift fails at the first strength at which the whole 95 % interval of the loss, paired with the clean images, "
        "lies above the tolerance.",
    }
    return StressTest(curves, document, strips)


def write_test(found: StressTest, out: Path, *, force: bool) -> dict[str, Path]:
    """Writes results.json and report.html as a folder."""
    with whole_folder(out, force=force) as partial:
        found.report(partial / PAGE)
        write_json(partial / DOCUMENT, dict(found.document))
    return {"report": out / PAGE, "figures": out / DOCUMENT}


def stress_files(
    model: str | Path,
    images: str | Path,
    out: str | Path,
    *,
    force: bool = False,
    watcher: Watcher | None = None,
    **options: Any,
) -> tuple[StressTest, dict[str, Path]]:
    """`stress` of files, written as a folder."""
    check_free(Path(out), force=force, inputs=[model, images])
    found = stress(model, images, watcher=watcher, **options)
    return found, write_test(found, Path(out), force=force)


def pictures_of(
    images: Any, labels: Sequence[Any] | str | None = None, *, classes: Sequence[str] = (), groups: Sequence[str] | None = None
) -> Pictures:
    """Labelled pictures from a place, a Dataset or an array."""
    if isinstance(images, np.ndarray):
        if labels is None or isinstance(labels, str):
            raise ParameterError("An array of images needs labels, one for each. Give them as a list.")
        return _of_array(images, np.asarray([str(label) for label in labels]), classes)
    if not isinstance(images, Dataset):
        from manikin.workflow.sources import read

        images = read(images)
    if labels is not None and not isinstance(labels, str):
        raise ParameterError("The labels of a folder or Dataset of images are one of its columns. Name it.")
    return _of_dataset(images, labels, classes, groups)


def _of_array(pixels: Array, texts: Array, classes: Sequence[str]) -> Pictures:
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    if pixels.ndim == 4 and pixels.shape[1] not in (1, 3) and pixels.shape[3] in (1, 3):
        pixels = np.moveaxis(pixels, -1, 1)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or not pixels.size:
        raise DataError(
            f"Images of 1 or 3 channels are needed, (n, channels, rows, columns); these have the shape {pixels.shape}."
        )
    if len(texts) != len(pixels):
        raise DataError(f"There are {len(pixels):,} images and {len(texts):,} labels. Give one label for each image.")
    whole = pixels.dtype.kind in "ui" or float(np.nanmax(pixels)) > 1
    scaled = pixels.astype(np.float32) / (255 if whole else 1)
    if not np.isfinite(scaled).all() or scaled.min() < 0 or scaled.max() > 1:
        raise DataError(
            "Pixel values must be whole numbers from 0 to 255, or fractions from 0 to 1, without gaps. Scale the images first."
        )
    truth, names = _places(texts, classes)
    return Pictures(scaled, truth, names, np.arange(len(truth)), {}, tuple(f"image {i + 1}" for i in range(len(truth))))


def _of_dataset(data: Dataset, label: str | None, classes: Sequence[str], groups: Sequence[str] | None) -> Pictures:
    if data.modality != "images":
        raise DataError("These data hold no images. Name a folder of images with a labels.csv.")
    schema = data.columns
    frame = data.table.frame
    column = schema.images[0]
    texts = _labels(data, label)
    held = data.table.images[column.name]
    rows = np.flatnonzero(held.present & (texts != ""))
    if not len(rows):
        raise DataError(f"No row of {column.name!r} has both an image and a label. Add a label column to labels.csv.")
    if len(rows) > MOST_IMAGES:
        raise DataError(
            f"There are {len(rows):,} labelled images; a stress test takes {MOST_IMAGES:,} at most. Take a sample of them."
        )
    form = column.image
    if form and form.size and len(rows) * form.channels * int(np.prod(form.size, dtype=np.int64)) > MOST_PIXELS:
        raise DataError(f"{len(rows):,} images of {form.size} pixels need too much memory at once. Take a sample of them, or smaller ones.")
    pixels = held.array(rows)
    low, high = (form.lowest, form.highest) if form else (0.0, 255.0)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3):
        raise DataError(
            f"The images of {column.name!r} have the shape {pixels.shape[1:]}; flat ones of 1 or 3 channels are needed."
        )
    if not np.isfinite(pixels).all():
        raise DataError(f"Some images of {column.name!r} hold pixels without a number. Fill or leave out those images.")
    pixels -= np.float32(low)  # in place, since it may be most of the memory
    pixels /= np.float32(high - low)
    scaled = np.clip(pixels, 0, 1, out=pixels)
    truth, names = _places(texts[rows], classes)
    owners = np.unique(data.records[rows], return_inverse=True)[1]
    attributes = {}
    for other in schema.learned:
        if groups is not None and other.name not in groups:
            continue
        cells = frame[other.name].iloc[rows]
        if other.name not in (column.name, label or _label_name(data)) and 2 <= cells.nunique(dropna=True) <= MOST_LEVELS:
            attributes[other.name] = cells.astype(object).to_numpy()
    for name in groups or ():
        if name not in attributes:
            must = f"it is not there, or has not 2 to {MOST_LEVELS} values"
            raise ParameterError(f"The column {name!r} makes no groups: {must}. Name another.")
    files = tuple(str(cell) for cell in frame[column.name].iloc[rows])
    return Pictures(scaled, truth, names, owners, attributes, files, form.modality if form else None)


def _label_name(data: Dataset) -> str:
    from manikin.workflow.sources import target_of

    names = [column.name for column in data.columns.learned if not column.kind.is_number]
    found = target_of(data.columns) or next(
        (name for name in ("label", "labels", "class", "target") if name in data.columns), None
    )
    if found is None:
        raise DataError(
            f"Nothing says which column is the label. Name it with --target; there are {', '.join(names) or 'no columns'}."
        )
    return found


def _labels(data: Dataset, label: str | None) -> Array:
    name = label or _label_name(data)
    if name not in data.columns:
        raise ParameterError(f"There is no column {name!r}. Name the label column with --target.")
    cells = data.table.frame[name]
    return np.array(["" if cell is None or cell != cell else _plain(cell) for cell in cells.astype(object)])


def _plain(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _places(texts: Array, classes: Sequence[str]) -> tuple[Array, tuple[str, ...]]:
    names = tuple(classes) or tuple(np.unique(texts).tolist())
    if not 2 <= len(names) <= 100 or len(set(names)) < len(names):
        raise DataError(f"Between 2 and 100 different labels are needed; there are {len(names)}. Choose another label column.")
    places = {name: i for i, name in enumerate(names)}
    unknown = sorted({text for text in texts.tolist() if text not in places})
    if unknown:
        raise ParameterError(f"{len(unknown)} labels are not among the classes. Name each with --class, in the model's order.")
    return np.array([places[text] for text in texts.tolist()]), names


def _strip(pictures: Pictures, shift: Shift, seed: int) -> tuple[tuple[str, str], ...]:
    """One picture at each strength, as (text, PNG in base64): of the last class, the first image."""
    i = int(np.flatnonzero(pictures.truth == pictures.truth.max())[0])
    return tuple((shift.told(s), _png(shift.shifted(pictures.pixels[i], s, seed, i))) for s in shift.strengths)


def _png(picture: Array) -> str:
    from PIL import Image

    whole = np.clip(np.round(picture * 255), 0, 255).astype(np.uint8)
    image = Image.fromarray(whole[0] if len(whole) == 1 else whole.transpose(1, 2, 0))
    factor = STRIP_PIXELS / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.NEAREST if factor > 1 else Image.Resampling.LANCZOS).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _finite(value: Any) -> Any:
    """NaN has no JSON form: None."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
