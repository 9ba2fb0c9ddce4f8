"""Readers from outside, each run the way its users run it, and what each made of a feed, in one vocabulary.

`Seen.feed` and `Seen.entries` (by id) map the words of FEED and ENTRY to the values that a reader keeps in fields of its own;
what it does not keep is missing. Times are seconds since 1970.
"""

from __future__ import annotations

import calendar
import email
import email.policy
import html
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FEED = ("title", "description", "home page", "language", "icon", "hub", "older entries")
ENTRY = (
    "title",
    "id",
    "link",
    "published",
    "updated",
    "summary",
    "full text",
    "authors",
    "translators",
    "tags",
    "enclosure",
    "picture",
    "original",
    "number of comments",
)
Values = dict[str, list[str]]


@dataclass
class Seen:
    """After one visit. `complaint` is what the reader says of a failure; empty if it says nothing."""

    feed: Values = field(default_factory=dict)
    entries: dict[str, Values] = field(default_factory=dict)
    complaint: str = ""


@dataclass(frozen=True)
class Reader:
    """`tools` are the programs and modules that it needs; `visit(folder, url)` keeps its state in `folder`.

    One that does not `fetch` by itself is handed the bytes.
    """

    name: str
    tools: tuple[str, ...]
    version: Callable[[], str]
    visit: Callable[[Path, str], Seen]
    fetches: bool = True


def _values(**found: Any) -> Values:
    """Words of FEED or ENTRY (`_` for a blank) to lists of text, without what is empty."""
    lists = {word.replace("_", " "): value if isinstance(value, list | tuple) else [value] for word, value in found.items()}
    kept = {word: [str(value) for value in values if value not in (None, "")] for word, values in lists.items()}
    return {word: values for word, values in kept.items() if values}


def _instant(text: str | None) -> int | None:
    """RFC 3339 or RFC 822 -> seconds."""
    if not text:
        return None
    if text[0].isdigit():
        return int(datetime.fromisoformat(text).timestamp())
    return int(email.utils.parsedate_to_datetime(text).timestamp())


