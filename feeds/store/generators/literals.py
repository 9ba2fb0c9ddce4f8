"""Read literals out of configuration that is code: assignments of Python, exports of JavaScript and TypeScript. Nothing is run.

What a literal does not show is `UNKNOWN`: calls, functions, variables of the environment. `javascript` reads that language.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Text, number, truth value, None, list, dict with text as keys, or an object of `Unknown`.
Value = Any
#: Characters of one text that is put together from others, and elements of all lists and mappings of one file.
MAX_TEXT, MAX_ELEMENTS = 10_000, 100_000
MAX_DEPTH = 40
#: Key of a mapping into which code puts keys that are not known.
REST = "..."


class Unknown:
    """What only running the code would show. It is false."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(Unknown):
    """A call that was not made: the name of what is called, "" for anything else, and what is known of its arguments."""

    name: str
    arguments: tuple[Value, ...]


@dataclass(slots=True)
class Budget:
    """What reading one configuration may take: depth, and elements, so that `[...a, ...a]` of `a` of `b` does not double."""

    left: int = MAX_ELEMENTS
    depth: int = 0

    def __enter__(self) -> bool:
        """Go one level deeper; return whether that is allowed."""
        self.depth += 1
        return self.depth < MAX_DEPTH and self.take(1)

    def __exit__(self, *error: object) -> None:
        self.depth -= 1

    def take(self, count: int) -> bool:
        """Return whether so many more elements are allowed, and count them."""
        self.left -= count
        return self.left >= 0


def lookup(value: Value, *keys: str) -> Value:
    """Return what stands under keys within mappings: None where a key is missing, UNKNOWN where code may have put it there.

    >>> lookup({"i18n": {"defaultLocale": "en"}}, "i18n", "defaultLocale"), lookup({"...": UNKNOWN}, "url")
    ('en', UNKNOWN)
    """
    for key in keys:
        if not isinstance(value, dict):
            return UNKNOWN if isinstance(value, Unknown) else None
        value = value.get(key, value.get(REST))
    return value


def titled(config: Value, key: str = "title") -> tuple[tuple[str, str], ...]:
    """Return the title of a site as its option; () for none that is literal."""
    title = " ".join(text_of(lookup(config, key)).split())[:200]
    return (("title", title),) if title else ()


def text_of(value: Value) -> str:
    """Return text as it is, else "".

    >>> text_of("/blog/"), text_of(3), text_of(UNKNOWN)
    ('/blog/', '', '')
    """
    return value if isinstance(value, str) else ""


def texts_of(value: Value) -> tuple[str, ...]:
    """Return the texts of a list, or a text as the only one.

    >>> texts_of(["a", 1, UNKNOWN, "b"]), texts_of("a"), texts_of(None)
    (('a', 'b'), ('a',), ())
    """
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, str))
    return (value,) if isinstance(value, str) else ()


def mappings_in(value: Value, limit: int = MAX_ELEMENTS) -> Iterator[dict[str, Value]]:
    """Yield all mappings within a value, also in the arguments of calls: the outer before the inner, in order."""
    waiting, seen = [value], set()
    while waiting and limit > 0:
        one = waiting.pop()
        limit -= 1
        inner: list[Value] = []
        if isinstance(one, dict):
            if id(one) in seen:
                continue
            seen.add(id(one))
            yield one
            inner = list(one.values())
        elif isinstance(one, list):
            inner = one
        elif isinstance(one, Call):
            inner = list(one.arguments)
        waiting.extend(reversed(inner[:limit]))


def join_text(first: Value, second: Value) -> Value:
    """Return the sum of two texts, a text and a number, or two lists as far as they are known; else UNKNOWN."""
    if isinstance(first, list) and isinstance(second, list) and len(first) + len(second) <= MAX_TEXT:
        return [*first, *second]
    parts = [str(one) for one in (first, second) if isinstance(one, (str, int, float)) and not isinstance(one, bool)]
    if len(parts) < 2 or not isinstance(first, str) | isinstance(second, str) or sum(map(len, parts)) > MAX_TEXT:
        return UNKNOWN
    return "".join(parts)


def either(first: Value, second: Value) -> Value:
    """Return what a condition that is not known leaves: what both sides say, or the only one that says anything."""
    if isinstance(first, Unknown):
        return second
    return first if isinstance(second, Unknown) or first == second else UNKNOWN


# -- Python -------------------------------------------------------------------

#: Give names of another module by its dotted name ("" before the first dot: a relative one), or None.
LoadPython = Callable[[str], Mapping[str, Value] | None]
_PLACEHOLDER = re.compile(r"%(.)")


