"""How few patients can be told apart: C2ST of linked patients at 20 to 60 a side, by trees of several least leaves and by a forest.

    python benchmarks/c2st_few.py TABLES/pbcseq --synthesizer markov --sizes 20,24,30,40,60 --draws 20

Made patients, whom `c2st` tells from real ones with ease where there are 62 of either, and as a control real patients against other real
ones (of train, disjoint). Seen is the share of draws in which the interval's lower end lies above 0.5: power, and of the control the false
alarms. TABLES are those of records_tables.py.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import manikin as mk
from manikin.data.dataset import Dataset
from manikin.evaluation import boosters, detection
from manikin.evaluation.prepared import Feature, Sample, prepare_sides
from manikin.evaluation.records.summary import per_patient, planned
from manikin.evaluation.records.vocabulary import tables_of_patients

LEAVES = {"leaf 20": 20, "leaf 5": 5}


class Forest:
    """A random forest in place of boosted trees."""

    def __init__(self, _: object, *, seed: int) -> None:
        self.seed = seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> Forest:
        """Learns."""
        from sklearn.ensemble import RandomForestClassifier

        self.model = RandomForestClassifier(100, random_state=self.seed & 0x7FFFFFFF).fit(X, y)
        return self

    def scores(self, X: np.ndarray) -> np.ndarray:
        """The share of trees that vote for the first side."""
        return self.model.predict_proba(X)[:, 1]


def boosted(leaf: int) -> type:
    """Boosted trees with a least number of rows in a leaf."""

    class Boosted(boosters.Booster):
        def fit(self, X: np.ndarray, y: np.ndarray) -> Boosted:
            from sklearn.ensemble import HistGradientBoostingClassifier

            self.columns_ = np.flatnonzero(~np.isnan(X).all(axis=0))
            self.model_ = HistGradientBoostingClassifier(
                max_iter=self.n_trees,
                categorical_features=[self.inputs.is_category[i] for i in self.columns_] or None,
                early_stopping=False,
                random_state=self.seed & 0x7FFFFFFF,
                min_samples_leaf=leaf,
            ).fit(self._cut(X), y)
            return self

    return Boosted


def summaries(folder: Path, synthesizer: str, seed: int) -> tuple[tuple[Feature, ...], dict[str, Sample]]:
    """Train, holdout and made patients as one row each."""
    schema = folder / "train" / "schema.toml"
    train, holdout = (mk.read(folder / part, schema=schema) for part in ("train", "holdout"))
    made: Dataset = mk.synthesizer(synthesizer).fit(train, seed=seed).sample(len(train), seed=seed)
    plan = planned(train, tables_of_patients(train.schema))
    rows = {name: per_patient(side, plan, side=name) for name, side in (("train", train), ("holdout", holdout), ("made", made))}
    features, samples = prepare_sides(plan.schema, list(rows.values()))
    return features, dict(zip(rows, samples, strict=True))


def main() -> None:
    """Prints a line per judge and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--synthesizer", default="markov")
    parser.add_argument("--sizes", default="20,24,30,40,60")
    parser.add_argument("--draws", type=int, default=20)
    asked = parser.parse_args()
    features, sides = summaries(asked.folder, asked.synthesizer, 0)
    judges = {name: boosted(leaf) for name, leaf in LEAVES.items()} | {"forest": Forest}
    print("judge    patients  made: AUC  seen   real: AUC  seen   CPU s")
    for n in map(int, asked.sizes.split(",")):
        for name, judge in judges.items():
            detection.Booster = judge
            begun, found = time.process_time(), {"made": [], "real": []}
            for draw in range(asked.draws):
                first, second = sides["train"].halves(draw, "few", "halves")
                held = sides["holdout"].draw(n, draw, "few", "holdout")
                pairs = {"made": (sides["made"].draw(n, draw, "few", "made"), held)}
                pairs |= {"real": (first.draw(n, draw, "a"), second.draw(n, draw, "b"))}
                for kind, (one, other) in pairs.items():
                    area, (low, _), _ = detection.verdict(detection.jury(features, one, other, seed=draw))
                    found[kind].append((area, low > 0.5))
            told = "   ".join(f"{np.mean([a for a, _ in own]):9.3f}  {np.mean([s for _, s in own]):4.2f}" for own in found.values())
            print(f"{name:8} {n:8}  {told}   {time.process_time() - begun:5.1f}", flush=True)


if __name__ == "__main__":
    main()