def _run(command: list[str], folder: Path) -> str:
    """What a program writes, errors included: its exit code says less."""
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={"HOME": str(folder), "PATH": f"{Path(command[0]).parent}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    return done.stdout + done.stderr


def _tool(name: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed"
    return found


def _debian(package: str) -> Callable[[], str]:
    def version() -> str:
        told = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
        return re.sub(r"^\d+:|-[^-]*$", "", told.stdout)

    return version


def _python(package: str) -> Callable[[], str]:
    def version() -> str:
        import importlib.metadata

        return importlib.metadata.version(package)

    return version


def _npm(package: str) -> Callable[[], str]:
    return lambda: str(json.loads((HERE / "package.json").read_text())["dependencies"][package])


# -- feedparser ------------------------------------------------------------


def _feedparser(folder: Path, url: str) -> Seen:
    import feedparser

    state = folder / "state.json"
    kept = json.loads(state.read_text()) if state.exists() else {}
    found = feedparser.parse(url, etag=kept.get("etag"), modified=kept.get("modified"))
    if found.status >= 400:
        return Seen(complaint=f"status {found.status}")
    if found.status == 304:
        return Seen()
    state.write_text(json.dumps({"etag": found.get("etag"), "modified": found.get("modified")}))
    if not found.version:
        return Seen(complaint=str(found.get("bozo_exception", "")))
    return Seen(_feedparser_feed(found.feed), {entry.id: _feedparser_entry(entry) for entry in found.entries})


def _hrefs(links: Iterable[Mapping[str, Any]], *rels: str) -> list[str]:
    return [link["href"] for link in links if link.get("rel", "alternate") in rels]


def _feedparser_feed(feed: Any) -> Values:
    return _values(
        title=feed.get("title"),
        description=feed.get("subtitle"),
        home_page=feed.get("link"),
        language=feed.get("language"),
        icon=feed.get("icon") or feed.get("image", {}).get("href"),
        hub=_hrefs(feed.get("links", ()), "hub"),
        older_entries=_hrefs(feed.get("links", ()), "prev-archive", "next"),
    )


def _feedparser_entry(entry: Any) -> Values:
    return _values(
        title=entry.get("title"),
        id=entry.get("id"),
        link=entry.get("link"),
        published=_gmt(entry.get("published_parsed")),
        updated=_gmt(entry.get("updated_parsed")) if "updated" in entry else None,
        summary=entry.get("summary"),
        full_text=[content.value for content in entry.get("content", ())],
        authors=[author["name"] for author in entry.get("authors", ()) if author.get("name")],
        translators=[person["name"] for person in entry.get("contributors", ()) if person.get("name")],
        tags=[tag.term for tag in entry.get("tags", ())],
        enclosure=[link.href for link in entry.get("enclosures", ())],
        picture=[thumbnail["url"] for thumbnail in entry.get("media_thumbnail", ())],
        original=_hrefs(entry.get("links", ()), "via"),
        number_of_comments=entry.get("thr_total") or entry.get("slash_comments"),
    )


def _gmt(parsed: Any) -> int | None:
    return calendar.timegm(parsed) if parsed else None


# -- lemon24/reader --------------------------------------------------------


def _lemon(folder: Path, url: str) -> Seen:
    from reader import make_reader

    reader = make_reader(str(folder / "reader.sqlite"))
    try:
        reader.add_feed(url, exist_ok=True)
        for update in reader.update_feeds_iter(scheduled=False):
            if isinstance(update.value, Exception):
                return Seen(complaint=f"{type(update.value).__name__}: {update.value}")
        feed = reader.get_feed(url)
        told = _values(title=feed.title, description=feed.subtitle, home_page=feed.link)
        return Seen(told, {entry.id: _lemon_entry(entry) for entry in reader.get_entries(feed=url)})
    finally:
        reader.close()


def _lemon_entry(entry: Any) -> Values:
    return _values(
        title=entry.title,
        id=entry.id,
        link=entry.link,
        published=_seconds(entry.published),
        updated=_seconds(entry.updated),
        summary=entry.summary,
        full_text=[content.value for content in entry.content],
        authors=[author.name for author in entry.authors],
        enclosure=[enclosure.href for enclosure in entry.enclosures],
    )


def _seconds(when: datetime | None) -> int | None:
    return int(when.replace(tzinfo=when.tzinfo or UTC).timestamp()) if when else None


# -- newsboat --------------------------------------------------------------


def _newsboat(folder: Path, url: str) -> Seen:
    (folder / "urls").write_text(url + "\n")
    (folder / "config").write_text("cleanup-on-quit no\nmax-items 0\nerror-log errors\n")
    _run([_tool("newsboat"), "-q", "-C", "config", "-u", "urls", "-c", "cache.db", "-x", "reload"], folder)
    errors = folder / "errors"
    complaint = errors.read_text("utf-8", "replace").strip() if errors.exists() else ""
    with sqlite3.connect(folder / "cache.db") as database:
        database.row_factory = sqlite3.Row
        feed = database.execute("SELECT * FROM rss_feed").fetchone()
        items = [dict(row) for row in database.execute("SELECT * FROM rss_item")]
    told = _values(title=feed["title"], home_page=feed["url"]) if feed and items else {}
    return Seen(told, {item["guid"]: _newsboat_item(item) for item in items}, complaint)


def _newsboat_item(item: Mapping[str, Any]) -> Values:
    return _values(
        title=item["title"],
        id=item["guid"],
        link=item["url"],
        published=item["pubDate"],
        updated=item["pubDate"],  # the one date that it keeps
        full_text=item["content"],
        authors=item["author"],
        enclosure=item["enclosure_url"],
    )


# -- rss2email -------------------------------------------------------------

_R2E = """\
[DEFAULT]
from = service@example.org
to = reader@example.org
email-protocol = maildir
maildir-path = mail
maildir-mailbox = inbox
html-mail = True
date-header = True
"""


def _rss2email(folder: Path, url: str) -> Seen:
    command = [_tool("r2e"), "-c", "config", "-d", "state.json"]
    told = ""
    if not (folder / "mail").exists():
        (folder / "mail").mkdir()
        (folder / "config").write_text(_R2E)
        told = _run([*command, "add", "it", url], folder)
    told += _run([*command, "run"], folder)
    problems = re.findall(r"\[(?:WARNING|ERROR)\] (.+)", told)
    messages = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in folder.glob("mail/inbox/new/*")
    ]
    titles = {_from(message)[0] for message in messages}
    return Seen(_values(title=[*titles]), {message["X-RSS-ID"]: _mail(message) for message in messages}, "; ".join(problems))


def _from(message: Any) -> tuple[str, str]:
    """Feed and author, as the sender is called."""
    feed, _colon, author = message["From"].addresses[0].display_name.partition(": ")
    return feed, author


def _mail(message: Any) -> Values:
    text = message.get_content()
    body, _footer, footer = text.partition('<div class="footer">')
    sent = int(message["Date"].datetime.timestamp())
    return _values(
        title=message["Subject"],
        id=message["X-RSS-ID"],
        link=message["X-RSS-URL"],
        published=sent,
        updated=sent,  # the one date that it has
        full_text=body,
        authors=_from(message)[1],
        tags=message.get("X-RSS-TAGS", "").split(","),
        enclosure=[html.unescape(href) for href in re.findall(r'Enclosure: <a href="([^"]*)"', footer)],
        original=[html.unescape(href) for href in re.findall(r'Via <a href="([^"]*)"', footer)],
    )


# -- sfeed -----------------------------------------------------------------


def _sfeed(folder: Path, url: str) -> Seen:
    (folder / "sfeedrc").write_text(f"sfeedpath={folder}/feeds\nfeeds() {{\n\tfeed it '{url}'\n}}\n")
    (folder / "feeds").mkdir(exist_ok=True)
    told = _run([_tool("sfeed_update"), "sfeedrc"], folder)
    lines = (folder / "feeds" / "it").read_text("utf-8").splitlines() if (folder / "feeds" / "it").exists() else []
    rows = [[_unescaped(cell) for cell in line.split("\t")] for line in lines]
    complaint = " ".join(re.findall(r"FAIL.*", told)) or ("" if rows else "no items")
    return Seen({}, {row[5]: _sfeed_row(row) for row in rows}, complaint)


def _unescaped(cell: str) -> str:
    return re.sub(r"\\([nt\\])", lambda match: {"n": "\n", "t": "\t", "\\": "\\"}[match[1]], cell)


def _sfeed_row(row: list[str]) -> Values:
    return _values(
        title=row[1],
        id=row[5],
        link=row[2],
        published=row[0],
        updated=row[0],  # the one date that it keeps
        full_text=row[3],
        authors=row[6],
        enclosure=row[7],
        tags=row[8].split("|"),
    )


# -- from npm --------------------------------------------------------------


def install_npm(folder: Path) -> None:
    """What package.json names, into `folder`; visits of readers from npm want it in their own folder's parent."""
    shutil.copy(HERE / "package.json", folder)
    command = [_tool("npm"), "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def _node(reader: str) -> Callable[[Path, str], Seen]:
    def visit(folder: Path, url: str) -> Seen:
        root = folder.parent
        if not (root / "node_modules").exists():
            install_npm(root)
        shutil.copy(HERE / "show.mjs", root)
        done = subprocess.run([_tool("node"), "show.mjs", reader, url], cwd=root, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        feed = json.loads(done.stdout)
        if "complaint" in feed:
            return Seen(complaint=feed["complaint"])
        make = _rss_parser if reader == "rss-parser" else _feedsmith
        return make(feed)

    return visit


def _rss_parser(feed: Any) -> Seen:
    told = _values(
        title=feed.get("title"),
        description=feed.get("description"),
        home_page=feed.get("link"),
        language=feed.get("language"),
        icon=feed.get("image", {}).get("url"),
        older_entries=[feed.get("paginationLinks", {}).get(rel) for rel in ("prev-archive", "next")],
    )
    return Seen(told, {item.get("id") or item["guid"]: _rss_parser_item(item) for item in feed["items"]})


def _rss_parser_item(item: Any) -> Values:
    encoded = item.get("content:encoded")
    return _values(
        title=item.get("title"),
        id=item.get("id") or item.get("guid"),
        link=item.get("link"),
        published=_instant(item.get("isoDate")),
        updated=_instant(item.get("isoDate")),  # the one date that it keeps
        summary=item.get("content") if encoded else item.get("summary"),
        full_text=encoded or item.get("content"),
        authors=item.get("creator") or item.get("author"),
        tags=[category if isinstance(category, str) else category["_"] for category in item.get("categories", ())],
        enclosure=item.get("enclosure", {}).get("url"),
    )


def _feedsmith(feed: Any) -> Seen:
    links = [*feed.get("links", ()), *feed.get("atom", {}).get("links", ())]
    told = _values(
        title=_text(feed.get("title")),
        description=_text(feed.get("subtitle") or feed.get("description")),
        home_page=feed.get("home_page_url") or feed.get("link") or _hrefs(links, "alternate"),
        language=feed.get("language") or feed.get("xml", {}).get("lang"),
        icon=feed.get("icon") or feed.get("image", {}).get("url"),
        hub=[*_hrefs(links, "hub"), *(hub["url"] for hub in feed.get("hubs", ()))],
        older_entries=[*_hrefs(links, "prev-archive", "next"), feed.get("next_url")],
    )
    items = [_feedsmith_item(item) for item in feed.get("entries") or feed.get("items", ())]
    return Seen(told, {item["id"][0]: item for item in items})


def _text(value: Any) -> str | None:
    return value.get("value") if isinstance(value, dict) else value


def _feedsmith_item(item: Any) -> Values:
    links = [*item.get("links", ()), *item.get("atom", {}).get("links", ())]
    dublin, media, content = item.get("dc", {}), item.get("media", {}), item.get("content", {})
    rss_summary = item.get("description") if content.get("encoded") else None
    return _values(
        title=_text(item.get("title")),
        id=item.get("id") or item.get("guid", {}).get("value"),
        link=item.get("url") or item.get("link") or _hrefs(item.get("links", ()), "alternate"),
        published=_instant(item.get("published") or item.get("pubDate") or item.get("date_published")),
        updated=_instant(item.get("updated") or item.get("atom", {}).get("updated") or item.get("date_modified")),
        summary=_text(item.get("summary")) or rss_summary,
        full_text=content.get("value") or content.get("encoded") or item.get("content_html"),
        authors=[author["name"] for author in item.get("authors", ())] or dublin.get("creators"),
        translators=[person["name"] for person in item.get("contributors", ())] or dublin.get("contributors"),
        tags=[tag.get("term") or tag.get("name") for tag in item.get("categories", ())] or item.get("tags"),
        enclosure=_hrefs(links, "enclosure")
        or [found["url"] for found in (*item.get("enclosures", ()), *item.get("attachments", ()))],
        picture=item.get("image") or [found["url"] for found in media.get("thumbnails", ())],
        original=item.get("external_url") or _hrefs(links, "via"),
        number_of_comments=item.get("thr", {}).get("total", item.get("slash", {}).get("comments")),
    )


READERS: tuple[Reader, ...] = (
    Reader("feedparser", (), _python("feedparser"), _feedparser),
    Reader("reader", (), _python("reader"), _lemon),
    Reader("newsboat", ("newsboat",), _debian("newsboat"), _newsboat),
    Reader("rss2email", ("r2e",), _debian("rss2email"), _rss2email),
    Reader("sfeed", ("sfeed_update", "curl"), _debian("sfeed"), _sfeed),
    Reader("rss-parser", ("node", "npm"), _npm("rss-parser"), _node("rss-parser")),
    Reader("feedsmith", ("node", "npm"), _npm("feedsmith"), _node("feedsmith"), fetches=False),
)
