"""The exported names, and how long it takes until they are there."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import manikin

NAMES = {
    "Column",
    "Dataset",
    "Kind",
    "ManikinError",
    "Results",
    "Role",
    "SYNTHESIZERS",
    "Schema",
    "TableSchema",
    "__version__",
    "audit",
    "augment",
    "combine",
    "compare",
    "complete",
    "declare_public",
    "evaluate",
    "explain",
    "infer",
    "ledger",
    "load",
    "pair",
    "read",
    "read_schema",
    "report",
    "save",
    "split",
    "stress",
    "study",
    "synthesize",
    "synthesizer",
    "translate",
    "write",
    "write_schema",
}


def test_the_public_names_are_these() -> None:
    assert set(manikin.__all__) == NAMES
    assert list(manikin.__all__) == sorted(manikin.__all__)
    assert set(dir(manikin)) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(manikin, name)
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'synthesise'"):
        _ = manikin.synthesise


@pytest.mark.parametrize("first", ["", "import manikin.report.render", "import manikin.report as pages; pages.__path__"])
def test_report_is_a_function_and_a_package_whatever_came_first(first: str) -> None:
    code = f"""
{first}
import manikin as mk, tempfile, pathlib
with tempfile.TemporaryDirectory() as folder:
    mk.report(mk.Results(metrics=()), folder + "/a.html")
    assert pathlib.Path(folder, "a.html").stat().st_size
    import manikin.report.render
    assert manikin.report.render.render
    mk.report(mk.Results(metrics=()), folder + "/b.html")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_importing_manikin_is_quick_and_light() -> None:
    code = """
import sys, time
start = time.process_time()
import manikin
seconds = time.process_time() - start
heavy = sorted({"torch", "pandas", "numpy", "sklearn", "scipy", "matplotlib", "pyarrow", "lifelines", "typer", "rich"} & set(sys.modules))
print(seconds, *heavy)
"""
    seconds, *heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert heavy == []
    assert float(seconds) < 0.3


def test_the_names_for_schemas_and_data_bring_no_torch() -> None:
    code = "import sys, manikin; manikin.read, manikin.synthesizer('forest'), manikin.evaluate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = """
import sys
from manikin.cli import main
try:
    main(["--help"])
except SystemExit as end:
    heavy = {"torch", "pandas", "numpy", "sklearn", "scipy", "matplotlib", "pyarrow"} & set(sys.modules)
    sys.exit(f"heavy: {sorted(heavy)}" if heavy or end.code else 0)
"""
    before = _children_seconds()
    start = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    wall, cpu = time.monotonic() - start, _children_seconds() - before
    assert ended.returncode == 0, ended.stderr
    assert min(wall, cpu) < 0.6  # CPU seconds, where a busy machine stretches the clock


def _children_seconds() -> float:
    import os

    times = os.times()
    return times.children_user + times.children_system
