"""Sections on how the table was made (data, generator, training, seeds, versions, cost) and on what the words mean.

Reads the run's own record, a mapping whose every key is optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manikin.evaluation.base import Results
from manikin.report import answers, safety
from manikin.report.blocks import Block, Bullets, Facts, Fold, Heading, Table, Text, Tone
from manikin.report.record import Record, read_record
from manikin.report.training_view import training_blocks
from manikin.report.wording import GLOSSARY, whole

N_NOTICES = 8  # more are folded


def making(results: Results) -> tuple[Block, ...]:
    """How the table was made, as far as the run's record says."""
    record = read_record(results.run)
    blocks = (*_data(record), *_generator(record), *training_blocks(record.training), *_cost(record))
    return blocks or (Text("Nothing was recorded of how this table was made: it was given as a file.", Tone.NOTE),)


def glossary(_results: Results) -> tuple[Block, ...]:
    """The words of this page and the conventions behind the three answers."""
    return (
        Heading("Conventions behind the three answers"),
        Text("These limits are ours; no regulator stands behind them. Your own policy may ask for more.", Tone.NOTE),
        Bullets((*answers.CONVENTIONS, *safety.CONVENTIONS)),
        Heading("Words"),
        Facts(GLOSSARY, is_glossary=True),
    )


def _data(record: Record) -> tuple[Block, ...]:
    titles = {"train": "Training rows", "holdout": "Rows set aside", "synthetic": "Synthetic rows"}
    facts = [("Table", record.title)] if record.title else []
    facts += [(titles[part], whole(count)) for part, count in record.rows.items()]
    facts += [("Columns", whole(record.n_columns))] if record.n_columns is not None else []
    blocks: list[Block] = [Heading("Data"), Facts(tuple(facts))] if facts else []
    if record.left_out:
        caption = "Columns that the synthetic table does not have"
        blocks.append(Table(("Column", "Why it was left out"), record.left_out, caption))
    if record.notices:
        listed: tuple[Block, ...] = (Bullets(record.notices),)
        many = (Fold(f"{len(record.notices)} notices", listed),)
        blocks += [Heading("Decisions and notices"), *(listed if len(record.notices) <= N_NOTICES else many)]
    return tuple(blocks)


def _generator(record: Record) -> tuple[Block, ...]:
    facts = [("Generator", record.synthesizer)] if record.synthesizer else []
    facts += [("Asked for", record.asked)] if record.asked else []
    facts += [(title, _plain(value)) for title, value in record.facts]
    blocks: list[Block] = [Heading("Generator"), Facts(tuple(facts))] if facts else []
    if record.reasons or record.candidates:
        blocks.append(Heading("Why this generator"))
    if record.reasons:
        blocks.append(Bullets(record.reasons))
    if record.candidates:
        keys = list(dict.fromkeys(key for row in record.candidates for key in row))
        cells = tuple(tuple(_plain(row.get(key)) for key in keys) for row in record.candidates)
        numeric = tuple(
            i for i, key in enumerate(keys) if all(isinstance(row.get(key), int | float | None) for row in record.candidates)
        )
        heads = tuple(key.replace("_", " ").capitalize() for key in keys)
        blocks.append(Table(heads, cells, "Candidates that were tried", numeric))
    if record.hyperparameters:
        rows = tuple((str(name), _plain(value)) for name, value in record.hyperparameters.items())
        table = Table(("Parameter", "Value"), rows, "Hyperparameters of the generator")
        blocks.append(Fold(f"{len(rows)} hyperparameters", (table,)))
    return tuple(blocks)


def _cost(record: Record) -> tuple[Block, ...]:
    facts = [(f"CPU seconds, {stage}", f"{seconds:,.1f}") for stage, seconds in record.cpu_seconds.items()]
    if record.energy_watt_hours is not None:
        facts.append(("Energy, estimated", _energy(record.energy_watt_hours)))
    blocks: list[Block] = [Heading("Cost"), Facts(tuple(facts))] if facts else []
    if record.energy_assumption and record.energy_watt_hours is not None:
        blocks.append(Text(f"What the energy rests on: {record.energy_assumption}", Tone.NOTE))
    if record.versions:
        blocks += [Heading("Versions"), Facts(tuple(record.versions.items()))]
    if record.files:
        blocks += [Heading("Files beside this page"), Facts(record.files)]
    return tuple(blocks)


def _energy(watt_hours: float) -> str:
    return f"{watt_hours / 1000:.2f} kWh" if watt_hours >= 100 else f"{watt_hours:.2g} Wh"


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
    return str(value)
