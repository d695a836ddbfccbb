"""What people see: a bar with the time left on a terminal, plain lines in a log, one JSON document for machines. Knows no job."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manikin.cli.live import LiveView
from manikin.training.signals import line
from manikin.workflow.stages import Watcher

LINE_EVERY_SECONDS = 15.0  # in a log a stage tells no more often how far it is


class LogWatcher:
    """Plain lines on stderr, for logs and pipes."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._said = 0.0
        self._signals: Mapping[str, float] = {}
        self._best: float | None = None

    def stage(self, title: str) -> None:
        """A line per stage."""
        self._said = time.monotonic()
        self._line(f"{title} …")

    def advance(self, fraction: float | None, note: str = "") -> None:
        """A line now and then."""
        if time.monotonic() - self._said >= LINE_EVERY_SECONDS:
            self._said = time.monotonic()
            share = "" if fraction is None else f"{fraction:.0%}"
            self._line("  " + ", ".join(part for part in (share, note, line(self._signals, self._best)) if part))

    def watch(self, signals: Mapping[str, float]) -> None:
        """Said with the next line."""
        self._signals = signals
        distances = [value for value in (self._best, signals.get("drift")) if value is not None]
        self._best = min(distances) if signals and distances else None

    def note(self, text: str) -> None:
        """A line."""
        self._line(f"note: {text}")

    def warn(self, text: str) -> None:
        """A line that stands out."""
        self._line(f"WARNING: {text}")

    def _line(self, text: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - self._start:6.1f} s] {text}\n")
        sys.stderr.flush()


class TerminalWatcher:
    """One live bar with the time left on stderr, and how learning goes below it; what is done scrolls away above it."""

    def __init__(self, progress: Any, view: LiveView) -> None:
        self._progress, self._view = progress, view
        self._task: Any = None
        self._title = ""

    def stage(self, title: str) -> None:
        """Finishes the bar of the stage before and begins one."""
        self.finish()
        self._title = title
        self._task = self._progress.add_task(_safe(title), total=None, note="")

    def advance(self, fraction: float | None, note: str = "") -> None:
        """Moves the bar; the time left follows from its pace."""
        if self._task is not None:
            total = None if fraction is None else 1.0
            self._progress.update(self._task, total=total, completed=fraction or 0.0, note=_safe(note))

    def watch(self, signals: Mapping[str, float]) -> None:
        """Redraws the table under the bar; it goes when there is nothing to tell."""
        self._view.take(signals)

    def note(self, text: str) -> None:
        """Prints above the bar."""
        self._progress.console.print(f"  {_safe(text)}", style="dim", highlight=False)

    def warn(self, text: str) -> None:
        """Prints above the bar, so that it stands out."""
        self._progress.console.print(f"  {_safe(text)}", style="bold yellow", highlight=False)

    def finish(self) -> None:
        """Marks the stage as done."""
        self._view.take({})
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._progress.console.print(f"[green]done[/]  {_safe(self._title)}", highlight=False)
            self._task = None


def _safe(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@contextmanager
def watching(*, as_json: bool = False) -> Iterator[Watcher]:
    """A watcher that suits where stderr goes; machines that want JSON get plain lines there too."""
    if not sys.stderr.isatty() or as_json:
        yield LogWatcher()
        return
    from rich.console import Console

    from manikin.cli.live import bar

    view = LiveView()
    with bar(Console(stderr=True), view) as progress:
        watcher = TerminalWatcher(progress, view)
        yield watcher
        watcher.finish()


def say(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")


def say_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=_plain) + "\n")


def say_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns on stdout, the last one unbounded."""
    widths = [max(len(row[j]) for row in [head, *rows]) for j in range(len(head))]
    for row in [head, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths[:-1], strict=True)]
        say("  ".join([*cells, row[-1]]).rstrip())


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
