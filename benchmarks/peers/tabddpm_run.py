"""Adapter of the original tabular diffusion (TabDDPM, arXiv 2209.15421): its authors' code as adapted in synthcity 0.2.12.

    python tabddpm_run.py --model ddpm+steps=2000 --train train.csv --out synthetic.csv --rows N --seed S --cost cost.json

The package requires a torch below 2.3; the peers here run on 2.13. Only its diffusion is imported, from a wheel
installed without its dependencies; what that asks for and does not use (hyperparameter search, time series, logging)
is stood in for by empty modules.

The recipe is the paper's: an MLP of three layers of 256, 1,000 diffusion steps in training and in sampling, cosine
schedule, numbers through normal quantiles (max(min(rows // 30, 1000), 10) of them), the class as a condition, drawn
at its shares in train. Learning rate 2e-3, falling linearly to nothing, and weight decay 1e-4: the defaults of the
module and of the authors' code; the paper tunes the rate and the layers for each table on a validation set. Batches
of 4,096, the larger of the two that the paper tries, or all rows when fewer; `+batch=256` is the other. Sampling
takes the last weights, not their average, as the authors do. The table's folder names the class in target.txt.

Where this departs from the authors' own pipeline:

* `+steps=N` (2,000 by default) is the number of updates; the paper trains for 5,000 or more. Sampling does not clip, so
  a network that does not yet know the noise at the first steps sends numbers to both ends of their range: some on
  heart and flchain after 2,000 updates, nearly all on support2. Those figures are of a model that is not trained out.
* synthcity counts epochs and lowers the rate once an epoch, so N is rounded up to whole epochs. Its batches are the
  same ones in each epoch, in the file's order.
* synthcity takes a column for a choice when it has ten values or fewer, and for a number otherwise. Numbers follow that
  rule here (their missing values are then a level too); columns of text are choices however many levels they have, as
  in the paper, whose data sets come with their choices named.
* synthcity's MLP sets the global seed to 0 whenever one is made, which would give all seeds the same noise; it is
  handed the job's.
* The original fills missing numbers with the mean or drops their rows; `missing_cells.py` fills them with the median
  and empties them again.
* The original moves numbers of few, whole values to the nearest value of train. `adapter.finish` rounds to the
  decimals of train.
"""

from __future__ import annotations

import math
import sys
import types
import warnings
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path

import adapter  # first: it holds the thread pools
import missing_cells
import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import QuantileTransformer

torch.set_num_threads(1)
warnings.filterwarnings("ignore", module="pydantic|synthcity|torch")
DEFAULTS = {"steps": 2000, "batch": 4096}
DIFFUSION_STEPS, FEW = 1000, 10
PACKAGES = ("", ".plugins", ".plugins.core", ".plugins.core.models", ".utils")  # entered without running their __init__.py
SERIES = ("InceptionTime", "InceptionTimePlus", "OmniScaleCNN", "ResCNN", "RNN_FCN", "TCN", "XceptionTime", "XCM")
UNUSED = ("optuna", "synthcity.logger", "synthcity.metrics.weighted_metrics", *(f"tsai.models.{name}" for name in SERIES))


class Empty(types.ModuleType):
    """A module that has every name, each a class that takes any arguments and does nothing."""

    def __getattr__(self, name: str) -> type:
        """The class of that name."""
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda *_, **__: None})


def diffusion() -> types.ModuleType:
    """synthcity's module of TabDDPM, imported without the package around it."""
    root = Path(str(metadata.distribution("synthcity").locate_file("synthcity")))
    for suffix in PACKAGES:
        package = types.ModuleType("synthcity" + suffix)
        package.__path__ = [str(root.joinpath(*suffix.split(".")))]
        sys.modules[package.__name__] = package
    sys.modules.update({name: Empty(name) for name in UNUSED})
    from synthcity.plugins.core.models import tabular_ddpm

    return tabular_ddpm


tabular_ddpm = diffusion()
tabular_ddpm.trange = partial(tabular_ddpm.trange, disable=True)


@dataclass
class Fitted:
    """The network with what turns its numbers back into the table's."""

    network: tabular_ddpm.TabDDPM
    numbers: list[str]
    quantiles: QuantileTransformer
    levels: dict[str, pd.Index]
    shares: np.ndarray
    rates: dict[str, float]


def fitted(train: pd.DataFrame, target: str, steps: int, batch: int, seed: int) -> Fitted:
    """Trains on everything but the target, which is the condition."""
    few = [name for name in train.select_dtypes("number") if train[name].nunique() <= FEW]
    whole, rates = missing_cells.filled(train.astype(dict.fromkeys(few, object)))
    coded = {name: pd.factorize(whole[name], sort=True) for name in whole if name == target or whole[name].dtype == object}
    levels = {name: pd.Index(values) for name, (_, values) in coded.items()}
    numbers = [name for name in whole if name not in levels]
    n_quantiles = max(min(len(whole) // 30, 1000), 10)
    quantiles = QuantileTransformer(output_distribution="normal", n_quantiles=n_quantiles, subsample=None, random_state=seed)
    frame = pd.DataFrame({name: codes for name, (codes, _) in coded.items() if name != target}, index=whole.index)
    if numbers:
        frame[numbers] = quantiles.fit_transform(whole[numbers])
    classes = pd.Series(coded[target][0], index=whole.index)
    # synthcity's own would take codes of more than ten levels for numbers
    tabular_ddpm.discrete_columns = lambda shown, **_: [(name, len(levels[name])) for name in shown if name in levels]
    network = tabular_ddpm.TabDDPM(
        n_iter=math.ceil(steps / math.ceil(len(frame) / batch)),
        batch_size=batch,
        num_timesteps=DIFFUSION_STEPS,
        is_classification=True,
        model_params={"n_layers_hidden": 3, "n_units_hidden": 256, "dropout": 0.0, "random_state": seed},
        device=torch.device("cpu"),
    ).fit(frame, cond=classes)
    return Fitted(network, numbers, quantiles, levels, np.bincount(classes) / len(classes), rates)


def main() -> None:
    """Fits and samples as the command line says."""
    job = adapter.parse("TabDDPM as adapted in synthcity", ["ddpm"])
    target = Path(job.train).with_name("target.txt").read_text().strip()
    chosen = DEFAULTS | {key: int(value) for key, value in (part.split("=") for part in job.model.split("+")[1:])}

    def fit(train: pd.DataFrame, cost: adapter.Cost) -> Fitted:
        batch = min(chosen["batch"], len(train))
        cost.notes.append(f"{chosen['steps']} updates, batches of {batch}, the class as a condition")
        if train.isna().to_numpy().any():
            cost.notes.append(missing_cells.NOTE.format("TabDDPM"))
        np.random.seed(job.seed)  # noqa: NPY002  (the module's seeds are global)
        torch.manual_seed(job.seed)
        return fitted(train, target, chosen["steps"], batch, job.seed)

    def sample(model: Fitted, _: adapter.Cost) -> pd.DataFrame:
        classes = np.random.default_rng(job.seed).choice(len(model.shares), size=job.rows, p=model.shares)
        drawn = model.network.generate(job.rows, cond=classes)  # the module makes 2,000 rows at a time
        drawn[target] = classes
        if model.numbers:
            drawn[model.numbers] = model.quantiles.inverse_transform(drawn[model.numbers])
        for name, values in model.levels.items():
            drawn[name] = values[drawn[name].astype(int)]
        return missing_cells.emptied(drawn, model.rates, job.seed)

    adapter.run(job, fit, sample, ["synthcity", "torch", "scikit-learn", "numpy", "pandas"])


if __name__ == "__main__":
    main()
