"""Paths of the files that come with the program: templates, default configuration, demo articles, static files."""

from __future__ import annotations

from pathlib import Path

#: The code of the package.
CODE = Path(__file__).resolve().parent
#: Beside the code in an installed wheel, at the top of a checkout.
_SHARED = CODE / "_share" if (CODE / "_share").is_dir() else CODE.parent

TEMPLATES = _SHARED / "templates"
DEFAULT_CONFIG = _SHARED / "config"
DEMO = _SHARED / "demo"
#: Style sheet and icons of pages.
STATIC = CODE / "web" / "static"
