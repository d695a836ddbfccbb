"""The page of continued patients: continue.json becomes sections, each band a drawing. Knows no model and no table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manikin.report.blocks import Banner, Block, Bullets, Chapter, Facts, Figure, Grid, Table, Text, Tone
from manikin.report.continuation_figures import Band, band
from manikin.report.render import page
from manikin.report.wording import whole

BRAND = "continued patients"
FOOTER = "Internal: this page is drawn from real patients' rows. It loads nothing from any network and runs no script."
MOST_PANELS = 24


def render_continuation(document: Mapping[str, Any], path: Path) -> None:
    """Writes the page of a continuation."""
    path.write_text(page(chapters(document), title="Continued patients", brand=BRAND, footer=FOOTER), encoding="utf-8")


def chapters(document: Mapping[str, Any]) -> tuple[Chapter, ...]:
    """The page's sections."""
    return (
        Chapter("short", "In short", _in_short(document)),
        Chapter("bands", "What may come", _bands(document["panels"])),
        Chapter("made", "How it was made", _made(document)),
    )


def _in_short(document: Mapping[str, Any]) -> tuple[Block, ...]:
    n, draws = document["patients"], document["draws"]
    lead = f"{whole(n)} patient{'s' if n != 1 else ''}, each continued {whole(draws)} times, until {document['until']}."
    text = (
        "A draw is one way in which a record might go on, as the model learned from other patients. A band shows where nine of ten draws "
        "lie at a time. It says what was usual among the patients learned from, not what a treatment causes, and is no basis for care."
    )
    blocks: list[Block] = [
        Banner("Internal: do not pass on.", "The given rows are those of real patients; the drawn rows follow from them."),
        Text(lead, Tone.LEAD),
        Text(text),
    ]
    if document["set"]:
        held = ", ".join(f"{name} = {value}" for name, value in document["set"].items())
        blocks.append(Text(f"Held while drawing: {held}. Whoever was given otherwise is a different patient in these draws.", Tone.NOTE))
    rows = tuple((one["table"], whole(one["given"]), f"{one['drawn']:,.1f}") for one in document["tables"])
    caption = "Rows of each table: given, and drawn on top of them on average over the draws"
    return (*blocks, Table(("Table", "Given", "Drawn"), rows, caption, (1, 2)))


def _bands(panels: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    if not panels:
        text = "No number was drawn at a time by five draws or more, so there is nothing to show as a band. The tables hold all draws."
        return (Text(text, Tone.NOTE),)
    drawn = tuple(_figure(panel) for panel in panels[:MOST_PANELS])
    blocks: list[Block] = [Grid(drawn, has_legend=False)]
    if len(panels) > MOST_PANELS:
        blocks.append(Text(f"{len(panels) - MOST_PANELS} more bands are in bands.csv.", Tone.NOTE))
    return tuple(blocks)


def _figure(panel: Mapping[str, Any]) -> Figure:
    own = [(step["days"], step["low"], step["median"], step["high"]) for step in panel["steps"]]
    what = panel["code"] or panel["column"]
    words = f"{what} of {panel['patient']}: {len(panel['given'])} given values, then " + "; ".join(
        f"day {days:.2f}: {median:.4g} ({low:.4g} to {high:.4g})" for days, low, median, high in own
    )
    return Figure(
        band(Band(tuple((day, value) for day, value in panel["given"]), tuple(own)), axis="days since the first event"),
        "Dots: what was given of late. Line and band: the median of the draws and where nine of ten of them lie.",
        words,
        f"{what}, {panel['patient']}",
    )


def _made(document: Mapping[str, Any]) -> tuple[Block, ...]:
    told = {"Generator": document["synthesizer"], "Seed": str(document["seed"]), "Made by": document["made_by"]}
    facts = Facts(tuple(told.items()))
    return (facts, Bullets(tuple(document["notices"]))) if document["notices"] else (facts,)
