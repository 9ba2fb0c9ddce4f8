"""Refuse what a page of another site sends: https://www.w3.org/TR/fetch-metadata/ first, for old browsers the header Origin.

It is asked once for all views, before each request that is to change something. A view that servers send to, without the rights
of any browser, says so itself: `@from_anywhere`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar
from urllib.parse import urlsplit

from flask import abort, current_app, request

from .application import application

_SAFE = ("GET", "HEAD", "OPTIONS")
_PORTS = {"http": ":80", "https": ":443"}
_View = TypeVar("_View", bound=Callable[..., object])


def from_anywhere(view: _View) -> _View:
    """Mark a view whose requests other servers send, or that asks `refuse_other_sites` itself."""
    view.from_anywhere = True  # type: ignore[attr-defined]
    return view


def origin_of(url: str) -> str:
    """Return the origin of an address as browsers write it.

    >>> origin_of("https://Feeds.example:443/path"), origin_of("null")
    ('https://feeds.example', '')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    netloc = parts.netloc.lower().removesuffix(_PORTS.get(parts.scheme, " "))
    return f"{parts.scheme}://{netloc}" if netloc else ""


def is_own(origin: str | None, fetch_site: str | None, host: str, own: Collection[str], *, across: bool) -> bool:
    """Return whether a form was sent by a page of this service, as far as browsers say.

    `origin` and `fetch_site` are the headers Origin and Sec-Fetch-Site, None where one is missing; `host` is the request's.
    `own` are the origins of this service, a static site's among them; `across` says whether one of them may send to another. A
    client that sends neither header is no browser of today.

    >>> is_own("https://evil.example", "cross-site", "feeds.example", (), across=True)
    False
    >>> is_own("null", "same-origin", "feeds.example", (), across=True)  # a page without referrer, or a private window
    True
    """
    written = origin_of(origin or "")
    known = written in own or bool(written and urlsplit(written).netloc == host.lower())
    if fetch_site is None:
        return origin is None or known
    if fetch_site.lower() in ("same-origin", "none"):
        return origin in (None, "null") or known
    return across and written in own


def refuse_unless_own() -> None:
    """Abort with 403 before a view that is not marked; pages of a static site (`base_url`) may send to all but the console."""
    view = current_app.view_functions.get(request.endpoint or "")
    if request.method not in _SAFE and view is not None and not getattr(view, "from_anywhere", False):
        refuse_other_sites()


def refuse_other_sites() -> None:
    """Abort with 403 where a page of another site has sent this request."""
    config = application().editions.latest().config
    own = {origin_of(url) for url in (config.site.base_url, config.site.service_url) if url} if config else set()
    given, across = request.headers.get, request.blueprint != "operator"
    if not is_own(given("Origin"), given("Sec-Fetch-Site"), request.host, own, across=across):
        abort(403)
