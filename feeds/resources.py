"""Where the files lie that travel with the program: templates, default configuration, demo articles."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    """Inside an installed wheel, or at the top of a checkout."""
    packed = _PACKAGE / "_share" / name
    return packed if packed.is_dir() else _PACKAGE.parent / name


def templates() -> Path:
    return _folder("templates")


def words() -> Path:
    """The catalogs of the pages' own words."""
    return _PACKAGE / "locale"


def static() -> Path:
    """Style sheet, icons: what pages ask for besides themselves."""
    return _PACKAGE / "web" / "static"


def code() -> Path:
    return _PACKAGE


def default_config() -> Path:
    return _folder("config")


def demo() -> Path:
    return _folder("demo")
