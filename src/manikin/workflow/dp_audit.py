"""Is the claimed epsilon kept? Learns the generator again with canaries among the patients, and bounds epsilon from below by the guesses.

A rehearsal inside the house: its ledgers are thrown away, its figures say nothing about a patient that the release does not, and they
never leave with it. Knows no generator: it is given as a function.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from manikin.data.dataset import Dataset, Table, concat
from manikin.data.errors import parameter_error
from manikin.data.schema import Column, Role, Source, TableSchema
from manikin.data.seeds import generator
from manikin.evaluation.base import Direction, MetricResult, Results, Section
from manikin.privacy.auditing import Audit, audit
from manikin.privacy.canaries import Rehearsal
from manikin.privacy.ledger import Ledger
from manikin.release.manifest import Choice
from manikin.workflow.budget import throw_away
from manikin.workflow.learn import Limits, fit
from manikin.workflow.options import FEWEST_CANARIES, MOST_CANARIES
from manikin.workflow.stages import Silent, Stages

NAME = "dp_audit"
FEWEST_DIGITS = 13  # powers of ten over which the numbers of canaries are spread


def dp_audit(
    learn: Callable[[Dataset, Ledger], Any],
    data: Dataset,
    claim: Ledger,
    *,
    n_canaries: int = 500,
    seed: int = 0,
    numbers: Collection[str] = (),
) -> MetricResult:
    """A lower bound on epsilon at 95 %, in [0, inf), by a one-run audit with canaries (Steinke et al. 2023, arXiv 2305.08846).

    `learn` learns twice from all patients and about half of the canaries: once as it is, once with its noise switched off. The second is
    the positive control: an attacker who cannot disprove the claim of a generator without noise would prove nothing about one with noise.

    Parameters
    ----------
    learn : the generator, fitted under the ledger that it is given. data : the rows that the release was learned from.
    claim : the ledger of the release; its budget is what is audited, and nothing is spent from it.
    n_canaries : made-up patients; each is in by a coin of her own. More prove more: 500 can disprove an epsilon of up to 3.9.
    numbers : columns of texts that hold numbers.

    Returns
    -------
    value and interval[0] : the bound. n : canaries. details : `positive_control` (bool), `twin` (its bound), `claimed`, `delta`, guesses.
    """
    if not FEWEST_CANARIES <= n_canaries <= MOST_CANARIES:
        raise parameter_error("n_canaries", "dp_audit", f"an int in [{FEWEST_CANARIES}, {MOST_CANARIES}]", n_canaries)
    rehearsed = concat([data, canaries(data, n_canaries, generator(seed, NAME, "canaries"), numbers=numbers)])
    honest, delta = _rehearse(learn, rehearsed, claim, n_canaries, noise=1.0)
    twin, _ = _rehearse(learn, rehearsed, claim, n_canaries, noise=0.0)
    return _result(claim.epsilon, delta, honest, twin)


def with_audit(
    results: Results,
    data: Dataset,
    choice: Choice,
    claim: Ledger,
    *,
    n_canaries: int,
    seed: int,
    stages: Stages,
    like: TableSchema,
) -> Results:
    """Results with the audit of the generator that made the release, learned again with the same settings and as many steps.

    Parameters
    ----------
    data : the rows as the generator was handed them. like : what the columns hold, as the real table was read.
    """

    def learn(rows: Dataset, ledger: Ledger) -> Any:
        """The generator, anew."""
        limits = Limits(planned_steps=choice.training.get("planned_steps"), stop_at=choice.training.get("steps"))
        return fit(
            choice.name, rows, seed=seed, limits=limits, watcher=Silent(), hyperparameters=choice.hyperparameters, ledger=ledger
        )

    with stages.stage("audit", f"Auditing the privacy budget with {n_canaries:,} canaries: learning twice more"):
        numbers = [column.name for column in like if column.kind.is_number]
        found = dp_audit(learn, data, claim, n_canaries=n_canaries, seed=seed, numbers=numbers)
    (stages.warn if "disproves the claimed" in found.note and found.value and found.value > claim.epsilon else stages.note)(
        f"{found.note} What that means: docs/privacy-audit.md."
    )
    return replace(results, metrics=(*results.metrics, found))


def _rehearse(
    learn: Callable[[Dataset, Ledger], Any], data: Dataset, claim: Ledger, n_canaries: int, *, noise: float
) -> tuple[Audit, float]:
    """What the attacker proves, and the delta at which."""
    coins = np.random.default_rng().random(n_canaries) < 0.5  # not of the seed: whoever learns has the seed
    ledger, rehearsal = throw_away(claim), Rehearsal(coins, noise)
    with rehearsal.watched():
        learn(data, ledger)
    delta = ledger.delta if claim.delta is None else claim.delta
    assert delta is not None
    return audit(rehearsal.scores, coins, delta=delta), delta


def canaries(data: Dataset, n: int, rng: np.random.Generator, *, numbers: Collection[str] = ()) -> Dataset:
    """Made-up patients of one row each, unlike anybody: cells of real rows, drawn for each column by itself, and numbers far apart.

    Parameters
    ----------
    numbers : columns of texts that hold numbers.
    """
    frame, marks = data.table.frame.iloc[np.zeros(n, dtype=int)].reset_index(drop=True).copy(), {}
    for column in data.columns:
        drawn = rng.integers(len(data), size=n)
        if column.has_role(Role.PATIENT_KEY):
            frame[column.name] = np.array([f"canary {i}" for i in range(n)], dtype=object)
            continue
        marks[column.name] = data.table.mark(column.name)[drawn]
        frame[column.name] = data.table.frame[column.name].iloc[drawn].reset_index(drop=True)
        if column.kind.is_number or column.name in numbers:
            far = _far_apart(column, n, rng)
            frame[column.name] = far if column.kind.is_number else pd.Categorical([f"{value:.15g}" for value in far])
            marks[column.name] = np.zeros(n, dtype=np.int8)
    return data.with_table(Table(frame, {name: mark for name, mark in marks.items() if name in data.table.marks}))


def _far_apart(column: Column, n: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Numbers of every size, or spread over a range that is declared."""
    if column.source.range is Source.DECLARED and column.minimum is not None and column.maximum is not None:
        spread = np.linspace(float(column.minimum), float(column.maximum), n)
        return np.asarray(np.round(rng.permutation(spread), column.decimals or 0))
    sizes = np.outer(10.0 ** np.arange(FEWEST_DIGITS), np.arange(1, 10)).ravel()
    return np.asarray(rng.permutation(np.resize(np.concatenate([sizes, -sizes]), n)))


def _result(claimed: float, delta: float, honest: Audit, twin: Audit) -> MetricResult:
    fires = twin.epsilon > claimed
    if honest.epsilon > claimed:
        note = f"The audit disproves the claimed epsilon of {claimed:g}."
    elif fires:
        note = f"Nothing was found that disproves the claimed epsilon of {claimed:g}; without its noise it would have been disproved."
    else:
        note = f"The audit proves nothing: even without noise an epsilon of {claimed:g} is not disproved. Take more canaries."
    return MetricResult(
        name=NAME,
        title="Audit of the privacy budget with canaries (lower bound on epsilon)",
        section=Section.PRIVACY,
        direction=Direction.LOWER,
        value=honest.epsilon,
        interval=(honest.epsilon, max(honest.epsilon, claimed)),
        n=honest.n_canaries,
        unit="canaries",
        details={
            "positive_control": fires,
            "twin": twin.epsilon,
            "claimed": claimed,
            "delta": delta,
            "confidence": honest.confidence,
            "n_guesses": honest.n_guesses,
            "n_right": honest.n_right,
            "twin_n_guesses": twin.n_guesses,
            "twin_n_right": twin.n_right,
        },
        note=note,
    )
