"""Feed documents and OPML."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from flask import Blueprint, Response, abort, redirect, request
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response as Answer

from ... import urls
from ...config.models import Config
from ...counters import RENDER
from ...errors import AddressError, SelectionError
from ...formats import Format
from ...model import PLURALS, FeedState
from ...syndication import lookup, opml
from ...syndication.documents import compress
from ...syndication.lookup import Document, Elsewhere, Gone
from ..cache import Served, chosen_encoding, needs_no_body, serve
from ..context import State, state

blueprint = Blueprint("feeds", __name__)
#: Asks the service for a document, but for its bytes where its state is known.
Find = Callable[[Callable[[FeedState], bool]], Document | Elsewhere | Gone]


def document(path: str, format: Format) -> Answer:
    """The feed at `path` (without extension) in one format."""
    here = state()
    if request.path != f"/{path}{format.extension}":  # another case of the extension
        return permanently(path, format.extension)
    key = request.environ["PATH_INFO"]
    return answer_with(here, key, format, lambda known: here.runtime.read(lookup.document, here.edition, path, format, known))


def answer_with(here: State, key: str, format: Format, find: Find) -> Answer:
    """What `find` finds, from the cache if it holds it under `key`. Passes SelectionError on."""
    served = _served(here, key, format, find)
    return served if isinstance(served, Response) else send(here, served)


def send(here: State, served: Served) -> Answer:
    status, headers, body = here.turnstile.answer(served, request.environ, here.edition)
    return _Exact(body, status, headers)


class _Exact(Response):
    """Sent with the headers that it was given, as the lane does it; Werkzeug would take Last-Modified from a 304."""

    default_mimetype = None
    automatically_set_content_length = False

    def get_wsgi_headers(self, environ: object) -> Headers:
        return self.headers


def _served(here: State, key: str, format: Format, find: Find) -> Served | Response:
    """From the cache if its digest still holds; else put there: rendered, or without bytes where the answer has none."""
    config = here.config
    cached = here.cache.get(key)

    def known(row: FeedState) -> bool:
        kept = cached is not None and cached.digest == row.digest and cached.answers(request.environ)
        return kept or needs_no_body(request.environ, row, format)

    begun = time.perf_counter()
    try:
        found = find(known)
    except SelectionError:
        raise
    except AddressError:
        abort(404)
    if isinstance(found, Elsewhere):
        return permanently(found.path, format.extension, found.query)
    if isinstance(found, Gone):
        abort(410)
    if cached is None or cached.digest != found.digest or found.body is not None:
        cached = serve(found, found.body, max_age(config))
        here.cache.put(key, cached)
    if found.body is not None:
        here.turnstile.tally.measure(RENDER, format.name, seconds=time.perf_counter() - begun)
    cached.generation, cached.groups = found.generation, found.groups
    return cached


def max_age(config: Config) -> int:
    return config.max_age


def permanently(path: str, extension: str = "", query: str | None = None) -> Response:
    """301 to the canonical address, with its own query or the one that came along."""
    query = request.query_string.decode("latin-1") if query is None else query
    target = urls.url("", path, extension, query)
    answered = redirect(target, 301, Response=Response)
    answered.headers["Cache-Control"] = "public, max-age=300"
    answered.headers["Access-Control-Allow-Origin"] = "*"
    assert isinstance(answered, Response)
    return answered


@blueprint.get("/feeds.opml")
def all_opml() -> Answer:
    """All feeds as an OPML list, to import into a reader."""
    return _opml("")


@blueprint.get("/<plural>.opml")
def facet_opml(plural: str) -> Answer:
    """The feeds of one facet as an OPML list: `/tags.opml`."""
    if plural != plural.casefold() and plural.casefold() in (*PLURALS, "feeds"):
        return permanently(plural.casefold(), ".opml")
    if plural not in PLURALS or not state().config.feeds.facet(PLURALS[plural].name).enabled:
        abort(404)
    return _opml(plural)


def _opml(plural: str) -> Answer:
    here = state()
    body = here.runtime.read(opml.document, here.config, PLURALS.get(plural))
    name = {"Content-Disposition": f'inline; filename="{plural or "feeds"}.opml"'}
    return on_request(here, body, "text/x-opml; charset=utf-8", name)


def on_request(here: State, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Answer:
    """A document that no rescan keeps account of: made for each request, compressed, tagged by its bytes."""
    encoding = chosen_encoding(request.headers.get("Accept-Encoding"))
    answered = Response(compress(body, encoding), content_type=content_type)
    answered.headers.update(headers or {})
    if encoding != "identity":
        answered.headers["Content-Encoding"] = encoding
    answered.headers["Cache-Control"] = f"public, max-age={max_age(here.config)}"
    answered.headers["Access-Control-Allow-Origin"] = "*"
    answered.headers["Vary"] = "Accept-Encoding"
    answered.add_etag()
    return answered.make_conditional(request)
