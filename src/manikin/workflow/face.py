"""What Python users call beside `read` and `split`: evaluate, report, save, load, complete. Takes data sets, frames or paths alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from manikin.data.dataset import Dataset
from manikin.data.errors import ParameterError
from manikin.evaluation.base import Results
from manikin.workflow.judge import measure
from manikin.workflow.output import whole_file
from manikin.workflow.sources import read, read_alike, read_like, target_of
from manikin.workflow.stages import Watcher


def evaluate(
    *,
    train: Any,
    holdout: Any,
    synthetic: Any,
    target: str | None = None,
    seed: int = 0,
    metrics: Sequence[str] | None = None,
    watcher: Watcher | None = None,
) -> Results:
    """Measures a release, or several, made from `train` by any tool.

    Parameters
    ----------
    train, holdout : real rows that the generator did and did not see: a Dataset, a frame or a path.
    synthetic : the same of what it made; a list of them for several releases.
    target : the column a downstream model would predict; the schema's target when None.
    metrics : names from `manikin list metrics`; all when None.

    Raises
    ------
    ParameterError : the target is no column, or a metric's name is unknown.
    DataError : a table is empty, or they share no column.
    """
    parts = synthetic if isinstance(synthetic, list | tuple) else [synthetic]
    real, (held, *made) = read_alike(train, [holdout, *parts])
    if target is not None and target not in real.columns:
        raise ParameterError(f"The target {target!r} is no column of the train table.")
    return measure(real, held, made, target=target or target_of(real.columns), seed=seed, metrics=metrics, watcher=watcher)


def report(results: Results, path: str | Path, *, force: bool = False) -> None:
    """Writes report.html: one self-contained page for a reader who is no statistician. It shows real rows, so it is internal."""
    from manikin.report.render import render

    with whole_file(Path(path), force=force) as beside:
        render(results, beside)


def save(model: Any, folder: str | Path, *, force: bool = False) -> None:
    """Saves a fitted synthesizer as config.json and weights.safetensors; nothing is pickled."""
    from manikin.synthesizers.storage import save as store

    store(model, Path(folder), force=force)


def load(folder: str | Path) -> Any:
    """Loads a saved synthesizer.

    Raises
    ------
    ModelFolderError : the folder is not a model of Manikin, or was damaged or changed; the message says which.
    """
    from manikin.synthesizers.storage import load as fetch

    return fetch(Path(folder))


def complete(model: Any, data: Any, *, keep: Sequence[str] | None = None, seed: int = 0) -> Dataset:
    """Rows whose given cells are kept exactly and whose others are drawn by the model.

    Parameters
    ----------
    keep : columns whose cells are kept; all others are made anew (partially synthetic records). None imputes instead: every cell
        with a value is kept and only missing ones are drawn.

    Raises
    ------
    ParameterError : a column is unknown, or the model cannot condition.
    DataError : a cell does not fit the schema that the model learned by; the message names the column.
    """
    from manikin.workflow.completion import completed
    from manikin.workflow.models import schema_of

    known = schema_of(model)
    return completed(model, read(data) if known is None else read_like(data, known), keep=keep, seed=seed)
