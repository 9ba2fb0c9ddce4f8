"""Who shows what of our feeds: docs/interoperability.md, made from real runs of readers over the served demo store.

    python -m tests.interop.interoperability                compare with docs/interoperability.md, exit 1 on a difference
    python -m tests.interop.interoperability --write FILE   write the page

Only facts are compared. The page names the versions that it was made with; others may show the same.
"""

from __future__ import annotations

import html
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from .documents import SAID
from .readers import ENTRY, FEED, READERS, Reader, Seen
from .served import CHECKOUT, MOVED, RETIRED, Request, Served, serving
from .served import FEED as ADDRESS

PAGE = CHECKOUT / "docs" / "interoperability.md"
VISITS = 3  # newsboat asks conditionally from the third on
FORMATS = {"atom": "Atom", "rss": "RSS", "json": "JSON Feed"}
MARKUP = "title with `<b>` in it"
TRANSPORT = ("asks for compression", "sends back", "is answered 304", "sends A-IM: feed", "follows a 301", "reports a 410")
_IN_TEXT = ("summary", "authors", "translators", "enclosure", "picture", "original")
#: (table, row, reader) -> what stands there.
Facts = dict[tuple[str, str, str], str]


def facts_of(reader: Reader, served: Served, folder: Path) -> Facts:
    """All that one reader shows, and how it asks; `folder` is empty."""
    found: Facts = {}
    for format, label in FORMATS.items():
        state = folder / format
        state.mkdir()
        said = SAID[format](served.get(f"{ADDRESS}.{format}"))
        seen = reader.visit(state, f"{served.base}{ADDRESS}.{format}")
        found |= {(label, row, reader.name): cell for row, cell in _shown(said, seen).items()}
    transport = _transport(reader, served, folder) if reader.fetches else dict.fromkeys(TRANSPORT, "")
    return found | {("Transport", row, reader.name): cell for row, cell in transport.items()}


# -- what it shows ---------------------------------------------------------


def _shown(said: Seen, seen: Seen) -> dict[str, str]:
    """Row -> cell. Rows of which our document says nothing are left out."""
    cells = {f"feed: {word}": _cell([(said.feed[word], seen.feed.get(word, []), "")]) for word in FEED if said.feed.get(word)}
    for row, entries in _rows(said):
        word = _word(row)
        pairs = [(said.entries[id][word], _values(seen, id, word), _shown_text(seen, id, word)) for id in entries]
        if pairs:
            cells[row] = _cell(pairs)
    return cells if seen.entries else dict.fromkeys(cells, "–")


def _rows(said: Seen) -> Iterable[tuple[str, list[str]]]:
    """Each row with the entries by which it is judged."""
    for word in ENTRY:
        ids = [id for id, entry in said.entries.items() if entry.get(word)]
        if word == "title":
            yield word, [id for id in ids if "<" not in said.entries[id]["title"][0]]
            yield MARKUP, [id for id in ids if "<" in said.entries[id]["title"][0]]
        elif word in ("published", "updated"):
            # Which date a reader keeps is seen only where there are two.
            edited = [
                id for id in ids if len({said.entries[id].get(date, [""])[0] for date in ("published", "updated")} - {""}) > 1
            ]
            yield word, edited or ids
        elif word == "number of comments":
            yield word, [id for id in ids if said.entries[id][word] != ["0"]]
        else:
            yield word, ids


def _word(row: str) -> str:
    return "title" if row == MARKUP else row


def _values(seen: Seen, id: str, word: str) -> list[str]:
    return seen.entries.get(id, {}).get(word, [])


def _shown_text(seen: Seen, id: str, word: str) -> str:
    """Where else a user may see it. A number or a tag is in any text by chance."""
    return "".join(_values(seen, id, "full text")) if word in _IN_TEXT else ""


def _cell(pairs: Iterable[tuple[list[str], list[str], str]]) -> str:
    """`pairs` of what we say, what the reader has, and the text that it shows."""
    marks = {_mark(*pair) for pair in pairs}
    if len(marks) == 1:
        return marks.pop()
    for mark in ("first", "last"):
        if marks == {"yes", mark}:
            return mark
    return "in the text" if marks <= {"no", "in the text"} else "some"


def _mark(said: list[str], seen: list[str], text: str) -> str:
    ours, theirs = ([_plain(value) for value in values] for values in (said, seen))
    ours = list(dict.fromkeys(ours))
    if list(dict.fromkeys(theirs)) in (ours, [", ".join(ours)]) or (
        len(ours) == len(theirs) == 1 and _holds(theirs[0], ours[0])
    ):
        return "yes"
    if theirs == ours[:1]:
        return "first"
    if theirs == ours[-1:]:
        return "last"
    words = _plain(text)
    return "in the text" if text and all(value in html.unescape(text) or value in words for value in ours) else "no"


def _holds(theirs: str, ours: str) -> bool:
    """A long text may stand in a frame of the reader's own."""
    return len(ours) > 200 and ours in theirs


