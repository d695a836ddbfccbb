"""A policy of a few lines, and the gate with a key of its own, for tests of releases."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from manikin.workflow.receive import keygen, verify
from manikin.workflow.release import Released, release

CHECK = """
[[checks]]
name = "{name}"
measure = "{measure}"
title = "{name}"
{limit}
rationale = "r"
source = "s"
kind = "convention"
"""
POLICY = """
name = "gate"
version = 1
title = "A policy of the tests"
recipients = "Students"
expires_after_days = 30
"""


def policy(path: Path, *checks: tuple[str, str]) -> Path:
    made = [CHECK.format(name=f"check{i}", measure=measure, limit=limit) for i, (measure, limit) in enumerate(checks)]
    path.write_text(POLICY + "".join(made))
    return path


def let_out(source: Path, out: Path, rules: Path, **more: Any) -> Released:
    key = rules.with_name("publisher.key")
    if not key.exists():
        keygen(key)
    made = release(source, policy=rules, key=key, out=out, **more)
    if made.out is not None:
        verify(made.out, key=f"{key}.pub")
    return made


def check_croissant(folder: Path) -> None:
    """Croissant that its own library reads without an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that read it
        import mlcroissant

        data = mlcroissant.Dataset(jsonld=folder / "croissant.json")
        assert not data.metadata.ctx.issues.errors
