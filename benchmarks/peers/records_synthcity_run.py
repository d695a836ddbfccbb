"""Adapter of synthcity's TimeGAN and TimeVAE on regular grids: the networks of its 0.2.12, without the package around them.

    python records_synthcity_run.py --model timegan --train FOLDER --out FOLDER --cost cost.json --judge judge.json --patients N --seed S

`timegan` is a GAN in the manner of Yoon et al. 2019, `timevae` a variational autoencoder, both with the layers, rates and penalties that
synthcity's plugins have by default, but for one: TimeVAE's plugin clips gradients to a norm of 0, which multiplies them all by nought, so
that weights only decay; its network's own default of 1 is taken. `timegan+iterations=200` caps their 1,000 epochs, `timegan+minutes=15`
ends them after the one in which so many CPU minutes have passed (the notes say after how many), `+steps=24` is the length of the grid
(48). The package requires a torch below 2.3 and a good deal that these networks do not use, which is stood in for by empty modules, as in
tabddpm_run.py.

They take regular grids without missing cells, so the adapter helps: events become hourly means (minutes are lost), a gap is filled with
the value before it, else with the median, and a second channel for each measurement says whether it was measured; drawn cells whose
channel says no are left out. The GAN's channel says no below 0; the autoencoder learns means, so that below 0 would be "never" for all
that is measured in fewer than half of the hours: its channel is taken for a chance and drawn from. Numbers go to [-1, 1] between the
0.1 % and the 99.9 % quantile of train. `+steps` must hold the longest record, or records are cut: icu_hourly needs 169.
"""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

# ruff: noqa: I001
import records_adapter as shared  # first: it holds the thread pools
import numpy as np
import pandas as pd
import torch

torch.set_num_threads(1)
SERIES = ("InceptionTime", "InceptionTimePlus", "OmniScaleCNN", "ResCNN", "RNN_FCN", "TCN", "TransformerModel", "XceptionTime", "XCM")
UNUSED = ("optuna", "opacus", "synthcity.utils.serialization", "synthcity.logger", "synthcity.metrics.weighted_metrics")
UNUSED += tuple(f"tsai.models.{name}" for name in SERIES)
PACKAGES = ("", ".plugins", ".plugins.core", ".plugins.core.models", ".utils")  # entered without running their __init__.py
STEPS, ITERATIONS, MINUTES = 48, 1000, 60
GENERATOR = {"n_layers_hidden": 2, "n_units_hidden": 150, "dropout": 0.01, "lr": 1e-3}
DISCRIMINATOR = {"n_layers_hidden": 3, "n_units_hidden": 300, "dropout": 0.1, "lr": 1e-3}


class Empty(types.ModuleType):
    """A module that has every name, each a class that takes any arguments and does nothing."""

    def __getattr__(self, name: str) -> type:
        """The class of that name."""
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda *_, **__: None})


def networks() -> tuple[type, type]:
    """TimeSeriesGAN and TimeSeriesVAE."""
    root = Path(str(metadata.distribution("synthcity").locate_file("synthcity")))
    for suffix in PACKAGES:
        package = types.ModuleType("synthcity" + suffix)
        package.__path__ = [str(root.joinpath(*suffix.split(".")))]
        sys.modules[package.__name__] = package
    sys.modules.update({name: Empty(name) for name in UNUSED})
    sys.modules["synthcity.logger"] = types.ModuleType("synthcity.logger")
    for level in ("debug", "info", "warning", "error"):
        setattr(sys.modules["synthcity.logger"], level, lambda *_: None)
    from synthcity.plugins.core.models.ts_gan import TimeSeriesGAN
    from synthcity.plugins.core.models.ts_vae import TimeSeriesVAE

    return TimeSeriesGAN, TimeSeriesVAE


TimeSeriesGAN, TimeSeriesVAE = networks()


class Scale:
    """Numbers between two quantiles of train to [-1, 1] and back."""

    def __init__(self, cells: pd.Series) -> None:
        self.low, self.high = (float(cells.quantile(share)) for share in (0.001, 0.999))
        self.median = float(cells.median())
        self.width = max(self.high - self.low, 1e-6)

    def there(self, cells: np.ndarray) -> np.ndarray:
        return np.clip(2 * (cells - self.low) / self.width - 1, -1, 1)

    def back(self, cells: np.ndarray) -> np.ndarray:
        return (cells + 1) / 2 * self.width + self.low


