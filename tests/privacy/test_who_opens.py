"""Only two files open seals and draw privacy noise, and they draw it from the operating system alone: read off the source's syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import manikin

SOURCE = Path(manikin.__file__).parent
MAY = {"privacy/mechanisms.py", "privacy/dpsgd.py"}
OPENS = {
    "privacy/sealed.py",
    "privacy/teachers.py",  # draws no noise: its teachers' votes go to mechanisms.noisy_votes
    "privacy/canaries.py",  # the attacker of an audit, who sees everything; whom nothing that learns may import
}
OPENERS = {"opened", "opened_data", "opened_summary", "private_generator"}
BEHIND = {"_rows", "_data", "_summary"}
NOISES = {"laplace", "gumbel", "standard_cauchy"}
REPLAYABLE = {
    "manual_seed",
    "seed",
    "RandomState",
    "default_rng",
    "generator",
    "derive",
    "randn",
    "randn_like",
    "normal_",
    "Generator",
}


@cache
def files() -> dict[str, ast.Module]:
    """Every module's syntax by its path below the package."""
    return {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}


def test_nothing_that_learns_knows_the_attacker() -> None:
    knows = {name for name, tree in files().items() if "canaries" in str([imported(node) for node in ast.walk(tree)])}
    assert knows <= {"workflow/dp_audit.py"}


def imported(node: ast.AST) -> list[str]:
    """Modules and names that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(name.name for name in node.names)]
    return [name.name for name in node.names] if isinstance(node, ast.Import) else []


def opens(tree: ast.Module) -> list[str]:
    """Where a module reaches behind a seal: by import, by attribute, or by the name of the slot."""
    found = []
    openers = OPENERS if any("privacy" in name for node in tree.body for name in imported(node)) else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and "privacy" in (node.module or ""):
            found += [f"{node.lineno}: imports {name.name}" for name in node.names if name.name in OPENERS]
        elif isinstance(node, ast.Attribute):
            is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
            if node.attr in openers or (node.attr in BEHIND and not is_own):
                found.append(f"{node.lineno}: .{node.attr}")
        elif isinstance(node, ast.Constant) and node.value in BEHIND:
            found.append(f"{node.lineno}: {node.value!r}")
    return found


def test_only_two_files_open_seals() -> None:
    found = {name: where for name, tree in files().items() if name not in MAY | OPENS and (where := opens(tree))}
    assert not found


@pytest.mark.parametrize(
    "leak",
    [
        "from manikin.privacy.sealed import opened",
        "from manikin.privacy.mechanisms import private_generator",
        "from manikin.privacy import mechanisms\nmechanisms.opened_data(private)",
        "from manikin.privacy import sealed\nprivate._data.records",
        "from manikin.privacy import sealed\ngetattr(private, '_rows')",
        "def look(private): return private._data.table",
        "from manikin.privacy import sealed as s\ns.opened(rows).max()",
    ],
)
def test_whoever_else_opens_one_is_found(leak: str) -> None:
    assert opens(ast.parse(leak))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Called names, the last part of dotted ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node


def test_nobody_else_draws_privacy_noise() -> None:
    found = {
        f"{name}:{call.lineno}: {called}"
        for name, tree in files().items()
        if name not in MAY
        for called, call in calls(tree)
        if called in NOISES
    }
    assert not found


def replayable(tree: ast.Module) -> list[str]:
    """Draws that somebody could repeat: anything but a generator keyed by `secrets`."""
    found = []
    for called, call in calls(tree):
        if called not in REPLAYABLE:
            continue
        inside = {
            f"{n.value.id}.{n.attr}" for n in ast.walk(call) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name)
        }
        if "secrets.randbits" not in inside:
            found.append(f"{call.lineno}: {called}")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and "seeds" in (node.module or ""):
            found.append(f"{node.lineno}: imports {node.module}")
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "random"
            and isinstance(node.value, ast.Name)
            and node.value.id == "torch"
        ):
            found.append(f"{node.lineno}: torch.random")
    return found


@pytest.mark.parametrize("name", sorted(MAY))
def test_noise_cannot_be_replayed(name: str) -> None:
    path = SOURCE / name
    if not path.exists():
        pytest.skip("not in this version")
    assert not replayable(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "draw",
    [
        "import numpy as np\nnp.random.default_rng(seed).normal()",
        "import numpy as np\nnp.random.seed(0)",
        "import torch\ntorch.randn(3)",
        "import torch\ntorch.manual_seed(3)",
        "from manikin.data.seeds import generator",
    ],
)
def test_a_draw_that_can_be_replayed_is_found(draw: str) -> None:
    assert replayable(ast.parse(draw))


def test_every_answer_is_paid_before_it_is_drawn() -> None:
    """In each function that draws, the ledger's `spend` stands before the first generator and the first opened seal."""
    tree = ast.parse((SOURCE / "privacy/mechanisms.py").read_text(encoding="utf-8"))
    free = {"private_generator", "seal", "seal_records", "assigned", "_bounded"}  # they answer nothing
    for function in [node for node in tree.body if isinstance(node, ast.FunctionDef)]:
        lines: dict[str, int] = {}
        for called, call in calls(function):
            lines[called] = min(call.lineno, lines.get(called, call.lineno))
        looks = [line for called, line in lines.items() if called in OPENERS]
        if looks and function.name not in free:
            assert lines.get("spend", 10**9) < min(looks), function.name
