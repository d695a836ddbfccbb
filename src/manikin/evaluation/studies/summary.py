"""From the trials of an augmentation study to its figures: means, paired differences from real rows, and what they say in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from manikin.evaluation.base import Direction
from manikin.evaluation.definition import clean
from manikin.evaluation.studies.measures import GAP, MEASURES, measure_of
from manikin.evaluation.studies.paired import ALPHA, corrected_t, holm

REAL = "real"
PRIMARY = ("auroc", "auprc")  # an arm is judged by these; the others are told beside them
HELPED, HURT, NEITHER = "helped", "hurt", "no visible difference"
Trials = Mapping[str, Sequence[Mapping[str, Any]]]  # arm -> its trial on each split


def compared(trials: Trials, *, test_to_train: float) -> list[dict[str, Any]]:
    """One line per arm, learner and figure: the mean over splits, and the paired difference from the real arm.

    `p` belongs to the difference alone, `p_holm` to a family: all arms and learners of that figure, AUROC and AUPRC together.
    """
    names = [name for name in trials if name != REAL]
    first = trials[REAL][0]["learners"]
    lines: list[dict[str, Any]] = []
    for learner, part in first.items():
        for measure in part["figures"]:
            real = _values(trials[REAL], learner, measure)
            lines.append({"arm": REAL, "learner": learner, "measure": measure, **_mean(real)})
            for arm in names:
                values = _values(trials[arm], learner, measure)
                lines.append(
                    {
                        "arm": arm,
                        "learner": learner,
                        "measure": measure,
                        **_mean(values),
                        **_paired(values, real, test_to_train),
                    }
                )
    measures = dict.fromkeys(line["measure"] for line in lines)
    for family_of in (PRIMARY, *((measure,) for measure in measures if measure not in PRIMARY)):
        family = [line for line in lines if line["measure"] in family_of and line["arm"] != REAL]
        for line, p in zip(family, holm([line["p"] for line in family]), strict=True):
            line["p_holm"] = p
            line["verdict"] = verdict(line)
    return list(clean(lines))


def groups_compared(trials: Trials, *, test_to_train: float) -> list[dict[str, Any]]:
    """The same per group; a group that has enough test rows in fewer than half of the splits, or in one only, is "too few"."""
    lines: list[dict[str, Any]] = []
    n_splits = len(trials[REAL])
    for learner, part in trials[REAL][0]["learners"].items():
        for column in part["groups"]:
            labels = sorted({label for trial in trials[REAL] for label in trial["learners"][learner]["groups"][column]})
            for label in labels:
                sizes = [trial["learners"][learner]["groups"][column].get(label) for trial in trials[REAL]]
                enough = sum(size is not None and size["figures"] is not None for size in sizes)
                head = {
                    "column": column,
                    "group": label,
                    "learner": learner,
                    "n_test": float(np.mean([size["n"] if size else 0 for size in sizes])),
                    "n_positive": float(np.mean([size["n_positive"] if size else 0 for size in sizes])),
                    "n_splits": enough,
                    "too_few": enough < max(2, (n_splits + 1) // 2),
                }
                lines += [{**head, "arm": arm, "figures": _of_group(trials, arm, head, test_to_train)} for arm in trials]
    return list(clean(lines))


def _of_group(trials: Trials, arm: str, head: Mapping[str, Any], test_to_train: float) -> dict[str, Any] | None:
    if head["too_few"]:
        return None
    made = {}
    for measure in (name for name, known in MEASURES.items() if known.is_of_group):
        values, real = ([_group_value(trial, head, measure) for trial in trials[side]] for side in (arm, REAL))
        made[measure] = _mean(values) | ({} if arm == REAL else _paired(values, real, test_to_train))
    return made


def _group_value(trial: Mapping[str, Any], head: Mapping[str, Any], measure: str) -> float | None:
    group = trial["learners"][head["learner"]]["groups"][head["column"]].get(head["group"])
    return None if group is None or group["figures"] is None else group["figures"][measure]


def _values(trials: Sequence[Mapping[str, Any]], learner: str, measure: str) -> list[float | None]:
    return [trial["learners"][learner]["figures"][measure] for trial in trials]


def _mean(values: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    return {"mean": float(np.mean(known)) if known else None, "n": len(known)}


def _paired(values: Sequence[float | None], real: Sequence[float | None], test_to_train: float) -> dict[str, Any]:
    differences = [a - b for a, b in zip(values, real, strict=True) if a is not None and b is not None]
    if not differences:
        return {"difference": None, "interval": None, "p": None}
    paired = corrected_t(differences, test_to_train=test_to_train)
    return {"difference": paired.mean, "interval": paired.interval, "p": paired.p}


def verdict(line: Mapping[str, Any]) -> str:
    """Whether an arm helped or hurt by one figure, by Holm's p; an overprediction has no better side and only differs."""
    p, difference = line.get("p_holm"), line.get("difference")
    if p is None or difference is None or p >= ALPHA:
        return NEITHER
    direction = measure_of(line["measure"]).direction
    if direction is Direction.REFERENCE:
        return "differs"
    return HELPED if (difference > 0) == (direction is Direction.HIGHER) else HURT


