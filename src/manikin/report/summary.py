"""The first screen: what was made from what, and three plain answers. Knows neither limits nor metrics."""

from __future__ import annotations

from manikin.evaluation.base import Results
from manikin.report.answers import is_useful, resembles
from manikin.report.blocks import Banner, Block, Text, Tone, Verdicts
from manikin.report.images_wording import OF_IMAGES, is_of_images
from manikin.report.policies import policies
from manikin.report.record import PARTS, Record, read_record
from manikin.report.records_wording import OF_PATIENTS, is_of_patients
from manikin.report.safety import is_safe
from manikin.report.wording import listed, whole


def summary(results: Results) -> tuple[Block, ...]:
    """Banner, what was made from what, three answers with their gauges, the policies' table."""
    shown = "images" if is_of_images(results) else "rows (as points and counts)"
    return (
        Banner(
            "Internal: do not pass on.",
            f"This page and its folder show real patients' {shown} and figures taken from them. What may leave is decided and written "
            "separately.",
        ),
        Text(made_from(read_record(results.run), unit="images" if is_of_images(results) else "rows"), Tone.LEAD),
        *((Text(OF_PATIENTS),) if is_of_patients(results) else ()),
        *((Text(OF_IMAGES),) if is_of_images(results) else ()),
        Verdicts((resembles(results), is_useful(results), is_safe(results))),
        Text(
            "How to read a dial: it shows the one figure that decides the answer. The needle is the figure, the thin arc its 95 % "
            "interval, the blue mark what real rows show; right (✓) is good, left (✗) is poor, and the numbers between are the limits. "
            "The answer goes by the left end of the thin arc, and by every other finding listed.",
            Tone.NOTE,
        ),
        Text(
            "The answers are evidence for a decision and not the decision: who may receive the table, for what, and under which terms is "
            "for people to say. Every figure stands below with its interval and with the reference it must be read against.",
            Tone.NOTE,
        ),
        *policies(results),
    )


def made_from(record: Record, *, unit: str = "rows") -> str:
    """What was made from what, in a few sentences that say only what is known."""
    learned, kept, made = (record.rows.get(part) for part in PARTS)
    text = "A synthetic table" if made is None else f"{whole(made)} synthetic {unit}"
    if unit == "rows" and record.n_columns is not None:
        text += f" of {whole(record.n_columns)} {'column' if record.n_columns == 1 else 'columns'}"
    text += " was made" if made is None else " were made"
    if record.synthesizer:
        text += f" by the generator “{record.synthesizer}”"
    elif record.title:
        text = text.replace(" was made", f" (“{record.title}”) was made").replace(" were made", f" (“{record.title}”) were made")
    if learned is not None:
        text += f"{', which learned' if record.synthesizer else ''} from {whole(learned)} real {unit}"
    if record.title and record.synthesizer:
        text += f" of “{record.title}”"
    text += "."
    if kept is not None:
        seen = "never saw" if record.synthesizer else "must not have seen"
        text += f" Another {whole(kept)} real {unit} were set aside before; the generator {seen} them, and they judge the result."
    left = [column for column, _ in record.left_out]
    return f"{text} Left out on purpose: {listed(left)}." if left else text
