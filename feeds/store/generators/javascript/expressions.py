"""Read the values of expressions among the tokens of a module, as far as they are literal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..literals import REST, UNKNOWN, Budget, Call, Unknown, Value, either, join_text, lookup
from .operators import element, number, operate
from .tokens import OPEN, Token

END = Token("end", "")
_ENVIRONMENT: Mapping[str, Value] = {
    "process": {"env": {"NODE_ENV": "production", "ELEVENTY_RUN_MODE": "build", "ELEVENTY_ENV": "production", REST: UNKNOWN}},
    "import.meta": {"env": {"PROD": True, "DEV": False, "MODE": "production", REST: UNKNOWN}, REST: UNKNOWN},
}
_WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None, "undefined": None}
#: Calls of one module that are read wherever they are, and tokens within one.
_MAX_CALLS, _MAX_CALL = 500, 1000
DECLARE = frozenset({"const", "let", "var"})
#: Calls that return their first argument, whatever else they do.
_TRANSPARENT = frozenset({"Object.freeze", "structuredClone"})


#: Give the module behind `import ... from "./site"`, or None.
LoadJavascript = Callable[[str], "Module | None"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Function(Unknown):
    """A function: where its body begins in its module, and the names around it."""

    module: Module
    start: int
    scope: dict[str, int]


def result_of(value: Value) -> Value:
    """Return what a function returns at the end of its body, as far as that is literal; another value is returned as it is.

    A call whose arguments have a mapping, or a function that returns one, is that mapping: `defineConfig({...})`.
    """
    for _ in range(8):
        if isinstance(value, Function):
            value = value.module.result(value)
        elif isinstance(value, Call):
            value = next((one for one in value.arguments if isinstance(one, (dict, list, Call, Function))), UNKNOWN)
        else:
            break
    return value


@dataclass(slots=True)
class Module:
    """A module: its exports and names, read when they are asked for, each once."""

    tokens: list[Token]
    load: LoadJavascript
    budget: Budget
    ends: list[int] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)  # -> token at which the value begins
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)  # -> module, its name there: "default", "*"
    exported: dict[str, int] = field(default_factory=dict)
    memory: dict[int, Value] = field(default_factory=dict)

    def name(self, name: str) -> Value:
        """Return what a name at the module's level stands for."""
        return self.named(name, self.names)

    def export(self, name: str = "default") -> Value:
        """Return an export: of `export`, `module.exports` (the default) or `exports.NAME`; None if there is none."""
        if name in self.exported:
            return self._at(self.exported[name], self.names)
        default = self._at(self.exported["default"], self.names) if "default" in self.exported and name != "default" else None
        return default[name] if isinstance(default, dict) and name in default else None

    def exports(self) -> Value:
        """Return `module.exports`, or all exports by name."""
        return self.export() if self.exported.keys() == {"default"} else {name: self.export(name) for name in self.exported}

    def calls(self) -> Iterator[tuple[str, tuple[Value, ...]]]:
        """Yield name and arguments of the calls `a.name(...)` in order, wherever they are; for `a.b.name(...)` it is `b.name`.

        Arguments that are no literals are UNKNOWN; of one file a bounded number of calls is read.
        """
        for at in [at for at in range(1, len(self.tokens) - 1) if self.starts(at + 1, "(") and self.starts(at - 1, ".")][
            :_MAX_CALLS
        ]:
            name, before = self.token(at), self.token(at - 2)
            if name.kind == "name" and self.ends[at + 1] - at < _MAX_CALL:
                inner = f"{before.text}.{name.text}" if self.starts(at - 3, ".") and before.kind == "name" else name.text
                yield inner, tuple(Expression(self, at + 1, self.names).arguments())

    # -- reading ---------------------------------------------------------------

    def token(self, at: int) -> Token:
        """Return the token at an index, an empty one outside of the module."""
        return self.tokens[at] if 0 <= at < len(self.tokens) else END

    def starts(self, at: int, *texts: str) -> bool:
        """Return whether the tokens from `at` are these names and signs."""
        return all(
            self.token(at + offset).text == text and self.token(at + offset).kind in ("name", "sign")
            for offset, text in enumerate(texts)
        )

    def _at(self, start: int, scope: dict[str, int]) -> Value:
        """Return the value that begins at a token; one that needs itself is UNKNOWN."""
        if start not in self.memory:
            self.memory[start] = UNKNOWN
            self.memory[start] = Expression(self, start, scope).value()
        return self.memory[start]

    def named(self, name: str, scope: dict[str, int]) -> Value:
        for names in (scope, self.names):
            if name in names:
                return self._at(names[name], names)
        if name in self.imported:
            source, wanted = self.imported[name]
            module = self.load(source)
            if module is None:
                return UNKNOWN
            found = module.exports() if wanted == "*" else module.export(wanted)
            return UNKNOWN if found is None else found
        return _ENVIRONMENT.get(name, UNKNOWN)

    def result(self, function: Function) -> Value:
        """Return what a function of this module returns."""
        if not self.starts(function.start, "{"):
            return Expression(self, function.start, function.scope).value()
        scope = dict(function.scope) if len(function.scope) < 1000 else {}
        end, at, found = self.ends[function.start], function.start + 1, UNKNOWN
        while at < end:
            if self.starts(at, "return"):
                found = Expression(self, at + 1, scope).value()
            at = self.declared(at, scope) if self.token(at).text in DECLARE else self.after(at)
        return found

    def after(self, at: int) -> int:
        """Return the token after this one, or after the end of the brackets that it opens."""
        token = self.token(at)
        opens = (token.kind == "sign" and token.text in OPEN) or (token.kind == "template" and token.text)
        return self.ends[at] + 1 if opens else at + 1

    def declared(self, at: int, names: dict[str, int], exported: dict[str, int] | None = None) -> int:
        """Note the names of a declaration `const a: T = 1, b = 2`; return the token after the begin of the last value seen."""
        at += 1
        while self.token(at).kind == "name":
            name, equals = self.token(at).text, self._after_type(at + 1)
            if not self.starts(equals, "="):
                return equals
            names[name] = equals + 1
            if exported is not None:
                exported[name] = equals + 1
            end = equals + 1
            while not self.starts(end, ",") and not self.starts(end, ";") and end < len(self.tokens):
                if self.token(end).kind == "name" and self.token(end).text in STATEMENTS and end > equals + 1:
                    return end
                end = self.after(end)
            if not self.starts(end, ","):
                return end
            at = end + 1
        return self.after(at) if self.starts(at, "{") or self.starts(at, "[") else at

    def _after_type(self, at: int) -> int:
        """Return where `=` is after `: Type`, or `at` where no type stands."""
        if self.starts(at, ":"):
            while at < len(self.tokens) and not self.starts(at, "=") and not self.starts(at, ";"):
                at = self.after(at)
        return at