def sentences(
    lines: Sequence[Mapping[str, Any]], titles: Mapping[str, str], learner_titles: Mapping[str, str]
) -> list[dict[str, Any]]:
    """A plain sentence per arm and learner, by the paired intervals.

    The first half is the verdict on ranking (AUROC, AUPRC), corrected after Holm over all arms and learners; the second half names
    other figures whose own 95 % interval leaves zero out, without a correction and said so.
    """
    made = []
    for arm, learner in dict.fromkeys((line["arm"], line["learner"]) for line in lines if line["arm"] != REAL):
        own = {line["measure"]: line for line in lines if line["arm"] == arm and line["learner"] == learner}
        verdicts = {name: own[name]["verdict"] for name in PRIMARY}
        overall = _overall(list(verdicts.values()))
        figures = "; ".join(f"{measure_of(name).title} {_difference(own[name])}" for name in PRIMARY)
        text = f"{titles[arm]}, {learner_titles[learner]}: {_WORDS[overall]} ({figures})."
        seen = [
            f"{measure_of(name).title} {_difference(own[name])}" for name in own if name not in PRIMARY and _is_seen(own[name])
        ]
        if seen:
            text += f" Not corrected for looking often: {'; '.join(seen)}."
        made.append({"arm": arm, "learner": learner, "verdict": overall, "text": text})
    return made


def decided(told: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The sentences of the comparisons that came out one way or the other."""
    return tuple(line["text"] for line in told if line["verdict"] != NEITHER)


def headline(told: Sequence[Mapping[str, Any]]) -> str:
    """One sentence over all training sets and models.

    >>> headline([{"verdict": "helped"}, {"verdict": "no visible difference"}])
    'Of 2 comparisons with real rows alone, 1 ranked patients visibly better, 0 visibly worse.'
    """
    verdicts = [line["verdict"] for line in told]
    if all(verdict == NEITHER for verdict in verdicts):
        return f"In none of {len(verdicts)} comparisons with real rows alone were patients ranked visibly better or worse."
    better, worse, mixed = (verdicts.count(verdict) for verdict in (HELPED, HURT, "mixed"))
    text = (
        f"Of {len(verdicts)} comparisons with real rows alone, {better} ranked patients visibly better, {worse} visibly worse"
    )
    return f"{text}, {mixed} better by one figure and worse by the other." if mixed else f"{text}."


_WORDS = {
    HELPED: "it helped to rank patients",
    HURT: "it hurt the ranking of patients",
    NEITHER: "no visible difference in ranking patients",
    "mixed": "one ranking figure rose and the other fell",
}


def _overall(verdicts: Sequence[str]) -> str:
    if HELPED in verdicts and HURT in verdicts:
        return "mixed"
    return HELPED if HELPED in verdicts else HURT if HURT in verdicts else NEITHER


def _is_seen(line: Mapping[str, Any]) -> bool:
    interval = line.get("interval")
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def _difference(line: Mapping[str, Any]) -> str:
    if line.get("difference") is None:
        return "not measured"
    text = f"{line['difference']:+.3f}"
    interval = line["interval"]
    return text if interval is None else f"{text} [{interval[0]:+.3f}, {interval[1]:+.3f}]"


def is_gap(measure: str) -> bool:
    """Whether a figure is an equalised-odds gap."""
    return measure.startswith(GAP)
