"""Colour the code of bodies on pages with Pygments: elements with classes, no JavaScript, no style but the stylesheet. Pure.

Feeds and mails have the code as it is. No letter of it is lost or changed: code whose tokens do not add up stays plain.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pygments.token import _TokenType

#: More code than this is not coloured: in one piece, and in all pieces of one page together.
MAX_CODE, MAX_PAGE = 10_000, 40_000
#: As the sanitizer writes it; code with elements in it is as its author wants it.
_CODE = re.compile(r'(<pre[^>]*><code class="language-)([\w+#.-]{1,40})("[^>]*>)([^<]+)(?=</code>)')
#: What no code has, and some lexers look at again from each of its places: repetitions, blanks, words without signs.
_ENDLESS = re.compile(r"(.{1,4}?)\1{255}|\s{256}|(?<!\w)(?:\w{1,60}\s{1,20}){200}", re.DOTALL)
#: Other names of languages than Pygments has.
ALIASES = {
    "assembly": "nasm",
    "cc": "cpp",
    "cmd": "batch",
    "conf": "ini",
    "cxx": "cpp",
    "dotenv": "bash",
    "env": "bash",
    "gradle": "groovy",
    "h": "c",
    "hpp": "cpp",
    "jsonc": "json5",
    "mjs": "javascript",
    "node": "javascript",
    "patch": "diff",
    "plsql": "sql",
    "service": "systemd",
    "shellsession": "console",
    "sh-session": "console",
    "terminal": "console",
    "viml": "vim",
    "wasm": "wast",
}
#: Class of each kind of token, looked for from the token upwards; what has none stays as it is, errors of a lexer among it.
CLASSES = {
    "Comment": "tc",
    "Comment.Preproc": "tk",
    "Comment.PreprocFile": "ts",
    "Keyword": "tk",
    "Keyword.Type": "tt",
    "Literal.String": "ts",
    "Literal.String.Interpol": "tn",
    "Literal.Number": "tn",
    "Literal.Date": "tn",
    "Name.Attribute": "tt",
    "Name.Builtin": "tt",
    "Name.Class": "tf",
    "Name.Constant": "tn",
    "Name.Decorator": "tt",
    "Name.Entity": "tn",
    "Name.Exception": "tt",
    "Name.Function": "tf",
    "Name.Namespace": "tf",
    "Name.Tag": "tk",
    "Name.Variable": "tn",
    "Operator.Word": "tk",
    "Generic.Deleted": "td",
    "Generic.Inserted": "ti",
    "Generic.Heading": "tf",
    "Generic.Subheading": "tf",
    "Generic.Prompt": "tc",
    "Generic.Output": "tc",
    "Generic.Error": "td",
    "Generic.Traceback": "tc",
}


#: Languages whose lexer takes much longer than code grows.
UNBOUNDED = frozenset({"easytrieve", "fan", "mcschema", "tnt"})


def highlight_code(body: str) -> str:
    """Return sanitized HTML whose code is coloured where it names its language, with the same text.

    >>> highlight_code('<pre><code class="language-py">if a:\\n</code></pre>')
    '<pre><code class="language-py"><span class="tk">if </span>a:\\n</code></pre>'
    """
    if '<code class="language-' not in body:
        return body
    left = MAX_PAGE

    def colour(match: re.Match[str]) -> str:
        nonlocal left
        code = match[4]
        if len(code) > min(left, MAX_CODE) or (lexer := _lexer(match[2].lower())) is None or _ENDLESS.search(code):
            return match[0]
        left -= len(code)
        return f"{match[1]}{match[2]}{match[3]}{_coloured(lexer, code)}"

    return _CODE.sub(colour, body)


@functools.lru_cache(maxsize=64)  # making one compiles its patterns; most sites have a few
def _lexer(language: str) -> Any | None:
    """Return the lexer of a language; None where it has none, or one that only passes text on."""
    from pygments.lexers import find_lexer_class_by_name  # only where there is code
    from pygments.util import ClassNotFound

    name = ALIASES.get(language, language)
    if name in UNBOUNDED:
        return None
    try:
        found = find_lexer_class_by_name(name)
    except ClassNotFound:
        return None
    return None if found.aliases[0] in UNBOUNDED else found()


def _coloured(lexer: Any, code: str) -> str:
    """Return code as HTML with its tokens in elements; as it was where the lexer fails, or loses or changes any of it."""
    text = _unescaped(code)
    whole = text if text.endswith("\n") else f"{text}\n"  # lexers of sessions go by lines
    parts: list[str] = []
    try:
        at = 0
        for name, piece in _merged(lexer.get_tokens_unprocessed(whole)):
            if not whole.startswith(piece, at):
                return code
            shown = _escaped(piece[: len(text) - at])
            at += len(piece)
            parts.append(f'<span class="{name}">{shown}</span>' if name and shown else shown)
    except Exception:  # some lexers cannot read everything
        return code
    return "".join(parts) if at == len(whole) else code


def _merged(tokens: Iterator[tuple[int, _TokenType, str]]) -> Iterator[tuple[str, str]]:
    """Yield (class, text) of tokens, those of one class as one; blanks are in whatever is before them."""
    before, pieces = "", [""]
    for _at, kind, piece in tokens:
        name = _class_of(kind)
        if name != before and piece and not piece.isspace():
            yield before, "".join(pieces)
            before, pieces = name, []
        pieces.append(piece)
    yield before, "".join(pieces)


@functools.lru_cache(maxsize=256)
def _class_of(kind: _TokenType) -> str:
    names = tuple(kind)
    found = (CLASSES.get(".".join(names[:count])) for count in range(len(names), 0, -1))
    return next((name for name in found if name), "")


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace("\xa0", "&nbsp;")


def _unescaped(code: str) -> str:
    """Return the text of what the sanitizer wrote, which names just these characters."""
    return code.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\xa0").replace("&quot;", '"').replace("&amp;", "&")
