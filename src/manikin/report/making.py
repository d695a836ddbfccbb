"""Sections on how the table was made (data, generator, training, seeds, versions, cost) and on what the words mean.

Reads the run's own record, a mapping whose every key is optional.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from manikin.evaluation.base import Results
from manikin.report import figures
from manikin.report.blocks import Block, Bullets, Facts, Figure, Fold, Grid, Heading, Table, Text, Tone
from manikin.report.summary import CONVENTIONS
from manikin.report.wording import GLOSSARY, whole

Run = Mapping[str, Any]


def making(results: Results) -> tuple[Block, ...]:
    """How the table was made, as far as the run's record says."""
    run = results.run
    blocks = (*_data(run), *_generator(run), *_training(run), *_cost(run))
    return blocks or (Text("Nothing was recorded of how this table was made: it was given as a file.", Tone.NOTE),)


def glossary(_results: Results) -> tuple[Block, ...]:
    """The words of this page and the conventions behind the three answers."""
    return (
        Heading("Conventions behind the three answers"),
        Text("These limits are ours; no regulator stands behind them. Your own policy may ask for more.", Tone.NOTE),
        Bullets(CONVENTIONS),
        Heading("Words"),
        Facts(GLOSSARY, is_glossary=True),
    )


def _data(run: Run) -> tuple[Block, ...]:
    names = (("rows_train", "Training rows"), ("rows_holdout", "Rows set aside"), ("rows_synthetic", "Synthetic rows"))
    facts = [(title, whole(run[key])) for key, title in names if run.get(key) is not None]
    columns = run.get("columns")
    if columns is not None:
        facts.append(("Columns", whole(len(columns) if isinstance(columns, list | tuple | dict) else columns)))
    blocks: list[Block] = []
    if facts:
        blocks += [Heading("Data"), Facts(tuple(facts))]
    left = run.get("left_out") or ()
    if left:
        rows = tuple((str(entry.get("column")), str(entry.get("reason", ""))) for entry in left if isinstance(entry, Mapping))
        blocks.append(Table(("Column", "Why it was left out"), rows, "Columns that the synthetic table does not have"))
    notices = tuple(str(notice) for notice in run.get("notices") or ())
    if notices:
        listed: tuple[Block, ...] = (Bullets(notices),)
        blocks += [
            Heading("Decisions and notices"),
            *(listed if len(notices) <= 8 else (Fold(f"{len(notices)} notices", listed),)),
        ]
    return tuple(blocks)


def _generator(run: Run) -> tuple[Block, ...]:
    facts = _some(run, ("synthesizer", "Generator"), ("seed", "Seed"), ("created", "Made"), ("command", "Command"))
    blocks: list[Block] = []
    parameters = run.get("parameters") or {}
    if facts or parameters:
        blocks += [Heading("Generator"), Facts(facts)]
    if parameters:
        rows = tuple((str(name), _plain(value)) for name, value in parameters.items())
        blocks.append(
            Fold(f"{len(rows)} hyperparameters", (Table(("Parameter", "Value"), rows, "Hyperparameters of the generator"),))
        )
    blocks += _choice(run.get("auto"))
    return tuple(blocks)


def _choice(auto: Any) -> list[Block]:
    """What `auto` tried and why it chose: a list of candidates, or a mapping with `candidates` and `why`."""
    why = auto.get("why", "") if isinstance(auto, Mapping) else ""
    candidates = auto.get("candidates") if isinstance(auto, Mapping) else auto
    rows = [row for row in candidates or () if isinstance(row, Mapping)]
    if not rows and not why:
        return []
    blocks: list[Block] = [Heading("How the generator was chosen")]
    if why:
        blocks.append(Text(str(why)))
    if rows:
        keys = list(dict.fromkeys(key for row in rows for key in row))
        cells = tuple(tuple(_plain(row.get(key)) for key in keys) for row in rows)
        numeric = tuple(i for i, key in enumerate(keys) if all(isinstance(row.get(key), int | float | None) for row in rows))
        heads = tuple(key.replace("_", " ").capitalize() for key in keys)
        blocks.append(Table(heads, cells, "Candidates that were tried", numeric))
    return blocks


def _training(run: Run) -> tuple[Block, ...]:
    training = run.get("training") or {}
    if not isinstance(training, Mapping) or not training:
        return ()
    curve = training.get("curve") or ()
    facts = tuple(
        (str(key).replace("_", " ").capitalize(), _plain(value))
        for key, value in training.items()
        if key != "curve" and isinstance(value, str | int | float | bool)
    )
    blocks: list[Block] = [Heading("Training")]
    if facts:
        blocks.append(Facts(facts))
    if len(curve) > 1:
        blocks.append(Grid((_curve(curve),), has_legend=False))
    return tuple(blocks)


def _curve(curve: Sequence[Sequence[Any]]) -> Figure:
    steps, train, validation = zip(
        *((point[0], point[1], point[2] if len(point) > 2 else None) for point in curve), strict=True
    )
    last = next((value for value in reversed(validation) if value is not None), None)
    return Figure(
        figures.curve(steps, train, validation),
        "How the loss fell while the generator learned. Validation rows are part of the training rows, kept from the gradient; when "
        "their line rises while the other falls, the generator begins to learn rows by heart, which is when it stops.",
        f"Training curve over {steps[-1]} steps" + (f"; the last validation loss is {last:.3g}." if last is not None else "."),
        "Training curve",
    )


def _cost(run: Run) -> tuple[Block, ...]:
    blocks: list[Block] = []
    seconds = run.get("cpu_seconds") or {}
    facts = [
        (f"CPU seconds, {name}", f"{float(value):,.1f}") for name, value in seconds.items() if isinstance(value, int | float)
    ]
    energy = run.get("energy") or {}
    if isinstance(energy.get("kwh"), int | float):
        facts.append(("Energy, estimated", _energy(float(energy["kwh"]))))
    if facts:
        blocks += [Heading("Cost"), Facts(tuple(facts))]
        if energy.get("assumption"):
            blocks.append(Text(f"The energy rests on an assumption: {energy['assumption']}", Tone.NOTE))
    versions = run.get("versions") or {}
    if versions:
        blocks.append(Heading("Versions"))
        blocks.append(Facts(tuple((str(name), str(version)) for name, version in versions.items())))
    files = run.get("files") or ()
    if files:
        rows = files.items() if isinstance(files, Mapping) else ((str(name), "") for name in files)
        blocks += [Heading("Files beside this page"), Facts(tuple((str(name), _plain(what)) for name, what in rows))]
    return tuple(blocks)


def _energy(kwh: float) -> str:
    return f"{kwh:.2f} kWh" if kwh >= 0.1 else f"{1000 * kwh:.3g} Wh"


def _some(run: Run, *keys: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((title, _plain(run[key])) for key, title in keys if run.get(key) not in (None, "", ()))


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
