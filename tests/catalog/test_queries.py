"""What the catalog answers: selections against a naive filter, pages, terms."""

from __future__ import annotations

import itertools
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import urls
from feeds.catalog import queries
from feeds.catalog.sort_key import Window, position
from feeds.config.models import Site
from feeds.model import FACETS, Article, Selection
from feeds.monitoring import health
from feeds.selections import Aliases
from tests.examples import some

NONE = Aliases.from_config({})
TAGS = ["Linux", "LINUX", "内核", "C++", "TCP/IP", ".NET", "Ubuntu 11.04"]
NAMES = {"tag": TAGS, "translator": ["wxy", "geekpi", "Ada"], "category": ["技术", "新闻"]}


def select(site: Any, selection: Selection, limit: int = 1000, before: int | None = None, **options: Any) -> list[Article]:
    with site.runtime.reading() as connection:
        return queries.select(
            connection, Site(), queries.resolve(connection, NONE, selection), Window(limit, before), **options
        )


def ids(found: list[Article]) -> list[str]:
    return [article.id for article in found]


# -- selections --------------------------------------------------------------


@dataclass
class Store:
    site: Any
    articles: list[dict[str, Any]]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    """Makes a store of the given articles; the last few are kept, so that many selections are asked of each."""
    site_type = type(request.getfixturevalue("demo"))
    kept: dict[str, Store] = {}

    def make(articles: list[dict[str, Any]]) -> Store:
        key = repr(articles)
        if key not in kept:
            if len(kept) > 20:
                kept.pop(next(iter(kept))).site.remove()
            site = site_type(tmp_path_factory.mktemp("store") / "site")
            for number, fields in enumerate(articles):
                site.write(f"{number}.md", id=number, **fields)
            site.rescan()
            kept[key] = Store(site, articles)
        return kept[key]

    yield make
    for store in kept.values():
        store.site.remove()


ARTICLE = st.fixed_dictionaries(
    {
        "tags": st.lists(st.sampled_from(TAGS), max_size=4, unique=True),
        "translator": st.lists(st.sampled_from(NAMES["translator"]), max_size=2, unique=True).map(", ".join),
        "category": st.sampled_from(["", *NAMES["category"]]),
        "date": st.sampled_from(["2020-01-01 00:00:00", "2020-01-01 00:00:01", "2019-12-31 23:59:59", "2021-01-01 00:00:00"]),
    }
)
WANTED = {facet: [*names, names[0].upper(), "没有这个"] for facet, names in NAMES.items()}
CLAUSES = st.fixed_dictionaries(
    {}, optional={facet: st.lists(st.sampled_from(names), min_size=1, max_size=3).map(tuple) for facet, names in WANTED.items()}
)
SELECTION = st.builds(Selection, CLAUSES, CLAUSES, CLAUSES)


def holds(fields: dict[str, Any], selection: Selection) -> bool:
    """The definition, word for word: any of these, all of those, none of these; every clause must hold."""
    written = {"tag": fields["tags"], "translator": fields["translator"].split(", "), "category": [fields["category"]]}
    has = {facet: {urls.fold(name) for name in names} for facet, names in written.items()}
    some = all(has[facet] & {urls.fold(name) for name in names} for facet, names in selection.any.items())
    each = all(has[facet] >= {urls.fold(name) for name in names} for facet, names in selection.all.items())
    none = not any(has[facet] & {urls.fold(name) for name in names} for facet, names in selection.none.items())
    return some and each and none


@settings(max_examples=some(30))
@given(articles=st.lists(ARTICLE, max_size=12), selections=st.lists(SELECTION, min_size=8, max_size=8), data=st.data())
def test_a_selection_gives_what_a_filter_over_all_articles_gives(
    stores: Any, articles: list[dict[str, Any]], selections: list[Selection], data: st.DataObject
) -> None:
    site = stores(articles).site
    newest_first = sorted(range(len(articles)), key=lambda number: (articles[number]["date"], number), reverse=True)
    for selection in selections:
        expected = [str(number) for number in newest_first if holds(articles[number], selection)]
        found = select(site, selection)
        assert ids(found) == expected
        limit = data.draw(st.integers(1, 5))
        assert select(site, selection, limit) == found[:limit]
        with site.runtime.reading() as connection:
            clauses = queries.resolve(connection, NONE, selection)
            assert queries.count(connection, clauses) == len(expected)
            assert len(queries.article_digests(connection, clauses, Window(limit))) == len(expected[:limit])
        assert ids(_by_pages(site, selection, limit)) == expected


def _by_pages(site: Any, selection: Selection, limit: int) -> list[Article]:
    met: list[Article] = []
    before = None
    while page := select(site, selection, limit, before):
        met += page
        before = page[-1].position
        assert len(met) <= 100
    return met


def test_pages_meet_each_article_once_even_when_all_have_one_date(site: Any) -> None:
    for number in range(30):
        site.write(f"{number}.md", id=number, date="2020-01-01 00:00:00")
    for number in range(30):
        site.write(f"w{number}.md", id=f"word-{number}", date="2020-01-01 00:00:00")
    site.rescan()
    for limit in (1, 7, 60):
        found = _by_pages(site, Selection({"tag": ("Linux",)}), limit)
        assert len(found) == len({article.id for article in found}) == 60


