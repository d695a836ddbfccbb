"""The chapter on images: real beside synthetic, what tells them apart, grey values and spectra, and the nearest training images.

Knows the metrics' details and the view `images` by their keys; measures nothing. Empty where no images were judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.evaluation.base import MetricResult, Results, Section
from manikin.report import figures
from manikin.report.blocks import Beside, Block, Bullets, Figure, Fold, Grid, Heading, Table, Text, Tone
from manikin.report.dials import dials, found
from manikin.report.findings import ends, measured, part
from manikin.report.images_figures import picture, spectrum, strip
from manikin.report.images_wording import IMAGES
from manikin.report.wording import number, whole

SPACES = {"cnn": "network's features", "radiomics": "radiomics", "pixels": "pixels"}
BY_SPACE = {"image_precision": "Precision", "image_density": "Density", "image_recall": "Recall", "image_coverage": "Coverage"}
DISTANCES = ("frechet_cnn", "frechet_radiomics", "kid_cnn", "kid_radiomics")
LEAST_SHARE = 5e-4  # of pixels in a bin of grey values that is drawn


def images(results: Results) -> tuple[Block, ...]:
    """What was judged, what a reader would notice, the galleries, the figures and the pictures of each."""
    view = results.views.get("images")
    view = view if isinstance(view, Mapping) else {}
    strange = [figure.name for figure in results.figures if figure.name not in IMAGES]
    shown = dials(results, Section.FIDELITY, leave_out=strange)
    if not view and not shown:
        return ()
    apart: tuple[Block, ...] = (Heading("How far they can be told apart"), *shown) if shown else ()
    return (
        *_what(view),
        *_noticed(results),
        *_galleries(view),
        *apart,
        *_looks(view),
        *_spaces(results, view),
        *_nearest(results, view),
    )


def _what(view: Mapping[str, Any]) -> tuple[Block, ...]:
    n, size = view.get("n") or {}, view.get("size") or ()
    if not n:
        return ()
    kind = "volumes" if view.get("axes") == 3 else "images"
    text = f"{whole(n.get('train', 0))} real {kind} of {_by(size)} pixels were learned from and {whole(n.get('synthetic', 0))} were made"
    text += f"; another {whole(n.get('holdout', 0))} real ones, never seen by the generator, say what is possible."
    judged = view.get("judged_size") or size
    if list(judged) != list(size):
        text += f" Figures are taken of {kind} made smaller, {_by(judged)} pixels, but for sharpness and spectra."
    if view.get("label"):
        text += f" They are sorted by “{view['label']}”."
    return (Text(text),)


def _by(size: Sequence[Any]) -> str:
    return " × ".join(str(side) for side in size)


def _noticed(results: Results) -> tuple[Block, ...]:
    """Sentences that a reader of images would write, of what is surely so."""
    told = []
    sharp = measured(results, "image_sharpness")
    if sharp is not None and not _holds(sharp):
        word = "blurred" if (sharp.value or 0) < (sharp.reference or 1) else "grainy"
        told.append(f"They are {word}: fine detail is {number(sharp.value or 0.0)} times as strong as in real images.")
    grey = measured(results, "image_intensity")
    if grey is not None and not _holds(grey):
        sides = [part(grey, name, "brightness") for name in ("synthetic", "holdout")]
        spread = [part(grey, name, "contrast") for name in ("synthetic", "holdout")]
        if all(isinstance(value, float) for value in (*sides, *spread)):
            bright = "brighter" if sides[0] > sides[1] else "darker"
            contrast = "more" if spread[0] > spread[1] else "less"
            told.append(
                f"They are {bright} by {number(abs(sides[0] - sides[1]), 'percent')} of the scale, and have {contrast} contrast "
                f"({number(spread[0])} against {number(spread[1])})."
            )
    kinds = measured(results, "image_diversity")
    if kinds is not None and not _holds(kinds):
        more = (kinds.value or 0) > (kinds.reference or 0)
        word = "more alike than real ones: few kinds are made" if more else "less alike than real ones"
        told.append(f"Images of one label are {word} (MS-SSIM {number(kinds.value or 0.0)}, real {number(kinds.reference or 0.0)}).")
    labels = measured(results, "image_labels")
    if labels is not None:
        rows = sorted(labels.details.get("labels") or (), key=lambda row: float(row["synthetic"] - row["holdout"]))
        told += [
            f"“{row['label']}” does not always show: a network of real images sees it in {number(row['synthetic'], 'percent')} of the "
            f"synthetic images that are called so, and in {number(row['holdout'], 'percent')} of the real ones."
            for row in rows[:1]
            if row.get("n_synthetic") and row["synthetic_interval"][1] < row["holdout_interval"][0]
        ]
    copies = measured(results, "image_copies")
    if copies is not None and ends(copies)[0] > 0:
        told.append(f"{number(copies.value or 0.0, 'percent')} of them show a training image again, beyond what chance gives.")
    if not told:
        return ()
    return Heading("What a reader would notice"), Bullets(tuple(told))


def _holds(metric: MetricResult) -> bool:
    """Whether the figure's interval and the reference's overlap."""
    low, high = ends(metric)
    least, most = metric.reference_interval or (metric.reference or 0.0, metric.reference or 0.0)
    return low <= most and least <= high


def _galleries(view: Mapping[str, Any]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for row in view.get("galleries") or ():
        name = str(row.get("label") or "")
        of = f"“{name}”" if name else "images"
        pair = []
        for side, word, whose in (("real", "Real", "training images"), ("synthetic", "Synthetic", "made by the generator")):
            drawing = picture(row.get(side))
            n = (row.get("n") or {}).get(side, 0)
            if drawing:
                title = f"{word}: {name}" if name else word
                pair.append(Figure(drawing, f"{whole(n)} drawn at random, {whose}.", f"{whole(n)} {word.lower()} {of}.", title))
        if len(pair) == 2:
            blocks.append(Grid(tuple(pair), has_legend=False))
        elif pair:
            blocks.append(Text(f"There is no synthetic image of {of}."))
    if not blocks:
        return ()
    slice_ = " Of volumes the middle slice is shown." if view.get("axes") == 3 else ""
    text = f"Drawn at random, not chosen. The real ones are patients' images: this page stays inside.{slice_}"
    return Heading("Real and synthetic, side by side"), Text(text), *blocks


def _looks(view: Mapping[str, Any]) -> tuple[Block, ...]:
    grey, power = view.get("intensity") or {}, view.get("spectrum") or {}
    drawn = []
    if grey.get("edges"):
        seen = [i for i, shares in enumerate(zip(grey["train"], grey["synthetic"], strict=True)) if max(shares) > LEAST_SHARE]
        first, last = (seen[0], seen[-1] + 1) if seen else (0, len(grey["train"]))
        parts = (grey["edges"][first : last + 1], grey["train"][first:last], grey["synthetic"][first:last])
        drawn.append(
            Figure(
                figures.histogram(*parts),
                "Shares of pixels, dark on the left. Blue area real, orange line synthetic; from 0 (darkest) to 1 (brightest) of train.",
                "Shares of grey values of real and synthetic images.",
                "Grey values",
            )
        )
    if len(power.get("frequency") or ()) > 1:
        drawn.append(
            Figure(
                spectrum(power["frequency"], power["train"], power["synthetic"]),
                "Broad blue line real, thin orange line synthetic. Where orange falls below blue on the right, images are blurred; where "
                "it rises above, they are grainy. Spikes are the checkerboards of some generators.",
                "Power by spatial frequency of real and synthetic images.",
                "Coarse and fine detail",
            )
        )
    points = view.get("map") or {}
    if points.get("train") and points.get("synthetic"):
        drawn.append(
            Figure(
                figures.cloud(points["train"], points["synthetic"], names=("first component of radiomics", "second component")),
                "Blue dots real, orange crosses synthetic images. Where dots have no crosses among them, a kind of image is not made; "
                "crosses by themselves are images unlike any real one.",
                "Real and synthetic images in a plane of grey values, texture and edges.",
                "All images on a map",
            )
        )
    return (Heading("Grey values, detail, texture"), Grid(tuple(drawn), has_legend=False)) if drawn else ()


def _spaces(results: Results, view: Mapping[str, Any]) -> tuple[Block, ...]:
    del view
    rows = []
    for name in DISTANCES:
        metric = measured(results, name)
        if metric is None:
            continue
        ends_ = part(metric, "extrapolated") or {}
        rows.append(
            (
                metric.title.split(" (")[0],
                SPACES.get(str(part(metric, "space")), str(part(metric, "space") or "")),
                number(metric.value or 0.0),
                "–" if metric.reference is None else number(metric.reference),
                *("–" if ends_.get(side) is None else number(ends_[side]) for side in ("synthetic", "reference")),
                whole(metric.n),
            )
        )
    tables: list[Block] = []
    if rows:
        head = ("Distance", "Space", "Synthetic", "Real", "Synthetic, at infinitely many", "Real, the same", "Images a side")
        tables.append(Table(head, tuple(rows), "Distances to unseen real images, by space", numeric=(2, 3, 4, 5, 6)))
    known = [(word, metric) for name, word in BY_SPACE.items() if (metric := measured(results, name)) is not None]
    lines = []
    for word, metric in known:
        parts = part(metric, "spaces") or {}
        cells = [f"{number(row['value'])} ({number(row['reference'])})" if (row := parts.get(key)) else "–" for key in SPACES]
        lines.append((word, *cells))
    if lines:
        caption = "Synthetic images, and in brackets real ones in their place"
        tables.append(Table(("Figure", *SPACES.values()), tuple(lines), caption, numeric=(1, 2, 3)))
    if not tables:
        return ()
    words = [
        str(part(metric, "space_words"))
        for name in ("frechet_cnn", "frechet_radiomics")
        if (metric := found(results, name)) is not None and part(metric, "space_words")
    ]
    text = "A distance between images hangs on what is looked at; none of these rests on a network from elsewhere."
    text += f" Here: {'; '.join(words)}." if words else ""
    return (Fold("Every distance, space by space", (Text(text, Tone.NOTE), *tables)),)


def _nearest(results: Results, view: Mapping[str, Any]) -> tuple[Block, ...]:
    rows = view.get("nearest") or ()
    drawn: dict[bool, list[Figure]] = {False: [], True: []}
    for row in rows:
        drawing = strip([(row.get("synthetic"), "synthetic"), (row.get("train"), "training"), (row.get("holdout"), "unseen")])
        near = row.get("likeness") or {}
        if not drawing or not all(isinstance(near.get(side), float) for side in ("train", "holdout")):
            continue
        told = f"Likeness {near['train']:.3f} with the training image, {near['holdout']:.3f} with the unseen one."
        alt = f"A synthetic image, the training image and the unseen real image that it is most alike. {told}"
        drawn[bool(row.get("is_usual"))].append(Figure(drawing, told, alt))
    if not any(drawn.values()):
        return ()
    copies = measured(results, "image_copies")
    limit = part(copies, "limit") if copies is not None else None
    text = (
        "The synthetic images that are most like a training image, each beside that image and beside the unseen real image that it is most "
        "like. Likeness is a correlation over mirrorings and small shifts, whatever the brightness. "
    )
    if isinstance(limit, float):
        text += f"Of unseen images 1 in 100 is more than {limit:.3f} like a training image. "
    text += "A copy looks like its training image and unlike the unseen one; where all three look alike, images of this kind are alike."
    blocks: list[Block] = [Heading("Nearest training images"), Text(text)]
    if drawn[False]:
        blocks.append(Grid(tuple(drawn[False]), has_legend=False))
    if drawn[True]:
        blocks.append(Fold("Usual synthetic images, for comparison", (Grid(tuple(drawn[True]), has_legend=False),)))
    nearer = measured(results, "image_nearer_train")
    quantiles = part(nearer, "nearest_train") if nearer is not None else None
    if isinstance(quantiles, Mapping):
        cells = [
            (title, *(number(quantiles[side][key]) for side in ("synthetic", "holdout")))
            for key, title in (("q01", "nearest 1 %"), ("q05", "nearest 5 %"), ("median", "median"))
        ]
        caption = "Distance to the nearest training image (root mean square of pixels): no smaller than that of unseen images is right"
        blocks.append(Beside((Table(("", "Synthetic", "Unseen real"), tuple(cells), caption, numeric=(1, 2)),)))
    return tuple(blocks)
