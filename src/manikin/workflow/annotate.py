"""Labels for images: by a classifier that learned from labelled ones, by people where it is unsure, and how far to trust both.

Knows no network and no page. What a classifier scores on held-out real images is not what it scores on synthetic ones; people's answers on
a random sample of its certain labels tell that.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.errors import DataError, ParameterError
from manikin.data.seeds import derive, generator
from manikin.evaluation.definition import clean
from manikin.evaluation.intervals import wilson
from manikin.evaluation.readers.agreement import cohen
from manikin.evaluation.readers.reliability import reliability
from manikin.workflow.output import check_free, read_json, whole_folder, write_json
from manikin.workflow.reading.form import MOST_CHOICES, Choice, Form
from manikin.workflow.reading.journal import read_lines
from manikin.workflow.reading.room import ANSWERS, IMAGES, Room
from manikin.workflow.reading.sets import ImageSet, image_set, stacked, write_alike

DOCUMENT, TABLE = "annotate.json", "labels.csv"
FORMAT = "manikin-annotation 1"
THRESHOLD = 0.9
AUDIT = 50
HELD = 0.25  # of the real patients, on whom the classifier is judged
MOST_SIDE = 64  # pixels along a side that the classifier looks at
LEAST = 20  # real images, below which nothing is learned
UNSURE = "cannot tell"
KEYS = "123456789abc"
COLUMNS = ("file", "label", "label_source", "confidence", "auto_label", "person_label", "queue")
INTERNAL = "Internal: made with images of real patients."


@dataclass(frozen=True)
class Judged:
    """A classifier's answers on the images without labels, and how it did on the real images that it did not learn from."""

    classes: tuple[str, ...]
    labels: npt.NDArray[np.str_]
    confidence: npt.NDArray[np.float64]
    held_out: dict[str, Any]


def annotate(
    images: str | Path,
    *,
    labelled: str | Path,
    out: str | Path,
    label: str | None = None,
    threshold: float = THRESHOLD,
    audit: int = AUDIT,
    seed: int = 0,
    force: bool = False,
) -> dict[str, Any]:
    """Labels images by a classifier, and queues for people what it is unsure of and a random sample of what it is sure of.

    Parameters
    ----------
    images : those to label. labelled : real images with labels, to learn from. out : the folder to write.
    label : the column of labels. threshold : confidence from which a label counts as certain, in (0, 1).
    audit : how many certain ones people are shown as well.

    Returns
    -------
    dict : the document of annotate.json.

    Raises
    ------
    ParameterError : a number outside its domain, a place that is taken. DataError : images that cannot be used, too few labels.
    """
    if not 0 < threshold < 1:
        raise ParameterError(f"--threshold is between 0 and 1, not {threshold:g}. 0.9 queues what is less than 90 % sure.")
    if audit < 0:
        raise ParameterError(f"--audit is 0 or more, not {audit}.")
    folder = Path(out)
    check_free(folder, force=force, inputs=[images, labelled])
    real, given = image_set(labelled, label=label), image_set(images)
    if not real.column:
        raise DataError(f"{real.place} has no column of labels with 2 to {MOST_CHOICES - 1} values. Name one with --label.")
    judged = judge(real, given, seed=seed)
    certain = judged.confidence >= threshold
    rng = generator(seed, "annotate", "audit")
    sample = set(rng.permutation(np.flatnonzero(certain))[:audit].tolist())
    queued = [i for i in range(len(given)) if not certain[i] or i in sample]
    numbers = rng.permutation(len(queued)).tolist()
    rows = [
        {
            "file": given.files[i],
            "auto_label": str(judged.labels[i]),
            "confidence": round(float(judged.confidence[i]), 4),
            "queue": "audit" if i in sample else "" if certain[i] else "uncertain",
            "image": None,
        }
        for i in range(len(given))
    ]
    for i, number in zip(queued, numbers, strict=True):
        rows[i]["image"] = number
    notices = [] if judged.held_out["is_calibrated"] else ["There are too few labelled images to calibrate confidence; read it as a rank."]
    with whole_folder(folder, force=force) as partial:
        if queued:
            notices += write_alike([given], [queued], [numbers], partial / IMAGES)
        document = {
            "format": FORMAT,
            "internal": INTERNAL,
            "asked": {
                "images": str(Path(images).absolute()),
                "labelled": str(Path(labelled).absolute()),
                "threshold": threshold,
                "audit": audit,
                "seed": seed,
            },
            "label": real.column,
            "classes": list(judged.classes),
            "held_out": judged.held_out,
            "notices": notices,
            "images": rows,
        }
        write_json(partial / DOCUMENT, document)
        _write_table(partial / TABLE, merged(document, {}))
    return document


