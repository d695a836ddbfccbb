"""How often attribute inference accuses a release that cannot know anyone: fresh real rows, in many random thirds of one table.

    python benchmarks/attribute_false_alarms.py ../shared/data/heart_uci/heart_4sites.csv --rows 735 --repeats 60

A third of the patients is train, one the holdout, one the release. An interval of 95 % lies wholly above 0 in 2.5 % of the repeats.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from manikin.evaluation.attacks.attribute_inference import attribute_inference
from manikin.evaluation.base import EvaluationData
from manikin.workflow.judge import shared_columns
from manikin.workflow.sources import read, target_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--repeats", type=int, default=60)
    given = parser.parse_args()
    data = read(given.table)
    found = []
    for seed in range(given.repeats):
        order = np.random.default_rng(seed).permutation(data.n_records)[: given.rows]
        train, holdout, fresh = (data.subset(part) for part in np.array_split(order, 3))
        schema = shared_columns(train, holdout, (fresh,))
        found.append(attribute_inference(EvaluationData(train, holdout, (fresh,), schema, target_of(data.columns)), seed=seed))
    lows, highs = (np.array([result.interval[i] for result in found]) for i in (0, 1))
    accused = f"accused {(lows > 0).sum()} of {len(found)}, highest lower end {lows.max():.3f}"
    print(f"{given.table.name}: {accused}, median upper end {np.median(highs):.3f}")


if __name__ == "__main__":
    main()
