"""Adapter of ForestDiffusion (arXiv 2309.09968): flow matching whose regressions are boosted trees of xgboost, one set a class.

    python forestdiffusion_run.py --model flow+n_t=10 --train train.csv --out synthetic.csv --rows N --seed S --cost cost.json

`flow` alone keeps the defaults: 50 noise levels, each row with 100 noises, 100 trees of depth 7 for each column,
level and class. What stands behind `+` is passed on (`flow+n_t=10+duplicate_K=10`): the defaults take hours of one
thread even on hundreds of rows. The class (target.txt in the table's folder) is what the models are split by.

* It takes numbers only. Text becomes codes: two levels are declared binary, more are declared categorical (the
  package makes dummies of them).
* Missing numbers stay missing while fitting, which it can do; what it makes has none, so numbers are emptied at
  random at train's rate. Missing categories are a level of their own (`missing_cells.py`).
* The package finds a column's dummies by a part of their name ("1_" is in "11_2" too), which mixes columns up.
  Categorical columns are put first, where no number ends with another; that works for ten of them, and a table with
  more is refused.
"""

from __future__ import annotations

import json
from pathlib import Path

import adapter  # first: it holds the thread pools
import missing_cells
import pandas as pd
from ForestDiffusion import ForestDiffusionModel

MOST_CATEGORICAL = 10


def main() -> None:
    """Fits and samples as the command line says."""
    job = adapter.parse("ForestDiffusion", ["flow"])
    target = Path(job.train).with_name("target.txt").read_text().strip()
    chosen = {key: json.loads(value) for key, value in (part.split("=", 1) for part in job.model.split("+")[1:])}
    levels: dict[str, pd.Index] = {}
    order: list[str] = []
    rates: dict[str, float] = {}

    def fit(train: pd.DataFrame, cost: adapter.Cost) -> ForestDiffusionModel:
        whole, found = missing_cells.filled(train)
        rates.update(found)
        if train.isna().to_numpy().any():
            cost.notes.append("ForestDiffusion makes no missing values: restored at train's rate by the adapter")
        cost.notes.extend(f"{key} {value}" for key, value in chosen.items())
        coded = train.copy()
        for name in train.columns:
            if name == target or not pd.api.types.is_numeric_dtype(train[name]):
                coded[name], found_levels = pd.factorize(whole[name], sort=True)
                levels[name] = pd.Index(found_levels)
        inputs = [name for name in train.columns if name != target]
        categorical = [name for name in inputs if len(levels.get(name, ())) > 2]
        binary = [name for name in inputs if name in levels and name not in categorical]
        if len(categorical) > MOST_CATEGORICAL:
            raise SystemExit(f"{len(categorical)} categorical columns: ForestDiffusion mixes up more than {MOST_CATEGORICAL}")
        order.extend([*categorical, *binary, *(name for name in inputs if name not in levels)])
        return ForestDiffusionModel(
            coded[order].to_numpy(float),
            label_y=coded[target].to_numpy(),
            cat_indexes=list(range(len(categorical))),
            bin_indexes=list(range(len(categorical), len(categorical) + len(binary))),
            n_jobs=1,
            nthread=1,
            seed=job.seed,
            **chosen,
        )

    def sample(model: ForestDiffusionModel, _: adapter.Cost) -> pd.DataFrame:
        drawn = pd.DataFrame(model.generate(batch_size=job.rows), columns=[*order, target])
        for name, values in levels.items():
            drawn[name] = values[drawn[name].round().astype(int)]
        return missing_cells.emptied(drawn, rates, job.seed)

    adapter.run(job, fit, sample, ["ForestDiffusion", "xgboost", "numpy", "pandas"])


if __name__ == "__main__":
    main()
