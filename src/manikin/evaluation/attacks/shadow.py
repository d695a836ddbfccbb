"""Was this exposed person in the train data? An attacker who trains the same generator again and again, with and without the target.

Not assessed: an attacker who sees the model itself, and one who knows the generator's seed. Knows no generator: `refit` is given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset, concat
from manikin.data.errors import ManikinError
from manikin.data.seeds import derive, generator
from manikin.evaluation.attacks.base import AttackDefinition, attacking, least_rate, rate
from manikin.evaluation.attacks.hit_rates import FALSE_POSITIVES, named_rate, threshold_limits
from manikin.evaluation.attacks.membership_scores import Crowd, around, crowd
from manikin.evaluation.base import AttackResult, Rate, ThreatModel
from manikin.evaluation.boosters import one_thread
from manikin.evaluation.definition import Interval, UndefinedMetricError
from manikin.evaluation.features import embedding
from manikin.evaluation.intervals import delong, mean_interval
from manikin.evaluation.neighbours import nearest
from manikin.evaluation.prepared import Prepared, Sample, in_order

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]
MIN_ROWS = 40
MIN_TARGETS = 50
MAX_TARGETS = 500
SHARE = 0.1  # of the people on either side, those who are farthest from others, unless that makes fewer than MIN_TARGETS
MAX_CANDIDATES = 20_000
MAX_KNOWN = 5_000
MAX_RELEASE = 100_000
LEAST_REFITS, MOST_REFITS = 4, 256
K_ISOLATION = 5
STATISTICS = ("nearest", "rare_values", "fifth_nearest")
TINY = 1e-6
SHADOW = AttackDefinition(
    "shadow_membership",
    "Membership attack with shadow models (hit rate at 1 % false alarms)",
    ThreatModel(
        knows="holds the release, whole records of the targets, other real rows of the population, and the generator with its settings",
        wants="wants to know whether a person who is unlike others was among those that the generator learned from",
        succeeds="succeeds when he names a person who was, at a threshold that names 1 in 100 of those who were not",
        risk="membership",
    ),
)


@dataclass(frozen=True)
class Pool:
    """The rows that shadow generators learn from, in canonical order, and whom they decide about.

    Attributes
    ----------
    train, holdout : data sets; `real`, `held` their arrays, row by row.
    members, strangers : int64, the rows of `real` and of `held` that are targets, one of a patient.
    """

    train: Dataset
    holdout: Dataset
    real: Sample
    held: Sample
    members: Rows
    strangers: Rows

    @property
    def n_targets(self) -> int:
        """Members first, then strangers."""
        return len(self.members) + len(self.strangers)

    def half(self, is_in: Flags, rng: np.random.Generator) -> Dataset:
        """Rows to learn from: the targets that are in, and a random half of all other train patients; whole patients."""
        n_members = len(self.members)
        learned = rng.permutation(self.real.n_records) < self.real.n_records // 2
        learned[self.real.records[self.members]] = is_in[:n_members]
        strangers = self.held.records[self.strangers[is_in[n_members:]]]
        mine = self.train.take(np.flatnonzero(learned[self.real.records]))
        return concat([mine, self.holdout.take(np.flatnonzero(np.isin(self.held.records, strangers)))])


@attacking(SHADOW, min_rows=MIN_ROWS)
def shadow_membership(data: Prepared, *, seed: int) -> AttackResult:
    """True-positive rate at 1 % false positives among exposed people, by a likelihood-ratio attack with shadow generators; in [0, 1].

    After LiRA (Carlini et al. 2022, arXiv 2112.03570) on vulnerable records (Meeus et al. 2023, arXiv 2306.10308). Targets are the
    tenth of train patients, and of holdout patients, who are farthest from their fifth neighbour among other train rows (50 to 500 of
    each). The generator learns `n_refits` times from a random half of all train patients and of the targets; every target is in half
    of these. A target's nearness to a release (three measures; the one that tells best on the shadow releases is used) has a normal
    law when she was in and another when she was not, with means of her own and a common variance. The score is their log-ratio for
    the release at hand. The threshold names 1 % of the (target, shadow) pairs in which the target was out, each scored
    by the other shadows. The control are the holdout targets. Details: the same game on the shadow releases themselves.
    """
    if data.refit is None:
        raise UndefinedMetricError("the generator cannot be trained again here")
    n_shadows = max(LEAST_REFITS, min(data.n_refits, MOST_REFITS)) // 2 * 2
    with one_thread():
        pool, people = _pool(data, seed)
    is_in = _balanced(pool.n_targets, n_shadows, seed)
    measured, sizes = _shadows(data, pool, people, is_in, data.refit, seed)
    with one_thread():
        release = data.fake.draw(min(MAX_RELEASE, int(np.median(sizes))), seed, "shadow", "synthetic")
        ours = _nearness(people, embedding(data).points(release))
    games = [_game(values, is_in) for values in measured]
    best = max(range(len(STATISTICS)), key=lambda i: games[i].area)
    scores = _log_ratio(ours[best], *_laws(measured[best], is_in))
    return _result(pool, games[best], scores, STATISTICS[best], n_shadows, len(release))


def _pool(data: Prepared, seed: int) -> tuple[Pool, Crowd]:
    shared = [name for name in data.train.columns.names if name in data.holdout.columns]
    sides = [side if len(side.columns.names) == len(shared) else side.only(shared) for side in (data.train, data.holdout)]
    (train, real), (holdout, held) = (in_order(side, data.features) for side in sides)
    part = real.groups(2, seed, "shadow", "train")
    known = real.take(np.flatnonzero(part == 1)).draw(MAX_KNOWN, seed, "shadow", "known")
    candidates = [
        _one_each(real, np.flatnonzero(part == 0), seed, "members"),
        _one_each(held, np.arange(len(held)), seed, "strangers"),
    ]
    share = min(1.0, max(SHARE, MIN_TARGETS / max(1, min(map(len, candidates)))))
    points, fitted, chosen = embedding(data).points(known), embedding(data), []
    for side, rows, name in zip((real, held), candidates, ("members", "strangers"), strict=True):
        gaps = nearest(fitted.points(side.take(rows)), points, K_ISOLATION)[0][:, -1]
        exposed = rows[np.argsort(-gaps, kind="stable")[: max(1, round(share * len(rows)))]]
        drawn = generator(seed, "shadow", name, "drawn").permutation(len(exposed))[:MAX_TARGETS]
        chosen.append(np.sort(exposed[drawn]))
    pool = Pool(train, holdout, real, held, chosen[0], chosen[1])
    mine, others = (crowd(fitted, side.take(rows), known) for side, rows in ((real, chosen[0]), (held, chosen[1])))
    return pool, Crowd(np.vstack([mine.points, others.points]), np.vstack([mine.weights, others.weights]))


def _one_each(sample: Sample, rows: Rows, seed: int, name: str) -> Rows:
    """At most 20,000 of these rows, one of a patient."""
    rng = generator(seed, "shadow", name)
    order = rows[rng.permutation(len(rows))]
    first = np.unique(sample.records[order], return_index=True)[1]  # by patient, so that many rows give no better chance
    return np.asarray(np.sort(order[rng.permutation(first)[:MAX_CANDIDATES]]))


def _balanced(n_targets: int, n_shadows: int, seed: int) -> Flags:
    """In which shadow's data each target is, bool (n_targets, n_shadows): in half of them, drawn for each target alone."""
    rng = generator(seed, "shadow", "inside")
    return np.asarray(rng.permuted(np.tile(np.arange(n_shadows) % 2 == 0, (n_targets, 1)), axis=1))


