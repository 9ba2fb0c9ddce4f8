"""Read what a module of JavaScript or TypeScript declares, imports and exports."""

from __future__ import annotations

from ..literals import Budget, Value
from .expressions import DECLARE, Expression, LoadJavascript, Module
from .tokens import Token, ends_of, tokens_of


def read_module(source: str, load: LoadJavascript = lambda name: None, budget: Budget | None = None) -> Module:
    """Return a module of JavaScript or TypeScript; `load` gives those that it imports, with the same budget.

    >>> from feeds.store.generators.javascript.expressions import result_of
    >>> module = read_module("const base = '/a/'; export default defineConfig({ base, at: [1, now()], // or so\\n })")
    >>> result_of(module.export())
    {'base': '/a/', 'at': [1, UNKNOWN]}
    """
    module = _module(source, load, budget or Budget())
    at, end = 0, len(module.tokens)
    while at < end:
        at = _read_statement(module, at)
    return module


def read_value(source: str) -> Value:
    """Return the value of a text that is one expression: JSON, with comments and commas at the end if it has them.

    >>> read_value('{"tags": ["posts",], /* all */ "draft": false}')
    {'tags': ['posts'], 'draft': False}
    """
    return Expression(_module(source, lambda name: None, Budget()), 0, {}).value()


def _module(source: str, load: LoadJavascript, budget: Budget) -> Module:
    tokens = tokens_of(source)
    return Module(tokens, load, budget, ends_of(tokens))


def _read_statement(module: Module, at: int) -> int:
    """Note what the statement at a token declares; return a later token."""
    token = module.token(at)
    if token.kind != "name" or module.starts(at - 1, "."):
        return module.after(at)
    if token.text in DECLARE:
        return _read_require(module, at) or module.declared(at, module.names)
    if token.text == "export":
        return _read_export(module, at)
    if token.text == "import" and not module.starts(at + 1, "("):
        return _read_import(module, at)
    if token.text in ("function", "async") and (function := at + (token.text == "async")) + 1:
        return _read_function(module, function)
    assigned = {"module": ("module", ".", "exports"), "exports": ("exports",)}.get(token.text, ("",))
    if not module.starts(at, *assigned):
        return module.after(at)
    at += len(assigned)
    if module.starts(at, "="):
        module.exported["default"] = at + 1
    elif module.starts(at, ".") and module.starts(at + 2, "="):
        module.exported[module.token(at + 1).text] = at + 3
    return at + 1


def _read_function(module: Module, at: int) -> int:
    """Note `function name(...)`, whose value begins at the word."""
    if module.starts(at, "function") and module.token(at + 1).kind == "name":
        module.names[module.token(at + 1).text] = at
    return module.after(at)


def _read_export(module: Module, at: int) -> int:
    if module.starts(at + 1, "default"):
        module.exported["default"] = at + 2
        return at + 2 if module.token(at + 2).text in ("function", "async") else module.after(at + 2)
    if module.token(at + 1).text in DECLARE:
        return module.declared(at + 1, module.names, module.exported)
    if module.starts(at + 1, "{"):
        names, end = _pairs(module, at + 1)
        source = module.token(end + 2).text if module.starts(end + 1, "from") else ""
        for here, there in names:
            if source:
                module.imported[f"export {there}"] = (source, here)
            module.exported[there] = _pointer(module, f"export {there}" if source else here)
        return end + 1
    return at + 1


def _pointer(module: Module, name: str) -> int:
    """Return a token behind the end that stands for a name, so that exported names are read like other values."""
    module.tokens.append(Token("name", name))
    module.ends.append(len(module.tokens))
    return len(module.tokens) - 1


def _pairs(module: Module, at: int) -> tuple[list[tuple[str, str]], int]:
    """Return the names of `{ a, b as c, d: e }` and where it ends."""
    end, found, at = module.ends[at], [], at + 1
    while at < min(end, len(module.tokens)):
        if module.starts(at, "type") and module.token(at + 1).kind == "name":
            at += 1
        first = module.token(at)
        renamed = module.starts(at + 1, "as") or module.starts(at + 1, ":")
        if first.kind in ("name", "text"):
            found.append((first.text, module.token(at + 2).text if renamed else first.text))
        while at < end and not module.starts(at, ","):
            at = module.after(at)
        at += 1
    return found, end


def _read_import(module: Module, at: int) -> int:
    """Note the names of `import a, { b as c } from "d"`, `import * as a from "d"`."""
    names: list[tuple[str, str]] = []
    at += 1
    while module.token(at).kind in ("name", "sign") and not module.starts(at, "from") and not module.starts(at, ";"):
        if module.starts(at, "{"):
            inner, at = _pairs(module, at)
            names += [(there, here) for here, there in inner]
        elif module.starts(at, "*", "as"):
            names.append((module.token(at + 2).text, "*"))
            at += 2
        elif module.token(at).kind == "name":
            names.append((module.token(at).text, "default"))
        elif not module.starts(at, ","):
            break
        at += 1
    if module.starts(at, "from") and module.token(at + 1).kind == "text":
        for here, there in names:
            module.imported[here] = (module.token(at + 1).text, there)
        return at + 2
    return at


def _read_require(module: Module, at: int) -> int:
    """Note `const a = require("./b")` and `const { a, b: c } = require("./d")`; return 0 for another declaration."""
    start, names = at + 1, [(module.token(at + 1).text, "*")]
    if module.starts(start, "{"):
        inner, start = _pairs(module, start)
        names = [(there, here) for here, there in inner]
    if not module.starts(start + 1, "=", "require", "(") or module.token(start + 4).kind != "text":
        return 0
    for here, there in names:
        module.imported[here] = (module.token(start + 4).text, there)
    return start + 6
