"""Compile the program's words (`feeds/locale/**/*.po`) for the wheel and for `pip install -e .`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from babel.messages.frontend import CommandLineInterface
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg]
    """The compiled files are artifacts: git ignores them, the wheel holds them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Run `pybabel compile`, before the files of the wheel are listed."""
        folder = Path(self.root, "feeds", "locale")
        CommandLineInterface().run(["pybabel", "--quiet", "compile", "--directory", str(folder), "--domain", "feeds"])
