"""Latent traversals as blocks of a page: a strip of small drawings per dimension, a slider over its stops, and the separateness score.

Takes the plain values of `manikin.synthesizers.tables.traversal.traverse`. The slider is a row of radio buttons moved by a style sheet
alone, since pages of this package run no script; the drawings beside it say the same on paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.report.blocks import Block, Figure, Fold, Grid, Heading, Slider, Table, Text, Tone
from manikin.report.traversal_figures import levels_strip, numbers_strip

MOST_GAPS = 8  # columns of the score's table


def traversal_blocks(document: Mapping[str, Any]) -> tuple[Block, ...]:
    """The section of a page; empty where a model has no latent vector.

    Parameters
    ----------
    document : what `traverse` gave, also after a way through JSON.
    """
    if not document.get("dimensions"):
        return ()
    is_principal = document["by"] == "principal"
    what = "principal axis" if is_principal else "latent dimension"
    blocks: list[Block] = [
        Text(
            f"The network makes every row from {document['n_latent']} hidden numbers. Here one of them goes from -2.5 to 2.5 standard "
            f"deviations while the others rest at their mean; at each stop {document['rows']} rows are made. Shown are the "
            f"{len(document['dimensions'])} {'axes that vary' if is_principal else 'dimensions that tell'} most, and for each the columns "
            "that move most. All values are synthetic."
        )
    ]
    for strip in document["dimensions"]:
        blocks += _strip(strip, document["stops"], what)
    return (*blocks, *separateness_blocks(document["separateness"]))


def _strip(strip: Mapping[str, Any], stops: Sequence[float], what: str) -> list[Block]:
    names = [str(one["column"]) for one in strip["columns"]]
    told = (
        f"{strip['information']:.2f} nats of information a row"
        if what == "latent dimension"
        else f"spread {strip['information']:.2f}"
    )
    anchor = f"latent-{strip['dimension']}"
    frames = tuple(
        _frame(strip, k, f"{what} {strip['dimension']} at {stop:+g} standard deviations") for k, stop in enumerate(stops)
    )
    figures = tuple(_figure(one, stops) for one in strip["columns"])
    return [
        Heading(f"{what.capitalize()} {strip['dimension']}: {', '.join(names[:3])}"),
        Text(f"{told.capitalize()}.", Tone.NOTE),
        Slider(anchor, f"Standard deviations along {what} {strip['dimension']}", tuple(f"{stop:+g}" for stop in stops), frames),
        Grid(figures, has_legend=False),
    ]


def _frame(strip: Mapping[str, Any], k: int, caption: str) -> Table:
    rows = []
    for one in strip["columns"]:
        if one["kind"] == "level":
            pairs = sorted(zip(one["levels"], (shares[k] for shares in one["shares"]), strict=True), key=lambda pair: -pair[1])
            shown = ", ".join(f"{level} {share:.0%}" for level, share in pairs)
        elif one["middle"][k] is None:
            shown = "no value"
        else:
            shown = f"{_text(one['middle'][k])} ({_text(one['low'][k])} to {_text(one['high'][k])})"
        rows.append((str(one["column"]), shown, f"{one['missing'][k]:.0%}"))
    return Table(("Column", "Median (middle 80 %) or shares", "Missing"), tuple(rows), caption, numeric=(2,))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _figure(one: Mapping[str, Any], stops: Sequence[float]) -> Figure:
    name = str(one["column"])
    if one["kind"] == "level":
        svg = levels_strip(stops, one["levels"], one["shares"])
        first, last = (
            max((s[0], level) for level, s in zip(one["levels"], one["shares"], strict=True)),
            max((s[-1], level) for level, s in zip(one["levels"], one["shares"], strict=True)),
        )
        alt = f"Commonest at the left end: {first[1]}, {first[0]:.0%}; at the right end: {last[1]}, {last[0]:.0%}."
        return Figure(svg, "Share of rows with each level, in percent.", alt, title=name)
    svg = numbers_strip(stops, one["low"], one["middle"], one["high"])
    ends = [value for value in one["middle"] if value is not None]
    alt = f"The median goes from {_text(ends[0])} to {_text(ends[-1])}." if ends else "No value at any stop."
    return Figure(svg, "Median, and the range of the middle 80 % of rows.", alt, title=name)


def separateness_blocks(score: Mapping[str, Any]) -> tuple[Block, ...]:
    """The score with its interval, what it is read against, and what it means in words."""
    heading = Heading("How separate the dimensions are")
    if score["value"] is None:
        return (heading, Text(str(score.get("note") or "There is nothing to measure.")))
    low, high = score["interval"]
    if high <= score["chance"]:
        meaning = "No more than chance gives: no dimension stands for a column."
    elif low > score["mixed"]:
        meaning = "More than the same space gives with its dimensions mixed: single dimensions stand for columns more than by accident."
    elif high < score["mixed"]:
        meaning = "Less than the same space gives with its dimensions mixed: columns are spread over several dimensions each."
    else:
        meaning = "About what the same space gives with its dimensions mixed: the dimensions have no special meaning, whatever they move."
    rows = tuple(
        (
            str(one["column"]),
            f"{one['gap']:.3f}",
            f"{one['dimensions'][0]} ({one['shares'][0]:.0%})",
            f"{one['dimensions'][1]} ({one['shares'][1]:.0%})",
        )
        for one in score["columns"][:MOST_GAPS]
    )
    table = Table(
        ("Column", "Gap", "Best dimension (share told)", "Second"),
        rows,
        "Columns with the widest gap, and who tells of them",
        numeric=(1,),
    )
    return (
        heading,
        Text(
            f"Mutual Information Gap {score['value']:.3f}, 95 % interval {low:.3f} to {high:.3f}, on {score['n_rows']} "
            "synthetic rows; 0 to 1, higher is more separate. "
            f"Chance gives up to {score['chance']:.3f}; the same space with its dimensions mixed at random gives "
            f"{score['mixed']:.3f} on average. {meaning}"
        ),
        Text(
            "The score (arXiv 1802.04942) asks for true factors; a table has none, so its columns stand for them. Columns that depend on "
            "each other share dimensions, which keeps the score low even in a good model: read it against the mixed figure, not against 1.",
            Tone.NOTE,
        ),
        Fold("The columns", (table,)),
    )
