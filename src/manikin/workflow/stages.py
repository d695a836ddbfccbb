"""What a job is doing: said to whoever watches, and metered in CPU seconds. Knows no terminal: the command line brings its own watcher."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol


class Watcher(Protocol):
    """Is told what a job does; a terminal draws it, a log prints lines, a notebook may ignore it."""

    def stage(self, title: str) -> None:
        """A new stage begins; the one before is done."""
        ...

    def advance(self, fraction: float | None, note: str = "") -> None:
        """How much of the stage is done, in [0, 1], where that is known."""
        ...

    def watch(self, signals: Mapping[str, float]) -> None:
        """How learning goes, as last measured, by the names of `training.signals`; an empty mapping begins or ends a model's learning."""
        ...

    def note(self, text: str) -> None:
        """Something the user should know."""
        ...

    def warn(self, text: str) -> None:
        """Something the user must know."""
        ...


class Silent:
    """Watches and says nothing."""

    def stage(self, title: str) -> None:
        """Says nothing."""

    def advance(self, fraction: float | None, note: str = "") -> None:
        """Says nothing."""

    def watch(self, signals: Mapping[str, float]) -> None:
        """Says nothing."""

    def note(self, text: str) -> None:
        """Says nothing."""

    def warn(self, text: str) -> None:
        """Says nothing."""


@dataclass(frozen=True)
class Spent:
    """What one stage cost: CPU seconds (user and system, threads and children included) and seconds on the clock."""

    stage: str
    cpu_seconds: float
    wall_seconds: float


@dataclass
class Stages:
    """Meters the stages of one job and passes its words on; notices are kept for the manifest and the report."""

    watcher: Watcher = field(default_factory=Silent)
    spent: list[Spent] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        """Meters what is done inside under `name`, and shows it as `title`."""
        self.watcher.stage(title)
        cpu, wall = cpu_seconds(), time.monotonic()
        try:
            yield
        finally:
            self.spent.append(Spent(name, round(cpu_seconds() - cpu, 3), round(time.monotonic() - wall, 3)))

    def note(self, text: str) -> None:
        """Keeps a notice and passes it on."""
        self.notices.append(text)
        self.watcher.note(text)

    def warn(self, text: str, *, is_shown: bool = False) -> None:
        """Keeps a warning and passes it on, unless it was shown when it happened."""
        self.notices.append(text)
        if not is_shown:
            self.watcher.warn(text)


def cpu_seconds() -> float:
    """CPU seconds of this process and its ended children so far, user and system."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_memory_mb() -> float | None:
    """The most memory that this process has held so far, in MB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (1_000_000 if sys.platform == "darwin" else 1_000), 1)  # bytes there, kilobytes elsewhere