def _shadows(
    data: Prepared, pool: Pool, people: Crowd, is_in: Flags, refit: Callable[[Dataset, int], Dataset], seed: int
) -> tuple[Floats, list[int]]:
    """Nearness of every target to every shadow release, (n_statistics, n_targets, n_shadows), and the releases' rows."""
    n_shadows = is_in.shape[1]
    measured, sizes = np.empty((len(STATISTICS), len(is_in), n_shadows)), []
    for i in range(n_shadows):
        rows = pool.half(is_in[:, i], generator(seed, "shadow", "half", str(i)))
        try:
            made = refit(rows, derive(seed, "shadow", i))
        except ManikinError as error:
            raise UndefinedMetricError("the generator could not learn from half of the patients") from error
        with one_thread():
            sample = in_order(made, data.features)[1].draw(MAX_RELEASE, seed, "shadow", "release")
            measured[:, :, i] = _nearness(people, embedding(data).points(sample))
        sizes.append(len(sample))
    return measured, sizes


def _nearness(people: Crowd, points: npt.NDArray[np.float32]) -> Floats:
    """How near a release comes to each target by each measure, (n_statistics, n_targets)."""
    near = around(people, points)
    fifth = near.distances[:, min(K_ISOLATION, near.distances.shape[1]) - 1]
    return -np.log(np.stack([near.distances[:, 0], near.rare, fifth]).astype(float) + TINY)


def _laws(values: Floats, is_in: Flags) -> tuple[Floats, Floats, float]:
    """Each target's mean nearness when in and when out, and the common variance around them."""
    inside, outside = (np.where(side, values, 0.0).sum(axis=1) / side.sum(axis=1) for side in (is_in, ~is_in))
    residual = values - np.where(is_in, inside[:, None], outside[:, None])
    return inside, outside, float((residual**2).mean()) + TINY


