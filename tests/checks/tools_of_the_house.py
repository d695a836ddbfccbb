"""Runs the tools of `make lint`, which stand beside this interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def finds_nothing(tool: str, *arguments: str) -> None:
    """Fails with what the tool says, if it says anything against the tree."""
    place = Path(sys.executable).parent / tool
    ended = subprocess.run([place, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=880, check=False)
    assert ended.returncode == 0, f"\n{ended.stdout}\n{ended.stderr}"
