"""docs/pictures/rooms.svg: the rooms of the house, floor upon floor. A test compares it with the imports that the laws allow.

`python -m tools.rooms` draws it.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

FILE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "rooms.svg"

#: Top floor first: (room, what it does). A room imports from the floors below its own, and from nowhere else.
FLOORS: list[list[tuple[str, str]]] = [
    [("cli", "the operator's commands")],
    [("static", "the whole site as files")],
    [("web", "feeds, pages, forms, hub, console over HTTP"), ("scheduler", "the clock: it only ticks")],
    [("admin", "what the console shows and changes"), ("monitoring", "gauges, health")],
    [("rescan", "store to catalog to feeds"), ("file_watch", "changes as they happen")],
    [("check", "faults by file and line"), ("worker", "jobs of many machines"), ("audit_log", "who changed what")],
    [("newsletter", "subscribers, issues, messages, delivery, transports, bounces")],
    [("websub", "push: the hub and its deliveries"), ("runtime", "the context that doors hand on")],
    [("syndication", "catalog to feeds")],
    [("catalog", "articles to an index of terms")],
    [("store", "files to articles"), ("audience", "requests to numbers")],
    [("config", "settings"), ("counters", "what is counted"), ("selections", "as text")],
    [("database", "tables, migrations, backup, jobs"), ("urls", "the grammar of addresses")],
    [("feed_formats", "Atom, RSS, JSON Feed, and what packages add")],
    [("feed_extensions", "what feeds say in other namespaces")],
    [("licences", "by name and by deed")],
    [
        ("model", "the nouns"),
        ("i18n", "words and dates"),
        ("logs", "events without secrets"),
        ("resources", "files that travel along"),
        ("plugins", "other packages"),
    ],
    [
        ("faults", "errors in words"),
        ("fair_share", "limits shared out"),
        ("private_files", "modes 0600"),
        ("process_pool", "CPU work"),
        ("tokens", "signed links"),
    ],
    [("errors", "what can go wrong")],
]
WIDTH, MARGIN, HEIGHT, GAP = 960, 24, 58, 14


def draw() -> str:
    height = MARGIN * 2 + len(FLOORS) * (HEIGHT + GAP) - GAP
    boxes = "\n".join(_boxes())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t">\n'
        f'<title id="t">{escape(_title())}</title>\n<style>{_STYLE}</style>\n{boxes}\n</svg>\n'
    )


def _boxes() -> Iterator[str]:
    for number, floor in enumerate(FLOORS):
        top = MARGIN + number * (HEIGHT + GAP)
        width = (WIDTH - 2 * MARGIN - GAP * (len(floor) - 1)) / len(floor)
        for place, (name, words) in enumerate(floor):
            left = MARGIN + place * (width + GAP)
            middle = left + width / 2
            yield (
                f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{HEIGHT}" rx="8"/>'
                f'<text class="n" x="{middle:.0f}" y="{top + 25}">{escape(name)}</text>'
                f'<text x="{middle:.0f}" y="{top + 45}">{escape(words)}</text>'
            )


def _title() -> str:
    floors = "; ".join(", ".join(name for name, _words in floor) for floor in FLOORS)
    return f"The rooms, from the top floor down, each importing only from the floors below: {floors}."


_STYLE = (
    "rect{fill:#f4f1ea;stroke:#8a8270}text{font:14px system-ui,sans-serif;text-anchor:middle;fill:#4a4538}"
    ".n{font-weight:600;font-size:16px;fill:#1c1a15}"
    "@media(prefers-color-scheme:dark){rect{fill:#26241f;stroke:#8a8270}text{fill:#c9c3b4}.n{fill:#f4f1ea}}"
)

if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(draw(), "utf-8")
