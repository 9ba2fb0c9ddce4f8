"""docs/reference/: pages that are read from the code, so that they cannot say anything else.

Each page is a function that returns Markdown and raises `Unexplained` where the code has something without words. The words of
a setting are its comment in config/*.yaml, those of a variable its field in `Environment`, those of a command its help, those
of an address the docstring of its view, those of a metric its HELP,
those of a package its line in `dependencies`.
"""

from __future__ import annotations

from collections.abc import Callable

from . import addresses, commands, dependencies, metrics, settings
from .words import Unexplained

__all__ = ["PAGES", "Unexplained"]

#: docs/reference/NAME.md -> what writes it.
PAGES: dict[str, Callable[[], str]] = {
    "settings": settings.page,
    "commands": commands.page,
    "addresses": addresses.page,
    "metrics": metrics.page,
    "dependencies": dependencies.page,
}
