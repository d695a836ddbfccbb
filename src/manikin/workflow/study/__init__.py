"""Studies that run many times over the same patients: augmentation, learning curves, privacy against use. Importing this imports none."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from manikin.workflow.stages import Watcher
    from manikin.workflow.study.record import Studied

__all__ = ["tradeoff"]


def tradeoff(
    data: str | Path,
    *,
    out: str | Path,
    epsilons: Sequence[float] = (0.1, 0.5, 1.0, 3.0, 10.0, inf),
    synthesizers: Sequence[str] | None = None,
    seeds: int = 3,
    delta: float | None = None,
    rows_per_patient: int = 1,
    target: str | None = None,
    schema: str | Path | None = None,
    max_rows: int | None = None,
    time_budget_seconds: float | None = None,
    max_steps: int | None = None,
    seed: int = 0,
    force: bool = False,
    extend: bool = False,
    watcher: Watcher | None = None,
) -> Studied:
    """What privacy costs: fidelity, utility and attacks along epsilon, as `manikin study tradeoff` measures them.

    No ledger covers the study as a whole: its curve is made from the patients without protection. Run it on public or older data, or keep
    it in the house and count the epsilon that was chosen by it as tuned on these patients.

    Parameters
    ----------
    data : a CSV or Parquet file, or linked tables: a folder, or without budgets a database's URL.
    out : the folder to write: study.json, study.csv, study.html and study.svg.
    epsilons : budgets, above 0; `inf` is the generator without a ledger.
    synthesizers : names, those that fit the data when None; one that cannot keep a budget is written NAME@inf and compared there only.
    seeds : how often, each with patients of its own held out. delta : of every budget; below the inverse of the patients when None.
    time_budget_seconds, max_steps : of each learning of a generator in steps.
    extend : takes up the finished study in `out`, with more seeds, epsilons or generators.

    Raises
    ------
    InputError : the data or an option cannot be used.
    """
    from manikin.workflow.study.along_epsilon import TradeoffOptions, study_tradeoff

    options = TradeoffOptions(
        target=target,
        epsilons=tuple(epsilons),
        synthesizers=None if synthesizers is None else tuple(synthesizers),
        seeds=seeds,
        delta=delta,
        rows_per_patient=rows_per_patient,
        max_rows=max_rows,
        time_budget_seconds=time_budget_seconds,
        max_steps=max_steps,
        seed=seed,
    )
    return study_tradeoff(data, out=out, options=options, schema=schema, force=force, extend=extend, watcher=watcher)
