"""Explaining a generator: what drives it, asked of a saved model and written as a page and as figures for machines.

An explanation is a document with one key for each part. A part is a function of the model and the wishes; a family of models adds a
part of its own here, and its section to `report.explanation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manikin.data.errors import ParameterError, parameter_error
from manikin.data.schema import Column, Role, TableSchema
from manikin.synthesizers import SYNTHESIZERS
from manikin.workflow.models import open_model, schema_of
from manikin.workflow.output import check_free, whole_folder, write_json
from manikin.workflow.stages import Silent, Stages, Watcher
from manikin.workflow.wishes import check_columns

FORMAT, VERSION = "manikin-explanation", 1
INTERNAL = "The generator learned from real patients and nothing here is protected: keep this folder in the house."
LEAST_ROWS = 40
LEAST_STOP = 50  # rows at each stop of a latent dimension
MAX_CONDITIONS = 12  # columns that are held when none are named


@dataclass(frozen=True)
class Wishes:
    """What is asked: the columns to hold, the rows under each value, the seed."""

    by: tuple[str, ...]
    rows: int
    seed: int


Part = Callable[[Any, TableSchema, Wishes, Watcher], Mapping[str, Any]]


@dataclass(frozen=True)
class Explained:
    """An explanation: its document, and where it was written, if it was."""

    document: Mapping[str, Any]
    out: Path | None
    files: Mapping[str, Path]
    notices: tuple[str, ...]


def explain(
    model: Any,
    *,
    by: Sequence[str] | None = None,
    rows: int = 500,
    seed: int = 0,
    out: str | Path | None = None,
    force: bool = False,
    watcher: Watcher | None = None,
) -> Explained:
    """What drives a generator: how far each column moves when another is held, and what its latent dimensions do.

    Writes explain.html and explain.json to `out`. A model that cannot condition but has latent dimensions (`tvae`) gets the second part
    alone.

    Parameters
    ----------
    model : a fitted synthesizer that conditions, or the folder of one.
    by : columns to hold; by default those with a role (target, quasi-identifiers, …) and then the others, at most 12.
    rows : rows under each value of each column, at least 40; the cost grows with it.
    out : the folder to write; nothing is written without.

    Raises
    ------
    ParameterError : a column is unknown, or the model cannot condition. ModelFolderError : the folder is no model.

    >>> explain("model", rows=3)
    Traceback (most recent call last):
    ...
    manikin.data.errors.ParameterError: The 'rows' parameter of explain must be a whole number of 40 or more. Got 3 instead.
    """
    from manikin.report.explanation import explanation_html

    if rows < LEAST_ROWS:
        raise parameter_error("rows", "explain", f"a whole number of {LEAST_ROWS} or more", rows)
    if seed < 0:
        raise parameter_error("seed", "explain", "a whole number, 0 or above", seed)
    folder = None if out is None else Path(out)
    if folder is not None:
        check_free(folder, force=force, inputs=[model])
    stages = Stages(watcher or Silent())
    with stages.stage("load", "Loading the model"):
        fitted = open_model(model) if isinstance(model, str | Path) else model
        name, schema = _explicable(fitted, is_asked=bool(by))
        held = _held(schema, by, stages) if SYNTHESIZERS[name].conditions else []
    wishes = Wishes(tuple(held), rows, seed)
    document: dict[str, Any] = {"format": FORMAT, "version": VERSION, "internal": INTERNAL, "synthesizer": name}
    document |= {"rows": rows, "seed": seed}
    with stages.stage("explain", "Asking the generator"):
        for part in PARTS:
            document |= part(fitted, schema, wishes, stages.watcher)
        if document.get("left_out"):
            names = ", ".join(map(repr, document["left_out"]))
            stages.note(f"Not held: {names}. A column is held at two values or more, and dates are not held.")
    if folder is not None:
        with whole_folder(folder, force=force) as partial:
            write_json(partial / "explain.json", document)
            (partial / "explain.html").write_text(explanation_html(document), encoding="utf-8")
    files = {} if folder is None else {"page": folder / "explain.html", "figures": folder / "explain.json"}
    return Explained(document, folder, files, tuple(stages.notices))


def drivers(model: Any, schema: TableSchema, wishes: Wishes, watcher: Watcher) -> Mapping[str, Any]:
    """The part `sensitivity`: see `manikin.evaluation.sensitivity`; nothing of a model that cannot condition."""
    from manikin.evaluation.sensitivity import document, sensitivity

    if not wishes.by:
        return {}
    found = sensitivity(
        lambda n, seed, conditions: model.sample(n, seed=seed, conditions=conditions),
        schema,
        wishes.by,
        n=wishes.rows,
        seed=wishes.seed,
        progress=lambda name, done, n: watcher.advance(done / max(n, 1), name),
    )
    held = list(dict.fromkeys(drive.condition for drive in found))
    return {
        "conditions": held,
        "columns": [column.name for column in schema.learned],
        "left_out": [name for name in wishes.by if name not in held],
        "sensitivity": document(found),
    }


def latent(model: Any, schema: TableSchema, wishes: Wishes, watcher: Watcher) -> Mapping[str, Any]:
    """The part `traversal`: what the latent dimensions do, of a model that has some (`manikin.synthesizers.tables.traversal`)."""
    del schema, watcher
    return {"traversal": model.traverse(seed=wishes.seed, rows=max(wishes.rows, LEAST_STOP))} if _has_latent(model) else {}


PARTS: tuple[Part, ...] = (drivers, latent)


def _has_latent(model: Any) -> bool:
    return callable(getattr(model, "traverse", None))


def _explicable(model: Any, *, is_asked: bool) -> tuple[str, TableSchema]:
    """The model's registry name and the schema it learned by."""
    from manikin.synthesizers.storage import name_of

    name, schema = name_of(model), schema_of(model)
    if schema is not None and schema.images:
        raise ParameterError(f"A {name} model makes images, and `explain` asks models of tables alone so far. Sample it with --where.")
    if SYNTHESIZERS[name].modality == "records":
        raise ParameterError(
            f"The model ({name}) learned linked patients, and `explain` asks models of one flat table. What surprises it in given patients "
            "is told by `manikin anomalies`, what follows from a condition by `manikin continue --set`, where it can."
        )
    if schema is None or not (SYNTHESIZERS[name].conditions or (_has_latent(model) and not is_asked)):
        fits = (other for other, entry in SYNTHESIZERS.items() if entry.conditions and entry.releasable and entry.modality == "table")
        able = ", ".join(sorted(fits))
        raise ParameterError(
            f"A {name} model cannot hold a column at a value, so it cannot be asked what drives it. These can: {able}."
        )
    return name, schema


def _held(schema: TableSchema, by: Sequence[str] | None, stages: Stages) -> list[str]:
    """The columns to hold, as named or by default."""
    learned = schema.only([column.name for column in schema.learned])
    if by:
        return check_columns(dict.fromkeys(by), learned, "--by")
    able = [column for column in learned if not column.kind.is_time]
    chosen = sorted(able, key=_rank)[:MAX_CONDITIONS]
    if len(able) > len(chosen):
        stages.note(f"Of {len(able)} columns {len(chosen)} are held, those with a role first. Name others with --by.")
    return [column.name for column in learned if column in chosen]


def _rank(column: Column) -> int:
    order = (Role.TARGET, Role.EVENT, Role.QUASI_IDENTIFIER, Role.SENSITIVE)
    return min((order.index(role) for role in column.roles if role in order), default=len(order))
