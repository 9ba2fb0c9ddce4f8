"""What a document of ours says, taken from its own elements, in the vocabulary of `readers`: what readers are held against."""

from __future__ import annotations

import email.utils
import html
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from lxml import etree

from .readers import Seen, Values

NAMES = {
    "a": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "media": "http://search.yahoo.com/mrss/",
    "slash": "http://purl.org/rss/1.0/modules/slash/",
    "thr": "http://purl.org/syndication/thread/1.0",
    "xml": "http://www.w3.org/XML/1998/namespace",
}
_ATOM_FEED = {
    "title": "a:title/text()",
    "description": "a:subtitle/text()",
    "home page": "a:link[@rel='alternate']/@href",
    "language": "@xml:lang",
    "icon": "a:icon/text()",
    "hub": "a:link[@rel='hub']/@href",
    "older entries": "a:link[@rel='prev-archive' or @rel='next']/@href",
}
_ATOM_ENTRY = {
    "title": "a:title/text()",
    "id": "a:id/text()",
    "link": "a:link[@rel='alternate']/@href",
    "published": "a:published/text()",
    "updated": "a:updated/text()",
    "summary": "a:summary/text()",
    "full text": "a:content/text()",
    "authors": "a:author/a:name/text()",
    "translators": "a:contributor/a:name/text()",
    "tags": "a:category/@term",
    "enclosure": "a:link[@rel='enclosure']/@href",
    "picture": "media:thumbnail/@url",
    "original": "a:link[@rel='via']/@href",
    "number of comments": "thr:total/text()",
}
_RSS_FEED = {
    "title": "title/text()",
    "description": "description/text()",
    "home page": "link/text()",
    "language": "language/text()",
    "icon": "image/url/text()",
    "hub": "a:link[@rel='hub']/@href",
    "older entries": "a:link[@rel='prev-archive' or @rel='next']/@href",
}
_RSS_ENTRY = {
    "title": "title/text()",
    "id": "guid/text()",
    "link": "link/text()",
    "published": "pubDate/text()",
    "updated": "a:updated/text()",
    "summary": "description/text()",
    "full text": "content:encoded/text()",
    "authors": "dc:creator/text()",
    "translators": "dc:contributor/text()",
    "tags": "category/text()",
    "enclosure": "enclosure/@url",
    "picture": "media:thumbnail/@url",
    "original": "a:link[@rel='via']/@href",
    "number of comments": "slash:comments/text()",
}


def _atom(data: bytes) -> Seen:
    root = etree.fromstring(data)
    return _seen(_found(root, _ATOM_FEED), [_found(entry, _ATOM_ENTRY) for entry in root.iterfind("{*}entry")])


def _rss(data: bytes) -> Seen:
    channel = etree.fromstring(data)[0]
    items = [_found(item, _RSS_ENTRY) for item in channel.iterfind("item")]
    for item in items:
        item["summary"] = [html.unescape(text) for text in item.get("summary", ())]
    return _seen(_found(channel, _RSS_FEED), items)


def _found(element: Any, paths: Mapping[str, str]) -> Values:
    found = {word: [str(value) for value in element.xpath(path, namespaces=NAMES)] for word, path in paths.items()}
    return {word: values for word, values in found.items() if values}


def _json(data: bytes) -> Seen:
    feed = json.loads(data)
    told = {
        "title": [feed["title"]],
        "description": [feed["description"]],
        "home page": [feed["home_page_url"]],
        "language": [feed["language"]],
        "icon": [feed["icon"]],
        "hub": [hub["url"] for hub in feed.get("hubs", ())],
        "older entries": [feed["next_url"]] if "next_url" in feed else [],
    }
    return _seen(told, [_json_item(item) for item in feed["items"]])


def _json_item(item: Any) -> Values:
    plain = {
        "title": "title",
        "id": "id",
        "link": "url",
        "published": "date_published",
        "updated": "date_modified",
        "summary": "summary",
        "full text": "content_html",
        "picture": "image",
        "original": "external_url",
    }
    found = {word: [item[key]] for word, key in plain.items() if key in item}
    # The standard has one word for all people; the roles are in an extension of ours, which readers do not know.
    found["authors"] = [person["name"] for person in item.get("authors", ())]
    found["tags"] = item.get("tags", [])
    found["enclosure"] = [attachment["url"] for attachment in item.get("attachments", ())]
    return found


def _seen(feed: Values, entries: list[Values]) -> Seen:
    for entry in entries:
        for word in ("published", "updated"):
            entry[word] = [str(_seconds(text)) for text in entry.get(word, ())]
    return Seen(feed, {entry["id"][0]: {word: values for word, values in entry.items() if values} for entry in entries})


def _seconds(text: str) -> int:
    when = datetime.fromisoformat(text) if text[0].isdigit() else email.utils.parsedate_to_datetime(text)
    return int(when.timestamp())


SAID: Mapping[str, Callable[[bytes], Seen]] = {"atom": _atom, "rss": _rss, "json": _json}
