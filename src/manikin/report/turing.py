"""The page of a visual Turing test: what readers saw, what it proves, who agrees with whom. Knows no reader's order and no server."""

from __future__ import annotations

import base64
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
    Heading,
    Level,
    Table,
    Text,
    Tone,
    Verdict,
    Verdicts,
)
from manikin.report.forest import Line, Mark, forest
from manikin.report.render import page

BRAND = "visual Turing test"
FOOTER = "Internal: made from readings of real patients' images. This page loads nothing from any network and runs no script."
Document = Mapping[str, Any]
LITERATURE = (  # (who read what, accuracy, source); for context only
    ("10 radiologists, 300 body CT of a progressive GAN and real ones", "59.4 % (kappa 0.11)", "Park et al. 2021, doi:10.2196/23328"),
    ("17 radiologists, X-rays of GPT-4o; of RoentGen", "75 %; 70 %", "Radiology 2026"),
    ("16 radiologists, chest X-rays of RoentGen", "80.1 %", "GazeVaLM 2026, arXiv 2604.11653"),
    ("16 radiologists, chest X-rays of RoentGen", "96.6 % of synthetic ones identified", "GazeVal 2025, arXiv 2503.20967"),
    ("32 gastroenterologists, polyps real, augmented or synthetic (three answers)", "61.2 %", "Biomedicines 2025, 13(7):1561"),
)
WORDS = {
    "could not tell": ("Readers could not tell", Level.GOOD),
    "could tell, but within the margin": ("Readers told them apart, but within the margin", Level.GOOD),
    "could tell": ("Readers could tell", Level.POOR),
    "were misled": ("Readers were misled", Level.POOR),
    "undecided": ("Undecided", Level.UNKNOWN),
}


def render_turing(document: Document, path: Path, *, pictures: Sequence[Mapping[str, Any]] = ()) -> None:
    """Writes the page.

    Parameters
    ----------
    document : that of results.json. pictures : synthetic images that readers recognised or took for real: group, right, n, png (bytes).
    """
    path.write_text(page(chapters(document, pictures), title="Visual Turing test", brand=BRAND, footer=FOOTER), encoding="utf-8")


def headline(document: Document) -> list[str]:
    """What the test proves, in a few sentences."""
    accuracy, n = document["pooled"]["accuracy"], document["n"]
    if accuracy is None:
        least = document["design"]["least_readings"]
        return [f"Undecided: no reader has read {least} images yet ({n['readings']} readings by {_count(n['readers'], 'reader')} so far)."]
    share, (low, high) = accuracy["value"], accuracy["interval"]
    margin = document["margin"]
    bounds = f"{_percent(0.5 - margin)} to {_percent(0.5 + margin)}"
    found = f"They were right in {_percent(share)} of first readings (95 % interval {_percent(low)} to {_percent(high)}; guessing is 50 %)."
    verdict = document["verdict"]
    meaning = {
        "could not tell": f"The whole interval lies within {bounds}, so that readers like these could not tell such images from real ones.",
        "could tell, but within the margin": f"They do a little better or worse than guessing, but surely within {bounds}.",
        "could tell": "They do better than guessing: the images differ from real ones in something that readers see.",
        "were misled": "They do worse than guessing: readers see a difference and take it for the wrong kind.",
        "undecided": f"The interval neither lies within {bounds} nor clears 50 %: more readers or images are needed. This is no proof that "
        "readers cannot tell.",
    }[verdict]
    who = f"{_count(document['pooled']['n_readers'], 'reader')}, {document['n']['images']} images, {n['readings']} first readings."
    return [f"{WORDS[verdict][0]}. {found}", meaning, who]


def chapters(document: Document, pictures: Sequence[Mapping[str, Any]] = ()) -> tuple[Chapter, ...]:
    """The page's sections."""
    made = (
        Chapter("short", "In short", _short(document)),
        Chapter("accuracy", "Who was right how often", _accuracy(document)),
        Chapter("agreement", "Agreement", _agreement(document)),
        Chapter("pictures", "What gave images away", _pictures(document, pictures)),
        Chapter("design", "How it was done", _design(document)),
    )
    return tuple(one for one in made if one.blocks)


