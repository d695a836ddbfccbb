"""A blinded visual Turing test: which images are shown to whom in which order, and what the answers prove. Knows no page and no network."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manikin.data.errors import DataError, ParameterError
from manikin.data.seeds import generator
from manikin.evaluation.readers.equivalence import MARGIN, READER_SD, images_needed
from manikin.evaluation.readers.readings import Readings, readings
from manikin.evaluation.readers.summary import LEAST_READINGS, summarise
from manikin.workflow.output import check_free, read_json, whole_folder, write_json
from manikin.workflow.reading.form import ROLES, Choice, Form
from manikin.workflow.reading.held_out import held_out
from manikin.workflow.reading.journal import read_lines
from manikin.workflow.reading.room import ANSWERS, IMAGES, Room
from manikin.workflow.reading.sets import ImageSet, image_set, set_of, write_alike

STUDY, RESULTS = "turing.json", "results.json"
FORMAT, RESULTS_FORMAT = "manikin-turing 1", "manikin-results-turing 1"
REAL, SYNTHETIC = "real", "synthetic"
N_IMAGES = 60
REPEATS = 0.2
LEAST_GAP = 10  # images between two showings of one, where there are as many
REASONS = (
    "texture or noise",
    "blurred or smeared",
    "anatomy cannot be",
    "edges or borders",
    "patterns that repeat",
    "artefacts",
    "too clean",
    "looks natural",
)
INTERNAL = "Internal: this folder holds images of real patients and which image is which. Do not give it to readers."


@dataclass(frozen=True)
class Begun:
    """A test that is ready to be read."""

    folder: Path
    room: Room
    document: dict[str, Any]
    notices: tuple[str, ...]
    is_resumed: bool


def begin(
    out: str | Path,
    *,
    real: str | Path | None = None,
    synthetic: str | Path | None = None,
    run: Path | None = None,
    images: int | None = None,
    repeats: float = REPEATS,
    label: str | None = None,
    margin: float = MARGIN,
    reasons: Sequence[str] = (),
    seed: int = 0,
    force: bool = False,
) -> Begun:
    """Prepares a test in a folder, or takes up the one that is there.

    Parameters
    ----------
    out : the folder. real, synthetic : folders of images; without both the test that is in `out` goes on.
    run : the run folder that the synthetic images are of. Where the real ones are those that it was made from, only the held-out ones are
        shown: an image that the generator learned from tells nothing of what it makes.
    images : how many are shown, half of them synthetic; 60 by default, or as many as there are.
    repeats : the share of them that each reader sees twice, in [0, 1].
    label : the column of labels.csv whose values are shown equally often among both kinds.
    margin : around 50 %, for the verdict. reasons : what readers may tick; a list for images of any kind by default.

    Raises
    ------
    ParameterError : a number outside its domain, a place that is taken. DataError : images that cannot be read.
    """
    folder = Path(out)
    there = read_json(folder / STUDY)
    if real is None and synthetic is None:
        if not is_study(there):
            raise ParameterError(f"{folder} holds no test. Name the images with --real and --synthetic.")
        return _open(folder, there, (), is_resumed=True)
    if real is None or synthetic is None:
        raise ParameterError("A test needs real and synthetic images. Name both, with --real and --synthetic.")
    _check(images, repeats, margin)
    job = {
        "real": str(Path(real).absolute()),
        "synthetic": str(Path(synthetic).absolute()),
        "images": images,
        "repeats": repeats,
        "label": label,
        "margin": margin,
        "reasons": list(reasons),
        "seed": seed,
    }
    if is_study(there) and not force:
        if there.get("asked") != job:
            raise ParameterError(f"{folder} holds another test. Choose another --out, or replace it and its answers with --force.")
        return _open(folder, there, (), is_resumed=True)
    check_free(folder, force=force, inputs=[real, synthetic])
    unseen = None if run is None else held_out(run, real)
    sets = (image_set(real, label=label) if unseen is None else set_of(unseen, Path(real), label=label), image_set(synthetic, label=label))
    if sets[0].place.samefile(sets[1].place):
        raise ParameterError("The real and the synthetic images are the same place. Name two.")
    if label is not None and not has_common_labels(sets):
        raise DataError(f"No {label!r} of {sets[0].place} is one of {sets[1].place}. Name a common column with --label, or leave it out.")
    chosen = balanced(sets, images, generator(seed, "turing", "images"))
    notices = _notices(sets, chosen, margin)
    if unseen is not None:
        notices.append(f"The real images are the {len(unseen)} that the run held out; the generator did not see them.")
    elif run is not None:
        notices.append(f"The real images are not those that {run} was made from; make sure that its generator did not see them.")
    with whole_folder(folder, force=force) as partial:
        numbers = generator(seed, "turing", "numbers").permutation(sum(len(one) for one in chosen))
        places = (numbers[: len(chosen[0])].tolist(), numbers[len(chosen[0]) :].tolist())
        notices += write_alike(sets, chosen, places, partial / IMAGES)
        document = _document(sets, chosen, places, job, reasons or REASONS, notices)
        write_json(partial / STUDY, document)
    return _open(folder, document, tuple(notices), is_resumed=False)


def sides(
    images: Path | None, *, real: Path | None, synthetic: Path | None, out: Path | None
) -> tuple[Path | None, Path | None, Path]:
    """The real images, the synthetic ones and the test's folder, of what the command line names.

    Parameters
    ----------
    images : a test that goes on, or a folder in which synthesize wrote images, of which the synthetic ones are taken.

    Raises
    ------
    ParameterError : it is unclear which images are which, or where the test goes.
    """
    if images is None:
        if out is None:
            raise ParameterError("A test needs a folder. Name it with --out.")
        return real, synthetic, out
    if is_study(read_json(images / STUDY)):
        if real or synthetic or out:
            raise ParameterError(f"{images} is a test already; its images are set. Leave --real, --synthetic and --out out.")
        return None, None, images
    if synthetic is not None:
        raise ParameterError("Name the synthetic images once: as IMAGES or with --synthetic.")
    found = [place for place in (images / SYNTHETIC, images / f"{SYNTHETIC}.npz") if place.exists()]
    if not found:
        raise ParameterError(f"{images} is no test, and no run folder with synthetic images. Name folders with --real and --synthetic.")
    if real is None:
        raise ParameterError(f"{images} holds synthetic images only. Name real ones that the generator did not see, with --real.")
    return real, found[0], out or images.with_name(f"{images.name}-turing")


def planned(*, margin: float = MARGIN, power: float = 0.8, reader_sd: float = READER_SD) -> list[dict[str, Any]]:
    """How many images each reader must read, for 1 to 12 readers; see `images_needed`."""
    _check(None, 0.0, margin)
    if not 0 < power < 1:
        raise ParameterError(f"--power is between 0 and 1, not {power:g}.")
    if not 0 <= reader_sd < 0.5:
        raise ParameterError(f"--reader-sd is between 0 and 0.5, not {reader_sd:g}.")
    numbers = (1, 2, 3, 4, 5, 6, 8, 10, 12)
    return [{"readers": n, "images": images_needed(n, margin=margin, power=power, reader_sd=reader_sd)} for n in numbers]


def is_study(document: Any) -> bool:
    """Whether a document is that of a test."""
    return isinstance(document, Mapping) and str(document.get("format", "")).startswith("manikin-turing ")


def has_common_labels(sets: tuple[ImageSet, ImageSet]) -> bool:
    """Whether both sets have labels, and one of them in common."""
    return all(one.column for one in sets) and bool(set(sets[0].labels) & set(sets[1].labels))


def balanced(
    sets: tuple[ImageSet, ImageSet], images: int | None, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Which images of both sets are shown: equally many, and of each label equally many where both sets have it.

    Where the sets have no labels in common they are passed over. Labels are filled in turn, so that a rare one is shown as often as it
    can be.
    """
    has_labels = has_common_labels(sets)
    pools: list[dict[str, list[int]]] = []
    for one in sets:
        pool: dict[str, list[int]] = {}
        for i in rng.permutation(len(one)).tolist():
            pool.setdefault(one.labels[i] if has_labels else "", []).append(i)
        pools.append(pool)
    names = sorted(set(pools[0]) & set(pools[1]))
    room = {name: min(len(pool[name]) for pool in pools) for name in names}
    wanted = (images or N_IMAGES) // 2
    taken = dict.fromkeys(names, 0)
    while sum(taken.values()) < wanted and any(taken[name] < room[name] for name in names):
        for name in names:
            if taken[name] < room[name] and sum(taken.values()) < wanted:
                taken[name] += 1
    return (
        [i for name in names for i in pools[0][name][: taken[name]]],
        [i for name in names for i in pools[1][name][: taken[name]]],
    )


