"""Whatever lies in a file: an article that harms nobody, or words with line and column; the files beside it stand."""

from __future__ import annotations

import html as entities
from typing import Any

import pytest
from hypothesis import strategies as st
from lxml import etree, html

from feeds.catalog import queries
from feeds.feed_formats import load_formats
from feeds.model import ParsedArticle, Problem
from feeds.store.fields import MAX_SUMMARY, MAX_TITLE
from feeds.store.frontmatter import BadFrontMatter, read_source, select_forms
from feeds.store.kinds import KINDS
from feeds.store.names import MAX_TERMS
from feeds.store.parse import parse_article
from feeds.store.parse_settings import ParseSettings
from feeds.syndication import documents, lookup, pages

from ..store.completed import completed
from .mutating import damaged, noise, seeds
from .rounds import fuzz

SETTINGS = ParseSettings("/s", "Asia/Shanghai", 65536)
ARTICLES = seeds("cases/frontmatter", "cases/bodies", "fuzz/seeds/articles", ending=".md")
FORMS = seeds("fuzz/seeds/forms", "cases/frontmatter", ending=".md")
#: What sanitised HTML may do, by the browser's reading of it.
HARMFUL_TAGS = {
    "script",
    "style",
    "iframe",
    "object",
    "embed",
    "form",
    "input",
    "button",
    "base",
    "meta",
    "link",
    "svg",
    "math",
}
SCHEMES = ("http:", "https:", "mailto:", "ftp:", "magnet:")


def is_legal(text: str) -> bool:
    """By lxml, which knows what XML 1.0 allows."""
    etree.Element("x").text = text  # raises ValueError
    return True


def is_safe(article: ParsedArticle) -> None:
    assert is_legal(article.html) and is_legal(article.summary) and is_legal(article.title) and "\n" not in article.title
    assert len(article.title) <= MAX_TITLE + 1 and len(article.summary) <= MAX_SUMMARY + 1
    assert all(len(names) <= MAX_TERMS and all(map(str.strip, names)) for names in article.names.values())
    assert article.id and article.url.isascii() and article.url.startswith(("http://", "https://"))
    assert 0 <= article.published.timestamp() <= article.updated.timestamp() < 2**33
    if article.html.strip():
        for element in html.fragment_fromstring(article.html, create_parent=True).iter(etree.Element):
            assert element.tag not in HARMFUL_TAGS, element.tag
            assert not [name for name in element.attrib if name.startswith("on") or name in ("style", "class", "id")]
            for name in ("href", "src"):
                assert entities.unescape(element.get(name) or "https:").lower().startswith(SCHEMES), element.get(name)


def is_told(problem: Problem, data: bytes) -> None:
    """The place is in the file, and the words are not an exception's."""
    assert problem.reason and is_legal(problem.reason) and "could not be read" not in problem.reason, problem
    assert 0 <= problem.line <= len(data.decode("latin-1").splitlines()) + data.count(b"\r") + 2 and problem.column >= 0


def check(data: bytes) -> None:
    found = parse_article(SETTINGS, "2020/01/1.md", data, 1_600_000_000, now=1_700_000_000).result
    if isinstance(found, ParsedArticle):
        is_safe(completed(found))
    elif found is not None:
        is_told(found, data)


@fuzz(120, data=damaged(ARTICLES))
def test_damaged_articles_are_safe_or_refused_with_words(data: bytes) -> None:
    check(data)


@fuzz(160, data=damaged(FORMS), kind=st.sampled_from(sorted(KINDS)))
def test_damaged_headers_of_any_kind_are_read_or_refused_with_words(data: bytes, kind: str) -> None:
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    try:
        source = read_source(text, "a.md", select_forms(KINDS[kind].headers))
    except BadFrontMatter as error:
        assert error.reason and is_legal(error.reason) and 1 <= error.line <= text.count("\n") + 2 and error.column >= 1
    else:
        assert source.form and "comments_data" not in source.fields
        assert all(is_legal(notice) for notice in source.notices)
        assert not set(source.body) - set(text)


@fuzz(60, header=noise(10), body=noise(4))
def test_any_header_between_its_lines(header: bytes, body: bytes) -> None:
    check(b"---\ntitle: x\n" + header + b"\n---\n" + body)


_FIELDS = (
    "title",
    "date",
    "updated",
    "tags",
    "author",
    "translator",
    "excerpt",
    "fromurl",
    "pic",
    "permalink",
    "id",
    "category",
)
_VALUES = noise(4).map(lambda value: value.decode("utf-8", "replace").replace("'", "''").replace("\n", " "))


@fuzz(60, fields=st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=6))
def test_any_text_in_any_field(fields: dict[str, str]) -> None:
    check("".join(["---\n", *(f"{name}: '{value}'\n" for name, value in fields.items()), "---\ntext\n"]).encode())


@fuzz(100, body=noise(14))
def test_any_markdown(body: bytes) -> None:
    check(b"---\ntitle: x\n---\n" + body.replace(b"\xff", b""))


@pytest.fixture(scope="module")
def pile(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    site = type(demo)(tmp_path_factory.mktemp("pile") / "site", article_url="", max_file_bytes=65536)
    facets = {name: {"enabled": True} for name in ("tag", "translator", "author", "selector", "reviewer", "category")}
    site.settle("feeds.yaml", facets=facets)
    site.write("sound.md", title="sound", tags=["sound"])
    yield site
    site.remove()


@fuzz(5, files=st.lists(damaged(ARTICLES), min_size=1, max_size=8))
def test_whole_files_through_a_rescan(pile: Any, files: list[bytes]) -> None:
    """One store, changed again and again: every feed and list of it stays well-formed, the sound article stays in it."""
    for number, data in enumerate(files):
        pile.write(f"2020/01/{number}.md", data)
    pile.rescan()
    edition = pile.runtime.edition()
    told = {problem.path: problem for problem in pile.runtime.read(queries.list_problems)}
    for number, data in enumerate(files):
        if problem := told.get(f"2020/01/{number}.md"):
            is_told(problem, data)
    for row, _selection in pile.runtime.read(lookup.list_feeds)[:20]:
        for format in load_formats().values():
            body = pile.runtime.read(lookup.find_document, edition, row.path, format).body
            if format.name != "json":
                etree.fromstring(body)
    etree.fromstring(pile.runtime.read(documents.opml, edition.config, None))
    assert pile.runtime.read(pages.article_page, pile.runtime.edition().config, "sound").article.title == "sound"