def read_python(text: str, load: LoadPython = lambda name: None) -> dict[str, Value]:
    """Return the names that a module of Python assigns, with their literals. Raises ValueError where it is not Python.

    >>> read_python("SITEURL = 'https://example.org'\\nPATHS = ['a'] + ['b']\\nNOW = today()")
    {'SITEURL': 'https://example.org', 'PATHS': ['a', 'b'], 'NOW': UNKNOWN}
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in regular expressions
            tree = ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError("it is not Python 3") from None
    reader = _Python(load)
    reader.run(tree.body)
    return reader.names


@dataclass(slots=True)
class _Python:
    """The names assigned so far."""

    load: LoadPython
    names: dict[str, Value] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    def run(self, body: list[ast.stmt], *, sure: bool = True, depth: int = 0) -> None:
        for one in body if depth < MAX_DEPTH else ():
            match one:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self.assign(target, self.value(value), sure=sure)
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    self.assign(target, self.value(value), sure=sure)
                case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
                    self.assign(one.target, join_text(self.names.get(name, UNKNOWN), self.value(value)), sure=sure)
                case ast.If(test=test, body=yes, orelse=no):
                    self.branch(self.value(test), yes, no, sure, depth)
                case ast.Try(body=tried):
                    self.run(tried, sure=sure, depth=depth + 1)
                case ast.Import(names=aliases):
                    for alias in aliases:
                        self.names[alias.asname or alias.name] = dict(self.load(alias.name) or {REST: UNKNOWN})
                case ast.ImportFrom():
                    self.take_names(one)

    def branch(self, test: Value, yes: list[ast.stmt], no: list[ast.stmt], sure: bool, depth: int) -> None:
        """Run the branch that a known condition chooses; of both others, what says something where nothing was said."""
        if isinstance(test, Unknown):
            self.run(yes, sure=False, depth=depth + 1)
            self.run(no, sure=False, depth=depth + 1)
        else:
            self.run(yes if test else no, sure=sure, depth=depth + 1)

    def take_names(self, one: ast.ImportFrom) -> None:
        found = self.load("." * one.level + (one.module or "")) or {}
        for alias in one.names:
            if alias.name == "*":
                self.names.update(found)
            else:
                self.names[alias.asname or alias.name] = found.get(alias.name, UNKNOWN)

    def assign(self, target: ast.expr, value: Value, *, sure: bool) -> None:
        if isinstance(target, ast.Name):
            if sure or not self.names.get(target.id):
                self.names[target.id] = value
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            known, key = self.names.get(target.value.id), self.value(target.slice)
            if isinstance(known, dict) and self.budget.take(len(known)):
                self.names[target.value.id] = {**known, key if isinstance(key, str) else REST: value}
        elif isinstance(target, ast.Tuple) and isinstance(value, list) and len(value) == len(target.elts):
            for inner, part in zip(target.elts, value, strict=True):
                self.assign(inner, part, sure=sure)

    def value(self, node: ast.expr, depth: int = 0) -> Value:
        """Return what an expression is as far as it is literal. An error in its depth is no error of the file."""
        if depth > MAX_DEPTH or not self.budget.take(1):
            return UNKNOWN
        match node:
            case ast.Constant(value=value):
                return value if isinstance(value, (str, bool, int, float, type(None))) else UNKNOWN
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return [self.value(part, depth + 1) for part in parts]
            case ast.Dict(keys=keys, values=values):
                return self.mapping(keys, values, depth)
            case ast.Name(id=name):
                return self.names.get(name, UNKNOWN)
            case ast.Attribute(value=inner, attr=name):
                found = lookup(self.value(inner, depth + 1), name)
                return UNKNOWN if found is None else found
            case ast.JoinedStr(values=parts):
                return self.joined(parts, depth)
            case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
                return join_text("", self.value(inner, depth + 1))
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                found = self.value(inner, depth + 1)
                return found if isinstance(found, Unknown) else not found
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return join_text(self.value(left, depth + 1), self.value(right, depth + 1))
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                return _put_in(self.value(left, depth + 1), self.value(right, depth + 1))
            case ast.BoolOp(op=ast.Or(), values=parts):
                return next((one for part in parts if (one := self.value(part, depth + 1))), UNKNOWN)
            case ast.IfExp(test=test, body=yes, orelse=no):
                chosen = self.value(test, depth + 1)
                if isinstance(chosen, Unknown):
                    return either(self.value(yes, depth + 1), self.value(no, depth + 1))
                return self.value(yes if chosen else no, depth + 1)
            case ast.Call():
                return self.call(node, depth)
        return UNKNOWN

    def joined(self, parts: list[ast.expr], depth: int) -> Value:
        found: Value = ""
        for part in parts:
            found = join_text(found, self.value(part, depth + 1))
        return found

    def mapping(self, keys: list[ast.expr | None], values: list[ast.expr], depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for key, value in zip(keys, values, strict=True):
            read = self.value(value, depth + 1)
            if key is not None:
                name = self.value(key, depth + 1)
                found[name if isinstance(name, str) else REST] = read
            elif isinstance(read, dict) and self.budget.take(len(read)):
                found.update(read)
            else:
                found[REST] = UNKNOWN
        return found

    def call(self, node: ast.Call, depth: int) -> Value:
        """Return what a few calls of configurations come to: a default of the environment, joined paths, `dict(a=1)`."""
        name = _dotted(node.func)
        arguments = [self.value(one, depth + 1) for one in node.args]
        if name in ("os.environ.get", "environ.get", "os.getenv", "getenv"):
            return arguments[1] if len(arguments) == 2 else UNKNOWN
        if name in ("str", "Path", "pathlib.Path", "os.path.abspath", "os.path.expanduser") and len(arguments) == 1:
            return arguments[0] if isinstance(arguments[0], str) else UNKNOWN
        if name == "os.path.join" and arguments and all(isinstance(one, str) for one in arguments):
            return "/".join(one.rstrip("/") for one in arguments)[:MAX_TEXT]
        if name == "dict" and not arguments:
            return {one.arg or REST: self.value(one.value, depth + 1) for one in node.keywords}
        return Call(name, tuple(arguments))


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < MAX_DEPTH:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _put_in(form: Value, values: Value) -> Value:
    """Return `form % values` where all places are `%s`."""
    given = values if isinstance(values, list) else [values]
    if not isinstance(form, str) or any(found[1] not in "s%" for found in _PLACEHOLDER.finditer(form)):
        return UNKNOWN
    pieces = [piece.replace("%%", "%") for piece in re.split(r"(?<!%)%s", form)]
    if len(pieces) != len(given) + 1:
        return UNKNOWN
    joined: Value = pieces[0]
    for one, piece in zip(given, pieces[1:], strict=True):
        joined = join_text(join_text(joined, one), piece)
    return joined
