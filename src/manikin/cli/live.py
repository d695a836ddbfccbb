"""How learning goes, as a small table under the progress bar that is redrawn in place. Knows signals by `training.signals`, no model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from manikin.training.signals import against, order_of, signal_of, value_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

BLOCKS, LETTERS = "▁▂▃▄▅▆▇█", "_.-~=+*#"  # the second where a terminal has no Unicode
WIDE = 76  # columns from which on the meaning is said in words
MOST_POINTS = 14
MOST_ROWS = 11
MOST_HISTORY = 4000


@dataclass
class LiveView:
    """The signals so far of the model that learns now; nothing between two models."""

    now: Mapping[str, float] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)

    def take(self, signals: Mapping[str, float]) -> None:
        """Adds a measurement; the same one again adds nothing, an empty one clears the view."""
        if not signals:
            self.history = {}
        elif signals != self.now:
            for name, value in signals.items():
                self.history.setdefault(name, []).append(value)
                del self.history[name][:-MOST_HISTORY]
        self.now = dict(signals)

    def rows(self) -> list[tuple[str, str, list[float], str, str]]:
        """(title, value, history, what to read it against, meaning) of each signal worth a line, at most `MOST_ROWS`."""
        names = [name for name in order_of(list(self.now)) if name not in _beside(self.now)]
        if "wasserstein" in names:  # the players' losses say only who is ahead, as the gap does
            names = [name for name in names if name not in ("loss: critic", "loss: generator")]
        out = []
        for name in names[:MOST_ROWS]:
            signal, past = signal_of(name), self.history.get(name, [])
            out.append((signal.title, value_text(name, self.now[name]), past, against(name, past, self.now), signal.brief))
        return out

    def table(self, console: Console) -> Table | None:
        """The table for a terminal of this width; None while there is nothing to tell."""
        if not self.now:
            return None
        from rich.table import Table

        is_wide = console.width >= WIDE
        table = Table.grid(padding=(0, 1))
        table.add_column(width=2)
        table.add_column(no_wrap=True, min_width=15)
        table.add_column(justify="right", no_wrap=True, min_width=7)
        table.add_column(no_wrap=True, width=MOST_POINTS if is_wide else 8, style="cyan")
        table.add_column(no_wrap=True, overflow="ellipsis", style="dim")
        marks = LETTERS if console.options.ascii_only else BLOCKS
        for title, value, past, beside, brief in self.rows():
            told = "; ".join(part for part in _merged(beside, brief) if part) if is_wide else beside or _short(brief)
            line = sparkline(past, MOST_POINTS if is_wide else 8, marks)
            table.add_row("", _plain(title), _plain(value), _plain(line), _plain(told))
        return table


def bar(console: Console, view: LiveView) -> Progress:
    """The progress bar with the time left and the view below it; both go when it ends."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    class Bar(Progress):
        """Rich's own, with the view under it."""

        def get_renderables(self):  # type: ignore[no-untyped-def]
            """The bar, then the view's table while a model learns."""
            yield from super().get_renderables()
            table = view.table(console)
            if table is not None and self.tasks:
                yield table

    is_wide = console.width >= WIDE
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24 if is_wide else 10),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
    )
    return Bar(*columns, console=console, transient=True)


def sparkline(values: Sequence[float], width: int, marks: str = BLOCKS) -> str:
    """The course of a figure in `width` characters, each the mean of its part; from its least to its greatest value.

    >>> sparkline([0.0, 1.0, 2.0, 7.0], 8)
    '▁▂▃█'
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    n = min(width, len(finite))
    edges = [round(k * len(finite) / n) for k in range(n + 1)]
    means = [sum(finite[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, span = min(means), max(means) - min(means)
    if span <= 1e-9 * max(abs(low), 1.0):
        return marks[len(marks) // 2] * n
    return "".join(marks[min(int((mean - low) / span * len(marks)), len(marks) - 1)] for mean in means)


def _beside(now: Mapping[str, float]) -> set[str]:
    """Signals that are told beside another."""
    return {signal_of(name).beside for name in now} - {""}


def _merged(beside: str, brief: str) -> tuple[str, str]:
    """The comparison and the meaning, without saying one of them twice."""
    if beside.startswith("draw"):
        return "", brief
    if beside.startswith("best"):
        return beside, "" if brief.endswith("is better") else brief
    return (beside, "") if beside else ("", brief)


def _short(brief: str) -> str:
    return brief if len(brief) <= 12 else ""


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
