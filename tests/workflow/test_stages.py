"""Stages are metered and their words are kept."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from manikin.workflow.stages import Stages, cpu_seconds, peak_memory_mb


class Listener:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def stage(self, title: str) -> None:
        self.heard.append(title)

    def advance(self, fraction: float | None, note: str = "") -> None:
        self.heard.append(f"{fraction} {note}")

    def watch(self, signals: Mapping[str, float]) -> None:
        self.heard.append(f"signals {len(signals)}")

    def note(self, text: str) -> None:
        self.heard.append(text)

    def warn(self, text: str) -> None:
        self.heard.append(f"! {text}")


def work_and_fail() -> None:
    start = cpu_seconds()
    while cpu_seconds() - start < 0.05:
        pass
    raise ValueError


def test_a_stage_costs_cpu_and_time_even_when_it_fails() -> None:
    stages = Stages()
    with pytest.raises(ValueError), stages.stage("work", "Working"):
        work_and_fail()
    with stages.stage("wait", "Waiting"):
        time.sleep(0.05)
    work, wait = stages.spent
    assert (work.stage, wait.stage) == ("work", "wait")
    assert work.cpu_seconds >= 0.05
    assert wait.wall_seconds >= 0.05 > wait.cpu_seconds


def test_words_reach_the_watcher_and_notices_are_kept() -> None:
    listener = Listener()
    stages = Stages(listener)
    with stages.stage("read", "Reading"):
        stages.note("one row is odd")
        stages.warn("too few")
    assert listener.heard == ["Reading", "one row is odd", "! too few"]
    assert stages.notices == ["one row is odd", "too few"]


def test_memory_is_in_megabytes() -> None:
    peak = peak_memory_mb()
    assert peak is None or 20 < peak < 1_000_000