def judge(real: ImageSet, given: ImageSet, *, seed: int) -> Judged:
    """Learns from three quarters of the real patients, is judged on the others, and labels the given images.

    Raises
    ------
    DataError : fewer than 20 labelled images, or fewer than two labels; more labels than a page can show.
    """
    from manikin.evaluation.images.classifier import fit

    known = np.array([label != "" for label in real.labels])
    labels = np.array(real.labels)[known]
    classes = sorted(set(labels.tolist()))
    if len(labels) < LEAST or not 2 <= len(classes) < MOST_CHOICES:
        raise DataError(
            f"{real.place} has {len(labels)} images with {len(classes)} different labels in {real.column!r}. "
            f"It takes {LEAST} images and 2 to {MOST_CHOICES - 1} labels."
        )
    pixels, unknown = stacked([real, given], most=MOST_SIDE)
    pixels, patients = pixels[known], real.patients[known]
    held = _held_out(labels, patients, seed)
    model = fit(pixels[~held], labels[~held], derive(seed, "annotate", "classifier"))
    odds = model.probabilities(pixels[held])
    found = np.array(model.classes)[odds.argmax(axis=1)]
    is_right = found == labels[held]
    sure = odds.max(axis=1)
    hits, n = int(is_right.sum()), len(is_right)
    told = {
        "n": n,
        "n_learned": int((~held).sum()),
        "accuracy": hits / n,
        "interval": wilson(hits, n),
        "is_calibrated": model.is_calibrated,
        "temperature": model.temperature,
        "by_label": [_recall(name, found, labels[held]) for name in classes],
        **reliability(sure, is_right),
    }
    made = model.probabilities(unknown)
    return Judged(tuple(classes), np.array(model.classes)[made.argmax(axis=1)], made.max(axis=1), clean(told))


def review(folder: str | Path) -> Room:
    """The room in which people label what is queued: the uncertain ones and the sample of certain ones, mixed, without the automatic label.

    Raises
    ------
    ParameterError : there is nothing that was annotated, or nothing is queued.
    """
    source = Path(folder)
    document = read_annotation(source)
    n = sum(row["image"] is not None for row in document["images"])
    if not n:
        raise ParameterError(f"Nothing is queued in {source}: every label is certain, and --audit is 0.")
    choices = [Choice(name, name, key) for name, key in zip(document["classes"], KEYS, strict=False)]
    form = Form(
        f"Labels: {document['label']}",
        f"Which {document['label']} is right?",
        (
            "You will see images one by one. Choose the label that is right for each, or say that you cannot tell.",
            "You can stop at any time and go on later under the same pseudonym; every answer is stored at once.",
        ),
        (*choices, Choice(UNSURE, "Cannot tell", "u")),
        has_confidence=False,
    )
    seed = int(document["asked"]["seed"])
    return Room(source, form, lambda reader: generator(seed, "annotate", "order", reader).permutation(n).tolist())


