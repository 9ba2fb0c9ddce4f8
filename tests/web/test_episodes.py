"""Articles with audio in RSS, as podcast apps read them (https://podcasters.apple.com/support/823-podcast-requirements)."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree
from werkzeug.test import Client

ITUNES = {"itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd"}


@pytest.mark.parametrize(
    ("written", "episode", "channel"),
    [("yes", ["true"], "true"), ("no", ["false"], "false"), ("clean", ["false"], "false"), ("", [], "false")],
)
def test_explicit_is_said_in_the_words_that_apps_know(
    site: Any, make_client: Any, written: str, episode: list[str], channel: str
) -> None:
    site.write("1.md", body="TALK <itunes:explicit>yes</itunes:explicit>", audio="https://h.example/a.mp3", explicit=written)
    site.rescan()
    client: Client = make_client(site)
    root = etree.fromstring(client.get("/all.rss").data)
    assert root.xpath("//item/itunes:explicit/text()", namespaces=ITUNES) == episode
    assert root.xpath("//channel/itunes:explicit/text()", namespaces=ITUNES) == [channel]
