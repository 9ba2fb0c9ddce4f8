"""What the program compiles at each start, kept for a whole run of the tests: modules, templates, addresses, statements.

A run starts the application hundreds of times, each time from the same sources. Everything that decides the code is in its key,
so an edited template, or one of the operator's own, is compiled anew.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

import jinja2
import sqlalchemy as sa
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

#: Of an environment of Jinja: whatever the code of a template depends on besides its source.
_OPTIONS = (
    "block_start_string",
    "variable_start_string",
    "comment_start_string",
    "line_statement_prefix",
    "trim_blocks",
    "lstrip_blocks",
    "newline_sequence",
    "keep_trailing_newline",
    "optimized",
    "is_async",
    "sandboxed",
)


def keep_modules() -> None:
    """Let processes that tests start find the compiled modules of those before, also where the shell forbids to write them."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def keep_templates() -> None:
    """Compile each template once."""
    compiled: dict[Any, CodeType] = {}
    compile_ = jinja2.Environment.compile

    def compile_once(
        self: jinja2.Environment, source: Any, name: str | None = None, filename: str | None = None, *rest: Any, **more: Any
    ) -> Any:
        if rest or more or not isinstance(source, str):
            return compile_(self, source, name, filename, *rest, **more)
        escape = getattr(self.autoescape, "__qualname__", self.autoescape)
        key = (source, name, filename, type(self), escape, tuple(self.extensions), *(getattr(self, each) for each in _OPTIONS))
        if key not in compiled:
            compiled[key] = compile_(self, source, name, filename)
        return compiled[key]

    jinja2.Environment.compile = compile_once  # type: ignore[method-assign]


def keep_addresses() -> None:
    """Compile what puts an address together once for each rule."""
    compiled: dict[Any, Callable[..., tuple[str, str]]] = {}
    compile_ = Rule._compile_builder

    def compile_once(self: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        if self.defaults:
            return compile_(self, append_unknown)
        key = (self.rule, tuple(self._trace), append_unknown)
        if key not in compiled:
            compiled[key] = compile_(self, append_unknown)
        return compiled[key]

    Rule._compile_builder = compile_once  # type: ignore[method-assign]


class Statements(LRUCache[Any, Any]):
    """Compiled statements of all engines of a dialect, but for those that are text: each database has its own answer."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        if not isinstance(compiled.statement, sa.TextClause):
            super().__setitem__((type(key[0]), *key[1:]), compiled)


def keep_statements() -> None:
    """Compile a statement once for all SQLite databases."""
    statements, own = Statements(2000), "_own_compiled_cache"
    found = property(
        lambda engine: statements if engine.dialect.name == "sqlite" else engine.__dict__[own],
        lambda engine, cache: engine.__dict__.__setitem__(own, cache),
    )
    sa.Engine._compiled_cache = found  # type: ignore[assignment]
