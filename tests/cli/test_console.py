"""What people see: a bar with the time left on a terminal, plain lines in a log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from manikin.cli.console import LogWatcher, say_table

JOB = """
import sys, time
from manikin.cli.console import watching
with watching() as watcher:
    watcher.stage("Learning with [forest]")
    for i in range(8):
        watcher.advance(i / 8, f"step {i}")
        time.sleep(0.15)
    watcher.note("a note")
    watcher.warn("a warning")
    watcher.stage("Sampling")
"""


def test_a_log_has_plain_lines_and_few_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    watcher = LogWatcher()
    watcher.stage("Learning")
    for i in range(1000):
        watcher.advance(i / 1000)
    watcher.note("a note")
    watcher.warn("a warning")
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"\[ +\d\.\d s\] Learning …\n\[ +\d\.\d s\] note: a note\n\[ +\d\.\d s\] WARNING: a warning\n", said.err)


def test_a_pipe_gets_no_control_characters() -> None:
    ended = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, check=True)
    assert "Learning with [forest] …" in ended.stderr
    assert "\x1b" not in ended.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is needed")
def test_a_terminal_gets_a_bar_with_the_time_left(tmp_path: Path) -> None:
    import pty

    script = tmp_path / "job.py"
    script.write_text(JOB)
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, str(script)], stderr=child, stdout=subprocess.DEVNULL, env=environment) as process:
        os.close(child)
        seen = b""
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            seen += piece
    os.close(parent)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "Learning with [forest]" in text
    assert re.search(r"left\s+(0:00:0\d|-:--:--)", text)
    assert "step 7" in text
    assert "done  Sampling" in text
    assert "a warning" in text


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("column", "kind"), [("age", "count"), ("a longer name", "")])
    assert capsys.readouterr().out == "column         kind\nage            count\na longer name\n"
