"""The stress test without the model at hand: shifted images are written with a list, predictions are read back. Knows no measure."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from manikin.data.errors import DataError, ParameterError
from manikin.io.images.pillow import encode, pillow
from manikin.io.images.provenance import Origin, texts_of
from manikin.release.manifest import versions
from manikin.workflow.output import check_free, read_json, whole_folder, write_json
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.stress import Pictures, StressTest, checked, judged, pictures_of, shifted, write_test

FORMAT, DOCUMENT, LIST, KEPT = "manikin-stress", "stress.json", "images.csv", "clean.npz"
MOST_BYTES = 1 << 30
PROBABILITY = "probability"


def prepare(
    images: str | Path,
    out: str | Path,
    *,
    labels: str | None = None,
    shifts: Sequence[str] = (),
    classes: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    measure: str = "auc",
    tolerance: float = 0.05,
    draws: int = 500,
    seed: int = 0,
    force: bool = False,
    watcher: Watcher | None = None,
) -> tuple[int, dict[str, Path]]:
    """Writes clean and shifted images as PNG, images.csv (file, image, shift, strength, unit) and stress.json; gives how many.

    Parameters as in `stress`. The labels stay in this folder's stress.json and clean.npz, not in images.csv.
    """
    target = Path(out)
    pillow()
    check_free(target, force=force, inputs=[images])
    stages = Stages(watcher or Silent())
    with stages.stage("load", "Reading images"):
        pictures = pictures_of(images, labels, classes=classes, groups=groups)
        wanted = checked(pictures, shifts, measure=measure, tolerance=tolerance, draws=draws, seed=seed)
    steps = [("clean", 0.0, None)] + [(s.name, strength, s) for s in wanted for strength in s.strengths[1:]]
    texts = texts_of("A real or synthetic image as given, shifted for a stress test.", origin=Origin.REWRITTEN)
    rows: list[dict[str, Any]] = []
    with whole_folder(target, force=force) as partial, stages.stage("write", f"Writing {len(steps) * len(pictures):,} images"):
        for i, (name, strength, shift) in enumerate(steps):
            pixels = pictures.pixels if shift is None else chain.from_iterable(shifted(pictures, shift, strength, seed))
            folder = f"{name}" if shift is None else f"{name}_{_exact(strength)}"
            (partial / folder).mkdir()
            for k, one in enumerate(pixels):
                file = f"{folder}/{k + 1:05d}.png"
                encode(np.clip(np.round(one * 255), 0, 255).astype(np.uint8), partial / file, texts)
                unit = shift.unit if shift else ""
                rows.append({"file": file, "image": pictures.names[k], "shift": name, "strength": strength, "unit": unit})
            stages.watcher.advance((i + 1) / len(steps), folder)
        pd.DataFrame(rows).to_csv(partial / LIST, index=False)
        kept = {f"attribute:{name}": np.array([str(cell) for cell in cells]) for name, cells in pictures.attributes.items()}
        kept |= {
            "pixels": np.round(pictures.pixels * 255).astype(np.uint8),
            "truth": pictures.truth,
            "records": pictures.records,
        }
        np.savez_compressed(partial / KEPT, **kept)  # type: ignore[arg-type]
        options = {"measure": measure, "tolerance": tolerance, "draws": draws, "seed": seed}
        document = {
            "format": FORMAT,
            "made_by": f"manikin {versions(['manikin']).get('manikin', '')}",
            "classes": list(pictures.classes),
            "modality": pictures.modality,
            "shifts": [f"{s.name}=" + ",".join(map(_exact, s.strengths)) for s in wanted],
            "n": len(pictures),
            "names": list(pictures.names),
            **options,
        }
        write_json(partial / DOCUMENT, document)
    return len(rows), {"list": target / LIST, "how": target / DOCUMENT}


def judge_predictions(
    predictions: str | Path,
    prepared: str | Path,
    out: str | Path,
    *,
    force: bool = False,
    watcher: Watcher | None = None,
    **options: Any,
) -> tuple[StressTest, dict[str, Path]]:
    """Reads predictions of prepared images and writes results.json and report.html.

    Parameters
    ----------
    predictions : a CSV with `file`, as in images.csv, and a column for each class, named as the class; of two classes `probability` of the
        second does.
    options : measure, tolerance or draws in place of those that were given to `prepare`.

    Raises
    ------
    InputError : the folder was not prepared by `prepare`, or predictions are missing, twice there, or no numbers.
    """
    check_free(Path(out), force=force, inputs=[predictions, prepared])
    stages = Stages(watcher or Silent())
    with stages.stage("load", "Reading predictions"):
        document, pictures = _kept(Path(prepared))
        settings = {name: document[name] for name in ("measure", "tolerance", "draws", "seed")}
        settings |= {name: value for name, value in options.items() if value is not None}
        wanted = checked(pictures, document["shifts"], **settings)
        table = _listed(Path(prepared))
        given = _answers(Path(predictions), table["file"].tolist(), pictures.classes)
    answers = {}
    names, strengths = table["shift"].to_numpy(str), table["strength"].to_numpy(float)
    for name, strength in dict.fromkeys(zip(names.tolist(), strengths.tolist(), strict=True)):
        answers[name, strength] = given[(names == name) & (strengths == strength)]
    clean = answers.pop(("clean", 0.0))
    for shift in wanted:
        answers[shift.name, shift.strengths[0]] = clean
    notes = [f"Predictions read from {Path(predictions).name}."]
    found = judged(pictures, wanted, answers, settings, model=Path(predictions).name, notes=notes, stages=stages)
    return found, write_test(found, Path(out), force=force)


def _exact(strength: float) -> str:
    """A strength as a text that is read back as the same number."""
    return repr(float(strength)).removesuffix(".0")


def _listed(folder: Path) -> pd.DataFrame:
    """The list of prepared images."""
    try:
        table = pd.read_csv(folder / LIST, float_precision="round_trip", dtype={"file": str})
        return table[["file", "shift", "strength"]].astype({"shift": str, "strength": float})
    except (OSError, ValueError, KeyError):
        raise DataError(f"{folder} is damaged: {LIST} does not hold what was prepared. Run `manikin stress prepare` again.") from None


def _kept(folder: Path) -> tuple[dict[str, Any], Pictures]:
    document = read_json(folder / DOCUMENT) if (folder / DOCUMENT).is_file() else None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ParameterError(
            f"{folder} was not made by `manikin stress prepare`, which predictions are judged against. Name that folder."
        )
    try:
        with np.load(folder / KEPT, allow_pickle=False) as kept:
            attributes = {name.partition(":")[2]: kept[name] for name in kept.files if name.startswith("attribute:")}
            pixels, truth, records = kept["pixels"].astype(np.float32) / 255, kept["truth"], kept["records"]
        if not {"measure", "tolerance", "draws", "seed", "shifts"} <= document.keys():
            raise ValueError
        classes, names = tuple(map(str, document["classes"])), tuple(map(str, document["names"]))
        if pixels.ndim != 4 or not len(pixels) == len(truth) == len(records) == len(names):
            raise ValueError
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error):
        way = "Run `manikin stress prepare` again."
        raise DataError(f"{folder} is damaged: {KEPT} or {DOCUMENT} does not hold what was prepared. {way}") from None
    return document, Pictures(pixels, truth, classes, records, attributes, names, document.get("modality"))


def _answers(path: Path, files: list[str], classes: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Probabilities (n_files, n_classes) in the order of the list."""
    if not path.is_file():
        raise ParameterError(f"{path} is no file. Name the CSV of your model's predictions.")
    if path.stat().st_size > MOST_BYTES:
        raise DataError(
            f"{path.name} has more than {MOST_BYTES >> 30} GiB; predictions need a file name and a few numbers a row."
        )
    try:
        table = pd.read_csv(path, dtype=str)
    except (ValueError, OSError):
        raise DataError(f"{path.name} cannot be read as a CSV in UTF-8. Write it with a header line and commas.") from None
    columns = [PROBABILITY] if PROBABILITY in table and len(classes) == 2 else list(classes)
    missing = [name for name in ("file", *columns) if name not in table]
    if missing:
        way = f", or {PROBABILITY!r} of {classes[1]!r}" if len(classes) == 2 else ""
        raise DataError(f"{path.name} lacks the column {missing[0]!r}. It needs 'file' and one column for each class{way}.")
    if table["file"].duplicated().any():
        row = int(np.flatnonzero(table["file"].duplicated())[0]) + 2
        raise DataError(f"{path.name}, row {row}: this file was named before. Keep one row for each file.")
    table = table.set_index("file").reindex(files)
    numbers = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    bad = ~np.isfinite(numbers).all(axis=1) | (numbers < 0).any(axis=1) | (numbers > 1 + 1e-6).any(axis=1)
    if bad.any():
        raise DataError(
            f"{path.name}: {int(bad.sum()):,} of {len(files):,} files of {LIST} have no probabilities from 0 to 1, "
            f"the first is {files[int(bad.argmax())]}. Predict all of them."
        )
    return np.column_stack([1 - numbers[:, 0], numbers[:, 0]]) if columns == [PROBABILITY] else numbers
