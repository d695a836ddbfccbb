"""Does the release make models less fair? What learning from synthetic rows costs one group of patients more than all the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured
from manikin.evaluation.detection import Jury, areas_by_group, verdict
from manikin.evaluation.group_fidelity import likeness, with_subgroups, within_groups
from manikin.evaluation.groups import groups
from manikin.evaluation.prediction import by_group
from manikin.evaluation.prediction.by_group import Measured
from manikin.evaluation.prediction.scores import Answers, headline
from manikin.evaluation.prediction.trained import MIN_ROWS, Trained, answers, half_predictors, trained
from manikin.evaluation.prepared import Prepared

Floats = npt.NDArray[np.float64]
Figures = Mapping[str, Floats]
SUBGROUP_GAP = Definition("subgroup_gap", "What the release adds to gaps between groups", Section.FAIRNESS, Direction.LOWER)
MAX_SHAPED = 20_000
RIVAL = 0.03  # AUROC or R² below the headline learner's at which another learner is not looked at


@measured(SUBGROUP_GAP, min_rows=MIN_ROWS)
def subgroup_gap(data: Prepared, *, seed: int) -> MetricResult:
    """By how much the worst group falls farther behind all patients when the model learns from synthetic instead of real rows.

    With A the AUROC on the holdout, of the headline learner of `tstr`: (A_TSTR(all) - A_TSTR(group)) - (A_TRTR(all) - A_TRTR(group)), in
    [-1, 1]; 0 adds nothing, positive is worse. It is a difference of differences: what every group loses is `tstr`'s, and a group that
    is hard to predict with real rows too does not count. Of a number, RMSE over the standard deviation of all test rows takes A's place,
    with its sign turned. Groups are those of `representation`, single traits and two at once, with 50 test rows and 20 cases and as many
    others. The worst is the group whose gap is most surely large: the highest lower end of its interval, which is normal and Bonferroni
    over the groups. Its standard error is the bootstrap's (200 draws of the holdout's patients, all models on the same draws), widened
    for the luck of training: models from two halves of the same rows differ by luck alone, and `details.widened` is by how much more
    than the bootstrap says. The reference is the figure with one half of train in the place of the synthetic rows, the other as real.
    """
    of = trained(data, seed)
    named = by_group.measurable(of.task, of.held, groups(data))
    if not named.groups:
        raise UndefinedMetricError(
            f"no group of patients holds {by_group.MIN_ROWS} holdout rows and {by_group.MIN_CASES} cases; groups are made of the columns "
            "that schema.toml marks as quasi-identifiers or sensitive"
        )
    pair = of.pairs[of.headline]
    first, second = (_figures(of, named, made) for made in (pair.tstr, pair.trtr))
    gaps = _gaps(of, named, pair.tstr, pair.trtr)
    halves = _between_halves(data, of, named, seed)
    luck = _luck(halves)
    widened = (1 + luck * _share_learned(data, of, seed)) ** 0.5
    worst, intervals = _worst(gaps, widened)
    reference, reference_interval, note = _reference(data, of, halves, luck, seed)
    made = SUBGROUP_GAP.result(
        gaps[worst, 0],
        interval=intervals[worst],
        n=len(of.held),
        reference=reference,
        reference_interval=reference_interval,
        details={
            "target": of.task.target.name,
            "learner": of.headline,
            "measure": by_group.headline_name(of.task),
            "worst_group": named.groups[worst].name,
            "n_groups": len(named.groups),
            "n_too_small": named.n_small,
            "n_too_few_cases": named.n_few_cases,
            "widened": widened,
            "n_surely_worse": sum(low > 0 for low, _ in intervals),
            "overall": {side: _first(part[-1]) for side, part in (("tstr", first), ("trtr", second))},
            "groups": _rows(named, first, second, gaps, intervals),
            "gaps": by_group.spreads(of.task, named, first, second, widened),
            "learners": _learners(of, named, widened),
            "fidelity": _fidelity(data, seed),
        },
        note=note,
    )
    return with_subgroups(made, {group.name: float(gaps[i, 0]) for i, group in enumerate(named.groups)})


def _figures(of: Trained, named: Measured, given: Answers) -> list[Figures]:
    """The figures of every group, those of all test rows last."""
    spread = _spread(of, given)
    parts = [by_group.figures(of.task, given.take(rows), of.weights[:, rows], spread) for rows in named.rows]
    return [*parts, by_group.figures(of.task, given, of.weights, spread)]


def _gaps(of: Trained, named: Measured, first: Answers, second: Answers) -> Floats:
    """What the first model adds to each group's gap over the second's, (n_groups, n_draws); positive is worse."""
    behind = []
    for given in (first, second):
        spread = _spread(of, given)
        parts = [by_group.headline(of.task, given.take(rows), of.weights[:, rows], spread) for rows in named.rows]
        behind.append(by_group.headline(of.task, given, of.weights, spread) - np.asarray(parts))
    return np.asarray((behind[0] - behind[1]) * (1.0 if of.task.n_classes else -1.0))


def _spread(of: Trained, given: Answers) -> float:
    return 1.0 if of.task.n_classes else float(np.std(given.truth.astype(float)))


def _worst(gaps: Floats, widened: float) -> tuple[int, list[tuple[float, float]]]:
    """The group whose gap is most surely large, and every group's interval, Bonferroni over the groups."""
    from scipy.special import ndtri

    half = widened * float(ndtri(1 - 0.025 / len(gaps))) * np.nanstd(gaps[:, 1:], axis=1, ddof=1)
    low, high = gaps[:, 0] - half, gaps[:, 0] + half
    return int(np.argmax(np.nan_to_num(low, nan=-np.inf))), list(zip(low.tolist(), high.tolist(), strict=True))


