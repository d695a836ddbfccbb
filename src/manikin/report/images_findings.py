"""What the figures of images say to the three questions; each a sentence and a grade, as in `answers`. The limits are conventions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from manikin.evaluation.base import MetricResult
from manikin.report.blocks import Level
from manikin.report.findings import Finding, Grade, Scale, ends, graded, part, reading, reference, with_interval
from manikin.report.wording import number, span

C2ST_GOOD, C2ST_FAIR = 0.08, 0.25  # AUC above what two sets of real images show
TIMES_GOOD, TIMES_FAIR = 0.15, 0.35  # sharpness that may be lacking or too much
LABEL_GOOD, LABEL_FAIR = 0.05, 0.15  # agreement of image and label that may be lost
RECALL_GOOD, RECALL_FAIR = 0.1, 0.3  # share of real images that may have no synthetic image like them, beyond the reference
LOSS_GOOD, LOSS_FAIR = 0.05, 0.10  # AUROC lost against learning from real images

CONVENTIONS = (
    f"Images resemble closely: either judge's AUC at most {C2ST_GOOD:g} above the reference; largely: at most {C2ST_FAIR:g}.",
    f"Sharpness may be off by {100 * TIMES_GOOD:.0f} % for images to resemble closely, by {100 * TIMES_FAIR:.0f} % largely.",
    f"Agreement of image and label may lose {LABEL_GOOD:g} for that, and {LABEL_FAIR:g}.",
    f"The share of real images that synthetic ones reach may lose {RECALL_GOOD:g} for that, and {RECALL_FAIR:g}.",
)


def _told_apart(who: str) -> Callable[[MetricResult], Finding]:
    def tell(c2st: MetricResult) -> Finding:
        """How often a trained judge points at the synthetic image."""
        floor = max(0.5, c2st.reference or 0.5)
        low, high = ends(c2st)
        fresh = "" if c2st.reference is None else f", two sets of real images {100 * c2st.reference:.0f}"
        text = (
            f"Shown one real and one synthetic image, {who} points at the synthetic one {100 * (c2st.value or 0.0):.0f} times in 100 "
            f"(95 % interval {100 * low:.0f} to {100 * high:.0f}). Guessing gives 50{fresh}."
        )
        shown = reading(
            c2st,
            "Told apart by a trained judge (AUC)",
            lambda value: value - floor,
            Scale(C2ST_GOOD, C2ST_FAIR, 1 - floor),
            (f"{floor + C2ST_FAIR:.2f}", f"{floor + C2ST_GOOD:.2f}"),
            compared=None if c2st.reference is None else c2st.reference - floor,
            reference_text="" if c2st.reference is None else f"{number(c2st.reference)} between real images",
        )
        return Finding(text, graded((low - floor, high - floor), C2ST_GOOD, C2ST_FAIR), shown)

    return tell


def _sharp(metric: MetricResult) -> Finding:
    low, high = ends(metric)
    off = sorted(abs(end - 1.0) for end in (low, high))
    least = 0.0 if low <= 1.0 <= high else off[0]
    grade = graded((least, off[1]), TIMES_GOOD, TIMES_FAIR)
    word = "as sharp as real ones" if grade.level is Level.GOOD else "blurred" if (metric.value or 0.0) < 1 else "grainy"
    return Finding(f"Images are {word}: their fine detail is {number(metric.value or 0.0)} times as strong as in real ones.", grade)


def _labels(metric: MetricResult) -> Finding:
    best = 1.0 if metric.reference is None else metric.reference
    low, high = ends(metric)
    text = f"A network of real images takes {with_interval(metric, 'percent')} of synthetic ones for what their label says"
    text += f"{reference(metric, '; of unseen real ones {}', 'percent')}."
    return Finding(text, graded((best - high, best - low), LABEL_GOOD, LABEL_FAIR))


def _kinds(metric: MetricResult) -> Finding:
    best = 1.0 if metric.reference is None else metric.reference
    low, high = ends(metric)
    text = f"{with_interval(metric, 'percent')} of real images have a synthetic image like them"
    text += f"{reference(metric, '; by as many real ones {} are reached', 'percent')}."
    return Finding(text, graded((best - high, best - low), RECALL_GOOD, RECALL_FAIR))


def learned(metric: MetricResult) -> Finding:
    """A network that learned from synthetic images, on real ones."""
    target = f" to recognise “{metric.details['target']}”" if metric.details.get("target") else ""
    text = (
        f"A network that learned{target} from synthetic images and is tested on real ones that it never saw scores AUROC "
        f"{with_interval(metric)}{reference(metric, '; having learned from as many real images, {}')}."
    )
    if metric.reference is None:
        return Finding(text, Grade(Level.FAIR))
    low, high = part(metric, "gap_interval") or [end - metric.reference for end in ends(metric)]
    gap = part(metric, "gap") or 0.0
    shown = reading(
        metric,
        "AUROC lost against real images",
        lambda lost: lost,
        Scale(LOSS_GOOD, LOSS_FAIR, 0.5),
        (f"{LOSS_FAIR:g}", f"{LOSS_GOOD:g}"),
        values=(-gap, -high, -low),
        compared=0.0,
        reference_text="0, learning from as many real images",
    )
    return Finding(text, graded((-high, -low), LOSS_GOOD, LOSS_FAIR), shown)


def excess(metric: MetricResult) -> list[str]:
    """What is kept of what can be recognised beyond guessing, and what synthetic images add for a rare class."""
    share, interval = part(metric, "excess"), part(metric, "excess_interval")
    if share is None:
        return []
    told = f" (95 % interval {span((interval[0], interval[1]), 'percent')})" if interval else ""
    return [f"Of what can be recognised beyond guessing it keeps {number(share, 'percent')}{told}."]


def rare(metric: MetricResult) -> str:
    """Whether synthetic images of a class that was made rare help to recognise it."""
    low, high = ends(metric)
    label = part(metric, "label")
    word = "help" if low > 0 else "harm" if high < 0 else "neither help nor harm for sure"
    return (
        f"Added where “{label}” was made rare (5 %), synthetic images {word}: {with_interval(metric)} AUC"
        f"{reference(metric, '; the real images that were taken away bring {}')}."
    )


FINDINGS: Mapping[str, Callable[[MetricResult], Finding]] = {
    "image_c2st": _told_apart("a judge of trained decision trees"),
    "image_c2st_cnn": _told_apart("a small neural network"),
    "image_sharpness": _sharp,
    "image_labels": _labels,
    "image_recall": _kinds,
}
