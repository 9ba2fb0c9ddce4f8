"""Feed documents and OPML."""

from __future__ import annotations

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as Answer

from .. import addresses
from ..config import Config
from ..model import PLURALS, FeedState
from ..service import AddressError, Elsewhere, Format, Gone
from .answers import Served, needs_no_body, serve
from .state import State, state

blueprint = Blueprint("feeds", __name__)


def document(path: str, format: Format) -> Answer:
    """The feed at `path` (without extension) in one format."""
    here = state()
    served = _served(here, path, format)
    if isinstance(served, Response):
        return served
    status, headers, body = here.turnstile.answer(served, request.environ, here.edition)
    return _Exact(body, status, headers)


class _Exact(Response):
    """Sent with the headers that it was given, as the lane does it; Werkzeug would take Last-Modified from a 304."""

    default_mimetype = None
    automatically_set_content_length = False

    def get_wsgi_headers(self, environ: object) -> Headers:
        return self.headers


def _served(here: State, path: str, format: Format) -> Served | Response:
    """From the cache if its digest still holds, else rendered and put there, or without bytes where the answer has none."""
    address = f"/{path}{format.extension}"
    if request.path != address:  # another case of the extension
        return permanently(path, format.extension)
    config = here.config
    key = request.environ["PATH_INFO"]
    cached = here.cache.get(key)

    def known(row: FeedState) -> bool:
        return (cached is not None and cached.digest == row.digest) or needs_no_body(request.environ, row, format)

    try:
        found = here.service.document(here.edition, path, format, known)
    except AddressError:
        abort(404)
    if isinstance(found, Elsewhere):
        return permanently(found.path, format.extension)
    if isinstance(found, Gone):
        abort(410)
    if found.body is None and (cached is None or cached.digest != found.digest):
        return serve(found, b"", max_age(config))
    if found.body is not None:
        cached = serve(found, found.body, max_age(config))
        here.cache.put(key, cached)
    assert cached is not None
    cached.generation = found.generation
    return cached


def max_age(config: Config) -> int:
    """As long as the next rescan may be away, within reason."""
    return min(max(config.site.rescan_seconds, 30), 300)


def permanently(path: str, extension: str = "") -> Response:
    """301 to the canonical address, with the query that came along."""
    query = request.query_string.decode("latin-1")
    target = f"/{addresses.encode(path)}{extension}" + (f"?{query}" if query else "")
    answered = redirect(target, 301, Response=Response)
    answered.headers["Cache-Control"] = "public, max-age=300"
    answered.headers["Access-Control-Allow-Origin"] = "*"
    assert isinstance(answered, Response)
    return answered


@blueprint.get("/feeds.opml")
def all_opml() -> Answer:
    return _opml("")


@blueprint.get("/<plural>.opml")
def facet_opml(plural: str) -> Answer:
    if plural not in PLURALS or not state().config.feeds.facet(PLURALS[plural].name).enabled:
        abort(404)
    return _opml(plural)


def _opml(plural: str) -> Answer:
    here = state()
    body = here.service.opml(here.config, PLURALS.get(plural))
    answered = Response(body, content_type="text/x-opml; charset=utf-8")
    answered.headers["Content-Disposition"] = f'inline; filename="{plural or "feeds"}.opml"'
    answered.headers["Cache-Control"] = f"public, max-age={max_age(here.config)}"
    answered.headers["Access-Control-Allow-Origin"] = "*"
    answered.headers["Vary"] = "Accept-Encoding"
    answered.add_etag()
    return answered.make_conditional(request)
