"""The optimiser moves parameters as torch's own classes do, comes back from a checkpoint, and brings no compiler into the process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from manikin.training.adam import Adam
from manikin.training.checkpoint import flatten_optimiser, read_checkpoint, restore_optimiser, write_checkpoint


def pair() -> tuple[nn.Linear, nn.Linear]:
    torch.manual_seed(0)
    one, other = nn.Linear(5, 3), nn.Linear(5, 3)
    other.load_state_dict(one.state_dict())
    return one, other


def steps(model: nn.Linear, optimiser: object, n: int = 20) -> None:
    for i in range(n):
        torch.manual_seed(i)
        optimiser.zero_grad()  # type: ignore[attr-defined]
        (model(torch.randn(8, 5)) ** 2).sum().backward()
        optimiser.step()  # type: ignore[attr-defined]


@pytest.mark.parametrize("decoupled", [False, True])
def test_it_is_the_adam_of_torch(decoupled: bool) -> None:
    one, other = pair()
    settings = {"lr": 0.01, "betas": (0.5, 0.9), "weight_decay": 0.1}
    groups = [{"params": [one.weight]}, {"params": [one.bias], "weight_decay": 0.0, "lr": 0.003}]
    theirs = [{"params": [other.weight]}, {"params": [other.bias], "weight_decay": 0.0, "lr": 0.003}]
    steps(one, Adam(groups, **settings, decoupled=decoupled))  # type: ignore[arg-type]
    steps(other, (torch.optim.AdamW if decoupled else torch.optim.Adam)(theirs, **settings, fused=True))  # type: ignore[arg-type]
    torch.testing.assert_close(one.weight, other.weight)
    torch.testing.assert_close(one.bias, other.bias)


def test_it_goes_on_from_a_checkpoint_to_the_same_bits(tmp_path: Path) -> None:
    one, other = pair()
    whole, first = Adam(one.parameters(), lr=0.01), Adam(other.parameters(), lr=0.01)
    steps(one, whole)
    steps(other, first)
    values, tensors = flatten_optimiser(first, "optimiser0")
    write_checkpoint(tmp_path / "at", {"optimiser0": values}, tensors)
    found = read_checkpoint(tmp_path / "at")
    assert found is not None
    second = Adam(other.parameters(), lr=0.01)
    restore_optimiser(second, "optimiser0", found[0]["optimiser0"], found[1])
    steps(one, whole)
    steps(other, second)
    assert torch.equal(one.weight, other.weight)


def test_moments_that_are_taken_back_lie_in_memory_as_their_parameter_does() -> None:
    """Or the step, which goes through both at once, would move one weight by another's moments."""
    torch.manual_seed(0)
    one = torch.nn.Parameter(torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last))
    other = torch.nn.Parameter(one.detach().clone())
    whole, first = Adam([one], lr=0.01), Adam([other], lr=0.01)
    gradients = torch.randn(2, 4, 3, 2, 2)
    for parameter, optimiser in ((one, whole), (other, first)):
        parameter.grad = gradients[0].contiguous(memory_format=torch.channels_last)
        optimiser.step()
    kept = {name: moment.contiguous() for name, moment in first.state_dict()["state"][0].items()}
    second = Adam([other], lr=0.01)
    second.load_state_dict({"state": {0: kept}})
    for parameter, optimiser in ((one, whole), (other, second)):
        parameter.grad = gradients[1].contiguous(memory_format=torch.channels_last)
        optimiser.step()
    assert torch.equal(one, other)


def test_a_parameter_without_a_gradient_stays() -> None:
    one, other = pair()
    optimiser = Adam([*one.parameters(), *other.parameters()], lr=0.1)
    before = other.weight.clone()
    steps(one, optimiser)
    assert torch.equal(other.weight, before)
    optimiser.zero_grad(set_to_none=False)
    assert not one.weight.grad.any()  # type: ignore[union-attr]


def test_training_imports_no_compiler() -> None:
    program = (
        "import sys, numpy as np, pandas as pd, manikin as mk\n"
        "rng = np.random.default_rng(0)\n"
        "frame = pd.DataFrame({'a': rng.normal(size=200).round(1), 'b': rng.integers(0, 2, 200)})\n"
        "mk.synthesizer('tvae', max_steps=3).fit(mk.read(frame), seed=0).sample(10, seed=1)\n"
        "print(sorted(name for name in ('torch._dynamo', 'torch._inductor', 'sympy') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
