"""One metric or attack of Manikin, metered: manikin_measure.py NAME TRAIN HOLDOUT SYNTHETIC TARGET LIMIT."""

from __future__ import annotations

import sys

from metered import meter

from manikin.evaluation import METRICS
from manikin.evaluation.base import EvaluationData
from manikin.evaluation.suite import evaluate
from manikin.workflow.judge import shared_columns
from manikin.workflow.sources import read_alike

name, target = sys.argv[1], sys.argv[5]
real, (held, made) = read_alike(sys.argv[2], sys.argv[3:5])
data = EvaluationData(real, held, (made,), shared_columns(real, held, (made,)), target)


def run() -> object:
    chosen = {"metrics": [name], "attacks": []} if name in METRICS else {"metrics": [], "attacks": [name]}
    found = evaluate(data, seed=0, with_views=False, **chosen)[name]
    return found.value, found.interval, found.note


meter({name: run})
