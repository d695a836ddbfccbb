"""Sums of per-patient gradients, each clipped to a norm: exact, and without a gradient per patient in memory. Draws no noise.

A gradient of a product y = a W is the outer product of what went in and of the loss's gradient at what came out, so its norm is a product
of two norms, and the sum of clipped gradients is one product of scaled rows (Goodfellow, arXiv 1510.01799; Lee & Kifer, arXiv 2009.03106;
Bu et al., arXiv 2210.00038). A `Tape` records the two factors; the clipped sum is made of the very factors whose norms were clipped, so
that whatever a network forgets to record is missing from the sum and cannot escape the norm. Without a tape, torch.func maps any loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from manikin.data.errors import BudgetError

Loss = Callable[[Tensor], Tensor]
WILD = 1e24  # squared size of a factor from which a patient's gradient counts as infinite: her contribution is 0
SLACK = 1 - 1e-4  # how far below the clipping norm the sum aims, for the rounding of single precision
CHUNK = 1 << 24  # numbers that gradients of single patients may take at a time


class Product(Protocol):
    """What was recorded of one product; `out` is where its gradient is taken."""

    out: Tensor
    positions: int

    def parameters(self) -> Sequence[Tensor]:
        """Whose gradients it makes."""
        ...

    def inner(self, grad: Tensor, k: int, m: int) -> Tensor:
        """Inner products of the gradients of each patient's k-th and m-th position, (n_patients,)."""
        ...

    def sums(self, grad: Tensor, scale: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Parameters and their gradients, patients scaled by `scale` (n_patients,); 0 takes a patient out whatever she holds."""
        ...


@dataclass
class Dense:
    """out = a @ weight + bias, in n products side by side.

    Attributes
    ----------
    weight : (n, p, q), or (q, p) of an `nn.Linear`, where n is 1. bias : n times q numbers. a : (n, n_rows, p). out : (n, n_rows, q).
    through, features : a second weight (n, p, s) that adds to the first through features (n, s, q) that are no parameters.
    """

    weight: Tensor
    bias: Tensor | None
    a: Tensor
    out: Tensor
    positions: int
    through: Tensor | None = None
    features: Tensor | None = None

    def parameters(self) -> Sequence[Tensor]:
        """The weights and the bias."""
        return [one for one in (self.weight, self.bias, self.through) if one is not None]

    def inner(self, grad: Tensor, k: int, m: int) -> Tensor:
        """<a_k, a_m> <g_k, g_m>, with the bias's and the second weight's share."""
        aa, gg = _inner(self.a, self.positions, k, m), _inner(grad, self.positions, k, m)
        through = gg if self.features is None else gg + _inner(grad @ self.features.transpose(1, 2), self.positions, k, m)
        return (aa * through if self.bias is None else aa * through + gg).sum(0)

    def sums(self, grad: Tensor, scale: Tensor) -> list[tuple[Tensor, Tensor]]:
        """a' g of scaled rows."""
        rows = _scaled(grad, scale, self.positions)
        weight = torch.bmm(_cleaned(self.a, scale, self.positions).transpose(1, 2), rows)
        own = weight[0].T if self.weight.dim() == 2 else weight
        made = [(self.weight, own)]
        if self.bias is not None:
            made.append((self.bias, rows.sum(1).view_as(self.bias)))
        if self.through is not None and self.features is not None:
            made.append((self.through, weight @ self.features.transpose(1, 2)))
        return made


@dataclass
class Masked:
    """out = x @ (weight * mask) + bias, where a mask says of each block of inputs whether a block of outputs sees it.

    Attributes
    ----------
    weight : (p, q). bias : (q,). x : (n_rows, p). out : (n_rows, q). masks : (n_masks, n_in, n_out) of 0 and 1.
    which : int64 (n_rows,), the mask of each row. blocks_in, blocks_out : one-hot (p, n_in), (q, n_out): the block of each unit.
    """

    weight: Tensor
    bias: Tensor
    x: Tensor
    out: Tensor
    masks: Tensor
    which: Tensor
    blocks_in: Tensor
    blocks_out: Tensor
    positions: int

    def parameters(self) -> Sequence[Tensor]:
        """The weight and the bias."""
        return [self.weight, self.bias]

    def inner(self, grad: Tensor, k: int, m: int) -> Tensor:
        """The sum over pairs of blocks that both positions' masks open."""
        xx = _pick(self.x, self.positions, k) * _pick(self.x, self.positions, m) @ self.blocks_in
        gg = _pick(grad, self.positions, k) * _pick(grad, self.positions, m) @ self.blocks_out
        seen = torch.empty_like(gg)
        pairs = _pick(self.which, self.positions, k) * len(self.masks) + _pick(self.which, self.positions, m)
        for pair in torch.unique(pairs).tolist():
            rows = pairs == pair
            seen[rows] = xx[rows] @ (self.masks[pair // len(self.masks)] * self.masks[pair % len(self.masks)])
        sizes = (seen * gg).sum(1) + gg.sum(1)
        if k == m:  # a factor that is infinite must not hide behind a mask
            sizes = torch.where(_is_wild(xx.sum(1)) | _is_wild(gg.sum(1)), torch.inf, sizes)
        return sizes

    def sums(self, grad: Tensor, scale: Tensor) -> list[tuple[Tensor, Tensor]]:
        """x' g of the rows of each mask, where it is open."""
        rows, x = _scaled(grad, scale, self.positions), _cleaned(self.x, scale, self.positions)
        total = torch.zeros_like(self.weight)
        for m in torch.unique(self.which).tolist():
            own = slice(None) if len(self.masks) == 1 else self.which == m
            total += (x[own].T @ rows[own]) * (self.blocks_in @ self.masks[m] @ self.blocks_out.T)
        return [(self.weight, total), (self.bias, rows.sum(0))]


@dataclass
class Lookup:
    """out = the rows of one table per column, side by side; a table is a free part plus features times a weight.

    Attributes
    ----------
    tokens : int64 (n_rows, n_columns). tables : (n_tokens, width) of each column. out : (n_rows, sum of widths).
    features : (n_tokens, s), or None of columns without. through : (s, width) of each column. blocks : one-hot (sum of widths, n_columns).
    """

    tokens: Tensor
    tables: Sequence[Tensor]
    features: Sequence[Tensor | None]
    through: Sequence[Tensor]
    out: Tensor
    blocks: Tensor
    positions: int

    def parameters(self) -> Sequence[Tensor]:
        """The tables and the weights behind their features."""
        return [*self.tables, *(one for one, own in zip(self.through, self.features, strict=True) if own is not None)]

    def inner(self, grad: Tensor, k: int, m: int) -> Tensor:
        """Rows of the same table meet where they hold the same token, and through their features."""
        gg = _pick(grad, self.positions, k) * _pick(grad, self.positions, m) @ self.blocks
        first, second = _pick(self.tokens, self.positions, k), _pick(self.tokens, self.positions, m)
        met = (first == second).to(gg.dtype)
        for j, own in enumerate(self.features):
            if own is not None:
                met[:, j] += own.square().sum(1)[first[:, j]] if k == m else (own[first[:, j]] * own[second[:, j]]).sum(1)
        sizes = (met * gg).sum(1)
        return torch.where(_is_wild(gg.sum(1)), torch.inf, sizes) if k == m else sizes

    def sums(self, grad: Tensor, scale: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Rows added up by token."""
        at, rows = 0, _scaled(grad, scale, self.positions)
        made: list[tuple[Tensor, Tensor]] = []
        for j, table in enumerate(self.tables):
            width = table.shape[1]
            own = torch.zeros_like(table).index_add_(0, self.tokens[:, j], rows[:, at : at + width])
            made.append((table, own))
            features = self.features[j]
            if features is not None:
                made.append((self.through[j], features.T @ own))
            at += width
        return made


@dataclass
class Tape:
    """The products on the way from rows to losses, each with the output at which its gradient is taken."""

    positions: int = 1  # rows of a patient
    products: list[Product] = field(default_factory=list)

    def dense(self, weight: Tensor, bias: Tensor | None, a: Tensor, out: Tensor, **more: Any) -> None:
        """Records `Dense`."""
        self.products.append(Dense(weight, bias, a.detach(), out, self.positions, **more))

    def masked(self, **parts: Any) -> None:
        """Records `Masked`."""
        self.products.append(Masked(**parts, positions=self.positions))

    def lookup(self, **parts: Any) -> None:
        """Records `Lookup`."""
        self.products.append(Lookup(**parts, positions=self.positions))


def clipped_sum(
    module: nn.Module, loss: Loss, rows: Tensor, weights: Tensor, *, clip_norm: float, is_recorded: bool
) -> list[Tensor]:
    """The sum over patients of their gradients, each scaled down to a norm of at most `clip_norm`.

    A patient's loss is the weighted sum of the losses of her rows. A gradient that is not finite counts as 0.

    Parameters
    ----------
    loss : rows to one loss per row. rows : (n_patients * k, …), each patient's k rows together. weights : (n_patients, k), rows of weight 0
        fill up. is_recorded : by a tape (see `Tape`) instead of by function.

    Returns
    -------
    one tensor for each parameter of the module that learns.
    """
    every = [one for one in module.parameters() if one.requires_grad]
    if not len(weights):
        return [torch.zeros_like(one) for one in every]
    how = _by_tape if is_recorded else _by_function
    return how(module, loss, rows, weights, clip_norm * SLACK, every)


def _by_tape(
    module: nn.Module, loss: Loss, rows: Tensor, weights: Tensor, clip_norm: float, every: Sequence[Tensor]
) -> list[Tensor]:
    with _recorded(module, weights.shape[1]) as tape:
        total = (loss(rows) * weights.reshape(-1)).sum()
    outs = [product.out for product in tape.products]
    if any(out.shape[-2] != weights.numel() for out in outs):
        raise BudgetError("A network's products are not of one row each, so its gradients cannot be recorded.")
    grads = torch.autograd.grad(total, outs, allow_unused=True)
    with torch.no_grad():
        used = [(product, grad) for product, grad in zip(tape.products, grads, strict=True) if grad is not None]
        pairs = _joined(used, len(weights))
        recorded = [id(one) for product, _ in pairs for one in product.parameters()]
        if len(set(recorded)) < len(recorded) or {id(one) for one in every if one.numel()} - set(recorded):
            raise BudgetError("Not each parameter of a network is recorded once, so its gradients cannot be recorded.")
        scale = _clipping(_squares(pairs), clip_norm)
        made = {id(one): own for product, grad in pairs for one, own in product.sums(grad, scale)}
    return [made[id(one)] if one.numel() else torch.zeros_like(one) for one in every]


def _squares(pairs: Sequence[tuple[Product, Tensor]]) -> Tensor:
    """Squared norms of patients' gradients, (n_patients,), never below the truth by what rounding loses where positions cancel out."""
    own, between = torch.zeros(()), torch.zeros(())
    for product, grad in pairs:
        for k in range(product.positions):
            own = own + product.inner(grad, k, k)
            for m in range(k):
                between = between + 2 * product.inner(grad, k, m)
    return own + (between + 1e-5 * own if between.dim() else 0.0)


def _joined(pairs: Sequence[tuple[Product, Tensor]], n_patients: int) -> list[tuple[Product, Tensor]]:
    """A layer that was used several times is one product with more positions."""
    joined: dict[int, tuple[Product, Tensor]] = {}
    for product, grad in pairs:
        key, grad = id(product.parameters()[0]), grad[None] if isinstance(product, Dense) and grad.dim() == 2 else grad
        if key in joined and isinstance(product, Dense):
            (first, before), positions = joined[key], product.positions
            assert isinstance(first, Dense)
            joined[key] = (
                replace(
                    first,
                    a=_side_by_side(first.a, product.a, n_patients),
                    positions=first.positions + positions,
                ),
                _side_by_side(before, grad, n_patients),
            )
        else:
            joined[key if key not in joined else id(product)] = (product, grad)
    return list(joined.values())


def _side_by_side(first: Tensor, second: Tensor, n_patients: int) -> Tensor:
    parts = [one.view(len(one), n_patients, -1, one.shape[-1]) for one in (first, second)]
    return torch.cat(parts, 2).flatten(1, 2)


def _by_function(
    module: nn.Module, loss: Loss, rows: Tensor, weights: Tensor, clip_norm: float, every: Sequence[Tensor]
) -> list[Tensor]:
    names = [name for name, one in module.named_parameters() if one.requires_grad]
    wrapped = _Wrapped(module, loss)

    def lost(parameters: dict[str, Tensor], own: Tensor, weight: Tensor) -> Tensor:
        """The loss of one patient."""
        given = {f"module.{name}": one for name, one in parameters.items()}
        return (torch.func.functional_call(wrapped, given, (own,)) * weight).sum()

    each = torch.func.vmap(torch.func.grad(lost), in_dims=(None, 0, 0), randomness="different")
    parameters = {name: one.detach() for name, one in zip(names, every, strict=True)}
    n, k = weights.shape
    sums = [torch.zeros_like(one) for one in every]
    step = max(1, CHUNK // max(1, sum(one.numel() for one in every)))
    for at in range(0, n, step):
        part = weights[at : at + step]
        made = each(parameters, rows[at * k : at * k + part.numel()].reshape(*part.shape, *rows.shape[1:]), part)
        with torch.no_grad():
            flat = [made[name].reshape(len(part), -1) for name in names]
            squares = sum((one.square().sum(1) for one in flat), torch.zeros(()))
            biggest = torch.stack([one.abs().amax(1) for one in flat if one.shape[1]]).amax(0)
            scale = _clipping(torch.where(biggest.square() < WILD, squares, torch.inf), clip_norm)
            for total, one in zip(sums, flat, strict=True):
                total += (scale @ torch.where(scale[:, None] > 0, one, 0.0)).view_as(total)
    return sums


class _Wrapped(nn.Module):
    """A loss as a module, so that its parameters can be put in the place of the real ones."""

    def __init__(self, module: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, rows: Tensor) -> Tensor:
        """The losses of one patient's rows."""
        return self.loss(rows)


class _recorded:  # noqa: N801 - read as a statement
    """Fills a tape while a module runs: by hooks on its linear layers, and in modules that have a `tape` of their own."""

    def __init__(self, module: nn.Module, positions: int) -> None:
        self.tape = Tape(positions)
        self.own: list[Any] = [one for one in module.modules() if hasattr(one, "tape")]
        self.linear = [one for one in module.modules() if type(one) is nn.Linear]

    def __enter__(self) -> Tape:
        for one in self.own:
            one.tape = self.tape
        self.hooks = [one.register_forward_hook(self._take) for one in self.linear]
        return self.tape

    def _take(self, layer: nn.Linear, given: tuple[Tensor], out: Tensor) -> None:
        self.tape.dense(layer.weight, layer.bias, given[0][None], out)

    def __exit__(self, *_: object) -> None:
        for one in self.own:
            one.tape = None
        for hook in self.hooks:
            hook.remove()


def _clipping(squares: Tensor, clip_norm: float) -> Tensor:
    """The factor of each patient, 0 where her gradient is not finite."""
    factor = (clip_norm / squares.clamp_min(1e-30).sqrt()).clamp_max(1.0)
    return torch.where(squares.isfinite(), factor, 0.0)


def _is_wild(squares: Tensor) -> Tensor:
    return ~(squares < WILD)


def _pick(rows: Tensor, positions: int, k: int) -> Tensor:
    return rows if positions == 1 else rows[..., k::positions, :] if rows.dim() > 1 else rows[k::positions]


def _inner(rows: Tensor, positions: int, k: int, m: int) -> Tensor:
    """Inner products along the last axis, (n, n_patients); infinite on the diagonal where a factor is."""
    first = _pick(rows, positions, k)
    if k != m:
        return (first * _pick(rows, positions, m)).sum(-1)
    size = torch.linalg.vector_norm(first, dim=-1).square()
    return torch.where(_is_wild(size), torch.inf, size)


def _scaled(grad: Tensor, scale: Tensor, positions: int) -> Tensor:
    rows = scale.repeat_interleave(positions)[:, None]
    out = grad * rows
    return out if bool((scale > 0).all()) else torch.where(rows > 0, out, 0.0)


def _cleaned(rows: Tensor, scale: Tensor, positions: int) -> Tensor:
    kept = scale > 0
    return rows if bool(kept.all()) else torch.where(kept.repeat_interleave(positions)[:, None], rows, 0.0)