STATEMENTS = frozenset({"const", "let", "var", "export", "import", "module", "exports", "function", "class", "return", "if"})


# -- expressions ------------------------------------------------------------------

_STOPS = frozenset({",", ";", ")", "]", "}", ":"})


@dataclass(slots=True)
class Expression:
    """A place among the tokens of a module, from which values are read one after another."""

    module: Module
    at: int
    scope: dict[str, int]

    def arguments(self) -> list[Value]:
        """Return the elements within the brackets that begin here."""
        return self._elements(self.module.ends[self.at])

    def value(self) -> Value:
        """Return the value here as far as it is literal; afterwards `at` is behind what was understood of it."""
        with self.module.budget as may_read:
            return self._chosen() if may_read else UNKNOWN

    def _skip(self) -> None:
        """Go to the end of the expression, or to the next statement where no semicolon is between."""
        while (token := self.module.token(self.at)).kind != "end":
            if token.text in (_STOPS if token.kind == "sign" else STATEMENTS if token.kind == "name" else ()):
                return
            self.at = self.module.after(self.at)

    def _chosen(self) -> Value:
        """Read `a ? b : c`, or what has no condition."""
        found = self._combined()
        if not self.module.starts(self.at, "?"):
            return found
        self.at += 1
        first = self.value()
        if not self.module.starts(self.at, ":"):
            return UNKNOWN
        self.at += 1
        second = self.value()
        if isinstance(found, Unknown):
            return either(first, second)
        return first if found else second

    def _combined(self) -> Value:
        """Read operands with operators between them, from left to right. Of what is not known, a fallback counts."""
        found = self._operand()
        while True:
            token = self.module.token(self.at)
            if token.kind == "name" and token.text in ("as", "satisfies"):
                self._skip_type()
            elif token.kind == "sign" and token.text in ("||", "??", "&&", "+", "===", "==", "!==", "!="):
                self.at += 1
                found = operate(token.text, found, self._operand())
            elif (token.kind == "sign" and token.text in _STOPS | {"?"}) or token.kind == "end":
                return found
            elif token.kind == "name" and token.text not in ("in", "instanceof"):
                return found  # the next statement: there was no semicolon
            else:
                return UNKNOWN

    def _skip_type(self) -> None:
        """Go behind the type after `as` or `satisfies`."""
        module, depth = self.module, 0
        self.at += 1
        while (token := module.token(self.at)).kind != "end":
            if depth == 0 and token.kind == "sign" and token.text not in ("<", "{", "[", "(", ".", "|", "&"):
                return
            depth += {"<": 1, ">": -1}.get(token.text, 0)
            if (
                depth == 0
                and token.kind == "name"
                and module.token(self.at + 1).kind == "name"
                and token.text not in _TYPE_WORDS
            ):
                self.at += 1
                return
            self.at = module.after(self.at)

    def _operand(self) -> Value:
        found, name = self._primary()
        module = self.module
        while True:
            if module.starts(self.at, "!") and not module.starts(self.at + 1, "="):
                self.at += 1
            elif module.starts(self.at, ".") or module.starts(self.at, "?."):
                key = module.token(self.at + 1)
                if key.kind != "name":
                    return UNKNOWN
                self.at += 2
                found, name = self._member(found, name, key.text)
            elif module.starts(self.at, "["):
                inner = Expression(module, self.at + 1, self.scope)
                key_value = inner.value()
                self.at = module.ends[self.at] + 1
                found, name = element(found, key_value), ""
            elif module.starts(self.at, "("):
                found, name = self._call(found, name), ""
            elif module.token(self.at).kind == "template" and module.token(self.at).text:
                self.at = module.after(self.at)  # a tag before a template
                found, name = UNKNOWN, ""
            else:
                return found

    def _member(self, found: Value, name: str, key: str) -> tuple[Value, str]:
        dotted = f"{name}.{key}" if name else ""
        if dotted == "import.meta":
            return _ENVIRONMENT[dotted], dotted
        if key in ("filter", "sort", "flat", "reverse") and isinstance(found, list) and self.module.starts(self.at, "("):
            self.at = self.module.after(self.at)
            return found, ""
        inner = lookup(found, key)
        return (UNKNOWN if inner is None and not isinstance(found, dict) else inner), dotted

    def _call(self, found: Value, name: str) -> Value:
        end = self.module.ends[self.at]
        arguments = self._elements(end)
        if name == "require" and len(arguments) == 1 and isinstance(arguments[0], str):
            module = self.module.load(arguments[0])
            return UNKNOWN if module is None else module.exports()
        if name in _TRANSPARENT and arguments:
            return arguments[0]
        function = (found,) if isinstance(found, Function) else ()  # what it returns counts where no argument does
        return Call(name.rpartition(".")[2] if name else "", (*arguments, *function))

    def _primary(self) -> tuple[Value, str]:
        """Return the value here, and its name if it is one."""
        module, token, start = self.module, self.module.token(self.at), self.at
        if token.kind == "text":
            self.at += 1
            return token.text, ""
        if token.kind == "number":
            self.at += 1
            return number(token.text), ""
        if token.kind == "template" and token.text:
            return self._template(), ""
        if token.kind == "name":
            return self._word(token.text)
        if token.kind == "sign" and token.text in ("!", "-", "+", "~"):
            return self._prefixed(token.text), ""
        if module.starts(start, "{"):
            return self._mapping(), ""
        if module.starts(start, "["):
            return self._elements(module.ends[start]), ""
        if module.starts(start, "("):
            return self._parenthesis(), ""
        if module.starts(start, "<"):  # a type before the value: `<UserConfig>define({})`
            return self._typed(), ""
        self.at += token.kind in ("pattern",)
        return UNKNOWN, ""

    def _typed(self) -> Value:
        """Read the value after a type in angle brackets."""
        depth = 0
        while self.at < len(self.module.tokens):
            depth += {"<": 1, ">": -1, ">>": -2}.get(self.module.token(self.at).text, 0)
            self.at += 1
            if depth <= 0:
                break
        with self.module.budget as may_read:
            return self._operand() if may_read else UNKNOWN

    def _prefixed(self, sign: str) -> Value:
        self.at += 1
        with self.module.budget as may_read:
            found = self._operand() if may_read else UNKNOWN
        if isinstance(found, Unknown):
            return UNKNOWN
        if sign == "!":
            return not found
        return -found if sign == "-" and isinstance(found, (int, float)) else UNKNOWN

    def _word(self, word: str) -> tuple[Value, str]:
        module = self.module
        self.at += 1
        if word in _WORDS:
            return _WORDS[word], ""
        if word in ("await", "new", "async", "typeof", "void") and module.token(self.at).kind == "name":
            if word in ("typeof", "void"):
                with self.module.budget as may_read:
                    _ = self._operand() if may_read else UNKNOWN
                return UNKNOWN, ""
            word = module.token(self.at).text
            self.at += 1
        if word == "function":
            return self._function(), ""
        if word == "async" and module.starts(self.at, "("):
            return self._parenthesis(), ""
        if word == "await" and module.starts(self.at, "("):
            return self._parenthesis(), ""
        if module.starts(self.at, "=>"):
            return self._arrow(), ""
        return module.named(word, self.scope), word

    def _function(self) -> Value:
        """Read a function after its word."""
        module = self.module
        while self.at < len(module.tokens) and not module.starts(self.at, "("):
            self.at += 1
        self.at = module.after(self.at)
        while self.at < len(module.tokens) and not module.starts(self.at, "{"):
            self.at = module.after(self.at)
        start, self.at = self.at, module.after(self.at)
        return Function(self.module, start, self.scope)

    def _arrow(self) -> Value:
        """Read a function whose `=>` is here."""
        start = self.at + 1
        self.at = start
        if self.module.starts(start, "{"):
            self.at = self.module.after(start)
        else:
            self._skip()
        return Function(self.module, start, self.scope)

    def _parenthesis(self) -> Value:
        module, start = self.module, self.at
        end = module.ends[start]
        arrow = end + 1
        if module.starts(arrow, ":"):  # the type of what is returned
            stops = (*"{,;)]}", "=>")
            while arrow < min(len(module.tokens), end + 40) and not any(module.starts(arrow, stop) for stop in stops):
                arrow += 1
        if module.starts(arrow, "=>"):
            self.at = arrow
            return self._arrow()
        inner = Expression(module, start + 1, self.scope)
        found = inner.value()
        self.at = end + 1
        return found if inner.at >= end else UNKNOWN

    def _template(self) -> Value:
        module, end = self.module, self.module.ends[self.at]
        found: Value = ""
        self.at += 1
        while self.at < min(end, len(module.tokens)):
            token = module.token(self.at)
            if token.kind == "text":
                found = join_text(found, token.text)
                self.at += 1
            elif module.starts(self.at, "${"):
                inner = Expression(module, self.at + 1, self.scope)
                found = join_text(found, inner.value())
                self.at = module.ends[self.at] + 1
            else:
                self.at += 1
        self.at = end + 1
        return found

    def _elements(self, end: int) -> list[Value]:
        """Read the elements of a list, or arguments, up to the bracket that closes them."""
        module, found = self.module, []
        self.at += 1
        while self.at < min(end, len(module.tokens)):
            if module.starts(self.at, ","):
                self.at += 1
                continue
            spread = module.starts(self.at, "...")
            self.at += spread
            one = self.value()
            if spread and isinstance(one, list) and module.budget.take(len(one)):
                found.extend(one)
            else:
                found.append(UNKNOWN if spread else one)
            self._to_comma(end)
        self.at = end + 1
        return found

    def _to_comma(self, end: int) -> None:
        """Go to the next comma at this level, or the end."""
        while self.at < end and not self.module.starts(self.at, ","):
            self.at = self.module.after(self.at)

    def _mapping(self) -> dict[str, Value]:
        module, end = self.module, self.module.ends[self.at]
        found: dict[str, Value] = {}
        self.at += 1
        while self.at < min(end, len(module.tokens)):
            if module.starts(self.at, ","):
                self.at += 1
            elif module.starts(self.at, "..."):
                self.at += 1
                one = self.value()
                known = isinstance(one, dict) and module.budget.take(len(one))
                found.update(one if known else {REST: UNKNOWN})
                self._to_comma(end)
            else:
                self._entry(found)
                self._to_comma(end)
        self.at = end + 1
        return found

    def _entry(self, found: dict[str, Value]) -> None:
        """Read `key: value`, `key` alone, or a method, which is a function."""
        module = self.module
        while module.token(self.at).text in ("async", "get", "set", "*") and module.token(self.at + 1).kind in ("name", "text"):
            self.at += 1
        token = module.token(self.at)
        key = token.text if token.kind in ("name", "text", "number") else REST
        if module.starts(self.at, "["):
            computed = Expression(module, self.at + 1, self.scope).value()
            key = computed if isinstance(computed, str) else REST
        self.at = module.after(self.at)
        if module.starts(self.at, ":"):
            self.at += 1
            found[key] = self.value()
        elif module.starts(self.at, "("):
            found[key] = self._function()
        else:
            found[key] = module.named(key, self.scope) if token.kind == "name" else UNKNOWN


_TYPE_WORDS = frozenset({"typeof", "keyof", "readonly", "infer", "unique"})