def order_of(document: Mapping[str, Any], reader: str) -> list[int]:
    """The images that a reader sees, in her order: all once, at random, and some of them again, at least ten images later where there
    are as many. Half of the repeated ones are synthetic. The same name gives the same order."""
    seed = int(document["asked"]["seed"])
    rng = generator(seed, "turing", "order", reader)
    n = len(document["images"])
    kinds = [[i for i in range(n) if document["images"][i]["kind"] == kind] for kind in (REAL, SYNTHETIC)]
    n_again = round(float(document["asked"]["repeats"]) * n / 2)
    again = [i for kind in kinds for i in rng.permutation(kind)[:n_again].tolist()]
    once = rng.permutation([i for i in range(n) if i not in set(again)]).tolist()
    gap = min(LEAST_GAP, n // 2)
    order = [*rng.permutation([*again, *once[gap:]]).tolist(), *once[:gap]]  # the last ones leave room for a second showing
    for i in sorted(again, key=order.index):
        order.insert(int(rng.integers(min(order.index(i) + gap, len(order)), len(order) + 1)), i)
    return [int(i) for i in order]


def answers(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The test of a folder and what was answered so far, a row for each reading; the last decision on an image counts.

    Returns
    -------
    (document, rows) : a row has reader, role, years, position, image, kind, label, answer, seconds, confidence, reasons, comment, repeat.

    Raises
    ------
    ParameterError : there is no test.
    """
    document = read_json(folder / STUDY)
    if not is_study(document):
        raise ParameterError(f"{folder} holds no test. Give a folder that `manikin turing` wrote.")
    people: dict[str, dict[str, Any]] = {}
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    seen: dict[tuple[str, int], int] = {}  # where a reader saw an image first
    for line in read_lines(folder / ANSWERS):
        name = str(line.get("reader"))
        if line.get("event") == "reader":
            people[name] = line
        elif line.get("event") == "answer":
            image = document["images"][int(line["image"])]
            key = (name, int(line["position"]))
            earlier = rows.get(key)  # a changed mind keeps the time of the first decision
            shown_at = seen.setdefault((name, int(line["image"])), key[1])
            rows[key] = {
                "reader": name,
                "role": people[name].get("role") or "",
                "years": people[name].get("years"),
                "position": key[1] + 1,
                "image": int(line["image"]),
                "kind": image["kind"],
                "label": image["label"],
                "answer": line["answer"],
                "seconds": (earlier or line)["seconds"],
                "confidence": None,
                "reasons": "",
                "comment": "",
                "repeat": shown_at != key[1],
            }
        elif line.get("event") == "detail" and (name, int(line["position"])) in rows:
            told = {"reasons": "; ".join(line.get("reasons", ())), "comment": line.get("comment", ""), "confidence": line.get("confidence")}
            rows[name, int(line["position"])].update(told)
    return document, sorted(rows.values(), key=lambda row: (row["reader"], row["position"]))


def results(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The figures of a test so far as the document of results.json, and its rows of answers.

    Raises
    ------
    ParameterError : there is no test, or nobody has answered yet.
    """
    from manikin.release.manifest import versions

    document, rows = answers(folder)
    if not rows:
        raise ParameterError(f"Nobody has answered in {folder} yet. Let readers read first.")
    asked = document["asked"]
    roles = {row["reader"]: row["role"] for row in rows}
    found = summarise(_readings(rows), roles=roles, margin=float(asked["margin"]), seed=int(asked["seed"]))
    reasons = _reasons(rows)
    whole = {
        "format": RESULTS_FORMAT,
        "made_by": f"manikin {versions(['manikin']).get('manikin', '')}",
        "internal": "Internal: made from readings of real patients' images.",
        "design": {
            "images": len(document["images"]),
            "repeats": asked["repeats"],
            "seed": asked["seed"],
            "label": document["label"],
            "margin": asked["margin"],
            "least_readings": LEAST_READINGS,
            "per_reader": len(order_of(document, "")),
            "notices": document["notices"],
        },
        "people": [
            {"reader": name, "role": roles[name], "years": next(row["years"] for row in rows if row["reader"] == name)} for name in roles
        ],
        **found,
        "reasons": reasons,
    }
    return whole, rows


def report(folder: str | Path, *, out: str | Path | None = None, force: bool = False) -> tuple[dict[str, Any], dict[str, Path]]:
    """Writes results.json, answers.csv and report.html of a test so far.

    Parameters
    ----------
    out : the folder to write, `folder/report` without it.

    Raises
    ------
    ParameterError : no test, no answer, or a place that is taken.
    """
    from manikin.report.turing import render_turing

    source = Path(folder)
    target = source / "report" if out is None else Path(out)
    document, rows = results(source)
    study = read_json(source / STUDY)
    with whole_folder(target, force=force) as partial:
        write_json(partial / RESULTS, document)
        (partial / "answers.csv").write_text(_csv(rows), encoding="utf-8")
        render_turing(document, partial / "report.html", pictures=_told_best(rows, study, source))
    return document, {"report": target / "report.html", "results": target / RESULTS, "answers": target / "answers.csv"}


def _check(images: int | None, repeats: float, margin: float) -> None:
    if images is not None and images < 2:
        raise ParameterError(f"A test shows 2 images or more, not {images}. 60 or more tell something.")
    if not 0 <= repeats <= 1:
        raise ParameterError(f"--repeats is a share between 0 and 1, not {repeats:g}.")
    if not 0 < margin < 0.5:
        raise ParameterError(f"--margin is between 0 and 0.5, not {margin:g}. 0.1 stands for 40 to 60 %.")


def _open(folder: Path, document: dict[str, Any], notices: tuple[str, ...], *, is_resumed: bool) -> Begun:
    form = Form(
        "Visual Turing test",
        "Is this image real or synthetic?",
        (
            "You will see images one by one. Some are of real patients, some were made by a generator, in about equal numbers.",
            "Decide for each whether it is real or synthetic. Some images come twice.",
            "You can stop at any time and go on later under the same pseudonym; every decision is stored at once.",
        ),
        (Choice(REAL, "Real", "r"), Choice(SYNTHETIC, "Synthetic", "s")),
        has_confidence=True,
        reasons=tuple(document["reasons"]),
    )
    room = Room(folder, form, lambda reader: order_of(document, reader))
    return Begun(folder, room, document, notices, is_resumed)


def _notices(sets: tuple[ImageSet, ImageSet], chosen: tuple[list[int], list[int]], margin: float) -> list[str]:
    n = len(chosen[0]) + len(chosen[1])
    notices = []
    if has_common_labels(sets):
        shown = {name: sum(sets[0].labels[i] == name for i in chosen[0]) for name in sorted(set(sets[0].labels))}
        left = [name or "(none)" for name, count in shown.items() if not count]
        if left:
            notices.append(f"Not shown, as only one set has it: {', '.join(left)} of {sets[0].column!r}.")
    elif sets[0].column or sets[1].column:
        notices.append("The sets have no labels in common, so that they are not balanced by label.")
    alone = images_needed(1, margin=margin)
    if alone is not None and n < alone:
        notices.append(
            f"{n} images cannot show for one reader that she could not tell within {50 - 100 * margin:g} to {50 + 100 * margin:g} %: that "
            f"takes {alone}, or several readers (`manikin turing plan`)."
        )
    return notices


def _document(
    sets: tuple[ImageSet, ImageSet],
    chosen: tuple[list[int], list[int]],
    places: tuple[list[int], list[int]],
    job: Mapping[str, Any],
    reasons: Sequence[str],
    notices: Sequence[str],
) -> dict[str, Any]:
    images: dict[int, dict[str, str]] = {}
    has_labels = has_common_labels(sets)
    for kind, one, rows, numbers in zip((REAL, SYNTHETIC), sets, chosen, places, strict=True):
        for row, number in zip(rows, numbers, strict=True):
            images[number] = {"kind": kind, "label": one.labels[row] if has_labels else "", "file": one.files[row]}
    return {
        "format": FORMAT,
        "internal": INTERNAL,
        "asked": dict(job),
        "label": sets[0].column if has_labels else "",
        "reasons": list(dict.fromkeys(reasons)),
        "images": [images[number] for number in sorted(images)],
        "notices": list(notices),
    }


def _readings(rows: Sequence[Mapping[str, Any]]) -> Readings:
    def number(value: Any) -> float:
        """NaN for what was not told."""
        return float("nan") if value is None else float(value)

    return readings(
        [row["reader"] for row in rows],
        [row["image"] for row in rows],
        [row["kind"] == SYNTHETIC for row in rows],
        [row["answer"] == SYNTHETIC for row in rows],
        confidence=[number(row["confidence"]) for row in rows],
        seconds=[number(row["seconds"]) for row in rows],
        label=[row["label"] for row in rows],
        is_repeat=[row["repeat"] for row in rows],
    )


def _reasons(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How often each reason was given, and how often the answer was right then."""
    found: dict[str, list[bool]] = {}
    for row in rows:
        for reason in filter(None, row["reasons"].split("; ")):
            found.setdefault(reason, []).append(row["answer"] == row["kind"])
    ranked = sorted(found.items(), key=lambda one: -len(one[1]))
    return [{"reason": name, "n": len(hits), "right": sum(hits) / len(hits)} for name, hits in ranked]


def _told_best(rows: Sequence[Mapping[str, Any]], study: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """The synthetic images that most readers recognised, and those that most took for real: up to four of each, with their PNG."""
    calls: dict[int, list[bool]] = {}
    for row in rows:
        if row["kind"] == SYNTHETIC and not row["repeat"]:
            calls.setdefault(row["image"], []).append(row["answer"] == SYNTHETIC)
    ranked = sorted(calls, key=lambda i: (-np.mean(calls[i]), -len(calls[i]), i))
    told = [i for i in ranked if np.mean(calls[i]) > 0.5][:4]
    passed = [i for i in reversed(ranked) if np.mean(calls[i]) < 0.5][:4]
    return [
        {
            "group": group,
            "file": study["images"][i]["file"],
            "label": study["images"][i]["label"],
            "right": sum(calls[i]),
            "n": len(calls[i]),
            "png": (folder / IMAGES / f"{i:06d}.png").read_bytes(),
        }
        for group, members in (("recognised", told), ("taken for real", passed))
        for i in members
    ]


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV; a text that a spreadsheet would take for a formula begins with an apostrophe."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"'{value}" if str(value)[:1] in tuple("=+-@") else value for key, value in row.items()})
    return buffer.getvalue()


__all__ = ["ROLES", "Begun", "answers", "balanced", "begin", "is_study", "order_of", "report", "results"]
