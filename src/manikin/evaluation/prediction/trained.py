"""The learners of one evaluation, each fitted once on synthetic and once on as many real rows, shared by all metrics.

Knows no metric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from manikin.data.seeds import generator
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import UndefinedMetricError
from manikin.evaluation.intervals import bootstrap_weights
from manikin.evaluation.prediction import scores
from manikin.evaluation.prediction.learners import LEARNERS, Predictor, fit
from manikin.evaluation.prediction.scores import Answers, decide
from manikin.evaluation.prediction.task import Task, task_of
from manikin.evaluation.prepared import Prepared, Sample

Floats = npt.NDArray[np.float64]
MAX_ROWS = 20_000
MIN_ROWS = 20
MIN_CHOICE = 10  # real rows of each of two classes that are kept back, for the headline learner to be chosen by them
N_BOOTSTRAP = 200
N_QUARTERS = 4


@dataclass(frozen=True)
class Pair:
    """One learner, twice.

    Attributes
    ----------
    synthetic, real : the model from synthetic and from real rows.
    tstr, trtr : their answers on the holdout.
    tsts : answers on synthetic rows kept back, of a model from other synthetic rows.
    own : answers on train rows kept back, of a model from other train rows: what learners are chosen by.
    """

    synthetic: Predictor
    real: Predictor
    tstr: Answers
    trtr: Answers
    tsts: Answers
    own: Answers


@dataclass(frozen=True)
class Trained:
    """All learners' models of one task.

    Attributes
    ----------
    held : the test rows, at most 20,000 of the holdout, or 10,000 with more than two classes.
    pairs : learner -> its two models and their answers.
    n : rows that each side offers to learn from.
    is_chosen_apart : whether `headline` was chosen by train rows kept back; otherwise the holdout chose.
    """

    task: Task
    held: Sample
    pairs: dict[str, Pair]
    n: int
    headline: str
    is_chosen_apart: bool
    seed: int

    @cached_property
    def weights(self) -> Floats:
        """Ones, then 200 samples of the holdout's patients with replacement, (201, n_held)."""
        drawn = bootstrap_weights(self.held.records, N_BOOTSTRAP, generator(self.seed, "tstr", "bootstrap"))
        return np.concatenate([np.ones((1, len(self.held))), drawn])


def trained(data: Prepared, seed: int) -> Trained:
    """The fitted learners; fitted once.

    Raises
    ------
    UndefinedMetricError : there is no target, or too few rows hold a value of it, or it has a single value in train or holdout.
    """
    key = ("trained", seed)
    if key not in data.memory:
        data.memory[key] = _trained(data, seed)
    made: Trained = data.memory[key]
    return made


def answers(predictor: Predictor, sample: Sample) -> Answers:
    """A model's answers on these rows."""
    predicted = predictor.predict(sample)
    return Answers(predictor.task.truth(sample), predicted, decide(predicted, predictor.shares))


def half_predictors(data: Prepared, seed: int, side: str) -> tuple[Predictor, Predictor]:
    """The headline learner fitted on each of two halves of the train (`side` "real") or synthetic rows ("fake"); fitted once."""
    key = ("half predictors", seed, side)
    if key not in data.memory:
        of = trained(data, seed)
        sample = of.task.with_target(getattr(data, side))
        n = min(of.n, *(len(of.task.with_target(whole)) // 2 for whole in (data.real, data.fake)))  # equal on both sides
        halves = zip(sample.halves(seed, "tstr", side), ("first", "second"), strict=True)
        parts = [half.draw(n, seed, "tstr", "halves", side, name) for half, name in halves]
        if min(len(part) for part in parts) < MIN_ROWS:
            whose = "train" if side == "real" else "synthetic"
            raise UndefinedMetricError(f"half of the {whose} rows are fewer than {MIN_ROWS}")
        with one_thread():
            data.memory[key] = tuple(fit(of.headline, of.task, part, seed) for part in parts)
    made: tuple[Predictor, Predictor] = data.memory[key]
    return made


def _trained(data: Prepared, seed: int) -> Trained:
    task = task_of(data)
    real, held, fake = (task.with_target(side) for side in (data.real, data.held, data.fake))
    most = MAX_ROWS if task.n_classes <= 2 else MAX_ROWS // 2  # learners and scores cost by the class
    n = min(len(real), len(fake), most)
    held = held.draw(most, seed, "tstr", "holdout")
    if min(n, len(held)) < MIN_ROWS:
        raise UndefinedMetricError(f"fewer than {MIN_ROWS} rows hold a value of the target")
    for side, sample in (("train", real), ("holdout", held)):
        if len(np.unique(task.truth(sample))) < 2:
            raise UndefinedMetricError(f"the target has a single value in the {side} data")
    with one_thread():
        made = {side: _learned(task, sample, n, seed, side) for side, sample in (("synthetic", fake), ("train", real))}
        pairs = {}
        for name in LEARNERS:
            (synthetic, tsts), (own_real, own) = (made[side](name) for side in ("synthetic", "train"))
            pairs[name] = Pair(synthetic, own_real, answers(synthetic, held), answers(own_real, held), tsts, own)
    is_apart = _decides(task, pairs["linear"].own)
    best = {name: _headline(task, pair.own if is_apart else pair.trtr) for name, pair in pairs.items()}
    return Trained(task, held, pairs, n, max(best, key=lambda name: best[name]), is_apart, seed)


def _learned(task: Task, sample: Sample, n: int, seed: int, side: str) -> Callable[[str], tuple[Predictor, Answers]]:
    """How a learner becomes a model of `n` rows, and answers on a quarter that a model of other rows has not seen.

    Where three quarters of the rows are `n` or more, one model does both.
    """
    is_back = sample.groups(N_QUARTERS, seed, "tstr", "kept back", side) == 0
    rest, back = sample.take(np.flatnonzero(~is_back)), sample.take(np.flatnonzero(is_back))
    rest = rest.draw(n, seed, "tstr", side)
    back = back.draw(MAX_ROWS, seed, "tstr", "kept back rows", side)
    whole = rest if len(rest) == n else sample.draw(n, seed, "tstr", side)

    def learned(name: str) -> tuple[Predictor, Answers]:
        """The model of one learner, and its answers on the rows kept back."""
        model = fit(name, task, whole, seed)
        other = model if whole is rest else fit(name, task, rest, seed)
        return model, answers(other, back)

    return learned


def _decides(task: Task, own: Answers) -> bool:
    """Whether the rows kept back are enough to choose a learner by."""
    if task.n_classes == 0:
        return len(own.truth) >= 2 * MIN_CHOICE and len(np.unique(own.truth)) > 1
    counts = np.sort(np.bincount(own.truth.astype(np.int64), minlength=2))
    return bool(counts[-2] >= MIN_CHOICE)


def _headline(task: Task, given: Answers) -> float:
    return float(np.nan_to_num(scores.headline(task, given, np.ones((1, len(given.truth))))[0], nan=-np.inf))