def _log_ratio(values: Floats, inside: Floats, outside: Floats, variance: float) -> Floats:
    """Log-likelihood ratio of having been in, for normal laws of one variance."""
    return np.asarray(((values - outside) ** 2 - (values - inside) ** 2) / (2 * variance))


@dataclass(frozen=True)
class Game:
    """The attack on the shadow releases, where it is known who was in.

    Attributes
    ----------
    scores : (n_targets, n_shadows), each by the laws that the other shadows give.
    threshold, limits : what one in a hundred of those who were out exceed, and the strictest and loosest threshold that this may be,
        counting each target as one draw.
    """

    scores: Floats
    is_in: Flags
    area: float
    area_interval: Interval
    threshold: float
    limits: tuple[float, float]

    @property
    def summary(self) -> dict[str, Any]:
        """For the details; pairs of one target are one cluster."""
        who = np.broadcast_to(np.arange(len(self.scores))[:, None], self.scores.shape)
        named = self.scores > self.threshold
        hits = mean_interval(named[self.is_in].astype(float), who[self.is_in])
        return {
            "n_pairs": int(self.is_in.sum()),
            "tpr": float(named[self.is_in].mean()),
            "tpr_interval": hits,
            "auc": self.area,
            "auc_interval": self.area_interval,
        }


def _game(values: Floats, is_in: Flags) -> Game:
    n_in, n_out = is_in.sum(axis=1, keepdims=True), (~is_in).sum(axis=1, keepdims=True)
    inside, outside, variance = _laws(values, is_in)
    without_in = (inside[:, None] * n_in - values) / np.maximum(n_in - 1, 1)  # means without the shadow that is judged
    without_out = (outside[:, None] * n_out - values) / np.maximum(n_out - 1, 1)
    scores = _log_ratio(
        values, np.where(is_in, without_in, inside[:, None]), np.where(is_in, outside[:, None], without_out), variance
    )
    who = np.broadcast_to(np.arange(len(values))[:, None], values.shape)
    area, spread = delong(scores[is_in], scores[~is_in], (who[is_in], who[~is_in]))
    half = 1.96 * spread**0.5
    others = np.sort(scores[~is_in])
    expected = FALSE_POSITIVES * (len(others) + 1)
    at, strict, loose = (
        float(others[-min(max(1, int(stretch * expected)), len(others))])
        for stretch in (1.0, *threshold_limits(len(values), FALSE_POSITIVES))
    )
    return Game(scores, is_in, area, (max(0.0, area - half), min(1.0, area + half)), at, (strict, loose))


def _result(pool: Pool, game: Game, scores: Floats, statistic: str, n_shadows: int, n_release: int) -> AttackResult:
    n = len(pool.members)
    named, is_likelier = np.stack([scores > threshold for threshold in (game.threshold, *game.limits)]), scores > 0
    found, control = (named_rate(part) for part in (named[:, :n], named[:, n:]))
    advantage, advantage_interval = _advantage(*(rate(int(p.sum()), len(p)) for p in (is_likelier[:n], is_likelier[n:])))
    area, variance = delong(scores[:n], scores[n:])
    half, power = 1.96 * variance**0.5, least_rate(n, FALSE_POSITIVES)
    return SHADOW.result(
        found.value,
        interval=found.interval,
        n=n,
        reference=control.value,
        reference_interval=control.interval,
        attack=found,
        control=control,
        baseline=Rate(FALSE_POSITIVES, (FALSE_POSITIVES, FALSE_POSITIVES), 0, 0),
        n_requested=MAX_TARGETS,
        power=power,
        details={
            "n_shadows": n_shadows,
            "n_release": n_release,
            "statistic": statistic,
            "auc": area,
            "auc_interval": (max(0.0, area - half), min(1.0, area + half)),
            "advantage": advantage,
            "advantage_interval": advantage_interval,
            "game": game.summary,
        },
        note=f"{n_shadows} shadow generators, each trained on half of the patients. A hit rate below {100 * power:.1f} % among {n} "
        "targets would hardly be told from 1 %.",
    )


def _advantage(found: Rate, control: Rate) -> tuple[float, Interval]:
    """The difference of two rates with Newcombe's interval (1998, method 10, here from the intervals that the rates have)."""
    gap = found.value - control.value
    low = gap - hypot(found.value - found.interval[0], control.interval[1] - control.value)
    high = gap + hypot(found.interval[1] - found.value, control.value - control.interval[0])
    return gap, (max(-1.0, low), min(1.0, high))
