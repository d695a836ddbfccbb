"""The page of automatic labels: how good the classifier is on real images, what people said, and where labels come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manikin.report.annotation_figures import reliability_curve
from manikin.report.blocks import (
    Banner,
    Block,
    Bullets,
    Chapter,
    Facts,
    Figure,
    Grid,
    Level,
    Table,
    Text,
    Tone,
    Verdict,
    Verdicts,
)
from manikin.report.render import page

BRAND = "automatic labels"
FOOTER = "Internal: made with images of real patients. This page loads nothing from any network and runs no script."
LARGE = 0.1  # an error rate that nobody should build on
SMALL = 0.05


def render_annotation(document: Mapping[str, Any], path: Path) -> None:
    """Writes the page, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(page(chapters(document), title="Automatic labels", brand=BRAND, footer=FOOTER), encoding="utf-8")
    beside.replace(path)


def headline(document: Mapping[str, Any]) -> list[str]:
    """What is labelled by whom, and how far to trust it, in a few sentences."""
    sources = document["sources"]
    parts = [f"{sources[name]} by {word}" for name, word in (("auto", "the classifier"), ("person", "people")) if sources.get(name)]
    if sources.get("none yet"):
        parts.append(f"{sources['none yet']} without a label yet")
    held = document["held_out"]
    low, high = held["interval"]
    real = f"On {held['n']} held-out real images the classifier was right in {_percent(held['accuracy'])}"
    lines = [f"{document['n']} images: {', '.join(parts)}.", f"{real} (95 % interval {_percent(low)} to {_percent(high)})."]
    audit = document["audit"]
    if audit is None:
        lines.append("How often its certain labels are wrong on these images is not known yet: nobody has answered on the random sample.")
    else:
        low, high = audit["interval"]
        lines.append(
            f"Of {audit['n']} certain labels drawn at random, people gave another one to {audit['errors']}: an error rate of "
            f"{_percent(audit['error_rate'])} (95 % interval {_percent(low)} to {_percent(high)}), Cohen's kappa {_kappa(audit)}."
        )
    return lines


def chapters(document: Mapping[str, Any]) -> tuple[Chapter, ...]:
    """The page's sections."""
    return (
        Chapter("short", "In short", _short(document)),
        Chapter("people", "Classifier and people", _people(document)),
        Chapter("classifier", "The classifier on real images", _classifier(document)),
    )


def _short(document: Mapping[str, Any]) -> tuple[Block, ...]:
    audit = document["audit"]
    if audit is None:
        answer, level = "Not known yet", Level.UNKNOWN
    else:
        low, high = audit["interval"]
        if high <= SMALL:
            answer, level = f"Yes: surely below {_percent(SMALL)} errors", Level.GOOD
        elif low > LARGE:
            answer, level = f"No: surely above {_percent(LARGE)} errors", Level.POOR
        else:
            answer, level = f"Errors between {_percent(low)} and {_percent(high)}", Level.FAIR
    verdict = Verdict("Can the certain automatic labels be built on?", answer, level, tuple(headline(document)))
    rows = tuple((name, str(n)) for name, n in document["labels"].items())
    table = Table((document["label"], "Images"), rows, "Labels so far", (1,))
    return (Banner("Internal: do not pass on.", "Made with images of real patients."), Verdicts((verdict,)), table)


def _people(document: Mapping[str, Any]) -> tuple[Block, ...]:
    rows = []
    for name, words in (("audit", "certain, drawn at random"), ("uncertain", "uncertain")):
        one = document[name]
        queued = str(document["queued"][name])
        if one is None:
            rows.append((words, queued, "0", "–", "–", "–"))
        else:
            low, high = one["interval"]
            rate = f"{_percent(one['error_rate'])} [{100 * low:.0f}, {100 * high:.0f}]"
            rows.append((words, queued, str(one["n"]), str(one["cannot_tell"]), rate, _kappa(one)))
    head = ("Automatic label", "Queued", "Answered", "Cannot tell", "Other label by people", "Cohen's kappa")
    note = (
        "People saw neither the automatic label nor which of the two kinds an image is. Only the random sample speaks of the automatic "
        "labels that nobody looked at; the uncertain ones are those that the classifier finds hard."
    )
    people = f"{document['people']} {'person' if document['people'] == 1 else 'people'}"
    return (Table(head, tuple(rows), f"Answers of {people}", (1, 2, 3, 4, 5)), Text(note, Tone.NOTE))


def _classifier(document: Mapping[str, Any]) -> tuple[Block, ...]:
    held = document["held_out"]
    curve = Figure(
        reliability_curve(held["bins"]),
        "Each dot is a tenth of the held-out real images, from the least to the most certain: mean confidence against the share of right "
        "labels, with 95 % intervals. On the dashed line confidence is right.",
        "; ".join(f"confidence {one['confidence']:.2f}, right {one['right']:.2f}" for one in held["bins"]) or "no images",
        "Is its confidence right?",
    )
    facts = (
        ("Learned from", f"{held['n_learned']} real images"),
        ("Judged on", f"{held['n']} others, of other patients"),
        ("Calibration error", _error(held)),
        ("Temperature", f"{held['temperature']:.2f}" if held["is_calibrated"] else "not calibrated"),
        ("Certain from", f"confidence {document['threshold']:g}"),
    )
    rows = tuple(
        (one["label"], str(one["n"]), "–" if one["recall"] is None else _percent(one["recall"]), _span(one["interval"]))
        for one in held["by_label"]
    )
    table = Table((document["label"], "Images", "Found", "95 % interval"), rows, "Held-out real images of each label", (1, 2, 3))
    note = Text(
        "These figures are of real images. Synthetic ones may be easier or harder: the sample that people answer on says so.", Tone.NOTE
    )
    blocks: list[Block] = [Facts(facts), Grid((curve,), has_legend=False), table, note]
    if document["notices"]:
        blocks.append(Bullets(tuple(document["notices"])))
    return tuple(blocks)


def _error(held: Mapping[str, Any]) -> str:
    if held["calibration_error"] is None:
        return "–"
    return f"{held['calibration_error']:.3f} ({held['calibration_by_chance']:.3f} by chance alone)"


def _kappa(one: Mapping[str, Any]) -> str:
    if one["kappa"] is None:
        return "not defined"
    low, high = one["kappa_interval"]
    return f"{one['kappa']:.2f} [{low:.2f}, {high:.2f}]"


def _span(interval: Any) -> str:
    return "–" if interval is None else f"{_percent(interval[0])} to {_percent(interval[1])}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"
