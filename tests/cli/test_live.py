"""The table of signals under the progress bar, with planted signals, on terminals of several kinds."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from manikin.cli.console import LINE_EVERY_SECONDS, LogWatcher
from manikin.cli.live import LiveView, bar, sparkline

GAN = {
    "loss: critic": 2.0,
    "loss: generator": 1.0,
    "gradient: critic": 7.1,
    "gradient: generator": 12345.6,
    "accuracy real": 0.54,
    "accuracy synthetic": 0.5,
    "wasserstein": 0.53,
    "coverage": 1.0,
    "duplicates": 0.0,
    "duplicates of train": 0.02,
    "drift": 0.158,
}


def seen(view: LiveView, width: int, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, force_terminal=True, color_system=None)
    table = view.table(console)
    assert table is not None
    console.print(table)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def view_of(*many: dict[str, float]) -> LiveView:
    view = LiveView()
    for signals in many:
        view.take(signals)
    return view


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_signal_has_one_line_that_fits(width: int) -> None:
    lines = seen(view_of(GAN | {"drift": 0.157}, GAN), width).rstrip("\n").split("\n")
    assert len(lines) == 8  # the patients' repeats stand beside the samples', the players' losses are left out
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    text = "\n".join(lines)
    for part in ("critic right on real rows", "54 %", "50 %", "0.158", "best 0.157", "100 %", "patients 2 %", "1.2e+04"):
        assert part in text


def test_a_wide_terminal_says_what_a_figure_means() -> None:
    assert "50 % would be a draw" in seen(view_of(GAN), 80)
    assert "best 0.158; 0 is alike" in seen(view_of(GAN), 80)


def test_a_model_without_a_critic_shows_what_it_has() -> None:
    text = seen(view_of({"loss: denoising": 0.5, "gradient: denoising": 0.1, "held-out loss": 1.2}), 60)
    assert "loss, denoising" in text
    assert "loss on held-out rows" in text
    assert "best 1.2" in text


def test_names_are_no_markup() -> None:
    assert "[red]odd" in seen(view_of({"[red]odd": 1.0}), 60)


def test_a_terminal_without_unicode_gets_letters() -> None:
    view = view_of(*({"drift": 0.1 * k} for k in range(1, 6)))
    assert re.search(r"distance from held-out +0\.500 _[-.~=+*#]+", seen(view, 60, "ascii"))


def test_the_same_measurement_counts_once_and_an_empty_one_ends_a_model() -> None:
    view = view_of(GAN, GAN, GAN | {"drift": 0.1})
    assert view.history["drift"] == [0.158, 0.1]
    view.take({})
    assert view.table(Console(width=60)) is None
    view.take(GAN)
    assert view.history["drift"] == [0.158]


def test_a_sparkline_runs_from_least_to_most() -> None:
    assert sparkline([0.0, 1.0], 8) == "▁█"
    assert sparkline([], 8) == ""
    assert sparkline([float("nan"), 2.0, 2.0], 8) == "▅▅"
    assert sparkline([float(k) for k in range(1000)], 8) == "▁▂▃▄▅▆▇█"


def test_the_bar_carries_the_table_below() -> None:
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    view = view_of(GAN)
    progress = bar(console, view)
    progress.add_task("Learning with ctgan", total=1.0, note="step 10")
    console.print(progress.get_renderable())
    assert isinstance(console.file, io.StringIO)
    first, second = console.file.getvalue().split("\n")[:2]
    assert "Learning with ctgan" in first
    assert "step 10" in first
    assert "critic right on real rows" in second


def test_a_log_says_distance_and_accuracy_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("manikin.cli.console.time.monotonic", lambda: clock[0])
    watcher = LogWatcher()
    watcher.stage("Learning")
    for drift in (0.3, 0.15, 0.2):
        watcher.watch(GAN | {"drift": drift})
        watcher.advance(0.5, "step 9")
    clock[0] = LINE_EVERY_SECONDS
    watcher.advance(0.5, "step 10")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(
        "50%, step 10, distance from held-out rows 0.200 (best 0.150), critic right on 54 % of real and 50 % of synthetic rows"
    )


JOB = """
import time
from manikin.cli.console import watching
with watching() as watcher:
    watcher.stage("Learning with ctgan")
    for i in range(8):
        watcher.watch({"accuracy real": 0.5 + i / 100, "accuracy synthetic": 0.5, "drift": 0.3 - i / 100})
        watcher.advance(i / 8, f"step {i}")
        if i == 4:
            watcher.warn("Mode collapse shows")
        time.sleep(0.12)
    watcher.stage("Sampling")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed")
@pytest.mark.parametrize("columns", [60, 80])
def test_a_terminal_redraws_the_table_in_place(tmp_path: Path, columns: int) -> None:
    import pty

    script = tmp_path / "job.py"
    script.write_text(JOB)
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), "NO_COLOR": "1"}
    with subprocess.Popen([sys.executable, str(script)], stderr=child, stdout=subprocess.DEVNULL, env=environment) as process:
        os.close(child)
        raw = b""
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            raw += piece
    os.close(parent)
    assert process.returncode == 0
    assert not re.search(rb"\x1b\[3[0-7]m", raw)  # no colour was asked for
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw.decode())
    assert max(len(line) for line in re.split(r"[\r\n]+", text)) <= columns
    assert "critic right on real rows" in text
    assert "distance from held-out" in text
    assert text.count("Mode collapse shows") == 1
    after = raw.decode().rpartition("done")[2]
    assert "distance" not in after
