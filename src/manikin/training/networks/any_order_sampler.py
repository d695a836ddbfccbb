"""Draws rows from an any-order network, column by column; a step costs its own column's slice only. Knows tokens, not what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from manikin.training.networks.any_order import NEVER, AnyOrderNet

Bools = npt.NDArray[np.bool_]
Tokens = npt.NDArray[np.int32]
CALIBRATION_ROWS, CALIBRATION_ROUNDS = 8192, 12
MOST_SHIFT = 6.0  # of a logit, so that a token that the rows before rule out stays rare
RuleMask = Callable[[int, Tokens, Bools], Bools | None]


@dataclass(frozen=True)
class _Target:
    """One column's slice of the network."""

    first: Tensor  # (n_inputs, width)
    first_bias: Tensor
    blocks: list[tuple[Tensor, Tensor, Tensor, Tensor]]
    head: Tensor  # (width, n_tokens)
    head_bias: Tensor


class AnyOrderSampler:
    """Samples from the mixture of one or several networks of one table.

    Parameters
    ----------
    networks : members of the mixture; probabilities are averaged.
    emitted : per column, bool (n_tokens,): tokens that may be generated.
    rules : called as rules(column, tokens, drawn) before a column is drawn; returns bool (n_rows, n_tokens) or None.
    """

    def __init__(self, networks: Sequence[AnyOrderNet], emitted: Sequence[Bools], rules: RuleMask | None = None) -> None:
        self.networks, self.rules, self.n_columns = list(networks), rules, networks[0].n_columns
        with torch.no_grad():
            self.tables = [[table.detach() for table in network.tables()] for network in self.networks]
            self.targets = [_targets(network, emitted) for network in self.networks]

    @torch.no_grad()
    def sample(
        self,
        uniform: npt.NDArray[np.float32],
        tokens: Tokens | None = None,
        given: Bools | None = None,
        rules: RuleMask | None = None,
    ) -> Tokens:
        """Draws a chunk of rows.

        Parameters
        ----------
        uniform : float32 (n_rows, n_columns) in [0, 1): one draw per cell, so rows do not depend on how they are chunked.
        tokens, given : int32 (n_rows, n_columns) and what is known of it: bool (n_columns,), or (n_rows, n_columns) where rows know
            different columns. All other cells are drawn given the known ones.
        rules : what the rules leave of these very rows, in place of the sampler's own.

        Returns
        -------
        int32 (n_rows, n_columns).
        """
        n, rules = len(uniform), rules or self.rules
        out = np.zeros((n, self.n_columns), dtype=np.int32) if tokens is None else tokens.copy()
        known = np.zeros(self.n_columns, dtype=bool) if given is None else given.copy()
        device = self.tables[0][0].device
        states = [torch.zeros(n, network.starts[-1], device=device) for network in self.networks]
        somewhere: list[int] = np.flatnonzero(known if known.ndim == 1 else known.any(axis=0)).tolist()
        for j in somewhere:
            self._observe(states, j, out[:, j], None if known.ndim == 1 else known[:, j])
        furthest = somewhere[-1] + 1 if somewhere else 0
        for j in range(self.n_columns):
            if known[..., j].all():
                continue
            probability = self._probability(states, j, max(j, furthest))
            if rules is not None:
                mask = rules(j, out, known)
                if mask is not None:
                    probability = _masked(probability, torch.from_numpy(mask).to(device))
            drawn = _draw(probability, torch.from_numpy(uniform[:, j]).to(device))
            out[:, j] = drawn if known.ndim == 1 else np.where(known[:, j], out[:, j], drawn)
            known[..., j] = True
            self._observe(states, j, out[:, j], None)
        return out

    def _observe(self, states: list[Tensor], column: int, tokens: npt.NDArray[np.int32], rows: Bools | None) -> None:
        index = torch.from_numpy(tokens.astype(np.int64))
        for state, network, tables in zip(states, self.networks, self.tables, strict=True):
            embedded = tables[column][index.to(state.device)]
            if rows is not None:
                embedded = embedded * torch.from_numpy(rows).to(state.device)[:, None]
            state[:, network.starts[column] : network.starts[column + 1]] = embedded

    def _probability(self, states: list[Tensor], column: int, n_seen: int) -> Tensor:
        """p(column | what is in the states), averaged over the members, (n_rows, n_tokens)."""
        total: Tensor | None = None
        for state, network, targets in zip(states, self.networks, self.targets, strict=True):
            probability = torch.softmax(_logits(targets[column], state, network.starts[n_seen]), -1)
            total = probability if total is None else total.add_(probability)
        assert total is not None
        return total


