"""Comments hold addresses, places, names and words of people: nothing of them leaves the parser.

Neither a feed, a page, an exported file, the database's bytes, a report, a log nor a reason in quarantine may hold any of it,
whatever shape the comments have and however the file around them is damaged.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from feeds.catalog import queries
from feeds.cli import main
from feeds.config.environment import SecretStr
from feeds.feed_formats import load_formats
from feeds.model import ParsedArticle, Problem
from feeds.monitoring import health
from feeds.static.export import Options
from feeds.static.site_files import Exporter
from feeds.store.parse import parse_article
from feeds.store.parse_settings import ParseSettings
from feeds.syndication import documents, lookup
from feeds.web.app import create_app
from tests.examples import some

FOOTER = "\n\n---\n\nvia: https://example.org/x\n\n作者：[Ada](https://a) 译者：[wxy](https://b) 校对：[geekpi](https://c)\n"


def everything_published(site: Any, *, kept: bool = True) -> bytes:
    """All bytes that can leave a site: documents, pages, exported files, answers of commands; and what is `kept` of it."""
    parts: list[bytes] = []
    edition = site.runtime.edition()
    states = [row.path for row, _selection in site.runtime.read(lookup.list_feeds)]
    for path in states:
        parts += [site.runtime.read(lookup.find_document, edition, path, format).body for format in load_formats().values()]
    parts.append(site.runtime.read(documents.opml, edition.config, None))
    client = Client(create_app(site.environment))
    with site.runtime.reading() as connection:
        ids = [row[0] for row in connection.exec_driver_sql("SELECT id FROM articles")]
    pages = ["/", "/tags/", "/translators/", *(f"/{path}" for path in states), *(f"/articles/{id}" for id in ids), "/missing"]
    parts += [client.get(page, headers={"Accept": "text/html"}).get_data() for page in pages]
    parts += console_pages(site)
    for command in (["status"], ["status", "--json"], ["check"], ["check", "--json"], ["list", "--json"], ["rescan", "--json"]):
        result = CliRunner().invoke(main, [*command, "--config", str(site.config_dir)])
        parts += [result.stdout_bytes, result.stderr_bytes, repr(result.exception).encode()]
    Exporter(site.runtime).export(str(site.root / "out"), Options(compressed=False))
    parts += [path.read_bytes() for path in (site.root / "out").rglob("*") if path.is_file()]
    for problem in site.runtime.read(queries.list_problems):
        parts.append(repr(problem).encode())
    parts.append(json.dumps(site.runtime.read(health.catalog_status)).encode())
    if not kept:
        return b"\n".join(parts)
    files = list((site.root / "var").iterdir())
    if site.database.exists():
        assert any(path.name.endswith("-wal") for path in files), "the log of the database is looked at, too"
    parts += [site.kept().encode(), *(path.read_bytes() for path in files)]
    return b"\n".join(parts)


def console_pages(site: Any) -> list[bytes]:
    """What the operator sees: above all the lines of files in quarantine."""
    client = Client(create_app(dataclasses.replace(site.environment, operator_token=SecretStr("open-sesame-0123456789"))))
    client.post("/operator/sign-in", data={"token": "open-sesame-0123456789"})
    answers = [client.get(f"/operator/{room}") for room in ("", "quarantine", "feeds", "configuration", "log")]
    assert [answered.status_code for answered in answers] == [200] * 5
    return [answered.get_data() for answered in answers]


# -- generated comments ------------------------------------------------------

SECRET = "zqsecret"  # every secret begins so or is an address of this range
SECRETS = re.compile(rb"zqsecret|203\.0\.113\.\d|2001:db8::")
#: With what the archive's comments are made of, and what breaks a header.
NOISE = [
    *(
        "",
        "<br />\r\n",
        "&nbsp;",
        "&lt;script&gt;",
        "'",
        '"',
        "''",
        "\\",
        ": ",
        "- ",
        "#",
        "---",
        "\n---\n",
        "\n...\n",
        "{",
        "[",
        "|",
    ),
    *("//@Linux_cn: ", "[quote]", "C:\\x", "\t", "　", "🎉", "*a", "&a", "!!str", "<<", "%", "\x85", "\u2028", "via: http://x"),
]
WORDS = st.lists(st.sampled_from([*NOISE, SECRET]), max_size=5).map(lambda parts: "".join([*parts, SECRET]))
ADDRESS = st.integers(1, 254).map(lambda number: f"203.0.113.{number}") | st.just("2001:db8::1")
COMMENT = st.fixed_dictionaries(
    {
        "date": st.just("2024-01-01 00:00:00"),
        "message": WORDS,
        "postip": ADDRESS,
        "username": st.builds(lambda ip, words: f"来自{ip}的 {words} 用户", ADDRESS, WORDS),
    }
)
COMMENTS = st.lists(COMMENT, min_size=1, max_size=4)
SHAPES = st.one_of(
    COMMENTS,
    st.lists(WORDS, min_size=1, max_size=2),
    COMMENT,
    WORDS,
    st.dictionaries(WORDS, st.lists(COMMENT, max_size=1), min_size=1, max_size=2),
    st.recursive(WORDS, lambda inner: st.lists(inner, min_size=1, max_size=2), max_leaves=4),
)


def _cut_end(text: str, at: int) -> str:
    return text[: at % len(text)]


def _cut_head(text: str, at: int) -> str:
    lines = text.split("\n")
    return "\n".join(lines[at % len(lines) :])


def _without_a_line(text: str, at: int) -> str:
    lines = text.split("\n")
    del lines[at % len(lines)]
    return "\n".join(lines)


def _with_a_line(text: str, at: int, line: str) -> str:
    lines = text.split("\n")
    lines.insert(at % len(lines), line)
    return "\n".join(lines)


DAMAGES = {
    "none": lambda text, at: text,
    "cut end": _cut_end,
    "cut head": _cut_head,
    "a line lost": _without_a_line,
    "a fence": lambda text, at: _with_a_line(text, at, "---"),
    "a blank line": lambda text, at: _with_a_line(text, at, ""),
    "junk": lambda text, at: _with_a_line(text, at, "<<<<<<< HEAD"),
    "a tab": lambda text, at: _with_a_line(text, at, "\tx: y"),
    "a blank first line": lambda text, at: "\n" + text,
    "other quotes": lambda text, at: text.replace("'", '"'),
    "no quotes": lambda text, at: text.replace("'", "").replace('"', ""),
    "no indents": lambda text, at: text.replace("\n  ", "\n"),
    "indented": lambda text, at: text.replace("\n", "\n  "),
    "twice": lambda text, at: text + "\n" + text,
    "a header before": lambda text, at: "---\ntitle: 新\n---\n" + text,
    "another key": lambda text, at: text.replace("comments_data:", "comments_data :"),
    "a lost key": lambda text, at: text.replace("comments_data:\n", ""),
    "a bad byte": lambda text, at: text[: at % len(text)] + "\udcff" + text[at % len(text) :],
    "too large": lambda text, at: text + "x" * 70_000,
}


def _read(text: str) -> ParsedArticle | Problem | None:
    settings = ParseSettings("/s", "UTC", 65536)
    return parse_article(settings, "1.md", text.encode("utf-8", "surrogateescape"), 0, now=2_000_000_000).result


@given(SHAPES)
def test_a_file_is_read_without_its_comments_whatever_they_are(text_of: Any, comments: Any) -> None:
    found = _read(text_of("1.md", comments_data=comments))
    assert isinstance(found, ParsedArticle)
    assert not SECRETS.search(repr(found).encode())


@given(COMMENTS, st.sampled_from(sorted(DAMAGES)), st.integers(0, 10**6), st.booleans())
@settings(max_examples=some(400))
def test_a_file_is_read_without_its_comments_however_it_is_damaged(
    text_of: Any, comments: Any, damage: str, at: int, footer: bool
) -> None:
    text = text_of("1.md", comments_data=comments, body="正文。" + (FOOTER if footer else ""))
    found = _read(DAMAGES[damage](text, at))
    assert isinstance(found, ParsedArticle | Problem)
    assert not SECRETS.search(repr(found).encode()), damage


@given(data=st.data())
@settings(max_examples=some(8, least=3))
def test_nothing_of_any_comment_leaves_a_site(data: st.DataObject, new_site: Any, text_of: Any) -> None:
    folder = Path(tempfile.mkdtemp(prefix="feeds-test-"))
    site = type(new_site())(folder / "site", article_url="", max_file_bytes=65536)
    try:
        for number in range(4):
            comments = data.draw(st.lists(COMMENT, min_size=1, max_size=3))
            text = text_of(f"{number}.md", comments_data=comments, title=f"标题{number}", count={"commentnum": len(comments)})
            if number:
                text = DAMAGES[data.draw(st.sampled_from(sorted(DAMAGES)))](text, data.draw(st.integers(0, 10**6)))
            site.write(f"{number}.md", text.encode("utf-8", "surrogateescape"))
        site.rescan()
        site.write("1.md", text_of("1.md", comments_data=data.draw(st.lists(COMMENT, min_size=1))) + "\n更多")
        site.rescan()
        published = everything_published(site)
    finally:
        site.remove()
        shutil.rmtree(folder)
    assert "标题0".encode() in published, "what is published is looked at"
    assert not SECRETS.search(published)


def test_what_is_looked_at_would_show_a_secret(site: Any) -> None:
    site.settle("site.yaml", article_url="")
    site.write("1.md", title="zqsecret title")
    site.rescan()
    assert len(SECRETS.findall(everything_published(site))) > 10


def test_addresses_and_names_in_bodies_are_content_and_stay(site: Any) -> None:
    words = ["0.0.0.0:9090", "172.17.81.26", "10.0.2.15:2377", "alan@pibox", "tux@example.com", "xShow@Home", "4.4.11"]
    site.write("1.md", body="、".join(f"`{word}`" for word in words) + "，" + "，".join(words))
    site.rescan()
    document = site.runtime.read(lookup.find_document, site.runtime.edition(), "all", load_formats()["json"]).body.decode()
    assert all(document.count(word) >= 2 for word in words)


def test_faults_in_comments_are_reported_without_a_word_of_them(site: Any) -> None:
    comments = [{"message": "zqsecret", "postip": "203.0.113.9", "username": "来自203.0.113.9的 zqsecret 用户"}]
    header = yaml.safe_dump({"title": "x", "comments_data": comments}, allow_unicode=True)
    breaks = [
        "message: *zqsecret",
        "message: !!zqsecret x",
        "message: 'zqsecret",
        "message: {zqsecret",
        "message: @zqsecret",
        "\tzqsecret",
    ]
    for number, broken in enumerate(breaks):
        site.write(f"{number}.md", f"---\n{header.replace('message: zqsecret', broken)}---\n正文")
    site.rescan()
    problems = site.runtime.read(queries.list_problems)
    assert len(problems) == len(breaks) and all(problem.line for problem in problems)
    assert not SECRETS.search(everything_published(site))


# -- real articles -----------------------------------------------------------


def _comments_and_the_rest(corpus: Path) -> Iterator[tuple[list[dict[str, str]], str]]:
    for path in sorted(corpus.rglob("*.md")):
        text = path.read_text("utf-8")
        end = text.find("\n---\n", 3)
        if end < 0:
            continue
        header = yaml.load(text[4 : end + 1], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        comments = [comment for comment in header.pop("comments_data", None) or [] if isinstance(comment, dict)]
        yield comments, f"{header}\n{text[end + 5 :]}"


@pytest.mark.corpus
def test_no_comment_of_the_real_articles_is_in_any_feed_or_in_the_database(corpus: Path, new_site: Any) -> None:
    address = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
    addresses: set[str] = set()
    words: set[str] = set()
    rest: list[str] = []
    for comments, other in _comments_and_the_rest(corpus):
        rest.append(other)
        for comment in comments:
            addresses.update(address.findall(f"{comment.get('postip')} {comment.get('username')}"))
            words.update(value for value in (comment.get("message"), comment.get("username")) if value and len(value) > 7)
    elsewhere = "\n".join(rest)
    addresses -= set(address.findall(elsewhere))
    words = {word for word in words if word not in elsewhere}
    assert len(addresses) > 100 and len(words) > 100
    site = new_site(store=str(corpus), article_url="")
    site.rescan()
    parts = [site.kept(), *(path.read_bytes().decode("utf-8", "replace") for path in (site.root / "var").iterdir())]
    edition = site.runtime.edition()
    for row, _selection in site.runtime.read(lookup.list_feeds):
        parts.append(site.runtime.read(lookup.find_document, edition, row.path, load_formats()["json"]).body.decode())
    for text in parts:
        assert not addresses & set(address.findall(text))
    database = "\n".join(parts[: len(parts) - len(site.runtime.read(lookup.list_feeds))])
    assert "译者" in database
    for word in sorted(words, key=len, reverse=True)[:500]:
        assert word not in database
