"""The style holds, and imports run downward only."""

from __future__ import annotations

from tools_of_the_house import finds_nothing


def test_the_style_holds() -> None:
    finds_nothing("ruff", "check", ".")


def test_imports_run_downward_only() -> None:
    finds_nothing("lint-imports")