def _logits(target: _Target, state: Tensor, width: int) -> Tensor:
    """Logits of one column given the first `width` units of what is seen, (n_rows, n_tokens)."""
    z = F.silu(torch.addmm(target.first_bias, state[:, :width], target.first[:width]))
    for w1, b1, w2, b2 in target.blocks:
        z = z + torch.addmm(b2, F.silu(torch.addmm(b1, z, w1)), w2)
    return torch.addmm(target.head_bias, z, target.head)


@torch.no_grad()
def calibrate(
    network: AnyOrderNet,
    shares: Sequence[npt.NDArray[np.float64]],
    emitted: Sequence[Bools],
    rng: np.random.Generator,
    *,
    n_rows: int = CALIBRATION_ROWS,
) -> None:
    """Moves the network's output biases so that rows drawn in the table's order have these shares, column after column; in place.

    What columns have to do with each other stays as it was learned. Looks at drawn rows alone, so it costs no privacy budget.

    Parameters
    ----------
    shares : per column, the wanted share of each token, float64 (n_tokens,). emitted : tokens that may be generated.
    """
    sampler = AnyOrderSampler([network], emitted)
    state = torch.zeros(n_rows, network.starts[-1], device=sampler.tables[0][0].device)
    for j in range(network.n_columns):
        logits = _logits(sampler.targets[0][j], state, network.starts[j]).double()
        may = torch.from_numpy(emitted[j]).to(logits.device)
        wanted = torch.from_numpy(np.where(emitted[j], shares[j], 0.0)).to(logits.device)
        wanted = wanted / wanted.sum().clamp_min(1e-12)
        shift = torch.zeros_like(wanted)
        for _ in range(CALIBRATION_ROUNDS):
            held = torch.softmax(logits + shift, -1).mean(0)
            step = torch.where(may, (wanted.clamp_min(1e-9) / held.clamp_min(1e-9)).log(), 0.0)
            shift = (shift + step).clamp(-MOST_SHIFT, MOST_SHIFT)
        uniform = torch.from_numpy(rng.random(n_rows, dtype=np.float32)).to(logits.device)
        drawn = _draw(torch.softmax(logits + shift, -1).float(), uniform)
        sampler._observe([state], j, drawn, None)
        g, a, _ = network.places[j]
        network.head_bias[g][a, 0, : len(shift)] += shift.to(network.head_bias[g].dtype)


def _draw(probability: Tensor, uniform: Tensor) -> npt.NDArray[np.int32]:
    ends = probability.cumsum(-1)
    target = (
        uniform[:, None] * ends[:, -1:] * (1 - 2**-20)
    )  # below the end even when rounded, so no token of probability 0 is hit
    return torch.searchsorted(ends, target, right=True).squeeze(1).cpu().numpy().astype(np.int32)


def _masked(probability: Tensor, allowed: Tensor) -> Tensor:
    """Renormalised over what the rules leave; rows where they leave nothing that the model may emit fall back to what they leave."""
    left = probability * allowed
    dead = left.sum(-1) <= 0
    if bool(dead.any()):
        left[dead] = torch.where(allowed[dead].any(-1, keepdim=True), allowed[dead].float(), probability[dead])
    return left


def _targets(network: AnyOrderNet, emitted: Sequence[Bools]) -> list[_Target]:
    heads = [network.head_weight(g) for g in range(len(network.groups))]
    out = []
    for j in range(network.n_columns):
        g, a, at = network.places[j]
        width, k, blocks = network.widths[g], network.columns[j].n_tokens, network.shape.blocks
        bias = network.head_bias[g][a, 0, :k].clone()
        bias[torch.from_numpy(~emitted[j]).to(bias.device)] = NEVER
        rows = [
            (network.w1[b][a], network.b1[b][a, 0], network.w2[b][a], network.b2[b][a, 0])
            for b in range(g * blocks, (g + 1) * blocks)
        ]
        first = network.first[:, at : at + width].contiguous()
        out.append(_Target(first, network.first_bias[at : at + width].clone(), rows, heads[g][a, :, :k].contiguous(), bias))
    return out
