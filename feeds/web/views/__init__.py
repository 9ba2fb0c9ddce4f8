"""Views: each parses a request, calls one use case and renders a template. Here are the responses and links that they share.

`app.BLUEPRINTS` lists the blueprints of these modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Response, redirect, render_template, request
from werkzeug.wrappers import Response as Answer

from ... import urls
from ...feed_formats import load_formats
from ...syndication.documents import compress
from ..application import application
from ..conditional import VARY, negotiate_encoding


def render_page(template: str, status: int = 200, **values: Any) -> Answer:
    """Return a page that caches may keep as long as a feed; without `autodiscovery` it names the feed of all articles."""
    body = render_template(template, **{"autodiscovery": (), "canonical": "", **values})
    page = Response(body, status, content_type="text/html; charset=utf-8")
    page.headers["Cache-Control"] = f"public, max-age={application().config.max_age}"
    return page


def document_page(page: Answer) -> Answer:
    """Mark `page` as the answer to a person at the address of a document; feed readers get the document there."""
    page.headers["Vary"] = f"{VARY}, Sec-Fetch-Dest"
    page.headers["Cache-Control"] = "private, max-age=0"
    return page


def moved_permanently(path: str, extension: str = "", query: str | None = None) -> Response:
    """Return a 301 to the canonical address, with its own query or the one of the request."""
    query = request.query_string.decode("latin-1") if query is None else query
    response = redirect(urls.url("", path, extension, query), 301, Response=Response)
    response.headers["Cache-Control"] = "public, max-age=300"
    response.headers["Access-Control-Allow-Origin"] = "*"
    assert isinstance(response, Response)
    return response


def made_on_request(body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return a document that is made for each request: compressed, with an entity tag of its bytes."""
    encoding = negotiate_encoding(request.headers.get("Accept-Encoding"))
    response = Response(compress(body, encoding), content_type=content_type)
    response.headers.update(headers or {})
    if encoding != "identity":
        response.headers["Content-Encoding"] = encoding
    response.headers["Cache-Control"] = f"public, max-age={application().config.max_age}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Vary"] = "Accept-Encoding"
    response.add_etag()
    return response.make_conditional(request)


#: What each reader on the web asks to have put before the address of a feed. Nothing is requested of it before a click.
WEB_READERS = {
    "Feedly": "https://feedly.com/i/subscription/feed/",
    "Inoreader": "https://www.inoreader.com/?add_feed=",
    "NewsBlur": "https://www.newsblur.com/?url=",
    "The Old Reader": "https://theoldreader.com/feeds/subscribe?url=",
    "Feedbin": "https://feedbin.com/?subscribe=",
}


def autodiscovery(address: str, title: str, query: str = "") -> list[tuple[str, str, str]]:
    """Return (media type, title, address) of each format for <link rel=alternate>; `address` is absolute and encoded."""
    after = f"?{query}" if query else ""
    return [(made.media_type, f"{title} ({made.label})", address + made.extension + after) for made in load_formats().values()]


def web_readers(url: str) -> list[tuple[str, str]]:
    """Return (name of a reader on the web, address that subscribes there) for the feed at `url`, which is encoded.

    >>> web_readers("https://example.org/all.atom")[0]
    ('Feedly', 'https://feedly.com/i/subscription/feed/https%3A%2F%2Fexample.org%2Fall.atom')
    """
    return [(name, before + quote(url, safe="")) for name, before in WEB_READERS.items()]