def report(folder: str | Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """Takes people's answers into labels.csv, and says how often they agree with the classifier.

    Returns
    -------
    dict : counts by source, `audit` (errors of certain labels with Wilson's interval, Cohen's kappa), `uncertain` (the same on uncertain
        ones), the classifier's held-out figures. Also the files written: labels.csv, results.json and report.html.

    Raises
    ------
    ParameterError : there is nothing that was annotated.
    """
    from manikin.release.manifest import versions
    from manikin.report.annotation import render_annotation

    source = Path(folder)
    document = read_annotation(source)
    rows = merged(document, person_labels(source))
    answered = [row for row in rows if row["person_label"]]
    sources = Counter(row["label_source"] or "none yet" for row in rows)
    people = {str(line["reader"]) for line in read_lines(source / ANSWERS) if line.get("event") == "answer"}
    result = clean(
        {
            "format": "manikin-results-annotation 1",
            "made_by": f"manikin {versions(['manikin']).get('manikin', '')}",
            "internal": INTERNAL,
            "label": document["label"],
            "classes": document["classes"],
            "n": len(rows),
            "threshold": document["asked"]["threshold"],
            "sources": dict(sorted(sources.items())),
            "queued": {name: sum(row["queue"] == name for row in rows) for name in ("uncertain", "audit")},
            "people": len(people),
            "audit": agreement([row for row in answered if row["queue"] == "audit"]),
            "uncertain": agreement([row for row in answered if row["queue"] == "uncertain"]),
            "labels": dict(sorted(Counter(row["label"] or "none yet" for row in rows).items())),
            "held_out": document["held_out"],
            "notices": document["notices"],
        }
    )
    _write_table(source / TABLE, rows)
    write_json(source / "results.json", result)
    render_annotation(result, source / "report.html")
    return result, {"labels": source / TABLE, "results": source / "results.json", "report": source / "report.html"}


def person_labels(folder: Path) -> dict[int, str]:
    """What people said of each queued image: the answer of most, "cannot tell" where they are divided or cannot tell."""
    last: dict[tuple[str, int], str] = {}
    for line in read_lines(folder / ANSWERS):
        if line.get("event") == "answer":
            last[str(line["reader"]), int(line["image"])] = str(line["answer"])
    votes: dict[int, Counter[str]] = {}
    for (_, image), answer in last.items():
        votes.setdefault(image, Counter())[answer] += 1
    found = {}
    for image, counted in votes.items():
        (first, most), *rest = counted.most_common(2)
        found[image] = UNSURE if rest and rest[0][1] == most else first
    return found


def merged(document: Mapping[str, Any], people: Mapping[int, str]) -> list[dict[str, Any]]:
    """The rows of labels.csv: a person's label where there is one, else the certain automatic one, else none yet."""
    rows = []
    for row in document["images"]:
        person = people.get(row["image"], "") if row["image"] is not None else ""
        decided = person if person and person != UNSURE else ""
        automatic = row["auto_label"] if row["queue"] != "uncertain" and person != UNSURE else ""
        rows.append(
            {
                "file": row["file"],
                "label": decided or automatic,
                "label_source": "person" if decided else "auto" if automatic else "",
                "confidence": row["confidence"],
                "auto_label": row["auto_label"],
                "person_label": person,
                "queue": row["queue"],
            }
        )
    return rows


def agreement(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Classifier against people on some rows: share of differing labels with Wilson's interval, kappa; None without an answer.

    What people cannot tell counts for neither.
    """
    told = [row for row in rows if row["person_label"] != UNSURE]
    if not told:
        return None
    automatic, person = (np.array([row[name] for row in told]) for name in ("auto_label", "person_label"))
    errors, n = int((automatic != person).sum()), len(told)
    kappa = cohen(automatic, person)
    return {
        "n": n,
        "cannot_tell": len(rows) - n,
        "errors": errors,
        "error_rate": errors / n,
        "interval": wilson(errors, n),
        "kappa": kappa.value,
        "kappa_interval": kappa.interval,
        "mean_confidence": float(np.mean([row["confidence"] for row in told])),
    }


def read_annotation(folder: Path) -> dict[str, Any]:
    """The document of annotate.json.

    Raises
    ------
    ParameterError : there is none.
    """
    document = read_json(folder / DOCUMENT)
    if not isinstance(document, dict) or not str(document.get("format", "")).startswith("manikin-annotation "):
        raise ParameterError(f"{folder} holds no annotation. Give a folder that `manikin annotate` wrote.")
    return document


def _held_out(labels: npt.NDArray[np.str_], patients: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.bool_]:
    """A quarter of the patients of each label, bool (n,); a patient's images are all on one side. The label of her first image counts."""
    rng = generator(seed, "annotate", "held")
    _, first, owner = np.unique(patients, return_index=True, return_inverse=True)
    chosen = np.zeros(len(first), dtype=bool)
    for name in np.unique(labels):
        mine = rng.permutation(np.flatnonzero(labels[first] == name))
        chosen[mine[: max(1, round(HELD * len(mine)))] if len(mine) > 1 else mine[:0]] = True
    held = chosen[owner]
    if held.all() or not held.any() or len(np.unique(labels[~held])) < 2:
        raise DataError("There are too few patients of each label to learn from some and be judged on others. Give more labelled images.")
    return held


def _recall(name: str, found: npt.NDArray[Any], truth: npt.NDArray[Any]) -> dict[str, Any]:
    mine = truth == name
    hits, n = int((found[mine] == name).sum()), int(mine.sum())
    return {"label": name, "n": n, "recall": hits / n if n else None, "interval": wilson(hits, n) if n else None}


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Whole or not at all."""
    beside = path.with_name(path.name + ".new")
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    beside.replace(path)
