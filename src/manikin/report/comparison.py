"""The page of a comparison: comparison.json becomes sections, comparison.html is drawn by the report's own template. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manikin.report.blocks import Banner, Block, Bullets, Chapter, Facts, Figure, Grid, Heading, Table, Text, Tone
from manikin.report.comparison_figures import Spot, plane
from manikin.report.nouns import named_after
from manikin.report.render import page
from manikin.report.wording import DIRECTIONS, listed, whole

BRAND = "comparison of releases"
SHORT = {"c2st": "C2ST AUC", "tstr": "TSTR", "membership": "Membership hits"}  # on axes; else the title
FOOTER = "Internal: these figures are taken from real patients' rows. The page loads nothing from any network and runs no script."


def render_comparison(document: Mapping[str, Any], path: Path) -> None:
    """Writes the page of a comparison."""
    path.write_text(page(chapters(document), title="Releases side by side", brand=BRAND, footer=FOOTER), encoding="utf-8")


def chapters(document: Mapping[str, Any]) -> tuple[Chapter, ...]:
    """The page's sections; rows are called patients or images where these were judged."""
    noun = str(document.get("unit") or "rows")
    parts = (
        Chapter("short", "In short", _in_short(document)),
        Chapter("tradeoff", "Likeness or use against privacy", _planes(document)),
        Chapter("figures", "All figures", _figures(document)),
        Chapter("made", "What was compared", _made(document)),
    )
    return tuple(named_after(part, noun) for part in parts)


def _in_short(document: Mapping[str, Any]) -> tuple[Block, ...]:
    lead = f"{len(document['candidates'])} releases of the same data, judged against the same real rows."
    note = (
        "A release is on the front where no other is at least as good on both figures and better on one, by the values measured. It is "
        "surely beaten where another is better on both even at the unfavourable ends of all intervals. Between these nothing is decided: "
        "more seeds or more holdout rows would tell."
    )
    banner = Banner("Internal: do not pass on.", "These figures were taken from real patients' rows without protection.")
    return (banner, Text(lead, Tone.LEAD), Bullets(tuple(sentences(document))), Text(note, Tone.NOTE))


def sentences(document: Mapping[str, Any]) -> list[str]:
    """What the trade-offs say, a sentence or two each."""
    made = []
    for trade in document["trade_offs"]:
        front = [point["candidate"] for point in trade["points"] if point["is_on_front"]]
        text = f"By {_short(trade, 0)} and {_short(trade, 1)}: on the front {listed(front)}."
        for point in trade["points"]:
            if point["beaten_by"]:
                text += f" {point['candidate']} is surely beaten by {listed(point['beaten_by'])}."
        made.append(text)
    return made


def _planes(document: Mapping[str, Any]) -> tuple[Block, ...]:
    numbers = {one["name"]: i for i, one in enumerate(document["candidates"], start=1)}
    yardsticks = {one["name"] for one in document["candidates"] if one["is_yardstick"]}
    drawn = []
    for trade in document["trade_offs"]:
        spots = [_spot(point, numbers, yardsticks) for point in trade["points"]]
        shorts = [_short(trade, i) for i in (0, 1)]
        axes = [f"{short} ({_better(trade['directions'][i], i)})" for i, short in enumerate(shorts)]
        told = "; ".join(
            f"{point['candidate']} {_with_interval(point['fidelity'])} and {_with_interval(point['privacy'])}" for point in trade["points"]
        )
        drawn.append(
            Figure(
                plane(spots, x_axis=axes[0], y_axis=axes[1]),
                "Each mark is a release, its cross the two 95 % intervals. Filled: on the front (the dashed line joins them); hollow: "
                "another release is at least as good on both. Squares are yardsticks, such as conventional anonymisation. Crosses "
                "that overlap cannot be told apart.",
                f"{axes[0]} and {axes[1]}: {told}.",
                f"{shorts[0]} against {shorts[1][0].lower()}{shorts[1][1:]}",
            )
        )
    legend = Table(
        ("No.", "Release", "Kind"),
        tuple(
            (str(numbers[one["name"]]), one["name"], "yardstick" if one["is_yardstick"] else "release")
            for one in document["candidates"]
        ),
        "The marks' numbers",
    )
    return (Grid(tuple(drawn), has_legend=False), legend)


def _spot(point: Mapping[str, Any], numbers: Mapping[str, int], yardsticks: set[str]) -> Spot:
    x, y = point["fidelity"], point["privacy"]
    return Spot(
        numbers[point["candidate"]],
        x["value"],
        y["value"],
        (x["interval"][0], x["interval"][1]),
        (y["interval"][0], y["interval"][1]),
        point["is_on_front"],
        point["candidate"] in yardsticks,
    )


def _figures(document: Mapping[str, Any]) -> tuple[Block, ...]:
    names = [one["name"] for one in document["candidates"]]
    blocks: list[Block] = []
    for section in dict.fromkeys(line["section"] for line in document["figures"]):
        lines = [line for line in document["figures"] if line["section"] == section]
        rows = tuple(
            (
                f"{line['title']} {DIRECTIONS[line['direction']][0]}",
                *(_with_interval(line["releases"].get(name)) for name in names),
            )
            for line in lines
        )
        caption = "Values with their 95 % intervals; ↑ higher is better, ↓ lower, →| near the reference of fresh real rows"
        blocks += [Heading(section.capitalize()), Table(("Figure", *names), rows, caption, tuple(range(1, len(names) + 1)))]
    return tuple(blocks)


def _made(document: Mapping[str, Any]) -> tuple[Block, ...]:
    rows = tuple(
        (
            one["name"],
            one["synthesizer"] or "–",
            *("–" if one["rows"].get(part) is None else whole(one["rows"][part]) for part in ("train", "holdout", "synthetic")),
            ", ".join(f"{policy}: {verdict}" for policy, verdict in one["policies"].items()) or "–",
        )
        for one in document["candidates"]
    )
    head = ("Release", "Generator", "Train rows", "Holdout rows", "Synthetic rows", "Policies")
    blocks: list[Block] = [Table(head, rows, "What was compared", (2, 3, 4))]
    if document["notices"]:
        blocks.append(Bullets(tuple(document["notices"])))
    return (*blocks, Facts((("Made by", document["made_by"]),)))


def _with_interval(figure: Mapping[str, Any] | None) -> str:
    if not figure or figure.get("value") is None:
        return "–"
    interval = figure.get("interval")
    text = f"{figure['value']:.3f}"
    return text if not interval else f"{text} [{interval[0]:.3f}, {interval[1]:.3f}]"


def _short(trade: Mapping[str, Any], which: int) -> str:
    """A figure's name for an axis."""
    name = trade[("fidelity", "privacy")[which]]
    return SHORT.get(name) or str(trade["titles"][which]).split(" (")[0]


def _better(direction: str, which: int) -> str:
    if direction == "reference":
        return "near the reference is better"
    return f"{(('right', 'left'), ('up', 'down'))[which][direction == 'lower']} is better"
