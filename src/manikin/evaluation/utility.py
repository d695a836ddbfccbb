"""Is the release good for the work that real data are good for? A model trained on synthetic rows, tested on real ones (TSTR)."""

from __future__ import annotations

from typing import Any

import numpy as np

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, measured
from manikin.evaluation.group_fidelity import with_subgroups
from manikin.evaluation.groups import groups
from manikin.evaluation.prediction import scores
from manikin.evaluation.prediction.comparison import compared
from manikin.evaluation.prediction.trained import MIN_ROWS, Trained, trained
from manikin.evaluation.prepared import Prepared

MIN_GROUP_ROWS, MIN_GROUP_CASES = 50, 10  # holdout rows of a group, and cases of its second most frequent class
TSTR = Definition("tstr", "Model trained on synthetic, tested on real (TSTR)", Section.UTILITY, Direction.REFERENCE)


@measured(TSTR, min_rows=MIN_ROWS)
def tstr(data: Prepared, *, seed: int) -> MetricResult:
    """AUROC (R² for a number) on the holdout of a model trained on synthetic rows; the reference trained on as many train rows (TRTR).

    Four learners: gradient-boosted trees, a linear model (logistic or ridge) on the shared embedding, a random forest, one small tree.
    The figure is of the one that does best on a quarter of train, having learned from the rest: the holdout has no say in the choice
    unless that quarter holds fewer than ten cases. Details hold all four, with the paired gap TSTR - TRTR and the excess TSTR,
    (TSTR - 0.5) / (TRTR - 0.5) for AUROC and TSTR / TRTR for R², which unlike the plain ratio does not saturate. TSTS is the same on
    synthetic rows kept back (a quarter): high where TSTR is low, the release agrees with itself and not with the patients.
    `measures` holds every score of `prediction.scores` in this way. Rows are flagged as cases where their probability is at least the
    share of cases in the training rows. `subgroups` and `details.groups` hold the figure among the rows of one group of patients
    alone, where it has 50 rows and 10 cases. Intervals are a bootstrap of the holdout's patients (200 draws, both models on the same
    draws): they carry the noise of the test, not of training.
    """
    of = trained(data, seed)
    learners = {name: compared(of.task, pair, of.weights) for name, pair in of.pairs.items()}
    best = learners[of.headline]
    within = _within_groups(data, of)
    made = TSTR.result(
        best["tstr"],
        interval=best["tstr_interval"],
        n=len(of.held),
        reference=best["trtr"],
        reference_interval=best["trtr_interval"],
        details={
            "target": of.task.target.name,
            "measure": of.task.measure,
            "headline": of.headline,
            "chosen_by": "train" if of.is_chosen_apart else "holdout",
            "n_train": of.n,
            "n_classes": of.task.n_classes,
            "learners": learners,
            "groups": within,
        },
    )
    return with_subgroups(made, {row["group"]: row["tstr"] for row in within})


def _within_groups(data: Prepared, of: Trained) -> list[dict[str, Any]]:
    """The headline learner's figure among the holdout rows of each group that has enough of them, both outcomes among them."""
    rows = []
    pair = of.pairs[of.headline]
    for group in groups(data):
        member = np.flatnonzero(group.holds(of.held))
        truth = pair.tstr.truth[member]
        counts = np.unique(truth, return_counts=True)[1]
        if of.task.target.name in group.columns or len(truth) < MIN_GROUP_ROWS or len(counts) < 2:
            continue
        if of.task.n_classes and np.sort(counts)[-2] < MIN_GROUP_CASES:
            continue
        one = np.ones((1, len(member)))
        figures = [float(scores.headline(of.task, made.take(member), one)[0]) for made in (pair.tstr, pair.trtr)]
        rows.append({"group": group.name, "n": len(member), "tstr": figures[0], "trtr": figures[1]})
    return rows
