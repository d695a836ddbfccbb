"""Adapter of dpmm's private pipelines: aim (default), mst. Epsilon 1 for the model and 0.1 for the bins, delta 1/n, otherwise its defaults.

    python dpmm_run.py --model mst --train train.csv --out synthetic.csv --rows N --seed S --cost cost.json

`mst+epsilon=0.5` is another epsilon (the bins always have a tenth beside it). `mst+bounds` gives it the smallest and the largest value of
every number, which it otherwise buys; `aim+max_model_size=80` bounds the model in MB (its pipeline's default is no bound) and
`aim+n_iters=100` the steps of inference after each measurement (default 1,000, each begun from where the last ended). What it is given
for nothing, so that its epsilon covers less than ours does: the columns' types, the lists of categories, the number of rows, where
numbers are missing and their median, decimals. Whole numbers of at most ten values are declared categories, as the judge takes them. Its
noise and everything else that it draws through OpenDP comes from the operating system: a seed does not repeat a run.
"""

from __future__ import annotations

import warnings

import adapter  # first: it holds the thread pools
import missing_cells
import pandas as pd
from dpmm.pipelines import AIMPipeline, MSTPipeline

warnings.filterwarnings("ignore", module="dpmm|pandas|numpy|opendp", append=False)
MODELS = {"aim": AIMPipeline, "mst": MSTPipeline}
MOST_VALUES_OF_A_CODE = 10
SHARE_OF_BINS = 0.1


def typed(whole: pd.DataFrame) -> pd.DataFrame:
    """The table with codes of few values as categories; dpmm takes a column's dtype for what it is."""
    codes = [
        column
        for column in whole.select_dtypes("number")
        if whole[column].nunique() <= MOST_VALUES_OF_A_CODE and (whole[column] % 1 == 0).all()
    ]
    return whole.astype(dict.fromkeys([*codes, *whole.select_dtypes(exclude="number").columns], "category"))


def domain(whole: pd.DataFrame, bounds: bool) -> dict[str, dict]:
    """What dpmm is told about the columns: the categories, and the range of numbers with `bounds`."""
    known: dict[str, dict] = {}
    for column, values in whole.items():
        if isinstance(values.dtype, pd.CategoricalDtype):
            known[str(column)] = {"categories": values.cat.categories.tolist()}
        elif bounds:
            known[str(column)] = {"lower": values.min(), "upper": values.max()}
    return known


def main() -> None:
    """Fits and samples as the command line says."""
    job = adapter.parse("private pipelines of dpmm", list(MODELS))
    name, *variants = job.model.split("+")
    chosen = dict(variant.split("=", 1) for variant in variants if "=" in variant)
    epsilon = float(chosen.get("epsilon", 1))
    rates: dict[str, float] = {}

    def fit(train: pd.DataFrame, cost: adapter.Cost) -> AIMPipeline | MSTPipeline:
        if job.budget_minutes is not None:
            cost.notes.append("dpmm has no limit of its own: the budget is held by whoever started this")
        whole, found = missing_cells.filled(train)
        rates.update(found)
        if train.isna().to_numpy().any():
            cost.notes.append(missing_cells.NOTE.format("dpmm"))
        whole, bounds = typed(whole), "bounds" in variants
        cost.notes.append(f"epsilon {epsilon:g} and {SHARE_OF_BINS * epsilon:g} for bins beside it, delta 1/n")
        cost.notes.append(f"category lists{' and ranges of numbers' if bounds else ''} given from the data, unpaid")
        more = {"n_iters": int(chosen["n_iters"])} if "n_iters" in chosen else None
        model = MODELS[name](
            epsilon=epsilon,
            delta=1 / len(whole),
            proc_epsilon=SHARE_OF_BINS * epsilon,
            n_jobs=1,
            max_model_size=int(chosen["max_model_size"]) if "max_model_size" in chosen else None,
            gen_kwargs=more,
        )
        model.fit(whole, domain=domain(whole, bounds), random_state=job.seed)
        return model

    def sample(model: AIMPipeline | MSTPipeline, _: adapter.Cost) -> pd.DataFrame:
        made = model.generate(n_records=job.rows, random_state=job.seed + 1)
        return missing_cells.emptied(made.astype(object), rates, job.seed)

    adapter.run(job, fit, sample, ["dpmm", "opendp", "numpy", "pandas", "scikit-learn"])


if __name__ == "__main__":
    main()