def _short(document: Document) -> tuple[Block, ...]:
    first, *rest = headline(document)
    answer, level = WORDS[document["verdict"]]
    verdict = Verdict("Can readers tell synthetic images from real ones?", answer, level, (first.split(". ", 1)[-1], *rest))
    needed = [one for one in document["needed"] if one["images"] is not None]
    words = "; ".join(f"{_count(one['readers'], 'reader')}: {one['images']} each" for one in needed)
    source = "this study's own spread of readers" if document["pooled"]["n_readers"] >= 3 else "an assumed spread of readers (3 points)"
    note = Text(
        f"Images needed so that guessing readers are found unable to tell within ±{_percent(document['margin'])} in 4 of 5 studies, "
        f"by {source}: {words or 'not to be reached with 10 readers who differ as much as these'}.",
        Tone.NOTE,
    )
    context = Table(
        ("Published", "Accuracy", "Source"),
        LITERATURE,
        "Other visual Turing tests, for context only: their images, tasks and readers differ from these",
    )
    banner = Banner("Internal: do not pass on.", "These figures and pictures come from images of real patients.")
    return (banner, Verdicts((verdict,)), note, context)


def _accuracy(document: Document) -> tuple[Block, ...]:
    margin = document["margin"]
    groups: list[tuple[str, Mapping[str, Any]]] = [("All readers", document["pooled"])]
    groups += [(one["reader"], one) for one in document["readers"]]
    groups += [(f"role: {one['role']}", one) for one in document["roles"]]
    groups += [(f"label: {one['label']}", one) for one in document["labels"]]
    lines = tuple(Line(name, (_mark(one["accuracy"]),)) for name, one in groups if one["accuracy"])
    told = "; ".join(f"{name} {_with_interval(one['accuracy'])}" for name, one in groups if one["accuracy"])
    drawing = Figure(
        forest(lines, axis="right answers", mark=0.5, band=(0.5 - margin, 0.5 + margin), is_share=True),
        "Dots are shares of right answers, lines their 95 % intervals. The dashed line is guessing; the grey band the margin in which an "
        "accuracy counts as not telling.",
        f"Accuracies: {told}.",
        "Accuracy",
    )
    rows = tuple(
        (
            name,
            *(_with_interval(one[key]) for key in ("accuracy", "sensitivity", "specificity")),
            _with_interval(one["auc"], share=False),
            str(one["n"]),
        )
        for name, one in groups
    )
    head = ("", "Accuracy", "Synthetic called synthetic", "Real called real", "AUC of confidence", "Readings")
    caption = "95 % intervals: of one reader Wilson's; of several over other readers and other images (Obuchowski-Rockette, Hillis)"
    blocks: list[Block] = [Grid((drawing,), has_legend=False), Table(head, rows, caption, (1, 2, 3, 4, 5))]
    left = document["n"]["left_out"]
    if left:
        least = document["design"]["least_readings"]
        blocks.append(Text(f"Not in the pooled figures, with fewer than {least} readings: {', '.join(left)}.", Tone.NOTE))
    blocks.append(_times(document))
    halves = document["halves"]
    if halves["first"] and halves["second"]:
        blocks.append(
            Text(
                f"First half of each reader's readings: {_with_interval(halves['first'])}; "
                f"second half: {_with_interval(halves['second'])}. Readers learn, and tire."
            )
        )
    return tuple(blocks)


def _times(document: Document) -> Table:
    people = {one["reader"]: one for one in document["people"]}
    rows = tuple(
        (
            one["reader"],
            one["role"],
            "–" if people[one["reader"]]["years"] is None else f"{people[one['reader']]['years']:g}",
            *("–" if one["seconds"][kind] is None else f"{one['seconds'][kind]:.1f}" for kind in ("real", "synthetic")),
            "–" if one["confidence"] is None else f"{one['confidence']:.1f}",
        )
        for one in document["readers"]
    )
    head = ("Reader", "Role", "Years", "Seconds, real", "Seconds, synthetic", "Confidence")
    return Table(head, rows, "Readers: median seconds to the first decision, mean confidence (1 guessing, 5 certain)", (2, 3, 4, 5))


