"""Cards: what a list shows of an article is rendered once, and again as soon as anything that decides it has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from lxml import html
from werkzeug.test import Client

from feeds.catalog import queries
from feeds.catalog.sort_key import Window
from feeds.config.models import Site
from feeds.model import Article
from feeds.web.app import make_app
from feeds.web.application import KEY
from feeds.web.cards import Cards


@pytest.fixture
def app(site: Any) -> Flask:
    site.settle("site.yaml", base_url="http://localhost", article_url="")
    site.set("feeds.yaml", "facets: {tag: {min_articles: 2}}")
    for number in range(1, 4):
        tags = ["Linux", "BSD"] if number == 1 else ["Linux"]
        site.write(f"{number}.md", title=f"No. {number}", tags=tags, date=f"2020-01-0{number} 00:00:00")
    site.rescan()
    return make_app(site.environment)


@pytest.fixture
def seen(app: Flask, site: Any) -> Iterator[Callable[..., str]]:
    """The list of articles of an address, as the worker shows it after a rescan."""

    def ask(address: str = "/all", language: str = "en") -> str:
        app.extensions[KEY].editions.expire()
        text = Client(app).get(address, headers={"Accept-Language": language}).text
        return html.tostring(html.fromstring(text).xpath("//ol[@class='articles']")[0], encoding="unicode")

    yield ask
    app.extensions[KEY].runtime.close()


def fresh(site: Any, make_client: Callable[[Any], Client], language: str = "en") -> str:
    """The same list from a worker that has just begun."""
    text = make_client(site).get("/all", headers={"Accept-Language": language}).text
    return html.tostring(html.fromstring(text).xpath("//ol[@class='articles']")[0], encoding="unicode")


def test_a_list_of_known_articles_renders_none_of_them(app: Flask, seen: Callable[..., str], monkeypatch: Any) -> None:
    first = seen()
    monkeypatch.setitem(app.jinja_env.filters, "truncate", None)  # a card cannot be rendered any more
    monkeypatch.setitem(app.jinja_env.filters, "day", None)
    assert seen() == first


def test_an_edited_article_is_shown_as_it_is_now(site: Any, seen: Callable[..., str], make_client: Any) -> None:
    assert "No. 2" in seen()
    site.write("2.md", title="Renamed", tags=["Linux"], date="2020-01-02 00:00:00")
    site.rescan()
    assert "Renamed" in seen() and "No. 2" not in seen()
    assert seen() == fresh(site, make_client)


def test_each_language_has_cards_of_its_own(site: Any, seen: Callable[..., str], make_client: Any) -> None:
    assert seen() != seen(language="zh-CN")
    for language in ("en", "zh-CN"):
        assert seen(language=language) == fresh(site, make_client, language)


def test_a_term_that_gets_a_page_is_linked_on_cards_that_do_not_change_otherwise(
    site: Any, seen: Callable[..., str], make_client: Any
) -> None:
    assert 'href="/tags/BSD"' not in seen()
    site.write("9.md", title="No. 9", tags=["BSD"], date="2019-01-01 00:00:00")
    site.rescan()
    assert seen().count('href="/tags/BSD"') == 2
    assert seen() == fresh(site, make_client)


@pytest.mark.parametrize(
    "change", ["{gone: [tags/Linux]}", "{moved: {tags/Linux: tags/Unix}}", "{facets: {tag: {enabled: false}}}"]
)
def test_a_setting_of_feeds_shows_on_cards(site: Any, seen: Callable[..., str], make_client: Any, change: str) -> None:
    assert 'href="/tags/Linux"' in seen()
    site.set("feeds.yaml", change)
    site.rescan()
    assert 'href="/tags/Linux"' not in seen()
    assert seen() == fresh(site, make_client)


def test_a_setting_of_the_site_shows_on_cards(site: Any, seen: Callable[..., str], make_client: Any) -> None:
    assert 'lang="zh-CN"' in seen()
    site.settle("site.yaml", base_url="http://localhost", article_url="", language="en")
    site.rescan()
    assert "lang=" not in seen()
    assert seen() == fresh(site, make_client)


def test_an_edited_template_shows_at_once_also_one_that_another_includes(
    site: Any, app: Flask, seen: Callable[..., str]
) -> None:
    own = site.root / "templates" / "web"
    (own / "own").mkdir(parents=True)
    parts = (
        Path("templates/web/parts.html")
        .read_text("utf-8")
        .replace("{{ date(article.published) }}", '{% include "own/a.html" %}')
    )
    (own / "own" / "a.html").write_text("<i>one</i>")
    (own / "parts.html").write_text(parts)
    assert seen().count("<i>one</i>") == 3
    (own / "own" / "a.html").write_text("<i>other</i>")
    assert seen().count("<i>other</i>") == 3
    (own / "parts.html").write_text(parts.replace("<article", "<article data-mine"))
    assert seen().count("data-mine") == 3


def test_a_list_of_an_operators_template_of_a_version_before_is_shown_as_ever(
    site: Any, seen: Callable[..., str], make_client: Any
) -> None:
    """It has the cards written out, and nothing in it keeps them."""
    expected = seen()
    own = site.root / "templates" / "web"
    own.mkdir(parents=True)
    text = Path("templates/web/parts.html").read_text("utf-8")
    loop = "{% for article in articles %}{{ listed(article, level) }}{% endfor %}"
    (own / "parts.html").write_text(text.replace("{{ cards(listed, articles, level) -}}\n", loop))
    assert fresh(site, make_client) == expected


# -- the memory that they take -------------------------------------------------


def articles_of(site: Any) -> list[Article]:
    with site.runtime.reading() as connection:
        return queries.select(connection, Site(), queries.Clauses(), Window(3), with_html=False)


def test_those_used_last_are_kept_within_the_bound(site: Any, app: Flask) -> None:
    one, two, three = articles_of(site)
    made: list[str] = []

    def macro(article: Article, level: int) -> str:
        made.append(article.title)
        return f"<li>{article.title}" + "x" * 2000

    cards = Cards(6000)
    for shown in ([one, two], [one], [three], [one]):
        cards.join("mark", "en", macro, shown, 3)
    assert made == [one.title, two.title, three.title]
    assert 0 < cards.bytes <= cards.max_bytes
    cards.join("mark", "en", macro, [two], 3)
    assert made[-1] == two.title


def test_a_card_that_was_begun_before_a_change_is_not_kept_after_it(site: Any, app: Flask) -> None:
    (article, *_others) = articles_of(site)
    cards = Cards(10_000)

    def late(article: Article, level: int) -> str:
        cards.join("new", "en", lambda article, level: "new", [replace(article, digest="another")], level)
        return "old"

    assert cards.join("old", "en", late, [article], 3) == "old"
    assert cards.join("new", "en", lambda article, level: "new", [article], 3) == "new"


def test_the_same_article_twice_in_a_list_is_one_card(site: Any, app: Flask) -> None:
    (article, *_others) = articles_of(site)
    assert Cards(10_000).join("mark", "en", lambda article, level: "<li>", [article, article], 3) == "<li><li>"
