"""Does the release repeat passages of real patients' histories, event for event?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.attacks.base import AttackDefinition, least_risk, rate, residual_risk
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.linked import LinkedData
from manikin.evaluation.records.runs import longest_runs

Ints = npt.NDArray[np.int64]
MIN_PATIENTS = 20
LEVEL = 0.99  # of the holdout patients share no longer run with train than the limit
COPIES = AttackDefinition(
    "trajectory_copies",
    "Verbatim passages of patients' histories",
    ThreatModel(
        knows="holds the release, and recognises a passage of a real history when he sees one",
        wants="wants passages of real patients' histories",
        succeeds="succeeds when a synthetic patient repeats, event for event, a longer passage of a train patient than 99 in 100 fresh "
        "patients would",
        risk="reconstruction",
    ),
    unit="synthetic patients",
)


@of_patients(COPIES, least=MIN_PATIENTS)
def trajectory_copies(data: LinkedData, *, seed: int) -> AttackResult:
    """Residual risk that a synthetic patient repeats a passage of a train patient verbatim, (a - c) / (1 - c); at most 1, about 0 is best.

    A passage is a run of consecutive events with the same tables, levels and numbers; times are not compared. Each synthetic patient's
    longest run in common with any train patient is held against a limit: the length that 99 % of one half of the holdout patients do
    not exceed, who share runs with train by chance alone (short panels, constant codes). The control is the share of the other half who
    exceed it; both halves set the limit in turn, and shares are pooled. Lengths are taken from a ladder (1, 2, 3, 4, 5, 6, 8, 10, 12,
    16, … 4,096). `details` has medians, upper quantiles and the longest run on both sides; where records are so alike that fresh
    patients share whole records, this attack can find nothing, and the note says so.
    """
    real, held, fake = data.drawn(seed)
    if min(len(side.history) for side in (real, held, fake)) == 0:
        raise UndefinedMetricError("a side has no events")
    made, fresh = longest_runs([fake.history, held.history], real.history)
    half = generator(seed, "trajectory copies").permutation(len(fresh)) % 2
    limits = [int(np.quantile(fresh[half == part], LEVEL, method="inverted_cdf")) for part in (0, 1)]
    side_of = generator(seed, "trajectory copies", "release").permutation(len(made)) % 2
    attack = rate(sum(int((made[side_of == part] > limits[part]).sum()) for part in (0, 1)), len(made))
    control = rate(sum(int((fresh[half != part] > limits[part]).sum()) for part in (0, 1)), len(fresh))
    risk, interval = residual_risk(attack, control)
    lengths = fresh[fresh > 0]
    is_blind = bool(len(lengths)) and bool((held.history.lengths <= max(limits)).mean() > 0.9)
    return COPIES.result(
        risk,
        interval=interval,
        n=attack.n,
        reference=0.0,
        attack=attack,
        control=control,
        baseline=Rate(1 - LEVEL, (1 - LEVEL, 1 - LEVEL), 0, 0),
        n_requested=len(made),
        power=least_risk(attack.n, control),
        details={
            "limit": max(limits),
            "synthetic": _told(made),
            "holdout": _told(fresh),
            "longer_than_any_fresh": float((made > fresh.max(initial=0)).mean()),
            "n_release": len(made),
        },
        note="Fresh patients share whole records with the train patients by chance, so that longer passages cannot be told."
        if is_blind
        else "",
    )


def _told(runs: Ints) -> dict[str, Any]:
    return {
        "median": float(np.median(runs)),
        "q95": float(np.quantile(runs, 0.95, method="inverted_cdf")),
        "longest": int(runs.max(initial=0)),
    }
