"""The page of a stress test: results.json becomes sections, with curves, strips of pictures and groups. Knows no model and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manikin.report.blocks import (
    Banner,
    Block,
    Bullets,
    Chapter,
    Facts,
    Figure,
    Filmstrip,
    Fold,
    Frame,
    Grid,
    Table,
    Text,
    Tone,
)
from manikin.report.render import page
from manikin.report.stress_figures import Fall, fall
from manikin.report.wording import whole

BRAND = "stress test"
FOOTER = "Internal: this page shows images that were tested. It loads nothing from any network and runs no script."
GROUPS = {"light": "Light", "pose": "Pose", "quality": "Picture quality", "noise": "Noise", "scanner": "Scanner"}
MEASURES = {"auc": "AUC", "accuracy": "Accuracy"}
Strips = Mapping[str, Sequence[tuple[str, str]]]


def render_stress(document: Mapping[str, Any], strips: Strips, path: Path) -> Path:
    """Writes the page."""
    path.write_text(
        page(chapters(document, strips), title=f"Stress test: {document['model']}", brand=BRAND, footer=FOOTER),
        encoding="utf-8",
    )
    return path


def chapters(document: Mapping[str, Any], strips: Strips) -> tuple[Chapter, ...]:
    """The page's sections."""
    own = [Chapter("short", "In short", _in_short(document))]
    for key, title in GROUPS.items():
        curves = [curve for curve in document["curves"] if document["shifts"][curve["shift"]]["group"] == key]
        if curves:
            own.append(Chapter(key, title, _group(curves, document, strips)))
    if document["groups"]:
        own.append(Chapter("groups", "Who loses most", _groups(document)))
    own.append(Chapter("made", "How it was measured", _made(document)))
    return tuple(own)


def _in_short(document: Mapping[str, Any]) -> tuple[Block, ...]:
    measure, name = document["measure"], MEASURES[document["measure"]]
    curves = document["curves"]
    failing = [curve for curve in curves if curve["fails_at"] is not None]
    clean = curves[0]["points"][0]
    lead = f"{name} on the clean images is {_interval(clean[measure])}. "
    if failing:
        lead += f"Of {len(curves)} shifts the classifier fails under {len(failing)}, holds under {len(curves) - len(failing)}."
    else:
        lead += f"The classifier holds under all {len(curves)} shifts, as far as they were taken."
    told = document["shifts"]
    rows = []
    for curve in sorted(curves, key=lambda one: -(one["points"][-1]["loss"]["value"] or 0)):
        shift, last = told[curve["shift"]], curve["points"][-1]
        at = "holds" if curve["fails_at"] is None else f"{curve['fails_at']:,g} {shift['unit']}"
        before = _before(curve)
        kept = "" if curve["fails_at"] is None else (f"{before:,g}" if before is not None else "no shift")
        rows.append(
            (
                shift["what"],
                at,
                kept,
                f"{last['strength']:,g} {shift['unit']}",
                _interval(last[measure]),
                _interval(last["loss"]),
            )
        )
    head = ("Shift", "Fails at", "Still holds at", "Strongest tried", f"{name} there", "Loss there")
    caption = "One row per shift, the worst loss first; 95 % intervals"
    return (
        Text(lead, Tone.LEAD),
        Text(f"{document['criterion']} The tolerance is {document['tolerance']:g}.", Tone.NOTE),
        Table(head, tuple(rows), caption, (4, 5)),
        Banner(
            "Shifts are models.",
            "They say how the classifier bears each disturbance alone; a new hospital brings several at once.",
        ),
    )


def _before(curve: Mapping[str, Any]) -> float | None:
    if curve["fails_at"] is None:
        return None
    places = [point["strength"] for point in curve["points"]]
    at = places.index(curve["fails_at"])
    return places[at - 1] if at > 1 else None


