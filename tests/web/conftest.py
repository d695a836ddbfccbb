"""Two small sets of images, and a server of the real command line on them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Noise of two kinds, as JPEG and PNG of other sizes, with labels and file names that tell everything."""
    root = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    for kind, side, ending in (("real", 40, "jpg"), ("synthetic", 32, "png")):
        folder = root / kind
        folder.mkdir()
        lines = ["file,label,age"]
        for i in range(12):
            pixels = rng.integers(0, 255, (side, side)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{kind}-{i}.{ending}")
            lines.append(f"{kind}-{i}.{ending},{'ill' if i % 3 else 'well'},{40 + i}")
        (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return root / "real", root / "synthetic"


@contextmanager
def serving(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command line as a process of its own; gives its page's address, and ends it as Ctrl-C does."""
    code = "from manikin.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments), "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        assert process.stdout is not None
        text = ""
        while '"url"' not in text:
            line = process.stdout.readline()
            assert line, process.stderr.read() if process.stderr else ""
            text += line
        yield process, json.loads("{" + text[text.index('"url"') :].strip().rstrip("}") + "}")["url"]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