def _agreement(document: Document) -> tuple[Block, ...]:
    blocks: list[Block] = []
    everyone = document["all"]
    if everyone["value"] is not None and document["pooled"]["n_readers"] > 1:
        blocks.append(
            Text(
                f"Between all readers Fleiss' kappa is {_kappa(everyone)} over {everyone['n']} images. "
                "1 is always agreeing, 0 as by chance. Readers who only guess do not agree; readers who agree see the same things, right "
                "or wrong."
            )
        )
    within = [one for one in document["within"] if one["n"]]
    rows = tuple((one["reader"], _kappa(one), _share_text(one["observed"]), str(one["n"])) for one in within)
    if rows:
        head = ("Reader", "Cohen's kappa", "Same answer", "Images shown twice")
        blocks.append(Table(head, rows, "Within readers: the same image a second time", (1, 2, 3)))
    between = tuple((" and ".join(one["readers"]), _kappa(one), _share_text(one["observed"]), str(one["n"])) for one in document["between"])
    if between:
        table = Table(("Readers", "Cohen's kappa", "Same answer", "Images"), between, "Between two readers", (1, 2, 3))
        blocks.append(table if len(between) <= 6 else Fold(f"Between two readers ({len(between)} pairs)", (table,)))
    return tuple(blocks)


def _pictures(document: Document, pictures: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for group, title in (("recognised", "Synthetic, recognised by most"), ("taken for real", "Synthetic, taken for real by most")):
        chosen = [one for one in pictures if one["group"] == group]
        if chosen:
            texts = [f"{one['right']} of {one['n']} recognised it" + (f", {one['label']}" if one["label"] else "") for one in chosen]
            frames = tuple(Frame("", text, png=_png(one["png"])) for text, one in zip(texts, chosen, strict=True))
            blocks.append(Filmstrip(title, frames, "; ".join(frame.text for frame in frames)))
    if document["reasons"]:
        rows = tuple((one["reason"], str(one["n"]), _percent(one["right"])) for one in document["reasons"])
        blocks += [Heading("Reasons that readers gave"), Table(("Reason", "Times", "Right answers"), rows, "", (1, 2))]
    return tuple(blocks)


def _design(document: Document) -> tuple[Block, ...]:
    design, n = document["design"], document["n"]
    facts = (
        ("Images", f"{design['images']}, half of them synthetic"),
        ("Balanced by", design["label"] or "kind only"),
        ("Readings", f"{n['readings']} first ones, {n['repeats']} repeats"),
        ("Each reader reads", f"{design['per_reader']} times ({_percent(design['repeats'])} of the images twice)"),
        ("Order", f"at random for each reader, seed {design['seed']}"),
        ("Margin", f"±{_percent(document['margin'])} around 50 %"),
        ("Made by", document["made_by"]),
    )
    notes = (
        "Readers saw images without names, in one size, depth and file length, and were told of about equal numbers, not of any result.",
        "The first reading of an image counts for accuracy; the second one for agreement within the reader.",
        "A decision that was changed before going on counts as changed, with the time of the first.",
        "Readers of roughly this kind and images of roughly this kind are what the pooled intervals speak of. They say nothing of privacy.",
    )
    return (Facts(facts), Bullets((*notes, *design["notices"])))


def _mark(share: Mapping[str, Any]) -> Mark:
    return Mark(share["value"], share["interval"][0], share["interval"][1])


def _with_interval(figure: Mapping[str, Any] | None, *, share: bool = True) -> str:
    if not figure or figure["value"] is None:
        return "–"
    low, high = figure["interval"]
    if share:
        return f"{_percent(figure['value'])} [{100 * low:.0f}, {100 * high:.0f}]"
    return f"{figure['value']:.2f} [{low:.2f}, {high:.2f}]"


def _kappa(figure: Mapping[str, Any]) -> str:
    if figure["value"] is None:
        return "not defined"
    if figure["interval"] is None:
        return f"{figure['value']:.2f}"
    return f"{figure['value']:.2f} [{figure['interval'][0]:.2f}, {figure['interval'][1]:.2f}]"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _share_text(share: float | None) -> str:
    return "–" if share is None else _percent(share)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _png(data: bytes) -> str:
    return base64.b64encode(data).decode()
