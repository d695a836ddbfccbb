"""What comes at the next visit? A model of histories that learned from synthetic patients, asked about real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError
from manikin.evaluation.intervals import bootstrap_weights
from manikin.evaluation.records.codes import frequent, may_be_named, texts, visits_with
from manikin.evaluation.records.definition import of_patients
from manikin.evaluation.records.linked import LinkedData, Side

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MAX_INPUTS = 200  # codes of the history
MAX_TARGETS = 40  # codes that are predicted
MAX_STEPS = 3  # visits of a patient after which the next is asked for
MIN_CASES = 10  # of a code among the holdout's next visits, and as many without it
MIN_ROWS = 30
PENALTY = 1.0
N_DRAWS = 100
NEXT = Definition(
    "next_visit", "The next visit, trained on synthetic, tested on real", Section.UTILITY, Direction.REFERENCE, unit="patients"
)


@dataclass(frozen=True)
class Steps:
    """Histories and what came next.

    Attributes
    ----------
    inputs : (n_steps, n_inputs), codes of the last visit, log counts of all visits so far, and how many these are.
    targets : bool (n_steps, n_targets). patients : int64 (n_steps,).
    """

    inputs: Floats
    targets: npt.NDArray[np.bool_]
    patients: Ints


@of_patients(NEXT)
def next_visit(data: LinkedData, *, seed: int) -> MetricResult:
    """Mean AUROC over codes of predicting holdout patients' next visit by a model of synthetic patients; the reference by one of train's.

    In [0, 1], the nearer to the reference the better. Of each patient at most three visits are drawn that are not her last. The model is
    logistic regression with a ridge (one for each code) of what the visit held, how often each code occurred so far (logarithm of
    1 + count), and the number of visits; 200 codes as inputs, the 40 most common as targets where the holdout's next visits hold ten with
    and ten without.
    Both models learn from as many patients. Intervals are a bootstrap of the holdout's patients. `details.excess` is
    (TSTR - 0.5) / (TRTR - 0.5); `details.codes` has each code's AUROC by both.
    """
    real, held, fake = data.drawn(seed)
    items = frequent(data, MAX_INPUTS)
    if not len(items):
        raise UndefinedMetricError("no code occurs in the train data")
    n = min(len(real), len(fake))
    sides = [_steps(data, side, items, seed, name, n) for side, name in ((fake, "synthetic"), (real, "train"), (held, "holdout"))]
    for steps, name in zip(sides, ("release", "train data", "holdout"), strict=True):
        if len(steps.patients) < MIN_ROWS:
            raise UndefinedMetricError(f"fewer than {MIN_ROWS} visits of the {name} have a next one")
    test = sides[2]
    cases = test.targets.sum(axis=0)
    asked = np.flatnonzero((cases >= MIN_CASES) & (len(test.targets) - cases >= MIN_CASES))
    if not len(asked):
        raise UndefinedMetricError(f"no code is at {MIN_CASES} of the holdout's next visits and missing at as many")
    weights = np.concatenate(
        [np.ones((1, len(test.patients)), dtype=np.float32), bootstrap_weights(test.patients, N_DRAWS, generator(seed, "next visit"))]
    )
    areas = [_areas(_learned(steps, asked), test, asked, weights) for steps in sides[:2]]
    means = [area.mean(axis=0) for area in areas]
    ends = [tuple(float(q) for q in np.nanquantile(mean[1:], [0.025, 0.975])) for mean in means]
    gain = float(means[1][0]) - 0.5
    chosen = frequent(data, MAX_TARGETS)[asked]
    named, texts_of = may_be_named(data, chosen), texts(data.vocabulary, chosen)
    codes: list[dict[str, Any]] = [
        {"code": text, "tstr": float(areas[0][i, 0]), "trtr": float(areas[1][i, 0]), "n_cases": int(cases[asked[i]])}
        for i, text in enumerate(texts_of)
        if named[i]
    ]
    codes.sort(key=lambda row: (row["tstr"] - row["trtr"], row["code"]))
    return NEXT.result(
        float(means[0][0]),
        interval=(ends[0][0], ends[0][1]),
        n=int(test.patients.max()) + 1,
        reference=float(means[1][0]),
        reference_interval=(ends[1][0], ends[1][1]),
        details={
            "gap": float(means[0][0] - means[1][0]),
            "gap_interval": [float(q) for q in np.nanquantile((means[0] - means[1])[1:], [0.025, 0.975])],
            "excess": (float(means[0][0]) - 0.5) / gain if gain > 0.005 else None,
            "n_codes": len(asked),
            "n_steps": {"synthetic": len(sides[0].patients), "train": len(sides[1].patients), "holdout": len(test.patients)},
            "codes": codes,
        },
    )


def _steps(data: LinkedData, side: Side, items: Ints, seed: int, name: str, n: int) -> Steps:
    of = side.history
    matrix, _ = visits_with(side, items, len(data.vocabulary.items))
    patient = of.patient[of.visit_starts]
    has_next = np.flatnonzero(patient[1:] == patient[:-1])
    rng = generator(seed, "next visit", name)
    allowed = np.zeros(len(side), dtype=bool)
    allowed[rng.permutation(len(side))[: n if name != "holdout" else len(side)]] = True
    has_next = rng.permutation(has_next[allowed[patient[has_next]]])
    order = has_next[np.argsort(patient[has_next], kind="stable")]
    first = np.searchsorted(patient[order], patient[order], "left")
    chosen = np.sort(order[np.arange(len(order)) - first < MAX_STEPS])
    begin = np.searchsorted(patient, patient[chosen], "left")
    total = _running(matrix, chosen, begin)
    last = np.asarray(matrix[chosen].todense(), dtype=float)
    inputs = np.column_stack([last, np.log1p(total), np.log1p(chosen - begin)])
    wanted = np.searchsorted(items, frequent(data, MAX_TARGETS))
    targets = np.asarray(matrix[chosen + 1][:, wanted].todense()) > 0
    _, dense = np.unique(patient[chosen], return_inverse=True)
    return Steps(inputs, targets, dense.reshape(-1))


def _running(matrix: Any, chosen: Ints, begin: Ints) -> Floats:
    """How often each code occurred from the patient's first visit to each chosen one, (n_chosen, n_items): one sparse product."""
    from scipy.sparse import csr_matrix

    lengths = chosen - begin + 1
    rows = np.repeat(np.arange(len(chosen)), lengths)
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    design = csr_matrix(
        (np.ones(len(rows), dtype=np.float32), (rows, np.repeat(begin, lengths) + within)), shape=(len(chosen), matrix.shape[0])
    )
    return np.asarray((design @ matrix).todense(), dtype=float)