class Grid:
    """Arrays of statics (n, units) and of rows (n, steps, 2 x measurements), and back to tables."""

    def __init__(self, job: shared.Job, tables: shared.Tables) -> None:
        self.facts, self.layout = job.facts, shared.sequences(job.facts)
        (self.event,) = self.facts["events"]
        self.steps = int(job.options.get("steps", STEPS))
        self.columns = {name: list(table) for name, table in tables.items()}
        layout = self.layout
        assert layout.statics is not None
        self.statics = tables[layout.statics]
        self.per_step = MINUTES if self.event.get("unit") == "min" else 1
        cells = self.long(tables[layout.rows])
        self.codes = sorted(cells["code"].unique())
        self.scales = {code: Scale(part) for code, part in cells.groupby("code")["value"]}
        self.features = [name for name in self.statics if name != layout.key]
        self.levels = {name: sorted(self.statics[name].dropna().unique()) for name in self.features if name in layout.categories}
        self.static_scales = {name: Scale(self.statics[name]) for name in self.features if name not in self.levels}
        self.arrays = self.static_array(), self.row_array(cells)
        self.draw = np.random.default_rng(job.seed + 1) if job.model.startswith("timevae") else None

    def measured(self, channels: np.ndarray) -> np.ndarray:
        """Which cells are measured: drawn by the channel's chance where it is a mean, else where it is above 0."""
        return channels > 0 if self.draw is None else 2 * self.draw.random(channels.shape) - 1 < channels

    def long(self, rows: pd.DataFrame) -> pd.DataFrame:
        """key, step, code, value: means of each step."""
        key, time = self.layout.key, self.layout.time
        if self.event.get("wide"):
            cells = rows.melt([key, time], var_name="code").dropna(subset="value")
        else:
            cells = rows.rename(columns={self.event["code"]: "code", self.event["value"]: "value"}).dropna(subset="value")
        cells = cells.assign(step=cells[time] // self.per_step).query(f"step < {self.steps}")
        return cells.groupby([key, "step", "code"], as_index=False)["value"].mean()

    def static_array(self) -> np.ndarray:
        """Numbers with a channel for missing ones, levels (and none) one-hot."""
        columns, self.units = [], []
        for name in self.features:
            if name in self.levels:
                hot = [self.statics[name] == level for level in self.levels[name]] + [self.statics[name].isna()]
                columns += hot
                self.units.append(("softmax", len(hot)))
            else:
                scale, missing = self.static_scales[name], self.statics[name].isna()
                columns += [scale.there(self.statics[name].fillna(scale.median).to_numpy(float)), np.where(missing, 1.0, -1.0)]
                self.units.append(("tanh", 2))
        return np.column_stack(columns).astype(np.float32)

    def row_array(self, cells: pd.DataFrame) -> np.ndarray:
        """Values carried forward, then whether they were measured, shape (n, steps, 2 x codes)."""
        index = pd.MultiIndex.from_product([self.statics[self.layout.key], range(self.steps)])
        table = cells.pivot(index=[self.layout.key, "step"], columns="code", values="value").reindex(index)[self.codes]
        measured = table.notna().to_numpy()
        filled = table.groupby(level=0).ffill().fillna({code: self.scales[code].median for code in self.codes})
        values = np.column_stack([self.scales[code].there(filled[code].to_numpy(float)) for code in self.codes])
        both = np.column_stack([values, np.where(measured, 1.0, -1.0)])
        return both.reshape(len(self.statics), self.steps, -1).astype(np.float32)

    def tables(self, statics: np.ndarray, rows: np.ndarray) -> shared.Tables:
        """Arrays as tables, with keys 0..n-1."""
        n, key, layout = len(statics), self.layout.key, self.layout
        made, start = {key: np.arange(n)}, 0
        for name in self.features:
            if name in self.levels:
                width = len(self.levels[name]) + 1
                place = statics[:, start : start + width].argmax(1)
                made[name] = np.array([*self.levels[name], None], dtype=object)[place]
            else:
                width = 2
                made[name] = np.where(statics[:, start + 1] > 0, np.nan, self.static_scales[name].back(statics[:, start]))
            start += width
        k = len(self.codes)
        patient, step, code = np.nonzero(self.measured(rows[:, :, k:]))
        scaled = rows[patient, step, code]
        value = np.array([self.scales[c].low for c in self.codes])[code]
        value = value + (scaled + 1) / 2 * np.array([self.scales[c].width for c in self.codes])[code]
        cells = pd.DataFrame({key: patient, layout.time: step * self.per_step, "code": np.array(self.codes)[code], "value": value})
        if self.event.get("wide"):
            cells = cells.pivot(index=[key, layout.time], columns="code", values="value").reset_index()
        else:
            cells = cells.rename(columns={"code": self.event["code"], "value": self.event["value"]})
        assert layout.statics is not None
        out = {layout.rows: cells.reindex(columns=self.columns[layout.rows]), layout.statics: pd.DataFrame(made)}
        return shared.with_new_keys(out, self.facts, pd.Series(range(n)))


def named(prefix: str, options: dict) -> dict:
    """The options with a prefix before their names."""
    return {f"{prefix}_{name}": value for name, value in options.items()}


def network(kind: str, statics: int, rows: int, steps: int, units: list[tuple[str, int]], iterations: int, seed: int) -> torch.nn.Module:
    """The network as synthcity's plugin of that name makes it."""
    sizes = {"n_static_units": statics, "n_temporal_units": rows, "n_temporal_window": steps, "batch_size": 64, "random_state": seed}
    sizes |= {"device": "cpu", "n_iter_print": 50, "clipping_value": 0}
    out = {"static_nonlin_out": units, "temporal_nonlin_out": [("tanh", rows)]}
    if kind == "timegan":
        options = named("generator", GENERATOR | out) | named("discriminator", DISCRIMINATOR) | {"mode": "RNN"}
        options |= {"n_static_units_latent": statics, "n_temporal_units_latent": rows, "generator_n_iter": iterations}
        return TimeSeriesGAN(**sizes, **options)
    generator = {name: value for name, value in GENERATOR.items() if name != "lr"}
    encoder = {name: value for name, value in DISCRIMINATOR.items() if name != "lr"}
    options = named("decoder", generator | out | {"mode": "LSTM"}) | named("encoder", encoder | {"mode": "LSTM"})
    options |= {"n_iter": iterations, "lr": 1e-3, "clipping_value": 1}
    return TimeSeriesVAE(**(sizes | options), n_static_units_embedding=statics, n_temporal_units_embedding=rows)


def limit_epochs(minutes: float, cost: shared.Cost) -> None:
    """Has TimeSeriesGAN's loop of epochs end once this process has used so many CPU minutes more; notes after how many it did."""
    end = time.process_time() + 60 * minutes

    def within(epochs: Iterable[int]) -> Iterator[int]:
        for number, epoch in enumerate(epochs):
            if time.process_time() > end:
                cost.notes.append(f"ended after {number} epochs by its {minutes} CPU minutes")
                return
            yield epoch

    sys.modules[TimeSeriesGAN.__module__].tqdm = within


def main() -> None:
    """Fits and samples as the command line says."""
    job = shared.parse("TimeGAN and TimeVAE of synthcity", ["timegan", "timevae"])
    kind, iterations = job.model.split("+")[0], int(job.options.get("iterations", ITERATIONS))

    def fit(tables: shared.Tables, cost: shared.Cost) -> tuple[Grid, torch.nn.Module]:
        grid = Grid(job, tables)
        cost.notes.append(f"hourly grid of {grid.steps} steps, {iterations} epochs; gaps filled and masked by the adapter")
        statics, rows = grid.arrays
        times = np.tile(np.linspace(0, 1, grid.steps, dtype=np.float32), (len(statics), 1))
        torch.manual_seed(job.seed)
        if "minutes" in job.options:
            limit_epochs(float(job.options["minutes"]), cost)
        model = network(kind, statics.shape[1], rows.shape[2], grid.steps, grid.units, iterations, job.seed)
        model.fit(statics, rows, times)
        return grid, model

    def sample(fitted: object, _: shared.Cost) -> shared.Tables:
        grid, model = fitted
        statics, rows, *_ = model.generate(job.patients)
        return grid.tables(np.asarray(statics), np.asarray(rows))

    shared.run(job, fit, sample, ["synthcity", "torch", "pandas"])


if __name__ == "__main__":
    main()
