"""Where an article leads on: what is related to it, and what was published before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html
from werkzeug.test import Client

from feeds.library.overview import Overview
from feeds.library.relation import MOST, Surroundings, Vicinity, related, relating, weight
from feeds.web.still import renderer


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


def test_related_are_those_that_share_rare_terms_then_the_nearest(ask: Callable[[int], Any]) -> None:
    assert numbers(ask(20).xpath("//ul[@class='plain related']//a/@href")) == [25, 3, 39, 19]


def test_an_article_is_never_related_to_itself(ask: Callable[[int], Any]) -> None:
    for number in (1, 20, 40):
        links = numbers(ask(number).xpath("//ul[@class='plain related']//a/@href"))
        assert number not in links and len(links) == len(set(links)) == MOST


def test_before_and_after_are_those_of_all_articles_and_of_the_first_tag(
    store: Any, make_client: Callable[[Any], Client]
) -> None:
    write(store, 41, ["Rust", "Linux"])
    store.rescan()
    page = html.fromstring(make_client(store).get("/articles/41", headers={"Accept-Language": "en"}).data)
    of_all, of_tag = page.xpath("//nav[@class='neighbours']")
    assert numbers(of_all.xpath(".//p/a[@rel='prev']/@href")) == [40] and not of_all.xpath(".//a[@rel='next']")
    assert numbers(of_tag.xpath(".//p/a/@href")) == [39]
    assert of_tag.xpath("./h2/span/a/@href") == ["/tags/Rust"]


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
    store.service.export(str(out), renderer, compressed=False)
    before = {path.name: path.read_bytes() for path in (out / "articles").iterdir()}
    naming = {name for name, text in before.items() if b">No. 20<" in text}
    assert {"19.html", "20.html", "21.html", "25.html", "3.html", "39.html"} <= naming and len(naming) < 20
    write(store, 20, ["Linux", "Rust", "BSD"], title="Renamed")
    store.rescan()
    store.service.export(str(out), renderer, compressed=False)
    after = {path.name: path.read_bytes() for path in (out / "articles").iterdir()}
    assert {name for name in after if after[name] != before[name]} == naming


def main(page: bytes) -> bytes:
    return page.partition(b"<main")[2].partition(b"</main>")[0]


def test_what_is_exported_is_what_is_served_after_any_change(store: Any, tmp_path: Any, make_client: Any) -> None:
    out = tmp_path / "out"

    def same() -> None:
        store.rescan()
        store.service.export(str(out), renderer, compressed=False)
        client = make_client(store)
        for path in (out / "articles").iterdir():
            assert main(client.get(f"/articles/{path.stem}").data) == main(path.read_bytes()), path.name

    same()
    write(store, 50, ["Rust"])
    same()
    (store.store / "20.md").unlink()
    same()
    write(store, 3, ["BSD"], translator="geekpi")
    same()
    write(store, 25, ["Linux", "BSD"], translator="geekpi")
    same()


def test_kept_up_to_date_or_made_anew_surroundings_are_the_same(store: Any) -> None:
    kept, overview = Surroundings(), Overview()
    for change in (lambda: None, lambda: write(store, 7, ["Rust"]), lambda: write(store, 8, ["Linux"], translator="geekpi")):
        change()
        store.rescan()
        with store.service.snapshot() as connection:
            overview.refresh(connection, [])
            kept.refresh(overview, relating(connection))
            anew = Surroundings()
            anew.refresh(overview, relating(connection))
        assert {key: sorted(named) for key, named in kept.named.items()} == {k: sorted(v) for k, v in anew.named.items()}


@given(st.lists(st.tuples(st.integers(1, 500), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=9))))
def test_what_shares_more_that_is_rare_comes_first(given_terms: list[tuple[int, list[tuple[int, int]]]]) -> None:
    near = [Vicinity(number, weight(count, 500), places, ()) for number, (count, places) in enumerate(given_terms)]
    scores: dict[tuple[int, int], int] = {}
    for one in near:
        for place in one.older:
            scores[place] = scores.get(place, 0) + one.weight
    best = related(50, near)
    assert len(best) == min(MOST, len(scores))
    points = sorted(scores.values(), reverse=True)
    assert sum(points[: len(best)]) == max_sum(scores, best)
    assert related(50, near[::-1]) == best, "the order of terms does not matter"


def max_sum(scores: dict[tuple[int, int], int], keys: list[int]) -> int:
    """The points of `keys`, each of which may stand at several positions here: its best ones are taken."""
    left = sorted(scores.items(), key=lambda pair: -pair[1])
    total = 0
    for key in keys:
        place = next(place for place, _points in left if place[1] == key)
        total += dict(left)[place]
        left = [pair for pair in left if pair[0] != place]
    return total
