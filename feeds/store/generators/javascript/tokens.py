"""Split a source of JavaScript or TypeScript into tokens, in linear time. Every text gives tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SKIPPED = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z))+|\A#![^\n]*")
_NAME = re.compile(r"[A-Za-z_$#\u0080-\U0010ffff][\w$]*")
_NUMBER = re.compile(r"0[xX][\da-fA-F_]+n?|0[bBoO][\d_]+n?|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?n?")
_TEXT = {quote: re.compile(rf"{quote}((?:[^{quote}\\\n]|\\[\s\S])*)({quote}|\n|\Z|\\\Z)") for quote in "'\""}
_CHUNK = re.compile(r"((?:[^`\\$]|\\[\s\S]|\$(?!\{))*)(`|\$\{|\Z|\\\Z)")
#: Bounded, for a line of many slashes would be read once for each of them.
_PATTERN = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n]){0,200}+\]){1,500}+/\w*")
_SIGN = re.compile(r"\.\.\.|=>|===|!==|==|!=|\?\?=|\|\|=|&&=|\?\?|\?\.(?!\d)|\|\||&&|\+\+|--|\*\*|[<>]=|[\s\S]")
_ESCAPE = re.compile(
    r"\\u([dD][89abAB][\da-fA-F]{2})\\u([dD][c-fC-F][\da-fA-F]{2})"
    r"|\\(?:u\{([\da-fA-F]{1,6})\}|u([\da-fA-F]{4})|x([\da-fA-F]{2})|(\r\n|[\s\S]))"
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
#: After these a slash begins a regular expression.
_BEFORE_PATTERN = frozenset({"return", "typeof", "case", "in", "of", "do", "else", "void", "delete", "await", "yield"})
OPEN, CLOSE = frozenset("([{") | {"${"}, frozenset(")]}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a kind: name, text, number, sign (also brackets), pattern; template, then its texts and `${` ... `}`."""

    kind: str
    text: str


def tokens_of(source: str) -> list[Token]:
    """Return the tokens of a source, without comments. A text that is not closed ends with its line."""
    found: list[Token] = []
    open_: list[str] = []  # brackets, `${` where a template goes on after them
    at = 0
    while at < len(source):
        if skipped := _SKIPPED.match(source, at):
            at = skipped.end()
            continue
        sign = source[at]
        if sign in "'\"" and (text := _TEXT[sign].match(source, at)):
            found.append(Token("text", _unescaped(text[1])))
            at = text.end()
        elif sign == "`" or (sign == "}" and open_ and open_[-1] == "${"):
            if sign == "}":
                open_.pop()
            found.append(Token("sign", "}") if sign == "}" else Token("template", "`"))
            at = _read_chunk(source, at + 1, found, open_)
        elif sign == "/" and not _ends_value(found) and (pattern := _PATTERN.match(source, at)):
            found.append(Token("pattern", ""))
            at = pattern.end()
        elif (sign.isdigit() or sign == ".") and (number := _NUMBER.match(source, at)):
            found.append(Token("number", number[0]))
            at = number.end()
        elif name := _NAME.match(source, at):
            found.append(Token("name", name[0]))
            at = name.end()
        else:
            other = _SIGN.match(source, at)
            at = other.end() if other else at + 1
            found.append(Token("sign", other[0] if other else sign))
            if sign in OPEN:
                open_.append(sign)
            elif sign in CLOSE and open_:
                open_.pop()
    return found


def _read_chunk(source: str, at: int, found: list[Token], open_: list[str]) -> int:
    """Add the text of a template up to its end or the next `${`; return where it ends."""
    chunk = _CHUNK.match(source, at)
    if chunk is None:  # cannot be: the expression fits everywhere
        return len(source)
    found.append(Token("text", _unescaped(chunk[1])))
    if chunk[2] == "${":
        open_.append("${")
        found.append(Token("sign", "${"))
    else:
        found.append(Token("template", ""))
    return chunk.end()


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(found: re.Match[str]) -> str:
    if found[1]:
        return bytes.fromhex(found[1] + found[2]).decode("utf-16-be")
    number = found[3] or found[4] or found[5]
    if number is None:
        return _ESCAPED.get(found[6], found[6])
    code = int(number, 16)
    return "\ufffd" if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)


def _ends_value(found: list[Token]) -> bool:
    """Return whether the last token ends a value, so that a slash divides."""
    if not found:
        return False
    last = found[-1]
    if last.kind == "name":
        return last.text not in _BEFORE_PATTERN
    return last.kind != "sign" or last.text in (")", "]", "}")


def ends_of(tokens: list[Token]) -> list[int]:
    """Return for each opening bracket, and each begin of a template, where its end is; the number of tokens if it has none."""
    found = [len(tokens)] * len(tokens)
    open_: list[int] = []
    for index, token in enumerate(tokens):
        if (token.kind == "sign" and token.text in OPEN) or (token.kind == "template" and token.text):
            open_.append(index)
        elif open_ and ((token.kind == "sign" and token.text in CLOSE) or token.kind == "template"):
            found[open_.pop()] = index
    return found
