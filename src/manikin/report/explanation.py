"""The page about one generator: a registry of sections, each a pure function from the explanation to blocks. Knows no model.

An explanation is the document of explain.json. A section that finds nothing of its own in it gives no blocks and is left out, so that
a family of models can bring a section (what lies behind its latent space, say) with one function and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manikin.data.registry import Registry
from manikin.report import figures
from manikin.report.blocks import Beside, Block, Bullets, Chapter, Facts, Figure, Fold, Grid, Table, Text, Tone
from manikin.report.render import page
from manikin.report.sections import SectionEntry
from manikin.report.wording import number, span, whole

_HERE = "manikin.report.explanation"
N_SENTENCES = 8
N_HEAT = 40
BRAND = "explanation of a generator"
FOOTER = (
    "Internal: the generator learned from real patients. This page is drawn from rows that it made. It loads nothing from any network "
    "and runs no script."
)
Explanation = Mapping[str, Any]

EXPLANATIONS: Registry[SectionEntry] = Registry(
    "explanation section",
    {
        "drivers": SectionEntry(f"{_HERE}:drivers", "how far each column moves each other", title="What drives the generator"),
        "latent": SectionEntry(f"{_HERE}:latent", "what the latent dimensions do", title="What the latent dimensions do"),
        "asked": SectionEntry(f"{_HERE}:asked", "what was asked of which model", title="How it was asked"),
    },
    group="manikin.explanations",
)


def explanation_html(document: Explanation) -> str:
    """The page as text, self-contained like the report."""
    parts = (Chapter(name, EXPLANATIONS[name].title, EXPLANATIONS.load(name)(document)) for name in EXPLANATIONS)
    title = f"What drives this {document.get('synthesizer', 'generator')} model"
    return page(tuple(part for part in parts if part.blocks), title=title, brand=BRAND, footer=FOOTER)


def drivers(document: Explanation) -> tuple[Block, ...]:
    """A sentence for each of the strongest drivers, the heat map, and the figures."""
    rows: Sequence[Mapping[str, Any]] = document.get("sensitivity") or ()
    if not rows:
        return ()
    ranked = sorted(rows, key=lambda row: (-row["excess"], row["condition"], row["output"]))
    sure = [row for row in ranked if row["is_sure"]]
    named = tuple(sentence(row) for row in sure[:N_SENTENCES])
    idle = _idle(rows)
    lead = "Each column was held at one value after another, and the rows that the generator then made were compared."
    blocks: list[Block] = [Text(lead, Tone.LEAD)]
    if not named:
        blocks.append(Text("No column moves another beyond what two draws by chance differ."))
    if idle:
        blocks.append(Text(f"No column is moved for sure by {idle}.", Tone.NOTE))
    drawing = Grid((_map(rows, document.get("columns") or ()),), has_legend=False)
    return (*blocks, Beside((drawing, Bullets(named))) if named else drawing, _tables(ranked))


def sentence(row: Mapping[str, Any]) -> str:
    """One driver in words."""
    text = (
        f"Holding “{row['condition']}” moves “{row['output']}”: on average {number(row['effect'], 'percent')} of the rows change place "
        f"({number(row['null'], 'percent')} by chance)"
    )
    if row.get("shift") is not None:
        return f"{text}; its mean travels {row['shift']:.1f} standard deviations."
    return f"{text}; it settles {number(row['explained'], 'percent')} of the variation."


def latent(document: Explanation) -> tuple[Block, ...]:
    """Traversals of a model that has latent dimensions."""
    from manikin.report.traversal import traversal_blocks

    return traversal_blocks(document.get("traversal") or {})


def asked(document: Explanation) -> tuple[Block, ...]:
    """Model, rows and values; and what the figures do not say."""
    held = document.get("conditions") or ()
    facts = [("Model", str(document.get("synthesizer", ""))), ("Rows under each value", whole(document.get("rows", 0)))]
    facts.append(("Columns held", ", ".join(str(name) for name in held) or "none"))
    if document.get("left_out"):
        facts.append(("Not held", ", ".join(str(name) for name in document["left_out"])))
    note = (
        "A driver is what the generator does, not what makes patients ill: it has learned that columns go together, in whatever direction. "
        "Effects are of one column at a time. Numbers are held at their deciles and compared in ten bins, levels at the most frequent ones."
    )
    return Facts(tuple(facts)), Text(note)


def _map(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Figure:
    conditions = list(dict.fromkeys(str(row["condition"]) for row in rows))
    strongest: dict[str, float] = {}
    for row in rows:
        strongest[str(row["output"])] = max(strongest.get(str(row["output"]), 0.0), row["effect"])
    kept = set(sorted(strongest, key=lambda name: -strongest[name])[:N_HEAT])
    order = {name: i for i, name in enumerate(columns)}
    outputs = sorted(kept, key=lambda name: (order.get(name, len(order)), name))
    place = {name: i for i, name in enumerate(outputs)}
    matrix = np.full((len(conditions), len(outputs)), np.nan)
    for row in rows:
        if str(row["output"]) in place:
            matrix[conditions.index(str(row["condition"])), place[str(row["output"])]] = max(0.0, row["excess"])
    worst = max(rows, key=lambda row: row["effect"])
    return Figure(
        figures.effects(matrix, conditions, outputs),
        "Each line is a column that is held, each column of the map one that may move: the share of rows that change place beyond chance. "
        "Dark is strong.",
        f"Heat map of effects. The strongest: {worst['condition']} on {worst['output']}, {number(worst['effect'], 'percent')}.",
        "Held column against moved column",
    )


def _tables(ranked: Sequence[Mapping[str, Any]]) -> Block:
    head = ("Held", "Moved", "Effect", "95 % interval", "By chance", "Variance explained", "Shift in SD")
    rows = tuple(
        (
            str(row["condition"]),
            f"{row['output']}{'' if row['is_sure'] else ' (not sure)'}",
            number(row["effect"]),
            span(tuple(row["interval"])),
            number(row["null"]),
            number(row["explained"], "percent"),
            "–" if row.get("shift") is None else f"{row['shift']:.2f}",
        )
        for row in ranked[:200]
    )
    caption = "Effect: mean total variation between rows under each value and rows under all of them, 0 to 1"
    return Fold(f"All figures ({len(rows)} strongest)", (Table(head, rows, caption, numeric=(2, 3, 4, 5, 6)),))


def _idle(rows: Sequence[Mapping[str, Any]]) -> str:
    moving = {row["condition"] for row in rows if row["is_sure"]}
    idle = [f"“{name}”" for name in dict.fromkeys(row["condition"] for row in rows) if name not in moving]
    return ", ".join(idle)
