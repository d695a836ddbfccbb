"""How unlike other patients one is, by a variational autoencoder of summaries of whole records. Scores; generates nobody, saves nothing.

Numbers are scaled by the median and the quartiles of those learned from and drawn in by the inverse hyperbolic sine, so that an error of
a unit still lies far out and no single number outweighs all. Whether a number is known is a flag beside it, levels are flags each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from manikin.data.dataset import Dataset
from manikin.data.errors import FitError
from manikin.data.schema import Role, TableSchema
from manikin.data.seeds import derive, generator
from manikin.training.control import Control
from manikin.training.loop import train
from manikin.training.networks.summary_vae import SummaryVAE
from manikin.training.networks.visits import log_odds
from manikin.training.objectives.summary_vae import SummaryObjective, SummaryRows

Floats = npt.NDArray[np.float64]
HIDDEN, LATENT, DROPOUT = 64, 8, 0.1
EPOCHS, RATE = 200, 3e-3
DRAWS = 32
FEWEST, HELD_OUT = 20, 0.15
MOST_LEVELS, FEWEST_HOLD = 20, 5  # levels of a column that have flags, and patients who hold such a level
FURTHEST = 12.0


@dataclass(frozen=True)
class Scale:
    """A column of the summary: its number's middle and spread, or the levels that have flags."""

    name: str
    middle: float = 0.0
    spread: float = 1.0
    levels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Surprise:
    """What patients cost in nats: `parts` float64 (n, n_columns) of the summary's columns, `divergence` float64 (n,)."""

    parts: Floats
    divergence: Floats

    @property
    def total(self) -> Floats:
        """Reconstruction and divergence, float64 (n,); the higher, the more unlike those learned from."""
        return self.parts.sum(axis=1) + self.divergence


class SurpriseModel:
    """Learned from one flat row a patient; `names` are the columns that it looks at."""

    def __init__(self, scales: Sequence[Scale], network: SummaryVAE, seed: int) -> None:
        self.scales, self.network, self.seed = tuple(scales), network, seed

    @property
    def names(self) -> list[str]:
        """Columns of the summary."""
        return [scale.name for scale in self.scales]

    @torch.no_grad()
    def score(self, rows: Dataset) -> Surprise:
        """What each patient costs, the mean over draws of the latent vector; a patient's score hangs on her own row alone."""
        given = _rows(rows, self.scales)
        made = torch.Generator().manual_seed(derive(self.seed, "scores"))
        noise = torch.randn(DRAWS, self.network.posterior.out_features // 2, generator=made)
        total, divergence = np.zeros((len(given), given.values.shape[1] + given.flags.shape[1])), np.zeros(len(given))
        for one in noise:
            parts, own = self.network.nats(*given.tensors(), one.expand(len(given), -1))
            total, divergence = total + parts.numpy() / DRAWS, own.numpy().astype(np.float64)
        place = np.array(_places(self.scales), dtype=np.int64)
        out = np.zeros((len(given), len(self.scales)))
        np.add.at(out.T, place, total.T)
        return Surprise(out, divergence)


def learn(rows: Dataset, *, seed: int, control: Control | None = None) -> SurpriseModel:
    """Learns summaries of patients, one flat row each.

    Raises
    ------
    FitError : there are fewer than twenty patients, or nothing about them differs.
    """
    if len(rows) < FEWEST:
        raise FitError(f"{len(rows)} patients are too few to learn from what is usual. Bring at least {FEWEST}.")
    scales = _scales(rows)
    if not scales:
        raise FitError("Nothing about these patients differs, so that nobody can stand out. Bring tables with more columns.")
    given = _rows(rows, scales)
    order = generator(seed, "held out").permutation(len(given))
    few = max(3, round(HELD_OUT * len(given)))
    inside, outside = (SummaryRows(given.values[at], given.known[at], given.flags[at]) for at in (order[few:], order[:few]))
    with torch.random.fork_rng():
        torch.manual_seed(derive(seed, "weights"))
        odds = torch.from_numpy(log_odds(given.flags.sum(0).astype(np.int64), len(given)))
        n_latent = min(LATENT, max(1, given.values.shape[1] + given.flags.shape[1]))
        network = SummaryVAE(
            given.values.shape[1], given.flags.shape[1], hidden=HIDDEN, n_latent=n_latent, odds=odds, dropout=DROPOUT
        )
    objective = SummaryObjective(network, inside, outside, epochs=EPOCHS, learning_rate=RATE, seed=seed)
    train(objective, seed=seed, control=control)
    return SurpriseModel(scales, objective.average.eval(), seed)


def _scales(rows: Dataset) -> list[Scale]:
    """What is looked at: numbers that differ, and levels that several patients hold; no key and no date."""
    schema: TableSchema = rows.columns
    out = []
    for column in schema.learned:
        cells = rows.table.frame[column.name]
        if column.kind.is_time or column.has_role(Role.PATIENT_KEY):
            continue
        if column.kind.is_number:
            known = cells.to_numpy(dtype=float)
            known = known[np.isfinite(known)]
            if len(known) >= FEWEST_HOLD:
                low, middle, high = np.quantile(known, [0.25, 0.5, 0.75])
                spread = next((one for one in ((high - low) / 1.35, known.std()) if one > 1e-9), 0.0)
                if spread or len(known) < len(cells):
                    out.append(Scale(column.name, float(middle), float(spread or 1.0)))
            continue
        counts = cells.astype(object).dropna().astype(str).value_counts()
        levels = tuple(str(level) for level in counts.index[:MOST_LEVELS] if counts[level] >= FEWEST_HOLD)
        if levels and counts.iloc[0] < len(cells):
            out.append(Scale(column.name, levels=levels))
    return out


def _places(scales: Sequence[Scale]) -> list[int]:
    """The column that each number and flag is of, as `_rows` lays them out."""
    numbers = [i for i, scale in enumerate(scales) if scale.levels is None]
    return [*numbers, *numbers, *(i for i, scale in enumerate(scales) for _ in scale.levels or ())]


def _rows(rows: Dataset, scales: Sequence[Scale]) -> SummaryRows:
    """Numbers, which are known, and flags: for each number that it is known, then for each level that it holds."""
    frame, n = rows.table.frame, len(rows)
    values, flags = [], []
    for scale in scales:
        cells = frame[scale.name] if scale.name in frame else pd.Series(np.full(n, np.nan))
        if scale.levels is None:
            far = np.arcsinh((cells.to_numpy(dtype=float) - scale.middle) / scale.spread)
            values.append(np.clip(far, -FURTHEST, FURTHEST))
        else:
            texts = cells.astype(object).where(cells.notna(), None).to_numpy()
            flags += [np.array([text is not None and str(text) == level for text in texts]) for level in scale.levels]
    numbers = np.array(values, dtype=np.float32).reshape(-1, n).T
    known = np.isfinite(numbers).astype(np.float32)
    marked = np.array(flags, dtype=np.float32).reshape(-1, n).T
    return SummaryRows(np.nan_to_num(numbers), known, np.concatenate([known, marked], axis=1))