def _plain(text: str) -> str:
    """HTML as its words; sanitisers and serialisers differ in the rest. Text without tags stays as it is."""
    if not re.search(r"</[a-z][a-z0-9]*>", text):
        return text.strip()
    return "".join(html.unescape(re.sub(r"<[^>]*>", "", text)).split())


# -- how it asks -----------------------------------------------------------


def _transport(reader: Reader, served: Served, folder: Path) -> dict[str, str]:
    asked = _visits(reader, served, folder / "again", f"{ADDRESS}.atom")[0]
    of_moved, moved = _visits(reader, served, folder / "moved", f"{MOVED}.atom")
    _, retired = _visits(reader, served, folder / "retired", f"{RETIRED}.atom", 1)
    header = asked[-1].headers
    sent = [name for name, key in (("ETag", "if-none-match"), ("date", "if-modified-since")) if key in header]
    followed = bool(moved[0].entries)
    cells = (
        "yes" if "gzip" in header.get("accept-encoding", "") else "no",
        " and ".join(sent) or "nothing",
        "yes" if asked[-1].status == 304 else "no",
        "yes" if any(request.headers.get("a-im") for request in asked) else "no",
        ("yes, and moves" if _moves(of_moved) else "yes") if followed else "no",
        "yes" if retired[0].complaint else "no",
    )
    return dict(zip(TRANSPORT, cells, strict=True))


def _moves(requests: list[Request]) -> bool:
    """Whether the last visit asked the new address only."""
    return not requests[-1].path.startswith(MOVED) and not requests[-2].path.startswith(MOVED)


def _visits(reader: Reader, served: Served, folder: Path, path: str, times: int = VISITS) -> tuple[list[Request], list[Seen]]:
    folder.mkdir()
    before = len(served.requests)
    seen = [reader.visit(folder, f"{served.base}{path}") for _ in range(times)]
    return served.requests[before:], seen


# -- the page --------------------------------------------------------------

_HEAD = """\
# Interoperability

Who shows what of our feeds. `make interop` writes this page from real runs: `feeds serve` over the demo store, each reader as
its users run it, every entry of the feed compared with what the document says.

- **yes**: the reader has it in a field of its own, equal to what we wrote, for every entry.
- **in the text**: it has no field for it, but its users see it in the text of the article; that is why people and originals
  are named under every article.
- **first**, **last**: of several it keeps one. **some**: right in some entries only. **no**: it drops it.
- **–**: it does not read this format.

A format has no row for what it has no place for.
"""
_VERSIONS = "Made with: "
_NOTES = {
    "Atom": "`contributor` is the translator, `via` the original.",
    "RSS": "`dc:creator` and `dc:contributor` name people, because RSS wants e-mail addresses for them.",
    "JSON Feed": "All people are `authors`: the standard has one word for them. The roles are in `_article`.",
    "Transport": "feedsmith only parses: it does not fetch.",
}


def page(facts: Facts, versions: Mapping[str, str]) -> str:
    parts = [_HEAD]
    for table in (*FORMATS.values(), "Transport"):
        parts += [f"## {table}\n", _NOTES[table] + "\n", _table(facts, table)]
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    return "\n".join([*parts, f"{_VERSIONS}{made}.\n"])


def _table(facts: Facts, table: str) -> str:
    names = [reader.name for reader in READERS if any((table, reader.name) == (key[0], key[2]) for key in facts)]
    rows = list(dict.fromkeys(row for where, row, _name in facts if where == table))
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    return "\n".join([*lines, *(f"| {row} | {' | '.join(facts[table, row, name] for name in names)} |" for row in rows), ""])


def read_page(text: str) -> Facts:
    """The facts of a page that `page` wrote."""
    found: Facts = {}
    table, names = "", []
    for line in text.splitlines():
        if line.startswith("## "):
            table = line.removeprefix("## ")
        elif line.startswith("| |"):
            names = [cell.strip() for cell in line.strip("|").split("|")[1:]]
        elif line.startswith("| "):
            row, *cells = (cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|"))
            found |= {(table, row, name): cell for name, cell in zip(names, cells, strict=True)}
    return found


def differences(page: Facts, facts: Facts) -> list[str]:
    """What the page says otherwise of the readers that `facts` are of, one line each."""
    names = {name for _table, _row, name in facts}
    on_page = {key: cell for key, cell in page.items() if key[2] in names}
    return [
        f"{table}, {row}, {name}: the page says {on_page.get((table, row, name))!r}, now {facts.get((table, row, name))!r}"
        for table, row, name in sorted(on_page.keys() | facts.keys())
        if on_page.get((table, row, name)) != facts.get((table, row, name))
    ]


def main(arguments: list[str]) -> int:
    facts: Facts = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        with serving(root / "site") as served:
            for reader in READERS:
                folder = root / "readers" / reader.name
                folder.mkdir(parents=True)
                facts |= facts_of(reader, served, folder)
    if arguments[:1] == ["--write"]:
        Path(arguments[1]).write_text(page(facts, {reader.name: reader.version() for reader in READERS}), "utf-8")
        return 0
    found = differences(read_page(PAGE.read_text("utf-8")), facts)
    print("\n".join(found) or "the page says what the readers show")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
