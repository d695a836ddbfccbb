"""What a ledger lets a release claim, and the same for people: shares by purpose, what an attacker can reach. Knows no file and no page.

The claim is the budget, and what was spent, made again from the events alone, must lie within it. The sum of what was spent is no claim
of its own: later spends were chosen in the light of earlier answers, and a bound that was set beforehand is what holds then (a privacy
filter, Rogers et al., arXiv 1605.08294; Whitehouse et al., arXiv 2203.05481).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np

from manikin.data.errors import GateError
from manikin.privacy.accountant import Cost, cost, most_power, power_within, precision, total_precision
from manikin.privacy.events import Event, SampledGaussian
from manikin.privacy.ledger import RELATION, ROUNDING, Ledger, Spend

MOST_PURPOSES = 12  # lines of the table by purpose; the smallest together are one
FALSE_ALARMS = (0.001, 0.01, 0.05, 0.1)


@dataclass(frozen=True)
class Claim:
    """What holds for each patient: epsilon and delta of the budget, the number of patients as bought, and what was spent, made again."""

    epsilon: float
    delta: float
    n_patients: int
    spent: Cost


def claimed(ledger: Ledger) -> Claim:
    """What a ledger lets its release claim.

    Raises
    ------
    GateError : nothing was spent, no delta or number of patients was bought, or more was spent than the budget.
    """
    if ledger.delta is None or ledger.n_patients is None or not ledger.spends:
        raise GateError("The ledger names no finished spending, so no privacy budget can be claimed. Run `manikin audit` on it.")
    spent = cost(ledger.events, ledger.delta)
    if spent.epsilon > ledger.epsilon * (1 + ROUNDING):
        raise GateError("The ledger's spends cost more than its budget, so it proves nothing. Run `manikin audit` on it.")
    return Claim(ledger.epsilon, ledger.delta, ledger.n_patients, spent)


def has_patient_key(ledger: Ledger) -> bool:
    """Whether patients were told apart by a key; without one each row counts as a patient. A ledger that does not say has one."""
    public = ledger.public.get("taken_as_public")
    return not isinstance(public, dict) or public.get("patient_key", "") is not None


@dataclass(frozen=True)
class Purpose:
    """What was spent for one purpose: how many events, on how many columns, by whom, and the share of all that was spent, in [0, 1]."""

    purpose: str
    by: str
    n_events: int
    n_columns: int
    share: float


def purposes(spends: Sequence[Spend], delta: float) -> list[Purpose]:
    """The spends by purpose, the dearest first. Shares are of the precision mu^2, in which Gaussian events add up exactly; DP-SGD counts
    with that of the Gaussian event of its epsilon, which is about right."""
    weights = _weights([spend.event for spend in spends], delta)
    found: dict[tuple[str, str], list[int]] = {}
    for i, spend in enumerate(spends):
        found.setdefault((spend.by, spend.purpose), []).append(i)
    whole = sum(weights) or 1.0

    def line(name: tuple[str, str], places: list[int]) -> Purpose:
        """One line of the table."""
        columns = {column for i in places for column in spends[i].columns}
        return Purpose(name[1], name[0], len(places), len(columns), sum(weights[i] for i in places) / whole)

    lines = sorted((line(*one) for one in found.items()), key=lambda one: -one.share)
    if len(lines) <= MOST_PURPOSES:
        return lines
    rest = lines[MOST_PURPOSES - 1 :]
    n_events, share = sum(one.n_events for one in rest), sum(one.share for one in rest)
    others = Purpose(f"{len(rest)} further purposes", "", n_events, max(one.n_columns for one in rest), share)
    return [*lines[: MOST_PURPOSES - 1], others]


def _weights(events: Sequence[Event], delta: float) -> list[float]:
    """The precision of each event; samples of one kind are priced together and share the price by their steps."""
    kinds: dict[tuple[float, float], int] = {}
    for event in events:
        if isinstance(event, SampledGaussian):
            key = (event.noise_multiplier, event.sampling_rate)
            kinds[key] = kinds.get(key, 0) + event.steps
    prices = {
        key: total_precision(cost([SampledGaussian(*key, steps)], delta).epsilon, delta) / steps for key, steps in kinds.items()
    }
    return [
        event.steps * prices[event.noise_multiplier, event.sampling_rate]
        if isinstance(event, SampledGaussian)
        else precision(event)
        for event in events
    ]


def told(ledger: Ledger) -> dict[str, Any]:
    """The budget as JSON values, for results.json and the report: claim, shares by purpose, the most that attackers reach.

    Returns
    -------
    dict : `epsilon`, `delta`, `n_patients`, `rows_per_patient`, `neighbours`, `has_patient_key`, `spent` (epsilon, epsilon_rdp, mu),
        `purposes`, `at`: for some shares of false alarms the most true positives by the budget and by what was spent, `curve` of the
        same, `odds`: the most that an attacker's odds grow, `posterior`: the most that she is sure who held it for a toss-up before, each
        but for delta.
    """
    claim = claimed(ledger)
    rates = [0.0, *np.geomspace(1e-3, 1, 40).tolist()]
    return {
        "epsilon": claim.epsilon,
        "delta": claim.delta,
        "n_patients": claim.n_patients,
        "rows_per_patient": ledger.rows_per_patient,
        "neighbours": RELATION,
        "has_patient_key": has_patient_key(ledger),
        "spent": {"epsilon": claim.spent.epsilon, "epsilon_rdp": claim.spent.epsilon_rdp, "mu": claim.spent.mu},
        "purposes": [vars(one) for one in purposes(ledger.spends, claim.delta)],
        "at": _rates(ledger.events, claim, FALSE_ALARMS),
        "curve": _rates(ledger.events, claim, rates),
        "odds": exp(min(claim.epsilon, 700)),
        "posterior": 1 / (1 + exp(-claim.epsilon)),
    }


def _rates(events: Sequence[Event], claim: Claim, rates: Sequence[float]) -> list[dict[str, float]]:
    spent = most_power(events, rates)
    return [
        {"false_alarms": rate, "by_budget": power_within(claim.epsilon, claim.delta, rate), "by_spends": power}
        for rate, power in zip(rates, spent, strict=True)
    ]
