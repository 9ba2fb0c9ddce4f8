"""Find and load what other installed packages add: feed formats, front-matter kinds, transports, sources of bounces.

A package names its additions as entry points of a group (`feeds.formats`, `feeds.kinds`, `feeds.transports`, `feeds.bounces`);
each group's own module says what such an object must have, with an example.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import FeedsError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@dataclass(frozen=True, slots=True, order=True)
class Plugin:
    """An entry point of another package: its group and name there, which package of which version, `module:attribute`."""

    group: str
    name: str
    package: str
    version: str
    target: str

    def __str__(self) -> str:
        return f"{self.name}={self.package} {self.version}"

    def fault(self, error: Exception) -> str:
        """Return one line for the operator: which package, what is wrong with it, and what to do."""
        reason = str(error) if isinstance(error, FeedsError) else " ".join(f"{type(error).__name__}: {error}".split())
        return (
            f"package {self.package} {self.version}: {self.group} {self.name!r} ({self.target}) cannot be used: {reason}; "
            "repair the package or uninstall it"
        )


@functools.cache
def find_plugins(group: str) -> tuple[Plugin, ...]:
    """Return what installed packages add to a group, sorted by name; nothing is imported. Once per process.

    `importlib.metadata.entry_points` would take twice the time, because it reads the names of all distributions.
    """
    from importlib.metadata import distributions  # archives and messages: processes that parse need none of it

    found: set[Plugin] = set()
    for package in distributions():
        if f"[{group}]" in (package.read_text("entry_points.txt") or ""):
            points: Iterable[EntryPoint] = package.entry_points.select(group=group)
            found.update(Plugin(group, point.name, package.name, package.version, point.value) for point in points)
    return tuple(sorted(found))


def load_plugin(plugin: Plugin) -> Any:
    """Import the object that an entry point names. Raises whatever the package's own code raises."""
    module, _, attribute = plugin.target.partition(":")
    return functools.reduce(getattr, filter(None, attribute.split(".")), importlib.import_module(module))
