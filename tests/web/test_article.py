"""Where an article leads on: what is related to it, and what was published before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client

from feeds.catalog.related import MOST, RelatedArticles, Snapshot, pick_related, related_articles
from feeds.static.export import Options
from feeds.static.site_files import Exporter


@pytest.fixture
def store(site: Any) -> Any:
    """Forty articles, one a day, under one tag; few share anything besides."""
    site.settle("site.yaml", base_url="http://localhost", article_url="")
    for number in range(1, 41):
        tags = ["Linux"] + (["Rust"] if number in (3, 20, 39) else []) + (["BSD"] if number in (20, 25) else [])
        write(site, number, tags)
    site.rescan()
    return site


def write(site: Any, number: int, tags: list[str], **fields: Any) -> None:
    date = f"2020-{1 + number // 28:02}-{1 + number % 28:02} 00:00:00"
    site.write(f"{number}.md", tags=tags, author=f"Author {number}", date=date, **{"title": f"No. {number}", **fields})


@pytest.fixture
def ask(store: Any, make_client: Callable[[Any], Client]) -> Callable[[int], Any]:
    def page(number: int) -> Any:
        answered = make_client(store).get(f"/articles/{number}", headers={"Accept-Language": "en"})
        return html.fromstring(answered.data)

    return page


def numbers(links: list[str]) -> list[int]:
    return [int(link.rpartition("/")[2]) for link in links]


def related(page: Any) -> list[int]:
    return numbers(page.xpath("//ul[@class='plain related']//a/@href"))


def test_related_are_those_that_share_rare_tags_and_of_equals_the_nearest(ask: Callable[[int], Any]) -> None:
    assert related(ask(20)) == [25, 3, 39]
    assert related(ask(25)) == [20]


def test_what_all_articles_share_relates_none(ask: Callable[[int], Any]) -> None:
    assert related(ask(1)) == related(ask(40)) == []


def test_an_article_is_never_related_to_itself(store: Any, ask: Callable[[int], Any]) -> None:
    for number in range(1, 8):
        write(store, number, ["BSD", "Linux", "Rust"])
    store.rescan()
    for number in (1, 4, 7, 20):
        links = related(ask(number))
        assert number not in links and len(links) == len(set(links)) == MOST


def test_from_the_first_article_next_leads_through_all_of_them(store: Any, make_client: Callable[[Any], Client]) -> None:
    client, address, met = make_client(store), "/articles/1", []
    while address:
        met.append(int(address.rpartition("/")[2]))
        page = html.fromstring(client.get(address).data)
        assert page.xpath("//a[@rel='prev']/@href") == [f"http://localhost/articles/{n}" for n in met[-2:-1]]
        address = "".join(page.xpath("//a[@rel='next']/@href")).removeprefix("http://localhost")
    assert met == list(range(1, 41))


def test_an_article_alone_leads_nowhere(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.settle("site.yaml", article_url="", base_url="http://localhost")
    site.write("1.md", tags=[])
    site.rescan()
    page = make_client(site).get("/articles/1")
    assert page.status_code == 200 and "neighbours" not in page.text and "related" not in page.text


def test_an_edited_title_is_written_into_the_exported_pages_that_name_it_and_no_other(store: Any, tmp_path: Any) -> None:
    out = tmp_path / "out"
    Exporter(store.runtime).export(str(out), Options(compressed=False))
    before = {path.name: path.read_bytes() for path in (out / "articles").iterdir()}
    naming = {name for name, text in before.items() if b">No. 20<" in text}
    assert {"19.html", "20.html", "21.html", "25.html", "3.html", "39.html"} <= naming and len(naming) < 20
    write(store, 20, ["Linux", "Rust", "BSD"], title="Renamed")
    store.rescan()
    Exporter(store.runtime).export(str(out), Options(compressed=False))
    after = {path.name: path.read_bytes() for path in (out / "articles").iterdir()}
    assert {name for name in after if after[name] != before[name]} == naming


def main(page: bytes) -> bytes:
    return page.partition(b"<main")[2].partition(b"</main>")[0]


def test_what_is_exported_is_what_is_served_after_any_change(store: Any, tmp_path: Any, make_client: Any) -> None:
    """By a process that follows the changes, which knows what is beside an article and what terms have in common."""
    out, exporter = tmp_path / "out", Exporter(store.runtime)

    def same(**options: bool) -> None:
        store.rescan()
        exporter.export(str(out), Options(compressed=False, **options))
        client = make_client(store)
        for path in (path for folder in ("articles", "tags", "translators") for path in (out / folder).rglob("*.html")):
            address = "/" + str(path.relative_to(out)).removesuffix(".html")
            if path.name != "index.html":  # a directory of files sorts and sifts by itself
                served = main(client.get(quote(address)).data)
                assert served and served == main(path.read_bytes()), address

    same()
    assert b'class="portrait"' in (out / "tags" / "Linux.html").read_bytes()
    write(store, 50, ["Rust"])
    same()
    (store.store / "20.md").unlink()
    same()
    write(store, 3, ["BSD"], translator="geekpi")
    write(store, 25, ["Linux", "BSD"], translator="geekpi")
    same(full=True)


def test_for_all_articles_at_once_or_for_one_the_answer_is_the_same(store: Any, demo: Any) -> None:
    for site in (store, demo):
        kept, snapshot = RelatedArticles(), Snapshot()
        with site.runtime.reading() as connection:
            snapshot.refresh(connection, [])
            kept.refresh(connection, snapshot)
            rows = connection.exec_driver_sql("SELECT key, position FROM articles").all()
            assert {key: related_articles(connection, key, place) for key, place in rows} == {
                key: kept.by_article.get(key, ()) for key, _place in rows
            }


def test_a_snapshot_that_follows_changes_is_as_one_that_is_read_at_once(store: Any) -> None:
    followed = Snapshot()

    def follow() -> set[str]:
        """Return the names of the terms whose lists are others than before, without the category that all articles have."""
        store.rescan()
        before, fresh = followed.members, Snapshot()
        with store.runtime.reading() as connection:
            followed.refresh(connection, [])
            fresh.refresh(connection, [])
            names = dict(connection.exec_driver_sql("SELECT key, name FROM terms").all())
        assert (followed.members, followed.newest, followed.shown) == (fresh.members, fresh.newest, fresh.shown)
        assert followed.articles == fresh.articles
        return {names[term] for term, keys in followed.members.items() if before.get(term) is not keys} - {"技术"}

    follow()
    write(store, 25, ["Linux", "BSD"], title="Another title")
    assert follow() == {"Linux", "BSD", "Author 25"}, "an edited article shows in all of its terms"
    assert follow() == set()
    write(store, 25, ["Linux", "Rust"])
    assert follow() == {"Linux", "Rust", "BSD", "Author 25"}
    store.write("3.md", title="No. 3", tags=["Linux", "Rust"], author="Author 3", date="2021-05-05")
    assert follow() == {"Linux", "Rust", "Author 3"}
    (store.store / "20.md").unlink()
    assert {"Linux", "Rust"} <= follow() <= {"Linux", "Rust", "BSD", "Author 20"}
    write(store, 41, ["New"])
    assert follow() == {"New", "Author 41"}


def test_a_tag_in_common_says_more_than_a_translator_as_rare(site: Any, make_client: Callable[[Any], Client]) -> None:
    site.settle("site.yaml", base_url="http://localhost", article_url="")
    for number in range(1, 12):
        write(site, number, ["Rust"] if number in (1, 6, 10) else [], translator="geekpi" if number in (2, 3, 6, 10) else "")
    site.rescan()
    page = html.fromstring(make_client(site).get("/articles/6").data)
    assert related(page) == [10, 1], "a translator alone relates none, but tells equals apart"


SCORES = st.dictionaries(st.integers(1, 60), st.integers(1, 9), max_size=40)


@given(SCORES, st.integers(0, 9), st.integers(0, 60))
def test_related_are_those_that_share_most_each_once(scores: dict[int, int], least: int, position: int) -> None:
    found = pick_related(scores, MOST, least, position, lambda keys: {key: key for key in keys})
    enough = {key: score for key, score in scores.items() if score >= least}
    assert len(found) == len(set(found)) == min(MOST, len(enough)) and set(found) <= enough.keys()
    ranks = [(-scores[key], abs(key - position)) for key in found]
    assert ranks == sorted(ranks)
    assert all(scores[key] <= scores[found[-1]] for key in enough.keys() - set(found))
