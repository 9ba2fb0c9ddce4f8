"""Links between articles that have their pages here lead to the id that an article has, or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client

from feeds.catalog import pages, queries
from feeds.catalog.sort_key import Window
from feeds.web.app import create_app

from ..conftest import Site

HERE = "http://localhost"


def new_blog(new_site: Callable[..., Site], **store: str) -> Site:
    return new_site(store={"path": "articles", "kind": "plain", **store}, article_url="", base_url=HERE)


@pytest.fixture
def blog(new_site: Callable[..., Site]) -> Site:
    """A store of notes, of which `first.md` links to `second.md`."""
    site = new_blog(new_site)
    site.write("first.md", note("First", "See [it](second.md#end)."))
    site.write("second.md", note("Second"))
    site.rescan()
    return site


def note(title: str, body: str = "Once upon a time.", **fields: Any) -> str:
    header = "".join(f"{name}: {value}\n" for name, value in {"title": title, "date": "2024-01-01", **fields}.items())
    return f"---\n{header}---\n{body}\n"


def links(site: Site, title: str) -> list[str | None]:
    with site.runtime.reading() as connection:
        found = queries.select(connection, site.runtime.edition().config.site, queries.Clauses(), Window())
    article = next(one for one in found if one.title == title)
    return [link.get("href") for link in html.fromstring(f"<div>{article.html}</div>").iterfind(".//a")]


def test_a_link_follows_an_article_that_moves(blog: Site) -> None:
    (blog.store / "second.md").unlink()
    blog.write("old/second.md", note("Second"))
    blog.rescan()
    assert links(blog, "First") == [f"{HERE}/articles/second#end"]
    blog.write("first.md", note("First", "See [it](old/second.md#end)."))
    blog.rescan()
    assert links(blog, "First") == [f"{HERE}/articles/second#end"]
    report = blog.rescan(full=True)
    assert (report.changed, report.added, report.removed) == (0, 0, 0)
    assert Client(create_app(blog.environment)).get("/articles/second").status_code == 200


def test_both_may_move_and_change_in_one_rescan(blog: Site) -> None:
    for name in ("first", "second"):
        (blog.store / f"{name}.md").unlink()
    blog.write("a/first.md", note("First", "See [it](../b/second.md?x=1&y#end)."))
    blog.write("b/second.md", note("Second"))
    blog.rescan()
    assert links(blog, "First") == [f"{HERE}/articles/second?x=1&y#end"]


def test_a_file_that_takes_an_old_path_is_another_target(blog: Site) -> None:
    (blog.store / "second.md").rename(blog.store / "moved.md")
    blog.rescan()
    blog.write("second.md", note("Another", "Another text."))
    blog.write("third.md", note("Third", "[Here](moved.md)"))
    blog.rescan()
    (other,) = links(blog, "First")
    assert other.startswith(f"{HERE}/articles/second~") and other.endswith("#end")
    assert links(blog, "Third") == [f"{HERE}/articles/second"]


def test_a_link_to_an_id_of_a_header_or_of_an_older_rule_leads_there(blog: Site) -> None:
    blog.write("deep/third.md", note("Third", id="the-third"))
    blog.write("fourth.md", note("Fourth", "[One](deep/third.md) [two](deep/old.md)"))
    blog.write("deep/old.md", note("Old", id="old"))
    blog.rescan()
    blog.write("deep/old.md", note("Old"))  # the file keeps what it was
    blog.rescan()
    assert links(blog, "Fourth") == [f"{HERE}/articles/the-third", f"{HERE}/articles/old"]


def test_a_link_to_what_is_withheld_or_gone_is_plain_text_until_it_is_back(blog: Site) -> None:
    blog.write("second.md", note("Second", draft="true"))
    blog.rescan()
    assert links(blog, "First") == [None]
    blog.write("first.md", note("First", "See [it](second.md#end), still."))
    blog.rescan()
    assert links(blog, "First") == [None]
    blog.write("second.md", note("Second"))
    blog.rescan()
    assert links(blog, "First") == [f"{HERE}/articles/second#end"]
    (blog.store / "second.md").unlink()
    blog.rescan()
    assert links(blog, "First") == [None]


def test_a_feed_is_another_one_when_a_link_in_it_leads_elsewhere(blog: Site) -> None:
    before = Client(create_app(blog.environment)).get("/all.atom")
    assert b"articles/second#end" in before.data
    blog.write("second.md", note("Second", draft="true"))
    blog.rescan()
    after = Client(create_app(blog.environment)).get("/all.atom", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200 and b"second" not in after.data


ARCHIVE = {"kind": "archive"}


def test_an_address_leads_to_the_article_that_has_it_and_otherwise_its_words_stay(new_site: Callable[..., Site]) -> None:
    """Articles that are read here have nothing beside them: what is relative leads to a page of the store, or nowhere."""
    site = new_blog(new_site, **ARCHIVE)
    body = (
        "[a](/article-2-1.html#end) [b](article-2-1.html) [c](/article-9-1.html) [d](thread-1-1-1.html) [e](../x/2.md) [f](/)"
    )
    site.write("1.md", note("First", body, permalink="/article-1-1.html"))
    site.write("2.md", note("Second", permalink="/article-2-1.html"))
    site.rescan()
    second = f"{HERE}/articles/2"
    assert links(site, "First") == [f"{second}#end", second, None, None, None, f"{HERE}/"]
    site.write("9.md", note("Ninth", permalink="/article-9-1.html"))
    (site.store / "2.md").unlink()
    site.rescan()
    assert links(site, "First") == [None, None, f"{HERE}/articles/9", None, None, f"{HERE}/"]


def test_beside_an_article_that_is_read_elsewhere_there_may_be_other_pages(new_site: Callable[..., Site]) -> None:
    site = new_site(store={"path": "articles", **ARCHIVE}, article_url="https://old.example.org{permalink}", base_url=HERE)
    site.write("1.md", note("First", "[a](/article-2-1.html#end) [b](thread-1.html)", permalink="/article-1-1.html"))
    site.write("2.md", note("Second", permalink="/article-2-1.html"))
    site.rescan()
    assert links(site, "First") == ["https://old.example.org/article-2-1.html#end", "https://old.example.org/thread-1.html"]


def test_a_page_that_moves_keeps_its_address_and_no_other_takes_it(new_site: Callable[..., Site]) -> None:
    site = new_blog(new_site, kind="hugo", pages="publish")
    (site.store / "hugo.yaml").write_text("title: x\n")
    about = "---\ntitle: About\n---\nWho we are.\n"
    site.write("content/about.md", about)
    site.write("content/posts/first.md", note("First", "[Us](../about.md)"))
    site.rescan()
    (site.store / "content/about.md").unlink()
    site.write("content/us/who.md", about)
    site.write("content/about.md", "---\ntitle: Other\n---\nOther people.\n")
    site.rescan()
    with site.runtime.reading() as connection:
        kept = {mark.path: mark.id for mark in pages.page_marks(connection)}
    assert kept["content/about.md"] == "about", "the file has had it before"
    (site.store / "content/us/who.md").unlink()
    site.write("content/we.md", about)
    site.rescan()
    with site.runtime.reading() as connection:
        after = {mark.path: mark.id for mark in pages.page_marks(connection)}
    assert after["content/we.md"] == kept["content/us/who.md"]
    site.rescan(full=True)
    with site.runtime.reading() as connection:
        assert {mark.path: mark.id for mark in pages.page_marks(connection)} == after


NAMES = ("one", "two", "three")
PLACES = st.sampled_from(("", "a/", "a/b/", "c/"))


@settings(max_examples=6, deadline=None)
@given(moves=st.lists(st.lists(PLACES, min_size=3, max_size=3), min_size=1, max_size=3), rewrite=st.booleans())
def test_links_lead_to_the_ids_that_articles_have_wherever_they_move(
    new_site: Callable[..., Site], moves: list[list[str]], rewrite: bool
) -> None:
    site = new_blog(new_site)
    now = [""] * 3

    def write(places: list[str]) -> None:
        for name, place in zip(NAMES, places, strict=True):
            up = "../" * place.count("/")
            body = " ".join(f"[{other}]({up}{at}{other}.md)" for other, at in zip(NAMES, places, strict=True))
            site.write(f"{place}{name}.md", note(name.title(), f"{name}: {body}"))

    write(now)
    site.rescan()
    for places in moves:
        for name, place in zip(NAMES, now, strict=True):
            (site.store / f"{place}{name}.md").unlink()
        write(places)
        now = places
        site.rescan(full=rewrite)
        for name in NAMES:
            assert links(site, name.title()) == [f"{HERE}/articles/{other}" for other in NAMES]
