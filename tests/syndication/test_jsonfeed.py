"""JSON Feed documents: what the schema cannot say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

Documents = Mapping[tuple[str, str], bytes]


@pytest.fixture
def feeds(documents: Documents) -> list[tuple[str, Any]]:
    found = [(path, json.loads(data)) for (path, format), data in documents.items() if format == "json"]
    assert found
    return found


def test_ids_are_unique_and_external_addresses_are_those_of_the_originals(feeds: list[tuple[str, Any]]) -> None:
    originals = 0
    for path, feed in feeds:
        ids = [item["id"] for item in feed["items"]]
        assert len(set(ids)) == len(ids), path
        originals += sum("external_url" in item and item["external_url"] != item["url"] for item in feed["items"])
    assert originals


def test_html_is_in_content_html_only(feeds: list[tuple[str, Any]]) -> None:
    for path, feed in feeds:
        for item in feed["items"]:
            assert "<p>" not in item.get("summary", "") + item.get("content_text", ""), path
            assert ("content_html" in item) != ("content_text" in item)


def test_the_roles_that_the_format_has_no_word_for_are_in_an_extension(awkward: Documents) -> None:
    item = next(item for item in json.loads(awkward["all", "json"])["items"] if item["id"].endswith("article/1"))
    assert item["_article"] == {
        "about": "https://feeds.example/about/feeds",
        "comments": 12,
        "translator": [
            {"name": "wxy", "url": "https://feeds.example/translators/wxy"},
            {"name": "pityonline", "url": "https://feeds.example/translators/pityonline"},
        ],
    }


def test_no_key_has_a_dot(feeds: list[tuple[str, Any]]) -> None:
    def keys(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [*value, *(key for inner in value.values() for key in keys(inner))]
        return [key for inner in value for key in keys(inner)] if isinstance(value, list) else []

    assert all("." not in key for _path, feed in feeds for key in keys(feed))


def test_text_is_utf_8_and_not_escaped(awkward: Documents) -> None:
    data = awkward["all", "json"]
    assert "金样".encode() in data
    assert b"\\u" not in data.replace(b"\\u2028", b"").replace(b"\\u007f", b"")


def test_feeds_of_twenty_articles_stay_within_what_the_specification_calls_fine(demo_documents: Documents) -> None:
    assert max(len(data) for data in demo_documents.values()) < 250_000