def _group(curves: Sequence[Mapping[str, Any]], document: Mapping[str, Any], strips: Strips) -> tuple[Block, ...]:
    blocks: list[Block] = [Grid(tuple(_figure(curve, document) for curve in curves), has_legend=False)]
    for curve in curves:
        frames = strips.get(curve["shift"], ())
        fails = [point["strength"] for point in curve["points"] if point["fails"]]
        strengths = [point["strength"] for point in curve["points"]]
        if frames:
            made = tuple(Frame("", text, s in fails, png=png) for (text, png), s in zip(frames, strengths, strict=True))
            what = document["shifts"][curve["shift"]]["what"]
            blocks.append(Filmstrip(what, made, f"one image at {len(frames)} strengths; framed where the classifier fails."))
    rows = [
        (
            document["shifts"][curve["shift"]]["what"],
            "as given" if i == 0 else f"{point['strength']:,g}",
            _interval(point["auc"]),
            _interval(point["accuracy"]),
            _interval(point["calibration_error"]),
            f"{point['confidence']:.3f}",
        )
        for curve in curves
        for i, point in enumerate(curve["points"])
    ]
    head = ("Shift", "Strength", "AUC", "Accuracy", "Calibration error", "Mean confidence")
    blocks.append(Fold("All figures", (Table(head, tuple(rows), "95 % intervals", (1, 2, 3, 4, 5)),)))
    return tuple(blocks)


def _figure(curve: Mapping[str, Any], document: Mapping[str, Any]) -> Figure:
    shift, measure = document["shifts"][curve["shift"]], document["measure"]
    name = MEASURES[measure]
    points = curve["points"]
    values = [(point[measure]["value"], point[measure]["low"] or 0.0, point[measure]["high"] or 0.0) for point in points]
    fails = next((i for i, point in enumerate(points) if point["fails"]), None)
    floor = 0.5 if measure == "auc" else 0.0
    drawn = fall(
        Fall(["given", *(f"{point['strength']:g}" for point in points[1:])], values, fails),
        axis=shift["unit"],
        floor=floor,
        limit=values[0][0] - document["tolerance"],
    )
    words = f"{name} under {shift['what'].lower()}: " + "; ".join(
        f"{point['strength']:g}: {value[0]:.3f}" for point, value in zip(points, values, strict=True)
    )
    end = (
        f"A cross marks where it fails, {curve['fails_at']:,g} {shift['unit']}."
        if fails is not None
        else "It holds throughout."
    )
    return Figure(drawn, f"{name} with its 95 % band; dotted, what the tolerance allows. {end}", words, shift["what"])


def _groups(document: Mapping[str, Any]) -> tuple[Block, ...]:
    rows = []
    for curve in document["curves"]:
        last = curve["points"][-1]
        worst = curve["worst_group"]
        if worst is None:
            continue
        at = curve["fails_at"]
        point = next((p for p in curve["points"] if p["strength"] == at), last) if at is not None else last
        here = max(point["groups"], key=lambda name: point["groups"][name]["value"] or 0)
        best = min(point["groups"], key=lambda name: point["groups"][name]["value"] or 0)
        shift = document["shifts"][curve["shift"]]
        rows.append(
            (
                shift["what"],
                f"{point['strength']:,g} {shift['unit']}",
                here,
                _interval(point["groups"][here]),
                best,
                _interval(point["groups"][best]),
            )
        )
    head = ("Shift", "At", "Loses most", "Loss", "Loses least", "Loss")
    text = "Loss of each group against its own clean images, where the classifier fails, or else at the strongest shift. One group is "
    return (
        Text(text + "always the worst; look whether its interval lies above that of the others."),
        Table(head, tuple(rows), "95 % intervals", (3, 5)),
        Fold("Groups", (Bullets(tuple(f"{name}: {whole(n)} images" for name, n in document["groups"].items())),)),
    )


def _made(document: Mapping[str, Any]) -> tuple[Block, ...]:
    told = {
        "Classifier": document["model"],
        "Images": f"{whole(document['images'])} of {whole(document['patients'])} patients or files, "
        + " x ".join(str(n) for n in document["size"])
        + " (channels, rows, columns)",
        "Labels": ", ".join(f"{name}: {whole(n)}" for name, n in document["classes"].items()),
        "Bootstrap": f"{whole(document['draws'])} draws of patients, the same ones at every strength",
        "Seed": str(document["seed"]),
        "Made by": document["made_by"],
    }
    blocks: list[Block] = [Facts(tuple(told.items()))]
    if document["notes"]:
        blocks.append(Bullets(tuple(document["notes"])))
    return tuple(blocks)


def _interval(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return "not given"
    if figure["low"] is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]".replace("-", "−")