@dataclass(frozen=True)
class _Model:
    """Logistic regressions of several codes at once, on standardised inputs."""

    centre: Floats
    scale: Floats
    weights: Floats

    def scores(self, inputs: Floats) -> Floats:
        """Log-odds of each code, (n_steps, n_targets)."""
        X = (inputs - self.centre) / self.scale
        return np.asarray(X @ self.weights[1:] + self.weights[0])


def _learned(steps: Steps, asked: Ints) -> _Model:
    """All regressions in one minimisation by L-BFGS: their losses add up and share the matrix products."""
    from scipy.optimize import minimize
    from scipy.special import expit

    centre, scale = steps.inputs.mean(axis=0), steps.inputs.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    X = np.column_stack([np.ones(len(steps.inputs)), (steps.inputs - centre) / scale])
    Y = steps.targets[:, asked].astype(float)
    shape = (X.shape[1], Y.shape[1])

    def loss(flat: Floats) -> tuple[float, Floats]:
        """Mean log-loss with the ridge, and its gradient."""
        W = flat.reshape(shape)
        Z = X @ W
        penalty = PENALTY / len(X)
        value = float((np.logaddexp(0, Z) - Y * Z).sum() / len(X) + 0.5 * penalty * (W[1:] ** 2).sum())
        gradient = X.T @ (expit(Z) - Y) / len(X)
        gradient[1:] += penalty * W[1:]
        return value, gradient.ravel()

    start = np.zeros(shape)
    share = np.clip(Y.mean(axis=0), 1e-4, 1 - 1e-4)
    start[0] = np.log(share / (1 - share))
    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return _Model(centre, scale, np.asarray(found.x).reshape(shape))


def _areas(model: _Model, test: Steps, asked: Ints, weights: npt.NDArray[np.float32]) -> Floats:
    """AUROC of each code, on the holdout and on each draw of its patients, (n_codes, 1 + N_DRAWS); ties count half."""
    scores = model.scores(test.inputs)
    made = np.empty((len(asked), len(weights)))
    for i, target in enumerate(asked):
        order = np.argsort(scores[:, i], kind="stable")
        ordered, is_case = scores[order, i], test.targets[order, target]
        w = weights[:, order].astype(float)
        cases, others = np.where(is_case, w, 0.0), np.where(is_case, 0.0, w)
        below = np.cumsum(others, axis=1)
        # scores that are alike stand in the middle of their run
        first = np.searchsorted(ordered, ordered, "left")
        last = np.searchsorted(ordered, ordered, "right") - 1
        before = np.where(first > 0, below[:, first - 1], 0.0)
        rank = (before + below[:, last]) / 2
        size = cases.sum(axis=1) * others.sum(axis=1)
        made[i] = np.where(size > 0, (cases * rank).sum(axis=1) / np.maximum(size, 1e-300), np.nan)
    return made
