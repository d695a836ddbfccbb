"""A table of named things that are imported on first use: the same few lines serve synthesizers, metrics, attacks, readers, sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from manikin.data.errors import MissingExtraError, ParameterError


@dataclass(frozen=True)
class Entry:
    """A registry line: where the thing is ("package.module:Name") and what can be said of it without importing it."""

    path: str
    summary: str
    extra: str | None = None


E = TypeVar("E", bound=Entry)


class Registry(Mapping[str, E], Generic[E]):
    """Named entries, our own lines first, then third parties' by entry-point group. A name that two owners claim is an error."""

    def __init__(self, what: str, own: Mapping[str, E], group: str | None = None) -> None:
        self.what = what
        self._own = own
        self._group = group
        self._all: dict[str, E] | None = None

    def _entries(self) -> dict[str, E]:
        if self._all is None:
            found = dict(self._own)
            for point in entry_points(group=self._group) if self._group else ():
                if point.name in found:
                    owner = point.dist.name if point.dist else point.value
                    raise ParameterError(
                        f"Two packages register the {self.what} {point.name!r}: {found[point.name].path} and {owner} ({point.value}). "
                        "Uninstall one of them."
                    )
                found[point.name] = point.load()
            self._all = found
        return self._all

    def __getitem__(self, name: str) -> E:
        entries = self._entries()
        if name not in entries:
            raise ParameterError(f"There is no {self.what} named {name!r}. Choose one of {', '.join(sorted(entries))}.")
        return entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __len__(self) -> int:
        return len(self._entries())

    def load(self, name: str) -> Any:
        """Imports the thing behind a name; says which extra is missing when a package it needs is not there."""
        entry = self[name]
        module, attribute = entry.path.split(":")
        try:
            return getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if entry.extra is None:
                raise
            raise MissingExtraError(
                f"The {self.what} {name!r} needs the package {error.name!r}. Install it with: pip install 'manikin[{entry.extra}]'"
            ) from error
