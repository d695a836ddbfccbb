"""Gradients of a large batch from small pieces: only one piece's activations are in memory at a time. Knows no loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def in_pieces(loss: Callable[[slice], Tensor], n: int, piece: int | None, parameters: Sequence[Tensor]) -> Tensor:
    """Losses of n units, (n,), whose mean has the gradient that it would have at once.

    Parameters
    ----------
    loss : units of a slice to one loss each. piece : most units at a time; None takes all. parameters : what gradients are wanted for.
    """
    if piece is None or piece >= n:
        return loss(slice(0, n))
    return _Pieces.apply(loss, n, piece, *parameters)


class _Pieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Callable[[slice], Tensor], n: int, piece: int, *parameters: Tensor) -> Tensor:
        """The losses; gradients of their mean are taken piece by piece and kept."""
        losses, sums = [], [torch.zeros_like(one) for one in parameters]
        for start in range(0, n, piece):
            with torch.enable_grad():
                own = loss(slice(start, min(start + piece, n)))
                found = torch.autograd.grad(own.sum() / n, parameters, allow_unused=True)
            losses.append(own.detach())
            for total, gradient in zip(sums, found, strict=True):
                if gradient is not None:
                    total += gradient
        ctx.save_for_backward(*sums)
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, *outside: Tensor) -> Any:
        """Of a mean each unit has the same part."""
        factor = outside[0].sum()
        return (None, None, None, *(factor * one for one in ctx.saved_tensors))
