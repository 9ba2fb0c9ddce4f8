"""Which hub a feed names: in all formats, and in the digest, since it shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from feeds.errors import ConfigError
from feeds.syndication import lookup

ATOM_LINK = "{http://www.w3.org/2005/Atom}link"
Body = Callable[[Any, str, str], bytes]


def hubs(site: Any, body: Body) -> list[list[str]]:
    """What Atom, RSS and JSON Feed name."""
    atom, rss = (etree.fromstring(body(site.runtime, "tags/Linux", format)) for format in ("atom", "rss"))
    named = [[link.get("href") for link in top.findall(ATOM_LINK) if link.get("rel") == "hub"] for top in (atom, rss[0])]
    found = json.loads(body(site.runtime, "tags/Linux", "json"))
    assert all(hub["type"] == "WebSub" for hub in found.get("hubs", []))
    return [*named, [hub["url"] for hub in found.get("hubs", [])]]


@pytest.fixture
def linux(site: Any) -> Any:
    site.write("1.md", tags=["Linux"])
    site.rescan()
    return site


def digest(site: Any) -> str:
    return str(next(state.digest for state, _selection in site.runtime.read(lookup.list_feeds) if state.path == "tags/Linux"))


def test_every_format_names_the_built_in_hub(linux: Any, body: Body) -> None:
    assert hubs(linux, body) == [["https://feeds.example/hub"]] * 3


def test_a_hub_outside_is_named_by_one_line_and_none_by_none(linux: Any, body: Body) -> None:
    before = digest(linux)
    linux.settle("feeds.yaml", websub={"hub": "https://hub.example.org/"})
    linux.rescan()
    assert hubs(linux, body) == [["https://hub.example.org/"]] * 3
    outside = digest(linux)
    linux.settle("feeds.yaml", websub={"hub": "none"})
    linux.rescan()
    assert hubs(linux, body) == [[]] * 3
    assert len({before, outside, digest(linux)}) == 3, "what shows is in the digest"


def test_bounds_of_the_hub_that_show_nowhere_change_no_feed(linux: Any) -> None:
    before = digest(linux)
    linux.settle("feeds.yaml", websub={"max_pending": 7, "allow_private_callbacks": True})
    linux.rescan()
    assert digest(linux) == before


@pytest.mark.parametrize(
    "hub", ["outside", "ftp://hub.example.org/", "https://", "https://hub.example.org/a b", "https://h/<x>"]
)
def test_what_is_no_address_of_a_hub_is_refused(linux: Any, hub: str) -> None:
    from feeds.config.load import load_config

    linux.settle("feeds.yaml", websub={"hub": hub})
    with pytest.raises(ConfigError, match=r"websub\.hub: expected builtin, none, or the address"):
        load_config(linux.environment)