def test_a_page_may_begin_between_two_articles_of_one_position(site: Any) -> None:
    """Positions are of 24 bits below a second: ids that are no numbers may meet."""
    met: dict[int, str] = {}
    names = (f"a{number}" for number in itertools.count())
    twins = next((met[at], name) for name in names if (at := position(0, name)) in met or met.setdefault(at, name) == "")
    for name in (*twins, "5", "6"):
        site.write(f"{name}.md", id=name, date="2020-01-01 00:00:00", tags=["Linux"])
    site.rescan()
    for selection in (Selection(), Selection({"tag": ("Linux",)})):
        with site.runtime.reading() as connection:
            clauses = queries.resolve(connection, NONE, selection)
            whole = ids(queries.select(connection, Site(), clauses, Window(), with_html=False))
            for size, skip in itertools.product((1, 2, 3), range(6)):
                found = queries.select(connection, Site(), clauses, Window(size, skip=skip))
                assert ids(found) == whole[skip : skip + size]


def test_the_empty_selection_is_every_article_newest_first(demo: Any) -> None:
    found = select(demo, Selection())
    assert len(found) == demo.runtime.read(health.catalog_status)["articles"] >= 40
    assert [article.published for article in found] == sorted((article.published for article in found), reverse=True)


def test_articles_are_ordered_by_date_and_not_by_number(site: Any) -> None:
    site.write("5893.md", date="2016-06-06 00:00:00")
    site.write("7000.md", date="2015-01-01 00:00:00")
    site.write("1.md", date="2024-02-01 00:00:00")
    site.rescan()
    assert ids(select(site, Selection())) == ["1", "5893", "7000"]


def test_headings_come_without_bodies(site: Any) -> None:
    site.write("1.md", body="正文")
    site.rescan()
    assert [article.html for article in select(site, Selection(), with_html=False)] == [""]
    assert [article.html for article in select(site, Selection())] == ["<p>正文</p>\n"]


def test_terms_of_an_article_are_in_the_files_order_facet_by_facet(site: Any) -> None:
    site.write("1.md", tags=["内核", "C++", "Ada"], translator="wxy, geekpi", author="Ada", reviewer="x", selector="y")
    site.rescan()
    [article] = select(site, Selection())
    assert [(term.facet, term.name) for term in article.terms] == [
        ("tag", "内核"),
        ("tag", "C++"),
        ("tag", "Ada"),
        ("translator", "wxy"),
        ("translator", "geekpi"),
        ("author", "Ada"),
        ("selector", "y"),
        ("reviewer", "x"),
        ("category", "技术"),
    ]


def test_one_word_in_two_facets_is_two_terms(site: Any) -> None:
    site.write("1.md", tags=["wxy"], translator="")
    site.write("2.md", tags=[], translator="wxy")
    site.rescan()
    assert ids(select(site, Selection({"tag": ("wxy",)}))) == ["1"]
    assert ids(select(site, Selection({"translator": ("wxy",)}))) == ["2"]


# -- terms -------------------------------------------------------------------


HARD = ["C++", "C#", ".NET", "TCP/IP", "Node.js", "..", "x.atom", "a~b", "R&D", "é", "e\u0301", "Straße", "字" * 100]


@pytest.mark.parametrize("name", HARD)
def test_a_term_is_found_by_its_slug_its_name_and_any_case(site: Any, name: str) -> None:
    site.write("1.md", tags=[name])
    site.write("2.md", tags=["other"])
    site.rescan()
    segments = [urls.slug(name), name, name.upper(), name.lower(), unicodedata.normalize("NFD", name)]
    with site.runtime.reading() as connection:
        found = [queries.term_at(connection, NONE, "tag", segment) for segment in segments]
    assert len({known.key for known in found}) == 1 and found[0].term.articles == 1


@given(segment=st.text(max_size=30))
def test_an_unknown_term_is_no_term(demo: Any, segment: str) -> None:
    with demo.runtime.reading() as connection:
        for facet in FACETS:
            assert queries.term_at(connection, NONE, facet, f"不存在{segment}") is None
        queries.similar_terms(connection, "tag", segment)


def test_similar_terms_help_after_a_typing_error(demo: Any) -> None:
    with demo.runtime.reading() as connection:
        assert "Linux" in {term.name for term in queries.similar_terms(connection, "tag", "linu")}
        assert queries.similar_terms(connection, "tag", "%") == []


def test_terms_come_most_used_first_and_never_without_articles(demo: Any) -> None:
    with demo.runtime.reading() as connection:
        counts = [known.term.articles for known in queries.terms_of(connection, "tag")]
        assert counts == sorted(counts, reverse=True) and min(counts) >= 1
        assert len(queries.terms_of(connection, "tag", 2)) == sum(count >= 2 for count in counts)
        assert len(queries.terms_of(connection, "tag", 1, 5)) == 5


def test_the_demo_store_shows_the_awkward_cases(demo: Any) -> None:
    with demo.runtime.reading() as connection:
        names = {known.term.name for known in queries.terms_of(connection, "tag")}
    assert {"C++", "C#", ".NET", "TCP/IP"} <= names
    assert any(len(article.of("translator")) > 1 for article in select(demo, Selection()))
    assert any(not article.of("translator") for article in select(demo, Selection()))
    assert any("<ruby>" in article.html for article in select(demo, Selection()))
    assert not demo.runtime.read(queries.list_problems)
    assert len(list(Path(demo.store).rglob("*.md"))) >= 40
