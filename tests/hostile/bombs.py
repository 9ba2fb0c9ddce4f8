"""Articles that are made to cost time or memory: each a whole file of about so many bytes, and how it ends.

Every one of them took quadratic time somewhere, or could have. One at a time: `python -m tests.hostile.bombs SIZE [NAME]`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Make = Callable[[int], str]


def fill(unit: str, size: int) -> str:
    return unit * max(1, size // len(unit.encode()))


def _article(body: str, **fields: str) -> str:
    """A file whose fields are YAML as it is written."""
    lines = "".join(f"{name}: {value}\n" for name, value in {"title": "bomb", **fields}.items())
    return f"---\n{lines}---\n{body}"


def _field(name: str, unit: str, before: str = "", after: str = "") -> Make:
    return lambda size: _article("text", **{name: f"'{before}{fill(unit, size - 500)}{after}'"})


def _body(unit: str, before: str = "", after: str = "") -> Make:
    return lambda size: _article(before + fill(unit, size - 500) + after)


def _rows(line: str) -> Make:
    return lambda size: _article("".join(line.format(number=number) for number in range((size - 500) // len(line))))


def _header(text: Callable[[int], str]) -> Make:
    return lambda size: f"---\n{text(size - 500)}\n---\ntext"


#: Published: cut to what is reasonable, or drawn out of what it is.
PUBLISHED: dict[str, Make] = {
    "vectors": _body("<svg><foreignObject>"),  # dropped before anything is made of them
    "comments-before-words": _body("<!-- a --> [x](y)\n"),
    "definitions-below-words": _body("a\n[1]:http://x.example (b\n"),
    "lines-of-blocks": _body("<hr>\n<p>a</p>\n"),
    "title": _field("title", "long "),
    "title-in-tags": _field("title", "<p>"),
    "title-that-never-closes": _field("title", " a", before="<b>"),
    "excerpt": _field("excerpt", "&amp;"),
    "excerpt-of-a-number": _field("excerpt", "9", before="&#", after=";"),
    "tags-as-text": _field("tags", "t,"),
    "translators": _field("translator", "a/b,"),
    "translators-half-linked": _field("translator", "[a]("),
    "translators-in-brackets": _field("translator", "["),
    "translators-in-parentheses": _field("translator", "( http"),
    "translators-escaped": _field("translator", "\\"),
    "author-in-tags": _field("author", "<a "),
    "original": _field("fromurl", "中.", before="http://"),
    "original-of-colons": _field("fromurl", ":", before="http://["),
    "picture": _field("pic", "../", before="/"),
    "permalink": _field("permalink", "中", before="/"),
    "permalink-as-base": lambda size: _article(
        fill("[](b)", size // 2), permalink=f"'https://x.example/{fill('a', size // 3)}/x'"
    ),
    "id": _field("id", "i"),
    "date-of-digits": _field("date", "9"),
    "date-of-parentheses": _field("date", "(", before="Mon, "),
    "date-of-a-zone": _field("date", "9", before="1 Jan 2020 00:00:00 +"),
    "date-before-time": lambda _size: _article("text", date="0001-01-01 00:00:00", updated="9999-12-31 23:59:59 -1200"),
    "comments-counted": lambda size: f"---\ntitle: bomb\ncount: {{commentnum: {fill('9', size - 500)}}}\n---\n",
    "list-of-tags": lambda size: _article("text", tags="[" + ",".join(f"t{n}" for n in range(size // 10)) + "]"),
    "keys": _header(lambda size: "\n".join(f"k{n}: v" for n in range(size // 12))),
    "folded-text": _header(lambda size: "title: >\n" + fill("  b\n\n", size)),
    "quoted-ends-of-lines": _header(lambda size: 'title: "' + fill("\\n", size) + '"'),
    "private-words": _body("\n  -", before="comments_data"),
    "lctt-blanks": lambda size: "[#]: author: (a" + fill(" ", size - 500) + ")\n\ntext",
    "lctt-blank-address": lambda size: "[#]: author: (a" + fill(" http", size - 500) + ")\n\ntext",
    "brackets": _body("["),
    "brackets-and-parentheses": _body("[a]("),
    "stars": _body("**a *"),
    "underscores": _body("_a __a "),
    "ticks": lambda size: _article("".join("`" * n + "a" for n in range(1, int((2 * size) ** 0.5) - 20))),
    "tildes": _body("~a~ "),
    "references": _rows("[r{number}]: /u{number}\n"),
    "reference-used": lambda size: _article(f"[a]: /{fill('x', size // 20)}\n\n{fill('[a] ', size // 2)}"),
    "comments": _body("<!--"),
    "images": _body("!["),
    "marks-of-direction": _body("\u202e\u200d"),
    "letters-on-letters": _body("\u0301", before="a"),
    "controls": _body("\x01"),
}
#: Formatting that is never closed: the HTML parser opens it again wherever text follows in another element.
_UNCLOSED = "".join(f"<b title=x{number}>" for number in range(150))


def _unclosed(unit: str, before: str = "", after: str = "") -> Make:
    return lambda size: _article(before + _UNCLOSED + after + fill(unit, size - 4000))


def _table(columns: int, row: str) -> Make:
    """Rows that are written with few cells, or none, and made as long as the head."""
    return lambda size: _article("|" + "a|" * columns + "\n|" + "-|" * columns + "\n" + fill(row, size - 5 * columns - 500))


#: Refused with words, most of them before they cost what they would.
REFUSED: dict[str, Make] = {
    "short-rows": lambda size: _article("|" + "a|" * 999 + "\n|" + "-|" * 999 + "\n" + fill("|\n", size - 5000)),
    "lists": _body("- "),
    "table-of-missing-cells": _table(1000, "x\n"),
    "table-of-missing-cells-in-few-columns": _table(12, "x\n"),
    "tables-in-paragraphs": _body("|" + "a|" * 90 + "\n|" + "-|" * 90 + "\n" + "x\n" * 300 + "\n"),
    "tables-in-quotes": _body("> " + "a|" * 90 + "a\n> " + "-|" * 90 + "-\n" + "> x\n" * 300 + "\n"),
    "tables-in-lists": _body("- " + "a|" * 90 + "a\n  " + "-|" * 90 + "-\n" + "  x\n" * 300 + "\n"),
    "unclosed-before-elements": _unclosed("<p><i>x</i></p>", "<div>", "</div>"),
    "unclosed-before-blocks": _unclosed("<div>x</div>", "<div>", "</div>"),
    "unclosed-before-paragraphs": _unclosed("x\n\n"),
    "unclosed-before-quotes": _unclosed("> x\n\n", "a ", "\n\n"),
    "unclosed-before-a-list": _unclosed("- x\n", "- a ", "\n"),
    "unclosed-before-headings": _unclosed("# x\n", "a ", "\n\n"),
    "unclosed-in-capitals": lambda size: _article(_UNCLOSED.upper() + fill("<DIV>x</DIV>", size - 4000)),
    "unclosed-of-many-names": lambda size: _article(
        "".join(f"<{name} id=x>" for name in "a b big code em font i nobr s small strike strong tt u".split()) * 10
        + "</div>"
        + fill("<div>x</div>", size - 4000)
    ),
    "lists-in-lists": _body("- " * 100 + "a\n"),
    "numbers-in-numbers": _body("1. " * 100 + "a\n\n"),
    "quotes-in-quotes": _body("> " * 190 + "a\n\n"),
    "quotes-in-lists": _body("- > " * 60 + "a\n\n"),
    "links-of-a-long-base": lambda size: _article(fill("[x](b)", size - 3000), permalink=f"'https://x.example/{'a' * 250}/x'"),
    "pictures-of-a-long-base": lambda size: _article(
        fill("![](b)", size - 3000), permalink=f"'https://x.example/{'a' * 250}/x'"
    ),
    "attributes": _body("a ", before="<div>\n<img "),
    "attributes-of-other-names": lambda size: _article(
        "<div>\n<p " + " ".join(f"a{number}=1" for number in range(size // 10)) + ">"
    ),
    "quotes": _body("> "),
    "divs": _body("<div>"),
    "formatting": _body("<b><i><u>"),
    "ruby": _body("<ruby>a<rt>b</rt>"),
    "tables-in-tables": _body("<table><tr><td>"),
    "half-a-tag": _body("<a ", before="<div>\n<a title='"),
    "unclosed-tags": _body("<img\n<a ", before="<div>\n"),
    "wide-table": lambda size: _article("\n".join("|" + fill(cell, size // 3 - 300) for cell in ("a|", "-|", "a|"))),
    "lctt-credits": lambda size: "via: http://x\n" + fill("译者：[", size - 500),
    "aliases": _header(lambda _size: "a: &a [x]\n" + "\n".join(f"k{n}: [*a, *a]" for n in range(9))),
    "deep-lists": _header(lambda size: "a: " + fill("[", size)),
    "deep-maps": _header(lambda size: fill("? ", size)),
    "deep-comments": _header(lambda size: "comments_data: " + fill("[", size)),
    "explicit-type": _header(lambda size: "a: !!binary " + fill("x", size)),
    "never-closed": lambda size: "---" + fill("\n---x", size - 500),
}
#: Published or refused, as their size is; at the size that a file may have by default, they are where the time goes.
HEAVY: dict[str, Make] = {
    "indented-lists": lambda size: _article("".join("  " * n + "- a\n" for n in range(int(size**0.5) - 20))),
    "fences-in-quotes": lambda size: _article("".join("> " * n + "```\n" for n in range(int(size**0.5) - 20))),
    "instructions": _body("<?x"),
    "ampersands": _body("&"),
    "ampersands-in-a-title": _body("&", before='<div>\n<a title="', after='">'),
    "no-break-blanks": _body("&nbsp;"),
    "copyright": _body("©"),
    "links": _body("[a](b) "),
    "plain-text": _body("&", before="<div>\n<plaintext>"),
    "tags-out-of-a-table": _body("<b>x</b>", before="<div>\n<table>"),
}


def main() -> None:
    """Seconds of each, in this process."""
    from feeds.store.parse import parse_article
    from feeds.store.parse_settings import ParseSettings

    settings = ParseSettings("/s", "UTC", int(sys.argv[1]))
    for name, make in {**PUBLISHED, **REFUSED, **HEAVY}.items():
        if len(sys.argv) < 3 or name in sys.argv[2:]:
            start = time.process_time()
            found = parse_article(settings, "1.md", make(int(sys.argv[1])).encode(), 0, now=2_000_000_000).result
            print(f"{time.process_time() - start:6.2f} s  {name:28} {getattr(found, 'reason', 'published')}")


if __name__ == "__main__":
    main()
