"""Do rows keep the rules that bind their columns? Counts violations in real and synthetic rows; how a rule is checked is data's matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from manikin.data.dataset import Dataset
from manikin.data.rule_checks import combinations, violations
from manikin.data.rules import CombinationRule, Rule
from manikin.evaluation.base import Direction, MetricResult, Section
from manikin.evaluation.definition import Definition, UndefinedMetricError, measured
from manikin.evaluation.intervals import clopper_pearson
from manikin.evaluation.prepared import Prepared

Flags = npt.NDArray[np.bool_]
RULES = Definition("rule_violations", "Rows that break a rule", Section.VALIDITY, Direction.LOWER)


@measured(RULES, min_rows=1)
def rule_violations(data: Prepared, *, seed: int) -> MetricResult:
    """Share of synthetic rows that break at least one rule that a person confirmed; in [0, 1], must be 0.

    Without confirmed rules the offered ones are counted instead, and the note says so. The reference is the share of holdout rows.
    Details count every rule, confirmed or only offered, in train, holdout and synthetic rows.
    """
    del seed
    rules = [rule for rule in data.schema.rules if _holds_everywhere(rule, data)]
    if not rules:
        raise UndefinedMetricError("the schema has no rules")
    confirmed = [rule for rule in rules if rule.confirmed]
    judged = confirmed or rules
    fake, held, real = data.synthetic[data.release], data.holdout, data.train
    broken = {rule: tuple(_broken(rule, side, real) for side in (real, held, fake)) for rule in rules}
    n_fake = int(np.any([broken[rule][2] for rule in judged], axis=0).sum())
    n_held = int(np.any([broken[rule][1] for rule in judged], axis=0).sum())
    rows: list[dict[str, Any]] = [
        {
            "rule": rule.text,
            "kind": rule.kind,
            "confirmed": rule.confirmed,
            "train": int(in_real.sum()),
            "holdout": int(in_held.sum()),
            "synthetic": int(in_fake.sum()),
        }
        for rule, (in_real, in_held, in_fake) in broken.items()
    ]
    rows.sort(key=lambda row: (not row["confirmed"], -row["synthetic"], row["rule"]))
    return RULES.result(
        n_fake / len(fake),
        interval=clopper_pearson(n_fake, len(fake)),
        n=len(fake),
        reference=n_held / len(held),
        reference_interval=clopper_pearson(n_held, len(held)),
        details={"n_rules": len(judged), "n_violating_rows": n_fake, "rules": rows},
        note="" if confirmed else "No rule is confirmed; rules found in the data are counted instead.",
    )


def _holds_everywhere(rule: Rule, data: Prepared) -> bool:
    """Whether all three tables have the rule's columns."""
    sides = (data.train, data.holdout, data.synthetic[data.release])
    return all(name in side.table.frame.columns for side in sides for name in rule.columns)


def _broken(rule: Rule, side: Dataset, train: Dataset) -> Flags:
    """Which rows of a side break a rule; combinations that the rule does not list are those of train."""
    allowed = combinations(rule, train.table, train.columns) if isinstance(rule, CombinationRule) else None
    return np.asarray(violations(rule, side.table, side.columns, allowed=allowed), dtype=bool)
