"""thin"""

from __future__ import annotations

from manikin.data.rules import Rule
from manikin.data.schema import TableSchema
from manikin.io.profiles import Profile


def discover(profiles: list[Profile], table: TableSchema) -> tuple[Rule, ...]:
    """thin"""
    return ()
