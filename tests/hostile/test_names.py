"""Names that are not what they seem: invisible characters, changed direction, letters that look alike."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from lxml import etree
from werkzeug.test import Client

from feeds.syndication import feeds
from feeds.web.app import create_app

JOINED = ["می‌خواهم", "👩‍💻", "क्‍ष"]
LETTERS = ["scope", "ѕсоре"]  # the second one is Cyrillic


@pytest.fixture
def named(site: Any) -> Client:
    site.settle("site.yaml", base_url="http://localhost", article_url="")
    invisible = ["Linux", "Linux\u200b", "Li\u200dnux", "\u202eLinux\u202c", "Linux\u200f", "Li\u00adnux", "\ufeffLinux"]
    for number, name in enumerate(invisible):
        site.write(f"linux-{number}.md", tags=[name], translator=f"wxy{name[5:]}", title=f"\u202exiL {number}\u2066")
    for number, name in enumerate([*JOINED, *LETTERS, "内\u200d核"]):
        site.write(f"{number}.md", tags=[name], translator=name)
    site.rescan()
    return Client(create_app(site.environment))


def test_names_that_look_the_same_because_of_what_nobody_sees_are_one_term(named: Client, site: Any) -> None:
    terms = {term.name: term.articles for term in site.runtime.read(feeds.offered_terms, site.runtime.edition().config, "tag")}
    assert terms == {"Linux": 7, "内核": 1, **dict.fromkeys([*JOINED, *LETTERS], 1)}


@pytest.mark.parametrize("name", [*JOINED, *LETTERS])
def test_letters_that_need_joiners_or_look_alike_stay_and_have_their_own_address(named: Client, name: str) -> None:
    for address in (f"/tags/{quote(name)}", f"/tags/{quote(name)}.atom", f"/select.json?tag={quote(name)}&not-tag=x"):
        assert named.get(address).status_code == 200, address
    assert named.get(f"/tags/{quote(name)}.json").json["items"][0]["tags"][0] == name


def test_no_title_turns_the_words_after_it(named: Client) -> None:
    for address in ("/", "/all.atom", "/all.rss", "/all.json", "/feeds.opml", "/tags/Linux", "/tags/"):
        assert not {*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"} & {*named.get(address).text}, address


def test_a_feed_of_such_names_is_well_formed_and_its_id_is_ascii(named: Client) -> None:
    for name in JOINED:
        feed = etree.fromstring(named.get(f"/tags/{quote(name)}.atom").data)
        assert feed.findtext("{*}id").isascii()