def _between_halves(data: Prepared, of: Trained, named: Measured, seed: int) -> dict[str, Floats]:
    """The gaps that one half of the train rows, and of the synthetic rows, adds over the other half: luck alone."""
    made = {}
    for side in ("real", "fake"):
        try:
            models = half_predictors(data, seed, side)
        except UndefinedMetricError:
            continue
        made[side] = _gaps(of, named, *(answers(model, of.held) for model in models))
    return made


def _luck(halves: Mapping[str, Floats]) -> float:
    """How much larger the squared gaps between halves are, on the mean over groups, than their variance over draws, less 1; at least 0."""
    squares = [gaps[:, 0] ** 2 / np.maximum(np.nanvar(gaps[:, 1:], axis=1, ddof=1), 1e-12) for gaps in halves.values()]
    return max(0.0, float(np.nanmean(np.concatenate(squares))) - 1) if squares else 0.0


def _share_learned(data: Prepared, of: Trained, seed: int) -> float:
    """Rows of a half over rows of a whole model: the variance by training falls as the rows grow."""
    try:
        return half_predictors(data, seed, "real")[0].n_train / of.pairs[of.headline].real.n_train
    except UndefinedMetricError:
        return 1.0


def _reference(
    data: Prepared, of: Trained, halves: Mapping[str, Floats], luck: float, seed: int
) -> tuple[float, tuple[float, float] | None, str]:
    if "real" not in halves:
        return 0.0, None, "Train is too small to be halved: the reference is 0, what a release adds that adds nothing."
    worst, intervals = _worst(halves["real"], (1 + luck) ** 0.5)
    n, usual = half_predictors(data, seed, "real")[0].n_train, of.pairs[of.headline].real.n_train
    note = f"The reference's models learned from {n} rows each, those of the figure from {usual}." if n < usual else ""
    return float(halves["real"][worst, 0]), intervals[worst], note


def _rows(
    named: Measured, first: list[Figures], second: list[Figures], gaps: Floats, intervals: list[tuple[float, float]]
) -> list[dict[str, Any]]:
    """Every group's figures with both models, most surely worse first."""
    rows = []
    for i, group in enumerate(named.groups):
        row: dict[str, Any] = {"group": group.name, "columns": group.columns, "n": len(named.rows[i]), "n_cases": named.n_cases[i]}
        row |= {"added": gaps[i, 0], "added_interval": list(intervals[i]), "is_worse": intervals[i][0] > 0}
        rows.append(row | {"tstr": _first(first[i]), "trtr": _first(second[i])})
    return sorted(rows, key=lambda row: (-row["added_interval"][0], row["group"]))


def _first(figures: Figures) -> dict[str, float]:
    return {name: float(draws[0]) for name, draws in figures.items()}


def _learners(of: Trained, named: Measured, widened: float) -> dict[str, dict[str, Any]]:
    """The worst group with each learner that does nearly as well on real rows: one of another kind may see what the headline's cannot."""
    made: dict[str, dict[str, Any]] = {}
    ones = of.weights[:1]
    best = headline(of.task, of.pairs[of.headline].trtr, ones)[0]
    for name, pair in of.pairs.items():
        if headline(of.task, pair.trtr, ones)[0] < best - RIVAL:
            continue
        gaps = _gaps(of, named, pair.tstr, pair.trtr)
        worst, intervals = _worst(gaps, widened)
        made[name] = {"worst_group": named.groups[worst].name, "added": float(gaps[worst, 0]), "added_interval": list(intervals[worst])}
    return made


def _fidelity(data: Prepared, seed: int) -> dict[str, dict[str, Any]]:
    """How much farther the worst group's rows are from real ones than all rows are, each beside fresh real rows.

    `c2st` is there where it was measured before, since its classifiers are dear.
    """
    made = {}
    n = data.equal_n(MAX_SHAPED)
    real = data.real.draw(MAX_SHAPED, 0, "groups", "rows")
    sides = data.fake.draw(n, 0, "groups", "equal"), data.held.draw(n, 0, "groups", "equal")
    whole = [float(np.mean([s for f in data.features if (s := likeness(real, side, f)) is not None] or [np.nan])) for side in sides]
    shapes = {name: (reference - score) - (whole[1] - whole[0]) for name, (score, reference) in within_groups(data).items()}
    if shapes:
        made["column_shapes"] = _worst_of(shapes) | {"loss": whole[1] - whole[0]}
    juries: tuple[Jury, Jury | None] | None = data.memory.get(("juries", seed))
    if juries is not None and juries[1] is not None:
        mine, theirs = (areas_by_group(jury, groups(data)) for jury in (juries[0], juries[1]))
        loss = verdict(juries[0])[0] - verdict(juries[1])[0]
        areas = {name: area - theirs[name] - loss for name, area in mine.items() if name in theirs}
        if areas:
            made["c2st"] = _worst_of(areas) | {"loss": loss}
    return made


def _worst_of(values: Mapping[str, float]) -> dict[str, Any]:
    worst = max(values, key=lambda name: (values[name], name))
    return {"worst_group": worst, "added": values[worst], "n_groups": len(values)}

