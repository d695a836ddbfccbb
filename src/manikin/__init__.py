"""Manikin: synthetic patients that can be defended. The public names; importing this module imports nothing heavy.

    import manikin as mk

    patients = mk.read("patients.csv")                  # a file, or a pandas, polars or pyarrow frame
    train, holdout = mk.split(patients, seed=0)         # by patient
    model = mk.synthesizer("forest").fit(train, seed=0)
    synthetic = model.sample(1_000, seed=1)             # a Dataset; .to_native() is a frame like yours
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manikin.data.dataset import Dataset, split
    from manikin.data.errors import ManikinError
    from manikin.data.schema import Column, Kind, Role, Schema, TableSchema
    from manikin.evaluation.base import Results
    from manikin.evaluation.inference.combining import combine
    from manikin.synthesizers import SYNTHESIZERS, synthesizer
    from manikin.workflow import study
    from manikin.workflow.audit import audit
    from manikin.workflow.compare import compare
    from manikin.workflow.explanation import explain
    from manikin.workflow.face import augment, complete, evaluate, ledger, load, report, save
    from manikin.workflow.pairing import pair
    from manikin.workflow.sources import declare_public, infer, read, read_schema, write, write_schema
    from manikin.workflow.stress import stress
    from manikin.workflow.synthesize import synthesize
    from manikin.workflow.translate import translate

__version__ = "0.1.0"

_HOMES = {
    "manikin.data.dataset": ("Dataset", "split"),
    "manikin.data.errors": ("ManikinError",),
    "manikin.data.schema": ("Column", "Kind", "Role", "Schema", "TableSchema"),
    "manikin.evaluation.base": ("Results",),
    "manikin.evaluation.inference.combining": ("combine",),
    "manikin.synthesizers": ("SYNTHESIZERS", "synthesizer"),
    "manikin.workflow.audit": ("audit",),
    "manikin.workflow.compare": ("compare",),
    "manikin.workflow.explanation": ("explain",),
    "manikin.workflow.face": ("augment", "complete", "evaluate", "ledger", "load", "save"),
    "manikin.workflow.pairing": ("pair",),
    "manikin.workflow.stress": ("stress",),
    "manikin.workflow.sources": ("declare_public", "infer", "read", "read_schema", "write", "write_schema"),
    "manikin.workflow.synthesize": ("synthesize",),
    "manikin.workflow.translate": ("translate",),
}
_MODULES = {"report": "manikin.report", "study": "manikin.workflow.study"}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
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
]


class _Report(ModuleType):
    """The package `manikin.report`, which is also the function `mk.report(results, path)`."""

    def __call__(self, *arguments: Any, **named: Any) -> None:
        from manikin.workflow.face import report as write_report

        write_report(*arguments, **named)


class _Manikin(ModuleType):
    """This module. Importing a subpackage binds its name here, so that `report` would hide the function: it becomes both instead."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "report" and isinstance(value, ModuleType):
            value.__class__ = _Report
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Manikin


def __getattr__(name: str) -> Any:
    """Imports a public name's module on first use (PEP 562)."""
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in _HOME:
        raise AttributeError(f"module 'manikin' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
