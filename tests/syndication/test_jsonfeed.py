"""JSON Feed documents: a schema that lets nothing wrong pass, and what a schema cannot say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import jsonschema
import pytest

from .rules import SCHEMA

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


def test_text_is_utf_8_and_not_escaped(awkward: Documents) -> None:
    data = awkward["all", "json"]
    assert "金样".encode() in data
    assert b"\\u" not in data.replace(b"\\u2028", b"").replace(b"\\u007f", b"")


# -- the schema ------------------------------------------------------------

NEEDED = ("version", "title", "home_page_url", "feed_url", "language", "items")


def valid(feed: Any) -> bool:
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(feed)


def whole_feed() -> Any:
    """A feed with every key that the specification has."""
    people = [{"name": "Ada Example", "url": "https://a.example/", "avatar": "https://a.example/ada.png"}]
    attachment = {"url": "https://a.example/x.mp3", "mime_type": "audio/mpeg", "title": "x"}
    item = {
        "id": "tag:a.example,2020:7",
        "url": "https://a.example/7",
        "external_url": "https://b.example/7",
        "title": "Seven",
        "content_html": "<p>Seven</p>",
        "content_text": "Seven",
        "summary": "7",
        "image": "https://a.example/7.png",
        "banner_image": "https://a.example/7-wide.png",
        "date_published": "2020-01-02T03:04:05Z",
        "date_modified": "2020-01-02T03:04:05.678+08:00",
        "authors": people,
        "tags": ["seven"],
        "language": "zh-Hant-TW",
        "attachments": [attachment | {"size_in_bytes": 1000, "duration_in_seconds": 1.5}],
        "_article": {"about": "https://a.example/about", "comments": 7, "deep": [{"er": {}}]},
    }
    return {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "A",
        "home_page_url": "https://a.example/",
        "feed_url": "https://a.example/all.json",
        "description": "",
        "user_comment": "for readers",
        "next_url": "https://a.example/all.json?before=7",
        "icon": "https://a.example/icon.png",
        "favicon": "https://a.example/icon.png",
        "authors": people,
        "language": "en",
        "expired": False,
        "hubs": [{"type": "WebSub", "url": "https://a.example/hub"}],
        "items": [item],
        "_feed": {"about": "https://a.example/about"},
    }


def test_the_schema_takes_all_that_the_specification_has_and_the_least() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert valid(whole_feed())
    assert valid({key: whole_feed()[key] for key in NEEDED} | {"items": []})
    for body in ("content_html", "content_text"):
        feed = whole_feed()
        del feed["items"][0][body]
        assert valid(feed)


BREAKS: list[Callable[[Any, Any], Any]] = [
    # J1
    *(lambda feed, item, key=key: feed.pop(key) for key in NEEDED),
    lambda feed, item: feed.update(version="https://jsonfeed.org/version/1"),
    lambda feed, item: feed.update(title=""),
    lambda feed, item: feed.update(home_page_url="/relative"),
    lambda feed, item: feed.update(items={}),
    # J2
    lambda feed, item: item.pop("id"),
    lambda feed, item: item.update(id=7),
    lambda feed, item: item.update(id=""),
    lambda feed, item: [item.pop("content_html"), item.pop("content_text")],
    lambda feed, item: item.update(content_html=" "),
    lambda feed, item: item.update(title=""),
    lambda feed, item: item.update(title=None),
    lambda feed, item: item.update(tags="Linux"),
    lambda feed, item: item.update(tags=["a", "a"]),
    lambda feed, item: item.update(tags=[1]),
    # J3
    lambda feed, item: item.pop("url"),
    lambda feed, item: item.update(url="https://a.example/内核"),
    lambda feed, item: item.update(url="https://a.example/x]"),
    lambda feed, item: item.update(url="https://a.example/100%"),
    lambda feed, item: item.update(external_url=""),
    lambda feed, item: item.update(date_published="2020-01-02 03:04:05"),
    lambda feed, item: item.update(date_published="2020-01-02T03:04:05"),
    lambda feed, item: item.update(date_modified="2020-01-02"),
    lambda feed, item: item.update(authors=[{}]),
    lambda feed, item: item.update(authors=[]),
    lambda feed, item: item.update(authors={"name": "Ada"}),
    lambda feed, item: item.update(authors=[{"name": ""}]),
    lambda feed, item: item.update(authors=[{"name": "Ada", "role": "author"}]),
    lambda feed, item: item.update(author={"name": "Ada"}),  # of version 1
    lambda feed, item: feed.update(language="Chinese, simplified"),
    lambda feed, item: item.update(language=""),
    # J4
    lambda feed, item: item["attachments"][0].pop("url"),
    lambda feed, item: item["attachments"][0].pop("mime_type"),
    lambda feed, item: item["attachments"][0].update(mime_type="picture"),
    lambda feed, item: item["attachments"][0].update(size_in_bytes=0),
    lambda feed, item: item["attachments"][0].update(size_in_bytes="1000"),
    lambda feed, item: feed.update(next_url=""),
    lambda feed, item: feed.update(expired="yes"),
    lambda feed, item: feed["hubs"][0].pop("type"),
    lambda feed, item: feed["hubs"][0].pop("url"),
    lambda feed, item: feed.update(hubs=[]),
    # J5
    lambda feed, item: feed.update(next_page="https://a.example/"),
    lambda feed, item: feed.update({"_7": {"about": "https://a.example/"}}),
    lambda feed, item: feed.update({"_a.b": {"about": "https://a.example/"}}),
    lambda feed, item: item.update(translators=[{"name": "geekpi"}]),
    lambda feed, item: item["_article"].pop("about"),
    lambda feed, item: item["_article"].update({"a.b": 1}),
    lambda feed, item: item["_article"]["deep"][0]["er"].update({"a.b": 1}),
    # J6
    lambda feed, item: feed.update(icon="icon.png"),
    lambda feed, item: feed.update(favicon="//a.example/icon.png"),
]


@pytest.mark.parametrize("spoil", BREAKS)
def test_the_schema_refuses_what_the_specification_forbids(spoil: Callable[[Any, Any], Any]) -> None:
    feed = whole_feed()
    spoil(feed, feed["items"][0])
    assert feed != whole_feed()
    assert not valid(feed)
