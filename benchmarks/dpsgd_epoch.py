"""What an epoch of DP-SGD costs beside an ordinary one: same network, rows, optimiser and rows per step, one thread, CPU seconds.

    OMP_NUM_THREADS=1 python benchmarks/dpsgd_epoch.py TABLES/diabetes20k/train.csv [--batch 1000] [--pairs 5]

Epochs are run in turn, and the figure is the median of their ratios. Rows differ by chance in the private one: a Poisson sample. The
spends are in memory here; on a disk each of fifty blocks of a plan is a synchronised write more.
"""

from __future__ import annotations

import argparse
import copy
import time
from statistics import median

import numpy as np
import torch

import manikin as mk
from manikin.codecs.table import TableCodec
from manikin.privacy import dpsgd
from manikin.privacy.ledger import Ledger
from manikin.privacy.sealed import Sealed
from manikin.synthesizers.tables.autoregressive_private import PrivateSettings, first_network
from manikin.training.networks.any_order import AnyOrderNet, Shape
from manikin.training.objectives.any_order_private import PrivateAnyOrderObjective, PrivateRecipe


def ordinary(network: AnyOrderNet, rows: torch.Tensor, batch: int) -> float:
    """CPU seconds of a shuffled pass."""
    phase = PrivateAnyOrderObjective(network, PrivateRecipe(100)).stages()[0].phases[0]
    started = time.process_time()
    for own in torch.randperm(len(rows)).split(batch):
        loss = phase.loss(rows[own]).mean()
        phase.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        phase.optimiser.step()
    return time.process_time() - started


def private(network: AnyOrderNet, rows: torch.Tensor, batch: int, *, is_recorded: bool = True) -> float:
    """CPU seconds of as many private steps."""
    n, steps = len(rows), -(-len(rows) // batch)
    ledger = Ledger(epsilon=100.0, delta=1e-5)
    ledger.set_delta(n)
    plan = dpsgd.Plan(50.0, batch / n, steps, 1.0, batch)
    sampler = dpsgd.Sampler(plan, Sealed(rows.numpy()), Sealed(np.arange(n)), ledger, is_recorded=is_recorded)
    phase = PrivateAnyOrderObjective(network, PrivateRecipe(100)).stages()[0].phases[0]
    started = time.process_time()
    for _ in range(steps):
        gradients = dpsgd.noisy_gradient(sampler, network, phase.loss)
        for one, gradient in zip(network.parameters(), gradients, strict=True):
            one.grad = gradient
        phase.optimiser.step()
    return time.process_time() - started


def main() -> None:
    """Both networks: the one that is used under a ledger, and one of the size that is used without."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = mk.read(asked.table)
    codec = TableCodec(max_tokens=32).fit(data)
    rows = torch.from_numpy(codec.encode(data).astype(np.int64))
    sizes = {
        "private": PrivateSettings(steps=1, expected_batch=asked.batch),
        "ordinary": PrivateSettings(steps=1, expected_batch=asked.batch, scale=32, shape=Shape(dropout=0.0)),
    }
    for name, settings in sizes.items():
        network = first_network(codec, settings, seed=0)
        n_parameters = sum(one.numel() for one in network.parameters())
        pairs = [
            (ordinary(copy.deepcopy(network), rows, asked.batch), private(copy.deepcopy(network), rows, asked.batch))
            for _ in range(asked.pairs)
        ]
        plain, noisy = (median(times) for times in zip(*pairs, strict=True))
        ratios = [b / a for a, b in pairs]
        print(
            f"{name} size, {rows.shape[1]} columns, {n_parameters:,} weights: ordinary {plain:.2f} s, DP-SGD {noisy:.2f} s, "
            f"ratio {median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
