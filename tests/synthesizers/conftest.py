"""Loading a folder in a process of its own, so that the memory it takes can be told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

LOAD = """
import json, resource, sys
import safetensors.numpy, sklearn.ensemble, torch
import manikin.synthesizers.tables.autoregressive, manikin.synthesizers.tables.forest
from manikin.synthesizers.storage import load
unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
before = peak()
try:
    load(sys.argv[1])
    error = ""
except Exception as e:
    error = type(e).__name__
print(json.dumps([error, peak() - before]))
"""


@pytest.fixture(scope="session")
def growth_of_load() -> Callable[[Path], tuple[str, float]]:
    """Loads a folder in a new process: the name of the error ("" without one), and by how many MiB the peak memory grew."""
    pytest.importorskip("resource", reason="peak memory is not told on this system")

    def run(folder: Path) -> tuple[str, float]:
        out = subprocess.run([sys.executable, "-c", LOAD, str(folder)], capture_output=True, text=True, check=True, timeout=120)
        error, growth = json.loads(out.stdout)
        return str(error), float(growth)

    return run
