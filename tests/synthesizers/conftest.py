"""Loading folders in a process of their own, so that the memory it takes can be told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance" / "records"))  # its linked tables serve here too

LOAD = """
import json, resource, sys
import safetensors.numpy, sklearn.ensemble, torch
import manikin.synthesizers.tables.autoregressive, manikin.synthesizers.tables.forest
from manikin.synthesizers.storage import load
unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
for line in sys.stdin:
    before = peak()
    try:
        load(json.loads(line))
        error = ""
    except Exception as e:
        error = type(e).__name__
    print(json.dumps([error, peak() - before]), flush=True)
"""


@pytest.fixture(scope="session")
def growth_of_load() -> Iterator[Callable[[Path], tuple[str, float]]]:
    """Loads a folder in another process: the name of the error ("" without one), and by how many MiB its peak memory grew."""
    pytest.importorskip("resource", reason="peak memory is not told on this system")
    with subprocess.Popen([sys.executable, "-c", LOAD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run(folder: Path) -> tuple[str, float]:
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps(str(folder)), file=process.stdin, flush=True)
            error, growth = json.loads(process.stdout.readline())
            return str(error), float(growth)

        yield run
